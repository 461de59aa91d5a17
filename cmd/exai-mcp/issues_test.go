package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sqliteTracker is a tracker on a fresh SQLite file.
func sqliteTracker(t *testing.T) *tracker {
	k := &tracker{site: newSite(t, "LOG_LEVEL=error")}
	k.settings.Backend, k.settings.StateDir = "sqlite", filepath.Join(k.dir, "state")
	return k.open("sqlite", filepath.Join(k.settings.StateDir, "exai.db"))
}

func TestIssuesRefusals(t *testing.T) {
	k := sqliteTracker(t)
	assert.Contains(t, k.cli("issues", "list"), `No active issues. "exai-mcp issues list --all"`)
	assert.Equal(t, "No issues.\n", k.cli("issues", "list", "--all"))
	assert.Equal(t, "No issues with this status.\n", k.cli("issues", "list", "--status", "closed"))
	k.cli("issues", "create", "only", "--check", "one")
	for _, c := range []struct {
		args string // separated by |
		code int
		says string
	}{
		{"nope", exitUsage, `unknown command "nope" of "exai-mcp issues"`},
		{"show", exitUsage, "arg"},
		{"show|x", exitUsage, `invalid issue number "x"; "exai-mcp issues list --all" shows them`},
		{"show|0", exitUsage, `invalid issue number "0"`},
		{"show|7", exitFailed, `there is no issue 7; "exai-mcp issues list --all" lists them`},
		{"list|--severity|bad", exitUsage, `--severity "bad": use critical, high, medium, low`},
		{"list|--status|open,done", exitUsage, `--status "done": use open, in_progress, fixed, verified, closed, wont_fix`},
		{"list|--category|style", exitUsage, `--category "style": use timeout, architecture`},
		{"list|--all|--status|open", exitUsage, "leave one of them out"},
		{"list|--limit|-1", exitUsage, "--limit -1: give 0 for all"},
		{"list|--nope", exitUsage, "--nope"},
		{"search", exitUsage, "arg"},
		{"export", exitUsage, "expected one format, json, markdown, csv"},
		{"export|pdf", exitUsage, `issues export "pdf": expected one format`},
		{"create", exitUsage, "arg"},
		{"create| ", exitUsage, "TITLE is required"},
		{"create|t|--severity|bad|--category|bad", exitUsage, `--category "bad"`},
		{"create|t|--lines|9-3", exitUsage, `--lines "9-3": give one line, 48, or two, 48-51`},
		{"create|t|--lines|x", exitUsage, `--lines "x"`},
		{"create|t|--fix-date|soon", exitUsage, `--fix-date "soon": give 2026-01-31`},
		{"create|t|--blocks|7", exitFailed, "there is no issue 7"},
		{"create|t|--check| ", exitFailed, "a checklist step needs a description"},
		{"update|1", exitUsage, "nothing to change: give at least one field"},
		{"update|1|--by|c", exitUsage, "nothing to change"},
		{"update|1|--status|done", exitUsage, `--status "done": use open`},
		{"update|1|--status|verified", exitFailed, "an issue that is open can become in_progress, fixed, closed, wont_fix, not verified"},
		{"update|1|--title|", exitFailed, "title is required"},
		{"update|7|--title|x", exitFailed, "there is no issue 7"},
		{"comment|1", exitUsage, "arg"},
		{"comment|1| ", exitUsage, "TEXT is required"},
		{"comment|7|x", exitFailed, "there is no issue 7"},
		{"check|1", exitUsage, "give --step with the number of a step, or --add"},
		{"check|1|--step|1|--add|x", exitUsage, "give --step with the number of a step, or --add"},
		{"check|1|--step|-1", exitUsage, "give --step"},
		{"check|1|--step|2", exitFailed, `issue 1 has no checklist step 2; "exai-mcp issues show 1" lists its steps`},
		{"check|1|--step|1|--status|fixed", exitUsage, `--status "fixed": use pending, in_progress, complete, skipped`},
		{"check|7|--step|1", exitFailed, "there is no issue 7"},
		{"link|1", exitUsage, "the number of another issue is required"},
		{"link|1|--blocks|1", exitFailed, "an issue cannot be linked to itself"},
		{"link|1|--related|7", exitFailed, "there is no issue 7"},
		{"link|1|--related|x", exitUsage, "x"},
	} {
		t.Run(c.args, func(t *testing.T) {
			code, out, errs := k.run("", append([]string{"issues"}, strings.Split(c.args, "|")...)...)
			assert.Equal(t, c.code, code)
			assert.Empty(t, out)
			assert.Contains(t, errs, c.says)
			assert.True(t, strings.HasPrefix(errs, "exai-mcp: "), errs)
		})
	}
	assert.Equal(t, []int{1}, k.numbers("list", "--all"))
	assert.Equal(t, []string{"2"}, k.query(`SELECT count(*) FROM exai_issue_updates`), "what is refused leaves nothing")
}

