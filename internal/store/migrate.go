package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

// migrationsTable is the migration tool's bookkeeping. It has a name of its own, since a Supabase project may hold other
// programs that use the same tool.
const migrationsTable = "exai_migrations"

// migrate checks that the tables found are ours and brings them up to date. The caller keeps other processes out.
func (s *Store) migrate(ctx context.Context) error {
	ready, err := s.inspect(ctx)
	if err != nil || ready {
		return err
	}
	files, err := fs.Sub(migrations, "migrations/"+s.d.migrations)
	if err != nil {
		return fmt.Errorf("embedded migrations: %w", err)
	}
	kind := goose.DialectSQLite3
	if s.d.name == "postgres" {
		kind = goose.DialectPostgres
	}
	p, err := goose.NewProvider(kind, s.write, files, goose.WithTableName(migrationsTable), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("embedded migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bring the tables up to date: %w", err)
	}
	return nil
}

// inspect checks that the tables found are ours, and reports whether they are as new as this program needs them. Newer ones
// are used too, since later migrations only add to them.
func (s *Store) inspect(ctx context.Context) (ready bool, err error) {
	found, err := s.d.tables(ctx, s.write)
	if err != nil {
		return false, fmt.Errorf("read the tables: %w", err)
	}
	if err := s.checkTables(found); err != nil {
		return false, err
	}
	s.uuidConversationIDs = slices.ContainsFunc(found, func(c column) bool {
		return strings.HasPrefix(c.table, "exai_issue") && strings.HasSuffix(c.name, "conversation_id") && c.kind == "uuid"
	})
	if !slices.ContainsFunc(found, func(c column) bool { return c.table == migrationsTable }) {
		return false, nil
	}
	var rows, version int
	if err := s.write.QueryRowContext(ctx, `SELECT count(*), coalesce(max(version_id), 0) FROM `+migrationsTable).Scan(&rows, &version); err != nil {
		return false, fmt.Errorf("read the tables' version: %w", err)
	}
	if rows == 0 { // the table is made with its first row
		return false, fmt.Errorf("row level security hides the rows of %s from the user of DATABASE_URL; use the tables' owner", migrationsTable)
	}
	latest, err := latestMigration(s.d.migrations)
	if err != nil {
		return false, err
	}
	if version > latest {
		s.warn("the tables at %s are of a newer exai-mcp (version %d, this one knows %d); update this one", s.d.where, version, latest)
	}
	return version >= latest, nil
}

// latestMigration is the version that the last file of a migrations folder leads to.
func latestMigration(folder string) (int, error) {
	files, err := fs.ReadDir(migrations, "migrations/"+folder)
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("embedded migrations in %s: %w", folder, err)
	}
	number, _, _ := strings.Cut(files[len(files)-1].Name(), "_")
	return strconv.Atoi(number)
}

// column is one column of a table that is there.
type column struct {
	table    string
	relation string // table, view ...
	name     string
	kind     string // the database's name of the type; "enum" is added to it for an enum
	required bool   // an insert that leaves it out fails
}

