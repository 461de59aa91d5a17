package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/exai-mcp/exai-mcp/internal/usage"
)

// Usage is what requests to vendors cost, a usage.Store.
type Usage struct {
	store  *Store
	folded atomic.Int64 // the day, as Unix time, on which this process last folded old rows
}

// Record stores a request, and once a day folds what is old.
func (u *Usage) Record(ctx context.Context, r usage.Request) error {
	if r.ID == "" {
		r.ID = uuid.NewString()
	}
	var at time.Time
	err := u.store.inTx(ctx, "store a request", func(tx *sql.Tx) (err error) {
		at, err = insertRequest(ctx, tx, r)
		return err
	})
	if err != nil {
		return err
	}
	return u.foldDaily(ctx, at)
}

// foldDaily folds what is old, once on each day of the database's clock.
func (u *Usage) foldDaily(ctx context.Context, at time.Time) error {
	day := usage.StartOfDay(at)
	if u.folded.Swap(day.Unix()) == day.Unix() {
		return nil
	}
	return u.Fold(ctx, day.AddDate(0, 0, -usage.KeepDays))
}

// insertRequest stores a request, in place of one with its id, and returns the database's clock. A request that is stored
// again counts on the day on which it was stored first.
func insertRequest(ctx context.Context, tx querier, r usage.Request) (at time.Time, err error) {
	err = tx.QueryRowContext(ctx, `INSERT INTO exai_usage (id, created_at, host, user_name, tool, vendor, model, input_tokens,
			cached_tokens, output_tokens, reasoning_tokens, cost_usd, duration_ms, outcome, exceeded_limit, conversation_id, workspace,
			billing)
		VALUES ($1, coalesce($2, clock_timestamp()), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
		ON CONFLICT (id) DO UPDATE SET input_tokens = excluded.input_tokens, cached_tokens = excluded.cached_tokens,
			output_tokens = excluded.output_tokens, reasoning_tokens = excluded.reasoning_tokens, cost_usd = excluded.cost_usd,
			duration_ms = excluded.duration_ms, outcome = excluded.outcome, exceeded_limit = excluded.exceeded_limit,
			model = excluded.model, conversation_id = excluded.conversation_id
		RETURNING clock_timestamp()`,
		r.ID, stamp(r.CreatedAt), textOrNull(r.Host), textOrNull(r.User), textOrNull(r.Tool), textOrNull(r.Vendor),
		textOrNull(r.Model), r.InputTokens, r.CachedTokens, r.OutputTokens, r.ReasoningTokens, r.CostUSD,
		r.Duration.Milliseconds(), textOrNull(r.Outcome), textOrNull(r.ExceededLimit), textOrNull(r.ConversationID),
		textOrNull(r.Workspace), textOrNull(string(r.Billing))).Scan(intoTime{&at})
	return at, err
}

