package workspace

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
)

// partOf are the paths and reasons of a list's entries that belong to one part.
func partOf(dir, part string, list []Entry) map[string]string {
	found := map[string]string{}
	for _, e := range list {
		if e.Part == part {
			found[strings.TrimPrefix(e.Path, dir+"/")] = e.Reason
		}
	}
	return found
}

// Whoever asks what is about to be committed means new files too: each is shown as the diff that adds it.
func TestNewFilesAreShown(t *testing.T) {
	dir := tempDir(t)
	repo := dir + "/repo"
	gittest.Init(t, repo, map[string]string{"old.go": "1\n", ".gitignore": "*.log\n"})
	write(t, "2\n", repo, "old.go")
	write(t, "package a\n\nvar B = 1\n", repo, "sub/new.go")
	write(t, "no end", repo, "open.txt")
	write(t, "", repo, "empty.txt")
	write(t, "echo\n", repo, "run.sh")
	require.NoError(t, os.Chmod(repo+"/run.sh", 0o755))
	write(t, "th\xe9\n", repo, "latin.txt")
	write(t, "a\x00b", repo, "pic.bin")
	write(t, "SECRET\n", repo, ".env")
	write(t, "SECRET\n", repo, "noise.log")
	write(t, "SECRET\n", dir, "private")
	require.NoError(t, os.Symlink(dir+"/private", repo+"/link"))
	require.NoError(t, os.Symlink("old.go", repo+"/inner"))
	gittest.Init(t, repo+"/nested", map[string]string{"n.go": "1\n"})
	w := newWorkspace(t, repo)

	report := inspect(t, w, GitQuery{})
	text := reportText(report)
	for _, want := range []string{
		"Diff, untracked:\n", "-1\n+2\n", "diff --git a/open.txt b/open.txt\nnew file mode 100644\n--- /dev/null\n+++ b/open.txt\n@@ -0,0 +1,1 @@\n+no end\n\\ No newline at end of file\n",
		"+++ b/sub/new.go\n@@ -0,0 +1,3 @@\n+package a\n+\n+var B = 1\n", "diff --git a/empty.txt b/empty.txt\nnew file mode 100644\n", "new file mode 100755\n", "+thé\n",
		"diff --git a/inner b/inner\nnew file mode 120000\n--- /dev/null\n+++ b/inner\n@@ -0,0 +1,1 @@\n+old.go\n\\ No newline at end of file\n",
	} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, text, "SECRET")
	assert.Equal(t, map[string]string{"sub/new.go": "", "open.txt": "", "empty.txt": "", "run.sh": "", "latin.txt": "", "link": "", "inner": ""}, partOf(repo, PartUntracked, report.Manifest.Sent))
	left := partOf(repo, PartUntracked, report.Manifest.LeftOut)
	assert.Len(t, left, 2)
	assert.Equal(t, "binary", left["pic.bin"])
	assert.Contains(t, left[".env"], "is refused")

	staged := inspect(t, w, GitQuery{Staged: true})
	assert.NotContains(t, reportText(staged), "var B")
	assert.Empty(t, partOf(repo, PartUntracked, staged.Manifest.LeftOut))
	assert.Contains(t, reportText(inspect(t, w, GitQuery{CompareTo: "HEAD", Staged: true, Unstaged: true})), "+var B = 1")
	assert.NotContains(t, reportText(inspect(t, w, GitQuery{CompareTo: "HEAD", Staged: true})), "var B")
	below := reportText(inspect(t, w, GitQuery{Path: "sub"}))
	assert.Contains(t, below, "+var B = 1")
	assert.NotContains(t, below, "no end")
}

// git itself would show the same of a new file, once it is told of it.
func TestNewFilesAreShownAsGitDoes(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir, map[string]string{"old.go": "1\n"})
	write(t, "package a\n\nvar B = 1", dir, "new.go")
	write(t, "a\nb\n", dir, "two.txt")
	_, ours, _ := strings.Cut(reportText(inspect(t, newWorkspace(t, dir), GitQuery{})), "Diff, untracked:\n")
	gittest.Run(t, dir, "add", "-N", ".")
	theirs := gittest.Run(t, dir, "diff") + "\n"
	for line := range strings.Lines(theirs) {
		if strings.HasPrefix(line, "index ") {
			theirs = strings.Replace(theirs, line, "", 1)
		}
	}
	assert.Equal(t, theirs, strings.ReplaceAll(ours, "@@ -0,0 +1,1 @@", "@@ -0,0 +1 @@"))
}

// A forgotten folder of new files crowds out neither the changes nor the files that somebody wrote.
func TestNewFilesAreBounded(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir, map[string]string{"a.go": lines(200)})
	write(t, strings.ReplaceAll(lines(200), "line", "LINE"), dir, "a.go")
	for i := range maxUntracked + 50 {
		write(t, lines(200), dir, fmt.Sprintf("node_modules/m%03d.js", i))
	}
	write(t, "package written\n", dir, "zz.go")
	report := inspect(t, newWorkspace(t, dir), GitQuery{Tokens: 12_000})
	sent := partOf(dir, PartUntracked, report.Manifest.Sent)
	assert.Contains(t, sent, "zz.go")
	assert.Equal(t, map[string]string{"a.go": ""}, partOf(dir, "unstaged", report.Manifest.Sent), "whole")
	assert.Contains(t, partOf(dir, PartUntracked, report.Manifest.LeftOut)[dir], "there are 51 more new files")
	assert.LessOrEqual(t, providers.EstimateTokens(reportText(report)), 12_500)
	assert.NotEmpty(t, partOf(dir, PartUntracked, report.Manifest.Cut))

	// One huge change leaves room for the new file, and one huge new file for the change.
	write(t, strings.Repeat("a line that is changed\n", 50_000), dir, "a.go")
	require.NoError(t, os.RemoveAll(dir+"/node_modules"))
	report = inspect(t, newWorkspace(t, dir), GitQuery{Tokens: 3_000})
	assert.Contains(t, partOf(dir, PartUntracked, report.Manifest.Sent), "zz.go")
	write(t, lines(10), dir, "a.go")
	write(t, strings.Repeat("a line that is new\n", 500_000), dir, "zz.go")
	report = inspect(t, newWorkspace(t, dir), GitQuery{Tokens: 3_000})
	cut := partOf(dir, PartUntracked, report.Manifest.Cut)
	assert.Contains(t, cut["zz.go"], "the first ")
	assert.Contains(t, reportText(report), fmt.Sprintf("bytes of a file of %d]", 500_000*len("a line that is new\n")))
	assert.Contains(t, partOf(dir, "unstaged", report.Manifest.Sent), "a.go")
}
