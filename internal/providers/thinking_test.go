package providers

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

var modes = []ThinkingMode{ThinkMinimal, ThinkLow, ThinkMedium, ThinkHigh, ThinkMax}

// TestSwitchOfEveryModel is the contract's table: each way of switching, each mode, and a medium under both limits.
func TestSwitchOfEveryModel(t *testing.T) {
	three := []string{"low", "low", "low", "high", "high", "max"} // minimal, low, medium short, medium long, high, max
	seven := []string{"none", "low", "medium", "medium", "high", "max"}
	toggle := []string{"disabled", "disabled", "enabled", "enabled", "enabled", "enabled"}
	want := map[string][]string{}
	for _, id := range []string{"glm-5.3", "glm-5.3-flash", "glm-5.3-flashx", "kimi-k3", "kimi-k3.1-pro", "kimi-k3.1-pro-highspeed"} {
		want[id] = three
	}
	want["glm-5.2"] = seven
	for _, id := range []string{
		"glm-5.1", "glm-5", "glm-5-turbo", "glm-5v-turbo", "glm-4.7", "glm-4.7-flash", "glm-4.7-flashx", "glm-4.6", "glm-4.6v",
		"glm-4.6v-flash", "glm-4.6v-flashx", "glm-4.5", "glm-4.5-air", "glm-4.5-x", "glm-4.5-airx", "glm-4.5-flash", "glm-4.5v",
		"kimi-k2.6", "kimi-k2.5",
	} {
		want[id] = toggle
	}
	catalog, err := NewCatalog("")
	require.NoError(t, err)
	for _, m := range catalog.Models("") {
		words, thinks := want[m.ID]
		delete(want, m.ID)
		for i, c := range []struct {
			mode  ThinkingMode
			limit time.Duration
		}{
			{ThinkMinimal, time.Minute},
			{ThinkLow, time.Minute},
			{ThinkMedium, 55*time.Second - 1},
			{ThinkMedium, 55 * time.Second},
			{ThinkHigh, time.Second},
			{ThinkMax, time.Second},
		} {
			got := m.Thinking.Switch(c.mode, c.limit)
			switch {
			case !thinks:
				assert.Equal(t, ThinkingSwitch{}, got, "%s cannot be switched", m.ID)
			case len(m.Thinking.Efforts) > 0:
				assert.Equal(t, ThinkingSwitch{Effort: words[i]}, got, "%s %s %s", m.ID, c.mode, c.limit)
				assert.Contains(t, m.Thinking.Efforts, got.Effort)
			default:
				assert.Equal(t, ThinkingSwitch{Type: words[i]}, got, "%s %s %s", m.ID, c.mode, c.limit)
			}
		}
	}
	assert.Empty(t, want, "models that the catalogue lost")
}

func TestSwitchTakesTheNearestWord(t *testing.T) {
	for _, c := range []struct {
		name    string
		efforts []string
		want    [5]string // of modes, under a short limit
	}{
		{"one word", []string{"high"}, [5]string{"high", "high", "high", "high", "high"}},
		{"no middle", []string{"low", "max"}, [5]string{"low", "low", "low", "low", "max"}},
		{"off and strong", []string{"none", "high", "max"}, [5]string{"none", "high", "high", "high", "max"}},
		{"no strongest", []string{"low", "medium"}, [5]string{"low", "low", "medium", "medium", "medium"}},
	} {
		for i, mode := range modes {
			assert.Equal(t, c.want[i], Thinking{Efforts: c.efforts}.Switch(mode, time.Second).Effort, "%s %s", c.name, mode)
		}
	}
}

func TestMinimalUsesTheToggleWhereNoWordIsOff(t *testing.T) {
	both := Thinking{Toggle: true, Efforts: []string{"low", "high"}}
	assert.Equal(t, ThinkingSwitch{Type: "disabled"}, both.Switch(ThinkMinimal, time.Second))
	assert.Equal(t, ThinkingSwitch{Effort: "low"}, both.Switch(ThinkLow, time.Second))
}

func TestWeakerEndsWhereThinkingEnds(t *testing.T) {
	for _, think := range []Thinking{
		{Efforts: []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"}},
		{Efforts: []string{"low", "high", "max"}, Always: true},
		{Toggle: true},
		{Always: true},
		{},
	} {
		s, steps := think.Switch(ThinkMax, time.Second), 0
		for {
			next, ok := think.Weaker(s)
			if !ok {
				break
			}
			require.NotEqual(t, s, next)
			s = next
			steps++
			require.Less(t, steps, 10)
		}
		assert.Equal(t, think.Always, think.On(s), "the weakest of %+v", think)
	}
}

func TestOutputCap(t *testing.T) {
	catalog, err := NewCatalog("")
	require.NoError(t, err)
	for _, c := range []struct {
		name, model string
		mode        ThinkingMode
		set         func(*config.Config)
		want        int
		bySomebody  bool
	}{
		{"a model that always thinks", "glm-5.3", ThinkLow, nil, 32_768, false},
		{"thinking on", "glm-4.6", ThinkHigh, nil, 32_768, false},
		{"thinking off", "glm-4.6", ThinkLow, nil, 8_192, false},
		{"effort none", "glm-5.2", ThinkMinimal, nil, 8_192, false},
		{"no thinking", "moonshot-v1-128k", ThinkMax, nil, 8_192, false},
		{"the operator's", "glm-5.3", ThinkLow, func(c *config.Config) { c.Models.MaxOutputTokens = 100 }, 100, true},
		{"the vendor's before that", "kimi-k3", ThinkLow, func(c *config.Config) { c.Models.MaxOutputTokens, c.Kimi.MaxOutputTokens = 100, 200 }, 200, true},
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
	text := func(n int) []Message {
		return []Message{{Role: RoleUser, Content: strings.Repeat("123", n)}}
	}
	for _, c := range []struct {
		name  string
		model Model
		input int // tokens
		ask   int
		want  int
	}{
		{"room enough", Model{ContextWindow: 131_072, MaxOutput: 16_384}, 1_000, 8_192, 8_192},
		{"the model's own maximum", Model{ContextWindow: 131_072, MaxOutput: 4_096}, 1_000, 8_192, 4_096},
		{"what the window leaves", Model{ContextWindow: 8_192}, 4_000, 8_192, 8_192 - Planned(4_000+TokensPerMessage)},
		{"a full window", Model{ContextWindow: 8_192}, 9_000, 8_192, leastOutput},
		{"unknown", Model{}, 9_000, 8_192, 8_192},
	} {
		got := bounded(c.ask, ChatRequest{Model: c.model, Messages: text(c.input)})
		assert.InDelta(t, c.want, got, 1, c.name)
	}
}
