package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// openPostgres opens a PostgreSQL database.
//
// Nothing here outlives a transaction on the server: no prepared statement, no session lock, no SET. So a transaction
// pooler, such as Supabase's on port 6543, may hand each transaction to another connection.
func openPostgres(ctx context.Context, dsn config.Secret) (*Store, error) {
	c, dropped, err := postgresConfig(dsn)
	if err != nil {
		return nil, err
	}
	db := stdlib.OpenDB(*c)
	// The smallest databases take 15 connections from everybody, and every agent's window has its own server. So one that
	// idles gives its connections back.
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(0) // until it is open: many servers begin at once
	db.SetConnMaxIdleTime(maxIdleConnection)
	s := newStore(db, db, dialect{
		name: "postgres", where: fmt.Sprintf("%s:%d/%s", c.Host, c.Port, c.Database), migrations: "postgres",
		lock: `SELECT pg_advisory_xact_lock($1)`, share: `SELECT pg_advisory_xact_lock_shared($1)`,
		tables: postgresTables, array: postgresArray, in: ` = ANY(?)`, day: postgresDay,
	})
	if len(dropped) > 0 {
		s.warn("DATABASE_URL has settings of other programs, which were left out: %s", strings.Join(dropped, ", "))
	}
	if err := s.migratePostgres(ctx); err != nil {
		return nil, errors.Join(explainPostgres(s.d.where, err), s.Close())
	}
	db.SetMaxIdleConns(2)
	return s, nil
}

// postgresConfig reads DATABASE_URL, and returns the settings in it that were left out.
func postgresConfig(dsn config.Secret) (c *pgx.ConnConfig, dropped []string, err error) {
	if dsn == "" {
		return nil, nil, errors.New("DATABASE_URL is not set: give the database's URL, postgresql://user:password@host:port/database")
	}
	c, err = pgx.ParseConfig(dsn.Reveal())
	if err != nil { // not wrapped: the parser's text can hold the password
		return nil, nil, errors.New("DATABASE_URL is not a PostgreSQL URL: postgresql://user:password@host:port/database, " +
			"where the password's special characters are percent-encoded")
	}
	// One round trip a query, without a statement that is prepared by name.
	c.DefaultQueryExecMode = pgx.QueryExecModeExec
	c.StatementCacheCapacity, c.DescriptionCacheCapacity = 0, 0
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 10 * time.Second
	}
	if _, ok := c.RuntimeParams["application_name"]; !ok {
		c.RuntimeParams["application_name"] = "exai-mcp"
	}
	return c, dropClientSettings(c.RuntimeParams), nil
}

// maxIdleConnection is how long a connection stays open after use: over the calls of one tool call, not longer.
const maxIdleConnection = 2 * time.Second

// clientSettings are URL parameters of ORMs and connection pools, which the server refuses as unknown. pool_ begins those
// of pgx's own pool, which is not used here.
var clientSettings = []string{
	"pgbouncer", "supa", "schema", "connection_limit", "pool_timeout", "sslaccept", "socket_timeout", "statement_cache_size",
	"workaround", "uselibpqcompat",
}

// dropClientSettings removes what only a client understands from the settings for the server, and names it.
func dropClientSettings(params map[string]string) (dropped []string) {
	for name := range params {
		if slices.Contains(clientSettings, strings.ToLower(name)) || strings.HasPrefix(name, "pool_") {
			delete(params, name)
			dropped = append(dropped, name)
		}
	}
	slices.Sort(dropped)
	return dropped
}

// migratePostgres migrates while a transaction of its own holds a lock. The lock is the transaction's, not the session's,
// since a session is nothing to rely on behind a transaction pooler. It is asked for, not waited for: many that wait would
// take all of a pooler's connections, and the one that migrates needs two.
func (s *Store) migratePostgres(ctx context.Context) error {
	for mine := false; ; {
		var ready bool
		err := s.withRetry(ctx, "prepare the database", func() (err error) {
			if err := checkUnique(ctx, s.write); err != nil {
				return err
			}
			ready, err = s.inspect(ctx)
			return err
		})
		if err != nil || ready {
			return err
		}
		err = s.inTx(ctx, "prepare the database", func(tx *sql.Tx) error {
			err := tx.QueryRowContext(ctx, `SELECT pg_try_advisory_xact_lock($1)`, lockMigrate).Scan(&mine)
			if err != nil || !mine {
				return err
			}
			return s.migrate(ctx)
		})
		if err != nil || mine {
			return err
		}
		if err := pause(ctx, time.Duration(20+rand.IntN(200))*time.Millisecond); err != nil {
			return fmt.Errorf("wait for another process to prepare the database: %w", err)
		}
	}
}

