package tools

import (
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

type thinkdeepInput struct {
	workflow.Investigation
	workflow.Belief
	ProblemContext string   `json:"problem_context,omitempty"`
	FocusAreas     []string `json:"focus_areas,omitempty"`
}

// Facts are the step's, with the problem and where to look.
func (in thinkdeepInput) Facts() workflow.Facts {
	f := in.Investigation.Facts()
	f.Hypothesis, f.Confidence = in.Hypothesis, in.Confidence
	f.Settings = []workflow.Setting{{Name: "problem context", Value: in.ProblemContext}, {Name: focusSetting, Value: strings.Join(in.FocusAreas, ", ")}}
	return f
}

// focusSetting is the setting that thinking_status repeats.
const focusSetting = "focus areas"

// thinkdeep thinks a question through: the caller reasons, an expert challenges.
func thinkdeep(d *Deps) tool.Tool {
	return investigator[thinkdeepInput](d, thinkdeepSpec, nil)
}

var thinkdeepSpec = workflow.Spec{
	Tool: "thinkdeep",
	Statuses: workflow.Statuses{
		Pause: "pause_for_thinkdeep", Complete: "thinkdeep_complete",
		Final: "deep_thinking_complete_ready_for_implementation", Skipped: "skipped_due_to_certain_thinking_confidence",
	},
	Keys: workflow.Keys{
		Status: "thinkdeep_status", Completion: "complete_thinkdeep",
		Flags: []string{"thinkdeep_complete", "thinking_complete"}, Required: "thinkdeep_required",
	},
	Ladder: workflow.Ladder{Default: "low", Final: "certain", Actions: thinkdeepActions},
	Expert: workflow.ExpertAlways,
	Extra:  thinkingStatus,
}

// thinkingStatus adds the blocks that only thinkdeep has.
func thinkingStatus(o *reply.Object, f workflow.Facts, c workflow.Consolidated, over bool) {
	focus := []string{"general"}
	for _, s := range c.Settings {
		if s.Name == focusSetting {
			focus = strings.Split(s.Value, ", ")
		}
	}
	o.Set("thinking_status", (&reply.Object{}).
		Set("current_step", f.StepNumber).Set("total_steps", f.TotalSteps).
		Set("files_checked", len(c.FilesChecked)).Set("relevant_files", len(c.RelevantFiles)).
		Set("thinking_confidence", c.Confidence).Set("analysis_focus", focus))
	if over {
		o.Set("complete_thinking", (&reply.Object{}).
			Set("steps_completed", c.Steps).Set("final_confidence", c.Confidence).
			Set("relevant_context", list(c.RelevantContext)).Set("key_findings", list(c.Findings)).
			Set("issues_identified", list(c.Issues)).Set("files_analyzed", list(c.RelevantFiles)))
		o.Set("completion_message", "The thinking is done; expert_analysis is the second opinion on it.")
	}
}

// list is a list that is written as one even when it is empty.
func list[T any](items []T) []T { return append([]T{}, items...) }

func thinkdeepActions(f workflow.Facts) string {
	if f.StepNumber == 1 {
		return "first"
	}
	switch f.Confidence {
	case "low", "medium", "high":
		return f.Confidence
	case "very_high":
		return "very-high"
	case "almost_certain":
		return "almost-certain"
	}
	return "going-on"
}
