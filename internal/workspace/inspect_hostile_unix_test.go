//go:build unix

package workspace

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A hostile repository's configuration names a program; nothing may run it. Where git as a user runs it would, the test
// lets it, so as to know that the trap works.
func TestHostileConfigRunsNothing(t *testing.T) {
	const runs, idle = true, false
	t.Setenv("TMPDIR", "/tmp") // git splits some of these settings at blanks, which the planted program's path must not have
	for _, c := range []struct {
		name   string
		config string // PROG is the planted program
		attrs  string
		lay    func(t *testing.T, repo, prog string) // more of the trap
		bait   []string                              // the command that falls into it
		works  bool
	}{
		{name: "core.fsmonitor", config: "[core]\nfsmonitor = PROG\n", bait: []string{"status"}, works: runs},
		{name: "core.hooksPath", config: "[core]\nhooksPath = HOOKS\n", bait: []string{"status"}, works: runs, lay: func(t *testing.T, repo, prog string) {
			script(t, "exec "+prog, repo+"/hooks/post-index-change")
			setConfig(t, repo, "[core]\nhooksPath = "+repo+"/hooks\n")
		}},
		{name: "a hook", bait: []string{"status"}, works: runs, lay: func(t *testing.T, repo, prog string) {
			script(t, "exec "+prog, repo+"/.git/hooks/post-index-change")
		}},
		{name: "diff.external", config: "[diff]\nexternal = PROG\n", bait: []string{"diff"}, works: runs},
		{name: "a diff driver", config: "[diff \"x\"]\ncommand = PROG\n", attrs: "* diff=x\n", bait: []string{"diff"}, works: runs},
		{name: "a diff driver in info/attributes", config: "[diff \"x\"]\ncommand = PROG\n", bait: []string{"diff"}, works: runs, lay: func(t *testing.T, repo, _ string) {
			write(t, "* diff=x\n", repo, ".git/info/attributes")
		}},
		{name: "textconv", config: "[diff \"x\"]\ntextconv = PROG\n", attrs: "* diff=x\n", bait: []string{"diff"}, works: runs},
		{name: "a clean filter", config: "[filter \"x\"]\nclean = PROG\nrequired = true\n", attrs: "* filter=x\n", bait: []string{"status"}, works: runs},
		{name: "a filter with = in its name", config: "[filter \"x=y\"]\nclean = PROG\n", attrs: "* filter=x=y\n", bait: []string{"status"}, works: runs},
		{name: "a filter process", config: "[filter \"x\"]\nprocess = PROG\n", attrs: "* filter=x\n", bait: []string{"status"}, works: runs},
		{name: "a smudge filter", config: "[filter \"x\"]\nsmudge = PROG\n", attrs: "* filter=x\n", bait: []string{"status"}, works: idle},
		{name: "an included file", config: "[include]\npath = ../included\n", attrs: "* filter=x\n", bait: []string{"status"}, works: runs, lay: func(t *testing.T, repo, prog string) {
			write(t, "[filter \"x\"]\nclean = "+prog+"\n", repo, "included")
		}},
		{name: "a conditional include", config: "[includeIf \"gitdir:**\"]\npath = ../included\n", bait: []string{"status"}, works: runs, lay: func(t *testing.T, repo, prog string) {
			write(t, "[core]\nfsmonitor = "+prog+"\n", repo, "included")
		}},
		{name: "the work tree's own config", config: "[core]\nrepositoryformatversion = 1\n[extensions]\nworktreeConfig = true\n", bait: []string{"status"}, works: runs, lay: func(t *testing.T, repo, prog string) {
			write(t, "[core]\nfsmonitor = "+prog+"\n", repo, ".git/config.worktree")
		}},
		{
			name: "core.sshCommand of a partial clone", bait: []string{"diff"}, works: runs,
			config: "[core]\nrepositoryformatversion = 1\nsshCommand = PROG\n[extensions]\npartialClone = origin\n[remote \"origin\"]\nurl = ssh://127.0.0.1/x\npromisor = true\n",
			lay:    func(t *testing.T, repo, _ string) { loseBlob(t, repo) },
		},
		{
			name: "an ext transport", bait: []string{"diff"}, works: runs,
			config: "[core]\nrepositoryformatversion = 1\n[extensions]\npartialClone = origin\n[protocol]\nallow = always\n[remote \"origin\"]\nurl = ext::PROG\npromisor = true\n",
			lay:    func(t *testing.T, repo, _ string) { loseBlob(t, repo) },
		},
		{
			name: "an uploadpack of a local remote", bait: []string{"diff"}, works: runs,
			config: "[core]\nrepositoryformatversion = 1\n[extensions]\npartialClone = origin\n[remote \"origin\"]\nurl = /\nuploadpack = PROG\npromisor = true\n",
			lay:    func(t *testing.T, repo, _ string) { loseBlob(t, repo) },
		},
		{name: "a submodule's own config", bait: []string{"status"}, works: runs, lay: func(t *testing.T, repo, prog string) {
			gittest.Init(t, repo+"/sub", map[string]string{"s.go": "1\n"})
			gittest.Run(t, repo, "add", "sub")
			setConfig(t, repo+"/sub", "[core]\nfsmonitor = "+prog+"\n")
		}},
		{
			name: "pagers, editors, aliases and helpers", bait: []string{"status"}, works: idle,
			config: "[core]\npager = PROG\neditor = PROG\naskPass = PROG\ngitProxy = PROG\n[pager]\ndiff = PROG\nstatus = PROG\n[sequence]\neditor = PROG\n" +
				"[alias]\nstatus = !PROG\ndiff = !PROG\nls-files = !PROG\nrev-parse = !PROG\nconfig = !PROG\n[credential]\nhelper = !PROG\n[gpg]\nprogram = PROG\n" +
				"[log]\nshowSignature = true\n[diff]\nsubmodule = diff\n[uploadpack]\npackObjectsHook = PROG\n[interactive]\ndiffFilter = PROG\n[mergetool \"x\"]\ncmd = PROG\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tempDir(t)
			repo, marker := dir+"/repo", dir+"/marker"
			prog := script(t, "touch "+marker, dir+"/prog")
			gittest.Init(t, repo, map[string]string{"a.go": "1\n", ".gitattributes": c.attrs})
			base := gittest.Run(t, repo, "rev-parse", "HEAD")
			gittest.Run(t, repo, "commit", "-q", "--allow-empty", "-m", "second")
			write(t, "changed\n", repo, "a.go")
			if c.config != "" && !strings.Contains(c.config, "HOOKS") {
				setConfig(t, repo, strings.ReplaceAll(c.config, "PROG", prog))
			}
			if c.lay != nil {
				c.lay(t, repo, prog)
			}
			touchAll(t, repo)
			if c.works {
				cmd := exec.Command("git", c.bait...)
				cmd.Dir, cmd.Env = repo, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1"}
				_ = cmd.Run()
				require.FileExists(t, marker, "the trap works")
				require.NoError(t, os.Remove(marker))
				touchAll(t, repo)
			}
			w := newWorkspace(t, dir)
			for _, q := range []GitQuery{{}, {CompareTo: base}, {CompareTo: base, Staged: true}, {CompareTo: "HEAD", Staged: true, Unstaged: true}} {
				q.Path, q.Tokens = repo, 10_000
				if q.CompareTo == "" {
					q.Staged, q.Unstaged = true, true
				}
				report, err := w.Inspect(t.Context(), q)
				if strings.Contains(c.config, "partialClone") && err != nil {
					continue // the blob is gone, and is not fetched
				}
				require.NoError(t, err)
				if q.Unstaged {
					assert.Contains(t, reportText(report), "a.go")
				}
			}
			_, err := w.changedPaths(t.Context(), repo)
			assert.NoError(t, err)
			assert.Contains(t, expandNames(t, w, repo, repo), "a.go")
			assert.NoFileExists(t, marker)
		})
	}
}

