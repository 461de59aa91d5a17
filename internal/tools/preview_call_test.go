package tools

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

// A preview of each tool that asks a model sends and stores nothing, and says what the same call then sends: the files, the
// models, and the tokens within a tenth.
func TestPreviewEqualsWhatIsSent(t *testing.T) {
	for name, args := range map[string]map[string]any{
		"chat":               {"prompt": "Is it right?", "files": []string{"FILE"}},
		"chat without files": {"prompt": "What is idempotence?", "use_websearch": false},
		"thinkdeep":          {"step": "Think about it.", "relevant_files": []string{"FILE"}},
		"debug":              {"step": "It fails.", "relevant_files": []string{"FILE"}},
		"analyze":            {"step": "How is it made?", "relevant_files": []string{"FILE"}},
		"codereview":         {"step": "Review it.", "relevant_files": []string{"FILE"}},
		"refactor":           {"step": "Simplify it.", "relevant_files": []string{"FILE"}},
		"secaudit":           {"step": "Attack it.", "relevant_files": []string{"FILE"}},
		"testgen":            {"step": "Test it.", "relevant_files": []string{"FILE"}},
		"consensus":          {"step": "Is it good?", "models": []any{map[string]any{"model": "glm-5.3"}, map[string]any{"model": "glm-5.1"}}, "relevant_files": []string{"FILE"}},
		"precommit":          {"step": "Check it.", "path": "DIR"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, asktest.Says(`{"summary": "fine", "findings": []}`))
			h.deps.Usage = func(context.Context) (usage.Store, error) { return usage.NewLocal(), nil }
			file := h.file("a.go", "package a\n\nfunc f() int { return 1 }\n// a comment of some length, to make it count\n")
			tool, given, previewed := name, map[string]any{}, map[string]any{"preview": "true"}
			if name == "chat without files" {
				tool = "chat"
			}
			for key, value := range args {
				switch v := value.(type) {
				case []string:
					value = []string{file}
				case string:
					if v == "DIR" {
						value = h.dir
					}
				}
				given[key], previewed[key] = value, value
			}
			if tool == "precommit" {
				require.NoError(t, exec.CommandContext(t.Context(), "git", "-C", h.dir, "init", "-q").Run())
			}
			body, text := h.call(tool, previewed)
			require.Equal(t, "preview", body["status"], text)
			assert.Empty(t, h.requests, "nothing was sent")
			list, err := h.store.List(t.Context(), conversation.Filter{})
			require.NoError(t, err)
			assert.Empty(t, list, "nothing was stored")

			_, sentText := h.call(tool, given)
			require.NotEmpty(t, h.requests, sentText)
			models := body["models"].([]any)
			first := len(models)
			tokens := 0
			names := []string{}
			for _, r := range h.requests[:first] {
				tokens += providers.EstimateRequest(r)
				names = append(names, r.Model.ID)
			}
			planned := []string{}
			for _, m := range models {
				planned = append(planned, m.(map[string]any)["model"].(string))
			}
			assert.ElementsMatch(t, names, planned)
			assert.InEpsilon(t, tokens, number(t, body["input_tokens"]), 0.1)
			for _, f := range body["manifest"].([]any) {
				path := f.(map[string]any)["path"].(string)
				assert.Contains(t, messagesOf(h.requests[0]), filepath.Base(path))
			}
			if args["relevant_files"] != nil || args["files"] != nil {
				assert.Len(t, body["manifest"], 1)
			}
			expected, most := number(t, body["expected_cost_usd"]), number(t, body["maximum_cost_usd"])
			assert.Positive(t, expected)
			assert.GreaterOrEqual(t, most, expected)
		})
	}
}

// What is wrong with a call is said in its preview too, and a step that asks no model says so.
func TestPreviewOfOtherCalls(t *testing.T) {
	h := newHouse(t, asktest.Says("ok"))
	body, _ := h.call("chat", map[string]any{"prompt": "x", "preview": true, "model": "glm-nothing-like-that-5"})
	assert.Contains(t, []any{"preview", "error"}, body["status"])
	body, _ = h.call("chat", map[string]any{"prompt": "x", "preview": true, "files": []string{"/nowhere/at/all.go"}})
	assert.Equal(t, "error", body["status"])
	body, _ = h.call("debug", map[string]any{"step": "looking", "step_number": 1, "total_steps": 3, "next_step_required": true, "findings": "none yet", "preview": true})
	assert.Equal(t, "preview", body["status"])
	assert.Equal(t, []any{}, body["models"])
	assert.Contains(t, body["content"], "would ask no model")
	list, err := h.store.List(t.Context(), conversation.Filter{})
	require.NoError(t, err)
	assert.Empty(t, list)
	body, _ = h.call("chat", map[string]any{"prompt": "x", "preview": "maybe"})
	assert.Equal(t, "error", body["status"], "neither true nor false")
	body, _ = h.call("chat", map[string]any{"prompt": "x", "preview": false})
	assert.NotEqual(t, "preview", body["status"])
	body, _ = h.call("status", map[string]any{"probe": true, "preview": true})
	assert.Equal(t, "preview", body["status"], "it reaches vendors, so it takes the argument")
}

func number(t *testing.T, v any) float64 {
	t.Helper()
	switch n := v.(type) {
	case float64:
		return n
	case json.Number:
		f, err := n.Float64()
		require.NoError(t, err)
		return f
	}
	t.Fatalf("%v is no number", v)
	return 0
}

func messagesOf(r providers.ChatRequest) string {
	text := ""
	for _, m := range r.Messages {
		text += m.Content + "\n"
	}
	return text
}
