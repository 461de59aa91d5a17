package tools

import (
	"encoding/json"
	"testing"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

// Every start builds the catalogue and its schemas, before tools/list can be answered.
func BenchmarkCatalog(b *testing.B) {
	d := &Deps{Config: config.Default()}
	for b.Loop() {
		for _, t := range Catalog(d) {
			t.Schema()
		}
	}
}

// What a chat call costs beside the vendor and the database.
func BenchmarkChat(b *testing.B) {
	h := newFixture(b, asktest.Says("ok"))
	for b.Loop() {
		r := h.Call(b.Context(), tool.Invocation{Tool: "chat", Arguments: json.RawMessage(`{"prompt":"x"}`)})
		if r.IsError {
			b.Fatal(r.Body.Get("content"))
		}
	}
}
