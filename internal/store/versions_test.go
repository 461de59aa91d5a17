package store

import (
	"database/sql"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
)

// The columns that version 0.1.0 does not know, by table; it made three migrations.
var addedLater = map[string][]string{"conversations": {"host", "user_name"}, "exai_issues": {"quote", "title_key", "quote_key"}}

// migrateFirst is what version 0.1.0 does with the tables when it opens a database.
func migrateFirst(t *testing.T, c config.Conversations) {
	t.Helper()
	folder, kind := "sqlite", goose.DialectSQLite3
	db := sql.OpenDB(sqliteAt(fileURI(filepath.Join(c.StateDir, sqliteFile))+writeOptions, nil))
	if c.Backend == "postgres" {
		require.NoError(t, db.Close())
		var err error
		folder, kind = "postgres", goose.DialectPostgres
		db, err = sql.Open("pgx", c.DatabaseURL.Reveal())
		require.NoError(t, err)
	}
	defer db.Close()
	files, err := fs.ReadDir(migrations, "migrations/"+folder)
	require.NoError(t, err)
	first := fstest.MapFS{}
	for _, f := range files[:3] {
		text, err := fs.ReadFile(migrations, path.Join("migrations", folder, f.Name()))
		require.NoError(t, err)
		first[f.Name()] = &fstest.MapFile{Data: text}
	}
	p, err := goose.NewProvider(kind, db, first, goose.WithTableName(migrationsTable), goose.WithDisableGlobalRegistry(true))
	require.NoError(t, err)
	_, err = p.Up(t.Context())
	require.NoError(t, err)
}

// writeFirst stores a conversation and an issue in the statements of version 0.1.0.
func writeFirst(t *testing.T, s *Store, id string) {
	t.Helper()
	row := "00000000-0000-0000-0000-00000000000" + id
	raw(t, s, `INSERT INTO conversations (id, continuation_id, title, tool_name, workspace, metadata, created_at, updated_at)
		VALUES ($1, $2, 'Title', 'chat', '/w', '{}', $3, $3)`, row, "first-"+id, stamp(now()))
	raw(t, s, `INSERT INTO messages (id, conversation_id, role, content, metadata, created_at, turn_number, tool_name, model_used,
			provider_used, turn_status, finish_reason, input_tokens, cached_tokens, output_tokens, reasoning_tokens, cost_usd,
			reasoning, step_tool, step_number, step_input, step_reply, turn_meta, saved_at)
		VALUES ($1, $1, 'assistant', 'said', '{}', $2, 1, 'chat', 'glm-5.3', 'glm', 'complete', 'stop', 1, 0, 2, 0, 0.5, NULL, NULL, NULL,
			NULL, NULL, NULL, $2)`, row, stamp(now()))
	raw(t, s, `INSERT INTO exai_issues (id, title, description, severity, category, status, file_path, line_start, line_end,
			affected_components, conversation_id, fix_conversation_id, root_cause, impact_description, recommended_fix, actual_fix,
			fix_date, workspace, created_at, updated_at)
		VALUES ($1, $2, 'd', 'high', 'other', 'open', '/w/a.go', 3, NULL, $3, $4, NULL, NULL, NULL, NULL, NULL, NULL, '/w', $5, $5)`,
		row, "Defect "+id, s.d.array(nil), "first-"+id, stamp(now()))
}

// A store of version 0.1.0 opens without loss, and that version keeps working on the tables of this one.
func TestFirstVersion(t *testing.T) {
	eachDatabase(t, func(t *testing.T, c config.Conversations) {
		migrateFirst(t, c)
		kept, err := sql.Open("pgx", c.DatabaseURL.Reveal())
		require.NoError(t, err)
		d := dialect{name: "postgres", array: postgresArray}
		if c.Backend == "sqlite" {
			require.NoError(t, kept.Close())
			kept, d = sql.OpenDB(sqliteAt(fileURI(filepath.Join(c.StateDir, sqliteFile))+writeOptions, nil)), dialect{array: jsonArray}
		}
		defer kept.Close()
		first := &Store{write: kept, read: kept, d: d}
		writeFirst(t, first, "1")

		s := open(t, c)
		assert.Empty(t, s.Warnings())
		check := func(id string) {
			t.Helper()
			turn := load(t, s, "first-"+id).Turns[0]
			assert.Equal(t, "said", turn.Content)
			assert.Equal(t, 0.5, turn.Usage.CostUSD)
			got, err := s.Issues().Capture(t.Context(), []issue.Finding{{Workspace: "/w", File: "/w/a.go", Title: "defect " + id}})
			require.NoError(t, err)
			assert.False(t, got[0].New, "the issue is known")
		}
		check("1")
		say(t, s, "first-1", user("and on"))

		migrateFirst(t, c) // as it does each time that it is started
		writeFirst(t, first, "2")
		check("2")
		found, err := s.d.tables(t.Context(), s.write)
		require.NoError(t, err)
		for _, col := range found {
			shape, ours := shapes[col.table]
			later := !strings.Contains(shape, col.name+" ")
			for _, name := range addedLater[col.table] {
				later = later || name == col.name
			}
			if ours && later && !strings.HasPrefix(col.table, "exai_usage") && col.table != "exai_issue_updates" && col.table != "exai_issue_checklist" {
				assert.False(t, col.required, "%s.%s", col.table, col.name)
			}
		}
	})
}

// The tables of a later version are used, with a warning.
func TestLaterVersion(t *testing.T) {
	eachDatabase(t, func(t *testing.T, c config.Conversations) {
		s := open(t, c)
		raw(t, s, `ALTER TABLE exai_issues ADD COLUMN colour text`)
		raw(t, s, `INSERT INTO exai_migrations (version_id, is_applied) VALUES (4711, $1)`, true)
		later := open(t, c)
		require.Len(t, later.Warnings(), 1)
		assert.Contains(t, later.Warnings()[0], "of a newer exai-mcp (version 4711")
		say(t, later, "t", user("x"))
		assert.Len(t, load(t, later, "t").Turns, 1)
		_, err := later.Load(t.Context(), "nobody")
		require.ErrorIs(t, err, conversation.ErrNotFound)
	})
}
