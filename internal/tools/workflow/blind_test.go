package workflow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// blindTools judge before they are told what the caller found.
var blindTools = []string{"codereview", "precommit", "secaudit"}

// inTurns is a vendor whose first answer to a review is one, and whose second turn another.
func inTurns(first, second asktest.Chat) asktest.Chat {
	return func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		if isSecondTurn(req) {
			return second(ctx, req, on)
		}
		return first(ctx, req, on)
	}
}

// secondTurnAnswer is a second turn's answer, in pairs of a claim and a judgement.
func secondTurnAnswer(pairs ...string) asktest.Chat {
	list := []dict{}
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, dict{"claim": pairs[i], "judgement": pairs[i+1], "why": "window.go:4 decides it"})
	}
	text, err := json.Marshal(dict{"judgements": list})
	if err != nil {
		panic(err)
	}
	return asktest.Says(string(text))
}

// told is what the caller reports; none of it may reach an expert's first turn.
var told = []any{
	"findings", "FINDING-7 the loop is short.", "hypothesis", "HYPOTHESIS-7 off by one", "confidence", "medium", "relevant_context",
	[]string{"CONTEXT-7"},
	"issues_found",
	[]dict{{"severity": "high", "description": "ISSUE-7 ends too soon"}, {"severity": "medium", "description": "ISSUE-8 no test"}},
}

func TestBlindFirst(t *testing.T) {
	for _, tool := range blindTools {
		t.Run(tool, func(t *testing.T) {
			l := newFixture(t, inTurns(asktest.Says(expertSays()), secondTurnAnswer("ISSUE-7 ends too soon.", "wrong", "2. [MEDIUM] ISSUE-8 no test", "False", "FINDING-7 the loop is short.", "holds")))
			l.secondTurns = true
			l.repository()
			first := l.call(tool, l.step(tool, 1, 2, append([]any{"step", "TASK-7: review the window.", "relevant_files", []string{"window.go"}}, told...)...))
			done := l.call(tool, l.step(tool, 2, 2, "continuation_id", first["continuation_id"], "step", "TASK-8: now judge.", "findings", "FINDING-8 nothing more."))
			require.Equal(t, 2, l.asked())
			blind, told := l.requests[0], l.requests[1]
			whole := fmt.Sprint(blind)
			for _, secret := range []string{"FINDING-", "HYPOTHESIS-", "ISSUE-", "CONTEXT-", "medium):"} {
				assert.NotContains(t, whole, secret)
			}
			assert.Contains(t, whole, "TASK-7")
			assert.Contains(t, whole, "TASK-8")

			require.Len(t, told.Messages, len(blind.Messages)+2)
			assert.Equal(t, blind.Messages, told.Messages[:len(blind.Messages)], "appended to the same messages")
			assert.Equal(t, expertSays(), told.Messages[len(blind.Messages)].Content)
			for _, part := range []string{"1. [HIGH] ISSUE-7 ends too soon", "ISSUE-8 no test", "FINDING-7", "FINDING-8", "HYPOTHESIS-7", "CONTEXT-7"} {
				assert.Contains(t, told.Messages[len(told.Messages)-1].Content, part)
			}
			assert.Equal(t, 8192, told.MaxOutputTokens)
			assert.Equal(t, "low", told.Thinking.Effort)
			assert.Equal(t, blind.Functions, told.Functions, "listed as before, for the vendor's cache; none is run")

			assert.Equal(t, []any{
				dict{"claim": "ISSUE-7 ends too soon", "judgement": "wrong", "why": "window.go:4 decides it"},
				dict{"claim": "ISSUE-8 no test", "judgement": "wrong", "why": "window.go:4 decides it"},
				dict{"claim": "FINDING-7 the loop is short.", "judgement": "holds", "why": "window.go:4 decides it"},
				dict{"claim": "FINDING-8 nothing more.", "judgement": "undecided", "why": "The expert did not judge it."},
				dict{"claim": "HYPOTHESIS-7 off by one", "judgement": "undecided", "why": "The expert did not judge it."},
			}, done["agent_findings"])
			assert.Equal(t, "pass", done["verdict"], "what the expert judged wrong decides nothing, and neither does the text in findings")
			assert.EqualValues(t, 20, at(done, "metadata", "usage", "input_tokens"), "both turns")

			// The next consultation of the run is as blind.
			l.call(tool, l.step(tool, 3, 3, "continuation_id", first["continuation_id"], "step", "TASK-9"))
			assert.NotContains(t, fmt.Sprint(l.requests[2]), "ISSUE-")
		})
	}
}

