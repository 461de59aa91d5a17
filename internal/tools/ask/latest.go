package ask

import (
	"context"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
)

// Reload reads the conversation again.
func (h *Lease) Reload(ctx context.Context) error {
	return h.renew(h.t.load(ctx, h.ID, h.read))
}

// ReloadWithin is Reload for one whose ctx ends with the time that the call has.
func (h *Lease) ReloadWithin(ctx context.Context) error {
	return h.renew(h.t.loadWithin(ctx, ctx, h.ID, h.read))
}

func (h *Lease) renew(loaded *conversation.Conversation, err error) error {
	if err == nil {
		h.Conversation = *loaded
	}
	return err
}

// SoFar is an answer of the conversation with what has arrived of it where it goes on in this process, and the text to show:
// the answer's, or a sentence where there is none yet.
func (h *Lease) SoFar(turn conversation.Turn) (conversation.Turn, string) {
	f := h.t.following(h.ID)
	switch {
	case f != nil:
		out := f.generation.Snapshot()
		turn = fill(turn, out, f.looked())
		if turn.Content == "" {
			return turn, stillThinking(out)
		}
	case turn.Content == "":
		return turn, "The model is still thinking; no part of the answer has arrived yet."
	}
	return turn, turn.Content
}
