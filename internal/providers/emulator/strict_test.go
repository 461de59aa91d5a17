package emulator_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// strictness is one rule of a vendor: a chat that breaks it, and its neighbour that does not.
type strictness struct {
	rule    string
	refused string
	status  int
	code    string // GLM's code or Kimi's type
	says    string // part of the message
	taken   string
}

func messages(model, list, extra string) string {
	return fmt.Sprintf(`{"model":%q,"messages":[%s]%s}`, model, list, extra)
}

const user = `{"role":"user","content":"hi"}`

func picture(t *testing.T, kind string, side int) string {
	t.Helper()
	var b bytes.Buffer
	img := image.NewPaletted(image.Rect(0, 0, side, 2), color.Palette{color.Black, color.White})
	switch kind {
	case "png":
		require.NoError(t, png.Encode(&b, img))
	case "jpeg":
		require.NoError(t, jpeg.Encode(&b, img, nil))
	case "gif":
		require.NoError(t, gif.Encode(&b, img, nil))
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func withImage(model, url string) string {
	return messages(model, fmt.Sprintf(`{"role":"user","content":[{"type":"text","text":"what is it"},{"type":"image_url","image_url":{"url":%q}}]}`, url), "")
}

func functions(n int, name string) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`{"type":"function","function":{"name":"%s","description":"d","parameters":{"type":"object"}}}`, strings.ReplaceAll(name, "#", fmt.Sprint(i)))
	}
	return `,"tools":[` + strings.Join(list, ",") + `]`
}

