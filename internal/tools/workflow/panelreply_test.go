package workflow

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/looks"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

func threeAnswers() []PanelAnswer {
	return []PanelAnswer{
		{Model: "a", Stance: "for", Status: panelistAnswered, Verdict: "yes", Who: Source{Looked: []looks.Look{{Tool: "read_file", Path: "/a.go"}}}},
		{Model: "b", Stance: "against", Status: panelistPartial, Verdict: "n"},
		{Model: "c", Stance: "neutral", Status: panelistFailed, Error: json.RawMessage(`{"code":"balance"}`)},
	}
}

const (
	answerA = `{"model":"a","stance":"for","status":"success","verdict":"yes","metadata":{"looked_at":[{"tool":"read_file","path":"/a.go","lines":0,"bytes":0}]}}`
	answerB = `{"model":"b","stance":"against","status":"partial","verdict":"n","metadata":{}}`
	answerC = `{"model":"c","stance":"neutral","status":"error","error":{"code":"balance"},"metadata":{}}`
	lookedA = `"looked_at":[{"tool":"read_file","path":"/a.go","lines":0,"bytes":0}],"file_context":{"type":"reference_only","files_embedded":0}`
	allOf   = `"complete_consensus":{"initial_prompt":"Q?","models_consulted":["a:for","b:against","c:neutral"],"total_responses":1},"consensus_complete":true,"next_steps":"compare"`
)

// The replies of a consensus, whole: with all answers, and with the answer that a later step's number stands for.
func TestConsensusReplies(t *testing.T) {
	for name, c := range map[string]struct {
		step int // 1: all answers
		id   string
		want string
	}{
		"all": {1, "id-1", `{"status":"consensus_workflow_complete","step_number":1,"total_steps":3,"next_step_required":false,"continuation_id":"id-1",
			"model_consulted":"a","model_stance":"for","model_response":{"see":"accumulated_responses","index":0},"current_model_index":3,
			"accumulated_responses":[` + answerA + `,` + answerB + `,` + answerC + `],` + lookedA + `,
			"agent_analysis":{"initial_analysis":"go on","findings":"mine"},` + allOf + `}`},
		"all, not stored": {1, "", `{"status":"consensus_workflow_complete","step_number":1,"total_steps":3,"next_step_required":false,
			"model_consulted":"a","model_stance":"for","model_response":{"see":"accumulated_responses","index":0},"current_model_index":3,
			"accumulated_responses":[` + answerA + `,` + answerB + `,` + answerC + `],` + lookedA + `,
			"agent_analysis":{"initial_analysis":"go on","findings":"mine"},` + allOf + `}`},
		"the second": {2, "id-1", `{"status":"model_consulted","step_number":2,"total_steps":3,"next_step_required":true,"continuation_id":"id-1",
			"model_consulted":"b","model_stance":"against","model_response":{"see":"accumulated_responses","index":1},"current_model_index":2,
			"accumulated_responses":[` + answerA + `,` + answerB + `],` + lookedA + `,
			"next_call":{"tool":"consensus","arguments":{"step":"Q?","step_number":3,"total_steps":3,"next_step_required":false,"continuation_id":"id-1"}},
			"next_steps":"more","continuation_required":true,"continuation_available":true,"next_step_number":3}`},
		"the last": {3, "id-1", `{"status":"consensus_workflow_complete","step_number":3,"total_steps":3,"next_step_required":false,"continuation_id":"id-1",
			"model_consulted":"c","model_stance":"neutral","model_response":{"see":"accumulated_responses","index":2},"current_model_index":3,
			"accumulated_responses":[` + answerA + `,` + answerB + `,` + answerC + `],` + lookedA + `,` + allOf + `}`},
	} {
		t.Run(name, func(t *testing.T) {
			p := Panel{
				Step: Facts{StepInput: StepInput{Step: "go on", StepNumber: c.step}, Findings: "mine"}, Question: "Q?", Answers: threeAnswers(),
				Files:   FileContext{Type: "reference_only", Listing: []workspace.FileGroup{{}}},
				WhenAll: "compare", ForMore: "more",
			}
			object, err := combinedReply(p, c.id), error(nil)
			if c.step > 1 {
				object, err = singleReply(p, c.id)
			}
			require.NoError(t, err)
			text, err := object.MarshalJSON()
			require.NoError(t, err)
			assert.JSONEq(t, c.want, string(text))
		})
	}
	p := Panel{Step: Facts{StepInput: StepInput{StepNumber: 2}}, Answers: append(threeAnswers(), threeAnswers()...)[1:5]}
	object, err := singleReply(p, "id-1")
	require.NoError(t, err)
	text, err := object.Get("next_call").(NextCall).Arguments.MarshalJSON()
	require.NoError(t, err)
	assert.Contains(t, string(text), `"step_number":3,"total_steps":4,"next_step_required":true`, "a further one follows")
	assert.Equal(t, 2, object.Get("model_response").(*reply.Object).Get("index").(int)+1)

	p.Step.StepNumber = 5
	_, err = singleReply(p, "id-1")
	assert.ErrorContains(t, err, "step_number 5: this consensus has 4 answers, all given with step 1.")
}

