package workspace

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

func sources(roots []Root) map[string]string {
	m := map[string]string{}
	for _, r := range roots {
		m[r.Path] = r.Source
	}
	return m
}

func TestRootsComeFromEverySourceInOrder(t *testing.T) {
	dir := tempDir(t)
	for _, name := range []string{"client", "allowed", "tests", "home/cwd"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
	}
	client := rootsFunc(func(context.Context) ([]string, bool) { return []string{"file://" + dir + "/client"}, true })
	w, err := New(config.Files{
		AllowedRoots: []string{dir + "/allowed", dir + "/client"}, TestFilesDir: []string{dir + "/tests", dir + "/missing"},
	}, "", dir+"/home/cwd", dir+"/home", client, nil)
	require.NoError(t, err)
	var got []string
	for _, r := range w.Roots(t.Context()) {
		got = append(got, r.Source+" "+r.Path)
		assert.Equal(t, r.Path == dir+"/missing", r.Problem != "", "%+v", r)
	}
	assert.Equal(t, []string{
		"client " + dir + "/client", "EXAI_ALLOWED_ROOTS " + dir + "/allowed", "TEST_FILES_DIR " + dir + "/tests",
		"TEST_FILES_DIR " + dir + "/missing", "working directory " + dir + "/home/cwd",
	}, got)
	assert.Equal(t, dir+"/client", w.FirstRoot(t.Context()))
}

// A root that is made after the start counts from then on.
func TestMissingRootAppears(t *testing.T) {
	dir := tempDir(t)
	w := newWorkspace(t, dir+"/later")
	_, err := w.readPath(t.Context(), dir+"/later/a", 0)
	requireCode(t, CodeDenied, err)
	write(t, "x", dir, "later/a")
	_, err = w.readPath(t.Context(), dir+"/later/a", 0)
	assert.NoError(t, err)
}

func TestRootsFollowTheClient(t *testing.T) {
	dir := tempDir(t)
	a, b := write(t, "a", dir, "a/f"), write(t, "b", dir, "b/f")
	current := []string{dir + "/a"}
	w, err := New(config.Files{}, "", "", "", rootsFunc(func(context.Context) ([]string, bool) { return current, current != nil }), nil)
	require.NoError(t, err)
	assert.NoError(t, w.checkPaths(t.Context(), a))
	requireCode(t, CodeDenied, w.checkPaths(t.Context(), b))
	current = []string{dir + "/b"}
	assert.NoError(t, w.checkPaths(t.Context(), b))
	requireCode(t, CodeDenied, w.checkPaths(t.Context(), a))
	current = nil
	requireCode(t, CodeDenied, w.checkPaths(t.Context(), b))
}

// A client that never answers costs a file call two seconds, and the other roots go on.
func TestSilentClient(t *testing.T) {
	dir := tempDir(t)
	name := write(t, "x", dir, "f")
	synctest.Test(t, func(t *testing.T) {
		silent := rootsFunc(func(ctx context.Context) ([]string, bool) { <-ctx.Done(); return nil, false })
		w, err := New(config.Files{AllowedRoots: []string{dir}}, "", "", "", silent, nil)
		require.NoError(t, err)
		start := time.Now()
		assert.NoError(t, w.checkPaths(t.Context(), name))
		assert.Equal(t, 2*time.Second, time.Since(start))
	})
}

func TestWaitForClientEndsWithTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := rootsFunc(func(ctx context.Context) ([]string, bool) { <-ctx.Done(); return nil, false })
		w, err := New(config.Files{}, "", "", "", silent, nil)
		require.NoError(t, err)
		gone := assert.AnError
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, gone)
		defer cancel()
		start := time.Now()
		assert.ErrorIs(t, w.checkPaths(ctx, "/x"), gone)
		assert.Equal(t, time.Second, time.Since(start))
	})
}

