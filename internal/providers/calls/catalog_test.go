package calls

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

func at(day string) func() time.Time {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		panic(err)
	}
	return func() time.Time { return t }
}

// TestBuiltinModels holds the embedded rows to what the call path relies on.
func TestBuiltinModels(t *testing.T) {
	assert.Less(t, len(builtinModels), 30_000)
	catalog, err := NewCatalog("")
	require.NoError(t, err)
	assert.Equal(t, len(catalog.models), len(BuiltinModels("glm"))+len(BuiltinModels("kimi")))
	scale := []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"}
	for _, m := range catalog.Models("") {
		v := vendorOfModel(config.BuiltInVendors(), m.ID)
		assert.True(t, v == "" || v == m.Provider, "%s belongs to %s", m.ID, m.Provider)
		assert.Contains(t, []providers.Status{providers.StatusActive, providers.StatusRetiring, providers.StatusRetired, providers.StatusUnverified}, m.Status, m.ID)
		if m.Status == providers.StatusActive && m.Functions {
			assert.Positive(t, m.ContextWindow, m.ID)
			assert.Positive(t, m.MaxOutput, m.ID)
			assert.NotNil(t, m.Price, m.ID)
		}
		if m.Status == providers.StatusRetired {
			assert.NotEmpty(t, m.RetiredOn, m.ID)
			assert.NotEmpty(t, m.Replacement, m.ID)
		}
		for _, day := range []string{m.RetiresOn, m.RetiredOn} {
			_, err := time.Parse(time.DateOnly, day)
			assert.True(t, day == "" || err == nil, "%s: %s is no date", m.ID, day)
		}
		if m.NativeSearch {
			assert.Equal(t, "glm", m.Provider, m.ID)
		}
		for i, e := range m.Thinking.Efforts {
			rank := slices.Index(scale, e)
			assert.GreaterOrEqual(t, rank, 0, "%s: %s is no effort", m.ID, e)
			assert.True(t, i == 0 || slices.Index(scale, m.Thinking.Efforts[i-1]) < rank, "%s: weakest first", m.ID)
		}
		if m.Replacement != "" {
			next, ok := catalog.Lookup(m.Replacement)
			assert.True(t, ok && !next.Unlisted, "%s: replacement %s", m.ID, m.Replacement)
		}
	}
	for _, id := range []string{"kimi-k3", "kimi-k3.1-pro", "kimi-k2.7-code", "kimi-k2.6"} {
		m, ok := catalog.Lookup(id)
		require.True(t, ok)
		assert.Nil(t, m.Temperature, "%s refuses every temperature but its own", id)
	}
}

func TestLookup(t *testing.T) {
	catalog, err := NewCatalog("")
	require.NoError(t, err)
	for name, want := range map[string]string{
		"glm-5.3":             "glm-5.3",
		"GLM-5.3":             "glm-5.3",
		" glm-5.3-Flash ":     "glm-5.3-flash",
		"kimi-k2":             "kimi-k2-0905-preview",
		"Kimi-Latest-8k":      "kimi-latest",
		"kimi-thinking":       "kimi-thinking-preview",
		"kimi-k2-turbo":       "kimi-k2-turbo-preview",
		"glm-9":               "glm-9",
		"glm-5.3[1m]":         "glm-5.3",
		"Kimi-K9-ultra":       "Kimi-K9-ultra",
		"moonshot-v2-preview": "moonshot-v2-preview",
	} {
		m, ok := catalog.Lookup(name)
		assert.True(t, ok, name)
		assert.Equal(t, want, m.ID, name)
	}
	for _, name := range []string{"", "gpt-4", "glm", "glm-", "kimi", "claude-kimi-1", "k3"} {
		_, ok := catalog.Lookup(name)
		assert.False(t, ok, name)
	}
	m, _ := catalog.Lookup("glm-9")
	assert.Equal(t, providers.Model{
		ID: "glm-9", Provider: "glm", Status: providers.StatusUnverified, Unlisted: true, ContextWindow: unlistedWindow,
	}, m)
}

