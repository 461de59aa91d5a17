package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// errReplaced says that the database's file is no longer the one that was opened. The work is done again after reopening.
var errReplaced = errors.New("the database file was deleted or replaced")

// databaseFile is SQLite's file as it was when it was last prepared. A process keeps writing into a file that was deleted,
// without an error and for nobody, so the file's identity is compared with that of its path: when a connection is taken
// from the pool, when one is opened, and after each commit. Its methods do nothing on a nil databaseFile.
type databaseFile struct {
	path string

	prepare sync.Mutex // one prepares, the others wait
	mu      sync.Mutex
	known   os.FileInfo
}

// prepared is the file that was prepared last, or errReplaced when the path leads to another one or to none.
func (f *databaseFile) prepared() (os.FileInfo, error) {
	if f == nil {
		return nil, nil
	}
	f.mu.Lock()
	known := f.known
	f.mu.Unlock()
	return known, f.check(known)
}

// check returns errReplaced when the path leads to another file than this one, or to none. The file is then forgotten: when
// its last connection is closed, the file system may give its number to the next file.
func (f *databaseFile) check(known os.FileInfo) error {
	if f == nil {
		return nil
	}
	if found, err := os.Stat(f.path); err == nil && os.SameFile(known, found) {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == known {
		f.known = nil
	}
	return errReplaced
}

// open makes the folder, the file and the tables as far as they are missing, and remembers which file it is.
func (f *databaseFile) open(ctx context.Context, s *Store) error {
	f.prepare.Lock()
	defer f.prepare.Unlock()
	if _, err := f.prepared(); err == nil {
		return nil // another goroutine did it meanwhile
	}
	dir := filepath.Dir(f.path)
	if err := prepareFolder(dir); err != nil {
		return err
	}
	unlock, err := lockFolder(ctx, dir)
	if err != nil {
		return explainSQLite(f.path, err)
	}
	defer unlock()
	info, err := os.Stat(f.path)
	if err != nil {
		return folderError{fmt.Errorf("%s cannot be read: %w; %s", f.path, err, elsewhere)}
	}
	db := sql.OpenDB(sqliteAt(fileURI(f.path)+writeOptions, nil))
	db.SetMaxOpenConns(1)
	migrating := &Store{write: db, read: db, d: s.d}
	err = migrating.withRetry(ctx, "prepare "+f.path, func() error {
		var mode string
		if err := db.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&mode); err != nil {
			return err
		}
		if mode != "wal" {
			return folderError{fmt.Errorf("its file system cannot share memory between processes (journal mode %s); %s", mode, elsewhere)}
		}
		return migrating.migrate(ctx)
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return explainSQLite(f.path, err)
	}
	s.setWarnings(migrating.Warnings())
	f.mu.Lock()
	f.known = info
	f.mu.Unlock()
	return nil
}

// folderError is a state folder in which no database can be kept.
type folderError struct{ error }

func (e folderError) Unwrap() error { return e.error }
