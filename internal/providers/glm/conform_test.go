package glm_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/providers/glm"
	"github.com/exai-mcp/exai-mcp/internal/providers/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConforms(t *testing.T) { providertest.Conform(t, emulator.GLM, create) }

func TestRecordedAnswers(t *testing.T) { providertest.Replay(t, "testdata/recorded", create) }

func create(t *testing.T, baseURL string, o providertest.Options) providers.Provider {
	t.Helper()
	p, err := glm.New(glm.Options{
		Vendor: config.Vendor{APIKey: o.Key, APIURL: baseURL}, Timeouts: o.Timeouts, Models: o.Models,
		MaxAnswerBytes: o.MaxAnswerBytes, Version: "test", DialContext: o.DialContext,
	}, config.GLMSearch{})
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}
