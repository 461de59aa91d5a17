package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// smallWindow is a window of a local model that is too small for most files.
const smallWindow = 16_384

// keyPage is the setting that makes a vendor usable, and where a key is made.
func keyPage(v *config.Vendor) string {
	if v.Row.KeyPage == "" {
		return v.MissingSettings()
	}
	return fmt.Sprintf("%s (%s)", v.Row.Variable("API_KEY"), v.Row.KeyPage)
}

// checkKeyless requests the list of models of an endpoint that has no key. It returns the endpoint if it is worth further
// requests.
func (r *report) checkKeyless(ctx context.Context, p *program, v *config.Vendor, provider providers.Provider, offline bool) []providers.Provider {
	where := v.APIURL
	if v.Local() {
		where += ", a server on this machine"
	}
	if offline {
		r.ok("%s at %s, without a key; not checked", v.Row.Title, where)
		return nil
	}
	start := time.Now()
	within, cancel := context.WithTimeout(ctx, 10*time.Second) // the endpoint's own limit is for loading a model
	defer cancel()
	models, err := p.caller.ListModels(within, v.Row.Name)
	switch took := time.Since(start).Round(time.Millisecond); {
	case err != nil && kindOf(err) == providers.KindAuth:
		r.fail("set "+v.Row.Variable("API_KEY"), "%s at %s wants a key: %s", v.Row.Title, where, sentenceOf(err))
	case err != nil:
		todo := "check " + v.Row.Variable("API_URL") + " and the network"
		if v.Local() {
			todo = "start the server, or correct " + v.Row.Variable("API_URL")
		}
		r.fail(todo, "%s at %s did not answer as it should: %s", v.Row.Title, where, sentenceOf(err))
	default:
		r.ok("%s at %s lists %s, without a key (%s)", v.Row.Title, where, counted(len(models), "model", "models"), took)
		r.endpointModels(p, v)
		return []providers.Provider{provider}
	}
	return nil
}

// endpointModels reports which models of an endpoint are asked, and a window that is too small.
func (r *report) endpointModels(p *program, v *config.Vendor) {
	if !v.Row.IsEndpoint() {
		return
	}
	quality, speed := p.registry.ModelsOf(v, providers.CategoryReasoning), p.registry.ModelsOf(v, providers.CategoryFast)
	if len(quality) == 0 {
		r.note("%s: which model to ask is not known; set %s to one of its models, or load one", v.Row.Title, v.Row.Variable("MODEL"))
		return
	}
	r.ok("%s: %s reasons and judges, %s answers quick questions", v.Row.Title, quality[0], slices.Concat(speed, quality)[0])
	m, known := p.registry.Catalog().Lookup(quality[0])
	if known && m.Local && m.ContextWindow < smallWindow {
		todo := "the server's setting for it"
		if v.Row.Name == "ollama" {
			todo = "OLLAMA_CONTEXT_LENGTH=32768 or more in the environment of `ollama serve`, and restart it"
		}
		r.note("%s: %s has a context window of %d tokens, too small for most files: set %s", v.Row.Title, m.ID, m.ContextWindow, todo)
	}
}

// otherKeys reports keys that are set but not used, since ENDPOINTS does not name their endpoint.
func (r *report) otherKeys(cfg *config.Config) {
	unused := cfg.OtherKeys()
	for _, name := range slices.Sorted(maps.Keys(unused)) {
		r.note("%s is set and not used: ENDPOINTS=%s would use it", unused[name], strings.Join(append(slices.Clone(cfg.Models.Endpoints), name), ","))
	}
}
