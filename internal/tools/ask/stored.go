package ask

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/looks"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// StoredAnswer is an answer in its conversation, as a tool replies with it.
type StoredAnswer struct {
	ContinuationID string
	N              int    // the answer's turn, 0 when it was not stored
	Text           string // from Offset on
	Offset         int    // code points
	Partial        bool
	Pending        bool         // the rest is being written in the background
	InProcess      bool         // not stored, but Fetch gives it while this process keeps it
	Looked         []looks.Look // what the model looked at by itself
	Remaining      *int         // turns that the conversation still takes, nil without a limit
	Metadata       reply.Metadata

	pending *reply.Pending // nil also where the store does not outlive the process
}

// Ask puts a question in a conversation and keeps what was said. An empty id begins a conversation; in an old one the model is the
// one that answered before unless the question names one, and an answer that is still being written is waited for. It
// is conversation_busy, with nothing sent, when that takes longer than the call may.
//
// Of a long conversation it reads the latest turns alone, and more where the model's window has room for them.
func (t *Conversations) Ask(ctx context.Context, id string, q Question) (*StoredAnswer, error) {
	h, err := t.lease(ctx, id, latest(conversation.BytesPerToken*usualWindow))
	if err != nil {
		return nil, err
	}
	defer h.Release()
	if err := h.AwaitIdle(ctx); err != nil {
		return nil, err
	}
	if err := h.CheckCapacity(); err != nil {
		return nil, err
	}
	q.Key, q.Prefer = h.ID, h.Model()
	if q.Attach != nil {
		if err := q.Attach(ctx, h, &q); err != nil {
			return nil, err
		}
	}
	q.History, q.earlier, q.more = h.Turns, h.Earlier, h.readMore(ctx)
	a, err := t.Generate(ctx, q)
	if err != nil {
		return nil, err
	}
	return h.storeAnswer(ctx, a), nil
}

// usualWindow is for how large a window the turns are read before the model is known, in tokens.
const usualWindow = 262_144

// readMore reads more turns than Ask did. It is called while the request is made, which may be behind the call.
func (h *Lease) readMore(ctx context.Context) func(bytes int) (*conversation.Conversation, error) {
	return func(bytes int) (*conversation.Conversation, error) {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
		defer cancel()
		loaded, err := h.t.read(limited, h.ID, latest(bytes))
		if err != nil {
			return nil, reply.StoreUnavailable(fmt.Errorf("loading more of a conversation: %w", err))
		}
		return loaded, nil
	}
}

// storeAnswer keeps an answer with its question and describes it.
func (h *Lease) storeAnswer(ctx context.Context, a *Answer) *StoredAnswer {
	stored, err := h.Append(ctx, conversation.NewTurns{Turns: []conversation.Turn{a.Asked, a.Turn()}}, a)
	s := &StoredAnswer{ContinuationID: h.ID, Text: a.Text, Partial: a.Partial, Pending: a.Pending, Looked: a.Looked(), Metadata: a.Metadata()}
	if err != nil {
		_, s.InProcess = h.t.unstored.get(h.ID)
		s.NotStored()
		return s
	}
	s.N, s.Remaining = stored[len(stored)-1].N, h.Remaining(0)
	s.Metadata.InMemory(h.Temporary)
	s.Metadata.Note(ListingNote(h.ID, stored[0]))
	s.pending = h.Pending(stored[len(stored)-1])
	return s
}

// NotConfirmed begins the note on whatever the store did not take, or not in time.
const NotConfirmed = "The store did not confirm that this was stored (see exai-mcp doctor and the server's log), so "

// NotStored says in the metadata that the store did not confirm in time, so that the conversation can't be relied on.
func (s *StoredAnswer) NotStored() {
	no := false
	s.N, s.Pending, s.pending, s.Metadata.Stored = 0, false, nil, &no
	if s.InProcess {
		s.Metadata.Note(NotConfirmed + "the conversation can't be continued from here. Until this server ends, or has more such answers, chat with continuation_id " +
			s.ContinuationID + " and a blank prompt reads this answer again.")
		return
	}
	s.Metadata.Note(NotConfirmed + "this answer cannot be continued or fetched again: keep what you need of it.")
}

