package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/store/storetest"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

var errDisk = errors.New("the disk is on fire")

// failures counts what is done on a store's connections, and makes one of these actions fail: the beginning of a transaction, a
// statement, the reading or the values of its first row, the count of the rows that it changed, or a commit.
type failures struct {
	at, done int     // the action that fails, 0 for none; those since start
	lasting  bool    // so do all after it
	locks    []int64 // the keys of the locks that were taken since start
}

func (f *failures) start(at int) { *f = failures{at: at} }

// next is the error of the next action.
func (f *failures) next() error {
	if f.done++; f.done == f.at || f.lasting && f.at > 0 && f.done > f.at {
		return errDisk
	}
	return nil
}

// failing opens a database with connections whose actions can be made to fail. They are not to be used by several goroutines
// while one of them does.
func failing(t *testing.T, c config.Conversations) (*Store, *failures) {
	t.Helper()
	s, f := open(t, c), &failures{}
	write, read := s.write, s.read
	t.Cleanup(func() { s.write, s.read = write, read })
	s.write = f.pool(t, c, writeOptions, s.file)
	s.read = s.write
	if c.Backend == "sqlite" {
		s.read = f.pool(t, c, readOptions, s.file)
	}
	return s, f
}

// pool opens failing connections to a database as it is.
func (f *failures) pool(t *testing.T, c config.Conversations, options string, file *databaseFile) *sql.DB {
	t.Helper()
	var to driver.Connector = sqliteAt(fileURI(filepath.Join(c.StateDir, sqliteFile))+options, file)
	if c.Backend == "postgres" {
		p, _, err := postgresConfig(c.DatabaseURL)
		require.NoError(t, err)
		to = stdlib.GetConnector(*p)
	}
	db := sql.OpenDB(failingConnector{to, f})
	db.SetMaxOpenConns(2)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

type failingConnector struct {
	driver.Connector
	f *failures
}

func (c failingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return failingConn{conn.(transactionConn), c.f}, nil
}

// transactionConn is what a connection needs for the store's work.
type transactionConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.SessionResetter
}

type failingConn struct {
	transactionConn
	f *failures
}

func (c failingConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := c.f.next(); err != nil {
		return nil, err
	}
	tx, err := c.transactionConn.BeginTx(ctx, o)
	return failingTx{tx, c.f}, err
}

func (c failingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.transactionConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return failingStmt{s.(sqliteStmt), c.f, strings.Contains(query, "pg_advisory")}, nil
}

type failingTx struct {
	driver.Tx
	f *failures
}

// Commit rolls back where it fails.
func (t failingTx) Commit() error {
	if err := t.f.next(); err != nil {
		return errors.Join(err, t.Rollback())
	}
	return t.Tx.Commit()
}

type failingStmt struct {
	sqliteStmt
	f    *failures
	lock bool // it takes a lock
}

func (s failingStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := s.f.next(); err != nil {
		return nil, err
	}
	if s.lock {
		s.f.locks = append(s.f.locks, args[0].Value.(int64))
	}
	r, err := s.sqliteStmt.ExecContext(ctx, args)
	return failingResult{r, s.f}, err
}

func (s failingStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err := s.f.next(); err != nil {
		return nil, err
	}
	r, err := s.sqliteStmt.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	return &failingRows{Rows: r, f: s.f}, nil
}

type failingResult struct {
	driver.Result
	f *failures
}

func (r failingResult) RowsAffected() (int64, error) {
	if err := r.f.next(); err != nil {
		return 0, err
	}
	return r.Result.RowsAffected()
}

// failingRows fails before its first row, or where a scan would read a value that cannot be one.
type failingRows struct {
	driver.Rows
	f     *failures
	begun bool
}

func (r *failingRows) Next(row []driver.Value) error {
	err := r.Rows.Next(row)
	if r.begun || err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	r.begun = true
	if failed := r.f.next(); failed != nil {
		return failed
	}
	if err == nil && r.f.next() != nil {
		for i := range row {
			row[i] = unreadable{}
		}
	}
	return err
}

// unreadable is a value that no scan accepts.
type unreadable struct{}

