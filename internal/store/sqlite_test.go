package store

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// Errors that come with a number say what to do. Those of a folder in which no database can be kept are folderErrors.
func TestExplainSQLite(t *testing.T) {
	dir := t.TempDir()
	failed := func(path, options string, statements ...string) error {
		t.Helper()
		db := sql.OpenDB(sqliteAt(fileURI(path)+options, nil))
		defer db.Close()
		db.SetMaxOpenConns(1)
		for _, s := range statements[:len(statements)-1] {
			_, err := db.ExecContext(t.Context(), s)
			require.NoError(t, err)
		}
		_, err := db.ExecContext(t.Context(), statements[len(statements)-1])
		require.Error(t, err)
		return explainSQLite("/state/exai.db", err)
	}
	path := filepath.Join(dir, "x.db")
	const table = `CREATE TABLE t (b BLOB UNIQUE)`
	full := failed(path, "", table, `PRAGMA max_page_count = 5`, `INSERT INTO t VALUES (zeroblob(100000))`)
	readOnly := failed(path, "?mode=ro", `SELECT 1`, `INSERT INTO t VALUES (1)`)
	missing := failed(filepath.Join(dir, "no", "x.db"), "", `SELECT * FROM t`)
	twice := failed(path, "", `INSERT INTO t VALUES (1)`, `INSERT INTO t VALUES (1)`)
	garbage := filepath.Join(dir, "garbage.db")
	require.NoError(t, os.WriteFile(garbage, []byte(strings.Repeat("no database ", 100)), 0o600))
	noDatabase := failed(garbage, "", `SELECT * FROM sqlite_master`)
	for _, c := range []struct {
		err    error
		folder bool
		want   string
	}{
		{full, false, "the disk that holds /state/exai.db is full ("},
		{readOnly, true, "/state/exai.db cannot be written; set EXAI_STATE_DIR to a folder on a local disk"},
		{missing, true, "/state/exai.db cannot be written; set EXAI_STATE_DIR to a folder on a local disk"},
		{noDatabase, false, "/state/exai.db is not a usable SQLite database: move it away, a new one is made then ("},
		{twice, false, "constraint failed: UNIQUE constraint failed: t.b"},
	} {
		assert.Truef(t, strings.HasPrefix(c.err.Error(), c.want), "%v", c.err)
		var folder folderError
		assert.Equal(t, c.folder, errors.As(c.err, &folder), c.want)
		var number *sqlite.Error
		assert.ErrorAs(t, c.err, &number)
	}
	other := errors.New("x")
	assert.Equal(t, other, explainSQLite("/state/exai.db", other))
}

func TestFileURI(t *testing.T) {
	assert.Equal(t, "file:///a%20b/x%3F.db", fileURI("/a b/x?.db"))
	assert.Equal(t, "file:///C:/x.db", fileURI("C:/x.db"))
}

func TestArrays(t *testing.T) {
	assert.Equal(t, []string{`[]`, `["a,\"b","c"]`}, []string{jsonArray(nil), jsonArray([]string{`a,"b`, "c"})})
	assert.Equal(t, []string{`{}`, `{"a,\"b",c}`}, []string{postgresArray(nil), postgresArray([]string{`a,"b`, "c"})})
}

// lower folds every letter of a text, and leaves other values as they are.
func TestLower(t *testing.T) {
	s := open(t, config.Conversations{Backend: "memory"})
	assert.Equal(t, "größe", one[string](t, s, `SELECT lower('GRÖßE')`))
	assert.Equal(t, "integer", one[string](t, s, `SELECT typeof(lower(5))`))
	assert.Equal(t, "null", one[string](t, s, `SELECT typeof(lower(NULL))`))
}

// Each kind of database has its number of connections, and keeps few of them while they idle.
func TestConnectionsOfPools(t *testing.T) {
	use := func(db *sql.DB) (most, idle int) {
		var conns []*sql.Conn
		for range db.Stats().MaxOpenConnections {
			c, err := db.Conn(t.Context())
			require.NoError(t, err)
			conns = append(conns, c)
		}
		for _, c := range conns {
			require.NoError(t, c.Close())
		}
		return len(conns), db.Stats().Idle
	}
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			s := open(t, b.fresh(t))
			want := map[string][]int{"memory": {1, 1, 1, 1}, "sqlite": {1, 1, 4, 2}, "postgres": {4, 2, 4, 2}}[b.name]
			writers, idleWriters := use(s.write)
			readers, idleReaders := use(s.read)
			assert.Equal(t, want, []int{writers, idleWriters, readers, idleReaders})
		})
	}
}

// A commit that fails is an error of its own, after which nothing is stored.
func TestCommitThatFails(t *testing.T) {
	s := open(t, config.Conversations{Backend: "sqlite", StateDir: t.TempDir()})
	err := s.inTx(t.Context(), "test", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), `PRAGMA defer_foreign_keys = ON`)
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), `INSERT INTO conversation_files (conversation_id, file_id) VALUES ('nobody', 'none')`)
		return err
	})
	require.ErrorContains(t, err, "test: commit: ")
	require.ErrorContains(t, err, "FOREIGN KEY")
	assert.Zero(t, one[int64](t, s, `SELECT count(*) FROM conversation_files`))
}

// Where the issues of an old version cannot be prepared, the store says so and can be used.
func TestIssuesThatCannotBePrepared(t *testing.T) {
	c := config.Conversations{Backend: "sqlite", StateDir: t.TempDir()}
	s := open(t, c)
	fillIssues(t, s, 1, false)
	raw(t, s, `CREATE TRIGGER frozen BEFORE UPDATE ON exai_issues BEGIN SELECT RAISE(ABORT, 'frozen'); END`)
	again := open(t, c)
	require.Len(t, again.Warnings(), 1)
	assert.Contains(t, again.Warnings()[0], "issues cannot be prepared for recording findings: fill in keys of issues: ")
	assert.Contains(t, again.Warnings()[0], "frozen")
	say(t, again, "t", user("x"))
}