func TestVerdictAfterTheSecondTurn(t *testing.T) {
	for name, c := range map[string]struct {
		second  asktest.Chat
		verdict string
		status  string // of agent_findings, "" for a list
	}{
		"holds":            {secondTurnAnswer("ISSUE-7 ends too soon", "holds"), "changes_required", ""},
		"undecided":        {secondTurnAnswer("ISSUE-7 ends too soon", "undecided"), "changes_required", ""},
		"wrong":            {secondTurnAnswer("ISSUE-7 ends too soon", "wrong"), "pass", ""},
		"not mentioned":    {secondTurnAnswer(), "changes_required", ""},
		"prose":            {asktest.Says("They are right."), "changes_required", "not_judged"},
		"refused":          {fails(providers.Error{Kind: providers.KindBalance, Message: "The account is empty."}), "changes_required", "not_judged"},
		"another's format": {asktest.Says("```json\n[{\"claim\": 1, \"judgement\": \"Refuted\", \"why\": \"x\"}]\n```"), "pass", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFixture(t, inTurns(asktest.Says(expertSays()), c.second))
				l.secondTurns = true
				l.file("window.go", source)
				args := l.step("codereview", 1, 1, "relevant_files", []string{"window.go"}, "findings", "N/A",
					"issues_found", []dict{{"severity": "high", "description": "ISSUE-7 ends too soon"}})
				done := l.call("codereview", args)
				assert.Equal(t, c.verdict, done["verdict"])
				assert.Equal(t, "analysis_complete", at(done, "expert_analysis", "status"), "the first turn stands")
				if c.status != "" {
					assert.Equal(t, c.status, at(done, "agent_findings", "status"))
					assert.NotEmpty(t, at(done, "agent_findings", "reason"))
				} else {
					require.Len(t, done["agent_findings"], 1)
				}
				asked := l.asked()
				again := l.call("codereview", with(args, "continuation_id", done["continuation_id"]))
				assert.Equal(t, done["agent_findings"], again["agent_findings"])
				assert.Equal(t, asked, l.asked())
			})
		})
	}
}

// The limit of a call leaves the second turn out rather than failing the step.
func TestSecondTurnBeyondTheCallsLimit(t *testing.T) {
	dear := func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		resp, err := asktest.Says(expertSays())(ctx, req, on)
		resp.Usage.OutputTokens = 20_000 // 0.088 USD
		return resp, err
	}
	l := newFixture(t, dear, func(l *fixture) { l.cfg.Costs.PerCallUSD = 0.1 })
	l.secondTurns = true
	l.file("window.go", source)
	done := l.call("codereview", l.step("codereview", 1, 1, "relevant_files", []string{"window.go"}, "model", "glm-5.3",
		"issues_found", []dict{{"severity": "high", "description": "ISSUE-7 ends too soon"}}))
	assert.Equal(t, 1, l.asked(), "nothing more was sent")
	assert.Equal(t, "analysis_complete", at(done, "expert_analysis", "status"), "the first turn stands")
	assert.Equal(t, "not_judged", at(done, "agent_findings", "status"))
	assert.Contains(t, at(done, "agent_findings", "reason"), "MAX_COST_PER_CALL_USD=0.1 does not allow this request")
}

