package workspace

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
)

func TestResolve(t *testing.T) {
	dir := tempDir(t)
	a, b := write(t, "a", dir, "root/a.go"), write(t, "b", dir, "root/sub/b.go")
	comma := write(t, "c", dir, "root/a.go, sub/b.go.txt")
	write(t, "secret", dir, "root/.env")
	write(t, "out", dir, "out/o.go")
	w := newWorkspace(t, dir+"/root")
	for _, c := range []struct {
		paths, want []string
		problems    map[string]Code
	}{
		{paths: []string{"a.go", a, "./sub/../a.go", " a.go:3"}, want: []string{a}},
		{paths: []string{"a.go:12", "sub/b.go:12-40"}, want: []string{a, b}},
		{paths: []string{"a.go:12:5"}, want: []string{a}},
		{paths: []string{"a.go#L12", b + "#L12-L40"}, want: []string{a, b}},
		{paths: []string{"a.go, sub/b.go"}, want: []string{a, b}},
		{paths: []string{a + ";" + b + ",\n" + a + "\n"}, want: []string{a, b}},
		{paths: []string{"a.go:1, sub/b.go:2"}, want: []string{a, b}},
		{paths: []string{"sub"}, want: []string{filepath.Dir(b)}},
		{paths: []string{"a.go, sub/b.go.txt"}, want: []string{comma}}, // it exists as it is written
		{paths: []string{"a.go, gone.go", "a.go"}, want: []string{a}, problems: map[string]Code{"a.go, gone.go": CodeNotFound}},
		{paths: []string{"gone.go:3", "gone.go:3", "gone.go:4"}, problems: map[string]Code{"gone.go:3": CodeNotFound, "gone.go:4": CodeNotFound}},
		{paths: []string{"a.go:x", "a.go:", ":3", ","}, problems: map[string]Code{"a.go:x": CodeNotFound, "a.go:": CodeNotFound, ":3": CodeNotFound, ",": CodeNotFound}},
		{paths: []string{""}, problems: map[string]Code{"": CodeInvalid}},
		{paths: []string{".env:1", "a.go, .env", "../out/o.go:1"}, problems: map[string]Code{".env:1": CodeDenied, "a.go, .env": CodeDenied, "../out/o.go:1": CodeDenied}},
		{},
	} {
		refs, problems := w.Resolve(t.Context(), c.paths)
		var names []string
		for _, r := range refs {
			names = append(names, r.Path())
		}
		assert.Equal(t, c.want, names, "%q", c.paths)
		var codes map[string]Code
		for _, p := range problems {
			if codes == nil {
				codes = map[string]Code{}
			}
			assert.NotContains(t, codes, p.Path, "each once")
			codes[p.Path] = codeOf(p.Err)
		}
		assert.Equal(t, c.problems, codes, "%q", c.paths)
	}
}

// A Ref keeps what it was resolved to, also where the host has no name for it, and does not follow what takes its place.
func TestRefStaysWithItsFile(t *testing.T) {
	dir := tempDir(t)
	write(t, "in the container", dir, "inside/a.go")
	there := write(t, "as the host calls the other one", dir, "host/a.go")
	w, err := New(config.Files{AllowedRoots: []string{dir}, PathMap: dir + "/host=" + dir + "/inside"}, "", "", "", nil, nil)
	require.NoError(t, err)
	for written, want := range map[string]string{dir + "/inside/a.go": "in the container", "host/a.go": "as the host calls the other one"} {
		r, err := w.resolveOne(t.Context(), written)
		require.NoError(t, err)
		assert.Equal(t, there, r.Path())
		text, err := r.ReadText(0)
		require.NoError(t, err)
		assert.Equal(t, want, text.Content)
	}
	r, err := w.resolveOne(t.Context(), "host/a.go")
	require.NoError(t, err)
	require.NoError(t, os.Remove(there))
	link(t, dir+"/inside/a.go", there)
	_, err = r.ReadText(0)
	assert.Error(t, err)
	if runtime.GOOS != "linux" {
		t.Skip("file names are text here")
	}
	odd := write(t, "odd", dir, "odd\xff.go")
	r, err = w.resolveOne(t.Context(), odd)
	require.NoError(t, err)
	assert.Equal(t, dir+"/odd\uFFFD.go", r.Path())
	text, err := r.ReadText(0)
	require.NoError(t, err)
	assert.Equal(t, "odd", text.Content)
}

// A path is resolved once and a file opened once, however many functions use them.
func TestEachPathIsResolvedOnce(t *testing.T) {
	dir := tempDir(t)
	write(t, "1\n2\n", dir, "a.go")
	core, logs := observer.New(zap.DebugLevel)
	w, err := New(config.Files{AllowedRoots: []string{dir}}, "", "", "", nil, zap.New(core))
	require.NoError(t, err)
	refs, _ := w.Resolve(t.Context(), []string{"a.go"})
	_, _, err = w.Embed(t.Context(), refs, Budget{Tokens: 1000}, nil)
	require.NoError(t, err)
	assert.Equal(t, 1, logs.FilterMessage("path resolved").Len())
	assert.Equal(t, 1, logs.FilterMessage("file opened").Len())
	for _, name := range []string{"a.go", dir + "/a.go"} {
		path, ok := w.Find(t.Context(), name, refs)
		assert.True(t, ok)
		assert.Equal(t, dir+"/a.go", path)
	}
	assert.Equal(t, 1, logs.FilterMessage("path resolved").Len())
}

// What models are shown is relative to the work tree that holds the first file which lies in one; the host's paths stay in
// the manifest.
func TestWorkTreeNames(t *testing.T) {
	dir := tempDir(t)
	for _, repo := range []string{"one", "two"} {
		write(t, "package a\n", dir, repo, "sub", "a.go")
		gittest.Run(t, filepath.Join(dir, repo), "init", "-q")
	}
	write(t, "text\n", dir, "loose.txt")
	w := newWorkspace(t, dir)
	refs, problems := w.Resolve(t.Context(), []string{"loose.txt", "one/sub", "two/sub/a.go"})
	require.Empty(t, problems)
	top := w.WorkTree(refs)
	assert.Equal(t, w.HostPath(filepath.Join(dir, "one")), top)
	assert.Empty(t, w.WorkTree(refs[:1]))
	sent, m, err := w.Embed(t.Context(), refs, Budget{Tokens: 10_000}, nil)
	require.NoError(t, err)
	names := map[string]string{}
	for _, a := range sent {
		names[Below(w.HostPath(dir), a.Path)] = a.Name
	}
	assert.Equal(t, map[string]string{"loose.txt": "", "one/sub/a.go": "sub/a.go", "two/sub/a.go": ""}, names)
	for _, e := range m.Sent {
		assert.True(t, strings.HasPrefix(e.Path, w.HostPath(dir)), e.Path)
	}
	for _, c := range []struct{ folder, path, want string }{
		{"/w", "/w/a/b.go", "a/b.go"},
		{"/w", "/web/a.go", "/web/a.go"},
		{"/w", "/w", "/w"},
		{"", "/w/a.go", "/w/a.go"},
		{"/w", "a.go", "a.go"},
		{`C:\w`, `C:\w\a\b.go`, "a/b.go"},
		{"/w", `/w/a\b.go`, `a\b.go`},
	} {
		assert.Equal(t, c.want, Below(c.folder, c.path))
	}
}
