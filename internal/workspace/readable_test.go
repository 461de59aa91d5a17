package workspace

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// project is a repository at dir/project with tracked, untracked and refused files.
func project(t testing.TB) (dir string) {
	t.Helper()
	dir = tempDir(t)
	gittest.Init(t, dir+"/project", map[string]string{
		"main.go": "package main\n", "pkg/a.go": "package pkg\n", "pkg/deep/b.go": "package deep\n", ".env": "SECRET=1\n", "keys/id_rsa": "SECRET\n",
		"Größe ä.txt": "tall\n",
	})
	write(t, "ignored.txt\n", dir, "project/.gitignore")
	write(t, "untracked\n", dir, "project/new.txt")
	write(t, "ignored\n", dir, "project/ignored.txt")
	write(t, "out\n", dir, "out/secret.txt")
	return dir
}

// scopeOf makes a scope of paths.
func scopeOf(t testing.TB, w *Workspace, tracked bool, paths ...string) *ReadScope {
	t.Helper()
	refs, problems := w.Resolve(t.Context(), paths)
	require.Empty(t, problems)
	return w.ReadScope(t.Context(), ReadQuery{Refs: refs, Tracked: tracked})
}

func scopeNames(t testing.TB, s *ReadScope) (names []string) {
	t.Helper()
	files, _, err := s.Files(t.Context())
	require.NoError(t, err)
	for _, f := range files {
		names = append(names, f.Name)
	}
	return names
}

// scopeText reads a file of a scope as a model names it.
func scopeText(t testing.TB, s *ReadScope, written string) (string, error) {
	t.Helper()
	f, err := s.Find(t.Context(), written)
	if err != nil {
		return "", err
	}
	r, err := s.Ref(t.Context(), f)
	if err != nil {
		return "", err
	}
	text, err := r.ReadText(0)
	if err != nil {
		return "", err
	}
	return text.Content, nil
}

func TestReadScopeIsWhatGitTracksAndWhatWasNamed(t *testing.T) {
	dir := project(t)
	w := newWorkspace(t, dir+"/project", dir+"/out")
	tracked := []string{"Größe ä.txt", "main.go", "pkg/a.go", "pkg/deep/b.go"}
	assert.Equal(t, tracked, scopeNames(t, scopeOf(t, w, true, "main.go")))
	assert.Equal(t, tracked, scopeNames(t, scopeOf(t, w, true)), "the first root's work tree where nothing is named")
	assert.Equal(t, []string{"Größe ä.txt", "main.go", "new.txt", "pkg/a.go", "pkg/deep/b.go"}, scopeNames(t, scopeOf(t, w, true, "new.txt")))
	assert.Equal(t, []string{"new.txt"}, scopeNames(t, scopeOf(t, w, false, "new.txt")))
	assert.Equal(t, []string{"pkg/a.go", "pkg/deep/b.go"}, scopeNames(t, scopeOf(t, w, false, "pkg")))
	assert.Equal(t, []string{dir + "/out/secret.txt"}, scopeNames(t, scopeOf(t, w, true, dir+"/out/secret.txt")), "outside of git only what was named")
	assert.Equal(t, append([]string{dir + "/out/secret.txt"}, tracked...), scopeNames(t, scopeOf(t, w, true, "main.go", dir+"/out/secret.txt")))
	assert.True(t, scopeOf(t, w, false).Empty())
	assert.False(t, scopeOf(t, w, true, dir+"/out/secret.txt").HasHistory())
	assert.True(t, scopeOf(t, w, true, "main.go").HasHistory())
	assert.False(t, scopeOf(t, w, false, "main.go").HasHistory())
	sub := newWorkspace(t, dir+"/project/pkg")
	assert.Equal(t, []string{"pkg/a.go", "pkg/deep/b.go"}, scopeNames(t, scopeOf(t, sub, true, "a.go")), "what lies in a root")
}

