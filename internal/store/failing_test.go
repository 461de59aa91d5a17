package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

var errDisk = errors.New("the disk is on fire")

// failures counts what is done on a store's connections, and makes one of these actions fail: the beginning of a
// transaction, a statement, the reading or the values of its first row, the count of the rows that it changed, or a commit.
type failures struct {
	at, done int  // the action that fails, 0 for none; those since start
	lasting  bool // so do all after it
	takes    time.Duration
	locks    []int64 // the keys of the locks that were taken since start
}

func (f *failures) start(at int) { *f = failures{at: at} }

// next is the error of the next action.
func (f *failures) next() error {
	time.Sleep(f.takes)
	if f.done++; f.done == f.at || f.lasting && f.at > 0 && f.done > f.at {
		return errDisk
	}
	return nil
}

// failing opens a database with connections whose actions can be made to fail. Several goroutines may not use them at once.
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
