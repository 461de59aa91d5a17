package tools_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

var weather = object{"type": "function", "function": object{
	"name": "get_weather", "description": "The weather of a place.",
	"parameters": object{"type": "object", "properties": object{"place": object{"type": "string"}}, "required": []string{"place"}},
}}

// The whole of a tool loop as an agent runs it.
func TestChatWithToolsHandsOver(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		r.Script(
			emulator.Call("get_weather", `{"place":"Oslo"}`).Thinking("Weather: ask."),
			emulator.Say("It rains."),
		)
		args := object{"messages": []any{"You are brief.", "", object{"role": "user", "content": "Weather in Oslo?"}}, "tools": []object{weather}, "tool_choice": "auto"}
		o := r.call("kimi_chat_with_tools", args)
		assert.Equal(t, "tool_call_pending", o["status"], o)
		assert.Equal(t, "KIMI", o["provider"])
		calls := o["tool_calls"].([]any)
		require.Len(t, calls, 1)
		assert.Equal(t, object{"name": "get_weather", "arguments": `{"place":"Oslo"}`}, calls[0].(object)["function"])
		assert.Contains(t, o["note"], "tool_call_id")
		messages := o["messages"].([]any)
		require.Len(t, messages, 3, "blank ones are dropped, the model's is there")
		last := messages[2].(object)
		assert.Equal(t, "assistant", last["role"])
		assert.Equal(t, "Weather: ask.", last["reasoning_content"])
		assert.Equal(t, calls, last["tool_calls"])

		args["messages"] = append(messages, object{"role": "tool", "tool_call_id": calls[0].(object)["id"], "content": "rain"})
		o = r.call("kimi_chat_with_tools", args)
		assert.Equal(t, "success", o["status"], o)
		assert.Equal(t, "It rains.", o["content"])
		assert.Nil(t, o["tool_calls"])
		usage := o["usage"].(object)
		assert.Equal(t, usage["total_tokens"], usage["prompt_tokens"].(float64)+usage["completion_tokens"].(float64))
		sent := r.seen(emulator.OpChat)[1].Chat
		require.Len(t, sent.Messages, 4)
		require.NotNil(t, sent.Messages[2].Reasoning)
		assert.Equal(t, "Weather: ask.", *sent.Messages[2].Reasoning)
		assert.Equal(t, "rain", sent.Messages[3].Content)
		assert.Empty(t, r.seen(emulator.OpChat)[1].Refused)
	})
}

// Messages that a client would cut are worth nothing, so that only the new ones are given, without what can be left out.
func TestChatWithToolsLongHandOver(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		long := strings.Repeat("many words ", 8000)
		r.Script(emulator.Call("get_weather", `{}`), emulator.Call("get_weather", `{}`).Thinking(long))
		o := r.call("kimi_chat_with_tools", object{"messages": long, "tools": []object{weather}})
		assert.NotContains(t, o, "messages")
		require.Len(t, o["new_messages"], 1)
		assert.Contains(t, o["note"], "new_messages")
		o = r.call("kimi_chat_with_tools", object{"messages": "short", "tools": []object{weather}})
		require.Len(t, o["new_messages"], 1, o)
		assert.NotContains(t, o["new_messages"].([]any)[0], "reasoning_content")
		assert.Contains(t, fmt.Sprint(notes(o)), "reasoning_content")
	})
}

