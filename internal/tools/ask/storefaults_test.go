package ask_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// A reply must not look stored where the store refuses what it gives of an unfinished answer.
func TestFetchSaysThatWhatItGivesWasNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pieces := make([]string, 100)
		for i := range pieces {
			pieces[i] = "x"
		}
		b := newFixture(t, asktest.Drips(900*time.Millisecond, text(pieces...)...))
		var full atomic.Bool
		b.store.Before = func(_ context.Context, op string) error {
			if op == "save" && full.Load() {
				return errors.New("disk full")
			}
			return nil
		}
		said := b.ask("", "count")
		full.Store(true)
		again, err := b.Fetch(b.call(), said.ContinuationID, nil)
		require.NoError(t, err)
		assert.True(t, again.Pending)
		require.NotNil(t, again.Metadata.Stored)
		assert.False(t, *again.Metadata.Stored)
		assert.Contains(t, strings.Join(again.Metadata.Notes, "\n"), "may be missing from the conversation")
		full.Store(false)
	})
}

// A conversation that is deleted while an answer to it is written stays deleted.
func TestDeletedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, asktest.Says("an answer"))
		id := b.ask("", "x").ContinuationID
		b.store.Before = func(ctx context.Context, op string) error {
			if op == "append" {
				return b.store.Delete(ctx, id)
			}
			return nil
		}
		said := b.ask(id, "y")
		assert.Equal(t, "an answer", said.Text)
		require.NotNil(t, said.Metadata.Stored)
		assert.False(t, *said.Metadata.Stored)
		_, err := b.store.Load(t.Context(), id)
		require.ErrorIs(t, err, conversation.ErrNotFound)
	})
}

func TestStoreThatHangsCostsTheOfferOnly(t *testing.T) {
	for _, heeds := range []bool{true, false} {
		t.Run(fmt.Sprintf("heeds its context: %v", heeds), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newFixture(t, asktest.Drips(time.Second, text("a", "b")...))
				block := make(chan struct{})
				b.store.Before = func(ctx context.Context, _ string) error {
					if !heeds {
						<-block
						return errors.New("gone")
					}
					<-ctx.Done()
					return context.Cause(ctx)
				}
				start := time.Now()
				said := b.ask("", "x")
				assert.Equal(t, "ab", said.Text)
				assert.Less(t, time.Since(start), 8*time.Second)
				require.NotNil(t, said.Metadata.Stored)
				assert.False(t, *said.Metadata.Stored)
				assert.Contains(t, said.Metadata.Notes[len(said.Metadata.Notes)-1], ask.NotConfirmed)
				r := said.Reply()
				assert.Equal(t, "success", r.Body.Get("status"))
				assert.Nil(t, r.Body.Get("continuation_offer"))
				close(block)
			})
		})
	}
}

// Nobody could fetch an answer whose conversation is not stored: it is ended, not left to cost money.
func TestStoreThatFailsEndsTheBackgroundAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		b := newFixture(t, func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			defer close(ended)
			return asktest.Drips(time.Second, text(strings.Split(strings.Repeat("a,", 200), ",")...)...)(ctx, req, on)
		})
		b.store.Before = func(context.Context, string) error { return errors.New("disk full") }
		start := time.Now()
		said := b.ask("", "x")
		assert.True(t, said.Partial)
		assert.False(t, said.Pending)
		assert.NotContains(t, strings.Join(said.Metadata.Notes, " "), "background", "what was ended does not go on")
		assert.Nil(t, said.Reply().Body.Get("continuation_offer"))
		<-ended
		assert.Less(t, time.Since(start), 31*time.Second)
	})
}

func TestLoadFailureIsStoreUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, asktest.Says("ok"))
		said := b.ask("", "x")
		b.store.Before = func(ctx context.Context, _ string) error { <-ctx.Done(); return context.Cause(ctx) }
		start := time.Now()
		_, err := b.Ask(b.call(), said.ContinuationID, question("y"))
		assert.Equal(t, reply.CodeStoreUnavailable, codeOf(err))
		assert.Less(t, time.Since(start), 30*time.Second)
		assert.Len(t, b.requests, 1)
	})
}

