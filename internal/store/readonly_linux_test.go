package store

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// asUnprivileged runs fn without root's right to write everywhere.
func asUnprivileged(t *testing.T, fn func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		fn()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread, whose rights are reduced, ends with the goroutine
		require.NoError(t, syscall.Setfsuid(65534))
		fn()
	}()
	<-done
}

func TestReadOnlyFolder(t *testing.T) {
	parent := t.TempDir()
	for p := parent; p != filepath.Dir(os.TempDir()) && p != "/"; p = filepath.Dir(p) {
		if info, err := os.Stat(p); err == nil && info.Mode().Perm()&0o001 == 0 && os.Geteuid() == 0 {
			require.NoError(t, os.Chmod(p, info.Mode().Perm()|0o055))
		}
	}
	dir := filepath.Join(parent, "readonly")
	require.NoError(t, os.Mkdir(dir, 0o555))
	locked := filepath.Join(parent, "locked")
	require.NoError(t, os.Mkdir(locked, 0o777))
	require.NoError(t, os.Chmod(locked, 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(locked, "exai.db"), nil, 0o444))
	asUnprivileged(t, func() {
		for _, d := range []string{dir, locked, filepath.Join(dir, "below")} {
			_, err := Open(t.Context(), config.Conversations{StateDir: d})
			require.ErrorContains(t, err, "permission denied")
			require.ErrorContains(t, err, "EXAI_STATE_DIR")
		}
	})
}
