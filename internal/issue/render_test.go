package issue_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/issue"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 5000, time.UTC)

func full() issue.Issue {
	return issue.Issue{
		ID: "id", Number: 7, Title: "No | timeout\nat all", Severity: issue.Critical, Category: issue.Timeout, Status: issue.InProgress,
		Description: "It waits <forever>.\r\n## Checklist\n- [x] 1. fake", File: "src/a.py", LineStart: 48, LineEnd: 51,
		Components: []string{"async", "glm"}, ConversationID: "c1", FixConversationID: "c2", RootCause: "no limit", Impact: "hangs",
		RecommendedFix: "set one", ActualFix: "set", FixDate: noon, Related: []int{8}, Blocks: []int{9, 10}, BlockedBy: []int{8},
		Workspace: "/w", CreatedAt: noon, UpdatedAt: noon, CompletedSteps: 1, TotalSteps: 3,
		Checklist: []issue.ChecklistStep{
			{Number: 1, Description: "imports", Status: issue.StepComplete, ConversationID: "c3", CompletedAt: noon},
			{Number: 2, Description: "client\n## History", Status: issue.StepInProgress, ConversationID: "c3"},
			{Number: 3, Description: "docs", Status: issue.StepPending},
		},
		Updates: []issue.Update{
			{Type: issue.StatusChange, Content: "opened as open", ConversationID: "c1", CreatedAt: noon},
			{Type: issue.CommentAdded, Content: "two\nlines"},
		},
	}
}

func TestPage(t *testing.T) {
	page := issue.Page{
		Issue: full(), Linked: []issue.Issue{{Number: 9, Title: "Nine", Status: issue.Open}},
		Titles: map[string]string{"c1": "The review"},
	}
	assert.Equal(t, `# Issue 7: No | timeout at all

- Severity: critical
- Category: timeout
- Status: in_progress
- Progress: [######..............] 1/3, 33 %
- Place: src/a.py:48-51
- Components: async, glm
- Blocks: #9 Nine (open); #10
- Blocked by: #8
- Related: #8
- Workspace: /w
- Created: 2026-01-02 12:00:00 UTC
- Changed: 2026-01-02 12:00:00 UTC
- Fixed on: 2026-01-02 12:00:00 UTC

## Description

> It waits <forever>.
> ## Checklist
> - [x] 1. fake

## Root cause

> no limit

## Impact

> hangs

## Recommended fix

> set one

## Actual fix

> set

## Checklist

- [x] 1. imports (complete, 2026-01-02 12:00:00 UTC, in conversation c3)
- [ ] 2. client ## History (in_progress, in conversation c3)
- [ ] 3. docs (pending)

## Conversations

- c1: found, 1 update (The review)
- c2: fixed
- c3: checklist steps 1, 2

## History

- 2026-01-02 12:00:00 UTC, status_change, in conversation c1
  > opened as open
- comment
  > two
  > lines
`, page.Markdown())
	assert.Equal(t, "# Issue 1: bare\n\n- Severity: low\n", issue.Page{Issue: issue.Issue{Number: 1, Title: "bare", Severity: issue.Low}}.Markdown())
}

func TestBarAndPlace(t *testing.T) {
	for _, c := range []struct {
		done, total int
		want        string
	}{{0, 0, ""}, {0, 3, "[....] 0/3"}, {2, 3, "[##..] 2/3"}, {99, 100, "[###.] 99/100"}, {3, 3, "[####] 3/3"}} {
		assert.Equal(t, c.want, issue.Issue{CompletedSteps: c.done, TotalSteps: c.total}.Bar(4))
	}
	for want, i := range map[string]issue.Issue{
		"":          {LineStart: 3},
		"a.go":      {File: "a.go"},
		"a.go:3":    {File: "a.go", LineStart: 3, LineEnd: 3},
		"b.go:3":    {File: "b.go", LineStart: 3},
		"a.go:3-12": {File: "a.go", LineStart: 3, LineEnd: 12},
	} {
		assert.Equal(t, want, i.Where())
	}
}

func TestMarkdownTable(t *testing.T) {
	assert.Equal(t, `| # | Severity | Status | Category | Progress | Title | Place |
|--:|---|---|---|---|---|---|
| 7 | critical | in_progress | timeout | [###.......] 1/3 | No \| timeout at all | src/a.py:48-51 |
`, issue.Markdown([]issue.Issue{full()}))
}