// script writes a program.
func script(t *testing.T, command, name string) string {
	t.Helper()
	write(t, "#!/bin/sh\n"+command+"\n", name)
	require.NoError(t, os.Chmod(name, 0o755))
	return name
}

func setConfig(t *testing.T, repo, text string) {
	t.Helper()
	f, err := os.OpenFile(repo+"/.git/config", os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(text)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// touchAll makes git doubt what its index says of each file, so that it looks at their content.
func touchAll(t *testing.T, dir string) {
	t.Helper()
	later := time.Now().Add(time.Hour)
	require.NoError(t, filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() && !strings.Contains(name, "/.git/") {
			err = os.Chtimes(name, later, later)
		}
		return err
	}))
}

// loseBlob removes the object that git needs to compare a.go, so that it wants to fetch it.
func loseBlob(t *testing.T, repo string) {
	t.Helper()
	id := exec.Command("git", "-C", repo, "hash-object", "--stdin")
	id.Stdin = strings.NewReader("1\n")
	out, err := id.Output()
	require.NoError(t, err)
	blob := strings.TrimSpace(string(out))
	require.NoError(t, os.Remove(filepath.Join(repo, ".git/objects", blob[:2], blob[2:])))
}

// What our own environment says to git does not reach it.
func TestHostileEnvironment(t *testing.T) {
	dir := tempDir(t)
	repo, other, marker := dir+"/repo", dir+"/other", dir+"/marker"
	prog := script(t, "touch "+marker, dir+"/prog")
	gittest.Init(t, repo, map[string]string{"a.go": "1\n"})
	gittest.Init(t, other, map[string]string{"secret.go": "SECRET\n"})
	write(t, "2\n", repo, "a.go")
	w := newWorkspace(t, repo)
	for name, value := range map[string]string{
		"GIT_EXTERNAL_DIFF": prog, "GIT_DIR": other + "/.git", "GIT_WORK_TREE": other, "GIT_INDEX_FILE": other + "/.git/index",
		"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "diff.external", "GIT_CONFIG_VALUE_0": prog, "GIT_PAGER": prog,
		"GIT_CONFIG_PARAMETERS": "'diff.external=" + prog + "'", "GIT_SSH_COMMAND": prog, "GIT_TRACE": marker, "GIT_EXEC_PATH": dir,
	} {
		t.Setenv(name, value)
	}
	report := inspect(t, w, GitQuery{})
	assert.Contains(t, reportText(report), "-1\n+2\n")
	assert.NotContains(t, reportText(report), "secret")
	assert.Equal(t, []string{"a.go"}, expandNames(t, w, repo, repo))
	assert.NoFileExists(t, marker)
}

