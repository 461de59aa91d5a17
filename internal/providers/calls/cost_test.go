package calls_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/store"
	costs "github.com/exai-mcp/exai-mcp/internal/usage"
)

// memoryCosts is a costs.Store in memory that shows its rows.
type memoryCosts struct {
	*costs.Local
	mu   sync.Mutex
	rows []costs.Request
}

func (b *memoryCosts) keep(r costs.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows = append(b.rows, r)
}

func (b *memoryCosts) Record(ctx context.Context, r costs.Request) error {
	b.keep(r)
	return b.Local.Record(ctx, r)
}

func (b *memoryCosts) Settle(ctx context.Context, id string, r costs.Request) error {
	b.keep(r)
	return b.Local.Settle(ctx, id, r)
}

// metered gives a path a meter over costs in memory.
func (b *fixture) metered(t testing.TB, dayUSD float64) *memoryCosts {
	kept := &memoryCosts{Local: costs.NewLocal()}
	m := costs.NewMeter(costs.Options{Store: func(context.Context) (costs.Store, error) { return kept, nil }, DayLimitUSD: dayUSD})
	b.caller.SetMeter(m)
	t.Cleanup(func() { require.NoError(t, m.Close(context.Background())) })
	return kept
}

// after waits until everything is written. It is to be called inside the bubble, before the rows are read.
func (b *memoryCosts) after(t testing.TB, n int) []costs.Request {
	t.Helper()
	for range 1000 {
		b.mu.Lock()
		rows := append([]costs.Request{}, b.rows...)
		b.mu.Unlock()
		if len(rows) >= n {
			for i := range rows {
				rows[i].Duration = rows[i].Duration.Round(time.Second)
			}
			return rows
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("expected %d rows, got %+v", n, b.rows)
	return nil
}

// bills answers with a usage.
func bills(in, out int) chatFunc {
	return func(_ context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		on(providers.Delta{Content: "Yes."})
		return &providers.ChatResponse{
			Content: "Yes.", FinishReason: providers.FinishStop, UsageKnown: true,
			Usage: providers.Usage{InputTokens: in, OutputTokens: out},
		}, nil
	}
}

// Every request leaves a row: the one that failed, the retry, the search, the list of models.
func TestUsageRows(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		kept := b.metered(t, 0)
		b.glm.ChatFunc = fails(bills(1_000_000, 1000), overloaded())
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassExpert), ask("glm-5.1"))
		require.NoError(t, err)
		assert.InDelta(t, 1.4044, out.Response.Usage.CostUSD, 1e-9)
		b.glm.ListModelsFunc = func(context.Context) ([]providers.Model, error) { return nil, nil }
		_, err = b.caller.ListModels(t.Context(), "glm")
		require.NoError(t, err)
		rows := kept.after(t, 3)
		who := costs.Request{Tool: "tool", ConversationID: "conversation", Vendor: "glm", Model: "glm-5.1"}
		first, second := who, who
		first.Outcome = "overloaded"
		second.Outcome, second.InputTokens, second.OutputTokens, second.CostUSD = costs.OutcomeOK, 1_000_000, 1000, 1.4044
		assert.Equal(t, []costs.Request{first, second, {Vendor: "glm", Outcome: costs.OutcomeOK}}, rows)
	})
}

// What a limit ended behind the call costs what arrived, and names the limit.
func TestUsageOfPartialAndBackground(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		kept := b.metered(t, 100)
		b.glm.ChatFunc = steady(40)
		call := ask("glm-5.1")
		call.Background = true
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		require.NoError(t, err)
		require.NotNil(t, out.Live)
		day, err := kept.Today(t.Context())
		require.NoError(t, err)
		assert.Positive(t, day.ReservedUSD, "it is still being written")
		<-out.Live.Done()
		row := kept.after(t, 1)[0]
		assert.Equal(t, costs.OutcomeOK, row.Outcome)
		assert.Equal(t, "GLM_TIMEOUT_SECS", row.ExceededLimit)
		assert.Greater(t, row.OutputTokens, 35)
		assert.Positive(t, row.CostUSD)

		call.Background = false
		_, err = b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		require.NoError(t, err)
		row = kept.after(t, 2)[1]
		assert.Equal(t, "timeout", row.Outcome)
		assert.Equal(t, "GLM_TIMEOUT_SECS", row.ExceededLimit)
		assert.Positive(t, row.OutputTokens)
		day, err = kept.Today(t.Context())
		require.NoError(t, err)
		assert.Zero(t, day.ReservedUSD)
	})
}

