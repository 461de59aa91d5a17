package workflow_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

// engineFor is the engine over the fixture's parts, and a step of a tool, for what no client can cause.
func (l *fixture) engineFor(tool string) (*workflow.Engine, workflow.Step) {
	l.t.Helper()
	w, err := words.For(tool)
	require.NoError(l.t, err)
	e := &workflow.Engine{
		Config: l.cfg, Conversations: l.deps.Conversations, Files: l.deps.Workspace, Log: zap.NewNop(),
		Window: func(context.Context, ask.Question, bool) int { return 100_000 },
	}
	no := false
	return e, workflow.Step{
		Facts: workflow.Facts{StepInput: workflow.StepInput{Step: "x", StepNumber: 1, TotalSteps: 1, NextStepRequired: &no}},
		Args:  json.RawMessage(`{"step":"x"}`), Words: w,
		Read: func(args json.RawMessage) (f workflow.Facts, err error) {
			err = json.Unmarshal(args, &f.StepInput)
			return f, err
		},
	}
}

// Of a model that is asked again, the longer part stays, and a whole answer always counts.
func TestPartsOfPanelists(t *testing.T) {
	drips := func(seconds int) asktest.Chat { return slowly(90, strings.Repeat(fmt.Sprint(seconds), 90*seconds)) }
	for name, c := range map[string]struct {
		again asktest.Chat
		want  string // of the model that was cut: its status, and how its answer begins
	}{
		"a longer part":      {drips(2), "partial 2"},
		"a shorter part":     {slowly(180, strings.Repeat("3", 180/4)), "partial 1"},
		"a short answer":     {asktest.Says("4"), "success 4"},
		"nothing, in thirty": {silent, "partial 1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := both(drips(1), drips(1))(t)
				models := []dict{{"model": "glm-5.3"}, {"model": "kimi-k3"}, {"model": "glm-5.3-flash"}}
				r := l.call("consensus", consensusArgs("models", models))
				require.Equal(t, []string{"glm-5.3:neutral partial", "kimi-k3:neutral partial", "glm-5.3-flash:neutral partial"}, panelOpinions(r))
				l.glm, l.kimi = c.again, asktest.Says("cookies")
				again := l.call("consensus", consensusArgs("models", models, "continuation_id", r["continuation_id"]))
				status, begin, _ := strings.Cut(c.want, " ")
				for _, i := range []int{0, 2} {
					assert.Equal(t, status, at(again, "accumulated_responses", i, "status"))
					assert.True(t, strings.HasPrefix(at(again, "accumulated_responses", i, "verdict").(string), begin), "%v", again["accumulated_responses"])
				}
				assert.Equal(t, "cookies", at(again, "accumulated_responses", 1, "verdict"))
			})
		})
	}
}

// A stored consensus is given at once, while another answer of its conversation is being written; a new one waits for it as long
// as the call can.
func TestConsensusBesideARunningAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := both(asktest.Says("cookies"), asktest.Says("the database"))(t)
		args := consensusArgs()
		args["continuation_id"] = l.call("consensus", args)["continuation_id"]
		l.glm = slowly(200, strings.Repeat("x", 400))
		l.call("debug", l.step("debug", 1, 1, "relevant_files", []string{l.file("window.go", source)}, "continuation_id", args["continuation_id"], "model", "glm-5.3"))
		start := time.Now()
		assert.True(t, noteIn(l.call("consensus", args), "no model was asked"))
		assert.Zero(t, time.Since(start))
		before := l.asked()
		assert.Equal(t, "conversation_busy", l.errorCode("consensus", with(args, "step", "And now?", "step_number", 2, "total_steps", 2, "continuation_id", args["continuation_id"], "step_number", 1)))
		assert.Equal(t, before, l.asked(), "nobody was asked")
		time.Sleep(3 * time.Minute)
	})
}

