package workspace

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
)

// inspect looks at everything in a folder and fails the test on an error.
func inspect(t testing.TB, w *Workspace, q GitQuery) *GitReport {
	t.Helper()
	if q.Tokens == 0 {
		q.Tokens = 100_000
	}
	if q.CompareTo == "" && !q.Staged && !q.Unstaged {
		q.Staged, q.Unstaged = true, true
	}
	report, err := w.Inspect(t.Context(), q)
	require.NoError(t, err)
	return report
}

// reportText is what a report shows a model, without the line numbers of its diffs.
func reportText(r *GitReport) string {
	var b strings.Builder
	for _, a := range r.Attachments {
		b.Write(a.Data)
	}
	return diffNumbers.ReplaceAllString(b.String(), "")
}

var diffNumbers = regexp.MustCompile(`(?m)^ *\d+\|`)

func expandNames(t testing.TB, w *Workspace, dir string, paths ...string) []string {
	t.Helper()
	files, _, err := w.expandPaths(t.Context(), paths)
	require.NoError(t, err)
	var got []string
	for _, f := range files {
		got = append(got, strings.TrimPrefix(f, dir+"/"))
	}
	return got
}

func TestExpandObeysGitignore(t *testing.T) {
	dir := tempDir(t)
	repo := dir + "/repo"
	gittest.Init(t, repo, map[string]string{
		"a.go": "x", "deleted.go": "x", "tracked.log": "x", "sub/b.go": "x", "sub/deep/c.go": "x", "vendor/v.go": "x",
		".gitignore": "*.log\n/out/\n", "sub/.gitignore": "*.tmp\n!keep.tmp\n", "sub/logs/.gitignore": "*\n!.gitignore\n",
	})
	require.NoError(t, os.Remove(repo+"/deleted.go"))
	for _, name := range []string{"new.go", "x.log", "out/o.go", "sub/x.tmp", "sub/keep.tmp", "sub/logs/l", "mine", "global.bak", "a dir/q\"uote.go"} {
		write(t, "x", repo, name)
	}
	write(t, "a\x00", repo, "image.bin")
	write(t, "mine\n", repo, ".git/info/exclude")
	write(t, "*.bak\n", dir, "home/.config/git/ignore")
	gittest.Init(t, repo+"/nested", map[string]string{"n.go": "x", "n.log": "x", ".gitignore": "n.log\n"})
	write(t, "x", repo, "nested/untracked.go")
	write(t, "x", repo, "nested/n2.log")
	w, err := New(config.Files{AllowedRoots: []string{repo}}, "", "", dir+"/home", nil, nil)
	require.NoError(t, err)

	assert.Equal(t, []string{
		".gitignore", "a dir/q\"uote.go", "a.go", "nested/.gitignore", "nested/n.go", "nested/n.log", "nested/n2.log", "nested/untracked.go", "new.go",
		"sub/.gitignore", "sub/b.go", "sub/deep/c.go", "sub/keep.tmp", "sub/logs/.gitignore", "tracked.log", "vendor/v.go",
	}, expandNames(t, w, repo, repo))
	assert.Equal(t, []string{
		"sub/.gitignore", "sub/b.go", "sub/deep/c.go", "sub/keep.tmp", "sub/logs/.gitignore",
	}, expandNames(t, w, repo, "sub"))
	assert.Equal(t, []string{"sub/deep/c.go"}, expandNames(t, w, repo, "sub/deep"))
	assert.Equal(t, []string{"x.log"}, expandNames(t, w, repo, "x.log"), "a named file is taken, ignored or not")

	only, err := New(config.Files{AllowedRoots: []string{repo + "/sub"}}, "", "", "", nil, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"sub/deep/c.go"}, expandNames(t, only, repo, "deep"), "a root within a work tree")

	write(t, "[core]\n\texcludesFile = ~/other\n", dir, "home/.gitconfig")
	write(t, "*.go\n", dir, "home/other")
	assert.Contains(t, expandNames(t, w, repo, repo), "global.bak")
	assert.NotContains(t, expandNames(t, w, repo, repo), "new.go")
}