// Who reports nothing is not judged, and neither is who asks a tool that is told everything at once.
func TestNoSecondTurn(t *testing.T) {
	l := newFixture(t, asktest.Says(expertSays()))
	l.secondTurns = true
	l.file("window.go", source)
	done := l.call("codereview", l.step("codereview", 1, 1, "relevant_files", []string{"window.go"}, "findings", "", "issues_found", []any{"", dict{"severity": "high"}}))
	assert.NotContains(t, done, "agent_findings")
	assert.Equal(t, 1, l.asked())
	done = l.call("debug", l.step("debug", 1, 1, append([]any{"relevant_files", []string{"window.go"}}, told...)...))
	assert.NotContains(t, done, "agent_findings")
	assert.Equal(t, 2, l.asked())
	assert.Contains(t, l.prompt(), "ISSUE-7")
}

// A second turn that the call has no time for goes on behind it, and the same step fetches what it came to.
func TestSecondTurnGoesOn(t *testing.T) {
	second := secondTurnAnswer("ISSUE-7 ends too soon", "wrong", "ISSUE-8 no test", "wrong")
	late := func(seconds int) asktest.Chat {
		return func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			select {
			case <-time.After(time.Duration(seconds) * time.Second):
			case <-ctx.Done():
				return nil, &providers.Error{Kind: providers.KindNetwork, Message: "ended", Err: context.Cause(ctx)}
			}
			return second(ctx, req, on)
		}
	}
	for name, c := range map[string]struct {
		first, second asktest.Chat
		act           func(l *fixture) *fixture // before the step is sent again
		requests      int
	}{
		"too little time is left": {slowly(48, expertSays()), late(15), func(l *fixture) *fixture { return l }, 2},
		"it takes too long":       {slowly(28, expertSays()), late(29), func(l *fixture) *fixture { return l }, 2},
		"long over":               {slowly(48, expertSays()), late(15), func(l *fixture) *fixture { time.Sleep(time.Minute); return l }, 2},
		"in another process":      {slowly(48, expertSays()), late(15), func(l *fixture) *fixture { return l.otherProcess() }, 2},
		"its process has ended":   {slowly(48, expertSays()), late(15), func(l *fixture) *fixture { time.Sleep(time.Second); l.close(); l.glm = second; l.start(); return l }, 3},
		"the first turn was late": {slowly(70, expertSays()), late(15), func(l *fixture) *fixture { time.Sleep(25 * time.Second); return l }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				seen := &tracker{}
				l := newFixture(t, inTurns(c.first, c.second), withTracker(seen))
				l.secondTurns = true
				l.secondTurns = true
				l.file("window.go", source)
				args := l.step("codereview", 1, 1, append([]any{"relevant_files", []string{"window.go"}}, told...)...)
				part := l.call("codereview", args)
				if name == "the first turn was late" {
					assert.Equal(t, "partial", at(part, "expert_analysis", "status"))
				} else {
					assert.Equal(t, "analysis_complete", at(part, "expert_analysis", "status"))
					assert.Equal(t, "partial", at(part, "agent_findings", "status"))
					assert.Contains(t, at(part, "agent_findings", "note"), "Send this step again")
					assert.Equal(t, "changes_required", part["verdict"], "until then the caller's findings count")
				}
				args["continuation_id"] = part["continuation_id"]
				process := c.act(l)
				done := process.call("codereview", args)
				require.IsType(t, []any{}, done["agent_findings"], "%v", done)
				assert.Equal(t, "wrong", at(done, "agent_findings", 0, "judgement"))
				assert.Equal(t, "pass", done["verdict"])
				assert.Equal(t, c.requests, l.asked())
				assert.Len(t, seen.titles(), 1, "recorded once: %v", seen.titles())
				if name != "the first turn was late" { // whose usage is an estimate
					assert.EqualValues(t, 20, at(process.call("codereview", args), "metadata", "usage", "input_tokens"))
				}
			})
		})
	}
}

