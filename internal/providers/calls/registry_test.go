package calls_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/providers/providertest"
)

func on(day string) func() time.Time {
	return func() time.Time { t, _ := time.Parse(time.DateOnly, day); return t }
}

func TestResolve(t *testing.T) {
	for _, c := range []struct {
		name  string
		set   func(*config.Config)
		query calls.Query
		want  []string
		notes []string // of the first
	}{
		{"fast", nil, calls.Query{Category: providers.CategoryFast}, []string{"glm-5.3-flash", "kimi-k3.1-pro"}, nil},
		{"reasoning", nil, calls.Query{Category: providers.CategoryReasoning}, []string{"glm-5.3", "kimi-k3.1-pro"}, nil},
		{"files", nil, calls.Query{Category: providers.CategoryFiles}, []string{"kimi-k3.1-pro", "glm-5.3"}, nil},
		{"no category counts as fast", nil, calls.Query{}, []string{"glm-5.3-flash", "kimi-k3.1-pro"}, nil},
		{
			"reasoning with images: GLM's quality model is blind", nil,
			calls.Query{Category: providers.CategoryReasoning, Needs: providers.Needs{Images: true}},
			[]string{"kimi-k3.1-pro", "glm-5.3-flash"},
			nil,
		},
		{
			"more than a window holds", func(c *config.Config) { c.GLM.SpeedModel = "glm-4.6" },
			calls.Query{Needs: providers.Needs{Tokens: 500_000}},
			[]string{"kimi-k3.1-pro", "glm-5.3"},
			nil,
		},
		{
			"restricted to a model that nobody configured", func(c *config.Config) { c.GLM.AllowedModels = []string{"glm-4.5", "glm-4.6"} },
			calls.Query{},
			[]string{"kimi-k3.1-pro", "glm-4.5"},
			nil,
		},
		{"one vendor alone", func(c *config.Config) { c.GLM.APIKey = "" }, calls.Query{}, []string{"kimi-k3.1-pro"}, nil},
		{"one vendor allowed", func(c *config.Config) { c.Models.AllowedProviders = []string{"KIMI"} }, calls.Query{}, []string{"kimi-k3.1-pro"}, nil},
		{"a tool bound to Kimi", nil, calls.Query{Provider: "kimi"}, []string{"kimi-k3.1-pro"}, nil},
		{
			"a tool bound to Kimi, with its own default", func(c *config.Config) { c.KimiTools.DefaultModel = "kimi-k3" },
			calls.Query{Provider: "kimi"},
			[]string{"kimi-k3"},
			nil,
		},
		{"a tool bound to GLM", nil, calls.Query{Provider: "glm"}, []string{"glm-5.3-flash"}, nil},
		{"the operator's default", func(c *config.Config) { c.Models.Default = "kimi-k3" }, calls.Query{}, []string{"kimi-k3", "glm-5.3-flash"}, nil},
		{
			"auto leaves the choice, so the operator's default stands", func(c *config.Config) { c.Models.Default = "kimi-k3" },
			calls.Query{Model: " Auto "},
			[]string{"kimi-k3", "glm-5.3-flash"},
			nil,
		},
		{
			"an operator's default that can't see", func(c *config.Config) { c.Models.Default = "glm-4.6" },
			calls.Query{Needs: providers.Needs{Images: true}},
			[]string{"glm-5.3-flash", "kimi-k3.1-pro"},
			nil,
		},
		{"the conversation's model", func(c *config.Config) { c.Models.Default = "kimi-k3" }, calls.Query{Prefer: "glm-4.6"}, []string{"glm-4.6", "kimi-k3"}, nil},
		{
			"a conversation's model that cannot take it", nil,
			calls.Query{Prefer: "glm-4.6", Needs: providers.Needs{Images: true}},
			[]string{"glm-5.3-flash", "kimi-k3.1-pro"},
			[]string{"glm-4.6, which answered before, cannot take this request; glm-5.3-flash answers."},
		},
		{
			"too long for the fast model: the other category's", func(c *config.Config) { c.GLM.SpeedModel, c.GLM.QualityModel = "glm-4.6", "glm-5.2" },
			calls.Query{Provider: "glm", Category: providers.CategoryFast, Needs: providers.Needs{Tokens: 300_000}},
			[]string{"glm-5.2"},
			nil,
		},
		{
			"images for the quality model: the other category's", func(c *config.Config) { c.GLM.SpeedModel = "glm-4.6v" },
			calls.Query{Provider: "glm", Category: providers.CategoryReasoning, Needs: providers.Needs{Images: true}},
			[]string{"glm-4.6v"},
			nil,
		},
		{
			"a conversation's model that the tool does not ask", nil,
			calls.Query{Provider: "glm", Prefer: "kimi-k3"},
			[]string{"glm-5.3-flash"},
			[]string{"kimi-k3, which answered before, cannot take this request; glm-5.3-flash answers."},
		},
		{"a named model is alone", nil, calls.Query{Model: "GLM-4.6", Prefer: "kimi-k3"}, []string{"glm-4.6"}, nil},
		{"an alias of a retired name", nil, calls.Query{Model: "kimi-k2"}, []string{"kimi-k3"}, []string{
			"kimi-k2 is an alias of kimi-k2-0905-preview.",
			"kimi-k2-0905-preview was retired on 2026-05-25; kimi-k3 answers in its place.",
		}},
		{
			"a name that nobody listed", nil,
			calls.Query{Model: "glm-7"},
			[]string{"glm-7"},
			[]string{"glm-7 is not in the catalogue: what it can do is guessed cautiously."},
		},
		{
			"allowed by an alias of its predecessor", func(c *config.Config) { c.Kimi.AllowedModels = []string{"kimi-k2"} },
			calls.Query{Provider: "kimi"},
			[]string{"kimi-k3"},
			nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := setUp(t, c.set)
			b.reg.Catalog().SetNow(on("2026-10-01"))
			list, err := b.reg.Resolve(c.query)
			require.NoError(t, err)
			var ids []string
			for _, candidate := range list {
				ids = append(ids, candidate.Model.ID)
			}
			assert.Equal(t, c.want, ids)
			if c.name != "allowed by an alias of its predecessor" {
				assert.Equal(t, c.notes, list[0].Notes)
			}
		})
	}
}

