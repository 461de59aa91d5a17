package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// planSite is a site that has a Kimi Code membership and nothing else, in a state of that membership.
func planSite(t *testing.T, m emulator.Membership) *site {
	s := newSite(t, "LOG_LEVEL=error", "GLM_API_KEY=")
	plan, err := emulator.Start(emulator.KimiCode(m))
	require.NoError(t, err)
	t.Cleanup(plan.Close)
	s.vendors = plan
	s.environ = append(s.environ, "KIMI_API_URL="+plan.KimiURL(), "KIMI_API_KEY="+plan.Key(emulator.Kimi))
	return s
}

// What a membership refuses is told apart, although each refusal has the status of a wrong key.
func TestRefusalsOfAMembership(t *testing.T) {
	for m, want := range map[emulator.Membership]struct {
		code  string
		says  []string
		never string
	}{
		emulator.MemberCycleUsed: {"rate_limited", []string{"used up its quota", "Wait until the plan's quota is reset"}, "refused the API key"},
		emulator.MemberWeekUsed:  {"rate_limited", []string{"used up its quota", "https://api.moonshot.ai/v1"}, "refused the API key"},
		emulator.MemberAgents:    {"auth", []string{"admits only certain coding agents", "The key is not wrong", "https://api.moonshot.ai/v1"}, "refused the API key"},
		emulator.MemberNone:      {"balance", []string{"https://api.kimi.com/coding/v1"}, "refused the API key"},
	} {
		t.Run(string(m), func(t *testing.T) {
			s := planSite(t, m)
			for tool, args := range map[string]string{"chat": `{"prompt":"hi"}`, "thinkdeep": `{"step":"Think."}`, "kimi_chat_with_tools": `{"messages":"hi"}`} {
				_, out, _ := s.run("", "call", tool, args)
				assert.Contains(t, out, `"`+want.code+`"`, tool)
				for _, text := range want.says {
					assert.Contains(t, out, text, tool)
				}
				assert.NotContains(t, out, want.never)
				assert.NotContains(t, out, `"retryable": true`, tool)
			}
			chats := slices.DeleteFunc(s.vendors.Requests(), func(r emulator.Request) bool { return r.Op != emulator.OpChat })
			assert.LessOrEqual(t, len(chats), 3, "none of them is sent again")
		})
	}
}

// The key of one address does not work at the other, and the answer names both.
func TestKeysOfAMembership(t *testing.T) {
	for name, lay := range map[string]func(s *site) string{
		"a platform's key at the plan's address": func(*site) string { return "KIMI_API_KEY=" + emulator.KimiKey },
		"the plan's key at the platform's address": func(s *site) string {
			platform, err := emulator.Start()
			require.NoError(t, err)
			t.Cleanup(platform.Close)
			return "KIMI_API_URL=" + platform.KimiURL()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := planSite(t, emulator.MemberAdmitted)
			s.environ = append(s.environ, lay(s))
			_, out, _ := s.run("", "call", "chat", `{"prompt":"hi"}`)
			assert.Contains(t, out, `"auth"`)
			assert.Contains(t, out, "a Kimi Code key works at https://api.kimi.com/coding/v1 alone")
		})
	}
}

// A client that the plan admits can use it: its models have other ids, requests need a routing hint, and there is neither a
// search nor a place for files.
func TestAMembershipServes(t *testing.T) {
	s := planSite(t, emulator.MemberAdmitted)
	source := filepath.Join(s.project(), "add.go")
	for tool, args := range everyTool("Look.", source, source) {
		text, err := json.Marshal(args)
		require.NoError(t, err)
		_, out, errs := s.run("", "call", tool, string(text))
		switch tool {
		case "glm_upload_file", "glm_web_search":
			assert.Contains(t, out, "not_configured", tool)
		case "kimi_upload_and_extract", "kimi_multi_file_chat":
			assert.Contains(t, out, `"status": "error"`, tool)
		default:
			assert.NotContains(t, out[:min(40, len(out))], `"status": "error"`, "%s %s %s", tool, out, errs)
			assert.NotContains(t, out, `"analysis_error"`, "%s %s", tool, errs)
		}
	}
	p := s.serveHere()
	s.vendors.Forget()
	for range 2 {
		require.Equal(t, "continuation_available", p.call("chat", object{"prompt": "hi"}).str("status"))
	}
	var asked []string
	for _, r := range s.vendors.Requests() {
		if r.Op == emulator.OpChat {
			asked = append(asked, r.Chat.Model)
		}
	}
	assert.Equal(t, []string{"kimi-k3.1-pro", "k3", "k3"}, asked, "the list is read once")
	for _, r := range s.vendors.Requests() {
		if r.Op == emulator.OpChat {
			assert.Contains(t, []string{"", "unknown model"}, r.Refused, "a process asks once before it reads the list: %s", r.Body)
			assert.True(t, r.Chat.Has("prompt_cache_key"))
		}
	}
}
