package openaicompat

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// blameRequest has two functions, three messages and a temperature.
func blameRequest() providers.ChatRequest {
	req := question()
	req.Model.Functions = true
	req.Messages = []providers.Message{
		{Role: providers.RoleSystem, Content: "s"}, {Role: providers.RoleUser, Content: "SECRET"}, {Role: providers.RoleAssistant, Content: "a"},
	}
	req.Functions = []providers.Function{
		{Name: "look_up", Parameters: json.RawMessage(`{"type":"object","properties":{"a":{"description":"x"},"nested":{"type":"object","properties":{"deep":{}}}},"required":["a"]}`)},
		{Name: "other", Parameters: json.RawMessage(`{"type":"object","properties":{"b":{"type":"string"},"list":{"type":"array","anyOf":[{"type":"x"}]}}}`)},
	}
	return req
}

func TestChatNamesWhatAVendorRefuses(t *testing.T) {
	for _, tc := range []struct {
		message, param string
		want           string // in the message; "" if nothing may be named
	}{
		{"Invalid request: tools.function.parameters is not a valid moonshot flavored json schema, details: <At path 'properties.a': type is not defined>", "", "tools.function.parameters and properties.a of the function look_up has no type"},
		{"At path 'properties.nested.properties.deep': type is not defined", "", "properties.nested.properties.deep of the function look_up has no type"},
		{"At path 'properties.list.anyOf.0': type is invalid", "", "properties.list.anyOf.0 of the function other is invalid"},
		{"function name other is duplicated", "", "tools.function.name of the function other is used twice"},
		{"properties.a: type is not defined in other", "", "properties.a of the function other"},
		{"The tools.function.name parameter is illegal. Please check the documentation.", "", "tools.function.name has a value that is not allowed"},
		{"tools[1].function.parameters 参数非法。请检查文档。", "", "tools[1].function.parameters of the function other has a value that is not allowed"},
		{"未正常接收到prompt参数。", "", "prompt is missing"},
		{"The prompt parameter was not received properly.", "", "prompt is missing"},
		{"stop 参数非法。请检查文档。", "", "stop has a value that is not allowed"},
		{"max_tokens 与 max_completion_tokens 参数不能同时设置。", "", "max_tokens and max_completion_tokens cannot be combined"},
		{"max_tokens and max_completion_tokens cannot be set at the same time. Please check the documentation.", "", "max_tokens and max_completion_tokens cannot be combined"},
		{"`top_p`, `temperature` are mutually exclusive", "", "top_p and temperature cannot be combined"},
		{"SECRET and things cannot be used together", "", ""},
		{"cannot specify both 'thinking' and 'reasoning_effort'", "", "thinking and reasoning_effort cannot be combined"},
		{"tool_choice 'specified' is incompatible with thinking enabled", "tool_choice", "tool_choice"},
		{"Invalid request: the message at position 1 with role 'user' must not be empty", "", "message 1 (user) must not be empty"},
		{"thinking is enabled but reasoning_content is missing in assistant tool call message at index 2", "", "reasoning_content of message 2 (assistant) is missing"},
		{"messages[2].content is invalid", "", "message 2 (assistant) is invalid"},
		{"Invalid value: bad", "messages.0.role", "message 0 (system) is invalid"},
		{"messages 第 2 条消息的 tool_call_id 非法", "", "tool_call_id of message 2 (assistant) has a value that is not allowed"},
		{"the message at position 77 must not be empty", "", ""},
		{"something is wrong with SECRET.things and 'secret' and https://internal.host/path", "", ""},
		{"At path 'properties.SECRET': type is not defined", "properties.unknown", ""},
		{"API 调用参数有误，请检查文档。", "", ""},
		{"", "", ""},
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"message": tc.message, "param": tc.param, "code": "1210"}})
		})
		_, err := c.Chat(t.Context(), blameRequest(), nil)
		e := refused(t, err, providers.KindInvalidRequest)
		assert.NotContains(t, e.Message+e.Hint, "SECRET")
		assert.NotContains(t, e.Message+e.Hint, "internal.host")
		if tc.want == "" {
			assert.Equal(t, "GLM refused the request as invalid (HTTP 400, code 1210).", e.Message, tc.message)
			assert.Contains(t, e.Hint, "does not name")
			continue
		}
		assert.Contains(t, e.Message, tc.want, tc.message)
		assert.NotContains(t, e.Hint, "does not name", tc.message)
	}
}

func TestBlameWithoutAChat(t *testing.T) {
	assert.Empty(t, findRefusedPart(Fault{Message: "messages[0] is invalid", Param: "temperature"}, nil).String())
}

func TestBlameNamesThePlaceInTheSchema(t *testing.T) {
	for _, tc := range []struct{ message, function, path string }{
		{"At path 'properties.a': type is not defined", "look_up", "properties.a"},
		{"tools.function.parameters is not a valid moonshot flavored json schema, details: <At path 'properties.nested.properties.deep': type is not defined>", "look_up", "properties.nested.properties.deep"},
		{"At path 'properties.list.anyOf.0': type is invalid", "other", "properties.list.anyOf.0"},
		{"tools[1].function.parameters 参数非法。请检查文档。", "other", ""},
		{"tools.0.function: properties.list is invalid", "look_up", ""},
		{"tools[7].function is invalid", "", ""},
		{"function name other is duplicated", "other", ""},
		{"type is not defined", "", ""},
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"message": tc.message, "code": "1210"}})
		})
		_, err := c.Chat(t.Context(), blameRequest(), nil)
		e := refused(t, err, providers.KindInvalidRequest)
		assert.Equal(t, [2]string{tc.function, tc.path}, [2]string{e.Function, e.SchemaPath}, tc.message)
	}
}

func TestResolves(t *testing.T) {
	raw := json.RawMessage(`{"a":{"b":[{"c":1}]}}`)
	for path, want := range map[string]bool{"a": true, "a.b": true, "a.b[0].c": true, "a.b.0": true, "a.b.1": false, "a.b.-1": false, "a.c": false, "x": false} {
		assert.Equal(t, want, resolves(raw, path), path)
	}
}

func TestChatNamesAParameterThatIsLeftOut(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":{"message":"invalid thinking: only type=enabled is allowed"}}`)
	})
	req := blameRequest()
	req.Thinking.Type = "disabled"
	_, err := c.Chat(t.Context(), req, nil)
	e := refused(t, err, providers.KindInvalidRequest)
	require.Equal(t, "thinking", e.Param)
	assert.Contains(t, e.Message, "thinking has a value that is not allowed")
}
