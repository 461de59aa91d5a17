package store

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
)

// A database that is deleted or replaced under a running server is noticed at the next write, which goes into the new file.
func TestDatabaseFileTakenAway(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open cannot be deleted")
	}
	cases := map[string]func(t *testing.T, dir string){
		"file deleted": func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "exai.db"))) },
		"all files deleted": func(t *testing.T, dir string) {
			files, err := filepath.Glob(filepath.Join(dir, "exai.*"))
			require.NoError(t, err)
			for _, f := range files {
				require.NoError(t, os.Remove(f))
			}
		},
		"folder deleted": func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(dir)) },
		"folder renamed": func(t *testing.T, dir string) { require.NoError(t, os.Rename(dir, dir+" old")) },
		"replaced": func(t *testing.T, dir string) {
			other, err := Open(t.Context(), config.Conversations{StateDir: dir + " other"})
			require.NoError(t, err)
			say(t, other, "restored", user("from a copy"))
			require.NoError(t, other.Close())
			require.NoError(t, os.RemoveAll(dir))
			require.NoError(t, os.Rename(dir+" other", dir))
		},
	}
	for name, take := range cases {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			s := open(t, config.Conversations{StateDir: dir})
			say(t, s, "old", user("x"), assistant("y"))
			load(t, s, "old") // on a reading connection, which stays open too
			take(t, dir)

			_, err := s.Append(t.Context(), conversation.NewTurns{ConversationID: "old", Existing: true, Turns: []conversation.Turn{user("z")}})
			require.ErrorIs(t, err, conversation.ErrNotFound, "it is gone, so nothing is said to be stored")
			_, err = s.Load(t.Context(), "old")
			require.ErrorIs(t, err, conversation.ErrNotFound)
			say(t, s, "new", user("z"))
			_, err = s.Issues().Capture(t.Context(), []issue.Finding{{Title: "x"}})
			require.NoError(t, err)
			require.NoError(t, s.Close())

			again := open(t, config.Conversations{StateDir: dir})
			assert.Equal(t, []string{"z"}, contents(load(t, again, "new").Turns), "another process finds it")
			if name == "replaced" {
				load(t, again, "restored")
			}
			info, err := os.Stat(filepath.Join(dir, "exai.db"))
			require.NoError(t, err)
			assert.Zero(t, info.Mode().Perm()&0o077)
		})
	}
}

// A transaction that was committed into a file without a name is done again.
func TestDatabaseFileTakenAwayInATransaction(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open cannot be deleted")
	}
	dir := t.TempDir()
	s := open(t, config.Conversations{StateDir: dir})
	say(t, s, "t", user("x"))
	times := 0
	err := s.inTx(t.Context(), "test", func(tx *sql.Tx) error {
		if times++; times == 1 {
			require.NoError(t, os.Remove(filepath.Join(dir, "exai.db")))
			_, err := s.Load(t.Context(), "t") // so that another makes the new file before this one ends
			require.ErrorIs(t, err, conversation.ErrNotFound)
		}
		_, err := tx.ExecContext(t.Context(), `INSERT INTO schema_version (version) VALUES (77)`)
		return err
	})
	require.NoError(t, err)
	assert.Equal(t, 2, times)
	assert.EqualValues(t, 1, one[int64](t, s, `SELECT count(*) FROM schema_version WHERE version = 77`))
}

func TestDatabaseFileThatCannotBeMadeAgain(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open cannot be deleted")
	}
	dir := filepath.Join(t.TempDir(), "state")
	s := open(t, config.Conversations{StateDir: dir})
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.WriteFile(dir, nil, 0o600))
	_, err := s.Append(t.Context(), conversation.NewTurns{ConversationID: "t", Turns: []conversation.Turn{user("x")}})
	require.ErrorContains(t, err, "the state folder cannot be made")

	require.NoError(t, os.Remove(dir))
	var g errgroup.Group
	for range 8 {
		g.Go(func() error {
			_, err := s.Append(t.Context(), conversation.NewTurns{ConversationID: "t", Turns: []conversation.Turn{user("x")}})
			return err
		})
	}
	require.NoError(t, g.Wait())
	assert.Len(t, load(t, s, "t").Turns, 8)
}

// An unusable state folder leaves a store that ends with the process, and says so.
func TestOpenOrRemember(t *testing.T) {
	for name, dir := range map[string]string{"no folder": "", "a file in the way": "/dev/null/x"} {
		t.Run(name, func(t *testing.T) {
			s, err := OpenOrRemember(t.Context(), config.Conversations{Backend: "sqlite", StateDir: dir})
			require.NoError(t, err)
			defer s.Close()
			say(t, s, "t", user("x"))
			assert.Len(t, load(t, s, "t").Turns, 1)
			assert.Equal(t, "memory", s.Backend())
			assert.Contains(t, s.Temporary(), "EXAI_STATE_DIR")
			require.Len(t, s.Warnings(), 1)
			assert.Contains(t, s.Warnings()[0], s.Temporary())
		})
	}
	_, err := OpenOrRemember(t.Context(), config.Conversations{Backend: "sqlite", StateDir: damaged(t)})
	require.ErrorContains(t, err, "not a usable SQLite database", "what is there is not passed over")
	s, err := OpenOrRemember(t.Context(), config.Conversations{StateDir: t.TempDir()})
	require.NoError(t, err)
	defer s.Close()
	assert.Empty(t, s.Temporary())
	assert.Equal(t, "sqlite", s.Backend())
}

func damaged(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "exai.db"), []byte(strings.Repeat("no database ", 100)), 0o600))
	return dir
}

// A file that is no longer there is forgotten, but not the one that was made in its place meanwhile.
func TestReplacedFileIsForgotten(t *testing.T) {
	stat := func(name string) os.FileInfo {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		info, err := os.Stat(path)
		require.NoError(t, err)
		return info
	}
	before, now := stat("before"), stat("now")
	f := &databaseFile{path: filepath.Join(t.TempDir(), "exai.db"), known: now}
	require.ErrorIs(t, f.check(before), errReplaced)
	assert.Equal(t, now, f.known)
	require.ErrorIs(t, f.check(now), errReplaced)
	assert.Nil(t, f.known)
	known, err := f.prepared()
	require.ErrorIs(t, err, errReplaced)
	assert.Nil(t, known)
	assert.Equal(t, "x", errors.Unwrap(folderError{errors.New("x")}).Error())
}
