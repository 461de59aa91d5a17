package workspace

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
)

func TestRootsHint(t *testing.T) {
	const add = ". Add another folder to EXAI_ALLOWED_ROOTS, or open it as a root in your client."
	var roots []root
	bad := root{Root: Root{Path: "/bad", Source: SourceClient, Problem: "it is no folder"}}
	assert.Contains(t, rootsHint([]root{bad}), "No folder may be read yet")
	names := ""
	for n := range 8 {
		roots = append(roots, bad, root{Root: Root{Path: fmt.Sprintf("/%d", n), Source: SourceClient}})
		names += fmt.Sprintf(`"/%d" (client), `, n)
	}
	names = strings.TrimSuffix(names, ", ")
	assert.Equal(t, "Allowed: "+names+add, rootsHint(roots))
	assert.Equal(t, "Allowed: "+names+", ..."+add, rootsHint(append(roots, root{Root: Root{Path: "/8", Source: SourceClient}})))
}

func TestExpandHome(t *testing.T) {
	for _, c := range []struct{ home, name, want string }{
		{"/home/me", "~", "/home/me"},
		{"/home/me", "~/a", "/home/me/a"},
		{"/home/me", `~\a`, `/home/me/\a`},
		{"/home/me", "~you/a", "~you/a"},
		{"/home/me", "a~", "a~"},
		{"/home/me", "", ""},
		{"", "~/a", "~/a"},
		{"", "~", "~"},
	} {
		assert.Equal(t, c.want, (&Workspace{home: c.home}).expandHome(c.name), c.name)
	}
	assert.Equal(t, `C:\code=/work`, exampleMap(path{form: windowsForm, volume: "C:", parts: []string{"a"}}))
	assert.Equal(t, `/home/me/code=C:\code`, exampleMap(path{form: posixForm}))
	_, err := New(config.Files{}, "", "", "", nil, nil, "a\x00")
	assert.ErrorContains(t, err, "read the path")
}

// What can't be a path says so, whether it is written absolute or relative.
func TestPathsThatCannotBe(t *testing.T) {
	dir := tempDir(t)
	w := newWorkspace(t, dir)
	long := strings.Repeat("x/", maxPath/2)
	for asked, c := range map[string]struct {
		code    Code
		message string
	}{
		"":              {CodeInvalid, `The path "" can't be read: the path is empty.`},
		"a\x00":         {CodeInvalid, `The path "a\x00" can't be read: the path holds a NUL character.`},
		`\\?\x`:         {CodeDenied, `"\\\\?\\x" names a device, not a file.`},
		long:            {CodeInvalid, "The path " + quoted(long) + " can't be read."},
		`\\server\s\a`:  {CodeDenied, `"\\\\server\\s\\a" is a path of another system than the server's.`},
		"a/.env/b":      {CodeDenied, `"a/.env/b" is refused: files of this name usually hold secrets.`},
		dir + "/.ssh/a": {CodeDenied, quoted(dir+"/.ssh/a") + " is refused: files of this name usually hold secrets."},
		"missing":       {CodeNotFound, `"missing" does not exist.`},
		"../x":          {CodeDenied, `"../x" lies outside the folders that may be read.`},
	} {
		_, err := w.find(t.Context(), asked)
		e := requireCode(t, c.code, err)
		assert.Equal(t, c.message, e.Message)
		assert.Equal(t, asked, e.Path)
	}
	_, err := newWorkspace(t).find(t.Context(), "a")
	e := requireCode(t, CodeDenied, err)
	assert.Equal(t, `No folder is allowed that "a" could be looked up in.`, e.Message)
	assert.True(t, e.outside)
}

