//go:build unix

package git

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Stand-ins of killed processes are removed; nothing else is, and no link is followed.
func TestRemoveAbandoned(t *testing.T) {
	temp, state, elsewhere := tempDir(t), tempDir(t), tempDir(t)
	t.Setenv("TMPDIR", temp)
	now := time.Now()
	old := now.Add(-abandonedAfter - time.Minute)
	write(t, elsewhere+"/kept.txt", "kept")
	folder := func(name string, mode os.FileMode, changed time.Time) {
		write(t, name+"/objects/x", "text")
		require.NoError(t, os.Symlink(elsewhere, name+"/link"))
		require.NoError(t, os.Chmod(name, mode))
		require.NoError(t, os.Chtimes(name, changed, changed))
	}
	gone := []string{temp + "/exai-git-123", state + "/git-9"}
	for _, name := range gone {
		folder(name, 0o700, old)
	}
	kept := []string{
		temp + "/exai-git-", temp + "/exai-git-12a", temp + "/my-exai-git-1", temp + "/git-5", state + "/exai-git-5", state + "/git", state + "/git-x",
	}
	for _, name := range kept {
		folder(name, 0o700, old)
	}
	folder(temp+"/exai-git-4", 0o700, now.Add(-abandonedAfter+time.Minute)) // may be in use
	folder(temp+"/exai-git-6", 0o755, old)                                  // os.MkdirTemp makes none so
	write(t, temp+"/exai-git-7", "a file")
	require.NoError(t, os.Chtimes(temp+"/exai-git-7", old, old))
	require.NoError(t, os.Symlink(elsewhere, temp+"/exai-git-8"))
	require.NoError(t, os.Chtimes(elsewhere, old, old))
	kept = append(kept, temp+"/exai-git-4", temp+"/exai-git-6", temp+"/exai-git-7", temp+"/exai-git-8", elsewhere+"/kept.txt")

	g := &Git{StateDir: state}
	g.RemoveAbandoned(now)
	for _, name := range gone {
		assert.NoFileExists(t, name)
		assert.NoDirExists(t, name)
	}
	for _, name := range kept {
		_, err := os.Lstat(name)
		assert.NoError(t, err, name)
	}

	t.Setenv("TMPDIR", filepath.Join(temp, "missing"))
	(&Git{}).RemoveAbandoned(now) // without a folder there is nothing to do
}

// The stand-ins of another user stay: where a folder is shared, their age says nothing of who uses them.
func TestRemoveAbandonedOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a folder away")
	}
	temp := tempDir(t)
	t.Setenv("TMPDIR", temp)
	require.NoError(t, os.Mkdir(temp+"/exai-git-1", 0o700))
	require.NoError(t, os.Chown(temp+"/exai-git-1", 65534, 65534))
	(&Git{}).RemoveAbandoned(time.Now().Add(24 * time.Hour))
	assert.DirExists(t, temp+"/exai-git-1")
}

// A stand-in counts as used while its repository is open, and is what RemoveAbandoned looks for afterwards.
func TestStandInIsPrivate(t *testing.T) {
	dir, temp := tempDir(t), tempDir(t)
	t.Setenv("TMPDIR", temp)
	gittest.Init(t, dir, map[string]string{"a.go": "1\n"})
	before := syscall.Umask(0) // the folder's mode does not depend on it
	r := open(t, dir)
	syscall.Umask(before)
	(&Git{}).RemoveAbandoned(time.Now())
	assert.DirExists(t, r.folder)
	(&Git{}).RemoveAbandoned(time.Now().Add(abandonedAfter + time.Minute))
	assert.NoDirExists(t, r.folder, "as if its process had been killed")
}
