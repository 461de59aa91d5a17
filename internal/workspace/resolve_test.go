package workspace

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/workspace/realpath"
)

func TestFindInsideAndOutside(t *testing.T) {
	dir := tempDir(t)
	write(t, "in", dir, "root/sub/in.txt")
	write(t, "out", dir, "out/out.txt")
	write(t, "twin", dir, "root-twin/x.txt")
	w := newWorkspace(t, dir+"/root")
	for _, ok := range []string{
		dir + "/root/sub/in.txt", dir + "/root/sub/../sub/./in.txt", dir + "//root///sub/in.txt", "sub/in.txt", "./sub/in.txt",
		"sub/../sub/in.txt", "file://" + dir + "/root/sub/in.txt", dir + "/out/../root/sub/in.txt", "../root/sub/in.txt", `sub\in.txt`,
	} {
		text, err := w.readPath(t.Context(), ok, 0)
		require.NoError(t, err, "%q", ok)
		assert.Equal(t, "in", text.Content)
		assert.Equal(t, dir+"/root/sub/in.txt", text.Path)
	}
	for _, no := range []string{
		dir + "/out/out.txt", "../out/out.txt", dir + "/root/../out/out.txt", "sub/../../out/out.txt", "/etc/passwd", "/",
		dir, dir + "/root-twin/x.txt", dir + "/out/missing.txt", "../../../../../../../../etc/passwd", "file:///etc/passwd",
		"/proc/self/environ", "/proc/self/root/etc/passwd", "/sys/kernel/version", "/PROC/self/environ", "/dev/null",
	} {
		_, err := w.readPath(t.Context(), no, 0)
		e := requireCode(t, CodeDenied, err)
		assert.Contains(t, e.Hint, "EXAI_ALLOWED_ROOTS", "%q", no)
	}
	_, err := w.readPath(t.Context(), dir+"/root/missing.txt", 0)
	requireCode(t, CodeNotFound, err)
	_, err = w.readPath(t.Context(), "missing.txt", 0)
	e := requireCode(t, CodeNotFound, err)
	assert.Contains(t, e.Hint, dir+"/root")
	_, err = w.readPath(t.Context(), "sub/in.txt/below", 0)
	requireCode(t, CodeNotFound, err)
	for _, bad := range []string{"", "a\x00b"} {
		_, err = w.readPath(t.Context(), bad, 0)
		requireCode(t, CodeInvalid, err)
	}
	_, err = w.readPath(t.Context(), "sub", 0)
	requireCode(t, CodeInvalid, err)
}

func TestRelativeNamesAreLookedUpInTheRootsInOrder(t *testing.T) {
	dir := tempDir(t)
	write(t, "first", dir, "a/both.txt")
	write(t, "second", dir, "b/both.txt")
	write(t, "only", dir, "b/only.txt")
	w := newWorkspace(t, dir+"/a", dir+"/b")
	for name, want := range map[string]string{"both.txt": "first", "only.txt": "only"} {
		text, err := w.readPath(t.Context(), name, 0)
		require.NoError(t, err)
		assert.Equal(t, want, text.Content)
	}
}

func TestLinks(t *testing.T) {
	dir := tempDir(t)
	write(t, "in", dir, "a/in.txt")
	write(t, "SECRET", dir, "a/.env")
	write(t, "other", dir, "b/other.txt")
	write(t, "SECRET", dir, "out/secret.txt")
	write(t, "SECRET", dir, "out/.ssh/x.txt")
	w := newWorkspace(t, dir+"/a", dir+"/b")
	for _, c := range []struct{ name, target, want string }{
		{"a/relative", "in.txt", "in"},
		{"a/absolute", dir + "/a/in.txt", "in"},
		{"a/sub/up", "../in.txt", "in"},
		{"a/chain2", dir + "/a/relative", "in"},
		{"a/chain1", "chain2", "in"},
		{"a/toOther", "../b/other.txt", "other"},
		{"a/toOtherAbsolute", dir + "/b/other.txt", "other"},
		{"a/folder", "../b", ""},
		{"out/back", "../a/in.txt", ""},
		{"a/roundabout", "../out/back", "in"},
	} {
		name := link(t, c.target, dir, c.name)
		if c.want == "" {
			continue
		}
		text, err := w.readPath(t.Context(), name, 0)
		require.NoError(t, err, c.name)
		assert.Equal(t, c.want, text.Content, c.name)
	}
	text, err := w.readPath(t.Context(), "folder/other.txt", 0)
	require.NoError(t, err)
	assert.Equal(t, dir+"/b/other.txt", text.Path, "a link's target is what is named")

	for name, target := range map[string]string{
		"a/leak": "../out/secret.txt", "a/leakAbsolute": dir + "/out/secret.txt", "a/leakFolder": "../out",
		"a/leakChain": "leak", "a/harmless.txt": ".env", "a/toEnvAbsolute": dir + "/a/.env", "a/etc": "/etc",
		"a/dangling": "../out/missing", "a/danglingFar": "/nowhere/at/all", "a/self": "/proc/self", "a/toKeys": "../out/.ssh",
	} {
		link(t, target, dir, name)
	}
	for _, no := range []string{
		"a/leak", "a/leakAbsolute", "a/leakFolder/secret.txt", "a/leakFolder", "a/leakChain", "a/harmless.txt", "a/toEnvAbsolute",
		"a/etc/passwd", "a/dangling", "a/danglingFar", "a/self/environ", "a/toKeys/x.txt", "a/leakFolder/missing",
	} {
		_, err := w.readPath(t.Context(), filepath.Join(dir, no), 0)
		requireCode(t, CodeDenied, err)
	}
	link(t, "loop2", dir, "a/loop1")
	link(t, "loop1", dir, "a/loop2")
	_, err = w.readPath(t.Context(), "loop1", 0)
	requireCode(t, CodeNotFound, err)
	link(t, "missing", dir, "a/danglingInside")
	_, err = w.readPath(t.Context(), "danglingInside", 0)
	requireCode(t, CodeNotFound, err)
}

