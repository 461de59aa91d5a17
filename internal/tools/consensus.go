package tools

import (
	"context"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

type consensusInput struct {
	workflow.StepInput
	Findings          string           `json:"findings,omitempty" join:"lines" jsonschema:"Your own view; no model is told."`
	RelevantFiles     []string         `json:"relevant_files,omitempty"`
	Images            []string         `json:"images,omitempty"`
	Model             string           `json:"model,omitempty"`
	Models            []consensusModel `json:"models,omitempty" text:"model" split:"commas" jsonschema:"Who is asked; omitted: two, of different vendors."`
	CurrentModelIndex int              `json:"current_model_index,omitempty" minimum:"0"`
	ModelResponses    []map[string]any `json:"model_responses,omitempty"`
	tool.Previewable
}

type consensusModel struct {
	Model        string `json:"model"`
	Stance       string `json:"stance,omitempty" enum:"for,against,neutral"`
	StancePrompt string `json:"stance_prompt,omitempty"`
}

// Facts are the step's: the caller's own view is kept, and sent to nobody.
func (in consensusInput) Facts() workflow.Facts {
	return workflow.Facts{StepInput: in.StepInput, Findings: in.Findings, RelevantFiles: in.RelevantFiles, Images: in.Images}
}

var consensusSpec = workflow.Spec{Tool: "consensus"}

// consensus asks several models at once and independently. A caller that goes on with steps 2 and later gets the
// same answers one by one.
func consensus(d *Deps) tool.Tool {
	return stepper(d, consensusSpec, func(ctx context.Context, step workflow.Step, in consensusInput) (*Result, error) {
		engine := d.engine()
		if in.StepNumber > 1 && step.Facts.ContinuationID != "" {
			return engine.NextAnswer(ctx, consensusSpec, step)
		}
		var notes []string
		result, err := engine.RunPanel(ctx, consensusSpec, step, func(before []workflow.PanelAnswer) (panel []workflow.Panelist, err error) {
			panel, notes, err = d.panelFor(ctx, in.Models, before, len(in.Images) > 0)
			return panel, err
		})
		if err == nil {
			result.Metadata.Note(notes...)
		}
		return result, err
	}, tool.Hints(tool.Annotations{ReadOnly: true, OpenWorld: true}), tool.Class(config.ClassExpert))
}
