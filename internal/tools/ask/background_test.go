package ask_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// dripping answers within a minute and a half, a word a second.
func dripping() asktest.Chat {
	var words []string
	for i := range 90 {
		words = append(words, fmt.Sprint(i, " "))
	}
	return asktest.Drips(time.Second, text(words...)...)
}

// thinkingOn thinks for a minute and a half before it answers.
func thinkingOn() asktest.Chat {
	var thoughts []providers.Delta
	for range 90 {
		thoughts = append(thoughts, providers.Delta{Reasoning: "hmm, "})
	}
	return asktest.Drips(time.Second, append(thoughts, text("yes")...)...)
}

// pendingAnswer asks a question whose answer takes a minute and a half.
func pendingAnswer(t *testing.T, b *fixture) *ask.StoredAnswer {
	t.Helper()
	part, err := b.Ask(b.call(), "", question("q"))
	require.NoError(t, err)
	require.True(t, part.Pending)
	require.Equal(t, &reply.Pending{ContinuationID: part.ContinuationID, Turn: 2}, part.Reply().Pending)
	return part
}

// otherProcess is the same service in another process: it shares the store alone.
func otherProcess(t *testing.T, b *fixture) *fixture {
	other := newFixture(t, asktest.Says("x"))
	other.Conversations = ask.New(ask.Options{Config: b.cfg, Caller: other.caller, Store: b.store.Open})
	return other
}

func TestBackgroundIsFoundInEveryProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, dripping())
		part := pendingAnswer(t, b)
		id, other := part.ContinuationID, otherProcess(t, b)
		time.Sleep(5 * time.Second)

		for _, n := range []int{0, 2} {
			here, err := b.Background(t.Context(), id, n)
			require.NoError(t, err)
			assert.True(t, here.Running)
			require.NotNil(t, here.Live)
			assert.Greater(t, len(here.Turn.Content), len(part.Text))
			assert.Equal(t, 2, here.Turn.N)

			there, err := other.Background(t.Context(), id, n)
			require.NoError(t, err)
			assert.True(t, there.Running)
			assert.Nil(t, there.Live)
			assert.Greater(t, len(there.Turn.Content), len(part.Text), "what was saved")
		}
		for _, n := range []int{1, 3} {
			_, err := b.Background(t.Context(), id, n)
			require.ErrorIs(t, err, conversation.ErrNotFound, "no answer is turn %d", n)
			_, err = other.Background(t.Context(), id, n)
			require.ErrorIs(t, err, conversation.ErrNotFound)
		}
		_, err := b.Background(t.Context(), "nobody", 0)
		require.ErrorIs(t, err, conversation.ErrNotFound)

		time.Sleep(2 * time.Minute)
		for _, in := range []*fixture{b, other} {
			done, err := in.Background(t.Context(), id, 2)
			require.NoError(t, err)
			assert.False(t, done.Running)
			said, err := in.Stored(done.Conversation, done.Turn)
			require.NoError(t, err)
			assert.Equal(t, done.Turn.Content, said.Text)
			assert.False(t, said.Partial)
			assert.False(t, said.Pending)
			assert.Nil(t, said.Reply().Pending)
		}
		// A later question does not change what an earlier answer was.
		before, err := b.Background(t.Context(), id, 2)
		require.NoError(t, err)
		_, err = other.Ask(other.call(), id, question("again"))
		require.NoError(t, err)
		after, err := b.Background(t.Context(), id, 2)
		require.NoError(t, err)
		assert.Equal(t, before.Turn.Content, after.Turn.Content)
		latest, err := b.Background(t.Context(), id, 0)
		require.NoError(t, err)
		assert.Equal(t, 4, latest.Turn.N)
	})
}

// Whoever asked for a background answer can cancel it from any process; the vendor's connection is closed, and what has
// arrived is kept.
func TestCancelBackground(t *testing.T) {
	for name, process := range map[string]func(*testing.T, *fixture) *fixture{
		"here": func(_ *testing.T, b *fixture) *fixture { return b }, "elsewhere": otherProcess,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var closed atomic.Bool
				slow := dripping()
				b := newFixture(t, func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
					resp, err := slow(ctx, req, on)
					closed.Store(ctx.Err() != nil)
					return resp, err
				})
				part := pendingAnswer(t, b)
				from := process(t, b)
				require.NoError(t, from.CancelBackground(t.Context(), part.ContinuationID, 2))
				require.NoError(t, from.CancelBackground(t.Context(), part.ContinuationID, 2), "twice in the same moment")
				synctest.Wait()
				assert.Equal(t, from == b, closed.Load(), "here at once")
				time.Sleep(3 * time.Second)
				assert.True(t, closed.Load(), "at the latest at the next save")
				for _, in := range []*fixture{b, from} {
					got, err := in.Background(t.Context(), part.ContinuationID, 2)
					require.NoError(t, err)
					assert.False(t, got.Running)
					assert.Equal(t, providers.FinishCancelled, got.Turn.FinishReason)
					assert.GreaterOrEqual(t, len(got.Turn.Content), len(part.Text))
				}
				require.NoError(t, from.CancelBackground(t.Context(), part.ContinuationID, 2), "it has ended")
				require.ErrorIs(t, from.CancelBackground(t.Context(), "nobody", 0), conversation.ErrNotFound)
			})
		})
	}
}