// tables is all that the database holds.
func tables(t *testing.T, s *Store) map[string][]map[string]any {
	t.Helper()
	out := map[string][]map[string]any{}
	for name := range shapes {
		out[name] = records(t, s, `SELECT * FROM `+name+` ORDER BY 1, 2`)
	}
	return out
}

// task is one call of the store.
type task struct {
	name   string
	before func(t *testing.T, s *Store) // what it needs
	do     func(ctx context.Context, s *Store) error
	parts  bool  // what was done before the failure is kept
	lock   int64 // the key of the lock that it takes where the database has some, 0 for none
}

// Whatever fails of an operation, the operation fails, does not report that something is not there, and leaves nothing half done.
func TestEveryFailureIsReported(t *testing.T) {
	eachDatabase(t, func(t *testing.T, c config.Conversations) {
		s, f := failing(t, c)
		fillForTasks(t, s)
		for _, task := range slices.Concat(conversationTasks(), issueTasks(), usageTasks(), reviewTasks()) {
			t.Run(task.name, func(t *testing.T) { failEverywhere(t, s, f, task) })
		}
	})
}

// failEverywhere makes each action of a task fail, one at a time, and then lets it succeed.
func failEverywhere(t *testing.T, s *Store, f *failures, task task) {
	if task.before != nil {
		task.before(t, s)
	}
	for at := 1; ; at++ {
		require.Less(t, at, 500, "it does not end")
		f.start(0)
		before := tables(t, s)
		f.start(at)
		err := task.do(t.Context(), s)
		failed, locks := f.done >= at, slices.Compact(f.locks)
		f.start(0)
		if !failed {
			require.NoError(t, err)
			assert.Greater(t, at, 1, "it did nothing")
			if s.d.name == "postgres" && task.lock != 0 {
				assert.Equal(t, []int64{task.lock}, locks)
			} else {
				assert.Empty(t, locks)
			}
			return
		}
		require.Error(t, err, "action %d", at)
		for _, answer := range []error{conversation.ErrNotFound, issue.ErrNotFound, issue.ErrInvalid} {
			require.NotErrorIs(t, err, answer, "action %d", at)
		}
		if !task.parts {
			require.Empty(t, cmp.Diff(before, tables(t, s)), "action %d", at)
		}
	}
}

// A database that could not be prepared, whatever failed, is prepared by whoever opens it next.
func TestFailedMigrationIsFinishedLater(t *testing.T) {
	eachDatabase(t, func(t *testing.T, c config.Conversations) {
		d, f := open(t, c).d, &failures{}
		if c.Backend == "postgres" {
			c.DatabaseURL = config.Secret(storetest.Postgres(t))
		} else {
			c.StateDir = t.TempDir()
		}
		db := f.pool(t, c, writeOptions, nil)
		s := newStore(db, db, d)
		for _, at := range []int{1, 2, 30, 60, 0} {
			f.start(at)
			f.lasting = true
			err := s.migrate(t.Context())
			require.Equal(t, at > 0, err != nil, "action %d", at)
		}
		failEverywhere(t, s, f, task{do: func(ctx context.Context, s *Store) error { return s.migrate(ctx) }})
		again := open(t, c)
		say(t, again, "t", user("x"))
		assert.Len(t, load(t, again, "t").Turns, 1)
		found, err := d.tables(t.Context(), again.write)
		require.NoError(t, err)
		require.NoError(t, again.checkTables(found))
	})
}

func fillForTasks(t *testing.T, s *Store) {
	t.Helper()
	say(t, s, "t", attach(user("q"), file("/a", "x"), file("/b", "y")), step("debug", 1), assistant("a"), step("debug", 2))
	say(t, s, "u", attach(user("q"), file("/a", "x")))
	for _, title := range []string{"first", "second", "third"} {
		create(t, s.Issues(), title, issue.High)
	}
	require.NoError(t, s.Reviews().Change(t.Context(), "k", func(v *Review) bool {
		*v = Review{Workspace: "/w", Baseline: map[string]string{"a": "1"}, Findings: []byte(`["x"]`)}
		return true
	}))
}

