package tools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

// track records what a finished workflow run has found in the issue tracker.
func (d *Deps) track(ctx context.Context, run workflow.Finished) ([]workflow.Tracked, error) {
	store, err := d.Issues(ctx)
	if err != nil {
		return nil, err
	}
	workspace := d.Workspace.FirstRoot(ctx)
	var findings []issue.Finding
	for _, f := range run.Found {
		findings = append(findings, issue.Finding{
			Workspace: workspace, File: d.hostFile(ctx, f.File), Line: f.Line, Title: f.Title, Quote: f.Quote, Description: f.Evidence,
			RecommendedFix: f.Recommendation, Severity: f.Severity, Category: category(run.Tool, f.Category),
			ConversationID: run.ContinuationID, Tool: run.Tool,
		})
	}
	captured, err := store.Capture(ctx, findings) // with an error, those that are recorded all the same
	var tracked []workflow.Tracked
	for _, c := range captured {
		tracked = append(tracked, workflow.Tracked{Number: c.Number, Title: c.Title, Severity: string(c.Severity), Status: string(c.Status), New: c.New})
	}
	return tracked, err
}

// hostFile is a cited file by the one name that the host has for it, so that a finding is known again however it is cited.
// One that is not there keeps the name that it was cited by.
func (d *Deps) hostFile(ctx context.Context, cited string) string {
	if cited == "" {
		return ""
	}
	refs, problems := d.Workspace.Resolve(ctx, []string{cited})
	if len(problems) > 0 || len(refs) != 1 || refs[0].IsFolder() {
		return cited
	}
	return refs[0].Path()
}

// category is what a finding is about: as it says itself, else as its tool is about.
func category(tool, said string) issue.Category {
	c := issue.Category(strings.ToLower(said))
	if !c.Valid() && tool == "secaudit" {
		return issue.Security
	}
	return c
}

// fix sets issues of this workspace to fixed by a conversation. What it leaves as it was is said in notes.
func (d *Deps) fix(ctx context.Context, continuationID string, numbers, again []int) (notes []string, err error) {
	store, err := d.Issues(ctx)
	if err != nil {
		return nil, err
	}
	workspace := d.Workspace.FirstRoot(ctx)
	for _, n := range numbers {
		if slices.Contains(again, n) {
			notes = append(notes, fmt.Sprintf("Issue %d was found again, so it was not set to fixed.", n))
			continue
		}
		found, err := store.Get(ctx, n)
		switch {
		case errors.Is(err, issue.ErrNotFound) || err == nil && found.Workspace != "" && found.Workspace != workspace:
			notes = append(notes, fmt.Sprintf("Unknown issue %d: fixes takes the numbers of this workspace's issues.", n))
			continue
		case err != nil:
			return notes, err
		case found.Status != issue.Open && found.Status != issue.InProgress:
			notes = append(notes, fmt.Sprintf("Issue %d is already %s.", n, strings.ReplaceAll(string(found.Status), "_", " ")))
			continue
		}
		if _, err := store.Update(ctx, n, issue.Change{FixConversationID: &continuationID, Note: "named in fixes"}); err != nil {
			return notes, err
		}
		notes = append(notes, fmt.Sprintf("Issue %d was set to fixed.", n))
	}
	return notes, nil
}