// TestAutoSkipsWhatTheKeyLacks: a key without the newest model works.
func TestAutoSkipsWhatTheKeyLacks(t *testing.T) {
	listed := func(ids ...string) (list []providers.Model) {
		for _, id := range ids {
			list = append(list, providers.Model{ID: id, Thinking: providers.Thinking{Always: id == "k3"}})
		}
		return list
	}
	for _, c := range []struct {
		name  string
		kimi  []providers.Model // its list
		query calls.Query
		want  []string
		note  string // of the Kimi model
	}{
		{
			"the next model of that vendor", listed("kimi-k3", "kimi-k2.6"),
			calls.Query{Category: providers.CategoryFiles},
			[]string{"kimi-k3", "glm-5.3"},
			"kimi-k3.1-pro is not available with this API key; kimi-k3 answers.",
		},
		{
			"one that fits", listed("glm-4.6", "kimi-k2.6"),
			calls.Query{Provider: "kimi", Needs: providers.Needs{Tokens: 200_000}},
			[]string{"kimi-k2.6"},
			"kimi-k3.1-pro is not available with this API key; kimi-k2.6 answers.",
		},
		{
			"what only the list has, where it thinks", listed("text-embedding", "k3"),
			calls.Query{Provider: "kimi"},
			[]string{"k3"},
			"kimi-k3.1-pro is not available with this API key; k3 answers.",
		},
		{"nothing at all: the vendor is left out", listed("text-embedding"), calls.Query{Category: providers.CategoryFiles}, []string{"glm-5.3"}, ""},
		{"... but not where it is the only one", listed("text-embedding"), calls.Query{Provider: "kimi"}, []string{"kimi-k3.1-pro"}, ""},
		{"a named model is asked all the same", listed("kimi-k3"), calls.Query{Model: "kimi-k3.1-pro"}, []string{"kimi-k3.1-pro"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := setUp(t, nil)
			b.reg.Catalog().SetNow(on("2026-10-01"))
			b.reg.Catalog().Learn("kimi", c.kimi)
			list, err := b.reg.Resolve(c.query)
			require.NoError(t, err)
			var ids []string
			for _, candidate := range list {
				ids = append(ids, candidate.Model.ID)
				if c.note != "" && candidate.Model.Provider == "kimi" {
					assert.Contains(t, candidate.Notes, c.note)
				}
			}
			assert.Equal(t, c.want, ids)
		})
	}
}