func TestCurrentFollowsRetirements(t *testing.T) {
	for _, c := range []struct {
		today, name, want string
		notes             []string
	}{
		{"2026-06-01", "glm-5.3", "glm-5.3", nil},
		{"2026-06-01", "kimi-k2.6", "kimi-k2.6", nil},
		{"2026-11-23", "kimi-k2.6", "kimi-k2.6", []string{"kimi-k2.6 retires on 2026-12-31; use kimi-k3.1-pro instead."}},
		{"2026-12-31", "kimi-k2.6", "kimi-k3.1-pro", []string{"kimi-k2.6 was retired on 2026-12-31; kimi-k3.1-pro answers in its place."}},
		{"2026-11-23", "kimi-k2.5", "kimi-k3", []string{"kimi-k2.5 was retired on 2026-08-31; kimi-k3 answers in its place."}},
		{"2026-11-23", "moonshot-v1-8k", "kimi-k3", []string{"moonshot-v1-8k was retired on 2026-08-31; kimi-k3 answers in its place."}},
		{"2026-11-23", "kimi-latest-128k", "kimi-k3", []string{"kimi-latest was retired on 2026-01-28; kimi-k3 answers in its place."}},
	} {
		catalog, err := NewCatalog("")
		require.NoError(t, err)
		catalog.SetNow(at(c.today))
		m, ok := catalog.Lookup(c.name)
		require.True(t, ok)
		current, notes := catalog.Current(m)
		assert.Equal(t, c.want, current.ID, "%s on %s", c.name, c.today)
		assert.Equal(t, c.notes, notes, "%s on %s", c.name, c.today)
	}
}

func TestCurrentFollowsAChainOfRetirements(t *testing.T) {
	catalog, err := NewCatalog(write(t, `[{"id":"kimi-k2.5","replacement":"kimi-k2.6"}]`))
	require.NoError(t, err)
	catalog.SetNow(at("2027-01-15"))
	m, _ := catalog.Lookup("kimi-k2.5")
	current, notes := catalog.Current(m)
	assert.Equal(t, "kimi-k3.1-pro", current.ID)
	assert.Equal(t, []string{
		"kimi-k2.5 was retired on 2026-08-31; kimi-k2.6 answers in its place.",
		"kimi-k2.6 was retired on 2026-12-31; kimi-k3.1-pro answers in its place.",
	}, notes)
}

// Rows of a MODELS_FILE may retire a model in any way, and name each other in a ring.
func TestCurrentOfAnOperatorsRows(t *testing.T) {
	catalog, err := NewCatalog(write(t, `[
		{"id":"glm-6-status","status":"retired","replacement":"glm-5.3"},
		{"id":"glm-6-retired","retired_on":"2026-11-01","replacement":"glm-5.3"},
		{"id":"glm-6-lost","status":"retired","replacement":"nothing-known"},
		{"id":"glm-6-self","status":"retired","replacement":"glm-6-self"},
		{"id":"glm-6-a","status":"retired","replacement":"glm-6-b"},
		{"id":"glm-6-b","status":"retired","replacement":"glm-6-c"},
		{"id":"glm-6-c","status":"retired","replacement":"glm-6-b"}
	]`))
	require.NoError(t, err)
	catalog.SetNow(at("2026-11-23"))
	for name, c := range map[string]struct {
		current string
		notes   []string
	}{
		"glm-6-status":  {"glm-5.3", []string{"glm-6-status is retired; glm-5.3 answers in its place."}},
		"glm-6-retired": {"glm-5.3", []string{"glm-6-retired was retired on 2026-11-01; glm-5.3 answers in its place."}},
		"glm-6-lost":    {"glm-6-lost", nil},
		"glm-6-self":    {"glm-6-self", nil},
		"glm-6-a": {"glm-6-c", []string{
			"glm-6-a is retired; glm-6-b answers in its place.", "glm-6-b is retired; glm-6-c answers in its place.",
		}},
	} {
		m, ok := catalog.Lookup(name)
		require.True(t, ok)
		assert.True(t, catalog.Retired(m), name)
		current, notes := catalog.Current(m)
		assert.Equal(t, c.current, current.ID, name)
		assert.Equal(t, c.notes, notes, name)
	}
}

