package glm

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

// newAt makes a Provider at a base URL.
func newAt(t *testing.T, url string, search config.GLMSearch) *Provider {
	t.Helper()
	p, err := New(Options{
		Vendor:   config.Vendor{APIKey: "0123456789.abcdefgh", APIURL: url},
		Timeouts: config.TimeoutConfig{Connect: 5 * time.Second},
	}, search)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

func TestRequest(t *testing.T) {
	p := newAt(t, "", config.GLMSearch{Count: 5, Recency: "oneWeek", DomainFilter: "go.dev"})
	warm := 0.72345
	body, err := p.Payload(providers.ChatRequest{
		Model: providers.Model{
			ID: "glm-5.1", Temperature: &providers.Range{Max: 1}, JSONObject: true, NativeSearch: true, MaxOutput: 200_000,
		},
		Messages: []providers.Message{
			{Role: providers.RoleUser, Content: "look it up"},
			{Role: providers.RoleAssistant, ToolCalls: []providers.ToolCall{{ID: "c1", Name: "f"}}},
			{Role: providers.RoleTool, ToolCallID: "c1", Name: "f"},
		},
		Temperature: &warm, Thinking: providers.ThinkingSwitch{Type: "enabled"}, MaxOutputTokens: 1_000_000,
		Functions: []providers.Function{{Name: "f"}}, NativeSearch: true, JSONObject: true, CacheKey: "not for GLM",
	})
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"model":"glm-5.1","stream":true,"stream_options":{"include_usage":true},"max_tokens":131072,"temperature":0.72,"thinking":{"type":"enabled","clear_thinking":false},
		"response_format":{"type":"json_object"},"tool_stream":true,"tool_choice":"auto",
		"tools":[
			{"type":"function","function":{"name":"f","description":"f","parameters":{"type":"object","properties":{}}}},
			{"type":"web_search","web_search":{"enable":true,"search_engine":"search_pro_jina","search_recency_filter":"oneWeek",
			 "search_domain_filter":"go.dev","count":5,"content_size":"medium","result_sequence":"after","search_result":true}}],
		"messages":[
			{"role":"user","content":"look it up"},
			{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},
			{"role":"tool","tool_call_id":"c1","content":"(no result)"}]
	}`, string(body))
}

func TestTemperatureOfZeroIsGreedy(t *testing.T) {
	p, cold := newAt(t, "", config.GLMSearch{}), 0.0
	body, err := p.Payload(providers.ChatRequest{Model: providers.Model{ID: "glm-4.5", Temperature: &providers.Range{Max: 1}}, Temperature: &cold})
	require.NoError(t, err)
	assert.JSONEq(t, `{"model":"glm-4.5","stream":true,"stream_options":{"include_usage":true},"do_sample":false,"messages":[]}`, string(body))
}

func TestVersion(t *testing.T) {
	for id, want := range map[string]float64{
		"glm-5.3-flash": 5.3, "glm-5v-turbo": 5, "glm-4.6": 4.6, "GLM-4.5-air": 4.5, "glm-4-plus": 4,
		"glm-z1-air": 0, "autoglm-phone": 0, "glm-": 0, "glm-6.": 6, "glm-10.05-air": 10.05, "glm-9.9x": 9.9, "glm-1.2.3": 0, "inf": 0,
	} {
		assert.Equal(t, want, version(id), id)
	}
}

func TestTokenizerModel(t *testing.T) {
	assert.Equal(t, "glm-4.6", tokenizerModel(providers.Model{ID: "glm-5.3"}))
	assert.Equal(t, "glm-4.5", tokenizerModel(providers.Model{ID: "glm-4.5-air"}))
	assert.Equal(t, "glm-4.6v", tokenizerModel(providers.Model{ID: "glm-5v-turbo", Images: true}))
}

func TestSearchEngines(t *testing.T) {
	const china = "https://open.bigmodel.cn/api/paas/v4"
	for name, tc := range map[string]struct{ url, set, endpoint, chat string }{
		"z.ai":                       {"", "", "search-prime", "search_pro_jina"},
		"z.ai, its default set":      {"", "search-prime", "search-prime", "search_pro_jina"},
		"z.ai, a chat engine set":    {"", "search_pro_jina", "search_pro_jina", "search_pro_jina"},
		"mainland":                   {china, "", "search_pro", "search_pro"},
		"mainland, z.ai's default":   {china, "search-prime", "search_pro", "search_pro"},
		"mainland, one of its own":   {china, "search_std", "search_std", "search_std"},
		"mainland's coding endpoint": {"https://open.bigmodel.cn/api/coding/paas/v4", "", "search_pro", "search_pro"},
		"a gateway":                  {"http://127.0.0.1:8080/v4", "", "search-prime", "search_pro_jina"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newAt(t, tc.url, config.GLMSearch{Engine: tc.set})
			assert.Equal(t, tc.endpoint, p.endpointEngine(tc.set))
			assert.Equal(t, tc.chat, p.chatEngine())
		})
	}
}

func TestSearchQuery(t *testing.T) {
	var sent map[string]any
	var language string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, language = nil, r.Header.Get("Accept-Language")
		_ = json.NewDecoder(r.Body).Decode(&sent)
		_, _ = io.WriteString(w, `{"id":"1","search_result":[{"title":"T","publish_date":null}]}`)
	}))
	defer server.Close()
	p := newAt(t, server.URL, config.GLMSearch{Engine: "search-prime", Count: 20, Recency: "all", DomainFilter: "go.dev", AcceptLanguage: "de"})
	got, err := p.Search(t.Context(), providers.SearchQuery{Query: "q"})
	require.NoError(t, err)
	assert.Equal(t, []providers.SearchHit{{Title: "T"}}, got.Hits)
	assert.JSONEq(t, `{"id":"1","search_result":[{"title":"T","publish_date":null}]}`, string(got.Raw))
	assert.Equal(t, map[string]any{
		"search_query": "q", "search_engine": "search-prime", "count": 20.0, "search_recency_filter": "noLimit", "search_domain_filter": "go.dev",
	}, sent)
	assert.Equal(t, "de", language)

	_, err = p.Search(t.Context(), providers.SearchQuery{
		Query: "q", Engine: "e", Count: 51, Recency: "oneDay", DomainFilter: "d", ContentSize: "high", RequestID: "r", UserID: "user-1",
	})
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"search_query": "q", "search_engine": "e", "count": 50.0, "search_recency_filter": "oneDay", "search_domain_filter": "d",
		"content_size": "high", "request_id": "r", "user_id": "user-1",
	}, sent, "what the query says comes before what is configured")
}

// A search is billed by itself at Z.ai, the ones that a model makes inside a chat too.
func TestSearchesCost(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/web_search") {
			_, _ = io.WriteString(w, `{"search_result":[]}`)
			return
		}
		body, _ := io.ReadAll(r.Body)
		pages := ""
		if strings.Contains(string(body), "look it up") {
			pages = `,"web_search":[{"title":"T","link":"https://a.test"}]`
		}
		_, _ = io.WriteString(w, `data: {"choices":[{"delta":{"content":"ok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}`+pages+"}\n\ndata: [DONE]\n\n")
	}))
	defer s.Close()
	p := newAt(t, s.URL, config.GLMSearch{})
	found, err := p.Search(t.Context(), providers.SearchQuery{Query: "x"})
	require.NoError(t, err)
	assert.Equal(t, 0.01, found.CostUSD)
	for text, want := range map[string]float64{"look it up": 0.01, "you know it": 0} {
		resp, err := p.Chat(t.Context(), providers.ChatRequest{
			Model: providers.Model{ID: "glm-5.1"}, Messages: []providers.Message{{Role: providers.RoleUser, Content: text}},
		}, nil)
		require.NoError(t, err)
		assert.Equal(t, want, resp.Usage.CostUSD, text)
		assert.True(t, resp.UsageKnown)
	}
	assert.Zero(t, newAt(t, "https://open.bigmodel.cn/api/paas/v4", config.GLMSearch{}).searchPrice(), "billed in CNY")
}

