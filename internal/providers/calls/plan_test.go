package calls_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
)

// preview makes a call under a preview, which must send nothing, and returns what it planned.
func (b *fixture) preview(t *testing.T, class config.Class, call calls.Call) (*calls.Outcome, providers.PlannedRequest, []string) {
	t.Helper()
	ctx, plan := providers.WithPreview(b.inClass(t.Context(), class))
	out, err := b.caller.Call(ctx, call)
	require.ErrorIs(t, err, providers.ErrPreview)
	assert.Empty(t, b.seen.attempts)
	requests, _, notes := plan.Planned()
	require.Len(t, requests, 1)
	return out, requests[0], notes
}

func TestWhatAPreviewedCallSays(t *testing.T) {
	b := setUp(t, func(c *config.Config) { c.GLM.APIKey, c.Kimi.APIKey = "", "" })
	out, request, notes := b.preview(t, config.ClassSimple, ask(""))
	glm, _ := b.reg.Catalog().Lookup("glm-5.3-flash")
	assert.Equal(t, &calls.Outcome{Model: glm, Thinking: request.Thinking}, out)
	assert.Equal(t, "chat glm glm-5.3-flash", request.Op+" "+request.Provider+" "+request.Model)
	assert.Equal(t, 8, request.InputTokens)
	assert.Empty(t, notes)

	call := ask("glm-99")
	call.Search = true
	out, _, notes = b.preview(t, config.ClassExpert, call)
	assert.Equal(t, "glm-99", out.Model.ID)
	assert.Equal(t, []string{
		"The price of glm-99 is not known; it counts as the highest one that is.",
		"glm-99 is not in the catalogue: what it can do is guessed cautiously.",
		"No web search: glm-99 cannot call functions.",
	}, notes)
}

// A preview plans the request of who would answer: a vendor without a key stands in only where there is none with one.
func TestAPreviewAsksWhoWouldAnswer(t *testing.T) {
	b := setUp(t, func(c *config.Config) { c.GLM.APIKey = "" })
	_, request, _ := b.preview(t, config.ClassSimple, ask(""))
	assert.Equal(t, "kimi", request.Provider)
	b.kimi.PayloadFunc = func(providers.ChatRequest) (json.RawMessage, error) { return json.RawMessage("{}"), nil }
	shown, err := b.caller.Preview(t.Context(), ask(""))
	require.NoError(t, err)
	assert.Equal(t, "kimi", shown.Model.Provider)
	_, request, _ = b.preview(t, config.ClassSimple, ask("glm-5.3"))
	assert.Equal(t, "glm", request.Provider, "it was named")
}

func TestAPreviewFailsAsItsCallWould(t *testing.T) {
	b := setUp(t, nil)
	ctx, plan := providers.WithPreview(t.Context())
	_, err := b.caller.Call(ctx, ask("gpt-4o"))
	assert.Equal(t, providers.KindModelNotFound, failure(t, err).Kind)
	why := errors.New("no such file")
	_, err = b.caller.Call(ctx, calls.Call{Model: "glm-5.3", Build: func(providers.Model) (providers.ChatRequest, error) {
		return providers.ChatRequest{}, why
	}})
	assert.Equal(t, why, err)
	requests, _, notes := plan.Planned()
	assert.Empty(t, requests)
	assert.Empty(t, notes)
}

// TestTheMostThatACallCosts is a sum that a reader can check: every request carries the results and the answers of those
// before, and results have three bytes a token.
func TestTheMostThatACallCosts(t *testing.T) {
	look := []calls.Tool{function("look", func(context.Context, string) (string, error) { return "", nil })}
	type request struct{ results, answers int }
	for _, c := range []struct {
		name     string
		limit    float64
		change   func(*calls.Call)
		requests []request // tokens of results, and answers, that each carries
		searches float64
		most     float64 // 0: the sum
	}{
		{"no functions", 0, func(*calls.Call) {}, []request{{0, 0}}, 0, 0},
		{"one round", 0, func(c *calls.Call) { c.Tools, c.Bounds = look, calls.Bounds{Rounds: 1, Calls: 1, Bytes: 30_000} }, []request{{0, 0}, {10_000, 1}, {10_000, 2}}, 0, 0},
		{"the usual rounds", 0, func(c *calls.Call) { c.Tools = look }, []request{{0, 0}, {20_000, 1}, {40_000, 2}, {60_000, 3}, {80_000, 4}, {80_000, 5}}, 0, 0},
		{"none may run", 0, func(c *calls.Call) { c.Tools, c.NoCalls = look, true }, []request{{0, 0}, {0, 1}}, 0, 0},
		{"functions of the client", 0, func(c *calls.Call) { c.Tools = []calls.Tool{function("theirs", nil)} }, []request{{0, 0}}, 0, 0},
		{"five searches", 0, func(c *calls.Call) { c.Search, c.Bounds = true, calls.Bounds{Rounds: 1, Calls: 8, Bytes: 30_000} }, []request{{0, 0}, {10_000, 1}, {10_000, 2}}, 0.05, 0},
		{"searches that may not run", 0, func(c *calls.Call) { c.Search, c.NoCalls = true, true }, []request{{0, 0}, {0, 1}}, 0, 0},
		{"more than a call may cost", 0.05, func(*calls.Call) {}, nil, 0, 0.05},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := setUp(t, func(set *config.Config) { set.Costs.PerCallUSD = c.limit })
			b.glm.SearchFunc = func(context.Context, providers.SearchQuery) (*providers.SearchResult, error) { return nil, nil }
			call := ask("glm-5.1") // 1.4 for a million tokens of input, 4.4 for output
			c.change(&call)
			_, got, _ := b.preview(t, config.ClassExpert, call)
			want := c.searches + c.most
			for _, r := range c.requests {
				want += (1.4*float64(got.InputTokens+r.results+r.answers*got.OutputCap) + 4.4*float64(got.OutputCap)) / million
			}
			assert.InDelta(t, want, got.MaximumUSD, 2e-6)
		})
	}
}
