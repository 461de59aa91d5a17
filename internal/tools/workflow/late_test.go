package workflow_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// A failed expert alone is asked again when the step is sent again: its place and its counts stay.
func TestFailedExpertIsAskedAgain(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newFixture(t, fails(providers.Error{Kind: providers.KindBalance, Message: "The account is empty."}))
		window := l.file("window.go", source)
		first := l.call(tool, l.step(tool, 1, 2, "relevant_files", []string{window}))
		end := l.step(tool, 2, 2, "continuation_id", first["continuation_id"], "issues_found", []dict{{"severity": "low", "description": "x"}})
		failed := l.call(tool, end)
		require.Equal(t, "analysis_error", at(failed, "expert_analysis", "status"))
		later := l.call(tool, l.step(tool, 3, 4, "continuation_id", first["continuation_id"]))
		require.Equal(t, p.pause, later["status"])

		l.restart()
		l.glm = asktest.Says(p.answer(l))
		again := l.call(tool, end)
		assert.Equal(t, p.complete, again["status"])
		assert.Equal(t, "analysis_complete", at(again, "expert_analysis", "status"))
		assert.Equal(t, failed[p.counts], again[p.counts])
		assert.Equal(t, at(failed, p.block, "steps_taken"), at(again, p.block, "steps_taken"))
		asked := l.asked()

		stored := l.call(tool, end)
		assert.Equal(t, asked, l.asked())
		assert.Equal(t, again["expert_analysis"], stored["expert_analysis"])

		fourth := l.call(tool, l.step(tool, 4, 5, "continuation_id", first["continuation_id"]))
		assert.EqualValues(t, 1, at(fourth, p.counts, "issues_found"), "later steps stand")
	})
}

// Where experts were switched off since, a step that had none keeps its reply.
func TestFailedExpertIsNotAskedWhenSwitchedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, fails(providers.Error{Kind: providers.KindBalance, Message: "The account is empty."}))
		args := l.step("debug", 1, 1, "relevant_files", []string{l.file("window.go", source)})
		args["continuation_id"] = l.call("debug", args)["continuation_id"]
		asked := l.asked()
		l.cfg.Expert.Enabled = false
		l.restart()
		again := l.call("debug", args)
		assert.Equal(t, "analysis_error", at(again, "expert_analysis", "status"))
		assert.True(t, noteIn(again, "stored reply"))
		assert.Equal(t, asked, l.asked())
	})
}

// An expert that is asked again, and whose step can't be saved, does not go on behind a reply that nobody could fetch.
func TestAskedAgainButNotStored(t *testing.T) {
	for _, op := range []string{"save", "append"} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				broken := ""
				l := newFixture(t, fails(providers.Error{Kind: providers.KindBalance, Message: "empty"}), func(l *fixture) {
					l.store.Before = func(_ context.Context, op string) error {
						if op == broken {
							return errors.New("disk full")
						}
						return nil
					}
				})
				args := l.step("debug", 1, 1, "relevant_files", []string{l.file("window.go", source)})
				args["continuation_id"] = l.call("debug", args)["continuation_id"]
				l.glm, broken = slowly(90, strings.Repeat("x", 200)), op
				part := l.call("debug", args)
				assert.Equal(t, "partial", at(part, "expert_analysis", "status"))
				assert.Equal(t, false, at(part, "metadata", "stored"))
				time.Sleep(time.Second)
				assert.Empty(t, l.deps.Caller.Background())

				l.glm, broken = asktest.Says(expertSays()), ""
				assert.Equal(t, "analysis_complete", at(l.call("debug", args), "expert_analysis", "status"))
			})
		})
	}
}

// An expert that takes longer than the call goes on in the background; the step, sent again, fetches.
func TestPartialExpert(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newFixture(t, nil)
		l.glm = slowly(90, p.answer(l)+strings.Repeat(" ", 200))
		l.restart()
		window := l.file("window.go", source)
		args := l.step(tool, 1, 1, "relevant_files", []string{window})
		start := time.Now()
		part := l.call(tool, args)
		assert.Less(t, time.Since(start), 55*time.Second)
		assert.Equal(t, p.complete, part["status"])
		assert.Equal(t, "partial", at(part, "expert_analysis", "status"))
		assert.NotEmpty(t, at(part, "expert_analysis", "content"))
		assert.Contains(t, at(part, "expert_analysis", "note"), "still writing")
		assert.Equal(t, "timeout", at(part, "metadata", "finish_reason"))
		assert.NotNil(t, part[p.block])
		if p.verdict {
			assert.Equal(t, "inconclusive", part["verdict"])
		}
		args["continuation_id"] = part["continuation_id"]

		// At once: waits for the rest, which takes the place of the part.
		whole := l.call(tool, args)
		assert.Equal(t, 1, l.asked(), "nothing is asked twice")
		assert.Equal(t, 90*time.Second, time.Since(start).Round(time.Second))
		assert.Equal(t, "analysis_complete", at(whole, "expert_analysis", "status"))
		assert.Equal(t, "stop", at(whole, "metadata", "finish_reason"))
		assert.Equal(t, part[p.counts], whole[p.counts])
		if p.verdict {
			assert.Equal(t, "changes_required", whole["verdict"])
		}

		l.restart()
		stored := l.call(tool, args)
		assert.Equal(t, whole["expert_analysis"], stored["expert_analysis"])
		assert.Equal(t, 1, l.asked())
	})
}

