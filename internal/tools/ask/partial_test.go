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

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

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
