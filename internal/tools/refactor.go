package tools

import (
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

type refactorInput struct {
	workflow.Investigation
	Hypothesis         string   `json:"hypothesis,omitempty"`
	Confidence         string   `json:"confidence,omitempty" enum:"exploring,incomplete,partial,complete" also:"low,medium,high,very_high,almost_certain,certain"`
	RefactorType       string   `json:"refactor_type,omitempty" enum:"codesmells,decompose,modernize,organization"`
	FocusAreas         []string `json:"focus_areas,omitempty"`
	StyleGuideExamples []string `json:"style_guide_examples,omitempty"`
}

// Facts are the step's, with the aim of the refactoring. A confidence of the general ladder counts as its counterpart on
// the tool's own. Style examples are files that the expert reads too.
func (in refactorInput) Facts() workflow.Facts {
	f := in.Investigation.Facts()
	f.Hypothesis = in.Hypothesis
	switch f.Confidence = in.Confidence; in.Confidence {
	case "low":
		f.Confidence = "incomplete"
	case "medium", "high", "very_high", "almost_certain":
		f.Confidence = "partial"
	case "certain":
		f.Confidence = "complete"
	}
	f.RelevantFiles = append(f.RelevantFiles[:len(f.RelevantFiles):len(f.RelevantFiles)], in.StyleGuideExamples...)
	f.Paths = append(f.Paths, in.StyleGuideExamples...)
	f.Settings = []workflow.Setting{
		{Name: "refactor type", Value: in.RefactorType},
		{Name: "focus areas", Value: strings.Join(in.FocusAreas, ", ")},
		{Name: "files that show the wanted style", Value: strings.Join(in.StyleGuideExamples, ", ")},
	}
	return f
}

// refactor plans a refactoring: the caller finds opportunities, an expert orders them.
func refactor(d *Deps) tool.Tool {
	return investigator[refactorInput](d, refactorSpec, nil)
}

var refactorSpec = workflow.Spec{
	Tool: "refactor",
	Statuses: workflow.Statuses{
		Pause: "pause_for_refactoring_analysis", Complete: "refactoring_analysis_complete",
		Final: "refactoring_analysis_complete_ready_for_implementation", Skipped: "skipped_due_to_complete_refactoring_confidence",
	},
	Keys: workflow.Keys{
		Status: "refactoring_status", Confidence: "refactor_confidence", Completion: "complete_refactoring",
		Flags: []string{"refactoring_complete"}, Required: "refactor_required",
	},
	Ladder:   workflow.Ladder{Default: "incomplete", Final: "complete", Actions: refactorActions},
	Expert:   workflow.ExpertEvidence,
	Findings: true,
	Counts: func(o *reply.Object, c workflow.Consolidated) {
		o.Set("opportunities_by_type", c.ByType())
	},
}

func refactorActions(f workflow.Facts) string {
	switch {
	case f.StepNumber == 1:
		return "first"
	case f.Confidence == "partial":
		return "closing"
	case f.Confidence == "complete":
		return "going-on"
	}
	return "exploring"
}
