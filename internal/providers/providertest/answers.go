package providertest

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// answers is what a provider must understand of answers that go well.
func (s suite) answers(t *testing.T) {
	s.test(t, "text and reasoning arrive in pieces", func(t *testing.T, b bench) {
		b.emulator.Script(emulator.Say("Grüße, ", "wörld", ".").Thinking("hm, ", "well").Every(time.Second))
		req := b.ask(t, "hello")
		start := time.Now()
		var at []time.Duration
		resp, err := b.provider.Chat(t.Context(), req, func(d providers.Delta) {
			if d.Empty() { // some vendors begin with an event that only names a role
				assert.Empty(t, at)
				return
			}
			at = append(at, time.Since(start))
		})
		require.NoError(t, err)
		assert.Equal(t, "Grüße, wörld.", resp.Content)
		assert.Equal(t, "hm, well", resp.Reasoning)
		assert.Equal(t, providers.FinishStop, resp.FinishReason)
		assert.Equal(t, req.Model.ID, resp.Model)
		assert.NotEmpty(t, resp.RequestID)
		assert.NotEmpty(t, resp.Header)
		assert.Equal(t, []time.Duration{1e9, 2e9, 3e9, 4e9, 5e9}, at, "each piece when it came, none held back")
	})
	s.test(t, "a first event that carries nothing is told, and no other", func(t *testing.T, b bench) {
		b.emulator.Script(emulator.Say("never").With(emulator.EmptyDeltas(0, time.Second)))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var told []providers.Delta
		resp, err := b.provider.Chat(ctx, b.ask(t, "hello"), func(d providers.Delta) { told = append(told, d) })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Nil(t, resp)
		assert.Equal(t, []providers.Delta{{}}, told)
	})
	s.test(t, "usage with what the cache saved", func(t *testing.T, b bench) {
		reply := emulator.Say("ok")
		reply.Usage = &emulator.Usage{Prompt: 1000, Cached: 512, Output: 20}
		b.emulator.Script(reply)
		resp, _ := b.chat(t, b.ask(t, "hello"))
		assert.True(t, resp.UsageKnown)
		assert.Equal(t, providers.Usage{InputTokens: 1000, CachedTokens: 512, OutputTokens: 20}, resp.Usage)
	})
	s.test(t, "a prefix sent again comes from the cache", func(t *testing.T, b bench) {
		req := b.ask(t, strings.Repeat("the same words ", 1000))
		b.chat(t, req)
		req.Messages = append(req.Messages, providers.Message{Role: providers.RoleAssistant, Content: "ok"}, providers.Message{Role: providers.RoleUser, Content: "more"})
		resp, _ := b.chat(t, req)
		assert.Positive(t, resp.Usage.CachedTokens)
	})
	for word, want := range map[string]providers.FinishReason{"length": providers.FinishLength, "stop": providers.FinishStop} {
		s.test(t, "finish reason "+word, func(t *testing.T, b bench) {
			reply := emulator.Say("so far")
			reply.FinishReason = word
			b.emulator.Script(reply)
			resp, _ := b.chat(t, b.ask(t, "hello"))
			assert.Equal(t, want, resp.FinishReason)
		})
	}
}