func TestIssuesUpdatesEveryField(t *testing.T) {
	k := sqliteTracker(t)
	k.cli("issues", "create", "before", "--file", "a.go", "--lines", "3", "--component", "x")
	code, out, errs := k.run("from stdin\n", "issues", "update", "1", "--title", "after", "--description", "-", "--severity", "low",
		"--category", "security", "--status", "wont-fix", "--file", "b.go", "--lines", "4-5", "--component", "y, z", "--component", "w",
		"--root-cause", "r", "--impact", "i", "--recommended-fix", "rf", "--actual-fix", "af", "--found-in", "c1", "--note", "why", "--by", "c2", "--json")
	require.Equal(t, exitOK, code, errs)
	var row map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &row))
	for name, want := range map[string]any{
		"title": "after", "description": "from stdin", "severity": "low", "category": "security", "status": "wont_fix", "file_path": "b.go",
		"line_start": 4.0, "line_end": 5.0, "affected_components": []any{"y, z", "w"}, "root_cause": "r", "impact_description": "i",
		"recommended_fix": "rf", "actual_fix": "af", "conversation_id": "c1",
	} {
		assert.Equal(t, want, row[name], name)
	}
	assert.Len(t, row["updates"], 1+14)
	for _, u := range row["updates"].([]any)[1:] {
		assert.Equal(t, "c2", u.(map[string]any)["conversation_id"])
	}
	assert.Equal(t, "Issue 1 is unchanged: after\n", k.cli("issues", "update", "1", "--title", "after"))
	out = k.cli("issues", "update", "1", "--file", "", "--lines", "", "--component", "", "--json")
	row = nil
	require.NoError(t, json.Unmarshal([]byte(out), &row))
	for _, name := range []string{"file_path", "line_start", "line_end", "affected_components"} {
		assert.NotContains(t, row, name)
	}
	code, _, _ = k.run("said\nin lines", "issues", "comment", "1", "-")
	assert.Equal(t, exitOK, code)
	assert.Contains(t, k.cli("issues", "show", "1"), "  > said\n  > in lines\n")
	assert.Equal(t, "Issue 1 has 2 steps now. [....................] 0/2\n", k.cli("issues", "check", "1", "--add", "a", "--add", "b"))
	assert.Contains(t, k.cli("issues", "--help"), "fixed-by")
	assert.Contains(t, k.cli("issues"), "Available Commands")
}

const evil = "clear 👩\u200d💻\x1b[2J\x07\u009b31m\u202eesrever\u2028\x00 end"