func TestReadScopeUnderstandsTheNamesThatModelsWrite(t *testing.T) {
	dir := project(t)
	w := newWorkspace(t, dir+"/project", dir+"/out")
	s := scopeOf(t, w, true, "main.go", dir+"/out/secret.txt", "./pkg/../pkg/a.go")
	for written, want := range map[string]string{
		"pkg/a.go": "package pkg\n", " `pkg/a.go` ": "package pkg\n", "./pkg/a.go": "package pkg\n", "pkg//x/../a.go": "package pkg\n", "a/pkg/a.go": "package pkg\n",
		"b/pkg/a.go": "package pkg\n", `pkg\a.go`: "package pkg\n", dir + "/project/pkg/a.go": "package pkg\n", "./pkg/../pkg/a.go": "package pkg\n",
		"file://" + dir + "/project/pkg/a.go": "package pkg\n", "deep/b.go": "package deep\n", dir + "/out/secret.txt": "out\n", `"Größe ä.txt"`: "tall\n",
	} {
		got, err := scopeText(t, s, written)
		require.NoError(t, err, written)
		assert.Equal(t, want, got, written)
	}
	for _, written := range []string{"", "pkg", ".", dir + "/project"} {
		_, err := s.Find(t.Context(), written)
		requireCode(t, CodeInvalid, err)
	}
}

// A name that can't be printed is shown with escapes, and may be given as it is shown.
func TestReadScopeUnderstandsEscapedNames(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir, map[string]string{"a.go": "1\n", "pkg/t\tab\n.go": "tabs\n"})
	s := scopeOf(t, newWorkspace(t, dir), true, "a.go")
	for _, written := range []string{"pkg/t\tab\n.go", `pkg/t\tab\n.go`, `b/pkg/t\tab\n.go`} {
		got, err := scopeText(t, s, written)
		require.NoError(t, err, written)
		assert.Equal(t, "tabs\n", got, written)
	}
	_, err := s.Find(t.Context(), `pkg/t\tab.go`)
	requireCode(t, CodeDenied, err)
}

func TestReadScopeRefusesEverythingElse(t *testing.T) {
	dir := project(t)
	for name, target := range map[string]string{
		"project/leak.txt": "../out/secret.txt", "project/inside.txt": "ignored.txt", "project/toEnv.txt": ".env", "project/fine.txt": "main.go", "project/loop": "loop",
	} {
		link(t, target, dir, name)
	}
	gittest.Run(t, dir+"/project", "add", "-A")
	write(t, "later\n", dir, "project/later.txt")
	w := newWorkspace(t, dir+"/project", dir+"/out")
	s := scopeOf(t, w, true, "main.go")
	got, err := scopeText(t, s, "fine.txt")
	require.NoError(t, err)
	assert.Equal(t, "package main\n", got, "a link to what is tracked")
	for _, written := range append(refusedNames(t), []string{
		".env", "./.env", "pkg/../.env", ".ENV", "keys/id_rsa", dir + "/project/.env", "~/.ssh/id_rsa", "/etc/passwd", "../out/secret.txt", dir + "/out/secret.txt",
		"ignored.txt", "later.txt", "leak.txt", "inside.txt", "toEnv.txt", ".git/config", ".git/HEAD", "/proc/self/environ", "/dev/zero", "*", "pkg/*.go", "missing.go",
		"main.go/../../out/secret.txt", `..\out\secret.txt`, "file:///etc/passwd", dir + "/project/../out/secret.txt", "a/.env", "b/keys/id_rsa", "-",
	}...) {
		_, err := scopeText(t, s, written)
		e := requireCode(t, CodeDenied, err)
		assert.NotContains(t, e.Message, "SECRET")
	}
	for _, written := range []string{"\x00", "main.go\x00", strings.Repeat("a/", 20_000)} {
		_, err := scopeText(t, s, written)
		requireCode(t, CodeInvalid, err)
	}
	_, err = scopeText(t, s, "loop")
	require.Error(t, err)
	_, missing := scopeText(t, s, "missing.go")
	_, there := scopeText(t, s, "ignored.txt")
	assert.Equal(t, strings.Replace(missing.Error(), "missing.go", "ignored.txt", 1), there.Error(), "a refusal says nothing about what exists")
}

