package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
)

// List returns conversations, the latest first. With a Text, Excerpt is where it was found.
func (s *Store) List(ctx context.Context, f conversation.Filter) ([]conversation.Summary, error) {
	w := conversationConditions(f)
	page := `SELECT * FROM conversations` + w.clause() + ` ORDER BY updated_at DESC NULLS LAST, id ` + w.page(f.Limit, f.Offset)
	return s.summaries(ctx, w, page, f.Text)
}

// Each yields every conversation that a filter lets through, the latest first, however many there are: their keys are read
// at once, and they themselves in portions, so that it holds nothing for long that others wait for. One that is deleted
// meanwhile is left out. An error ends it.
func (s *Store) Each(ctx context.Context, f conversation.Filter) iter.Seq2[conversation.Summary, error] {
	return func(yield func(conversation.Summary, error) bool) {
		w := conversationConditions(f)
		var ids []string
		err := s.withRetry(ctx, "list conversations", func() (err error) {
			ids, err = queryAll(ctx, s.read, func(r *sql.Rows) (id string, err error) {
				err = r.Scan(&id)
				return id, err
			}, `SELECT id FROM conversations`+w.clause()+` ORDER BY updated_at DESC NULLS LAST, id`, w.args...)
			return err
		})
		if err != nil {
			yield(conversation.Summary{}, err)
			return
		}
		inPortions(ctx, ids, func(ctx context.Context, some []string) ([]conversation.Summary, error) {
			w := among(s.d, "id", some)
			return s.summaries(ctx, w, `SELECT * FROM conversations`+w.clause(), f.Text)
		}, yield)
	}
}

// eachChunk is how many rows one query of a long list reads.
const eachChunk = 500

// inPortions reads what belongs to some keys in portions and yields it one by one, until yield wants no more. The next portion
// is read meanwhile. An error is the last thing that it yields.
func inPortions[K, T any](ctx context.Context, keys []K, read func(context.Context, []K) ([]T, error), yield func(T, error) bool) {
	type portion struct {
		list []T
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	portions, enough, ended := make(chan portion), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer close(portions)
		for some := range slices.Chunk(keys, eachChunk) {
			list, err := read(ctx, some)
			select {
			case portions <- portion{list, err}:
			case <-enough:
				return
			}
		}
	}()
	defer func() {
		close(enough)
		cancel()
		<-ended
	}()
	for p := range portions {
		for _, item := range p.list {
			if !yield(item, nil) {
				return
			}
		}
		if p.err != nil {
			var none T
			yield(none, p.err)
			return
		}
	}
}

// summaries reads the conversations that a query of conversations' rows selects. text is what was searched for.
func (s *Store) summaries(ctx context.Context, w *where, page, text string) ([]conversation.Summary, error) {
	// The latest row that another program added has no number; it is later than the numbered ones.
	const live = `FROM messages m WHERE m.conversation_id = c.id AND m.dropped_at IS NULL`
	const model = `SELECT coalesce(m.model_used, m.metadata ->> 'model_used', m.metadata -> 'model_metadata' ->> 'model_name') ` +
		live + ` AND m.role = 'assistant'`
	query := `SELECT c.continuation_id, c.title, coalesce(c.tool_name, c.metadata ->> 'tool_name'), c.workspace, c.host,
			c.created_at, c.updated_at,
			(SELECT count(*) ` + live + `),
			(SELECT max(m.saved_at) ` + live + ` AND m.turn_status = 'running'), clock_timestamp(),
			coalesce((` + model + ` AND m.turn_number IS NULL ORDER BY m.created_at DESC LIMIT 1),
				(` + model + ` AND m.turn_number IS NOT NULL ORDER BY m.turn_number DESC LIMIT 1)),
			` + w.match(text, live) + `
		FROM (` + page + `) c ORDER BY c.updated_at DESC NULLS LAST, c.id`
	var out []conversation.Summary
	err := s.withRetry(ctx, "list conversations", func() (err error) {
		out, err = queryAll(ctx, s.read, func(r *sql.Rows) (conversation.Summary, error) {
			var t conversation.Summary
			var found string
			var heartbeat, readAt time.Time
			err := r.Scan(&t.ID, into(&t.Title), into(&t.Tool), into(&t.Workspace), into(&t.Host), intoTime{&t.CreatedAt},
				intoTime{&t.UpdatedAt}, &t.Turns, intoTime{&heartbeat}, intoTime{&readAt}, into(&t.Model), into(&found))
			t.Running = conversation.Alive(heartbeat, readAt)
			if text != "" {
				t.Excerpt = excerpt(cmp.Or(found, t.Title), text)
			}
			return t, err
		}, query, w.args...)
		return err
	})
	return out, err
}