func glmStrictness(t *testing.T) []strictness {
	const glm = "glm-4.7"
	call := `{"role":"assistant","content":"","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]}`
	search := func(fields string) string {
		return chatBody(glm, `,"tools":[{"type":"web_search","web_search":{"enable":true`+fields+`}}]`)
	}
	many := func(n int) string {
		part := fmt.Sprintf(`{"type":"image_url","image_url":{"url":"data:image/png;base64,%s"}}`, picture(t, "png", 2))
		return messages("glm-4.5v", `{"role":"user","content":[`+strings.TrimSuffix(strings.Repeat(part+",", n), ",")+`]}`, "")
	}
	return []strictness{
		{"unknown model", chatBody("glm-6", ""), 400, "1211", "Unknown Model", chatBody("glm-5.3", "")},
		{"another vendor's model", chatBody("kimi-k3", ""), 400, "1211", "", chatBody("glm-5.3-flash", "")},
		{"a model of the mainland's", chatBody("glm-4-plus", ""), 400, "1211", "", chatBody("glm-4.5", "")},
		{"window suffix", chatBody("glm-5.3[1m]", ""), 400, "1214", "model", chatBody("glm-5.3", "")},
		{"no model", `{"messages":[` + user + `]}`, 400, "1213", "model", chatBody(glm, "")},
		{"malformed JSON", `{"model":"glm-4.7"`, 400, "1210", "", chatBody(glm, "")},
		{"no object", `[]`, 400, "1210", "", chatBody(glm, "")},
		{"type of temperature", chatBody(glm, `,"temperature":"0.5"`), 400, "1214", "temperature", chatBody(glm, `,"temperature":0.5`)},
		{"no messages", `{"model":"glm-4.7"}`, 400, "1213", "messages", chatBody(glm, "")},
		{"no user message", messages(glm, `{"role":"system","content":"s"}`, ""), 400, "1214", "messages", messages(glm, `{"role":"system","content":"s"},`+user, "")},
		{"role developer", messages(glm, `{"role":"developer","content":"s"},`+user, ""), 400, "1214", "messages", messages(glm, `{"role":"system","content":"s"},`+user, "")},
		{"empty user message", messages(glm, `{"role":"user","content":""}`, ""), 400, "1213", "prompt", messages(glm, `{"role":"user","content":" "}`, "")},
		{
			"tool message without content",
			messages(glm, user+","+call+`,{"role":"tool","tool_call_id":"call_1"}`, ""), 400, "1214", "messages",
			messages(glm, user+","+call+`,{"role":"tool","tool_call_id":"call_1","content":"x"}`, ""),
		},
		{
			"empty tool message",
			messages(glm, user+","+call+`,{"role":"tool","tool_call_id":"call_1","content":""}`, ""), 400, "1214", "messages",
			messages(glm, user+","+call+`,{"role":"tool","tool_call_id":"call_1","content":"x"}`, ""),
		},
		{
			"arguments as an object",
			messages(glm, user+","+strings.Replace(call, `"arguments":"{}"`, `"arguments":{}`, 1)+`,{"role":"tool","tool_call_id":"call_1","content":"x"}`, ""), 400, "1214", "messages",
			messages(glm, user+","+call+`,{"role":"tool","tool_call_id":"call_1","content":"x"}`, ""),
		},
		{
			"tool message without its call",
			messages(glm, user+","+call+`,{"role":"tool","tool_call_id":"call_2","content":"x"}`, ""), 400, "1214", "messages",
			messages(glm, user+","+call+`,{"role":"tool","tool_call_id":"call_1","content":"x"}`, ""),
		},
		{
			"tool call without its answer",
			messages(glm, user+","+call+","+user, ""), 400, "1214", "messages",
			messages(glm, user+","+call+`,{"role":"tool","tool_call_id":"call_1","content":"x"},`+user, ""),
		},
		{
			"tool message of parts",
			messages(glm, user+","+call+`,{"role":"tool","tool_call_id":"call_1","content":[{"type":"text","text":"x"}]}`, ""), 400, "1214", "messages",
			messages(glm, user+","+call+`,{"role":"tool","tool_call_id":"call_1","content":"x"}`, ""),
		},
		{"temperature above 1", chatBody(glm, `,"temperature":1.01`), 400, "1214", "temperature", chatBody(glm, `,"temperature":1`)},
		{"temperature below 0", chatBody(glm, `,"temperature":-0.1`), 400, "1214", "temperature", chatBody(glm, `,"temperature":0`)},
		{"top_p of 0", chatBody(glm, `,"top_p":0`), 400, "1214", "top_p", chatBody(glm, `,"top_p":0.01`)},
		{"max_tokens of 0", chatBody(glm, `,"max_tokens":0`), 400, "1214", "max_tokens", chatBody(glm, `,"max_tokens":1`)},
		{"max_tokens over 131072", chatBody(glm, `,"max_tokens":131073`), 400, "1214", "max_tokens", chatBody(glm, `,"max_tokens":131072`)},
		{"max_tokens over the model's", chatBody("glm-4.5", `,"max_tokens":98305`), 400, "1214", "max_tokens", chatBody("glm-4.5", `,"max_tokens":98304`)},
		{"both limits", chatBody(glm, `,"max_tokens":9,"max_completion_tokens":9`), 400, "1215", "", chatBody(glm, `,"max_completion_tokens":9`)},
		{"5.3 without thinking", chatBody("glm-5.3", `,"thinking":{"type":"disabled"}`), 400, "1210", "", chatBody("glm-5.3", `,"thinking":{"type":"enabled"}`)},
		{"5.3 with effort medium", chatBody("glm-5.3", `,"reasoning_effort":"medium"`), 400, "1210", "", chatBody("glm-5.3", `,"reasoning_effort":"high"`)},
		{"5.3 with effort none", chatBody("glm-5.3-flash", `,"reasoning_effort":"none"`), 400, "1210", "", chatBody("glm-5.3-flash", `,"reasoning_effort":"low"`)},
		{"5.2 without thinking by type", chatBody("glm-5.2", `,"thinking":{"type":"disabled"}`), 400, "1210", "", chatBody("glm-5.2", `,"reasoning_effort":"none"`)},
		{"5.2 with an unknown effort", chatBody("glm-5.2", `,"reasoning_effort":"extreme"`), 400, "1210", "", chatBody("glm-5.1", `,"reasoning_effort":"extreme"`)},
		{"unknown thinking type", chatBody(glm, `,"thinking":{"type":"auto"}`), 400, "1214", "thinking.type", chatBody(glm, `,"thinking":{"type":"disabled"}`)},
		{"more than 128 tools", chatBody(glm, functions(129, "f#")), 400, "1214", "tools", chatBody(glm, functions(128, "f#"))},
		{"function name", chatBody(glm, functions(1, "a.b")), 400, "1214", "name", chatBody(glm, functions(1, "a-b"))},
		{"function name too long", chatBody(glm, functions(1, strings.Repeat("x", 65))), 400, "1214", "name", chatBody(glm, functions(1, strings.Repeat("x", 64)))},
		{
			"function without description",
			chatBody(glm, `,"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]`), 400, "1213", "description",
			chatBody(glm, functions(1, "f")),
		},
		{"tool type", chatBody(glm, `,"tools":[{"type":"builtin_function","function":{"name":"$web_search"}}]`), 400, "1214", "tools.type", chatBody(glm, functions(1, "f"))},
		{"tool of the mainland's", chatBody(glm, `,"tools":[{"type":"mcp","mcp":{}}]`), 400, "1214", "tools.type", chatBody(glm, `,"tools":[{"type":"retrieval","retrieval":{"knowledge_id":"k"}}]`)},
		{"tool without function", chatBody(glm, `,"tools":[{"type":"function"}]`), 400, "1213", "tools.function", chatBody(glm, functions(1, "f"))},
		{
			"function parameters that are no object",
			chatBody(glm, strings.Replace(functions(1, "f"), `{"type":"object"}`, `null`, 1)), 400, "1214", "parameters",
			chatBody(glm, functions(1, "f")),
		},
		{"content part without type", messages(glm, `{"role":"user","content":[{"text":"x"}]}`, ""), 400, "1214", "messages", messages(glm, `{"role":"user","content":[{"type":"text","text":"x"}]}`, "")},
		{"tool_choice none", chatBody(glm, functions(1, "f")+`,"tool_choice":"none"`), 400, "1214", "tool_choice", chatBody(glm, functions(1, "f")+`,"tool_choice":"auto"`)},
		{
			"tool_choice of a function",
			chatBody(glm, functions(1, "f")+`,"tool_choice":{"type":"function","function":{"name":"f"}}`), 400, "1214", "tool_choice",
			chatBody(glm, functions(1, "f")),
		},
		{"tools for a model without", chatBody("autoglm-phone-multilingual", functions(1, "f")), 400, "1212", "", chatBody("autoglm-phone-multilingual", "")},
		{"json_schema", chatBody(glm, `,"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{}}}`), 400, "1214", "response_format", chatBody(glm, `,"response_format":{"type":"json_object"}`)},
		{"stop of two", chatBody(glm, `,"stop":["a","b"]`), 400, "1214", "stop", chatBody(glm, `,"stop":["a"]`)},
		{"stop as string", chatBody(glm, `,"stop":"a"`), 400, "1214", "stop", chatBody(glm, `,"stop":["a"]`)},
		{"user_id too short", chatBody(glm, `,"user_id":"five5"`), 400, "1214", "user_id", chatBody(glm, `,"user_id":"sixsix"`)},
		{"prompt over the window", messages("glm-4.5v", `{"role":"user","content":"`+strings.Repeat("word", 65536)+`"}`, ""), 400, "1261", "", messages("glm-4.5v", `{"role":"user","content":"`+strings.Repeat("word", 60000)+`"}`, "")},
		{"image to a text model", withImage("glm-5.3", "https://example.com/a.png"), 400, "1210", "['text']", withImage("glm-5.3-flash", "https://example.com/a.png")},
		{"image that is no base64", withImage("glm-4.6v", "data:image/png;base64,@@"), 400, "1210", "Image", withImage("glm-4.6v", "data:image/png;base64,"+picture(t, "png", 2))},
		{"image that is a gif", withImage("glm-4.6v", "data:image/gif;base64,"+picture(t, "gif", 2)), 400, "1210", "Image", withImage("glm-4.6v", picture(t, "jpeg", 2))},
		{"image that is broken", withImage("glm-4.6v", picture(t, "png", 2)[:24]), 400, "1210", "Image", withImage("glm-4.6v", picture(t, "png", 2))},
		{"image over 6000 pixels", withImage("glm-4.6v", picture(t, "png", 6001)), 400, "1210", "pixels", withImage("glm-4.6v", picture(t, "png", 6000))},
		{"image of 5 MB", withImage("glm-4.6v", padded(picture(t, "png", 2), 5<<20)), 400, "1210", "size", withImage("glm-4.6v", padded(picture(t, "png", 2), 5<<20-3))},
		{"51 images", many(51), 400, "1210", "number", many(50)},
		{
			"file with image",
			messages("glm-4.6v", `{"role":"user","content":[{"type":"file_url","file_url":{"url":"https://example.com/a.pdf"}},{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}`, ""), 400, "1210", "file_url",
			messages("glm-4.6v", `{"role":"user","content":[{"type":"file_url","file_url":{"url":"https://example.com/a.pdf"}}]}`, ""),
		},
		{"search engine", search(`,"search_engine":"search-prime"`), 400, "1214", "search_engine", search(`,"search_engine":"search_pro_jina"`)},
		{"search recency", search(`,"search_recency_filter":"all"`), 400, "1214", "recency", search(`,"search_recency_filter":"noLimit"`)},
		{"search count", search(`,"count":51`), 400, "1214", "count", search(`,"count":50`)},
		{"search content size", search(`,"content_size":"low"`), 400, "1214", "content_size", search(`,"content_size":"high"`)},
		{"search sequence", search(`,"result_sequence":"first"`), 400, "1214", "result_sequence", search(`,"result_sequence":"before"`)},
		{"bare search tool", chatBody(glm, `,"tools":[{"type":"web_search"}]`), 400, "1213", "web_search", search("")},
		{"search on a vision model", strings.Replace(search(""), glm, "glm-4.6v", 1), 400, "1212", "web_search", search("")},
	}
}

