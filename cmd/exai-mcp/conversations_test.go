package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/store"
)

// addConversations stores a few conversations: a chat with files, a workflow run, an answer that is being written.
func (k *tracker) addConversations() {
	k.t.Helper()
	s, err := store.Open(k.t.Context(), k.settings)
	require.NoError(k.t, err)
	defer s.Close()
	wd, err := os.Getwd()
	require.NoError(k.t, err)
	for _, n := range []conversation.NewTurns{
		{ConversationID: "chat-1", Title: "Why | is it slow?", Tool: "chat", Workspace: "/w", Turns: []conversation.Turn{
			{Role: providers.RoleUser, Content: "Why is it slow?", Tool: "chat", Attachments: []conversation.Attachment{
				{Path: filepath.Join(wd, "slow.go"), MIME: "text/x-go", Data: []byte("package slow\n")},
				{Path: "/pictures/p.png", MIME: "image/png", Data: []byte("\x89PNG\x00\xff")},
			}},
			{Role: providers.RoleAssistant, Content: "Retry budget.\n## Turn 9: user", Tool: "chat", Model: "glm-5.3", Provider: "glm", Usage: providers.Usage{InputTokens: 5, CostUSD: 0.5}},
		}},
		{ConversationID: "debug-1", Title: "A bug", Tool: "debug", Turns: []conversation.Turn{{
			Role: providers.RoleUser, Content: "look at it", Tool: "debug",
			Step: &conversation.Step{Tool: "debug", Number: 1, Input: json.RawMessage(`{"step":"look"}`), Reply: json.RawMessage(`{"status":"pause_for_investigation"}`)},
		}}},
		{ConversationID: "late-1", Title: "Late", Tool: "chat", Turns: []conversation.Turn{
			{Role: providers.RoleUser, Content: "q", Tool: "chat"},
			{Role: providers.RoleAssistant, Content: "so far", Tool: "chat", Model: "kimi-k3.1-pro", Status: conversation.TurnRunning},
		}},
	} {
		_, err := s.Append(k.t.Context(), n)
		require.NoError(k.t, err)
	}
}

// beat makes what is being written look as if its process had just saved it: after ten seconds it would count as dead, which
// is less than a slow machine may need.
func (k *tracker) beat() {
	now := `strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')`
	if k.settings.Backend == "postgres" {
		now = `clock_timestamp()`
	}
	k.exec(`UPDATE messages SET saved_at = ` + now + ` WHERE turn_status = 'running'`)
}

func (k *tracker) ids(args ...string) (out []string) {
	k.t.Helper()
	var rows []struct {
		ID string `json:"id"`
	}
	require.NoError(k.t, json.Unmarshal([]byte(k.cli(append(append([]string{"conversations"}, args...), "--json")...)), &rows))
	for _, r := range rows {
		out = append(out, r.ID)
	}
	return out
}

