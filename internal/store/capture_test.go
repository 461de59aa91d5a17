package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/issue"
)

// fillIssues makes n issues past the store, in a hundred files, with a title_key where keyed, as the tracker of a later or an
// earlier version leaves them.
func fillIssues(t testing.TB, s *Store, n int, keyed bool) {
	t.Helper()
	tx, err := s.write.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	severities := issue.Severities()
	for from := 0; from < n; from += 100 {
		var w where
		var rows []string
		for k := from; k < min(n, from+100); k++ {
			i := issue.Issue{Title: fmt.Sprint("Old defect ", k), File: fmt.Sprintf("/w/%d.go", k%100), Workspace: "/w"}
			var key any
			if keyed {
				key = titleKey(i)
			}
			rows = append(rows, w.fill(`(?, ?, ?, ?, ?, ?, ?, ?, ?)`, fmt.Sprintf("00000000-0000-0000-0000-%012d", k), i.Title,
				strings.Repeat("It is bad. ", 20), string(severities[k%4]), i.File, "/w", key, stamp(now()), stamp(now())))
		}
		_, err := tx.ExecContext(t.Context(), `INSERT INTO exai_issues
			(id, title, description, severity, file_path, workspace, title_key, created_at, updated_at) VALUES `+strings.Join(rows, ", "), w.args...)
		require.NoError(t, err)
		for k := from; k < min(n, from+100); k++ {
			_, err = tx.ExecContext(t.Context(), `INSERT INTO exai_issue_updates (issue_id, update_type, content, created_at) VALUES ($1, 'comment', 'found', $2)`,
				fmt.Sprintf("00000000-0000-0000-0000-%012d", k), stamp(now()))
			require.NoError(t, err)
		}
	}
	require.NoError(t, tx.Commit())
}

func findings(n int) (out []issue.Finding) {
	for k := range n {
		out = append(out, issue.Finding{
			Workspace: "/w", File: fmt.Sprintf("/w/%d.go", k%100), Title: fmt.Sprint("New defect ", k), Severity: issue.High,
			Quote: fmt.Sprintf("value := compute(%d)", 1000+k), Tool: "codereview",
		})
	}
	return out
}

// One finding is one workspace, file and title, or one workspace, file and quote.
func TestCaptureByQuote(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		capture := func(fs ...issue.Finding) []issue.Captured {
			t.Helper()
			out, err := s.Issues().Capture(t.Context(), fs)
			require.NoError(t, err)
			return out
		}
		in := func(title, quote string) issue.Finding {
			return issue.Finding{Workspace: "/w", File: "/w/a.go", Line: 3, Title: title, Quote: quote, Severity: issue.High}
		}
		got := capture(in("SQL injection", "rows := db.Query(q)"), in("Unescaped query", "  rows  := db.Query(q)"), in("Injection", "rows := db.Query(q)"))
		assert.Equal(t, []bool{true, false, false}, []bool{got[0].New, got[1].New, got[2].New}, "one defect in three wordings")
		one, err := s.Issues().Get(t.Context(), got[0].Number)
		require.NoError(t, err)
		assert.Equal(t, "SQL injection", one.Title)
		require.Len(t, one.Updates, 3)
		assert.Contains(t, one.Updates[2].Content, `as "Injection"`)

		other := in("SQL injection in another file", "rows := db.Query(q)")
		other.File = "/w/b.go"
		elsewhere := in("SQL injection in another project", "rows := db.Query(q)")
		elsewhere.Workspace = "/v"
		got = capture(in("Another defect", "rows := db.Query(p)"), other, elsewhere, in("Brace", "}"), in("Other brace", "}"), in("No quote", ""), in("No quote either", ""))
		for _, c := range got {
			assert.True(t, c.New, c.Title)
		}

		// Found by its title first, without a quote; then under another title with one that it has had since.
		capture(in("Leak", ""))
		capture(in("leak!", "f, _ := os.Open(name)"))
		assert.False(t, capture(in("File is never closed", "f, _ := os.Open(name)"))[0].New)

		// Fixed and found again: a new issue, related to the old one, which the next wording finds.
		number := one.Number
		_, err = s.Issues().Update(t.Context(), number, issue.Change{Status: ptr(issue.Fixed)})
		require.NoError(t, err)
		back := capture(in("Query built from input", "rows := db.Query(q)"))[0]
		assert.True(t, back.New)
		again := capture(in("Third wording", "rows := db.Query(q)"))[0]
		assert.Equal(t, back.Number, again.Number)
		i, err := s.Issues().Get(t.Context(), back.Number)
		require.NoError(t, err)
		assert.Equal(t, []int{number}, i.Related)
	})
}

