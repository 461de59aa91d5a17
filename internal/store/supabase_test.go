package store

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/store/storetest"
)

// An existing project's tables, as EXAI made them, with what later versions of it added, and rows in all of them.
const (
	existingConversations = `
CREATE TYPE message_role AS ENUM ('user', 'assistant', 'system');
CREATE TYPE file_type AS ENUM ('user_upload', 'generated', 'cache');
CREATE TABLE conversations (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(), continuation_id TEXT UNIQUE NOT NULL, title TEXT,
  metadata JSONB DEFAULT '{}', created_at TIMESTAMPTZ DEFAULT NOW(), updated_at TIMESTAMPTZ DEFAULT NOW(),
  session_id UUID);
CREATE TABLE messages (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(), conversation_id UUID REFERENCES conversations (id) ON DELETE CASCADE,
  role message_role NOT NULL, content TEXT NOT NULL, metadata JSONB DEFAULT '{}', created_at TIMESTAMPTZ DEFAULT NOW(),
  idempotency_key TEXT);
CREATE UNIQUE INDEX idx_messages_idempotency_key ON messages (idempotency_key);
CREATE TABLE files (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(), storage_path TEXT UNIQUE NOT NULL, original_name TEXT NOT NULL,
  mime_type TEXT, size_bytes INTEGER, file_type file_type NOT NULL DEFAULT 'user_upload', metadata JSONB DEFAULT '{}',
  created_at TIMESTAMPTZ DEFAULT NOW());
CREATE TABLE conversation_files (
  conversation_id UUID REFERENCES conversations (id) ON DELETE CASCADE, file_id UUID REFERENCES files (id) ON DELETE CASCADE,
  added_at TIMESTAMPTZ DEFAULT NOW(), PRIMARY KEY (conversation_id, file_id));
CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied_at TIMESTAMPTZ DEFAULT NOW(), description TEXT);
INSERT INTO schema_version VALUES (1, '2025-10-15', 'Initial schema'), (4, '2025-11-09', 'Core tables');
CREATE INDEX idx_conversations_continuation_id ON conversations (continuation_id);
CREATE INDEX idx_messages_conversation_id ON messages (conversation_id);
CREATE FUNCTION update_updated_at_column() RETURNS TRIGGER AS $$
  BEGIN NEW.updated_at = NOW(); RETURN NEW; END; $$ LANGUAGE plpgsql;
CREATE TRIGGER update_conversations_updated_at BEFORE UPDATE ON conversations
  FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
INSERT INTO conversations (id, continuation_id, title, metadata, created_at, updated_at) VALUES
  ('10000000-0000-0000-0000-000000000001', 'debb44af-15b9-456d-9b88-6a2519f81427', 'Conversation debb44af',
    '{"tool_name": "chat"}', '2025-10-16 10:00:00+02', '2025-10-16 10:05:00+02'),
  ('10000000-0000-0000-0000-000000000002', 'odd', NULL, '[1, 2]', '2025-10-16', '2025-10-16'),
  ('10000000-0000-0000-0000-000000000003', 'bare', NULL, NULL, NULL, NULL);
INSERT INTO messages (id, conversation_id, role, content, metadata, created_at, idempotency_key) VALUES
  ('20000000-0000-0000-0000-000000000003', '10000000-0000-0000-0000-000000000001', 'user', 'third', '{"tool_name": "chat"}', '2025-10-16 10:00:03+02', 'k3'),
  ('20000000-0000-0000-0000-000000000001', '10000000-0000-0000-0000-000000000001', 'system', 'first', NULL, '2025-10-16 10:00:01+02', NULL),
  ('20000000-0000-0000-0000-000000000002', '10000000-0000-0000-0000-000000000001', 'assistant', 'second',
    '{"file_ids": ["30000000-0000-0000-0000-000000000001"], "tool_name": "debug", "model_metadata": {"model_name": "glm-4.6", "model_provider": "glm"}}', '2025-10-16 10:00:02+02', NULL),
  ('20000000-0000-0000-0000-000000000005', '10000000-0000-0000-0000-000000000001', 'assistant', 'fifth',
    '{"model_used": "kimi-k2", "provider_used": "kimi"}', '2025-10-16 10:00:04+02', NULL),
  ('20000000-0000-0000-0000-000000000004', '10000000-0000-0000-0000-000000000001', 'user', 'fourth', '"odd"', '2025-10-16 10:00:04+02', NULL),
  ('20000000-0000-0000-0000-000000000006', NULL, 'user', 'of no conversation', '{}', NULL, NULL);
INSERT INTO files VALUES ('30000000-0000-0000-0000-000000000001', 'contexts/debb44af/main.py', 'main.py', 'text/x-python', 12,
  'user_upload', '{"sha256": "an old hash"}', '2025-10-16'),
  ('30000000-0000-0000-0000-000000000002', 'contexts/gone/same.py', 'same.py', NULL, 4, 'user_upload',
    '{"sha256": "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"}', '2025-10-16');
INSERT INTO conversation_files VALUES ('10000000-0000-0000-0000-000000000001', '30000000-0000-0000-0000-000000000001', '2025-10-16');`

	existingIssues = `
CREATE TYPE issue_severity AS ENUM ('critical', 'high', 'medium', 'low');
CREATE TABLE exai_issues (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(), issue_number SERIAL UNIQUE, title TEXT NOT NULL, description TEXT,
  severity issue_severity NOT NULL, category VARCHAR(30), status TEXT DEFAULT 'open', file_path TEXT,
  line_start INTEGER, line_end INTEGER, affected_components TEXT[], conversation_id UUID, fix_conversation_id UUID,
  root_cause TEXT, impact_description TEXT, recommended_fix TEXT, actual_fix TEXT, fix_date TIMESTAMPTZ,
  related_issues UUID[], blocks_issues UUID[], blocked_by_issues UUID[], created_at TIMESTAMPTZ DEFAULT NOW());
CREATE TABLE exai_issue_updates (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(), issue_id UUID REFERENCES exai_issues (id) ON DELETE CASCADE,
  update_type TEXT NOT NULL, content TEXT, conversation_id UUID);
CREATE TABLE exai_issue_checklist (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(), issue_id UUID REFERENCES exai_issues (id) ON DELETE CASCADE,
  step_number INTEGER, description TEXT, status TEXT DEFAULT 'pending', conversation_id UUID, completed_at TIMESTAMPTZ);
CREATE VIEW exai_active_issues AS SELECT i.*, 0 AS completed_steps, 0 AS total_steps, 0 AS progress_percentage
  FROM exai_issues i WHERE status IN ('open', 'in_progress');
INSERT INTO exai_issues (id, title, severity, category, status, file_path, affected_components, conversation_id, related_issues, created_at) VALUES
  ('40000000-0000-0000-0000-000000000001', 'AsyncGLM has no timeout', 'critical', 'timeout', 'in_progress', 'src/async_glm.py',
    '{"async, glm","quo\"te",NULL}', 'debb44af-15b9-456d-9b88-6a2519f81427', NULL, '2025-10-16'),
  ('40000000-0000-0000-0000-000000000002', 'Second', 'high', NULL, NULL, NULL, NULL, NULL,
    '{40000000-0000-0000-0000-000000000001,49999999-0000-0000-0000-000000000000}', '2025-10-16');
INSERT INTO exai_issue_updates (id, issue_id, update_type, content, conversation_id) VALUES
  ('50000000-0000-0000-0000-000000000001', '40000000-0000-0000-0000-000000000001', 'comment', 'old comment', 'debb44af-15b9-456d-9b88-6a2519f81427');
INSERT INTO exai_issue_checklist (id, issue_id, step_number, description, status) VALUES
  ('60000000-0000-0000-0000-000000000001', '40000000-0000-0000-0000-000000000001', 1, 'Import TimeoutConfig', 'complete'),
  ('60000000-0000-0000-0000-000000000002', '40000000-0000-0000-0000-000000000001', 2, 'Update the client', 'pending');`
)