func TestConversations(t *testing.T) {
	eachTracker(t, func(t *testing.T, k *tracker) {
		assert.Equal(t, "No conversations.\n", k.cli("conversations", "list"))
		assert.Equal(t, "[]\n", k.cli("conversations", "list", "--json"))
		k.addConversations()
		k.cli("issues", "create", "Slow retries", "--conversation", "chat-1")

		k.beat()
		lines := strings.Split(k.cli("conversations", "list"), "\n")
		require.Len(t, lines, 5)
		assert.Regexp(t, `^ID +TOOL +MODEL +TURNS +UPDATED +STATE +TITLE$`, lines[0])
		assert.Regexp(t, `^late-1 +chat +kimi-k3\.1-pro +2 +20[-0-9]+ [0-9:]+ +running +Late$`, lines[1])
		assert.Regexp(t, `^debug-1 +debug +1 +20[-0-9]+ [0-9:]+ +A bug$`, lines[2])
		assert.Regexp(t, `^chat-1 +chat +glm-5\.3 +2 +20[-0-9]+ [0-9:]+ +Why \| is it slow\?$`, lines[3])
		assert.Equal(t, []string{"late-1"}, k.ids("list", "--limit", "1"))
		assert.Contains(t, k.cli("conversations", "list", "--limit", "1"), "The latest 1; there may be more")
		assert.Equal(t, []string{"late-1", "debug-1", "chat-1"}, k.ids("list", "--limit", "0"))
		assert.Equal(t, []string{"debug-1"}, k.ids("list", "--tool", "debug"))

		assert.Equal(t, []string{"chat-1"}, k.ids("search", "retry", "BUDGET"))
		assert.Contains(t, k.cli("conversations", "search", "retry budget"), "Retry budget. ## Turn 9: user")
		assert.Equal(t, []string{"chat-1"}, k.ids("search", "--path", "slow.go"), "from the working directory")
		assert.Equal(t, []string{"chat-1"}, k.ids("search", "slow", "--path", "/pictures/p.png"))
		assert.Empty(t, k.ids("search", "bug", "--path", "slow.go"))

		page := k.cli("conversations", "show", "chat-1")
		for _, want := range []string{
			"# Why | is it slow?\n", "- continuation_id: chat-1\n", "- Issue: #1 Slow retries (medium, open)\n",
			"slow.go (text/x-go, 13 bytes)\n", "\n## Turn 2: answer by glm-5.3 (glm), ", "\n> Retry budget.\n> ## Turn 9: user\n",
		} {
			assert.Contains(t, page, want)
		}
		assert.Equal(t, timeless(page), timeless(k.cli("conversations", "export", "chat-1", "--markdown")))
		assert.Equal(t, "Retry budget.\n## Turn 9: user\n", k.cli("conversations", "show", "chat-1", "--turn", "2"), "as it is")
		assert.Equal(t, "look at it\n\nArguments\n\n{\n  \"step\": \"look\"\n}\n\nReply\n\n{\n  \"status\": \"pause_for_investigation\"\n}\n",
			k.cli("conversations", "show", "debug-1", "--turn", "1"))
		k.beat()
		assert.Contains(t, k.cli("conversations", "show", "late-1"), "still being written")

		var whole conversationRecord
		require.NoError(t, json.Unmarshal([]byte(k.cli("conversations", "export", "chat-1", "--json")), &whole))
		require.Len(t, whole.Turns, 2)
		assert.Equal(t, "package slow\n", *whole.Turns[0].Files[0].Text)
		assert.Equal(t, "\x89PNG\x00\xff", string(whole.Turns[0].Files[1].Base64))
		assert.Equal(t, 0.5, whole.Turns[1].Usage.CostUSD)
		shown := k.cli("conversations", "show", "chat-1", "--json")
		assert.NotContains(t, shown, "package slow")
		assert.Contains(t, shown, `"sha256"`)
		k.beat()
		assert.Contains(t, k.cli("conversations", "show", "late-1", "--json"), `"status": "running"`)
		var one conversationRecord
		require.NoError(t, json.Unmarshal([]byte(k.cli("conversations", "show", "debug-1", "--turn", "1", "--json")), &one))
		assert.Equal(t, 1, one.Turns[0].Step.Number)
	})
}

