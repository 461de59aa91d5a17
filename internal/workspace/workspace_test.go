package workspace

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
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
	w, err := New(config.Files{AllowedRoots: roots}, "", "", "", nil, zaptest.NewLogger(t, zaptest.Level(zap.InfoLevel)))
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

// The functions below resolve paths for the function under test.

func (w *Workspace) resolveOne(ctx context.Context, path string) (Ref, error) {
	refs, problems := w.Resolve(ctx, []string{path})
	if len(problems) > 0 {
		return Ref{}, problems[0].Err
	}
	return refs[0], nil
}

func (w *Workspace) readPath(ctx context.Context, path string, maxChars int) (*Text, error) {
	r, err := w.resolveOne(ctx, path)
	if err != nil {
		return nil, err
	}
	return r.ReadText(maxChars)
}

func (w *Workspace) openPath(ctx context.Context, path string) (*File, error) {
	r, err := w.resolveOne(ctx, path)
	if err != nil {
		return nil, err
	}
	return r.Open()
}

func (w *Workspace) checkPaths(ctx context.Context, paths ...string) error {
	if _, problems := w.Resolve(ctx, paths); len(problems) > 0 {
		return problems[0].Err
	}
	return nil
}

func (w *Workspace) embedPaths(ctx context.Context, paths []string, b Budget, already map[string]conversation.Attachment) ([]conversation.Attachment, Manifest, error) {
	refs, problems := w.Resolve(ctx, paths)
	sent, m, err := w.Embed(ctx, refs, b, already)
	for _, p := range problems {
		m.LeftOut = append(m.LeftOut, p.Entry())
	}
	return sent, m, err
}

// expandPaths names the text files behind paths, and what was left out of them.
func (w *Workspace) expandPaths(ctx context.Context, paths []string) (files []string, left []Entry, err error) {
	refs, problems := w.Resolve(ctx, paths)
	items, left, err := w.expand(ctx, refs, maxFiles)
	for _, p := range problems {
		left = append(left, p.Entry())
	}
	for _, it := range items {
		head, _, _, err := it.at.readBytes(sniffBytes, binaryKind)
		if err != nil {
			left = append(left, failed(it.at.host, err))
		} else if kind := binaryKind(head); kind != "" {
			left = append(left, Entry{Path: it.at.host, Reason: "binary: " + kind, Bytes: it.size})
		} else {
			files = append(files, it.at.host)
		}
	}
	return files, left, err
}

func (w *Workspace) changedPaths(ctx context.Context, path string) (names []string, err error) {
	refs, err := w.ChangedFiles(ctx, path)
	for _, r := range refs {
		names = append(names, r.Path())
	}
	return names, err
}
