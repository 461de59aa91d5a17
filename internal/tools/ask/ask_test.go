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

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// fixture is a service over a stub vendor and a store in a map.
type fixture struct {
	*ask.Conversations
	t        *testing.T
	cfg      *config.Config
	store    *asktest.Store
	caller   ask.Caller
	requests []providers.ChatRequest
}

func newFixture(t *testing.T, glm asktest.Chat, kimi ...asktest.Chat) *fixture {
	b := &fixture{t: t, cfg: config.Default(), store: &asktest.Store{}}
	_, caller := asktest.Vendors(t, b.cfg, func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		b.requests = append(b.requests, req)
		return glm(ctx, req, on)
	}, append(kimi, nil)[0])
	b.caller = caller
	b.Conversations = ask.New(ask.Options{Config: b.cfg, Caller: caller, Store: b.store.Open})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		assert.NoError(t, b.Close(ctx))
		assert.NoError(t, caller.Close(ctx))
	})
	return b
}

// call is the context of a tool call that begins now.
func (b *fixture) call() context.Context {
	limit := b.cfg.Timeouts.For(config.ClassSimple)
	budget := providers.Budget{Limit: limit, Class: config.ClassSimple, Start: time.Now()}
	ctx, cancel := context.WithDeadlineCause(context.Background(), budget.Deadline(), reply.LimitExceeded(limit))
	b.t.Cleanup(cancel)
	return providers.WithBudget(ctx, budget)
}

func question(prompt string) ask.Question {
	return ask.Question{Tool: "chat", System: "You are a test.", Prompt: prompt, Category: providers.CategoryFast, Background: true}
}

func (b *fixture) ask(id, prompt string) *ask.StoredAnswer {
	b.t.Helper()
	said, err := b.Ask(b.call(), id, question(prompt))
	require.NoError(b.t, err)
	return said
}

func codeOf(err error) reply.Code { return reply.FromError(context.Background(), err).Code }

func text(parts ...string) []providers.Delta {
	var out []providers.Delta
	for _, p := range parts {
		out = append(out, providers.Delta{Content: p})
	}
	return out
}

func TestAskKeepsWhatWasSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, asktest.Says("forty-two"))
		first := b.ask("", "the question\nwith details")
		assert.Equal(t, "forty-two", first.Text)
		assert.False(t, first.Partial)
		assert.Equal(t, 2, first.N)
		assert.Nil(t, first.Remaining)
		assert.Equal(t, "glm-5.3-flash", first.Metadata.ModelUsed)
		assert.Equal(t, "stop", first.Metadata.FinishReason)
		assert.Equal(t, 1, first.Metadata.Attempts)

		second := b.ask(first.ContinuationID, "and why?")
		assert.Equal(t, first.ContinuationID, second.ContinuationID)
		assert.Equal(t, 4, second.N)

		sent := b.requests[1].Messages
		require.Len(t, sent, 4)
		assert.Equal(t, providers.RoleSystem, sent[0].Role)
		assert.Equal(t, "the question\nwith details", sent[1].Content)
		assert.Equal(t, providers.Message{Role: providers.RoleAssistant, Content: "forty-two"}, sent[2])
		assert.Equal(t, "and why?", sent[3].Content)
		assert.Equal(t, b.requests[0].Messages[0], sent[0], "the beginning stays the same, so that vendors find it in their caches")

		loaded, err := b.store.Load(t.Context(), first.ContinuationID)
		require.NoError(t, err)
		assert.Equal(t, "the question", loaded.Title)
		assert.Equal(t, "chat", loaded.Tool)
		assert.Len(t, loaded.Turns, 4)
	})
}

func TestSystemPromptHasTheRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, asktest.Says("ok"))
		b.cfg.Server.Locale = "fr-FR"
		q := question("x")
		q.Search = false
		_, err := b.Ask(b.call(), "", q)
		require.NoError(t, err)
		system := b.requests[0].Messages[0].Content
		assert.True(t, strings.HasPrefix(system, "You are a test."))
		assert.Contains(t, system, "Saturday, 1 January 2000", "today's date, of synctest's clock")
		assert.Contains(t, system, "fr-FR")
		assert.Contains(t, system, "Cite nothing else")
		assert.NotContains(t, system, "web search")
	})
}

func TestConversationKeepsItsModelUnlessNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, asktest.Says("ok"))
		q := question("x")
		q.Model = "glm-5.3"
		first, err := b.Ask(b.call(), "", q)
		require.NoError(t, err)
		second := b.ask(first.ContinuationID, "y")
		assert.Equal(t, "glm-5.3", second.Metadata.ModelUsed, "the category alone would choose the quick one")
		q.Model = "glm-5.3-flash"
		third, err := b.Ask(b.call(), first.ContinuationID, q)
		require.NoError(t, err)
		assert.Equal(t, "glm-5.3-flash", third.Metadata.ModelUsed)
	})
}

func TestUnknownConversation(t *testing.T) {
	b := newFixture(t, asktest.Says("ok"))
	_, err := b.Ask(b.call(), "no-such-id", question("x"))
	assert.Equal(t, reply.CodeConversationNotFound, codeOf(err))
	_, err = b.Fetch(b.call(), "no-such-id", nil)
	assert.Equal(t, reply.CodeConversationNotFound, codeOf(err))
	assert.Empty(t, b.requests)
}

func TestErrorBeforeAnyTextStoresNothing(t *testing.T) {
	b := newFixture(t, func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
		return nil, &providers.Error{Kind: providers.KindAuth, Message: "The key was refused."}
	})
	_, err := b.Ask(b.call(), "", question("x"))
	assert.Equal(t, reply.CodeAuth, codeOf(err))
	list, err := b.store.List(t.Context(), conversation.Filter{})
	require.NoError(t, err)
	assert.Empty(t, list)
}

// What was asked without success is told all the same: requests, their cost, and who stood in.
func TestAnErrorSaysWhatAskingTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
			return &providers.ChatResponse{FinishReason: providers.FinishStop, UsageKnown: true, Usage: providers.Usage{InputTokens: 1000}}, nil
		})
		_, err := b.Ask(b.call(), "", question("x"))
		e := reply.FromError(t.Context(), err)
		assert.Equal(t, reply.CodeProviderError, e.Code)
		m := e.Result().Metadata
		assert.Equal(t, 1, m.Attempts)
		assert.Equal(t, 1000, m.Usage.InputTokens)
		assert.Equal(t, "reasoning_effort=low", m.Thinking)
		assert.Empty(t, m.ModelUsed, "nobody answered")

		down := func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
			return nil, &providers.Error{Kind: providers.KindOverloaded, Retry: true, HTTPStatus: 503, Message: "busy"}
		}
		b = newFixture(t, down, down)
		b.cfg.Calls.MaxRetries = 1
		_, err = b.Ask(b.call(), "", question("x"))
		m = reply.FromError(t.Context(), err).Result().Metadata
		assert.Equal(t, 4, m.Attempts, "two at each vendor")
		assert.Equal(t, &providers.Fallback{From: "glm-5.3-flash", To: "kimi-k3.1-pro", Reason: "overloaded"}, m.Fallback)
		assert.Nil(t, m.Usage)
	})
}

func TestAFallbackIsForItsTurnOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		glm := func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			if down {
				return nil, &providers.Error{Kind: providers.KindProviderError, Retry: true, HTTPStatus: 500, Message: "down"}
			}
			return asktest.Says("from GLM")(ctx, req, on)
		}
		b := newFixture(t, glm, asktest.Says("from Kimi"))
		b.cfg.Calls.MaxRetries = 0
		first := b.ask("", "x")
		second := b.ask(first.ContinuationID, "y")
		for _, s := range []*ask.StoredAnswer{first, second} {
			assert.Equal(t, "kimi-k3.1-pro", s.Metadata.ModelUsed)
			assert.Equal(t, "glm-5.3-flash", s.Metadata.Fallback.From, "the conversation's model is asked first each time")
		}
		down = false
		third := b.ask(first.ContinuationID, "z")
		assert.Equal(t, "glm-5.3-flash", third.Metadata.ModelUsed)
		assert.Nil(t, third.Metadata.Fallback)
		q := question("and Kimi?")
		q.Model = "kimi-k3"
		_, err := b.Ask(b.call(), first.ContinuationID, q)
		require.NoError(t, err)
		assert.Equal(t, "kimi-k3", b.ask(first.ContinuationID, "again").Metadata.ModelUsed, "one that was named is the conversation's from then on")
	})
}