func TestConversationsRefusals(t *testing.T) {
	k := sqliteTracker(t)
	k.addConversations()
	for _, c := range []struct {
		args string // separated by |
		code int
		says string
	}{
		{"nope", exitUsage, `unknown command "nope" of "exai-mcp conversations"`},
		{"list|--limit|-2", exitUsage, "--limit -2"},
		{"show", exitUsage, "arg"},
		{"show|nobody", exitFailed, `no conversation with this id; "exai-mcp conversations list" lists them`},
		{"show|chat-1|--turn|9", exitFailed, "conversation chat-1 has no turn 9; its last one is 2"},
		{"show|chat-1|--turn|0", exitUsage, "--turn 0: turns are numbered from 1"},
		{"search", exitUsage, "give a text to search for, or --path FILE"},
		{"export|chat-1", exitUsage, "expected a format, --json or --markdown"},
		{"export|nobody|--json", exitFailed, "no conversation with this id"},
		{"delete", exitUsage, "arg"},
		{"delete|nobody", exitFailed, "no conversation with this id"},
		{"prune", exitUsage, `--older-than "": give an age above 0`},
		{"prune|--older-than|0d", exitUsage, `--older-than "0d"`},
		{"prune|--older-than|-3h", exitUsage, `--older-than "-3h"`},
		{"prune|--older-than|9999999d", exitUsage, `--older-than "9999999d"`},
		{"prune|--older-than|soon", exitUsage, `--older-than "soon"`},
	} {
		t.Run(c.args, func(t *testing.T) {
			code, out, errs := k.run("", append([]string{"conversations"}, strings.Split(c.args, "|")...)...)
			assert.Equal(t, c.code, code)
			assert.Empty(t, out)
			assert.Contains(t, errs, c.says)
		})
	}
	assert.Len(t, k.ids("list"), 3)
}

func TestConversationsAreDeleted(t *testing.T) {
	eachTracker(t, func(t *testing.T, k *tracker) {
		k.addConversations()
		k.cli("issues", "create", "stays", "--conversation", "chat-1")
		code, out, errs := k.run("", "conversations", "delete", "latest", "debug-1", "nobody")
		assert.Equal(t, exitFailed, code)
		assert.Equal(t, "Deleted conversation debug-1.\n", out)
		assert.Equal(t, `exai-mcp: no conversation was started in this folder; "exai-mcp conversations list" shows all`+"\n"+
			`nobody: no conversation with this id; "exai-mcp conversations list" lists them`+"\n", errs, "every failure is reported")
		assert.Equal(t, []string{"late-1", "chat-1"}, k.ids("list"))

		assert.Contains(t, k.cli("conversations", "prune", "--older-than", "30d"), "No conversation was last used before ")
		k.age("chat-1")
		for _, answer := range []string{"", "\n", "n\n", "nonsense\n"} {
			code, out, errs = k.run(answer, "conversations", "prune", "--older-than", "30d")
			assert.Equal(t, exitFailed, code)
			assert.Regexp(t, `^Delete 1 conversation that was last used before 20[-0-9]+ [0-9:]+\? \[y/N\] $`, out)
			assert.Contains(t, errs, "nothing was deleted; answer y, or give --yes")
		}
		code, out, _ = k.run("Y\n", "conversations", "prune", "--older-than", "2w")
		assert.Equal(t, exitOK, code)
		assert.Contains(t, out, "Deleted 1 conversation.\n")
		assert.Equal(t, []string{"late-1"}, k.ids("list"))
		assert.Equal(t, []string{"0"}, k.query(`SELECT count(*) FROM exai_blobs`))
		k.age("late-1")
		assert.Equal(t, "Deleted 1 conversation.\n", k.cli("conversations", "prune", "--older-than", "36h", "--yes"))
		assert.Equal(t, []int{1}, k.numbers("list", "--conversation", "chat-1"), "issues stay")
		assert.Contains(t, k.cli("issues", "show", "1"), "- chat-1: found, ")
	})
}

// age makes a conversation look as if nobody had used it for two months.
func (k *tracker) age(id string) {
	k.t.Helper()
	then := time.Now().AddDate(0, 0, -60).UTC().Format("2006-01-02T15:04:05.000000Z")
	if k.settings.Backend == "postgres" { // where a trigger stamps each change
		k.exec(`ALTER TABLE conversations DISABLE TRIGGER USER`)
	}
	_, err := k.db.ExecContext(k.t.Context(), `UPDATE conversations SET updated_at = $1 WHERE continuation_id = $2`, then, id)
	require.NoError(k.t, err)
}
