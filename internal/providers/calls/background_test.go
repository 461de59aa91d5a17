package calls_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
)

// backgroundCall is a call that may go on in the background.
func backgroundCall(model, key string) calls.Call {
	call := ask(model)
	call.Background, call.Key = true, key
	return call
}

func TestAnAnswerGoesOnBehindItsCall(t *testing.T) {
	for _, c := range []struct {
		name  string
		class config.Class
		set   func(*config.Config)
		at    time.Duration // when the call ends
		limit string
		said  int
	}{
		{"the vendor's limit in a simple tool", config.ClassSimple, func(c *config.Config) { c.Timeouts.GLM = 10 * time.Second }, 10 * time.Second, "GLM_TIMEOUT_SECS=10s", 10},
		{"the call's reserve", config.ClassSimple, nil, 28500 * time.Millisecond, "GLM_TIMEOUT_SECS=30s", 28},
		{"the call's limit", config.ClassExpert, nil, 53 * time.Second, "ANSWER_WITHIN_SECS=55s", 53},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFakeTime(t, c.set, func(t *testing.T, b *fixture) {
				b.glm.ChatFunc = steady(100)
				ctx, cancel := context.WithCancel(b.inClass(t.Context(), c.class))
				start := time.Now()
				var phases []providers.Phase
				call := backgroundCall("glm-5.3", "conversation")
				call.On = func(e providers.Event) { phases = append(phases, e.Phase) }
				out, err := b.caller.Call(ctx, call)
				require.NoError(t, err)
				assert.Equal(t, c.at, time.Since(start))
				assert.True(t, out.Partial)
				assert.Equal(t, providers.FinishTimeout, out.Response.FinishReason)
				assert.Equal(t, c.limit, out.Limit.String())
				assert.Equal(t, words(c.said), out.Response.Content)
				assert.Equal(t, providers.PhaseBackground, phases[len(phases)-1])
				heard := len(phases)
				require.NotNil(t, out.Live)
				assert.Equal(t, []*calls.Generation{out.Live}, b.caller.Background())
				assert.Equal(t, "conversation", out.Live.Key())

				cancel() // the call's context reaches no further
				time.Sleep(10 * time.Second)
				now := out.Live.Snapshot()
				assert.Equal(t, words(c.said+10), now.Response.Content)
				assert.True(t, now.Partial)
				assert.Same(t, out.Live, now.Live)
				assert.Positive(t, now.Response.Usage.OutputTokens, "an estimate of what it has cost so far")

				<-out.Live.Done()
				assert.Equal(t, 99700*time.Millisecond, time.Since(start))
				final := out.Live.Snapshot()
				assert.Equal(t, words(100), final.Response.Content)
				assert.False(t, final.Partial)
				assert.Nil(t, final.Live)
				assert.Nil(t, final.Limit)
				assert.Equal(t, providers.FinishStop, final.Response.FinishReason)
				assert.Equal(t, 1, final.Attempts)
				synctest.Wait() // until it is not listed any more
				assert.Empty(t, b.caller.Background())
				assert.Len(t, phases, heard, "nobody is told of anything after the call")
				assert.Equal(t, []string{c.limit}, b.seen.names())
				assert.Len(t, b.seen.attempts, 1)
				assert.Nil(t, b.seen.attempts[0].Err)
			})
		})
	}
}

func TestWhatDoesNotGoOn(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*config.Config)
		call func(*calls.Call)
		chat chatFunc
	}{
		{"nothing has arrived", nil, nil, silent()},
		{"the stream is idle", func(c *config.Config) { c.Timeouts.StreamIdle = 20 * time.Second }, nil, stream(nil, say(time.Second, "word "), say(forever, ""))},
		{"it is switched off", func(c *config.Config) { c.Calls.BackgroundCompletion = false }, nil, steady(100)},
		{"the tool does not want it", nil, func(c *calls.Call) { c.Background = false }, steady(100)},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFakeTime(t, c.set, func(t *testing.T, b *fixture) {
				b.glm.ChatFunc = c.chat
				call := backgroundCall("glm-5.3", "conversation")
				if c.call != nil {
					c.call(&call)
				}
				out, _ := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
				assert.Nil(t, out.Live)
				assert.Empty(t, b.caller.Background())
				assert.Len(t, b.seen.attempts, 1, "the vendor's request has ended")
				assert.NotNil(t, b.seen.attempts[0].Err)
				assert.Len(t, b.seen.names(), 1)
			})
		})
	}
}