func TestResolveRefusals(t *testing.T) {
	noKeys := func(c *config.Config) { c.GLM.APIKey, c.Kimi.APIKey = "", "" }
	for _, c := range []struct {
		name  string
		set   func(*config.Config)
		query calls.Query
		kind  providers.Kind
		says  []string // in message or hint
	}{
		{"no keys at all", noKeys, calls.Query{}, providers.KindNotConfigured, []string{"GLM_API_KEY", "ZAI_API_KEY", "KIMI_API_KEY", "MOONSHOT_API_KEY"}},
		{"no key for the named model", func(c *config.Config) { c.Kimi.APIKey = "" }, calls.Query{Model: "kimi-k3"}, providers.KindNotConfigured, []string{"KIMI_API_KEY", "Kimi (Moonshot)"}},
		{"no key for the bound tool", func(c *config.Config) { c.Kimi.APIKey = "" }, calls.Query{Provider: "kimi"}, providers.KindNotConfigured, []string{"KIMI_API_KEY"}},
		{"a vendor that is switched off", func(c *config.Config) { c.Models.DisabledProviders = []string{"kimi"} }, calls.Query{Model: "kimi-k3"}, providers.KindNotConfigured, []string{"DISABLED_PROVIDERS"}},
		{"a vendor that is not allowed", func(c *config.Config) { c.Models.AllowedProviders = []string{"glm"} }, calls.Query{Model: "kimi-k3"}, providers.KindNotConfigured, []string{"ALLOWED_PROVIDERS"}},
		{"all vendors off", func(c *config.Config) { c.Models.DisabledProviders = []string{"kimi", "glm"} }, calls.Query{}, providers.KindNotConfigured, []string{"DISABLED_PROVIDERS"}},
		{"a name that means nothing", nil, calls.Query{Model: "gpt-4o"}, providers.KindModelNotFound, []string{"gpt-4o", "listmodels"}},
		{"a slip", nil, calls.Query{Model: "gml-5.3"}, providers.KindModelNotFound, []string{"gml-5.3", "Did you mean glm-5.3"}},
		{"a model that is not allowed", func(c *config.Config) { c.GLM.AllowedModels = []string{"glm-4.6"} }, calls.Query{Model: "glm-5"}, providers.KindModelNotFound, []string{"GLM_ALLOWED_MODELS", "glm-4.6"}},
		{"a blind model and images", nil, calls.Query{Model: "glm-5.3", Needs: providers.Needs{Images: true}}, providers.KindInvalidRequest, []string{"glm-5.3 cannot see images"}},
		{"the other vendor's model", nil, calls.Query{Model: "glm-5.3", Provider: "kimi"}, providers.KindInvalidRequest, []string{"glm-5.3 is not a Kimi"}},
		{"no model sees", func(c *config.Config) { c.Kimi.APIKey, c.GLM.AllowedModels = "", []string{"glm-4.6"} }, calls.Query{Needs: providers.Needs{Images: true}}, providers.KindInvalidRequest, []string{"None of the models that may be used can see images."}},
		{"no window is that wide", nil, calls.Query{Needs: providers.Needs{Tokens: 5_000_000}}, providers.KindInvalidRequest, []string{"None of the models that may be used can take 5000000 tokens."}},
		{"nor the conversation's", nil, calls.Query{Prefer: "glm-4.6", Needs: providers.Needs{Tokens: 5_000_000}}, providers.KindInvalidRequest, []string{"5000000 tokens"}},
		{"no model sees, calls and is that wide", nil, calls.Query{Needs: providers.Needs{Tokens: 5_000_000, Images: true, Functions: true}}, providers.KindInvalidRequest, []string{
			"None of the models that may be used can see images and call functions and take 5000000 tokens. Check GLM_ALLOWED_MODELS and KIMI_ALLOWED_MODELS; listmodels shows what may be used.",
		}},
		{"no such provider", nil, calls.Query{Provider: "openai"}, providers.KindInvalidRequest, []string{`Unknown provider "openai".`, "Use glm or kimi."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := setUp(t, c.set)
			list, err := b.reg.Resolve(c.query)
			assert.Empty(t, list)
			e := failure(t, err)
			assert.Equal(t, c.kind, e.Kind)
			for _, says := range c.says {
				assert.Contains(t, e.Message+" "+e.Hint, says)
			}
			if name := c.query.Model; e.Kind == providers.KindNotConfigured || e.Kind == providers.KindModelNotFound {
				assert.Equal(t, name, e.Model, "the model that was named")
			}
			out, err := b.caller.Call(t.Context(), calls.Call{
				Model: c.query.Model, Provider: c.query.Provider, Category: c.query.Category, Needs: c.query.Needs,
			})
			assert.Nil(t, out)
			assert.Equal(t, c.kind, failure(t, err).Kind)
			assert.Empty(t, b.seen.attempts, "nobody is asked")
		})
	}
}

