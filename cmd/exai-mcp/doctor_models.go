package main

import (
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// modelSettings are the settings that name models.
func modelSettings(cfg *config.Config) []string {
	names := []string{"DEFAULT_MODEL", "KIMI_DEFAULT_MODEL", "KIMI_INTENT_MODEL"}
	for _, row := range cfg.VendorRows() {
		names = append(names, row.Variable("SPEED_MODEL"), row.Variable("QUALITY_MODEL"), row.Variable("ALLOWED_MODELS"))
	}
	return names
}

// checkModels reports how many models may be asked, and which of them are gone or about to go: first those that the settings
// name, then the others that calls may name.
func checkModels(r *report, p *program) {
	r.section("Models")
	usable, catalog := p.registry.Models(), p.registry.Catalog()
	if len(usable) == 0 {
		r.note("none may be asked")
		return
	}
	r.ok("%s may be asked", counted(len(usable), "model", "models"))
	named := modelSettings(p.cfg)
	for _, set := range p.cfg.Settings() {
		if set.Source != "default" && slices.Contains(named, set.Name) {
			for name := range strings.SplitSeq(set.Value, ",") {
				checkModel(r, p, set.Name, name, usable)
			}
		}
	}
	for _, m := range usable {
		if _, notes := catalog.Current(m); len(notes) > 0 {
			r.note("%s", strings.Join(notes, " "))
		}
	}
}

// checkModel looks at a model that a setting names.
func checkModel(r *report, p *program, variable, name string, usable []providers.Model) {
	m, known := p.registry.Catalog().Lookup(name)
	if !known {
		return // "auto"
	}
	m, notes := p.registry.Catalog().Current(m)
	isIt := func(other providers.Model) bool { return other.ID == m.ID }
	if _, err := p.registry.Provider(m.Provider); err == nil && !m.Unlisted && !slices.ContainsFunc(usable, isIt) {
		notes = append(notes, m.ID+" is not among the models that may be asked.")
	}
	if len(notes) > 0 {
		r.note("%s=%s: %s", variable, name, strings.Join(notes, " "))
	}
}