func TestJSON(t *testing.T) {
	text, err := issue.Export([]issue.Issue{full()}, "json")
	require.NoError(t, err)
	assert.Contains(t, text, "<forever>", "no escapes that nobody reads")
	var back []map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &back))
	require.Len(t, back, 1)
	for name, want := range map[string]any{
		"issue_number": 7.0, "severity": "critical", "line_end": 51.0, "fix_conversation_id": "c2", "blocks_issues": []any{9.0, 10.0},
		"fix_date": "2026-01-02T12:00:00.000005Z", "progress_percentage": 33.0, "affected_components": []any{"async", "glm"},
	} {
		assert.Equal(t, want, back[0][name], name)
	}
	steps := back[0]["checklist"].([]any)
	assert.Equal(t, map[string]any{"step_number": 3.0, "description": "docs", "status": "pending"}, steps[2])

	var same issue.Issue
	one, err := full().MarshalJSON()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(one, &same))
	assert.Equal(t, full(), same, "nothing is lost")
}

func TestCSV(t *testing.T) {
	evil := full()
	evil.Title, evil.Description, evil.RootCause = `=HYPERLINK("http://x")`, "+1", "\t=1"
	evil.Impact, evil.ActualFix, evil.LineStart = "-1", "@x", 0
	text, err := issue.Export([]issue.Issue{full(), evil}, "csv")
	require.NoError(t, err)
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 3)
	cell := func(row int, column string) string {
		for i, name := range rows[0] {
			if name == column {
				return rows[row][i]
			}
		}
		t.Fatalf("no column %s", column)
		return ""
	}
	assert.Equal(t, "No | timeout\nat all", cell(1, "title"))
	assert.Equal(t, "9\n10", cell(1, "blocks_issues"))
	assert.Equal(t, []string{"48", "51"}, []string{cell(1, "line_start"), cell(1, "line_end")})
	assert.Equal(t, "1. imports (complete, 2026-01-02T12:00:00.000005Z, in conversation c3)\n"+
		"2. client ## History (in_progress, in conversation c3)\n3. docs (pending)", cell(1, "checklist"))
	assert.Equal(t, "2026-01-02T12:00:00.000005Z, status_change, in conversation c1: opened as open\ncomment: two lines", cell(1, "updates"))
	for column, want := range map[string]string{
		"line_start": "", "title": `'=HYPERLINK("http://x")`, "description": "'+1", "root_cause": "'\t=1", "impact_description": "'-1", "actual_fix": "'@x",
	} {
		assert.Equal(t, want, cell(2, column), "no spreadsheet runs what an issue says")
	}
}

func TestExportForms(t *testing.T) {
	text, err := issue.Export([]issue.Issue{full(), full()}, "markdown")
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(text, "# Issue 7:"))
	assert.Contains(t, text, "\n---\n\n# Issue")
	for form, want := range map[string]string{"json": "[]\n", "markdown": "", "csv": strings.Split(csvOf(t, full()), "\n")[0] + "\n"} {
		text, err := issue.Export(nil, form)
		require.NoError(t, err)
		assert.Equal(t, want, text, form)
	}
	text, err = issue.Export([]issue.Issue{full(), full()}, "json")
	require.NoError(t, err)
	var list strings.Builder
	enc := json.NewEncoder(&list)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	require.NoError(t, enc.Encode([]issue.Issue{full(), full()}))
	assert.Equal(t, list.String(), text, "one by one as at once")
	full := errors.New("disk full")
	require.ErrorIs(t, issue.ExportTo(failing{full}, (&pages{all: []issue.Issue{{Number: 1}}}).Each(t.Context(), issue.Filter{}, true), "json", nil), full)
	broken := &pages{all: make([]issue.Issue, 5), broken: full}
	require.ErrorIs(t, issue.ExportTo(io.Discard, broken.Each(t.Context(), issue.Filter{}, true), "csv", nil), full)
	_, err = issue.Export(nil, "pdf")
	require.ErrorIs(t, err, issue.ErrInvalid)
	assert.Equal(t, `unknown format "pdf"; expected one of json, markdown, csv`, issue.Reason(err))
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func csvOf(t *testing.T, i issue.Issue) string {
	t.Helper()
	text, err := issue.Export([]issue.Issue{i}, "csv")
	require.NoError(t, err)
	return text
}

