package store

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/store/storetest"
)

func TestOpenSQLiteIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	dir := filepath.Join(t.TempDir(), "state dir", "100% %20?#é")
	s := open(t, config.Conversations{StateDir: dir})
	say(t, s, "t", user("x"))
	mode := func(name string) os.FileMode {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		return info.Mode().Perm()
	}
	assert.EqualValues(t, 0o700, mode("."))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		assert.EqualValues(t, 0o600, mode(e.Name()), e.Name())
	}
	assert.Len(t, entries, 4, "exai.db, its -wal and -shm, exai.lock")
	assert.Equal(t, filepath.Join(dir, "exai.db"), s.Location())
	assert.Equal(t, "sqlite", s.Backend())
	for pragma, want := range map[string]string{"journal_mode": "wal", "foreign_keys": "1", "busy_timeout": "5000", "synchronous": "1"} {
		assert.Equal(t, want, one[string](t, s, `PRAGMA `+pragma), pragma)
	}
	_, err = s.read.ExecContext(t.Context(), `DELETE FROM messages`)
	require.ErrorContains(t, err, "readonly")
}

func TestOpenSQLiteAgain(t *testing.T) {
	dir := t.TempDir()
	c := config.Conversations{Backend: "sqlite", StateDir: dir}
	s, err := Open(t.Context(), c)
	require.NoError(t, err)
	say(t, s, "t", attach(user("kept"), file("/f", "data")))
	require.NoError(t, s.Close())
	require.NoError(t, os.Chmod(filepath.Join(dir, "exai.db"), 0o644))
	s = open(t, c)
	assert.Equal(t, []byte("data"), load(t, s, "t").Turns[0].Attachments[0].Data)
	info, err := os.Stat(filepath.Join(dir, "exai.db"))
	require.NoError(t, err)
	assert.Zero(t, info.Mode().Perm()&0o077, "a file that was opened up is made private again")
}

func TestOpenRefusals(t *testing.T) {
	folder := func(t *testing.T, fill func(dir string)) config.Conversations {
		dir := t.TempDir()
		fill(dir)
		return config.Conversations{Backend: "sqlite", StateDir: dir}
	}
	sqlite := func(t *testing.T, statements ...string) config.Conversations {
		return folder(t, func(dir string) {
			db := sql.OpenDB(sqliteAt(fileURI(filepath.Join(dir, "exai.db")), nil))
			defer db.Close()
			for _, st := range statements {
				_, err := db.ExecContext(t.Context(), st)
				require.NoError(t, err)
			}
		})
	}
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, refused.Close())
	cases := []struct {
		name string
		c    config.Conversations
		want []string
	}{
		{"no such backend", config.Conversations{Backend: "redis"}, []string{"CONVERSATION_STORAGE_BACKEND", "redis", "sqlite, postgres"}},
		{"no folder", config.Conversations{}, []string{"EXAI_STATE_DIR"}},
		{"a file in the way", config.Conversations{StateDir: "/dev/null/x"}, []string{"/dev/null", "EXAI_STATE_DIR"}},
		{"no database", folder(t, func(dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "exai.db"), []byte(strings.Repeat("no database ", 100)), 0o600))
		}), []string{"exai.db", "not a usable SQLite database", "move it away"}},
		{"a folder in its place", folder(t, func(dir string) {
			require.NoError(t, os.Mkdir(filepath.Join(dir, "exai.db"), 0o700))
		}), []string{"exai.db", "cannot be written"}},
		{"somebody else's table", sqlite(t, `CREATE TABLE messages (id TEXT)`), []string{"table messages", "another program"}},
		{
			"a damaged table", sqlite(t, `CREATE TABLE exai_migrations (x)`, `CREATE TABLE schema_version (version INTEGER, applied_at TEXT)`),
			[]string{"table schema_version", "no column description"},
		},
		{"no url", config.Conversations{Backend: "supabase"}, []string{"DATABASE_URL is not set"}},
		{"a bad url", config.Conversations{Backend: "dual", DatabaseURL: "postgres://me:s3cret%zz@db/x"}, []string{"DATABASE_URL", "percent-encoded"}},
		{
			"nobody there",
			config.Conversations{Backend: "postgres", DatabaseURL: config.Secret("postgres://me:s3cret@" + refused.Addr().String() + "/db?sslmode=disable")},
			[]string{refused.Addr().String() + "/db", "cannot be reached", "DATABASE_URL"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, err := Open(t.Context(), c.c)
			require.Error(t, err)
			require.Nil(t, s)
			for _, w := range c.want {
				assert.ErrorContains(t, err, w)
			}
			assert.NotContains(t, err.Error(), "s3cret")
		})
	}
}