// A row whose title another program changed, or made, is found by the title that it has.
func TestCaptureBesideOtherPrograms(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		fillIssues(t, s, 450, false)
		f := issue.Finding{Workspace: "/w", File: "/w/42.go", Title: "old defect 442"}
		got, err := s.Issues().Capture(t.Context(), []issue.Finding{f})
		require.NoError(t, err)
		assert.False(t, got[0].New)
		assert.EqualValues(t, 0, one[int64](t, s, `SELECT count(*) FROM exai_issues WHERE title_key IS NULL`))

		raw(t, s, `UPDATE exai_issues SET title = 'Renamed' WHERE issue_number = $1`, got[0].Number)
		again, err := s.Issues().Capture(t.Context(), []issue.Finding{f})
		require.NoError(t, err)
		assert.True(t, again[0].New, "its key is old, its title decides")

		_, err = s.Issues().Update(t.Context(), again[0].Number, issue.Change{Title: ptr("Changed here")})
		require.NoError(t, err)
		f.Title = "changed HERE"
		third, err := s.Issues().Capture(t.Context(), []issue.Finding{f})
		require.NoError(t, err)
		assert.Equal(t, again[0].Number, third[0].Number, "its key changed with it")
	})
}

// What was recorded before a failure, such as the end of the time, is kept, and told.
func TestCaptureInPart(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		raw(t, s, `CREATE UNIQUE INDEX one_for_a_line ON exai_issues (line_start)`)
		fs := findings(50)
		fs[2*captureChunk].Line, fs[2*captureChunk+1].Line = 7, 7
		got, err := s.Issues().Capture(t.Context(), fs)
		require.Error(t, err)
		require.Len(t, got, 2*captureChunk)
		list, err := s.Issues().List(t.Context(), issue.Filter{Limit: 100})
		require.NoError(t, err)
		assert.Len(t, list, 2*captureChunk)

		raw(t, s, `DROP INDEX one_for_a_line`)
		got, err = s.Issues().Capture(t.Context(), fs)
		require.NoError(t, err)
		require.Len(t, got, 50)
		assert.False(t, got[0].New)
		assert.True(t, got[49].New)

		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("the call's limit"))
		got, err = s.Issues().Capture(ctx, fs)
		require.ErrorContains(t, err, "the call's limit")
		assert.Empty(t, got)
	})
}

// Findings are looked up by index, however many issues there are, and in a number of statements that does not grow.
func TestCapturePlan(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		fillIssues(t, s, 300, true)
		plan := explain(t, s, `SELECT id FROM exai_issues WHERE `+fmt.Sprintf(knownByKey, "$1, $2", "$3, $4")+` ORDER BY issue_number`, "a", "b", "c", "d")
		assert.Contains(t, plan, "exai_issues_title_key")
		assert.Contains(t, plan, "exai_issues_quote_key")
		assert.NotContains(t, plan, "SCAN exai_issues\n")
		assert.Contains(t, explain(t, s, withoutKey, 200), "exai_issues_title_key")
	})
}

// explain is how the database would run a query if its tables were large.
func explain(t testing.TB, s *Store, query string, args ...any) string {
	t.Helper()
	prefix, column := `EXPLAIN QUERY PLAN `, 3
	tx, err := s.write.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	if s.d.name == "postgres" {
		prefix, column = `EXPLAIN `, 0
		_, err := tx.ExecContext(t.Context(), `SET LOCAL enable_seqscan = off`)
		require.NoError(t, err)
	}
	lines, err := queryAll(t.Context(), tx, func(r *sql.Rows) (string, error) {
		columns, err := r.Columns()
		if err != nil {
			return "", err
		}
		row := make([]any, len(columns))
		for i := range row {
			row[i] = new(any)
		}
		err = r.Scan(row...)
		return fmt.Sprint(*row[column].(*any)), err
	}, prefix+query, args...)
	require.NoError(t, err)
	return strings.Join(lines, "\n") + "\n"
}

