package calls_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
)

// What health figures and logs are told of each attempt, and what of a partial answer's response is kept.
func TestAttemptsAreReported(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		turns := &inTurn{scripts: []chatFunc{
			func(ctx context.Context, _ providers.ChatRequest, _ func(providers.Delta)) (*providers.ChatResponse, error) {
				providers.ReportRequestID(ctx, "first")
				pause(ctx, time.Second)
				return nil, overloaded()
			},
			func(ctx context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
				pause(ctx, 2*time.Second)
				on(providers.Delta{Content: "half"})
				pause(ctx, time.Second)
				return &providers.ChatResponse{
					RequestID: "second", Header: map[string]string{"x-trace": "t"}, Usage: providers.Usage{CostUSD: 0.25},
				}, &providers.Error{Kind: providers.KindNetwork, Message: "broken"}
			},
		}}
		b.glm.ChatFunc = turns.chat
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassExpert), ask("glm-5.1"))
		require.NoError(t, err)
		assert.True(t, out.Partial)
		assert.Equal(t, map[string]string{"x-trace": "t"}, out.Response.Header)
		assert.Equal(t, "second", out.Response.RequestID)

		require.Len(t, b.seen.attempts, 2)
		first, second := b.seen.attempts[0], b.seen.attempts[1]
		assert.Equal(t, "first first", first.RequestID+" "+first.Err.RequestID)
		assert.Equal(t, time.Second, first.Duration)
		assert.Zero(t, first.FirstDelta)
		assert.Equal(t, "second second", second.RequestID+" "+second.Err.RequestID, "the response alone had it")
		assert.Equal(t, 3*time.Second, second.Duration)
		assert.Equal(t, 2*time.Second, second.FirstDelta)
		assert.Greater(t, second.Usage.CostUSD, 0.25, "what the vendor charges beside the tokens is added to their estimate")
		assert.InDelta(t, 0.25, second.Usage.CostUSD, 0.001)
		assert.Equal(t, second.Usage, out.Response.Usage)
	})
}

func TestARequestIDIsOfItsOwnAttempt(t *testing.T) {
	for _, c := range []struct {
		name, reported, inError string // of the second attempt
		attempt, err            string
	}{
		{"none", "", "", "", ""},
		{"reported", "early", "", "early", "early"},
		{"in the error", "", "late", "late", "late"},
		{"both", "early", "late", "early", "late"},
	} {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			fail := func(id string, e *providers.Error) chatFunc {
				return func(ctx context.Context, _ providers.ChatRequest, _ func(providers.Delta)) (*providers.ChatResponse, error) {
					providers.ReportRequestID(ctx, id)
					return nil, e
				}
			}
			turns := &inTurn{scripts: []chatFunc{
				fail("first", overloaded()), fail(c.reported, &providers.Error{Kind: providers.KindAuth, RequestID: c.inError}),
			}}
			b.glm.ChatFunc = turns.chat
			_, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
			assert.Equal(t, c.err, failure(t, err).RequestID, c.name)
			assert.Equal(t, c.attempt, b.seen.attempts[1].RequestID, c.name)
		})
	}
}

// An answer of several requests says what it is doing at each; an event of the vendor that carries nothing is none.
func TestEventsOfTwoRounds(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		turns := &inTurn{scripts: []chatFunc{callsTool("f", 0), stream(nil, say(0, ""), say(0, "done"))}}
		b.glm.ChatFunc = turns.chat
		call := ask("glm-5.3")
		call.Tools = []calls.Tool{function("f", func(context.Context, string) (string, error) { return "result", nil })}
		var phases []providers.Phase
		call.On = func(e providers.Event) { phases = append(phases, e.Phase) }
		_, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		require.NoError(t, err)
		assert.Equal(t, []providers.Phase{
			providers.PhaseAsking, providers.PhaseThinking, providers.PhaseWriting, providers.PhaseAsking, providers.PhaseWriting,
		}, phases)
	})
}

func TestAPartialAnswerIsOfItsLastRequest(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		turns := &inTurn{scripts: []chatFunc{
			func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
				on(providers.Delta{Content: "I look."})
				resp, err := callsTool("f", 0)(ctx, req, on)
				resp.Content = "I look."
				return resp, err
			},
			stream(nil, say(time.Second, "half"), say(forever, "")),
		}}
		b.glm.ChatFunc = turns.chat
		call := ask("glm-5.3")
		call.Tools = []calls.Tool{function("f", func(context.Context, string) (string, error) { return "result", nil })}
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		require.NoError(t, err)
		assert.True(t, out.Partial)
		assert.Equal(t, "half", out.Response.Content)
		assert.Empty(t, out.Response.Reasoning)
	})
}

func TestMaxAnswerBytes(t *testing.T) {
	long := strings.Repeat("word ", 1000)
	for name, c := range map[string]struct {
		limit     int64
		delta     providers.Delta
		content   string
		reasoning string
		whole     bool
	}{
		"no limit":                        {0, providers.Delta{Content: long}, long, "", true},
		"as long as it may be":            {5, providers.Delta{Content: "words"}, "words", "", true},
		"one byte":                        {1, providers.Delta{Content: "ab"}, "a", "", false},
		"thoughts that are too long":      {2, providers.Delta{Reasoning: "hmm"}, "", "hm", false},
		"thoughts and text in one":        {5, providers.Delta{Reasoning: "hmm", Content: "words"}, "wo", "hmm", false},
		"thoughts that leave no room":     {3, providers.Delta{Reasoning: "hmm", Content: "words"}, "", "hmm", false},
		"a first character that is wider": {1, providers.Delta{Content: "ö"}, "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, func(cfg *config.Config) { cfg.Calls.MaxAnswerBytes = c.limit }, func(t *testing.T, b *fixture) {
				b.glm.ChatFunc = func(ctx context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
					on(c.delta)
					if ctx.Err() != nil {
						return nil, &providers.Error{Kind: providers.KindNetwork, Err: context.Cause(ctx)}
					}
					return &providers.ChatResponse{Content: c.delta.Content, FinishReason: providers.FinishStop}, nil
				}
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
				require.NoError(t, err)
				assert.Equal(t, c.content, out.Response.Content)
				assert.Equal(t, c.reasoning, out.Response.Reasoning)
				assert.Equal(t, c.whole, !out.Partial)
				assert.Equal(t, c.whole, out.Response.FinishReason == providers.FinishStop)
			})
		})
	}
}

