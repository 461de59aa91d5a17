package calls_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
)

// none is the class of a call without a budget, as from the command line.
const none config.Class = -1

// TestLimits is the table of every limit: which ends what, when, and under which name.
func TestLimits(t *testing.T) {
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	for _, c := range []struct {
		name    string
		model   string
		class   config.Class
		set     func(*config.Config)
		chat    chatFunc
		took    time.Duration
		kind    providers.Kind // of the error; "" for an outcome
		limit   string         // that ended it
		finish  providers.FinishReason
		content string
	}{
		{
			name: "GLM never answers a simple tool", model: "glm-5.3", class: config.ClassSimple, chat: silent(),
			took: seconds(28.5), kind: providers.KindTimeout, limit: "GLM_TIMEOUT_SECS=30s",
		},
		{
			name: "Kimi never answers a simple tool", model: "kimi-k3", class: config.ClassSimple, chat: silent(),
			took: seconds(28.5), kind: providers.KindTimeout, limit: "KIMI_TIMEOUT_SECS=30s",
		},
		{
			name: "GLM never answers an expert call", model: "glm-5.3", class: config.ClassExpert, chat: silent(),
			took: seconds(30), kind: providers.KindTimeout, limit: "GLM_TIMEOUT_SECS=30s",
		},
		{
			name: "Kimi never answers a file call", model: "kimi-k3", class: config.ClassFile, chat: silent(),
			took: seconds(30), kind: providers.KindTimeout, limit: "KIMI_TIMEOUT_SECS=30s",
		},
		{
			name: "without a budget", model: "glm-5.3", class: none, chat: silent(),
			took: seconds(30), kind: providers.KindTimeout, limit: "GLM_TIMEOUT_SECS=30s",
		},
		{
			name: "a shorter vendor limit", model: "glm-5.3", class: config.ClassSimple, chat: silent(),
			set:  func(c *config.Config) { c.Timeouts.GLM = seconds(10) },
			took: seconds(10), kind: providers.KindTimeout, limit: "GLM_TIMEOUT_SECS=10s",
		},
		{
			name: "a shorter call limit", model: "glm-5.3", class: config.ClassSimple, chat: silent(),
			set:  func(c *config.Config) { c.Timeouts.AnswerWithin = seconds(20) },
			took: seconds(19), kind: providers.KindTimeout, limit: "ANSWER_WITHIN_SECS=20s",
		},
		{
			name: "delivering in a simple tool", model: "glm-5.3", class: config.ClassSimple, chat: steady(100),
			took: seconds(28.5), limit: "GLM_TIMEOUT_SECS=30s", finish: providers.FinishTimeout, content: words(28),
		},
		{
			name: "delivering in a simple tool, past a short vendor limit", model: "kimi-k3", class: config.ClassSimple, chat: steady(100),
			set:  func(c *config.Config) { c.Timeouts.Kimi = seconds(10.5) },
			took: seconds(10.5), limit: "KIMI_TIMEOUT_SECS=10.5s", finish: providers.FinishTimeout, content: words(10),
		},
		{
			name: "delivering in an expert call goes on to the call's limit", model: "kimi-k3", class: config.ClassExpert, chat: steady(100),
			took: seconds(53), limit: "ANSWER_WITHIN_SECS=55s", finish: providers.FinishTimeout, content: words(53),
		},
		{
			name: "delivering without a budget", model: "glm-5.3", class: none, chat: steady(100),
			took: seconds(30), limit: "GLM_TIMEOUT_SECS=30s", finish: providers.FinishTimeout, content: words(30),
		},
		{
			name: "a healthy slow answer is left alone", model: "glm-5.3", class: config.ClassExpert, chat: steady(50),
			took: seconds(49.7), finish: providers.FinishStop, content: words(50),
		},
		{
			name: "a stall after the first event", model: "glm-5.3", class: config.ClassExpert, chat: stream(nil, say(seconds(2), "word "), say(forever, "")),
			took: seconds(27), limit: "STREAM_IDLE_TIMEOUT_SECS=25s", finish: providers.FinishTimeout, content: words(1),
		},
		{
			name: "a stall in a simple tool that the call outlasts", model: "glm-5.3", class: config.ClassSimple,
			chat: stream(nil, say(seconds(1), "word "), say(forever, "")),
			took: seconds(26), limit: "STREAM_IDLE_TIMEOUT_SECS=25s", finish: providers.FinishTimeout, content: words(1),
		},
		{
			name: "a first event that carries nothing, then silence", model: "kimi-k3", class: config.ClassExpert,
			chat: stream(nil, say(seconds(2), ""), say(forever, "")),
			took: seconds(27), kind: providers.KindTimeout, limit: "STREAM_IDLE_TIMEOUT_SECS=25s",
		},
		{
			name: "a first event that carries nothing, and many more", model: "kimi-k3", class: config.ClassExpert,
			chat: stream(nil, say(seconds(2), ""), say(seconds(20), ""), say(forever, "")),
			took: seconds(27), kind: providers.KindTimeout, limit: "STREAM_IDLE_TIMEOUT_SECS=25s",
		},
		{
			name: "a first event that carries nothing ends the wait for one", model: "glm-5.3", class: config.ClassExpert,
			chat: stream(nil, say(seconds(20), ""), say(seconds(24), "word ")),
			took: seconds(44), finish: providers.FinishStop, content: words(1),
		},
		{
			name: "... but in a simple tool the whole request is bounded", model: "glm-5.3", class: config.ClassSimple,
			chat: stream(nil, say(seconds(20), ""), say(seconds(24), "word ")),
			took: seconds(28.5), kind: providers.KindTimeout, limit: "GLM_TIMEOUT_SECS=30s",
		},
		{
			name: "nothing but reasoning", model: "glm-5.3", class: config.ClassSimple, chat: stream(nil, think(seconds(20), "hm"), say(seconds(20), "yes")),
			took: seconds(28.5), limit: "GLM_TIMEOUT_SECS=30s", finish: providers.FinishTimeout, content: "",
		},
		{
			name: "pauses below the idle limit", model: "glm-5.3", class: config.ClassExpert,
			chat: stream(nil, say(seconds(24), "word "), say(seconds(24), "word ")),
			took: seconds(48), finish: providers.FinishStop, content: words(2),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFakeTime(t, c.set, func(t *testing.T, b *fixture) {
				b.glm.ChatFunc, b.kimi.ChatFunc = c.chat, c.chat
				ctx := t.Context()
				if c.class != none {
					ctx = b.inClass(ctx, c.class)
				}
				start := time.Now()
				out, err := b.caller.Call(ctx, ask(c.model))
				assert.Equal(t, c.took, time.Since(start), "time at the caller")
				assert.Equal(t, 1, out.Attempts)
				assert.Len(t, b.seen.attempts, 1)
				if c.limit == "" {
					assert.Empty(t, b.seen.names())
				} else {
					assert.Equal(t, []string{c.limit}, b.seen.names(), "reported once")
				}
				if c.kind != "" {
					e := failure(t, err)
					assert.Equal(t, c.kind, e.Kind)
					assert.Equal(t, c.limit, e.Limit.String())
					assert.Equal(t, c.took, e.Elapsed)
					assert.Equal(t, c.model, e.Model)
					assert.Contains(t, e.Message, c.limit)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, c.finish, out.Response.FinishReason)
				assert.Equal(t, c.content, out.Response.Content)
				assert.Equal(t, c.finish != providers.FinishStop, out.Partial)
				assert.Nil(t, out.Live, "background was not asked for")
				if c.limit != "" {
					assert.Equal(t, c.limit, out.Limit.String())
				} else {
					assert.Nil(t, out.Limit)
				}
			})
		})
	}
}

