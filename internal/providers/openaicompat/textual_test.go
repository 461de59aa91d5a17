package openaicompat

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

func TestTidy(t *testing.T) {
	for in, want := range map[string]string{
		"\n\nanswer\n": "answer\n",
		"  indented":   "  indented",
		"It is <|begin_of_box|>42<|end_of_box|>.":         "It is 42.",
		"cut <|begin_of_box|>4":                           "cut 4",
		"write `<|begin_of_box|>` for a box":              "write `<|begin_of_box|>` for a box",
		"```\n<|end_of_box|>\n```\n<|begin_of_box|>1":     "```\n<|end_of_box|>\n```\n1",
		"```\nnever closed <|begin_of_box|>":              "```\nnever closed <|begin_of_box|>",
		"<|begin_of_box|>a `b` c<|end_of_box|> `unclosed": "a `b` c `unclosed",
	} {
		assert.Equal(t, want, tidy(in))
	}
}

func TestLeakedCalls(t *testing.T) {
	offered := []providers.Function{
		{Name: "web_search", Parameters: json.RawMessage(`{"properties":{"query":{"type":"string"},"count":{"type":"integer"}}}`)},
		{Name: "now"},
	}
	call := func(id, name, args string) providers.ToolCall {
		return providers.ToolCall{ID: id, Name: name, Arguments: args}
	}
	const glm = "<tool_call>web_search\n<arg_key>query</arg_key>\n<arg_value>2026</arg_value>\n<arg_key>count</arg_key>\n<arg_value>5</arg_value>\n</tool_call>"
	const kimi = `<|tool_call_begin|>functions.web_search:0<|tool_call_argument_begin|>{"query":"go"}<|tool_call_end|>`
	for name, tc := range map[string]struct {
		in, text string
		calls    []providers.ToolCall
	}{
		"glm":              {"Let me look.\n" + glm, "Let me look.", []providers.ToolCall{call("leaked_0", "web_search", `{"count":5,"query":"2026"}`)}},
		"glm, on one line": {"<tool_call>now</tool_call>\n", "", []providers.ToolCall{call("leaked_0", "now", "{}")}},
		"glm, in JSON":     {`<tool_call>{"name":"web_search","arguments":{"query":"go"}}</tool_call>`, "", []providers.ToolCall{call("leaked_0", "web_search", `{"query":"go"}`)}},
		"glm, two":         {glm + "\n<tool_call>now</tool_call>", "", []providers.ToolCall{call("leaked_0", "web_search", `{"count":5,"query":"2026"}`), call("leaked_1", "now", "{}")}},
		"kimi":             {"Hm.\n" + kimi, "Hm.", []providers.ToolCall{call("leaked_0", "web_search", `{"query":"go"}`)}},
		"kimi, a section":  {"<|tool_calls_section_begin|>" + kimi + kimi + "<|tool_calls_section_end|>", "", []providers.ToolCall{call("leaked_0", "web_search", `{"query":"go"}`), call("leaked_1", "web_search", `{"query":"go"}`)}},
		// All of these stay as they are.
		"not at the end":         {glm + "\nThat is how a call looks.", "=", nil},
		"in code":                {"Like this:\n```\n" + glm + "\n```", "=", nil},
		"in code without an end": {"Like this:\n```\n" + glm, "=", nil},
		"not offered":            {"<tool_call>rm<arg_key>path</arg_key><arg_value>/</arg_value></tool_call>", "=", nil},
		"one of two not offered": {"<tool_call>now</tool_call><tool_call>rm</tool_call>", "=", nil},
		"no end":                 {"<tool_call>now", "=", nil},
		"prose in a call":        {"<tool_call>now please do it</tool_call>", "=", nil},
		"prose between calls":    {"<tool_call>now</tool_call> and then <tool_call>now</tool_call>", "=", nil},
		"a mention before":       {"The tag <tool_call> begins one. <tool_call>now</tool_call>", "=", nil},
		"kimi, no object":        {`<|tool_call_begin|>functions.now:0<|tool_call_argument_begin|>"x"<|tool_call_end|>`, "=", nil},
		"kimi, prose inside":     {kimi + " or " + kimi, "=", nil},
		"plain":                  {"Nothing here.", "=", nil},
	} {
		t.Run(name, func(t *testing.T) {
			text, calls := leakedCalls(tc.in, offered)
			if tc.text == "=" {
				tc.text = tc.in
			}
			assert.Equal(t, tc.text, text)
			assert.Equal(t, tc.calls, calls)
			text, calls = leakedCalls(tc.in, nil)
			assert.Equal(t, tc.in, text, "without functions there is nothing to call")
			assert.Empty(t, calls)
		})
	}
}

func TestChatMakesLeakedCallsRealOnes(t *testing.T) {
	c := serve(t, stream(say("Looking.\n<tool_ca"), say("ll>now</tool_call>"), stop, done))
	req := question()
	req.Functions = []providers.Function{{Name: "now"}}
	resp, err := c.Chat(t.Context(), req, nil)
	assert.NoError(t, err)
	assert.Equal(t, "Looking.", resp.Content)
	assert.Equal(t, []providers.ToolCall{{ID: "leaked_0", Name: "now", Arguments: "{}"}}, resp.ToolCalls)
	assert.Equal(t, providers.FinishToolCalls, resp.FinishReason)
}