func TestNewRegistryRefusesWhatItCannotMean(t *testing.T) {
	for says, set := range map[string]func(*config.Config){
		"DISABLED_PROVIDERS=openai: accepted are glm and kimi": func(c *config.Config) { c.Models.DisabledProviders = []string{"openai"} },
		"GLM_ALLOWED_MODELS=kimi-k3":                           func(c *config.Config) { c.GLM.AllowedModels = []string{"kimi-k3"} },
		"DEFAULT_MODEL=gpt-4":                                  func(c *config.Config) { c.Models.Default = "gpt-4" },
		"a model's name, an endpoint's as lab/qwen3.":          func(c *config.Config) { c.Models.Default, c.Models.Endpoints = "qwen3", []string{"lab"} },
		"KIMI_QUALITY_MODEL=glm-5.3":                           func(c *config.Config) { c.Kimi.QualityModel = "glm-5.3" },
		"GLM_SPEED_MODEL=speedy":                               func(c *config.Config) { c.GLM.SpeedModel = "speedy" },
		"MODELS_FILE":                                          func(c *config.Config) { c.Models.File = "/nonexistent/models.json" },
		"no configuration belongs to":                          nil,
	} {
		cfg := config.Default()
		list := []providers.Provider{&providertest.Stub{Vendor: "glm"}}
		if set != nil {
			set(cfg)
		} else {
			list[0] = &providertest.Stub{Vendor: "other"}
		}
		_, err := calls.NewRegistry(cfg, list...)
		assert.ErrorContains(t, err, says)
	}
}

func TestProvidersBringModels(t *testing.T) {
	cfg := config.Default()
	_, err := calls.NewRegistry(cfg, &providertest.Stub{Vendor: "glm", Catalogue: []providers.Model{{ID: "glm-house", Aliases: []string{"glm-5.3"}}}})
	require.EqualError(t, err, `models of glm: the name "glm-5.3" belongs to glm-5.3 already`)

	file := filepath.Join(t.TempDir(), "models.json")
	require.NoError(t, os.WriteFile(file, []byte(`[{"id":"lab/big","price":{"input":1,"output":2}}]`), 0o600))
	cfg, err = config.Load(config.Options{Environ: []string{"ENDPOINTS=lab", "LAB_API_URL=https://lab.test/v1", "MODELS_FILE=" + file}})
	require.NoError(t, err)
	lab := &providertest.Stub{Vendor: "lab", Catalogue: []providers.Model{{ID: "lab/big", Provider: "lab", Status: providers.StatusActive, MaxOutput: 700}}}
	reg, err := calls.NewRegistry(cfg, lab)
	require.NoError(t, err)
	m, ok := reg.Catalog().Lookup("lab/big")
	require.True(t, ok)
	assert.Equal(t, 700, m.MaxOutput, "the file is merged on top of what an endpoint's provider brings along")
	assert.Equal(t, &providers.Price{Input: 1, Output: 2}, m.Price)
	_, err = reg.Provider("nobody")
	assert.Equal(t, "Use glm, kimi or lab.", failure(t, err).Hint)
}

