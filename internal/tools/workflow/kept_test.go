package workflow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

// manyFiles makes one file more than replies list, and returns their names.
func (l *fixture) manyFiles(ext, text string) (names []string) {
	for i := range 101 {
		names = append(names, filepath.Base(l.file(fmt.Sprintf("f%03d%s", i, ext), text)))
	}
	return names
}

func listedIn(reply dict, turn int) string {
	return fmt.Sprintf("The names of all files of this call, sent or not, are in the resource exai://conversations/%s/turns/%d.", reply["continuation_id"], turn)
}

// A step with more files than its reply lists says where all of them are named: when its expert has answered, also where it is
// asked again, and when there was nothing to ask one about.
func TestStepsOfManyFiles(t *testing.T) {
	t.Run("asked again", func(t *testing.T) {
		l := newFixture(t, fails(providers.Error{Kind: providers.KindBalance, Message: "empty"}))
		args := l.step("debug", 1, 1, "relevant_files", l.manyFiles(".go", "package f\n"))
		failed := l.call("debug", args)
		assert.False(t, noteIn(failed, "The names of all files"), "nobody read them")
		args["continuation_id"] = failed["continuation_id"]
		l.glm = asktest.Says(expertSays())
		for _, name := range []string{"asked again", "the stored reply"} {
			done := l.call("debug", args)
			assert.Equal(t, "analysis_complete", at(done, "expert_analysis", "status"))
			assert.True(t, noteIn(done, listedIn(done, 1)), name)
		}
		next := l.call("debug", l.step("debug", 2, 3, "continuation_id", args["continuation_id"]))
		assert.False(t, noteIn(next, "The names of all files"), "those of another step")
	})
	t.Run("nothing to review", func(t *testing.T) {
		l := newFixture(t, nil)
		names := l.manyFiles(".bin", "\x7fELF\x00\x01\x02")
		l.commitAll()
		first := l.call("precommit", l.step("precommit", 1, 2, "relevant_files", names))
		args := l.step("precommit", 2, 2, "continuation_id", first["continuation_id"])
		for _, name := range []string{"at first", "the stored reply"} {
			done := l.call("precommit", args)
			assert.Equal(t, "nothing_to_review", done["status"], name)
			assert.True(t, noteIn(done, listedIn(done, 2)), name)
			assert.Len(t, at(done, "file_context", "manifest", "left_out"), 100)
			assert.Equal(t, "No model was asked, so no file was sent.", at(done, "file_context", "note"))
			assert.Equal(t, l.dir, at(done, "file_context", "repositories", 0, "path"))
		}
	})
}

// memoryStore is a store that says that it ends with its process.
type memoryStore struct{ *asktest.Store }

func (memoryStore) Temporary() string { return "the database does not answer." }

// Whatever is kept by the process alone says so.
func TestKeptInMemory(t *testing.T) {
	l := newFixture(t, asktest.Says("fine"), func(l *fixture) {
		l.openStore = func(context.Context) (conversation.Store, error) { return memoryStore{l.store}, nil }
	})
	for tool, args := range map[string]dict{
		"planner": plan(1, 3), "debug": l.step("debug", 1, 2), "thinkdeep": l.step("thinkdeep", 1, 1), "consensus": consensusArgs("models", []dict{{"model": "glm-5.3"}}),
	} {
		done := l.call(tool, args)
		assert.Equal(t, false, at(done, "metadata", "stored"), tool)
		assert.True(t, noteIn(done, "Kept in memory until this server ends, not in a database: the database does not answer."), tool)
	}
}

