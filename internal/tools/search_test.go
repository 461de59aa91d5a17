package tools

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

func TestSearches(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		name            string
		asked, standard *bool
		tool            string
		files, want     bool
	}{
		{"the caller says so", &yes, &no, "debug", true, true},
		{"the caller says no", &no, &yes, "chat", false, false},
		{"the setting says so", nil, &yes, "debug", true, true},
		{"the setting says no", nil, &no, "chat", false, false},
		{"chat without files", nil, nil, "chat", false, true},
		{"chat with files", nil, nil, "chat", true, false},
		{"analyze without files", nil, nil, "analyze", false, true},
		{"consensus", nil, nil, "consensus", false, true},
		{"thinkdeep", nil, nil, "thinkdeep", false, true},
		{"debug", nil, nil, "debug", false, false},
	} {
		d := &Deps{Config: config.Default()}
		d.Config.Search.DefaultOn = c.standard
		assert.Equal(t, c.want, d.searches(c.asked, c.tool, c.files), c.name)
	}
}

// What is offered to the model, by what the call sends.
func TestSearchIsOfferedWhereNoFileIsSent(t *testing.T) {
	h := newFixture(t, asktest.Says("ok"))
	file := h.file("a.go", "package a\n")
	offered := func(tool string, args map[string]any) bool {
		t.Helper()
		h.call(tool, args)
		req := h.requests[len(h.requests)-1]
		return slices.ContainsFunc(req.Functions, func(f providers.Function) bool { return f.Name == "web_search" })
	}
	assert.True(t, offered("chat", map[string]any{"prompt": "x"}))
	assert.False(t, offered("chat", map[string]any{"prompt": "x", "files": file}))
	assert.True(t, offered("chat", map[string]any{"prompt": "x", "files": file, "use_websearch": true}))
	yes := true
	h.deps.Config.Search.DefaultOn = &yes
	assert.True(t, offered("chat", map[string]any{"prompt": "x"}))
	assert.False(t, offered("chat", map[string]any{"prompt": "x", "files": file}), "no search beside functions that read, unless the call says so")
	h.deps.Config.Search.DefaultOn = nil
	assert.True(t, offered("thinkdeep", map[string]any{"step": "x", "findings": "y"}))
	assert.False(t, offered("thinkdeep", map[string]any{"step": "x", "relevant_files": file}))
	assert.True(t, offered("consensus", map[string]any{"step": "x", "models": "glm-5.3"}))
	assert.False(t, offered("consensus", map[string]any{"step": "x", "models": "glm-5.3", "relevant_files": file}))
	assert.False(t, offered("debug", map[string]any{"step": "x", "findings": "y", "relevant_files": file}))
}

// What a search found is in the metadata, and stays there when the answer is fetched.
func TestSourcesInTheMetadata(t *testing.T) {
	h := newFixture(t, func(_ context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		on(providers.Delta{Content: "ok"})
		hits := []providers.SearchHit{
			{Title: "T", Link: "https://a.test", Content: "long", Published: "2026-11-01"}, {Title: "again", Link: "https://a.test"}, {Title: "without a link"},
		}
		return &providers.ChatResponse{Content: "ok", FinishReason: providers.FinishStop, Searches: hits}, nil
	})
	want := []any{map[string]any{"title": "T", "url": "https://a.test", "date": "2026-11-01"}}
	object, _ := h.call("chat", map[string]any{"prompt": "x"})
	meta := object["metadata"].(map[string]any)
	assert.Equal(t, want, meta["sources"])
	assert.EqualValues(t, 1, meta["searches"].(map[string]any)["count"])
	again, _ := h.call("chat", map[string]any{"prompt": "", "continuation_id": idIn(t, object)})
	assert.Equal(t, want, again["metadata"].(map[string]any)["sources"])
	assert.Equal(t, meta["searches"], again["metadata"].(map[string]any)["searches"])
}