func TestRetiring(t *testing.T) {
	catalog, err := NewCatalog("")
	require.NoError(t, err)
	catalog.SetNow(at("2026-11-01"))
	assert.Len(t, catalog.Retiring(), 3, "60 days before the end")
	catalog.SetNow(at("2026-10-31"))
	assert.Empty(t, catalog.Retiring())
	catalog.SetNow(at("2027-01-01"))
	assert.Empty(t, catalog.Retiring(), "what is gone does not retire any more")
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "models.json")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func TestModelsFileIsMerged(t *testing.T) {
	catalog, err := NewCatalog(write(t, `[
		{"id":"glm-5.3","price":{"input":9,"cached_input":8,"output":7},"aliases":["best"],"temperature":null},
		{"id":"glm-6","context_window":2000000,"thinking":{"toggle":true}},
		{"id":"house-model","provider":"kimi","images":true}
	]`))
	require.NoError(t, err)
	m, ok := catalog.Lookup("best")
	require.True(t, ok)
	assert.Equal(t, "glm-5.3", m.ID)
	assert.Equal(t, 9.0, m.Price.Input)
	assert.Nil(t, m.Temperature, "null takes a field away")
	assert.Equal(t, []string{"low", "high", "max"}, m.Thinking.Efforts, "what the row does not name stays")
	m, ok = catalog.Lookup("glm-6")
	require.True(t, ok)
	assert.Equal(t, providers.Model{ID: "glm-6", Provider: "glm", Status: providers.StatusActive, ContextWindow: 2_000_000, Thinking: providers.Thinking{Toggle: true}}, m)
	m, ok = catalog.Lookup("house-model")
	require.True(t, ok)
	assert.Equal(t, "kimi", m.Provider)

	again, err := NewCatalog("")
	require.NoError(t, err)
	m, _ = again.Lookup("glm-5.3")
	assert.Equal(t, 1.4, m.Price.Input, "the embedded row is untouched")
}

func TestModelsFileErrorsSayWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"no JSON":        {`nothing`, "invalid character"},
		"no list":        {`{"models":5}`, "cannot unmarshal number"},
		"no id":          {`[{"provider":"glm"}]`, "row 1 has no id"},
		"a blank id":     {`[{"id":"glm-6"},{"id":" "}]`, "row 2 has no id"},
		"a number as id": {`[{"id":5}]`, "row 1 has no id"},
		"no such field":  {`[{"id":"glm-6","contextwindow":5}]`, `model "glm-6": json: unknown field "contextwindow"`},
		"no such vendor": {`[{"id":"gpt-4"}]`, `model "gpt-4": provider must be "glm" or "kimi"`},
		"no date":        {`[{"id":"glm-6","retires_on":"soon"}]`, `"soon" is not a date`},
		"a low price":    {`[{"id":"glm-6","price":{"input":1,"output":-1}}]`, `model "glm-6": price -1: expected USD per million tokens, 0 or more`},
		"a taken name":   {`{"models":[{"id":"glm-6","aliases":["GLM-5"]}]}`, `the name "GLM-5" belongs to glm-5 already`},
	} {
		_, err := NewCatalog(write(t, c.text))
		require.ErrorContains(t, err, c.says, name)
		assert.ErrorContains(t, err, "MODELS_FILE", name)
	}
	_, err := NewCatalog(filepath.Join(t.TempDir(), "absent.json"))
	require.ErrorContains(t, err, "MODELS_FILE")
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

