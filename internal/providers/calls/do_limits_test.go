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
	costs "github.com/exai-mcp/exai-mcp/internal/usage"
)

// testLimit is a limit by a name of its own.
func testLimit(d time.Duration) config.Limit { return config.Limit{Name: "TEST_SECS", Value: d} }

// hang is a plain request that ends with its context.
func hang(ctx context.Context) (string, error) {
	<-ctx.Done()
	return "half", &providers.Error{Kind: providers.KindNetwork, Err: context.Cause(ctx)}
}

// A plain request that waits for a slot ends with its limit or its caller.
func TestDoInTheQueue(t *testing.T) {
	inFakeTime(t, func(c *config.Config) { c.GLM.MaxInflight = 1 }, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = steady(40)
		var chat sync.WaitGroup
		chat.Go(func() { _, _ = b.caller.Call(b.inClass(t.Context(), config.ClassExpert), ask("glm-5.3")) })
		time.Sleep(time.Second)
		start := time.Now()
		_, err := calls.Do(t.Context(), b.caller, "glm", "search", testLimit(5*time.Second), hang)
		e := failure(t, err)
		assert.Equal(t, 5*time.Second, time.Since(start))
		assert.Equal(t, "Timed out after TEST_SECS=5s waiting for a free GLM (Z.ai) request slot.", e.Message)
		assert.Equal(t, []string{"TEST_SECS=5s"}, b.seen.names())

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(2*time.Second, cancel)
		_, err = calls.Do(ctx, b.caller, "glm", "search", testLimit(5*time.Second), hang)
		assert.Equal(t, 7*time.Second, time.Since(start))
		assert.Equal(t, providers.KindCancelled, failure(t, err).Kind)
		assert.Empty(t, b.seen.ops(), "neither was sent")
		chat.Wait()
	})
}

func TestDoInTheCallersTime(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := calls.Do(ctx, b.caller, "glm", "search", testLimit(5*time.Second), hang)
		e := failure(t, err)
		assert.Equal(t, providers.KindTimeout, e.Kind)
		assert.Equal(t, "The search request to GLM (Z.ai) was not answered in the caller's time.", e.Message)
		assert.Nil(t, e.Limit)
		assert.Empty(t, b.seen.names(), "no limit of ours")
	})
}

// Each request gives back its slot and ends its context, and its id is known when it ends well too.
func TestDoLeavesNothingBehind(t *testing.T) {
	inFakeTime(t, func(c *config.Config) { c.GLM.MaxInflight = 1 }, func(t *testing.T, b *fixture) {
		for range 2 {
			var of context.Context
			got, err := calls.Do(t.Context(), b.caller, "glm", "search", testLimit(time.Second), func(ctx context.Context) (string, error) {
				of = ctx
				providers.ReportRequestID(ctx, "early")
				return "found", nil
			})
			require.NoError(t, err)
			assert.Equal(t, "found", got)
			require.ErrorIs(t, of.Err(), context.Canceled)
		}
		require.Len(t, b.seen.attempts, 2)
		assert.Equal(t, "early", b.seen.attempts[1].RequestID)
	})
}

func TestDoOfAPreview(t *testing.T) {
	b := setUp(t, nil)
	ctx, plan := providers.WithPreview(t.Context())
	for _, op := range []string{"search", "upload"} {
		_, err := calls.Do(ctx, b.caller, "glm", op, testLimit(time.Second), func(context.Context) (int, error) {
			t.Error("nothing is to be sent")
			return 1, nil
		})
		assert.Equal(t, providers.ErrPreview, err)
	}
	requests, _, _ := plan.Planned()
	assert.Equal(t, []providers.PlannedRequest{
		{Op: "search", Provider: "glm", ExpectedUSD: 0.01, MaximumUSD: 0.01}, {Op: "upload", Provider: "glm"},
	}, requests)
}

// A search reserves its price, other plain requests nothing.
func TestWhatDoReserves(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		kept := b.metered(t, 0.015)
		for op, want := range map[string]float64{"search": 0.01, "upload": 0} {
			synctest.Wait() // until what the one before has cost is stored
			_, err := calls.Do(t.Context(), b.caller, "glm", op, testLimit(time.Second), func(ctx context.Context) (int, error) {
				day, err := kept.Today(ctx)
				assert.InDelta(t, want, day.ReservedUSD, 1e-9, op)
				return 1, err
			})
			require.NoError(t, err, op)
		}
		budget := costs.NewCallBudget(0.005)
		_, err := calls.Do(costs.WithCallBudget(t.Context(), budget), b.caller, "glm", "search", testLimit(time.Second), hang)
		assert.Equal(t, providers.KindBudget, failure(t, err).Kind)
		assert.Len(t, b.seen.attempts, 2, "it was not sent")
	})
}

// silentStore gives a path a meter whose store does not answer.
func (b *fixture) silentStore(t *testing.T) {
	m := costs.NewMeter(costs.Options{DayLimitUSD: 100, Store: func(ctx context.Context) (costs.Store, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}})
	b.caller.SetMeter(m)
	t.Cleanup(func() { require.NoError(t, m.Close(context.Background())) })
}

