package tools

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
)

// commit makes the fixture's folder a repository of what is in it.
func (h *fixture) commit() {
	h.t.Helper()
	gittest.Init(h.t, h.dir, nil)
}

// reads answers with calls of functions, and with text once their results are there.
func reads(then string, more ...providers.ToolCall) asktest.Chat {
	return func(_ context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		if last := req.Messages[len(req.Messages)-1]; last.Role == providers.RoleTool || len(req.Functions) == 0 {
			on(providers.Delta{Content: then})
			return &providers.ChatResponse{Content: then, FinishReason: providers.FinishStop}, nil
		}
		on(providers.Delta{ToolCall: true})
		return &providers.ChatResponse{FinishReason: providers.FinishToolCalls, ToolCalls: more}, nil
	}
}

func call(id, name, arguments string) providers.ToolCall {
	return providers.ToolCall{ID: id, Name: name, Arguments: arguments}
}

func functionsOf(req providers.ChatRequest) (names []string) {
	for _, f := range req.Functions {
		names = append(names, f.Name)
	}
	return names
}

// TestChatReadsAroundTheFilesItIsGiven: what git tracks beside them; what it looked at is in the reply, and stays there.
func TestChatReadsAroundTheFilesItIsGiven(t *testing.T) {
	h := newFixture(t, reads("It is fine.", call("a", "read_file", `{"path":"lib/b.go"}`), call("b", "read_file", `{"path":".env"}`), call("c", "git_history", `{"path":"lib/b.go"}`)))
	file := h.file("a.go", "package a\n")
	other := h.file("lib/b.go", "package lib\n\nvar githubToken = \"ghp_16C7e42F292c6912E7710c838347Ae178B4a\"\n")
	h.file(".env", "TOKEN=hunter2\n")
	h.commit()
	object, text := h.call("chat", map[string]any{"prompt": "Is it fine?", "files": file})
	assert.Equal(t, "It is fine.", object["content"])
	looked := object["looked_at"].([]any)
	require.Len(t, looked, 3)
	first := looked[0].(map[string]any)
	byTool := func(path string) map[string]any {
		i := slices.IndexFunc(looked, func(l any) bool {
			return l.(map[string]any)["path"] == path && l.(map[string]any)["tool"] == "read_file"
		})
		require.GreaterOrEqual(t, i, 0, "%v", looked)
		return looked[i].(map[string]any)
	}
	assert.NotEmpty(t, first["tool"])
	assert.EqualValues(t, 3, byTool(other)["lines"])
	assert.Contains(t, byTool(".env")["error"], "refused")
	assert.NotContains(t, text, "hunter2")

	require.Len(t, h.requests, 2)
	assert.Equal(t, []string{"read_file", "search_files", "list_files", "git_history", "git_show"}, functionsOf(h.requests[0]))
	assert.Contains(t, h.requests[0].Messages[0].Content, "You have 3 rounds of 4 calls.")
	var results []string
	for _, m := range h.requests[1].Messages {
		if m.Role == providers.RoleTool {
			results = append(results, m.Content)
		}
	}
	require.Len(t, results, 3)
	assert.Equal(t, "lib/b.go, 3 lines\n   1| package lib\n   2| \n   3| var githubToken = \"[secret: github-pat]\"\n", results[0])
	assert.Contains(t, results[1], "Error: \".env\" is refused")
	assert.Contains(t, results[2], "First")

	again, _ := h.call("chat", map[string]any{"prompt": "", "continuation_id": idIn(t, object)})
	assert.Equal(t, object["looked_at"], again["looked_at"])
}

func TestExpertReads(t *testing.T) {
	for reads, want := range map[string][]string{
		config.ReadsTracked: {"read_file", "search_files", "list_files", "git_history", "git_show"},
		config.ReadsNamed:   {"read_file", "search_files", "list_files"},
		config.ReadsOff:     nil,
	} {
		h := newFixture(t, asktest.Says("ok"), func(c *config.Config) { c.Expert.Reads = reads })
		file := h.file("a.go", "package a\n")
		h.commit()
		object, _ := h.call("chat", map[string]any{"prompt": "x", "files": file})
		assert.Equal(t, want, functionsOf(h.requests[0]), reads)
		assert.NotContains(t, object, "looked_at")
		h.call("chat", map[string]any{"prompt": "x", "use_websearch": false})
		assert.Empty(t, h.requests[1].Functions, "a chat without files reads none")
	}
}
