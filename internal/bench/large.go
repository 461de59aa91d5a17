//go:build linux

package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/store"
)

// sizes is how much a large store holds.
type sizes struct {
	conversations int // each of four messages
	issues        int // one in four is active
	usage         int // requests of the last 30 days
}

// teamStore is what a team fills in some years.
var teamStore = sizes{conversations: 100_000, issues: 100_000, usage: 1_000_000}

// dialect is how a database writes what the generator needs. i is an SQL expression that counts from 0.
type dialect struct {
	driver  string
	id      string // a UUID made of a number below 10^11
	seconds string // a time so many seconds ago
}

var (
	sqlite = dialect{
		"sqlite", `('00000000-0000-4000-8000-' || (100000000000 + %s))`, `strftime('%%Y-%%m-%%dT%%H:%%M:%%f000Z', 'now', '-' || (%s) || ' seconds')`,
	}
	postgres = dialect{
		"pgx", `('00000000-0000-4000-8000-' || (100000000000 + %s))::uuid`, `(clock_timestamp() - make_interval(secs => %s))`,
	}
)

// open opens the large store's database past the store, which would take a transaction for each row.
func (d dialect) open(c config.Conversations, path string) (*sql.DB, error) {
	if d.driver == "pgx" {
		path = string(c.DatabaseURL)
	}
	return sql.Open(d.driver, path)
}

// fill adds rows to a store until it has the given sizes: from is what it has of them.
func (d dialect) fill(ctx context.Context, db *sql.DB, from, to sizes) error {
	for _, part := range []struct {
		table    string
		from, to int
	}{
		{`conversations (id, continuation_id, title, tool_name, metadata, workspace, created_at, updated_at)
			SELECT ID, 'generated ' || i, 'What does function ' || i || ' do?', 'chat', '{}', '/home/ada/engine', AT, AT`, from.conversations, to.conversations},
		{`messages (id, conversation_id, role, content, metadata, created_at, turn_number, turn_status, model_used)
			SELECT ID, PARENT, CASE i % 2 WHEN 0 THEN 'user' ELSE 'assistant' END::message_role, 'It adds two numbers and returns their sum.', '{}', PARENTAT,
			i % 4 + 1, 'complete', 'glm-5.3'`, 4 * from.conversations, 4 * to.conversations},
		{`exai_issues (id, title, description, severity, category, status, file_path, workspace, created_at, updated_at)
			SELECT ID, 'Finding number ' || i, 'Invented.', CASE i % 4 WHEN 0 THEN 'critical' WHEN 1 THEN 'high' WHEN 2 THEN 'medium' ELSE 'low' END,
			'other', CASE i % 4 WHEN 0 THEN 'open' ELSE 'fixed' END, '/home/ada/engine/f' || (i % 500) || '.go', '/home/ada/engine', AT, AT`, from.issues, to.issues},
		{`exai_usage (id, created_at, host, user_name, tool, vendor, model, input_tokens, output_tokens, cost_usd, duration_ms, outcome, conversation_id, workspace)
			SELECT ID, AT, 'build-7', 'ada', 'chat', CASE i % 2 WHEN 0 THEN 'glm' ELSE 'kimi' END,
			CASE i % 2 WHEN 0 THEN 'glm-5.3-flash' ELSE 'kimi-k3.1-pro' END, 4000, 600, 0.0008, 2500, 'ok', 'generated ' || (i % 1000), '/home/ada/engine'`, from.usage, to.usage},
	} {
		if part.from >= part.to {
			continue
		}
		if _, err := db.ExecContext(ctx, d.insert(part.table, part.from, part.to)); err != nil {
			return fmt.Errorf("fill %s: %w", strings.Fields(part.table)[0], err)
		}
	}
	if d.driver == "sqlite" {
		return nil // the store never has SQLite take statistics, and those of an almost empty one would mislead it later
	}
	_, err := db.ExecContext(ctx, "ANALYZE") // as PostgreSQL does by itself in time
	return err
}

// insert is an INSERT of the rows from to to, counted as i.
func (d dialect) insert(into string, from, to int) string {
	const month = 30 * 24 * 3600
	into = strings.NewReplacer(
		"PARENTAT", fmt.Sprintf(d.seconds, fmt.Sprintf("(i / 4) * 61 %% %d", month)), "PARENT", fmt.Sprintf(d.id, "(i / 4)"),
		"ID", fmt.Sprintf(d.id, "i"), "AT", fmt.Sprintf(d.seconds, fmt.Sprintf("i * 61 %% %d", month)),
	).Replace(into)
	if d.driver == "sqlite" {
		into = strings.ReplaceAll(into, "::message_role", "")
	}
	return fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %d) INSERT INTO %s FROM n", from, to, into)
}

// opened makes the tables of an empty store.
func opened(ctx context.Context, c config.Conversations) error {
	s, err := store.Open(ctx, c)
	if err != nil {
		return err
	}
	return s.Close()
}