func TestTheLimitsOfABackgroundAnswer(t *testing.T) {
	for _, c := range []struct {
		name  string
		chat  chatFunc
		ends  time.Duration
		limit string
		said  int
	}{
		{"its longest time", steady(10_000), 628500 * time.Millisecond, "BACKGROUND_MAX_SECS=600s", 628},
		{
			"its silence", stream(nil, say(time.Second, "word "), say(24*time.Second, "word "), say(24*time.Second, "word "), say(forever, "")),
			74 * time.Second, "STREAM_IDLE_TIMEOUT_SECS=25s", 3,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFakeTime(t, nil, func(t *testing.T, b *fixture) {
				b.glm.ChatFunc = c.chat
				start := time.Now()
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), backgroundCall("glm-5.3", "conversation"))
				require.NoError(t, err)
				<-out.Live.Done()
				assert.Equal(t, c.ends, time.Since(start))
				final := out.Live.Snapshot()
				assert.True(t, final.Partial)
				assert.Nil(t, final.Live)
				assert.Equal(t, c.limit, final.Limit.String())
				assert.Equal(t, providers.FinishTimeout, final.Response.FinishReason)
				assert.Equal(t, words(c.said), final.Response.Content)
				assert.Equal(t, []string{"GLM_TIMEOUT_SECS=30s", c.limit}, b.seen.names())
			})
		})
	}
}

func TestABackgroundAnswerThatBreaksStaysPartial(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = stream(&providers.Error{Kind: providers.KindNetwork, Retry: true}, say(20*time.Second, "word "), say(20*time.Second, "word "))
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), backgroundCall("glm-5.3", "conversation"))
		require.NoError(t, err)
		<-out.Live.Done()
		final := out.Live.Snapshot()
		assert.True(t, final.Partial)
		assert.Equal(t, providers.FinishNetwork, final.Response.FinishReason)
		assert.Equal(t, words(2), final.Response.Content)
		assert.Equal(t, 1, final.Attempts, "what was delivered is not asked for again")
	})
}

func TestABackgroundAnswerThatFailsLaterStaysPartial(t *testing.T) {
	for _, c := range []struct {
		name   string
		then   chatFunc
		finish providers.FinishReason
	}{
		{"refused", fails(nil, &providers.Error{Kind: providers.KindAuth}), providers.FinishNetwork},
		{"cut before any text", finished(providers.FinishLength, "", "hm"), providers.FinishLength},
		{"filtered", finished(providers.FinishContentFilter, "", "hm"), providers.FinishContentFilter},
		{"a bug in exai-mcp", func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
			panic("boom")
		}, providers.FinishNetwork},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFakeTime(t, nil, func(t *testing.T, b *fixture) {
				turns := &inTurn{scripts: []chatFunc{callsTool("slow", time.Second), c.then}}
				b.glm.ChatFunc = turns.chat
				call := backgroundCall("glm-5.3", "conversation")
				call.Tools = []calls.Tool{function("slow", func(context.Context, string) (string, error) {
					time.Sleep(40 * time.Second)
					return "late", nil
				})}
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
				require.NoError(t, err)
				require.NotNil(t, out.Live)
				<-out.Live.Done()
				final := out.Live.Snapshot()
				assert.True(t, final.Partial, "the call said that there is an answer")
				assert.Equal(t, c.finish, final.Response.FinishReason)
				assert.Nil(t, final.Live)
			})
		})
	}
}

// TestACancelledAnswerDoesNotGoOn: a limit that passes while a cancelled answer still ends does not detach it.
func TestACancelledAnswerDoesNotGoOn(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			resp, err := steady(100)(ctx, req, on)
			time.Sleep(time.Second) // it is slow to end
			return resp, err
		}
		ctx, cancel := context.WithCancel(b.inClass(t.Context(), config.ClassSimple))
		time.AfterFunc(28450*time.Millisecond, cancel)
		start := time.Now()
		out, err := b.caller.Call(ctx, backgroundCall("glm-5.3", "conversation"))
		require.NoError(t, err)
		assert.Equal(t, 28550*time.Millisecond, time.Since(start))
		assert.Nil(t, out.Live)
		assert.Equal(t, providers.FinishCancelled, out.Response.FinishReason)
		assert.Equal(t, words(28), out.Response.Content)
		assert.Empty(t, b.seen.names())
	})
}

