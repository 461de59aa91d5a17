package endpoint

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

// preset is a provider of a preset, with a key where it needs one.
func preset(t *testing.T, name string) *Provider {
	t.Helper()
	v := name2var(name)
	c, err := config.Load(config.Options{Environ: []string{"ENDPOINTS=" + name, v + "_API_KEY=k", "LAB_API_URL=https://lab.test/v1"}})
	require.NoError(t, err)
	p, err := New(Options{Vendor: *c.Vendor(name)})
	require.NoError(t, err)
	return p
}

// What each preset is sent for a model that thinks, and asked for 100 tokens.
func TestWhatPresetsAreSent(t *testing.T) {
	for _, c := range []struct {
		preset, model string
		thinking      providers.ThinkingSwitch
		drop          []string
		want          string
	}{
		{"openai", "gpt-6.2-sol", providers.ThinkingSwitch{Effort: "high"}, nil, `{"model":"gpt-6.2-sol","max_completion_tokens":100,"reasoning_effort":"high"}`},
		{"gemini", "gemini-4-carbon", providers.ThinkingSwitch{Effort: "low"}, nil, `{"model":"gemini-4-carbon","max_tokens":100,"reasoning_effort":"low"}`},
		{"openrouter", "anthropic/x", providers.ThinkingSwitch{Effort: "medium"}, nil, `{"model":"anthropic/x","max_tokens":100,"reasoning":{"effort":"medium"}}`},
		{"openrouter", "auto", providers.ThinkingSwitch{}, nil, `{"model":"openrouter/auto","max_tokens":100}`},
		{"deepseek", "deepseek-flash", providers.ThinkingSwitch{Effort: "high"}, nil, `{"model":"deepseek-flash","max_tokens":100,"reasoning_effort":"high","thinking":{"type":"enabled"}}`},
		{"deepseek", "deepseek-flash", providers.ThinkingSwitch{Type: "disabled"}, nil, `{"model":"deepseek-flash","max_tokens":100,"thinking":{"type":"disabled"}}`},
		{"ollama", "qwen3:32b", providers.ThinkingSwitch{Effort: "none"}, nil, `{"model":"qwen3:32b","max_tokens":100,"reasoning_effort":"none"}`},
		{"lab", "a/b/c", providers.ThinkingSwitch{}, nil, `{"model":"a/b/c","max_tokens":100}`},
		{"lab", "m", providers.ThinkingSwitch{}, []string{"max_tokens"}, `{"model":"m","max_completion_tokens":100}`},
		{"lab", "m", providers.ThinkingSwitch{}, []string{"max_tokens", "max_completion_tokens"}, `{"model":"m"}`},
		{"openai", "old", providers.ThinkingSwitch{}, []string{"max_completion_tokens"}, `{"model":"old","max_tokens":100}`},
	} {
		temperature := 0.2
		body, err := preset(t, c.preset).Payload(providers.ChatRequest{
			Model: providers.Model{ID: c.preset + "/" + c.model}, Thinking: c.thinking, MaxOutputTokens: 100, Drop: c.drop, Temperature: &temperature,
			Messages: []providers.Message{{Role: providers.RoleUser, Content: " "}},
		})
		require.NoError(t, err)
		var sent map[string]any
		require.NoError(t, json.Unmarshal(body, &sent))
		assert.Equal(t, map[string]any{"include_usage": true}, sent["stream_options"])
		assert.Equal(t, []any{map[string]any{"role": "user", "content": "(empty)"}}, sent["messages"], "several servers refuse an empty text")
		for _, common := range []string{"stream", "stream_options", "messages"} {
			delete(sent, common)
		}
		rest, err := json.Marshal(sent)
		require.NoError(t, err)
		assert.JSONEq(t, c.want, string(rest), "%s %s", c.preset, c.model)
	}
}

