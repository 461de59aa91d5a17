package main

import (
	"os"
	"path/filepath"
	"testing"

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