func kimiStrictness(t *testing.T) []strictness {
	const (
		k3, k26, k27 = "kimi-k3", "kimi-k2.6", "kimi-k2.7-code"
		bad          = "invalid_request_error"
		off          = `,"thinking":{"type":"disabled"}`
	)
	call := func(reasoning string) string {
		return `{"role":"assistant","content":""` + reasoning + `,"tool_calls":[{"id":"f:0","type":"function","function":{"name":"fun","arguments":"{}"}}]}`
	}
	thought := call(`,"reasoning_content":"because"`)
	result := func(id string) string { return `{"role":"tool","tool_call_id":"` + id + `","content":"x"}` }
	builtin := `,"tools":[{"type":"builtin_function","function":{"name":"$web_search"}}]`
	return []strictness{
		{"unknown model", chatBody("kimi-k9", ""), 404, "resource_not_found_error", "kimi-k9", chatBody(k3, "")},
		{"retired model", chatBody("kimi-k2-0905-preview", ""), 404, "resource_not_found_error", "", chatBody("kimi-k3.1-pro", "")},
		{"model gone in August", chatBody("kimi-k2.5", ""), 404, "resource_not_found_error", "", chatBody(k26, "")},
		{"no model", `{"messages":[` + user + `]}`, 400, bad, "model", chatBody(k3, "")},
		{"malformed JSON", `{"model":`, 400, bad, "Invalid request", chatBody(k3, "")},
		{"type of max_tokens", chatBody(k3, `,"max_tokens":"5"`), 400, bad, "max_tokens", chatBody(k3, `,"max_tokens":5`)},
		{"no messages", `{"model":"kimi-k3","messages":[]}`, 400, bad, "messages must not be empty", chatBody(k3, "")},
		{"role developer", messages(k3, `{"role":"developer","content":"s"},`+user, ""), 400, bad, "developer", messages(k3, `{"role":"system","content":"s"},`+user, "")},
		{"empty user message", messages(k3, `{"role":"user","content":""}`, ""), 400, bad, "position 0 with role 'user'", messages(k3, `{"role":"user","content":" "}`, "")},
		{"empty assistant message", messages(k3, user+`,{"role":"assistant","content":""},`+user, ""), 400, bad, "position 1 with role 'assistant'", messages(k3, user+`,{"role":"assistant","content":"a"},`+user, "")},
		{"null content", messages(k3, `{"role":"user","content":null}`, ""), 400, bad, "must not be empty", messages(k3, user, "")},
		{"empty array of parts", messages(k3, `{"role":"user","content":[]}`, ""), 400, bad, "must not be empty", messages(k3, `{"role":"user","content":[{"type":"text","text":"x"}]}`, "")},
		{
			"empty tool result",
			messages(k3, user+","+thought+`,{"role":"tool","tool_call_id":"f:0","content":""}`, ""), 400, bad, "position 2 with role 'tool'",
			messages(k3, user+","+thought+","+result("f:0"), ""),
		},
		{"reasoning_content missing", messages(k3, user+","+call("")+","+result("f:0"), ""), 400, bad, "reasoning_content is missing in assistant tool call message at index 1", messages(k3, user+","+thought+","+result("f:0"), "")},
		{"reasoning_content empty", messages(k27, user+","+call(`,"reasoning_content":""`)+","+result("f:0"), ""), 400, bad, "index 1", messages(k26, user+","+call("")+","+result("f:0"), off)},
		{"reasoning_content missing while K2.6 thinks", messages(k26, user+","+call("")+","+result("f:0"), ""), 400, bad, "index 1", messages(k26, user+","+thought+","+result("f:0"), "")},
		{"tool message without its call", messages(k3, user+","+thought+","+result("f:1"), ""), 400, bad, "f:1 is not found", messages(k3, user+","+thought+","+result("f:0"), "")},
		{
			"tool call without its answer",
			messages(k3, user+","+thought+","+user, ""), 400, bad, "f:0",
			messages(k3, user+","+thought+","+result("f:0")+","+thought+","+result("f:0")+","+user, ""), // ids may repeat between turns
		},
		{"temperature of a fixed model", chatBody(k3, `,"temperature":0.3`), 400, bad, "invalid temperature: only 1 is allowed for this model", chatBody(k3, `,"temperature":1`)},
		{"temperature of K2.6 that does not think", chatBody(k26, off+`,"temperature":1`), 400, bad, "only 0.6", chatBody(k26, off+`,"temperature":0.6`)},
		{"top_p of a fixed model", chatBody(k27, `,"top_p":1`), 400, bad, "top_p: only 0.95", chatBody(k27, `,"top_p":0.95`)},
		{"n of a fixed model", chatBody(k3, `,"n":2`), 400, bad, "n: only 1", chatBody(k3, `,"n":1`)},
		{"presence_penalty of a fixed model", chatBody(k3, `,"presence_penalty":0.5`), 400, bad, "presence_penalty", chatBody(k3, `,"presence_penalty":0`)},
		{"frequency_penalty of a fixed model", chatBody(k3, `,"frequency_penalty":-1`), 400, bad, "frequency_penalty", chatBody(k3, "")},
		{"thinking on K3", chatBody(k3, `,"thinking":{"type":"enabled"}`), 400, bad, "thinking", chatBody(k26, `,"thinking":{"type":"enabled"}`)},
		{"thinking off on K2.7", chatBody(k27, off), 400, bad, "thinking", chatBody(k26, off)},
		{"thinking as bool", chatBody(k26, `,"thinking":true`), 400, bad, "thinking", chatBody(k26, `,"thinking":{"type":"disabled"}`)},
		{"thinking.keep", chatBody(k26, `,"thinking":{"type":"enabled","keep":"some"}`), 400, bad, "keep", chatBody(k26, `,"thinking":{"type":"enabled","keep":"all"}`)},
		{"effort on K2.7", chatBody(k27, `,"reasoning_effort":"high"`), 400, bad, "reasoning_effort", chatBody(k3, `,"reasoning_effort":"high"`)},
		{"effort medium on K3.1", chatBody("kimi-k3.1-pro", `,"reasoning_effort":"medium"`), 400, bad, "reasoning_effort", chatBody("kimi-k3.1-pro", `,"reasoning_effort":"max"`)},
		{"thinking and effort", chatBody(k26, off+`,"reasoning_effort":"low"`), 400, bad, "cannot specify both", chatBody(k26, off)},
		{"both limits", chatBody(k3, `,"max_tokens":9,"max_completion_tokens":9`), 400, bad, "max_completion_tokens", chatBody(k3, `,"max_tokens":9`)},
		{"limit of 0", chatBody(k3, `,"max_completion_tokens":0`), 400, bad, "max_completion_tokens", chatBody(k3, `,"max_completion_tokens":1`)},
		{"input and limit over the window", chatBody(k26, `,"max_completion_tokens":262144`), 400, bad, "exceeded model token limit: 262144", chatBody(k26, `,"max_completion_tokens":262000`)},
		{"more than 128 tools", chatBody(k3, functions(129, "fun#")), 400, bad, "128", chatBody(k3, functions(128, "fun#"))},
		{"function name of two letters", chatBody(k3, functions(1, "ab")), 400, bad, "function name is invalid", chatBody(k3, functions(1, "abc"))},
		{"function name with a digit first", chatBody(k3, functions(1, "1abc")), 400, bad, "function name is invalid", chatBody(k3, functions(1, "_abc"))},
		{
			"parameters that are no object",
			chatBody(k3, `,"tools":[{"type":"function","function":{"name":"fun","parameters":{"type":["object","null"]}}}]`), 400, bad, "json schema",
			chatBody(k3, `,"tools":[{"type":"function","function":{"name":"fun","parameters":{"type":"object"}}}]`),
		},
		{"tool type", chatBody(k3, `,"tools":[{"type":"web_search","web_search":{}}]`), 400, bad, "tools", chatBody(k3, functions(1, "fun"))},
		{"built-in search while thinking", chatBody(k26, builtin), 400, bad, "$web_search", chatBody(k26, builtin+off)},
		{"unknown built-in", chatBody(k26, strings.Replace(builtin, "$web_search", "$fly", 1)+off), 400, bad, "$fly", chatBody(k26, builtin+off)},
		{"built-in search with parameters", chatBody(k26, strings.Replace(builtin, `"}`, `","parameters":null}`, 1)+off), 400, bad, "parameters", chatBody(k26, builtin+off)},
		{"tool_choice required while K2.6 thinks", chatBody(k26, functions(1, "fun")+`,"tool_choice":"required"`), 400, bad, "tool_choice 'required' is incompatible", chatBody(k26, functions(1, "fun")+off+`,"tool_choice":"required"`)},
		{"tool_choice required while K2.7 thinks", chatBody(k27, functions(1, "fun")+`,"tool_choice":"required"`), 400, bad, "required", chatBody(k3, functions(1, "fun")+`,"tool_choice":"required"`)},
		{
			"tool_choice of a function while thinking",
			chatBody(k3, functions(1, "fun")+`,"tool_choice":{"type":"function","function":{"name":"fun"}}`), 400, bad, "tool_choice 'specified'",
			chatBody(k26, functions(1, "fun")+off+`,"tool_choice":{"type":"function","function":{"name":"fun"}}`),
		},
		{"json_schema without name", chatBody(k3, `,"response_format":{"type":"json_schema","json_schema":{"schema":{"type":"object"}}}`), 400, bad, "name", chatBody(k3, `,"response_format":{"type":"json_object"}`)},
		{"response_format", chatBody(k3, `,"response_format":{"type":"yaml"}`), 400, bad, "response_format", chatBody(k3, `,"response_format":{"type":"text"}`)},
		{"six stops", chatBody(k3, `,"stop":["a","b","c","d","e","f"]`), 400, bad, "stop", chatBody(k3, `,"stop":["a","b","c","d","e"]`)},
		{"stop of 33 bytes", chatBody(k3, `,"stop":"`+strings.Repeat("x", 33)+`"`), 400, bad, "stop", chatBody(k3, `,"stop":"`+strings.Repeat("x", 32)+`"`)},
		{"cache ttl", chatBody(k3, `,"prompt_cache_options":{"ttl":"2h"}`), 400, bad, "ttl", chatBody(k3, `,"prompt_cache_options":{"ttl":"1h"}`)},
		{"partial in the middle", messages(k3, user+`,{"role":"assistant","content":"a","partial":true},`+user, ""), 400, bad, "partial", messages(k3, user+`,{"role":"assistant","content":"a","partial":true}`, "")},
		{"partial with json_object", messages(k3, user+`,{"role":"assistant","content":"a","partial":true}`, `,"response_format":{"type":"json_object"}`), 400, bad, "partial", messages(k3, user, `,"response_format":{"type":"json_object"}`)},
		{"web address of an image", withImage(k3, "https://example.com/a.png"), 400, bad, "unsupported image url: https://example.com/a.png", withImage(k3, "data:image/png;base64,"+picture(t, "png", 2))},
		{"bare base64", withImage(k3, picture(t, "png", 2)), 400, bad, "unsupported image url", withImage(k3, "data:image/gif;base64,"+picture(t, "gif", 2))},
		{"image under a false type", withImage(k3, "data:image/png;base64,"+picture(t, "gif", 2)), 400, bad, "type", withImage(k3, "data:image/jpeg;base64,"+picture(t, "jpeg", 2))},
		{"ms:// of no file", withImage(k3, "ms://file-none"), 400, bad, "file-none", withImage(k3, "data:image/png;base64,"+picture(t, "png", 2))},
		{"GLM's file part", messages(k3, `{"role":"user","content":[{"type":"file_url","file_url":{"url":"https://example.com/a.pdf"}}]}`, ""), 400, bad, "file_url", messages(k3, user, "")},
	}
}