func TestExpandFollowsSubmodulesAndWorkTrees(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir+"/lib", map[string]string{"lib.go": "x"})
	gittest.Init(t, dir+"/main", map[string]string{"main.go": "x"})
	gittest.Run(t, dir+"/main", "-c", "protocol.file.allow=always", "submodule", "add", "-q", dir+"/lib", "sub")
	gittest.Run(t, dir+"/main", "commit", "-q", "-m", "sub")
	gittest.Run(t, dir+"/main", "worktree", "add", "-q", dir+"/linked", "-b", "side")
	write(t, "x", dir, "linked/new.go")
	write(t, "x", dir, "main/sub/new.go")
	w := newWorkspace(t, dir+"/main", dir+"/linked")
	assert.Equal(t, []string{"main/.gitmodules", "main/main.go", "main/sub/lib.go", "main/sub/new.go"}, expandNames(t, w, dir, dir+"/main"))

	for _, root := range []string{dir + "/linked", dir + "/main/sub"} {
		alone := newWorkspace(t, root)
		changed, err := alone.changedPaths(t.Context(), "")
		require.NoError(t, err, "its git folder lies outside of the roots, but knows it: %s", root)
		assert.Equal(t, []string{root + "/new.go"}, changed)
	}
	report := inspect(t, newWorkspace(t, dir+"/linked"), GitQuery{CompareTo: "main"})
	assert.Equal(t, "side", report.Repositories[0].Branch)
}

// Repositories in repositories are expanded four deep.
func TestExpandEndsAtNestedRepositories(t *testing.T) {
	dir := tempDir(t)
	top := dir + "/r"
	for range 6 {
		gittest.Init(t, top, map[string]string{"a.go": "x"})
		top += "/r"
	}
	w := newWorkspace(t, dir+"/r")
	assert.Equal(t, []string{"r/a.go", "r/r/a.go", "r/r/r/a.go", "r/r/r/r/a.go", "r/r/r/r/r/a.go"}, expandNames(t, w, dir, dir+"/r"))
}