// A repository whose .git leads elsewhere would show another repository's content as changes of its own.
func TestGitFolderThatLeadsOut(t *testing.T) {
	for name, lay := range map[string]func(t *testing.T, root, private string){
		"a .git file":    func(t *testing.T, root, private string) { write(t, "gitdir: "+private+"/.git\n", root, ".git") },
		"a relative one": func(t *testing.T, root, _ string) { write(t, "gitdir: ../private/.git\n", root, ".git") },
		"a link":         func(t *testing.T, root, private string) { link(t, private+"/.git", root, ".git") },
		"a commondir": func(t *testing.T, root, private string) {
			gittest.Init(t, root, nil)
			write(t, private+"/.git\n", root, ".git/commondir")
		},
		"core.worktree": func(t *testing.T, root, private string) {
			write(t, "gitdir: "+private+"/.git/modules/x\n", root, ".git")
		},
		"a linked config": func(t *testing.T, root, private string) {
			gittest.Init(t, root, nil)
			swapFor(t, root+"/.git/config", private+"/.git/config")
		},
		"linked refs and objects": func(t *testing.T, root, private string) {
			gittest.Init(t, root, nil)
			swapFor(t, root+"/.git/refs", private+"/.git/refs")
			swapFor(t, root+"/.git/objects", private+"/.git/objects")
		},
		"a linked index": func(t *testing.T, root, private string) {
			gittest.Init(t, root, nil)
			swapFor(t, root+"/.git/index", private+"/.git/index")
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tempDir(t)
			root, private := dir+"/root", dir+"/private"
			gittest.Init(t, private, map[string]string{"s.go": "SECRET\n"})
			gittest.Init(t, private+"/.git/modules/x", map[string]string{"s.go": "SECRET\n"})
			for _, f := range []string{"HEAD", "objects", "refs", "config", "index"} {
				require.NoError(t, os.Rename(private+"/.git/modules/x/.git/"+f, private+"/.git/modules/x/"+f))
			}
			require.NoError(t, os.MkdirAll(root, 0o755))
			lay(t, root, private)
			write(t, "x", root, "a.go")
			w := newWorkspace(t, root)
			_, err := w.Inspect(t.Context(), GitQuery{Staged: true, Unstaged: true, Tokens: 1000})
			e := requireCode(t, CodeDenied, err)
			assert.Contains(t, e.Hint, "EXAI_ALLOWED_ROOTS")
			_, err = w.changedPaths(t.Context(), "")
			requireCode(t, CodeDenied, err)
			assert.Contains(t, expandNames(t, w, root, root), "a.go", "listing goes on without git")

			both := newWorkspace(t, root, private)
			_, err = both.Inspect(t.Context(), GitQuery{Path: root, Staged: true, Unstaged: true, Tokens: 1000})
			if err != nil {
				assert.NotEqual(t, CodeDenied, codeOf(err), "with both allowed there is nothing to hide: %v", err)
			}
		})
	}
}

