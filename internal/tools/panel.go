package tools

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

// panelFor is who a consensus asks: the caller's models, else those that were asked before, else two. A model
// that does not exist, or can't take what is sent, is refused before any is asked.
func (d *Deps) panelFor(ctx context.Context, models []consensusModel, before []workflow.PanelAnswer, images bool) (panel []workflow.Panelist, notes []string, err error) {
	named := len(models) > 0
	if !named {
		for _, o := range before {
			models = append(models, consensusModel{Model: o.Model, Stance: o.Stance})
		}
	}
	if len(models) == 0 {
		if models, err = d.defaultModels(ctx, images); err != nil {
			return nil, nil, err
		}
		var names []string
		for _, m := range models {
			names = append(names, m.Model)
		}
		notes = append(notes, "No models were named, so these were asked: "+strings.Join(names, ", ")+".")
	}
	w, err := words.For(consensusSpec.Tool)
	if err != nil {
		return nil, nil, err
	}
	reads, err := w.Render("reads", nil)
	if err != nil {
		return nil, nil, err
	}
	form, err := w.Render("output", nil)
	if err != nil {
		return nil, nil, err
	}
	seen := map[string]bool{}
	for _, m := range models {
		p := workflow.Panelist{
			Model: cmp.Or(strings.TrimSpace(m.Model), "auto"), Stance: cmp.Or(m.Stance, "neutral"), Reads: reads, Form: form,
		}
		name, vendor, err := d.resolveName(ctx, p.Model, images)
		if err != nil {
			return nil, nil, err
		}
		if !named {
			p.Vendor = vendor
		}
		if seen[name+":"+p.Stance] {
			return nil, nil, reply.InvalidRequest("Give each model a different stance, or name it once.", "models lists %s with the stance %s twice.", name, p.Stance)
		}
		seen[name+":"+p.Stance] = true
		if p.System, err = stancePrompt(w, p.Stance, m.StancePrompt); err != nil {
			return nil, nil, err
		}
		panel = append(panel, p)
	}
	return panel, notes, nil
}

// resolveName is the model that a name means, with its vendor where that can be asked. Bad names are errors; a vendor without a key is not: its answer is then listed as
// failed, and the others stand.
func (d *Deps) resolveName(ctx context.Context, model string, images bool) (id, vendor string, err error) {
	if !calls.Named(model) {
		return model, "", nil
	}
	found, err := d.Caller.Resolve(ctx, calls.Query{Model: model, Needs: providers.Needs{Images: images}})
	var refused *providers.Error
	switch {
	case err == nil:
		return found[0].Model.ID, found[0].Model.Provider, nil
	case errors.As(err, &refused) && (refused.Kind == providers.KindModelNotFound || refused.Kind == providers.KindInvalidRequest):
		return "", "", err
	}
	return strings.ToLower(model), "", nil
}

// stancePrompt is the system prompt with a stance; the caller's own words for it take the place of ours.
func stancePrompt(w words.Words, stance, own string) (string, error) {
	system, err := w.Render("system", nil)
	if err != nil {
		return "", err
	}
	if strings.TrimSpace(own) != "" {
		return system + "\n\n# Stance\n\n" + own, nil
	}
	text, err := w.Render(stance, nil)
	return system + "\n\n" + text, err
}

// defaultPanel is how many models a consensus asks that names none.
const defaultPanel = 2

// defaultModels are two, of different vendors where two can be asked. With one vendor alone they are its two configured ones;
// where these are the same, as Kimi's are by default, the second is the next of its catalogue. An endpoint's list is no such
// order: there one is asked.
func (d *Deps) defaultModels(ctx context.Context, images bool) ([]consensusModel, error) {
	q := calls.Query{Category: providers.CategoryReasoning, Needs: providers.Needs{Images: images}}
	candidates, err := d.Caller.Resolve(ctx, q)
	if err != nil {
		return nil, err
	}
	if len(candidates) == 1 {
		q.Category, q.Provider = providers.CategoryFast, candidates[0].Model.Provider
		if more, err := d.Caller.Resolve(ctx, q); err == nil && more[0].Model.ID != candidates[0].Model.ID {
			candidates = append(candidates, more[0])
		}
	}
	var models []consensusModel
	if first := candidates[0].Model; len(candidates) == 1 && !d.Config.Vendor(first.Provider).Row.IsEndpoint() {
		for _, m := range d.Registry.Models() {
			if m.Provider == first.Provider && m.ID != first.ID && !m.Unavailable && (m.Images || !images) {
				candidates = append(candidates, calls.Candidate{Model: m})
				break
			}
		}
	}
	for _, c := range candidates[:min(defaultPanel, len(candidates))] {
		models = append(models, consensusModel{Model: c.Model.ID})
	}
	return models, nil
}