func TestInspect(t *testing.T) {
	dir := tempDir(t)
	repo := dir + "/repo"
	gittest.Init(t, repo, map[string]string{
		"edit.go": lines(40), "old name.go": lines(30), "gone.go": "bye\n", "both.go": "1\n", "pic.png": "\x89PNG\r\n\x1a\n\x00",
		".env": "KEY=SECRET1\n", "keys/a.pem": "SECRET2\n", ".env.example": "KEY=\n", "latin.txt": "caf\xe9\n",
	})
	write(t, strings.Replace(lines(40), "line 20 of", "LINE 20 of", 1), repo, "edit.go")
	gittest.Run(t, repo, "mv", "old name.go", "new\tname.go")
	require.NoError(t, os.Remove(repo+"/gone.go"))
	write(t, "2\n", repo, "both.go")
	gittest.Run(t, repo, "add", "both.go")
	write(t, "3\n", repo, "both.go")
	write(t, "\x89PNG\r\n\x1a\n\x00changed", repo, "pic.png")
	write(t, "KEY=SECRET3\n", repo, ".env")
	write(t, "KEY=example\n", repo, ".env.example")
	gittest.Run(t, repo, "mv", "keys/a.pem", "keys/innocent.txt")
	write(t, "th\xe9\n", repo, "latin.txt")
	write(t, "SECRET4\n", repo, ".env.local")
	write(t, "fresh\n", repo, "untracked \"1\".go")
	w := newWorkspace(t, repo)

	report := inspect(t, w, GitQuery{})
	require.Len(t, report.Repositories, 1)
	r := report.Repositories[0]
	assert.Equal(t, repo, r.Path)
	assert.Equal(t, "main", r.Branch)
	assert.Equal(t, gittest.Run(t, repo, "rev-parse", "HEAD"), r.Head)
	states := map[string]string{}
	for _, c := range r.Changes {
		states[strings.TrimPrefix(c.Path, repo+"/")] = c.State
	}
	assert.Equal(t, map[string]string{
		"edit.go": " M", "new\tname.go": "R ", "gone.go": " D", "both.go": "MM", "pic.png": " M", ".env": " M", ".env.example": " M",
		"keys/innocent.txt": "R ", "latin.txt": " M", ".env.local": "??", "untracked \"1\".go": "??",
	}, states)

	text := reportText(report)
	for _, want := range []string{
		"\n-line 20 of a long file\n+LINE 20 of a long file\n", "rename to new\\tname.go", "\n-bye\n", "\n-1\n+2\n", "\n-2\n+3\n",
		"\n-KEY=\n+KEY=example\n", "\n-café\n+thé\n", "Diff, staged:\n", "Diff, unstaged:\n", "Branch: main at ", "\nLast commits, the newest first:\n- ", "\nR  new\\tname.go (from old name.go)\n", "Repository: repo\n",
	} {
		assert.Contains(t, text, want)
	}
	for _, secret := range []string{repo, "SECRET", "diff --git a/.env b", "innocent.txt b/"} {
		assert.NotContains(t, text, secret)
	}
	left := map[string]Entry{}
	for _, e := range report.Manifest.LeftOut {
		left[strings.TrimPrefix(e.Path, repo+"/")] = e
	}
	assert.Equal(t, CodeDenied, left[".env"].Code)
	assert.Equal(t, CodeDenied, left["keys/innocent.txt"].Code)
	assert.Equal(t, "binary", left["pic.png"].Reason)
	assert.Equal(t, CodeDenied, left[".env.local"].Code)
	assert.Len(t, left, 4)
	parts := map[string]string{}
	for _, e := range report.Manifest.Sent {
		parts[strings.TrimPrefix(e.Path, repo+"/")] += e.Part + " "
	}
	assert.Equal(t, map[string]string{
		"edit.go": "unstaged ", "new\tname.go": "staged ", "gone.go": "unstaged ", "both.go": "staged unstaged ", ".env.example": "unstaged ", "latin.txt": "unstaged ",
		"untracked \"1\".go": "untracked ",
	}, parts)

	staged := reportText(inspect(t, w, GitQuery{Staged: true}))
	assert.Contains(t, staged, "\n-1\n+2\n")
	assert.NotContains(t, staged, "LINE 20")
	unstaged := reportText(inspect(t, w, GitQuery{Unstaged: true}))
	assert.NotContains(t, unstaged, "\n-1\n+2\n")
	assert.Contains(t, unstaged, "LINE 20")

	changed, err := w.changedPaths(t.Context(), "")
	require.NoError(t, err)
	var names []string
	for _, c := range changed {
		names = append(names, strings.TrimPrefix(c, repo+"/"))
	}
	assert.Equal(t, []string{".env.example", "both.go", "edit.go", "keys/innocent.txt", "latin.txt", "new\tname.go", "pic.png", "untracked \"1\".go"}, names)
}

// A repository is left exactly as it was, the index and its times included.
func TestInspectWritesNothing(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir, map[string]string{"a.go": "1\n", "b.go": "1\n"})
	write(t, "2\n", dir, "a.go")
	write(t, "1\n", dir, "b.go") // the same content at another time: git would like to refresh the index
	snapshot := func() map[string]string {
		all := map[string]string{}
		require.NoError(t, filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
			if err == nil && !info.IsDir() {
				data, _ := os.ReadFile(name)
				all[name] = info.ModTime().String() + hashOf(string(data))
			}
			return err
		}))
		return all
	}
	before := snapshot()
	w := newWorkspace(t, dir)
	report := inspect(t, w, GitQuery{})
	assert.Len(t, report.Manifest.Sent, 1)
	assert.Empty(t, report.Manifest.LeftOut, "a file that was only touched is no change")
	expandNames(t, w, dir, dir)
	inspect(t, w, GitQuery{CompareTo: "HEAD"})
	assert.Equal(t, before, snapshot())
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), "exai-git-*", "HEAD"))
	for _, name := range left {
		text, _ := os.ReadFile(name)
		assert.NotEqual(t, gittest.Run(t, dir, "rev-parse", "HEAD"), strings.TrimSpace(string(text)), "the stand-in is gone")
	}
}

