package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/exai-mcp/exai-mcp/internal/issue"
)

// Issues is the issue tracker of a Store, an issue.Store.
type Issues struct{ store *Store }

// Create stores a new issue, with its checklist's descriptions and its links, and returns it with ID, Number and times
// filled in.
func (s *Issues) Create(ctx context.Context, i issue.Issue) (*issue.Issue, error) {
	if i.Status == "" {
		i.Status = issue.Open
	}
	if err := i.Validate(); err != nil {
		return nil, err
	}
	var steps []string
	for _, s := range i.Checklist {
		steps = append(steps, s.Description)
	}
	if err := checkSteps(steps); err != nil {
		return nil, err
	}
	var out *issue.Issue
	err := s.store.inTx(ctx, "create an issue", func(tx *sql.Tx) error {
		number, err := s.insert(ctx, tx, i, "opened as "+string(i.Status))
		if err != nil {
			return err
		}
		if err := s.addStepsAndLinks(ctx, tx, number, i, steps); err != nil {
			return err
		}
		out, err = s.get(ctx, tx, number)
		return err
	})
	return out, err
}

// addStepsAndLinks gives a new issue its checklist and its links.
func (s *Issues) addStepsAndLinks(ctx context.Context, tx querier, number int, i issue.Issue, steps []string) error {
	if len(steps) > 0 {
		r, err := s.lock(ctx, tx, number)
		if err != nil {
			return err
		}
		if err := s.addSteps(ctx, tx, r.ID, steps, i.ConversationID); err != nil {
			return err
		}
	}
	type link struct {
		other int
		kind  issue.LinkKind
	}
	var links []link
	for kind, others := range map[issue.LinkKind][]int{
		issue.LinkBlocks: i.Blocks, issue.LinkBlockedBy: i.BlockedBy, issue.LinkRelated: i.Related,
	} {
		for _, other := range others {
			links = append(links, link{other, kind})
		}
	}
	slices.SortFunc(links, func(a, b link) int { // nobody else knows the new row, so the others alone need an order
		return cmp.Or(cmp.Compare(a.other, b.other), cmp.Compare(a.kind, b.kind))
	})
	for _, l := range links {
		if err := s.link(ctx, tx, number, l.kind, l.other, i.ConversationID); err != nil {
			return err
		}
	}
	return nil
}

// Get returns an issue with its checklist and updates, or issue.ErrNotFound.
func (s *Issues) Get(ctx context.Context, number int) (*issue.Issue, error) {
	var out *issue.Issue
	err := s.store.withRetry(ctx, "read an issue", func() (err error) {
		out, err = s.get(ctx, s.store.read, number)
		return err
	})
	return out, err
}

// Update changes an issue, leaves the audit rows of the change, and returns the issue as it is then.
func (s *Issues) Update(ctx context.Context, number int, c issue.Change) (*issue.Issue, error) {
	return s.edit(ctx, "update an issue", number, func(tx *sql.Tx, r issueRow) error {
		at := now()
		next, said, err := c.Apply(r.Issue, at)
		if err != nil || len(said) == 0 {
			return err
		}
		if err := s.write(ctx, tx, next, at); err != nil {
			return err
		}
		return s.addUpdates(ctx, tx, r.ID, at, said...)
	})
}

// Comment adds a comment to the audit trail.
func (s *Issues) Comment(ctx context.Context, number int, comment, conversationID string) error {
	if strings.TrimSpace(comment) == "" {
		return fmt.Errorf("%w: a comment needs a text", issue.ErrInvalid)
	}
	_, err := s.edit(ctx, "comment on an issue", number, func(tx *sql.Tx, r issueRow) error {
		return s.addComment(ctx, tx, r.ID, comment, conversationID)
	})
	return err
}

// AddSteps appends steps to the checklist and returns the issue.
func (s *Issues) AddSteps(ctx context.Context, number int, descriptions []string, conversationID string) (*issue.Issue, error) {
	if err := checkSteps(descriptions); err != nil {
		return nil, err
	}
	return s.edit(ctx, "add to a checklist", number, func(tx *sql.Tx, r issueRow) error {
		return s.addSteps(ctx, tx, r.ID, descriptions, conversationID)
	})
}

func checkSteps(descriptions []string) error {
	for _, d := range descriptions {
		if strings.TrimSpace(d) == "" {
			return fmt.Errorf("%w: a checklist step needs a description", issue.ErrInvalid)
		}
	}
	return nil
}

// addSteps appends steps to the checklist of a row that is locked.
func (s *Issues) addSteps(ctx context.Context, tx querier, id string, descriptions []string, by string) error {
	var last int
	err := tx.QueryRowContext(ctx, `SELECT coalesce(max(step_number), 0) FROM exai_issue_checklist WHERE issue_id = $1`,
		id).Scan(&last)
	if err != nil {
		return err
	}
	var said []string
	for i, d := range descriptions {
		n := last + 1 + i
		if _, err := tx.ExecContext(ctx, `INSERT INTO exai_issue_checklist
				(issue_id, step_number, description, status, conversation_id, created_at, updated_at)
			VALUES ($1, $2, $3, 'pending', $4, $5, $5)`,
			id, n, text(d), s.conversationID(by), stamp(now())); err != nil {
			return err
		}
		said = append(said, fmt.Sprintf("checklist step %d added: %s", n, d))
	}
	if len(said) == 0 {
		return nil
	}
	return s.addComment(ctx, tx, id, strings.Join(said, "\n"), by)
}