// The answers as one text, which a later question in the conversation finds.
func TestDigest(t *testing.T) {
	assert.Equal(t, "## a (for)\nyes\n\n## b (against)\nn\n\n## c (neutral)\nNo answer.", digest(threeAnswers()))
	assert.Empty(t, digest(nil))
}

// A consensus fails where all have, with why each did and what it cost.
func TestAllFailed(t *testing.T) {
	failed := func(model, code string, usage *providers.Usage) PanelAnswer {
		e := &reply.Error{Code: reply.Code(code), Message: "It is " + code + "."}
		return PanelAnswer{Model: model, Stance: "for", Status: panelistFailed, err: e, Who: Source{Attempts: 2, Usage: usage}}
	}
	one := failed("a", "balance", &providers.Usage{InputTokens: 3})
	other := failed("b", "timeout", &providers.Usage{InputTokens: 4})
	var e *reply.Error
	require.ErrorAs(t, allFailed(t.Context(), []PanelAnswer{one, other, failed("c", "timeout", nil)}), &e)
	assert.Equal(t, reply.Code("balance"), e.Code)
	assert.Equal(t, "No model answered. a:for: It is balance. b:for: It is timeout. c:for: It is timeout.", e.Message)
	assert.Equal(t, &reply.Metadata{Attempts: 6, Usage: &providers.Usage{InputTokens: 7}}, e.Metadata)
	assert.Equal(t, "It is balance.", reply.FromError(t.Context(), one.err).Message, "its own error stays as it was")

	require.ErrorAs(t, allFailed(t.Context(), []PanelAnswer{failed("c", "timeout", nil)}), &e)
	assert.Nil(t, e.Metadata.Usage, "nobody knows it")
	require.NoError(t, allFailed(t.Context(), []PanelAnswer{one, {Status: panelistPartial}}))
	assert.EqualError(t, allFailed(t.Context(), nil), "the consensus has no models")
}

// Who answered, each once, and what all of them took.
func TestTotalsOfAConsensus(t *testing.T) {
	r := &run{}
	who := func(status, model, vendor string, attempts int, usage *providers.Usage) PanelAnswer {
		return PanelAnswer{Status: status, Who: Source{ModelName: model, Provider: vendor, Attempts: attempts, Usage: usage}}
	}
	r.addTotals([]PanelAnswer{
		who(panelistAnswered, "x", "glm", 1, &providers.Usage{InputTokens: 3}), who(panelistPartial, "y", "glm", 2, nil),
		who(panelistFailed, "z", "kimi", 4, &providers.Usage{InputTokens: 4}),
	})
	assert.Equal(t, "x, y", r.meta.ModelUsed)
	assert.Equal(t, "glm", r.meta.ProviderUsed)
	assert.Equal(t, 7, r.meta.Attempts)
	assert.Equal(t, &providers.Usage{InputTokens: 7}, r.meta.Usage)
}

// A stored consensus that cannot be read is an error that names it; one without its digest is given as it was stored.
func TestStoredPanel(t *testing.T) {
	turn := conversation.Turn{ID: "t", Step: &conversation.Step{Reply: json.RawMessage(`{"status":"x"}`)}}
	r := &run{lease: leaseOf(turn)}
	out, err := r.storedPanel(turn, panelMeta{Answers: threeAnswers()})
	require.NoError(t, err)
	assert.Equal(t, json.RawMessage(`"x"`), out.Body.Get("status"))
	assert.Nil(t, out.Answer)
	assert.Len(t, out.Metadata.Notes, 1)

	turn.Step.Reply = json.RawMessage(`[]`)
	_, err = r.storedPanel(turn, panelMeta{})
	require.ErrorContains(t, err, "the stored reply of id-1: ")
}
