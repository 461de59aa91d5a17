package workspace

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// kind is a file of a kind.
type kind struct {
	fs.FileInfo
	mode fs.FileMode
}

func (k kind) Mode() fs.FileMode { return k.mode }

func TestRequireKind(t *testing.T) {
	at := place{asked: "a"}
	for _, c := range []struct {
		mode    fs.FileMode
		folder  bool
		code    Code
		message string
	}{
		{0, false, "", ""},
		{fs.ModeDir, true, "", ""},
		{fs.ModeDir, false, CodeInvalid, `"a" is a folder; a file is needed here.`},
		{0, true, CodeInvalid, `"a" is a file; a folder is needed here.`},
		{fs.ModeSymlink, false, CodeNotFound, `"a" does not exist.`},
		{fs.ModeNamedPipe, false, CodeDenied, `"a" is refused: it is not a regular file but a FIFO.`},
		{fs.ModeSocket, true, CodeDenied, `"a" is refused: it is not a regular file but a socket.`},
		{fs.ModeDevice | fs.ModeCharDevice, false, CodeDenied, `"a" is refused: it is not a regular file but a device.`},
		{fs.ModeIrregular, false, CodeDenied, `"a" is refused: it is not a regular file but something special.`},
	} {
		err := at.requireKind(kind{mode: c.mode}, c.folder)
		if c.code == "" {
			assert.NoError(t, err)
			continue
		}
		e := requireCode(t, c.code, err)
		assert.Equal(t, c.message, e.Message)
		assert.Equal(t, "a", e.Path)
	}
}

// A place that is gone when it is opened is not found, in terms of what was asked for.
func TestPlacesThatAreGone(t *testing.T) {
	dir := tempDir(t)
	write(t, "x", dir, "file")
	for name, at := range map[string]place{
		"the root":            {root: dir + "/missing"},
		"the root of a file":  {root: dir + "/missing", names: []string{"a"}},
		"a folder on the way": {root: dir, names: []string{"missing", "a"}},
		"the last name":       {root: dir, names: []string{"missing"}},
	} {
		at.asked, at.log = "asked", zap.NewNop()
		check := func(err error) {
			t.Helper()
			assert.Equal(t, "asked", requireCode(t, CodeNotFound, err).Path, name)
		}
		_, err := at.stat()
		check(err)
		_, _, err = at.open()
		check(err)
		_, err = at.openRoot()
		check(err)
		_, err = at.ref()
		check(err)
		_, err = Ref{at: at}.Open()
		check(err)
		_, err = Ref{at: at}.ReadText(0)
		check(err)
	}
	at := place{root: dir, asked: "asked", names: []string{"way", "a"}, log: zap.NewNop()}
	link(t, dir, dir, "way")
	for _, open := range []func() error{
		func() error { _, err := at.stat(); return err },
		func() error { at.names = at.names[:1]; _, err := at.openRoot(); return err },
	} {
		e := requireCode(t, CodeDenied, open())
		assert.Contains(t, e.Message, `"asked" was exchanged`)
	}
}

// The root itself is looked at and opened like what is below it.
func TestRootIsAPlace(t *testing.T) {
	dir := tempDir(t)
	write(t, "x", dir, "a.go")
	at := place{root: dir, asked: "asked", log: zap.NewNop()}
	info, err := at.stat()
	require.NoError(t, err)
	assert.True(t, info.IsDir())
	_, _, err = at.open()
	requireCode(t, CodeInvalid, err)
	root, err := at.openRoot()
	require.NoError(t, err)
	defer root.Close()
	_, err = root.Lstat("a.go")
	require.NoError(t, err)
}

// A file's encoding is declared by small files that are no links, in folders that are none either.
func TestBeside(t *testing.T) {
	dir := tempDir(t)
	write(t, "in the root", dir, ".editorconfig")
	write(t, "x", dir, "folder/.editorconfig/x")
	write(t, "linked", dir, "real/.editorconfig")
	link(t, dir+"/real", dir, "way")
	at := place{root: dir, names: []string{"folder", "a.go"}, log: zap.NewNop()}
	assert.Equal(t, "in the root", at.beside(0, ".editorconfig"))
	assert.Empty(t, at.beside(1, ".editorconfig"), "a folder")
	assert.Empty(t, at.beside(0, ".gitattributes"), "missing")
	at.names[0] = "missing"
	assert.Empty(t, at.beside(1, ".editorconfig"))
	at.names[0] = "way"
	assert.Empty(t, at.beside(1, ".editorconfig"), "behind a link")
	assert.Equal(t, []string{"way", "a.go"}, at.names, "the names stay")
}

