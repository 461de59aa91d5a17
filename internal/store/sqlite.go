package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

const (
	sqliteFile = "exai.db"
	sqliteLock = "exai.lock"

	commonOptions = "_busy_timeout=5000&_foreign_keys=1&_synchronous=NORMAL"
	writeOptions  = "?_txlock=immediate&_journal_mode=WAL&" + commonOptions
	readOptions   = "?_query_only=1&" + commonOptions
)

// openSQLite opens exai.db in a folder, which it makes when it is missing.
//
// Every connection runs in WAL mode, so that readers and the one writer do not wait for each other. synchronous=NORMAL
// keeps every acknowledged commit when the process is killed at any moment; a power cut may cost the last ones.
func openSQLite(ctx context.Context, dir string) (*Store, error) {
	if dir == "" {
		return nil, folderError{errors.New("no state folder: set EXAI_STATE_DIR")}
	}
	file := &databaseFile{path: filepath.Join(dir, sqliteFile)}
	write := sql.OpenDB(sqliteAt(fileURI(file.path)+writeOptions, file))
	write.SetMaxOpenConns(1) // SQLite has one writer; a queue here is fairer than one in the file's lock
	write.SetMaxIdleConns(1)
	read := sql.OpenDB(sqliteAt(fileURI(file.path)+readOptions, file))
	read.SetMaxOpenConns(4) // each keeps up to 2 MB of pages
	read.SetMaxIdleConns(2)
	read.SetConnMaxIdleTime(time.Minute)
	s := newStore(write, read, dialect{
		name: "sqlite", where: file.path, migrations: "sqlite", tables: sqliteTables, array: jsonArray, in: inJSON, day: sqliteDay,
	})
	s.file = file
	if err := file.open(ctx, s); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// openMemory opens a database that lives in this process alone and ends with it.
func openMemory(ctx context.Context) (*Store, error) {
	// The memdb file system shares one database between the connections that name it, and frees it with the last of them:
	// the anchor keeps it when the pool gives up a connection, as it does after a cancelled query.
	at := sqliteAt("file:/"+uuid.NewString()+"?vfs=memdb&_txlock=immediate&_foreign_keys=1&_busy_timeout=5000", nil)
	anchor, err := at.Connect(ctx)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(at)
	db.SetMaxOpenConns(1)
	s := newStore(db, db, dialect{
		name: "memory", where: "this process", migrations: "sqlite", tables: sqliteTables, array: jsonArray, in: inJSON, day: sqliteDay,
	})
	s.close = append([]func() error{anchor.Close}, s.close...)
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func newStore(write, read *sql.DB, d dialect) *Store {
	s := &Store{write: write, read: read, d: d, close: []func() error{write.Close}}
	if read != write {
		s.close = append(s.close, read.Close)
	}
	s.issues, s.usage = &Issues{store: s}, &Usage{store: s}
	return s
}

// connector makes SQLite connections with a driver of our own, so that nothing is registered for the whole process.
type connector struct {
	d    *sqlite.Driver
	dsn  string
	file *databaseFile // nil: it is not watched
}

// sqliteAt adds what PostgreSQL has: a lower() that folds every letter, where SQLite's own folds ASCII alone, and
// clock_timestamp(), the time now.
func sqliteAt(dsn string, file *databaseFile) connector {
	d := &sqlite.Driver{}
	d.MustRegisterDeterministicScalarFunction("lower", 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		if s, ok := args[0].(string); ok {
			return strings.ToLower(s), nil
		}
		return args[0], nil
	})
	d.MustRegisterScalarFunction("clock_timestamp", 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		return stamp(now()).Value()
	})
	return connector{d, dsn, file}
}

// Connect opens one connection.
func (c connector) Connect(context.Context) (driver.Conn, error) {
	opened, err := c.file.prepared()
	if err != nil {
		return nil, err
	}
	conn, err := c.d.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	return cacheStatements(conn, c.file, opened)
}