func TestWhatVendorsRefuse(t *testing.T) {
	for v, table := range map[emulator.Vendor][]strictness{emulator.GLM: glmStrictness(t), emulator.Kimi: kimiStrictness(t)} {
		e := start(t)
		c := to(t, e, v)
		for _, s := range table {
			t.Run(string(v)+"/"+s.rule, func(t *testing.T) {
				e.Forget()
				r := c.post("/chat/completions", s.refused)
				require.Equal(t, s.status, r.status, r.body)
				blame := at(t, decode(t, r.body), "error")
				assert.Contains(t, at(t, blame, "message"), s.says)
				if v == emulator.GLM {
					assert.Equal(t, s.code, at(t, blame, "code"), "the code is a string")
					assert.NotContains(t, blame, "type")
				} else {
					assert.Equal(t, s.code, at(t, blame, "type"))
				}
				// A refusal refuses a stream in the same way, with a status and not in the stream.
				if strings.HasSuffix(s.refused, "}") && len(s.refused) < 1<<20 {
					streamed := c.post("/chat/completions", strings.TrimSuffix(s.refused, "}")+`,"stream":true}`)
					assert.Equal(t, r.body, streamed.body)
					assert.Equal(t, r.status, streamed.status)
				}
				assert.NotEmpty(t, e.Requests()[0].Refused)
				assert.Equal(t, s.status, e.Requests()[0].Status)

				ok := c.post("/chat/completions", s.taken)
				assert.Equal(t, 200, ok.status, ok.body)
			})
		}
	}
}

