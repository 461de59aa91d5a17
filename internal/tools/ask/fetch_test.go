package ask_test

import (
	"context"
	"errors"
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
	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// What depends on the conversation is added to the question when it is loaded, and an error of it is the call's.
func TestAttachSeesTheConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, asktest.Says("an answer"))
		id := b.ask("", "first").ContinuationID
		q := question("second")
		q.Attach = func(_ context.Context, h *ask.Lease, q *ask.Question) error {
			q.Prompt += " after " + h.Turns[0].Content
			return nil
		}
		_, err := b.Ask(b.call(), " "+id+"\n", q)
		require.NoError(t, err)
		assert.Equal(t, "second after first", b.requests[1].Messages[3].Content)

		gone := errors.New("the file is gone")
		q.Attach = func(context.Context, *ask.Lease, *ask.Question) error { return gone }
		s, err := b.Ask(b.call(), id, q)
		require.ErrorIs(t, err, gone)
		assert.Nil(t, s)
		assert.Len(t, b.requests, 2, "nothing was sent")
	})
}

func TestAnswerSaysWhereItsFilesAreListed(t *testing.T) {
	b := newFixture(t, asktest.Says("an answer"))
	q := question("first")
	q.Listing = []workspace.FileGroup{{What: "Sent", Paths: []string{"a.go"}}}
	s, err := b.Ask(b.call(), "", q)
	require.NoError(t, err)
	assert.Equal(t, []string{"The names of all files of this call, sent or not, are in the resource exai://conversations/" + s.ContinuationID + "/turns/1."}, s.Metadata.Notes)
	loaded, err := b.store.Load(t.Context(), s.ContinuationID)
	require.NoError(t, err)
	assert.Equal(t, q.Listing, ask.ListingOf(loaded.Turns[0]))
}

// What is fetched is what the call that asked would have given, blanks around its id or not.
func TestFetchGivesTheWholeAnswer(t *testing.T) {
	b := newFixture(t, asktest.Says("an answer"))
	b.cfg.Conversations.MaxTurns = 3
	said := b.ask("", "x")
	said.Looked = nil
	for _, offset := range []*int{nil, new(int)} {
		got, err := b.Fetch(b.call(), " "+said.ContinuationID+"\n", offset)
		require.NoError(t, err)
		assert.Equal(t, said, got)
	}
	assert.Equal(t, 1, *said.Remaining)

	b.faults()("append")
	said = b.ask("", "y")
	for _, offset := range []*int{nil, new(int)} {
		got, err := b.Fetch(b.call(), " "+said.ContinuationID+"\n", offset)
		require.NoError(t, err)
		assert.Equal(t, said, got, "what the store did not take, too")
	}
	assert.True(t, said.InProcess)
}

func TestInProcess(t *testing.T) {
	b := newFixture(t, asktest.Says("never"))
	fail := b.faults()
	fail("append")
	lease, err := b.Lease(b.call(), "")
	require.NoError(t, err)
	defer lease.Release()
	assert.False(t, lease.InProcess())
	turns := conversation.NewTurns{Turns: []conversation.Turn{{Role: providers.RoleAssistant, Content: "the verdict"}}}
	_, err = lease.Append(b.call(), turns, nil)
	require.Error(t, err)
	assert.True(t, lease.InProcess())
	fail()
	_, err = lease.Append(b.call(), turns, nil)
	require.NoError(t, err)
	assert.False(t, lease.InProcess(), "the store has the conversation's latest answer again")
}

func TestFetchOfAModelThatThinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, thinkingOn())
		part := pendingAnswer(t, b)
		assert.Contains(t, part.Text, "glm-5.3-flash has been thinking for 28 s")
		time.Sleep(1500 * time.Millisecond)
		offset := 7
		here, err := b.Fetch(b.call(), part.ContinuationID, &offset)
		require.NoError(t, err)
		assert.Contains(t, here.Text, "glm-5.3-flash has been thinking for 30 s")
		assert.Equal(t, 0, here.Offset, "there is no text to go on in")

		elsewhere, err := otherProcess(t, b).Fetch(b.call(), part.ContinuationID, nil)
		require.NoError(t, err)
		assert.Equal(t, "The model is still thinking; no part of the answer has arrived yet.", elsewhere.Text)
		assert.True(t, elsewhere.Pending)
		assert.Equal(t, &reply.Pending{ContinuationID: part.ContinuationID, Turn: 2}, elsewhere.Reply().Pending)
	})
}

