package tools

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// One vendor alone gives two models, also where its fast and its good one are the same.
func TestDefaultPanelOfOneVendor(t *testing.T) {
	h := newFixture(t, asktest.Says("ok"), func(cfg *config.Config) { cfg.GLM.SpeedModel = cfg.GLM.QualityModel })
	body, _ := h.call("consensus", map[string]any{"step": "Which?"})
	answers, _ := body["accumulated_responses"].([]any)
	require.Len(t, answers, 2, body)
	first, second := answers[0].(map[string]any), answers[1].(map[string]any)
	assert.Equal(t, "glm-5.3", first["model"])
	assert.Contains(t, second["model"], "glm-")
	assert.NotEqual(t, first["model"], second["model"])
	assert.Equal(t, "success", second["status"])
}
