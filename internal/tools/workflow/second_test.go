package workflow_test

import (
	"context"
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

// reviewed is a fixture whose vendor has second turns, and the only step of a review of one file, with what the caller reports.
func reviewed(t *testing.T, glm asktest.Chat, set ...func(l *fixture)) (l *fixture, args dict) {
	l = newFixture(t, glm, set...)
	l.secondTurns = true
	l.file("window.go", source)
	return l, l.step("codereview", 1, 1, append([]any{"relevant_files", []string{"window.go"}}, told...)...)
}

// untilEnded is a vendor that says nothing, and says when it was given up.
func untilEnded(ended *atomic.Bool) asktest.Chat {
	return func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		defer ended.Store(true)
		return silent(ctx, req, on)
	}
}

// With ten seconds left, a call still waits for the second turn.
func TestSecondTurnInTheLastTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, args := reviewed(t, inTurns(slowly(43, expertSays()), secondTurnAnswer("ISSUE-7 ends too soon", "wrong")))
		assert.Equal(t, "wrong", at(l.call("codereview", args), "agent_findings", 0, "judgement"))
	})
}

// A call that is cancelled ends its second turn, and the step, sent again, has the expert judge once more.
func TestCancelledSecondTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Bool
		l, args := reviewed(t, inTurns(asktest.Says(expertSays()), untilEnded(&ended)))
		args["continuation_id"] = l.call("codereview", l.step("codereview", 1, 2, "findings", ""))["continuation_id"]
		args["step_number"], args["total_steps"] = 2, 2
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		l.try(ctx, "codereview", args)
		time.Sleep(time.Second)
		assert.True(t, ended.Load(), "nobody waits for it")
		l.glm = secondTurnAnswer("ISSUE-7 ends too soon", "wrong")
		before := l.asked()
		assert.Equal(t, "wrong", at(l.call("codereview", args), "agent_findings", 0, "judgement"))
		assert.Equal(t, before+1, l.asked(), "the first turn stands")
	})
}

// Each step gets the judgement of its own second turn, though that of an earlier one never came.
func TestSecondTurnBesideOneThatWasCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, args := reviewed(t, inTurns(asktest.Says(expertSays()), silent))
		id := l.call("secaudit", l.step("secaudit", 1, 2, "findings", ""))["continuation_id"]
		for _, tool := range []string{"codereview", "secaudit"} {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(5*time.Second, cancel)
			l.try(ctx, tool, l.step(tool, 2, 2, append([]any{"continuation_id", id, "relevant_files", []string{"window.go"}}, told...)...))
		}
		synctest.Wait()
		l.glm = inTurns(slowly(48, expertSays()), slowlyJudged(12))
		args["continuation_id"], args["step_number"], args["total_steps"] = id, 3, 3
		require.Equal(t, "partial", at(l.call("codereview", args), "agent_findings", "status"))
		time.Sleep(30 * time.Second)
		before := l.asked()
		assert.Equal(t, "wrong", at(l.call("codereview", args), "agent_findings", 0, "judgement"))
		assert.Equal(t, before, l.asked())
	})
}

// A second turn whose result nobody could fetch is ended, whether the step was new or its expert was asked again.
func TestSecondTurnOfAStepThatIsNotStored(t *testing.T) {
	for _, again := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var ended atomic.Bool
			l, args := reviewed(t, emptyAccount)
			if again {
				args["continuation_id"] = l.call("codereview", args)["continuation_id"]
			}
			l.glm = inTurns(slowly(41, expertSays()), untilEnded(&ended))
			l.store.Before = func(_ context.Context, op string) error {
				if op != "load" {
					return assert.AnError
				}
				return nil
			}
			done := l.call("codereview", args)
			assert.Equal(t, "analysis_complete", at(done, "expert_analysis", "status"))
			assert.Equal(t, false, at(done, "metadata", "stored"))
			if !again {
				assert.Equal(t, "not_judged", at(done, "agent_findings", "status"))
			}
			time.Sleep(time.Second)
			assert.True(t, ended.Load())
		})
	}
}

// A server that stops begins no second turn, and says so.
func TestNoSecondTurnOfAServerThatStops(t *testing.T) {
	var l *fixture
	l, args := reviewed(t, inTurns(func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		assert.NoError(t, l.deps.Conversations.Close(ctx))
		return asktest.Says(expertSays())(ctx, req, on)
	}, silent))
	done := l.call("codereview", args)
	assert.Equal(t, dict{"status": "not_judged", "reason": "The server is stopping."}, done["agent_findings"])
	assert.Equal(t, 1, l.asked())
}

// An expert that ends behind its call judges what the caller reports only where there is something to judge, and it was not told.
func TestNoSecondTurnBehindTheCall(t *testing.T) {
	quiet := []any{"findings", ""}
	for name, c := range map[string]struct {
		tool, answer string
		args         []any
	}{
		"nothing is reported":    {"codereview", expertSays(), quiet},
		"it was told":            {"debug", expertSays(), told},
		"it asks for more files": {"codereview", `{"status": "files_required_to_continue", "files_needed": ["gone.go"]}`, told},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFixture(t, slowly(70, c.answer))
				l.secondTurns = true
				l.file("window.go", source)
				l.call(c.tool, l.step(c.tool, 1, 1, append([]any{"relevant_files", []string{"window.go"}}, c.args...)...))
				time.Sleep(time.Minute)
				assert.Equal(t, 1, l.asked())
			})
		})
	}
}