func TestTwoGoOnPerVendor(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc, b.kimi.ChatFunc = steady(300), steady(300)
		var live []*calls.Generation
		for _, model := range []string{"glm-5.3", "kimi-k3", "glm-5.3", "glm-5.3"} {
			out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), backgroundCall(model, model))
			require.NoError(t, err)
			live = append(live, out.Live)
		}
		<-live[0].Done()
		first := live[0].Snapshot()
		assert.True(t, first.Partial, "the oldest gave way")
		assert.Equal(t, providers.FinishTimeout, first.Response.FinishReason)
		assert.Equal(t, "GLM_TIMEOUT_SECS=30s", first.Limit.String())
		assert.Equal(t, []*calls.Generation{live[1], live[2], live[3]}, b.caller.Background())

		live[2].Stop()
		<-live[2].Done()
		assert.True(t, live[2].Snapshot().Partial)
		<-live[1].Done()
		<-live[3].Done()
		assert.Equal(t, words(300), live[3].Snapshot().Response.Content)
		assert.Len(t, b.seen.names(), 4, "giving way and stopping are no limits")
	})
}

func TestABackgroundAnswerHoldsNoSlot(t *testing.T) {
	inFakeTime(t, func(c *config.Config) { c.GLM.MaxInflight, c.Calls.MaxInflight = 1, 1 }, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = steady(300)
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), backgroundCall("glm-5.3", "conversation"))
		require.NoError(t, err)
		require.NotNil(t, out.Live)
		b.glm.ChatFunc = answers("at once")
		start := time.Now()
		_, err = b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
		require.NoError(t, err)
		assert.Zero(t, time.Since(start))
		out.Live.Stop()
		<-out.Live.Done()
	})
}

func TestCloseStopsWhatRuns(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc, b.kimi.ChatFunc = steady(300), silent()
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), backgroundCall("glm-5.3", "conversation"))
		require.NoError(t, err)
		var waiting sync.WaitGroup
		waiting.Go(func() {
			_, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("kimi-k3"))
			assert.Equal(t, providers.KindCancelled, failure(t, err).Kind)
		})
		time.Sleep(time.Second)
		start := time.Now()
		require.NoError(t, b.caller.Close(t.Context()))
		assert.Zero(t, time.Since(start))
		<-out.Live.Done()
		waiting.Wait()
		_, err = b.caller.Call(t.Context(), ask("glm-5.3"))
		assert.Equal(t, providers.KindCancelled, failure(t, err).Kind)
	})
}

func TestCloseWaitsNoLongerThanItsContext(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		let := make(chan struct{})
		b.glm.ChatFunc = func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
			<-let
			return nil, &providers.Error{Kind: providers.KindNetwork}
		}
		_, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
		require.Error(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Error(t, b.caller.Close(ctx))
		close(let)
	})
}

// TestToolRoundsGoOnToo: a limit that passes while a function runs, or while the next request waits for its first event,
// ends the call and not the answer.
func TestToolRoundsGoOnToo(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		turns := &inTurn{scripts: []chatFunc{callsTool("slow", 20*time.Second), stream(nil, say(25*time.Second, "done"))}}
		b.glm.ChatFunc = turns.chat
		call := backgroundCall("glm-5.3", "conversation")
		var budgeted bool
		call.Tools = []calls.Tool{{
			Function: providers.Function{Name: "slow"},
			Run: func(ctx context.Context, _ string, _ int) (string, error) {
				_, budgeted = providers.BudgetFrom(ctx)
				if !pause(ctx, 15*time.Second) {
					return "", context.Cause(ctx)
				}
				return "result", nil
			},
		}}
		start := time.Now()
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		require.NoError(t, err)
		assert.Equal(t, 28500*time.Millisecond, time.Since(start))
		assert.Equal(t, "SIMPLE_TOOL_TIMEOUT_SECS=30s", out.Limit.String(), "no request was waiting")
		require.NotNil(t, out.Live)
		assert.Equal(t, 100, out.Response.Usage.InputTokens, "the first request, once")
		<-out.Live.Done()
		assert.Equal(t, 60*time.Second, time.Since(start))
		assert.Equal(t, "done", out.Live.Snapshot().Response.Content)
		assert.False(t, budgeted, "a function is bounded by the answer, which may outlive the budget")
		assert.Equal(t, "result\n\nNo more function calls are possible. Conclude with what you have.", turns.requests[1].Messages[2].Content)
	})
}