func TestWorkingDirectory(t *testing.T) {
	dir := tempDir(t)
	mk := func(name string) string {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
		return filepath.Join(dir, name)
	}
	home := mk("home/me")
	write(t, "ref: refs/heads/main\n", dir, "srv/repo/.git/HEAD")
	write(t, "gitdir: /anywhere\n", dir, "srv/linked/.git")
	write(t, "not a pointer\n", dir, "srv/fake/.git")
	write(t, "ref: refs/heads/main\n", home, ".git/HEAD") // dotfiles: the home folder is a work tree, and no root for it
	for cwd, want := range map[string]bool{
		home: false, mk("home/me/deep/er"): true, mk("home"): false, dir: false, mk("home/me/project"): true, mk("home/meow"): false,
		mk("srv/repo"): true, mk("srv/repo/deep/er"): true, mk("srv/linked"): true, mk("srv/fake"): false, mk("srv/plain"): false,
		"/": false, filepath.Join(dir, "missing"): false,
	} {
		w, err := New(config.Files{}, "", cwd, home, nil, nil)
		require.NoError(t, err)
		assert.Equal(t, want, w.FirstRoot(t.Context()) == cwd, "%s", cwd)
	}
	// A link into the home folder's parent does not count as below it.
	assert.False(t, mayBeRoot(link(t, dir, home, "out"), home))
	assert.False(t, mayBeRoot(mk("x"), ""))
	assert.False(t, mayBeRoot(mk("x"), "/"), "a container's user without a home folder")
}

// The home folder and its parents are no roots, whoever names them, unless EXAI_ALLOWED_ROOTS does.
func TestHomeIsNoRoot(t *testing.T) {
	dir := tempDir(t)
	home := dir + "/home/me"
	write(t, "x", home, "project/a.go")
	write(t, "secret", home, "notes.txt")
	link(t, home, dir, "way")
	client := rootsFunc(func(context.Context) ([]string, bool) {
		return []string{home, dir + "/home", dir + "/way", home + "/project"}, true
	})
	cfg := config.Files{TestFilesDir: []string{home}, ProjectDir: home}
	w, err := New(cfg, "", home, home, client, nil)
	require.NoError(t, err)
	for range 2 { // roots with a problem are tried again
		usable := map[string]string{}
		for _, r := range w.Roots(t.Context()) {
			if r.Problem == "" {
				usable[r.Path] = r.Source
			} else {
				assert.Contains(t, r.Problem, "EXAI_ALLOWED_ROOTS", r.Path)
			}
		}
		assert.Equal(t, map[string]string{home + "/project": SourceClient}, usable)
	}
	requireCode(t, CodeDenied, w.checkPaths(t.Context(), home+"/notes.txt"))
	assert.NoError(t, w.checkPaths(t.Context(), "a.go"))

	cfg.AllowedRoots = []string{"~"}
	w, err = New(cfg, "", home, home, client, nil)
	require.NoError(t, err)
	assert.NoError(t, w.checkPaths(t.Context(), home+"/notes.txt"))
	w, err = New(config.Files{ProjectDir: home + "/project"}, "", dir, home, nil, nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{home + "/project": SourceProjectDir}, sources(w.Roots(t.Context())))
}

func TestRootsOfTheHost(t *testing.T) {
	dir := tempDir(t)
	name := write(t, "package a", dir, "sub/a.go")
	client := rootsFunc(func(context.Context) ([]string, bool) { return []string{`/C:/code`}, true })
	w, err := New(config.Files{PathMap: `C:\code=` + dir}, "", "", "", client, nil)
	require.NoError(t, err)
	assert.Equal(t, []Root{{Path: `C:\code`, Source: SourceClient}}, w.Roots(t.Context()))
	for _, in := range []string{`C:\code\sub\a.go`, `c:/CODE/sub/a.go`, "file:///c:/code/sub/a.go", `sub\a.go`, "sub/a.go", name} {
		text, err := w.readPath(t.Context(), in, 0)
		require.NoError(t, err, "%q", in)
		assert.Equal(t, `C:\code\sub\a.go`, text.Path)
	}
	e := requireCode(t, CodeDenied, w.checkPaths(t.Context(), `D:\elsewhere\x`))
	assert.Contains(t, e.Hint, "EXAI_PATH_MAP")
	e = requireCode(t, CodeDenied, w.checkPaths(t.Context(), "/etc/passwd"))
	assert.Contains(t, e.Hint, `C:\\code`)
	assert.Equal(t, `C:\code\x`, w.HostPath(filepath.Join(dir, "x")))
}