func TestWord(t *testing.T) {
	for _, text := range []string{"in_progress", " In Progress", "IN-PROGRESS"} {
		word, err := issue.Word(text, issue.Statuses())
		require.NoError(t, err)
		assert.Equal(t, issue.InProgress, word)
	}
	_, err := issue.Word("done", issue.Statuses())
	require.ErrorIs(t, err, issue.ErrInvalid)
	assert.Equal(t, `"done" is none of open, in_progress, fixed, verified, closed, wont_fix`, issue.Reason(err))
}

// A fix says where it was made; the status follows where it may.
func TestApplyFix(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name   string
		before issue.Issue
		change issue.Change
		status issue.Status
		date   time.Time
	}{
		{"open", issue.Issue{Status: issue.Open}, issue.Change{}, issue.Fixed, at},
		{"without a status", issue.Issue{}, issue.Change{}, issue.Fixed, at},
		{"fixed before", issue.Issue{Status: issue.Fixed, FixDate: noon}, issue.Change{}, issue.Fixed, noon},
		{"closed without a date", issue.Issue{Status: issue.Closed}, issue.Change{}, issue.Closed, at},
		{"told otherwise", issue.Issue{Status: issue.Open}, issue.Change{Status: ptr(issue.InProgress)}, issue.InProgress, time.Time{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.change.FixConversationID = ptr("c9")
			after, said, err := c.change.Apply(c.before, at)
			require.NoError(t, err)
			assert.Equal(t, []any{c.status, c.date, "c9"}, []any{after.Status, after.FixDate, after.FixConversationID})
			for _, u := range said {
				assert.Equal(t, "c9", u.ConversationID, "the history says where")
			}
		})
	}
	_, _, err := issue.Change{FixConversationID: ptr("c9")}.Apply(issue.Issue{Status: issue.WontFix}, at)
	require.ErrorIs(t, err, issue.ErrInvalid)
	after, _, err := issue.Change{FixConversationID: ptr("")}.Apply(issue.Issue{Status: issue.Open, FixConversationID: "c"}, at)
	require.NoError(t, err)
	assert.Equal(t, issue.Issue{Status: issue.Open}, after, "it can be taken back")
}

// pages is a store that yields its issues.
type pages struct {
	issue.Store
	all    []issue.Issue
	broken error
}

func (p *pages) Each(_ context.Context, f issue.Filter, _ bool) iter.Seq2[issue.Issue, error] {
	return func(yield func(issue.Issue, error) bool) {
		for n, i := range p.all {
			if p.broken != nil && n == 2 {
				yield(issue.Issue{}, p.broken)
				return
			}
			if f.Limit > 0 && n == f.Limit || !yield(i, nil) {
				return
			}
		}
	}
}

func (p *pages) Get(_ context.Context, number int) (*issue.Issue, error) {
	if p.broken != nil {
		return nil, p.broken
	}
	for _, i := range p.all {
		if i.Number == number {
			i.Description = "whole"
			return &i, nil
		}
	}
	return nil, issue.MissingError(number)
}

func TestCollect(t *testing.T) {
	s := &pages{}
	for n := range 1000 {
		s.all = append(s.all, issue.Issue{Number: n + 1, Related: []int{n + 2, n}, Blocks: []int{n + 2}})
	}
	list, err := issue.All(t.Context(), s, issue.Filter{})
	require.NoError(t, err)
	assert.Equal(t, s.all, list)
	list, err = issue.All(t.Context(), s, issue.Filter{Limit: 3})
	require.NoError(t, err)
	assert.Len(t, list, 3)

	whole, err := issue.Whole(t.Context(), s, list)
	require.NoError(t, err)
	assert.Equal(t, "whole", whole[2].Description)
	linked, err := issue.Linked(t.Context(), s, s.all[4])
	require.NoError(t, err)
	require.Len(t, linked, 2, "each once")
	assert.Equal(t, []int{4, 6}, []int{linked[0].Number, linked[1].Number})
	whole, err = issue.Whole(t.Context(), s, []issue.Issue{{Number: 4711}, {Number: 3}})
	require.NoError(t, err)
	require.Len(t, whole, 1, "one that was deleted meanwhile is left out")
	assert.Equal(t, 3, whole[0].Number)
	s.broken = errors.New("disk full")
	_, err = issue.All(t.Context(), s, issue.Filter{})
	require.ErrorIs(t, err, s.broken)
	_, err = issue.Whole(t.Context(), s, list)
	require.ErrorIs(t, err, s.broken)
	assert.ErrorContains(t, err, "issue 1")
}