// What somebody stored can't do anything to a terminal, whichever way it is shown; in JSON it stays what it was.
func TestStoredTextIsHarmless(t *testing.T) {
	k := sqliteTracker(t)
	k.addIssueConversations()
	k.cli("issues", "create", evil, "--description", evil+"\nsecond line", "--component", evil, "--file", evil, "--check", evil, "--conversation", found)
	k.cli("issues", "comment", "1", evil)
	_, err := k.db.ExecContext(t.Context(), `UPDATE conversations SET title = $1, tool_name = $1, workspace = $1 WHERE continuation_id = $2`, evil, found)
	require.NoError(t, err)
	_, err = k.db.ExecContext(t.Context(), `UPDATE messages SET content = $1, model_used = $1`, evil)
	require.NoError(t, err)
	for _, args := range []string{
		"issues list", "issues list --markdown", "issues list --json", "issues show 1", "issues show 1 --json", "issues search clear",
		"issues export json", "issues export markdown", "issues export csv", "issues check 1 --step 1", "issues update 1 --severity low",
		"conversations list", "conversations list --json", "conversations search clear", "conversations show " + found,
		"conversations show " + found + " --turn 1", "conversations show " + found + " --json", "conversations export " + found + " --markdown",
		"conversations export " + found + " --json",
	} {
		out := k.cli(strings.Fields(args)...)
		assert.Contains(t, out, "clear", args)
		assert.Contains(t, out, "👩\u200d💻", args)
		for _, r := range out {
			if r != '\n' && r != '\t' && r != '\u200d' && !unicode.IsPrint(r) {
				t.Errorf("%s: %U reaches the terminal", args, r)
				break
			}
		}
		assert.Contains(t, out, `\u001b`, args)
	}
	var list []struct {
		Title string `json:"title"`
	}
	require.NoError(t, json.Unmarshal([]byte(k.cli("issues", "list", "--json")), &list))
	assert.Equal(t, strings.ReplaceAll(evil, "\x00", "\uFFFD"), list[0].Title, "PostgreSQL takes no NUL, so none is kept")
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"":                        "",
		"a\tb\nc":                 "a\tb\nc",
		"a\r\nb\rc":               "a\nb\\u000dc",
		"é 漢字 🎉 e\u0301 x\u00a0y": "é 漢字 🎉 e\u0301 x\u00a0y",
		"\x7f\u0085\ufeff\u200f":  `\u007f\u0085\ufeff\u200f`,
		"\xff\U000E0041":          `\xff\U000e0041`,
	} {
		assert.Equal(t, want, plain(in))
	}
	in := map[string]string{"k": "\x1b\u009b\u202e\U000E0041 é"}
	text, err := json.Marshal(in)
	require.NoError(t, err)
	out := plainJSON(text)
	assert.Equal(t, `{"k":"\u001b\u009b\u202e\udb40\udc41 é"}`, out)
	var back map[string]string
	require.NoError(t, json.Unmarshal([]byte(out), &back))
	assert.Equal(t, in, back)
}

// A reader that has seen enough, as head has, is nothing to complain about.
func TestClosedPipe(t *testing.T) {
	k := sqliteTracker(t)
	for _, c := range []struct {
		why  error
		code int
		says string
	}{
		{&os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}, exitOK, ""},
		{syscall.ENOSPC, exitFailed, "exai-mcp: write the output: " + syscall.ENOSPC.Error() + "\n"},
	} {
		var errs strings.Builder
		code := run(t.Context(), []string{"issues", "list"}, k.environ, strings.NewReader(""), brokenWriter{c.why}, &errs)
		assert.Equal(t, c.code, code)
		assert.Equal(t, c.says, errs.String())
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

// Outside of any project "." names nothing, and a list that is narrowed by it would mislead.
func TestNoProject(t *testing.T) {
	k := sqliteTracker(t)
	t.Chdir(t.TempDir())
	k.cli("issues", "create", "of no project")
	assert.Equal(t, []int{1}, k.numbers("list"))
	for _, command := range [][]string{{"issues", "list", "--workspace", "."}, {"issues", "export", "csv", "--workspace", "."}} {
		code, _, errs := k.run("", command...)
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, errs, "name the project's folder")
	}
}

func TestStoreThatCannotBeOpened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, c := range map[string]struct {
		setting, says string
		code          int
	}{
		"memory":   {"CONVERSATION_STORAGE_BACKEND=memory", "keeps nothing between processes; set sqlite or postgres", exitFailed},
		"no url":   {"CONVERSATION_STORAGE_BACKEND=postgres", "DATABASE_URL", exitUsage},
		"not here": {"EXAI_STATE_DIR=" + filepath.Join(file, "x"), `"exai-mcp doctor" says more`, exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			for _, command := range []string{"issues", "conversations"} {
				s := newSite(t, "LOG_LEVEL=error", c.setting)
				code, out, errs := s.run("", command, "list")
				assert.Equal(t, c.code, code)
				assert.Empty(t, out)
				assert.Contains(t, errs, c.says)
			}
		})
	}
}
