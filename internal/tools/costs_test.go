package tools

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

// health and status show what all processes spent, and the limits; a store that does not answer delays them by 2 s at most.
func TestCosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newFixture(t, asktest.Says("ok"), func(c *config.Config) { c.Costs.PerDayUSD = 5 })
		kept := usage.NewLocal()
		h.deps.Usage = func(context.Context) (usage.Store, error) { return kept, nil }
		require.NoError(t, kept.Record(t.Context(), usage.Request{InputTokens: 5, CostUSD: 0.5}))
		time.Sleep(24 * time.Hour)
		require.NoError(t, kept.Record(t.Context(), usage.Request{InputTokens: 7, OutputTokens: 2, CostUSD: 0.1}))
		require.NoError(t, kept.Record(t.Context(), usage.Request{CostUSD: 0.2}))
		_, _, err := kept.Reserve(t.Context(), usage.Reservation{AmountUSD: 0.25, LimitUSD: 5})
		require.NoError(t, err)
		for _, tool := range []string{"health", "status"} {
			body, _ := h.call(tool, nil)
			text, err := json.Marshal(body["costs"])
			require.NoError(t, err)
			assert.JSONEq(t, `{"max_per_call_usd":null,"max_per_day_usd":5,"billing":{"glm":"tokens"},
				"today":{"requests":2,"input_tokens":7,"output_tokens":2,"cost_usd":0.3,"reserved_usd":0.25,"resets":"2000-01-03T00:00:00Z"},
				"last_30_days":{"requests":3,"input_tokens":12,"output_tokens":2,"cost_usd":0.8}}`, string(text), tool)
		}
		start := time.Now()
		h.deps.Usage = func(ctx context.Context) (usage.Store, error) { <-ctx.Done(); return nil, errors.New("no") }
		body, _ := h.call("health", nil)
		assert.Contains(t, body["costs"], "unknown")
		assert.Equal(t, storeLook, time.Since(start))
	})
}