// Only the process that writes an answer saves it: what another one has read of it may be seconds old.
func TestFetchSavesOnlyWhatIsWrittenHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, dripping())
		part := pendingAnswer(t, b)
		other := otherProcess(t, b)
		var writes atomic.Int32
		other.Conversations = ask.New(ask.Options{Config: b.cfg, Caller: other.caller, Store: func(context.Context) (conversation.Store, error) {
			return readOnly{b.store, &writes}, nil
		}})
		s, err := other.Fetch(other.call(), part.ContinuationID, nil)
		require.NoError(t, err)
		assert.True(t, s.Pending)
		assert.Greater(t, len(s.Text), len(part.Text))
		assert.Zero(t, writes.Load())

		// The latest answer is not the one that goes on.
		lease, err := b.Lease(b.call(), part.ContinuationID)
		require.NoError(t, err)
		_, err = lease.Append(b.call(), conversation.NewTurns{Turns: []conversation.Turn{
			{Role: providers.RoleUser, Content: "a step"}, {Role: providers.RoleAssistant, Content: "its answer"},
		}}, nil)
		require.NoError(t, err)
		lease.Release()
		saves := len(b.store.Saves())
		s, err = b.Fetch(b.call(), part.ContinuationID, nil)
		require.NoError(t, err)
		assert.Equal(t, "its answer", s.Text)
		assert.False(t, s.Pending)
		assert.Equal(t, 4, s.N)
		assert.Len(t, b.store.Saves(), saves)
	})
}

// readOnly is a store that counts the saves, and makes none.
type readOnly struct {
	*asktest.Store
	saves *atomic.Int32
}

func (s readOnly) Save(context.Context, string, conversation.Turn) error {
	s.saves.Add(1)
	return nil
}

// watched is a context that counts what waits for its end.
type watched struct {
	context.Context
	end     chan struct{}
	waiting atomic.Int32
}

func (w *watched) Done() <-chan struct{} { return w.end }

func (w *watched) AfterFunc(func()) (stop func() bool) {
	w.waiting.Add(1)
	return func() bool { w.waiting.Add(-1); return true }
}

// A call may go on long after it has used its conversation, and leases many: nothing of that stays with its context.
func TestALeaseLeavesNothingOnItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, asktest.Says("an answer"))
		id := b.ask("", "x").ContinuationID
		call := &watched{Context: providers.WithBudget(context.Background(), budgetOf(b.call())), end: make(chan struct{})}
		lease, err := b.Lease(call, id)
		require.NoError(t, err)
		assert.Zero(t, call.waiting.Load())
		require.NoError(t, lease.AwaitIdle(call))
		assert.Zero(t, call.waiting.Load())
		require.NoError(t, lease.Reload(call))
		assert.Zero(t, call.waiting.Load())
		lease.Release()
		lease, err = b.Lease(call, "")
		require.NoError(t, err)
		assert.Zero(t, call.waiting.Load())
		lease.Release()
	})
}

func budgetOf(ctx context.Context) providers.Budget {
	budget, _ := providers.BudgetFrom(ctx)
	return budget
}

// Waiting for another process's answer ends with the call, with the client, or with the store, and each error says which.
func TestWaitingForAnAnswerEnds(t *testing.T) {
	gone, down := errors.New("the client is gone"), errors.New("no database")
	for name, tc := range map[string]struct {
		load func(ctx context.Context, cancel context.CancelCauseFunc) error // what the second load does
		code reply.Code
		is   error
	}{
		"by a store that hangs": {
			load: func(ctx context.Context, _ context.CancelCauseFunc) error { <-ctx.Done(); return context.Cause(ctx) },
			code: reply.CodeConversationBusy, is: context.DeadlineExceeded,
		},
		"by a store that fails": {
			load: func(context.Context, context.CancelCauseFunc) error { return down },
			code: reply.CodeStoreUnavailable, is: down,
		},
		"by a client that goes": {
			load: func(ctx context.Context, cancel context.CancelCauseFunc) error {
				cancel(gone)
				<-ctx.Done()
				return context.Cause(ctx)
			},
			code: reply.CodeInternal, is: gone,
		},
		"by a conversation that is deleted": {
			load: func(context.Context, context.CancelCauseFunc) error { return conversation.ErrNotFound },
			code: reply.CodeConversationNotFound, is: conversation.ErrNotFound,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newFixture(t, dripping())
				part := pendingAnswer(t, b)
				ctx, cancel := context.WithCancelCause(b.call())
				defer cancel(nil)
				other := otherProcess(t, b)
				loads := 0
				other.Conversations = ask.New(ask.Options{Config: b.cfg, Caller: other.caller, Store: func(ctx context.Context) (conversation.Store, error) {
					if loads++; loads > 1 {
						return nil, tc.load(ctx, cancel)
					}
					return b.store, nil
				}})
				lease, err := other.Lease(ctx, part.ContinuationID)
				require.NoError(t, err)
				defer lease.Release()
				before := lease.Conversation
				err = lease.AwaitIdle(ctx)
				require.ErrorIs(t, err, tc.is)
				assert.Equal(t, tc.code, codeOf(err), "%v", err)
				assert.Equal(t, before, lease.Conversation, "it stays as it was loaded")
			})
		})
	}
}

