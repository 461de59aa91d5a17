package openaicompat

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

func TestParseFault(t *testing.T) {
	for name, tc := range map[string]struct {
		body string
		want Fault
		ok   bool // also under HTTP 200
	}{
		"openai":        {`{"error":{"message":"m","type":"t","param":"p","code":null}}`, Fault{Message: "m", Type: "t", Param: "p"}, true},
		"code as text":  {`{"error":{"code":"1302","message":"m"},"request_id":"r1"}`, Fault{Code: "1302", Message: "m", RequestID: "r1"}, true},
		"code number":   {`{"error":{"code":1302.0,"message":"m"}}`, Fault{Code: "1302", Message: "m"}, true},
		"error as word": {`{"error":"boom"}`, Fault{Message: "boom"}, true},
		"error as list": {`{"error":["boom"]}`, Fault{Message: `["boom"]`}, true},
		"error empty":   {`{"error":{}}`, Fault{}, true},
		"error null":    {`{"error":null,"choices":[{}]}`, Fault{}, false},
		"error false":   {`{"error":false}`, Fault{}, false},
		"flat":          {`{"code":401,"msg":"m","success":false}`, Fault{Code: "401", Message: "m"}, true},
		"flat message":  {`{"code":"401","message":"m"}`, Fault{Code: "401", Message: "m"}, true},
		"flat success":  {`{"code":0,"msg":"ok","data":{}}`, Fault{Code: "0", Message: "ok"}, false},
		"flat 200":      {`{"code":200,"msg":"ok"}`, Fault{Code: "200", Message: "ok"}, false},
		"detail":        {`{"detail":"m"}`, Fault{Message: "m"}, false},
		"page":          {"  <!doctype html><p>", Fault{HTML: true}, true},
		"text":          {"no healthy upstream", Fault{Message: "no healthy upstream"}, false},
		"nothing":       {"", Fault{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := parseFault([]byte(tc.body), false)
			assert.Equal(t, tc.want, got)
			assert.Equal(t, tc.ok, ok)
			got, ok = parseFault([]byte(tc.body), true)
			assert.Equal(t, tc.want, got)
			assert.True(t, ok, "under a failed status everything is a fault")
		})
	}
}

func TestBlamedParam(t *testing.T) {
	sent := []string{"model", "messages", "stream", "tools", "temperature", "thinking", "max_tokens", "reasoning_effort"}
	for _, tc := range []struct {
		fault Fault
		want  string
	}{
		{Fault{Message: "invalid temperature: only 1 is allowed for this model"}, "temperature"},
		{Fault{Message: "Unsupported parameter `reasoning_effort`."}, "reasoning_effort"},
		{Fault{Message: "invalid thinking.type"}, "thinking"},
		{Fault{Param: "thinking.type", Message: "bad temperature"}, "thinking"},
		{Fault{Param: "nonsense", Message: "bad temperature"}, "temperature"},
		{Fault{Message: "unknown field top_p"}, ""},
		{Fault{Message: "tools[0].function.name is invalid"}, ""},
		{Fault{Message: "model not found"}, ""},
		{Fault{Message: "thinking is enabled but reasoning_content is missing in assistant tool call message at index 3"}, ""},
		{Fault{}, ""},
	} {
		assert.Equal(t, tc.want, refusedParam(tc.fault, sent), "%+v", tc.fault)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "1.5": 1500 * time.Millisecond, "-3": 0, "NaN": 0, "soon": 0, "0": 0,
		"Mon, 23 Nov 2026 12:00:30 GMT": 30 * time.Second, "Mon, 23 Nov 2026 11:00:00 GMT": 0,
		"1e300": maxRetryAfter, "Mon, 23 Nov 2099 12:00:00 GMT": maxRetryAfter,
	} {
		assert.Equal(t, want, retryAfter(http.Header{"Retry-After": {value}}, now), value)
	}
}

func TestRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		kind   providers.Kind
		retry  bool
	}{
		"bad request":       {400, `{"error":{"message":"bad"}}`, providers.KindInvalidRequest, false},
		"unprocessable":     {422, `{"detail":"bad"}`, providers.KindInvalidRequest, false},
		"no key":            {401, ``, providers.KindAuth, false},
		"forbidden":         {403, `{"error":{"message":"no"}}`, providers.KindAuth, false},
		"payment":           {402, ``, providers.KindBalance, false},
		"unknown model":     {404, `{"error":{"message":"Not found the model glm-x"}}`, providers.KindModelNotFound, false},
		"wrong address":     {404, `<html>nginx</html>`, providers.KindProviderError, false},
		"redirect":          {302, ``, providers.KindProviderError, false},
		"too large":         {413, ``, providers.KindTooLarge, false},
		"too many":          {429, `{"error":{}}`, providers.KindRateLimited, true},
		"request timeout":   {408, ``, providers.KindNetwork, true},
		"server error":      {500, `garbage`, providers.KindProviderError, true},
		"bad gateway":       {502, `<html>`, providers.KindProviderError, true},
		"unavailable":       {503, ``, providers.KindOverloaded, true},
		"site overloaded":   {529, ``, providers.KindOverloaded, true},
		"gateway timeout":   {504, ``, providers.KindProviderError, true},
		"something unknown": {418, ``, providers.KindProviderError, false},
	} {
		t.Run(name, func(t *testing.T) {
			hits := 0
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				hits++
				w.Header().Set("Retry-After", "7")
				w.Header().Set("X-Log-Id", "log-1")
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.body))
			})
			resp, err := c.Chat(t.Context(), question(), nil)
			assert.Nil(t, resp)
			e := refused(t, err, tc.kind)
			assert.Equal(t, tc.retry, e.Retry)
			assert.Equal(t, tc.status, e.HTTPStatus)
			assert.Equal(t, 7*time.Second, e.RetryAfter)
			assert.Equal(t, "log-1", e.RequestID)
			assert.Equal(t, "glm-x", e.Model)
			assert.NotEmpty(t, e.Hint)
			assert.Equal(t, 1, hits, "one request, no redirect followed, nothing retried")
		})
	}
}

func TestAKeyThatIsWantedAndNotSet(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Empty(t, r.Header["Authorization"])
		w.WriteHeader(http.StatusUnauthorized)
	}, func(o *Options) { o.Key, o.Keyless = "", true })
	_, err := c.Chat(t.Context(), question(), nil)
	e := refused(t, err, providers.KindAuth)
	assert.Equal(t, "GLM refused a request without an API key (HTTP 401).", e.Message)
	assert.Equal(t, "Set GLM_API_KEY and start the server again.", e.Hint)

	c = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"error":{"message":"Not found the model glm-x"}}`, http.StatusNotFound)
	}, func(o *Options) { o.Key, o.Keyless = "", true })
	_, err = c.Chat(t.Context(), question(), nil)
	assert.Equal(t, "GLM does not serve glm-x (HTTP 404).", refused(t, err, providers.KindModelNotFound).Message)
}

func TestARateLimitPerMinute(t *testing.T) {
	for message, want := range map[string]bool{
		"Rate limit reached for gpt-x on requests per min (RPM): Limit 3, Used 3": true,
		"Rate limit reached for gpt-x on tokens per min. Limit: 10000":            true,
		"max TPM: 500000": true,
		"Quota exceeded for quota metric 'GenerateRequestsPerMinutePerProjectPerModel'.": true,
		"Rate limit exceeded: free-models-per-day":                                       false,
		"permanently overloaded":                                                         false,
		"":                                                                               false,
	} {
		v := byStatus(Fault{Status: http.StatusTooManyRequests, Message: message})
		assert.Equal(t, Verdict{Kind: providers.KindRateLimited, Retry: true, PerMinute: want}, v, message)
	}
}

func TestRefusalGivesNothingAway(t *testing.T) {
	const said = `VENDOR-BODY your key ` + testKey + ` or SecretHalf1 or sk-abcdef123456 is bad`
	for name, tc := range map[string]struct {
		status int
		body   string
		kind   providers.Kind
	}{
		"a refusal":      {401, `{"error":{"code":"weird code!","message":"` + said + `"}}` + strings.Repeat(" ", 100_000), providers.KindAuth},
		"a key as code":  {401, `{"error":{"code":"` + testKey + `"},"request_id":"` + testKey + `","x":"VENDOR-BODY"}`, providers.KindAuth},
		"a key as type":  {401, `{"error":{"type":"sk-abcdef123456","message":"VENDOR-BODY"}}`, providers.KindAuth},
		"an event":       {200, `data: {"error":{"message":"` + said + `"}}`, providers.KindProviderError},
		"another text":   {200, said, providers.KindProviderError},
		"junk and a cut": {200, said + "\n" + say("x") + "\n", providers.KindNetwork},
	} {
		for _, quote := range []bool{false, true} {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Request-Id", testKey)
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.body))
			}, func(o *Options) { o.Quote = quote })
			_, err := c.Chat(t.Context(), question(), nil)
			e := refused(t, err, tc.kind)
			assert.NotContains(t, e.Message+e.Hint, "VENDOR-BODY", name)
			assert.Equal(t, quote, strings.Contains(e.Error(), "VENDOR-BODY"), "%s: the log has it where it may have prompts: %s", name, e.Err)
			assert.NotContains(t, e.Error(), "sk-abcdef123456", name)
			assert.Less(t, len(e.Error()), 1000, name)
			assert.Empty(t, e.VendorCode, "only a plain word is a code, and no key is: %s", name)
			assert.NotContains(t, e.RequestID, testKey, name)
		}
	}
}

func TestAnEndlessRefusalIsCutOff(t *testing.T) {
	gone := make(chan struct{})
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		defer close(gone)
		w.WriteHeader(http.StatusServiceUnavailable)
		for {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})
	_, err := c.Chat(t.Context(), question(), nil)
	refused(t, err, providers.KindOverloaded)
	<-gone
}

func TestDialectHasTheFirstWord(t *testing.T) {
	var seen Fault
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(`{"error":{"code":"1113","message":"m"}}`))
	}, func(o *Options) {
		o.Dialect.Classify = func(f Fault) Verdict {
			seen = f
			return Verdict{Kind: providers.KindBalance, Concurrency: true}
		}
		o.Dialect.Hints = map[providers.Kind]string{providers.KindBalance: "see {VENDOR}_API_URL"}
	})
	_, err := c.Chat(t.Context(), question(), nil)
	e := refused(t, err, providers.KindBalance)
	assert.Equal(t, Fault{Op: OpChat, Status: 429, Code: "1113", Message: "m"}, seen)
	assert.Equal(t, "see GLM_API_URL", e.Hint)
	assert.Equal(t, "1113", e.VendorCode)
	assert.True(t, e.Concurrency)
}

func TestA400ThatNamesAParameter(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":{"message":"invalid temperature: only 1 is allowed"}}`))
	}, func(o *Options) {
		o.Dialect.Shape = func(_ providers.ChatRequest, w *Wire) { w.Set("temperature", .5) }
	})
	_, err := c.Chat(t.Context(), question(), nil)
	e := refused(t, err, providers.KindInvalidRequest)
	assert.Equal(t, "temperature", e.Param)
	assert.Contains(t, e.Message, "temperature")
}