func TestChatWithToolsSearches(t *testing.T) {
	for name, args := range map[string]object{
		"use_websearch":    {"use_websearch": true},
		"its name":         {"tools": []any{"$web_search"}},
		"the old built-in": {"tools": []any{object{"type": "builtin_function", "function": object{"name": "$web_search"}}}},
		"beside functions": {"tools": []any{weather}, "use_websearch": true},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, func(t *testing.T, r *vendorFixture) {
				r.Script(emulator.Call("web_search", `{"query":"go release"}`), emulator.Call("web_search", `{"query":"go 1.26"}`), emulator.Say("Found."))
				call := object{"messages": "What is new?"}
				for k, v := range args {
					call[k] = v
				}
				o := r.call("kimi_chat_with_tools", call)
				assert.Equal(t, "success", o["status"], o)
				assert.Equal(t, "Found.", o["content"])
				assert.Len(t, r.seen(emulator.OpFormulaRun), 2)
				assert.Contains(t, fmt.Sprint(notes(o)), "searched the web 2 times")
				last := r.seen(emulator.OpChat)[2].Chat
				assert.Contains(t, last.Messages[len(last.Messages)-1].Content, "MOONSHOT ENCRYPTED", "verbatim")
				for _, q := range r.Requests() {
					assert.Empty(t, q.Refused)
				}
			})
		})
	}
	t.Run("switched off", func(t *testing.T) {
		with(t, func(t *testing.T, r *vendorFixture) {
			o := r.call("kimi_chat_with_tools", object{"messages": "hi", "use_websearch": true, "stream": true})
			assert.Equal(t, "success", o["status"])
			assert.Contains(t, fmt.Sprint(notes(o)), "KIMI_ENABLE_INTERNET_SEARCH")
			assert.Contains(t, fmt.Sprint(notes(o)), "stream")
			assert.Empty(t, r.seen(emulator.OpChat)[0].Chat.Tools)
		}, func(c *config.Config) { c.Search.KimiEnabled = false })
	})
	t.Run("and calls for the agent in one answer", func(t *testing.T) {
		with(t, func(t *testing.T, r *vendorFixture) {
			r.Script(emulator.Reply{Reasoning: []string{"both"}, ToolCalls: []emulator.ToolCall{
				{Name: "web_search", Arguments: `{"query":"x"}`}, {Name: "get_weather", Arguments: `{"place":"Oslo"}`},
			}}, emulator.Say("done"))
			args := object{"messages": "?", "use_websearch": true, "tools": []object{weather}}
			o := r.call("kimi_chat_with_tools", args)
			assert.Equal(t, "tool_call_pending", o["status"])
			require.Len(t, o["tool_calls"], 1, "the search is answered already")
			id := o["tool_calls"].([]any)[0].(object)["id"]
			args["messages"] = append(o["messages"].([]any), object{"role": "tool", "tool_call_id": id, "content": "rain"})
			o = r.call("kimi_chat_with_tools", args)
			assert.Equal(t, "done", o["content"], o)
		})
	})
}

func TestChatWithToolsRefusesWhatIsNoTool(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		for _, tools := range []any{[]any{"$code_runner"}, []any{"what"}, []any{object{"type": "function"}}, []any{7}, "{"} {
			o := r.call("kimi_chat_with_tools", object{"messages": "hi", "tools": tools})
			assert.Equal(t, "invalid_request", code(o), "%v", tools)
		}
		assert.Empty(t, r.Requests())
		// What the original took as JSON in a string.
		text, err := json.Marshal([]object{weather})
		require.NoError(t, err)
		for _, tools := range []any{string(text), []any{string(text[1 : len(text)-1])}, []any{weather["function"]}} {
			o := r.call("kimi_chat_with_tools", object{"messages": `[{"role":"user","content":"hi"}]`, "tools": tools, "tool_choice": "none"})
			assert.Equal(t, "success", o["status"], o)
		}
		for _, q := range r.seen(emulator.OpChat) {
			assert.Equal(t, "hi", q.Chat.LastUser())
			assert.LessOrEqual(t, len(q.Chat.Tools), 1)
		}
	})
}