// Nobody has to fetch: the stored step becomes whole by itself.
func TestBackgroundExpertCompletesItsStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, slowly(90, expertSays(finding("high", "window.go", 4))))
		window := l.file("window.go", source)
		args := l.step("codereview", 1, 1, "relevant_files", []string{window})
		part := l.call("codereview", args)
		time.Sleep(2 * time.Minute)
		l.restart()
		args["continuation_id"] = part["continuation_id"]
		start := time.Now()
		whole := l.call("codereview", args)
		assert.Zero(t, time.Since(start))
		assert.Equal(t, "changes_required", whole["verdict"])
		assert.Equal(t, "verified", at(whole, "expert_analysis", "findings", 0, "citation"))
		assert.True(t, noteIn(whole, "stored reply"))
		assert.Equal(t, 1, l.asked())
	})
}

// The process dies while the expert writes: what had arrived stays, and the step asks again.
func TestExpertOfADeadProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, slowly(90, expertSays(finding("high", "window.go", 4))))
		window := l.file("window.go", source)
		args := l.step("debug", 1, 1, "relevant_files", []string{window})
		part := l.call("debug", args)
		args["continuation_id"] = part["continuation_id"]
		l.restart() // ends the answer
		l.glm = asktest.Says(expertSays())
		whole := l.call("debug", args)
		assert.Equal(t, "analysis_complete", at(whole, "expert_analysis", "status"))
		assert.True(t, noteIn(whole, "asked again"))
		assert.Equal(t, 2, l.asked())
	})
}

// A fetch that runs out of time is partial again, with more text.
func TestFetchIsPartialAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, slowly(200, strings.Repeat("x", 400)))
		window := l.file("window.go", source)
		args := l.step("debug", 1, 1, "relevant_files", []string{window})
		part := l.call("debug", args)
		args["continuation_id"] = part["continuation_id"]
		more := l.call("debug", args)
		assert.Equal(t, "partial", at(more, "expert_analysis", "status"))
		assert.Greater(t, len(at(more, "expert_analysis", "content").(string)), len(at(part, "expert_analysis", "content").(string))+60)
		assert.Equal(t, 1, l.asked())

		chat := l.call("chat", dict{"prompt": "", "continuation_id": part["continuation_id"]})
		assert.Equal(t, "partial", chat["status"], "chat fetches the same answer")
	})
}

// The answer goes on in one process, and is fetched in another.
func TestExpertIsFetchedByAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &tracker{}
		seen.behave = func(context.Context) error {
			if len(seen.titles()) > 0 { // so that the answer is whole for a while before its step is
				time.Sleep(1500 * time.Millisecond)
			}
			return nil
		}
		l := newFixture(t, slowly(90, expertSays(finding("high", "window.go", 4))), withTracker(seen))
		window := l.file("window.go", source)
		args := l.step("codereview", 1, 1, "relevant_files", []string{window}, "issues_found", reported)
		start := time.Now()
		args["continuation_id"] = l.call("codereview", args)["continuation_id"]
		other := l.otherProcess()
		whole := other.call("codereview", args)
		assert.InDelta(t, 92, time.Since(start).Seconds(), 1)
		assert.Equal(t, "changes_required", whole["verdict"])
		assert.Len(t, whole["tracked_issues"], 3)
		assert.Len(t, seen.titles(), 2, "what the first process recorded is not recorded again")
		assert.Zero(t, other.asked())
	})
}

