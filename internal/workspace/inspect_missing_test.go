package workspace

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
)

// twoCommits makes a repository of two commits, and loses an object of the first one: a commit's file, or its tree.
func twoCommits(t *testing.T, dir, lost string) {
	t.Helper()
	gittest.Init(t, dir, map[string]string{"a.go": "one\n", "b.go": "other\n"})
	write(t, "two\n", dir, "a.go")
	gittest.Run(t, dir, "commit", "-q", "-am", "Second")
	id := gittest.Run(t, dir, "rev-parse", lost)
	require.NoError(t, os.Remove(filepath.Join(dir, ".git", "objects", id[:2], id[2:])))
}

// A repository whose diff can't be read says so, and never that nothing has changed.
func TestInspectWithoutAnObject(t *testing.T) {
	dir := tempDir(t)
	twoCommits(t, dir, "HEAD~1:a.go")
	write(t, "three\n", dir, "b.go")
	w := newWorkspace(t, dir)
	_, err := w.Inspect(t.Context(), GitQuery{CompareTo: "HEAD~1..HEAD", Tokens: 1000})
	requireCode(t, CodeInvalid, err)
	assert.ErrorContains(t, err, "git could not inspect")
	assert.Contains(t, reportText(inspect(t, w, GitQuery{})), "+three", "of the last commit nothing is missing")

	// Beside one that can be read it is what was not read.
	inner := filepath.Join(dir, "inner")
	gittest.Init(t, inner, map[string]string{"c.go": "one\n"})
	gittest.Run(t, inner, "commit", "-q", "--allow-empty", "-m", "Second")
	report := inspect(t, w, GitQuery{CompareTo: "HEAD~1..HEAD"})
	require.Len(t, report.Repositories, 2)
	assert.NotEmpty(t, report.Repositories[0].Problem)
	assert.Empty(t, report.Repositories[1].Problem)
	assert.Equal(t, []ChangedFile{{Path: dir, From: dir, Unread: report.Repositories[0].Problem}}, report.Changed)
}

// git would fetch what a partial clone lacks; here the answer is how to get it. What is uncommitted can be read without it.
func TestInspectAPartialClone(t *testing.T) {
	for _, c := range []struct{ lost, name, value string }{
		{"HEAD~1:a.go", "extensions.partialClone", "origin"},
		{"HEAD~1^{tree}", "remote.origin.promisor", "true"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tempDir(t)
			twoCommits(t, dir, c.lost)
			gittest.Run(t, dir, "config", c.name, c.value)
			write(t, "three\n", dir, "a.go")
			w := newWorkspace(t, dir)
			_, err := w.Inspect(t.Context(), GitQuery{CompareTo: "HEAD~1..HEAD", Tokens: 1000})
			requireCode(t, CodeInvalid, err)
			assert.ErrorContains(t, err, "is a partial clone that lacks files of these commits")
			report := inspect(t, w, GitQuery{})
			assert.Contains(t, reportText(report), "+three")
			assert.Empty(t, changesOf(report, dir)["a.go"].Unread)
		})
	}
}

// A conflict of which git shows no diff, since one side deletes the file, is not read.
func TestInspectAConflictWithoutADiff(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir, map[string]string{"a.go": "one\n"})
	gittest.Run(t, dir, "checkout", "-q", "-b", "other")
	gittest.Run(t, dir, "rm", "-q", "a.go")
	gittest.Run(t, dir, "commit", "-q", "-m", "Remove")
	gittest.Run(t, dir, "checkout", "-q", "main")
	write(t, "two\n", dir, "a.go")
	gittest.Run(t, dir, "commit", "-q", "-am", "Change")
	gittest.Run(t, dir, "-c", "alias.try=!git merge other || true", "try")
	report := inspect(t, newWorkspace(t, dir), GitQuery{})
	assert.Equal(t, "UD", report.Repositories[0].Changes[0].State)
	assert.Equal(t, "git shows no diff of its conflict; resolve it first", changesOf(report, dir)["a.go"].Unread)
}

// Text in UTF-16 is binary for git. Its change is then unknown, unless the file is new.
func TestInspectUTF16(t *testing.T) {
	dir := tempDir(t)
	text := func(s string) string {
		out := "\xff\xfe"
		for _, c := range []byte(s) {
			out += string([]byte{c, 0})
		}
		return out
	}
	gittest.Init(t, dir, map[string]string{"a.rc": text("one\n"), "a.png": "\x89PNG\r\n\x1a\n\x00\x00"})
	write(t, text("two\n"), dir, "a.rc")
	write(t, text("new\n"), dir, "new.rc")
	write(t, "\x89PNG\r\n\x1a\n\x00\x01", dir, "a.png")
	gittest.Run(t, dir, "add", "-A")
	changed := changesOf(inspect(t, newWorkspace(t, dir), GitQuery{}), dir)
	assert.Equal(t, ChangedFile{Unread: reasonUTF16, Current: true}, bare(changed["a.rc"]))
	assert.Equal(t, ChangedFile{Unread: reasonUTF16, Current: true, New: true}, bare(changed["new.rc"]))
	assert.Equal(t, ChangedFile{Skipped: "binary", Current: true}, bare(changed["a.png"]))
}

// bare is a changed file without its names.
func bare(c ChangedFile) ChangedFile {
	c.Path, c.From = "", ""
	return c
}
