package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// singleConn is a pool of one connection to a database file, and the connection.
func singleConn(t *testing.T, path string) (*sql.Conn, func() *cachingConn) {
	t.Helper()
	db := sql.OpenDB(sqliteAt(fileURI(path), nil))
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close()) })
	return conn, func() (c *cachingConn) {
		require.NoError(t, conn.Raw(func(driverConn any) error {
			c = driverConn.(*cachingConn)
			return nil
		}))
		return c
	}
}

func TestStatementsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	conn, kept := singleConn(t, path)
	exec := func(query string, args ...any) {
		t.Helper()
		_, err := conn.ExecContext(t.Context(), query, args...)
		require.NoError(t, err)
	}
	exec(`CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)`)
	const insert = `INSERT INTO t VALUES ($1)`
	exec(insert, 3)
	first := kept().idle[insert]
	require.NotNil(t, first)
	exec(insert, 4)
	assert.Same(t, first, kept().idle[insert], "compiled once")

	// A query whose rows are being read is not the one that runs inside of the loop.
	const from = `SELECT n FROM t WHERE n >= $1 ORDER BY n`
	list := func(conn *sql.Conn, at int) (got []int) {
		rows, err := conn.QueryContext(t.Context(), from, at)
		require.NoError(t, err)
		defer rows.Close()
		for rows.Next() {
			var n, least int
			require.NoError(t, rows.Scan(&n))
			require.NoError(t, conn.QueryRowContext(t.Context(), from, n).Scan(&least))
			require.Equal(t, n, least)
			got = append(got, n)
		}
		require.NoError(t, rows.Err())
		return got
	}
	assert.Equal(t, []int{2, 3, 4}, list(conn, 2))
	assert.Equal(t, []int{1, 2, 3, 4}, list(conn, 1))

	// Another process changes the table.
	other, _ := singleConn(t, path)
	_, err := other.ExecContext(t.Context(), `ALTER TABLE t ADD COLUMN more TEXT DEFAULT 'x'; DELETE FROM t WHERE n < 4`)
	require.NoError(t, err)
	assert.Equal(t, []int{4}, list(conn, 1))
	_, err = conn.ExecContext(t.Context(), insert, 5)
	require.ErrorContains(t, err, "2 columns")
	exec(`INSERT INTO t (n) VALUES ($1)`, 5)
	assert.Equal(t, []int{4, 5}, list(conn, 1))
}

// A query that was given up leaves its statement usable.
func TestKeptStatementOutlivesACancelledQuery(t *testing.T) {
	conn, kept := singleConn(t, filepath.Join(t.TempDir(), "x.db"))
	const count = `WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < $1) SELECT n FROM c`
	func() {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		rows, err := conn.QueryContext(ctx, count, 1_000_000_000)
		require.NoError(t, err)
		defer rows.Close() // which waits for database/sql, where Next does not
		require.True(t, rows.Next())
		cancel()
		for rows.Next() {
		}
		require.Error(t, rows.Err())
	}()
	assert.Contains(t, kept().idle, count)
	var n int
	require.NoError(t, conn.QueryRowContext(t.Context(), count, 1).Scan(&n))
	assert.Equal(t, 1, n)
}

func TestFewStatementsAreKept(t *testing.T) {
	conn, kept := singleConn(t, filepath.Join(t.TempDir(), "x.db"))
	for i := range 3 * maxIdleStatements {
		var n int
		require.NoError(t, conn.QueryRowContext(t.Context(), fmt.Sprintf(`SELECT %d`, i)).Scan(&n))
		require.Equal(t, i, n)
	}
	assert.Len(t, kept().idle, maxIdleStatements)
	assert.Contains(t, kept().idle, fmt.Sprintf(`SELECT %d`, 3*maxIdleStatements-1), "the latest is kept")
}

// countedConn counts the statements of a connection that are open.
type countedConn struct {
	sqliteConn
	open *int
}

func (c countedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.sqliteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	*c.open++
	return countedStmt{s.(sqliteStmt), c.open}, nil
}

type countedStmt struct {
	sqliteStmt
	open *int
}

func (s countedStmt) Close() error {
	*s.open--
	return s.sqliteStmt.Close()
}

// Statements that are not kept are closed, and those that are, with their connection.
func TestStatementsAreClosed(t *testing.T) {
	real, err := sqliteAt("file::memory:", nil).d.Open("file::memory:")
	require.NoError(t, err)
	open := 0
	conn, err := cacheStatements(countedConn{real.(sqliteConn), &open}, nil, nil)
	require.NoError(t, err)
	kept := conn.(*cachingConn)
	prepare := func(query string) driver.Stmt {
		s, err := kept.PrepareContext(t.Context(), query)
		require.NoError(t, err)
		return s
	}
	for i := range 2 * maxIdleStatements {
		require.NoError(t, prepare(fmt.Sprint("SELECT ", i)).Close())
	}
	assert.Equal(t, maxIdleStatements, open)
	first, second := prepare("SELECT 'twice'"), prepare("SELECT 'twice'")
	assert.Equal(t, maxIdleStatements+2, open)
	require.NoError(t, first.Close())
	require.NoError(t, second.Close())
	assert.Equal(t, maxIdleStatements, open, "one of two with the same text is kept")
	require.NoError(t, kept.Close())
	assert.Zero(t, open)
}

// plainConn and plainStmt lack most of what database/sql uses.
type plainConn struct{ driver.Conn }

type plainStmt struct{ driver.Stmt }

type connOfPlainStatements struct{ sqliteConn }

func (connOfPlainStatements) PrepareContext(context.Context, string) (driver.Stmt, error) {
	return plainStmt{}, nil
}

func TestDriverThatLacksSomething(t *testing.T) {
	_, err := cacheStatements(plainConn{}, nil, nil)
	require.EqualError(t, err, "the SQLite driver's store.plainConn lacks what database/sql offers")
	conn, err := cacheStatements(connOfPlainStatements{}, nil, nil)
	require.NoError(t, err)
	_, err = conn.(*cachingConn).PrepareContext(t.Context(), "SELECT 1")
	require.EqualError(t, err, "the SQLite driver's store.plainStmt lacks what database/sql offers")
}