// The note on a partial answer is what really ended it.
func TestAPartialAnswerSaysWhatCutIt(t *testing.T) {
	ended := func(said string, then *providers.Error, finish providers.FinishReason) asktest.Chat {
		return func(_ context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			on(providers.Delta{Content: said})
			resp := &providers.ChatResponse{Content: said, FinishReason: finish}
			if then != nil {
				return resp, then
			}
			return resp, nil
		}
	}
	for name, tc := range map[string]struct {
		chat   asktest.Chat
		finish string
		note   string
	}{
		"the vendor": {
			ended("half", &providers.Error{Kind: providers.KindRateLimited, Message: "GLM limits how much may be asked."}, ""), "network",
			"The answer was cut off: GLM limits how much may be asked. This is what had arrived.",
		},
		"its length":            {ended("half", nil, providers.FinishLength), "length", "The answer exceeds the model's output limit and was cut off."},
		"our bound":             {asktest.Drips(time.Second, text(strings.Repeat("x", 200), "more")...), "length", "The answer was cut off: glm-5.3-flash wrote more than MAX_ANSWER_BYTES=100. This is what had arrived."},
		"the content filter":    {ended("half", nil, providers.FinishContentFilter), "content_filter", "The vendor's content filter cut the answer off; this is what had arrived."},
		"a limit":               {asktest.Drips(20*time.Second, text("half", "more")...), "timeout", "The answer was cut off by GLM_TIMEOUT_SECS=30s."},
		"nothing but blanks":    {ended(" \n", &providers.Error{Kind: providers.KindNetwork, Message: "It was cut off."}, ""), "network", "The answer was cut off: It was cut off. This is what had arrived."},
		"the vendor's own idea": {ended("half", &providers.Error{Kind: providers.KindContentFiltered, Message: "Refused."}, ""), "content_filter", "The answer was cut off: Refused. This is what had arrived."},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newFixture(t, tc.chat)
				b.cfg.Calls.MaxAnswerBytes = 100
				q := question("x")
				q.Background = false
				s, err := b.Ask(b.call(), "", q)
				require.NoError(t, err)
				assert.True(t, s.Partial)
				assert.Equal(t, tc.finish, s.Metadata.FinishReason)
				assert.Equal(t, []string{tc.note, "usage is an estimate: the vendor did not report it."}, s.Metadata.Notes)
				if name == "nothing but blanks" {
					assert.Contains(t, s.Text, "had not begun its answer", "a client is shown no blank")
				}
			})
		})
	}
}

// An answer that is longer than its call goes on, is saved every 2 s, and is fetched by a blank prompt.
func TestPartialGoesOnInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pieces []string
		for i := range 40 {
			pieces = append(pieces, fmt.Sprintf("%02d ", i))
		}
		b := newFixture(t, asktest.Drips(time.Second, text(pieces...)...))
		start := time.Now()
		said := b.ask("", "count")
		took := time.Since(start)
		assert.Less(t, took, 30*time.Second)
		assert.Greater(t, took, 28*time.Second)
		assert.True(t, said.Partial)
		assert.True(t, said.Pending)
		assert.True(t, strings.HasPrefix(said.Text, "00 01 02 "))
		assert.Equal(t, "timeout", said.Metadata.FinishReason)
		r := said.Reply()
		assert.Equal(t, "partial", r.Body.Get("status"))
		assert.NotNil(t, r.Body.Get("continuation_offer"))

		// At once: waits for the rest.
		fetched, err := b.Fetch(b.call(), said.ContinuationID, nil)
		require.NoError(t, err)
		assert.Equal(t, strings.Join(pieces, ""), fetched.Text)
		assert.False(t, fetched.Partial)
		assert.Equal(t, "stop", fetched.Metadata.FinishReason)
		assert.Equal(t, 40*time.Second, time.Since(start).Round(time.Second))
		assert.Equal(t, "continuation_available", fetched.Reply().Body.Get("status"))

		saves := b.store.Saves()
		require.NotEmpty(t, saves)
		assert.GreaterOrEqual(t, len(saves), 5, "about every 2 s, and at the end")
		for _, turn := range saves[:len(saves)-1] {
			assert.Equal(t, conversation.TurnRunning, turn.Status)
		}
		last := saves[len(saves)-1]
		assert.Equal(t, conversation.TurnComplete, last.Status)
		assert.Equal(t, strings.Join(pieces, ""), last.Content)
	})
}