func TestNoModelListIsAnEmptyOne(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	models, err := newAt(t, server.URL, config.GLMSearch{}).ListModels(t.Context())
	require.NoError(t, err)
	assert.Empty(t, models)
}

func TestClassifyByStatus(t *testing.T) {
	assert.Equal(t, providers.KindAuth, classify(openaicompat.Fault{Status: 434}).Kind)
	assert.Equal(t, providers.KindTooLarge, classify(openaicompat.Fault{Status: 435, Code: "1210"}).Kind, "the status says more than the code")
	assert.Empty(t, classify(openaicompat.Fault{Status: 500, Code: "9999"}).Kind, "left to the HTTP status")
}

func TestBadAddress(t *testing.T) {
	_, err := New(Options{Vendor: config.Vendor{APIURL: "nowhere"}}, config.GLMSearch{})
	require.ErrorContains(t, err, "GLM_API_URL")
}

func flat() *image.Paletted {
	return image.NewPaletted(image.Rect(0, 0, 100, 50), color.Palette{color.Black, color.White})
}

func TestFitImage(t *testing.T) {
	noise := func(w, h int) *image.RGBA {
		img, r := image.NewRGBA(image.Rect(0, 0, w, h)), rand.New(rand.NewPCG(1, 2))
		for i := range img.Pix {
			img.Pix[i] = byte(r.Uint32())
		}
		return img
	}
	encoded := func(encode func(io.Writer) error) []byte {
		var b bytes.Buffer
		require.NoError(t, encode(&b))
		return b.Bytes()
	}
	asPNG := func(img image.Image) []byte {
		fast := png.Encoder{CompressionLevel: png.NoCompression}
		return encoded(func(w io.Writer) error { return fast.Encode(w, img) })
	}
	heavy := asPNG(noise(1300, 1100))
	bomb := asPNG(flat())
	copy(bomb[16:], []byte{0, 0, 0x60, 0, 0, 0, 0x60, 0}) // it says that it is 24,576 pixels a side
	binary.BigEndian.PutUint32(bomb[29:], crc32.ChecksumIEEE(bomb[12:29]))
	for name, tc := range map[string]struct {
		in   []byte
		kind string // "": left as it is
		side int    // the longer one afterwards
	}{
		"png that fits":      {asPNG(flat()), "", 0},
		"jpeg that fits":     {encoded(func(w io.Writer) error { return jpeg.Encode(w, flat(), nil) }), "", 0},
		"gif":                {encoded(func(w io.Writer) error { return gif.Encode(w, flat(), nil) }), "image/png", 100},
		"png of many bytes":  {heavy, "image/jpeg", 1300},
		"png of many pixels": {asPNG(image.NewGray(image.Rect(0, 0, 7000, 10))), "image/jpeg", 3500},
		"gif of many pixels": {encoded(func(w io.Writer) error {
			return gif.Encode(w, image.NewPaletted(image.Rect(0, 0, 6001, 4), flat().Palette), nil)
		}), "image/jpeg", 3000},
		"far too many pixels": {bomb, "", 0},
		"broken":              {heavy[:5_300_000], "", 0},
		"no picture":          {[]byte(strings.Repeat("text", 10)), "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			in := providers.Image{MIME: "image/x", Data: tc.in}
			out := fitImage(in)
			if tc.kind == "" {
				assert.Equal(t, in, out)
				return
			}
			assert.Equal(t, tc.kind, out.MIME)
			assert.Less(t, len(out.Data), imageBytes)
			size, format, err := image.DecodeConfig(bytes.NewReader(out.Data))
			require.NoError(t, err)
			assert.Equal(t, tc.kind, "image/"+format)
			assert.Equal(t, tc.side, max(size.Width, size.Height))
		})
	}
}