// A second turn that is cut off has no judgement, whatever it said by then; the first turn stands, and so does the verdict on what
// the caller reports.
func TestSecondTurnThatIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, args := reviewed(t, inTurns(asktest.Says(expertSays()), slowlyJudged(40)))
		done := l.call("codereview", args)
		assert.Equal(t, dict{"status": "not_judged", "reason": "The expert's judgement was cut off."}, done["agent_findings"])
		assert.Empty(t, l.deps.Caller.Background(), "it does not go on behind the call")
		assert.Equal(t, "changes_required", done["verdict"])
	})
}

// The second turn goes to the model that answered, which knows its own messages, though another was asked first; in another
// process, too, which has not seen that one fail.
func TestSecondTurnGoesToTheModelThatAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrong := secondTurnAnswer("ISSUE-7 ends too soon", "wrong")
		l, args := reviewed(t, fails(providers.Error{Kind: providers.KindOverloaded, Message: "busy"}), func(l *fixture) {
			l.cfg.Calls.FallbackOnFailure = true
			l.kimi = inTurns(asktest.Says(expertSays()), wrong)
		}, withMortalStore)
		assert.Equal(t, "wrong", at(l.call("codereview", args), "agent_findings", 0, "judgement"))
		assert.Equal(t, []string{"glm", "kimi", "kimi"}, l.vendors)

		l.kimi = inTurns(slowly(70, expertSays()), silent)
		args["continuation_id"] = l.call("codereview", with(args, "model", "auto"))["continuation_id"]
		time.Sleep(time.Minute)
		synctest.Wait()
		l.openStore, l.glm, l.kimi = l.store.Open, wrong, wrong
		other := l.otherProcess()
		assert.Equal(t, "wrong", at(other.call("codereview", with(args, "model", "auto")), "agent_findings", 0, "judgement"))
		assert.Equal(t, []string{"kimi"}, other.vendors)
	})
}

// A preview shows the second turn beside the first, where there would be one.
func TestPreviewOfASecondTurn(t *testing.T) {
	l, args := reviewed(t, silent)
	for name, c := range map[string]struct {
		tool     string
		args     dict
		requests int
	}{
		"told":                {"codereview", args, 2},
		"nothing is reported": {"codereview", l.step("codereview", 1, 1, "relevant_files", []string{"window.go"}, "findings", ""), 1},
		"told at once":        {"debug", l.step("debug", 1, 1, append([]any{"relevant_files", []string{"window.go"}}, told...)...), 1},
	} {
		out := l.call(c.tool, with(c.args, "preview", true))
		require.Len(t, out["models"], c.requests, name)
		assert.Equal(t, c.requests == 2, noteIn(out, "The second request also carries the first one's answer"), name)
		if c.requests == 2 {
			assert.Greater(t, at(out, "models", 1, "input_tokens"), at(out, "models", 0, "input_tokens"), "the first one's messages and more")
		}
	}
	assert.Zero(t, l.asked())
}

// A step that is sent again waits for its second turn no longer than the call may, and then has what there is.
func TestSecondTurnOutlastsTheNextCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, args := reviewed(t, inTurns(slowly(95, expertSays()), slowlyJudged(29)))
		args["continuation_id"] = l.call("codereview", args)["continuation_id"]
		start := time.Now()
		waited := l.call("codereview", args)
		assert.Equal(t, 53*time.Second, time.Since(start))
		assert.Equal(t, "analysis_complete", at(waited, "expert_analysis", "status"))
		assert.Equal(t, "partial", at(waited, "agent_findings", "status"))
		assert.True(t, noteIn(waited, "stored reply"), "it is not judged twice")
		assert.Equal(t, "wrong", at(l.call("codereview", args), "agent_findings", 0, "judgement"))
	})
}

// A step that another process takes back while its second turn is waited for is answered as it was.
func TestStepIsTakenBackWhileItIsJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, args := reviewed(t, inTurns(slowly(48, expertSays()), slowlyJudged(25)))
		args["continuation_id"] = l.call("codereview", args)["continuation_id"]
		other := l.otherProcess()
		time.AfterFunc(3*time.Second, func() {
			other.call("codereview", l.step("codereview", 1, 2, "continuation_id", args["continuation_id"], "step", "Begin again."))
		})
		start := time.Now()
		done := l.call("codereview", args)
		assert.Less(t, time.Since(start), 5*time.Second)
		assert.Equal(t, "partial", at(done, "agent_findings", "status"))
		assert.True(t, noteIn(done, "stored reply"), "it is not judged twice")
		time.Sleep(time.Minute)
		assert.Equal(t, "user", l.rolesOf(args["continuation_id"]), "the new step alone")
	})
}

// A process that comes upon a whole answer whose step is not complete when its call's time is over completes the step itself.
func TestStepIsCompletedWhenTheCallEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, slowly(103, expertSays(finding("high", "window.go", 4))+strings.Repeat(" ", 103)), withMortalStore)
		var completing atomic.Bool
		l.store.Before = func(_ context.Context, op string) error {
			assert.False(t, completing.Load() && op == "append", "there is no second turn to store")
			return nil
		}
		args := l.step("debug", 1, 1, "relevant_files", []string{l.file("window.go", source)})
		args["continuation_id"] = l.call("debug", args)["continuation_id"]
		l.openStore = l.store.Open
		completing.Store(true)
		other := l.otherProcess()
		start := time.Now()
		done := other.call("debug", args)
		assert.Equal(t, 53*time.Second, time.Since(start))
		assert.Equal(t, "verified", at(done, "expert_analysis", "findings", 0, "citation"), fmt.Sprint(done["expert_analysis"]))
		assert.Equal(t, done["expert_analysis"], other.call("debug", args)["expert_analysis"])
		assert.Zero(t, other.asked())
		time.Sleep(15 * time.Second) // until the killed process has given up saving
	})
}
