//go:build unix

package git

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// replaceWithLink puts a link in the place of a part of a repository.
func replaceWithLink(t testing.TB, name, target string) {
	t.Helper()
	require.NoError(t, os.RemoveAll(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.Symlink(target, name))
}

// A repository is used only if its objects and refs lie in what is allowed or in its own folders; the error names the link.
func TestRepositoryThatLeadsOut(t *testing.T) {
	for name, c := range map[string]struct {
		lay  func(t *testing.T, root, private string)
		link string // "" where the repository may be used
	}{
		"alternates": {func(t *testing.T, root, private string) {
			write(t, root+"/.git/objects/info/alternates", "# none\n\n"+private+"/.git/objects\n")
		}, ".git/objects/info/alternates"},
		"quoted alternates": {func(t *testing.T, root, private string) {
			write(t, root+"/.git/objects/info/alternates", `"`+root+`/x"`)
		}, ".git/objects/info/alternates"},
		"alternates with a control character": {func(t *testing.T, root, private string) {
			write(t, root+"/.git/objects/info/alternates", root+"/x\x00")
		}, ".git/objects/info/alternates"},
		"alternates with a blank": {func(t *testing.T, root, private string) {
			write(t, root+"/.git/objects/info/alternates", root+"/x ")
		}, ".git/objects/info/alternates"},
		"alternates of alternates": {func(t *testing.T, root, private string) {
			write(t, root+"/.git/objects/info/alternates", "../../a\n")
			write(t, root+"/a/info/alternates", private+"/.git/objects\n")
		}, "a/info/alternates"},
		"alternates without an end": {func(t *testing.T, root, private string) {
			write(t, root+"/.git/objects/info/alternates", root+"/.git/objects\n")
		}, ".git/objects/info/alternates"},
		"alternates that are a folder": {func(t *testing.T, root, private string) {
			write(t, root+"/.git/objects/info/alternates/x", "")
		}, ".git/objects/info/alternates"},
		"alternates that are missing": {func(t *testing.T, root, private string) {
			write(t, root+"/.git/objects/info/alternates", root+"/missing\n")
		}, ""},
		"a link in an alternate": {func(t *testing.T, root, private string) {
			write(t, root+"/.git/objects/info/alternates", root+"/a\n")
			replaceWithLink(t, root+"/a/pack/p.pack", private+"/p")
		}, "a/pack/p.pack"},
		"a link to nothing": {func(t *testing.T, root, private string) {
			replaceWithLink(t, root+"/.git/packed-refs", root+"/missing")
		}, ""},
		"a link to a file": {func(t *testing.T, root, private string) {
			write(t, root+"/packed", "")
			replaceWithLink(t, root+"/.git/packed-refs", root+"/packed")
		}, ""},
		"a link to a FIFO in a folder": {func(t *testing.T, root, private string) {
			require.NoError(t, syscall.Mkfifo(root+"/pipe", 0o600))
			replaceWithLink(t, root+"/.git/refs/heads/p", root+"/pipe")
		}, ".git/refs/heads/p"},
		"a linked ref among many": {func(t *testing.T, root, private string) {
			for n := range 1200 {
				write(t, fmt.Sprintf("%s/.git/logs/%d", root, n), "")
			}
			replaceWithLink(t, root+"/.git/logs/x", private)
		}, ".git/logs/x"},
		"an index of elsewhere": {func(t *testing.T, root, private string) {
			replaceWithLink(t, root+"/.git/index", private+"/.git/index")
		}, ".git/index"},
		"alternates inside": {func(t *testing.T, root, private string) {
			write(t, root+"/.git/objects/info/alternates", root+"/a\n")
			write(t, root+"/a/pack/none", "")
		}, ""},
		"a linked object": {func(t *testing.T, root, private string) {
			replaceWithLink(t, root+"/.git/objects/ab/cd", private+"/x")
		}, ".git/objects/ab/cd"},
		"a linked ref": {func(t *testing.T, root, private string) {
			replaceWithLink(t, root+"/.git/refs/heads/p", private+"/.git/refs/heads/main")
		}, ".git/refs/heads/p"},
		"a link behind a link": {func(t *testing.T, root, private string) {
			replaceWithLink(t, root+"/.git/objects/pack", root+"/packs")
			replaceWithLink(t, root+"/packs/p.pack", private+"/p")
		}, "packs/p.pack"},
		"a shared index": {func(t *testing.T, root, private string) {
			replaceWithLink(t, root+"/.git/sharedindex."+strings.Repeat("a", 40), private+"/.git/index")
		}, ".git/sharedindex." + strings.Repeat("a", 40)},
		"a FIFO for a ref": {func(t *testing.T, root, private string) {
			require.NoError(t, os.Remove(root+"/.git/refs/heads/main"))
			require.NoError(t, syscall.Mkfifo(root+"/.git/refs/heads/main", 0o600))
		}, ".git/refs/heads/main"},
		"a FIFO for the index": {func(t *testing.T, root, private string) {
			require.NoError(t, os.Remove(root+"/.git/index"))
			require.NoError(t, syscall.Mkfifo(root+"/.git/index", 0o600))
		}, ".git/index"},
		"a FIFO behind a link": {func(t *testing.T, root, private string) {
			require.NoError(t, syscall.Mkfifo(root+"/pipe", 0o600))
			replaceWithLink(t, root+"/.git/packed-refs", root+"/pipe")
		}, ".git/packed-refs"},
		"a FIFO in the work tree": {func(t *testing.T, root, private string) {
			require.NoError(t, syscall.Mkfifo(root+"/.gitignore", 0o600))
		}, ".gitignore"},
		"a device in the work tree": {func(t *testing.T, root, private string) { replaceWithLink(t, root+"/.gitattributes", "/dev/zero") }, ".gitattributes"},
		"a FIFO that nothing reads": {func(t *testing.T, root, private string) {
			require.NoError(t, syscall.Mkfifo(root+"/pipe", 0o600))
			require.NoError(t, syscall.Mkfifo(root+"/.git/fsmonitor--daemon.ipc", 0o600))
		}, ""},
		"another link beside it": {func(t *testing.T, root, private string) { replaceWithLink(t, root+"/.git/hooks", private) }, ""},
		"a link in a circle": {func(t *testing.T, root, private string) {
			replaceWithLink(t, root+"/.git/objects/around", "../objects")
		}, ""},
		"a .git file": {func(t *testing.T, root, private string) {
			require.NoError(t, os.RemoveAll(root+"/.git"))
			write(t, root+"/.git", "gitdir: "+private+"/.git\n")
		}, ".git"},
		"a .git file inside": {func(t *testing.T, root, private string) {
			require.NoError(t, os.Rename(root+"/.git", root+"/g"))
			write(t, root+"/.git", "gitdir: g\n")
		}, ""},
		"commondir": {func(t *testing.T, root, private string) { write(t, root+"/.git/commondir", private+"/.git\n") }, ".git/commondir"},
		"refs at an address": {func(t *testing.T, root, private string) {
			gittest.Run(t, root, "config", "extensions.refStorage", "files://"+private)
		}, ".git/config"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tempDir(t)
			root, private := dir+"/root", dir+"/private"
			gittest.Init(t, private, map[string]string{"s.go": "SECRET\n"})
			gittest.Init(t, root, map[string]string{"a.go": "1\n"})
			c.lay(t, root, private)
			r, err := (&Git{Program: Find("")}).Open(t.Context(), root, onlyBelow(root))
			if c.link == "" {
				require.NoError(t, err)
				assert.Len(t, r.Head, 40)
				r.Close()
				return
			}
			var outside *OutsideError
			require.ErrorAs(t, err, &outside)
			assert.Equal(t, root, outside.Top)
			assert.Equal(t, filepath.Join(root, c.link), outside.Link)
			assert.Contains(t, outside.Error(), outside.Link)
		})
	}
}

