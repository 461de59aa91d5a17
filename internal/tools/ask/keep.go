package ask

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/bounded"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/looks"
)

const (
	saveEvery  = 2 * time.Second  // how often an answer that grows in the background is saved
	saveTime   = 5 * time.Second  // what one save may take
	finishTime = 10 * time.Second // how long the last save is tried, and what Finished may take
)

// Append stores turns at the conversation's end, within the call's reserve, in one transaction. n's ConversationID, Tool and Title
// are filled in where they are empty. a is the answer that is the last of the turns, nil when there is none; when it goes
// on in the background, it is followed from here on. An error means that nothing is known to be stored; the answer
// has then been ended, and Fetch gives what there is of it as long as this process lives.
func (h *Lease) Append(ctx context.Context, n conversation.NewTurns, a *Answer) ([]conversation.Turn, error) {
	if providers.PreviewFrom(ctx) != nil {
		return nil, providers.ErrPreview
	}
	t := h.t
	n.ConversationID, n.Existing, n.Host, n.User = h.ID, !h.New, t.host, t.user
	if n.Workspace == "" {
		n.Workspace = t.space()
	}
	for _, turn := range n.Turns {
		if n.Tool == "" {
			n.Tool = turn.Tool
		}
		if n.Title == "" {
			n.Title = Title(turn.Content)
		}
	}
	limited, cancel := t.storing(ctx)
	defer cancel()
	var temporary string
	stored, err := bounded.Run(limited, func(ctx context.Context) ([]conversation.Turn, error) {
		store, err := t.open(ctx)
		if err != nil {
			return nil, err
		}
		temporary = t.noteStore(store)
		return store.Append(ctx, n)
	})
	if err == nil && len(stored) != len(n.Turns) {
		err = fmt.Errorf("the store returned %d turns for %d", len(stored), len(n.Turns))
	}
	if err != nil {
		t.log.Warn("turns not stored", zap.String("continuation_id", h.ID), zap.Error(err))
		if a != nil {
			h.KeepInProcess(a)
		} else if last := n.Turns[len(n.Turns)-1]; !turnMetaOf(last).Aside {
			t.unstored.add(h.ID, last)
		}
		return nil, fmt.Errorf("storing turns: %w", err)
	}
	t.unstored.drop(h.ID)
	h.Turns, h.Temporary, h.New = append(h.Turns, stored...), temporary, false
	if a != nil && a.Outcome.Live != nil {
		if !t.lasting.Load() {
			a.Outcome.Live.EndTask()
		}
		t.follow(h.ID, stored[len(stored)-1], a)
	}
	return stored, nil
}

// Title is a conversation's title: a prompt's first line, shortened.
func Title(text string) string {
	const most = 80
	line := []rune{}
	for _, r := range text {
		if r == '\n' && len(line) > 0 {
			break
		}
		if r != '\n' && r != '\r' {
			line = append(line, r)
		}
		if len(line) > most {
			return string(line[:most-1]) + "…"
		}
	}
	return string(line)
}

// Save writes a stored turn of the conversation again, within the call's reserve.
func (h *Lease) Save(ctx context.Context, turn conversation.Turn) error {
	limited, cancel := h.t.storing(ctx)
	defer cancel()
	return h.t.save(limited, h.ID, turn)
}

func (t *Conversations) save(ctx context.Context, conversationID string, turn conversation.Turn) error {
	return bounded.Do(ctx, func(ctx context.Context) error {
		store, err := t.open(ctx)
		if err != nil {
			return err
		}
		return store.Save(ctx, conversationID, turn)
	})
}

// follower saves an answer that goes on after its call, until it has ended.
type follower struct {
	turn       conversation.Turn // as it was when its call ended
	generation *calls.Generation
	looked     func() []looks.Look
	done       chan struct{} // closed when the answer has ended and its last save was made, or given up
}

// following gives the follower of a conversation's answer, nil when none goes on in this process.
func (t *Conversations) following(id string) *follower {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.live[id]
}

