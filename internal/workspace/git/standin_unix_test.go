//go:build unix

package git

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sortedLines are a configuration's lines without blanks around them; git does not mind their order below a section.
func sortedLines(config string) []string {
	var all []string
	for line := range strings.Lines(config) {
		all = append(all, strings.TrimSpace(line))
	}
	return all
}

// Of the settings, only words and the file of ignored names are carried over.
func TestStandInConfig(t *testing.T) {
	for name, c := range map[string]struct {
		settings map[string]string
		want     []string
	}{
		"none": {nil, []string{"[core]", "repositoryformatversion = 0", "bare = false"}},
		"words": {
			map[string]string{"core.autocrlf": "input", "core.eol": "l f", "core.filemode": "a\nb", "core.fsmonitor": "true", "core.symlinks": ""},
			[]string{"[core]", "repositoryformatversion = 0", "bare = false", "autocrlf = input", "symlinks ="},
		},
		"a format":     {map[string]string{objectFormat: "sha256"}, []string{"[extensions]", "objectFormat = sha256", "[core]", "repositoryformatversion = 1", "bare = false"}},
		"no format":    {map[string]string{objectFormat: "a b"}, []string{"[core]", "repositoryformatversion = 0", "bare = false"}},
		"ignored":      {map[string]string{excludesFile: `C:\a "b"`}, []string{"[core]", "repositoryformatversion = 0", "bare = false", `excludesFile = "C:\\a \"b\""`}},
		"not one line": {map[string]string{excludesFile: "a\nb"}, []string{"[core]", "repositoryformatversion = 0", "bare = false"}},
	} {
		assert.ElementsMatch(t, c.want, sortedLines(standInConfig(c.settings)), name)
	}
}

// The effective settings are the user's and the repository's; where git can't read the user's, the repository's.
func TestSettings(t *testing.T) {
	dir, home := tempDir(t), tempDir(t)
	gittest.Init(t, dir, map[string]string{"a.go": "1\n"})
	gittest.Run(t, dir, "config", "core.eol", "crlf")
	write(t, home+"/.gitconfig", "[core]\n\texcludesFile = ~/ignored\n\tsymlinks\n")
	g := &Git{Program: Find(""), Home: home}
	r, err := g.Open(t.Context(), dir, onlyBelow(dir))
	require.NoError(t, err)
	defer r.Close()
	settings := r.settings(t.Context(), g)
	assert.Equal(t, "crlf", settings["core.eol"])
	assert.Equal(t, "true", settings["core.symlinks"], "a key alone")
	assert.Equal(t, home+"/ignored", settings[excludesFile])

	write(t, home+"/.gitconfig", "[core\n")
	settings = r.settings(t.Context(), g)
	assert.Equal(t, "crlf", settings["core.eol"])
	assert.Equal(t, home+"/.config/git/ignore", settings[excludesFile])
	assert.Empty(t, r.settings(t.Context(), &Git{Program: g.Program})[excludesFile])
	assert.Equal(t, "~/a", expandHome("~/a", ""))
	assert.Equal(t, "~a", expandHome("~a", home))
	text, err := os.ReadFile(r.folder + "/config")
	require.NoError(t, err)
	assert.Contains(t, string(text), "\teol = crlf\n")
}

// A folder of the state serves where the system has no place for temporary files.
func TestStandInWithoutATemporaryFolder(t *testing.T) {
	dir, state := tempDir(t), tempDir(t)
	gittest.Init(t, dir, map[string]string{"a.go": "1\n"})
	write(t, dir+"/.git/info/exclude", "ignored\n")
	write(t, dir+"/ignored", "")
	gittest.Run(t, dir, "checkout", "-q", "--detach")
	t.Setenv("TMPDIR", dir+"/missing")
	g := &Git{Program: Find(""), StateDir: state}
	r, err := g.Open(t.Context(), dir, onlyBelow(dir))
	require.NoError(t, err)
	assert.Equal(t, state, filepath.Dir(r.folder))
	assert.True(t, strings.HasPrefix(filepath.Base(r.folder), stateStandInPrefix))
	assert.Empty(t, r.Branch, "HEAD is detached")
	assert.False(t, r.Shallow())
	names, _, err := r.Files(t.Context(), dir)
	require.NoError(t, err)
	assert.Equal(t, []string{"a.go"}, names)
	size, err := os.Stat(dir + "/.git/index")
	require.NoError(t, err)
	assert.Equal(t, maxIndexBytes-2*size.Size(), copies.free, "git writes a second copy beside the first one")
	r.Close()
	r.Close()
	assert.NoDirExists(t, r.folder)
	assert.EqualValues(t, maxIndexBytes, copies.free)
	for _, g := range []*Git{{Program: g.Program}, {Program: g.Program, StateDir: dir + "/missing"}} {
		_, err = g.Open(t.Context(), dir, onlyBelow(dir))
		require.ErrorContains(t, err, "make a folder for git")
	}
}