// A function loop returns what a vendor may want back, also through a gateway, and nothing under a name that it did not use.
func TestWhatGoesBackInAFunctionLoop(t *testing.T) {
	message := providers.Message{
		Role: providers.RoleAssistant, Reasoning: "hm",
		ToolCalls: []providers.ToolCall{{ID: "a", Name: "f", Arguments: "{}", VendorFields: map[string]json.RawMessage{"extra_content": json.RawMessage(`{"google":{"thought_signature":"s"}}`)}}},
		VendorFields: map[string]json.RawMessage{
			"reasoning_details": json.RawMessage(`[{"type":"x"}]`), "reasoning": json.RawMessage(`"hm"`), "unknown": json.RawMessage(`1`),
		},
	}
	for _, name := range []string{"gemini", "openrouter", "lab"} {
		body, err := preset(t, name).Payload(providers.ChatRequest{Model: providers.Model{ID: name + "/m"}, Messages: []providers.Message{message}})
		require.NoError(t, err)
		for _, part := range []string{`"extra_content":{"google":{"thought_signature":"s"}}`, `"reasoning_details":[{"type":"x"}]`, `"reasoning":"hm"`} {
			assert.Contains(t, string(body), part, name)
		}
		for _, part := range []string{"unknown", "reasoning_content"} {
			assert.NotContains(t, string(body), part, name)
		}
	}
	message.VendorFields = map[string]json.RawMessage{"reasoning_content": json.RawMessage(`"hm"`)}
	body, err := preset(t, "deepseek").Payload(providers.ChatRequest{Model: providers.Model{ID: "deepseek/m"}, Messages: []providers.Message{message}})
	require.NoError(t, err)
	assert.Contains(t, string(body), `"reasoning_content":"hm"`, "DeepSeek refuses a turn with calls otherwise")
}

func TestServersWithoutFunctions(t *testing.T) {
	for _, text := range []string{
		`registry.ollama.ai/library/gemma does not support tools`,
		`"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set`,
		`No endpoints found that support tool use.`,
		`Function tools with reasoning_effort are not supported for gpt-6.2-sol in /v1/chat/completions.`,
	} {
		v := classify(openaicompat.Fault{Status: 400, Message: text})
		assert.True(t, v.NoFunctions, text)
		assert.Equal(t, providers.KindInvalidRequest, v.Kind)
	}
	assert.False(t, classify(openaicompat.Fault{Status: 400, Message: "invalid tools"}).NoFunctions)
}

func TestStatusesInsideAStream(t *testing.T) {
	for code, want := range map[string]providers.Kind{
		"400": providers.KindInvalidRequest, "401": providers.KindAuth, "402": providers.KindBalance, "403": providers.KindContentFiltered,
		"404": providers.KindModelNotFound, "408": providers.KindOverloaded, "429": providers.KindRateLimited, "502": providers.KindOverloaded,
		"500": providers.KindProviderError, "7": "",
		"insufficient_system_resource": providers.KindOverloaded,
	} {
		assert.Equal(t, want, classify(openaicompat.Fault{Status: 200, Code: code}).Kind, code)
	}
	assert.Empty(t, classify(openaicompat.Fault{Status: 403, Code: "403"}).Kind, "the status itself says more there")
}

func TestKnownModels(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range []string{"openai", "gemini", "deepseek", "ollama"} {
		for _, m := range preset(t, name).Models() {
			assert.False(t, seen[m.ID], m.ID)
			seen[m.ID] = true
			assert.Equal(t, name, m.Provider)
			assert.Contains(t, m.ID, name+"/")
			assert.Greater(t, m.ContextWindow, m.MaxOutput, m.ID)
			assert.Positive(t, m.Price.Output, m.ID)
			assert.Equal(t, name != "openai", m.Functions, m.ID)
		}
	}
	assert.Len(t, seen, 9)

	c, err := config.Load(config.Options{Environ: []string{"ENDPOINTS=openai", "OPENAI_API_KEY=k", "OPENAI_API_URL=http://localhost:4000/v1"}})
	require.NoError(t, err)
	gateway, err := New(Options{Vendor: *c.Vendor("openai")})
	require.NoError(t, err)
	for _, m := range gateway.Models() {
		assert.True(t, m.Local, m.ID)
		assert.Nil(t, m.Price, "what a gateway on this machine charges is not OpenAI's price")
	}
}