// toolCalls is what a provider must understand of answers that call functions.
func (s suite) toolCalls(t *testing.T) {
	s.test(t, "a tool call and its answer", toolLoop)
	s.test(t, "several calls, split and odd arguments", func(t *testing.T, b bench) {
		reply := emulator.Say("Let me look.")
		reply.ToolCalls = []emulator.ToolCall{{Name: "weather", Arguments: `{"city":"Zürich \"ZH\"","days":[1,2]}`}, {Name: "weather", Arguments: `{}`}}
		b.emulator.Script(reply)
		req := b.ask(t, "weather?")
		req.Functions = []providers.Function{weather}
		resp, deltas := b.chat(t, req)
		assert.Equal(t, "Let me look.", resp.Content)
		require.Len(t, resp.ToolCalls, 2)
		assert.Equal(t, `{"city":"Zürich \"ZH\"","days":[1,2]}`, resp.ToolCalls[0].Arguments)
		assert.Equal(t, `{}`, resp.ToolCalls[1].Arguments)
		assert.NotEqual(t, resp.ToolCalls[0].ID, resp.ToolCalls[1].ID)
		assert.Equal(t, providers.FinishToolCalls, resp.FinishReason)
		assert.True(t, deltas[len(deltas)-1].ToolCall)
	})
	s.test(t, "arguments as an object", func(t *testing.T, b bench) {
		reply := emulator.Call("weather", `{"city":"Bern"}`)
		reply.ObjectArguments = true
		b.emulator.Script(reply)
		req := b.ask(t, "weather?")
		req.Functions = []providers.Function{weather}
		resp, _ := b.chat(t, req)
		require.Len(t, resp.ToolCalls, 1)
		assert.JSONEq(t, `{"city":"Bern"}`, resp.ToolCalls[0].Arguments)
	})
	s.test(t, "an index that counts the parts of the answer", func(t *testing.T, b bench) {
		reply := emulator.Say("Let me ", "look.").Thinking("hm")
		reply.ToolCalls = []emulator.ToolCall{{Name: "weather", Arguments: `{"city":"Bern"}`}, {Name: "weather", Arguments: `{}`}}
		reply.CountParts = true
		b.emulator.Script(reply)
		req := b.ask(t, "weather?")
		req.Functions = []providers.Function{weather}
		resp, _ := b.chat(t, req)
		assert.Equal(t, "hm", resp.Reasoning)
		assert.Equal(t, "Let me look.", resp.Content)
		require.Len(t, resp.ToolCalls, 2)
		assert.Equal(t, `{"city":"Bern"}`, resp.ToolCalls[0].Arguments)
	})
}

// streams is what a provider must make of torn events, and of one request after another or beside it.
func (s suite) streams(t *testing.T) {
	s.test(t, "a torn event", func(t *testing.T, b bench) {
		for n := range 3 {
			b.emulator.Script(emulator.Say("Hel", "lo").Thinking("hm").With(emulator.TearEvent(n)))
			resp, _ := b.chat(t, b.ask(t, "hello"))
			assert.Equal(t, "Hello", resp.Content)
			assert.Equal(t, "hm", resp.Reasoning)
		}
	})
	s.test(t, "one connection serves one request after the other", func(t *testing.T, b bench) {
		for range 5 {
			b.chat(t, b.ask(t, "hello"))
		}
		assert.Equal(t, 1, b.emulator.Connections())
	})
	s.test(t, "many at once", func(t *testing.T, b bench) {
		req := b.ask(t, "hello")
		done := make(chan error)
		for range 32 {
			go func() {
				_, err := b.provider.Chat(t.Context(), req, func(providers.Delta) {})
				done <- err
			}()
		}
		for range 32 {
			assert.NoError(t, <-done)
		}
	})
}

var weather = providers.Function{
	Name: "weather", Description: "Tells the weather.",
	Parameters: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}}}`),
}

// toolLoop calls a function and hands its answer back, the assistant's message unchanged, as a strict vendor wants it.
func toolLoop(t *testing.T, b bench) {
	b.emulator.Script(emulator.Call("weather", `{}`).Thinking("I need the weather."), emulator.Say("It rains."))
	req := b.ask(t, "weather?")
	req.Functions = []providers.Function{weather}
	resp, _ := b.chat(t, req)
	require.Len(t, resp.ToolCalls, 1)
	call := resp.ToolCalls[0]
	req.Messages = append(req.Messages,
		providers.Message{Role: providers.RoleAssistant, Reasoning: resp.Reasoning, ToolCalls: resp.ToolCalls, VendorFields: resp.VendorFields},
		providers.Message{Role: providers.RoleTool, ToolCallID: call.ID, Name: call.Name})
	resp, _ = b.chat(t, req)
	assert.Equal(t, "It rains.", resp.Content)
	sent := b.last().Chat.Messages[1]
	require.NotNil(t, sent.Reasoning)
	assert.Equal(t, "I need the weather.", *sent.Reasoning)
	assert.Equal(t, call.ID, sent.ToolCalls[0].ID)
}