func TestOpenPostgresRefusals(t *testing.T) {
	dsn := storetest.PostgresURL(t)
	wrong := strings.Replace(dsn, "postgres://exai:", "postgres://exai:wrong", 1)
	if wrong != dsn {
		_, err := Open(t.Context(), config.Conversations{Backend: "postgres", DatabaseURL: config.Secret(wrong)})
		require.ErrorContains(t, err, "refuses the user or password")
		assert.NotContains(t, err.Error(), "wrong")
	}
	cases := []struct {
		name, setup, want string
	}{
		{"a missing column", `CREATE TABLE conversations (id uuid, continuation_id text UNIQUE)`, "table conversations has no column title"},
		{"another type", `CREATE TABLE messages (id bigint, conversation_id uuid, role text, content text)`, "table messages: column id is of type int8, not uuid"},
		{"another role type", `CREATE TABLE messages (id uuid, conversation_id uuid, role text, content text)`, "column role is of type text, not message_role"},
		{"a view", `CREATE VIEW schema_version AS SELECT 1 AS version, now() AS applied_at, ''::text AS description`, "schema_version is a view"},
		{
			"a column of another program that must be given", `CREATE TABLE schema_version (version int, applied_at timestamptz, description text, tenant int NOT NULL)`,
			"table schema_version: column tenant must be given",
		},
		{
			"an id that is not unique", `CREATE TABLE conversations (id uuid, continuation_id text, title text, metadata jsonb, created_at timestamptz, updated_at timestamptz)`,
			"continuation_id is not unique",
		},
		{
			"issues with a wrong column", `CREATE TABLE exai_issue_updates (issue_id text, update_type text, content text, conversation_id text)`,
			"table exai_issue_updates: column issue_id is of type text, not uuid",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			u := storetest.Postgres(t)
			db, err := sql.Open("pgx", u)
			require.NoError(t, err)
			defer db.Close()
			_, err = db.ExecContext(t.Context(), c.setup)
			require.NoError(t, err)
			_, err = Open(t.Context(), config.Conversations{Backend: "postgres", DatabaseURL: config.Secret(u)})
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "left as it is")
			var n int
			require.NoError(t, db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
				WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'v')`).Scan(&n))
			assert.Equal(t, 1, n, "nothing was made")
		})
	}
}

func TestNetworkFileSystemsAreRecognized(t *testing.T) {
	assert.Empty(t, networkFS(t.TempDir()))
	assert.Empty(t, networkFS("/no/such/folder"))
}

// Goroutines of one process open a fresh database at once; processes do in TestProcesses.
func TestOpenAtOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, c config.Conversations) {
		stores := make([]*Store, 8)
		g, ctx := errgroup.WithContext(later(t))
		for i := range stores {
			g.Go(func() (err error) {
				stores[i], err = Open(ctx, c)
				return err
			})
		}
		require.NoError(t, g.Wait())
		for i, s := range stores {
			say(t, s, "t", user("x"))
			assert.Len(t, load(t, stores[0], "t").Turns, i+1)
		}
		files, err := migrations.ReadDir("migrations/" + stores[0].d.migrations)
		require.NoError(t, err)
		assert.EqualValues(t, 1+len(files), one[int64](t, stores[0], `SELECT count(*) FROM exai_migrations`), "version 0 and one row a migration")
		assert.EqualValues(t, 1, one[int64](t, stores[0], `SELECT count(*) FROM schema_version`))
		for _, s := range stores {
			require.NoError(t, s.Close())
		}
	})
}

// A lock that somebody holds for long must neither be reported as such nor outlast the caller's patience.
func TestWaitsForALock(t *testing.T) {
	tired := errors.New("the caller is tired")
	t.Run("sqlite", func(t *testing.T) {
		c := config.Conversations{StateDir: t.TempDir()}
		s, other := open(t, c), open(t, c)
		say(t, s, "t", user("x"))
		tx, err := other.write.BeginTx(t.Context(), nil)
		require.NoError(t, err)

		ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, tired)
		defer cancel()
		start := time.Now()
		_, err = s.Append(ctx, conversation.NewTurns{ConversationID: "t", Turns: []conversation.Turn{user("y")}})
		require.ErrorIs(t, err, tired)
		assert.NotContains(t, err.Error(), "locked")
		assert.Less(t, time.Since(start), time.Second)
		assert.Len(t, load(t, s, "t").Turns, 1, "reading goes on")

		done := make(chan error, 1)
		go func() {
			_, err := s.Append(t.Context(), conversation.NewTurns{ConversationID: "t", Turns: []conversation.Turn{user("z")}})
			done <- err
		}()
		require.NoError(t, tx.Rollback())
		require.NoError(t, <-done)
	})
	t.Run("postgres", func(t *testing.T) {
		c := backends[2].fresh(t)
		s := open(t, c)
		say(t, s, "t", user("x"))
		tx, err := s.write.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		_, _, err = lockConversation(t.Context(), tx, conversation.NewTurns{ConversationID: "t"})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, tired)
		defer cancel()
		start := time.Now()
		_, err = s.Append(ctx, conversation.NewTurns{ConversationID: "t", Turns: []conversation.Turn{user("y")}})
		require.ErrorIs(t, err, tired)
		assert.Less(t, time.Since(start), time.Second)
		require.NoError(t, tx.Rollback())
		say(t, s, "t", user("z"))
	})
	t.Run("opening", func(t *testing.T) {
		dir := t.TempDir()
		err := prepareFolder(dir)
		require.NoError(t, err)
		unlock, err := lockFolder(t.Context(), dir)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, tired)
		defer cancel()
		_, err = Open(ctx, config.Conversations{StateDir: dir})
		require.ErrorIs(t, err, tired)
		unlock()
		open(t, config.Conversations{StateDir: dir})
	})
}

func TestCloseLeavesNothing(t *testing.T) {
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			c := b.fresh(t)
			before := goleak.IgnoreCurrent()
			s, err := Open(t.Context(), c)
			require.NoError(t, err)
			g, ctx := errgroup.WithContext(t.Context())
			for range 20 {
				g.Go(func() error {
					_, err := s.Append(ctx, conversation.NewTurns{ConversationID: "t", Turns: []conversation.Turn{user("x")}})
					_, lerr := s.Load(ctx, "t")
					return errors.Join(err, lerr)
				})
			}
			require.NoError(t, g.Wait())
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Microsecond)
			_, _ = s.List(ctx, conversation.Filter{Text: "x"}) // cut off somewhere
			cancel()
			assert.Zero(t, s.write.Stats().InUse+s.read.Stats().InUse)
			require.NoError(t, s.Close())
			require.NoError(t, s.Close(), "a second Close is no fault")
			assert.Zero(t, s.write.Stats().OpenConnections+s.read.Stats().OpenConnections)
			goleak.VerifyNone(t, before)
			_, err = s.Load(t.Context(), "t")
			require.Error(t, err)
		})
	}
}

// Tools are tested under fake time with the memory store, so it must live in a bubble.
func TestMemoryUnderFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(t.Context(), config.Conversations{Backend: "memory"})
		require.NoError(t, err)
		running := assistant("so far")
		running.Status = conversation.TurnRunning
		turn := say(t, s, "t", user("q"), running)[1]
		time.Sleep(conversation.HeartbeatLost + time.Millisecond)
		assert.Equal(t, conversation.TurnPartial, load(t, s, "t").Turns[1].EffectiveStatus())
		list, err := s.List(t.Context(), conversation.Filter{})
		require.NoError(t, err)
		assert.False(t, list[0].Running)
		require.NoError(t, s.Save(t.Context(), "t", turn))
		assert.Equal(t, conversation.TurnRunning, load(t, s, "t").Turns[1].EffectiveStatus())
		assert.Equal(t, time.Now(), load(t, s, "t").UpdatedAt.Local())

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		g, ctx := errgroup.WithContext(ctx)
		for range 50 {
			g.Go(func() error {
				_, err := s.Append(ctx, conversation.NewTurns{ConversationID: "u", Turns: []conversation.Turn{user("x")}})
				return err
			})
		}
		require.NoError(t, g.Wait())
		assert.Len(t, load(t, s, "u").Turns, 50)
		require.NoError(t, s.Close())
	})
}

func TestEmbeddedMigrationsMatch(t *testing.T) {
	names := func(folder string) (out []string) {
		entries, err := migrations.ReadDir("migrations/" + folder)
		require.NoError(t, err)
		for _, e := range entries {
			out = append(out, e.Name())
		}
		return out
	}
	assert.Equal(t, names("sqlite"), names("postgres"), "the two folders go side by side")
}

// Every table that we make in PostgreSQL has row level security on, and the view passes none by.
func TestRowLevelSecurity(t *testing.T) {
	s := open(t, backends[2].fresh(t))
	open, err := queryAll(t.Context(), s.read, func(r *sql.Rows) (name string, err error) {
		err = r.Scan(&name)
		return name, err
	}, `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = current_schema() AND (c.relkind = 'r' AND NOT c.relrowsecurity
			OR c.relkind = 'v' AND NOT 'security_invoker=true' = ANY (coalesce(c.reloptions, '{}')))`)
	require.NoError(t, err)
	assert.Empty(t, open)
}

// The schema in the database, the list that tables are checked against, and both migrations folders name the same columns.
func TestShapesAreWhole(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		found, err := s.d.tables(t.Context(), s.write)
		require.NoError(t, err)
		require.NoError(t, s.checkTables(found))
		for _, c := range found {
			shape, ours := shapes[c.table]
			if ours && c.name != "id" {
				assert.True(t, slices.ContainsFunc(strings.Split(shape, ","), func(part string) bool {
					return strings.HasPrefix(strings.TrimLeft(part, " \n\t+"), c.name+" ")
				}), "%s.%s", c.table, c.name)
			}
		}
	})
}