func words(n int) string {
	s := ""
	for range n {
		s += "word "
	}
	return s
}

func TestAQueueCountsAgainstTheVendorsLimit(t *testing.T) {
	inFakeTime(t, func(c *config.Config) { c.GLM.MaxInflight = 1 }, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = steady(25)
		start := time.Now()
		type end struct {
			after time.Duration
			err   error
		}
		ends := make(chan end)
		for range 3 {
			go func() {
				_, err := b.caller.Call(b.inClass(t.Context(), config.ClassExpert), ask("glm-5.3"))
				ends <- end{time.Since(start), err}
			}()
			time.Sleep(time.Millisecond)
		}
		first := <-ends
		require.NoError(t, first.err)
		assert.Equal(t, 24700*time.Millisecond, first.after)
		third := <-ends
		e := failure(t, third.err)
		assert.Equal(t, 30*time.Second+2*time.Millisecond, third.after, "it never got a slot")
		assert.Equal(t, "GLM_TIMEOUT_SECS=30s", e.Limit.String())
		assert.Contains(t, e.Message, "slot")
		assert.Contains(t, e.Hint, "GLM_MAX_INFLIGHT")
		second := <-ends
		require.NoError(t, second.err, "its first event came 25.4 s after it was asked")
		assert.Equal(t, 49400*time.Millisecond, second.after)
		assert.Len(t, b.seen.attempts, 2)
	})
}