func TestCompareTo(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir, map[string]string{"a.go": "1\n"})
	gittest.Run(t, dir, "checkout", "-q", "-b", "side")
	write(t, "side\n", dir, "side.go")
	gittest.Run(t, dir, "add", ".")
	gittest.Run(t, dir, "commit", "-q", "-m", "side")
	gittest.Run(t, dir, "checkout", "-q", "main")
	write(t, "main went on\n", dir, "main.go")
	gittest.Run(t, dir, "add", ".")
	gittest.Run(t, dir, "commit", "-q", "-m", "main")
	gittest.Run(t, dir, "checkout", "-q", "side")
	write(t, "staged\n", dir, "staged.go")
	gittest.Run(t, dir, "add", ".")
	write(t, "2\n", dir, "a.go")
	w := newWorkspace(t, dir)

	report := inspect(t, w, GitQuery{CompareTo: "main", Staged: true, Unstaged: true})
	text := reportText(report)
	assert.Equal(t, gittest.Run(t, dir, "merge-base", "main", "side"), report.Repositories[0].Base)
	for _, want := range []string{"+side\n", "+staged\n", "+2\n"} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, text, "main went on", "what the other branch did since is no change of this one")
	text = reportText(inspect(t, w, GitQuery{CompareTo: "main", Staged: true}))
	assert.Contains(t, text, "+staged\n")
	assert.NotContains(t, text, "+2\n")
	text = reportText(inspect(t, w, GitQuery{CompareTo: "main"}))
	assert.Contains(t, text, "+side\n")
	assert.NotContains(t, text, "+staged\n")
	assert.Contains(t, reportText(inspect(t, w, GitQuery{CompareTo: "HEAD~1"})), "+side\n")

	for _, bad := range []string{
		"nothing", "--output=" + dir + "/planted", "-O/etc/passwd", "--all", "main..nothing", "--all..side", "HEAD:a.go", "a\nb", "$(touch planted)", "@{u}", "--upload-pack=x",
	} {
		_, err := w.Inspect(t.Context(), GitQuery{CompareTo: bad, Unstaged: true, Tokens: 1000})
		e := requireCode(t, CodeInvalid, err)
		assert.Contains(t, e.Message, "compare_to", bad)
	}
	assert.NoFileExists(t, dir+"/planted")
}

func TestInspectFindsRepositories(t *testing.T) {
	dir := tempDir(t)
	for _, name := range []string{"one", "two", "deep/er/three", "node_modules/four"} {
		gittest.Init(t, filepath.Join(dir, name), map[string]string{"a.go": "1\n"})
		write(t, "changed in "+name+"\n", dir, name, "a.go")
	}
	w := newWorkspace(t, dir)
	report := inspect(t, w, GitQuery{Path: dir})
	var tops []string
	for _, r := range report.Repositories {
		tops = append(tops, strings.TrimPrefix(r.Path, dir+"/"))
	}
	assert.Equal(t, []string{"deep/er/three", "one", "two"}, tops)
	require.Len(t, report.Attachments, 3)
	assert.Equal(t, dir+"/one", report.Attachments[1].Path)
	assert.Equal(t, "text/x-diff", report.Attachments[1].MIME)

	report = inspect(t, w, GitQuery{Path: "one/a.go"})
	require.Len(t, report.Repositories, 1, "a file stands for its folder")
	_, err := w.Inspect(t.Context(), GitQuery{Path: dir, CompareTo: "nothing", Tokens: 1000})
	requireCode(t, CodeInvalid, err)

	gittest.Run(t, dir+"/one", "tag", "known")
	report = inspect(t, w, GitQuery{Path: dir, CompareTo: "known", Unstaged: true})
	assert.Contains(t, reportText(report), "+changed in one")
	assert.Contains(t, report.Repositories[0].Problem, "compare_to", "one that does not know the name says so")
}