func (t *Conversations) follow(id string, turn conversation.Turn, a *Answer) {
	f := &follower{turn: turn, generation: a.Outcome.Live, looked: a.question.Reader.Looked, done: make(chan struct{})}
	t.mu.Lock()
	closed := t.closed
	if !closed {
		t.live[id] = f
		t.followers.Add(1)
	}
	t.mu.Unlock()
	if closed {
		f.generation.Stop()
		<-f.generation.Done()
		t.finish(id, f, a.question.Finished)
		return
	}
	work := t.work(id, turn) // before the call's reply says that something goes on
	go func() {
		defer t.followers.Done()
		defer func() {
			t.mu.Lock()
			delete(t.live, id)
			t.mu.Unlock()
			close(f.done)
		}()
		t.grow(id, f, work)
		last := t.finish(id, f, a.question.Finished)
		work.Finish(activity.End{Status: string(last.Status), Provider: last.Provider, Model: last.Model})
	}()
}

// work lists the answer as work in progress, under the id of its conversation.
func (t *Conversations) work(id string, turn conversation.Turn) *activity.Work {
	if t.events == nil {
		return nil
	}
	return t.events.Start(activity.Call{
		ID: "background " + uuid.NewString(), Tool: turn.Tool, ContinuationID: id, Provider: turn.Provider, Model: turn.Model, Background: true,
		Limit: t.cfg.Timeouts.BackgroundLimit().Value,
	})
}

// grow saves the answer every 2 s while it is being written. The save is also the sign that the process lives.
func (t *Conversations) grow(id string, f *follower, work *activity.Work) {
	g := f.generation
	tick := time.Tick(saveEvery)
	for {
		select {
		case <-g.Done():
			return
		case <-tick:
		}
		work.Update(providers.Event{Phase: providers.PhaseBackground, Tokens: g.Tokens()})
		ctx, cancel := context.WithTimeout(context.Background(), saveTime)
		err := t.save(ctx, id, fill(f.turn, g.Snapshot(), f.looked()))
		cancel()
		switch {
		case err == nil:
		case errors.Is(err, conversation.ErrNotFound):
			// It was deleted, its step was taken back, or another process ended it: nobody waits for it any more.
			g.Cancel()
		default:
			t.log.Warn("background answer not saved", zap.String("continuation_id", id), zap.Error(err))
		}
	}
}

// finish makes the last save, trying for a while, and notifies whoever waits for the answer. It returns what was to be saved.
func (t *Conversations) finish(id string, f *follower, finished func(context.Context, conversation.Turn)) conversation.Turn {
	ctx, cancel := context.WithTimeout(context.Background(), finishTime)
	defer cancel()
	turn := fill(f.turn, f.generation.Snapshot(), f.looked())
	for {
		err := t.save(ctx, id, turn)
		if err == nil || errors.Is(err, conversation.ErrNotFound) {
			break
		}
		t.log.Warn("finished answer not saved", zap.String("continuation_id", id), zap.Error(err))
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
			continue
		}
		break
	}
	if finished != nil {
		after, stop := context.WithTimeout(context.Background(), finishTime)
		defer stop()
		if err := bounded.Do(after, func(ctx context.Context) error { finished(ctx, turn); return nil }); err != nil {
			t.log.Warn("after a background answer", zap.String("continuation_id", id), zap.Error(err))
		}
	}
	return turn
}

// Close ends every answer that goes on in the background, keeps what has arrived as a partial turn, and waits until that
// is stored, or for ctx. Answers that end later are stored by their own calls.
func (t *Conversations) Close(ctx context.Context) error {
	t.mu.Lock()
	t.closed = true
	t.endLater()
	for _, f := range t.live {
		f.generation.Stop()
	}
	t.mu.Unlock()
	if err := bounded.Wait(ctx, &t.followers); err != nil {
		return fmt.Errorf("storing background answers: %w", err)
	}
	return nil
}
