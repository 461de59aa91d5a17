package workflow_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// covered is a reply's coverage, by file relative to the fixture's folder.
func (l *fixture) covered(reply dict) map[string]string {
	l.t.Helper()
	how := map[string]string{}
	list, _ := reply["coverage"].([]any)
	for _, c := range list {
		how[strings.TrimPrefix(at(c, "file").(string), l.dir+"/")] = at(c, "how").(string)
	}
	return how
}

// The expert of a precommit gets the changed files whole, their diffs with line numbers, and the last commits' subjects; what
// no review is about is skipped.
func TestPrecommitCoverage(t *testing.T) {
	l := newFixture(t, asktest.Says(expertSays()))
	l.repository()
	l.file("支付.go", "package window // 一个新文件\n")
	l.file("go.sum", "example.org/x v1\n")
	done := l.call("precommit", l.step("precommit", 1, 1))
	assert.Equal(t, map[string]string{"window.go": "whole", "支付.go": "diff", "go.sum": "skipped"}, l.covered(done))
	assert.Equal(t, "pass", done["verdict"], done["verdict_reason"])
	for _, part := range []string{
		"Last commits, the newest first:\n- first\n", "   4|-\tfor i := 0; i < len(n)-1; i++ {\n   4|+\tfor i := 0; i < len(n); i++ {\n",
		"   4| \tfor i := 0; i < len(n); i++ {\n", "+++ b/支付.go\n", "   1|+package window // 一个新文件\n",
	} {
		assert.Contains(t, l.prompt(), part)
	}
	assert.NotContains(t, l.prompt(), "example.org/x")

	// As the diff or the folder spells it.
	for _, name := range []string{"b/支付.go", `"b/\346\224\257\344\273\230.go"`, l.dir + "/支付.go"} {
		l.glm = asktest.Says(expertSays(dict{"severity": "high", "file": name, "line": 1, "title": "A name", "quote": "package window // 一个新文件"}))
		done = l.call("precommit", l.step("precommit", 1, 1))
		assert.Equal(t, "verified", at(done, "expert_analysis", "findings", 0, "citation"), name)
		assert.Equal(t, l.dir+"/支付.go", at(done, "expert_analysis", "findings", 0, "file"))
		assert.Equal(t, "changes_required", done["verdict"])
	}
	l.glm = asktest.Says(expertSays(dict{"severity": "high", "file": "window.go", "line": 4, "title": "Gone", "quote": "for i := 0; i < len(n)-1; i++ {"}))
	done = l.call("precommit", l.step("precommit", 1, 1))
	assert.Equal(t, "verified", at(done, "expert_analysis", "findings", 0, "citation"), "a removed line")
}

// Names that can't be printed stand with escapes in a diff, and may be cited either way.
func TestPrecommitOfUnprintableNames(t *testing.T) {
	l := newFixture(t, asktest.Says(expertSays()))
	l.repository()
	l.file("two\ttabs\t.go", "package window // with tabs\n")
	done := l.call("precommit", l.step("precommit", 1, 1))
	assert.Equal(t, map[string]string{"window.go": "whole", "two\ttabs\t.go": "diff"}, l.covered(done))
	assert.Equal(t, "pass", done["verdict"], done["verdict_reason"])
	for _, name := range []string{"two\ttabs\t.go", `two\ttabs\t.go`, `b/two\ttabs\t.go`} {
		l.glm = asktest.Says(expertSays(dict{"severity": "high", "file": name, "line": 1, "title": "A name", "quote": "package window // with tabs"}))
		done = l.call("precommit", l.step("precommit", 1, 1))
		assert.Equal(t, "verified", at(done, "expert_analysis", "findings", 0, "citation"), name)
		assert.Equal(t, l.dir+"/two\ttabs\t.go", at(done, "expert_analysis", "findings", 0, "file"))
		done = l.call("codereview", l.step("codereview", 1, 1, "relevant_files", []string{"two\ttabs\t.go"}))
		assert.Equal(t, "verified", at(done, "expert_analysis", "findings", 0, "citation"), name)
	}
}

// A change of what no review is about alone is nothing to review.
func TestPrecommitOfSkippedFilesAlone(t *testing.T) {
	l := newFixture(t, asktest.Says(expertSays()))
	l.repository()
	l.git("add", ".")
	l.git("commit", "-q", "-m", "second")
	l.file("go.sum", "example.org/x v1\n")
	l.file("app.min.js", "x\n")
	done := l.call("precommit", l.step("precommit", 1, 1, "issues_found", []dict{{"severity": "high", "description": "x"}}))
	assert.Equal(t, "nothing_to_review", done["status"])
	assert.Equal(t, "pass", done["verdict"])
	assert.Contains(t, done["verdict_reason"], "go.sum (lock file)")
	assert.Equal(t, map[string]string{"go.sum": "skipped", "app.min.js": "skipped"}, l.covered(done))
	assert.Zero(t, l.asked())
}

// A review that did not see all that was changed, or named, does not pass.
func TestUncoveredFilesAreInconclusive(t *testing.T) {
	l := newFixture(t, asktest.Says(expertSays()))
	l.repository()
	big := l.file("big.go", strings.Repeat("var changed = 1 // a line of a large new file\n", 8_000))
	done := l.call("precommit", l.step("precommit", 1, 1, "model", "glm-4.5v"))
	assert.Equal(t, "inconclusive", done["verdict"])
	assert.Contains(t, done["verdict_reason"], big)
	assert.Equal(t, "part", l.covered(done)["big.go"])
	assert.Contains(t, []string{"whole", "diff"}, l.covered(done)["window.go"], "the rest was seen")

	l.file("notes.pdf", "%PDF-1.4\n\x00\x01")
	args := l.step("codereview", 1, 1, "relevant_files", []string{"window.go", "big.go", "notes.pdf", "gone.go"}, "model", "glm-4.5v")
	done = l.call("codereview", args)
	assert.Equal(t, "inconclusive", done["verdict"])
	assert.Equal(t, map[string]string{"window.go": "whole", "big.go": "part", "notes.pdf": "skipped", "gone.go": "skipped"}, l.covered(done))
	l.restart()
	again := l.call("codereview", with(args, "continuation_id", done["continuation_id"]))
	assert.Equal(t, done["coverage"], again["coverage"])

	done = l.call("codereview", with(args, "relevant_files", []string{"window.go", "notes.pdf"}))
	assert.Equal(t, "pass", done["verdict"], "binary files don't count")

	l.glm = asktest.Says(expertSays(finding("high", "window.go", 4), dict{"severity": "high", "file": "staged.go", "line": 1, "title": "x", "quote": "package window"}))
	l.file("staged.go", "package window // never sent\n")
	done = l.call("codereview", with(args, "relevant_files", []string{"window.go"}))
	assert.Equal(t, "unproven", at(done, "expert_analysis", "findings", 0, "citation"), "an invented line")
	assert.Equal(t, "not_read", at(done, "expert_analysis", "findings", 1, "citation"), "a file that was never sent")
	assert.Equal(t, "inconclusive", done["verdict"])
	assert.Contains(t, done["verdict_reason"], "2 findings of medium severity or above without proof")
}