// Several paths in one text are taken where each exists; else the text is not found as a whole, or the first refusal counts.
func TestPathsInOneText(t *testing.T) {
	dir := tempDir(t)
	write(t, "1234", dir, "a.go")
	write(t, "x", dir, "b.go")
	write(t, "x", dir, ".env")
	w := newWorkspace(t, dir)
	for written, c := range map[string]struct {
		names string
		code  Code
	}{
		"a.go, b.go": {"a.go b.go", ""}, "a.go;b.go\na.go:3": {"a.go b.go", ""}, ", a.go ,": {"a.go", ""}, "a.go, missing": {"", CodeNotFound},
		"a.go, .env": {"", CodeDenied}, ",": {"", CodeNotFound}, " ; ": {"", CodeNotFound}, "a.go:7": {"a.go", ""}, "a.go#L1-L2": {"a.go", ""},
		"missing.go:7": {"", CodeNotFound}, ".env:7": {"", CodeDenied}, "a.go:x": {"", CodeNotFound},
	} {
		refs, problems := w.Resolve(t.Context(), []string{written, written})
		var names []string
		for _, r := range refs {
			names = append(names, filepath.Base(r.Path()))
		}
		assert.Equal(t, c.names, strings.Join(names, " "), "%q", written)
		if c.code == "" {
			assert.Empty(t, problems, "%q", written)
			continue
		}
		require.Len(t, problems, 1, "%q", written)
		assert.Equal(t, written, problems[0].Path)
		requireCode(t, c.code, problems[0].Err)
	}
	r, err := w.resolveOne(t.Context(), "a.go")
	require.NoError(t, err)
	assert.Equal(t, int64(4), r.Size())
	assert.False(t, r.IsFolder())
	assert.Equal(t, "a\uFFFD", Problem{Path: "a\xff", Err: assert.AnError}.Entry().Path)
}

// Links in a folder count as the files that they lead to, each once; those that lead out are named, folders are not followed.
func TestExpandLinks(t *testing.T) {
	dir := tempDir(t)
	write(t, "x", dir, "root/a.go")
	write(t, "x", dir, "root/sub/b.go")
	write(t, "x", dir, "private/p")
	link(t, "a.go", dir, "root/again")
	link(t, "sub", dir, "root/zfolder")
	link(t, "missing", dir, "root/nothing")
	link(t, dir+"/private/p", dir, "root/out")
	write(t, "x", dir, "root/.env")
	w := newWorkspace(t, dir+"/root")
	refs, _ := w.Resolve(t.Context(), []string{dir + "/root", "a.go"})
	items, left, err := w.expand(t.Context(), refs, 10)
	require.NoError(t, err)
	var names []string
	for _, it := range items {
		names = append(names, it.at.host)
		assert.Equal(t, int64(1), it.size)
		assert.False(t, it.named)
	}
	assert.Equal(t, []string{dir + "/root/a.go", dir + "/root/sub/b.go"}, names)
	assert.Equal(t, []string{"root/.env", "root/out"}, entryPaths(dir, left))
	for _, e := range left {
		assert.Equal(t, CodeDenied, e.Code)
	}

	gone := place{asked: "gone", host: "/gone", root: dir + "/gone", real: dir + "/gone", log: zap.NewNop()}
	x := expansion{w: w, most: 1}
	require.NoError(t, x.addFolder(t.Context(), gone, 0))
	assert.Equal(t, []Entry{{Path: "/gone", Reason: `"gone" does not exist.`, Code: CodeNotFound, Hint: "Check the spelling; folders may be given too."}}, x.left)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(assert.AnError)
	names, whole, err := w.walk(ctx, refs[0].at)
	require.ErrorIs(t, err, assert.AnError)
	assert.Empty(t, names)
	assert.True(t, whole)
	require.ErrorIs(t, x.addFolder(ctx, refs[0].at, 0), assert.AnError)
	for name, want := range map[string]bool{"node_modules": true, "Target": true, ".GIT": true, "src": false, "": false} {
		assert.Equal(t, want, skipped(name), name)
	}
}

