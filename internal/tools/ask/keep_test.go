package ask_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// logged makes the fixture's service again, with a log.
func (b *fixture) logged(open func(context.Context) (conversation.Store, error)) *observer.ObservedLogs {
	core, logs := observer.New(zap.DebugLevel)
	b.Conversations = ask.New(ask.Options{Config: b.cfg, Caller: b.caller, Store: open, Log: zap.New(core), Host: "box", User: "ann"})
	return logs
}

// lines are the log's messages with their errors, each once.
func lines(logs *observer.ObservedLogs) (all []string) {
	seen := map[string]bool{}
	for _, e := range logs.All() {
		line := e.Message
		if err, ok := e.ContextMap()["error"]; ok {
			line += ": " + err.(string)
		}
		if !seen[line] {
			all = append(all, line)
		}
		seen[line] = true
	}
	return all
}

// faults returns a function that names the operations in which the store fails from then on. Call faults before anything
// goes on in the background.
func (b *fixture) faults() (fail func(ops ...string)) {
	var failing atomic.Pointer[[]string]
	b.store.Before = func(_ context.Context, op string) error {
		if ops := failing.Load(); ops != nil && slices.Contains(*ops, op) {
			return errors.New(op + " failed")
		}
		return nil
	}
	fail = func(ops ...string) { failing.Store(&ops) }
	b.t.Cleanup(func() { fail() })
	return fail
}

// answerOf is the stored answer of a conversation's first question.
func (b *fixture) answerOf(id string) conversation.Turn {
	b.t.Helper()
	loaded, err := b.store.Load(context.Background(), id)
	require.NoError(b.t, err)
	require.Len(b.t, loaded.Turns, 2)
	return loaded.Turns[1]
}

func TestNewConversationIsDescribed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, asktest.Says("never"))
		b.logged(b.store.Open)
		lease, err := b.Lease(b.call(), "")
		require.NoError(t, err)
		defer lease.Release()
		at := time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
		turns := []conversation.Turn{
			{Role: providers.RoleUser, Content: "\n", CreatedAt: at},
			{Role: providers.RoleUser, Content: "\r\nwhat is asked\nin detail", Tool: "debug"},
			{Role: providers.RoleAssistant, Content: "an answer", Tool: "chat"},
		}
		stored, err := lease.Append(b.call(), conversation.NewTurns{Turns: turns}, nil)
		require.NoError(t, err)
		assert.Equal(t, stored, lease.Turns)
		assert.False(t, lease.New)
		loaded, err := b.store.Load(t.Context(), lease.ID)
		require.NoError(t, err)
		assert.Equal(t, "what is asked", loaded.Title)
		assert.Equal(t, "debug", loaded.Tool, "the first that has one")
		assert.Equal(t, at, loaded.Turns[0].CreatedAt, "when it was asked")
		assert.Equal(t, time.Now(), loaded.Turns[1].CreatedAt.Local())
		list, err := b.store.List(t.Context(), conversation.Filter{Host: "box", User: "ann"})
		require.NoError(t, err)
		assert.Len(t, list, 1)

		// A conversation that is deleted in between stays deleted.
		require.NoError(t, b.store.Delete(t.Context(), lease.ID))
		_, err = lease.Append(b.call(), conversation.NewTurns{Turns: turns}, nil)
		require.ErrorIs(t, err, conversation.ErrNotFound)
	})
}

func TestTitle(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "\r\n\n": "", "a\nb": "a", "\n\nfirst\r\nsecond": "first",
		strings.Repeat("é", 80): strings.Repeat("é", 80),
		strings.Repeat("é", 81): strings.Repeat("é", 79) + "…",
	} {
		assert.Equal(t, want, ask.Title(text))
	}
}

func TestAPreviewStoresNothing(t *testing.T) {
	b := newFixture(t, asktest.Says("never"))
	lease, err := b.Lease(b.call(), "")
	require.NoError(t, err)
	defer lease.Release()
	ctx, _ := providers.WithPreview(b.call())
	stored, err := lease.Append(ctx, conversation.NewTurns{Turns: []conversation.Turn{{Role: providers.RoleUser, Content: "q"}}}, nil)
	require.ErrorIs(t, err, providers.ErrPreview)
	assert.Nil(t, stored)
	_, err = b.store.Load(t.Context(), lease.ID)
	require.ErrorIs(t, err, conversation.ErrNotFound)
}