// Prices that nobody knows count as the highest of the vendor; plans and local endpoints cost nothing.
func TestUsageOfUnknownPrices(t *testing.T) {
	for _, c := range []struct {
		name  string
		set   func(*config.Config)
		model string
		want  float64
		reply float64
	}{
		{"unlisted", nil, "glm-99", 1.4 + 4.4, 0},
		{"a plan", func(c *config.Config) { c.Kimi.APIURL = "https://api.kimi.com/coding/v1" }, "kimi-k3.1-pro", 0, 0},
		{"perhaps a plan", func(c *config.Config) { c.GLM.APIURL = "https://api.z.ai/api/coding/paas/v4" }, "glm-5.1", 1.4 + 4.4, 1.4 + 4.4},
	} {
		inFakeTime(t, c.set, func(t *testing.T, b *fixture) {
			kept := b.metered(t, 0)
			b.glm.ChatFunc, b.kimi.ChatFunc = bills(1_000_000, 1_000_000), bills(1_000_000, 1_000_000)
			out, err := b.caller.Call(b.inClass(t.Context(), config.ClassExpert), ask(c.model))
			require.NoError(t, err, c.name)
			assert.InDelta(t, c.reply, out.Response.Usage.CostUSD, 1e-9, c.name)
			assert.GreaterOrEqual(t, kept.after(t, 1)[0].CostUSD, c.want, c.name)
			if c.want == 0 {
				assert.Zero(t, kept.after(t, 1)[0].CostUSD, c.name)
			}
		})
	}
}

func withCallBudget(ctx context.Context, usd float64) context.Context {
	return costs.WithCallBudget(ctx, costs.NewCallBudget(usd))
}

func TestBudgetErrors(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.metered(t, 0.02)
		b.glm.ChatFunc, b.kimi.ChatFunc = bills(10, 10), bills(10, 10)
		ctx := b.inClass(t.Context(), config.ClassExpert)
		_, err := b.caller.Call(withCallBudget(ctx, 0.001), ask("glm-5.3"))
		e := failure(t, err)
		assert.Equal(t, providers.KindBudget, e.Kind)
		assert.False(t, e.Retry)
		assert.Regexp(t, `^MAX_COST_PER_CALL_USD=0.001 does not allow this request: it may cost 0\.03\d+ USD, and 0\.0010 USD of the call's limit are left\.$`, e.Message)
		assert.Regexp(t, `^Name a cheaper model such as glm-4\.7-flash, or ask for less, or raise MAX_COST_PER_CALL_USD in the server's environment\.$`, e.Hint)

		_, err = b.caller.Call(ctx, ask("glm-5.3"))
		e = failure(t, err)
		assert.Regexp(t, `^MAX_COST_PER_DAY_USD=0.02 does not allow this request: .*, which all servers on this store share, are left\.$`, e.Message)
		assert.Regexp(t, `^The limit resets at 2000-01-02 \d\d:\d\d \S+\. Name a cheaper model such as glm-\S+,`, e.Hint)
		assert.Empty(t, b.seen.attempts, "nothing was sent")

		out, err := b.caller.Call(ctx, ask("glm-5.3-flash"))
		require.NoError(t, err)
		assert.Empty(t, out.Notes)

		// A chosen model does not fall back on account of money, and it is no fault of the vendor.
		auto := ask("")
		auto.Category = providers.CategoryReasoning
		_, err = b.caller.Call(ctx, auto)
		assert.Equal(t, "glm-5.3", failure(t, err).Model)
	})
}

