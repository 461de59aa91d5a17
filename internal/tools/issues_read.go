package tools

import (
	"cmp"
	"context"
	"fmt"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// filter is what list, search and export narrow by.
func (in issuesInput) filter(ctx context.Context, d *Deps) (issue.Filter, error) {
	f := issue.Filter{
		Text: deref(in.Text), File: deref(in.File), ConversationID: in.Conversation,
		Workspace: d.issueWorkspace(ctx, in.Workspace), Limit: cmp.Or(in.Limit, 50), Offset: in.Offset,
	}
	if in.Action == "list" && in.Status == nil {
		f.Status = issue.ActiveStatuses()
	}
	var err error
	if in.Status != nil && *in.Status != "all" {
		if f.Status, err = issueWords("status", in.Status, issue.Statuses()); err != nil {
			return f, err
		}
	}
	if f.Severity, err = issueWords("severity", in.Severity, issue.Severities()); err != nil {
		return f, err
	}
	if f.Category, err = issueWords("category", in.Category, issue.Categories()); err != nil {
		return f, err
	}
	switch len(in.Components) {
	case 0:
	case 1:
		f.Component = in.Components[0]
	default:
		return f, reply.InvalidRequest("Name one of them.", "A list is narrowed by one of affected_components, not by %d.", len(in.Components))
	}
	return f, nil
}

// issueWorkspace is a project folder as issues name it.
func (d *Deps) issueWorkspace(ctx context.Context, name string) string {
	if name == "." {
		return d.Workspace.FirstRoot(ctx)
	}
	return name
}

// listPage lists what a filter lets through, and where the next page begins, 0 for nowhere.
func listPage(ctx context.Context, s issue.Store, f issue.Filter) (list []issue.Issue, next int, err error) {
	limit := f.Limit
	f.Limit++ // the one more reports whether there are more
	if list, err = s.List(ctx, f); err != nil || len(list) <= limit {
		return list, 0, err
	}
	return list[:limit], f.Offset + limit, nil
}

// issueReply is a reply with content and, under a key, the same as data; without a key with content alone.
func issueReply(content, contentType, key string, data any) *Result {
	r := &Result{}
	r.Body.Set("status", "success").Set("content", content).Set("content_type", contentType)
	if key != "" {
		r.Body.Set(key, data)
	}
	return r
}

// withNextOffset says where the next page of a list begins.
func withNextOffset(r *Result, next int) *Result {
	if next > 0 {
		r.Body.Set("next_offset", next)
		r.Metadata.Note(fmt.Sprintf("There are more issues: call again with offset %d.", next))
	}
	return r
}

func (d *Deps) listIssues(ctx context.Context, s issue.Store, in issuesInput) (*Result, error) {
	f, err := in.filter(ctx, d)
	if err != nil {
		return nil, err
	}
	list, next, err := listPage(ctx, s, f)
	if err != nil {
		return nil, err
	}
	content := "No issues."
	if len(list) > 0 {
		content = issue.Markdown(list)
	}
	rows := make([]issue.Issue, len(list))
	for k, i := range list {
		i.Description, i.RootCause, i.Impact, i.RecommendedFix, i.ActualFix = "", "", "", "", "" // show has them
		rows[k] = i
	}
	return withNextOffset(issueReply(content, "markdown", "issues", rows), next), nil
}

func (d *Deps) exportIssues(ctx context.Context, s issue.Store, in issuesInput) (*Result, error) {
	f, err := in.filter(ctx, d)
	if err != nil {
		return nil, err
	}
	list, next, err := listPage(ctx, s, f)
	if err != nil {
		return nil, err
	}
	if list, err = issue.Whole(ctx, s, list); err != nil {
		return nil, err
	}
	if in.Format == "" || in.Format == "json" {
		return withNextOffset(issueReply(fmt.Sprintf("%d issues, under the key issues.", len(list)), "text", "issues", list), next), nil
	}
	text, err := issue.Export(list, in.Format)
	if err != nil {
		return nil, err
	}
	contentType := "markdown"
	if in.Format == "csv" {
		contentType = "text"
	}
	return withNextOffset(issueReply(text, contentType, "", nil), next), nil
}

func (d *Deps) showIssue(ctx context.Context, s issue.Store, in issuesInput) (*Result, error) {
	i, err := s.Get(ctx, in.Number)
	if err != nil {
		return nil, err
	}
	page, err := d.issuePage(ctx, s, *i)
	if err != nil {
		return nil, err
	}
	return issueReply(page.Markdown(), "markdown", "issue", i), nil
}

// issuePage reads what belongs beside an issue. It can be shown without the titles of its conversations.
func (d *Deps) issuePage(ctx context.Context, s issue.Store, i issue.Issue) (issue.Page, error) {
	page := issue.Page{Issue: i, Titles: map[string]string{}}
	var err error
	if page.Linked, err = issue.Linked(ctx, s, i); err != nil {
		return page, err
	}
	ids := i.Conversations()
	if len(ids) == 0 {
		return page, nil
	}
	conversations, err := d.conversationList(ctx, conversation.Filter{IDs: ids, Limit: len(ids)})
	if err != nil {
		d.log().Sugar().Warnw("an issue is shown without its conversations' titles", "error", err)
	}
	for _, t := range conversations {
		page.Titles[t.ID] = t.Title
	}
	return page, nil
}