// A linked work tree and a submodule have their git folder elsewhere; one that is not theirs is refused.
func TestWorkTreesOfARepositoryElsewhere(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir+"/main", map[string]string{"a.go": "1\n"})
	gittest.Init(t, dir+"/lib", map[string]string{"a.go": "1\n"})
	gittest.Run(t, dir+"/main", "-c", "protocol.file.allow=always", "submodule", "add", "-q", dir+"/lib", "sub")
	gittest.Run(t, dir+"/main", "worktree", "add", "-q", dir+"/linked", "-b", "side")
	assert.Equal(t, "side", open(t, dir+"/linked").Branch)
	assert.Equal(t, "main", open(t, dir+"/main/sub").Branch)
	require.NoError(t, os.Rename(dir+"/linked", dir+"/moved"))
	g := &Git{Program: Find("")}
	var outside *OutsideError
	assert.ErrorAs(t, g.Check(t.Context(), dir+"/moved", onlyBelow(dir+"/moved")), &outside)
	assert.NoError(t, g.Check(t.Context(), dir+"/moved", onlyBelow(dir)), "all of it is allowed")
	require.NoError(t, os.Rename(dir+"/main/sub", dir+"/stolen"))
	write(t, dir+"/stolen/.git", "gitdir: "+dir+"/main/.git/modules/sub\n")
	assert.ErrorAs(t, g.Check(t.Context(), dir+"/stolen", onlyBelow(dir+"/stolen")), &outside)
	assert.ErrorIs(t, g.Check(t.Context(), dir, onlyBelow(dir)), ErrNoRepository)
	_, err := (&Git{}).Open(t.Context(), dir+"/lib", onlyBelow(dir))
	assert.ErrorIs(t, err, ErrNoProgram)
}

