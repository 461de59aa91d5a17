//go:build unix

package workspace

import (
	"crypto/sha1" //nolint:gosec // git's own checksum
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// outsider is what a private repository outside of the roots holds.
const outsider = "SECRET"

// hostile makes a private repository, and a root with a repository of its own beside it.
func hostile(t *testing.T) (root, private string) {
	t.Helper()
	dir := tempDir(t)
	root, private = dir+"/root", dir+"/private"
	gittest.Init(t, private, map[string]string{"s.go": outsider + "\n"})
	gittest.Init(t, root, map[string]string{"a.go": "1\n"})
	return root, private
}

// reads returns everything that the repository of a root gives a model, and the first error.
func reads(t *testing.T, w *Workspace) (string, error) {
	t.Helper()
	var text strings.Builder
	var first error
	for _, q := range []GitQuery{
		{Staged: true, Unstaged: true}, {CompareTo: "HEAD", Staged: true, Unstaged: true}, {CompareTo: "p"}, {CompareTo: "worktrees/x/HEAD"}, {CompareTo: "FETCH_HEAD"},
	} {
		q.Tokens = 10_000
		report, err := w.Inspect(t.Context(), q)
		if err == nil {
			text.WriteString(reportText(report))
		} else if first == nil {
			first = err
		}
	}
	_, err := w.changedPaths(t.Context(), "")
	if first == nil {
		first = err
	}
	return text.String(), first
}

// Each way for a repository to lead git to the objects and refs of another one is refused by name.
func TestRepositoryThatLeadsOut(t *testing.T) {
	for name, c := range map[string]struct {
		lay  func(t *testing.T, root, private string)
		link string // what the refusal names, below the root
	}{
		"alternates": {link: ".git/objects/info/alternates", lay: func(t *testing.T, root, private string) {
			write(t, private+"/.git/objects\n", root, ".git/objects/info/alternates")
			write(t, gittest.Run(t, private, "rev-parse", "HEAD")+"\n", root, ".git/refs/heads/main")
		}},
		"relative alternates": {link: ".git/objects/info/alternates", lay: func(t *testing.T, root, _ string) {
			write(t, "../../../private/.git/objects\n", root, ".git/objects/info/alternates")
		}},
		"alternates after a comment": {link: ".git/objects/info/alternates", lay: func(t *testing.T, root, private string) {
			write(t, "# none\n\n"+root+"/.git/objects\n"+private+"/.git/objects", root, ".git/objects/info/alternates")
		}},
		"quoted alternates": {link: ".git/objects/info/alternates", lay: func(t *testing.T, root, private string) {
			write(t, `"`+private+`/.git/\157bjects"`+"\n", root, ".git/objects/info/alternates")
		}},
		"alternates with a name that ends at a NUL": {link: ".git/objects/info/alternates", lay: func(t *testing.T, root, private string) {
			link(t, private+"/.git/objects", root, "o")
			write(t, root+"/o\x00x\n", root, ".git/objects/info/alternates")
		}},
		"alternates with a blank at the end": {link: ".git/objects/info/alternates", lay: func(t *testing.T, root, private string) {
			link(t, private+"/.git/objects", root, "o ")
			write(t, root+"/o \n", root, ".git/objects/info/alternates")
		}},
		"alternates too large to check": {link: ".git/objects/info/alternates", lay: func(t *testing.T, root, private string) {
			write(t, strings.Repeat("#\n", 200_000)+private+"/.git/objects\n", root, ".git/objects/info/alternates")
		}},
		"alternates that are a link": {link: ".git/objects/info/alternates", lay: func(t *testing.T, root, private string) {
			link(t, write(t, private+"/.git/objects\n", private, "list"), root, ".git/objects/info/alternates")
		}},
		"an alternate's alternates": {link: "other/info/alternates", lay: func(t *testing.T, root, private string) {
			write(t, root+"/other\n", root, ".git/objects/info/alternates")
			write(t, private+"/.git/objects\n", root, "other/info/alternates")
		}},
		"a link in an alternate": {link: "other/ab", lay: func(t *testing.T, root, private string) {
			write(t, root+"/other\n", root, ".git/objects/info/alternates")
			link(t, private+"/.git/objects/ab", root, "other/ab")
		}},
		"a linked ref": {link: ".git/refs/heads/p", lay: func(t *testing.T, root, private string) {
			link(t, private+"/.git/refs/heads/main", root, ".git/refs/heads/p")
			write(t, "ref: refs/heads/p\n", root, ".git/HEAD")
		}},
		"a linked folder of refs": {link: ".git/refs/heads", lay: func(t *testing.T, root, private string) {
			swapFor(t, root+"/.git/refs/heads", private+"/.git/refs/heads")
		}},
		"a link of objects": {link: ".git/objects/ab", lay: func(t *testing.T, root, private string) {
			swapFor(t, root+"/.git/objects/ab", private+"/.git/objects/ab")
		}},
		"a linked object": {link: ".git/objects/ab/" + strings.Repeat("c", 38), lay: func(t *testing.T, root, private string) {
			link(t, private+"/s.go", root, ".git/objects/ab", strings.Repeat("c", 38))
		}},
		"a linked pack folder": {link: ".git/objects/pack", lay: func(t *testing.T, root, private string) {
			gittest.Run(t, private, "gc", "-q")
			swapFor(t, root+"/.git/objects/pack", private+"/.git/objects/pack")
		}},
		"a linked pack": {link: ".git/objects/pack/p.pack", lay: func(t *testing.T, root, private string) {
			link(t, private+"/p.pack", root, ".git/objects/pack/p.pack")
		}},
		"a link behind a link inside of the root": {link: "packs/p.pack", lay: func(t *testing.T, root, private string) {
			swapFor(t, root+"/.git/objects/pack", root+"/packs")
			link(t, private+"/p.pack", root, "packs/p.pack")
		}},
		"a link that leads nowhere yet": {link: ".git/objects/pack/p.idx", lay: func(t *testing.T, root, private string) {
			link(t, private+"/later", root, ".git/objects/pack/p.idx")
		}},
		"linked HEAD": {link: ".git/HEAD", lay: func(t *testing.T, root, private string) {
			swapFor(t, root+"/.git/HEAD", private+"/.git/HEAD")
		}},
		"a linked FETCH_HEAD": {link: ".git/FETCH_HEAD", lay: func(t *testing.T, root, private string) {
			link(t, private+"/.git/refs/heads/main", root, ".git/FETCH_HEAD")
		}},
		"linked packed-refs": {link: ".git/packed-refs", lay: func(t *testing.T, root, private string) {
			gittest.Run(t, private, "pack-refs", "--all")
			link(t, private+"/.git/packed-refs", root, ".git/packed-refs")
		}},
		"a linked shared index": {link: ".git/sharedindex." + strings.Repeat("a", 40), lay: func(t *testing.T, root, private string) {
			link(t, private+"/.git/index", root, ".git/sharedindex."+strings.Repeat("a", 40))
		}},
		"a linked shallow": {link: ".git/shallow", lay: func(t *testing.T, root, private string) {
			link(t, private+"/s.go", root, ".git/shallow")
		}},
		"linked grafts": {link: ".git/info/grafts", lay: func(t *testing.T, root, private string) {
			link(t, private+"/s.go", root, ".git/info/grafts")
		}},
		"linked logs": {link: ".git/logs/refs", lay: func(t *testing.T, root, private string) {
			swapFor(t, root+"/.git/logs/refs", private+"/.git/logs/refs")
		}},
		"another work tree's linked HEAD": {link: ".git/worktrees/x/HEAD", lay: func(t *testing.T, root, private string) {
			link(t, private+"/.git/HEAD", root, ".git/worktrees/x/HEAD")
		}},
		"commondir through a name with a blank at its end": {link: ".git/commondir", lay: func(t *testing.T, root, private string) {
			link(t, private+"/.git", root, ".git/c ")
			write(t, "../../private/.git \n", root, ".git/commondir")
		}},
		"refs at an address": {link: ".git/config", lay: func(t *testing.T, root, private string) {
			setConfig(t, root, "[extensions]\nrefStorage = files://"+private+"/.git\n")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			root, private := hostile(t)
			c.lay(t, root, private)
			text, err := reads(t, newWorkspace(t, root))
			assert.NotContains(t, text, outsider)
			e := requireCode(t, CodeDenied, err)
			assert.Equal(t, filepath.Join(root, c.link), e.Path)
			assert.Contains(t, e.Message, c.link, "it names the link")
			assert.Contains(t, e.Hint, "EXAI_ALLOWED_ROOTS")
		})
	}
}

// What leads out, but to nothing that git reads, is no reason to refuse a repository; neither is what stays in the roots.
func TestRepositoryThatStaysInside(t *testing.T) {
	for name, lay := range map[string]func(t *testing.T, root, private string){
		"http-alternates": func(t *testing.T, root, private string) {
			write(t, private+"/.git/objects\n", root, ".git/objects/info/http-alternates")
		},
		"linked hooks": func(t *testing.T, root, private string) { swapFor(t, root+"/.git/hooks", private) },
		"a relative link as a symbolic ref": func(t *testing.T, root, _ string) {
			swapFor(t, root+"/.git/HEAD", "refs/heads/main")
		},
		"alternates of a clone in the same root": func(t *testing.T, root, _ string) {
			require.NoError(t, os.Rename(root+"/.git", root+"/first"))
			gittest.Run(t, root, "clone", "-q", "--shared", "--bare", root+"/first", root+"/.git")
			gittest.Run(t, root, "--git-dir=.git", "config", "core.bare", "false")
			gittest.Run(t, root, "--git-dir=.git", "--work-tree=.", "reset", "-q")
		},
		"a link in a circle": func(t *testing.T, root, _ string) { link(t, "../objects", root, ".git/objects/around") },
		"an included config": func(t *testing.T, root, private string) {
			setConfig(t, root, "[include]\npath = "+private+"/.git/config\n")
		},
		"packed objects and refs": func(t *testing.T, root, _ string) { gittest.Run(t, root, "gc", "-q") },
	} {
		t.Run(name, func(t *testing.T) {
			root, private := hostile(t)
			lay(t, root, private)
			write(t, "2\n", root, "a.go")
			report := inspect(t, newWorkspace(t, root), GitQuery{Path: root + "/a.go"})
			assert.Contains(t, reportText(report), "\n-1\n+2\n")
			assert.NotContains(t, reportText(report), outsider)
		})
	}
}

// Linked work trees and submodules keep their objects in a folder that names them, wherever it lies.
func TestWorkTreesWithTheirGitFolderElsewhere(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir+"/lib", map[string]string{"a.go": "1\n"})
	gittest.Init(t, dir+"/main", map[string]string{"a.go": "1\n"})
	gittest.Run(t, dir+"/main", "-c", "protocol.file.allow=always", "submodule", "add", "-q", dir+"/lib", "sub")
	gittest.Run(t, dir+"/main", "commit", "-q", "-m", "sub")
	gittest.Run(t, dir+"/main", "worktree", "add", "-q", dir+"/linked", "-b", "side")
	gittest.Run(t, dir+"/main", "worktree", "add", "-q", "--detach", dir+"/stolen")
	for _, top := range []string{dir + "/linked", dir + "/main/sub"} {
		write(t, "2\n", top, "a.go")
		report := inspect(t, newWorkspace(t, top), GitQuery{CompareTo: "HEAD", Unstaged: true})
		assert.Contains(t, reportText(report), "\n-1\n+2\n", top)
	}
	// A folder that claims another work tree's git folder is not named by it.
	require.NoError(t, os.Rename(dir+"/stolen", dir+"/thief"))
	_, err := newWorkspace(t, dir+"/thief").changedPaths(t.Context(), "")
	e := requireCode(t, CodeDenied, err)
	assert.Equal(t, dir+"/thief/.git", e.Path)
	// A link out of a linked work tree's common folder is refused as in any other.
	link(t, dir+"/lib/.git/refs/heads/main", dir, "main/.git/refs/heads/p")
	_, err = newWorkspace(t, dir+"/linked").changedPaths(t.Context(), "")
	assert.Equal(t, dir+"/main/.git/refs/heads/p", requireCode(t, CodeDenied, err).Path)
}