// A root inside of another, and a root that is a link itself.
func TestNestedAndLinkedRoots(t *testing.T) {
	dir := tempDir(t)
	write(t, "x", dir, "a/b/c.txt")
	w := newWorkspace(t, dir+"/a", dir+"/a/b", link(t, dir+"/a", dir, "linked"))
	at, err := w.find(t.Context(), dir+"/a/b/c.txt")
	require.NoError(t, err)
	assert.Equal(t, dir+"/a/b", at.root, "the longest root")
	text, err := w.readPath(t.Context(), dir+"/linked/b/c.txt", 0)
	require.NoError(t, err)
	assert.Equal(t, dir+"/a/b/c.txt", text.Path)
}

func TestSecretsAreRefusedInsideOfRoots(t *testing.T) {
	dir := tempDir(t)
	w := newWorkspace(t, dir)
	for _, name := range []string{
		".env", ".ENV", ".Env", "sub/.env.local", ".ssh/id", ".docker/config.json", "a.pem", "b.KEY", "id_rsa", ".npmrc", ".aws/credentials",
	} {
		full := write(t, "SECRET", dir, name)
		_, err := w.readPath(t.Context(), full, 0)
		requireCode(t, CodeDenied, err)
		_, err = w.openPath(t.Context(), name)
		requireCode(t, CodeDenied, err)
		_, err = w.Image(t.Context(), name)
		requireCode(t, CodeDenied, err)
		_, found := w.Find(t.Context(), name, nil)
		assert.False(t, found, name)
	}
	_, err := w.readPath(t.Context(), "nowhere/.env", 0)
	requireCode(t, CodeDenied, err)
	for _, name := range []string{".env.example", ".env.sample", ".env.template", "id_rsa.pub"} {
		text, err := w.readPath(t.Context(), write(t, "fine", dir, name), 0)
		require.NoError(t, err)
		assert.Equal(t, "fine", text.Content)
	}
}

func TestOwnStateIsRefused(t *testing.T) {
	dir := tempDir(t)
	write(t, "x", dir, "state/exai.db")
	for _, name := range []string{"logs/calls.jsonl", "logs/calls.jsonl.0", "logs/calls.jsonl.5", "keys.conf"} {
		write(t, "SECRET", dir, name)
	}
	write(t, "fine", dir, "logs/calls.txt")
	write(t, "fine", dir, "logs/recalls.jsonl")
	write(t, "fine", dir, "logs/calls.jsonl.txt")
	write(t, "fine", dir, "logs/notes.1")
	link(t, dir+"/state", dir, "door")
	w, err := New(config.Files{AllowedRoots: []string{dir}}, dir+"/state", "", "", nil, nil, dir+"/logs/calls.jsonl", dir+"/keys.conf", "")
	require.NoError(t, err)
	for _, no := range []string{
		"state/exai.db", "state", "door/exai.db", "logs/calls.jsonl", "logs/calls.jsonl.0", "logs/calls.jsonl.5", "keys.conf",
	} {
		e := requireCode(t, CodeDenied, w.checkPaths(t.Context(), no))
		assert.NotContains(t, e.Message, "outside", no)
	}
	assert.NoError(t, w.checkPaths(t.Context(), "logs/calls.txt", "logs/recalls.jsonl", "logs/calls.jsonl.txt", "logs/notes.1"))
}

