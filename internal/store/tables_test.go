package store

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// columnsOf are the columns of a table as PostgreSQL has them.
func columnsOf(table string) (out []column) {
	for part := range strings.SplitSeq(shapes[table], ",") {
		name, kind, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(part), "+"), " ")
		if words := kinds[kind]; len(words) > 0 {
			kind = words[0]
		}
		out = append(out, column{table: table, relation: "table", name: name, kind: kind})
	}
	return out
}

func TestTypesThatFit(t *testing.T) {
	for _, c := range []struct {
		folder, want, found string
		fits                bool
	}{
		{"sqlite", "int", "integer", true},
		{"sqlite", "int4", "integer", true},
		{"sqlite", "int8", "text", false},
		{"sqlite", "float8", "real", true},
		{"sqlite", "float8", "text", false},
		{"sqlite", "bytea", "blob", true},
		{"sqlite", "bytea", "text", false},
		{"sqlite", "uuid", "text", true},
		{"sqlite", "uuid", "integer", false},
		{"postgres", "uuid", "uuid", true},
		{"postgres", "uuid", "text", false},
		{"postgres", "int", "int8", true},
		{"postgres", "int4", "int8", false},
		{"postgres", "word", "varchar", true},
		{"postgres", "word", "severity enum", true},
		{"postgres", "string", "severity enum", false},
		{"postgres", "message_role", "message_role enum", true},
		{"postgres", "message_role", "severity enum", false},
		{"postgres", "conversation", "uuid", true},
		{"postgres", "time", "date", true},
	} {
		s := &Store{d: dialect{migrations: c.folder}}
		assert.Equal(t, c.fits, s.fits(c.want, c.found), "%s: %s for %s", c.folder, c.found, c.want)
	}
}

// Tables of our names that are not ours are refused, with what is wrong about them.
func TestTablesThatAreNotOurs(t *testing.T) {
	change := func(table, name string, change func(c *column)) []column {
		list := columnsOf(table)
		change(&list[slices.IndexFunc(list, func(c column) bool { return c.name == name })])
		return list
	}
	without := func(table, name string) []column {
		return slices.DeleteFunc(columnsOf(table), func(c column) bool { return c.name == name })
	}
	foreign := func(required bool) []column {
		return append(columnsOf("files"), column{table: "files", relation: "table", name: "tenant", kind: "int4", required: required})
	}
	for _, c := range []struct {
		name  string
		found []column
		want  string
	}{
		{"none", nil, ""},
		{"ours", slices.Concat(columnsOf("files"), columnsOf("exai_issues"), columnsOf("messages")), ""},
		{"another program's", []column{{table: "tenants", relation: "view", name: "id", kind: "int4", required: true}}, ""},
		{"without a column that we add", without("messages", "saved_at"), ""},
		{"without one of the original's", without("messages", "role"), "table messages has no column role; it was left as it is"},
		{"another type", change("files", "size_bytes", func(c *column) { c.kind = "text" }), "table files: column size_bytes is of type text, not int4;"},
		{
			"none of several types", change("exai_issues", "severity", func(c *column) { c.kind = "int4" }),
			"table exai_issues: column severity is of type int4, not text or varchar or enum;",
		},
		{"our column must be given", change("files", "original_name", func(c *column) { c.required = true }), ""},
		{"another column", foreign(false), ""},
		{"another column must be given", foreign(true), "table files: column tenant must be given and is not known here; it was left as it is"},
		{"a view", change("files", "id", func(c *column) { c.relation = "view" }), "files is a view, not a table; it was left as it is"},
	} {
		s := &Store{d: dialect{name: "postgres", migrations: "postgres", tables: func(context.Context, querier) ([]column, error) { return c.found, nil }}}
		ready, err := s.inspect(t.Context())
		assert.False(t, ready, c.name)
		if c.want == "" {
			assert.NoError(t, err, c.name)
		} else {
			assert.ErrorContains(t, err, c.want, c.name)
		}
	}

	sqlite := &Store{d: dialect{name: "sqlite", migrations: "postgres"}}
	require.ErrorContains(t, sqlite.checkTables(slices.Concat(columnsOf("messages"), columnsOf("files"))), "table files was made by another program; it was left")
	require.NoError(t, sqlite.checkTables(append(columnsOf("files"), column{table: migrationsTable})))
	require.NoError(t, sqlite.checkTables(nil))
	unreadable := &Store{d: dialect{tables: func(context.Context, querier) ([]column, error) { return nil, errDisk }}}
	_, err := unreadable.inspect(t.Context())
	require.EqualError(t, err, "read the tables: "+errDisk.Error())
}

// Continuation ids of other forms are not kept where the tables of issues take UUIDs alone.
func TestContinuationIDsOfIssues(t *testing.T) {
	const id = "debb44af-15b9-456d-9b88-6a2519f81427"
	asUUID := func(table, name string) []column {
		list := columnsOf(table)
		list[slices.IndexFunc(list, func(c column) bool { return c.name == name })].kind = "uuid"
		return list
	}
	for name, c := range map[string]struct {
		found []column
		uuids bool
	}{
		"issues":          {asUUID("exai_issues", "conversation_id"), true},
		"fixes":           {asUUID("exai_issues", "fix_conversation_id"), true},
		"updates":         {asUUID("exai_issue_updates", "conversation_id"), true},
		"texts":           {columnsOf("exai_issues"), false},
		"their own ids":   {columnsOf("exai_issue_checklist"), false},
		"no issues' ones": {columnsOf("messages"), false},
	} {
		s := &Store{d: dialect{migrations: "postgres", tables: func(context.Context, querier) ([]column, error) { return c.found, nil }}}
		_, err := s.inspect(t.Context())
		require.NoError(t, err, name)
		track := &Issues{store: s}
		assert.Equal(t, id, track.conversationID(id), name)
		assert.Nil(t, track.conversationID(""), name)
		if c.uuids {
			assert.Nil(t, track.conversationID("any text"), name)
		} else {
			assert.Equal(t, "any text", track.conversationID("any text"), name)
		}
	}
}

func TestMigrationsThatAreMissing(t *testing.T) {
	_, err := latestMigration("oracle")
	require.ErrorContains(t, err, "embedded migrations in oracle: ")
	s := &Store{d: dialect{migrations: "oracle", tables: func(context.Context, querier) ([]column, error) { return nil, nil }}}
	require.ErrorContains(t, s.migrate(t.Context()), "embedded migrations: ")
}
