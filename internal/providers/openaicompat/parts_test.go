package openaicompat

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Mistral's content is a list of parts where a model thinks, whole or piece by piece.
func TestChatContentInParts(t *testing.T) {
	c := serve(t, stream(
		`data: {"id":"c1","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}`,
		`data: {"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"let me "}]}]}}]}`,
		`data: {"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"s"},{"type":"text","text":"ee"}],"closed":true}]}}]}`,
		`data: {"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"six"},{"type":"reference","reference_ids":[1]}]}}]}`,
		`data: {"choices":[{"index":0,"delta":{"content":"ty"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}`,
		done,
	))
	var deltas []providers.Delta
	resp, err := c.Chat(t.Context(), question(), func(d providers.Delta) { deltas = append(deltas, d) })
	require.NoError(t, err)
	assert.Equal(t, []providers.Delta{{}, {Reasoning: "let me "}, {Reasoning: "see"}, {Content: "six"}, {Content: "ty"}}, deltas)
	assert.Equal(t, "sixty", resp.Content)
	assert.Equal(t, "let me see", resp.Reasoning)

	c = serve(t, stream(`data: {"choices":[{"message":{"content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"yes"},7,null]},"finish_reason":"stop"}]}`))
	resp, err = c.Chat(t.Context(), question(), nil)
	require.NoError(t, err)
	assert.Equal(t, "yes", resp.Content)
	assert.Equal(t, "hm", resp.Reasoning)
}

// llama.cpp says how much of the prompt it has read; the answer has not begun by that.
func TestChatTellsHowMuchOfThePromptIsRead(t *testing.T) {
	c := serve(t, stream(
		`data: {"choices":[{"index":0,"delta":{"role":"assistant","content":null}}],"prompt_progress":{"total":237,"cache":0,"processed":128,"time_ms":181}}`,
		`data: {"choices":[],"prompt_progress":{"total":237,"cache":0,"processed":237,"time_ms":300}}`,
		say("six"),
		`data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"timings":{"cache_n":230,"prompt_n":7,"predicted_n":3},"prompt_progress":"odd"}`,
		done,
	))
	var deltas []providers.Delta
	resp, err := c.Chat(t.Context(), question(), func(d providers.Delta) { deltas = append(deltas, d) })
	require.NoError(t, err)
	assert.Equal(t, []providers.Delta{{Read: 128, Prompt: 237}, {Read: 237, Prompt: 237}, {Content: "six"}}, deltas)
	assert.Equal(t, providers.Usage{InputTokens: 237, CachedTokens: 230, OutputTokens: 3}, resp.Usage, "its timings where it reports no usage")
}

// Some servers send the text so far beside each piece (Perplexity), or the whole of it behind the last one (MiniMax).
func TestChatMessageThatRepeatsTheDeltas(t *testing.T) {
	for name, lines := range map[string][]string{
		"beside each": {
			`data: {"choices":[{"delta":{"role":"assistant","content":""},"message":{"role":"assistant","content":""}}]}`,
			`data: {"choices":[{"delta":{"content":"six"},"message":{"content":"six"}}]}`,
			`data: {"choices":[{"delta":{"content":"ty"},"message":{"content":"sixty"},"finish_reason":"stop"}]}`,
		},
		"behind the last":     {say("six"), say("ty"), `data: {"choices":[{"message":{"content":"sixty"},"finish_reason":"stop"}]}`},
		"with an empty delta": {`data: {"choices":[{"delta":{},"message":{"content":"sixty"},"finish_reason":"stop"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := serve(t, stream(append(lines, done)...)).Chat(t.Context(), question(), nil)
			require.NoError(t, err)
			assert.Equal(t, "sixty", resp.Content)
		})
	}
}

// OpenAI's models refuse in a field of its own.
func TestChatRefusal(t *testing.T) {
	for name, lines := range map[string][]string{
		"streamed": {`data: {"choices":[{"delta":{"refusal":"I can"}}]}`, `data: {"choices":[{"delta":{"refusal":"not."}}]}`, `data: {"choices":[{"delta":{},"finish_reason":"stop"}]}`},
		"whole":    {`{"choices":[{"message":{"content":null,"refusal":"I cannot."},"finish_reason":"stop"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := serve(t, stream(lines...)).Chat(t.Context(), question(), nil)
			require.NoError(t, err)
			assert.Equal(t, providers.FinishContentFilter, resp.FinishReason)
			assert.Empty(t, resp.Content)
		})
	}
	resp, err := serve(t, stream(`data: {"choices":[{"delta":{"content":"yes","refusal":null}}]}`, `data: {"choices":[{"delta":{},"finish_reason":"stop"}]}`, done)).Chat(t.Context(), question(), nil)
	require.NoError(t, err)
	assert.Equal(t, providers.FinishStop, resp.FinishReason)
}

// A field of another type than documented loses nothing but itself.
func TestChatOddFields(t *testing.T) {
	for name, odd := range map[string]string{
		"calls that are a text": `"choices":[{"delta":{"content":"ty","tool_calls":""}}]`,
		"calls that are one":    `"choices":[{"delta":{"tool_calls":{},"content":"ty"}}]`,
		"another field":         `"x_groq":"r1","choices":[{"delta":{"content":"ty"}}]`,
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, stream(say("six"), "data: {"+odd+"}", `data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":[],"completion_tokens_details":""}}`, done))
			resp, err := c.Chat(t.Context(), question(), nil)
			require.NoError(t, err)
			assert.Equal(t, "sixty", resp.Content)
			assert.Equal(t, providers.Usage{InputTokens: 9, OutputTokens: 2}, resp.Usage)
		})
	}
}
