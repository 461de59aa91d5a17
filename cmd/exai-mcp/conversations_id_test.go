package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/store"
)

func TestNamesOfConversations(t *testing.T) {
	project, elsewhere := t.TempDir(), t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(project, ".git"), 0o755))
	inside := filepath.Join(project, "a", "b")
	require.NoError(t, os.MkdirAll(inside, 0o755))
	s, err := store.Open(t.Context(), config.Conversations{Backend: "sqlite", StateDir: t.TempDir()})
	require.NoError(t, err)
	defer s.Close()
	for _, c := range []struct{ id, workspace string }{
		{"aaaaaa11-0000", project}, {"aaaaaa22-0000", filepath.Join(project, "a")}, {"bbbbbbbb-0000", elsewhere}, {"cccc", elsewhere}, {"cccccccc", elsewhere}, {"cccccccc-1", elsewhere},
	} {
		_, err := s.Append(t.Context(), conversation.NewTurns{
			ConversationID: c.id, Workspace: c.workspace, Tool: "chat", Turns: []conversation.Turn{{Role: providers.RoleUser, Content: "x", Tool: "chat"}},
		})
		require.NoError(t, err)
	}
	for _, tc := range []struct{ dir, name, want string }{
		{inside, "latest", "aaaaaa22-0000"},
		{project, "latest", "aaaaaa11-0000"},
		{elsewhere, "latest", "cccccccc-1"},
		{inside, "bbbbbb", "bbbbbbbb-0000"},
		{inside, "aaaaaa1", "aaaaaa11-0000"},
		{inside, "cccc", "cccc"},
		{inside, "cccccccc", "cccccccc"},
		{inside, "bbbbb", "bbbbb"},   // too short for a beginning
		{inside, "nobody", "nobody"}, // Load says that there is none
	} {
		t.Chdir(tc.dir)
		got, err := conversationID(t.Context(), s, tc.name)
		require.NoError(t, err, tc)
		assert.Equal(t, tc.want, got, tc)
	}
	_, err = conversationID(t.Context(), s, "aaaaaa")
	require.ErrorContains(t, err, "aaaaaa is ambiguous: it may be aaaaaa22-0000, aaaaaa11-0000; give more")
	t.Chdir(t.TempDir())
	_, err = conversationID(t.Context(), s, "latest")
	require.ErrorContains(t, err, "no conversation was started in this folder")
}

func TestLatestConversation(t *testing.T) {
	s := newSite(t)
	project := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(project, ".git"), 0o755))
	t.Chdir(t.TempDir())
	db := s.openStore()
	for i, c := range []struct{ id, workspace, content string }{{"first", project, "one"}, {"second", project, "two"}, {"elsewhere", t.TempDir(), "three"}} {
		_, err := db.Append(t.Context(), conversation.NewTurns{
			ConversationID: c.id, Workspace: c.workspace, Tool: "chat", Turns: []conversation.Turn{{
				Role: providers.RoleUser, Content: c.content, Tool: "chat", CreatedAt: time.Date(2026, 11, 29, 12, i, 0, 0, time.UTC),
				Attachments: []conversation.Attachment{{Path: "a.go", MIME: "text/x-go", SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte("package "+c.id))), Size: int64(len("package " + c.id)), Data: []byte("package " + c.id)}},
			}},
		})
		require.NoError(t, err)
	}
	for _, args := range [][]string{{"export", "latest", "--json"}, {"show", "latest", "--json"}, {"export", "latest", "--markdown"}, {"show", "latest"}} {
		code, _, errs := s.run("", append([]string{"conversations"}, args...)...)
		assert.Equal(t, exitFailed, code, args)
		assert.Contains(t, errs, "no conversation was started in this folder", args)
	}
	t.Chdir(project)
	code, out, errs := s.run("", "conversations", "export", "latest", "--json")
	require.Equal(t, exitOK, code, errs)
	var whole conversationRecord
	require.NoError(t, json.Unmarshal([]byte(out), &whole))
	assert.Equal(t, "second", whole.ID)
	require.Len(t, whole.Turns, 1)
	assert.Equal(t, "two", whole.Turns[0].Content)
	assert.Equal(t, "package second", *whole.Turns[0].Files[0].Text)
	_, out, _ = s.run("", "conversations", "export", "latest", "--markdown")
	assert.Contains(t, out, "- continuation_id: second\n")
	_, out, _ = s.run("", "conversations", "show", "latest")
	assert.Contains(t, out, "- continuation_id: second\n")
}