func TestReadScopeBelow(t *testing.T) {
	dir := project(t)
	w := newWorkspace(t, dir+"/project")
	s := scopeOf(t, w, true, "main.go")
	all := []string{"Größe ä.txt", "main.go", "pkg/a.go", "pkg/deep/b.go"}
	for written, want := range map[string][]string{
		"": all, ".": all, "./": all, "/": all, dir + "/project": all, "pkg": {"pkg/a.go", "pkg/deep/b.go"}, "pkg/": {"pkg/a.go", "pkg/deep/b.go"},
		"pkg/deep": {"pkg/deep/b.go"}, dir + "/project/pkg/deep/": {"pkg/deep/b.go"}, "main.go": {"main.go"},
	} {
		files, whole, err := s.Below(t.Context(), written)
		require.NoError(t, err, written)
		assert.True(t, whole)
		var names []string
		for _, f := range files {
			names = append(names, f.Name)
		}
		assert.Equal(t, want, names, written)
	}
	for _, written := range []string{"..", "/etc", ".git", "keys", "pk", "../out", "missing/"} {
		_, _, err := s.Below(t.Context(), written)
		requireCode(t, CodeDenied, err)
	}
}

func TestReadScopeReadsHistory(t *testing.T) {
	dir := project(t)
	top := dir + "/project"
	commit := func(message string) string {
		gittest.Run(t, top, "add", "-A", "-f")
		gittest.Run(t, top, "commit", "-q", "-m", message)
		return gittest.Run(t, top, "rev-parse", "HEAD")
	}
	first := gittest.Run(t, top, "rev-parse", "HEAD")
	require.NoError(t, os.Remove(top+"/pkg/a.go"))
	link(t, "../.env", top, "pkg/a.go")
	linked := commit("Link it")
	require.NoError(t, os.Remove(top+"/pkg/a.go"))
	write(t, "package second\n", top, "pkg/a.go")
	second := commit("Second")
	gittest.Run(t, top, "checkout", "-q", "-b", "side", first)
	write(t, "package side\n", top, "pkg/a.go")
	side := commit("Elsewhere")
	gittest.Run(t, top, "checkout", "-q", "main")
	w := newWorkspace(t, top)

	s := scopeOf(t, w, true, "main.go")
	file, err := s.Find(t.Context(), "pkg/a.go")
	require.NoError(t, err)
	commits, err := s.History(t.Context(), file, 10)
	require.NoError(t, err)
	var got []string
	for _, c := range commits {
		got = append(got, c.ID+" "+c.Author+" "+c.Subject)
		assert.Regexp(t, `^\d{4}-\d\d-\d\d$`, c.Date)
	}
	assert.Equal(t, []string{second + " Ann Second", linked + " Ann Link it", first + " Ann First"}, got)
	commits, err = s.History(t.Context(), file, 2)
	require.NoError(t, err)
	assert.Len(t, commits, 2)

	for name, want := range map[string]string{first: "package pkg\n", "HEAD": "package second\n", "HEAD~2": "package pkg\n", second[:10]: "package second\n", "main": "package second\n"} {
		text, id, err := s.At(t.Context(), name, file)
		require.NoError(t, err, name)
		assert.Equal(t, want, text.Content)
		assert.Len(t, id, 40)
	}
	for _, name := range []string{side, "side", linked, "nonsense", "", "--output=x", "HEAD:.env", "HEAD^{tree}", "HEAD\nHEAD", strings.Repeat("0", 40)} {
		_, _, err := s.At(t.Context(), name, file)
		requireCode(t, CodeDenied, err)
	}
	refs, _ := w.Resolve(t.Context(), []string{"main.go"})
	based := w.ReadScope(t.Context(), ReadQuery{Refs: refs, Tracked: true, Base: "side"})
	text, _, err := based.At(t.Context(), side, file)
	require.NoError(t, err, "the base that the call names")
	assert.Equal(t, "package side\n", text.Content)

	// A file that is tracked now may not have been there.
	added, err := s.Find(t.Context(), "new.txt")
	require.NoError(t, err)
	_, _, err = s.At(t.Context(), first, added)
	requireCode(t, CodeNotFound, err)
	require.NoError(t, os.Remove(top+"/new.txt"))
	_, err = s.Ref(t.Context(), added)
	assert.Equal(t, "Read it with git_show at HEAD.", requireCode(t, CodeNotFound, err).Hint, "tracked, but not in the work tree")
	outside := scopeOf(t, w, false, "main.go")
	named, err := outside.Find(t.Context(), "main.go")
	require.NoError(t, err)
	_, err = outside.History(t.Context(), named, 10)
	requireCode(t, CodeInvalid, err)
}

