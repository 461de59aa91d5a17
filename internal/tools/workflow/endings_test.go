package workflow_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// Git is asked at the first step and at the last one, not at those between.
func TestGitIsAskedAtTheFirstStep(t *testing.T) {
	l := newFixture(t, nil)
	l.repository()
	first := l.call("precommit", l.step("precommit", 1, 3))
	assert.NotNil(t, at(first, "file_context", "repositories"))
	second := l.call("precommit", l.step("precommit", 2, 3, "continuation_id", first["continuation_id"]))
	assert.Nil(t, at(second, "file_context", "repositories"))
	assert.False(t, noteIn(second, "No path was named"))
}

// An expert that was given no file, and read none, proves nothing.
func TestAReviewWithoutAFileIsInconclusive(t *testing.T) {
	l := newFixture(t, asktest.Says(expertSays()))
	args := l.step("codereview", 1, 1, "issues_found", []dict{{"severity": "low", "description": "a name"}})
	done := l.call("codereview", args)
	assert.Equal(t, 1, l.asked())
	assert.Equal(t, "inconclusive", done["verdict"])
	assert.Contains(t, done["verdict_reason"], "read no file")
	done = l.call("codereview", with(args, "relevant_files", []string{l.file("window.go", source)}))
	assert.Equal(t, "pass", done["verdict"], "one is enough")
}

// An expert that wants what is not there leaves the files to the caller, also where the step named none.
func TestNextCallWithoutFiles(t *testing.T) {
	l := newFixture(t, asktest.Says(`{"status": "files_required_to_continue", "files_needed": ["nowhere.go"]}`))
	paused := l.call("thinkdeep", l.step("thinkdeep", 1, 5, "next_step_required", false))
	assert.Equal(t, "files_required_to_continue", paused["status"])
	next := l.nextCall(paused)
	assert.NotContains(t, next, "relevant_files")
	assert.Equal(t, false, next["next_step_required"], "the expert is asked again, however many steps were announced")
	assert.Len(t, paused["required_actions"], 2)
	assert.Contains(t, paused["next_steps"], "the expert asks for files")
}

// The filter says what it hides, and leaves an answer without findings as it is.
func TestSeverityFilterHidesOnlyFindings(t *testing.T) {
	l := newFixture(t, asktest.Says("It is fine."))
	args := l.step("codereview", 1, 1, "relevant_files", []string{l.file("window.go", source)}, "severity_filter", "high")
	done := l.call("codereview", args)
	assert.Equal(t, "It is fine.", at(done, "expert_analysis", "raw_analysis"))
	assert.NotContains(t, done["expert_analysis"], "findings")
	assert.False(t, noteIn(done, "severity_filter"), "nothing is hidden")

	l.glm = asktest.Says(expertSays(finding("high", "window.go", 4), finding("low", "window.go", 4)))
	done = l.call("codereview", args)
	assert.Len(t, at(done, "expert_analysis", "findings"), 1)
	assert.True(t, noteIn(done, "severity_filter=high leaves out 1 finding of lower severity."))
	l.glm = asktest.Says(expertSays(finding("high", "window.go", 4)))
	assert.False(t, noteIn(l.call("codereview", args), "severity_filter"))
}

// Only the turn of a blind expert's question is free of what the caller found: later blind experts see it, and no other.
func TestBlindTurnsAreMarked(t *testing.T) {
	for name, c := range map[string]struct {
		tool  string
		more  []any
		blind bool
	}{
		"a blind expert":             {"codereview", nil, true},
		"an expert that sees all":    {"debug", nil, false},
		"a blind one, not asked":     {"codereview", []any{"use_assistant_model", false}, false},
		"none, and not blind at all": {"debug", []any{"use_assistant_model", false}, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := newFixture(t, asktest.Says(expertSays()))
			done := l.call(c.tool, l.step(c.tool, 1, 1, append([]any{"relevant_files", []string{l.file("window.go", source)}}, c.more...)...))
			var kept struct{ Blind bool }
			require.NoError(t, json.Unmarshal(l.turnsOf(done["continuation_id"])[0].Meta, &kept))
			assert.Equal(t, c.blind, kept.Blind)
		})
	}
}