// The git folder of a work tree may lie elsewhere where it names this work tree; what it shares with others must be the
// folder that it lies in.
func TestGitFolderElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		lay  func(t *testing.T, dir string)
		link string // "" where the repository may be used
	}{
		"its own":             {func(t *testing.T, dir string) {}, ""},
		"of another one":      {func(t *testing.T, dir string) { write(t, dir+"/main/.git/worktrees/w/gitdir", dir+"/other/.git\n") }, "root/.git"},
		"of nobody":           {func(t *testing.T, dir string) { require.NoError(t, os.Remove(dir+"/main/.git/worktrees/w/gitdir")) }, "root/.git"},
		"shared with another": {func(t *testing.T, dir string) { write(t, dir+"/main/.git/worktrees/w/commondir", dir+"/private\n") }, "main/.git/worktrees/w/commondir"},
		"a link in what is shared": {func(t *testing.T, dir string) {
			replaceWithLink(t, dir+"/main/.git/refs/heads/p", dir+"/private/p")
		}, "main/.git/refs/heads/p"},
		"a shared index in what is shared": {func(t *testing.T, dir string) {
			replaceWithLink(t, dir+"/main/.git/sharedindex.1", dir+"/private/p")
		}, "main/.git/sharedindex.1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tempDir(t)
			write(t, dir+"/root/.git", "gitdir: ../main/.git/worktrees/w\n")
			write(t, dir+"/main/.git/worktrees/w/gitdir", dir+"/root/.git\n")
			write(t, dir+"/main/.git/worktrees/w/commondir", "../..\n")
			write(t, dir+"/main/.git/refs/heads/main", "")
			write(t, dir+"/private/p", "")
			c.lay(t, dir)
			err := (&Git{}).Check(t.Context(), dir+"/root", onlyBelow(dir+"/root"))
			if c.link == "" {
				require.NoError(t, err)
				return
			}
			var outside *OutsideError
			require.ErrorAs(t, err, &outside)
			assert.Equal(t, dir+"/"+c.link, outside.Link)
		})
	}
}

// A work tree is found by a .git that is a git folder or names one.
func TestWorkTree(t *testing.T) {
	dir := tempDir(t)
	write(t, dir+"/r/.git/HEAD", "")
	write(t, dir+"/r/sub/.git/config", "") // no HEAD
	write(t, dir+"/r/other/.git", "something else")
	write(t, dir+"/linked/.git", "gitdir: elsewhere\n")
	write(t, dir+"/huge/.git", "gitdir: elsewhere"+strings.Repeat(" ", maxSmallFile))
	for name, want := range map[string]string{"r": "r", "r/sub": "r", "r/other": "r", "r/a/b": "r", "linked": "linked", "linked/a": "linked", "huge": "", "": ""} {
		top, ok := WorkTree(filepath.Join(dir, name))
		assert.Equal(t, want != "", ok, name)
		if want != "" {
			want = dir + "/" + want
		}
		assert.Equal(t, want, top, name)
	}
	assert.Equal(t, "/a/b", absolute("/x", "/a/./b"))
	assert.Equal(t, "/x/b", absolute("/x/y", "../b"))
}