func TestASlotThatComesAtTheEndIsNotUsed(t *testing.T) {
	inFakeTime(t, func(c *config.Config) { c.GLM.MaxInflight = 1 }, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = steady(100)
		ends := make(chan error)
		ctx := b.inClass(t.Context(), config.ClassSimple)
		for range 3 {
			go func() {
				_, err := b.caller.Call(ctx, ask("glm-5.3"))
				ends <- err
			}()
		}
		refused := 0
		for range 3 {
			if err := <-ends; err != nil { // the slot of the one that was served is free when all of their time is over
				refused++
				e := failure(t, err)
				assert.Contains(t, e.Message, "slot")
				assert.Equal(t, "GLM_TIMEOUT_SECS=30s", e.Limit.String())
			}
		}
		assert.Equal(t, 2, refused)
		assert.Len(t, b.seen.attempts, 1)
		assert.Len(t, b.seen.names(), 3, "each call's limit passed, and was reported once")
	})
}

func TestAProviderThatIgnoresItsContextIsAbandoned(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		let := make(chan struct{})
		var request context.Context
		b.glm.ChatFunc = func(ctx context.Context, _ providers.ChatRequest, _ func(providers.Delta)) (*providers.ChatResponse, error) {
			request = ctx
			providers.ReportRequestID(ctx, "early-id")
			<-let
			return &providers.ChatResponse{Content: "late", FinishReason: providers.FinishStop}, nil
		}
		start := time.Now()
		_, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
		e := failure(t, err)
		assert.Equal(t, providers.KindTimeout, e.Kind)
		assert.Equal(t, "early-id", e.RequestID)
		assert.Equal(t, 28600*time.Millisecond, time.Since(start), "well inside the call's reserve")
		assert.Equal(t, []string{"GLM_TIMEOUT_SECS=30s"}, b.seen.names())
		require.Error(t, request.Err())

		abandoned := b.caller.Running()[0]
		before := abandoned.Snapshot()
		time.Sleep(time.Second)
		close(let)
		<-abandoned.Done()
		assert.Equal(t, before, abandoned.Snapshot(), "what its call has returned stays")
		assert.Len(t, b.seen.names(), 1)
	})
}

// TestARequestsContextEndsWithItsAnswer: what a provider or a function started in it does not outlive the answer.
func TestARequestsContextEndsWithItsAnswer(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		var request context.Context
		b.glm.ChatFunc = func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			request = ctx
			return answers("yes")(ctx, req, on)
		}
		_, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
		require.NoError(t, err)
		assert.Error(t, request.Err())
	})
}

func TestCancellationStopsAtOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		chat chatFunc
		text string // what had arrived; "" for an error
	}{
		{"before the first event", silent(), ""},
		{"in the middle", steady(100), words(4)},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFakeTime(t, nil, func(t *testing.T, b *fixture) {
				stopped := time.Duration(0)
				start := time.Now()
				b.glm.ChatFunc = func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
					defer func() { stopped = time.Since(start) }()
					return c.chat(ctx, req, on)
				}
				ctx, cancel := context.WithCancel(b.inClass(t.Context(), config.ClassSimple))
				time.AfterFunc(4500*time.Millisecond, cancel)
				call := ask("glm-5.3")
				call.Background = true
				out, err := b.caller.Call(ctx, call)
				assert.Equal(t, 4500*time.Millisecond, time.Since(start))
				assert.Equal(t, 4500*time.Millisecond, stopped, "the vendor's request ends with the call")
				assert.Empty(t, b.seen.names(), "no limit passed")
				if c.text == "" {
					assert.Equal(t, providers.KindCancelled, failure(t, err).Kind)
					return
				}
				require.NoError(t, err)
				assert.True(t, out.Partial)
				assert.Equal(t, providers.FinishCancelled, out.Response.FinishReason)
				assert.Equal(t, c.text, out.Response.Content)
				assert.Nil(t, out.Live)
			})
		})
	}
}

