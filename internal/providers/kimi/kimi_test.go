package kimi

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

func newAt(t *testing.T, url string) *Provider {
	t.Helper()
	p, err := New(Options{
		Vendor:   config.Vendor{APIKey: "sk-0123456789abcdef", APIURL: url},
		Timeouts: config.TimeoutConfig{Connect: 5 * time.Second},
	})
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

func k3() providers.Model {
	return providers.Model{
		ID: "kimi-k3.1-pro", Thinking: providers.Thinking{Always: true, Efforts: []string{"low", "high", "max"}},
		ToolChoices: []string{"auto", "none", "required", "function"}, JSONObject: true,
	}
}

func TestRequest(t *testing.T) {
	warm := 0.7
	body, err := newAt(t, "").Payload(providers.ChatRequest{
		Model: k3(),
		Messages: []providers.Message{
			{Role: providers.RoleUser, Content: "hello"},
			{Role: providers.RoleAssistant, Content: " \n"},
			{Role: providers.RoleAssistant, Reasoning: "hm", ToolCalls: []providers.ToolCall{{ID: "f:0", Name: "f", Arguments: `{"a":1}`}}},
			{Role: providers.RoleTool, ToolCallID: "f:0", Name: "f"},
			{Role: providers.RoleAssistant, Content: "from another vendor", ToolCalls: []providers.ToolCall{{ID: "f:1", Name: "f"}}},
		},
		Temperature: &warm, Thinking: providers.ThinkingSwitch{Effort: "high"}, MaxOutputTokens: 32_768, CacheKey: "conversation-1", JSONObject: true,
	})
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"model":"kimi-k3.1-pro","stream":true,"stream_options":{"include_usage":true},"max_completion_tokens":32768,
		"reasoning_effort":"high","prompt_cache_key":"conversation-1","response_format":{"type":"json_object"},
		"messages":[
			{"role":"user","content":"hello"},
			{"role":"assistant","content":"(empty)"},
			{"role":"assistant","reasoning_content":"hm","tool_calls":[{"id":"f:0","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
			{"role":"tool","tool_call_id":"f:0","name":"f","content":"(empty)"},
			{"role":"assistant","content":"from another vendor","reasoning_content":".","tool_calls":[{"id":"f:1","type":"function","function":{"name":"f","arguments":"{}"}}]}]
	}`, string(body))
}

func TestOldModelsTakeATemperatureOfZero(t *testing.T) {
	cold := 0.0
	req := providers.ChatRequest{
		Model: providers.Model{ID: "moonshot-v1-8k", Temperature: &providers.Range{Max: 1}}, Temperature: &cold,
		Messages: []providers.Message{{Role: providers.RoleAssistant, ToolCalls: []providers.ToolCall{{ID: "f:0", Name: "f"}}}},
	}
	body, err := newAt(t, "").Payload(req)
	require.NoError(t, err)
	assert.JSONEq(t, `{"model":"moonshot-v1-8k","stream":true,"stream_options":{"include_usage":true},"temperature":0,"prompt_cache_key":"e3b0c44298fc1c149afbf4c8996fb924",
		"messages":[{"role":"assistant","tool_calls":[{"id":"f:0","type":"function","function":{"name":"f","arguments":"{}"}}]}]}`, string(body))
}

func TestANamedFunction(t *testing.T) {
	toggle := providers.Model{
		ID: "kimi-k2.6", Thinking: providers.Thinking{Toggle: true}, ToolChoices: []string{"auto", "none", "function"},
	}
	both := []string{"f", "g"}
	const named, unknown = `{"type":"function","function":{"name":"g"}}`, `{"type":"function","function":{"name":"h"}}`
	for name, tc := range map[string]struct {
		model  providers.Model
		think  providers.ThinkingSwitch
		choice string
		want   string
		tools  []string
	}{
		"thinking, required taken":     {k3(), providers.ThinkingSwitch{Effort: "low"}, named, `"required"`, []string{"g"}},
		"thinking, required not taken": {toggle, providers.ThinkingSwitch{Type: "enabled"}, named, `"auto"`, both},
		"not thinking":                 {toggle, providers.ThinkingSwitch{Type: "disabled"}, named, named, both},
		"a function that is not there": {k3(), providers.ThinkingSwitch{}, unknown, `"auto"`, both},
		"a word":                       {k3(), providers.ThinkingSwitch{}, `"required"`, `"required"`, both},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := newAt(t, "").Payload(providers.ChatRequest{
				Model: tc.model, Thinking: tc.think, ToolChoice: json.RawMessage(tc.choice),
				Functions: []providers.Function{{Name: "f"}, {Name: "g"}},
			})
			require.NoError(t, err)
			var sent struct {
				Choice json.RawMessage `json:"tool_choice"`
				Tools  []struct{ Function struct{ Name string } }
			}
			require.NoError(t, json.Unmarshal(body, &sent))
			assert.JSONEq(t, tc.want, string(sent.Choice))
			var names []string
			for _, tool := range sent.Tools {
				names = append(names, tool.Function.Name)
			}
			assert.Equal(t, tc.tools, names)
		})
	}
}

func TestModelList(t *testing.T) {
	server := answering(t, `{"data":[{"id":"kimi-k9","context_length":2097152,"supports_image_in":true,"supports_reasoning":true},{"id":"moonshot-v1-8k","context_length":8192}]}`)
	models, err := newAt(t, server).ListModels(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []providers.Model{
		{ID: "kimi-k9", Provider: "kimi", ContextWindow: 2097152, Images: true, Thinking: providers.Thinking{Always: true}},
		{ID: "moonshot-v1-8k", Provider: "kimi", ContextWindow: 8192},
	}, models)
}

func TestCurrencyOfTheMainland(t *testing.T) {
	p := newAt(t, "https://api.moonshot.cn/v1")
	assert.Equal(t, "CNY", p.currency())
	assert.Equal(t, "USD", newAt(t, "").currency())
}

func TestBalanceOfAnErrorUnder200(t *testing.T) {
	server := answering(t, `{"code":5,"msg":"no","status":false,"data":{}}`)
	_, err := newAt(t, server).Balance(t.Context())
	var e *providers.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, providers.KindProviderError, e.Kind)
}

func TestClassify(t *testing.T) {
	for _, tc := range []struct {
		fault openaicompat.Fault
		kind  providers.Kind
	}{
		{openaicompat.Fault{Type: "invalid_request_error", Message: "model max length exceeded, max length:8192"}, providers.KindContextLength},
		{openaicompat.Fault{Type: "invalid_request_error", Message: "File size is too large, max file size is 100MB"}, providers.KindTooLarge},
		{openaicompat.Fault{Code: "content_filter"}, providers.KindContentFiltered},
		{openaicompat.Fault{Type: "resource_not_found_error", Op: "extracting text"}, providers.KindInvalidRequest},
		{openaicompat.Fault{Type: "something_new"}, ""},
		{openaicompat.Fault{Type: "invalid_request_error", Status: 400}, providers.KindInvalidRequest},
		{openaicompat.Fault{Type: "invalid_request_error", Status: 422}, providers.KindInvalidRequest},
		{openaicompat.Fault{Type: "invalid_request_error", Status: 200}, providers.KindInvalidRequest},
		{openaicompat.Fault{Type: "invalid_request_error", Status: 401}, ""},
		{openaicompat.Fault{Type: "invalid_request_error", Status: 429}, ""},
		{openaicompat.Fault{Type: "invalid_request_error", Status: 500}, ""},
	} {
		assert.Equal(t, tc.kind, classify(tc.fault).Kind, "%+v", tc.fault)
	}
	full := classify(openaicompat.Fault{Type: "invalid_request_error", Message: "exceeded the max file count 1000"})
	assert.Contains(t, full.Hint, "delete")
}

func TestBadAddress(t *testing.T) {
	_, err := New(Options{Vendor: config.Vendor{APIURL: "nowhere"}})
	require.ErrorContains(t, err, "KIMI_API_URL")
}

// answering is the address of a server that gives one answer to everything.
func answering(t *testing.T, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
	t.Cleanup(server.Close)
	return server.URL
}

func TestSearchTakesTheCheaperEndpointThatWillDo(t *testing.T) {
	var path string
	var sent map[string]any
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, sent = r.URL.Path, nil
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&sent))
		_, _ = io.WriteString(w, `{"search_results":[{"title":"T","url":"https://a.test/","snippet":"s","chunks":[{"text":"one"},{"text":"two"}]},{"title":"U","snippet":"s"}]}`)
	}))
	t.Cleanup(server.Close)
	p := newAt(t, server.URL)
	plain, err := p.Search(t.Context(), providers.SearchQuery{Query: "go", Count: 99})
	require.NoError(t, err)
	assert.Equal(t, "/tools/search", path)
	assert.Equal(t, map[string]any{"text_query": "go", "limit": 20.0, "include_content": true}, sent)
	assert.Equal(t, 0.002, plain.CostUSD)
	assert.Equal(t, "one\ntwo", plain.Hits[0].Content)
	assert.Equal(t, "s", plain.Hits[1].Content, "the snippet where there is nothing longer")

	pro, err := p.Search(t.Context(), providers.SearchQuery{Query: "go", DomainFilter: "go.dev"})
	require.NoError(t, err)
	assert.Equal(t, "/tools/search_pro", path)
	assert.Equal(t, []any{"go.dev"}, sent["sites"])
	assert.Equal(t, 0.003, pro.CostUSD)
	_, err = p.Search(t.Context(), providers.SearchQuery{Query: "go", Recency: "oneDay"})
	require.NoError(t, err)
	assert.Equal(t, "/tools/search_pro", path)
	assert.Contains(t, sent, "time_window")
}

func TestStartOf(t *testing.T) {
	now := time.Date(2026, 3, 1, 1, 0, 0, 0, time.FixedZone("", 7200))
	for word, want := range map[string]string{
		"oneDay": "2026-02-27", "oneWeek": "2026-02-21", "oneMonth": "2026-01-28", "oneYear": "2025-02-28",
		"": "", "noLimit": "", "all": "",
	} {
		start, ok := startOf(word, now)
		assert.Equal(t, want, start, word)
		assert.Equal(t, want != "", ok, word)
	}
}

func TestKimiCodeCannotSearch(t *testing.T) {
	assert.False(t, newAt(t, "https://api.kimi.com/coding/v1").CanSearch())
	assert.True(t, newAt(t, "https://api.moonshot.cn/v1").CanSearch())
}

func TestClassifyPlans(t *testing.T) {
	for _, tc := range []struct {
		fault openaicompat.Fault
		kind  providers.Kind
		says  string // in the message or the hint
	}{
		{openaicompat.Fault{Status: 403, Type: "permission_error", Message: "You've reached your usage limit for this billing cycle."}, providers.KindRateLimited, "quota"},
		{openaicompat.Fault{Status: 403, Type: "access_terminated_error", Message: "Weekly limit reached"}, providers.KindRateLimited, "reset"},
		{openaicompat.Fault{Status: 403, Type: "permission_error", Message: "quota exceeded"}, providers.KindRateLimited, "quota"},
		{openaicompat.Fault{Status: 429, Type: "rate_limit_reached_error", Message: "usage limit reached"}, providers.KindRateLimited, "quota"},
		{openaicompat.Fault{Status: 403, Type: "access_terminated_error", Message: "only available for Coding Agents such as X"}, providers.KindAuth, "https://api.moonshot.ai/v1"},
		{openaicompat.Fault{Status: 403, Type: "exceeded_current_quota_error", Message: "account is not active, check your quota"}, providers.KindBalance, ""},
		{openaicompat.Fault{Status: 403, Type: "permission_denied_error", Message: "no"}, providers.KindAuth, "permission"},
		{openaicompat.Fault{Status: 403, Type: "permission_denied_error", Message: "no quota page for you"}, providers.KindAuth, "permission"},
		{openaicompat.Fault{Status: 400, Type: "invalid_request_error", Message: "the usage limit parameter"}, providers.KindInvalidRequest, ""},
	} {
		v := classify(tc.fault)
		assert.Equal(t, tc.kind, v.Kind, tc.fault.Message)
		assert.False(t, v.Retry, tc.fault.Message)
		assert.Contains(t, v.Message+v.Hint, tc.says, tc.fault.Message)
	}
	for _, want := range []string{"Top up", "region", "api.moonshot.cn", "api.kimi.com/coding/v1", "coding agents"} {
		assert.Contains(t, hints[providers.KindBalance], want)
	}
}