// What a commit holds beside text files is not read; a failure of git is one of the repository.
func TestReadScopeReadsTextOfCommitsAlone(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir, map[string]string{"a.go": "a\x00b", "b.go": "1\n2\n"})
	w := newWorkspace(t, dir)
	s := scopeOf(t, w, true, "a.go")
	file, err := s.Find(t.Context(), "a.go")
	require.NoError(t, err)
	_, _, err = s.At(t.Context(), "HEAD", file)
	e := requireCode(t, CodeInvalid, err)
	assert.Contains(t, e.Message, "is not a text file in that commit but application/octet-stream.")
	other, err := s.Find(t.Context(), "b.go")
	require.NoError(t, err)
	text, id, err := s.At(t.Context(), "HEAD", other)
	require.NoError(t, err)
	assert.Equal(t, gittest.Run(t, dir, "rev-parse", "HEAD"), id)
	assert.Equal(t, &Text{Path: dir + "/b.go", Content: "1\n2\n", SHA256: hashOf("1\n2\n"), Encoding: "utf-8", Size: 4, Lines: 2}, text)

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(assert.AnError)
	_, err = s.History(ctx, other, 3)
	require.ErrorIs(t, err, assert.AnError)
	_, _, err = s.At(ctx, "HEAD", other)
	require.ErrorIs(t, err, assert.AnError)
	gittest.Run(t, dir, "checkout", "-q", "--orphan", "fresh")
	commits, err := s.History(t.Context(), other, 3)
	require.NoError(t, err)
	assert.Empty(t, commits, "before the first commit")
	require.NoError(t, os.RemoveAll(dir+"/.git"))
	_, err = s.History(t.Context(), other, 3)
	e = requireCode(t, CodeInvalid, err)
	assert.Equal(t, quoted(dir)+" is not in a git work tree.", e.Message)
}

// TestReadScopeRunsNothingOfAHistory: a repository's settings can name programs that git log would run.
func TestReadScopeRunsNothingOfAHistory(t *testing.T) {
	dir := project(t)
	top := dir + "/project"
	for key, value := range map[string]string{
		"log.showSignature": "true", "gpg.program": "touch " + dir + "/ran", "core.pager": "touch " + dir + "/ran", "diff.external": "touch " + dir + "/ran",
		"core.fsmonitor": "touch " + dir + "/ran",
	} {
		gittest.Run(t, top, "config", key, value)
	}
	w := newWorkspace(t, top)
	s := scopeOf(t, w, true, "main.go")
	file, err := s.Find(t.Context(), "main.go")
	require.NoError(t, err)
	commits, err := s.History(t.Context(), file, 10)
	require.NoError(t, err)
	require.Len(t, commits, 1)
	_, _, err = s.At(t.Context(), commits[0].ID, file)
	require.NoError(t, err)
	assert.NoFileExists(t, dir+"/ran")
}

func TestReadScopeOfAShallowClone(t *testing.T) {
	dir := project(t)
	write(t, "package two\n", dir, "project/main.go")
	gittest.Run(t, dir+"/project", "commit", "-qam", "two")
	gittest.Run(t, dir, "clone", "-q", "--depth", "1", "file://"+dir+"/project", "clone")
	w := newWorkspace(t, dir+"/clone")
	s := scopeOf(t, w, true, "main.go")
	file, err := s.Find(t.Context(), "main.go")
	require.NoError(t, err)
	commits, err := s.History(t.Context(), file, 10)
	require.NoError(t, err)
	assert.Len(t, commits, 1)
}

func TestReadScopeOfASubmodule(t *testing.T) {
	dir := project(t)
	gittest.Init(t, dir+"/lib", map[string]string{"lib.go": "package lib\n"})
	gittest.Run(t, dir+"/project", "submodule", "add", "-q", dir+"/lib", "lib")
	w := newWorkspace(t, dir+"/project")
	s := scopeOf(t, w, true, "main.go")
	_, err := scopeText(t, s, "lib/lib.go")
	requireCode(t, CodeDenied, err)
	_, err = scopeText(t, s, "lib")
	e := requireCode(t, CodeInvalid, err)
	assert.Contains(t, e.Message, "submodule")
	inside := scopeOf(t, w, true, filepath.Join(dir, "project/lib/lib.go"))
	assert.Equal(t, []string{"lib.go"}, scopeNames(t, inside), "a call in its folder")
}
