package tools

import (
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

type analyzeInput struct {
	workflow.Investigation
	Confidence   string `json:"confidence,omitempty" enum:"exploring,low,medium,high,very_high,almost_certain,certain"`
	AnalysisType string `json:"analysis_type,omitempty" enum:"architecture,performance,security,quality,general" also:"comprehensive,full,all"`
	OutputFormat string `json:"output_format,omitempty" enum:"summary,detailed,actionable"`
}

// Facts are the step's, with what kind of analysis is wanted.
func (in analyzeInput) Facts() workflow.Facts {
	f := in.Investigation.Facts()
	f.Confidence = in.Confidence
	f.Settings = []workflow.Setting{{Name: "analysis type", Value: in.AnalysisType}, {Name: "output format", Value: in.OutputFormat}}
	return f
}

// analyze assesses code: the caller reads it, an expert judges.
func analyze(d *Deps) tool.Tool {
	return investigator[analyzeInput](d, analyzeSpec, nil)
}

var analyzeSpec = workflow.Spec{
	Tool: "analyze",
	Statuses: workflow.Statuses{
		Pause: "pause_for_analysis", Complete: "analysis_complete",
		Final: "analysis_complete_ready_for_implementation", Skipped: "skipped_due_to_complete_analysis",
	},
	Keys: workflow.Keys{
		Status: "analysis_status", Confidence: "analysis_confidence", Completion: "complete_analysis",
		Flags: []string{"analysis_complete"}, Required: "analyze_required",
	},
	// No confidence ends an analysis: an expert is always asked.
	Ladder:     workflow.Ladder{Default: "low", Actions: analyzeActions},
	Expert:     workflow.ExpertAlways,
	NeedsFiles: true,
	Findings:   true,
	Counts: func(o *reply.Object, c workflow.Consolidated) {
		o.Set("insights_by_severity", c.BySeverity())
	},
}

func analyzeActions(f workflow.Facts) string {
	switch {
	case f.StepNumber == 1:
		return "first"
	case f.StepNumber < f.TotalSteps:
		return "middle"
	}
	return "last"
}