// swapFor puts a link in the place of a part of a repository.
func swapFor(t *testing.T, name, target string) {
	t.Helper()
	require.NoError(t, os.RemoveAll(name))
	link(t, target, name)
}

// core.worktree names a folder elsewhere: its files are no part of this work tree.
func TestHostileWorkTree(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir+"/repo", map[string]string{"s.go": "1\n"})
	write(t, "SECRET\n", dir, "private/s.go")
	setConfig(t, dir+"/repo", "[core]\nworktree = "+dir+"/private\n")
	write(t, "2\n", dir, "repo/s.go")
	report := inspect(t, newWorkspace(t, dir+"/repo"), GitQuery{})
	assert.NotContains(t, reportText(report), "SECRET")
	assert.Contains(t, reportText(report), "\n-1\n+2\n")
}

// A folder of the work tree is exchanged for a link to elsewhere; git takes its files for deleted.
func TestLinkedFolderInWorkTree(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir+"/repo", map[string]string{"d/s.go": "1\n"})
	write(t, "SECRET\n", dir, "private/s.go")
	swapFor(t, dir+"/repo/d", dir+"/private")
	report := inspect(t, newWorkspace(t, dir+"/repo"), GitQuery{})
	assert.NotContains(t, reportText(report), "SECRET")
}

// FIFOs where git reads: it waits forever, we don't.
func TestGitThatHangs(t *testing.T) {
	for _, name := range []string{".gitignore", ".gitattributes", ".git/index", ".git/config", ".git/info/exclude", ".git/HEAD"} {
		t.Run(strings.ReplaceAll(name, "/", " "), func(t *testing.T) {
			dir := tempDir(t)
			gittest.Init(t, dir, map[string]string{"a.go": "1\n", "sub/b.go": "1\n"})
			require.NoError(t, os.RemoveAll(filepath.Join(dir, name)))
			require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
			require.NoError(t, syscall.Mkfifo(filepath.Join(dir, name), 0o600))
			w := newWorkspace(t, dir)
			w.gitTime = 300 * time.Millisecond
			within(t, func() {
				assert.Contains(t, expandNames(t, w, dir, dir), "a.go")
				if _, err := w.Inspect(t.Context(), GitQuery{Staged: true, Unstaged: true, Tokens: 1000}); err != nil {
					assert.NotEmpty(t, codeOf(err))
				}
			})
		})
	}
}

