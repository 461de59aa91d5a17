package workflow

import (
	"fmt"
	"slices"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// StoredReply is the stored reply of the step whose expert wrote an answer that has ended, nil when the answer belongs to no
// step. completing says that the answer has ended just now, and that its process is about to put it into the reply; where
// that process is gone, the reply has what there is of the answer.
func (e *Engine) StoredReply(c *conversation.Conversation, answer conversation.Turn) (out *reply.Result, completing bool, err error) {
	i := slices.IndexFunc(c.Turns, func(t conversation.Turn) bool { return t.Step != nil && stepMetaOf(t).Answer == answer.ID })
	if i < 0 || answer.ID == "" {
		return nil, false, nil
	}
	turn := c.Turns[i]
	m := stepMetaOf(turn)
	body, err := reply.ParseObject(turn.Step.Reply)
	if err != nil {
		return nil, false, fmt.Errorf("the stored reply of step %d: %w", turn.Step.Number, err)
	}
	r := &run{Engine: e, lease: e.Conversations.Reading(c)}
	if m.Expert != expertPartial {
		r.mergeMetadata(ask.MetadataOf(answer))
		return r.result(body, turn, answer), m.Agent.pending() && conversation.Alive(turn.SavedAt, c.ReadAt), nil
	}
	said, err := e.Conversations.Stored(c, answer)
	if err != nil {
		return nil, false, err
	}
	r.mergeMetadata(said.Metadata)
	body.Set("expert_analysis", (&reply.Object{}).Set("status", "partial").Set("content", said.Text))
	completing = !said.Partial && conversation.Alive(answer.SavedAt, c.ReadAt)
	return r.result(body, turn, answer), completing, nil
}
