package workflow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// turnsOf are the turns of a conversation.
func (l *fixture) turnsOf(id any) []conversation.Turn {
	l.t.Helper()
	c, err := l.store.Load(l.t.Context(), id.(string))
	require.NoError(l.t, err)
	return c.Turns
}

// A blank prompt waits for whatever an expert still has to say, and has the step's final verdict.
func TestBlankPromptFetchesTheVerdict(t *testing.T) {
	second := secondTurnAnswer("ISSUE-7 ends too soon", "wrong", "ISSUE-8 no test", "wrong")
	for name, c := range map[string]struct {
		first    asktest.Chat
		verdict  string // of the call
		requests int
		twin     bool
	}{
		"the answer goes on":      {slowly(70, expertSays(finding("low", "window.go", 4))), "inconclusive", 2, false},
		"the second turn goes on": {slowly(48, expertSays(finding("low", "window.go", 4))), "changes_required", 2, false},
		"in another process":      {slowly(48, expertSays(finding("low", "window.go", 4))), "changes_required", 2, true},
		"nothing goes on":         {asktest.Says(expertSays(finding("low", "window.go", 4))), "pass", 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFixture(t, inTurns(c.first, func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
					time.Sleep(9 * time.Second)
					return second(ctx, req, on)
				}))
				l.secondTurns = true
				l.file("window.go", source)
				part := l.call("codereview", l.step("codereview", 1, 1, append([]any{"relevant_files", []string{"window.go"}}, told...)...))
				require.Equal(t, c.verdict, part["verdict"])
				process := l
				if c.twin {
					process = l.otherProcess()
				}
				got := process.call("chat", dict{"prompt": " ", "continuation_id": part["continuation_id"]})
				assert.Equal(t, "continuation_available", got["status"])
				assert.Equal(t, "pass", got["verdict"])
				assert.Equal(t, "wrong", at(got, "agent_findings", 0, "judgement"))
				assert.Equal(t, "whole", at(got, "coverage", 0, "how"))
				assert.Equal(t, "json", got["content_type"])
				var analysis dict
				require.NoError(t, json.Unmarshal([]byte(got["content"].(string)), &analysis))
				assert.Equal(t, "verified", at(analysis, "findings", 0, "citation"))
				assert.Equal(t, c.requests, l.asked())

				rest := process.call("chat", dict{"prompt": "", "continuation_id": part["continuation_id"], "offset": 2})
				assert.Equal(t, expertSays(finding("low", "window.go", 4))[2:], rest["content"], "offsets count in the answer as it was written")
				assert.NotContains(t, rest, "verdict")
			})
		})
	}
}

// A blank prompt does not wait longer than its call may, and says what it can of a step whose process has died.
func TestBlankPromptOfAnUnfinishedStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, inTurns(slowly(48, expertSays()), silent))
		l.secondTurns = true
		l.file("window.go", source)
		part := l.call("codereview", l.step("codereview", 1, 1, append([]any{"relevant_files", []string{"window.go"}}, told...)...))
		got := l.call("chat", dict{"prompt": "", "continuation_id": part["continuation_id"]})
		assert.Equal(t, "partial", at(got, "agent_findings", "status"))
		assert.Equal(t, "changes_required", got["verdict"])
	})
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, slowly(70, expertSays()), func(l *fixture) {
			l.store.Before = func(_ context.Context, op string) error {
				saves := l.store.Saves()
				if n := len(saves); n > 0 && op != "load" && saves[n-1].Role == providers.RoleAssistant && saves[n-1].Status == conversation.TurnComplete {
					return errors.New("killed") // once the answer is saved
				}
				return nil
			}
		})
		l.file("window.go", source)
		part := l.call("codereview", l.step("codereview", 1, 1, "relevant_files", []string{"window.go"}))
		time.Sleep(time.Minute)
		got := l.call("chat", dict{"prompt": "", "continuation_id": part["continuation_id"]})
		assert.Equal(t, "continuation_available", got["status"])
		assert.Equal(t, expertSays(), got["content"])
		assert.True(t, noteIn(got, "ended before it completed the step: send the step again"), "%v", got)
		assert.NotContains(t, got, "verdict")
	})
}