// Driver is the connections' driver.
func (c connector) Driver() driver.Driver { return c.d }

const elsewhere = "set EXAI_STATE_DIR to a folder on a local disk, or use CONVERSATION_STORAGE_BACKEND=postgres or memory"

// prepareFolder makes the state folder and the database's file, both for this user alone, as far as they are missing.
func prepareFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return folderError{fmt.Errorf("the state folder cannot be made: %w; %s", err, elsewhere)}
	}
	if kind := networkFS(dir); kind != "" {
		return folderError{fmt.Errorf("%s is on a network file system (%s), where SQLite's locks are not safe; %s", dir, kind, elsewhere)}
	}
	for _, name := range []string{sqliteLock, sqliteFile} {
		path := filepath.Join(dir, name)
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return folderError{fmt.Errorf("%s cannot be written: %w; %s", path, err, elsewhere)}
		}
		info, err := f.Stat()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			err = f.Chmod(0o600) // an older copy, restored with wider rights
		}
		if err = errors.Join(err, f.Close()); err != nil && !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%s cannot be made private: %w", path, err)
		}
	}
	return nil
}

// lockFolder keeps other processes from opening the database until unlock: switching to WAL mode and migrating are not
// safe side by side. SQLite's own lock on an empty file of its own is used, since it works on every system.
func lockFolder(ctx context.Context, dir string) (unlock func(), err error) {
	db := sql.OpenDB(sqliteAt(fileURI(filepath.Join(dir, sqliteLock))+"?_txlock=immediate&_busy_timeout=1000", nil))
	s := &Store{write: db}
	var tx *sql.Tx
	err = s.withRetry(ctx, "wait for another process to open the database", func() error {
		var err error
		tx, err = db.BeginTx(ctx, nil)
		return err
	})
	if err != nil {
		_ = db.Close() // err is what matters
		return nil, err
	}
	return func() {
		_ = tx.Rollback() // nothing was written
		_ = db.Close()
	}, nil
}

// fileURI is a path as SQLite's URI, safe for every character.
func fileURI(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/...
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

func sqliteBusy(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	code := e.Code() & 0xff
	return code == lib.SQLITE_BUSY || code == lib.SQLITE_LOCKED
}

// explainSQLite says what to do about an error that comes with a number.
func explainSQLite(path string, err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case lib.SQLITE_NOTADB, lib.SQLITE_CORRUPT:
		return fmt.Errorf("%s is not a usable SQLite database: move it away, a new one is made then (%w)", path, err)
	case lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN, lib.SQLITE_PERM:
		return folderError{fmt.Errorf("%s cannot be written; %s (%w)", path, elsewhere, err)}
	case lib.SQLITE_FULL:
		return fmt.Errorf("the disk that holds %s is full (%w)", path, err)
	case lib.SQLITE_IOERR:
		return fmt.Errorf("the disk that holds %s fails, or is no local disk; %s (%w)", path, elsewhere, err)
	}
	return err
}

// inJSON has one parameter for all values. With one for each, the driver would look for the name of each among those of all.
const inJSON = ` IN (SELECT value FROM json_each(?))`

// sqliteTables reads the shape of the tables that are there.
func sqliteTables(ctx context.Context, q querier) ([]column, error) {
	return queryAll(ctx, q, func(r *sql.Rows) (c column, err error) {
		err = r.Scan(&c.table, &c.relation, &c.name, &c.kind, &c.required)
		return c, err
	}, `SELECT m.name, m.type, p.name, lower(p.type), p."notnull" AND p.dflt_value IS NULL AND p.pk = 0
		FROM sqlite_master m, pragma_table_info(m.name) p WHERE m.type IN ('table', 'view')`)
}

func jsonArray(list []string) string {
	if list == nil {
		list = []string{}
	}
	b, err := json.Marshal(list)
	if err != nil { // a list of strings always has a JSON form
		panic(err)
	}
	return string(b)
}
