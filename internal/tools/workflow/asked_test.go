package workflow_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// A preview of a review has the request in which the expert would judge what the caller reports.
func TestPreviewOfBothTurns(t *testing.T) {
	l := newFixture(t, asktest.Says("never"))
	out, text := l.try(t.Context(), "codereview", l.step("codereview", 1, 1, "preview", true, "relevant_files", []string{l.file("window.go", source)}))
	assert.Len(t, out["models"], 2)
	assert.Contains(t, text, "The second request also carries the first one's answer, whose length is not known.")
	out, text = l.try(t.Context(), "codereview", l.step("codereview", 1, 1, "preview", true, "findings", "", "relevant_files", []string{"window.go"}))
	assert.Len(t, out["models"], 1, "nothing is reported")
	assert.NotContains(t, text, "second request")
	out, _ = l.try(t.Context(), "debug", l.step("debug", 1, 1, "preview", true, "relevant_files", []string{"window.go"}))
	assert.Len(t, out["models"], 1, "one that is told everything at once")
	assert.Zero(t, l.asked())
}

// An expert is shown the paths that its diffs and functions have: those below the work tree, however the caller wrote them.
func TestPromptNamesFilesBelowTheWorkTree(t *testing.T) {
	l := newFixture(t, asktest.Says(expertSays()))
	l.repository()
	l.file("sub/other.go", "package sub\n")
	named := []string{l.dir + "/window.go", "./sub/other.go", "gone.go"}
	for tool, title := range map[string]string{"debug": "Files that the agent calls relevant", "codereview": "Files to judge"} {
		l.call(tool, l.step(tool, 1, 1, "relevant_files", named))
		assert.Contains(t, l.prompt(), "## "+title+"\n- window.go\n- sub/other.go\n- gone.go\n", tool)
	}
}

// An expert sees what other tools' steps and experts said in its conversation; of its own run, which its prompt tells, it sees
// the answers to earlier steps.
func TestExpertSeesOtherTools(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, fails(providers.Error{Kind: providers.KindBalance, Message: "empty"}))
		window := l.file("window.go", source)
		id := l.call("planner", plan(1, 3))["continuation_id"]
		thought := l.step("thinkdeep", 1, 1, "continuation_id", id, "step", "THOUGHT-7")
		require.Equal(t, "analysis_error", at(l.call("thinkdeep", thought), "expert_analysis", "status"))
		l.glm = asktest.Says("DEEP-7 is so.")
		l.call("thinkdeep", thought) // asked again: question and answer stand behind the step
		l.glm = asktest.Says(expertSays())
		l.call("debug", l.step("debug", 1, 2, "continuation_id", id, "relevant_files", []string{window}))
		l.call("debug", l.step("debug", 2, 2, "continuation_id", id))
		messages := l.requests[len(l.requests)-1].Messages
		before := fmt.Sprint(messages[:len(messages)-1])
		assert.Contains(t, before, "planner, step 1 of 3: Part 1.")
		assert.Contains(t, before, "thinkdeep, step 1 of 1: THOUGHT-7")
		assert.Contains(t, before, "DEEP-7 is so.")
		assert.NotContains(t, before, "debug, step 1 of 2", "its prompt tells")
	})
}

// An expert that is asked again does not see what had arrived of the answer that was cut.
func TestExpertDoesNotSeeItsCutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, slowly(90, "CUT-7 "+expertSays(finding("high", "window.go", 4))))
		args := l.step("debug", 1, 1, "relevant_files", []string{l.file("window.go", source)})
		args["continuation_id"] = l.call("debug", args)["continuation_id"]
		l.restart() // ends the answer
		l.glm = asktest.Says(expertSays())
		done := l.call("debug", args)
		assert.Equal(t, "analysis_complete", at(done, "expert_analysis", "status"))
		assert.True(t, noteIn(done, "its expert had not finished: only the expert was asked again"))
		assert.NotContains(t, fmt.Sprint(l.requests[1].Messages), "CUT-7")
		assert.Len(t, l.requests[1].Messages, 2)
	})
}