// The second turn is a part of the conversation, beside its line: later questions know it, other blind experts do not.
func TestSecondTurnIsKept(t *testing.T) {
	for name, first := range map[string]asktest.Chat{
		"in the call": asktest.Says(expertSays()), "behind it": slowly(48, expertSays()),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFixture(t, inTurns(first, secondTurnAnswer("ISSUE-7 ends too soon", "wrong")))
				l.secondTurns = true
				l.file("window.go", source)
				args := l.step("codereview", 1, 1, append([]any{"relevant_files", []string{"window.go"}}, told...)...)
				id := l.call("codereview", args)["continuation_id"]
				args["continuation_id"] = id
				time.Sleep(30 * time.Second)
				turns := l.turnsOf(id)
				require.Len(t, turns, 4)
				assert.Equal(t, l.requests[1].Messages[len(l.requests[1].Messages)-1].Content, turns[2].Content, "what was sent is stored")
				assert.Contains(t, turns[2].Content, "ISSUE-7")
				assert.Contains(t, turns[3].Content, `"judgement":"wrong"`)
				assert.Zero(t, turns[3].Usage, "it counts with the answer")
				assert.EqualValues(t, 20, turns[1].Usage.InputTokens)

				l.glm = asktest.Says(expertSays())
				l.call("chat", dict{"prompt": "Why is it wrong?", "continuation_id": id})
				assert.Contains(t, fmt.Sprint(l.requests[2].Messages), "ISSUE-7")
				assert.Contains(t, fmt.Sprint(l.requests[2].Messages), "window.go:4 decides it")
				l.call("secaudit", l.step("secaudit", 1, 1, "continuation_id", id, "relevant_files", []string{"window.go"}, "findings", ""))
				whole := fmt.Sprint(l.requests[3].Messages)
				assert.NotContains(t, whole, "ISSUE-7")
				assert.NotContains(t, whole, "window.go:4 decides it")
				before := l.asked()
				assert.Equal(t, "wrong", at(l.call("codereview", args), "agent_findings", 0, "judgement"))
				assert.Equal(t, before, l.asked())
			})
		})
	}
}

// A process that was killed in the second turn leaves to others what its expert had read: the quotes are still proven, and
// the second turn goes on from the same messages.
func TestAnotherProcessKnowsWhatWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dead atomic.Bool
		l := newFixture(t, asktest.Says(""), func(l *fixture) {
			l.store.Before = func(_ context.Context, op string) error {
				if dead.Load() && op != "load" {
					return errors.New("killed")
				}
				return nil
			}
		})
		l.file("caller.go", "package a\n\nfunc use() { window(nil) }\n")
		l.file("other.go", "package a\n\nvar limit = window(many)\n")
		big := "package a\n\n"
		for i := range 4000 {
			big += fmt.Sprintf("var numberOfWindows%04d = %d // a line of its own\n", i, i)
		}
		l.file("big.go", big)
		l.file("window.go", source)
		l.commitAll()
		answer := expertSays(
			with(finding("high", "caller.go", 3), "quote", "func use() { window(nil) }"),
			with(finding("low", "other.go", 3), "quote", "var limit = window(many)"),
			with(finding("low", "big.go", 1502), "quote", "var numberOfWindows1499 = 1499 // a line of its own"),
		)
		reads := readingModel(48, answer, []string{`search_files {"pattern":"= window\\("}`, `read_file {"path":"caller.go"}`}, []string{`git_show {"commit":"HEAD","path":"big.go","from":1490,"to":1510}`})
		l.glm = inTurns(reads, silent)
		l.secondTurns = true
		l.restart()
		args := l.step("codereview", 1, 1, append([]any{"relevant_files", []string{"window.go"}}, told...)...)
		part := l.call("codereview", args)
		require.Equal(t, "partial", at(part, "agent_findings", "status"))
		require.Equal(t, "verified", at(part, "expert_analysis", "findings", 2, "citation"))
		dead.Store(true) // nothing is saved any more, as by a process that was killed
		time.Sleep(12 * time.Second)
		l.mu.Lock()
		first := l.requests[len(l.requests)-1]
		l.mu.Unlock()
		l.close()
		l.close = func() {}
		dead.Store(false)
		other := l.otherProcess()
		other.glm = inTurns(silent, secondTurnAnswer("ISSUE-7 ends too soon", "wrong", "ISSUE-8 no test", "wrong"))
		done := other.call("codereview", with(args, "continuation_id", part["continuation_id"]))
		assert.Equal(t, "wrong", at(done, "agent_findings", 0, "judgement"))
		assert.Equal(t, part["expert_analysis"], done["expert_analysis"])
		assert.Equal(t, part["looked_at"], done["looked_at"])
		assert.Equal(t, part["coverage"], done["coverage"])
		assert.Equal(t, "changes_required", done["verdict"])
		require.Equal(t, 1, other.asked(), "the second turn alone")
		assert.Equal(t, first.Messages, other.requests[0].Messages, "the same messages")
		assert.Equal(t, first.Functions, other.requests[0].Functions)
	})
}