// What the store does not take is said, with what to do about it, in the words for a step, an answer and a consensus.
func TestNotStored(t *testing.T) {
	var broken string
	l := newFixture(t, asktest.Says(expertSays()), func(l *fixture) {
		l.store.Before = func(_ context.Context, op string) error {
			if op == broken {
				return errors.New("disk full")
			}
			return nil
		}
	})
	const begin = "The store did not confirm that this was stored (see exai-mcp doctor and the server's log), so "
	window := l.file("window.go", source)
	broken = "append"
	step := l.call("debug", l.step("debug", 1, 2))
	assert.True(t, noteIn(step, begin+"this step is not kept: repeat its findings in the next one."))
	r := l.call("consensus", consensusArgs("models", []dict{{"model": "glm-5.3"}}))
	assert.True(t, noteIn(r, begin+"these answers are not kept."))
	assert.NotContains(t, r, "continuation_id")
	broken = ""
	l.glm = fails(providers.Error{Kind: providers.KindBalance, Message: "empty"})
	args := l.step("debug", 1, 1, "relevant_files", []string{window})
	args["continuation_id"] = l.call("debug", args)["continuation_id"]
	l.glm, broken = asktest.Says(expertSays()), "save"
	core, logs := observer.New(zap.InfoLevel)
	l.deps.Log = zap.New(core)
	again := l.call("debug", args)
	require.Equal(t, 1, logs.FilterMessage("step not saved").Len(), "%v", logs.All())
	assert.Equal(t, args["continuation_id"], logs.All()[0].ContextMap()["continuation_id"])
	assert.True(t, noteIn(again, begin+"this answer is not kept."))
	assert.Equal(t, args["continuation_id"], again["continuation_id"], "the run is there")
	assert.Equal(t, "analysis_complete", at(again, "expert_analysis", "status"))
	l.glm, broken = fails(providers.Error{Kind: providers.KindBalance, Message: "empty"}), ""
	l.call("debug", with(args, "continuation_id", nil))
	assert.Equal(t, 1, logs.FilterMessage("expert failed").Len(), "and why an expert failed")
	assert.Equal(t, 1, logs.FilterMessage("step not saved").Len(), "what is saved is not reported")
}

// The turns of a run: its steps in words, with what the caller found, and its expert's answer behind its question.
func TestTurnsOfARun(t *testing.T) {
	l := newFixture(t, asktest.Says(expertSays()))
	window := l.file("window.go", source)
	id := l.call("debug", l.step("debug", 1, 3, "step", "Why?", "findings", " "))["continuation_id"]
	l.call("debug", l.step("debug", 2, 3, "continuation_id", id, "step", "And?", "findings", "The loop."))
	l.call("debug", l.step("debug", 3, 3, "continuation_id", id, "step", "So?", "findings", "", "relevant_files", []string{window}))
	turns := l.turnsOf(id)
	require.Len(t, turns, 4)
	assert.Equal(t, "debug, step 1 of 3: Why?", turns[0].Content)
	assert.Equal(t, "debug, step 2 of 3: And?\n\nFindings: The loop.", turns[1].Content)
	assert.Contains(t, turns[2].Content, "## Request\nWhy?")
	assert.Equal(t, expertSays(), turns[3].Content)
	for _, turn := range turns {
		assert.Equal(t, "debug", turn.Tool)
		assert.Equal(t, conversation.TurnComplete, turn.Status)
	}
}

// A request for files that is too long for the client is cut, and chat reads the rest.
func TestLongRequestForFilesIsReadOn(t *testing.T) {
	text, err := json.Marshal(dict{"status": "files_required_to_continue", "files_needed": []string{}, "mandatory_instructions": strings.Repeat("Because. ", 4_000)})
	require.NoError(t, err)
	l := newFixture(t, asktest.Says(string(text)), func(l *fixture) { l.cfg.Files.MaxOutputTokens = 4000 })
	paused := l.call("debug", l.step("debug", 1, 1, "relevant_files", []string{l.file("window.go", source)}))
	head := paused["content"].(string)
	require.Less(t, len(head), len(text))
	assert.True(t, strings.HasPrefix(string(text), head))
	assert.EqualValues(t, len(head), at(paused, "more", "next_offset"))
	assert.NotContains(t, paused, "expert_analysis")
	rest := l.call("chat", dict{"prompt": "", "continuation_id": paused["continuation_id"], "offset": at(paused, "more", "next_offset")})
	assert.True(t, strings.HasPrefix(string(text), head+rest["content"].(string)))
}

