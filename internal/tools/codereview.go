package tools

import (
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

type codereviewInput struct {
	workflow.Investigation
	workflow.Belief
	workflow.Fixable
	ReviewType     string `json:"review_type,omitempty" enum:"full,security,performance,quick"`
	FocusOn        string `json:"focus_on,omitempty"`
	Standards      string `json:"standards,omitempty"`
	SeverityFilter string `json:"severity_filter,omitempty" enum:"critical,high,medium,low,all"`
	tool.Previewable
}

// Facts are the step's, with what the review is to look for.
func (in codereviewInput) Facts() workflow.Facts {
	f := in.Investigation.Facts()
	f.Hypothesis, f.Confidence, f.Fixes = in.Hypothesis, in.Confidence, in.Fixes
	f.Settings = []workflow.Setting{
		{Name: "review type", Value: in.ReviewType},
		{Name: "focus", Value: in.FocusOn},
		{Name: "standards", Value: in.Standards},
		{Name: workflow.SeveritySetting, Value: in.SeverityFilter},
	}
	return f
}

// codereview reviews code: the caller reads it, an expert checks, a verdict ends it.
func codereview(d *Deps) tool.Tool {
	return investigator[codereviewInput](d, codereviewSpec, nil)
}

var codereviewSpec = workflow.Spec{
	Tool: "codereview",
	Statuses: workflow.Statuses{
		Pause: "pause_for_code_review", Complete: "code_review_complete",
		Final: "code_review_complete_ready_for_implementation", Skipped: "skipped_due_to_certain_review_confidence",
	},
	Keys: workflow.Keys{
		Status: "code_review_status", Confidence: "review_confidence", Completion: "complete_code_review",
		Flags: []string{"code_review_complete"}, Required: "codereview_required",
	},
	Ladder:     workflow.Ladder{Default: "low", Final: "certain", Actions: byConfidence},
	Expert:     workflow.ExpertEvidence,
	NeedsFiles: true,
	Findings:   true,
	Blind:      true,
	Verdict:    true,
	Counts: func(o *reply.Object, c workflow.Consolidated) {
		o.Set("issues_by_severity", c.BySeverity())
	},
}

// byConfidence is how most tools choose the required actions of a step.
func byConfidence(f workflow.Facts) string {
	switch {
	case f.StepNumber == 1:
		return "first"
	case f.Confidence == "" || f.Confidence == "exploring" || f.Confidence == "low":
		return "exploring"
	case f.Confidence == "medium" || f.Confidence == "high":
		return "closing"
	}
	return "going-on"
}
