package emulator_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

func TestKimiSearch(t *testing.T) {
	e := start(t)
	c := to(t, e, emulator.Kimi)
	for _, tt := range []struct {
		name, path, body string
		status           int
	}{
		{"plain", "/tools/search", `{"text_query":"go","limit":20,"include_content":true,"timeout_seconds":60}`, 200},
		{"pro", "/tools/search_pro", `{"text_query":"go","sites":["go.dev"],"time_window":{"start":"2026","end":"2026-02-01"}}`, 200},
		{"no query", "/tools/search", `{"text_query":" "}`, 400},
		{"limit", "/tools/search", `{"text_query":"go","limit":21}`, 400},
		{"timeout", "/tools/search", `{"text_query":"go","timeout_seconds":61}`, 400},
		{"sites are search_pro's", "/tools/search", `{"text_query":"go","sites":["go.dev"]}`, 400},
		{"six sites", "/tools/search_pro", `{"text_query":"go","sites":["a","b","c","d","e","f"]}`, 400},
		{"a period of words", "/tools/search_pro", `{"text_query":"go","time_window":{"start":"last week","end":"2026"}}`, 400},
	} {
		got := c.post(tt.path, tt.body)
		assert.Equal(t, tt.status, got.status, tt.name)
	}
	assert.Contains(t, c.post("/tools/search_pro", `{"text_query":"go"}`).body, `"chunks"`)
	assert.NotContains(t, c.post("/tools/search", `{"text_query":"go"}`).body, `"content"`)
}