// A new step that would ask an expert waits for the old answer, or is busy; a pause does not wait.
func TestNewStepWhileTheExpertWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, slowly(200, strings.Repeat("x", 400)))
		window := l.file("window.go", source)
		part := l.call("debug", l.step("debug", 1, 1, "relevant_files", []string{window}))
		id := part["continuation_id"]
		start := time.Now()
		pause := l.call("debug", l.step("debug", 2, 4, "continuation_id", id))
		assert.Zero(t, time.Since(start))
		assert.Equal(t, "pause_for_investigation", pause["status"])
		assert.Equal(t, "conversation_busy", l.errorCode("debug", l.step("debug", 3, 3, "continuation_id", id)))
		assert.Equal(t, 1, l.asked(), "nothing was sent")
		time.Sleep(time.Minute)
		done := l.call("debug", l.step("debug", 3, 3, "continuation_id", id))
		assert.Equal(t, "investigation_complete", done["status"])
		assert.Equal(t, 2, l.asked())
	})
}

// An answer that could not be stored does not go on in the background, and does not say so.
func TestPartialThatIsNotStored(t *testing.T) {
	for name, text := range map[string]string{"words": strings.Repeat("x", 200), "thoughts": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFixture(t, slowly(90, text), func(l *fixture) {
					l.store.Before = func(_ context.Context, op string) error {
						if op == "append" {
							return errors.New("disk full")
						}
						return nil
					}
				})
				window := l.file("window.go", source)
				part, text := l.try(t.Context(), "debug", l.step("debug", 1, 1, "relevant_files", []string{window}))
				assert.Equal(t, "partial", at(part, "expert_analysis", "status"))
				assert.NotEmpty(t, at(part, "expert_analysis", "content"))
				assert.NotContains(t, text, "still writing")
				assert.NotContains(t, text, "in the background")
				synctest.Wait()
				assert.Empty(t, l.deps.Caller.Background())
			})
		})
	}
}

// A cancelled call stores what had arrived; the step, sent again, asks again.
func TestCancelledExpert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &tracker{}
		l := newFixture(t, slowly(40, strings.Repeat("x", 80)), withTracker(seen))
		window := l.file("window.go", source)
		id := l.call("debug", l.step("debug", 1, 2, "relevant_files", []string{window}, "issues_found", reported))["continuation_id"]
		end := l.step("debug", 2, 2, "continuation_id", id)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(10 * time.Second)
			cancel()
		}()
		start := time.Now()
		l.try(ctx, "debug", end)
		assert.Less(t, time.Since(start), 12*time.Second)
		stored, err := l.store.Load(t.Context(), id.(string))
		require.NoError(t, err)
		last := stored.Turns[len(stored.Turns)-1]
		assert.Equal(t, conversation.TurnPartial, last.Status)
		assert.NotEmpty(t, last.Content)
		assert.Empty(t, seen.titles(), "nobody is there to be told of issues")

		l.glm = asktest.Says(expertSays())
		done := l.call("debug", end)
		assert.Equal(t, "analysis_complete", at(done, "expert_analysis", "status"))
		assert.Len(t, done["tracked_issues"], 2)
	})
}

// The files that a late expert asks for are served when its step is sent again; both requests count in the conversation.
func TestLateExpertAsksForFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, nil)
		window := l.file("window.go", source)
		extra := l.file("extra.go", "package window // the other half\n")
		wants := fmt.Sprintf(`{"status": "files_required_to_continue", "files_needed": [%q]}`, extra)
		l.glm = slowly(80, wants+strings.Repeat(" ", 80))
		l.restart()
		args := l.step("debug", 1, 1, "relevant_files", []string{window})
		args["continuation_id"] = l.call("debug", args)["continuation_id"]
		time.Sleep(time.Minute)
		l.glm = asktest.Says(expertSays())
		done := l.call("debug", args)
		assert.Equal(t, "investigation_complete", done["status"])
		assert.Contains(t, l.prompt(), "the other half")
		assert.True(t, noteIn(done, "with the files that it had asked for"))
		assert.Equal(t, 2, l.asked())

		// Asked in time, but late with its second answer.
		first := true
		l.glm = func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			if first {
				first = false
				return asktest.Says(wants)(ctx, req, on)
			}
			return slowly(80, expertSays())(ctx, req, on)
		}
		part := l.call("debug", l.step("debug", 1, 1, "relevant_files", []string{window}))
		assert.Equal(t, "partial", at(part, "expert_analysis", "status"))
		time.Sleep(time.Minute)
		stored, err := l.store.Load(t.Context(), part["continuation_id"].(string))
		require.NoError(t, err)
		require.Len(t, stored.Turns, 2)
		assert.Equal(t, 10, stored.Turns[0].Usage.InputTokens, "the request in which it asked for files")
		assert.Equal(t, 10, stored.Turns[1].Usage.InputTokens, "its answer")
	})
}