// A request that no vendor has seen was wrong in the call, so the call fails; one that the vendor refuses costs the expert's
// answer alone.
func TestWhoseFaultAFailureIs(t *testing.T) {
	for name, c := range map[string]struct {
		failure providers.Error
		code    string // of the call; "" where the step stands
	}{
		"refused by status": {providers.Error{Kind: providers.KindInvalidRequest, HTTPStatus: 400}, ""},
		"refused by code":   {providers.Error{Kind: providers.KindInvalidRequest, VendorCode: "1210"}, ""},
		"too large for it":  {providers.Error{Kind: providers.KindTooLarge, HTTPStatus: 413}, ""},
		"never sent":        {providers.Error{Kind: providers.KindInvalidRequest}, "invalid_request"},
		"too large to send": {providers.Error{Kind: providers.KindTooLarge}, "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			c.failure.Message = "No."
			l := newFixture(t, fails(c.failure))
			l.repository()
			reply, text := l.try(t.Context(), "precommit", l.step("precommit", 1, 1))
			kept, err := l.store.List(t.Context(), conversation.Filter{})
			require.NoError(t, err)
			if c.code != "" {
				assert.Equal(t, c.code, at(reply, "error", "code"), text)
				assert.Empty(t, kept)
				return
			}
			assert.Equal(t, "analysis_error", at(reply, "expert_analysis", "status"), text)
			assert.Equal(t, string(c.failure.Kind), at(reply, "expert_analysis", "error", "code"))
			assert.Equal(t, "reference_only", at(reply, "file_context", "type"))
			assert.Equal(t, "The expert did not answer, so no file counts as read.", at(reply, "file_context", "note"))
			assert.Equal(t, l.dir, at(reply, "file_context", "repositories", 0, "path"))
			assert.Len(t, kept, 1)
		})
	}
}

// A call that is cancelled before its expert has said anything stores nothing.
func TestCancelledBeforeAWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, silent)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(10 * time.Second)
			cancel()
		}()
		reply, _ := l.try(ctx, "debug", l.step("debug", 1, 1, "relevant_files", []string{l.file("window.go", source)}))
		assert.Equal(t, "error", reply["status"])
		kept, err := l.store.List(t.Context(), conversation.Filter{})
		require.NoError(t, err)
		assert.Empty(t, kept)
	})
}

// Where experts read nothing by themselves, one whose tool searches by default searches only if it is given no file and no
// picture; a search that the caller asks for stands.
func TestSearchesOfExpertsThatReadNothing(t *testing.T) {
	l := newFixture(t, asktest.Says("fine"), func(l *fixture) { l.cfg.Expert.Reads = config.ReadsOff })
	window := l.file("window.go", source)
	offered := func(args ...any) []string {
		l.call("thinkdeep", l.step("thinkdeep", 1, 1, args...))
		return functionsOf(l.requests[len(l.requests)-1])
	}
	assert.Equal(t, []string{"web_search"}, offered())
	assert.Empty(t, offered("relevant_files", []string{window}))
	assert.Empty(t, offered("images", []string{onePixel}))
	assert.Empty(t, offered("images", []string{onePixel}, "relevant_files", []string{window}))
	assert.Equal(t, []string{"web_search"}, offered("relevant_files", []string{window}, "use_websearch", true))
}

// The second turn of an expert that went on in the background goes on from what that has read.
func TestLateSecondTurnHasWhatWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, inTurns(readingModel(70, expertSays(), []string{`read_file {"path":"caller.go"}`}), secondTurnAnswer("ISSUE-7 ends too soon", "wrong")))
		l.secondTurns = true
		l.file("caller.go", "package a // CALLER-7\n")
		l.file("window.go", source)
		l.commitAll()
		part := l.call("codereview", l.step("codereview", 1, 1, append([]any{"relevant_files", []string{"window.go"}}, told...)...))
		assert.Equal(t, "partial", at(part, "expert_analysis", "status"))
		time.Sleep(2 * time.Minute)
		require.Equal(t, 3, l.asked())
		last := l.requests[len(l.requests)-1]
		require.True(t, isSecondTurn(last))
		assert.Equal(t, 1, rounds(last))
		assert.True(t, strings.Contains(fmt.Sprint(last.Messages), "CALLER-7"))
	})
}
