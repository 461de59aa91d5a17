package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/exai-mcp/exai-mcp/internal/issue"
)

// issueRow is an issue with the row ids of those that it is linked to.
type issueRow struct {
	issue.Issue
	related, blocks, blockedBy []string
}

func (r issueRow) links(k issue.LinkKind) []string {
	switch k {
	case issue.LinkBlocks:
		return r.blocks
	case issue.LinkBlockedBy:
		return r.blockedBy
	}
	return r.related
}

const issueColumns = `id, issue_number, title, description, severity, category, status, file_path, line_start, line_end,
	affected_components, conversation_id, fix_conversation_id, root_cause, impact_description, recommended_fix, actual_fix,
	fix_date, related_issues, blocks_issues, blocked_by_issues, workspace, quote, created_at, updated_at,
	(SELECT count(*) FROM exai_issue_checklist k WHERE k.issue_id = exai_issues.id),
	(SELECT count(*) FROM exai_issue_checklist k WHERE k.issue_id = exai_issues.id AND k.status = 'complete')`

func scanIssue(r *sql.Rows) (i issueRow, err error) {
	err = r.Scan(&i.ID, &i.Number, &i.Title, into(&i.Description), into(&i.Severity), into(&i.Category), into(&i.Status),
		into(&i.File), into(&i.LineStart), into(&i.LineEnd), intoList{&i.Components}, into(&i.ConversationID),
		into(&i.FixConversationID), into(&i.RootCause), into(&i.Impact), into(&i.RecommendedFix), into(&i.ActualFix),
		intoTime{&i.FixDate}, intoList{&i.related}, intoList{&i.blocks}, intoList{&i.blockedBy}, into(&i.Workspace), into(&i.Quote),
		intoTime{&i.CreatedAt}, intoTime{&i.UpdatedAt}, &i.TotalSteps, &i.CompletedSteps)
	return i, err
}

// intoList scans an array, PostgreSQL's text form or JSON; NULL is an empty one.
type intoList struct{ p *[]string }

// Scan tells the forms apart by their first character.
func (l intoList) Scan(v any) error {
	var src []byte
	switch v := v.(type) {
	case nil:
	case string:
		src = []byte(v)
	case []byte:
		src = v
	default:
		return fmt.Errorf("an array in the database is a %T", v)
	}
	*l.p = nil
	if len(src) == 0 || string(src) == "[]" || string(src) == "{}" { // as most are
		return nil
	}
	var items []*string // an element may be NULL
	var err error
	if src[0] == '[' {
		err = json.Unmarshal(src, &items)
	} else {
		err = pgtype.NewMap().Scan(pgtype.TextArrayOID, pgtype.TextFormatCode, src, &items)
	}
	for _, s := range items {
		if s != nil {
			*l.p = append(*l.p, *s)
		}
	}
	return err
}

// withNumber finds an issue by its number, of any size: PostgreSQL's column is narrower than an int.
const withNumber = ` WHERE issue_number = CAST($1 AS bigint)`

// lock reads an issue and keeps other writers off it until the transaction ends.
func (s *Issues) lock(ctx context.Context, tx querier, number int) (issueRow, error) {
	rows, err := queryAll(ctx, tx, scanIssue, `UPDATE exai_issues SET title = title`+withNumber+` RETURNING `+issueColumns,
		number)
	if err != nil {
		return issueRow{}, err
	}
	if len(rows) == 0 {
		return issueRow{}, issue.MissingError(number)
	}
	return rows[0], nil
}

// insert stores a new issue with its first audit row, and returns its number.
func (s *Issues) insert(ctx context.Context, tx querier, i issue.Issue, said string) (number int, err error) {
	id, at := uuid.NewString(), now()
	if i.Status == issue.Fixed && i.FixDate.IsZero() {
		i.FixDate = at
	}
	err = tx.QueryRowContext(ctx, `INSERT INTO exai_issues (id, title, description, severity, category, status, file_path,
			line_start, line_end, affected_components, conversation_id, fix_conversation_id, root_cause, impact_description,
			recommended_fix, actual_fix, fix_date, workspace, quote, created_at, updated_at,
			title_key, quote_key)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $20, $19, $19, $21, $22)
		RETURNING issue_number`,
		id, text(i.Title), textOrNull(i.Description), string(i.Severity), string(i.Category), string(i.Status),
		textOrNull(i.File), orNull(i.LineStart), orNull(i.LineEnd), s.store.d.array(texts(i.Components)),
		s.conversationID(i.ConversationID), s.conversationID(i.FixConversationID), textOrNull(i.RootCause), textOrNull(i.Impact),
		textOrNull(i.RecommendedFix), textOrNull(i.ActualFix), stamp(i.FixDate), textOrNull(i.Workspace),
		stamp(at), textOrNull(i.Quote), titleKey(i), orNull(quoteKey(i))).Scan(&number)
	if err != nil {
		return 0, err
	}
	return number, s.addUpdates(ctx, tx, id, at,
		issue.Update{Type: issue.StatusChange, Content: said, ConversationID: i.ConversationID})
}