// Another question as step 1 takes the place of the consensus that there was.
func TestAnotherConsensusReplacesTheFirst(t *testing.T) {
	l := newFixture(t, asktest.Says("cookies"))
	args := consensusArgs("models", []dict{{"model": "glm-5.3"}})
	args["continuation_id"] = l.call("consensus", args)["continuation_id"]
	other := l.call("consensus", with(args, "step", "And now?"))
	assert.True(t, noteIn(other, "Step 1 was sent before with other arguments; this one replaces it."))
	assert.Equal(t, "And now?", at(other, "complete_consensus", "initial_prompt"))
	turns := l.turnsOf(args["continuation_id"])
	require.Len(t, turns, 2)
	assert.Contains(t, turns[0].Content, "And now?")
	assert.Contains(t, turns[0].Content, "\n\nFindings: I lean to cookies.")
	assert.Equal(t, "## glm-5.3 (neutral)\ncookies", turns[1].Content)
}

// A consensus that was stored by something else is an error that says so.
func TestConsensusThatCannotBeRead(t *testing.T) {
	l := newFixture(t, asktest.Says("cookies"))
	args := consensusArgs("models", []dict{{"model": "glm-5.3"}})
	id := l.call("consensus", args)["continuation_id"].(string)
	whole := l.turnsOf(id)[0]
	e, step := l.engineFor("consensus")
	spec := workflow.Spec{Tool: "consensus"}
	first := func(turn conversation.Turn) error {
		require.NoError(t, l.store.Save(t.Context(), id, turn))
		sent, err := step.Read(turn.Step.Input)
		require.NoError(t, err)
		sent.ContinuationID = id
		step.Facts, step.Args = sent, turn.Step.Input
		_, err = e.RunPanel(t.Context(), spec, step, nil)
		return err
	}
	next := func(turn conversation.Turn) error {
		require.NoError(t, l.store.Save(t.Context(), id, turn))
		step.Facts.ContinuationID, step.Facts.StepNumber = id, 2
		_, err := e.NextAnswer(t.Context(), spec, step)
		return err
	}
	for name, change := range map[string]func(turn *conversation.Turn){
		"no object":  func(turn *conversation.Turn) { turn.Meta = json.RawMessage(`[]`) },
		"no answers": func(turn *conversation.Turn) { turn.Meta = json.RawMessage(`{}`) },
		"no question": func(turn *conversation.Turn) {
			turn.Step = &conversation.Step{Tool: "consensus", Number: 1, Input: json.RawMessage(`[]`)}
		},
	} {
		broken := whole
		change(&broken)
		assert.EqualError(t, next(broken), "the stored consensus of "+id+" can't be read", name)
	}
	broken := whole
	broken.Meta = json.RawMessage(`[]`)
	assert.ErrorContains(t, first(broken), "reading the consensus of "+id+": ")
	broken = whole
	broken.Step = &conversation.Step{Tool: "consensus", Number: 1, Input: whole.Step.Input, Reply: json.RawMessage(`[]`)}
	assert.ErrorContains(t, first(broken), "the stored reply of "+id+": ")
	assert.Equal(t, 1, l.asked())
}

// Of models that the caller did not name, another one of the same vendor may answer; of those that it named, none.
func TestStandInsOfPanelists(t *testing.T) {
	refused := fails(providers.Error{Kind: providers.KindModelNotFound, HTTPStatus: 404, Message: "No such model."})
	l := newFixture(t, func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		if req.Model.ID == "glm-5.3" {
			return refused(ctx, req, on)
		}
		return asktest.Says("cookies")(ctx, req, on)
	})
	l.kimi = asktest.Says("the database")
	l.restart()
	r := l.call("consensus", consensusArgs("models", nil))
	assert.Equal(t, []string{"glm-5.3:neutral success", "kimi-k3.1-pro:neutral success"}, panelOpinions(r))
	assert.NotEqual(t, "glm-5.3", at(r, "accumulated_responses", 0, "metadata", "model_name"))
	assert.Equal(t, "glm", at(r, "accumulated_responses", 0, "metadata", "provider"))
	r = l.call("consensus", consensusArgs("models", []dict{{"model": "glm-5.3"}, {"model": "kimi-k3"}}))
	assert.Equal(t, []string{"glm-5.3:neutral error", "kimi-k3:neutral success"}, panelOpinions(r))
}

