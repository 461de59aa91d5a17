package workspace

import (
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

func TestNamed(t *testing.T) {
	dir := tempDir(t)
	a, b := write(t, "a", dir, "root/a.go"), write(t, "b", dir, "root/sub/b.go")
	comma := write(t, "c", dir, "root/a.go, sub/b.go.txt")
	write(t, "secret", dir, "root/.env")
	write(t, "out", dir, "out/o.go")
	w := newWorkspace(t, dir+"/root")
	for _, c := range []struct{ paths, want []string }{
		{[]string{"a.go", a, "./sub/../a.go", " a.go:3"}, []string{a}},
		{[]string{"a.go:12", "sub/b.go:12-40"}, []string{a, b}},
		{[]string{"a.go:12:5"}, []string{a}},
		{[]string{"a.go#L12", b + "#L12-L40"}, []string{a, b}},
		{[]string{"a.go, sub/b.go"}, []string{a, b}},
		{[]string{a + ";" + b + ",\n" + a + "\n"}, []string{a, b}},
		{[]string{"a.go:1, sub/b.go:2"}, []string{a, b}},
		{[]string{"sub"}, []string{filepath.Dir(b)}},
		{[]string{"a.go, sub/b.go.txt"}, []string{comma}}, // it exists as it is written
		// Where there is doubt, a path stays as it is, and its reader says why it can't be used.
		{[]string{"a.go, gone.go"}, []string{"a.go, gone.go"}},
		{[]string{"gone.go:3", "gone.go:3"}, []string{"gone.go:3"}},
		{[]string{"a.go:x", "a.go:", ":3", ",", ""}, []string{"a.go:x", "a.go:", ":3", ",", ""}},
		{[]string{".env:1", "a.go, .env", "../out/o.go:1"}, []string{".env:1", "a.go, .env", "../out/o.go:1"}},
		{nil, nil},
	} {
		assert.Equal(t, c.want, w.Named(t.Context(), c.paths...), "%q", c.paths)
	}
}

// A file whose host's name would lead elsewhere keeps the name that it was found by.
func TestNamedKeepsWhatTheHostCannotName(t *testing.T) {
	dir := tempDir(t)
	write(t, "in the container", dir, "inside/a.go")
	there := write(t, "as the host calls the other one", dir, "host/a.go")
	w, err := New(config.Files{AllowedRoots: []string{dir}, PathMap: dir + "/host=" + dir + "/inside"}, "", "", "", nil, nil)
	if !assert.NoError(t, err) {
		return
	}
	assert.Equal(t, []string{there}, w.Named(t.Context(), dir+"/inside/a.go"), "the host's name of it")
	assert.Equal(t, []string{"host/a.go"}, w.Named(t.Context(), "host/a.go"))
	if runtime.GOOS != "linux" {
		t.Skip("file names are text here")
	}
	odd := write(t, "odd", dir, "odd\xff.go")
	assert.Equal(t, []string{odd}, w.Named(t.Context(), odd))
}