// A stand-in that can't be filled is an error that says what failed.
func TestStandInThatCannotBeFilled(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir, map[string]string{"a.go": "1\n"})
	g := &Git{Program: Find("")}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(assert.AnError)
	for name, c := range map[string]struct {
		ctx  context.Context
		lay  func(r *Repository)
		want string
	}{
		"the call ended":     {ctx, func(*Repository) {}, assert.AnError.Error()},
		"no folder":          {t.Context(), func(r *Repository) { r.folder += "/missing" }, "prepare a folder for git"},
		"a folder for HEAD":  {t.Context(), func(r *Repository) { write(t, r.folder+"/HEAD/x", "") }, "prepare a folder for git"},
		"a shallow folder":   {t.Context(), func(r *Repository) { r.common = r.folder; write(t, r.folder+"/shallow/x", "") }, "copy the limits of a shallow clone: invalid argument"},
		"no list of commits": {t.Context(), func(r *Repository) { r.common = r.folder; write(t, r.folder+"/shallow", oneID+"\nx\n") }, `copy the limits of a shallow clone: "x" is no commit`},
		"no git folder":      {t.Context(), func(r *Repository) { r.gitDir += "/missing" }, "look for git's shared index"},
		"an index in a file": {t.Context(), func(r *Repository) { r.index += "/x" }, "copy git's index"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := g.Open(t.Context(), dir, onlyBelow(dir))
			require.NoError(t, err)
			defer r.Close()
			r.Close()
			require.NoError(t, os.Mkdir(r.folder, 0o700))
			defer os.RemoveAll(r.folder)
			c.lay(r)
			assert.ErrorContains(t, r.prepare(c.ctx, g), c.want)
		})
	}
}

// A shallow clone stays one.
func TestShallowClone(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir+"/r", map[string]string{"a.go": "1\n"})
	gittest.Run(t, dir+"/r", "commit", "-q", "--allow-empty", "-m", "Second")
	gittest.Run(t, dir, "clone", "-q", "--depth=1", "file://"+dir+"/r", "clone")
	r := open(t, dir+"/clone")
	assert.True(t, r.Shallow())
	text, err := os.ReadFile(r.folder + "/shallow")
	require.NoError(t, err)
	assert.Equal(t, r.Head, strings.TrimSpace(string(text)))
	commits, err := r.Log(t.Context(), r.Head, ".", 5)
	require.NoError(t, err)
	assert.Len(t, commits, 1)
}

func TestLinked(t *testing.T) {
	short, long := strings.Repeat("s", 20), strings.Repeat("l", 32)
	names := map[string]string{short: "short", long: "long"}
	for index, want := range map[string]string{
		"": "", "DIRC": "", "link": "", "link....": "", "DIRC link...." + short: "short", "link...." + long + "more": "long",
		"link...." + short[1:]: "", "link...." + strings.Repeat("x", 40): "", "a link, linklink...." + short: "short", "link.." + short: "",
	} {
		assert.Equal(t, want, linked(index, names), "%q", index)
	}
}

// A copy has the original's bytes and time, for this user alone. Nothing else than a new copy of a regular file is made.
func TestCopyFile(t *testing.T) {
	dir := tempDir(t)
	when := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	write(t, dir+"/from", "text")
	require.NoError(t, os.Chtimes(dir+"/from", when, when))
	n, err := copyFile(t.Context(), dir+"/from", dir+"/to", 4)
	require.NoError(t, err)
	assert.EqualValues(t, 4, n)
	info, err := os.Stat(dir + "/to")
	require.NoError(t, err)
	assert.True(t, info.ModTime().Equal(when))
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	text, err := os.ReadFile(dir + "/to")
	require.NoError(t, err)
	assert.Equal(t, "text", string(text))
	require.NoError(t, syscall.Mkfifo(dir+"/pipe", 0o600))
	for _, c := range []struct {
		from, to string
		want     error
	}{{"from", "to", os.ErrExist}, {"missing", "x", os.ErrNotExist}, {"pipe", "x", os.ErrInvalid}, {".", "x", os.ErrInvalid}} {
		n, err := copyFile(t.Context(), filepath.Join(dir, c.from), filepath.Join(dir, c.to), 4)
		require.ErrorIs(t, err, c.want)
		assert.Zero(t, n)
		assert.NoFileExists(t, dir+"/x")
	}
}

// Another index is used if it lies in the git folder or in the folder that work trees have in common.
func TestIndexOf(t *testing.T) {
	dir := tempDir(t)
	l := location{gitDir: dir + "/main/.git/worktrees/w", common: dir + "/main/.git"}
	for file, want := range map[string]string{
		"":                        l.gitDir + "/index",
		l.gitDir + "/next":        l.gitDir + "/next",
		l.common + "/next":        l.common + "/next",
		dir + "/elsewhere":        l.gitDir + "/index",
		l.common + "/../outside":  l.gitDir + "/index",
		dir + "/main/.gitx/index": l.gitDir + "/index",
	} {
		assert.Equal(t, want, (&Git{IndexFile: file}).indexOf(l), file)
	}
	apart := location{gitDir: dir + "/g", common: dir + "/c"}
	assert.Equal(t, dir+"/g/x", (&Git{IndexFile: dir + "/g/x"}).indexOf(apart))
}
