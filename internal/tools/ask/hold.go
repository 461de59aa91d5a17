package ask

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// pollEvery is how often an answer that another process writes is looked for.
const pollEvery = 500 * time.Millisecond

// Hold is a thread that one call works on: until Release, no other call of this process does.
type Hold struct {
	conversation.Thread      // as it was loaded; nearly empty when New
	New                 bool // the thread does not exist before Keep

	t *Threads
}

// turnstile lets one call after the other into a thread.
type turnstile struct {
	free  chan struct{} // holds one token
	users int
}

// Hold takes hold of a thread and loads it, waiting for other calls of this process that work on it. An empty id begins a
// new thread, under the id that the call's first progress message has named. Errors: conversation_not_found,
// conversation_busy, store_unavailable.
func (t *Threads) Hold(ctx context.Context, id string) (*Hold, error) {
	id = strings.TrimSpace(id)
	h := &Hold{t: t, New: id == ""}
	if h.ID = id; h.New {
		if h.ID = progress.From(ctx).ContinuationID(); h.ID == "" {
			h.ID = uuid.NewString()
		}
	}
	if err := t.enter(ctx, h.ID); err != nil {
		return nil, err
	}
	if h.New {
		return h, nil
	}
	thread, err := t.load(ctx, id)
	if err != nil {
		h.Release()
		return nil, err
	}
	h.Thread = *thread
	return h, nil
}

// Release lets the next call in.
func (h *Hold) Release() {
	t := h.t
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.turns[h.ID]
	if s.users--; s.users == 0 {
		delete(t.turns, h.ID)
		return
	}
	s.free <- struct{}{}
}

func (t *Threads) enter(ctx context.Context, id string) error {
	t.mu.Lock()
	s := t.turns[id]
	if s == nil {
		s = &turnstile{free: make(chan struct{}, 1)}
		s.free <- struct{}{}
		t.turns[id] = s
	}
	s.users++
	t.mu.Unlock()

	wait, cancel := working(ctx)
	defer cancel()
	select {
	case <-s.free:
		return nil
	case <-wait.Done():
	}
	t.mu.Lock()
	if s.users--; s.users == 0 {
		delete(t.turns, id)
	}
	t.mu.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return reply.Busy(errors.New("another call works on this thread"))
}

func (t *Threads) load(ctx context.Context, id string) (*conversation.Thread, error) {
	wait, cancel := working(ctx)
	defer cancel()
	thread, err := within(wait, func(ctx context.Context) (*conversation.Thread, error) {
		store, err := t.open(ctx)
		if err != nil {
			return nil, err
		}
		return store.Load(ctx, id)
	})
	switch {
	case err == nil:
		return thread, nil
	case errors.Is(err, conversation.ErrNotFound):
		return nil, err
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return nil, reply.StoreFailed(fmt.Errorf("loading a thread: %w", err))
}

// Running gives the thread's answer that is still being written, nil when there is none.
func (h *Hold) Running() *conversation.Turn {
	for i := len(h.Turns) - 1; i >= 0; i-- {
		turn := &h.Turns[i]
		if turn.Role != providers.RoleAssistant {
			continue
		}
		if turn.Status == conversation.TurnRunning && (h.t.following(h.ID) != nil || turn.Settled(h.t.now()) == conversation.TurnRunning) {
			return turn
		}
		return nil
	}
	return nil
}

// Settle waits until no answer of the thread is being written any more, in this process or in another, and loads the
// thread anew. It is conversation_busy when the call's time is over before.
func (h *Hold) Settle(ctx context.Context) error {
	wait, cancel := working(ctx)
	defer cancel()
	for h.Running() != nil {
		progress.From(ctx).Phase("waiting for the last answer")
		tick := time.NewTimer(pollEvery)
		var finished <-chan struct{}
		if f := h.t.following(h.ID); f != nil {
			tick.Stop()
			finished = f.done
		}
		select {
		case <-finished:
		case <-tick.C:
		case <-wait.Done():
			tick.Stop()
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return reply.Busy(nil)
		}
		thread, err := h.t.load(wait, h.ID)
		if err != nil {
			if wait.Err() != nil && ctx.Err() == nil {
				return reply.Busy(err)
			}
			return err
		}
		h.Thread = *thread
	}
	return nil
}

// Room tells whether the thread takes another turn: conversation_full or conversation_expired where the operator set a
// limit. Reading it goes on.
func (h *Hold) Room() error {
	c := h.t.cfg.Conversations
	if h.New {
		return nil
	}
	if c.MaxTurns > 0 && len(h.Turns) >= c.MaxTurns {
		return &reply.Error{
			Code:    reply.ConversationFull,
			Message: fmt.Sprintf("This conversation has %d turns, as many as MAX_CONVERSATION_TURNS=%d allows.", len(h.Turns), c.MaxTurns),
			Hint:    "Leave continuation_id out to begin a new one, and say in the prompt what it must know of this one.",
		}
	}
	if age := h.t.now().Sub(h.UpdatedAt); c.TimeoutHours > 0 && age.Hours() > c.TimeoutHours {
		return &reply.Error{
			Code:    reply.ConversationExpired,
			Message: fmt.Sprintf("This conversation rested for %.1f hours, longer than CONVERSATION_TIMEOUT_HOURS=%g allows.", age.Hours(), c.TimeoutHours),
			Hint:    "Leave continuation_id out to begin a new one, and say in the prompt what it must know of this one.",
		}
	}
	return nil
}

// Remaining is how many turns the thread can still take after added more, nil without a limit.
func (h *Hold) Remaining(added int) *int {
	most := h.t.cfg.Conversations.MaxTurns
	if most <= 0 {
		return nil
	}
	left := max(most-len(h.Turns)-added, 0)
	return &left
}

// Model is the thread's model: the one that answered last, or that another stood in for then; "" when none did.
func (h *Hold) Model() string {
	for i := len(h.Turns) - 1; i >= 0; i-- {
		turn := h.Turns[i]
		if turn.Role != providers.RoleAssistant || turn.Model == "" {
			continue
		}
		if from := metaOf(turn).Fallback; from != nil {
			return from.From // a fallback is for its turn only
		}
		return turn.Model
	}
	return ""
}
