package git

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The names of stand-ins begin so, in the system's folder for temporary files and in StateDir.
const (
	standInPrefix      = "exai-git-"
	stateStandInPrefix = "git-"
)

// abandonedAfter is the age at which no process can be using a stand-in any more: a call and the background answer that
// follows it last an hour each at most.
const abandonedAfter = 3 * time.Hour

// RemoveAbandoned removes the stand-ins that killed processes left behind: folders of ours, made by this user, that have
// not changed for abandonedAfter. It never follows a link. What can't be removed is left for the next time.
func (g *Git) RemoveAbandoned(now time.Time) {
	removeAbandoned(os.TempDir(), standInPrefix, now)
	if g.StateDir != "" {
		removeAbandoned(g.StateDir, stateStandInPrefix, now)
	}
}

func removeAbandoned(dir, prefix string, now time.Time) {
	f, err := os.Open(dir)
	if err != nil {
		return
	}
	defer f.Close()
	for {
		names, err := f.Readdirnames(1000) // a folder for temporary files may be large
		for _, name := range names {
			digits, ok := strings.CutPrefix(name, prefix)
			if !ok || strings.Trim(digits, "0123456789") != "" || digits == "" { // as os.MkdirTemp ends them
				continue
			}
			path := filepath.Join(dir, name)
			if info, err := os.Lstat(path); err == nil && abandoned(info, now) {
				_ = os.RemoveAll(path)
			}
		}
		if err != nil {
			return
		}
	}
}

// abandoned reports whether a stand-in is this user's, and old enough.
func abandoned(info os.FileInfo, now time.Time) bool {
	return info.IsDir() && isOwn(info) && now.Sub(info.ModTime()) > abandonedAfter
}