// A limit that is over while the store is asked for the day's budget ends the request as any other time would, and nothing of it
// stays reserved.
func TestALimitWhileTheStoreIsAsked(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.silentStore(t)
		b.glm.ChatFunc = answers("never")
		budget := costs.NewCallBudget(10)
		ctx := costs.WithCallBudget(b.inClass(t.Context(), config.ClassSimple), budget)
		time.Sleep(28 * time.Second)
		_, err := b.caller.Call(ctx, ask("glm-5.3"))
		e := failure(t, err)
		assert.Equal(t, providers.KindTimeout, e.Kind)
		require.NotNil(t, e.Limit)
		assert.Zero(t, budget.UsedUSD())

		ctx = costs.WithCallBudget(t.Context(), budget)
		_, err = calls.Do(ctx, b.caller, "glm", "search", testLimit(500*time.Millisecond), hang)
		e = failure(t, err)
		assert.Equal(t, providers.KindTimeout, e.Kind)
		assert.Equal(t, "TEST_SECS=0.5s", e.Limit.String())
		assert.Zero(t, budget.UsedUSD())
		assert.Empty(t, b.seen.attempts, "neither was sent")
	})
}

func TestAStoreThatDoesNotAnswer(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.silentStore(t)
		b.glm.ChatFunc = func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
			return nil, overloaded()
		}
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
		require.Error(t, err)
		assert.Equal(t, []string{"The store does not answer, so MAX_COST_PER_DAY_USD counts this process alone."}, out.Notes, "once, not at every attempt")
	})
}

// A request that a bug of ours interrupts counts as what was reserved for it, and its slot is free again.
func TestAPanicIsCharged(t *testing.T) {
	inFakeTime(t, func(c *config.Config) { c.GLM.MaxInflight = 1 }, func(t *testing.T, b *fixture) {
		kept := b.metered(t, 100)
		b.glm.ChatFunc = func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
			panic("boom")
		}
		budget := costs.NewCallBudget(10)
		ctx := costs.WithCallBudget(b.inClass(t.Context(), config.ClassSimple), budget)
		assert.Panics(t, func() { _, _ = b.caller.Call(ctx, ask("glm-5.3")) })
		synctest.Wait()
		chat := budget.UsedUSD()
		assert.Positive(t, chat)
		assert.Panics(t, func() {
			_, _ = calls.Do(ctx, b.caller, "glm", "search", testLimit(time.Second), func(context.Context) (int, error) { panic("boom") })
		})
		assert.InDelta(t, chat+0.01, budget.UsedUSD(), 1e-9)
		_, err := calls.Do(ctx, b.caller, "glm", "upload", testLimit(time.Second), func(context.Context) (int, error) { return 1, nil })
		require.NoError(t, err)
		rows := kept.after(t, 3)
		for i, want := range []float64{chat, 0.01} {
			assert.Equal(t, costs.OutcomeLost, rows[i].Outcome)
			assert.InDelta(t, want, rows[i].CostUSD, 1e-9)
		}
		day, err := kept.Today(t.Context())
		require.NoError(t, err)
		assert.Zero(t, day.ReservedUSD)
	})
}

// The list of an endpoint's models takes no slot, and a local server that is not there is asked once.
func TestListsOfModelsTakeNoSlot(t *testing.T) {
	for vendor, c := range map[string]struct {
		model  string
		waited time.Duration
		asked  int
	}{
		"glm":    {"glm-5.3", 9 * time.Second, 2},
		"lab":    {"lab/m", 0, 2},
		"ollama": {"ollama/m", 0, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, nil, "GLM_API_KEY=k", "GLM_MAX_INFLIGHT=1", "ENDPOINTS=ollama,lab", "LAB_API_URL=https://lab.test/v1", "LAB_MAX_INFLIGHT=1")
			s.caller.SetJitter(func(time.Duration) time.Duration { return time.Second })
			s.vendors[vendor].ChatFunc = stream(nil, say(10*time.Second, "yes"))
			var busy sync.WaitGroup
			busy.Go(func() { _, _ = s.ask(t, c.model, providers.CategoryFast) })
			time.Sleep(time.Second)
			synctest.Wait() // nothing reads the vendor
			start := time.Now()
			s.vendors[vendor].ListModelsFunc = func(context.Context) ([]providers.Model, error) { return remote(vendor, "m"), nil }
			list, err := s.caller.ListModels(t.Context(), vendor)
			require.NoError(t, err)
			assert.Equal(t, remote(vendor, "m"), list)
			assert.Equal(t, c.waited, time.Since(start), vendor)
			busy.Wait()

			asked := 0
			s.vendors[vendor].ListModelsFunc = func(context.Context) ([]providers.Model, error) {
				if asked++; asked == 1 {
					return nil, overloaded()
				}
				return nil, nil
			}
			_, err = s.caller.ListModels(t.Context(), vendor)
			assert.Equal(t, c.asked, asked, vendor)
			assert.Equal(t, c.asked == 1, err != nil, vendor)

			busy.Go(func() { _, _ = s.ask(t, c.model, providers.CategoryFast) })
			time.Sleep(time.Second)
			start = time.Now()
			_, err = calls.Do(t.Context(), s.caller, vendor, "upload", testLimit(20*time.Second), func(context.Context) (int, error) { return 1, nil })
			require.NoError(t, err)
			assert.Equal(t, 9*time.Second, time.Since(start), "%s: other requests take a slot", vendor)
			busy.Wait()
			require.NoError(t, s.caller.Close(context.Background()))
		})
	}
}
