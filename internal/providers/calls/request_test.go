package calls

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

func TestOutputCap(t *testing.T) {
	catalog, err := NewCatalog("")
	require.NoError(t, err)
	for _, c := range []struct {
		name, model string
		mode        providers.ThinkingMode
		set         func(*config.Config)
		want        int
		bySomebody  bool
	}{
		{"a model that always thinks", "glm-5.3", providers.ThinkLow, nil, 32_768, false},
		{"thinking on", "glm-4.6", providers.ThinkHigh, nil, 32_768, false},
		{"thinking off", "glm-4.6", providers.ThinkLow, nil, 8_192, false},
		{"effort none", "glm-5.2", providers.ThinkMinimal, nil, 8_192, false},
		{"no thinking", "moonshot-v1-128k", providers.ThinkMax, nil, 8_192, false},
		{"the operator's", "glm-5.3", providers.ThinkLow, func(c *config.Config) { c.Models.MaxOutputTokens = 100 }, 100, true},
		{"the vendor's before that", "kimi-k3", providers.ThinkLow, func(c *config.Config) { c.Models.MaxOutputTokens, c.Kimi.MaxOutputTokens = 100, 200 }, 200, true},
	} {
		cfg := config.Default()
		if c.set != nil {
			c.set(cfg)
		}
		m, ok := catalog.Lookup(c.model)
		require.True(t, ok)
		got, set := outputCap(cfg, m, m.Thinking.Switch(c.mode, time.Second))
		assert.Equal(t, c.want, got, c.name)
		assert.Equal(t, c.bySomebody, set, c.name)
	}
}

func TestBoundedKeepsTheCapInTheWindow(t *testing.T) {
	text := func(n int) []providers.Message {
		return []providers.Message{{Role: providers.RoleUser, Content: strings.Repeat("123", n)}}
	}
	for _, c := range []struct {
		name  string
		model providers.Model
		input int // tokens
		ask   int
		want  int
	}{
		{"room enough", providers.Model{ContextWindow: 131_072, MaxOutput: 16_384}, 1_000, 8_192, 8_192},
		{"the model's own maximum", providers.Model{ContextWindow: 131_072, MaxOutput: 4_096}, 1_000, 8_192, 4_096},
		{"what the window leaves", providers.Model{ContextWindow: 8_192}, 4_000, 8_192, 8_192 - providers.Planned(4_000+providers.TokensPerMessage)},
		{"a full window", providers.Model{ContextWindow: 8_192}, 9_000, 8_192, minOutput},
		{"unknown", providers.Model{}, 9_000, 8_192, 8_192},
	} {
		got := clampOutput(c.ask, providers.ChatRequest{Model: c.model, Messages: text(c.input)})
		assert.InDelta(t, c.want, got, 1, c.name)
	}
}