// padded makes base64 of the image that is n bytes long when decoded, roughly: n is rounded down to a multiple of 3.
func padded(b64 string, n int) string {
	data, err := base64.StdEncoding.DecodeString(b64)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(append(data, make([]byte, n-len(data))...))
}

func TestUnknownParametersAreIgnored(t *testing.T) {
	e := start(t)
	for v, model := range map[emulator.Vendor]string{emulator.GLM: "glm-5.3", emulator.Kimi: "kimi-k3"} {
		r := to(t, e, v).post("/chat/completions", chatBody(model, `,"verbosity":"low","made_up":{"a":[1]}`))
		assert.Equal(t, 200, r.status, r.body)
	}
}

func TestMainlandHasOtherModelsAndEngines(t *testing.T) {
	e := start(t, emulator.MainlandChina())
	c := to(t, e, emulator.GLM)
	assert.Equal(t, 200, c.post("/chat/completions", chatBody("glm-4-plus", "")).status)
	assert.Equal(t, 200, c.post("/web_search", `{"search_engine":"search_std","search_query":"q"}`).status)
	refused := c.request(t.Context(), "POST", "/web_search", `{"search_engine":"search-prime","search_query":"q"}`)
	assert.Equal(t, `{"error":{"code":"1214","message":"search_engine 参数非法。请检查文档。"}}`, c.do(refused).body)
	refused = c.request(t.Context(), "POST", "/web_search", `{"search_engine":"search-prime","search_query":"q"}`)
	refused.Header.Set("Accept-Language", "en-US,en")
	assert.Equal(t, `{"error":{"code":"1214","message":"The search_engine parameter is illegal. Please check the documentation."}}`, c.do(refused).body)
	assert.Equal(t, 200, c.upload("a.bin", "code-interpreter", "x").status)
}