// existingProject makes a project's tables and returns where they are.
func existingProject(t *testing.T, statements string) (config.Conversations, *sql.DB) {
	t.Helper()
	u := storetest.Postgres(t)
	db, err := sql.Open("pgx", u)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.ExecContext(t.Context(), statements)
	require.NoError(t, err)
	return config.Conversations{Backend: "supabase", DatabaseURL: config.Secret(u)}, db
}

// snapshot is all that an existing project would see changed: rows, column definitions, triggers, functions, policies.
func snapshot(t *testing.T, db *sql.DB, columns map[string]string) string {
	t.Helper()
	var b strings.Builder
	add := func(query string, args ...any) {
		rows, err := queryAll(t.Context(), db, func(r *sql.Rows) (s string, err error) {
			err = r.Scan(into(&s))
			return s, err
		}, query, args...)
		require.NoError(t, err)
		fmt.Fprintln(&b, strings.Join(rows, "\n"))
	}
	for _, table := range []string{
		"conversations", "messages", "files", "conversation_files", "schema_version",
		"exai_issues", "exai_issue_updates", "exai_issue_checklist",
	} {
		cols, ok := columns[table]
		if !ok {
			continue
		}
		list := "'" + strings.ReplaceAll(cols, ", ", "', '") + "'"
		add(`SELECT row_to_json(x)::text FROM (SELECT ` + cols + ` FROM ` + table + `) x ORDER BY 1`)
		add(`SELECT a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull || ' ' ||
				coalesce(pg_get_expr(d.adbin, d.adrelid), '')
			FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
			WHERE a.attrelid = $1::regclass AND a.attname IN (`+list+`) ORDER BY 1`, table)
		add(`SELECT relrowsecurity::text FROM pg_class WHERE oid = $1::regclass`, table)
		add(`SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = $1::regclass AND NOT tgisinternal ORDER BY 1`, table)
		add(`SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::regclass ORDER BY 1`, table)
	}
	add(`SELECT pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
		WHERE n.nspname = current_schema() AND p.proname = 'update_updated_at_column'`)
	if columns["exai_issues"] == "" {
		return b.String()
	}
	add(`SELECT pg_get_viewdef(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = current_schema() AND c.relname = 'exai_active_issues'`)
	return b.String()
}

