package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
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
	require.ErrorContains(t, err, "aaaaaa is ambiguous: it matches 2 conversations, ")
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