// Repositories are looked for five folders deep, and 20 of them at most. The one around a folder counts as the folder.
func TestFindRepositories(t *testing.T) {
	dir := tempDir(t)
	w := newWorkspace(t, dir)
	find := func(path string) (names []string, err error) {
		at, err := w.folder(t.Context(), path)
		require.NoError(t, err)
		found, err := w.findRepositories(t.Context(), at)
		for _, name := range found {
			names = append(names, strings.TrimPrefix(name, dir+"/"))
		}
		return names, err
	}
	repo := func(name string) { write(t, "ref: refs/heads/main\n", dir, name, ".git/HEAD") }
	write(t, "x", dir, "plain/a.go")
	_, err := find("plain")
	require.ErrorIs(t, err, git.ErrNoRepository)
	repo("deep/2/3/4/5")
	repo("deep/2/3/4/5/6")
	repo("deep/vendor/v/w")
	repo("deep/vendor")
	names, err := find("")
	require.NoError(t, err)
	assert.Equal(t, []string{"deep/2/3/4/5", "deep/vendor"}, names)
	names, err = find("deep/2/3/4/5/6")
	require.NoError(t, err)
	assert.Equal(t, []string{"deep/2/3/4/5/6"}, names)
	write(t, "x", dir, "deep/2/3/4/5/sub/a.go")
	names, err = find("deep/2/3/4/5/sub")
	require.NoError(t, err)
	assert.Equal(t, []string{"deep/2/3/4/5/sub"}, names)
	for n := range maxRepos + 2 {
		repo(fmt.Sprintf("many/%02d", n))
	}
	names, err = find("many")
	require.NoError(t, err)
	assert.Len(t, names, maxRepos)
	at, err := w.folder(t.Context(), "many")
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(assert.AnError)
	_, err = w.findRepositories(ctx, at)
	require.ErrorIs(t, err, assert.AnError)
	require.NoError(t, os.RemoveAll(dir+"/many"))
	_, err = w.findRepositories(t.Context(), at)
	requireCode(t, CodeNotFound, err)
}

// A folder is named by itself or by a file in it; without a name it is the first root.
func TestFolder(t *testing.T) {
	dir := tempDir(t)
	write(t, "x", dir, "sub/a.go")
	write(t, "x", dir, "file")
	w := newWorkspace(t, dir)
	for path, want := range map[string]string{"": dir, "sub": dir + "/sub", "sub/a.go": dir + "/sub", "file": dir, ".": dir} {
		at, err := w.folder(t.Context(), path)
		require.NoError(t, err, path)
		assert.Equal(t, want, at.real, path)
		assert.Equal(t, want, at.host, path)
		info, err := at.stat()
		require.NoError(t, err)
		assert.True(t, info.IsDir(), path)
	}
	_, err := w.folder(t.Context(), "missing")
	requireCode(t, CodeNotFound, err)
	_, err = w.folder(t.Context(), "/etc")
	requireCode(t, CodeDenied, err)
	_, err = newWorkspace(t).folder(t.Context(), "")
	assert.Equal(t, "There is no folder that may be read.", requireCode(t, CodeDenied, err).Message)
}

// Of what git calls changed, files are listed by name, each once, and only those that may be read.
func TestChangedFilesAreFiles(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir, map[string]string{"m.go": "1\n", "z.go": "1\n", "gone.go": "1\n"})
	write(t, "2\n", dir, "z.go")
	write(t, "2\n", dir, "m.go")
	write(t, "K=1\n", dir, ".env")
	write(t, "1\n", dir, "a.go")
	require.NoError(t, os.Remove(dir+"/gone.go"))
	link(t, "m.go", dir, "b")
	link(t, ".", dir, "circle")
	link(t, "/etc/passwd", dir, "out")
	gittest.Init(t, dir+"/nested", map[string]string{"n.go": "1\n"})
	names, err := newWorkspace(t, dir).changedPaths(t.Context(), "m.go")
	require.NoError(t, err)
	assert.Equal(t, []string{dir + "/a.go", dir + "/m.go", dir + "/z.go"}, names)
}

// A folder in which there is nothing to send is said to be one, so that no model is asked about nothing.
func TestExpandFolderWithoutFiles(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir, map[string]string{".gitignore": "build/\n", "src/a.go": "x"})
	write(t, "x", dir, "build/out.txt")
	require.NoError(t, os.Mkdir(dir+"/empty", 0o700))
	w := newWorkspace(t, dir)
	refs, problems := w.Resolve(t.Context(), []string{dir + "/src/a.go", dir + "/src", dir + "/build", dir + "/empty", dir + "/build/out.txt"})
	require.Empty(t, problems)
	items, left, err := w.expand(t.Context(), refs, 10)
	require.NoError(t, err)
	assert.Len(t, items, 2)
	assert.Equal(t, []string{"build", "empty"}, entryPaths(dir, left), "the files of src are known already")
	for _, e := range left {
		assert.Equal(t, CodeNotFound, e.Code)
		assert.Contains(t, e.Reason, "has no file to send")
	}
}