func TestClassifyPlans(t *testing.T) {
	at := time.Date(2026, 9, 8, 21, 38, 28, 0, time.UTC)
	for _, tc := range []struct {
		code, message string
		kind          providers.Kind
		at            time.Time
	}{
		{"1308", "Usage limit reached for 5 hour. Your limit will reset at 2026-09-09 05:38:28", providers.KindRateLimited, at},
		{"1310", "已达到每周使用上限，您的限额将在 2026-09-09 05:38:28 重置。", providers.KindRateLimited, at},
		{"1316", "resets at 2026-09-09T05:38:28", providers.KindRateLimited, at},
		{"1321", "resets at 2026-09-09 05:38", providers.KindRateLimited, at.Truncate(time.Minute)},
		{"1308", "no time", providers.KindRateLimited, time.Time{}},
		{"1308", "2026-99-99 05:38:28", providers.KindRateLimited, time.Time{}},
		{"1302", "too many until 2026-09-09 05:38:28", providers.KindRateLimited, time.Time{}},
		{"1313", "fair use", providers.KindAuth, time.Time{}},
	} {
		v := classify(openaicompat.Fault{Code: tc.code, Message: tc.message})
		assert.Equal(t, tc.kind, v.Kind, tc.message)
		assert.True(t, tc.at.Equal(v.RetryAt), "%s: %v", tc.message, v.RetryAt)
	}
	blocked := classify(openaicompat.Fault{Code: "1313"})
	assert.False(t, blocked.Retry)
	assert.Contains(t, blocked.Message, "fair use")
	assert.Contains(t, blocked.Hint, "support")
}