// A provider that ignores its context may go on after its call has returned: nothing of that counts.
func TestADeltaAfterTheEnd(t *testing.T) {
	for _, before := range []string{"", "half "} {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			let := make(chan struct{})
			b.glm.ChatFunc = func(_ context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
				on(providers.Delta{Content: before})
				<-let
				on(providers.Delta{Content: "much more than there was before"})
				return &providers.ChatResponse{Content: "late", FinishReason: providers.FinishStop}, nil
			}
			events := 0
			call := ask("glm-5.3")
			call.On = func(providers.Event) { events++ }
			out, _ := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
			assert.Equal(t, before, out.Response.Content)
			heard := events
			close(let)
			synctest.Wait()
			assert.Equal(t, heard, events, "no event is sent after the call has returned")
			require.Len(t, b.seen.attempts, 1)
			assert.Equal(t, providers.EstimateTokens(before), b.seen.attempts[0].Usage.OutputTokens)
		})
	}
}

// What a server says of reading the prompt counts until the answer begins, and not behind that.
func TestReadingThePrompt(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = func(ctx context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			for _, d := range []providers.Delta{{Read: 1, Prompt: 1}, {Content: "a"}, {Read: 2, Prompt: 3}, {Content: "b"}, {Content: "c"}} {
				if !pause(ctx, 9*time.Second) {
					return nil, &providers.Error{Kind: providers.KindNetwork, Err: context.Cause(ctx)}
				}
				on(d)
			}
			return &providers.ChatResponse{Content: "abc", FinishReason: providers.FinishStop}, nil
		}
		var shown []string
		call := ask("glm-5.3")
		call.On = func(e providers.Event) { shown = append(shown, strings.TrimSpace(string(e.Phase)+" "+e.Detail)) }
		start := time.Now()
		out, err := b.caller.Call(t.Context(), call)
		require.NoError(t, err)
		assert.Equal(t, 39*time.Second, time.Since(start), "GLM_TIMEOUT_SECS from when it had read")
		assert.Equal(t, "ab", out.Response.Content)
		assert.Equal(t, []string{"asking", "reading the prompt 100 %", "writing", "writing"}, shown)
	})
}

// A slot that comes with half a second left, or a tenth of a short limit, is used.
func TestHowLateASlotMayCome(t *testing.T) {
	for _, c := range []struct {
		limit, left time.Duration
		used        bool
	}{
		{10 * time.Second, 500 * time.Millisecond, true},
		{10 * time.Second, 499 * time.Millisecond, false},
		{4 * time.Second, 400 * time.Millisecond, true},
		{4 * time.Second, 380 * time.Millisecond, false},
	} {
		inFakeTime(t, func(cfg *config.Config) { cfg.GLM.MaxInflight, cfg.Timeouts.GLM = 1, c.limit }, func(t *testing.T, b *fixture) {
			turns := &inTurn{scripts: []chatFunc{stream(nil, say(c.limit+time.Millisecond-c.left, "first")), answers("second")}}
			b.glm.ChatFunc = turns.chat
			first := make(chan error)
			ctx := b.inClass(t.Context(), config.ClassExpert)
			go func() {
				_, err := b.caller.Call(ctx, ask("glm-5.3"))
				first <- err
			}()
			time.Sleep(time.Millisecond)
			out, err := b.caller.Call(ctx, ask("glm-5.3"))
			require.NoError(t, <-first)
			if c.used {
				require.NoError(t, err)
				assert.Equal(t, "second", out.Response.Content)
				return
			}
			e := failure(t, err)
			assert.Equal(t, "GLM_TIMEOUT_SECS="+c.limit.String(), e.Limit.String())
			assert.Contains(t, e.Message, "waiting for a free GLM (Z.ai) request slot")
			assert.Zero(t, out.Attempts)
		})
	}
}

// A vendor that admits nothing for as long as a request has time is not waited for.
func TestADelayAsLongAsTheTimeLeft(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = fails(answers("yes"), &providers.Error{
			Kind: providers.KindRateLimited, Retry: true, PerMinute: true, RetryAfter: 28500 * time.Millisecond, HTTPStatus: 429,
		})
		for range 2 {
			_, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
			assert.Equal(t, providers.KindRateLimited, failure(t, err).Kind)
		}
		assert.Len(t, b.seen.attempts, 1, "the second is told at once")
		_, err := calls.Do(t.Context(), b.caller, "glm", "search", testLimit(28500*time.Millisecond), func(context.Context) (int, error) { return 1, nil })
		assert.Equal(t, 28500*time.Millisecond, failure(t, err).RetryAfter)
	})
}

// Without bounds of its own, a call's functions get those that are documented.
func TestDefaultBounds(t *testing.T) {
	assert.Equal(t, calls.Bounds{Rounds: 4, Calls: 8, Bytes: 240_000}, calls.DefaultBounds())
}
