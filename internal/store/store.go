// Package store keeps conversations, issues and what requests cost in SQLite, in PostgreSQL (Supabase included) or in
// memory, behind conversation.Store, issue.Store and usage.Store.
//
// One set of query texts serves all three; what differs between the databases is the migrations folder and the few
// fields of dialect. It knows the vocabulary packages and config, no tool, no vendor and no protocol.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

var (
	_ conversation.Store     = (*Store)(nil)
	_ conversation.Temporary = (*Store)(nil)
	_ issue.Store            = (*Issues)(nil)
	_ usage.Store            = (*Usage)(nil)
)

// Store is an open database. It is a conversation.Store; Issues gives its issue.Store, Usage its usage.Store.
type Store struct {
	write  *sql.DB
	read   *sql.DB // the same as write but for SQLite files
	d      dialect
	issues *Issues
	usage  *Usage
	file   *databaseFile // SQLite's; nil where there is none
	close  []func() error
	// uuidConversationIDs: tables found here keep the continuation ids of issues as uuids.
	uuidConversationIDs bool
	warnings            warningList
	lost                string // why nothing outlives this process, although it was to; "" where that is not so
}

// warningList is what people should know about an open database.
type warningList struct {
	mu   sync.Mutex
	list []string
}

// Warnings says what people should know about the open database, a sentence each.
func (s *Store) Warnings() []string {
	s.warnings.mu.Lock()
	defer s.warnings.mu.Unlock()
	return slices.Clone(s.warnings.list)
}

func (s *Store) setWarnings(list []string) {
	s.warnings.mu.Lock()
	defer s.warnings.mu.Unlock()
	s.warnings.list = list
}

func (s *Store) warn(format string, args ...any) {
	s.warnings.mu.Lock()
	defer s.warnings.mu.Unlock()
	s.warnings.list = append(s.warnings.list, fmt.Sprintf(format, args...))
}

// dialect is what the databases do not have in common.
type dialect struct {
	name       string // sqlite, postgres or memory
	where      string // for people: the file, or host and database
	migrations string // the folder
	// lock and share take a lock on one of the lock keys until the transaction ends, for others of its kind or for none.
	// Empty where a writing transaction excludes all others anyway.
	lock, share string
	tables      func(ctx context.Context, q querier) ([]column, error)
	array       func([]string) string      // a list as the text of an array value
	in          string                     // what follows a column that has one of the values of an array
	day         func(column string) string // the UTC day of a time, as an expression of SQL
}

// The keys of transaction locks. Any number does that other programs are unlikely to use.
const (
	lockMigrate int64 = 0x65786169_0001 + iota
	lockBlobs
	lockCapture
	lockBudget
	lockReviews
)

// querier is what a query needs of a database, a connection or a transaction.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Open opens the configured database, brings its tables up to date and returns the store, which the caller closes. Several
// processes may open one database at once. The error of a store that cannot be opened says what to do about it.
func Open(ctx context.Context, c config.Conversations) (*Store, error) {
	var (
		s   *Store
		err error
	)
	switch c.Backend {
	case "", "sqlite":
		s, err = openSQLite(ctx, c.StateDir)
	case "postgres", "supabase", "dual":
		s, err = openPostgres(ctx, c.DatabaseURL)
	case "memory":
		s, err = openMemory(ctx)
	default:
		err = fmt.Errorf("CONVERSATION_STORAGE_BACKEND=%q: expected sqlite, postgres, supabase, dual or memory", c.Backend)
	}
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", withCause(ctx, err))
	}
	if err := s.issues.fillKeys(ctx); err != nil && ctx.Err() == nil { // which is tried again when findings are recorded
		s.warn("issues cannot be prepared for recording findings: %v", err)
	}
	return s, nil
}

// OpenOrRemember is Open, but where the state folder cannot be used, the store is in memory, and Temporary says why.
func OpenOrRemember(ctx context.Context, c config.Conversations) (*Store, error) {
	s, err := Open(ctx, c)
	var folder folderError
	if !errors.As(err, &folder) {
		return s, err
	}
	if s, err = openMemory(ctx); err != nil {
		return nil, fmt.Errorf("open the store: %w", withCause(ctx, err))
	}
	s.lost = folder.Error()
	s.warn("conversations and issues are kept in memory and end with this process: %s", s.lost)
	return s, nil
}

// Temporary says why everything here ends with this process, although the configuration asks for a database; "" where that
// is not so.
func (s *Store) Temporary() string { return s.lost }

// Backend is the kind of database: sqlite, postgres or memory.
func (s *Store) Backend() string { return s.d.name }

// Location says where the data is, for people: the file's path, or host and database. It holds no secret.
func (s *Store) Location() string { return s.d.where }

// Issues gives the issue tracker in the same database.
func (s *Store) Issues() *Issues { return s.issues }