func TestRootsThatAreRefused(t *testing.T) {
	dir := tempDir(t)
	write(t, "x", dir, "state/exai.db")
	write(t, "x", dir, ".ssh/config")
	write(t, "x", dir, "file")
	w, err := New(config.Files{AllowedRoots: []string{dir + "/state", dir + "/.ssh", dir + "/file", "C:\\x", ""}}, dir+"/state", dir, "", nil, nil)
	require.NoError(t, err)
	for _, r := range w.Roots(t.Context()) {
		assert.NotEmpty(t, r.Problem, "%+v", r)
	}
	assert.Empty(t, w.FirstRoot(t.Context()))
	e := requireCode(t, CodeDenied, w.checkPaths(t.Context(), "file"))
	assert.Contains(t, e.Hint, "EXAI_ALLOWED_ROOTS")
}

func TestBadPathMap(t *testing.T) {
	_, err := New(config.Files{PathMap: "nonsense"}, "", "", "", nil, nil)
	assert.ErrorContains(t, err, "EXAI_PATH_MAP")
}

// Relative names in the settings are relative to the working directory, "~" is the home folder.
func TestRootsAreMadeAbsolute(t *testing.T) {
	dir := tempDir(t)
	write(t, "x", dir, "cwd/sub/f")
	write(t, "x", dir, "home/code/f")
	w, err := New(config.Files{AllowedRoots: []string{"sub", "~/code"}}, "", dir+"/cwd", dir+"/home", nil, nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{dir + "/cwd/sub": SourceAllowedRoots, dir + "/home/code": SourceAllowedRoots}, sources(w.Roots(t.Context())))
	assert.NoError(t, w.checkPaths(t.Context(), "~/code/f"))
}

// Another root could help where a path lies outside of all of them, and where a relative one is in none while the client has
// named none.
func TestOutside(t *testing.T) {
	dir := tempDir(t)
	inside := write(t, "x", dir, "a/f.go")
	outside := write(t, "x", dir, "b/g.go")
	write(t, "k", dir, "a/.env")
	var told []string
	client := rootsFunc(func(context.Context) ([]string, bool) { return told, told != nil })
	rooted, err := New(config.Files{AllowedRoots: []string{dir + "/a"}}, "", "", "", client, nil)
	require.NoError(t, err)
	bare, err := New(config.Files{}, "", "", "", client, nil)
	require.NoError(t, err)
	for _, c := range []struct {
		path                      string
		rooted, afterTold, noRoot bool
	}{
		{path: inside, noRoot: true},
		{path: inside + ":1", noRoot: true},
		{path: dir + "/a/missing.go", noRoot: true},
		{path: outside, rooted: true, afterTold: true, noRoot: true},
		{path: dir + "/missing.go", rooted: true, afterTold: true, noRoot: true},
		{path: dir + "/a/.env"}, // no root lets it through
		{path: "f.go", noRoot: true},
		{path: "g.go", rooted: true, noRoot: true},
		{path: "f.go, f.go", noRoot: true},
		{path: ".", noRoot: true},
		{path: ""},
		{path: "\x00"},
	} {
		told = nil
		assert.Equal(t, c.rooted, rooted.Outside(t.Context(), []string{c.path}), "%q", c.path)
		assert.Equal(t, c.noRoot, bare.Outside(t.Context(), []string{c.path}), "%q without a root", c.path)
		told = []string{}
		assert.Equal(t, c.afterTold, rooted.Outside(t.Context(), []string{c.path}), "%q when the client has named its roots", c.path)
	}
	assert.True(t, rooted.Outside(t.Context(), []string{inside, outside}))
	assert.False(t, rooted.Outside(t.Context(), nil))
	assert.False(t, bare.Outside(t.Context(), []string{"."}), "a client that has named no folder is not asked for one again")
}
