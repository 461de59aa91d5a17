package tools

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// changes are what git reports. In the first project folder, which nobody named, it may well have nothing to say.
func (d *Deps) changes(ctx context.Context, run workflow.Consolidated, tokens int) (e workflow.Evidence, err error) {
	q := gitQuery(run, tokens)
	if q.Path == "" {
		e.Notes = append(e.Notes, fmt.Sprintf("No path was named, so the first project folder is looked at: %q.", d.Workspace.FirstRoot(ctx)))
	}
	report, err := d.Workspace.Inspect(ctx, q)
	var refused *workspace.Error
	switch {
	case err == nil:
	case q.Path == "" && q.CompareTo == "" && errors.As(err, &refused) && !workspace.RefusesSecret(err):
		e.Nothing = refused.Message + " Name a repository under path."
		e.Notes = append(e.Notes, refused.Message)
		return e, nil
	default:
		return e, err
	}
	e.Repositories, e.Attachments, e.Manifest, e.Changed = repositoriesOf(report), report.Attachments, report.Manifest, report.Changed
	e.Base = q.CompareTo[strings.LastIndexByte(q.CompareTo, '.')+1:] // the later end of a range
	if e.Manifest.Empty() {
		e.Nothing, e.Clean = "git reports no change that could be reviewed.", nothingWorthReading(report.Changed) && (q.Staged || q.Unstaged || q.CompareTo != "")
		switch {
		case len(report.Changed) > 0:
			e.Nothing = "git reports no change that could be reviewed: " + notWorthReading(report.Changed) + "."
		case q.CompareTo != "" || q.Staged && q.Unstaged:
		case q.Staged:
			e.Nothing = "git reports no staged change that could be reviewed, and include_unstaged is false."
		case q.Unstaged:
			e.Nothing = "git reports no unstaged change that could be reviewed, and include_staged is false."
		default:
			e.Nothing = "include_staged and include_unstaged are both false, so there is no change to review."
		}
		e.Note = e.Nothing
	}
	return e, nil
}

// nothingWorthReading reports whether every changed file is one that no review is about.
func nothingWorthReading(changed []workspace.ChangedFile) bool {
	return !slices.ContainsFunc(changed, func(c workspace.ChangedFile) bool { return c.Skipped == "" })
}

// notWorthReading names the changed files that are not reviewed, with the reasons.
func notWorthReading(changed []workspace.ChangedFile) string {
	const named = 10
	var parts []string
	for _, c := range changed[:min(named, len(changed))] {
		parts = append(parts, fmt.Sprintf("%s (%s)", c.Path, strings.TrimSuffix(cmp.Or(c.Skipped, c.Unread), ".")))
	}
	if n := len(changed) - named; n > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(parts, ", ")
}

// maxChanges is how many changes of a repository a reply lists.
const maxChanges = 40

// repositoriesOf is how a reply reports the repositories.
func repositoriesOf(report *workspace.GitReport) []workspace.Repository {
	repos := slices.Clone(report.Repositories)
	for i := range repos {
		if r := &repos[i]; len(r.Changes) > maxChanges {
			r.Changes, r.MoreChanges = r.Changes[:maxChanges], true
		}
	}
	return repos
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