func TestFetchWithinItsOwnLimitIsPartialAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pieces := make([]string, 100)
		for i := range pieces {
			pieces[i] = "x"
		}
		b := newFixture(t, asktest.Drips(900*time.Millisecond, text(pieces...)...)) // no piece comes just when a call ends
		said := b.ask("", "count")
		start := time.Now()
		again, err := b.Fetch(b.call(), said.ContinuationID, nil)
		require.NoError(t, err)
		assert.True(t, again.Pending)
		assert.Greater(t, len(again.Text), len(said.Text))
		assert.Less(t, time.Since(start), 30*time.Second)
		saves := b.store.Saves()
		assert.Equal(t, again.Text, saves[len(saves)-1].Content, "what was read survives the process")
		assert.Nil(t, again.Metadata.Stored)

		part := 10
		at := time.Now()
		read, err := b.Fetch(b.call(), said.ContinuationID, &part)
		require.NoError(t, err)
		assert.Equal(t, time.Duration(0), time.Since(at), "with an offset nothing is waited for")
		assert.Len(t, read.Text, len(again.Text)-10)
	})
}

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

func TestNewPromptWaitsForTheOldAnswerWhichJoinsTheHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		drip := asktest.Drips(time.Second, text(strings.Split(strings.Repeat("a,", 35), ",")...)...)
		n := 0
		b := newFixture(t, func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			if n++; n == 1 {
				return drip(ctx, req, on)
			}
			return asktest.Says("next")(ctx, req, on)
		})
		said := b.ask("", "first")
		require.True(t, said.Pending)
		var seen []string
		report := progress.Start(func(message string) { seen = append(seen, message) }, nil, said.ContinuationID, "chat", time.Now())
		next, err := b.Ask(progress.With(b.call(), report), said.ContinuationID, question("second"))
		report.Stop()
		require.NoError(t, err)
		assert.Equal(t, "next", next.Text)
		assert.Contains(t, strings.Join(seen, "\n"), "waiting for the last answer")
		require.Len(t, b.requests, 2)
		assert.Equal(t, strings.Repeat("a", 35), b.requests[1].Messages[2].Content, "the whole old answer")
	})
}

func TestNewPromptIsBusyWhenTheOldAnswerTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, asktest.Drips(time.Second, text(strings.Split(strings.Repeat("a,", 120), ",")...)...))
		said := b.ask("", "first")
		start := time.Now()
		_, err := b.Ask(b.call(), said.ContinuationID, question("second"))
		assert.Equal(t, reply.CodeConversationBusy, codeOf(err))
		assert.True(t, reply.FromError(t.Context(), err).Retryable)
		assert.Less(t, time.Since(start), 30*time.Second)
		assert.Len(t, b.requests, 1, "nothing was sent")
	})
}

// Another process writes the answer: it is followed through the store, and given up when its heartbeat stops.
func TestAnswerOfAnotherProcess(t *testing.T) {
	running := func(b *fixture) (string, conversation.Turn) {
		stored, err := b.store.Append(b.t.Context(), conversation.NewTurns{ConversationID: "other", Turns: []conversation.Turn{
			{Role: providers.RoleUser, Content: "q", SavedAt: time.Now()},
			{Role: providers.RoleAssistant, Content: "so far", Status: conversation.TurnRunning, SavedAt: time.Now()},
		}})
		require.NoError(b.t, err)
		return "other", stored[1]
	}
	t.Run("finished there", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newFixture(t, asktest.Says("ok"))
			id, turn := running(b)
			go func() {
				for range 3 {
					time.Sleep(2 * time.Second)
					turn.SavedAt = time.Now()
					_ = b.store.Save(context.Background(), id, turn)
				}
				turn.Content, turn.Status = "so far and on", conversation.TurnComplete
				_ = b.store.Save(context.Background(), id, turn)
			}()
			said, err := b.Fetch(b.call(), id, nil)
			require.NoError(t, err)
			assert.Equal(t, "so far and on", said.Text)
			assert.False(t, said.Partial)
		})
	})
	t.Run("died there", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newFixture(t, asktest.Says("ok"))
			id, _ := running(b)
			start := time.Now()
			said, err := b.Fetch(b.call(), id, nil)
			require.NoError(t, err)
			assert.Equal(t, "so far", said.Text)
			assert.True(t, said.Partial)
			assert.False(t, said.Pending)
			assert.InDelta(t, 10, time.Since(start).Seconds(), 1)
			next := b.ask(id, "go on")
			assert.Equal(t, "ok", next.Text)
			assert.Contains(t, b.requests[0].Messages[2].Content, "so far\n\n[The answer was cut off here.]")
		})
	})
}

func TestOnlyThinkingArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var thoughts []providers.Delta
		for range 60 {
			thoughts = append(thoughts, providers.Delta{Reasoning: "let me see, "})
		}
		b := newFixture(t, asktest.Drips(time.Second, thoughts...))
		b.cfg.Calls.BackgroundCompletion = false
		said := b.ask("", "hard one")
		assert.True(t, said.Partial)
		assert.False(t, said.Pending)
		assert.Contains(t, said.Text, "had been thinking for 28 s")
		again, err := b.Fetch(b.call(), said.ContinuationID, nil)
		require.NoError(t, err)
		assert.True(t, again.Partial)
		assert.Contains(t, again.Text, "still thinking")
		loaded, err := b.store.Load(t.Context(), said.ContinuationID)
		require.NoError(t, err)
		assert.Empty(t, loaded.Turns[1].Content)
		assert.Equal(t, conversation.TurnPartial, loaded.Turns[1].Status)
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

func TestCancelledCallStoresWhatHadArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, asktest.Drips(time.Second, text("a", "b", "c", "d", "e")...))
		ctx, cancel := context.WithCancelCause(b.call())
		go func() {
			time.Sleep(2500 * time.Millisecond)
			cancel(errors.New("cancelled by client"))
		}()
		said, err := b.Ask(ctx, "", question("x"))
		require.NoError(t, err)
		assert.Equal(t, "ab", said.Text)
		loaded, err := b.store.Load(t.Context(), said.ContinuationID)
		require.NoError(t, err)
		assert.Equal(t, "ab", loaded.Turns[1].Content)
		assert.Equal(t, conversation.TurnPartial, loaded.Turns[1].Status)
		assert.Equal(t, providers.FinishCancelled, loaded.Turns[1].FinishReason)
	})
}

func TestCallsOfOneConversationGoOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, asktest.Drips(time.Second, text("x")...))
		id := b.ask("", "0").ContinuationID
		done := make(chan string, 3)
		for i := range 3 {
			go func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				said, err := b.Ask(b.call(), id, question(fmt.Sprint(i+1)))
				if assert.NoError(t, err) {
					done <- fmt.Sprint(said.N)
				}
			}()
		}
		assert.Equal(t, []string{"4", "6", "8"}, []string{<-done, <-done, <-done})
		assert.Len(t, b.requests[3].Messages, 8, "each sees what was said before it")
	})
}

func TestConversationLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, asktest.Says("ok"))
		b.cfg.Conversations.MaxTurns = 4
		said := b.ask("", "1")
		require.NotNil(t, said.Remaining)
		assert.Equal(t, 2, *said.Remaining)
		said = b.ask(said.ContinuationID, "2")
		assert.Equal(t, 0, *said.Remaining)
		_, err := b.Ask(b.call(), said.ContinuationID, question("3"))
		assert.Equal(t, reply.CodeConversationFull, codeOf(err))
		_, err = b.Fetch(b.call(), said.ContinuationID, nil)
		assert.NoError(t, err, "reading goes on")

		b.cfg.Conversations.MaxTurns, b.cfg.Conversations.TimeoutHours = 0, 1
		time.Sleep(61 * time.Minute)
		_, err = b.Ask(b.call(), said.ContinuationID, question("4"))
		assert.Equal(t, reply.CodeConversationExpired, codeOf(err))
		_, err = b.Fetch(b.call(), said.ContinuationID, nil)
		assert.NoError(t, err)
	})
}

func TestOffsetsCountCharacters(t *testing.T) {
	b := newFixture(t, asktest.Says("äöü漢字🙂 end"))
	said := b.ask("", "x")
	for offset, want := range map[int]string{0: "äöü漢字🙂 end", 3: "漢字🙂 end", 6: " end", 10: ""} {
		got, err := b.Fetch(b.call(), said.ContinuationID, &offset)
		require.NoError(t, err)
		assert.Equal(t, want, got.Text)
		assert.Equal(t, offset, got.Offset)
	}
	beyond := 11
	_, err := b.Fetch(b.call(), said.ContinuationID, &beyond)
	assert.Equal(t, reply.CodeInvalidRequest, codeOf(err))
	assert.ErrorContains(t, err, "has 10 characters")
}

