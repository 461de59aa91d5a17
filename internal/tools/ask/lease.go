package ask

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/exai-mcp/exai-mcp/internal/bounded"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// pollEvery is how often an answer that another process writes is looked for.
const pollEvery = 500 * time.Millisecond

// Lease is a conversation that one call works on: until Release, no other call of this process does.
type Lease struct {
	conversation.Conversation        // as it was loaded; nearly empty when New
	New                       bool   // the conversation does not exist yet
	Temporary                 string // after Append: why the conversation ends with this process, "" where that is not so

	t    *Conversations
	read reader
}

// reader reads a conversation from a store, whole or in part.
type reader func(ctx context.Context, store conversation.Store, id string) (*conversation.Conversation, error)

func whole(ctx context.Context, store conversation.Store, id string) (*conversation.Conversation, error) {
	return store.Load(ctx, id)
}

// latest reads the latest turns, those that have so many bytes at least.
func latest(bytes int) reader {
	return func(ctx context.Context, store conversation.Store, id string) (*conversation.Conversation, error) {
		return store.LoadLatest(ctx, id, bytes)
	}
}

// Lease takes a conversation for one call and loads it, waiting for other calls of this process that have it. An empty id
// begins a new conversation, under the id that the call's first progress message has named. Errors:
// conversation_not_found, conversation_busy, store_unavailable.
func (t *Conversations) Lease(ctx context.Context, id string) (*Lease, error) {
	return t.lease(ctx, id, whole)
}

func (t *Conversations) lease(ctx context.Context, id string, read reader) (*Lease, error) {
	id = strings.TrimSpace(id)
	h := &Lease{t: t, New: id == "", read: read}
	if h.ID = id; h.New {
		if h.ID = progress.From(ctx).ContinuationID(); h.ID == "" {
			h.ID = uuid.NewString()
		}
	}
	wait, cancel := working(ctx)
	defer cancel()
	asked := time.Now()
	if err := t.acquire(ctx, wait, h.ID); err != nil {
		return nil, err
	}
	if h.New {
		return h, nil
	}
	acquired := time.Now()
	err := h.renew(t.loadWithin(ctx, wait, h.ID, read))
	if err == nil {
		return h, nil
	}
	h.Release()
	if wait.Err() != nil && ctx.Err() == nil && time.Since(acquired) < acquired.Sub(asked) { // it is not the store that took the time
		err = reply.ConversationBusy(err)
	}
	return nil, err
}

// ReadWhole reads the turns that Ask did not read, for what depends on every turn of the conversation.
func (h *Lease) ReadWhole(ctx context.Context) error {
	if h.read = whole; h.Earlier == 0 {
		return nil
	}
	return h.Reload(ctx)
}

// Release lets the next call have the conversation.
func (h *Lease) Release() { h.t.leases.Unlock(h.ID) }

