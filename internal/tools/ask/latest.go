package ask

import (
	"context"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
)

// Reload reads the thread anew.
func (h *Hold) Reload(ctx context.Context) error {
	thread, err := h.t.load(ctx, h.ID)
	if err != nil {
		return err
	}
	h.Thread = *thread
	return nil
}

// SoFar is an answer of the thread with what has arrived of it where it goes on in this process, and the text to show:
// the answer's, or a sentence where there is none yet.
func (h *Hold) SoFar(turn conversation.Turn) (conversation.Turn, string) {
	f := h.t.following(h.ID)
	switch {
	case f != nil:
		out := f.generation.Snapshot()
		turn = fill(turn, out)
		if turn.Content == "" {
			return turn, stillThinking(out)
		}
	case turn.Content == "":
		return turn, "The model is still thinking; nothing of the answer has arrived yet."
	}
	return turn, turn.Content
}
