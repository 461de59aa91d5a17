//go:build unix

package workspace

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/workspace/realpath"
)

// within fails the test when f hangs, instead of the whole run.
func within(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it hangs")
	}
}

func TestSpecialFilesAreNeverOpened(t *testing.T) {
	dir := tempDir(t)
	require.NoError(t, syscall.Mkfifo(dir+"/fifo", 0o600))
	listener, err := net.Listen("unix", filepath.Join(dir, "sock"))
	require.NoError(t, err)
	defer listener.Close()
	link(t, "fifo", dir, "toFifo")
	link(t, "/dev/zero", dir, "toZero")
	w := newWorkspace(t, dir)
	wide := newWorkspace(t, "/")
	within(t, func() {
		for _, name := range []string{"fifo", "sock", "toFifo", "toZero"} {
			_, err := w.readPath(t.Context(), name, 0)
			requireCode(t, CodeDenied, err)
			_, err = w.openPath(t.Context(), name)
			requireCode(t, CodeDenied, err)
			_, err = w.Image(t.Context(), name)
			requireCode(t, CodeDenied, err)
			_, found := w.Find(t.Context(), name, nil)
			assert.False(t, found, name)
			requireCode(t, CodeDenied, w.checkPaths(t.Context(), name))
		}
		for _, name := range []string{"/dev/zero", "/dev/null", "/dev/stdin", "/proc/self/environ", "/proc/self/fd/0", "/sys", "/dev/tty"} {
			requireCode(t, CodeDenied, wide.checkPaths(t.Context(), name))
		}
		files, left, err := w.expandPaths(t.Context(), []string{dir, "fifo"})
		require.NoError(t, err)
		assert.Empty(t, files)
		assert.NotEmpty(t, left)
	})
}

// A FIFO takes the file's, or the folder's, place after the check.
func TestSwapForFIFO(t *testing.T) {
	for _, name := range []string{"f", "."} {
		dir := tempDir(t)
		write(t, "fine", dir, "d/f")
		w := newWorkspace(t, dir)
		at, err := w.find(t.Context(), "d/f")
		require.NoError(t, err)
		target := filepath.Join(dir, "d", name)
		require.NoError(t, os.Rename(target, dir+"/aside"))
		require.NoError(t, syscall.Mkfifo(target, 0o600))
		within(t, func() {
			_, _, err := at.open()
			require.NotEmpty(t, codeOf(err))
		})
	}
}

// The very open of a folder or file that just became a FIFO does not wait for a writer.
func TestStepIntoFIFO(t *testing.T) {
	dir := tempDir(t)
	require.NoError(t, syscall.Mkfifo(dir+"/d", 0o600))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	within(t, func() {
		_, err := root.OpenRoot("d/.")
		assert.Error(t, err)
		f, err := root.OpenFile("d", realpath.OpenFlags, 0)
		if assert.NoError(t, err) {
			f.Close()
		}
	})
}

// A sparse file of a terabyte costs no more than its first bytes.
func TestSparseFile(t *testing.T) {
	dir := tempDir(t)
	name := write(t, "line one\n", dir, "sparse.log")
	if err := os.Truncate(name, 1<<40); err != nil {
		t.Skip("no sparse files here: ", err)
	}
	w := newWorkspace(t, dir)
	within(t, func() {
		_, err := w.readPath(t.Context(), name, 0)
		requireCode(t, CodeInvalid, err)
		sent, m, err := w.embedPaths(t.Context(), []string{dir}, Budget{Tokens: 1000}, nil)
		require.NoError(t, err)
		assert.Empty(t, sent)
		require.Len(t, m.LeftOut, 1)
		assert.Contains(t, m.LeftOut[0].Reason, "binary")
		assert.Equal(t, int64(1<<40), m.LeftOut[0].Bytes)
		_, err = w.Image(t.Context(), name)
		requireCode(t, CodeTooLarge, err)
	})
}
