package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// A reply that fetches an answer stays as it is where no finished step belongs to it, and fails with what can't be read.
func TestAddStepWithoutAStep(t *testing.T) {
	broken := errors.New("the disk is broken")
	answer := conversation.Turn{ID: "a", Role: providers.RoleAssistant, Content: "x"}
	running := answer
	running.Status = conversation.TurnRunning
	step := func(text string) conversation.Turn {
		return conversation.Turn{Role: providers.RoleUser, Step: &conversation.Step{Number: 1, Reply: json.RawMessage(text)}, Meta: json.RawMessage(`{"answer":"a","expert":"answered"}`)}
	}
	for name, c := range map[string]struct {
		turns  []conversation.Turn
		before error
		fails  string // in the error
		want   string
	}{
		"no conversation":            {want: `{"status":"s"}`},
		"no answer":                  {turns: []conversation.Turn{step(`{"verdict":"pass"}`)}, want: `{"status":"s"}`},
		"an answer of no step":       {turns: []conversation.Turn{{Role: providers.RoleUser}, answer}, want: `{"status":"s"}`},
		"an answer that goes on":     {turns: []conversation.Turn{step(`{"verdict":"pass"}`), running}, want: `{"status":"s"}`},
		"a step":                     {turns: []conversation.Turn{step(`{"verdict":"pass"}`), answer}, want: `{"status":"s","verdict":"pass"}`},
		"a store that fails":         {turns: []conversation.Turn{step(`{}`), answer}, before: broken, fails: broken.Error()},
		"a reply that can't be read": {turns: []conversation.Turn{step(`[]`), answer}, fails: "the stored reply of step 1"},
	} {
		t.Run(name, func(t *testing.T) {
			store := &asktest.Store{}
			if c.turns != nil {
				_, err := store.Append(t.Context(), conversation.NewTurns{ConversationID: "c", Turns: c.turns})
				require.NoError(t, err)
			}
			store.Before = func(context.Context, string) error { return c.before }
			e := &Engine{Config: config.Default(), Conversations: ask.New(ask.Options{Config: config.Default(), Store: store.Open}), Log: zap.NewNop()}
			out := &reply.Result{}
			out.Body.Set("status", "s")
			err := e.AddStep(t.Context(), "c", 0, out)
			if c.fails != "" {
				require.ErrorContains(t, err, c.fails)
				return
			}
			require.NoError(t, err)
			text, err := out.Body.MarshalJSON()
			require.NoError(t, err)
			assert.Equal(t, c.want, string(text)) //nolint:testifylint // the order counts
		})
	}
}

// A fetched answer has what its step has come to. Findings with their citations stand in the place of its text, as JSON
// unless they are cut.
func TestAddStepToAFetchedAnswer(t *testing.T) {
	const all = `{"status":"x","expert_analysis":ANALYSIS,"verdict":"pass","verdict_reason":"r","coverage":[1],"coverage_more":2,"agent_findings":[3],` +
		`"tracked_issues":[4],"close_tracked_issues":"c","next_steps":"n"}`
	const taken = `"verdict":"pass","verdict_reason":"r","coverage":[1],"coverage_more":2,"agent_findings":[3],"tracked_issues":[4],"close_tracked_issues":"c"`
	for name, c := range map[string]struct {
		analysis string
		status   conversation.TurnStatus
		want     string
		notes    []string
	}{
		"findings": {
			`{"status":"analysis_complete","findings":[{"title":"a<b"}]}`, conversation.TurnComplete,
			`{"content":"{\"status\":\"analysis_complete\",\"findings\":[{\"title\":\"a<b\"}]}","content_type":"json",` + taken + `}`, nil,
		},
		"prose":        {`{"status":"analysis_complete","raw_analysis":"p"}`, conversation.TurnComplete, `{"content":"text",` + taken + `}`, nil},
		"text":         {`"p"`, conversation.TurnComplete, `{"content":"text",` + taken + `}`, nil},
		"a cut answer": {`{"status":"partial","content":"p"}`, conversation.TurnPartial, `{"content":"text",` + taken + `}`, nil},
		"a dead process": {
			`{"status":"partial","content":"p"}`, conversation.TurnComplete, `{"content":"text"}`,
			[]string{"The process that asked this expert ended before it completed the step: send the step again with this continuation_id."},
		},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := reply.ParseObject([]byte(all[:len(`{"status":"x","expert_analysis":`)] + c.analysis + all[len(`{"status":"x","expert_analysis":ANALYSIS`):]))
			require.NoError(t, err)
			out := &reply.Result{Answer: &reply.Answer{}}
			out.Body.Set("content", "text")
			out.Answer.Put = func(text string) { out.Body.Set("content", text) }
			addStep(&reply.Result{Body: *body}, conversation.Turn{Status: c.status}, out)
			text, err := out.Body.MarshalJSON()
			require.NoError(t, err)
			assert.Equal(t, c.want, string(text)) //nolint:testifylint // the order counts
			assert.Equal(t, c.notes, out.Metadata.Notes)
			out.Answer.Put("cut")
			assert.Equal(t, "cut", out.Body.Get("content"))
			if name == "findings" {
				assert.Equal(t, "text", out.Body.Get("content_type"))
			} else {
				assert.Nil(t, out.Body.Get("content_type"))
			}
		})
	}
}