// write stores a changed issue, links and checklist aside.
func (s *Issues) write(ctx context.Context, tx querier, i issue.Issue, at time.Time) error {
	_, err := tx.ExecContext(ctx, `UPDATE exai_issues SET title = $1, description = $2, severity = $3, category = $4,
			status = $5, file_path = $6, line_start = $7, line_end = $8, affected_components = $9, conversation_id = $10,
			fix_conversation_id = $11, root_cause = $12, impact_description = $13, recommended_fix = $14, actual_fix = $15,
			fix_date = $16, updated_at = $17, title_key = $18
		WHERE id = $19`,
		text(i.Title), textOrNull(i.Description), textOrNull(i.Severity), textOrNull(i.Category), textOrNull(i.Status),
		textOrNull(i.File), orNull(i.LineStart), orNull(i.LineEnd), s.store.d.array(texts(i.Components)),
		s.conversationID(i.ConversationID), s.conversationID(i.FixConversationID), textOrNull(i.RootCause), textOrNull(i.Impact),
		textOrNull(i.RecommendedFix), textOrNull(i.ActualFix), stamp(i.FixDate), stamp(at), titleKey(i), i.ID)
	return err
}

func texts(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = text(s)
	}
	return out
}

// get reads an issue with all that belongs to it.
func (s *Issues) get(ctx context.Context, q querier, number int) (*issue.Issue, error) {
	rows, err := queryAll(ctx, q, scanIssue, `SELECT `+issueColumns+` FROM exai_issues`+withNumber, number)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, issue.MissingError(number)
	}
	if err := nameLinks(ctx, q, rows); err != nil {
		return nil, err
	}
	if err := s.complete(ctx, q, rows); err != nil {
		return nil, err
	}
	return &rows[0].Issue, nil
}

