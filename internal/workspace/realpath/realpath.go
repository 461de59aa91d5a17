// Package realpath finds out where a path leads, and opens files without waiting for them. It decides nothing.
package realpath

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// maxLinks is how many links that lead nowhere are followed in one path.
const maxLinks = 40

// Resolve follows every link in the existing part of a path and keeps the rest as it is. A link that leads nowhere is
// followed too, so that where it would lead is what gets checked.
func Resolve(name string) string {
	links := maxLinks
	return resolve(name, &links)
}

func resolve(name string, links *int) string {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		return real
	}
	dir := filepath.Dir(name)
	if dir == name {
		return name
	}
	parent := resolve(dir, links)
	full := filepath.Join(parent, filepath.Base(name))
	target, err := os.Readlink(full)
	if err != nil || *links == 0 {
		return full
	}
	*links--
	if !filepath.IsAbs(target) {
		target = filepath.Join(parent, target)
	}
	return resolve(target, links)
}

// IsBelow reports whether a path is dir or lies in it. Both are resolved.
func IsBelow(dir, name string) bool {
	rest, err := filepath.Rel(dir, name)
	return err == nil && (rest == "." || filepath.IsLocal(rest))
}

// ErrTooLong is returned by ReadSmall for a file that is larger than the limit.
var ErrTooLong = errors.New("the file is larger than expected")

// ReadSmall reads a regular file of at most limit bytes. It refuses anything else with os.ErrInvalid or ErrTooLong.
func ReadSmall(name string, limit int64) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", os.ErrInvalid
	}
	f, err := os.OpenFile(name, OpenFlags, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = ErrTooLong
	}
	return string(data), err
}