// An answer that the store does not take stays readable, part by part, as long as this process keeps it.
func TestUnstoredAnswerCanBeReadOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := strings.Repeat("äbc\n", 50_000)
		b := newFixture(t, asktest.Says(whole))
		b.store.Before = func(context.Context, string) error { return errors.New("disk full") }
		said := b.ask("", "x")
		assert.Equal(t, whole, said.Text)
		assert.Zero(t, said.N)
		assert.True(t, said.InProcess)
		notes := strings.Join(said.Metadata.Notes, " ")
		assert.Contains(t, notes, "chat with continuation_id "+said.ContinuationID+" and a blank prompt")
		r := said.Reply()
		assert.Nil(t, r.Body.Get("continuation_offer"), "it can't be continued")
		assert.Equal(t, said.ContinuationID, r.Answer.ContinuationID)
		assert.Empty(t, r.Answer.URI, "no resource has it")

		got := ""
		for offset := 0; offset < 200_000; offset += 70_000 {
			part, err := b.Fetch(b.call(), said.ContinuationID, &offset)
			require.NoError(t, err)
			text := []rune(part.Text)
			got += string(text[:min(70_000, len(text))])
			assert.Equal(t, offset, part.Offset)
			assert.False(t, *part.Metadata.Stored)
			assert.Equal(t, said.ContinuationID, part.Reply().Answer.ContinuationID)
		}
		assert.Equal(t, whole, got)
		again, err := b.Fetch(b.call(), said.ContinuationID, nil)
		require.NoError(t, err)
		assert.Equal(t, whole, again.Text)
		assert.Equal(t, "glm-5.3-flash", again.Metadata.ModelUsed)
		beyond := 200_001
		_, err = b.Fetch(b.call(), said.ContinuationID, &beyond)
		assert.Equal(t, reply.CodeInvalidRequest, codeOf(err))
	})
}

// An old conversation whose store fails gives its latest answer, and the stored one once the store works again.
func TestUnstoredAnswerIsEvicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := "first"
		b := newFixture(t, func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			return asktest.Says(answer)(ctx, req, on)
		})
		id := b.ask("", "x").ContinuationID
		b.store.Before = func(_ context.Context, op string) error {
			if op == "append" {
				return errors.New("disk full")
			}
			return nil
		}
		answer = "second"
		assert.False(t, *b.ask(id, "y").Metadata.Stored)
		fetched, err := b.Fetch(b.call(), id, nil)
		require.NoError(t, err)
		assert.Equal(t, "second", fetched.Text)
		b.store.Before = nil
		answer = "third"
		assert.Nil(t, b.ask(id, "z").Metadata.Stored)
		fetched, err = b.Fetch(b.call(), id, nil)
		require.NoError(t, err)
		assert.Equal(t, "third", fetched.Text)
		assert.NotZero(t, fetched.N)
	})
}

