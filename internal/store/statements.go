package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"os"
)

// maxIdleStatements bounds what one connection keeps: few texts are used often, lists with filters have many.
const maxIdleStatements = 32

// cachingConn is an SQLite connection that keeps its statements instead of compiling them for each use, which takes longer than
// running the short ones. database/sql prepares what it runs on a connection that can do nothing but prepare, and closes it
// afterwards; here closing a statement keeps it for its next use. SQLite compiles one again where the tables changed meanwhile.
//
// database/sql lets one goroutine at a time use a connection and its statements.
type cachingConn struct {
	sqliteConn
	idle   map[string]*cachedStmt // by their text; none is here while it is in use
	file   *databaseFile          // nil: it is not watched
	opened os.FileInfo            // the file that the connection reads and writes, whatever its path leads to now
}

// sqliteConn is what database/sql is to see of the driver's connection: not that it runs queries by itself.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

func cacheStatements(conn driver.Conn, file *databaseFile, opened os.FileInfo) (driver.Conn, error) {
	c, ok := conn.(sqliteConn)
	if !ok {
		return nil, fmt.Errorf("the SQLite driver's %T lacks what database/sql offers", conn)
	}
	return &cachingConn{c, map[string]*cachedStmt{}, file, opened}, nil
}

// PrepareContext returns a statement that was kept, or compiles one.
func (c *cachingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if s, ok := c.idle[query]; ok {
		delete(c.idle, query)
		return s, nil
	}
	s, err := c.sqliteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	compiled, ok := s.(sqliteStmt)
	if !ok {
		return nil, fmt.Errorf("the SQLite driver's %T lacks what database/sql offers", s)
	}
	return &cachedStmt{compiled, c, query}, nil
}

// ResetSession is called when the connection is taken from its pool, which then closes a connection to a file that is gone.
func (c *cachingConn) ResetSession(ctx context.Context) error {
	if c.file.check(c.opened) != nil {
		return driver.ErrBadConn
	}
	return c.sqliteConn.ResetSession(ctx)
}

// BeginTx begins a transaction whose Commit fails with errReplaced when the file was taken away meanwhile.
func (c *cachingConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	tx, err := c.sqliteConn.BeginTx(ctx, o)
	if err != nil || c.file == nil {
		return tx, err
	}
	return watchedTx{tx, c}, nil
}

type watchedTx struct {
	driver.Tx
	conn *cachingConn
}

func (t watchedTx) Commit() error {
	if err := t.Tx.Commit(); err != nil {
		return err
	}
	return t.conn.file.check(t.conn.opened)
}

// Close gives up the statements and the connection.
func (c *cachingConn) Close() error {
	for _, s := range c.idle {
		_ = s.sqliteStmt.Close() // the connection's own error says more
	}
	c.idle = nil
	return c.sqliteConn.Close()
}

type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// cachedStmt is a statement of a connection that keeps them.
type cachedStmt struct {
	sqliteStmt
	by    *cachingConn
	query string
}

// Close keeps the statement for its next use; where many are kept already, it replaces one of them.
func (s *cachedStmt) Close() error {
	if _, twice := s.by.idle[s.query]; twice || s.by.idle == nil {
		return s.sqliteStmt.Close()
	}
	if len(s.by.idle) >= maxIdleStatements {
		for query, other := range s.by.idle { // whichever comes
			delete(s.by.idle, query)
			if err := other.sqliteStmt.Close(); err != nil {
				return err
			}
			break
		}
	}
	s.by.idle[s.query] = s
	return nil
}
