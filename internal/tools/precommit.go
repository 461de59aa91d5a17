package tools

import (
	"context"
	"strconv"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

type precommitInput struct {
	workflow.Investigation
	workflow.Belief
	Path            string `json:"path,omitempty" jsonschema:"the repository's folder; omitted: the first project folder"`
	CompareTo       string `json:"compare_to,omitempty" jsonschema:"branch, tag or commit to compare with, instead of uncommitted changes"`
	IncludeStaged   *bool  `json:"include_staged,omitempty"`
	IncludeUnstaged *bool  `json:"include_unstaged,omitempty"`
	FocusOn         string `json:"focus_on,omitempty"`
	SeverityFilter  string `json:"severity_filter,omitempty" enum:"critical,high,medium,low,all"`
}

// Facts are the step's, with what is to be compared.
func (in precommitInput) Facts() workflow.Facts {
	f := in.Investigation.Facts()
	f.Hypothesis, f.Confidence = in.Hypothesis, in.Confidence
	if in.Path != "" {
		f.Paths = []string{in.Path}
	}
	f.Settings = []workflow.Setting{
		{Name: pathSetting, Value: in.Path}, {Name: compareSetting, Value: in.CompareTo},
		{Name: stagedSetting, Value: boolean(in.IncludeStaged)}, {Name: unstagedSetting, Value: boolean(in.IncludeUnstaged)},
		{Name: "focus", Value: in.FocusOn}, {Name: workflow.SeveritySetting, Value: in.SeverityFilter},
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
func precommit(d *Deps) Tool {
	return investigator(d, precommitSpec, func(step *workflow.Step, _ precommitInput) {
		step.Evidence = func(ctx context.Context, run workflow.Consolidated, tokens int) (workflow.Evidence, error) {
			report, err := d.Workspace.Inspect(ctx, gitQuery(run, tokens))
			if err != nil {
				return workflow.Evidence{}, err
			}
			e := workflow.Evidence{Attachments: report.Attachments, Manifest: report.Manifest}
			if len(e.Attachments) == 0 {
				e.Note = "git reports no change to review in " + repositories(report) + "."
			}
			return e, nil
		}
	})
}

// repositories names those that were looked at.
func repositories(report *workspace.GitReport) string {
	var names []string
	for _, r := range report.Repositories {
		names = append(names, r.Path)
	}
	if len(names) == 0 {
		return "any repository"
	}
	return strings.Join(names, ", ")
}

// gitQuery is what the run's steps asked git for.
func gitQuery(run workflow.Consolidated, tokens int) workspace.GitQuery {
	q := workspace.GitQuery{Staged: true, Unstaged: true, Tokens: tokens}
	for _, s := range run.Settings {
		switch s.Name {
		case pathSetting:
			q.Path = s.Value
		case compareSetting:
			q.CompareTo = s.Value
		case stagedSetting:
			q.Staged = s.Value == "true"
		case unstagedSetting:
			q.Unstaged = s.Value == "true"
		}
	}
	return q
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
	Verdict:  true,
	Counts: func(o *reply.Object, c workflow.Consolidated) {
		o.Set("issues_identified", len(c.Issues))
	},
}