func TestACallThatWasCancelledBeforeAsksNobody(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := b.caller.Call(ctx, ask("glm-5.3"))
		assert.Equal(t, providers.KindCancelled, failure(t, err).Kind)
		assert.Empty(t, b.seen.attempts)
	})
}

func TestTheCallersOwnDeadlineIsATimeout(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = silent()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := b.caller.Call(ctx, ask("glm-5.3"))
		e := failure(t, err)
		assert.Equal(t, providers.KindTimeout, e.Kind)
		assert.Nil(t, e.Limit)
	})
}

func TestACallWithoutTimeAsksNobody(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		ctx := b.inClass(t.Context(), config.ClassSimple)
		time.Sleep(29 * time.Second)
		out, err := b.caller.Call(ctx, ask("glm-5.3"))
		e := failure(t, err)
		assert.Equal(t, providers.KindTimeout, e.Kind)
		assert.Equal(t, "SIMPLE_TOOL_TIMEOUT_SECS=30s", e.Limit.String(), "the call's own: the vendor had no chance")
		assert.Zero(t, out.Attempts)
		assert.Empty(t, b.seen.attempts)
	})
}

// TestALimitPerMinuteReachesTheNextCall: who comes while the vendor admits nothing waits, or is told at once.
func TestALimitPerMinuteReachesTheNextCall(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		limited := func(after time.Duration) *providers.Error {
			return &providers.Error{Kind: providers.KindRateLimited, Retry: true, PerMinute: true, RetryAfter: after, HTTPStatus: 429, Message: "too many"}
		}
		b.glm.ChatFunc = fails(answers("yes"), limited(50*time.Second))
		_, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
		assert.Equal(t, providers.KindRateLimited, failure(t, err).Kind)
		start := time.Now()
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
		e := failure(t, err)
		assert.Equal(t, providers.KindRateLimited, e.Kind)
		assert.Equal(t, 50*time.Second, e.RetryAfter)
		assert.True(t, e.Retry, "the hint says to send it again")
		assert.Zero(t, time.Since(start), "it cannot fit")
		assert.Zero(t, out.Attempts)
		_, err = calls.Do(t.Context(), b.caller, "glm", "models", b.cfg.Timeouts.Vendor("glm"), func(context.Context) (int, error) { return 1, nil })
		assert.Equal(t, providers.KindRateLimited, failure(t, err).Kind)

		time.Sleep(30 * time.Second)
		start = time.Now()
		out, err = b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
		require.NoError(t, err)
		assert.Equal(t, "yes", out.Response.Content)
		assert.Equal(t, 20*time.Second, time.Since(start), "it waits in the queue")
	})
}

// TestLittleTime: a slot that comes when the request's time is almost over is not used, but a request that need not wait
// is sent however little time it has.
func TestLittleTime(t *testing.T) {
	inFakeTime(t, func(c *config.Config) { c.GLM.MaxInflight, c.Timeouts.GLM = 1, 10*time.Second }, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = stream(nil, say(9700*time.Millisecond, "yes"))
		ctx := b.inClass(t.Context(), config.ClassSimple)
		first := make(chan error)
		go func() {
			_, err := b.caller.Call(ctx, ask("glm-5.3"))
			first <- err
		}()
		time.Sleep(time.Millisecond)
		start := time.Now()
		out, err := b.caller.Call(ctx, ask("glm-5.3"))
		assert.Contains(t, failure(t, err).Message, "slot")
		assert.Equal(t, 9699*time.Millisecond, time.Since(start), "at once when the slot comes, 0.3 s before the end")
		assert.Zero(t, out.Attempts)
		require.NoError(t, <-first)

		ctx = b.inClass(t.Context(), config.ClassSimple)
		time.Sleep(28200 * time.Millisecond)
		out, err = b.caller.Call(ctx, ask("glm-5.3"))
		assert.Equal(t, providers.KindTimeout, failure(t, err).Kind)
		assert.Equal(t, 1, out.Attempts)
	})
}