// conversationConditions turns a filter into conditions on conversations.
func conversationConditions(f conversation.Filter) *where {
	w := &where{}
	oneOf(w, "continuation_id", f.IDs)
	if f.Prefix != "" {
		p := text(f.Prefix)
		w.and(`substr(continuation_id, 1, length(?)) = ?`, p, p)
	}
	if f.Text != "" {
		like := contains(text(f.Text))
		w.and(`(lower(title) LIKE lower(?) ESCAPE '!' OR id IN (SELECT conversation_id FROM messages
			WHERE dropped_at IS NULL AND lower(content) LIKE lower(?) ESCAPE '!'))`, like, like)
	}
	if f.Tool != "" {
		w.and(`coalesce(tool_name, metadata ->> 'tool_name') = ?`, text(f.Tool))
	}
	if f.Workspace != "" {
		w.and(`workspace = ?`, text(f.Workspace))
	}
	if f.Host != "" {
		w.and(`host = ?`, text(f.Host))
	}
	if f.User != "" {
		w.and(`user_name = ?`, text(f.User))
	}
	if f.Path != "" {
		p := text(f.Path)
		w.and(`id IN (SELECT cf.conversation_id FROM conversation_files cf JOIN files f ON f.id = cf.file_id
			WHERE f.metadata ->> 'path' = ? OR f.storage_path = ?)`, p, p)
	}
	if !f.Since.IsZero() {
		w.and(`updated_at >= ?`, stamp(f.Since))
	}
	if !f.Before.IsZero() {
		w.and(`updated_at < ?`, stamp(f.Before))
	}
	return w
}

// page bounds a list.
func (w *where) page(limit, offset int) string {
	if limit <= 0 {
		limit = 50
	}
	return w.fill(`LIMIT ? OFFSET ?`, limit, max(offset, 0))
}

// match is the column with the first content in which a text was found, NULL without a text.
func (w *where) match(t, live string) string {
	if t == "" {
		return `NULL`
	}
	return w.fill(`(SELECT m.content `+live+` AND lower(m.content) LIKE lower(?) ESCAPE '!'
		ORDER BY m.turn_number, m.created_at LIMIT 1)`, contains(text(t)))
}

// excerptReach is how many bytes an excerpt shows on either side of what was found.
const excerptReach = 80

// excerpt cuts the surroundings of the first place where a text is found, on one line.
func excerpt(content, found string) string {
	// Folding may change a text's length, so the place is only about right then; that is good enough to show it.
	at := max(0, strings.Index(strings.ToLower(content), strings.ToLower(found)))
	from, to := max(0, min(at, len(content))-excerptReach), min(len(content), at+len(found)+excerptReach)
	for from > 0 && !utf8.RuneStart(content[from]) {
		from--
	}
	for to < len(content) && !utf8.RuneStart(content[to]) {
		to++
	}
	cut := strings.Join(strings.Fields(content[from:to]), " ")
	if from > 0 {
		cut = "…" + cut
	}
	if to < len(content) {
		cut += "…"
	}
	return cut
}

// Delete removes a conversation with everything in it, or returns conversation.ErrNotFound.
func (s *Store) Delete(ctx context.Context, id string) error {
	var w where
	w.and(`continuation_id = ?`, text(id))
	n, err := s.remove(ctx, "delete a conversation", w)
	if err == nil && n == 0 {
		return conversation.ErrNotFound
	}
	return err
}

// Count is how many conversations a filter lets through.
func (s *Store) Count(ctx context.Context, f conversation.Filter) (n int, err error) {
	w := conversationConditions(f)
	err = s.withRetry(ctx, "count conversations", func() error {
		return s.read.QueryRowContext(ctx, `SELECT count(*) FROM conversations`+w.clause(), w.args...).Scan(&n)
	})
	return n, err
}

// pruneChunk is how many conversations one transaction of Prune deletes: few, since others can't write meanwhile.
const pruneChunk = 100

// Prune deletes the conversations last updated before a time and returns how many, also with an error. After each of its
// transactions it leaves the database to others for as long as the transaction took.
func (s *Store) Prune(ctx context.Context, before time.Time) (int, error) {
	for total := 0; ; {
		start := time.Now()
		var w where
		w.and(`updated_at < ?`, stamp(before))
		w.and(`id IN (SELECT id FROM conversations WHERE updated_at < ? ORDER BY updated_at LIMIT ?)`, stamp(before), pruneChunk)
		n, err := s.remove(ctx, "prune conversations", w)
		total += n
		if err != nil || n == 0 {
			return total, err
		}
		if err := pause(ctx, time.Since(start)); err != nil {
			return total, fmt.Errorf("prune conversations: %w", err)
		}
	}
}

// remove deletes the conversations that conditions name, with their messages, links, files and contents.
func (s *Store) remove(ctx context.Context, op string, w where) (n int, err error) {
	err = s.inTx(ctx, op, func(tx *sql.Tx) error {
		n = 0 // the transaction may be run again
		if err := takeLock(ctx, tx, s.d.lock, lockBlobs); err != nil {
			return err
		}
		files, err := filesOf(ctx, tx, w)
		if err != nil {
			return err
		}
		done, err := tx.ExecContext(ctx, `DELETE FROM conversations`+w.clause(), w.args...)
		if err != nil {
			return err
		}
		deleted, err := done.RowsAffected()
		if err != nil || deleted == 0 {
			return err
		}
		n = int(deleted)
		return sweepFiles(ctx, tx, s.d, files)
	})
	if err != nil {
		n = 0
	}
	return n, err
}