// Usage gives what requests cost, in the same database.
func (s *Store) Usage() *Usage { return s.usage }

// Ping makes sure that the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.withRetry(ctx, "ping", func() error { return s.read.QueryRowContext(ctx, `SELECT 1`).Scan(&one) })
}

// Close ends every connection. Calls under way fail.
func (s *Store) Close() error {
	var errs []error
	for i := len(s.close) - 1; i >= 0; i-- {
		errs = append(errs, s.close[i]())
	}
	s.close = nil
	return errors.Join(errs...)
}

// inTx runs fn in a transaction that may write and commits it, and repeats both while the database is busy with others.
func (s *Store) inTx(ctx context.Context, op string, fn func(tx *sql.Tx) error) error {
	return s.withRetry(ctx, op, func() error {
		tx, err := s.write.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if err := fn(tx); err != nil {
			_ = tx.Rollback() // err is what matters
			return err
		}
		if err := tx.Commit(); err != nil {
			return &commitError{err}
		}
		return nil
	})
}

// commitError is a failed commit. Where the connection was lost, nobody knows whether it took place, so it is not done again.
type commitError struct{ err error }

func (u *commitError) Error() string { return "commit: " + u.err.Error() }
func (u *commitError) Unwrap() error { return u.err }

const (
	maxBusy            = time.Minute      // how long a busy database is asked again when ctx sets no end
	maxRefused         = 2 * time.Second  // how long an address where nothing listens is asked again
	maxFull            = 10 * time.Second // how long a server that takes no more connections is asked again
	maxLostConnections = 9                // how many lost connections are replaced; a pool may hold several that died together
)

// withRetry runs fn, repeats it while the database is busy with others or a connection was lost, and names the operation in
// its error.
func (s *Store) withRetry(ctx context.Context, op string, fn func() error) error {
	lost := 0
	for start, wait := time.Now(), time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		err := fn()
		if err == nil {
			return nil
		}
		if errors.Is(err, errReplaced) && ctx.Err() == nil {
			if err = s.file.open(ctx, s); err == nil {
				continue
			}
		}
		again := busy(err)
		if again && time.Since(start) > maxBusy {
			return fmt.Errorf("%s: another program has kept the database busy for %s: %w", op, maxBusy, err)
		}
		if connectionRefused(err) {
			longest := maxFull
			if errors.Is(err, syscall.ECONNREFUSED) {
				longest = maxRefused
			}
			again, wait = time.Since(start) < longest, time.Duration(20+rand.IntN(100))*time.Millisecond
		}
		if connectionLost(err) {
			lost++
			again = lost <= maxLostConnections
		}
		if !again || ctx.Err() != nil {
			return fmt.Errorf("%s: %w", op, withCause(ctx, err))
		}
		if err := pause(ctx, wait); err != nil {
			return fmt.Errorf("%s: waiting for a busy database: %w", op, err)
		}
	}
}

// pause waits, or returns the cause of ctx's end.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// busy reports whether another transaction was in the way and the same work may succeed when done again from its start.
func busy(err error) bool { return sqliteBusy(err) || postgresBusy(err) }

// withCause puts the reason of ctx's end in place of the driver's way of saying that it was interrupted.
func withCause(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	for _, answer := range []error{conversation.ErrNotFound, issue.ErrNotFound, issue.ErrInvalid} {
		if errors.Is(err, answer) {
			return err
		}
	}
	return context.Cause(ctx)
}

// takeLock takes a transaction lock where the database needs one.
func takeLock(ctx context.Context, tx querier, statement string, key int64) error {
	if statement == "" {
		return nil
	}
	if _, err := tx.ExecContext(ctx, statement, key); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	return nil
}

// queryAll reads every row of a query.
func queryAll[T any](ctx context.Context, q querier, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err's
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// where collects the conditions of a query and their arguments.
type where struct {
	conds []string
	args  []any
}

// and adds a condition in which each ? stands for the next of args.
func (w *where) and(cond string, args ...any) {
	w.conds = append(w.conds, w.fill(cond, args...))
}

// fill numbers the placeholders of a piece of SQL and keeps its arguments.
func (w *where) fill(text string, args ...any) string {
	var b strings.Builder
	for _, r := range text {
		if r == '?' {
			w.args = append(w.args, args[0])
			args = args[1:]
			fmt.Fprintf(&b, "$%d", len(w.args))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// clause is the whole WHERE clause, empty when there is no condition.
func (w *where) clause() string {
	if len(w.conds) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conds, " AND ")
}

// placeholders is a list of n placeholders, "?,?,?".
func placeholders(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

// contains is a LIKE pattern, with ! as its escape character, that finds a text anywhere.
func contains(text string) string {
	return "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(text) + "%"
}