func conversationTasks() []task {
	var saved conversation.Turn
	return []task{
		{name: "append", lock: lockBlobs, do: func(ctx context.Context, s *Store) error {
			_, err := s.Append(ctx, conversation.NewTurns{
				ConversationID: "t", DropStepsTool: "debug", DropStepsFrom: 2,
				Turns: []conversation.Turn{attach(step("debug", 2), file("/c", "z"), file("/a", "x")), assistant("b")},
			})
			return err
		}},
		{name: "append with a file", lock: lockBlobs, do: func(ctx context.Context, s *Store) error {
			_, err := s.Append(ctx, conversation.NewTurns{ConversationID: "v", Turns: []conversation.Turn{attach(user("q"), file("/d", "d"))}})
			return err
		}},
		{name: "append to rows without a number", before: func(t *testing.T, s *Store) {
			raw(t, s, `UPDATE messages SET turn_number = NULL WHERE content = 'b'`)
		}, do: func(ctx context.Context, s *Store) error {
			_, err := s.Append(ctx, conversation.NewTurns{ConversationID: "t", Turns: []conversation.Turn{user("c")}})
			return err
		}},
		{name: "save", before: func(t *testing.T, s *Store) { saved = load(t, s, "t").Turns[0] }, do: func(ctx context.Context, s *Store) error {
			return s.Save(ctx, "t", saved)
		}},
		{name: "load", do: func(ctx context.Context, s *Store) error { return second(s.Load(ctx, "t")) }},
		{name: "load the latest", do: func(ctx context.Context, s *Store) error { return second(s.LoadLatest(ctx, "t", 1)) }},
		{name: "load one of another program", before: func(t *testing.T, s *Store) {
			raw(t, s, `UPDATE messages SET turn_number = NULL WHERE content = 'a'`)
		}, do: func(ctx context.Context, s *Store) error { return second(s.LoadLatest(ctx, "t", 1)) }},
		{name: "list", do: func(ctx context.Context, s *Store) error {
			return second(s.List(ctx, conversation.Filter{Text: "a", Path: "/a"}))
		}},
		{name: "each", do: func(ctx context.Context, s *Store) error {
			for _, err := range s.Each(ctx, conversation.Filter{}) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "count", do: func(ctx context.Context, s *Store) error { return second(s.Count(ctx, conversation.Filter{})) }},
		{name: "ping", do: func(ctx context.Context, s *Store) error { return s.Ping(ctx) }},
		{name: "delete", lock: lockBlobs, do: func(ctx context.Context, s *Store) error { return s.Delete(ctx, "u") }},
		{name: "prune", lock: lockBlobs, parts: true, do: func(ctx context.Context, s *Store) error {
			return second(s.Prune(ctx, now().Add(time.Hour)))
		}},
	}
}

func issueTasks() []task {
	var number int
	finding := issue.Finding{Title: "first", Severity: issue.High, Quote: "value := compute(1)", File: "/w/a.go", Workspace: "/w"}
	capture := func(ctx context.Context, s *Store) error {
		return second(s.Issues().Capture(ctx, []issue.Finding{finding}))
	}
	return []task{
		{name: "create", do: func(ctx context.Context, s *Store) error {
			i, err := s.Issues().Create(ctx, issue.Issue{
				Title: "whole", Severity: issue.Low, Category: issue.Other, Checklist: []issue.ChecklistStep{{Description: "one"}}, Blocks: []int{1},
			})
			if err == nil {
				number = i.Number
			}
			return err
		}},
		{name: "get", do: func(ctx context.Context, s *Store) error { return second(s.Issues().Get(ctx, number)) }},
		{name: "update", do: func(ctx context.Context, s *Store) error {
			return second(s.Issues().Update(ctx, number, issue.Change{Note: "note", Title: ptr("new")}))
		}},
		{name: "comment", do: func(ctx context.Context, s *Store) error { return s.Issues().Comment(ctx, 1, "comment", "") }},
		{name: "add steps", do: func(ctx context.Context, s *Store) error {
			return second(s.Issues().AddSteps(ctx, 1, []string{"one", "two"}, ""))
		}},
		{name: "set a step", do: func(ctx context.Context, s *Store) error {
			return second(s.Issues().SetStep(ctx, 1, 2, issue.StepComplete, ""))
		}},
		{name: "link", do: func(ctx context.Context, s *Store) error { return s.Issues().Link(ctx, 1, issue.LinkRelated, 2, "") }},
		{name: "list issues", do: func(ctx context.Context, s *Store) error { return second(s.Issues().List(ctx, issue.Filter{})) }},
		{name: "each issue", do: func(ctx context.Context, s *Store) error {
			return second(issue.All(ctx, s.Issues(), issue.Filter{}))
		}},
		{name: "each whole issue", do: func(ctx context.Context, s *Store) error {
			for _, err := range s.Issues().Each(ctx, issue.Filter{}, true) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "capture a new one", lock: lockCapture, do: capture},
		{name: "capture a known one", lock: lockCapture, do: capture},
		{name: "capture what is known without a quote", lock: lockCapture, before: func(t *testing.T, s *Store) {
			raw(t, s, `UPDATE exai_issues SET quote = NULL, quote_key = NULL`)
		}, do: capture},
		{name: "capture what came back", lock: lockCapture, before: func(t *testing.T, s *Store) {
			raw(t, s, `UPDATE exai_issues SET status = 'fixed'`)
		}, do: capture},
		{name: "capture among those of an old version", lock: lockCapture, parts: true, before: func(t *testing.T, s *Store) {
			raw(t, s, `UPDATE exai_issues SET title_key = NULL`)
		}, do: capture},
		{name: "fill in keys", before: func(t *testing.T, s *Store) {
			raw(t, s, `UPDATE exai_issues SET title_key = NULL`)
		}, do: func(ctx context.Context, s *Store) error { return s.Issues().fillKeys(ctx) }, parts: true},
	}
}

func usageTasks() []task {
	lost := func(t *testing.T, s *Store) {
		id, _, err := s.Usage().Reserve(t.Context(), usage.Reservation{AmountUSD: 0.1, LimitUSD: 1000})
		require.NoError(t, err)
		raw(t, s, `UPDATE exai_usage_reservations SET heartbeat_at = $1 WHERE id = $2`, stamp(clock(t, s).Add(-time.Hour)), id)
	}
	var held string
	return []task{
		{name: "record and fold", lock: lockBudget, parts: true, before: func(t *testing.T, s *Store) {
			require.NoError(t, s.Usage().Record(t.Context(), asked("old", 1)))
			backdate(t, s, "old", usage.KeepDays+1)
		}, do: func(ctx context.Context, s *Store) error { return (&Usage{store: s}).Record(ctx, asked("a", 1)) }},
		{name: "reserve", lock: lockBudget, before: lost, do: func(ctx context.Context, s *Store) (err error) {
			held, _, err = s.Usage().Reserve(ctx, usage.Reservation{AmountUSD: 0.5, LimitUSD: 1000})
			return err
		}},
		{name: "beat", do: func(ctx context.Context, s *Store) error { return s.Usage().Beat(ctx, []string{held}) }},
		{name: "settle", lock: lockBudget, do: func(ctx context.Context, s *Store) error { return s.Usage().Settle(ctx, held, asked("a", 1)) }},
		{name: "today", lock: lockBudget, before: lost, do: func(ctx context.Context, s *Store) error { return second(s.Usage().Today(ctx)) }},
		{name: "totals", do: func(ctx context.Context, s *Store) error { return second(s.Usage().Totals(ctx, 9, usage.ByModel)) }},
		{name: "requests", do: func(ctx context.Context, s *Store) error { return second(s.Usage().Requests(ctx, usage.Filter{})) }},
		{name: "under way", before: lost, do: func(ctx context.Context, s *Store) error { return second(s.Usage().UnderWay(ctx)) }},
		{name: "exceeded limits", do: func(ctx context.Context, s *Store) error { return second(s.Usage().Exceeded(ctx, 9)) }},
	}
}

func reviewTasks() []task {
	return []task{
		{name: "load a review", do: func(ctx context.Context, s *Store) error { return second(s.Reviews().Load(ctx, "k")) }},
		{name: "change a review", lock: lockReviews, do: func(ctx context.Context, s *Store) error {
			return s.Reviews().Change(ctx, "k", func(v *Review) bool { v.Blocks++; return true })
		}},
	}
}
