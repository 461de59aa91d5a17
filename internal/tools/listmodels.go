package tools

import (
	"context"
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

func listmodels(d *Deps) tool.Tool {
	return tool.New("listmodels", d.listmodels, tool.Hints(tool.Annotations{ReadOnly: true, Idempotent: true, OpenWorld: true}))
}

func (d *Deps) listmodels(ctx context.Context, _ modelInput) (*Result, error) {
	d.Caller.LearnEndpoints(ctx)
	usable := map[string][]providers.Model{}
	for _, m := range d.Registry.Models() {
		usable[m.Provider] = append(usable[m.Provider], m)
	}
	var b strings.Builder
	b.WriteString("# Models\n")
	configured := []string{}
	total := 0
	for _, vendor := range d.Config.VendorRows() {
		name := vendor.Name
		fmt.Fprintf(&b, "\n## %s\n\n", vendor.Title)
		if _, err := d.Registry.Provider(name); err != nil {
			e := reply.FromError(ctx, err)
			fmt.Fprintf(&b, "Not available: %s %s\n", e.Message, e.Hint)
			continue
		}
		configured = append(configured, name)
		total += len(usable[name])
		if v := d.Config.Vendor(name); v != nil && v.Local() {
			b.WriteString("Requests go to a server on this machine.\n\n")
		}
		b.WriteString("| model | context | can | thinking | USD per million tokens in / out | also called |\n|---|---|---|---|---|---|\n")
		for _, m := range usable[name] {
			fmt.Fprintf(&b, "| %s%s | %s | %s | %s | %s | %s |\n", m.ID, modelStatus(m), contextSize(m), abilities(m), thinkingWords(m.Thinking), price(m.Price), strings.Join(m.Aliases, ", "))
		}
	}
	fmt.Fprintf(&b, "\n## Choosing\n\n- Leave `model` out: %s.\n", d.choice())
	b.WriteString("- A model that you name is asked and no other vendor's; without a name, the other vendor may answer after a failure, and metadata.fallback says so.\n")
	var prefixes []string
	for _, vendor := range d.Config.VendorRows() {
		prefixes = append(prefixes, vendor.Prefixes...)
	}
	fmt.Fprintf(&b, "- A name with a vendor's prefix (%s) that is not listed goes to that vendor as it is.\n", strings.Join(prefixes, ", "))
	for _, m := range d.Registry.Catalog().Retiring() {
		fmt.Fprintf(&b, "- %s retires on %s; use %s.\n", m.ID, m.RetiresOn, m.Replacement)
	}
	fmt.Fprintf(&b, "\n%d models can be asked, of %d of %d vendors.\n", total, len(configured), len(d.Config.Vendors()))

	r := &Result{}
	r.Body.Set("status", "success").Set("content", b.String()).Set("content_type", "markdown")
	r.Metadata.Own.Set("configured_providers", configured)
	return r, nil
}

// choice says who answers when a call names no model.
func (d *Deps) choice() string {
	if name := d.Config.Models.Default; calls.Named(name) {
		return name + " answers (DEFAULT_MODEL)"
	}
	glm, kimi := d.Config.GLM, d.Config.Kimi
	if len(d.Config.Others) > 0 {
		return d.choiceInOrder()
	}
	return fmt.Sprintf("%s answers quick questions, %s or %s reasons and judges, %s reads files", glm.SpeedModel, glm.QualityModel, kimi.QualityModel, kimi.QualityModel)
}

// choiceInOrder says who answers where there are endpoints: of the vendors that can be asked, the first.
func (d *Deps) choiceInOrder() string {
	var order []string
	for _, p := range d.Registry.Providers() {
		v := d.Config.Vendor(p.Name())
		names := d.Registry.ModelsOf(v, providers.CategoryReasoning)
		if len(names) == 0 {
			names = []string{v.Row.Name + " (set " + v.Row.Variable("MODEL") + ")"}
		}
		order = append(order, names[0])
	}
	if len(order) == 0 {
		return "no vendor can be asked"
	}
	return "the first that can answer of " + strings.Join(order, ", ")
}

func modelStatus(m providers.Model) string {
	switch {
	case m.Unavailable:
		return " (unavailable)"
	case m.Status == providers.StatusRetiring && m.RetiresOn != "":
		return " (until " + m.RetiresOn + ")"
	case m.Loaded:
		return " (loaded)"
	case m.Unlisted:
		return " (seen by your key)"
	case m.Status == providers.StatusUnverified:
		return " (unverified)"
	}
	return ""
}

// contextSize is the window in thousands of tokens, rounded down.
func contextSize(m providers.Model) string {
	if m.ContextWindow == 0 {
		return "?"
	}
	return fmt.Sprintf("%dK", m.ContextWindow/1000)
}

func abilities(m providers.Model) string {
	var can []string
	add := func(ability bool, word string) {
		if ability {
			can = append(can, word)
		}
	}
	add(m.Images, "images")
	add(m.Functions, "functions")
	add(m.NativeSearch, "search")
	add(m.JSONObject, "json")
	return strings.Join(can, ", ")
}

func thinkingWords(t providers.Thinking) string {
	switch {
	case len(t.Efforts) > 0:
		return strings.Join(t.Efforts, ", ")
	case t.Toggle && !t.Always:
		return "on, off"
	case t.Always:
		return "always"
	}
	return "no"
}

func price(p *providers.Price) string {
	if p == nil {
		return "?"
	}
	return fmt.Sprintf("%g / %g", p.Input, p.Output)
}
