package tools

import (
	"context"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

type consensusInput struct {
	workflow.StepInput
	Findings          string           `json:"findings,omitempty"`
	RelevantFiles     []string         `json:"relevant_files,omitempty"`
	Images            []string         `json:"images,omitempty"`
	Model             string           `json:"model,omitempty"`
	Models            []consensusModel `json:"models,omitempty" text:"model" jsonschema:"Who is asked; omitted: two, of different vendors."`
	CurrentModelIndex int              `json:"current_model_index,omitempty" minimum:"0"`
	ModelResponses    []map[string]any `json:"model_responses,omitempty"`
}

type consensusModel struct {
	Model        string `json:"model"`
	Stance       string `json:"stance,omitempty" enum:"for,against,neutral"`
	StancePrompt string `json:"stance_prompt,omitempty"`
}

// Base is the part that the expert's call of other workflows has too.
func (in consensusInput) Base() workflow.Investigation { return workflow.Investigation{} }

// Facts are the step's: the caller's own view is kept, and sent to nobody.
func (in consensusInput) Facts() workflow.Facts {
	return workflow.Facts{StepInput: in.StepInput, Findings: in.Findings, RelevantFiles: in.RelevantFiles, Images: in.Images}
}

var consensusSpec = workflow.Spec{Tool: "consensus", Ladder: workflow.Ladder{Default: "low"}}

// consensus asks several models at once, each blind to the others. A caller that goes on with steps 2 and later gets the
// same answers one by one.
func consensus(d *Deps) Tool {
	return New(consensusSpec.Tool, func(ctx context.Context, in consensusInput) (*Result, error) {
		step, err := stepOf(d.Config, consensusSpec.Tool, in)
		if err != nil {
			return nil, err
		}
		step.Ask.Thinking, step.Ask.Search = thinking(d.Config, consensusSpec.Tool, ""), false
		if in.StepNumber > 1 && in.ContinuationID != "" {
			return d.engine().Later(ctx, consensusSpec, step, workflow.OneByOne)
		}
		panel, notes, err := d.panel(in)
		if err != nil {
			return nil, err
		}
		result, err := d.engine().RunPanel(ctx, consensusSpec, step, panel, workflow.Together)
		if err == nil {
			result.Metadata.Note(notes...)
		}
		return result, err
	}, Hints(Annotations{ReadOnly: true, OpenWorld: true}), Threaded(), Class(config.ClassExpert))
}

// panel is who is asked: the caller's models, or one of each vendor.
func (d *Deps) panel(in consensusInput) (panel []workflow.Panelist, notes []string, err error) {
	models := in.Models
	if len(models) == 0 {
		if models, err = d.defaultModels(len(in.Images) > 0); err != nil {
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
	seen := map[string]bool{}
	for _, m := range models {
		p := workflow.Panelist{Model: strings.TrimSpace(m.Model), Stance: m.Stance}
		if p.Stance == "" {
			p.Stance = "neutral"
		}
		key := strings.ToLower(p.Label())
		if seen[key] {
			return nil, nil, reply.Refuse("Give each model another stance, or name it once.", "models names %s with the stance %s twice.", p.Model, p.Stance)
		}
		seen[key] = true
		if p.System, err = stanced(w, p.Stance, m.StancePrompt); err != nil {
			return nil, nil, err
		}
		panel = append(panel, p)
	}
	return panel, notes, nil
}

// stanced is the system prompt with a stance; the caller's own words for it take the place of ours.
func stanced(w words.Words, stance, own string) (string, error) {
	system, err := w.Render("system", nil)
	if err != nil {
		return "", err
	}
	if strings.TrimSpace(own) != "" {
		return system + "\n\nYour stance: " + own, nil
	}
	text, err := w.Render(stance, nil)
	return system + "\n\n" + text, err
}

// defaultModels are two, of different vendors where both have keys; with one vendor alone, its two configured ones.
func (d *Deps) defaultModels(images bool) ([]consensusModel, error) {
	q := providers.Query{Category: providers.CategoryReasoning, Needs: providers.Needs{Images: images}}
	candidates, err := d.Registry.Resolve(q)
	if err != nil {
		return nil, err
	}
	if len(candidates) == 1 {
		q.Category, q.Provider = providers.CategoryFast, candidates[0].Model.Provider
		if more, err := d.Registry.Resolve(q); err == nil && more[0].Model.ID != candidates[0].Model.ID {
			candidates = append(candidates, more[0])
		}
	}
	var models []consensusModel
	for _, c := range candidates {
		models = append(models, consensusModel{Model: c.Model.ID})
	}
	return models, nil
}
