package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Review is what a review hook remembers of an agent's session, or of a work tree under git's hooks.
type Review struct {
	Workspace string
	// Baseline has the hash of each file that was uncommitted when the session began, by its name; nil where that is not
	// known.
	Baseline map[string]string
	Blocks   int             // of the current chain
	Judged   string          // names the state of the files that was judged last, "" for none
	Verdict  string          // what it came to
	Findings json.RawMessage // its findings, as the hooks write them
}

// Reviews is the review hooks' memory.
type Reviews struct{ store *Store }

// Reviews gives the review hooks' memory, in the same database.
func (s *Store) Reviews() Reviews { return Reviews{s} }

// KeepReviews is how long a review that nobody uses is kept.
const KeepReviews = 30 * 24 * time.Hour

// Load returns the review of a key, the zero Review where there is none.
func (r Reviews) Load(ctx context.Context, key string) (v Review, err error) {
	err = r.store.withRetry(ctx, "read a review", func() (err error) {
		v, err = loadReview(ctx, r.store.read, key)
		return err
	})
	return v, err
}

func loadReview(ctx context.Context, q querier, key string) (v Review, err error) {
	var baseline json.RawMessage
	err = q.QueryRowContext(ctx, `SELECT workspace, baseline, blocks, judged, verdict, findings FROM exai_reviews WHERE id = $1`, key).
		Scan(into(&v.Workspace), intoJSON{&baseline}, &v.Blocks, into(&v.Judged), into(&v.Verdict), intoJSON{&v.Findings})
	if errors.Is(err, sql.ErrNoRows) {
		return Review{}, nil
	}
	if err == nil && baseline != nil {
		if err := json.Unmarshal(baseline, &v.Baseline); err != nil {
			return Review{}, fmt.Errorf("the files of review %s: %w", key, err)
		}
	}
	return v, err
}

// Change loads the review of a key, has it changed and stores it, in one transaction; what change returns false for is not
// stored. Reviews that were not used for KeepReviews are removed.
func (r Reviews) Change(ctx context.Context, key string, change func(*Review) bool) error {
	return r.store.inTx(ctx, "store a review", func(tx *sql.Tx) error {
		if err := takeLock(ctx, tx, r.store.d.lock, lockReviews); err != nil {
			return err
		}
		v, err := loadReview(ctx, tx, key)
		if err != nil || !change(&v) {
			return err
		}
		var baseline json.RawMessage
		if v.Baseline != nil {
			if baseline, err = json.Marshal(v.Baseline); err != nil {
				return err
			}
		}
		files, err := jsonText("the list of files", baseline)
		if err != nil {
			return err
		}
		findings, err := jsonText("the list of findings", v.Findings)
		if err != nil {
			return err
		}
		var at time.Time
		if err := tx.QueryRowContext(ctx, `INSERT INTO exai_reviews (id, updated_at, workspace, baseline, blocks, judged, verdict, findings)
			VALUES ($1, clock_timestamp(), $2, $3, $4, $5, $6, $7)
			ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, workspace = excluded.workspace,
				baseline = excluded.baseline, blocks = excluded.blocks, judged = excluded.judged, verdict = excluded.verdict,
				findings = excluded.findings
			RETURNING updated_at`,
			key, textOrNull(v.Workspace), files, v.Blocks, textOrNull(v.Judged), textOrNull(v.Verdict), findings).Scan(intoTime{&at}); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM exai_reviews WHERE updated_at < $1`, stamp(at.Add(-KeepReviews)))
		return err
	})
}
