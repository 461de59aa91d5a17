package ask_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