// BenchmarkCapture records 50 findings among 100,000 issues. The bound is 100 ms.
func BenchmarkCapture(b *testing.B) {
	for _, c := range backends {
		b.Run(c.name, func(b *testing.B) {
			s := open(b, c.fresh(b))
			fillIssues(b, s, 100_000, true)
			n := 0
			for b.Loop() {
				fs := findings(50)
				for k := range fs {
					fs[k].Title = fmt.Sprint(fs[k].Title, " in round ", n)
				}
				n++
				_, err := s.Issues().Capture(b.Context(), fs)
				require.NoError(b, err)
			}
		})
	}
}

// What is said about a finding that is known is what is new about it.
func TestCaptureAgainSays(t *testing.T) {
	s := open(t, backends[0].fresh(t))
	base := issue.Finding{Workspace: "/w", File: "/w/a.go", Title: "Leaks a goroutine", Description: "It leaks.", Severity: issue.High}
	_, err := s.Issues().Capture(t.Context(), []issue.Finding{base})
	require.NoError(t, err)
	for _, c := range []struct {
		change func(f *issue.Finding)
		want   string
	}{
		{func(*issue.Finding) {}, "found again, high"},
		{func(f *issue.Finding) { f.Line = 1 }, "found again, high, at line 1"},
		{func(f *issue.Finding) { f.Severity = issue.Low }, "found again, low"},
		{func(f *issue.Finding) { f.Title = "leaks a GOROUTINE!" }, "found again, high"},
		{func(f *issue.Finding) { f.Description = " It leaks. " }, "found again, high"},
		{func(f *issue.Finding) { f.Description = " " }, "found again, high"},
		{func(f *issue.Finding) { f.Description = " It leaks twice. " }, "found again, high: It leaks twice."},
		{func(f *issue.Finding) { f.Tool, f.Line, f.Description = "debug", 9, "More" }, "found by debug again, high, at line 9: More"},
	} {
		f := base
		c.change(&f)
		got, err := s.Issues().Capture(t.Context(), []issue.Finding{f})
		require.NoError(t, err)
		assert.Equal(t, []issue.Captured{{Number: 1, Title: base.Title, Severity: issue.High, Status: issue.Open}}, got)
		i, err := s.Issues().Get(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, c.want, i.Updates[len(i.Updates)-1].Content)
	}
}

// A finding is the first active issue that is like it, or else the latest one.
func TestKnownIssues(t *testing.T) {
	like := func(n int, status issue.Status) issue.Issue {
		return issue.Issue{Number: n, Workspace: "/w", File: "/w/a.go", Title: "Leak", Quote: "f, err := os.Open(name)", Status: status}
	}
	with := func(i issue.Issue, change func(i *issue.Issue)) issue.Issue { change(&i); return i }
	reworded := func(i *issue.Issue) { i.Title = "Never closed" }
	for _, c := range []struct {
		name string
		list []issue.Issue
		want int
	}{
		{"none", nil, 0},
		{"by its title and quote", []issue.Issue{like(1, issue.Open)}, 1},
		{"by its quote", []issue.Issue{with(like(1, issue.Open), reworded)}, 1},
		{"by its title", []issue.Issue{with(like(1, issue.Open), func(i *issue.Issue) { i.Quote = "" })}, 1},
		{"neither", []issue.Issue{with(like(1, issue.Open), func(i *issue.Issue) { i.Title, i.Quote = "x", "y := compute(1000)" })}, 0},
		{"another file", []issue.Issue{with(like(1, issue.Open), func(i *issue.Issue) { i.File = "/w/b.go" })}, 0},
		{"another workspace", []issue.Issue{with(like(1, issue.Open), func(i *issue.Issue) { i.Workspace = "/v" })}, 0},
		{"the first active one", []issue.Issue{like(1, issue.Fixed), like(2, issue.InProgress), like(3, issue.Open), like(4, issue.Fixed)}, 2},
		{"else the latest", []issue.Issue{like(1, issue.Fixed), like(2, issue.WontFix), like(3, issue.Closed)}, 3},
	} {
		known := &knownIssues{list: c.list}
		got := 0
		if i := known.find(like(0, "")); i != nil {
			got = i.Number
		}
		assert.Equal(t, c.want, got, c.name)
	}
	short := func(title string) issue.Issue {
		return issue.Issue{Number: 1, File: "/w/a.go", Title: title, Quote: "}"}
	}
	assert.Nil(t, (&knownIssues{list: []issue.Issue{short("x")}}).find(short("y")), "a quote that says nothing identifies nothing")
}