// shapes lists the tables with their columns' types, which are PostgreSQL's names, or one of the words below. A + marks a
// column that we add; tables found may lack it. Where the original's documents leave a type open, every fitting one does.
var shapes = map[string]string{
	"conversations": `id uuid, continuation_id text, title text, metadata jsonb, created_at timestamptz,
		updated_at timestamptz, +tool_name text, +workspace text, +host text, +user_name text`,
	"messages": `id uuid, conversation_id uuid, role message_role, content text, metadata jsonb, created_at timestamptz,
		+turn_number int4, +turn_status text, +tool_name text, +model_used text, +provider_used text, +finish_reason text,
		+input_tokens int4, +cached_tokens int4, +output_tokens int4, +reasoning_tokens int4, +cost_usd float8,
		+reasoning text, +step_tool text, +step_number int4, +step_input json, +step_reply json, +turn_meta json,
		+saved_at timestamptz, +dropped_at timestamptz`,
	"files": `id uuid, storage_path text, original_name text, mime_type text, size_bytes int4, file_type file_type,
		metadata jsonb, created_at timestamptz`,
	"conversation_files": `conversation_id uuid, file_id uuid, added_at timestamptz`,
	"schema_version":     `version int4, applied_at timestamptz, description text`,
	"exai_blobs":         `sha256 text, size_bytes int8, data bytea, created_at timestamptz`,
	"exai_usage": `id uuid, created_at timestamptz, host text, user_name text, tool text, vendor text, model text,
		input_tokens int8, cached_tokens int8, output_tokens int8, reasoning_tokens int8, cost_usd float8, duration_ms int8,
		outcome text, exceeded_limit text, conversation_id text, workspace text, +billing text`,
	"exai_usage_days": `day text, vendor text, model text, tool text, workspace text, requests int8, input_tokens int8,
		output_tokens int8, cost_usd float8, +billing text`,
	"exai_usage_reservations": `id uuid, created_at timestamptz, heartbeat_at timestamptz, amount_usd float8, host text,
		user_name text, tool text, vendor text, model text, conversation_id text, workspace text, +billing text, +most_usd float8`,
	"exai_reviews": `id text, updated_at timestamptz, workspace text, baseline json, blocks int8, judged text, verdict text,
		findings json`,
	"exai_issues": `id uuid, issue_number int, title string, description string, severity word, category word, status word,
		file_path string, line_start int, line_end int, affected_components _text, conversation_id conversation,
		fix_conversation_id conversation, root_cause string, impact_description string, recommended_fix string, actual_fix string,
		fix_date time, related_issues _uuid, blocks_issues _uuid, blocked_by_issues _uuid,
		+created_at time, +updated_at time, +workspace string, +quote string,
		+title_key text, +quote_key text`,
	"exai_issue_updates": `issue_id uuid, update_type word, content string, conversation_id conversation, +created_at time`,
	"exai_issue_checklist": `issue_id uuid, step_number int, description string, status word, conversation_id conversation,
		completed_at time, +created_at time, +updated_at time`,
}

// kinds are the words of shapes that stand for more than one type.
var kinds = map[string][]string{
	"string":       {"text", "varchar"},
	"word":         {"text", "varchar", "enum"},
	"conversation": {"text", "varchar", "uuid"},
	"int":          {"int2", "int4", "int8"},
	"time":         {"timestamptz", "timestamp", "date"},
}

// fits reports whether a column's type is what a shape wants.
func (s *Store) fits(want, found string) bool {
	if s.d.migrations == "sqlite" {
		switch want {
		case "int", "int4", "int8":
			return found == "integer"
		case "float8":
			return found == "real"
		case "bytea":
			return found == "blob"
		}
		return found == "text"
	}
	bare, isEnum := strings.CutSuffix(found, " enum")
	return bare == want || slices.Contains(kinds[want], bare) || isEnum && slices.Contains(kinds[want], "enum")
}

// checkTables refuses tables of our names that are not ours, before anything is changed.
func (s *Store) checkTables(found []column) error {
	byTable := map[string]map[string]column{}
	for _, c := range found {
		if byTable[c.table] == nil {
			byTable[c.table] = map[string]column{}
		}
		byTable[c.table][c.name] = c
	}
	names := make([]string, 0, len(shapes))
	for name := range shapes {
		if byTable[name] != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) > 0 && s.d.name == "sqlite" && byTable[migrationsTable] == nil {
		return fmt.Errorf("table %s was made by another program; %s", names[0], leftAlone)
	}
	for _, name := range names {
		if err := s.checkTable(name, byTable[name]); err != nil {
			return err
		}
	}
	return nil
}

const leftAlone = "it was left as it is: use another database, schema or EXAI_STATE_DIR"

func (s *Store) checkTable(name string, found map[string]column) error {
	known := map[string]bool{}
	for _, part := range strings.Split(shapes[name], ",") {
		col, want, _ := strings.Cut(strings.TrimSpace(part), " ")
		col, added := strings.CutPrefix(col, "+")
		known[col] = true
		c, ok := found[col]
		switch {
		case !ok && added:
		case !ok:
			return fmt.Errorf("table %s has no column %s; %s", name, col, leftAlone)
		case !s.fits(want, c.kind):
			return fmt.Errorf("table %s: column %s is of type %s, not %s; %s", name, col, c.kind, s.explainUnmigrated(want), leftAlone)
		}
	}
	for _, c := range found {
		switch {
		case c.relation != "table":
			return fmt.Errorf("%s is a %s, not a table; %s", name, c.relation, leftAlone)
		case c.required && !known[c.name]:
			return fmt.Errorf("table %s: column %s must be given and is not known here; %s", name, c.name, leftAlone)
		}
	}
	return nil
}

func (s *Store) explainUnmigrated(want string) string {
	if kinds[want] != nil {
		return strings.Join(kinds[want], " or ")
	}
	return want
}
