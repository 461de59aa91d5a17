package tools

import (
	"strconv"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

type precommitInput struct {
	workflow.Investigation
	workflow.Belief
	workflow.Fixable
	Path            string `json:"path,omitempty" jsonschema:"The repository's folder; omitted: the first project folder."`
	CompareTo       string `json:"compare_to,omitempty" jsonschema:"A branch, tag or commit; omitted: the last commit."`
	IncludeStaged   *bool  `json:"include_staged,omitempty"`
	IncludeUnstaged *bool  `json:"include_unstaged,omitempty"`
	FocusOn         string `json:"focus_on,omitempty"`
	SeverityFilter  string `json:"severity_filter,omitempty" enum:"critical,high,medium,low,all"`
	tool.Previewable
}

// Facts are the step's, with what is to be compared.
func (in precommitInput) Facts() workflow.Facts {
	f := in.Investigation.Facts()
	f.Hypothesis, f.Confidence, f.Fixes = in.Hypothesis, in.Confidence, in.Fixes
	if in.Path != "" {
		f.Paths = []string{in.Path}
	}
	f.Settings = []workflow.Setting{
		{Name: pathSetting, Value: in.Path},
		{Name: compareSetting, Value: in.CompareTo},
		{Name: stagedSetting, Value: boolean(in.IncludeStaged)},
		{Name: unstagedSetting, Value: boolean(in.IncludeUnstaged)},
		{Name: "focus", Value: in.FocusOn},
		{Name: workflow.SeveritySetting, Value: in.SeverityFilter},
	}
	return f
}

// The settings of a run that say what git is asked for: a later step need not repeat them.
const (
	pathSetting     = "repository"
	compareSetting  = "compared to"
	stagedSetting   = "staged changes included"
	unstagedSetting = "unstaged changes included"
)

// precommit reviews changes before they are committed: the server reads them itself, an expert reviews, a verdict ends it.
func precommit(d *Deps) tool.Tool {
	return investigator(d, precommitSpec, func(step *workflow.Step, _ precommitInput) { step.Evidence = d.changes })
}

func boolean(b *bool) string {
	if b == nil {
		return ""
	}
	return strconv.FormatBool(*b)
}

var precommitSpec = workflow.Spec{
	Tool: "precommit",
	Statuses: workflow.Statuses{
		Pause: "pause_for_validation", Complete: "validation_complete",
		Final: "validation_complete_ready_for_commit", Skipped: "skipped_due_to_certain_validation_confidence",
	},
	Keys: workflow.Keys{
		Status: "validation_status", Confidence: "assessment_confidence", Completion: "complete_validation",
		Flags: []string{"validation_complete"}, Required: "precommit_required",
	},
	Ladder:   workflow.Ladder{Default: "low", Final: "certain", Actions: byConfidence},
	Expert:   workflow.ExpertAlways,
	Findings: true,
	Blind:    true,
	Verdict:  true,
	Counts: func(o *reply.Object, c workflow.Consolidated) {
		o.Set("issues_identified", len(c.Issues))
	},
}
