package tools

import (
	"encoding/json"
	"testing"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// Every start builds the catalogue, before tools/list can be answered.
func BenchmarkCatalog(b *testing.B) {
	d := &Deps{Config: config.Default()}
	for b.Loop() {
		Catalog(d)
	}
}

// Every call decodes its arguments.
func BenchmarkDecode(b *testing.B) {
	s := sampleShape(b)
	args := json.RawMessage(`{"step":"s","count":1,"findings":"f","files":["a","b"],"issues_found":[{"severity":"high"}],"temperature":0.5}`)
	for b.Loop() {
		var in sampleInput
		if _, err := s.decode(args, &in); err != nil {
			b.Fatal(err)
		}
	}
}

// What a chat call costs beside the vendor and the database.
func BenchmarkChat(b *testing.B) {
	h := newHouse(b, asktest.Says("ok"))
	for b.Loop() {
		r := h.Call(b.Context(), Invocation{Tool: "chat", Arguments: json.RawMessage(`{"prompt":"x"}`)})
		if r.IsError {
			b.Fatal(r.Body.Get("content"))
		}
	}
}