// checkUnique makes sure of the one constraint that queries rely on.
func checkUnique(ctx context.Context, q querier) error {
	var there, unique bool
	err := q.QueryRowContext(ctx, `SELECT count(*) > 0, coalesce(bool_or(i.indisunique AND i.indnkeyatts = 1
			AND i.indpred IS NULL AND i.indkey[0] = a.attnum), false)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'continuation_id' AND NOT a.attisdropped
		LEFT JOIN pg_index i ON i.indrelid = c.oid
		WHERE n.nspname = current_schema() AND c.relname = 'conversations'`).Scan(&there, &unique)
	if err != nil {
		return fmt.Errorf("read the indexes: %w", err)
	}
	if there && !unique {
		return fmt.Errorf("table conversations: column continuation_id is not unique; %s", leftAlone)
	}
	return nil
}

func postgresBusy(err error) bool {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case "40001", "40P01", "55P03": // serialization failure, deadlock, lock not available
		return true
	}
	return false
}

// connectionRefused reports whether the server takes no connection just now: it has as many as it may, is starting or
// stopping, or is being started again.
func connectionRefused(err error) bool {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		switch e.Code {
		case "53300", "57P03": // too many connections, cannot connect now
			return true
		}
		// Poolers have no code of their own for it: Supabase's says XX000, PgBouncer 08P01.
		text := strings.ToLower(e.Message)
		return strings.Contains(text, "max clients") || strings.Contains(text, "no more connections allowed")
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// connectionLost reports whether the connection ended under work that certainly left nothing behind. Poolers end idle ones as
// they like.
func connectionLost(err error) bool {
	var u *commitError
	if errors.As(err, &u) {
		return false
	}
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code == "57P01" || e.Code == "57P02" // the server ended the connection, or all of them
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return false // a new connection could not be made; that is no lost one
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, pgconn.ErrConnClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// explainPostgres says what to do about a database that cannot be reached. The driver's errors name user, host and
// database, never the password.
func explainPostgres(where string, err error) error {
	var refused *pgconn.ConnectError
	var e *pgconn.PgError
	switch {
	case errors.As(err, &e) && (e.Code == "28P01" || e.Code == "28000"):
		return fmt.Errorf("the database at %s refuses the user or password of DATABASE_URL: %s", where, e.Message)
	case errors.As(err, &e) && e.Code == "3D000":
		return fmt.Errorf("the server at %s has no such database: %s", where, e.Message)
	case errors.As(err, &e) && (e.Code == "42501" || e.Code == "3F000"): // also where no schema of the path may be used
		return fmt.Errorf("the user of DATABASE_URL may not do this at %s: %s; use the tables' owner (%w)", where, e.Message, err)
	case connectionRefused(err) && !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("the database at %s takes no more connections; close some, or raise its limit (%w)", where, err)
	case errors.As(err, &refused):
		return fmt.Errorf("the database at %s cannot be reached; check DATABASE_URL and the network (%w)", where, refused.Unwrap())
	}
	return err
}

// postgresTables reads the shape of the tables that are there.
func postgresTables(ctx context.Context, q querier) ([]column, error) {
	return queryAll(ctx, q, func(r *sql.Rows) (c column, err error) {
		err = r.Scan(&c.table, &c.relation, &c.name, &c.kind, &c.required)
		return c, err
	}, `SELECT c.relname, CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view'
			WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'relation' END,
			a.attname, t.typname || CASE t.typtype WHEN 'e' THEN ' enum' ELSE '' END,
			a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		JOIN pg_type t ON t.oid = a.atttypid
		WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`)
}

// postgresArray writes a list as PostgreSQL reads an array.
func postgresArray(list []string) string {
	if list == nil {
		list = []string{}
	}
	b, err := pgtype.NewMap().Encode(pgtype.TextArrayOID, pgtype.TextFormatCode, list, nil)
	if err != nil { // a list of strings always has an array form
		panic(err)
	}
	return string(b)
}
