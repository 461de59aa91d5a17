package workflow_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

// What the stored reply of an answer's step is depends on the state in which its process has left it: whole, about to be
// completed, or with what there is of the answer.
func TestStoredReply(t *testing.T) {
	l := newFixture(t, asktest.Says("never"))
	e := &workflow.Engine{Config: l.cfg, Conversations: l.deps.Conversations}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const whole, partial = `{"status":"done","expert_analysis":"read"}`, `{"status":"done","expert_analysis":{"status":"partial","content":"so far"}}`
	for name, c := range map[string]struct {
		meta       string
		stepAge    time.Duration
		answer     conversation.Turn
		answerAge  time.Duration
		reply      string // "" for none
		completing bool
		notes      []string
	}{
		"of no step":            {`{"answer":"other"}`, 0, conversation.Turn{ID: "a"}, 0, "", false, nil},
		"of no name":            {`{}`, 0, conversation.Turn{}, 0, "", false, nil},
		"whole":                 {`{"answer":"a","expert":"answered"}`, time.Minute, conversation.Turn{ID: "a"}, time.Minute, whole, false, nil},
		"being judged":          {`{"answer":"a","expert":"answered","agent":{"state":"partial"}}`, time.Second, conversation.Turn{ID: "a"}, time.Minute, whole, true, nil},
		"its judge has died":    {`{"answer":"a","expert":"answered","agent":{"state":"partial"}}`, time.Minute, conversation.Turn{ID: "a"}, time.Second, whole, false, nil},
		"judged":                {`{"answer":"a","expert":"answered","agent":{"state":"judged"}}`, time.Second, conversation.Turn{ID: "a"}, time.Second, whole, false, nil},
		"about to be completed": {`{"answer":"a","expert":"partial"}`, time.Minute, conversation.Turn{ID: "a", Status: conversation.TurnComplete, Content: "so far"}, time.Second, partial, true, nil},
		"its process has died":  {`{"answer":"a","expert":"partial"}`, time.Second, conversation.Turn{ID: "a", Status: conversation.TurnComplete, Content: "so far"}, time.Minute, partial, false, nil},
		"cut":                   {`{"answer":"a","expert":"partial"}`, time.Second, conversation.Turn{ID: "a", Status: conversation.TurnPartial, Content: "so far"}, time.Second, partial, false, []string{"The answer was cut off."}},
	} {
		t.Run(name, func(t *testing.T) {
			c.answer.Role, c.answer.Model, c.answer.N, c.answer.SavedAt = providers.RoleAssistant, "glm-5.3", 2, now.Add(-c.answerAge)
			step := conversation.Turn{
				ID: "s", N: 1, Role: providers.RoleUser, Meta: []byte(c.meta), SavedAt: now.Add(-c.stepAge),
				Step: &conversation.Step{Tool: "debug", Number: 1, Reply: []byte(whole)},
			}
			stored := &conversation.Conversation{ID: "id-1", ReadAt: now, Turns: []conversation.Turn{{ID: "q", Role: providers.RoleUser, Meta: []byte(`{"answer":"a"}`)}, step, c.answer}}
			out, completing, err := e.StoredReply(stored, c.answer)
			require.NoError(t, err)
			assert.Equal(t, c.completing, completing)
			if c.reply == "" {
				assert.Nil(t, out)
				return
			}
			body, err := out.Body.MarshalJSON()
			require.NoError(t, err)
			assert.JSONEq(t, c.reply, string(body))
			assert.Equal(t, "glm-5.3", out.Metadata.ModelUsed)
			assert.Equal(t, c.notes, out.Metadata.Notes)

			stored.Turns[1].Step.Reply = []byte("no reply")
			out, completing, err = e.StoredReply(stored, c.answer)
			require.ErrorContains(t, err, "the stored reply of step 1")
			assert.Nil(t, out)
			assert.False(t, completing)
		})
	}
}