// The search for links ends at its bounds, and with the call.
func TestLinkSearchIsBounded(t *testing.T) {
	dir := tempDir(t)
	chain := func(length int) string {
		top := fmt.Sprintf("%s/%d-", dir, length)
		for n := range length {
			write(t, fmt.Sprintf("%s%d/info/alternates", top, n), fmt.Sprintf("%s%d\n", top, n+1))
		}
		write(t, fmt.Sprintf("%s%d/info/alternates", top, length), "# none\n")
		return top + "0"
	}
	search := func(ctx context.Context, seen int) *linkSearch {
		return &linkSearch{ctx: ctx, allowed: onlyBelow(dir), seen: map[string]bool{}, entries: seen}
	}
	found, err := search(t.Context(), 0).alternates(chain(maxAlternates))
	require.NoError(t, err)
	assert.Empty(t, found)
	found, err = search(t.Context(), 0).alternates(chain(maxAlternates + 1))
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf("%s/%d-%d/info/alternates", dir, maxAlternates+1, maxAlternates), found)

	write(t, dir+"/one/file", "")
	found, err = search(t.Context(), maxRepoEntries-1).check(dir + "/one")
	require.NoError(t, err)
	assert.Empty(t, found)
	found, err = search(t.Context(), maxRepoEntries).check(dir + "/one")
	require.ErrorIs(t, err, ErrTooLarge)
	assert.Empty(t, found)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(assert.AnError)
	for _, look := range []func() (string, error){
		func() (string, error) { return search(ctx, 0).check(dir + "/one") },
		func() (string, error) { return search(ctx, 0).alternates(chain(1)) },
		func() (string, error) {
			return foreignLink(ctx, location{top: dir, gitDir: dir, common: dir}, onlyBelow(dir))
		},
	} {
		_, err := look()
		require.ErrorIs(t, err, assert.AnError)
	}

	sparse := func(size int64) error {
		write(t, dir+"/top/.gitignore", "")
		require.NoError(t, os.Truncate(dir+"/top/.gitignore", size))
		_, err := foreignLink(t.Context(), location{top: dir + "/top", gitDir: dir + "/none", common: dir + "/none"}, onlyBelow(dir))
		return err
	}
	require.NoError(t, sparse(maxPatterns))
	require.ErrorIs(t, sparse(maxPatterns+1), ErrTooLarge)
}

// Files are listed as git knows them, a repository without a commit has no head, and a broken one is an error.
func TestFilesAndHeads(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir+"/r", map[string]string{"a.go": "1\n", "d/b.go": "1\n", ".gitignore": "*.log\n"})
	write(t, dir+"/r/x.log", "")
	write(t, dir+"/r/d/new.go", "")
	r := open(t, dir+"/r")
	names, whole, err := r.Files(t.Context(), dir+"/r")
	require.NoError(t, err)
	assert.True(t, whole)
	assert.ElementsMatch(t, []string{".gitignore", "a.go", "d/b.go", "d/new.go"}, names)
	names, _, err = r.Files(t.Context(), dir+"/r/d")
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"b.go", "new.go"}, names)
	assert.Equal(t, "main", r.Branch)
	commit, err := r.Commit(t.Context(), "main")
	require.NoError(t, err)
	assert.Equal(t, r.Head, commit)
	assert.Equal(t, r.Head, r.MergeBase(t.Context(), "main", "HEAD"))
	assert.Equal(t, "nonsense", r.MergeBase(t.Context(), "nonsense", r.Head))
	for _, bad := range []string{"nothing", "--all", "a\nb", "a\x00", "HEAD:a.go"} {
		_, err := r.Commit(t.Context(), bad)
		assert.Error(t, err, bad)
	}
	changes, whole, err := r.Status(t.Context(), "d")
	require.NoError(t, err)
	assert.True(t, whole)
	assert.Equal(t, []Change{{State: "??", Name: "d/new.go"}}, changes)
	gittest.Run(t, dir+"/r", "mv", "a.go", "moved.go")
	changes, _, err = open(t, dir+"/r").Status(t.Context(), ".")
	require.NoError(t, err)
	assert.Contains(t, changes, Change{State: "R ", Name: "moved.go", From: "a.go"})

	require.NoError(t, os.MkdirAll(dir+"/empty", 0o755))
	gittest.Run(t, dir+"/empty", "init", "-q", "-b", "fresh")
	r = open(t, dir+"/empty")
	assert.Empty(t, r.Head)
	assert.Equal(t, "fresh", r.Branch)
	write(t, dir+"/empty/.git/HEAD", "nonsense\n")
	_, err = (&Git{Program: Find("")}).Open(t.Context(), dir+"/empty", onlyBelow(dir))
	assert.Error(t, err)
	assert.Equal(t, "/usr/bin:/bin", systemPath())
}