// conversation_not_found lists the latest conversations that this user began here: an agent that lost an id wants one.
func TestConversationNotFoundListsTheLatest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, asktest.Says("x"))
		service := func(host, user, folder string) *ask.Conversations {
			return ask.New(ask.Options{
				Config: b.cfg, Caller: b.caller, Store: b.store.Open, Host: host, User: user, Workspace: func() string { return folder },
			})
		}
		mine := service("box", "ann", "/w")
		notFound := func(c *ask.Conversations) *reply.Error {
			_, err := c.Ask(b.call(), "lost", question("x"))
			require.ErrorIs(t, err, conversation.ErrNotFound)
			_, err = c.Fetch(b.call(), "lost", new(int))
			require.ErrorIs(t, err, conversation.ErrNotFound)
			e := reply.FromError(t.Context(), err)
			assert.Equal(t, reply.CodeConversationNotFound, e.Code)
			return e
		}
		assert.NotContains(t, notFound(mine).Message, "Your latest", "there is none yet")
		var ids []string
		for i := range 7 {
			s, err := mine.Ask(b.call(), "", question(fmt.Sprintf("question %d\nin detail", i)))
			require.NoError(t, err)
			ids = append(ids, s.ContinuationID)
			time.Sleep(time.Hour)
		}
		for _, other := range []*ask.Conversations{service("other", "ann", "/w"), service("box", "bob", "/w"), service("box", "ann", "/v")} {
			_, err := other.Ask(b.call(), "", question("not mine"))
			require.NoError(t, err)
		}
		e := notFound(mine)
		for i := 2; i < 7; i++ {
			hours := "1 hour ago"
			if i < 6 {
				hours = fmt.Sprintf("%d hours ago", 7-i)
			}
			assert.Contains(t, e.Message, fmt.Sprintf("%s (%q, %s)", ids[i], fmt.Sprintf("question %d", i), hours))
		}
		assert.NotContains(t, e.Message, ids[1], "the latest five")
		assert.NotContains(t, e.Message, "not mine")
		assert.Contains(t, e.Hint, "one of them")
		assert.NotContains(t, notFound(service("", "ann", "/w")).Message, "Your latest", "nobody knows whose they are")
	})
}

// Nobody can read an answer whose conversation was deleted: it is ended, not left to cost money.
func TestBackgroundAnswerOfADeletedConversationEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		b := newFixture(t, func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			defer close(ended)
			return asktest.Drips(time.Second, text(strings.Split(strings.Repeat("a,", 200), ",")...)...)(ctx, req, on)
		})
		said := b.ask("", "x")
		require.True(t, said.Pending)
		time.Sleep(5 * time.Second)
		select {
		case <-ended:
			require.Fail(t, "it goes on while somebody can read it")
		default:
		}
		require.NoError(t, b.store.Delete(t.Context(), said.ContinuationID))
		time.Sleep(3 * time.Second)
		select {
		case <-ended:
		default:
			assert.Fail(t, "the answer goes on")
		}
	})
}

// An answer that was finished before it is stored, such as a late expert's, is kept like one of this call when the store fails.
func TestUnstoredTurnsAreReadOn(t *testing.T) {
	b := newFixture(t, asktest.Says("never"))
	b.store.Before = func(context.Context, string) error { return errors.New("disk full") }
	lease, err := b.Lease(b.call(), "")
	require.NoError(t, err)
	defer lease.Release()
	turns := []conversation.Turn{{Role: providers.RoleUser, Content: "q"}, {Role: providers.RoleAssistant, Content: "the verdict"}}
	_, err = lease.Append(b.call(), conversation.NewTurns{Turns: turns}, nil)
	require.ErrorContains(t, err, "disk full")
	again, err := b.Fetch(b.call(), lease.ID, nil)
	require.NoError(t, err)
	assert.Equal(t, "the verdict", again.Text)
}

// forgetfulStore takes one turn fewer than it is given.
type forgetfulStore struct{ *asktest.Store }

func (s forgetfulStore) Append(ctx context.Context, n conversation.NewTurns) ([]conversation.Turn, error) {
	n.Turns = n.Turns[:len(n.Turns)-1]
	return s.Store.Append(ctx, n)
}

func TestStoreThatLosesATurn(t *testing.T) {
	b := newFixture(t, asktest.Says("yes"))
	b.Conversations = ask.New(ask.Options{Config: b.cfg, Caller: b.caller, Store: func(context.Context) (conversation.Store, error) {
		return forgetfulStore{b.store}, nil
	}})
	s, err := b.Ask(b.call(), "", question("x"))
	require.NoError(t, err)
	assert.Equal(t, "yes", s.Text)
	assert.False(t, *s.Metadata.Stored)
	assert.True(t, s.InProcess)
}
