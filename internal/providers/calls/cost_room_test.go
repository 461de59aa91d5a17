package calls

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

// TestAffordable: two bytes a token, of what is left beside the requests that carry them.
func TestAffordable(t *testing.T) {
	cfg := config.Default()
	reg, err := NewRegistry(cfg)
	require.NoError(t, err)
	path := NewCaller(reg, cfg, nil, nil)
	priced := providers.Model{ID: "m", Price: &providers.Price{Input: 1, Output: 2}}
	free := providers.Model{ID: "m", Price: &providers.Price{}}
	long := providers.Message{Content: strings.Repeat("word ", 1000)}
	carried := providers.EstimateRequest(providers.ChatRequest{Messages: []providers.Message{long}})
	for name, c := range map[string]struct {
		limit    float64 // USD; a request of 1000 tokens of output costs 0.002
		spent    float64
		model    providers.Model
		requests int
		replies  []providers.Message
		want     int
	}{
		"one request":                  {0.01, 0, priced, 1, nil, 16_000},
		"two requests":                 {0.01, 0, priced, 2, nil, 12_000},
		"which carry what there is":    {0.01, 0, priced, 2, []providers.Message{long}, 12_000 - 4*carried},
		"a part is spent":              {0.01, 0.004, priced, 1, nil, 8_000},
		"more than there is":           {0.01, 0.009, priced, 1, nil, 0},
		"nothing is paid for":          {0.01, 0, free, 1, nil, math.MaxInt},
		"... also when all else spent": {0.01, 0.01, free, 1, nil, math.MaxInt},
		"no limit":                     {0, 0, priced, 1, nil, math.MaxInt},
		"so much that it can't matter": {1e9, 0, priced, 1, nil, 1 << 40},
	} {
		budget := usage.NewCallBudget(c.limit)
		budget.Settle(usage.Plan{}, c.spent)
		r := &toolRounds{
			g: &Generation{c: path, ctx: usage.WithCallBudget(context.Background(), budget)},
			j: &job{req: providers.ChatRequest{Model: c.model, MaxOutputTokens: 1000}},
		}
		assert.InDelta(t, c.want, r.affordable(c.requests, c.replies...), 1, name)
	}
	assert.False(t, (&job{tools: map[string]Tool{"theirs": {}}}).runsTools())
	assert.False(t, (&job{}).runsTools())
}