// A tool_choice that names one function leaves that one alone to the model.
func TestChatWithToolsOneFunction(t *testing.T) {
	clock := object{"type": "function", "function": object{"name": "get_time", "parameters": object{"type": "object", "properties": object{}}}}
	with(t, func(t *testing.T, r *vendorFixture) {
		for _, choice := range []any{"get_time", object{"type": "function", "function": object{"name": "get_time"}}, `{"type":"function","function":{"name":"get_time"}}`} {
			o := r.call("kimi_chat_with_tools", object{"messages": "hi", "tools": []object{weather, clock}, "tool_choice": choice})
			require.Nil(t, o["error"], o)
			assert.Contains(t, fmt.Sprint(notes(o)), "only the function get_time is offered")
			seen := r.seen(emulator.OpChat)
			sent := seen[len(seen)-1].Chat
			require.Len(t, sent.Tools, 1)
			assert.Equal(t, "get_time", sent.Tools[0].Name)
		}
		o := r.call("kimi_chat_with_tools", object{"messages": "hi", "tools": []object{weather}, "tool_choice": "get_time"})
		assert.Equal(t, "invalid_request", code(o))
	})
}

// What Kimi refuses in a function's schema is named as a place in the caller's own arguments.
func TestChatWithToolsNamesTheRefusedSchema(t *testing.T) {
	function := func(name string, parameters object) object {
		return object{"type": "function", "function": object{"name": name, "parameters": parameters}}
	}
	properties := func(p object) object { return object{"type": "object", "properties": p} }
	good := function("good", properties(object{"city": object{"type": "string"}}))
	for name, c := range map[string]struct {
		tools         []any
		message, hint string
	}{
		"a property without a type": {
			[]any{good, function("bad", properties(object{"a": object{"description": "no type"}}))},
			"properties.a of the function bad has no type", "Change tools[1].function.parameters.properties.a;",
		},
		"in a list's items": {
			[]any{function("bad", properties(object{"list": object{"type": "array", "items": object{}}})), good},
			"properties.list.items of the function bad has no type", "Change tools[0].function.parameters.properties.list.items;",
		},
		"in a branch": {
			[]any{function("bad", properties(object{"a": object{"anyOf": []any{object{"type": "string"}, object{}}}}))},
			"properties.a.anyOf.1 of the function bad has no type", "Change tools[0].function.parameters.properties.a.anyOf.1;",
		},
		"a bare function": {
			[]any{object{"name": "bare", "parameters": properties(object{"a": object{}})}},
			"properties.a of the function bare has no type", "Change tools[0].parameters.properties.a;",
		},
		"a function in a string": {
			[]any{`{"type":"function","function":{"name":"text","parameters":{"type":"object","properties":{"a":{}}}}}`},
			"properties.a of the function text has no type", "Change tools[0].function.parameters.properties.a;",
		},
		"two functions of one name": {
			[]any{good, good}, "the function good is used twice", "Change tools[0].function;",
		},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, func(t *testing.T, r *vendorFixture) {
				o := r.call("kimi_chat_with_tools", object{"messages": "hi", "tools": c.tools})
				e, ok := o["error"].(object)
				require.True(t, ok, "%v", o)
				assert.Equal(t, "invalid_request", e["code"])
				assert.Equal(t, false, e["retryable"])
				assert.Contains(t, e["message"], c.message)
				assert.Contains(t, e["hint"], c.hint)
			})
		})
	}
}

// What has arrived when a limit passes is kept.
func TestChatWithToolsPartial(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		r.Script(emulator.Say("so ", "far ").With(emulator.StallAfter(2)), emulator.Reply{}.Thinking("hm").With(emulator.StallAfter(1)))
		o := r.call("kimi_chat_with_tools", object{"messages": "hi"})
		assert.Equal(t, "partial", o["status"], o)
		assert.Equal(t, "so far ", o["content"])
		assert.Equal(t, "timeout", o["metadata"].(object)["finish_reason"])
		assert.Contains(t, fmt.Sprint(notes(o)), "STREAM_IDLE_TIMEOUT_SECS=25s")
		o = r.call("kimi_chat_with_tools", object{"messages": "hi"})
		assert.Equal(t, "partial", o["status"], o)
		assert.Contains(t, o["content"], "thinking")
	})
}
