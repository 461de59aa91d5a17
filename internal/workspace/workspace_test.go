package workspace

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// rootsFunc is a client that tells its roots.
type rootsFunc func(context.Context) ([]string, bool)

func (f rootsFunc) Roots(ctx context.Context) ([]string, bool) { return f(ctx) }

// tempDir is a fresh folder without links in its path.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	return dir
}

// newWorkspace allows the given folders and nothing else.
func newWorkspace(t testing.TB, roots ...string) *Workspace {
	t.Helper()
	w, err := New(config.Files{AllowedRoots: roots}, "", "", "", nil, zaptest.NewLogger(t))
	require.NoError(t, err)
	return w
}

// write makes a file with the folders above it and returns its path.
func write(t testing.TB, content string, path ...string) string {
	t.Helper()
	name := filepath.Join(path...)
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
	return name
}

// link makes a symbolic link with the folders above it.
func link(t testing.TB, target string, path ...string) string {
	t.Helper()
	name := filepath.Join(path...)
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	if err := os.Symlink(target, name); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	return name
}

// requireCode fails unless err is an Error with that code, a sentence and a hint.
func requireCode(t testing.TB, code Code, err error) *Error {
	t.Helper()
	e, ok := asError(err)
	require.True(t, ok, "got %v", err)
	require.Equal(t, code, e.Code, "%s", e.Message)
	require.NotEmpty(t, e.Message)
	require.NotEmpty(t, e.Hint)
	return e
}