// An error of the store reaches whoever stores, whether it can't be opened or refuses.
func TestStoreErrorsAreTheStoresOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, asktest.Says("an answer"))
		id := b.ask("", "x").ContinuationID
		down := errors.New("no database")
		var broken error
		b.Conversations = ask.New(ask.Options{Config: b.cfg, Caller: b.caller, Store: func(context.Context) (conversation.Store, error) {
			return b.store, broken
		}})
		lease, err := b.Lease(b.call(), id)
		require.NoError(t, err)
		broken = down
		turn := conversation.Turn{Role: providers.RoleUser, Content: "q"}
		_, err = lease.Append(b.call(), conversation.NewTurns{Turns: []conversation.Turn{turn}}, nil)
		require.ErrorIs(t, err, down)
		require.ErrorIs(t, lease.Save(b.call(), lease.Turns[1]), down)
		lease.Release()
		_, err = b.Lease(b.call(), id)
		require.ErrorIs(t, err, down)

		broken = nil
		lease, err = b.Lease(b.call(), id)
		require.NoError(t, err, "a lease that failed is free again")
		defer lease.Release()
		require.NoError(t, lease.Save(b.call(), lease.Turns[1]))
	})
}

// What a store goes on with when its operation is over ends, at once: it may have been given up, or returned early.
func TestNothingOfTheStoreOutlivesItsOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, dripping())
		var mu sync.Mutex
		given := map[string][]context.Context{}
		b.store.Before = func(ctx context.Context, op string) error {
			mu.Lock()
			defer mu.Unlock()
			given[op] = append(given[op], ctx)
			return nil
		}
		ended := func() {
			mu.Lock()
			defer mu.Unlock()
			for op, all := range given {
				for i, ctx := range all {
					assert.Error(t, ctx.Err(), "%s %d", op, i)
				}
			}
		}
		var finished context.Context
		q := question("q")
		q.Finished = func(ctx context.Context, _ conversation.Turn) { finished = ctx }
		part, err := b.Ask(b.call(), "", q)
		require.NoError(t, err)
		require.True(t, part.Pending)
		ended()
		_, err = b.Fetch(b.call(), part.ContinuationID, nil)
		require.NoError(t, err)
		ended()
		_, err = b.Fetch(b.call(), part.ContinuationID, new(int))
		require.NoError(t, err)
		ended()
		time.Sleep(time.Second) // between two saves
		synctest.Wait()
		ended()
		require.NoError(t, b.Close(t.Context()))
		ended()
		assert.Error(t, finished.Err())
		assert.Len(t, given["append"], 1)
		assert.NotEmpty(t, given["load"])
		assert.NotEmpty(t, given["save"])
	})
}

// A store that recovers has the whole answer, and whoever waits for it hears of it once it is stored.
func TestBackgroundAnswerOutlastsAStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, dripping())
		fail := b.faults()
		logs := b.logged(b.store.Open)
		heard := make(chan time.Time, 1)
		q := question("q")
		q.Finished = func(context.Context, conversation.Turn) { heard <- time.Now() }
		part, err := b.Ask(b.call(), "", q)
		require.NoError(t, err)
		fail("save")
		start := time.Now()
		time.AfterFunc(65*time.Second, func() { fail() }) // the answer ends 61.5 s from here
		assert.Equal(t, 65*time.Second, (<-heard).Sub(start).Truncate(time.Second))
		stored := b.answerOf(part.ContinuationID)
		assert.Equal(t, conversation.TurnComplete, stored.Status)
		assert.True(t, strings.HasSuffix(stored.Content, " 89 "))
		assert.Equal(t, []string{"background answer not saved: save failed", "finished answer not saved: save failed"}, lines(logs))
	})
}

// A store that does not recover is given up after 10 s.
func TestBackgroundAnswerIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, dripping())
		fail := b.faults()
		logs := b.logged(b.store.Open)
		heard := make(chan conversation.Turn, 1)
		q := question("q")
		q.Finished = func(_ context.Context, turn conversation.Turn) { heard <- turn }
		_, err := b.Ask(b.call(), "", q)
		require.NoError(t, err)
		fail("save")
		time.Sleep(5 * time.Second)
		start := time.Now()
		require.NoError(t, b.Close(t.Context()))
		assert.Equal(t, 10*time.Second, time.Since(start))
		assert.Equal(t, conversation.TurnPartial, (<-heard).Status)
		assert.Contains(t, lines(logs), "finished answer not saved: save failed")
	})
}

func TestWhatWorksIsNotLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, dripping())
		logs := b.logged(b.store.Open)
		q := question("q")
		for _, q.Finished = range []func(context.Context, conversation.Turn){nil, func(context.Context, conversation.Turn) {}} {
			part, err := b.Ask(b.call(), "", q)
			require.NoError(t, err)
			require.True(t, part.Pending)
			time.Sleep(2 * time.Minute)
			assert.Equal(t, conversation.TurnComplete, b.answerOf(part.ContinuationID).Status)
		}
		assert.Empty(t, lines(logs))
	})
}

// Whoever hears of an answer's end can't keep the server from ending.
func TestWhoHearsOfTheEndIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, dripping())
		logs := b.logged(b.store.Open)
		free := make(chan struct{})
		defer close(free)
		q := question("q")
		q.Finished = func(context.Context, conversation.Turn) { <-free }
		_, err := b.Ask(b.call(), "", q)
		require.NoError(t, err)
		start := time.Now()
		require.NoError(t, b.Close(t.Context()))
		assert.Equal(t, 10*time.Second, time.Since(start))
		assert.Equal(t, []string{"after a background answer: context deadline exceeded"}, lines(logs))
	})
}

func TestWhatIsNotStoredIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, dripping())
		logs := b.logged(b.store.Open)
		fail := b.faults()
		fail("append")
		b.ask("", "x")
		assert.Equal(t, []string{"turns not stored: append failed"}, lines(logs))
		fail()

		part := pendingAnswer(t, b)
		fail("save")
		_, err := b.Fetch(b.call(), part.ContinuationID, nil)
		require.NoError(t, err)
		assert.Contains(t, lines(logs), "part of a background answer not saved: save failed")
		fail()
	})
}

func TestCloseDoesNotWaitForAStoreForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, dripping())
		fail := b.faults()
		pendingAnswer(t, b)
		fail("save")
		late := errors.New("too late")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, late)
		defer cancel()
		err := b.Close(ctx)
		require.ErrorIs(t, err, late)
		require.ErrorContains(t, err, "storing background answers: ")
		fail()
		require.NoError(t, b.Close(t.Context()))
	})
}

// A call that outlasts Close stores its answer itself: as far as it has come, since nobody follows it any more.
func TestAnswerThatDetachesAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, dripping())
		time.AfterFunc(5*time.Second, func() { assert.NoError(t, b.Close(context.Background())) })
		var heard conversation.Turn
		q := question("q")
		q.Finished = func(_ context.Context, turn conversation.Turn) { heard = turn }
		part, err := b.Ask(b.call(), "", q)
		require.NoError(t, err)
		stored := b.answerOf(part.ContinuationID)
		assert.Equal(t, conversation.TurnPartial, stored.Status)
		assert.Equal(t, part.Text, stored.Content)
		assert.Equal(t, stored.Content, heard.Content)
		assert.Equal(t, conversation.TurnPartial, heard.Status)
	})
}

// The activity log has an answer that goes on behind its call from its call's end to its own, under the model that wrote it.
func TestBackgroundAnswerIsInTheActivityLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, dripping())
		b.cfg.Logs.Activity, b.cfg.Logs.ActivityPath = true, filepath.Join(t.TempDir(), "activity.log")
		log := activity.Open(b.cfg, nil)
		b.Conversations = ask.New(ask.Options{Config: b.cfg, Caller: b.caller, Store: b.store.Open, Activity: log})
		id := pendingAnswer(t, b).ContinuationID
		time.Sleep(10 * time.Second)
		running := log.Running()
		require.Len(t, running, 1)
		assert.Equal(t, string(providers.PhaseBackground), running[0].Phase)
		time.Sleep(2 * time.Minute)
		require.NoError(t, log.Close())
		written, err := log.TailActivity(t.Context(), activity.Query{Lines: 10})
		require.NoError(t, err)
		var records []activity.Record
		for _, line := range written {
			var r activity.Record
			require.NoError(t, json.Unmarshal([]byte(line), &r))
			assert.True(t, strings.HasPrefix(r.CallID, "background "))
			r.TS, r.CallID = activity.Stamp{}, ""
			records = append(records, r)
		}
		both := activity.Record{Level: "INFO", Tool: "chat", ContinuationID: id, Provider: "glm", Model: "glm-5.3-flash"}
		started, finished := both, both
		started.Kind, started.Message = activity.BackgroundStarted, "BACKGROUND_STARTED: chat model=glm-5.3-flash"
		started.LimitSecs = b.cfg.Timeouts.BackgroundLimit().Value.Seconds()
		finished.Kind, finished.Message = activity.BackgroundFinished, "BACKGROUND_FINISHED: chat status=complete model=glm-5.3-flash duration_secs=61.500"
		assert.Equal(t, []activity.Record{started, finished}, records)
	})
}

// A task keeps its slot for the client that will ask for it. Where the store ends with the process nobody is promised anything.
func TestTaskOfAStoreThatEndsWithTheProcessGivesItsSlotBack(t *testing.T) {
	for backend, waits := range map[string]bool{"sqlite": true, "memory": false} {
		t.Run(backend, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newFixture(t, dripping())
				b.cfg.GLM.MaxInflight = 1
				b.cfg.Conversations.Backend = backend
				_, caller := asktest.Vendors(t, b.cfg, dripping(), nil)
				b.Conversations = ask.New(ask.Options{Config: b.cfg, Caller: caller, Store: b.store.Open})
				ctx := b.call()
				budget, _ := providers.BudgetFrom(ctx)
				budget.Task = true
				part, err := b.Ask(providers.WithBudget(ctx, budget), "", question("q"))
				require.NoError(t, err)
				require.True(t, part.Pending)
				_, err = b.Ask(b.call(), "", question("another"))
				if waits {
					require.ErrorContains(t, err, "waiting for a free")
				} else {
					require.NoError(t, err)
				}
				require.NoError(t, b.Close(t.Context()))
				require.NoError(t, caller.Close(t.Context()))
			})
		})
	}
}