// Reserve holds an amount of today's budget, or returns a *usage.OverBudgetError.
func (u *Usage) Reserve(ctx context.Context, r usage.Reservation) (id string, day usage.Day, err error) {
	id = uuid.NewString()
	var over *usage.OverBudgetError // which does not undo what was settled of dead processes
	err = u.store.inTx(ctx, "reserve a request's cost", func(tx *sql.Tx) error {
		over = nil
		// The sum and the row that adds to it must not be parted by another process's.
		if err := takeLock(ctx, tx, u.store.d.lock, lockBudget); err != nil {
			return err
		}
		if err := u.settleLost(ctx, tx); err != nil {
			return err
		}
		if day, err = today(ctx, tx); err != nil {
			return err
		}
		if !day.Remaining(r.LimitUSD).Fits(r.AmountUSD, r.MostUSD) {
			over = &usage.OverBudgetError{Day: day, LimitUSD: r.LimitUSD, AmountUSD: r.AmountUSD}
			return nil
		}
		day.ReservedUSD += r.AmountUSD
		day.Excess = day.Excess.Add(r.AmountUSD, r.MostUSD)
		q := r.Request
		_, err := tx.ExecContext(ctx, `INSERT INTO exai_usage_reservations (id, created_at, heartbeat_at, amount_usd, most_usd,
				host, user_name, tool, vendor, model, conversation_id, workspace, billing)
			VALUES ($1, clock_timestamp(), clock_timestamp(), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			id, r.AmountUSD, r.MostUSD, textOrNull(q.Host), textOrNull(q.User), textOrNull(q.Tool), textOrNull(q.Vendor),
			textOrNull(q.Model), textOrNull(q.ConversationID), textOrNull(q.Workspace), textOrNull(string(q.Billing)))
		return err
	})
	if err == nil && over != nil {
		return "", day, over
	}
	return id, day, err
}

// today sums up the day that the database's clock is on.
func today(ctx context.Context, q querier) (day usage.Day, err error) {
	if err := q.QueryRowContext(ctx, `SELECT clock_timestamp()`).Scan(intoTime{&day.Start}); err != nil {
		return day, err
	}
	day.Start = usage.StartOfDay(day.Start)
	err = q.QueryRowContext(ctx, spentToday, stamp(day.Start)).Scan(&day.SpentUSD, &day.ReservedUSD, &day.Excess.SumUSD,
		&day.Excess.LargestUSD)
	return day, err
}

const spentToday = `SELECT (SELECT coalesce(sum(cost_usd), 0) FROM exai_usage WHERE created_at >= $1),
		coalesce(sum(amount_usd), 0), coalesce(sum(excess), 0), coalesce(max(excess), 0)
	FROM (SELECT amount_usd, CASE WHEN most_usd > amount_usd THEN most_usd - amount_usd ELSE 0 END AS excess
		FROM exai_usage_reservations WHERE created_at >= $1) held`

// reservation is what exai_usage_reservations holds of a request under way.
type reservation struct {
	usage.Request
	heartbeat, now time.Time
}

// alive reports whether the request's process is.
func (r reservation) alive() bool {
	age := r.now.Sub(r.heartbeat)
	return age >= 0 && age <= usage.HeartbeatLost
}

// reservations lists what is under way, the oldest first.
func reservations(ctx context.Context, q querier) ([]reservation, error) {
	return queryAll(ctx, q, func(r *sql.Rows) (v reservation, err error) {
		err = r.Scan(&v.ID, intoTime{&v.CreatedAt}, intoTime{&v.heartbeat}, &v.CostUSD, into(&v.Host), into(&v.User), into(&v.Tool),
			into(&v.Vendor), into(&v.Model), into(&v.ConversationID), into(&v.Workspace), into(&v.Billing), intoTime{&v.now})
		return v, err
	}, `SELECT id, created_at, heartbeat_at, amount_usd, host, user_name, tool, vendor, model, conversation_id, workspace,
		billing, clock_timestamp() FROM exai_usage_reservations ORDER BY created_at`)
}

// settleLost makes requests of the reservations whose process is dead. They cost what was reserved.
func (u *Usage) settleLost(ctx context.Context, tx querier) error {
	held, err := reservations(ctx, tx)
	if err != nil {
		return err
	}
	for _, v := range held {
		if v.alive() {
			continue
		}
		v.Outcome = usage.OutcomeLost
		if _, err := insertRequest(ctx, tx, v.Request); err != nil {
			return err
		}
		if err := deleteReservation(ctx, tx, v.ID); err != nil {
			return err
		}
	}
	return nil
}

func deleteReservation(ctx context.Context, tx querier, id string) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM exai_usage_reservations WHERE id = $1`, id)
	return err
}

// Settle stores what a reserved request came to, and once a day folds what is old. The request counts on the day on which it
// was reserved.
func (u *Usage) Settle(ctx context.Context, id string, r usage.Request) error {
	var at time.Time
	err := u.store.inTx(ctx, "settle a request's cost", func(tx *sql.Tx) error {
		if err := takeLock(ctx, tx, u.store.d.lock, lockBudget); err != nil {
			return err
		}
		r.ID = id
		err := tx.QueryRowContext(ctx, `SELECT created_at FROM exai_usage_reservations WHERE id = $1`, id).Scan(intoTime{&r.CreatedAt})
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if at, err = insertRequest(ctx, tx, r); err != nil {
			return err
		}
		return deleteReservation(ctx, tx, id)
	})
	if err != nil {
		return err
	}
	return u.foldDaily(ctx, at)
}

// Beat says that the process of these reservations is alive.
func (u *Usage) Beat(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	var w where
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	w.and(`id IN (`+placeholders(len(ids))+`)`, args...)
	return u.store.inTx(ctx, "keep reservations alive", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE exai_usage_reservations SET heartbeat_at = clock_timestamp()`+w.clause(), w.args...)
		return err
	})
}

// Today returns how much of today is used.
func (u *Usage) Today(ctx context.Context) (day usage.Day, err error) {
	err = u.store.inTx(ctx, "read what was spent today", func(tx *sql.Tx) error {
		if err := takeLock(ctx, tx, u.store.d.lock, lockBudget); err != nil {
			return err
		}
		if err := u.settleLost(ctx, tx); err != nil {
			return err
		}
		day, err = today(ctx, tx)
		return err
	})
	return day, err
}

// Totals sums up the last days, today included.
func (u *Usage) Totals(ctx context.Context, days int, by usage.By) ([]usage.Total, error) {
	all, err := u.TotalsBy(ctx, days, by)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// TotalsBy sums up the last days by several groups, for which the requests are read once.
func (u *Usage) TotalsBy(ctx context.Context, days int, by ...usage.By) ([][]usage.Total, error) {
	var ofRequests, ofDays []string
	for _, g := range by {
		column := `coalesce(` + string(g) + `, '')`
		switch {
		case !g.Valid():
			return nil, fmt.Errorf("totals by %q: expected one of %v", g, usage.Groups())
		case g == usage.ByDay:
			ofRequests, ofDays = append(ofRequests, u.store.d.day("created_at")), append(ofDays, "day")
		default:
			ofRequests, ofDays = append(ofRequests, column), append(ofDays, column)
		}
	}
	query := `SELECT ` + strings.Join(ofRequests, ", ") + `, count(*), sum(input_tokens), sum(output_tokens), sum(cost_usd), count(billing),
				max(billing)
			FROM exai_usage WHERE created_at >= $1 GROUP BY ` + ordinals(len(by)) + `
		UNION ALL SELECT ` + strings.Join(ofDays, ", ") + `, sum(requests), sum(input_tokens), sum(output_tokens), sum(cost_usd),
				sum(CASE WHEN billing IS NULL THEN 0 ELSE requests END), max(billing)
			FROM exai_usage_days WHERE day >= $2 GROUP BY ` + ordinals(len(by))
	var groups []map[string]usage.Total
	err := u.store.withRetry(ctx, "sum up what requests cost", func() error {
		var at time.Time
		if err := u.store.read.QueryRowContext(ctx, `SELECT clock_timestamp()`).Scan(intoTime{&at}); err != nil {
			return err
		}
		groups = make([]map[string]usage.Total, len(by))
		for i := range groups {
			groups[i] = map[string]usage.Total{}
		}
		from := usage.StartOfDay(at).AddDate(0, 0, 1-days)
		_, err := queryAll(ctx, u.store.read, func(r *sql.Rows) (none struct{}, err error) {
			names, t := make([]string, len(by)), usage.Total{}
			var columns []any
			for i := range names {
				columns = append(columns, &names[i])
			}
			err = r.Scan(append(columns, &t.Requests, &t.InputTokens, &t.OutputTokens, &t.CostUSD, &t.Planned, into(&t.Billing))...)
			for i, name := range names {
				sum := usage.Sum([]usage.Total{groups[i][name], t})
				sum.Name = name
				groups[i][name] = sum
			}
			return none, err
		}, query, stamp(from), from.Format(time.DateOnly))
		return err
	})
	out := make([][]usage.Total, len(by))
	for i, g := range groups {
		out[i] = slices.Collect(maps.Values(g))
		usage.SortTotals(out[i], by[i])
	}
	return out, err
}

// ordinals are the numbers of the first n columns, to group by.
func ordinals(n int) string {
	var all []string
	for i := range n {
		all = append(all, strconv.Itoa(i+1))
	}
	return strings.Join(all, ", ")
}

// Requests returns the latest requests, those before a time where it is set, at most limit.
func (u *Usage) Requests(ctx context.Context, f usage.Filter) ([]usage.Request, error) {
	w := &where{}
	if !f.Before.IsZero() {
		w.and(`created_at < ?`, stamp(f.Before))
	}
	for column, value := range map[string]string{
		"conversation_id": f.ConversationID, "tool": f.Tool, "model": f.Model, "outcome": f.Outcome, "exceeded_limit": f.ExceededLimit,
	} {
		if value != "" {
			w.and(column+` = ?`, text(value))
		}
	}
	query := `SELECT id, created_at, host, user_name, tool, vendor, model, input_tokens, cached_tokens, output_tokens, reasoning_tokens,
		cost_usd, duration_ms, outcome, exceeded_limit, conversation_id, workspace, billing FROM exai_usage` + w.clause() +
		` ORDER BY created_at DESC, id DESC ` + w.page(f.Limit, 0)
	var out []usage.Request
	err := u.store.withRetry(ctx, "list requests", func() (err error) {
		out, err = queryAll(ctx, u.store.read, func(r *sql.Rows) (q usage.Request, err error) {
			var millis int64
			err = r.Scan(&q.ID, intoTime{&q.CreatedAt}, into(&q.Host), into(&q.User), into(&q.Tool), into(&q.Vendor), into(&q.Model),
				&q.InputTokens, &q.CachedTokens, &q.OutputTokens, &q.ReasoningTokens, &q.CostUSD, &millis, into(&q.Outcome),
				into(&q.ExceededLimit), into(&q.ConversationID), into(&q.Workspace), into(&q.Billing))
			q.Duration = time.Duration(millis) * time.Millisecond
			return q, err
		}, query, w.args...)
		return err
	})
	return out, err
}

// UnderWay lists the requests that have a reservation and whose process lives, the oldest first: those of all processes that
// have a limit for the day. CreatedAt is when they began, CostUSD what is reserved for them.
func (u *Usage) UnderWay(ctx context.Context) ([]usage.Request, error) {
	var out []usage.Request
	err := u.store.withRetry(ctx, "list requests under way", func() error {
		held, err := reservations(ctx, u.store.read)
		out = nil
		for _, v := range held {
			if v.alive() {
				out = append(out, v.Request)
			}
		}
		return err
	})
	return out, err
}

// Exceeded counts the requests of the last days that a limit ended, by its name, the most frequent first.
func (u *Usage) Exceeded(ctx context.Context, days int) ([]usage.Count, error) {
	var out []usage.Count
	err := u.store.withRetry(ctx, "count exceeded limits", func() error {
		var at time.Time
		if err := u.store.read.QueryRowContext(ctx, `SELECT clock_timestamp()`).Scan(intoTime{&at}); err != nil {
			return err
		}
		var err error
		out, err = queryAll(ctx, u.store.read, func(r *sql.Rows) (c usage.Count, err error) {
			err = r.Scan(&c.Name, &c.N)
			return c, err
		}, countExceeded, stamp(usage.StartOfDay(at).AddDate(0, 0, 1-days)))
		return err
	})
	return out, err
}

const countExceeded = `SELECT exceeded_limit, count(*) FROM exai_usage WHERE created_at >= $1 AND exceeded_limit IS NOT NULL
	GROUP BY 1 ORDER BY 2 DESC, 1`

// Fold replaces the requests before a time by their sums for each day, vendor, model, tool and workspace, a day in each
// transaction.
func (u *Usage) Fold(ctx context.Context, before time.Time) error {
	for {
		var oldest time.Time
		err := u.store.inTx(ctx, "fold old requests", func(tx *sql.Tx) error {
			if err := takeLock(ctx, tx, u.store.d.lock, lockBudget); err != nil {
				return err
			}
			err := tx.QueryRowContext(ctx, `SELECT min(created_at) FROM exai_usage WHERE created_at < $1`, stamp(before)).Scan(intoTime{&oldest})
			if err != nil || oldest.IsZero() {
				return err
			}
			start := usage.StartOfDay(oldest)
			end := start.AddDate(0, 0, 1)
			if end.After(before) {
				end = before
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO exai_usage_days
					(day, vendor, model, tool, workspace, requests, input_tokens, output_tokens, cost_usd, billing)
				SELECT `+u.store.d.day("min(created_at)")+`, coalesce(vendor, ''), coalesce(model, ''), coalesce(tool, ''),
					coalesce(workspace, ''), count(*), sum(input_tokens), sum(output_tokens), sum(cost_usd), billing
				FROM exai_usage WHERE created_at >= $1 AND created_at < $2
				GROUP BY vendor, model, tool, workspace, billing`, stamp(start), stamp(end)); err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `DELETE FROM exai_usage WHERE created_at >= $1 AND created_at < $2`, stamp(start), stamp(end))
			return err
		})
		if err != nil || oldest.IsZero() {
			return err
		}
	}
}

// sqliteDay is the UTC day of a time as text, in SQL.
func sqliteDay(column string) string { return `substr(` + column + `, 1, 10)` }

func postgresDay(column string) string {
	return strings.ReplaceAll(`to_char(COLUMN AT TIME ZONE 'UTC', 'YYYY-MM-DD')`, "COLUMN", column)
}