func TestInspectOnlyBelowThePath(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir, map[string]string{"sub/a.go": "1\n", "other/b.go": "1\n"})
	write(t, "2\n", dir, "sub/a.go")
	write(t, "2\n", dir, "other/b.go")
	report := inspect(t, newWorkspace(t, dir+"/sub"), GitQuery{})
	assert.Equal(t, []string{"sub/a.go"}, entryPaths(dir, report.Manifest.Sent))
	assert.NotContains(t, reportText(report), "other")
	changed, err := newWorkspace(t, dir+"/sub").changedPaths(t.Context(), "")
	require.NoError(t, err)
	assert.Equal(t, []string{dir + "/sub/a.go"}, changed)
}

func TestInspectBeforeTheFirstCommit(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir+"/r", nil)
	gittest.Run(t, dir+"/r", "checkout", "-q", "--orphan", "fresh")
	write(t, "hello\n", dir, "r/a.go")
	gittest.Run(t, dir+"/r", "add", ".")
	write(t, "untracked\n", dir, "r/b.go")
	w := newWorkspace(t, dir)
	report := inspect(t, w, GitQuery{Path: "r"})
	assert.Equal(t, "fresh", report.Repositories[0].Branch)
	assert.Empty(t, report.Repositories[0].Head)
	assert.Contains(t, reportText(report), "\n+hello\n")
	_, err := w.Inspect(t.Context(), GitQuery{Path: "r", CompareTo: "HEAD", Tokens: 1000})
	requireCode(t, CodeInvalid, err)
}

func TestInspectDuringAConflict(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir, map[string]string{"a.go": "1\n", "id_rsa": "SECRET0\n"})
	for branch, content := range map[string]string{"x": "x", "y": "y"} {
		gittest.Run(t, dir, "checkout", "-q", "-b", branch, "main")
		write(t, content+"\n", dir, "a.go")
		write(t, "SECRET"+content+"\n", dir, "id_rsa")
		gittest.Run(t, dir, "commit", "-q", "-am", branch)
	}
	gittest.Run(t, dir, "checkout", "-q", "x")
	cmd := exec.Command("git", "-c", "user.name=a", "-c", "user.email=a@example.com", "merge", "-q", "y")
	cmd.Dir = dir
	require.Error(t, cmd.Run(), "it conflicts")
	report := inspect(t, newWorkspace(t, dir), GitQuery{})
	assert.Contains(t, reportText(report), "++<<<<<<<")
	assert.NotContains(t, reportText(report), "SECRET")
	assert.Equal(t, "UU", report.Repositories[0].Changes[0].State)
	assert.Empty(t, changesOf(report, dir)["a.go"].Unread, "the work tree's diff shows the conflict")
	staged := inspect(t, newWorkspace(t, dir), GitQuery{Staged: true})
	assert.NotEmpty(t, changesOf(staged, dir)["a.go"].Unread)
}

// A renamed folder does not crowd out the one file in it that was changed.
func TestInspectARenamedFolder(t *testing.T) {
	dir := tempDir(t)
	files := map[string]string{}
	for i := range 100 {
		files[fmt.Sprintf("old/%d.go", i)] = fmt.Sprintf("package p%d\n\nvar X = %d\n", i, i)
	}
	gittest.Init(t, dir, files)
	gittest.Run(t, dir, "mv", "old", "new")
	write(t, files["old/50.go"]+"\nvar Y = X // "+strings.Repeat("a longer line ", 20)+"\n", dir, "new/50.go")
	gittest.Run(t, dir, "add", "-A")
	report := inspect(t, newWorkspace(t, dir), GitQuery{Staged: true, Tokens: 3500})
	assert.NotEmpty(t, report.Manifest.LeftOut, "not all fit")
	assert.Contains(t, entryPaths(dir, report.Manifest.Sent), "new/50.go")
}

