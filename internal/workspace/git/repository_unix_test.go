//go:build unix

package git

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tempDir is a folder without links in its path.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	return dir
}

func write(t testing.TB, name, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
}

func onlyBelow(dir string) Allowed {
	return func(real string) bool { return real == dir || strings.HasPrefix(real, dir+"/") }
}

func open(t testing.TB, dir string) *Repository {
	t.Helper()
	g := &Git{Program: Find("")}
	r, err := g.Open(t.Context(), dir, onlyBelow(dir))
	require.NoError(t, err)
	t.Cleanup(r.Close)
	return r
}

// names are the changed files of a diff and the texts of their parts.
func read(t testing.TB, r *Repository, d Diff) (names []string, texts map[string]string) {
	t.Helper()
	parts, whole, err := r.Names(t.Context(), d, ".")
	require.NoError(t, err)
	assert.True(t, whole)
	for _, p := range parts {
		names = append(names, p.Name)
	}
	parts, err = r.Diff(t.Context(), d, parts)
	require.NoError(t, err)
	texts = map[string]string{}
	for _, p := range parts {
		texts[p.Name] = string(p.Text)
	}
	return names, texts
}

// Names of any bytes come through, and those that are text are shown as they are.
func TestNamesOfAnyBytes(t *testing.T) {
	dir := tempDir(t)
	files := []string{"plain.go", "文件/说明.md", "ä b.go", "tab\tname", "quote\".go", "back\\slash", "new\nline", "\x01\x7f", " lead", "-dash", "a b/c d"}
	if f, err := os.Create(dir + "/\xff\xfe"); err == nil {
		f.Close()
		files = append(files, "\xff\xfe", "\xff \"x\"", "latin\xe9")
	}
	was := map[string]string{}
	for _, name := range files {
		was[name] = "1\n"
	}
	gittest.Init(t, dir, was)
	for _, name := range files {
		write(t, filepath.Join(dir, name), "2\n")
	}
	r := open(t, dir)
	names, texts := read(t, r, Diff{Name: "unstaged"})
	assert.ElementsMatch(t, files, names)
	for _, name := range files {
		assert.Contains(t, texts[name], "\n-1\n+2\n", "%q", name)
	}
	assert.Contains(t, texts["文件/说明.md"], "+++ b/文件/说明.md\n", "nothing is in octal")
	changes, _, err := r.Status(t.Context(), ".")
	require.NoError(t, err)
	assert.Len(t, changes, len(files))
}

// Shared indexes that the index does not name are not copied; a large one ends the reading, with nothing left behind.
func TestLargeSharedIndexes(t *testing.T) {
	dir, temp := tempDir(t), tempDir(t)
	t.Setenv("TMPDIR", temp)
	gittest.Init(t, dir, map[string]string{"a.go": "1\n", "b.go": "1\n"})
	sparse := func(name string) {
		require.NoError(t, os.WriteFile(name, nil, 0o600))
		require.NoError(t, os.Truncate(name, 500<<20))
	}
	for _, digit := range "0123456789" {
		sparse(dir + "/.git/sharedindex." + strings.Repeat(string(digit), 40))
	}
	write(t, dir+"/a.go", "2\n")
	r := open(t, dir)
	assert.Less(t, used(t, temp), int64(1<<20))
	names, _ := read(t, r, Diff{})
	assert.Equal(t, []string{"a.go"}, names)
	r.Close()

	gittest.Run(t, dir, "update-index", "--split-index")
	r = open(t, dir)
	shared, err := filepath.Glob(r.folder + "/sharedindex.*")
	require.NoError(t, err)
	require.Len(t, shared, 1)
	names, _ = read(t, r, Diff{})
	assert.Equal(t, []string{"a.go"}, names)
	r.Close()

	sparse(dir + "/.git/" + filepath.Base(shared[0]))
	g := &Git{Program: Find("")}
	_, err = g.Open(t.Context(), dir, onlyBelow(dir))
	assert.ErrorIs(t, err, ErrTooLarge)
	sparse(dir + "/.git/index")
	_, err = g.Open(t.Context(), dir, onlyBelow(dir))
	assert.ErrorIs(t, err, ErrTooLarge)
	assert.Zero(t, used(t, temp), "nothing is left")
	assert.EqualValues(t, maxIndexBytes, copies.free, "all space was given back")
}

// used is what the files below a folder hold, in bytes.
func used(t testing.TB, dir string) (total int64) {
	t.Helper()
	require.NoError(t, filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			total += info.Size()
		}
		return err
	}))
	return total
}

// Copying ends with the call.
func TestCopyEndsWithTheCall(t *testing.T) {
	dir := tempDir(t)
	write(t, dir+"/from", "text")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(assert.AnError)
	_, err := copyFile(ctx, dir+"/from", dir+"/to", 100)
	assert.ErrorIs(t, err, assert.AnError)
	require.NoError(t, os.Remove(dir+"/to"))
	n, err := copyFile(t.Context(), dir+"/from", dir+"/to", 3)
	require.NoError(t, err)
	assert.EqualValues(t, 3, n, "no more than the limit")
}

// The space for copies is shared by the whole process.
func TestSpaceIsShared(t *testing.T) {
	s := &space{free: 10}
	assert.True(t, s.take(10))
	assert.False(t, s.take(1))
	s.give(10)
	assert.False(t, s.take(11))
	assert.True(t, s.take(1))
}

// Whatever git starts ends with the call.
func TestChildrenEndWithTheCall(t *testing.T) {
	dir := tempDir(t)
	write(t, dir+"/git", "#!/bin/sh\n(sleep 60; echo late) &\necho $! >'"+dir+"/child'\nwait\n")
	require.NoError(t, os.Chmod(dir+"/git", 0o755))
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for t.Context().Err() == nil {
			if text, err := os.ReadFile(dir + "/child"); err == nil && len(text) > 1 {
				cancel(assert.AnError)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	_, _, err := command{program: dir + "/git", dir: dir, env: []string{"PATH=/usr/bin:/bin"}, most: 100}.output(ctx, "status")
	assert.ErrorIs(t, err, assert.AnError)
	text, err := os.ReadFile(dir + "/child")
	require.NoError(t, err)
	assert.Eventually(t, func() bool {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(text)) + "/stat")
		return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) || bytes.Contains(stat, []byte(") Z "))
	}, 5*time.Second, 10*time.Millisecond)
}