// A call that has started is not failed by its own limit: it makes no more retries, and no second answer.
func TestCallBudgetWithdrawsRetries(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		seen := &inTurn{scripts: []chatFunc{func(_ context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			on(providers.Delta{Reasoning: "hm"})
			return &providers.ChatResponse{FinishReason: providers.FinishLength, UsageKnown: true, Usage: providers.Usage{OutputTokens: 8000}}, nil
		}}}
		b.glm.ChatFunc = seen.chat
		out, err := b.caller.Call(withCallBudget(b.inClass(t.Context(), config.ClassExpert), 0.04), ask("glm-5.3"))
		assert.Equal(t, providers.KindProviderError, failure(t, err).Kind, "what the vendor came to, not the budget")
		assert.Len(t, seen.requests, 1)
		assert.Contains(t, fmt.Sprint(out.Notes), "It was not asked again for text: MAX_COST_PER_CALL_USD=0.04")
	})
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		kept := b.metered(t, 0)
		b.glm.ChatFunc = func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
			return &providers.ChatResponse{UsageKnown: true, Usage: providers.Usage{OutputTokens: 8000}}, overloaded()
		}
		out, err := b.caller.Call(withCallBudget(b.inClass(t.Context(), config.ClassExpert), 0.06), ask("glm-5.3"))
		assert.Equal(t, providers.KindOverloaded, failure(t, err).Kind)
		assert.Len(t, kept.after(t, 1), 1)
		require.Len(t, out.Notes, 1)
		assert.Contains(t, out.Notes[0], "It was not sent again: MAX_COST_PER_CALL_USD=0.06 does not allow this request")
	})
}

// Functions are withdrawn while the last request, which must conclude, can still be paid.
func TestCallBudgetWithdrawsFunctions(t *testing.T) {
	look := calls.Tool{
		Function: providers.Function{Name: "look", Description: "Look.", Parameters: json.RawMessage(`{"type":"object"}`)},
		Run:      func(context.Context, string, int) (string, error) { return "nothing there", nil },
	}
	for usd, rounds := range map[float64]int{0.04: 1, 0.1: 2, 10: 6} {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			budget := costs.NewCallBudget(usd)
			seen := &inTurn{scripts: []chatFunc{func(_ context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
				resp := &providers.ChatResponse{FinishReason: providers.FinishStop, UsageKnown: true, Usage: providers.Usage{InputTokens: 100, OutputTokens: 8192}}
				if len(req.Functions) > 0 {
					resp.ToolCalls = []providers.ToolCall{{ID: "1", Name: "look", Arguments: "{}"}}
					on(providers.Delta{ToolCall: true})
					return resp, nil
				}
				resp.Content = "Done."
				on(providers.Delta{Content: "Done."})
				return resp, nil
			}}}
			b.glm.ChatFunc = seen.chat
			call := ask("glm-5.3")
			call.Tools = []calls.Tool{look}
			out, err := b.caller.Call(costs.WithCallBudget(b.inClass(t.Context(), config.ClassExpert), budget), call)
			require.NoError(t, err, usd)
			assert.Equal(t, "Done.", out.Response.Content)
			assert.Len(t, seen.requests, rounds, usd)
			assert.LessOrEqual(t, budget.UsedUSD(), usd)
			said := strings.Contains(fmt.Sprint(out.Notes), "could call no more functions: too little of MAX_COST_PER_CALL_USD")
			assert.Equal(t, rounds < 6, said, usd)
		})
	}
}

// What a preview says to be the most is enough for a model that uses every round and writes as much as it may, and not for
// much more.
func TestPreviewOfTheMost(t *testing.T) {
	for name, noCalls := range map[string]bool{"functions": false, "none may run": true} {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			spent := 0.0
			b.glm.ChatFunc = func(_ context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
				resp := &providers.ChatResponse{
					FinishReason: providers.FinishStop, UsageKnown: true, Content: strings.Repeat("word ", 4*req.MaxOutputTokens/5),
					Usage: providers.Usage{InputTokens: providers.EstimateRequest(req), OutputTokens: req.MaxOutputTokens},
				}
				if len(req.Functions) > 0 { // also when it was told to conclude
					resp.ToolCalls = []providers.ToolCall{{ID: fmt.Sprint(len(req.Messages)), Name: "look", Arguments: fmt.Sprintf(`{"n":%d}`, len(req.Messages))}}
				}
				on(providers.Delta{Content: resp.Content})
				spent += req.Model.Price.Cost(resp.Usage)
				return resp, nil
			}
			call := ask("glm-5.3")
			call.NoCalls, call.Bounds = noCalls, calls.Bounds{Rounds: 3, Calls: 1, Bytes: 90_000}
			call.Tools = []calls.Tool{{
				Function: providers.Function{Name: "look", Description: "Look.", Parameters: json.RawMessage(`{"type":"object"}`)},
				Run: func(_ context.Context, _ string, room int) (string, error) {
					return strings.Repeat("abc ", min(room, 30_000)/4), nil
				},
			}}
			ctx, plan := providers.WithPreview(b.inClass(t.Context(), config.ClassExpert))
			_, err := b.caller.Call(ctx, call)
			require.ErrorIs(t, err, providers.ErrPreview)
			assert.Empty(t, b.seen.attempts)
			requests, _, _ := plan.Planned()
			require.Len(t, requests, 1)
			_, err = b.caller.Call(b.inClass(t.Context(), config.ClassExpert), call)
			require.NoError(t, err)
			assert.LessOrEqual(t, spent, requests[0].MaximumUSD, name)
			assert.Less(t, requests[0].MaximumUSD, 1.5*spent, name)
			assert.Less(t, requests[0].ExpectedUSD, spent, name)
		})
	}
}

