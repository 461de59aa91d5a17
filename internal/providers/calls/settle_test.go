package calls_test

import (
	"context"
	"encoding/json"
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

// million is a number of tokens at which a price per million is the cost.
const million = 1_000_000

// took is an answer that used so much.
func took(u providers.Usage, err error) chatFunc {
	return func(_ context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		on(providers.Delta{Content: "Yes."})
		return &providers.ChatResponse{Content: "Yes.", FinishReason: providers.FinishStop, UsageKnown: true, Usage: u}, err
	}
}

// looksUp calls a function, then answers; each of its requests uses a million tokens of input.
func looksUp(function, arguments string) chatFunc {
	return func(_ context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		resp := &providers.ChatResponse{FinishReason: providers.FinishStop, UsageKnown: true, Usage: providers.Usage{InputTokens: million}}
		if len(req.Messages) == 1 {
			resp.ToolCalls = []providers.ToolCall{{ID: "1", Name: function, Arguments: arguments}}
			on(providers.Delta{ToolCall: true})
			return resp, nil
		}
		resp.Content = "Found."
		on(providers.Delta{Content: resp.Content})
		return resp, nil
	}
}

// Whatever becomes of a request, its row says what it cost, the two limits count the same, and nothing stays reserved.
func TestSettlement(t *testing.T) {
	look := calls.Tool{
		Function: providers.Function{Name: "look", Description: "Look.", Parameters: json.RawMessage(`{"type":"object"}`)},
		Run:      func(context.Context, string, int) (string, error) { return "there", nil },
	}
	whole := providers.Usage{InputTokens: million, OutputTokens: million}
	cached := providers.Usage{InputTokens: million, CachedTokens: million / 2, OutputTokens: million}
	dead := &providers.Error{Kind: providers.KindNetwork, Message: "broken"}
	type row struct {
		outcome, limit string
		usd            float64
		billing        costs.Billing
	}
	for name, c := range map[string]struct {
		set    func(*config.Config)
		model  string // glm-5.1: 1.4 for input, 0.26 of it cached, 4.4 for output
		chat   chatFunc
		change func(*calls.Call)
		simple bool          // GLM_TIMEOUT_SECS ends it
		cancel time.Duration // after which the client cancels
		rows   []row
	}{
		"an answer":              {chat: took(whole, nil), rows: []row{{outcome: "ok", usd: 5.8}}},
		"a cached answer":        {chat: took(cached, nil), rows: []row{{outcome: "ok", usd: 0.7 + 0.13 + 4.4}}},
		"an unknown price":       {model: "glm-99", chat: took(whole, nil), rows: []row{{outcome: "ok", usd: 2.2 + 8.9}}}, // the highest of each kind
		"an unknown one, cached": {model: "glm-99", chat: took(cached, nil), rows: []row{{outcome: "ok", usd: 2.2 + 8.9}}},
		"a plan": {
			set: func(c *config.Config) { c.Kimi.APIURL = "https://api.kimi.com/coding/v1" }, model: "kimi-k3.1-pro",
			chat: took(whole, nil), rows: []row{{outcome: "ok", billing: costs.ByPlan}},
		},
		"perhaps a plan": {
			set:  func(c *config.Config) { c.GLM.APIURL = "https://api.z.ai/api/coding/paas/v4" },
			chat: took(whole, nil), rows: []row{{outcome: "ok", usd: 5.8, billing: costs.ByMaybePlan}},
		},
		"a vendor that says what it charges": {
			chat: func(_ context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
				on(providers.Delta{Content: "Yes."})
				u := whole
				u.CostUSD = 1.25
				return &providers.ChatResponse{Content: "Yes.", FinishReason: providers.FinishStop, UsageKnown: true, CostKnown: true, Usage: u}, nil
			}, rows: []row{{outcome: "ok", usd: 1.25}},
		},
		"a stream that dies": {chat: took(whole, dead), rows: []row{{outcome: "network", usd: 5.8}}},
		"a stream that dies without a word of its usage": {
			chat: stream(dead, say(0, "Yes.")), rows: []row{{outcome: "network", usd: 0.00002}}, // 8 tokens of input and 2 of output, by estimate
		},
		"a request that fails, and its retry": {chat: fails(took(whole, nil), overloaded()), rows: []row{{outcome: "overloaded"}, {outcome: "ok", usd: 5.8}}},
		"a request that nothing comes of":     {chat: silent(), simple: true, rows: []row{{outcome: "timeout", limit: "GLM_TIMEOUT_SECS"}}},
		"a partial answer": {
			chat: steady(40), simple: true, rows: []row{{outcome: "timeout", limit: "GLM_TIMEOUT_SECS", usd: 0.0001476}},
		},
		"a background answer": {
			chat: steady(40), simple: true, change: func(c *calls.Call) { c.Background = true },
			rows: []row{{outcome: "ok", limit: "GLM_TIMEOUT_SECS", usd: 0.0002048}},
		},
		"a cancelled answer": {chat: steady(40), cancel: 10 * time.Second, rows: []row{{outcome: "cancelled", usd: 0.0000596}}},
		"functions": {
			chat: looksUp("look", "{}"), change: func(c *calls.Call) { c.Tools = []calls.Tool{look} },
			rows: []row{{outcome: "ok", usd: 1.4}, {outcome: "ok", usd: 1.4}},
		},
		"a search": {
			chat: looksUp("web_search", `{"query":"go"}`), change: func(c *calls.Call) { c.Search = true },
			rows: []row{{outcome: "ok", usd: 1.4}, {outcome: "ok", usd: 0.002}, {outcome: "ok", usd: 1.4}},
		},
		"a second turn, whose functions don't run": {
			chat: took(whole, nil), change: func(c *calls.Call) { c.Tools, c.NoCalls = []calls.Tool{look}, true }, rows: []row{{outcome: "ok", usd: 5.8}},
		},
		"an answer that is asked for once more": {
			chat: (&inTurn{scripts: []chatFunc{
				func(_ context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
					on(providers.Delta{Reasoning: "hm"})
					return &providers.ChatResponse{FinishReason: providers.FinishLength, UsageKnown: true, Usage: whole}, nil
				}, took(whole, nil),
			}}).chat, rows: []row{{outcome: "ok", usd: 5.8}, {outcome: "ok", usd: 5.8}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, c.set, func(t *testing.T, b *fixture) {
				kept := b.metered(t, 1000)
				b.glm.ChatFunc, b.kimi.ChatFunc = c.chat, c.chat
				b.kimi.SearchFunc = func(context.Context, providers.SearchQuery) (*providers.SearchResult, error) {
					return &providers.SearchResult{CostUSD: 0.002}, nil
				}
				call, budget, class := ask("glm-5.1"), costs.NewCallBudget(1000), config.ClassExpert
				if c.model != "" {
					call.Model = c.model
				}
				if c.change != nil {
					c.change(&call)
				}
				if c.simple {
					class = config.ClassSimple
				}
				ctx, cancel := context.WithCancel(costs.WithCallBudget(b.inClass(t.Context(), class), budget))
				defer cancel()
				if c.cancel > 0 {
					time.AfterFunc(c.cancel, cancel)
				}
				out, _ := b.caller.Call(ctx, call) // what it comes to is in the rows
				if out != nil && out.Live != nil {
					day, err := kept.Today(t.Context())
					require.NoError(t, err)
					assert.Positive(t, day.ReservedUSD, "it is still being written")
					<-out.Live.Done()
				}
				synctest.Wait()
				rows := kept.after(t, len(c.rows))
				require.Len(t, rows, len(c.rows))
				sum := 0.0
				for i, want := range c.rows {
					got := rows[i]
					assert.Equal(t, want, row{got.Outcome, got.ExceededLimit, want.usd, got.Billing}, i)
					assert.InDelta(t, want.usd, got.CostUSD, 1e-6, i)
					sum += got.CostUSD
				}
				day, err := kept.Today(t.Context())
				require.NoError(t, err)
				assert.Zero(t, day.ReservedUSD)
				assert.Zero(t, day.Excess)
				assert.InDelta(t, sum, day.SpentUSD, 1e-9)
				assert.InDelta(t, sum, budget.UsedUSD(), 1e-9, "the call's limit counts the same")
				if c.model != "glm-99" && out != nil && out.Live == nil { // an unknown price is said, not counted; what went on is in its turn
					assert.InDelta(t, sum, out.Response.Usage.CostUSD, 1e-6, "and the reply says it")
				}
			})
		})
	}
}