// Whoever waits for an answer is told that the store failed, or that the call has ended, and not that there is no answer.
func TestBackgroundOfAStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, dripping())
		var failing atomic.Value
		b.store.Before = func(_ context.Context, op string) error {
			if op == failing.Load() {
				return errors.New("disk full")
			}
			return nil
		}
		part := pendingAnswer(t, b)
		other := otherProcess(t, b)
		failing.Store("save")
		err := other.CancelBackground(t.Context(), part.ContinuationID, 0)
		assert.Equal(t, reply.CodeStoreUnavailable, codeOf(err))
		require.ErrorContains(t, err, "cancelling an answer: disk full")

		failing.Store("load")
		got, err := other.Background(t.Context(), part.ContinuationID, 0)
		assert.Nil(t, got)
		assert.Equal(t, reply.CodeStoreUnavailable, codeOf(err))
		require.ErrorContains(t, err, "loading a conversation: disk full")
		assert.Equal(t, reply.CodeStoreUnavailable, codeOf(other.CancelBackground(t.Context(), part.ContinuationID, 0)))

		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("the client is gone")
		cancel(gone)
		_, err = other.Background(ctx, part.ContinuationID, 0)
		assert.Equal(t, gone, err)
		failing.Store("")
		time.Sleep(2 * time.Minute)
	})
}

// temporaryStore is one that stands in for a database.
type temporaryStore struct{ *asktest.Store }

func (temporaryStore) Temporary() string { return "the database does not answer." }

// Where a database was asked for and memory serves instead, the reply says so, and promises nothing to who waits for an answer.
func TestNothingIsPendingInAStandIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, dripping())
		b.Conversations = ask.New(ask.Options{Config: b.cfg, Caller: b.caller, Store: func(context.Context) (conversation.Store, error) {
			return temporaryStore{b.store}, nil
		}})
		part, err := b.Ask(b.call(), "", question("q"))
		require.NoError(t, err)
		assert.True(t, part.Pending)
		assert.Nil(t, part.Reply().Pending)
		assert.False(t, *part.Metadata.Stored)
		assert.Contains(t, part.Metadata.Notes, "Kept in memory until this server ends, not in a database: the database does not answer.")
		time.Sleep(2 * time.Minute)
	})
}

// A store that ends with the process promises nothing to who waits for an answer.
func TestNothingIsPendingInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, dripping())
		b.cfg.Conversations.Backend = "memory"
		part, err := b.Ask(b.call(), "", question("q"))
		require.NoError(t, err)
		assert.True(t, part.Pending)
		assert.Nil(t, part.Reply().Pending)
		again, err := b.Fetch(b.call(), part.ContinuationID, nil)
		require.NoError(t, err)
		assert.True(t, again.Pending)
		assert.Nil(t, again.Reply().Pending)
		b.cfg.Conversations.Backend = "sqlite"
		again, err = b.Fetch(b.call(), part.ContinuationID, nil)
		require.NoError(t, err)
		assert.Equal(t, again.Pending, again.Reply().Pending != nil)
	})
}

// An answer that goes on behind its call is listed as such.
func TestBackgroundWorkIsListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, dripping())
		log := activity.Open(b.cfg, nil)
		b.Conversations = ask.New(ask.Options{Config: b.cfg, Caller: b.caller, Store: b.store.Open, Activity: log})
		part := pendingAnswer(t, b)
		running := log.Running()
		require.Len(t, running, 1)
		assert.True(t, running[0].Background)
		time.Sleep(10 * time.Second)
		assert.Greater(t, log.Running()[0].Tokens, 10, "what has arrived since")
		assert.Equal(t, part.ContinuationID, running[0].ContinuationID)
		time.Sleep(2 * time.Minute)
		assert.Empty(t, log.Running())
		require.NoError(t, log.Close())
	})
}

// Whoever gives up waiting for an answer is told so.
func TestFetchIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, dripping())
		part := pendingAnswer(t, b)
		ctx, cancel := context.WithCancelCause(b.call())
		gone := errors.New("the client is gone")
		time.AfterFunc(time.Second, func() { cancel(gone) })
		s, err := b.Fetch(ctx, part.ContinuationID, nil)
		require.ErrorIs(t, err, gone)
		assert.Nil(t, s)
		time.Sleep(2 * time.Minute)
	})
}