func TestRequestIDsAreUsedOnce(t *testing.T) {
	c := to(t, start(t), emulator.GLM)
	assert.Equal(t, 200, c.post("/chat/completions", chatBody("glm-5.3", `,"request_id":"r-1"`)).status)
	again := c.post("/chat/completions", chatBody("glm-5.3", `,"request_id":"r-1"`))
	assert.Equal(t, 400, again.status)
	assert.Equal(t, "1231", at(t, decode(t, again.body), "error", "code"))
	other := c.post("/web_search", `{"search_engine":"search-prime","search_query":"q","request_id":"r-1"}`)
	assert.Equal(t, "1231", at(t, decode(t, other.body), "error", "code"))
	assert.Equal(t, 200, c.post("/chat/completions", chatBody("glm-5.3", `,"request_id":"r-2"`)).status)
	refused := c.post("/chat/completions", chatBody("glm-6", `,"request_id":"r-3"`))
	assert.Equal(t, 400, refused.status)
	assert.Equal(t, 200, c.post("/chat/completions", chatBody("glm-5.3", `,"request_id":"r-3"`)).status, "a refused request uses up no id")
}

func TestKeys(t *testing.T) {
	e := start(t, emulator.Keys("id.secret", ""))
	for _, tt := range []struct {
		vendor        emulator.Vendor
		authorization string
		status        int
		code          string
	}{
		{emulator.GLM, "", 401, "1001"},
		{emulator.GLM, "id.secret", 401, "1002"},
		{emulator.GLM, "Bearer " + emulator.GLMKey, 401, "401"},
		{emulator.GLM, "Bearer id.secret", 200, ""},
		{emulator.Kimi, "", 401, "incorrect_api_key_error"},
		{emulator.Kimi, "Bearer id.secret", 401, "invalid_authentication_error"},
		{emulator.Kimi, "Bearer " + emulator.KimiKey, 200, ""},
	} {
		c := to(t, e, tt.vendor)
		r := c.request(t.Context(), "GET", "/models", "")
		r.Header.Set("Authorization", tt.authorization)
		if tt.authorization == "" {
			r.Header.Del("Authorization")
		}
		got := c.do(r)
		assert.Equal(t, tt.status, got.status, tt.authorization)
		if tt.code != "" {
			assert.Contains(t, got.body, `"`+tt.code+`"`)
			assert.NotContains(t, got.body, "secret")
		}
	}
	for _, r := range e.Requests() {
		assert.Equal(t, r.Status == 200, r.KeyOK)
		assert.NotContains(t, r.Header.Get("Authorization"), "secret")
	}
}

