package ask

import (
	"context"
	"errors"
	"fmt"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// Background is an answer of a conversation as one who waits for it finds it, in whichever process it is written.
type Background struct {
	Turn    conversation.Turn
	Running bool // it is still being written
	// Live is what has arrived of it where it is written in this process, nil elsewhere.
	Live *calls.Outcome
	// Conversation is nil where Live is not.
	Conversation *conversation.Conversation

	generation *calls.Generation // that writes it in this process, nil elsewhere
}

// Background finds an answer by its turn's number; 0 is the latest. The error is conversation.ErrNotFound where there is
// no such answer; any other one says that the store failed.
func (t *Conversations) Background(ctx context.Context, id string, n int) (*Background, error) {
	if f := t.following(id); f != nil && (n == 0 || n == f.turn.N) {
		out := f.generation.Snapshot()
		return &Background{Turn: fill(f.turn, out, f.looked()), Running: true, Live: &out, generation: f.generation}, nil
	}
	loaded, err := t.loadTurns(ctx, id)
	if err != nil {
		return nil, err
	}
	turn := answerOf(loaded, n)
	if turn == nil {
		return nil, conversation.ErrNotFound
	}
	return &Background{Turn: *turn, Running: turn.EffectiveStatus() == conversation.TurnRunning, Conversation: loaded}, nil
}

// CancelBackground ends an answer that is still being written, in this process at once, in another one at its next save.
// What has arrived is kept. An answer that has ended stays as it is.
func (t *Conversations) CancelBackground(ctx context.Context, id string, n int) error {
	b, err := t.Background(ctx, id, n)
	if err != nil || !b.Running {
		return err
	}
	if b.generation != nil {
		b.generation.Cancel()
		return nil
	}
	b.Turn.Status, b.Turn.FinishReason = conversation.TurnPartial, providers.FinishCancelled
	if err := t.save(ctx, id, b.Turn); err != nil && !errors.Is(err, conversation.ErrNotFound) {
		return reply.StoreUnavailable(fmt.Errorf("cancelling an answer: %w", err))
	}
	return nil
}

// Stored describes an answer of a conversation that is no longer being written.
func (t *Conversations) Stored(c *conversation.Conversation, turn conversation.Turn) (*StoredAnswer, error) {
	return t.Reading(c).answer(&turn, false, 0)
}

// Reading is a conversation for one who only reads it. Nothing may be stored by it, and it needs no Release.
func (t *Conversations) Reading(c *conversation.Conversation) *Lease {
	return &Lease{Conversation: *c, t: t}
}

// loadTurns loads a conversation for one who does not work on it.
func (t *Conversations) loadTurns(ctx context.Context, id string) (*conversation.Conversation, error) {
	loaded, err := t.read(ctx, id, whole)
	switch {
	case err == nil, errors.Is(err, conversation.ErrNotFound):
		return loaded, err
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return nil, reply.StoreUnavailable(fmt.Errorf("loading a conversation: %w", err))
}

// answerOf is the conversation's answer of that number, 0 for the latest; nil when there is none.
func answerOf(c *conversation.Conversation, n int) *conversation.Turn {
	if n == 0 {
		return latestAnswer(c)
	}
	for i := range c.Turns {
		if turn := &c.Turns[i]; turn.N == n && turn.Role == providers.RoleAssistant {
			return turn
		}
	}
	return nil
}

// latestAnswer is a conversation's last answer, nil when there is none.
func latestAnswer(c *conversation.Conversation) *conversation.Turn {
	for i := len(c.Turns) - 1; i >= 0; i-- {
		if c.Turns[i].Role == providers.RoleAssistant && !turnMetaOf(c.Turns[i]).Aside {
			return &c.Turns[i]
		}
	}
	return nil
}

// noteStore remembers whether the store outlives the process, and returns why it does not although a database is asked for.
func (t *Conversations) noteStore(store conversation.Store) (temporary string) {
	temporary = conversation.TemporaryReason(store)
	t.lasting.Store(temporary == "" && t.cfg.Conversations.Backend != "memory")
	return temporary
}

// Pending names a stored answer that is still being written; nil when it is not, or when the store ends with the process.
func (h *Lease) Pending(turn conversation.Turn) *reply.Pending {
	if turn.Role != providers.RoleAssistant || turn.N == 0 || turn.Status != conversation.TurnRunning || !h.t.lasting.Load() {
		return nil
	}
	return &reply.Pending{ContinuationID: h.ID, Turn: turn.N}
}