// A forged index names files outside of the work tree, which git would read.
func TestForgedIndex(t *testing.T) {
	for _, name := range []string{"/private/s.go", "../private/s.go", "d/../../private/s.go", ".git/config"} {
		root, private := hostile(t)
		if name[0] == '/' {
			name = private + "/s.go"
		}
		write(t, string(indexOf(name)), root, ".git/index")
		text, _ := reads(t, newWorkspace(t, root))
		assert.NotContains(t, text, outsider, name)
		assert.NotContains(t, text, "[core]", name)
	}
}

// indexOf is an index of version 2 with one file.
func indexOf(name string) []byte {
	b := binary.BigEndian.AppendUint32([]byte("DIRC"), 2)
	b = binary.BigEndian.AppendUint32(b, 1)
	entry := make([]byte, 62)
	binary.BigEndian.PutUint32(entry[24:], 0o100644)
	binary.BigEndian.PutUint16(entry[60:], uint16(len(name)))
	entry = append(entry, name...)
	entry = append(entry, make([]byte, 8-len(entry)%8)...)
	b = append(b, entry...)
	sum := sha1.Sum(b) //nolint:gosec // git's own checksum
	return append(b, sum[:]...)
}

// A submodule's folder whose .git leads to a private repository would show that one's latest commit.
func TestSubmoduleThatLeadsOut(t *testing.T) {
	root, private := hostile(t)
	head := gittest.Run(t, private, "rev-parse", "HEAD")
	gittest.Run(t, root, "update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", 40)+",sub")
	write(t, "gitdir: "+private+"/.git\n", root, "sub/.git")
	report := inspect(t, newWorkspace(t, root), GitQuery{Path: root + "/a.go", Unstaged: true})
	assert.NotContains(t, reportText(report), head)
	require.NotEmpty(t, report.Manifest.LeftOut)
	assert.Equal(t, CodeDenied, report.Manifest.LeftOut[0].Code)
}