func TestLearnAddsWhatIsUnknown(t *testing.T) {
	catalog, err := NewCatalog("")
	require.NoError(t, err)
	catalog.Learn("kimi", []providers.Model{
		{ID: "kimi-k3", ContextWindow: 1},
		{ID: "kimi-k4", ContextWindow: 4_000_000, MaxOutput: 9_000, Images: true, Functions: true, Thinking: providers.Thinking{Always: true}},
		{ID: "oddly-named"},
		{},
	})
	m, _ := catalog.Lookup("kimi-k3")
	assert.Equal(t, 1_048_576, m.ContextWindow, "a known row stays")
	m, _ = catalog.Lookup("KIMI-K4")
	assert.Equal(t, providers.Model{
		ID: "kimi-k4", Provider: "kimi", Status: providers.StatusUnverified, Unlisted: true, ContextWindow: 4_000_000, MaxOutput: 9_000, Images: true,
		Functions: true, Thinking: providers.Thinking{Always: true},
	}, m)
	m, ok := catalog.Lookup("oddly-named")
	assert.True(t, ok && m.Unlisted && m.Provider == "kimi")
	assert.Equal(t, unlistedWindow, m.ContextWindow)
	_, ok = catalog.Lookup("")
	assert.False(t, ok, "what has no name is no model")
}

func TestAListMarksWhatItLacks(t *testing.T) {
	catalog, err := NewCatalog("")
	require.NoError(t, err)
	unavailable := func(name string) bool {
		m, ok := catalog.Lookup(name)
		require.True(t, ok)
		return m.Unavailable
	}
	catalog.Learn("kimi", nil)
	assert.False(t, unavailable("kimi-k3"), "a vendor without a list says nothing")
	catalog.Learn("kimi", []providers.Model{{ID: "Kimi-K3"}, {ID: "kimi-k4"}})
	assert.True(t, unavailable("kimi-k3.1-pro"))
	assert.False(t, unavailable("kimi-k3"))
	assert.False(t, unavailable("kimi-k4"))
	assert.False(t, unavailable("glm-5.3"), "another vendor's list")
	catalog.Learn("kimi", []providers.Model{{ID: "kimi-k3.1-pro"}})
	assert.False(t, unavailable("kimi-k3.1-pro"), "a later list decides again")

	pro, _ := catalog.Lookup("kimi-k3.1-pro")
	catalog.MarkRefused(pro)
	catalog.Learn("kimi", []providers.Model{{ID: "kimi-k3.1-pro"}})
	assert.True(t, unavailable("kimi-k3.1-pro"), "what the vendor answered counts more than its list")
	catalog.MarkServed(pro)
	assert.False(t, unavailable("kimi-k3.1-pro"))
	catalog.Learn("kimi", []providers.Model{{ID: "kimi-k3.1-pro"}})
	assert.False(t, unavailable("kimi-k3.1-pro"))
	catalog.MarkRefused(providers.Model{ID: "kimi-unheard-of"}) // a name that a caller gave
	catalog.MarkServed(providers.Model{ID: "kimi-unheard-of"})
}

func TestCost(t *testing.T) {
	u := providers.Usage{InputTokens: 300, CachedTokens: 40, OutputTokens: 30}
	assert.Equal(t, 0.0005064, (&providers.Price{Input: 1.4, CachedInput: 0.26, Output: 4.4}).Cost(u))
	assert.Equal(t, 0.00055200, (&providers.Price{Input: 1.4, Output: 4.4}).Cost(u), "a cached token without a price of its own costs the full one")
	assert.Zero(t, (&providers.Price{}).Cost(u))
	assert.Zero(t, (*providers.Price)(nil).Cost(u))
	sum := providers.Usage{CostUSD: 0.1}.Plus(providers.Usage{CostUSD: 0.2})
	assert.Equal(t, 0.3, sum.CostUSD, "0.1 + 0.2 has a tail in binary")
	assert.Equal(t, 1.5e-7, (&providers.Price{Input: 0.15}).Cost(providers.Usage{InputTokens: 1}), "a single token is seen")
}
