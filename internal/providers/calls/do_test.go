package calls_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
)

func TestDo(t *testing.T) {
	search := config.Limit{Name: "GLM_WEBSEARCH_TIMEOUT_SECS", Value: 30 * time.Second}
	hangs := func(ctx context.Context) (string, error) {
		<-ctx.Done()
		return "half", &providers.Error{Kind: providers.KindNetwork, Retry: true, Err: context.Cause(ctx), RequestID: "r1"}
	}
	failing := func(errs ...error) func(context.Context) (string, error) {
		sent := 0
		return func(context.Context) (string, error) {
			if sent++; sent <= len(errs) {
				return "half", errs[sent-1]
			}
			return "found", nil
		}
	}
	for _, c := range []struct {
		name     string
		class    config.Class
		limit    config.Limit
		send     func(context.Context) (string, error)
		took     time.Duration
		attempts int
		kind     providers.Kind // "" for success
		passed   string
	}{
		{"at once", none, search, failing(), 0, 1, "", ""},
		{"never, outside a call", none, search, hangs, 30 * time.Second, 1, providers.KindTimeout, "GLM_WEBSEARCH_TIMEOUT_SECS=30s"},
		{"never, in a simple tool", config.ClassSimple, search, hangs, 28500 * time.Millisecond, 1, providers.KindTimeout, "GLM_WEBSEARCH_TIMEOUT_SECS=30s"},
		{"never, in an expert call", config.ClassExpert, search, hangs, 30 * time.Second, 1, providers.KindTimeout, "GLM_WEBSEARCH_TIMEOUT_SECS=30s"},
		{
			"never, with a longer limit than the call's", config.ClassFile,
			config.Limit{Name: "KIMI_FILES_UPLOAD_TIMEOUT_SECS", Value: 90 * time.Second},
			hangs, 53 * time.Second, 1, providers.KindTimeout, "FILE_TOOL_TIMEOUT_SECS=55s",
		},
		{
			"an answer that comes with the limit", none, search, func(ctx context.Context) (string, error) {
				<-ctx.Done()
				return "", &providers.Error{Kind: providers.KindBalance, HTTPStatus: 429}
			}, 30 * time.Second, 1, providers.KindBalance, "",
		},
		{
			"a refusal that comes with the limit", none, search, func(ctx context.Context) (string, error) {
				<-ctx.Done()
				return "", &providers.Error{Kind: providers.KindInvalidRequest, HTTPStatus: 400}
			}, 30 * time.Second, 1, providers.KindInvalidRequest, "",
		},
		{"three failures", none, search, failing(overloaded(), overloaded(), overloaded()), 7 * time.Second, 4, "", ""},
		{
			"failures without end", none,
			config.Limit{Name: "LONG_SECS", Value: 90 * time.Second},
			failing(overloaded(), overloaded(), overloaded(), overloaded(), overloaded(), overloaded()),
			15 * time.Second, 5, providers.KindOverloaded, "",
		},
		{"a refusal", none, search, failing(&providers.Error{Kind: providers.KindAuth}), 0, 1, providers.KindAuth, ""},
		{"an error that is none of ours", none, search, failing(errors.New("odd")), 0, 1, providers.KindProviderError, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFakeTime(t, nil, func(t *testing.T, b *fixture) {
				ctx := t.Context()
				if c.class != none {
					ctx = b.inClass(ctx, c.class)
				}
				start := time.Now()
				got, err := calls.Do(ctx, b.caller, "glm", "search", c.limit, c.send)
				assert.Equal(t, c.took, time.Since(start))
				assert.Len(t, b.seen.attempts, c.attempts)
				assert.Equal(t, "search", b.seen.attempts[0].Op)
				if c.kind == "" {
					require.NoError(t, err)
					assert.Equal(t, "found", got)
					assert.Empty(t, b.seen.names())
					return
				}
				assert.Empty(t, got)
				e := failure(t, err)
				assert.Equal(t, c.kind, e.Kind)
				assert.Equal(t, "glm", e.Provider)
				if c.passed != "" {
					assert.Equal(t, c.passed, e.Limit.String())
					assert.Equal(t, []string{c.passed}, b.seen.names())
					assert.Equal(t, "r1", b.seen.limits[0].RequestID)
					assert.Equal(t, "r1", b.seen.attempts[0].RequestID)
				}
			})
		})
	}
}

