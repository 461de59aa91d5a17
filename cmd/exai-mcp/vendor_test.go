package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/providertest"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

// A third vendor is a row and a line, here: everything that knows vendors then knows it, too.
func TestAThirdVendorIsARowAndALine(t *testing.T) {
	row := config.VendorRow{
		Name: "acme", Title: "Acme (Example)", Prefixes: []string{"acme-"}, KeyAliases: []string{"EXAMPLE_KEY"}, KeyPage: "https://acme.example/keys",
		URL: "https://acme.example/v1", SpeedModel: "acme-1", QualityModel: "acme-1", MaxInflight: 2, Timeout: 20 * time.Second,
	}
	line := func(c *config.Config, _ build) (providers.Provider, error) {
		return &providertest.Stub{
			Vendor: row.Name,
			ChatFunc: func(_ context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
				on(providers.Delta{Content: "from " + req.Model.ID})
				return &providers.ChatResponse{Content: "from " + req.Model.ID, FinishReason: providers.FinishStop, Model: req.Model.ID}, nil
			},
			ListModelsFunc: func(context.Context) ([]providers.Model, error) {
				return []providers.Model{{ID: "acme-1", Provider: row.Name}}, nil
			},
		}, nil
	}
	s := newSite(t, "GLM_API_KEY=", "KIMI_API_KEY=", "EXAMPLE_KEY=acme-secret", "ACME_MAX_INFLIGHT=3", "ACME_TIMEOUT_SECS=25", "LOG_LEVEL=error",
		"CONVERSATION_STORAGE_BACKEND=memory")
	var out, errs bytes.Buffer
	a := &app{environ: s.environ, out: &out, errw: &errs, moreVendors: []config.VendorRow{row}, moreProviders: []newProvider{line}}
	cfg, err := a.load()
	require.NoError(t, err)
	acme := cfg.Vendor("acme")
	assert.Equal(t, "acme-secret", acme.APIKey.Reveal())
	assert.Equal(t, 3, acme.MaxInflight)
	assert.Equal(t, "ACME_TIMEOUT_SECS=25s", cfg.Timeouts.Vendor("acme").String())
	assert.Equal(t, "environment, as EXAMPLE_KEY", cfg.Source("ACME_API_KEY"))

	p, err := a.assemble(cfg, io.Discard)
	require.NoError(t, err)
	defer func() { p.close(time.Now().Add(goneWithin)) }()
	call := func(name, arguments string) string {
		r := p.dispatch.Call(t.Context(), tool.Invocation{ID: "1", Tool: name, Arguments: json.RawMessage(arguments)})
		text, err := r.JSON()
		require.NoError(t, err)
		assert.False(t, r.IsError, string(text))
		assert.NotContains(t, string(text), "acme-secret")
		return string(text)
	}
	for _, arguments := range []string{`{"prompt":"x"}`, `{"prompt":"x","model":"acme-2"}`, `{"prompt":"acme-secret"}`} {
		assert.Contains(t, call("chat", arguments), `"provider_used":"acme"`)
	}
	assert.Contains(t, call("chat", `{"prompt":"x","model":"acme-2"}`), `"content":"from acme-2"`)
	assert.Contains(t, call("version", `{}`), "Acme (Example)")
	assert.Contains(t, call("listmodels", `{}`), "## Acme (Example)")
	assert.Contains(t, call("status", `{}`), `"providers_configured":["acme"]`)
	assert.Contains(t, call("status", `{}`), `"ACME_TIMEOUT_SECS"`)
	assert.Contains(t, call("health", `{}`), `"acme":{"configured":true,"requests":4`)
	assert.Contains(t, call("provider_capabilities", `{}`), `"acme":{"configured":true`)

	require.NoError(t, a.doctor(t.Context(), false, false, false), out.String())
	assert.Contains(t, out.String(), "ok      Acme (Example) takes the key (environment, as EXAMPLE_KEY) and lists 1 model")
	out.Reset()
	require.NoError(t, a.showConfig(false))
	assert.Regexp(t, `ACME_API_KEY +\*{8} +environment, as EXAMPLE_KEY`, out.String())
	assert.Regexp(t, `ACME_API_URL +https://acme.example/v1 +default`, out.String())

	a.environ = append(s.environ, "EXAMPLE_KEY=", "ACME_MAX_INFLIGTH=3", "ALLOWED_PROVIDERS=acme")
	out.Reset()
	require.Error(t, a.doctor(t.Context(), true, false, false))
	assert.Contains(t, out.String(), "ACME_API_KEY (https://acme.example/keys)")
	assert.Contains(t, out.String(), "did you mean ACME_MAX_INFLIGHT?")
	a.environ = append(s.environ, "ACME_API_URL=nonsense")
	_, err = a.load()
	require.ErrorContains(t, err, `ACME_API_URL="nonsense" (environment): accepted: a URL`)
}