func TestAttributesAndEditorconfig(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "*.go text": "", "*.go working-tree-encoding=a": "a", "*.md working-tree-encoding=a": "", "working-tree-encoding=a": "",
		"# *.go working-tree-encoding=a": "", "*.go text working-tree-encoding=a eol=lf\n*.go -text": "a", "*.go working-tree-encoding=a\nx.go working-tree-encoding=b\n": "b",
		"*.go working-tree-encoding=a\nx.go -working-tree-encoding": "", "*.go working-tree-encoding=a\nx.go !working-tree-encoding": "", "*.go working-tree-encoding": "",
		"#x.go working-tree-encoding=a": "",
	} {
		got, last := attributesCharset(text, "x.go")
		assert.Equal(t, want, got, text)
		assert.False(t, last, text)
	}
	for text, want := range map[string]struct {
		charset string
		last    bool
	}{
		"":                                     {},
		"charset = a":                          {},
		"root = true":                          {"", true},
		"root=true\nroot = false":              {"", false},
		"[*]\nroot = true\ncharset = a":        {"a", false},
		"[*.go]\nCHARSET=A\n[*.md]\ncharset=b": {"a", false},
		"[*]\ncharset = a\n# charset = b\n; charset = c\n\ncharset": {"a", false},
		"[*]\ncharset = a\n[x.go]\ncharset = unset":                 {"", false},
		"[*\ncharset = a":      {},
		"[*]\nindent = a":      {},
		"[*]\n#[y]\ncharset=a": {"a", false},
	} {
		charset, last := editorCharset(text, "x.go")
		assert.Equal(t, want.charset, charset, text)
		assert.Equal(t, want.last, last, text)
	}
}

// What is hashed of a changed file is its content, whether it can be run, or where a link leads.
func TestHash(t *testing.T) {
	dir := tempDir(t)
	repo := dir + "/root/r"
	write(t, "text", repo, "a.go")
	write(t, "text", repo, "run.sh")
	require.NoError(t, os.Chmod(repo+"/run.sh", 0o700))
	write(t, "x", repo, "folder/x")
	write(t, "x", dir, "private/x")
	link(t, "a.go", repo, "link")
	link(t, dir+"/private", repo, "out")
	w := newWorkspace(t, dir+"/root")
	roots := w.roots(t.Context())
	for _, c := range []struct {
		name string
		want string
		read int64
	}{
		{"a.go", hashOf("text"), 4},
		{"run.sh", hashOf("text") + " x", 4},
		{"folder", stateOther, 0},
		{"missing", stateDeleted, 0},
		{"a.go/x", stateDeleted, 0},
		{"link", hashOf("link\x00a.go"), 0},
		{"out/x", stateOther, 0},
		{"out/missing", stateDeleted, 0},
	} {
		got, n, err := w.hash(roots, repo, c.name, 4)
		require.NoError(t, err, c.name)
		assert.Equal(t, c.want, got, c.name)
		assert.Equal(t, c.read, n, c.name)
	}
	got, _, err := w.hash(roots, repo, "a.go", 3)
	require.Error(t, err)
	assert.Empty(t, got)
	_, _, err = w.hash(roots, repo, strings.Repeat("x", 300), 4)
	requireCode(t, CodeInvalid, err)
}

func TestUnrotated(t *testing.T) {
	for text, want := range map[string]string{
		"/w/calls.jsonl.1": "/w/calls.jsonl", "/w/calls.jsonl.42": "/w/calls.jsonl", "/w/calls.jsonl": "/w/calls.jsonl", "/w/calls.jsonl.": "/w/calls.jsonl.",
		"/w/.1": "/w/.1", "/w/1": "/w/1", "/w/a1": "/w/a1", "/": "/", "/w.1/a": "/w.1/a",
	} {
		p, err := parsePath(text, linux)
		require.NoError(t, err)
		assert.Equal(t, want, unrotated(p).String(), text)
		assert.Equal(t, text, p.String(), "the path itself stays")
	}
}

// The server's own files are refused as they are named and as they resolve, with what a rotation made of them.
func TestOwnFiles(t *testing.T) {
	dir := tempDir(t)
	write(t, "x", dir, "real/calls.jsonl")
	link(t, dir+"/real", dir, "way")
	w := newWorkspace(t, dir)
	require.NoError(t, w.protect(dir+"/way/calls.jsonl"))
	require.NoError(t, w.protect(""))
	assert.Len(t, w.own, 2)
	for name, own := range map[string]bool{
		"way/calls.jsonl": true, "real/calls.jsonl": true, "real/calls.jsonl.1": true, "way/calls.jsonl.1": true, "real/calls.jsonl.x": false, "real/calls": false, "real": false,
	} {
		p, err := parsePath(dir+"/"+name, linux)
		require.NoError(t, err)
		assert.Equal(t, own, w.isOwn(p), name)
	}
	require.Error(t, w.protect("a\x00"))
	assert.Equal(t, "a\x00\uFFFD", w.host("a\x00\xff"), "what is no path is shown as it is")
	assert.Equal(t, "/w/\uFFFD", w.HostPath("/w/\xff"))
}
