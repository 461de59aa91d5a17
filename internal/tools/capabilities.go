package tools

import (
	"context"
	"slices"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

type capabilitiesInput struct {
	IncludeTools    bool `json:"include_tools,omitempty" default:"true"`
	ShowAdvanced    bool `json:"show_advanced,omitempty"`
	InvalidateCache bool `json:"invalidate_cache,omitempty"`
}

func providerCapabilities(d *Deps) tool.Tool {
	return tool.New("provider_capabilities", d.capabilities, tool.Hints(tool.Annotations{ReadOnly: true, Idempotent: true, OpenWorld: true}))
}

// advancedTools are for those who look into the server itself.
var advancedTools = [...]string{
	"activity", "glm_payload_preview", "health", "issues", "kimi_capture_headers", "provider_capabilities", "self-check", "toolcall_log_tail",
}

// capabilities shows how the vendors are set up. With invalidate_cache it asks each of them again which models its key may
// use.
func (d *Deps) capabilities(ctx context.Context, in capabilitiesInput) (*Result, error) {
	if in.InvalidateCache {
		d.Caller.RefreshModels(ctx)
	}
	d.Caller.LearnEndpoints(ctx)
	settings := map[string]string{}
	for _, s := range d.Config.Settings() {
		settings[s.Name] = s.Value
	}
	if settings["KIMI_DEFAULT_MODEL"] == "" {
		settings["KIMI_DEFAULT_MODEL"] = d.Config.Kimi.QualityModel // what takes its place
	}
	env := (&Object{}).
		Set("KIMI_API_KEY_present", settings["KIMI_API_KEY"] != "").
		Set("GLM_API_KEY_present", settings["GLM_API_KEY"] != "").
		Set("KIMI_API_URL", settings["KIMI_API_URL"]).
		Set("GLM_API_URL", settings["GLM_API_URL"])
	for _, name := range []string{"GLM_AGENT_API_URL", "GLM_THINKING_MODE", "KIMI_ENABLE_INTERNET_TOOL", "KIMI_DEFAULT_TOOL_CHOICE"} {
		env.Set(name, nil) // the original's; they set nothing here
	}
	for _, name := range []string{"KIMI_DEFAULT_MODEL", "KIMI_FILES_MAX_SIZE_MB", "GLM_FILES_MAX_SIZE_MB"} {
		env.Set(name, settings[name])
	}
	r := &Result{}
	r.Body.Set("status", "success").Set("env", env).Set("providers", d.vendorAbilities())
	if in.IncludeTools {
		r.Body.Set("tools", d.toolList(in.ShowAdvanced))
	}
	r.Body.Set("showing_advanced", in.ShowAdvanced)
	return r, nil
}

func (d *Deps) toolList(advanced bool) []any {
	list := []any{}
	shown, _ := Shown(d)
	for _, t := range shown {
		visibility := "core"
		if slices.Contains(advancedTools[:], t.Name) {
			visibility = "advanced"
		}
		if visibility == "core" || advanced {
			list = append(list, (&Object{}).Set("name", t.Name).Set("title", t.Title).Set("visibility", visibility))
		}
	}
	return list
}

// vendorAbilities says what each vendor can do as it is configured.
func (d *Deps) vendorAbilities() *Object {
	all := &Object{}
	for _, vendor := range d.Config.VendorRows() {
		name := vendor.Name
		o := &Object{}
		p, err := d.Registry.Provider(name)
		o.Set("configured", err == nil)
		if err != nil {
			all.Set(name, o)
			continue
		}
		models := []string{}
		for _, m := range d.Registry.Models() {
			if m.Provider == name {
				models = append(models, m.ID)
			}
		}
		searcher, searches := p.(providers.Searcher)
		searches = searches && searcher.CanSearch()
		_, uploads := p.(providers.Uploader)
		_, extracts := p.(providers.Extractor)
		_, counts := p.(providers.TokenCounter)
		o.Set("models", models).Set("web_search", searches).Set("uploads", uploads).Set("extracts_text", extracts).Set("counts_tokens", counts)
		all.Set(name, o)
	}
	return all
}
