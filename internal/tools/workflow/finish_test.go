package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
)

// jsonOf is a value of a reply as its client reads it.
func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := reply.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

// A first step whose change can't be inspected fails at once, and nothing of the inspection goes on.
func TestPauseFailsWithItsEvidence(t *testing.T) {
	broken := errors.New("no such branch")
	var looked context.Context
	r := &run{Engine: &Engine{Config: config.Default()}}
	r.spec = debugLike
	r.spec.Ladder.Actions = func(Facts) string { return "" }
	r.step.Evidence = func(ctx context.Context, _ Consolidated, tokens int) (Evidence, error) {
		looked = ctx
		assert.Zero(t, tokens, "it only looks")
		return Evidence{}, broken
	}
	_, err := r.pause(t.Context())
	require.ErrorIs(t, err, broken)
	require.ErrorIs(t, looked.Err(), context.Canceled)
	r.step.Evidence = nil
	_, err = r.pause(t.Context())
	require.ErrorContains(t, err, `no section "next"`)
}

// The issues that a run fixed are closed when it ends, whatever its expert's part is.
func TestKeepStepClosesWhatIsFixed(t *testing.T) {
	var told []string
	r := fixing(&told, nil, step(1, 1, false, fixes(5)))
	r.decision.Done, r.decision.Expert = true, SkipOff
	_, err := r.keepStep(t.Context())
	require.ErrorContains(t, err, `no section "done"`)
	assert.Equal(t, []string{"c[5] []"}, told)
}

// Collecting what an expert is given ends with the call that needs it.
func TestGatherEndsWhatItBegan(t *testing.T) {
	var looked context.Context
	r, _, _ := newGather(t, Evidence{})
	r.step.Evidence = func(ctx context.Context, _ Consolidated, _ int) (Evidence, error) {
		looked = ctx
		return Evidence{}, nil
	}
	_, err := r.gather(t.Context(), nil, 1000, nil)
	require.NoError(t, err)
	require.ErrorIs(t, looked.Err(), context.Canceled)
}

// The notes of a step stand before those of its answer, each once.
func TestMergedNotes(t *testing.T) {
	r := &run{meta: reply.Metadata{Notes: []string{"a", "b"}}}
	r.mergeMetadata(reply.Metadata{Notes: []string{"b", "c"}, ModelUsed: "m"})
	assert.Equal(t, reply.Metadata{Notes: []string{"a", "b", "c"}, ModelUsed: "m"}, r.meta)
}

// What an expert says of the caller's findings is their judgement, or why there is none.
func TestAgentReply(t *testing.T) {
	judged := []AgentJudgement{{Claim: "c", Judgement: JudgedWrong, Why: "w"}}
	assert.Nil(t, agentReply(nil, true, "j"))
	for name, c := range map[string]struct {
		agent  AgentFindings
		stored bool
		want   string
	}{
		"judged":             {AgentFindings{State: agentJudged, List: judged}, true, `[{"claim":"c","judgement":"wrong","why":"w"}]`},
		"judged, not stored": {AgentFindings{State: agentJudged, List: judged}, false, `[{"claim":"c","judgement":"wrong","why":"w"}]`},
		"nothing reported":   {AgentFindings{State: agentJudged}, true, `[]`},
		"going on":           {AgentFindings{State: agentPending, Reason: "r"}, true, `{"status":"partial","note":"j"}`},
		"going on, not stored": {
			AgentFindings{State: agentPending, Reason: "r"},
			false,
			`{"status":"not_judged","reason":"The step could not be stored, so its judgement could not be fetched."}`,
		},
		"failed": {AgentFindings{State: agentNotJudged, Reason: "r"}, true, `{"status":"not_judged","reason":"r"}`},
	} {
		assert.Equal(t, c.want, jsonOf(t, agentReply(&c.agent, c.stored, "j")), name)
	}
}

// Whoever has a part of an answer reads how to get the rest, or the whole text where nothing keeps it.
func TestRenderedPartsSayHowToGoOn(t *testing.T) {
	own, err := words.For("debug")
	require.NoError(t, err)
	note := func(section string) string { return words.Expert(section, nil) }
	part := func() Expert {
		return Expert{Analysis: (&reply.Object{}).Set("status", "partial").Set("content", "head").Set("note", "old")}
	}
	whole := &ask.Answer{Text: "head and rest"}
	for name, c := range map[string]struct {
		outcome expertOutcome
		stored  bool
		want    map[string]any
	}{
		"it goes on":                {expertOutcome{state: expertPartial, pending: true, answer: whole, reply: part()}, true, map[string]any{"status": "partial", "content": "head", "note": note("pending")}},
		"it has ended":              {expertOutcome{state: expertPartial, answer: whole, reply: part()}, true, map[string]any{"status": "partial", "content": "head", "note": note("ended")}},
		"it goes on, not stored":    {expertOutcome{state: expertPartial, pending: true, answer: whole, reply: part()}, false, map[string]any{"status": "partial", "content": "head and rest"}},
		"no answer, not stored":     {expertOutcome{state: expertPartial, reply: part()}, false, map[string]any{"status": "partial", "content": "head"}},
		"it failed":                 {expertOutcome{state: expertFailed, reply: part()}, true, map[string]any{"status": "partial", "content": "head", "note": note("again")}},
		"it failed, not stored":     {expertOutcome{state: expertFailed, answer: whole, reply: part()}, false, map[string]any{"status": "partial", "content": "head"}},
		"it answered":               {expertOutcome{state: expertAnswered, answer: whole, reply: part()}, true, map[string]any{"status": "partial", "content": "head", "note": "old"}},
		"it answered, going on too": {expertOutcome{state: expertAnswered, pending: true, reply: part()}, true, map[string]any{"status": "partial", "content": "head", "note": "old"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &run{Engine: &Engine{Config: config.Default()}, spec: debugLike}
			r.step.Words = own
			body, err := r.render(t.Context(), c.outcome, nil)
			require.NoError(t, err)
			var got map[string]any
			require.NoError(t, json.Unmarshal([]byte(jsonOf(t, body("c", c.stored).Get("expert_analysis"))), &got))
			assert.Equal(t, c.want, got)
			assert.Equal(t, c.outcome.state != expertFailed, body("c", c.stored).Get("important_considerations") != nil)
		})
	}
}

// A run that tracks what it found says how to close it, with the issues tool where there is one.
func TestRenderedClosing(t *testing.T) {
	own, err := words.For("debug")
	require.NoError(t, err)
	for _, tool := range []bool{true, false} {
		r := &run{Engine: &Engine{Config: config.Default()}, spec: debugLike}
		r.Config.Tools.IssueTracker, r.step.Words = tool, own
		body, err := r.render(t.Context(), expertOutcome{state: expertSkipped}, []Tracked{{Number: 1}})
		require.NoError(t, err)
		closing, _ := body("c", true).Get("close_tracked_issues").(string)
		assert.Contains(t, closing, "as fixes in the next call")
		assert.Equal(t, tool, strings.Contains(closing, "issues with action fix"))
	}
}
