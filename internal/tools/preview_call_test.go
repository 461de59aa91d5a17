package tools

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// What is wrong with a call is said in its preview too, and a step that asks no model says so.
func TestPreviewOfOtherCalls(t *testing.T) {
	h := newFixture(t, asktest.Says("ok"))
	body, _ := h.call("chat", map[string]any{"prompt": "x", "preview": true, "model": "glm-nothing-like-that-5"})
	assert.Contains(t, []any{"preview", "error"}, body["status"])
	body, _ = h.call("chat", map[string]any{"prompt": "x", "preview": true, "files": []string{"/nowhere/at/all.go"}})
	assert.Equal(t, "error", body["status"])
	body, _ = h.call("debug", map[string]any{"step": "looking", "step_number": 1, "total_steps": 3, "next_step_required": true, "findings": "none yet", "preview": true})
	assert.Equal(t, "preview", body["status"])
	assert.Equal(t, []any{}, body["models"])
	assert.Contains(t, body["content"], "would ask no model")
	assert.NotContains(t, fmt.Sprint(body["metadata"]), "The store did not confirm", "nothing was to be stored")
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

// A preview says which files would be sent, and which not, in workflow tools too; its requests are in one order.
func TestPreviewOfExperts(t *testing.T) {
	h := newFixture(t, asktest.Says("ok"))
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "main.go"), []byte("package main\n"), 0o600))
	body, _ := h.call("codereview", map[string]any{"step": "x", "relevant_files": []string{"nope.go", "main.go"}, "preview": true})
	assert.Equal(t, "preview", body["status"], body)
	assert.Contains(t, fmt.Sprint(body["metadata"]), "Not found: nope.go.")
	body, _ = h.call("consensus", map[string]any{"step": "x", "models": "glm-5.3-flash,glm-5.3", "preview": true})
	var models []any
	for _, m := range body["models"].([]any) {
		models = append(models, m.(map[string]any)["model"])
	}
	assert.Equal(t, []any{"glm-5.3", "glm-5.3-flash"}, models)
}
