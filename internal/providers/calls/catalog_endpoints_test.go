package calls

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// endpointCatalog is a catalogue with the endpoints ollama, which is local, and lab, and an operator's rows.
func endpointCatalog(t *testing.T, rows string, brought ...providers.Model) *Catalog {
	t.Helper()
	cfg, err := config.Load(config.Options{Environ: []string{"ENDPOINTS=ollama,lab", "LAB_API_URL=https://lab.test/v1"}})
	require.NoError(t, err)
	catalog, err := newCatalog(write(t, rows), cfg.VendorRows(), brought)
	require.NoError(t, err)
	return catalog
}

func lookup(t *testing.T, catalog *Catalog, name string) providers.Model {
	t.Helper()
	m, ok := catalog.Lookup(name)
	require.True(t, ok, name)
	return m
}

// A model that only its endpoint's list has is what the latest list says.
func TestAnEndpointsListIsTakenAgain(t *testing.T) {
	catalog := endpointCatalog(t, `[]`)
	for _, listed := range []providers.Model{
		{ID: "ollama/m", ContextWindow: 8192, MaxOutput: 700, Functions: true, Local: true, Price: &providers.Price{Input: 1}},
		{ID: "ollama/m", Images: true, JSONObject: true, Thinking: providers.Thinking{Toggle: true}, Loaded: true},
		{ID: "ollama/m", ContextWindow: 4096, Functions: true, Local: true},
	} {
		catalog.Learn("ollama", []providers.Model{listed})
		want := listed
		want.Provider, want.Status = "ollama", providers.StatusActive
		if want.ContextWindow == 0 {
			want.ContextWindow = unlistedWindow
		}
		assert.Equal(t, want, lookup(t, catalog, "ollama/m"))
	}
}

// A row of the operator's or of a provider keeps its facts; a list fills what it leaves open, and says what is loaded.
func TestAListFillsWhatARowLeavesOpen(t *testing.T) {
	catalog := endpointCatalog(t, `[{"id":"ollama/m","images":true,"functions":true},{"id":"lab/big","price":{"input":1,"output":2}}]`,
		providers.Model{ID: "lab/big", Provider: "lab", Status: providers.StatusActive, ContextWindow: 1000})
	assert.Equal(t, providers.Model{
		ID: "lab/big", Provider: "lab", Status: providers.StatusActive, ContextWindow: 1000, Price: &providers.Price{Input: 1, Output: 2},
	}, lookup(t, catalog, "lab/big"), "the operator's row on top of the provider's")

	price := &providers.Price{Input: 3}
	for _, loaded := range []bool{true, false} {
		catalog.Learn("ollama", []providers.Model{{ID: "ollama/m", ContextWindow: 8192, MaxOutput: 700, JSONObject: true, Price: price, Local: true, Loaded: loaded}})
		assert.Equal(t, providers.Model{
			ID: "ollama/m", Provider: "ollama", Status: providers.StatusActive, ContextWindow: 8192, MaxOutput: 700, Images: true, Functions: true,
			Price: price, Local: true, Loaded: loaded,
		}, lookup(t, catalog, "ollama/m"))
	}
}

// A row of a vendor with an API of its own keeps its facts whole: its list says less than the catalogue.
func TestAVendorsListChangesNoRow(t *testing.T) {
	catalog := endpointCatalog(t, `[{"id":"kimi-house"}]`)
	catalog.Learn("kimi", []providers.Model{{ID: "kimi-house", ContextWindow: 8192, MaxOutput: 700, Price: &providers.Price{Input: 3}, Local: true, Loaded: true}})
	assert.Equal(t, providers.Model{ID: "kimi-house", Provider: "kimi", Status: providers.StatusActive}, lookup(t, catalog, "kimi-house"))
}

// A model that was refused for the functions offered to it takes none, whatever a list says then.
func TestMarkNoFunctions(t *testing.T) {
	catalog := endpointCatalog(t, `[]`)
	takes := []providers.Model{{ID: "lab/m", Functions: true}, {ID: "lab/other", Functions: true}}
	assert.True(t, lookup(t, catalog, "lab/m").Functions, "it is tried")
	catalog.MarkNoFunctions(providers.Model{ID: "lab/m"})
	assert.False(t, lookup(t, catalog, "lab/m").Functions)
	for range 2 {
		catalog.Learn("lab", takes)
		assert.False(t, lookup(t, catalog, "lab/m").Functions)
		assert.True(t, lookup(t, catalog, "lab/other").Functions)
	}
	catalog.MarkNoFunctions(providers.Model{ID: "lab/other"})
	assert.False(t, lookup(t, catalog, "lab/other").Functions)
	catalog.Learn("lab", takes)
	assert.False(t, lookup(t, catalog, "lab/other").Functions)
}

func TestModelsThatNobodyLists(t *testing.T) {
	catalog := endpointCatalog(t, `[]`)
	assert.Equal(t, &providers.Price{}, lookup(t, catalog, "ollama/m").Price, "nothing is paid on this machine")
	assert.Nil(t, lookup(t, catalog, "lab/m").Price)
	catalog.Learn("lab", []providers.Model{{ID: "lab/house"}, {}})
	assert.Equal(t, "lab/house", lookup(t, catalog, "house").ID, "without the endpoint's name, as settings may have it")
	for _, name := range []string{"", "houses"} {
		_, ok := catalog.Lookup(name)
		assert.False(t, ok, name)
	}
}

func TestMarkServedOfAnUnknownModel(t *testing.T) {
	catalog := endpointCatalog(t, `[]`)
	first := catalog.Models("")[0]
	catalog.MarkRefused(first)
	catalog.MarkServed(providers.Model{ID: "glm-unheard-of"})
	assert.True(t, lookup(t, catalog, first.ID).Unavailable)
}
