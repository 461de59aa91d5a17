package tools

import (
	"context"
	"strconv"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

type docgenInput struct {
	workflow.StepInput
	Findings               string           `json:"findings"`
	RelevantFiles          []string         `json:"relevant_files,omitempty"`
	RelevantContext        []string         `json:"relevant_context,omitempty"`
	IssuesFound            []map[string]any `json:"issues_found,omitempty"`
	DocumentComplexity     bool             `json:"document_complexity" default:"true"`
	DocumentFlow           bool             `json:"document_flow" default:"true"`
	UpdateExisting         bool             `json:"update_existing" default:"true"`
	CommentsOnComplexLogic bool             `json:"comments_on_complex_logic" default:"true"`
	NumFilesDocumented     int              `json:"num_files_documented" minimum:"0" default:"0"`
	TotalFilesToDocument   int              `json:"total_files_to_document" minimum:"0" default:"0"`
}

// Base is empty: no expert is asked.
func (in docgenInput) Base() workflow.Investigation { return workflow.Investigation{} }

// Facts are the step's.
func (in docgenInput) Facts() workflow.Facts {
	return workflow.Facts{
		StepInput: in.StepInput, Findings: in.Findings, RelevantFiles: in.RelevantFiles,
		RelevantContext: in.RelevantContext, IssuesFound: in.IssuesFound,
	}
}

// docgen guides the caller through documenting files, one a step, and ends only when all are done. It calls no model.
func docgen(d *Deps) Tool {
	return New(docgenSpec.Tool, func(ctx context.Context, in docgenInput) (*Result, error) {
		step, err := stepOf(d.Config, docgenSpec.Tool, in)
		if err != nil {
			return nil, err
		}
		return d.engine().RunLocal(ctx, docgenSpec, step, func(run workflow.Local, _ *reply.Metadata) (func(string) *reply.Object, error) {
			return docgenReply(run, in)
		})
	}, Hints(Annotations{ReadOnly: true}), Threaded(), Class(config.ClassWorkflow))
}

var docgenSpec = workflow.Spec{
	Tool: "docgen",
	Statuses: workflow.Statuses{
		Pause: "pause_for_documentation_analysis", Complete: "documentation_analysis_complete",
		Final: "documentation_analysis_complete", Skipped: "skipped_due_to_complete_analysis",
	},
	Keys: workflow.Keys{
		Status: "documentation_analysis_status", Completion: "complete_documentation_analysis",
		Flags: []string{"documentation_analysis_complete"}, Required: "documentation_analysis_required",
	},
	Ladder: workflow.Ladder{Default: "low", Actions: docgenActions},
	Counts: func(o *reply.Object, c workflow.Consolidated) {
		o.Set("documentation_strategies", len(c.RelevantContext))
	},
}

func docgenReply(run workflow.Local, in docgenInput) (func(string) *reply.Object, error) {
	files := workflow.FileContext{Type: "reference_only", Note: "docgen sends no file anywhere: the caller documents them."}
	left := in.TotalFilesToDocument - in.NumFilesDocumented
	unfinished := run.Done && left > 0
	if run.Done && !unfinished {
		w, err := run.Words("done", "")
		if err != nil {
			return nil, err
		}
		skipped := (&reply.Object{}).Set("status", docgenSpec.Statuses.Skipped).Set("reason", "docgen asks no model: the documentation is the caller's work.")
		return func(id string) *reply.Object {
			return workflow.FinalReply(docgenSpec, run.Decision, run.Consolidated, id, files, workflow.Expert{Analysis: skipped}, run.Next(id), w).
				Set("skip_expert_analysis", true)
		}, nil
	}
	w, err := run.Words("next", docgenActions(run.Step))
	if err != nil {
		return nil, err
	}
	if unfinished {
		if w, err = run.Words("unfinished", "counter", "Left", strconv.Itoa(left), "Total", strconv.Itoa(in.TotalFilesToDocument)); err != nil {
			return nil, err
		}
	}
	return func(id string) *reply.Object {
		o := workflow.PauseReply(docgenSpec, run.Decision, run.Consolidated, id, files, run.Next(id), w)
		if unfinished {
			o.Set("status", "documentation_analysis_required").Set("pause_for_docgen", true)
		}
		return o
	}, nil
}

func docgenActions(f workflow.Facts) string {
	switch f.StepNumber {
	case 1:
		return "first"
	case 2:
		return "first-file"
	case 3, 4:
		return "next-file"
	}
	return "counter"
}