var conversationColumns = map[string]string{
	"conversations":      "id, continuation_id, title, metadata, created_at, updated_at, session_id",
	"messages":           "id, conversation_id, role, content, metadata, created_at, idempotency_key",
	"files":              "id, storage_path, original_name, mime_type, size_bytes, file_type, metadata, created_at",
	"conversation_files": "conversation_id, file_id, added_at",
	"schema_version":     "version, applied_at, description",
}

func TestExistingConversations(t *testing.T) {
	c, db := existingProject(t, existingConversations)
	before := snapshot(t, db, conversationColumns)
	const id = "debb44af-15b9-456d-9b88-6a2519f81427"
	s := open(t, c)
	require.NoError(t, open(t, c).Ping(t.Context()), "opening again changes nothing")

	th := load(t, s, id)
	assert.Equal(t, []string{"first", "second", "third", "fourth", "fifth"}, contents(th.Turns))
	assert.Equal(t, "chat", th.Tool)
	for i, turn := range th.Turns {
		assert.Equal(t, i+1, turn.N)
		assert.Equal(t, conversation.TurnComplete, turn.Status)
		assert.Empty(t, turn.Attachments, "its bytes are elsewhere")
	}
	assert.Equal(t, []string{"debug", "glm-4.6", "glm"}, []string{th.Turns[1].Tool, th.Turns[1].Model, th.Turns[1].Provider})
	assert.Equal(t, []string{"kimi-k2", "kimi"}, []string{th.Turns[4].Model, th.Turns[4].Provider})
	assert.Empty(t, load(t, s, "odd").Turns)
	assert.Empty(t, load(t, s, "bare").Turns)
	list, err := s.List(t.Context(), conversation.Filter{Text: "SECOND"})
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, []any{id, "chat", "kimi-k2", 5}, []any{list[0].ID, list[0].Tool, list[0].Model, list[0].Turns})
	list, err = s.List(t.Context(), conversation.Filter{})
	require.NoError(t, err)
	require.Len(t, list, 3)
	assert.Equal(t, "bare", list[2].ID, "without a time is last")
	list, err = s.List(t.Context(), conversation.Filter{Path: "contexts/debb44af/main.py"})
	require.NoError(t, err)
	assert.Len(t, list, 1, "its files are still linked")
	assert.Equal(t, before, snapshot(t, db, conversationColumns), "reading changed something")

	// A new conversation with a file, and then its deletion, leave everything else alone; also the original's row of a file with
	// the same content, though no conversation is linked to it.
	say(t, s, "new", attach(user("mine"), file("/f", "data")))
	require.NoError(t, s.Delete(t.Context(), "new"))
	assert.Zero(t, one[int64](t, s, `SELECT count(*) FROM exai_blobs`))
	assert.Equal(t, before, snapshot(t, db, conversationColumns), "writing elsewhere changed something")

	// The old conversation goes on: the new turns come after the old ones, also when the original writes once more.
	out := say(t, s, id, attach(user("sixth"), file("/home/main.py", "print()")), assistant("seventh"))
	assert.Equal(t, 6, out[0].N)
	_, err = db.ExecContext(t.Context(), `INSERT INTO messages (conversation_id, role, content) VALUES ('10000000-0000-0000-0000-000000000001', 'user', 'eighth')`)
	require.NoError(t, err)
	say(t, s, id, assistant("ninth"))
	th = load(t, s, id)
	assert.Equal(t, []string{"first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"}, contents(th.Turns))
	assert.Equal(t, []string{"debug", "glm-4.6"}, []string{th.Turns[1].Tool, th.Turns[1].Model}, "also once they are numbered")
	assert.Equal(t, "print()", string(th.Turns[5].Attachments[0].Data))
	assert.Equal(t, "Conversation debb44af", th.Title)
	_, err = db.ExecContext(t.Context(), `DELETE FROM messages WHERE content IN ('sixth', 'seventh', 'eighth', 'ninth');
		DELETE FROM files WHERE original_name = 'main.py' AND mime_type = 'text/plain';
		ALTER TABLE conversations DISABLE TRIGGER USER;
		UPDATE conversations SET updated_at = '2025-10-16 10:05:00+02' WHERE continuation_id = 'debb44af-15b9-456d-9b88-6a2519f81427';
		ALTER TABLE conversations ENABLE TRIGGER USER`)
	require.NoError(t, err)
	assert.Equal(t, before, snapshot(t, db, conversationColumns), "appending changed what was there")

	require.NoError(t, s.Delete(t.Context(), id))
	assert.EqualValues(t, 2, one[int64](t, s, `SELECT count(*) FROM files`), "a file that the original keeps elsewhere stays listed")
}