// Fetch reads the last answer of a conversation. Without an offset it waits, within the call's limit, for one that is still
// being written. With an offset (code points) it gives that part of what there is, at once.
func (t *Conversations) Fetch(ctx context.Context, id string, offset *int) (*StoredAnswer, error) {
	id = strings.TrimSpace(id)
	if turn, ok := t.unstored.get(id); ok {
		return t.fetchUnstored(id, turn, offset)
	}
	if offset != nil {
		loaded, err := t.load(ctx, id, whole)
		if err != nil {
			return nil, err
		}
		return (&Lease{Conversation: *loaded, t: t}).lastAnswer(*offset)
	}
	h, err := t.beingAnswered(ctx, id)
	if err == nil && h == nil {
		if h, err = t.Lease(ctx, id); err == nil {
			defer h.Release()
		}
	}
	if err != nil {
		return nil, err
	}
	// An answer that is not finished when the time is over is given as far as it is.
	if err := h.AwaitIdle(ctx); err != nil && (h.Running() == nil || reply.FromError(ctx, err).Code != reply.CodeConversationBusy) {
		return nil, err
	}
	s, err := h.lastAnswer(0)
	if err == nil && s.Pending && t.following(id) != nil {
		h.keepRead(ctx, s)
	}
	return s, err
}

// beingAnswered gives a conversation whose last answer is still being written, without a lease: other calls may hold it and wait
// for the same answer. It is nil for any other conversation, one that is not stored yet included: its first call may go on.
func (t *Conversations) beingAnswered(ctx context.Context, id string) (*Lease, error) {
	wait, cancel := working(ctx)
	defer cancel()
	loaded, err := t.read(wait, id, latest(1))
	switch {
	case errors.Is(err, conversation.ErrNotFound):
		return nil, nil
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, reply.StoreUnavailable(fmt.Errorf("loading a conversation: %w", err))
	}
	h := &Lease{Conversation: *loaded, t: t}
	if h.Running() == nil {
		return nil, nil
	}
	return h, h.ReadWhole(ctx)
}

// keepRead stores what a reply gives of an answer that is still being written here: it may be seconds newer than what was
// saved, and whoever has read it must find it after this process was killed.
func (h *Lease) keepRead(ctx context.Context, s *StoredAnswer) {
	err := h.Save(ctx, *latestAnswer(&h.Conversation))
	if err == nil || errors.Is(err, conversation.ErrNotFound) { // it has ended meanwhile, and its last save has more
		return
	}
	h.t.log.Warn("part of a background answer not saved", zap.String("continuation_id", h.ID), zap.Error(err))
	no := false
	s.Metadata.Stored = &no
	s.Metadata.Note(NotConfirmed + "the end of this text may be missing from the conversation if this server is killed before the answer is complete.")
}

// fetchUnstored is Fetch of an answer that the store did not take.
func (t *Conversations) fetchUnstored(id string, turn conversation.Turn, offset *int) (*StoredAnswer, error) {
	at := 0
	if offset != nil {
		at = *offset
	}
	s, err := (&Lease{Conversation: conversation.Conversation{ID: id, Turns: []conversation.Turn{turn}}, t: t}).lastAnswer(at)
	if err != nil {
		return nil, err
	}
	s.Remaining, s.InProcess = nil, true
	s.NotStored()
	return s, nil
}

// lastAnswer describes the conversation's last answer, with what has arrived of it in this process where it goes on here.
func (h *Lease) lastAnswer(offset int) (*StoredAnswer, error) {
	turn := latestAnswer(&h.Conversation)
	if turn == nil {
		return nil, reply.InvalidRequest("Send a prompt.", "No model has answered in this conversation yet, so there is nothing to fetch.")
	}
	return h.answer(turn, h.Running() != nil, offset)
}