// A consensus with more files than its reply lists says where all of them are named, now and when it is sent again.
func TestConsensusOfManyFiles(t *testing.T) {
	l := newFixture(t, asktest.Says("cookies"))
	var files []string
	for i := range 101 {
		files = append(files, l.file(fmt.Sprintf("f%03d.go", i), "package f\n"))
	}
	args := consensusArgs("models", []dict{{"model": "glm-5.3"}}, "relevant_files", files)
	r := l.call("consensus", args)
	args["continuation_id"] = r["continuation_id"]
	note := fmt.Sprintf("The names of all files of this call, sent or not, are in the resource exai://conversations/%s/turns/1.", r["continuation_id"])
	assert.True(t, noteIn(r, note))
	again := l.call("consensus", args)
	assert.True(t, noteIn(again, note))
	assert.Equal(t, at(r, "metadata", "usage"), at(again, "metadata", "usage"))
	assert.Equal(t, at(r, "metadata", "model_used"), at(again, "metadata", "model_used"))
	assert.NotContains(t, r["file_context"], "listing")
}

// A stored consensus that is too long for the client is cut as it was at first.
func TestStoredLongConsensusIsReadOn(t *testing.T) {
	l := newFixture(t, asktest.Says(strings.Repeat("A paragraph of an answer.\n\n", 800)), func(l *fixture) { l.cfg.Files.MaxOutputTokens = 5000 })
	args := consensusArgs("models", []dict{{"model": "glm-5.3"}})
	r := l.call("consensus", args)
	require.NotNil(t, at(r, "more", "uri"))
	again := l.call("consensus", with(args, "continuation_id", r["continuation_id"]))
	assert.Equal(t, at(r, "more", "uri"), at(again, "more", "uri"))
	assert.NotContains(t, at(again, "accumulated_responses", 0), "verdict")
	assert.NotEmpty(t, again["content"])
}

// Panelists search the web only where they are given no file; where they read by themselves, none does.
func TestSearchesOfPanelists(t *testing.T) {
	l := newFixture(t, asktest.Says("cookies"))
	file := l.file("session.go", "package session\n")
	offered := func(more ...any) []string {
		l.call("consensus", consensusArgs(append(more, "models", []dict{{"model": "glm-5.3"}})...))
		return functionsOf(l.requests[len(l.requests)-1])
	}
	assert.Equal(t, []string{"web_search"}, offered())
	l.cfg.Expert.Reads = config.ReadsOff
	assert.Equal(t, []string{"web_search"}, offered())
	assert.Empty(t, offered("relevant_files", []string{file}))
}

// What a panelist that failed took counts, as far as it is known.
func TestFailedPanelistCosts(t *testing.T) {
	l := newFixture(t, fails(providers.Error{Kind: providers.KindOverloaded, Message: "busy", HTTPStatus: 503}))
	l.kimi = asktest.Says("the database")
	l.restart()
	r := l.call("consensus", consensusArgs())
	assert.Equal(t, []string{"glm-5.3:for error", "kimi-k3:against success"}, panelOpinions(r))
	attempts := at(r, "accumulated_responses", 0, "metadata", "attempts").(float64)
	assert.EqualValues(t, attempts+1, at(r, "metadata", "attempts"))
	assert.Equal(t, dict{"provider": "glm", "model_name": "glm-5.3", "attempts": attempts, "thinking": "reasoning_effort=high"},
		at(r, "accumulated_responses", 0, "metadata"))
}