// Two processes on one store with a limit for the day: whatever they ask, whatever it costs and however it ends, what both
// spend exceeds the limit by no more than what a single request costs beyond its reservation.
func TestDayLimitOfTwoProcesses(t *testing.T) {
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 7))
		settings := config.Conversations{Backend: "sqlite", StateDir: t.TempDir()}
		const limit = 0.4
		var mu sync.Mutex
		var spent, beyond float64
		pick := func(n int) int {
			mu.Lock()
			defer mu.Unlock()
			return random.IntN(n)
		}
		vendor := func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			reserved := costs.Plan{InputTokens: providers.EstimateRequest(req), OutputCap: req.MaxOutputTokens, Price: costs.Price{Input: req.Model.Price.Input, Output: req.Model.Price.Output}}
			u := providers.Usage{InputTokens: reserved.InputTokens, OutputTokens: req.MaxOutputTokens - pick(min(req.MaxOutputTokens, 3000))}
			u.CachedTokens = pick(u.InputTokens)
			resp := &providers.ChatResponse{FinishReason: providers.FinishStop, UsageKnown: true, Usage: u, Content: "Yes."}
			if pick(6) == 0 {
				return nil, overloaded()
			}
			on(providers.Delta{Content: "Yes."})
			time.Sleep(time.Duration(pick(3)) * time.Millisecond)
			mu.Lock()
			cost := req.Model.Price.Cost(u)
			spent += cost
			beyond = max(beyond, cost-reserved.ReserveUSD())
			mu.Unlock()
			if pick(6) == 0 { // the stream dies: the usage is known, the answer is partial
				return resp, &providers.Error{Kind: providers.KindNetwork, Message: "broken"}
			}
			return resp, nil
		}
		var refused, answered int
		var all sync.WaitGroup
		for range 2 {
			s, err := store.Open(t.Context(), settings)
			require.NoError(t, err)
			b := setUp(t, func(c *config.Config) { c.Calls.MaxRetries = 1 })
			b.caller.SetJitter(func(time.Duration) time.Duration { return time.Millisecond })
			m := costs.NewMeter(costs.Options{
				Store: func(context.Context) (costs.Store, error) { return s.Usage(), nil }, DayLimitUSD: limit,
				Failed: func(err error) { t.Error(err) },
			})
			b.caller.SetMeter(m)
			b.glm.ChatFunc = vendor
			var process sync.WaitGroup
			for range 4 {
				process.Go(func() {
					for range 12 {
						call := ask("glm-4.6")
						call.Thinking = providers.ThinkMinimal
						_, err := b.caller.Call(b.inClass(context.Background(), config.ClassExpert), call)
						var e *providers.Error
						mu.Lock()
						if errors.As(err, &e) && e.Kind == providers.KindBudget {
							refused++
						} else {
							answered++
						}
						mu.Unlock()
					}
				})
			}
			all.Go(func() {
				process.Wait()
				assert.NoError(t, b.caller.Close(context.Background()))
				assert.NoError(t, m.Close(context.Background()))
				assert.NoError(t, s.Close())
			})
		}
		all.Wait()
		s, err := store.Open(t.Context(), settings)
		require.NoError(t, err)
		day, err := s.Usage().Today(t.Context())
		require.NoError(t, err)
		require.NoError(t, s.Close())
		assert.Zero(t, day.ReservedUSD)
		assert.InDelta(t, spent, day.SpentUSD, 1e-6, "what the vendor charged is what is stored")
		assert.LessOrEqual(t, day.SpentUSD, limit+max(beyond, 0)+1e-9, "seed %d", seed)
		assert.Positive(t, refused, "seed %d", seed)
		assert.Positive(t, answered, "seed %d", seed)
	}
}
