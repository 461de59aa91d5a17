package workflow_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
)

// git runs git in the fixture's folder.
func (l *fixture) git(args ...string) string {
	l.t.Helper()
	return gittest.Run(l.t, l.dir, args...)
}

// repository makes a git repository of the folder, with one commit and a file that has changed since.
func (l *fixture) repository() string {
	l.git("init", "-q", "-b", "main")
	l.file("window.go", source)
	l.git("add", ".")
	l.git("commit", "-q", "-m", "first")
	return l.file("window.go", strings.Replace(source, "len(n)-1", "len(n)", 1))
}

// precommit reads a real repository itself: status and diffs, staged, unstaged and against a branch.
func TestPrecommitInspectsGit(t *testing.T) {
	l := newFixture(t, asktest.Says(expertSays(finding("low", "window.go", 4))))
	l.repository()
	l.file("staged.go", "package window // staged\n")
	l.git("add", "staged.go")
	l.file(".env", "KEY=secret-value")
	l.git("add", "-f", ".env")
	l.file("fresh.go", "package window // fresh\n")

	first := l.call("precommit", l.step("precommit", 1, 2))
	assert.Equal(t, "pause_for_validation", first["status"])
	assert.True(t, noteIn(first, "the first project folder is looked at"))
	assert.Equal(t, l.dir, at(first, "file_context", "repositories", 0, "path"))
	assert.Equal(t, "main", at(first, "file_context", "repositories", 0, "branch"))
	var changed []any
	for _, c := range at(first, "file_context", "repositories", 0, "changes").([]any) {
		changed = append(changed, at(c, "path").(string)[len(l.dir)+1:]+" "+at(c, "state").(string))
	}
	assert.ElementsMatch(t, []any{"window.go  M", "staged.go A ", ".env A ", "fresh.go ??"}, changed)

	done, text := l.try(t.Context(), "precommit", l.step("precommit", 2, 2, "continuation_id", first["continuation_id"]))
	assert.Equal(t, "validation_complete", done["status"], text)
	assert.Equal(t, "inconclusive", done["verdict"], ".env is changed and was not read")
	assert.Contains(t, done["verdict_reason"], "/.env")
	assert.Equal(t, "verified", at(done, "expert_analysis", "findings", 0, "citation"))
	assert.Equal(t, "partially_embedded", at(done, "file_context", "type"), ".env was cut out")
	prompt := l.prompt()
	for _, part := range []string{"-\tfor i := 0; i < len(n)-1; i++ {", "+\tfor i := 0; i < len(n); i++ {", "+package window // staged", "+package window // fresh", "Branch: main"} {
		assert.Contains(t, prompt, part)
	}
	assert.NotContains(t, prompt, "secret-value")
	assert.Contains(t, prompt, ".env: not given")

	for name, c := range map[string]struct {
		args      []any
		has, lack string
	}{
		"staged alone":         {[]any{"include_unstaged", false}, "// staged", "len(n); i++"},
		"staged without new":   {[]any{"include_unstaged", false}, "// staged", "// fresh"},
		"unstaged alone":       {[]any{"include_staged", false}, "len(n); i++", "// staged"},
		"a new file once":      {[]any{"relevant_files", []string{filepath.Join(l.dir, "fresh.go")}}, "+package window // fresh", "1| package window // fresh"},
		"a new file, relative": {[]any{"relevant_files", "fresh.go"}, "+package window // fresh", "1| package window // fresh"},
		"against a commit":     {[]any{"compare_to", "HEAD"}, "len(n); i++", "secret-value"},
		"a folder and a focus": {[]any{"path", l.dir, "focus_on", "the loop"}, "focus: the loop", "No path was named"},
	} {
		t.Run(name, func(t *testing.T) {
			l.call("precommit", l.step("precommit", 1, 1, c.args...))
			assert.Contains(t, l.prompt(), c.has)
			assert.NotContains(t, l.prompt(), c.lack)
		})
	}
}