// answer describes an answer of the conversation. running says that it is still being written.
func (h *Lease) answer(turn *conversation.Turn, running bool, offset int) (*StoredAnswer, error) {
	s := &StoredAnswer{ContinuationID: h.ID, N: turn.N, Offset: offset, Remaining: h.Remaining(0)}
	whole, thinking := turn.Content, "The model was still thinking when the answer was cut off; no part of it had arrived."
	if f := h.t.following(h.ID); f != nil && running {
		out := f.generation.Snapshot()
		*turn, whole = fill(*turn, out, f.looked()), out.Response.Content
		thinking = stillThinking(out)
	} else if running {
		thinking = "The model is still thinking; no part of the answer has arrived yet."
	}
	s.Partial, s.Pending = turn.EffectiveStatus() != conversation.TurnComplete, running
	if running {
		s.pending = h.Pending(*turn)
	}
	s.Metadata, s.Looked = MetadataOf(*turn), LookedIn(*turn)
	switch {
	case running:
		s.Metadata.Note("The answer is still being written in the background.")
	case s.Partial && turn.FinishReason == providers.FinishCancelled:
		s.Metadata.Note("The call was cancelled before the answer was complete.")
	case s.Partial:
		s.Metadata.Note("The answer was cut off.")
	}
	if s.Partial && strings.TrimSpace(whole) == "" {
		s.Text, s.Offset = thinking, 0
		return s, nil
	}
	rest, ok := from(whole, offset)
	if !ok {
		return nil, reply.InvalidRequest("Send an offset within the answer, or none to read it from the start.",
			"offset %d is beyond the end of the last answer, which has %d characters.", offset, utf8.RuneCountInString(whole))
	}
	s.Text = rest
	s.Metadata.Note(noteOnMasks(whole))
	return s, nil
}

// MetadataOf is the metadata of an answer that was kept.
func MetadataOf(turn conversation.Turn) reply.Metadata {
	meta, usage := turnMetaOf(turn), turn.Usage
	m := reply.Metadata{
		ModelUsed: turn.Model, ProviderUsed: turn.Provider, Attempts: meta.Attempts,
		FinishReason: string(turn.FinishReason), Usage: &usage, Thinking: meta.Thinking, Fallback: meta.Fallback,
		Sources: meta.Sources, Searches: meta.Searches,
	}
	m.Note(meta.Notes...)
	return m
}

// from is the text behind the first n code points, and false when it has fewer, or n is negative.
func from(text string, n int) (string, bool) {
	for i := range text {
		if n == 0 {
			return text[i:], true
		}
		n--
	}
	return "", n == 0
}

// URI is the resource that holds the whole answer, "" when it was not stored.
func (s *StoredAnswer) URI() string {
	if s.N == 0 {
		return ""
	}
	return turnURI(s.ContinuationID, s.N)
}

// Reply is what chat answers with: content, metadata, and the offer to go on.
func (s *StoredAnswer) Reply() *reply.Result {
	r := &reply.Result{Metadata: s.Metadata, Pending: s.pending}
	status := "continuation_available"
	switch {
	case s.Partial:
		status = "partial"
	case s.N == 0:
		status = "success"
	}
	r.Body.Set("status", status).Set("content", s.Text).Set("content_type", "text")
	if len(s.Looked) > 0 {
		r.Body.Set("looked_at", s.Looked)
	}
	if s.N > 0 {
		r.Body.Set("continuation_offer", ContinuationOffer(s.ContinuationID, s.note(), s.Remaining))
	}
	r.Answer = &reply.Answer{
		Text: s.Text, Offset: s.Offset, URI: s.URI(),
		Put: func(text string) { r.Body.Set("content", text) },
	}
	if s.N > 0 || s.InProcess {
		r.Answer.ContinuationID = s.ContinuationID
	}
	return r
}

func (s *StoredAnswer) note() string {
	switch {
	case s.Pending:
		return "The answer is still being written: call chat with this continuation_id and a blank prompt to wait for it."
	case s.Partial:
		return "Call chat with this continuation_id and a prompt that asks for the rest, or with a blank prompt to read this again."
	case s.Remaining != nil && *s.Remaining == 0:
		return "This conversation has no turns left; a blank prompt with this continuation_id reads this answer again."
	}
	return "Send this continuation_id with the next prompt: the model remembers this conversation, files included."
}

// ContinuationOffer is the block that tells a client how to go on.
func ContinuationOffer(continuationID, note string, remaining *int) *reply.Object {
	return (&reply.Object{}).Set("continuation_id", continuationID).Set("note", note).Set("remaining_turns", remaining)
}
