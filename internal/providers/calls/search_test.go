package calls_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
)

func TestSearch(t *testing.T) {
	found := &providers.SearchResult{Hits: []providers.SearchHit{{Title: "Go 1.26", Link: "https://go.dev", Content: "It is out.", Published: "2026-02-10"}}, CostUSD: 0.01}
	searches := func(t *testing.T, limit time.Duration, err error) func(context.Context, providers.SearchQuery) (*providers.SearchResult, error) {
		return func(ctx context.Context, q providers.SearchQuery) (*providers.SearchResult, error) {
			assert.Equal(t, providers.SearchQuery{Query: "go release", Recency: "oneMonth"}, q)
			if !pause(ctx, limit) {
				return nil, &providers.Error{Kind: providers.KindTimeout, Err: context.Cause(ctx)}
			}
			return found, err
		}
	}
	query := providers.ToolCall{ID: "s", Name: "web_search", Arguments: `{"query":"go release","recency":"oneMonth"}`}
	asks := func(_ context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		on(providers.Delta{ToolCall: true})
		return &providers.ChatResponse{FinishReason: providers.FinishToolCalls, ToolCalls: []providers.ToolCall{query}}, nil
	}

	t.Run("with the vendor's own tool where that is asked for", func(t *testing.T) {
		own := true
		inFakeTime(t, func(c *config.Config) { c.Search.GLMBrowsing = &own }, func(t *testing.T, b *fixture) {
			turns := &inTurn{scripts: []chatFunc{func(_ context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
				on(providers.Delta{Content: "yes"})
				return &providers.ChatResponse{Content: "yes", FinishReason: providers.FinishStop, Searches: found.Hits, Usage: providers.Usage{CostUSD: 0.01}}, nil
			}}}
			b.glm.ChatFunc = turns.chat
			call := ask("glm-5.3")
			call.Search = true
			out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
			require.NoError(t, err)
			assert.True(t, turns.requests[0].NativeSearch)
			assert.Empty(t, turns.requests[0].Functions)
			assert.Empty(t, out.Notes)
			assert.Equal(t, providers.SearchTotal{Count: 1, CostUSD: 0.01}, out.Searches)
			assert.Equal(t, found.Hits, out.Response.Searches)
		})
	})
	t.Run("not when it is not wanted", func(t *testing.T) {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			turns := &inTurn{scripts: []chatFunc{answers("yes")}}
			b.glm.ChatFunc, b.kimi.ChatFunc = turns.chat, turns.chat
			for _, model := range []string{"glm-5.3", "kimi-k3"} {
				_, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask(model))
				require.NoError(t, err)
			}
			for _, r := range turns.requests {
				assert.False(t, r.NativeSearch)
				assert.Empty(t, r.Functions)
			}
		})
	})
	t.Run("with a function", func(t *testing.T) {
		for _, model := range []string{"kimi-k3", "glm-5.3", "glm-4.6v"} {
			inFakeTime(t, nil, func(t *testing.T, b *fixture) {
				turns := &inTurn{scripts: []chatFunc{asks, answers("yes")}}
				b.glm.ChatFunc, b.kimi.ChatFunc = turns.chat, turns.chat
				b.glm.SearchFunc = searches(t, time.Second, nil)
				call := ask(model)
				call.Search = true
				var phases []providers.Phase
				call.On = func(e providers.Event) { phases = append(phases, e.Phase) }
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
				require.NoError(t, err)
				assert.Equal(t, "yes", out.Response.Content)
				assert.Equal(t, found.Hits, out.Response.Searches)
				assert.Equal(t, providers.SearchTotal{Count: 1, CostUSD: 0.01}, out.Searches)
				assert.False(t, turns.requests[0].NativeSearch)
				assert.Equal(t, "web_search", turns.requests[0].Functions[0].Name)
				assert.Equal(t, "[1] Go 1.26\nhttps://go.dev\nPublished: 2026-02-10\nIt is out.", turns.requests[1].Messages[2].Content)
				assert.Contains(t, phases, providers.PhaseSearching)
				assert.Equal(t, []string{"chat", "search", "chat"}, b.seen.ops())
				assert.Equal(t, 2, out.Attempts, "requests to the model")
				assert.Equal(t, providers.Usage{CostUSD: 0.01}, b.seen.attempts[1].Usage)
				total := b.seen.attempts[0].Usage.Plus(b.seen.attempts[1].Usage).Plus(b.seen.attempts[2].Usage)
				assert.Equal(t, total.CostUSD, out.Response.Usage.CostUSD, "what the search cost is part of the answer's cost")
			})
		}
	})
	t.Run("a search that takes too long is told to the model", func(t *testing.T) {
		inFakeTime(t, func(c *config.Config) { c.Timeouts.GLMSearch = 4 * time.Second }, func(t *testing.T, b *fixture) {
			turns := &inTurn{scripts: []chatFunc{asks, answers("without")}}
			b.kimi.ChatFunc = turns.chat
			b.glm.SearchFunc = searches(t, forever, nil)
			call := ask("kimi-k3")
			call.Search = true
			start := time.Now()
			out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
			require.NoError(t, err)
			assert.Equal(t, 4*time.Second, time.Since(start))
			assert.Equal(t, "without", out.Response.Content)
			assert.Equal(t, []string{"GLM_WEBSEARCH_TIMEOUT_SECS=4s"}, b.seen.names())
			assert.Equal(t, "tool conversation", b.seen.limits[0].Tool+" "+b.seen.limits[0].ContinuationID, "what the call is known by")
			assert.Contains(t, turns.requests[1].Messages[2].Content, "GLM_WEBSEARCH_TIMEOUT_SECS=4s")
		})
	})
	t.Run("none is noted", func(t *testing.T) {
		for _, c := range []struct {
			name, model, note string
			set               func(*config.Config)
		}{
			{"GLM's is off", "glm-5.3", "GLM_ENABLE_WEB_BROWSING is false", func(c *config.Config) { c.Search.GLMBrowsing = new(bool) }},
			{"Kimi's is off", "kimi-k3", "KIMI_ENABLE_INTERNET_SEARCH is false", func(c *config.Config) { c.Search.KimiEnabled = false }},
			{"nobody searches", "kimi-k3", "KIMI_API_KEY (or MOONSHOT_API_KEY) or GLM_API_KEY", nil},
			{"GLM has no key", "kimi-k3", "GLM_API_KEY", func(c *config.Config) { c.GLM.APIKey = "" }},
			{"GLM is disabled", "kimi-k3", "GLM_API_KEY", func(c *config.Config) { c.Models.DisabledProviders = []string{"glm"} }},
			{"the model has no functions", "autoglm-phone-multilingual", "cannot call functions", nil},
		} {
			inFakeTime(t, c.set, func(t *testing.T, b *fixture) {
				if c.name != "nobody searches" {
					b.glm.SearchFunc = searches(t, 0, nil)
				}
				turns := &inTurn{scripts: []chatFunc{answers("yes")}}
				b.glm.ChatFunc, b.kimi.ChatFunc = turns.chat, turns.chat
				call := ask(c.model)
				call.Search = true
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
				require.NoError(t, err, c.name)
				require.Len(t, out.Notes, 1, c.name)
				assert.Contains(t, out.Notes[0], c.note, c.name)
				assert.False(t, turns.requests[0].NativeSearch)
				assert.Empty(t, turns.requests[0].Functions)
			})
		}
	})
	t.Run("by the cheaper vendor that can", func(t *testing.T) {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			turns := &inTurn{scripts: []chatFunc{asks, answers("yes")}}
			b.glm.ChatFunc = turns.chat
			b.glm.SearchFunc = func(context.Context, providers.SearchQuery) (*providers.SearchResult, error) {
				t.Error("Kimi's search costs less")
				return found, nil
			}
			b.kimi.SearchFunc = searches(t, 0, nil)
			call := ask("glm-5.3")
			call.Search = true
			out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
			require.NoError(t, err)
			assert.Equal(t, 1, out.Searches.Count)
			assert.Equal(t, "kimi", b.seen.attempts[1].Provider)
		})
	})
	t.Run("by the other vendor where that one fails", func(t *testing.T) {
		for _, c := range []struct {
			name string
			fail *providers.Error
			by   []string
		}{
			{"it refuses", &providers.Error{Kind: providers.KindAuth, Message: "No."}, []string{"glm", "kimi", "glm", "glm"}},
			{"it is silent", nil, []string{"glm", "kimi", "glm"}},
		} {
			inFakeTime(t, func(c *config.Config) { c.Timeouts.KimiSearch = 4 * time.Second }, func(t *testing.T, b *fixture) {
				turns := &inTurn{scripts: []chatFunc{asks, answers("yes")}}
				b.glm.ChatFunc, b.glm.SearchFunc = turns.chat, searches(t, 0, nil)
				b.kimi.SearchFunc = func(ctx context.Context, _ providers.SearchQuery) (*providers.SearchResult, error) {
					if c.fail == nil {
						pause(ctx, forever)
						return nil, &providers.Error{Kind: providers.KindNetwork, Err: context.Cause(ctx)}
					}
					return nil, c.fail
				}
				call := ask("glm-5.3")
				call.Search = true
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
				require.NoError(t, err, c.name)
				assert.Equal(t, 1, out.Searches.Count, c.name)
				var by []string
				for _, a := range b.seen.attempts {
					by = append(by, a.Provider)
				}
				assert.Equal(t, c.by, by, c.name)
			})
		}
	})
	t.Run("at most five times for one answer", func(t *testing.T) {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			greedy := func(_ context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
				on(providers.Delta{ToolCall: true})
				resp := &providers.ChatResponse{FinishReason: providers.FinishToolCalls}
				for i := range 1000 {
					resp.ToolCalls = append(resp.ToolCalls, providers.ToolCall{ID: "s", Name: "web_search", Arguments: fmt.Sprintf(`{"query":"%d"}`, i)})
				}
				return resp, nil
			}
			turns := &inTurn{scripts: []chatFunc{asks, greedy, asks, answers("yes")}}
			b.kimi.ChatFunc = turns.chat
			b.glm.SearchFunc = func(context.Context, providers.SearchQuery) (*providers.SearchResult, error) { return found, nil }
			call := ask("kimi-k3")
			call.Search = true
			out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
			require.NoError(t, err)
			assert.Equal(t, providers.SearchTotal{Count: 5, CostUSD: 0.05}, out.Searches)
			var total providers.Usage
			for _, a := range b.seen.attempts {
				total = total.Plus(a.Usage)
			}
			assert.InDelta(t, total.CostUSD, out.Response.Usage.CostUSD, 1e-9, "five searches and four requests")
			assert.Len(t, b.seen.attempts, 9)
			refused, surplus := 0, 0
			for _, m := range turns.requests[3].Messages {
				if strings.HasPrefix(m.Content, "Too many searches") {
					refused++
				}
				if strings.HasPrefix(m.Content, "Not executed: at most 8 calls") {
					surplus++
				}
			}
			assert.Equal(t, 4, refused)
			assert.Equal(t, 992, surplus)
		})
	})
	t.Run("a search whose answer was cut off is counted", func(t *testing.T) {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			b.kimi.ChatFunc = asks
			b.glm.SearchFunc = func(ctx context.Context, _ providers.SearchQuery) (*providers.SearchResult, error) {
				time.Sleep(28550 * time.Millisecond) // it ignores its context, and was paid for
				return found, nil
			}
			call := ask("kimi-k3")
			call.Search = true
			out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
			require.NoError(t, err)
			assert.True(t, out.Partial)
			assert.Equal(t, providers.SearchTotal{Count: 1, CostUSD: 0.01}, out.Searches)
			assert.Equal(t, found.Hits, out.Response.Searches)
		})
	})
	t.Run("GLM's own tool is GLM's alone", func(t *testing.T) {
		own := true
		inFakeTime(t, func(c *config.Config) { c.Search.GLMBrowsing = &own }, func(t *testing.T, b *fixture) {
			turns := &inTurn{scripts: []chatFunc{asks, answers("yes")}}
			b.kimi.ChatFunc, b.glm.SearchFunc = turns.chat, searches(t, 0, nil)
			call := ask("kimi-k3")
			call.Search = true
			out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
			require.NoError(t, err)
			assert.False(t, turns.requests[0].NativeSearch)
			assert.Equal(t, 1, out.Searches.Count)
		})
	})
	t.Run("a query that is none is told to the model", func(t *testing.T) {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			for _, arguments := range []string{`go release`, `{"query":" "}`} {
				turns := &inTurn{scripts: []chatFunc{func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
					return &providers.ChatResponse{ToolCalls: []providers.ToolCall{{ID: "s", Name: "web_search", Arguments: arguments}}}, nil
				}, answers("yes")}}
				b.kimi.ChatFunc, b.glm.SearchFunc = turns.chat, searches(t, 0, nil)
				call := ask("kimi-k3")
				call.Search = true
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
				require.NoError(t, err)
				assert.Equal(t, `Error: the arguments must be a JSON object with a "query"`, results(out.Messages)[0])
				assert.Zero(t, out.Searches)
			}
		})
	})
	t.Run("a caller's own function of that name stays", func(t *testing.T) {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			turns := &inTurn{scripts: []chatFunc{answers("yes")}}
			b.kimi.ChatFunc = turns.chat
			call := ask("kimi-k3")
			call.Search = true
			call.Tools = []calls.Tool{{Function: providers.Function{Name: "web_search", Description: "mine"}}}
			_, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
			require.NoError(t, err)
			require.Len(t, turns.requests[0].Functions, 1)
			assert.Equal(t, "mine", turns.requests[0].Functions[0].Description)
		})
	})
}
