package store

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
)

// A new issue comes with its checklist and its links, or not at all.
func TestCreateWhole(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		track := s.Issues()
		for range 3 {
			create(t, track, "t", issue.Low)
		}
		whole := issue.Issue{
			Title: "whole", Severity: issue.High, Category: issue.Other, ConversationID: "c1",
			Checklist: []issue.ChecklistStep{{Description: "one"}, {Description: "two"}},
			Blocks:    []int{3, 1}, BlockedBy: []int{2}, Related: []int{1, 1},
		}
		got, err := track.Create(t.Context(), whole)
		require.NoError(t, err)
		assert.Equal(t, [][]int{{1, 3}, {2}, {1}}, [][]int{got.Blocks, got.BlockedBy, got.Related})
		assert.Equal(t, []issue.ChecklistStep{
			{Number: 1, Description: "one", Status: issue.StepPending, ConversationID: "c1"},
			{Number: 2, Description: "two", Status: issue.StepPending, ConversationID: "c1"},
		}, got.Checklist)
		assert.Equal(t, []string{
			"status_change opened as open", "comment checklist step 1 added: one\nchecklist step 2 added: two",
			"comment blocks issue 1", "comment is related to issue 1", "comment is blocked by issue 2", "comment blocks issue 3",
		}, said(got))
		other, err := track.Get(t.Context(), 2)
		require.NoError(t, err)
		assert.Equal(t, []int{4}, other.Blocks, "the other side knows it too")

		before := one[int64](t, s, `SELECT count(*) FROM exai_issue_updates`)
		for _, c := range []struct {
			spoil func(i *issue.Issue)
			want  error
		}{
			{func(i *issue.Issue) { i.Related = []int{99} }, issue.ErrNotFound},
			{func(i *issue.Issue) { i.Blocks, i.BlockedBy = []int{1}, []int{1} }, issue.ErrInvalid},
			{func(i *issue.Issue) { i.Checklist = []issue.ChecklistStep{{Description: "\t"}} }, issue.ErrInvalid},
		} {
			bad := whole
			c.spoil(&bad)
			_, err := track.Create(t.Context(), bad)
			require.ErrorIs(t, err, c.want)
		}
		assert.EqualValues(t, 4, one[int64](t, s, `SELECT count(*) FROM exai_issues`), "nothing half-made stays")
		assert.Equal(t, before, one[int64](t, s, `SELECT count(*) FROM exai_issue_updates`))
	})
}

func TestIssueListMore(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		track := s.Issues()
		for _, i := range []issue.Issue{
			{Title: "1", Severity: issue.Low, Category: issue.Other, Components: []string{"Async, GLM", "x"}},
			{Title: "2", Severity: issue.Low, Category: issue.Other, Components: []string{`{"a"}`}},
			{Title: "3", Severity: issue.Low, Category: issue.Other, Checklist: []issue.ChecklistStep{{Description: "Update the imports"}}},
		} {
			_, err := track.Create(t.Context(), i)
			require.NoError(t, err)
		}
		for _, c := range []struct {
			name string
			f    issue.Filter
			want []int
		}{
			{"component", issue.Filter{Component: "async, glm"}, []int{1}},
			{"odd component", issue.Filter{Component: `{"A"}`}, []int{2}},
			{"a part of a component", issue.Filter{Component: "async"}, nil},
			{"component as text", issue.Filter{Text: "glm"}, []int{1}},
			{"checklist as text", issue.Filter{Text: "THE IMPORTS"}, []int{3}},
		} {
			list, err := track.List(t.Context(), c.f)
			require.NoError(t, err, c.name)
			var got []int
			for _, i := range list {
				got = append(got, i.Number)
			}
			assert.Equal(t, c.want, got, c.name)
		}
	})
}

func TestListByIDs(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		for _, id := range []string{"a", "b", "c"} {
			say(t, s, id, user("x"))
		}
		list, err := s.List(t.Context(), conversation.Filter{IDs: []string{"c", "a", "nobody"}})
		require.NoError(t, err)
		require.Len(t, list, 2)
		assert.Equal(t, []string{"About c", "About a"}, []string{list[0].Title, list[1].Title})
	})
}

// Rows that people write by hand, with the database's own clock, are read like ours.
func TestRowsWrittenByHand(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		track := s.Issues()
		_, err := track.Create(t.Context(), issue.Issue{
			Title: "t", Severity: issue.Low, Category: issue.Other,
			Checklist: []issue.ChecklistStep{{Description: `a "quoted" step`}, {Description: "b"}},
		})
		require.NoError(t, err)
		create(t, track, "without steps", issue.Low)
		raw(t, s, `UPDATE exai_issue_checklist SET status = 'complete', completed_at = CURRENT_TIMESTAMP WHERE step_number = 1`)
		raw(t, s, `UPDATE exai_issues SET fix_date = '2026-01-02' WHERE issue_number = 1`)
		raw(t, s, `INSERT INTO exai_issue_updates (issue_id, update_type, content, created_at)
			SELECT id, 'comment', 'by hand', '2001-02-03 04:05:06' FROM exai_issues WHERE issue_number = 1`)
		require.NoError(t, track.Comment(t.Context(), 1, "after it", ""))
		i, err := track.Get(t.Context(), 1)
		require.NoError(t, err)
		assert.WithinDuration(t, time.Now(), i.Checklist[0].CompletedAt, time.Minute)
		assert.Equal(t, time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), i.FixDate)
		assert.Equal(t, time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC), i.Updates[0].CreatedAt, "the oldest, whatever its form")
		assert.Equal(t, "after it", i.Updates[len(i.Updates)-1].Content)

		steps := func(number int) (steps []map[string]any) {
			text := one[string](t, s, `SELECT CAST(checklist AS text) FROM exai_issue_checklists WHERE issue_number = $1`, number)
			require.NoError(t, json.Unmarshal([]byte(text), &steps))
			return steps
		}
		got := steps(1)
		require.Len(t, got, 2)
		assert.Equal(t, []any{1.0, `a "quoted" step`, "complete", nil},
			[]any{got[0]["step_number"], got[0]["description"], got[0]["status"], got[0]["conversation_id"]})
		assert.NotEmpty(t, got[0]["completed_at"])
		assert.Nil(t, got[1]["completed_at"])
		assert.Equal(t, []map[string]any{}, steps(2))
	})
}