// A client that goes while its conversation is loaded is told nothing about the store.
func TestLeaseIsCancelledWhileItLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, asktest.Says("an answer"))
		id := b.ask("", "x").ContinuationID
		gone := errors.New("the client is gone")
		ctx, cancel := context.WithCancelCause(b.call())
		b.store.Before = func(ctx context.Context, _ string) error {
			cancel(gone)
			<-ctx.Done()
			return errors.New("interrupted")
		}
		lease, err := b.Lease(ctx, id)
		require.Equal(t, gone, err)
		assert.Nil(t, lease)
		assert.NotContains(t, strings.ToLower(err.Error()), "store")
	})
}

// What can't be listed is left out of conversation_not_found, and logged.
func TestConversationNotFoundWithoutAList(t *testing.T) {
	b := newFixture(t, asktest.Says("x"))
	logs := b.logged(b.store.Open)
	b.ask("", "a conversation of this user")
	notFound := func() string {
		_, err := b.Lease(b.call(), "lost")
		require.ErrorIs(t, err, conversation.ErrNotFound)
		return reply.FromError(t.Context(), err).Message
	}
	assert.Contains(t, notFound(), "Your latest here: ")
	assert.Empty(t, lines(logs))
	b.faults()("list")
	assert.NotContains(t, notFound(), "Your latest")
	assert.Equal(t, []string{"latest conversations not listed: list failed"}, lines(logs))

	opened := 0
	logs = b.logged(func(context.Context) (conversation.Store, error) {
		if opened++; opened > 1 {
			return nil, errors.New("no database")
		}
		return b.store, nil
	})
	assert.NotContains(t, notFound(), "Your latest")
	assert.Equal(t, []string{"latest conversations not listed: no database"}, lines(logs))
}

// Everybody who fetches an answer gets what there is of it, whoever else waits for it; a new prompt finds it busy.
func TestFetchesBesideEachOther(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := newFixture(t, dripping())
			part := pendingAnswer(t, b)
			here := b
			if elsewhere {
				here = otherProcess(t, b)
			}
			prompt := make(chan error)
			go func() {
				_, err := here.Ask(here.call(), part.ContinuationID, question("next"))
				prompt <- err
			}()
			synctest.Wait()
			got := make(chan *ask.StoredAnswer)
			for range 3 {
				go func() {
					s, err := here.Fetch(here.call(), part.ContinuationID, nil)
					assert.NoError(t, err)
					got <- s
				}()
			}
			for range 3 {
				if s := <-got; assert.NotNil(t, s) {
					assert.True(t, s.Pending)
					assert.Greater(t, len(s.Text), len(part.Text))
				}
			}
			assert.Equal(t, reply.CodeConversationBusy, codeOf(<-prompt))
			assert.Len(t, b.requests, 1)
			time.Sleep(2 * time.Minute)
		})
	}
}

// The id of a call's conversation is known before anything is stored: who fetches then gets what the call comes to.
func TestFetchBesideTheFirstCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, asktest.Drips(5*time.Second, text("a", "b")...))
		report := progress.Start(nil, nil, "known-before", "chat", time.Now())
		defer report.Stop()
		asked := make(chan error)
		go func() {
			_, err := b.Ask(progress.With(b.call(), report), "", question("first"))
			asked <- err
		}()
		synctest.Wait()
		got, err := b.Fetch(b.call(), "known-before", nil)
		require.NoError(t, <-asked)
		require.NoError(t, err)
		assert.Equal(t, "ab", got.Text)
	})
}

// A call that another one left too little time to read the conversation finds it busy: nothing is wrong with the store.
func TestWaitingForAnotherCallTakesTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, asktest.Says("ok"))
		id := b.ask("", "x").ContinuationID
		b.store.Before = func(ctx context.Context, op string) error {
			if op == "load" {
				select {
				case <-time.After(10 * time.Millisecond):
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			return nil
		}
		lease, err := b.Lease(b.call(), id)
		require.NoError(t, err)
		ctx := b.call()
		budget, _ := providers.BudgetFrom(ctx)
		time.AfterFunc(time.Until(budget.AnswerBy())-5*time.Millisecond, lease.Release)
		_, err = b.Ask(ctx, id, question("y"))
		assert.Equal(t, reply.CodeConversationBusy, codeOf(err))
		assert.Len(t, b.requests, 1, "nothing was sent")
	})
}
