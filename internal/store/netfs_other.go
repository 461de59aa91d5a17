//go:build !linux && !darwin

package store

import (
	"path/filepath"
	"strings"
)

// networkFS names the network file system that a folder is on, as far as its name tells: Windows shares begin with two
// backslashes. "" for a local one.
func networkFS(dir string) string {
	if strings.HasPrefix(filepath.VolumeName(dir), `\\`) {
		return "a network share"
	}
	return ""
}