// SetStep sets the status of a checklist step and returns the issue.
func (s *Issues) SetStep(ctx context.Context, number, step int, status issue.StepStatus, conversationID string) (*issue.Issue, error) {
	if !status.Valid() {
		return nil, fmt.Errorf("%w: a step's status is one of %v, not %q", issue.ErrInvalid, issue.StepStatuses(), status)
	}
	return s.edit(ctx, "set a checklist step", number, func(tx *sql.Tx, r issueRow) error {
		var old issue.StepStatus
		var what string
		err := tx.QueryRowContext(ctx, `SELECT status, description FROM exai_issue_checklist
			WHERE issue_id = $1 AND step_number = CAST($2 AS bigint)`, r.ID, step).Scan(into(&old), into(&what))
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("%w: issue %d has no checklist step %d", issue.ErrInvalid, number, step)
		case err != nil || old == status:
			return err
		}
		at, done := now(), time.Time{}
		if status == issue.StepComplete {
			done = at
		}
		if _, err := tx.ExecContext(ctx, `UPDATE exai_issue_checklist SET status = $1, completed_at = $2, updated_at = $3,
				conversation_id = coalesce($4, conversation_id)
			WHERE issue_id = $5 AND step_number = $6`,
			string(status), stamp(done), stamp(at), s.conversationID(conversationID), r.ID, step); err != nil {
			return err
		}
		return s.addComment(ctx, tx, r.ID, fmt.Sprintf("checklist step %d (%s): %s -> %s", step, what, old, status), conversationID)
	})
}

// Link ties two issues together, on both of them. A link that is there already stays.
func (s *Issues) Link(ctx context.Context, number int, kind issue.LinkKind, other int, conversationID string) error {
	if !kind.Valid() {
		return fmt.Errorf("%w: a link is one of %v, not %q", issue.ErrInvalid, issue.LinkKinds(), kind)
	}
	return s.store.inTx(ctx, "link issues", func(tx *sql.Tx) error {
		return s.link(ctx, tx, number, kind, other, conversationID)
	})
}

func (s *Issues) link(ctx context.Context, tx querier, number int, kind issue.LinkKind, other int, by string) error {
	if number == other {
		return fmt.Errorf("%w: an issue cannot be linked to itself", issue.ErrInvalid)
	}
	rows := map[int]issueRow{}
	for _, n := range []int{min(number, other), max(number, other)} { // everybody locks in this order
		r, err := s.lock(ctx, tx, n)
		if err != nil {
			return err
		}
		rows[n] = r
	}
	from, to := rows[number], rows[other]
	if kind != issue.LinkRelated && slices.Contains(from.links(kind.Inverse()), to.ID) {
		return fmt.Errorf("%w: issue %d is linked to %d the other way round already", issue.ErrInvalid, number, other)
	}
	if slices.Contains(from.links(kind), to.ID) && slices.Contains(to.links(kind.Inverse()), from.ID) {
		return nil
	}
	if err := s.addLink(ctx, tx, from, kind, to, by); err != nil {
		return err
	}
	return s.addLink(ctx, tx, to, kind.Inverse(), from, by)
}

func (s *Issues) addLink(ctx context.Context, tx querier, r issueRow, kind issue.LinkKind, to issueRow, by string) error {
	ids := r.links(kind)
	if !slices.Contains(ids, to.ID) {
		ids = append(ids, to.ID)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE exai_issues SET `+linkColumn[kind]+` = $1 WHERE id = $2`,
		s.store.d.array(ids), r.ID); err != nil {
		return err
	}
	return s.addComment(ctx, tx, r.ID, fmt.Sprintf("%s issue %d", kind.Verb(), to.Number), by)
}

var linkColumn = map[issue.LinkKind]string{
	issue.LinkBlocks: "blocks_issues", issue.LinkBlockedBy: "blocked_by_issues", issue.LinkRelated: "related_issues",
}

// edit runs fn in a transaction with an issue's row locked, and returns the issue as it is then.
func (s *Issues) edit(ctx context.Context, op string, number int, fn func(tx *sql.Tx, r issueRow) error) (*issue.Issue, error) {
	var out *issue.Issue
	err := s.store.inTx(ctx, op, func(tx *sql.Tx) error {
		r, err := s.lock(ctx, tx, number)
		if err != nil {
			return err
		}
		if err := fn(tx, r); err != nil {
			return err
		}
		out, err = s.get(ctx, tx, number)
		return err
	})
	return out, err
}

// addComment leaves a comment as audit row and marks the issue as changed.
func (s *Issues) addComment(ctx context.Context, tx querier, id, content, by string) error {
	at := now()
	if _, err := tx.ExecContext(ctx, `UPDATE exai_issues SET updated_at = $1 WHERE id = $2`, stamp(at), id); err != nil {
		return err
	}
	return s.addUpdates(ctx, tx, id, at, issue.Update{Type: issue.CommentAdded, Content: content, ConversationID: by})
}

// addUpdates stores audit rows, a microsecond apart, so that their times keep their order.
func (s *Issues) addUpdates(ctx context.Context, tx querier, id string, at time.Time, said ...issue.Update) error {
	for i, u := range said {
		if _, err := tx.ExecContext(ctx, `INSERT INTO exai_issue_updates
				(issue_id, update_type, content, conversation_id, created_at) VALUES ($1, $2, $3, $4, $5)`,
			id, string(u.Type), text(u.Content), s.conversationID(u.ConversationID),
			stamp(at.Add(time.Duration(i)*time.Microsecond))); err != nil {
			return fmt.Errorf("audit row: %w", err)
		}
	}
	return nil
}

// conversationID is a continuation id as the tables keep it. Where they were made for uuids, another id cannot be kept.
func (s *Issues) conversationID(id string) any {
	if s.store.uuidConversationIDs {
		if _, err := uuid.Parse(id); err != nil {
			return nil
		}
	}
	return textOrNull(id)
}