// documented are the SQL statements of a page of the documentation, in order.
func documented(t *testing.T, name string) (statements []string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/" + name)
	require.NoError(t, err)
	for _, block := range strings.Split(string(page), "```sql\n")[1:] {
		statement, _, ok := strings.Cut(block, "```")
		require.True(t, ok)
		statements = append(statements, statement)
	}
	return statements
}

// records are a query's rows, by column. The bytes and strings of the drivers are strings.
func records(t *testing.T, s *Store, query string) []map[string]any {
	t.Helper()
	rows, err := s.write.QueryContext(t.Context(), query)
	require.NoError(t, err, query)
	defer rows.Close()
	names, err := rows.Columns()
	require.NoError(t, err)
	var out []map[string]any
	for rows.Next() {
		values, into := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		require.NoError(t, rows.Scan(into...))
		row := map[string]any{}
		for i, name := range names {
			if b, ok := values[i].([]byte); ok {
				values[i] = string(b)
			}
			row[name] = values[i]
		}
		out = append(out, row)
	}
	require.NoError(t, rows.Err())
	return out
}

// The statements of the documentation run as they stand, on tables of ours and on those of an existing project, whose
// columns have types of their own.
func TestDocumentedStatements(t *testing.T) {
	const conv = "debb44af-15b9-456d-9b88-6a2519f81427"
	statements := documented(t, "issues.md")
	require.Len(t, statements, 5)
	check := func(t *testing.T, s *Store) {
		track := s.Issues()
		active := records(t, s, statements[0])
		require.Len(t, active, 2)
		assert.Equal(t, []any{int64(1), "critical"}, []any{toInt(active[0]["issue_number"]), active[0]["severity"]})
		assert.Equal(t, []any{int64(2), "high"}, []any{toInt(active[1]["issue_number"]), active[1]["severity"]})
		require.Len(t, records(t, s, statements[2]), 1)
		rows := func() int { return len(records(t, s, `SELECT * FROM exai_issue_updates`)) }
		before := rows()
		raw(t, s, statements[3])
		raw(t, s, statements[4])
		assert.Equal(t, before+1, rows())

		one := records(t, s, statements[1])
		require.Len(t, one, 1)
		var steps []map[string]any
		require.NoError(t, json.Unmarshal([]byte(one[0]["checklist"].(string)), &steps))
		require.Len(t, steps, 2)
		for i, step := range steps {
			assert.Equal(t, float64(i+1), step["step_number"], "in step order")
		}
		assert.Equal(t, []any{"complete", conv}, []any{steps[1]["status"], steps[1]["conversation_id"]})

		i, err := track.Get(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, issue.StepComplete, i.Checklist[1].Status)
		assert.Equal(t, conv, i.Checklist[1].ConversationID)
		assert.WithinDuration(t, time.Now(), i.Checklist[1].CompletedAt, time.Minute)
		k := slices.IndexFunc(i.Updates, func(u issue.Update) bool { return u.Content == "checklist step 2: pending -> complete" })
		require.GreaterOrEqual(t, k, 0)
		assert.Equal(t, conv, i.Updates[k].ConversationID)
		assert.WithinDuration(t, time.Now(), i.Updates[k].CreatedAt, time.Minute)
	}
	eachStore(t, func(t *testing.T, s *Store) {
		for _, i := range []issue.Issue{
			{Title: "first", Severity: issue.Critical, ConversationID: conv, Checklist: []issue.ChecklistStep{{Description: "a"}, {Description: "b"}}},
			{Title: "second", Severity: issue.High},
			{Title: "done", Severity: issue.Critical, Status: issue.Closed},
		} {
			i.Category = issue.Other
			_, err := s.Issues().Create(t.Context(), i)
			require.NoError(t, err)
		}
		check(t, s)
	})
	t.Run("an existing project's", func(t *testing.T) {
		c, _ := existingProject(t, existingIssues)
		s := open(t, c)
		raw(t, s, `UPDATE exai_issues SET status = 'open' WHERE issue_number = 2`)
		check(t, s)
	})
}

func toInt(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case int32:
		return int64(v)
	}
	return -1
}

func TestDocumentedConversation(t *testing.T) {
	statements := documented(t, "conversations.md")
	require.Len(t, statements, 1)
	eachStore(t, func(t *testing.T, s *Store) {
		say(t, s, "debb44af-15b9-456d-9b88-6a2519f81427", user("why?"), assistant("because"))
		rows := records(t, s, statements[0])
		require.Len(t, rows, 2)
		assert.Equal(t, []any{"because", "glm-5.3"}, []any{rows[1]["content"], rows[1]["model_used"]})
	})
}
