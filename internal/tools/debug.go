package tools

import (
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

type debugInput struct {
	workflow.Investigation
	workflow.Belief
	workflow.Fixable
}

// Facts are the step's, with what the caller believes.
func (in debugInput) Facts() workflow.Facts {
	f := in.Investigation.Facts()
	f.Hypothesis, f.Confidence, f.Fixes = in.Hypothesis, in.Confidence, in.Fixes
	return f
}

// debug finds a bug's root cause: the caller investigates, an expert checks.
func debug(d *Deps) tool.Tool {
	return investigator[debugInput](d, debugSpec, nil)
}

var debugSpec = workflow.Spec{
	Tool: "debug",
	Statuses: workflow.Statuses{
		Pause: "pause_for_investigation", Complete: "investigation_complete",
		Final: "certain_confidence_proceed_with_fix", Skipped: "skipped_due_to_certain_confidence",
	},
	Keys: workflow.Keys{
		Status: "investigation_status", Completion: "complete_investigation",
		Flags: []string{"investigation_complete"}, Required: "investigation_required",
	},
	Ladder:   workflow.Ladder{Default: "low", Final: "certain", Actions: debugActions},
	Expert:   workflow.ExpertEvidence,
	Findings: true,
	Counts: func(o *reply.Object, c workflow.Consolidated) {
		o.Set("hypotheses_formed", len(c.Hypotheses))
	},
}

func debugActions(f workflow.Facts) string {
	switch {
	case f.StepNumber == 1:
		return "first"
	case f.Confidence == "" || f.Confidence == "exploring" || f.Confidence == "low":
		return "exploring"
	case f.Confidence == "almost_certain":
		return "proving"
	case f.Confidence == "certain":
		return "going-on"
	}
	return "closing"
}
