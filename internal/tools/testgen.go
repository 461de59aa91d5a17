package tools

import (
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

type testgenInput struct {
	workflow.Investigation
	workflow.Belief
}

// Facts are the step's, with what the caller believes.
func (in testgenInput) Facts() workflow.Facts {
	f := in.Investigation.Facts()
	f.Hypothesis, f.Confidence = in.Hypothesis, in.Confidence
	return f
}

// testgen writes tests: the caller studies the code, an expert writes them.
func testgen(d *Deps) tool.Tool {
	return investigator[testgenInput](d, testgenSpec, nil)
}

var testgenSpec = workflow.Spec{
	Tool: "testgen",
	Statuses: workflow.Statuses{
		Pause: "pause_for_test_analysis", Complete: "test_generation_complete",
		Final: "test_generation_complete_ready_for_implementation", Skipped: "skipped_due_to_certain_test_confidence",
	},
	Keys: workflow.Keys{
		Status: "test_generation_status", Confidence: "analysis_confidence", Completion: "complete_test_generation",
		Flags: []string{"test_generation_complete"}, Required: "testgen_required",
	},
	Ladder:     workflow.Ladder{Default: "low", Final: "certain", Actions: byConfidence},
	Expert:     workflow.ExpertAlways,
	NeedsFiles: true,
	Findings:   true,
	Counts: func(o *reply.Object, c workflow.Consolidated) {
		o.Set("test_scenarios_identified", len(c.RelevantContext))
	},
}