func TestDoIsCancelledAtOnce(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		_, err := calls.Do(ctx, b.caller, "glm", "search", b.cfg.Timeouts.Search("glm"), func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, context.Cause(ctx)
		})
		assert.Equal(t, providers.KindCancelled, failure(t, err).Kind)
		assert.Equal(t, time.Second, time.Since(start))
		assert.Empty(t, b.seen.names())
	})
}

func TestDoQueuesWithTheChats(t *testing.T) {
	inFakeTime(t, func(c *config.Config) { c.GLM.MaxInflight = 1 }, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = stream(nil, say(5*time.Second, "yes"))
		var chat sync.WaitGroup
		chat.Go(func() { _, _ = b.caller.Call(t.Context(), ask("glm-5.3")) })
		time.Sleep(time.Second)
		start := time.Now()
		_, err := calls.Do(t.Context(), b.caller, "glm", "search", b.cfg.Timeouts.Search("glm"), func(context.Context) (int, error) { return 1, nil })
		require.NoError(t, err)
		assert.Equal(t, 4*time.Second, time.Since(start))
		chat.Wait()
	})
}

func TestAConcurrencyRefusalSlowsTheVendorDown(t *testing.T) {
	inFakeTime(t, func(c *config.Config) { c.GLM.MaxInflight = 2 }, func(t *testing.T, b *fixture) {
		refused := &providers.Error{Kind: providers.KindRateLimited, Retry: true, Concurrency: true, HTTPStatus: 429}
		b.glm.ChatFunc = fails(stream(nil, say(2*time.Second, "yes")), refused)
		_, err := b.caller.Call(t.Context(), ask("glm-5.3"))
		require.NoError(t, err)
		start := time.Now()
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				_, err := b.caller.Call(t.Context(), ask("glm-5.3"))
				assert.NoError(t, err)
			})
		}
		all.Wait()
		assert.Equal(t, 8*time.Second, time.Since(start), "one at a time")
		time.Sleep(time.Minute)
		start = time.Now()
		for range 4 {
			all.Go(func() {
				_, err := b.caller.Call(t.Context(), ask("glm-5.3"))
				assert.NoError(t, err)
			})
		}
		all.Wait()
		assert.Equal(t, 4*time.Second, time.Since(start), "two at a time again")
	})
}

func TestBudgetReserve(t *testing.T) {
	for limit, reserve := range map[time.Duration]time.Duration{
		time.Second:      250 * time.Millisecond, // a quarter
		2 * time.Second:  300 * time.Millisecond,
		20 * time.Second: time.Second,
		55 * time.Second: 2 * time.Second,
		time.Hour:        2 * time.Second,
	} {
		b := providers.Budget{Limit: config.Limit{Value: limit}, Start: time.Unix(0, 0)}
		assert.Equal(t, reserve, b.Reserve(), limit.String())
		assert.Equal(t, time.Unix(0, 0).Add(limit-reserve), b.AnswerBy())
		assert.Equal(t, time.Unix(0, 0).Add(limit), b.Deadline())
	}
}

func TestAVendorsRequestIDIsKnownBeforeTheAnswerEnds(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			providers.ReportRequestID(ctx, "early-id")
			return steady(100)(ctx, req, on)
		}
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), backgroundCall("glm-5.3", "conversation"))
		require.NoError(t, err)
		passed := b.seen.limits[0]
		assert.Equal(t, "early-id", passed.RequestID)
		assert.Equal(t, "tool conversation", passed.Tool+" "+passed.ContinuationID, "what the call is known by")
		out.Live.Stop()
		<-out.Live.Done()
		assert.Equal(t, "early-id", b.seen.attempts[0].RequestID)
		assert.Equal(t, "early-id", out.Live.Snapshot().Response.RequestID)

		b.glm.ChatFunc = fails(nil, &providers.Error{Kind: providers.KindAuth, RequestID: "of-the-refusal"})
		out, err = b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
		assert.Equal(t, "of-the-refusal", failure(t, err).RequestID)
		assert.Equal(t, "of-the-refusal", out.Response.RequestID)
	})
}