func TestPathsAndMethods(t *testing.T) {
	e := start(t)
	for _, tt := range []struct {
		vendor       emulator.Vendor
		method, path string
		status       int
		says         string
	}{
		{emulator.GLM, "POST", "/chat/completion", 404, `"Not Found"`},
		{emulator.GLM, "GET", "/chat/completions", 405, `"Method Not Allowed"`},
		{emulator.GLM, "POST", "/users/me/balance", 404, "Not Found"},
		{emulator.GLM, "GET", "/files/abc", 405, "Method Not Allowed"},
		{emulator.Kimi, "POST", "/chat", 404, "url.not_found"},
		{emulator.Kimi, "GET", "/chat/completions", 404, "url.not_found"},
		{emulator.Kimi, "POST", "/web_search", 404, "url.not_found"},
		{emulator.Kimi, "GET", "/formulas/moonshot%2Fweb-search:latest/tools", 404, "Not found the formula"},
		{emulator.Kimi, "GET", "/formulas/moonshot/web-search%3Alatest/tools", 404, "Not found the formula"},
		{emulator.Kimi, "GET", "/formulas/moonshot/web-search:latest/tools", 200, "web_search"},
	} {
		c := to(t, e, tt.vendor)
		got := c.do(c.request(t.Context(), tt.method, tt.path, "{}"))
		assert.Equal(t, tt.status, got.status, tt.method+" "+tt.path)
		assert.Contains(t, got.body, tt.says, tt.path)
	}
}