// Whatever goes on with a conversation that is not there is told so.
func TestConversationThatIsNotThere(t *testing.T) {
	l := newFixture(t, asktest.Says("fine"))
	for tool, args := range map[string]dict{
		"planner": plan(2, 3), "tracer": trace(2, 3, "precision"), "debug": l.step("debug", 2, 3), "consensus": consensusArgs("step_number", 2),
	} {
		assert.Equal(t, "conversation_not_found", l.errorCode(tool, with(args, "continuation_id", "no-such-id")), tool)
	}
	assert.Equal(t, "conversation_not_found", l.errorCode("consensus", consensusArgs("continuation_id", "no-such-id")), "a first step")
}

// A tool whose reply can't be made stores nothing, and leaves its conversation to the next call.
func TestLocalReplyFails(t *testing.T) {
	l := newFixture(t, nil)
	id := l.call("planner", plan(1, 3))["continuation_id"].(string)
	w, err := words.For("planner")
	require.NoError(t, err)
	e := &workflow.Engine{Config: l.cfg, Conversations: l.deps.Conversations, Files: l.deps.Workspace}
	more := true
	s := workflow.Step{
		Facts: workflow.Facts{StepInput: workflow.StepInput{Step: "x", StepNumber: 2, TotalSteps: 3, NextStepRequired: &more, ContinuationID: id}},
		Args:  json.RawMessage(`{"step":"x"}`), Words: w,
		Read: func(json.RawMessage) (workflow.Facts, error) { return workflow.Facts{}, nil },
	}
	broken := errors.New("no words")
	_, err = e.RunLocal(t.Context(), workflow.Spec{Tool: "planner"}, s, func(workflow.Local, *reply.Metadata) (func(string) *reply.Object, error) {
		return nil, broken
	})
	require.ErrorIs(t, err, broken)
	assert.Len(t, l.turnsOf(id), 1)
	assert.EqualValues(t, 2, at(l.call("planner", plan(2, 3, "continuation_id", id)), "planner_status", "step_history_length"))
}

// What is asked of a preview is recorded nowhere, also where the run ends without an expert.
func TestPreviewRecordsNothing(t *testing.T) {
	seen := &tracker{}
	l := newFixture(t, asktest.Says(expertSays()), withTracker(seen))
	out := l.call("debug", l.step("debug", 1, 1, "preview", true, "use_assistant_model", false, "issues_found", reported))
	assert.Equal(t, "preview", out["status"])
	assert.Empty(t, seen.titles())
}

// The issues of a step that replaces another are reported again: the tracker knows which it has.
func TestReplacedStepIsRecorded(t *testing.T) {
	seen := &tracker{}
	l := newFixture(t, asktest.Says(expertSays()), withTracker(seen))
	args := l.step("debug", 1, 1, "issues_found", reported)
	args["continuation_id"] = l.call("debug", args)["continuation_id"]
	l.call("debug", with(args, "findings", "other"))
	assert.Len(t, seen.titles(), 2)
	assert.Equal(t, seen.titles()[0], seen.titles()[1])
}

// A numbered step that omits whether another follows is none that is sent again: it ends the run.
func TestNumberedStepThatOmitsTheRest(t *testing.T) {
	l := newFixture(t, asktest.Says(expertSays()))
	args := l.step("debug", 1, 2, "relevant_files", []string{l.file("window.go", source)})
	args["continuation_id"] = l.call("debug", args)["continuation_id"]
	done := l.call("debug", with(args, "next_step_required", nil))
	assert.Equal(t, "investigation_complete", done["status"])
	assert.EqualValues(t, 2, done["total_steps"])
	assert.Equal(t, 1, l.asked())
}