func TestExistingIssues(t *testing.T) {
	columns := map[string]string{
		"exai_issues": "id, issue_number, title, description, severity, category, status, file_path, line_start, line_end, affected_components, " +
			"conversation_id, fix_conversation_id, root_cause, impact_description, recommended_fix, actual_fix, fix_date, " +
			"related_issues, blocks_issues, blocked_by_issues, created_at",
		"exai_issue_updates":   "id, issue_id, update_type, content, conversation_id",
		"exai_issue_checklist": "id, issue_id, step_number, description, status, conversation_id, completed_at",
	}
	c, db := existingProject(t, existingIssues)
	before := snapshot(t, db, columns)
	const conv = "debb44af-15b9-456d-9b88-6a2519f81427"
	track := open(t, c).Issues()

	first, err := track.Get(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, []string{"async, glm", `quo"te`}, first.Components)
	assert.Equal(t, conv, first.ConversationID)
	assert.Equal(t, 50, first.Progress())
	assert.Equal(t, []issue.Update{{Type: issue.CommentAdded, Content: "old comment", ConversationID: conv}}, first.Updates)
	second, err := track.Get(t.Context(), 2)
	require.NoError(t, err)
	assert.Equal(t, []int{1}, second.Related, "a link to nobody is left out")
	list, err := track.List(t.Context(), issue.Filter{ConversationID: conv})
	require.NoError(t, err)
	require.Len(t, list, 1)
	list, err = track.List(t.Context(), issue.Filter{Severity: []issue.Severity{issue.Critical, issue.High}})
	require.NoError(t, err)
	require.Len(t, list, 2)
	assert.Equal(t, before, snapshot(t, db, columns), "reading changed something")

	const fixing = "0d9cf5b7-95a8-4d5e-8b71-1f6d4b3a8f00"
	status, words, fix := issue.Fixed, fixing, "a timeout was set"
	fixed, err := track.Update(t.Context(), 1, issue.Change{Status: &status, FixConversationID: &words, ActualFix: &fix, By: fixing})
	require.NoError(t, err)
	assert.Equal(t, fixing, fixed.FixConversationID)
	assert.Equal(t, "old comment", fixed.Updates[0].Content, "rows without a time are the oldest")
	assert.Len(t, fixed.Updates, 4)
	require.NoError(t, track.Link(t.Context(), 1, issue.LinkBlocks, 2, "not a uuid"))
	got, err := track.Capture(t.Context(), []issue.Finding{{Title: "New", Severity: issue.Low, ConversationID: "not a uuid"}, {Title: "Newer", ConversationID: fixing}})
	require.NoError(t, err)
	assert.Equal(t, []int{3, 4}, []int{got[0].Number, got[1].Number})
	third, err := track.Get(t.Context(), 3)
	require.NoError(t, err)
	assert.Empty(t, third.ConversationID, "the project's column takes uuids alone")
	steps, err := track.AddSteps(t.Context(), 1, []string{"third step"}, fixing)
	require.NoError(t, err)
	assert.Equal(t, 3, steps.Checklist[2].Number)
}