func TestHugeDiffsAreCut(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir, map[string]string{"a.go": "1\n", "huge.txt": "", "z.go": "1\n"})
	write(t, "2\n", dir, "a.go")
	write(t, strings.Repeat("a line that repeats and repeats and repeats\n", 700_000), dir, "huge.txt") // 27 MB
	write(t, "2\n", dir, "z.go")
	report := inspect(t, newWorkspace(t, dir), GitQuery{Tokens: 3000})
	assert.Equal(t, []string{"a.go", "z.go"}, entryPaths(dir, report.Manifest.Sent))
	require.Equal(t, []string{"huge.txt"}, entryPaths(dir, report.Manifest.Cut))
	assert.LessOrEqual(t, providers.EstimateTokens(reportText(report)), 3100)
	assert.Contains(t, reportText(report), cutPrefix)

	write(t, strings.Repeat("a line that repeats and repeats and repeats\n", 60_000), dir, "huge.txt") // 2 MB, read whole
	report = inspect(t, newWorkspace(t, dir), GitQuery{Tokens: 10_000_000})
	require.Equal(t, []string{"huge.txt"}, entryPaths(dir, report.Manifest.Cut), "however many tokens there are")
}

// The shortest line that git's status can have.
func TestNamesOfOneLetter(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir, map[string]string{"a": "1\n"})
	write(t, "2\n", dir, "a")
	report := inspect(t, newWorkspace(t, dir), GitQuery{Tokens: 3000})
	assert.Equal(t, []string{"a"}, entryPaths(dir, report.Manifest.Sent))
	assert.Len(t, report.Repositories[0].Changes, 1)
}

func TestManyChangedFiles(t *testing.T) {
	dir := tempDir(t)
	files := map[string]string{}
	for i := range 900 {
		files[strings.Repeat("d", i%50+1)+"/"+strings.Repeat("n", i/50+1)+".go"] = "1\n"
	}
	gittest.Init(t, dir, files)
	for name := range files {
		write(t, "2\n", dir, name)
	}
	report := inspect(t, newWorkspace(t, dir), GitQuery{Tokens: 1_000_000})
	assert.Len(t, report.Manifest.Sent, 900)
	assert.Equal(t, 900, strings.Count(reportText(report), "\n-1\n+2\n"))
	assert.Contains(t, reportText(report), "... and 600 more")
}

func TestGitErrors(t *testing.T) {
	dir := tempDir(t)
	write(t, "x", dir, "a.go")
	w := newWorkspace(t, dir)
	for _, inspect := range []func() error{
		func() error { _, err := w.Inspect(t.Context(), GitQuery{Unstaged: true, Tokens: 10}); return err },
		func() error { _, err := w.changedPaths(t.Context(), ""); return err },
	} {
		w.git.Program = git.Find("")
		e := requireCode(t, CodeInvalid, inspect())
		assert.Contains(t, e.Message, "not in a git work tree")
		w.git.Program = ""
		e = requireCode(t, CodeInvalid, inspect())
		assert.ErrorIs(t, e, git.ErrNoProgram)
		assert.Contains(t, e.Hint, "PATH")
	}
	_, err := w.Inspect(t.Context(), GitQuery{Path: "/etc", Tokens: 10})
	requireCode(t, CodeDenied, err)
	_, err = w.changedPaths(t.Context(), "missing")
	requireCode(t, CodeNotFound, err)
	none := newWorkspace(t)
	_, err = none.changedPaths(t.Context(), "")
	requireCode(t, CodeDenied, err)

	gittest.Init(t, dir, nil)
	w = newWorkspace(t, dir)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(assert.AnError)
	_, err = w.Inspect(ctx, GitQuery{Unstaged: true, Tokens: 10})
	assert.ErrorIs(t, err, assert.AnError)
}