func TestFetchWithoutAnAnswer(t *testing.T) {
	b := newFixture(t, asktest.Says("ok"))
	_, err := b.store.Append(t.Context(), conversation.NewTurns{ConversationID: "steps", Turns: []conversation.Turn{{Role: providers.RoleUser, Content: "step 1"}}})
	require.NoError(t, err)
	_, err = b.Fetch(b.call(), "steps", nil)
	assert.Equal(t, reply.CodeInvalidRequest, codeOf(err))
}

func TestCloseKeepsBackgroundAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, asktest.Drips(time.Second, text(strings.Split(strings.Repeat("a,", 200), ",")...)...))
		said := b.ask("", "x")
		require.True(t, said.Pending)
		time.Sleep(5 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.NoError(t, b.Close(ctx))
		loaded, err := b.store.Load(t.Context(), said.ContinuationID)
		require.NoError(t, err)
		assert.Equal(t, conversation.TurnPartial, loaded.Turns[1].Status)
		assert.Greater(t, len(loaded.Turns[1].Content), len(said.Text))
	})
}

func TestFinishedIsCalledForABackgroundAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, asktest.Drips(time.Second, text(strings.Split(strings.Repeat("a,", 35), ",")...)...))
		heard := make(chan conversation.Turn, 1)
		q := question("x")
		q.Finished = func(ctx context.Context, turn conversation.Turn) {
			_, bounded := providers.BudgetFrom(ctx)
			assert.False(t, bounded)
			heard <- turn
		}
		said, err := b.Ask(b.call(), "", q)
		require.NoError(t, err)
		require.True(t, said.Pending)
		assert.Equal(t, strings.Repeat("a", 35), (<-heard).Content)
	})
}

// A file goes to the model once per conversation unless it changes.
func TestFilesAreSentOnce(t *testing.T) {
	b := newFixture(t, asktest.Says("ok"))
	file := func(sum, data string) conversation.Attachment {
		return conversation.Attachment{Path: "/p/a.go", SHA256: sum, MIME: "text/plain", Data: []byte(data)}
	}
	q := question("1")
	q.Attachments = []conversation.Attachment{file("s1", "package a")}
	said, err := b.Ask(b.call(), "", q)
	require.NoError(t, err)
	q.Prompt = "2"
	_, err = b.Ask(b.call(), said.ContinuationID, q)
	require.NoError(t, err)
	q.Prompt, q.Attachments = "3", []conversation.Attachment{file("s2", "package b")}
	_, err = b.Ask(b.call(), said.ContinuationID, q)
	require.NoError(t, err)

	last := func(i int) string { return b.requests[i].Messages[len(b.requests[i].Messages)-1].Content }
	assert.Contains(t, last(0), "package a")
	assert.NotContains(t, last(1), "package a")
	assert.Contains(t, last(1), "[Unchanged since they were sent earlier in this conversation: /p/a.go]")
	assert.Contains(t, last(2), "package b")
	assert.Equal(t, last(0), b.requests[2].Messages[1].Content, "what was sent is sent the same again")
}

func TestTooMuchForTheWindow(t *testing.T) {
	b := newFixture(t, asktest.Says("ok"))
	q := question("x")
	q.Model = "glm-4.5"
	q.Attachments = []conversation.Attachment{{Path: "/big", SHA256: "s", MIME: "text/plain", Data: []byte(strings.Repeat("word ", 200_000))}}
	_, err := b.Ask(b.call(), "", q)
	assert.Equal(t, reply.CodeContextLength, codeOf(err))
	assert.Empty(t, b.requests)
}