// What endpoints cost: nothing on this machine, unless their list or their answer has a price; elsewhere the price of their list,
// of their answer, or the highest that is known of them, else of all.
func TestSettlementOfEndpoints(t *testing.T) {
	priced := func(list []providers.Model, at int) []providers.Model {
		list[at].Price = &providers.Price{Input: 1, Output: 2}
		return list
	}
	free := local("ollama", "", "a", "b")
	free[0].Price = nil
	s := newSite(t, map[string][]providers.Model{
		"ollama": priced(free, 1), "lab": priced(remote("lab", "known", "unknown"), 0), "far": remote("far", "unknown"),
	}, "ENDPOINTS=ollama,lab,far", "LAB_API_URL=https://lab.test/v1", "LAB_MODEL=known", "FAR_API_URL=https://far.test/v1", "FAR_MODEL=unknown")
	kept := &memoryCosts{Local: costs.NewLocal()}
	m := costs.NewMeter(costs.Options{Store: func(context.Context) (costs.Store, error) { return kept, nil }})
	s.caller.SetMeter(m)
	t.Cleanup(func() { require.NoError(t, m.Close(context.Background())) })
	whole := providers.Usage{InputTokens: million, OutputTokens: million}
	for _, c := range []struct {
		model   string
		charged float64 // by the answer itself
		want    float64
	}{
		{"ollama/a", 0, 0},
		{"ollama/b", 0, 3},
		{"ollama/a", 0.5, 0.5},
		{"lab/known", 0, 3},
		{"lab/known", 0.25, 0.25},
		{"lab/unknown", 0, 3},
		{"far/unknown", 0, 4 + 20}, // the highest of all
	} {
		u := whole
		u.CostUSD = c.charged
		for _, v := range s.vendors {
			v.ChatFunc = func(_ context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
				on(providers.Delta{Content: "Yes."})
				return &providers.ChatResponse{
					Content: "Yes.", Model: req.Model.ID, FinishReason: providers.FinishStop, UsageKnown: true, CostKnown: c.charged > 0, Usage: u,
				}, nil
			}
		}
		_, err := s.ask(t, c.model, providers.CategoryFast)
		require.NoError(t, err, c.model)
		require.NoError(t, m.Flush(t.Context()))
		kept.mu.Lock()
		row := kept.rows[len(kept.rows)-1]
		kept.mu.Unlock()
		assert.Equal(t, c.model, row.Model)
		assert.InDelta(t, c.want, row.CostUSD, 1e-9, c.model)
	}
}

// From 80 % of the call's limit on, the reply says so.
func TestNearCallLimit(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = took(providers.Usage{InputTokens: million / 2}, nil) // 0.7 USD
		ctx := withCallBudget(b.inClass(t.Context(), config.ClassExpert), 0.9)
		out, err := b.caller.Call(ctx, ask("glm-5.1"))
		require.NoError(t, err)
		assert.Empty(t, out.Notes)
		out, err = b.caller.Call(ctx, ask("glm-5.1"))
		require.NoError(t, err)
		assert.Contains(t, out.Notes, "80 % or more of MAX_COST_PER_CALL_USD=0.9 is used or reserved.")
	})
}
