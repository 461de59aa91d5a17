package providertest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// requests is what a provider must send: nothing that the vendor refuses, and what its preview shows.
func (s suite) requests(t *testing.T) {
	for _, m := range s.served() {
		s.test(t, m.ID, func(t *testing.T, b bench) {
			preview, previews := b.provider.(providers.Previewer)
			for i, req := range everySwitch(m) {
				_, err := b.provider.Chat(t.Context(), req, func(providers.Delta) {})
				require.NoError(t, err, "request %d, refused for: %s\n%s", i, b.last().Refused, b.last().Body)
				if previews {
					shown, err := preview.Payload(req)
					require.NoError(t, err)
					require.Equal(t, string(shown), string(b.last().Body))
				}
			}
		})
	}
	s.test(t, "a model that nobody listed", func(t *testing.T, b bench) {
		b.emulator.Script(emulator.Say("ok"))
		req := b.ask(t, "hello")
		cold := 0.1
		req.Model = providers.Model{ID: req.Model.ID, Provider: req.Model.Provider, Unlisted: true}
		req.Thinking, req.Temperature = providers.ThinkingSwitch{}, &cold
		b.chat(t, req)
		assert.False(t, b.last().Chat.Has("temperature"), "what is not known to be taken is not sent")
	})
	s.test(t, "the switches as asked for", func(t *testing.T, b bench) {
		req := b.ask(t, "hello")
		req.Thinking = providers.ThinkingSwitch{Effort: "low"}
		req.JSONObject, req.MaxOutputTokens = true, 777
		b.chat(t, req)
		got := b.last().Chat
		assert.Equal(t, "low", got.Effort)
		assert.Equal(t, "json_object", got.Format)
		assert.Equal(t, 777, got.Limit)
		assert.True(t, got.Stream)
		req.Drop = []string{"reasoning_effort", "response_format"}
		b.chat(t, req)
		assert.False(t, b.last().Chat.Has("reasoning_effort"))
		assert.False(t, b.last().Chat.Has("response_format"))
	})
	s.test(t, "pictures", func(t *testing.T, b bench) {
		m := b.model(t, func(m providers.Model) bool { return m.Images })
		b.chat(t, providers.ChatRequest{Model: m, Messages: []providers.Message{
			{Role: providers.RoleUser, Content: "what is it?", Images: pictures(t)},
		}})
		parts := b.last().Chat.Messages[0].Parts
		require.Len(t, parts, len(pictures(t))+1)
		for _, p := range parts {
			if p.Type == "image_url" {
				assert.Contains(t, p.URL, ";base64,")
			}
		}
		assert.Equal(t, "what is it?", b.last().Chat.Messages[0].Content)
	})
}

// everySwitch is requests to a model that together use everything it is said to take: a history with all that a
// provider must correct (empty texts, empty arguments, calls of another model without reasoning), every thinking mode,
// temperatures within and beyond its range, every tool_choice, pictures, search, JSON.
func everySwitch(m providers.Model) []providers.ChatRequest {
	history := []providers.Message{
		{Role: providers.RoleSystem, Content: "be brief"},
		{Role: providers.RoleUser, Content: "first"},
		{Role: providers.RoleAssistant, Content: ""},
		{Role: providers.RoleUser, Content: "weather?"},
	}
	if m.Functions {
		history = append(history,
			providers.Message{Role: providers.RoleAssistant, ToolCalls: []providers.ToolCall{{ID: "weather:0", Name: "weather"}}},
			providers.Message{Role: providers.RoleTool, ToolCallID: "weather:0", Name: "weather"})
	}
	history = append(history, providers.Message{Role: providers.RoleUser, Content: "and now?"})

	choices := []string{``, `"auto"`, `"none"`, `"required"`, `{"type":"function","function":{"name":"weather"}}`}
	temperatures := []float64{0, 0.333333, 1, 1.7, -1}
	modes := []providers.ThinkingMode{providers.ThinkMinimal, providers.ThinkLow, providers.ThinkMedium, providers.ThinkHigh, providers.ThinkMax}
	var all []providers.ChatRequest
	for i, mode := range modes {
		for j, choice := range choices {
			req := providers.ChatRequest{
				Model: m, Messages: history, Temperature: &temperatures[(i+j)%len(temperatures)], MaxOutputTokens: 1_000,
				Thinking:   m.Thinking.Switch(mode, time.Duration(30+30*(j%2))*time.Second),
				JSONObject: j == 0, CacheKey: fmt.Sprint("conversation-", i),
			}
			if m.Functions {
				req.Functions = []providers.Function{{Name: "weather"}, weatherHistory}
				req.ToolChoice = json.RawMessage(choice)
			}
			req.NativeSearch = m.NativeSearch && j == 1
			all = append(all, req)
		}
	}
	return all
}

var weatherHistory = providers.Function{
	Name: "weather-history", Description: "Tells what the weather was.",
	Parameters: json.RawMessage(`{"type":"object","properties":{"on":{"type":"string","enum":["today","yesterday"]}},"required":["on"]}`),
}