// nameLinks puts the numbers of linked issues in place of their row ids.
func nameLinks(ctx context.Context, q querier, rows []issueRow) error {
	var ids []any
	for _, r := range rows {
		for _, id := range slices.Concat(r.related, r.blocks, r.blockedBy) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	numbers := map[string]int{}
	for some := range slices.Chunk(ids, 500) {
		var w where
		w.and(`id IN (`+placeholders(len(some))+`)`, some...)
		if _, err := queryAll(ctx, q, func(r *sql.Rows) (struct{}, error) {
			var id string
			var n int
			err := r.Scan(&id, &n)
			numbers[id] = n
			return struct{}{}, err
		}, `SELECT id, issue_number FROM exai_issues`+w.clause(), w.args...); err != nil {
			return err
		}
	}
	name := func(ids []string) (out []int) {
		for _, id := range ids {
			if n, ok := numbers[id]; ok { // else the other one was deleted
				out = append(out, n)
			}
		}
		slices.Sort(out)
		return out
	}
	for i, r := range rows {
		rows[i].Related, rows[i].Blocks, rows[i].BlockedBy = name(r.related), name(r.blocks), name(r.blockedBy)
	}
	return nil
}

// worstFirst is the order of lists. Words that are not ours come last, with low.
const worstFirst = ` ORDER BY CASE CAST(severity AS text) WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END,
	issue_number `

// List returns issues, the most severe first and then by number.
func (s *Issues) List(ctx context.Context, f issue.Filter) ([]issue.Issue, error) {
	w := s.issueConditions(f)
	query := w.clause() + worstFirst + w.page(f.Limit, f.Offset)
	return s.readIssues(ctx, false, query, w.args...)
}

// Each yields every issue that a filter lets through, in List's order, with checklist and updates where they are asked for:
// the numbers are read at once, the issues in portions. One that is deleted meanwhile is left out. An error ends it.
func (s *Issues) Each(ctx context.Context, f issue.Filter, whole bool) iter.Seq2[issue.Issue, error] {
	return func(yield func(issue.Issue, error) bool) {
		w := s.issueConditions(f)
		query := `SELECT issue_number FROM exai_issues` + w.clause() + worstFirst
		if f.Limit > 0 {
			query += w.page(f.Limit, f.Offset)
		}
		var numbers []int
		err := s.store.withRetry(ctx, "list issues", func() (err error) {
			numbers, err = queryAll(ctx, s.store.read, func(r *sql.Rows) (n int, err error) { err = r.Scan(&n); return n, err }, query, w.args...)
			return err
		})
		if err != nil {
			yield(issue.Issue{}, err)
			return
		}
		inPortions(ctx, numbers, func(ctx context.Context, some []int) ([]issue.Issue, error) {
			w := among(s.store.d, "issue_number", some)
			return s.readIssues(ctx, whole, w.clause()+worstFirst, w.args...)
		}, yield)
	}
}

// readIssues reads the issues that the end of a query selects.
func (s *Issues) readIssues(ctx context.Context, whole bool, query string, args ...any) (out []issue.Issue, err error) {
	q := s.store.read
	err = s.store.withRetry(ctx, "list issues", func() error {
		rows, err := queryAll(ctx, q, scanIssue, `SELECT `+issueColumns+` FROM exai_issues`+query, args...)
		if err != nil {
			return err
		}
		if err := nameLinks(ctx, q, rows); err != nil {
			return err
		}
		if whole {
			if err := s.complete(ctx, q, rows); err != nil {
				return err
			}
		}
		out = make([]issue.Issue, len(rows))
		for i, r := range rows {
			out[i] = r.Issue
		}
		return nil
	})
	return out, err
}

// complete reads the checklists and updates of issues.
func (s *Issues) complete(ctx context.Context, q querier, rows []issueRow) error {
	if len(rows) == 0 {
		return nil
	}
	byID := map[string]*issue.Issue{}
	var ids []string
	for i := range rows {
		byID[rows[i].ID] = &rows[i].Issue
		ids = append(ids, rows[i].ID)
	}
	w := among(s.store.d, "issue_id", ids)
	_, err := queryAll(ctx, q, func(r *sql.Rows) (id string, err error) {
		var s issue.ChecklistStep
		err = r.Scan(&id, &s.Number, into(&s.Description), into(&s.Status), into(&s.ConversationID), intoTime{&s.CompletedAt})
		if i := byID[id]; i != nil {
			i.Checklist = append(i.Checklist, s)
		}
		return id, err
	}, `SELECT issue_id, step_number, description, status, conversation_id, completed_at
		FROM exai_issue_checklist`+w.clause()+` ORDER BY issue_id, step_number`, w.args...)
	if err != nil {
		return err
	}
	_, err = queryAll(ctx, q, func(r *sql.Rows) (id string, err error) {
		var u issue.Update
		err = r.Scan(&id, into(&u.Type), into(&u.Content), into(&u.ConversationID), intoTime{&u.CreatedAt})
		if i := byID[id]; i != nil {
			i.Updates = append(i.Updates, u)
		}
		return id, err
	}, `SELECT issue_id, update_type, content, conversation_id, created_at
		FROM exai_issue_updates`+w.clause()+` ORDER BY issue_id, created_at NULLS FIRST`, w.args...)
	// People write times in other forms too, which do not sort as texts. Rows found here may have none; they are the oldest.
	for _, i := range byID {
		slices.SortStableFunc(i.Updates, func(a, b issue.Update) int { return a.CreatedAt.Compare(b.CreatedAt) })
	}
	return err
}

// issueConditions turns a filter into conditions on exai_issues.
func (s *Issues) issueConditions(f issue.Filter) *where {
	w := &where{}
	oneOf(w, "status", f.Status)
	oneOf(w, "severity", f.Severity)
	oneOf(w, "category", f.Category)
	if f.File != "" {
		end := strings.TrimPrefix(contains(text(f.File)), "%")
		end = strings.TrimSuffix(end, "%")
		w.and(`(file_path = ? OR file_path LIKE ? ESCAPE '!' OR file_path LIKE ? ESCAPE '!')`,
			text(f.File), "%/"+end, `%\`+end)
	}
	if f.Component != "" {
		elements := `json_each(affected_components) c`
		if s.store.d.migrations == "postgres" {
			elements = `unnest(affected_components) c (value)`
		}
		w.and(`EXISTS (SELECT 1 FROM `+elements+` WHERE lower(c.value) = lower(?))`, text(f.Component))
	}
	if f.Workspace != "" {
		w.and(`workspace = ?`, text(f.Workspace))
	}
	if id := text(f.ConversationID); id != "" {
		w.and(`(CAST(conversation_id AS text) = ? OR CAST(fix_conversation_id AS text) = ?
			OR id IN (SELECT issue_id FROM exai_issue_updates WHERE CAST(conversation_id AS text) = ?)
			OR id IN (SELECT issue_id FROM exai_issue_checklist WHERE CAST(conversation_id AS text) = ?))`, id, id, id, id)
	}
	if f.Text != "" {
		like := contains(text(f.Text))
		var or []string
		for _, c := range []string{
			"title", "description", "root_cause", "impact_description", "recommended_fix", "actual_fix", "file_path",
			"CAST(affected_components AS text)",
		} {
			or = append(or, w.fill(`lower(`+c+`) LIKE lower(?) ESCAPE '!'`, like))
		}
		or = append(or,
			w.fill(`id IN (SELECT issue_id FROM exai_issue_checklist WHERE lower(description) LIKE lower(?) ESCAPE '!')`, like),
			w.fill(`id IN (SELECT issue_id FROM exai_issue_updates WHERE lower(content) LIKE lower(?) ESCAPE '!')`, like))
		w.and(`(` + strings.Join(or, ` OR `) + `)`)
	}
	return w
}

func oneOf[T ~string](w *where, column string, words []T) {
	if len(words) == 0 {
		return
	}
	args := make([]any, len(words))
	for i, s := range words {
		args[i] = text(string(s))
	}
	w.and(`CAST(`+column+` AS text) IN (`+placeholders(len(args))+`)`, args...)
}
