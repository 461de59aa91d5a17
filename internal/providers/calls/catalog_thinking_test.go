package calls

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

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
			mode  providers.ThinkingMode
			limit time.Duration
		}{
			{providers.ThinkMinimal, time.Minute},
			{providers.ThinkLow, time.Minute},
			{providers.ThinkMedium, 55*time.Second - 1},
			{providers.ThinkMedium, 55 * time.Second},
			{providers.ThinkHigh, time.Second},
			{providers.ThinkMax, time.Second},
		} {
			got := m.Thinking.Switch(c.mode, c.limit)
			switch {
			case !thinks:
				assert.Equal(t, providers.ThinkingSwitch{}, got, "%s cannot be switched", m.ID)
			case len(m.Thinking.Efforts) > 0:
				assert.Equal(t, providers.ThinkingSwitch{Effort: words[i]}, got, "%s %s %s", m.ID, c.mode, c.limit)
				assert.Contains(t, m.Thinking.Efforts, got.Effort)
			default:
				assert.Equal(t, providers.ThinkingSwitch{Type: words[i]}, got, "%s %s %s", m.ID, c.mode, c.limit)
			}
		}
	}
	assert.Empty(t, want, "models that the catalogue lost")
}
