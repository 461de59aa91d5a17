package tools

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

func (d *Deps) createIssue(ctx context.Context, s issue.Store, in issuesInput) (*Result, error) {
	c, err := in.change()
	if err != nil {
		return nil, err
	}
	i := issue.Issue{
		Title: deref(in.Title), Description: deref(in.Description), File: deref(in.File),
		LineStart: deref(in.LineStart), LineEnd: deref(in.LineEnd), Components: in.Components,
		Severity: cmp.Or(deref(c.Severity), issue.Medium), Category: cmp.Or(deref(c.Category), issue.Other), Status: deref(c.Status),
		ConversationID: in.Conversation, FixConversationID: deref(in.FixConversation), RootCause: deref(in.RootCause),
		Impact: deref(in.Impact), RecommendedFix: deref(in.RecommendedFix), ActualFix: deref(in.ActualFix),
		Blocks: in.Blocks, BlockedBy: in.BlockedBy, Related: in.Related,
		Workspace: d.issueWorkspace(ctx, cmp.Or(in.Workspace, ".")),
	}
	if i.FixConversationID != "" {
		i.Status = cmp.Or(i.Status, issue.Fixed)
	}
	if in.FixDate != nil {
		if i.FixDate, err = parseFixDate(*in.FixDate); err != nil {
			return nil, err
		}
	}
	for _, step := range in.Steps {
		i.Checklist = append(i.Checklist, issue.ChecklistStep{Description: step})
	}
	made, err := s.Create(ctx, i)
	if err != nil {
		return nil, err
	}
	return issueChanged(issue.Issue{}, made), nil
}

func parseFixDate(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return t, nil
		}
	}
	return time.Time{}, reply.InvalidRequest("Send 2026-01-31, or with a time, 2026-01-31T15:04:05Z.", "fix_date %q is not a date.", reply.Clip(text))
}

// change is what the arguments ask to change.
func (in issuesInput) change() (issue.Change, error) {
	c := issue.Change{
		Title: in.Title, Description: in.Description, File: in.File, LineStart: in.LineStart, LineEnd: in.LineEnd,
		ConversationID: in.FoundIn, FixConversationID: in.FixConversation, RootCause: in.RootCause, Impact: in.Impact,
		RecommendedFix: in.RecommendedFix, ActualFix: in.ActualFix, Note: deref(in.Text), By: in.Conversation,
	}
	if in.Components != nil {
		c.Components = &in.Components
	}
	var err error
	if c.Severity, err = changedWord("severity", in.Severity, issue.Severities()); err != nil {
		return c, err
	}
	if c.Category, err = changedWord("category", in.Category, issue.Categories()); err != nil {
		return c, err
	}
	c.Status, err = changedWord("status", in.Status, issue.Statuses())
	return c, err
}

func (d *Deps) updateIssue(ctx context.Context, s issue.Store, in issuesInput) (*Result, error) {
	c, err := in.change()
	if err != nil {
		return nil, err
	}
	if c == (issue.Change{By: c.By}) {
		return nil, reply.InvalidRequest("Send at least one field, such as status.", "There is nothing to update.")
	}
	return changeIssue(ctx, s, in.Number, func() (*issue.Issue, error) { return s.Update(ctx, in.Number, c) })
}

func (d *Deps) fixIssue(ctx context.Context, s issue.Store, in issuesInput) (*Result, error) {
	by := cmp.Or(deref(in.FixConversation), in.Conversation)
	if by == "" {
		return nil, reply.InvalidRequest("It is the continuation_id of the conversation in which the issue was fixed.",
			"The action fix needs fix_conversation_id.")
	}
	c := issue.Change{FixConversationID: &by, ActualFix: in.ActualFix, Note: deref(in.Text), By: in.Conversation}
	return changeIssue(ctx, s, in.Number, func() (*issue.Issue, error) { return s.Update(ctx, in.Number, c) })
}

func (d *Deps) commentIssue(ctx context.Context, s issue.Store, in issuesInput) (*Result, error) {
	return changeIssue(ctx, s, in.Number, func() (*issue.Issue, error) {
		if err := s.Comment(ctx, in.Number, deref(in.Text), in.Conversation); err != nil {
			return nil, err
		}
		return s.Get(ctx, in.Number)
	})
}

func (d *Deps) checkIssue(ctx context.Context, s issue.Store, in issuesInput) (*Result, error) {
	if (in.Step != 0) == (len(in.Steps) > 0) || in.Status != nil && in.Step == 0 {
		return nil, reply.InvalidRequest("The action show lists an issue's steps.",
			"The action check takes either step_number, the step to check, with a status, or steps, new ones to add.")
	}
	status := issue.StepComplete
	if in.Status != nil {
		var err error
		if status, err = issueWord("status", *in.Status, issue.StepStatuses()); err != nil {
			return nil, err
		}
	}
	return changeIssue(ctx, s, in.Number, func() (*issue.Issue, error) {
		if len(in.Steps) > 0 {
			return s.AddSteps(ctx, in.Number, in.Steps, in.Conversation)
		}
		return s.SetStep(ctx, in.Number, in.Step, status, in.Conversation)
	})
}

func (d *Deps) linkIssue(ctx context.Context, s issue.Store, in issuesInput) (*Result, error) {
	if len(in.Blocks)+len(in.BlockedBy)+len(in.Related) == 0 {
		return nil, reply.InvalidRequest("Send the other issues' numbers.",
			"The action link needs blocks_issues, blocked_by_issues or related_issues.")
	}
	return changeIssue(ctx, s, in.Number, func() (*issue.Issue, error) {
		for _, link := range []struct {
			kind   issue.LinkKind
			others []int
		}{{issue.LinkBlocks, in.Blocks}, {issue.LinkBlockedBy, in.BlockedBy}, {issue.LinkRelated, in.Related}} {
			for _, other := range link.others {
				if err := s.Link(ctx, in.Number, link.kind, other, in.Conversation); err != nil {
					return nil, err
				}
			}
		}
		return s.Get(ctx, in.Number)
	})
}

// changeIssue makes a change and says what it did.
func changeIssue(ctx context.Context, s issue.Store, number int, change func() (*issue.Issue, error)) (*Result, error) {
	before, err := s.Get(ctx, number)
	if err != nil {
		return nil, err
	}
	after, err := change()
	if err != nil {
		return nil, err
	}
	return issueChanged(*before, after), nil
}

// issueChanged is the reply about an issue: what is new in its history, and how it stands.
func issueChanged(before issue.Issue, i *issue.Issue) *Result {
	var b strings.Builder
	fmt.Fprintf(&b, "Issue %d, %s, %s: %s\n\n", i.Number, i.Severity, i.Status, oneLine(i.Title))
	news := i.Updates[min(len(before.Updates), len(i.Updates)):]
	for _, u := range news {
		fmt.Fprintf(&b, "- %s: %s\n", u.Type, oneLine(u.Content))
	}
	if len(news) == 0 {
		b.WriteString("Nothing changed: the issue already has these values.\n")
	}
	return issueReply(b.String(), "markdown", "issue", i)
}
