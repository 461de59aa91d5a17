package workflow_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

// The files that an expert asked for are served by another process, where its own was killed before it could.
func TestAnotherProcessServesWhatTheExpertAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, nil, withMortalStore)
		extra := l.file("extra.go", "package window // the other half\n")
		l.glm = slowly(70, fmt.Sprintf(`{"status": "files_required_to_continue", "files_needed": [%q]}`, extra))
		l.restart()
		args := l.step("debug", 1, 1, "relevant_files", []string{l.file("window.go", source)})
		args["continuation_id"] = l.call("debug", args)["continuation_id"]
		time.Sleep(time.Minute)
		l.openStore, l.glm = l.store.Open, asktest.Says(expertSays())
		other := l.otherProcess()
		done := other.call("debug", args)
		assert.Equal(t, "analysis_complete", at(done, "expert_analysis", "status"))
		assert.True(t, noteIn(done, "with the files that it had asked for"), "%v", done["metadata"])
		assert.Contains(t, other.prompt(), "the other half")
		assert.Equal(t, 1, other.asked())
	})
}

// A step that is sent again while the store fails says so, whatever it waits for, and is answered when the store is back.
func TestSentAgainWhileTheStoreFails(t *testing.T) {
	for name, c := range map[string]struct {
		first, second asktest.Chat
		mortal        bool
		wait          time.Duration // before the step is sent again
		loads         int64         // that succeed then
	}{
		"while it loads":             {asktest.Says(expertSays()), asktest.Says(`{"judgements": []}`), false, 0, 0},
		"while the answer goes on":   {slowly(80, expertSays()), asktest.Says(`{"judgements": []}`), false, 0, 1},
		"before its step is stored":  {slowly(70, expertSays()), asktest.Says(`{"judgements": []}`), true, 19 * time.Second, 3},
		"while the second turn runs": {slowly(48, expertSays()), slowly(20, `{"judgements": []}`), false, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var set []func(*fixture)
				if c.mortal {
					set = append(set, withMortalStore)
				}
				var loads atomic.Int64 // that succeed
				loads.Store(1000)
				l, args := reviewed(t, inTurns(c.first, c.second), set...)
				l.store.Before = func(_ context.Context, op string) error {
					if op == "load" && loads.Add(-1) < 0 {
						return errors.New("disk gone")
					}
					return nil
				}
				args["continuation_id"] = l.call("codereview", args)["continuation_id"]
				time.Sleep(c.wait)
				l.openStore = l.store.Open
				other := l.otherProcess()
				loads.Store(c.loads)
				assert.Equal(t, "store_unavailable", other.errorCode("codereview", args))
				loads.Store(1000)
				done := other.call("codereview", args)
				assert.Equal(t, "analysis_complete", at(done, "expert_analysis", "status"))
				assert.IsType(t, []any{}, done["agent_findings"])
			})
		})
	}
}

// A stored step that can't be read is an error that names the step.
func TestStoredStepThatCannotBeRead(t *testing.T) {
	for name, spoil := range map[string]func(s *conversation.Step){
		"reading step 1 of":          func(s *conversation.Step) { s.Input = []byte(`["no arguments"]`) },
		"the stored reply of step 1": func(s *conversation.Step) { s.Reply = []byte(`no reply`) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newFixture(t, asktest.Says(expertSays()))
			args := l.step("debug", 1, 1, "relevant_files", []string{l.file("window.go", source)})
			args["continuation_id"] = l.call("debug", args)["continuation_id"]
			turn := l.turnsOf(args["continuation_id"])[0]
			spoil(turn.Step)
			require.NoError(t, l.store.Save(t.Context(), args["continuation_id"].(string), turn))
			reply, text := l.try(t.Context(), "debug", args)
			assert.Equal(t, "error", reply["status"])
			assert.Contains(t, text, "internal")
			if strings.HasPrefix(name, "the stored") {
				reply, text = l.try(t.Context(), "chat", dict{"prompt": "", "continuation_id": args["continuation_id"]})
				assert.Equal(t, "error", reply["status"], text)
			}
		})
	}
}

// An expert that is asked again because its answer was cut, and fails, leaves nothing of the cut answer in its step.
func TestAskedAgainInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, slowly(90, strings.Repeat("x", 200)))
		args := l.step("debug", 1, 1, "relevant_files", []string{l.file("window.go", source)})
		args["continuation_id"] = l.call("debug", args)["continuation_id"]
		l.restart() // ends the answer
		l.glm = fails(providers.Error{Kind: providers.KindBalance, Message: "The account is empty."})
		failed := l.call("debug", args)
		assert.Equal(t, "analysis_error", at(failed, "expert_analysis", "status"))
		l.cfg.Expert.Enabled = false
		l.restart()
		again := l.call("debug", args)
		assert.Equal(t, failed["expert_analysis"], again["expert_analysis"])
		assert.NotContains(t, again["metadata"], "model_used")
	})
}

// A process that was killed before it completed a step counts as alive for ten seconds, as long as its heartbeat is not lost.
func TestKilledProcessIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, slowly(70, expertSays()), withMortalStore)
		args := l.step("debug", 1, 1, "relevant_files", []string{l.file("window.go", source)})
		args["continuation_id"] = l.call("debug", args)["continuation_id"]
		time.Sleep(18 * time.Second)
		l.openStore = l.store.Open
		other := l.otherProcess()
		start := time.Now()
		assert.Equal(t, "analysis_complete", at(other.call("debug", args), "expert_analysis", "status"))
		assert.Equal(t, 9250*time.Millisecond, time.Since(start), "looked at every 250 ms")
	})
}

// A step that has waited for another answer counts each step of its run once, those that two processes took at once too.
func TestRunIsReadAgainAfterWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, slowly(80, expertSays()))
		args := l.step("debug", 1, 1, "relevant_files", []string{l.file("window.go", source)}, "relevant_context", []string{"Sum"})
		id := l.call("debug", args)["continuation_id"]
		twin := l.turnsOf(id)[0]
		twin.ID, twin.Meta = "twin", nil
		twin.Step = &conversation.Step{Tool: "debug", Number: 1, Input: twin.Step.Input}
		_, err := l.store.Append(t.Context(), conversation.NewTurns{ConversationID: id.(string), Existing: true, Turns: []conversation.Turn{twin}})
		require.NoError(t, err)
		done := l.call("debug", l.step("debug", 2, 2, "continuation_id", id, "relevant_context", []string{"Total"}))
		assert.EqualValues(t, 2, at(done, "complete_investigation", "steps_taken"))
		assert.Equal(t, []any{"Sum", "Total"}, at(done, "complete_investigation", "relevant_context"))
		assert.Equal(t, "2 steps, 0 files examined, 1 relevant, 0 issues, confidence low.\nStep 1: Finding of step 1.\nStep 2: Finding of step 2.",
			at(done, "complete_investigation", "work_summary"))
	})
}

// What a step replaces is told to the caller, in the reply of the call that replaced it.
func TestReplacedStepsAreNoted(t *testing.T) {
	l := newFixture(t, asktest.Says(expertSays()))
	id := l.call("debug", l.step("debug", 1, 4))["continuation_id"]
	l.call("debug", l.step("debug", 2, 4, "continuation_id", id))
	again := l.call("debug", l.step("debug", 1, 4, "continuation_id", id, "findings", "another one"))
	assert.True(t, noteIn(again, "this one replaces it. Dropped from this run: step 2."), "%v", again["metadata"])
}