// Wherever a command line names a conversation, a beginning of its id and "latest" do.
func TestIssuesNameConversations(t *testing.T) {
	eachTracker(t, func(t *testing.T, k *tracker) {
		project := t.TempDir()
		t.Chdir(project)
		s, err := store.Open(t.Context(), k.settings)
		require.NoError(t, err)
		defer s.Close()
		const newest, other = "aaaaaaaa-0000", "bbbbbbbb-0000"
		for id, dir := range map[string]string{newest: project, other: "/elsewhere"} {
			_, err := s.Append(t.Context(), conversation.NewTurns{
				ConversationID: id, Workspace: dir, Tool: "chat", Turns: []conversation.Turn{{Role: providers.RoleUser, Content: "x", Tool: "chat"}},
			})
			require.NoError(t, err)
		}
		k.cli("issues", "create", "one", "--check", "a", "--conversation", "bbbbbb", "--fixed-by", "latest")
		k.cli("issues", "create", "two", "--conversation", "unknown-to-us")
		k.cli("issues", "comment", "1", "x", "--conversation", "bbbbbb")
		k.cli("issues", "check", "1", "--step", "1", "--conversation", "latest")
		k.cli("issues", "check", "1", "--add", "b", "--conversation", "bbbbbb")
		k.cli("issues", "link", "1", "--related", "2", "--conversation", "latest")
		k.cli("issues", "update", "2", "--found-in", "latest", "--fixed-by", "bbbbbb", "--by", "latest")

		assert.Equal(t, []string{other + "|" + newest, newest + "|" + other},
			k.query(`SELECT conversation_id, fix_conversation_id FROM exai_issues ORDER BY issue_number`))
		assert.Equal(t, []string{newest}, k.query(`SELECT conversation_id FROM exai_issue_checklist WHERE step_number = 1`))
		assert.Equal(t, []string{newest, other, "unknown-to-us"},
			k.query(`SELECT DISTINCT conversation_id FROM exai_issue_updates WHERE conversation_id IS NOT NULL ORDER BY conversation_id`))
		assert.Equal(t, []int{1, 2}, k.numbers("list", "--all", "--conversation", "latest"))
		assert.Equal(t, []int{1, 2}, k.numbers("search", "o", "--conversation", "bbbbbb"))
		assert.Equal(t, []int{2}, k.numbers("list", "--all", "--conversation", "unknown-to-us"))
		assert.Contains(t, k.cli("issues", "export", "json", "--conversation", "bbbbbb"), newest)

		t.Chdir(t.TempDir())
		for _, args := range [][]string{
			{"list", "--conversation", "latest"},
			{"update", "1", "--fixed-by", "latest"},
			{"create", "three", "--conversation", "latest"},
			{"comment", "1", "x", "--conversation", "latest"},
			{"check", "1", "--step", "1", "--conversation", "latest"},
			{"link", "1", "--related", "2", "--conversation", "latest"},
		} {
			code, _, errs := k.run("", append([]string{"issues"}, args...)...)
			assert.Equal(t, exitFailed, code, args)
			assert.Contains(t, errs, "no conversation was started in this folder", args)
		}
		assert.Equal(t, []string{"2"}, k.query(`SELECT count(*) FROM exai_issues`))
	})
}

// Pages for people have local times; exports are the same everywhere.
func TestPagesHaveLocalTimes(t *testing.T) {
	const zone = "Asia/Tokyo"
	if _, err := time.LoadLocation(zone); err != nil || runtime.GOOS == "windows" {
		t.Skip("TZ is not known here")
	}
	k := sqliteTracker(t)
	k.addConversations()
	there := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
		cmd.Env = append(k.environ, asProgram+"=1", "TZ="+zone)
		out, err := cmd.Output()
		require.NoError(t, err, args)
		return string(out)
	}
	there("issues", "create", "one", "--check", "a", "--fix-date", "2026-01-31", "--status", "fixed")
	there("issues", "check", "1", "--step", "1")
	for _, args := range []string{"issues show 1", "conversations show chat-1"} {
		page := there(strings.Fields(args)...)
		assert.Regexp(t, `(?m)^- Created: .* JST$`, page)
		assert.NotContains(t, page, "UTC", args)
	}
	assert.Contains(t, there("issues", "show", "1"), "- Fixed on: 2026-01-31 00:00:00 JST\n")
	for _, args := range []string{"issues export markdown", "conversations export chat-1 --markdown"} {
		page := there(strings.Fields(args)...)
		assert.Contains(t, page, " UTC", args)
		assert.NotContains(t, page, "JST", args)
	}
}

// What a command asks belongs to the folder that it is given in, whether that may be read or another root comes first.
func TestCommandsAskInTheirFolder(t *testing.T) {
	s := newSite(t, "LOG_LEVEL=error", "EXAI_ALLOWED_ROOTS="+t.TempDir())
	for _, dir := range []string{t.TempDir(), s.dir} { // a project, and the home directory, which is no root
		t.Chdir(dir)
		for _, args := range [][]string{{"ask", "from ask"}, {"call", "chat", `{"prompt":"from call"}`}} {
			code, _, errs := s.run("", args...)
			require.Equal(t, exitOK, code, errs)
			code, out, errs := s.run("", "conversations", "show", "latest")
			require.Equal(t, exitOK, code, errs)
			assert.Contains(t, out, "> from "+args[0]+"\n")
			assert.Contains(t, out, "- Turns: 2\n")
		}
		code, _, errs := s.run("", "ask", "-c", "latest", "third")
		require.Equal(t, exitOK, code, errs)
		_, out, _ := s.run("", "conversations", "show", "latest")
		assert.Regexp(t, `(?s)> from call.*> third`, out)
	}
}
