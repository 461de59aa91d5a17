package endpoint_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/providers/endpoint"
	"github.com/exai-mcp/exai-mcp/internal/providers/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConforms(t *testing.T) {
	efforts := []string{"none", "low", "medium", "high"}
	providertest.Conform(t, emulator.Lab, create,
		providers.Model{
			ID: "lab/lab-large", Provider: "lab", Status: providers.StatusActive, ContextWindow: 131_072, MaxOutput: 65_536, Images: true,
			Functions: true, ToolChoices: []string{"auto", "none", "required", "function"}, JSONObject: true, Thinking: providers.Thinking{Efforts: efforts},
		},
		providers.Model{ID: "lab/lab-small", Provider: "lab", Status: providers.StatusActive, ContextWindow: 32_768, MaxOutput: 8_192, JSONObject: true},
		providers.Model{ID: "lab/lab-local", Provider: "lab", Status: providers.StatusActive, ContextWindow: 32_768, MaxOutput: 16_384, Functions: true, Thinking: providers.Thinking{Always: true}},
	)
}

func create(t *testing.T, baseURL string, o providertest.Options) providers.Provider {
	t.Helper()
	row := config.VendorRow{Name: "lab", Title: "Lab", Endpoint: &config.Endpoint{OutputCap: "max_completion_tokens", Thinking: "effort"}}
	p, err := endpoint.New(endpoint.Options{
		Vendor: config.Vendor{Row: row, APIKey: o.Key, APIURL: baseURL}, Timeouts: o.Timeouts,
		MaxAnswerBytes: o.MaxAnswerBytes, Version: "test", DialContext: o.DialContext,
	})
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}