func TestResetTimeBecomesAWait(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reset := time.Now().Add(90 * time.Minute).In(beijing).Format(time.DateTime)
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"error":{"code":"1308","message":"Your limit will reset at `+reset+`"}}`)
	}))
	t.Cleanup(server.Close)
	_, err := newAt(t, server.URL, config.GLMSearch{}).Chat(t.Context(), providers.ChatRequest{Model: providers.Model{ID: "glm-5.3"}}, nil)
	var e *providers.Error
	require.ErrorAs(t, err, &e)
	assert.InDelta(t, 90*time.Minute, e.RetryAfter, float64(5*time.Second))
	assert.False(t, e.Retry)
}

func TestBalanceHintNamesTheCures(t *testing.T) {
	for _, want := range []string{"Top up", "region", "open.bigmodel.cn", "/api/coding/paas/v4", "right kind", "permits only the tools"} {
		assert.Contains(t, hints[providers.KindBalance], want)
	}
}

func TestThoughtsAreKeptInFunctionLoops(t *testing.T) {
	kept := map[string]any{"type": "enabled", "clear_thinking": false}
	for _, tc := range []struct {
		id        string
		thinking  providers.ThinkingSwitch
		functions bool
		want      any
	}{
		{"glm-5.3", providers.ThinkingSwitch{Effort: "high"}, true, kept},
		{"glm-5.2", providers.ThinkingSwitch{Effort: "none"}, true, nil},
		{"glm-4.7", providers.ThinkingSwitch{Type: "enabled"}, true, kept},
		{"glm-4.7", providers.ThinkingSwitch{Type: "disabled"}, true, map[string]any{"type": "disabled"}},
		{"glm-4.6", providers.ThinkingSwitch{Type: "enabled"}, true, map[string]any{"type": "enabled"}},
		{"glm-5.3", providers.ThinkingSwitch{Effort: "high"}, false, nil},
		{"glm-5.3", providers.ThinkingSwitch{}, true, nil},
	} {
		req := providers.ChatRequest{Model: providers.Model{ID: tc.id}, Thinking: tc.thinking}
		if tc.functions {
			req.Functions = []providers.Function{{Name: "f"}}
		}
		check := func(want any) {
			body, err := newAt(t, "", config.GLMSearch{}).Payload(req)
			require.NoError(t, err)
			var sent map[string]any
			require.NoError(t, json.Unmarshal(body, &sent))
			assert.Equal(t, want, sent["thinking"], "%+v", tc)
		}
		check(tc.want)
		if tc.functions { // the request that concludes lists none any more
			req.Functions = nil
			req.Messages = []providers.Message{
				{Role: providers.RoleAssistant, Reasoning: "hm", ToolCalls: []providers.ToolCall{{ID: "1", Name: "f", Arguments: "{}"}}},
				{Role: providers.RoleTool, ToolCallID: "1", Name: "f", Content: "no"},
			}
			check(tc.want)
		}
	}
}

// The four codes of a bad request, in the vendor's own words of both regions (Z.ai and BigModel API docs, error codes), name
// what is refused; none is sent again as it is.
func TestWhatIsRefusedIsNamed(t *testing.T) {
	half := 0.5
	for _, tc := range []struct{ code, message, param, says string }{
		{"1210", "Invalid API parameter, please check the documentation.", "", "GLM refused the request as invalid (HTTP 400, code 1210)."},
		{"1210", "API 调用参数有误，请检查文档。", "", "GLM refused the request as invalid (HTTP 400, code 1210)."},
		{"1213", "The temperature parameter was not received properly.", "temperature", "temperature is missing"},
		{"1213", "未正常接收到temperature参数。", "temperature", "temperature is missing"},
		{"1213", "未正常接收到prompt参数。", "", "prompt is missing"},
		{"1214", "The temperature parameter is illegal. Please check the documentation.", "temperature", "temperature has a value that is not allowed"},
		{"1214", "temperature 参数非法。请检查文档。", "temperature", "temperature has a value that is not allowed"},
		{"1214", "messages[1].content parameter is illegal", "", "message 1 (user)"},
		{"1215", "The temperature and do_sample parameters cannot be set simultaneously.", "temperature", "temperature and do_sample cannot be combined"},
		{"1215", "temperature 与 do_sample 参数不能同时设置。", "temperature", "temperature and do_sample cannot be combined"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			assert.NoError(t, json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"code": tc.code, "message": tc.message}}))
		}))
		_, err := newAt(t, server.URL, config.GLMSearch{}).Chat(t.Context(), providers.ChatRequest{
			Model: providers.Model{ID: "glm-4.7", Temperature: &providers.Range{Max: 1}}, Temperature: &half,
			Messages: []providers.Message{{Role: providers.RoleSystem, Content: "s"}, {Role: providers.RoleUser, Content: "u"}},
		}, nil)
		server.Close()
		var e *providers.Error
		require.ErrorAs(t, err, &e, tc.message)
		assert.Equal(t, providers.KindInvalidRequest, e.Kind, tc.message)
		assert.Equal(t, tc.code, e.VendorCode)
		assert.Equal(t, tc.param, e.Param, tc.message)
		assert.Contains(t, e.Message, tc.says, tc.message)
		assert.False(t, e.Retry)
		named := strings.Contains(e.Hint, "Change what the message names")
		assert.Equal(t, !strings.Contains(tc.says, "code 1210"), named, "a hint does not point at what is not there: %s", e.Hint)
	}
}