func FuzzParseFault(f *testing.F) {
	for _, seed := range []string{`{"error":{"code":"1302","message":"m"}}`, `{"code":401,"msg":"m"}`, `<html>`, `{"error":`, ``, `[]`} {
		f.Add([]byte(seed), 429)
	}
	c, err := New(Options{Dialect: Dialect{Name: "glm", Label: "GLM"}, Key: testKey, BaseURL: "http://a.test"})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		x, end := c.begin(t.Context())
		defer end()
		x.wire = c.newWire(question())
		x.status = status
		e := c.failure(x, ask{op: OpChat, model: "m"}, &statusError{status: status, body: body})
		if e.Kind == "" || e.Message == "" || strings.Contains(e.Error(), testKey) || len(e.VendorCode) > 64 {
			t.Fatalf("%+v", e)
		}
		if _, err := json.Marshal(e.Message + e.Hint); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWaitFor(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	limited := Verdict{Kind: providers.KindRateLimited}
	until := func(d time.Duration) Verdict { return Verdict{Kind: providers.KindRateLimited, RetryAt: now.Add(d)} }
	for _, tc := range []struct {
		header, message string
		verdict         Verdict
		want            time.Duration
	}{
		{"", "please try again after 1 seconds", limited, time.Second},
		{"", "Please retry in 1.5s.", limited, 1500 * time.Millisecond},
		{"", "try again in 20 ms", limited, 20 * time.Millisecond},
		{"", "try again in 2 minutes", limited, 2 * time.Minute},
		{"", "Retrying after 3 hours", limited, 3 * time.Hour},
		{"", "try again in 999999 hours", limited, maxRetryAfter},
		{"", "try again in 5 seconds", Verdict{Kind: providers.KindAuth}, 0},
		{"", "try again in 5 seconds", Verdict{Kind: providers.KindOverloaded}, 5 * time.Second},
		{"", "try again later", limited, 0},
		{"7", "try again in 5 seconds", until(time.Hour), 7 * time.Second},
		{"", "try again in 5 seconds", until(50 * time.Hour), 50 * time.Hour},
		{"", "", until(-time.Hour), 0},
		{"", "", until(1e6 * time.Hour), maxReset},
	} {
		assert.Equal(t, tc.want, waitFor(http.Header{"Retry-After": {tc.header}}, Fault{Message: tc.message}, tc.verdict, now), "%+v", tc)
	}
}

func TestWaitUntilALimitIsReset(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	limited := Verdict{Kind: providers.KindRateLimited, Retry: true}
	for _, tc := range []struct {
		header map[string]string
		fault  Fault
		want   time.Duration
	}{
		{map[string]string{"X-Ratelimit-Reset-Requests": "6m0s"}, Fault{}, 6 * time.Minute},
		{map[string]string{"X-Ratelimit-Reset-Tokens": "7.66s"}, Fault{}, 7660 * time.Millisecond},
		{map[string]string{"X-Ratelimit-Reset-Tokens": "120ms"}, Fault{}, 120 * time.Millisecond},
		{map[string]string{"X-Ratelimit-Reset-Requests": "1d2h"}, Fault{}, maxRetryAfter},
		{map[string]string{"X-Ratelimit-Reset": "12"}, Fault{}, 12 * time.Second},
		{map[string]string{"X-Ratelimit-Reset": "0.5"}, Fault{}, 500 * time.Millisecond},
		{map[string]string{"Ratelimit-Reset": "9"}, Fault{}, 9 * time.Second},
		{map[string]string{"X-Ratelimit-Reset": "1795435240"}, Fault{}, 40 * time.Second},
		{map[string]string{"X-Ratelimit-Reset": "1795435240500"}, Fault{}, 40500 * time.Millisecond},
		{map[string]string{"Anthropic-Ratelimit-Tokens-Reset": "x", "X-Ratelimit-Reset": "2026-11-23T12:00:30Z"}, Fault{}, 30 * time.Second},
		{map[string]string{"X-Ratelimit-Reset": "2026-11-23T11:00:00Z"}, Fault{}, 0},
		{map[string]string{"X-Ratelimit-Reset": "soon"}, Fault{}, 0},
		{map[string]string{"X-Ratelimit-Reset": "5 apples"}, Fault{}, 0},
		{map[string]string{"X-Ratelimit-Reset": "-5"}, Fault{}, 0},
		{map[string]string{"X-Ratelimit-Reset": "NaN"}, Fault{}, 0},
		{map[string]string{"X-Ratelimit-Limit": "5"}, Fault{}, 0},
		// What is used up counts, the last of several.
		{map[string]string{
			"X-Ratelimit-Reset-Requests": "2m", "X-Ratelimit-Remaining-Requests": "14370", "X-Ratelimit-Reset-Tokens": "7s", "X-Ratelimit-Remaining-Tokens": "0",
		}, Fault{}, 7 * time.Second},
		{map[string]string{
			"X-Ratelimit-Reset-Requests": "9s", "X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Tokens": "7s", "X-Ratelimit-Remaining-Tokens": "0",
		}, Fault{}, 9 * time.Second},
		{map[string]string{
			"X-Ratelimit-Reset-Requests": "2m", "X-Ratelimit-Remaining-Requests": "9", "X-Ratelimit-Reset-Tokens": "7s", "X-Ratelimit-Remaining-Tokens": "50",
		}, Fault{}, 7 * time.Second},
		// What the body says by itself counts more.
		{map[string]string{"X-Ratelimit-Reset": "60"}, Fault{Message: "Please try again in 9m38.016s. Need more?"}, 9*time.Minute + 38016*time.Millisecond},
		{map[string]string{"X-Ratelimit-Reset": "60"}, Fault{RetryDelay: "17s"}, 17 * time.Second},
		{nil, Fault{resets: map[string]text{"X-RateLimit-Reset": "1795435210000", "X-RateLimit-Remaining": "0"}}, 10 * time.Second},
		{map[string]string{"Retry-After-Ms": "1500", "Retry-After": "2"}, Fault{}, 1500 * time.Millisecond},
		{map[string]string{"Retry-After-Ms": "x", "Retry-After": "2"}, Fault{}, 2 * time.Second},
	} {
		h := http.Header{}
		for name, value := range tc.header {
			h.Set(name, value)
		}
		assert.Equal(t, tc.want, waitFor(h, tc.fault, limited, now), "%v %+v", tc.header, tc.fault)
	}
	h := http.Header{"X-Ratelimit-Reset": {"12"}}
	assert.Zero(t, waitFor(h, Fault{}, Verdict{Kind: providers.KindRateLimited}, now), "a plan's limit, which is not waited for")
	assert.Zero(t, waitFor(h, Fault{}, Verdict{Kind: providers.KindOverloaded, Retry: true}, now))
}

func TestBlamedParamsUnderOtherNames(t *testing.T) {
	sent := []string{"model", "messages", "reasoning_effort", "max_tokens"}
	for message, want := range map[string]string{
		"Model m does not support parameter reasoningEffort.": "reasoning_effort",
		`"m" does not support thinking`:                       "reasoning_effort",
		"maxTokens must be at most 100":                       "max_tokens",
		"responseFormat is not supported":                     "",
	} {
		assert.Equal(t, want, refusedParam(Fault{Message: message}, sent), message)
	}
	assert.Equal(t, "thinking", refusedParam(Fault{Message: "invalid thinking"}, append(sent, "thinking")))
}