// acquire waits until no other call of this process has the conversation, as long as wait.
func (t *Conversations) acquire(ctx, wait context.Context, id string) error {
	switch {
	case t.leases.Lock(wait, id):
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return reply.ConversationBusy(errors.New("another call has this conversation"))
}

func (t *Conversations) load(ctx context.Context, id string, read reader) (*conversation.Conversation, error) {
	wait, cancel := working(ctx)
	defer cancel()
	return t.loadWithin(ctx, wait, id, read)
}

// loadWithin is load as long as wait, which ends with ctx at the latest.
func (t *Conversations) loadWithin(ctx, wait context.Context, id string, read reader) (*conversation.Conversation, error) {
	loaded, err := t.read(wait, id, read)
	switch {
	case err == nil:
		return loaded, nil
	case errors.Is(err, conversation.ErrNotFound):
		return nil, t.notFound(wait)
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return nil, reply.StoreUnavailable(fmt.Errorf("loading a conversation: %w", err))
}

// read reads a conversation from the store, and gives up with ctx. Its error is the store's own.
func (t *Conversations) read(ctx context.Context, id string, read reader) (*conversation.Conversation, error) {
	return bounded.Run(ctx, func(ctx context.Context) (*conversation.Conversation, error) {
		store, err := t.open(ctx)
		if err != nil {
			return nil, err
		}
		t.noteStore(store)
		return read(ctx, store, id)
	})
}

// Running gives the conversation's answer that is still being written, nil when there is none.
func (h *Lease) Running() *conversation.Turn {
	for i := len(h.Turns) - 1; i >= 0; i-- {
		turn := &h.Turns[i]
		if turn.Role != providers.RoleAssistant {
			continue
		}
		if turn.Status == conversation.TurnRunning && (h.t.following(h.ID) != nil || turn.EffectiveStatus() == conversation.TurnRunning) {
			return turn
		}
		return nil
	}
	return nil
}

// AwaitIdle waits until no answer of the conversation is being written any more, in this process or in another, and loads the
// conversation again. It is conversation_busy when the call's time is over before.
func (h *Lease) AwaitIdle(ctx context.Context) error {
	wait, cancel := working(ctx)
	defer cancel()
	for h.Running() != nil {
		progress.From(ctx).Phase("waiting for the last answer")
		var finished <-chan struct{}
		var poll <-chan time.Time
		if f := h.t.following(h.ID); f != nil {
			finished = f.done
		} else {
			poll = time.After(pollEvery)
		}
		select {
		case <-finished:
		case <-poll:
		case <-wait.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return reply.ConversationBusy(nil)
		}
		loaded, err := h.t.loadWithin(ctx, wait, h.ID, h.read)
		switch {
		case err == nil:
			h.Conversation = *loaded
		case wait.Err() != nil && ctx.Err() == nil:
			return reply.ConversationBusy(err)
		default:
			return err
		}
	}
	return nil
}

// CheckCapacity reports whether the conversation takes another turn: conversation_full or conversation_expired where the operator set a
// limit. Reading it goes on.
func (h *Lease) CheckCapacity() error {
	c := h.t.cfg.Conversations
	if h.New {
		return nil
	}
	if n := h.Earlier + len(h.Turns); c.MaxTurns > 0 && n >= c.MaxTurns {
		return &reply.Error{
			Code:    reply.CodeConversationFull,
			Message: fmt.Sprintf("This conversation has %d turns, the limit set by MAX_CONVERSATION_TURNS=%d.", n, c.MaxTurns),
			Hint:    "Omit continuation_id to begin a new one, and repeat in the prompt what the model needs from this one.",
		}
	}
	if age := h.t.now().Sub(h.UpdatedAt); c.TimeoutHours > 0 && age.Hours() > c.TimeoutHours {
		return &reply.Error{
			Code:    reply.CodeConversationExpired,
			Message: fmt.Sprintf("This conversation has been idle for %.1f hours, longer than CONVERSATION_TIMEOUT_HOURS=%g allows.", age.Hours(), c.TimeoutHours),
			Hint:    "Omit continuation_id to begin a new one, and repeat in the prompt what the model needs from this one.",
		}
	}
	return nil
}

// KeepInProcess ends an answer that the store will not get, and keeps it for Fetch.
func (h *Lease) KeepInProcess(a *Answer) {
	if a.Outcome.Live != nil {
		a.Outcome.Live.Stop()
		a.Outcome.Live = nil
		a.describe()
	}
	h.t.unstored.add(h.ID, a.Turn())
}

// InProcess reports whether the conversation's last answer was not stored, but can be fetched from this process.
func (h *Lease) InProcess() bool {
	_, ok := h.t.unstored.get(h.ID)
	return ok
}

// Remaining is how many turns the conversation can still take after added more, nil without a limit.
func (h *Lease) Remaining(added int) *int {
	most := h.t.cfg.Conversations.MaxTurns
	if most <= 0 {
		return nil
	}
	left := max(most-h.Earlier-len(h.Turns)-added, 0)
	return &left
}

// Model is the conversation's model: the one that answered last, or that another stood in for then; "" when none did.
func (h *Lease) Model() string {
	for i := len(h.Turns) - 1; i >= 0; i-- {
		turn := h.Turns[i]
		if turn.Role != providers.RoleAssistant || turn.Model == "" {
			continue
		}
		if from := turnMetaOf(turn).Fallback; from != nil {
			return from.From // a fallback is for its turn only
		}
		return turn.Model
	}
	return ""
}