// When a conversation has outgrown the window, the oldest turns stay out, the reply says so, and files that went with them are
// sent again when they are named.
func TestLongConversationDropsItsOldestTurns(t *testing.T) {
	b := newFixture(t, asktest.Says("ok"))
	file := conversation.Attachment{Path: "/p/a.go", SHA256: "s1", MIME: "text/plain", Data: []byte("package a")}
	turns := []conversation.Turn{{Role: providers.RoleUser, Content: "with the file", Attachments: []conversation.Attachment{file}}}
	for range 60 {
		turns = append(turns, conversation.Turn{Role: providers.RoleAssistant, Content: strings.Repeat("long answer ", 1000), Model: "glm-4.5"},
			conversation.Turn{Role: providers.RoleUser, Content: "go on"})
	}
	_, err := b.store.Append(t.Context(), conversation.NewTurns{ConversationID: "long", Turns: turns})
	require.NoError(t, err)
	q := question("next")
	q.Model, q.Attachments = "glm-4.5", []conversation.Attachment{file}
	said, err := b.Ask(b.call(), "long", q)
	require.NoError(t, err)
	sent := b.requests[0].Messages
	assert.Less(t, len(sent), 100)
	assert.Equal(t, providers.RoleUser, sent[1].Role)
	assert.Contains(t, sent[len(sent)-1].Content, "package a")
	assert.Contains(t, strings.Join(said.Metadata.Notes, " "), "Left out, since the window of glm-4.5 has no room for more: the ")
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

// Two calls never have one conversation at once, also when a third gave up waiting for it.
func TestOneLeaseAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, asktest.Says("x"))
		id := b.ask("", "x").ContinuationID
		first, err := b.Lease(b.call(), id)
		require.NoError(t, err)
		_, err = b.Lease(b.call(), id)
		assert.Equal(t, reply.CodeConversationBusy, codeOf(err))
		cancelled, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("the client went"))
		_, err = b.Lease(cancelled, id)
		require.EqualError(t, err, "the client went")
		_, err = b.Lease(b.call(), id)
		assert.Equal(t, reply.CodeConversationBusy, codeOf(err), "those who gave up did not free it")
		first.Release()
		second, err := b.Lease(b.call(), id)
		require.NoError(t, err)
		second.Release()
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

func TestOfferSaysWhatCanBeDone(t *testing.T) {
	left := func(n int) *int { return &n }
	for name, tc := range map[string]struct {
		s    ask.StoredAnswer
		note string
	}{
		"unlimited": {ask.StoredAnswer{}, "Send this continuation_id with the next prompt"},
		"one left":  {ask.StoredAnswer{Remaining: left(1)}, "Send this continuation_id with the next prompt"},
		"none left": {ask.StoredAnswer{Remaining: left(0)}, "This conversation has no turns left"},
		"partial":   {ask.StoredAnswer{Partial: true, Remaining: left(0)}, "Call chat with this continuation_id and a prompt that asks for the rest"},
		"pending":   {ask.StoredAnswer{Partial: true, Pending: true}, "The answer is still being written"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.s.N, tc.s.ContinuationID = 2, "c"
			text, err := tc.s.Reply().JSON()
			require.NoError(t, err)
			assert.Contains(t, string(text), `"continuation_offer":{"continuation_id":"c","note":"`+tc.note)
		})
	}
}

// What the vendor reported is no estimate, and no note says so.
func TestReportedUsageIsNoEstimate(t *testing.T) {
	b := newFixture(t, func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
		return &providers.ChatResponse{Content: "yes", FinishReason: providers.FinishStop, Usage: providers.Usage{InputTokens: 3}, UsageKnown: true}, nil
	})
	s, err := b.Ask(b.call(), "", question("x"))
	require.NoError(t, err)
	assert.Equal(t, 3, s.Metadata.Usage.InputTokens)
	assert.Empty(t, s.Metadata.Notes)
}

// A request that its model's window cannot hold is refused before it is sent.
func TestWindowOfTheModelCounts(t *testing.T) {
	b := newFixture(t, asktest.Says("yes"))
	q := question(strings.Repeat("a few words ", 400_000))
	q.Model = "glm-5.3"
	_, err := b.Ask(b.call(), "", q)
	var e *providers.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, providers.KindContextLength, e.Kind)
	assert.Regexp(t, `^The request has about \d{6,} tokens, more than the context window of glm-\S+ \(\d{6,}\)\.$`, e.Message)
	assert.Empty(t, b.requests)

	q.Prompt = strings.Repeat("a few words ", 20_000) // more than a window that nobody knows
	s, err := b.Ask(b.call(), "", q)
	require.NoError(t, err)
	assert.Equal(t, "yes", s.Text)
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
