package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/issue"
)

const (
	captureChunk = 10  // findings of one transaction: few enough to end soon, enough to share its costs
	keyChunk     = 200 // rows whose keys one statement fills in
)

// Capture records findings. One that is known gets an update instead of a second issue while somebody works on it, or when
// it was decided not to fix it. One that came back after its fix is a new issue, related to the old one. When the time runs
// out, what is recorded stays recorded, and is returned with the error.
func (s *Issues) Capture(ctx context.Context, findings []issue.Finding) ([]issue.Captured, error) {
	if err := s.fillKeys(ctx); err != nil {
		return nil, err
	}
	var out []issue.Captured
	var longest time.Duration
	for chunk := range slices.Chunk(findings, captureChunk) {
		start := time.Now()
		if end, ok := ctx.Deadline(); ok && longest > 0 && end.Sub(start) < 2*longest {
			return out, fmt.Errorf("record findings: %d of %d recorded: %w", len(out), len(findings), context.DeadlineExceeded)
		}
		captured, err := s.captureChunk(ctx, chunk)
		if err != nil {
			return out, err
		}
		out, longest = append(out, captured...), max(longest, time.Since(start))
	}
	return out, nil
}

// captureChunk records some findings in one transaction.
func (s *Issues) captureChunk(ctx context.Context, findings []issue.Finding) (out []issue.Captured, err error) {
	err = s.store.inTx(ctx, "record findings", func(tx *sql.Tx) error {
		out = nil // the transaction may be run again
		if err := takeLock(ctx, tx, s.store.d.lock, lockCapture); err != nil {
			return err
		}
		known, err := findKnown(ctx, tx, findings)
		if err != nil {
			return err
		}
		for _, f := range findings {
			c, err := s.capture(ctx, tx, f, known)
			if err != nil {
				return err
			}
			out = append(out, c)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Issues) capture(ctx context.Context, tx querier, f issue.Finding, known *knownIssues) (issue.Captured, error) {
	i := f.Issue()
	by := "found"
	if f.Tool != "" {
		by += " by " + f.Tool
	}
	k := known.find(i)
	if k != nil && k.Quote == "" && quoteKey(i) != "" {
		k.Quote = i.Quote
		if _, err := tx.ExecContext(ctx, `UPDATE exai_issues SET quote = $1, quote_key = $2 WHERE issue_number = $3`,
			text(i.Quote), quoteKey(i), k.Number); err != nil {
			return issue.Captured{}, err
		}
	}
	if k != nil && (k.Status.Active() || k.Status == issue.WontFix) {
		again := fmt.Sprintf("%s again, %s", by, i.Severity)
		if i.LineStart > 0 {
			again += fmt.Sprintf(", at line %d", i.LineStart)
		}
		if issue.NormalTitle(k.Title) != issue.NormalTitle(text(i.Title)) {
			again += fmt.Sprintf(", as %q", i.Title)
		}
		if d := strings.TrimSpace(i.Description); d != "" && d != strings.TrimSpace(k.Description) {
			again += ": " + d
		}
		c := issue.Captured{Number: k.Number, Title: k.Title, Severity: k.Severity, Status: k.Status}
		return c, s.addComment(ctx, tx, k.ID, again, f.ConversationID)
	}
	number, err := s.insert(ctx, tx, i, by)
	if err == nil && k != nil {
		err = s.link(ctx, tx, number, issue.LinkRelated, k.Number, f.ConversationID)
	}
	if err == nil {
		err = known.read(ctx, tx, `issue_number = $1`, number)
	}
	return issue.Captured{Number: number, Title: i.Title, Severity: i.Severity, Status: i.Status, New: true}, err
}

// titleKey is an issue's key, NULL in no row that this program wrote.
func titleKey(i issue.Issue) string {
	return issue.TitleKey(text(i.Workspace), text(i.File), text(i.Title))
}

func quoteKey(i issue.Issue) string {
	return issue.QuoteKey(text(i.Workspace), text(i.File), text(i.Quote))
}

// knownIssues are the issues that some findings may have been recorded as before.
type knownIssues struct{ list []issue.Issue }

const knownByKey = `(title_key IN (%s) OR quote_key IN (%s))`

// findKnown reads the issues that have a key of one of the findings.
func findKnown(ctx context.Context, tx querier, findings []issue.Finding) (*knownIssues, error) {
	known := &knownIssues{}
	if len(findings) == 0 {
		return known, nil
	}
	var titles, quotes []any
	for _, f := range findings {
		titles, quotes = append(titles, titleKey(f.Issue())), append(quotes, orNull(quoteKey(f.Issue())))
	}
	var w where
	cond := w.fill(fmt.Sprintf(knownByKey, placeholders(len(titles)), placeholders(len(quotes))), slices.Concat(titles, quotes)...)
	return known, known.read(ctx, tx, cond, w.args...)
}

// read adds the issues that a condition names.
func (k *knownIssues) read(ctx context.Context, tx querier, cond string, args ...any) error {
	found, err := queryAll(ctx, tx, func(r *sql.Rows) (i issue.Issue, err error) {
		err = r.Scan(&i.ID, &i.Number, &i.Title, into(&i.Description), into(&i.Severity), into(&i.Status), into(&i.File),
			into(&i.Workspace), into(&i.Quote))
		return i, err
	}, `SELECT id, issue_number, title, description, severity, status, file_path, workspace, quote FROM exai_issues
		WHERE `+cond+` ORDER BY issue_number`, args...)
	k.list = append(k.list, found...)
	return err
}

// find is the issue that a finding was recorded as before: the first active one, else the latest of any status, nil for
// none. A row's title is compared itself, since another program may have changed it without its key.
func (k *knownIssues) find(i issue.Issue) *issue.Issue {
	title, quote := issue.NormalTitle(text(i.Title)), quoteKey(i)
	var latest *issue.Issue
	for n := range k.list {
		known := &k.list[n]
		same := known.File == text(i.File) && known.Workspace == text(i.Workspace)
		if !same || issue.NormalTitle(known.Title) != title && (quote == "" || quoteKey(*known) != quote) {
			continue
		}
		if latest = known; known.Status.Active() {
			break
		}
	}
	return latest
}

// fillKeys gives a key to the rows that other programs wrote. There are none, or few, but when a tracker of version 0.1.0
// is opened for the first time.
func (s *Issues) fillKeys(ctx context.Context) error {
	for {
		var rows []issue.Issue
		err := s.store.withRetry(ctx, "read issues without a key", func() (err error) {
			rows, err = queryAll(ctx, s.store.read, func(r *sql.Rows) (i issue.Issue, err error) {
				err = r.Scan(&i.Number, &i.Title, into(&i.File), into(&i.Workspace), into(&i.Quote))
				return i, err
			}, withoutKey, keyChunk)
			return err
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		var filled int64
		err = s.store.inTx(ctx, "fill in keys of issues", func(tx *sql.Tx) error {
			var w where
			var set strings.Builder
			set.WriteString(`UPDATE exai_issues SET title_key = CASE issue_number`)
			quotes := ` END, quote_key = CASE issue_number`
			var numbers []any
			for _, i := range rows {
				set.WriteString(w.fill(` WHEN ? THEN ?`, i.Number, titleKey(i)))
				quotes += w.fill(` WHEN ? THEN ?`, i.Number, orNull(quoteKey(i)))
				numbers = append(numbers, i.Number)
			}
			set.WriteString(quotes + ` END`)
			w.and(`issue_number IN (`+placeholders(len(numbers))+`)`, numbers...)
			w.and(`title_key IS NULL`)
			done, err := tx.ExecContext(ctx, set.String()+w.clause(), w.args...)
			if err != nil {
				return err
			}
			filled, err = done.RowsAffected()
			return err
		})
		if err != nil || filled == 0 { // 0: others filled them in, or something of the database undoes it
			return err
		}
	}
}

const withoutKey = `SELECT issue_number, title, file_path, workspace, quote FROM exai_issues
	WHERE title_key IS NULL LIMIT $1`