func TestContentTypeIsWanted(t *testing.T) {
	e := start(t)
	for _, v := range []emulator.Vendor{emulator.GLM, emulator.Kimi} {
		c := to(t, e, v)
		r := c.request(t.Context(), "POST", "/chat/completions", chatBody("glm-5.3", ""))
		r.Header.Del("Content-Type")
		got := c.do(r)
		assert.Equal(t, 400, got.status)
		assert.Contains(t, got.body, "Content-Type")
	}
}

func TestUnpaidAccounts(t *testing.T) {
	e := start(t, emulator.Balance(emulator.GLM, 0), emulator.Balance(emulator.Kimi, -1))
	g := to(t, e, emulator.GLM).post("/chat/completions", chatBody("glm-5.3", ""))
	assert.Equal(t, 429, g.status)
	assert.Equal(t, "1113", at(t, decode(t, g.body), "error", "code"))
	k := to(t, e, emulator.Kimi).post("/chat/completions", chatBody("kimi-k3", ""))
	assert.Equal(t, 429, k.status)
	assert.Equal(t, "exceeded_current_quota_error", at(t, decode(t, k.body), "error", "type"))
	assert.Equal(t, -1.0, at(t, decode(t, to(t, e, emulator.Kimi).get("/users/me/balance").body), "data", "available_balance"))
}

func TestModelsThatTheKeyCannotSee(t *testing.T) {
	e := start(t, emulator.Models("kimi-k3", "glm-5.3"))
	k := to(t, e, emulator.Kimi)
	assert.Equal(t, 404, k.post("/chat/completions", chatBody("kimi-k2.6", "")).status)
	assert.Equal(t, 200, k.post("/chat/completions", chatBody("kimi-k3", "")).status)
	rows, ok := at(t, decode(t, k.get("/models").body), "data").([]any)
	require.True(t, ok)
	require.Len(t, rows, 1)
	assert.Equal(t, map[string]any{
		"id": "kimi-k3", "object": "model", "created": 1761955200.0, "owned_by": "moonshot", "context_length": 1048576.0,
		"supports_image_in": true, "supports_video_in": true, "supports_reasoning": true,
	}, rows[0])
	assert.NotContains(t, to(t, e, emulator.GLM).get("/models").body, "kimi")
}