// Whatever stands in for git: endless output, endless waiting, nonsense.
func TestGitThatMisbehaves(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir+"/repo", map[string]string{"a.go": "1\n"})
	w := newWorkspace(t, dir+"/repo")
	w.gitTime = 300 * time.Millisecond
	for i, command := range []string{"exec yes", "exec sleep 60", "echo nonsense", "exit 1", "sleep 60 & echo x", "exec cat /dev/zero"} {
		w.git.Program = script(t, command, fmt.Sprintf("%s/git%d", dir, i))
		within(t, func() {
			files := expandNames(t, w, dir+"/repo", dir+"/repo")
			assert.Subset(t, []string{"a.go"}, files)
			_, err := w.Inspect(t.Context(), GitQuery{Unstaged: true, Tokens: 1000})
			if err != nil {
				assert.NotEmpty(t, codeOf(err), "%s: %v", command, err)
			}
		})
	}
}

func TestGitTooSlow(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir+"/repo", map[string]string{"a.go": "1\n"})
	w := newWorkspace(t, dir+"/repo")
	w.gitTime = 100 * time.Millisecond
	w.git.Program = script(t, "exec sleep 60", dir+"/git")
	_, err := w.changedPaths(t.Context(), "")
	e := requireCode(t, CodeTooLarge, err)
	assert.ErrorIs(t, e, errGitTime)
}

// A split index keeps most of itself in a second file.
func TestSplitIndex(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir, map[string]string{"a.go": "1\n", "b.go": "1\n"})
	gittest.Run(t, dir, "update-index", "--split-index")
	shared, _ := filepath.Glob(dir + "/.git/sharedindex.*")
	require.NotEmpty(t, shared)
	write(t, "2\n", dir, "a.go")
	report := inspect(t, newWorkspace(t, dir), GitQuery{})
	assert.Equal(t, []string{"a.go"}, entryPaths(dir, report.Manifest.Sent))
}

// A repository of another owner, as in a container's bind mount, is inspected all the same: nothing of it is run.
func TestForeignOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir := tempDir(t)
	gittest.Init(t, dir, map[string]string{"a.go": "1\n", ".gitignore": "*.log\n"})
	write(t, "2\n", dir, "a.go")
	write(t, "x", dir, "x.log")
	require.NoError(t, filepath.Walk(dir, func(name string, _ os.FileInfo, err error) error {
		if err == nil {
			err = os.Lchown(name, 12345, 12345)
		}
		return err
	}))
	w := newWorkspace(t, dir)
	assert.Contains(t, reportText(inspect(t, w, GitQuery{})), "-1\n+2\n")
	assert.Equal(t, []string{".gitignore", "a.go"}, expandNames(t, w, dir, dir))
}

func TestSHA256Repository(t *testing.T) {
	dir := tempDir(t)
	cmd := exec.Command("git", "init", "-q", "--object-format=sha256", dir)
	if cmd.Run() != nil {
		t.Skip("this git knows no SHA-256")
	}
	write(t, "1\n", dir, "a.go")
	gittest.Run(t, dir, "add", ".")
	gittest.Run(t, dir, "commit", "-q", "-m", "first")
	write(t, "2\n", dir, "a.go")
	report := inspect(t, newWorkspace(t, dir), GitQuery{CompareTo: "HEAD", Unstaged: true})
	assert.Contains(t, reportText(report), "-1\n+2\n")
	assert.Len(t, report.Repositories[0].Head, 64)
}

// What the user set for line ends holds here too, or every file would look changed.
func TestLineEndSettings(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir, map[string]string{"a.txt": "1\n2\n", "b.txt": "1\n"})
	setConfig(t, dir, "[core]\nautocrlf = true\n")
	write(t, "1\r\n2\r\n", dir, "a.txt")
	write(t, "3\r\n", dir, "b.txt")
	report := inspect(t, newWorkspace(t, dir), GitQuery{})
	assert.Equal(t, []string{"b.txt"}, entryPaths(dir, report.Manifest.Sent))
}
