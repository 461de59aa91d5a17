package openaicompat

import (
	"encoding/json"
	"io"
	"math"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

func TestWireSaysWhatBothVendorsWriteAlike(t *testing.T) {
	c := serve(t, nil)
	req := question()
	req.Model.ToolChoices = []string{"auto", "required"}
	req.Thinking = providers.ThinkingSwitch{Type: "disabled", Effort: "low"}
	req.JSONObject = true
	req.ToolChoice = json.RawMessage(`"required"`)
	req.Functions = []providers.Function{
		{Name: "f", Description: "does f", Parameters: json.RawMessage(`{"type":"object","properties":{"z":{"maximum":12345678901234567890},"a":{}}}`)},
		{Name: "g"},
	}
	req.Messages = []providers.Message{
		{Role: providers.RoleSystem, Content: "be brief"},
		{Role: providers.RoleUser, Content: "what is it?", Images: []providers.Image{{MIME: "image/png", Data: []byte("png")}}},
		{
			Role: providers.RoleAssistant, Reasoning: "hm",
			ToolCalls: []providers.ToolCall{{ID: "f:0", Name: "f", Arguments: " "}},
		},
		{Role: providers.RoleTool, ToolCallID: "f:0", Name: "f", Content: "42"},
		{Role: providers.RoleAssistant, Content: "It is 42.", Reasoning: "not sent again"},
	}
	body, err := c.Payload(req)
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"model":"glm-x","stream":true,"stream_options":{"include_usage":true},"thinking":{"type":"disabled"},"reasoning_effort":"low",
		"response_format":{"type":"json_object"},"tool_choice":"required",
		"tools":[
			{"type":"function","function":{"name":"f","description":"does f","parameters":{"type":"object","properties":{"z":{"maximum":12345678901234567890},"a":{}}}}},
			{"type":"function","function":{"name":"g","parameters":{"type":"object","properties":{}}}}],
		"messages":[
			{"role":"system","content":"be brief"},
			{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,cG5n"}},{"type":"text","text":"what is it?"}]},
			{"role":"assistant","reasoning_content":"hm","tool_calls":[{"id":"f:0","type":"function","function":{"name":"f","arguments":"{}"}}]},
			{"role":"tool","tool_call_id":"f:0","name":"f","content":"42"},
			{"role":"assistant","content":"It is 42."}]
	}`, string(body))
	assert.Contains(t, string(body), "12345678901234567890", "numbers survive to the digit")
	assert.Contains(t, string(body), `{"z":{"maximum":12345678901234567890},"a":{}}`, "order inside of schemas survives")
}

func TestWireSendsWhatGoOpenAILeavesOut(t *testing.T) {
	c := serve(t, nil, func(o *Options) {
		o.Dialect.Shape = func(_ providers.ChatRequest, w *Wire) {
			w.Set("temperature", 0)
			w.Set("do_sample", false)
			w.SetInMessage(0, "content", "")
			w.SetInMessage(0, "partial", true)
		}
	})
	req := question()
	req.Messages[0].Content = ""
	body, err := c.Payload(req)
	require.NoError(t, err)
	assert.JSONEq(t, `{"model":"glm-x","stream":true,"stream_options":{"include_usage":true},"temperature":0,"do_sample":false,
		"messages":[{"role":"user","content":"","partial":true}]}`, string(body))
}

func TestWireDropsRefusedParametersButNotTheRequestItself(t *testing.T) {
	c := serve(t, nil, func(o *Options) {
		o.Dialect.Shape = func(_ providers.ChatRequest, w *Wire) { w.Set("temperature", 1); w.Set("max_tokens", 5) }
	})
	req := question()
	req.Drop = []string{"temperature", "max_tokens", "messages", "model", "stream", "unknown"}
	body, err := c.Payload(req)
	require.NoError(t, err)
	assert.JSONEq(t, `{"model":"glm-x","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hello"}]}`, string(body))
}

func TestToolChoice(t *testing.T) {
	functions := []providers.Function{{Name: "f"}}
	for name, tc := range map[string]struct {
		choice string
		takes  []string
		want   string // of tool_choice; "" when no tools go at all
	}{
		"auto where there are tools":       {"", nil, `"auto"`},
		"as the caller wrote it":           {`"required"`, []string{"required"}, `"required"`},
		"one that the model does not take": {`"required"`, []string{"auto"}, `"auto"`},
		"one function":                     {`{"type":"function","function":{"name":"f"}}`, []string{"function"}, `{"type":"function","function":{"name":"f"}}`},
		"one function, not taken":          {`{"type":"function","function":{"name":"f"}}`, nil, `"auto"`},
		"none, taken":                      {`"none"`, []string{"none"}, `"none"`},
		"none, not taken":                  {`"none"`, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			req := question()
			req.Functions, req.ToolChoice, req.Model.ToolChoices = functions, json.RawMessage(tc.choice), tc.takes
			body, err := serve(t, nil).Payload(req)
			require.NoError(t, err)
			var sent struct {
				Choice json.RawMessage   `json:"tool_choice"`
				Tools  []json.RawMessage `json:"tools"`
			}
			require.NoError(t, json.Unmarshal(body, &sent))
			assert.Equal(t, tc.want, string(sent.Choice))
			assert.Equal(t, tc.want != "", len(sent.Tools) == 1)
		})
	}
}

func TestTemperature(t *testing.T) {
	unit := &providers.Range{Min: 0, Max: 1}
	at := func(v float64) *float64 { return &v }
	for _, tc := range []struct {
		wish *float64
		in   *providers.Range
		want float64
		ok   bool
	}{
		{nil, unit, 0, false},
		{at(.5), nil, 0, false},
		{at(math.NaN()), unit, 0, false},
		{at(0), unit, 0, true},
		{at(-3), unit, 0, true},
		{at(1.7), unit, 1, true},
		{at(math.Inf(1)), unit, 1, true},
		{at(.123456), unit, .12, true},
	} {
		got, ok := Temperature(providers.ChatRequest{Temperature: tc.wish, Model: providers.Model{Temperature: tc.in}})
		assert.Equal(t, tc.ok, ok)
		assert.Equal(t, tc.want, got)
	}
}

func TestOutputCap(t *testing.T) {
	for _, tc := range []struct{ wish, model, vendor, want int }{
		{0, 100, 100, 0}, {50, 0, 0, 50}, {50, 40, 0, 40}, {50, 0, 30, 30}, {50, 40, 30, 30}, {-1, 0, 0, 0},
	} {
		req := providers.ChatRequest{MaxOutputTokens: tc.wish, Model: providers.Model{MaxOutput: tc.model}}
		assert.Equal(t, tc.want, OutputCap(req, tc.vendor), "%+v", tc)
	}
}

func TestPayloadIsWhatChatSends(t *testing.T) {
	var sent []byte
	var got *http.Request
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		sent, _ = io.ReadAll(r.Body)
		stream(say("hi"), stop, done)(w, r)
	}, func(o *Options) {
		o.Dialect.Header = http.Header{"Accept-Language": {"en-US,en"}}
		o.Dialect.Shape = func(_ providers.ChatRequest, w *Wire) {
			w.Set("temperature", 0)
			w.SetInMessage(0, "extra", "<&>")
		}
	})
	req := question()
	req.Functions = []providers.Function{{Name: "f", Parameters: json.RawMessage(`{"type":"object"}`)}}
	_, err := c.Chat(t.Context(), req, nil)
	require.NoError(t, err)
	want, err := c.Payload(req)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(sent))
	assert.Equal(t, int64(len(sent)), got.ContentLength)
	assert.Equal(t, "/v1/chat/completions", got.URL.Path)
	assert.Equal(t, "Bearer "+testKey, got.Header.Get("Authorization"))
	assert.Equal(t, "exai-mcp/1.2.3", got.UserAgent())
	assert.Empty(t, got.Header.Get("Accept-Encoding"), "a compressed stream may be held back")
	assert.Equal(t, "en-US,en", got.Header.Get("Accept-Language"))
}

func TestParametersThatAreNoSchema(t *testing.T) {
	req := question()
	req.Functions = []providers.Function{{Name: "f", Parameters: json.RawMessage(`{`)}}
	c := serve(t, stream(done))
	_, err := c.Payload(req)
	refused(t, err, providers.KindInvalidRequest)
	_, _, err = c.Conversation(req)
	refused(t, err, providers.KindInvalidRequest)
	_, err = c.Chat(t.Context(), req, nil)
	e := refused(t, err, providers.KindInvalidRequest)
	assert.False(t, e.Retry)
}

func TestBaseURL(t *testing.T) {
	for pasted, want := range map[string]string{
		"https://api.z.ai/api/paas/v4":                   "https://api.z.ai/api/paas/v4",
		" https://api.z.ai/api/paas/v4// ":               "https://api.z.ai/api/paas/v4",
		"https://api.z.ai/api/paas/v4/chat/completions":  "https://api.z.ai/api/paas/v4",
		"https://api.z.ai/api/paas/v4/chat/completions/": "https://api.z.ai/api/paas/v4",
	} {
		got, host, err := normalise(pasted)
		require.NoError(t, err)
		assert.Equal(t, want, got)
		assert.Equal(t, "api.z.ai", host)
	}
	for _, bad := range []string{"", "api.z.ai/v4", "ftp://api.z.ai", "https://", "https://a.b/v1?key=SecretHalf1", "http://user:SecretHalf1@ bad/"} {
		_, err := New(Options{Dialect: Dialect{Name: "glm"}, BaseURL: bad})
		require.ErrorContains(t, err, "GLM_API_URL")
		assert.NotContains(t, err.Error(), "SecretHalf1")
	}
}

func TestNoKeyNoRequest(t *testing.T) {
	c := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }, func(o *Options) { o.Key = "" })
	_, err := c.Chat(t.Context(), question(), nil)
	refused(t, err, providers.KindNotConfigured)
	refused(t, c.JSON(t.Context(), Request{Op: "x", Method: http.MethodGet, Path: "/x"}, nil), providers.KindNotConfigured)
}

// What a vendor wants back within a function loop comes out of the answer and goes into the next request as it was.
func TestVendorFieldsGoBackUnchanged(t *testing.T) {
	var sent map[string]any
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		sent = nil
		_ = json.NewDecoder(r.Body).Decode(&sent)
		stream(
			`data: {"choices":[{"delta":{"reasoning":"hm","reasoning_details":[{"text":"a<b"}],"unknown":[1]}}]}`,
			`data: {"choices":[{"delta":{"reasoning_details":[{"signature":"s=="}]}}]}`,
			`data: {"choices":[{"delta":{"reasoning_details":null,"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"x"}}}]}}]}`,
			stop, done,
		)(w, r)
	}, func(o *Options) {
		o.Dialect.ReasoningField, o.Dialect.Returned, o.Dialect.NoStreamOptions = "reasoning", []string{"reasoning_details", "extra_content"}, true
	})
	resp, err := c.Chat(t.Context(), question(), nil)
	require.NoError(t, err)
	assert.Equal(t, "hm", resp.Reasoning)
	req := question()
	req.Messages = append(req.Messages,
		providers.Message{Role: providers.RoleAssistant, Reasoning: resp.Reasoning, ToolCalls: resp.ToolCalls, VendorFields: resp.VendorFields},
		providers.Message{Role: providers.RoleTool, ToolCallID: "a", Content: "1"})
	_, err = c.Chat(t.Context(), req, nil)
	require.NoError(t, err)
	assert.NotContains(t, sent, "stream_options")
	assert.Equal(t, map[string]any{
		"role": "assistant", "reasoning": "hm",
		"reasoning_details": []any{map[string]any{"text": "a<b"}, map[string]any{"signature": "s=="}},
		"tool_calls": []any{map[string]any{
			"id": "a", "type": "function", "function": map[string]any{"name": "f", "arguments": "{}"},
			"extra_content": map[string]any{"google": map[string]any{"thought_signature": "x"}},
		}},
	}, sent["messages"].([]any)[1])

	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		sent = nil
		_ = json.NewDecoder(r.Body).Decode(&sent)
		stream(say("ok"), stop, done)(w, r)
	})
	_, err = other.Chat(t.Context(), req, nil)
	require.NoError(t, err)
	assert.NotContains(t, sent["messages"].([]any)[1], "reasoning_details", "another vendor's fields are not sent")
}
