package ui

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
)

type issuesView struct {
	list
	Text, Status, Severity, File string
	Statuses                     []issue.Status
	Severities                   []issue.Severity
	List                         []issue.Issue
}

// active is the word for the issues that are open or in progress, which are shown first.
const active = "active"

func (s *Server) issues(ctx context.Context, r *http.Request) (any, error) {
	q := r.URL.Query()
	v := issuesView{
		list: listOf(r), Text: strings.TrimSpace(q.Get("q")), Status: cmp.Or(q.Get("status"), active), Severity: q.Get("severity"),
		File: strings.TrimSpace(q.Get("file")), Statuses: issue.Statuses(), Severities: issue.Severities(),
	}
	f := issue.Filter{Text: v.Text, File: v.File, Limit: pageSize + 1, Offset: (v.Page - 1) * pageSize}
	switch status := issue.Status(v.Status); {
	case v.Status == active:
		f.Status = []issue.Status{issue.Open, issue.InProgress}
	case slices.Contains(v.Statuses, status):
		f.Status = []issue.Status{status}
	}
	if severity := issue.Severity(v.Severity); slices.Contains(v.Severities, severity) {
		f.Severity = []issue.Severity{severity}
	}
	var err error
	v.List, err = s.o.Issues.List(ctx, f)
	if len(v.List) > pageSize {
		v.List, v.Next = v.List[:pageSize], v.at(v.Page+1)
	}
	return v, err
}

type issueView struct {
	*issue.Issue
	Lines []line
}

// line is a line of the file in which an issue was found, as it was when it was sent.
type line struct {
	N    int
	Text string
	Mark bool // it is the issue's
}

func (s *Server) issue(ctx context.Context, r *http.Request) (any, error) {
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		return nil, fmt.Errorf("issue %q: %w", r.PathValue("number"), issue.ErrNotFound)
	}
	found, err := s.o.Issues.Get(ctx, number)
	if err != nil {
		return nil, err
	}
	v := issueView{Issue: found}
	if found.File != "" && found.LineStart > 0 && found.ConversationID != "" {
		c, err := s.o.Conversations.Load(ctx, found.ConversationID)
		if err != nil && !errors.Is(err, conversation.ErrNotFound) {
			return nil, err
		}
		if err == nil {
			v.Lines = linesOf(c, found)
		}
	}
	return v, nil
}

// aroundLines is how many lines are shown before and after an issue's.
const aroundLines = 6

// linesOf are the lines around an issue in the latest copy of its file that its conversation holds. The file itself, which
// may have changed, is not read.
func linesOf(c *conversation.Conversation, i *issue.Issue) []line {
	for _, turn := range slices.Backward(c.Turns) {
		for _, a := range turn.Attachments {
			same := a.Path == i.File || strings.HasSuffix(filepath.ToSlash(a.Path), "/"+filepath.ToSlash(i.File))
			if !same || !strings.HasPrefix(a.MIME, "text/") {
				continue
			}
			texts := strings.Split(string(a.Data), "\n")
			end := max(i.LineEnd, i.LineStart)
			var out []line
			for n := max(i.LineStart-aroundLines, 1); n <= min(end+aroundLines, len(texts), i.LineStart+200); n++ {
				out = append(out, line{N: n, Text: texts[n-1], Mark: n >= i.LineStart && n <= end})
			}
			return out
		}
	}
	return nil
}