// A second turn whose process was killed is asked for again; one whose step is not stored is ended.
func TestSecondTurnIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		l := newFixture(t, inTurns(slowly(48, expertSays()), silent), func(l *fixture) {
			l.store.Before = func(_ context.Context, op string) error {
				if broken.Load() && op != "load" {
					return errors.New("disk full")
				}
				return nil
			}
		})
		l.secondTurns = true
		l.file("window.go", source)
		args := l.step("codereview", 1, 1, append([]any{"relevant_files", []string{"window.go"}}, told...)...)
		part := l.call("codereview", args)
		require.Equal(t, "partial", at(part, "agent_findings", "status"))
		broken.Store(true) // nothing is saved any more, as by a process that was killed
		time.Sleep(12 * time.Second)
		broken.Store(false)
		other := l.otherProcess()
		other.glm = inTurns(silent, secondTurnAnswer("ISSUE-7 ends too soon", "wrong"))
		broken.Store(true)
		l.close()
		l.close = func() {}
		broken.Store(false)
		done := other.call("codereview", with(args, "continuation_id", part["continuation_id"]))
		assert.Equal(t, "wrong", at(done, "agent_findings", 0, "judgement"))
		assert.Equal(t, 1, other.asked(), "the second turn alone")
	})
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, inTurns(slowly(48, expertSays()), silent), func(l *fixture) {
			l.store.Before = func(_ context.Context, op string) error { return errors.New("disk full") }
		})
		l.secondTurns = true
		l.file("window.go", source)
		part := l.call("codereview", l.step("codereview", 1, 1, append([]any{"relevant_files", []string{"window.go"}}, told...)...))
		assert.Equal(t, "not_judged", at(part, "agent_findings", "status"))
		assert.Equal(t, false, at(part, "metadata", "stored"))
	})
}

// A function that the second turn calls all the same is not run: it is told to conclude.
func TestSecondTurnRunsNothing(t *testing.T) {
	l := newFixture(t, nil)
	l.secondTurns = true
	l.glm = func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		switch last := req.Messages[len(req.Messages)-1]; {
		case isSecondTurn(req):
			return &providers.ChatResponse{FinishReason: providers.FinishToolCalls, ToolCalls: []providers.ToolCall{
				{ID: "call_1", Name: "read_file", Arguments: `{"path":"secret.go"}`},
			}}, nil
		case strings.Contains(last.Content, "No more function calls"):
			return secondTurnAnswer("ISSUE-7 ends too soon", "wrong")(ctx, req, on)
		}
		return asktest.Says(expertSays())(ctx, req, on)
	}
	l.restart()
	l.repository()
	l.file("secret.go", "package window // UNREAD\n")
	l.git("add", ".")
	done := l.call("codereview", l.step("codereview", 1, 1, append([]any{"relevant_files", []string{"window.go"}}, told...)...))
	assert.NotContains(t, fmt.Sprint(l.requests), "UNREAD")
	assert.Equal(t, "wrong", at(done, "agent_findings", 0, "judgement"), "%v", done["agent_findings"])
	assert.NotContains(t, done, "looked_at")
}

// Earlier turns of the conversation that show what the caller found are withheld with their answers, whatever tool they are
// of; others stay.
func TestBlindToEarlierTurns(t *testing.T) {
	l := newFixture(t, asktest.Says(expertSays()))
	l.secondTurns = true
	l.repository()
	id := l.call("chat", dict{"prompt": "HARMLESS-1: what is a window?"})["continuation_offer"].(dict)["continuation_id"]
	l.call("chat", dict{"prompt": "I think that FINDING-7 the loop is short. Right?", "continuation_id": id})
	l.glm = asktest.Says("DEBUGGED-1 because of the bound.")
	l.call("debug", l.step("debug", 1, 1, append([]any{"continuation_id", id, "relevant_files", []string{"window.go"}}, told...)...))
	l.glm = inTurns(asktest.Says(expertSays()), secondTurnAnswer("ISSUE-7 ends too soon", "holds"))
	before := l.asked()
	l.call("codereview", l.step("codereview", 1, 1, append([]any{"continuation_id", id, "relevant_files", []string{"window.go"}, "step", "TASK-7"}, told...)...))
	require.Equal(t, before+2, l.asked())
	whole := fmt.Sprint(l.requests[before].Messages)
	for _, secret := range []string{"FINDING-7", "HYPOTHESIS-7", "ISSUE-7", "CONTEXT-7", "DEBUGGED-1", "Right?"} {
		assert.NotContains(t, whole, secret)
	}
	assert.Contains(t, whole, "HARMLESS-1")
	assert.Contains(t, whole, "TASK-7")
}