// closing is a provider that can be closed.
type closing struct {
	providertest.Stub
	err    error
	closed int
}

func (c *closing) Close() error { c.closed++; return c.err }

// quietlyClosing is a provider whose closing cannot fail, as the vendors' own.
type quietlyClosing struct {
	providertest.Stub
	closed bool
}

func (c *quietlyClosing) Close() { c.closed = true }

func TestRegistryOwnsItsProviders(t *testing.T) {
	cfg := config.Default()
	cfg.GLM.APIKey, cfg.Kimi.APIKey = "k", "k"
	file := filepath.Join(t.TempDir(), "models.json")
	require.NoError(t, os.WriteFile(file, []byte(`[{"id":"glm-6","status":"active"}]`), 0o600))
	cfg.Models.File = file
	glm := &closing{Stub: providertest.Stub{Vendor: "glm", Catalogue: []providers.Model{{ID: "glm-5.3"}, {ID: "glm-house", Provider: "glm", Images: true}}}}
	kimi := &closing{Stub: providertest.Stub{Vendor: "kimi"}, err: errors.New("stuck")}
	reg, err := calls.NewRegistry(cfg, kimi, glm)
	require.NoError(t, err)

	p, err := reg.Provider("kimi")
	require.NoError(t, err)
	assert.Same(t, kimi, p)
	assert.Equal(t, []providers.Provider{glm, kimi}, reg.Providers(), "in the order of auto")
	m, ok := reg.Catalog().Lookup("glm-house")
	assert.True(t, ok && m.Images, "a provider may know models that the catalogue lacks")
	var ids []string
	for _, m := range reg.Models() {
		ids = append(ids, m.ID)
	}
	assert.Contains(t, ids, "glm-6")
	assert.NotContains(t, ids, "kimi-k2.5", "retired")

	require.ErrorContains(t, reg.Close(), "stuck")

	quiet := &quietlyClosing{Stub: providertest.Stub{Vendor: "glm"}}
	reg, err = calls.NewRegistry(cfg, quiet)
	require.NoError(t, err)
	require.NoError(t, reg.Close())
	assert.True(t, quiet.closed)
	assert.Equal(t, 1, glm.closed)
	assert.Equal(t, 1, kimi.closed)
}

func TestModelsHidesWhatMayNotBeAsked(t *testing.T) {
	b := setUp(t, func(c *config.Config) { c.GLM.AllowedModels, c.Kimi.APIKey = []string{"glm-4.6"}, "" })
	models := b.reg.Models()
	require.Len(t, models, 1)
	assert.Equal(t, "glm-4.6", models[0].ID)
}

func TestRefreshModels(t *testing.T) {
	inFakeTime(t, func(c *config.Config) { c.Calls.MaxRetries = 1 }, func(t *testing.T, b *fixture) {
		b.kimi.ListModelsFunc = func(context.Context) ([]providers.Model, error) {
			return []providers.Model{{ID: "kimi-k3"}, {ID: "kimi-k5", Images: true}}, nil
		}
		b.glm.ListModelsFunc = func(ctx context.Context) ([]providers.Model, error) {
			pause(ctx, forever)
			return nil, &providers.Error{Kind: providers.KindTimeout}
		}
		start := time.Now()
		b.caller.RefreshModels(t.Context())
		assert.Equal(t, 30*time.Second, time.Since(start), "bounded, whatever a vendor does")
		m, ok := b.reg.Catalog().Lookup("kimi-k5")
		assert.True(t, ok && m.Unlisted && m.Images)
		assert.Equal(t, []string{"GLM_TIMEOUT_SECS=30s"}, b.seen.names())
	})
}
