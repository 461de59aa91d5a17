package tools

import (
	"strconv"

	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

type docgenInput struct {
	workflow.StepInput
	Findings               string           `json:"findings" default:"" join:"lines"`
	RelevantFiles          []string         `json:"relevant_files,omitempty"`
	RelevantContext        []string         `json:"relevant_context,omitempty"`
	IssuesFound            []map[string]any `json:"issues_found,omitempty" text:"description"`
	DocumentComplexity     bool             `json:"document_complexity" default:"true"`
	DocumentFlow           bool             `json:"document_flow" default:"true"`
	UpdateExisting         bool             `json:"update_existing" default:"true"`
	CommentsOnComplexLogic bool             `json:"comments_on_complex_logic" default:"true"`
	NumFilesDocumented     int              `json:"num_files_documented" minimum:"0" default:"0" jsonschema:"How many are done by now."`
	TotalFilesToDocument   int              `json:"total_files_to_document" minimum:"0" default:"0" jsonschema:"Counted in step 1; the run ends when as many are done."`
}

// Facts are the step's.
func (in docgenInput) Facts() workflow.Facts {
	return workflow.Facts{
		StepInput: in.StepInput, Findings: in.Findings, RelevantFiles: in.RelevantFiles,
		RelevantContext: in.RelevantContext, IssuesFound: in.IssuesFound,
	}
}

// docgen guides the caller through documenting files, one a step, and ends only when all are done. It calls no model.
func docgen(d *Deps) tool.Tool {
	return local(d, docgenSpec, docgenReply)
}

var docgenSpec = workflow.Spec{
	Collects: true,
	Tool:     "docgen",
	Statuses: workflow.Statuses{
		Pause: "pause_for_documentation_analysis", Complete: "documentation_analysis_complete",
		Final: "documentation_analysis_complete", Skipped: "skipped_due_to_complete_analysis",
	},
	Keys: workflow.Keys{
		Status: "documentation_analysis_status", Completion: "complete_documentation_analysis",
		Flags: []string{"documentation_analysis_complete"}, Required: "documentation_analysis_required",
	},
	Ladder: workflow.Ladder{Default: "low", Actions: docgenActions},
	Counts: func(o *Object, c workflow.Consolidated) {
		o.Set("documentation_strategies", len(c.RelevantContext))
	},
}

// docgenFiles is what becomes of the files of a step.
var docgenFiles = workflow.FileContext{Type: "reference_only", Note: "docgen sends no file anywhere: the caller documents them."}

func docgenReply(l workflow.Local, in docgenInput, _ *Metadata) (func(id string) *Object, error) {
	left := in.TotalFilesToDocument - in.NumFilesDocumented
	switch {
	case l.Done && left > 0:
		return unfinishedDocs(l, left, in.TotalFilesToDocument)
	case l.Done:
		w, err := l.Words("done", "")
		skipped := (&Object{}).Set("status", docgenSpec.Statuses.Skipped).Set("reason", "docgen asks no model: the documentation is the caller's work.")
		d := l.Decision
		d.Expert = workflow.SkipConfident
		return func(id string) *Object {
			return workflow.FinalReply(docgenSpec, workflow.Final{
				Decision: d, Run: l.Consolidated, Shown: l.Issues, ID: id, Files: docgenFiles,
				Expert: workflow.Expert{Analysis: skipped}, Words: w,
			})
		}, err
	}
	w, err := l.Words("next", docgenActions(l.Step))
	return func(id string) *Object {
		return workflow.PauseReply(docgenSpec, workflow.Pause{
			Step: l.Step, Run: l.Consolidated, ID: id, Files: docgenFiles, Next: l.Next(id), Words: w,
		})
	}, err
}

// unfinishedDocs refuses to end while files are left.
func unfinishedDocs(l workflow.Local, left, total int) (func(id string) *Object, error) {
	w, err := l.Words("unfinished", "counter", "Left", strconv.Itoa(left), "Total", strconv.Itoa(total))
	return func(id string) *Object {
		next := l.Next(id)
		next.Arguments.Set("total_steps", l.Step.StepNumber+left).Set("next_step_required", left > 1)
		return workflow.PauseReply(docgenSpec, workflow.Pause{
			Status: "documentation_analysis_required", Step: l.Step, Run: l.Consolidated, ID: id, Files: docgenFiles, Next: next, Words: w,
		}).Set("pause_for_docgen", true)
	}, err
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