func TestUnreadable(t *testing.T) {
	if os.Getuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("this user may read everything")
	}
	dir := tempDir(t)
	name := write(t, "x", dir, "closed")
	require.NoError(t, os.Chmod(name, 0))
	w := newWorkspace(t, dir)
	_, err := w.readPath(t.Context(), name, 0)
	requireCode(t, CodeDenied, err)
	write(t, "x", dir, "folder/in")
	require.NoError(t, os.Chmod(dir+"/folder", 0))
	t.Cleanup(func() { assert.NoError(t, os.Chmod(dir+"/folder", 0o700)) })
	_, err = w.readPath(t.Context(), "folder/in", 0)
	assert.Contains(t, requireCode(t, CodeDenied, err).Message, "does not let the server read")
}

func TestStrangeNames(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such names")
	}
	dir := tempDir(t)
	w := newWorkspace(t, dir)
	for _, name := range []string{"line\nbreak.go", "quote\".go", "tab\t.go", " blank .go", "-rf", "*.go", "文件.go", "bad\xff.go", `back\slash.go`} {
		text, err := w.readPath(t.Context(), write(t, "x", dir, name), 0)
		require.NoError(t, err, "%q", name)
		assert.Equal(t, strings.ToValidUTF8(dir+"/"+name, "\uFFFD"), text.Path)
	}
	_, err := w.readPath(t.Context(), "no such\nfile", 0)
	e := requireCode(t, CodeNotFound, err)
	assert.NotContains(t, e.Message, "\n")
}

// FuzzFind holds the resolver to its promise: whatever it lets through is inside of a root, is not refused, and opens
// nothing else than it says.
func FuzzFind(f *testing.F) {
	dir := tempDir(f)
	write(f, "fine", dir, "a/in.txt")
	write(f, "SECRET", dir, "a/.env")
	write(f, "SECRET", dir, "a/deep/.ssh/key")
	write(f, "fine", dir, "b/x.txt")
	write(f, "SECRET", dir, "out/s.txt")
	for target, name := range map[string]string{
		"../out": "a/out", ".env": "a/e", "../b": "a/b", "deep/.ssh": "a/k", "loop": "a/loop", "/": "a/slash", "/proc/self": "a/p",
	} {
		link(f, target, dir, name)
	}
	w := newWorkspace(f, dir+"/a", dir+"/b")
	for _, seed := range []string{
		"in.txt", "../out/s.txt", dir + "/a/out/s.txt", "e", "b/x.txt", "k/key", "p/environ", "slash/etc/passwd", `..\out\s.txt`,
		"file://" + dir + "/a/in.txt", "file:///%2e%2e/etc/passwd", "C:/x", "\\\\?\\C:\\x", ".ENV", "a\x00b", "~/x", "./././in.txt", "in.txt/..", "loop/x",
		dir + "/a/../out/s.txt", "//" + dir + "/out/s.txt", "slash" + dir + "/out/s.txt", "slash" + dir + "/a/in.txt", "in.txt/", "%2e%2e/out/s.txt",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		at, err := w.find(t.Context(), in)
		if err != nil {
			e, ok := asError(err)
			require.True(t, ok)
			require.NotEmpty(t, e.Hint)
			return
		}
		real := realpath.Resolve(at.real)
		require.Equal(t, at.real, real, "it is fully resolved")
		require.True(t, strings.HasPrefix(real+"/", dir+"/a/") || strings.HasPrefix(real+"/", dir+"/b/"), "%q is outside", real)
		require.Equal(t, real, filepath.Join(append([]string{at.root}, at.names...)...))
		p, err := parsePath(real, linux)
		require.NoError(t, err)
		require.Empty(t, refusal(p, linux))
		if text, err := w.readPath(t.Context(), in, 0); err == nil {
			require.NotContains(t, text.Content, "SECRET")
		}
	})
}

func TestKnownShare(t *testing.T) {
	parse := func(text string) path {
		p, err := parsePath(text, windows)
		require.NoError(t, err)
		return p
	}
	roots := []root{{path: parse(`C:\code`)}, {path: parse(`\\server\share\code`)}}
	assert.True(t, knownShare(roots, parse(`C:\x`)))
	assert.True(t, knownShare(roots, parse(`D:\x`)), "only looked at, then refused")
	assert.True(t, knownShare(roots, parse(`\\SERVER\share\elsewhere`)))
	assert.False(t, knownShare(roots, parse(`\\evil\share\x`)))
	assert.False(t, knownShare(nil, parse(`\\server\wide\x`)))
}
