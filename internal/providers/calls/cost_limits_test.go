package calls_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	costs "github.com/exai-mcp/exai-mcp/internal/usage"
)

// A conversation that has no id yet when its call begins is counted under the one that it gets.
func TestUsageOfANewConversation(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		kept := b.metered(t, 0)
		b.glm.ChatFunc = answers("yes")
		call := ask("glm-5.3")
		call.Key = "new"
		ctx := providers.WithBudget(t.Context(), providers.Budget{Limit: b.cfg.Timeouts.For(config.ClassSimple), Start: time.Now(), Tool: "tool"})
		_, err := b.caller.Call(ctx, call)
		require.NoError(t, err)
		assert.Equal(t, "new", kept.after(t, 1)[0].ConversationID)
	})
}

func TestTheCallsLimitLowersTheOutput(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		turns := &inTurn{scripts: []chatFunc{answers("yes")}}
		b.glm.ChatFunc = turns.chat
		out, err := b.caller.Call(withCallBudget(b.inClass(t.Context(), config.ClassSimple), 0.01), ask("glm-5.1"))
		require.NoError(t, err)
		sent := turns.requests[0].MaxOutputTokens
		assert.Equal(t, 2270, sent, "0.01 USD at 4.4 a million, beside the question")
		assert.Equal(t, []string{fmt.Sprintf("The answer was limited to %d tokens, since little of MAX_COST_PER_CALL_USD=0.01 is left.", sent)}, out.Notes)
	})
}

// A cheaper model is named if its price is known, its vendor has it, and it takes functions.
func TestWhichCheaperModelIsNamed(t *testing.T) {
	const otherwise = "sk for less, or raise MAX_COST_PER_CALL_USD in the server's environment."
	for name, c := range map[string]struct {
		row  string
		gone bool
		hint string
	}{
		"one that will do":  {`"functions":true,"price":{"input":1,"output":2}`, false, "Name a cheaper model such as kimi-house, or a" + otherwise},
		"no known price":    {`"functions":true`, false, "A" + otherwise},
		"no functions":      {`"price":{"input":1,"output":2}`, false, "A" + otherwise},
		"none with the key": {`"functions":true,"price":{"input":1,"output":2}`, true, "A" + otherwise},
		"at the same price": {`"functions":true,"price":{"input":1000,"output":2000}`, false, "A" + otherwise},
	} {
		file := filepath.Join(t.TempDir(), "models.json")
		rows := `[{"id":"glm-gold","functions":true,"price":{"input":1000,"output":2000}},{"id":"kimi-house",` + c.row + `}]`
		require.NoError(t, os.WriteFile(file, []byte(rows), 0o600))
		inFakeTime(t, func(cfg *config.Config) {
			cfg.Models.File, cfg.GLM.AllowedModels, cfg.Kimi.AllowedModels = file, []string{"glm-gold"}, []string{"kimi-house"}
		}, func(t *testing.T, b *fixture) {
			if c.gone {
				b.reg.Catalog().MarkRefused(providers.Model{ID: "kimi-house"})
			}
			_, err := b.caller.Call(withCallBudget(b.inClass(t.Context(), config.ClassSimple), 0.01), ask("glm-gold"))
			assert.Equal(t, c.hint, failure(t, err).Hint, name)
		})
	}
}

// A preview counts an unknown price as the highest one that is known, and says so; a server on this machine has none.
func TestPreviewOfUnknownPrices(t *testing.T) {
	unpriced := local("ollama", "", "a")
	unpriced[0].Price = nil
	s := newSite(t, map[string][]providers.Model{"ollama": unpriced, "lab": remote("lab", "m")},
		"ENDPOINTS=ollama,lab", "LAB_API_URL=https://lab.test/v1", "LAB_MODEL=m")
	for model, known := range map[string]bool{"ollama/a": true, "lab/m": false} {
		_, err := s.ask(t, model, providers.CategoryFast) // so that its list is known
		require.NoError(t, err)
		ctx, plan := providers.WithPreview(t.Context())
		_, err = s.caller.Call(ctx, ask(model))
		require.ErrorIs(t, err, providers.ErrPreview)
		requests, _, notes := plan.Planned()
		note := "The price of " + model + " is not known; it counts as the highest one that is."
		assert.Equal(t, known, requests[0].ExpectedUSD == 0, model)
		if known {
			assert.NotContains(t, notes, note)
		} else {
			assert.Contains(t, notes, note)
		}
	}
}

// The vendor's own search costs its price beside the tokens.
func TestPreviewOfTheVendorsSearch(t *testing.T) {
	allowed := true
	b := setUp(t, func(c *config.Config) { c.Search.GLMBrowsing = &allowed })
	var expected []float64
	for _, search := range []bool{false, true} {
		call := ask("glm-5.3")
		call.Search = search
		ctx, plan := providers.WithPreview(t.Context())
		_, err := b.caller.Call(ctx, call)
		require.ErrorIs(t, err, providers.ErrPreview)
		requests, _, _ := plan.Planned()
		expected = append(expected, requests[0].ExpectedUSD)
	}
	assert.InDelta(t, expected[0]+0.01, expected[1], 1e-9)
}

// What the results of functions cost counts before they are asked for.
func TestLongResultsEndTheRounds(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			if len(req.Functions) > 0 {
				return callsTool("read", 0)(ctx, req, on)
			}
			return answers("done")(ctx, req, on)
		}
		call := ask("glm-5.1")
		var rooms []int
		call.Tools = []calls.Tool{{Function: providers.Function{Name: "read"}, Run: func(_ context.Context, _ string, room int) (string, error) {
			rooms = append(rooms, room)
			return fmt.Sprintf("%0*d", room, 0), nil
		}}}
		budget := costs.NewCallBudget(0.1)
		out, err := b.caller.Call(costs.WithCallBudget(b.inClass(t.Context(), config.ClassExpert), budget), call)
		require.NoError(t, err)
		assert.Equal(t, "done", out.Response.Content)
		assert.Len(t, rooms, 1, "the first result takes all that there is")
		assert.Less(t, rooms[0], 240_000)
	})
}