// A large diff and large files share the room that the model has.
func TestPrecommitFitsTheWindow(t *testing.T) {
	l := newFixture(t, asktest.Says(expertSays()))
	big := l.file("big.go", strings.Repeat("var other = 1 // a line of a large file\n", 8_000))
	l.repository()
	l.file("window.go", strings.Repeat("var changed = 1 // a line of a large change\n", 8_000))
	done := l.call("precommit", l.step("precommit", 1, 1, "relevant_files", []string{big}, "model", "glm-4.5v"))
	assert.Len(t, at(done, "file_context", "manifest", "cut"), 2)
	assert.Less(t, providers.EstimateTokens(l.prompt()), 65_536*3/5)
	assert.Contains(t, l.prompt(), "var changed")
	assert.Contains(t, l.prompt(), "var other")
}

// What can't be inspected is refused where it is named, not three steps later.
func TestPrecommitRefuses(t *testing.T) {
	l := newFixture(t, asktest.Says(expertSays()))
	l.repository()
	for name, c := range map[string]struct {
		args []any
		code string
	}{
		"a branch that is none":     {[]any{"compare_to", "no-such-branch"}, "invalid_request"},
		"an option for a branch":    {[]any{"compare_to", "--output=/tmp/x"}, "invalid_request"},
		"a folder outside":          {[]any{"path", "/etc"}, "path_denied"},
		"a folder that isn't there": {[]any{"path", "nowhere"}, "file_not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.code, l.errorCode("precommit", l.step("precommit", 1, 3, c.args...)))
			assert.Equal(t, c.code, l.errorCode("precommit", l.step("precommit", 1, 1, c.args...)))
		})
	}
	assert.Zero(t, l.asked())
}

// What was asked of git explains why there is nothing to review.
func TestPrecommitSaysWhyThereIsNothing(t *testing.T) {
	l := newFixture(t, asktest.Says(expertSays()))
	l.repository()
	done := l.call("precommit", l.step("precommit", 1, 1, "include_unstaged", false))
	assert.Equal(t, "nothing_to_review", done["status"])
	assert.Contains(t, done["verdict_reason"], "no staged change that could be reviewed, and include_unstaged is false")
	done = l.call("precommit", l.step("precommit", 1, 1, "include_unstaged", false, "include_staged", false))
	assert.Contains(t, at(done, "expert_analysis", "reason"), "include_staged and include_unstaged are both false")
	assert.Equal(t, "inconclusive", done["verdict"], "git was asked for nothing")
	l.git("add", ".")
	done = l.call("precommit", l.step("precommit", 1, 1, "include_staged", false))
	assert.Contains(t, done["verdict_reason"], "no unstaged change that could be reviewed, and include_staged is false")
	assert.Zero(t, l.asked())
}

// Where git has nothing to say, no expert is asked, unless there are files to judge.
func TestPrecommitWithoutAChange(t *testing.T) {
	for name, prepare := range map[string]func(l *fixture){
		"clean": func(l *fixture) {
			l.repository()
			l.git("add", ".")
			l.git("commit", "-q", "-m", "second")
		},
		"no repository": func(l *fixture) { l.file("window.go", source) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newFixture(t, asktest.Says(expertSays()))
			prepare(l)
			first := l.call("precommit", l.step("precommit", 1, 2))
			assert.Equal(t, "pause_for_validation", first["status"])
			done := l.call("precommit", l.step("precommit", 2, 2, "continuation_id", first["continuation_id"]))
			if name == "clean" {
				assert.Equal(t, "nothing_to_review", done["status"])
				assert.Equal(t, "pass", done["verdict"])
				assert.Contains(t, done["verdict_reason"], "no change")
				assert.NotContains(t, done, "expert_analysis")
			} else {
				assert.Equal(t, "validation_complete", done["status"])
				assert.Equal(t, "skipped", at(done, "expert_analysis", "status"))
				assert.Equal(t, "inconclusive", done["verdict"])
			}
			assert.NotNil(t, done["complete_validation"])
			assert.Zero(t, l.asked())

			done = l.call("precommit", l.step("precommit", 1, 1, "relevant_files", []string{"window.go"}))
			assert.Equal(t, "analysis_complete", at(done, "expert_analysis", "status"))
			assert.Equal(t, "pass", done["verdict"])
		})
	}
}
