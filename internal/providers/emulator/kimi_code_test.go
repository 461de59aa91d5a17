package emulator_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// Kimi Code has its own path, key and ids of models, chats and a list of models alone, and refuses what the platform takes.
func TestKimiCode(t *testing.T) {
	e := start(t, emulator.KimiCode(emulator.MemberAdmitted))
	require.Equal(t, emulator.KimiCodeKey, e.Key(emulator.Kimi))
	require.True(t, strings.HasSuffix(e.KimiURL(), "/coding/v1"), e.KimiURL())
	c := to(t, e, emulator.Kimi)
	const key = `,"prompt_cache_key":"k"`
	for _, tt := range []struct {
		model, extra string
		status       int
		says         string
	}{
		{"k3", key, 200, ""},
		{"k3.1-pro", key + `,"reasoning_effort":"low"`, 200, ""},
		{"kimi-for-coding", key, 200, ""},
		{"kimi-k3", key, 404, "resource_not_found_error"},
		{"k3", "", 400, "prompt_cache_key"},
		{"k3", key + `,"temperature":1`, 400, "temperature"},
		{"k3-256k", key + `,"max_completion_tokens":262144`, 400, "exceeded model token limit: 262144"},
		{"k3", key + `,"user":"` + strings.Repeat("x", 2_097_152) + `"`, 413, "too large"},
	} {
		r := c.post("/chat/completions", chatBody(tt.model, tt.extra))
		assert.Equal(t, tt.status, r.status, r.body)
		assert.Contains(t, r.body, tt.says)
	}
	rows, ok := at(t, decode(t, c.get("/models").body), "data").([]any)
	require.True(t, ok)
	var ids []any
	for _, row := range rows {
		ids = append(ids, at(t, row, "id"))
	}
	assert.Equal(t, []any{"k3", "k3-256k", "k3.1-pro", "kimi-for-coding", "kimi-for-coding-highspeed"}, ids)
	for _, path := range []string{"/files", "/users/me/balance", "/formulas/moonshot/web-search:latest/tools"} {
		assert.Equal(t, 404, c.get(path).status, path)
	}
	assert.Equal(t, 404, c.post("/tools/search", `{"text_query":"x"}`).status)
	assert.Equal(t, 200, to(t, e, emulator.GLM).post("/chat/completions", chatBody("glm-5.3", "")).status, "GLM is as it was")
}

// Whatever a membership lacks is a 403 but for the membership itself; the list of models is served all the same.
func TestMembership(t *testing.T) {
	for m, want := range map[emulator.Membership]struct {
		status int
		kind   string
	}{
		emulator.MemberAgents: {403, "access_terminated_error"}, emulator.MemberWeekUsed: {403, "access_terminated_error"},
		emulator.MemberCycleUsed: {403, "permission_error"}, emulator.MemberNone: {402, "permission_error"},
	} {
		c := to(t, start(t, emulator.KimiCode(m)), emulator.Kimi)
		r := c.post("/chat/completions", chatBody("k3", `,"prompt_cache_key":"k"`))
		assert.Equal(t, want.status, r.status, r.body)
		assert.Equal(t, want.kind, at(t, decode(t, r.body), "error", "type"))
		assert.Equal(t, 200, c.get("/models").status)
	}
}
