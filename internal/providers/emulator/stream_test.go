package emulator_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// steady replaces what differs between runs: times and ids.
func steady(s string) string {
	s = regexp.MustCompile(`"created":\d+`).ReplaceAllString(s, `"created":0`)
	s = regexp.MustCompile(`"id":"(chatcmpl-[0-9a-f]{24}|\d{14}[0-9a-f]{18})"`).ReplaceAllString(s, `"id":"ID"`)
	return regexp.MustCompile(`call_\d{14}[0-9a-f]{18}`).ReplaceAllString(s, "call_ID")
}

var lookup = emulator.Reply{
	Reasoning: []string{"I need", " a page."}, Content: []string{"One moment.\n"},
	ToolCalls: []emulator.ToolCall{{Name: "lookup", Arguments: `{"q":"<é>"}`}},
	Usage:     &emulator.Usage{Prompt: 300, Cached: 256, Output: 20, Reasoning: 5},
}

const withLookup = `,"stream":true,"tools":[{"type":"function","function":{"name":"lookup","description":"d","parameters":{"type":"object"}}}]`

func TestStreamsByteForByte(t *testing.T) {
	const (
		g = `data: {"id":"ID","object":"chat.completion.chunk","created":0,"model":"glm-5.3","choices":[`
		k = `data: {"id":"ID","object":"chat.completion.chunk","created":0,"model":"kimi-k3","choices":[`
		f = `],"system_fingerprint":"fpv0_emulated"}`
		u = `"usage":{"prompt_tokens":300,"completion_tokens":20,"total_tokens":320,`
		// Kimi names the cached tokens twice, GLM the reasoning as well.
		kimiUsage = u + `"cached_tokens":256,"prompt_tokens_details":{"cached_tokens":256}}`
		glmUsage  = u + `"prompt_tokens_details":{"cached_tokens":256},"completion_tokens_details":{"reasoning_tokens":5}}`
	)
	kimiCall := func(fields string) string {
		return k + `{"index":0,"delta":{"tool_calls":[{"index":0,` + fields + `}]},"finish_reason":null}` + f
	}
	kimi := []string{
		k + `{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}` + f,
		k + `{"index":0,"delta":{"reasoning_content":"I need"},"finish_reason":null}` + f,
		k + `{"index":0,"delta":{"reasoning_content":" a page."},"finish_reason":null}` + f,
		k + `{"index":0,"delta":{"content":"One moment.\n"},"finish_reason":null}` + f,
		kimiCall(`"id":"lookup:0","type":"function","function":{"name":"lookup","arguments":""}`),
		kimiCall(`"function":{"arguments":"{\"q\":\"<"}`),
		kimiCall(`"function":{"arguments":"é>\"}"}`),
		k + `{"index":0,"delta":{},"finish_reason":"tool_calls",` + kimiUsage + `}` + f,
		`data: [DONE]`,
	}
	glmStart := []string{
		g + `{"index":0,"delta":{"role":"assistant","reasoning_content":"I need"}}]}`,
		g + `{"index":0,"delta":{"role":"assistant","reasoning_content":" a page."}}]}`,
		g + `{"index":0,"delta":{"role":"assistant","content":"One moment.\n"}}]}`,
	}
	glmCall := func(fields string) string {
		return `{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,` + fields + `}]}`
	}
	whole := `"id":"call_ID00","type":"function","function":{"name":"lookup","arguments":"{\"q\":\"<é>\"}"}`
	for _, tt := range []struct {
		name   string
		vendor emulator.Vendor
		model  string
		extra  string
		want   []string
	}{
		{"kimi counts in the last choice", emulator.Kimi, "kimi-k3", withLookup, kimi},
		{
			"kimi with include_usage", emulator.Kimi, "kimi-k3", withLookup + `,"stream_options":{"include_usage":true}`,
			append(kimi[:len(kimi)-1:len(kimi)-1], k+`],"system_fingerprint":"fpv0_emulated",`+kimiUsage+`}`, `data: [DONE]`),
		},
		{
			"glm puts call, finish_reason and usage into one chunk", emulator.GLM, "glm-5.3", withLookup,
			append(glmStart[:3:3], g+glmCall(whole)+`,"finish_reason":"tool_calls"}],`+glmUsage+`}`, `data: [DONE]`),
		},
		{
			"glm with tool_stream", emulator.GLM, "glm-5.3", withLookup + `,"tool_stream":true`,
			append(glmStart[:3:3],
				g+glmCall(`"id":"call_ID00","type":"function","function":{"name":"lookup","arguments":""}`)+`}]}`,
				g+glmCall(`"function":{"arguments":"{\"q\":\"<"}`)+`}]}`,
				g+glmCall(`"function":{"arguments":"é>\"}"}`)+`}]}`,
				g+`{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"tool_calls"}],`+glmUsage+`}`, `data: [DONE]`),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := start(t)
			e.Script(lookup)
			r := to(t, e, tt.vendor).post("/chat/completions", chatBody(tt.model, tt.extra))
			assert.Equal(t, strings.Join(tt.want, "\n\n")+"\n\n", steady(r.body))
			assert.Contains(t, r.header.Get("Content-Type"), "text/event-stream")
			assert.Zero(t, e.Unused())
		})
	}
}

func TestGLMStreamWithoutCallsEndsWithUsage(t *testing.T) {
	e := start(t)
	e.Script(emulator.Say("a").Thinking("b"))
	r := to(t, e, emulator.GLM).post("/chat/completions", chatBody("glm-4.7", `,"stream":true`))
	ev := r.events()
	require.Len(t, ev, 4)
	last := decode(t, ev[2])
	assert.Equal(t, "stop", at(t, last, "choices", 0, "finish_reason"))
	assert.NotNil(t, at(t, last, "usage", "total_tokens"))
	assert.Contains(t, ev[0], `"reasoning_content":"b"`, "reasoning comes first")
	for _, e := range ev[:2] {
		assert.NotContains(t, e, "usage")
		assert.NotContains(t, e, "finish_reason")
	}
}

func TestWholeAnswersByteForByte(t *testing.T) {
	for _, tt := range []struct {
		vendor emulator.Vendor
		model  string
		want   string
	}{
		{
			emulator.GLM, "glm-5.3", `{"id":"ID","request_id":"mine","object":"chat.completion","created":0,"model":"glm-5.3","choices":[{"index":0,"message":` +
				`{"role":"assistant","content":"One moment.\n","reasoning_content":"I need a page.","tool_calls":[{"index":0,"id":"call_ID00","type":"function",` +
				`"function":{"name":"lookup","arguments":"{\"q\":\"<é>\"}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":300,"completion_tokens":20,` +
				`"total_tokens":320,"prompt_tokens_details":{"cached_tokens":256},"completion_tokens_details":{"reasoning_tokens":5}}}`,
		},
		{
			emulator.Kimi, "kimi-k3", `{"id":"ID","object":"chat.completion","created":0,"model":"kimi-k3","choices":[{"index":0,"message":` +
				`{"role":"assistant","content":"One moment.\n","reasoning_content":"I need a page.","tool_calls":[{"index":0,"id":"lookup:0","type":"function",` +
				`"function":{"name":"lookup","arguments":"{\"q\":\"<é>\"}"}}]},"finish_reason":"tool_calls"}],"system_fingerprint":"fpv0_emulated",` +
				`"usage":{"prompt_tokens":300,"completion_tokens":20,"total_tokens":320,"cached_tokens":256,"prompt_tokens_details":{"cached_tokens":256}}}`,
		},
	} {
		e := start(t)
		e.Script(lookup)
		r := to(t, e, tt.vendor).post("/chat/completions", chatBody(tt.model, `,"request_id":"mine"`))
		assert.Equal(t, tt.want, steady(r.body))
	}
}

func TestArgumentsAsObject(t *testing.T) {
	e := start(t)
	call := emulator.Call("lookup", `{"q":1}`)
	call.ObjectArguments = true
	e.Script(call, call)
	c := to(t, e, emulator.GLM)
	whole := decode(t, c.post("/chat/completions", chatBody("glm-5.3", "")).body)
	assert.Equal(t, map[string]any{"q": 1.0}, at(t, whole, "choices", 0, "message", "tool_calls", 0, "function", "arguments"))
	ev := c.post("/chat/completions", chatBody("glm-5.3", withLookup)).events()
	assert.Contains(t, ev[0], `"arguments":{"q":1}`)
}

func TestTracingHeaders(t *testing.T) {
	e := start(t)
	g, k := to(t, e, emulator.GLM).get("/models"), to(t, e, emulator.Kimi).get("/models")
	assert.NotEmpty(t, g.header.Get("X-Log-Id"))
	assert.Regexp(t, `^[0-9a-f]{32}$`, k.header.Get("Msh-Request-Id"))
	assert.NotEmpty(t, k.header.Get("X-Msh-Trace-Id"))
	refused := to(t, e, emulator.Kimi).post("/chat/completions", chatBody("none", ""))
	assert.NotEmpty(t, refused.header.Get("Msh-Request-Id"), "refusals can be traced as well")
	assert.NotEqual(t, k.header.Get("Msh-Request-Id"), refused.header.Get("Msh-Request-Id"))
}

func TestPrefixCache(t *testing.T) {
	e := start(t)
	c := to(t, e, emulator.Kimi)
	long := strings.Repeat("The quick brown fox jumps over it. ", 100) // 3,500 bytes: 3 blocks of 1,024 and a rest
	turn := func(model string, contents ...string) (prompt, cached float64) {
		var list []string
		for i, s := range contents {
			role := "user"
			if i%2 == 1 {
				role = "assistant"
			}
			list = append(list, `{"role":"`+role+`","content":"`+s+`"}`)
		}
		u := at(t, decode(t, c.post("/chat/completions", messages(model, strings.Join(list, ","), "")).body), "usage")
		prompt, _ = at(t, u, "prompt_tokens").(float64)
		cached, _ = at(t, u, "cached_tokens").(float64)
		if cached > 0 {
			assert.Equal(t, cached, at(t, u, "prompt_tokens_details", "cached_tokens"))
		}
		return prompt, cached
	}
	prompt, cached := turn("kimi-k3", long)
	assert.Zero(t, cached, "nothing was seen before")
	again, cached := turn("kimi-k3", long)
	assert.Equal(t, prompt, again, "cached tokens are counted in prompt_tokens")
	assert.Equal(t, 768.0, cached)
	_, cached = turn("kimi-k3", long, "an answer", "more "+long)
	assert.Equal(t, 768.0, cached, "the old prefix of a longer conversation")
	_, cached = turn("kimi-k3", "x"+long)
	assert.Zero(t, cached, "one other byte in front")
	_, cached = turn("kimi-k3.1-pro", long)
	assert.Zero(t, cached, "another model")
}

// Over the rounds of a function loop the prefix stays cached, and over a user message behind it only if the client keeps what was
// thought and the effort.
func TestPrefixCacheOverRounds(t *testing.T) {
	long := strings.Repeat("The quick brown fox jumps over it. ", 200) // 7,000 bytes
	thought := `{"role":"assistant","content":"","reasoning_content":"` + long + `","tool_calls":[{"id":"call_1","type":"function",` +
		`"function":{"name":"look","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"` + long + `"}`
	first := `{"role":"user","content":"` + long + `"},` + thought
	second := first + `,{"role":"assistant","content":"done"},{"role":"user","content":"And now?"}`
	const keep, clear, high, low = `"thinking":{"type":"enabled","clear_thinking":false}`, `"thinking":{"type":"enabled"}`, `,"reasoning_effort":"high"`, `,"reasoning_effort":"low"`
	for name, c := range map[string]struct {
		vendor        emulator.Vendor
		model         string
		before, after string
		blocks        float64 // that stay cached over the user message
	}{
		"kept":                        {emulator.GLM, "glm-5.3", "," + keep + high, "," + keep + high, 20},
		"cleared":                     {emulator.GLM, "glm-5.3", "," + clear + high, "," + clear + high, 6},
		"another effort":              {emulator.GLM, "glm-5.3", "," + keep + high, "," + keep + low, 0},
		"Kimi, which clears nothing":  {emulator.Kimi, "kimi-k3", high, high, 20},
		"Kimi, asked for less effort": {emulator.Kimi, "kimi-k3", high, low, 0},
	} {
		t.Run(name, func(t *testing.T) {
			client := to(t, start(t), c.vendor)
			cached := func(list, extra string) float64 {
				r := client.post("/chat/completions", messages(c.model, list, extra+functions(1, "look")))
				require.Equal(t, 200, r.status, r.body)
				details, _ := at(t, decode(t, r.body), "usage").(map[string]any)["prompt_tokens_details"].(map[string]any) // Kimi leaves it out where nothing was cached
				n, _ := details["cached_tokens"].(float64)
				return n / 256
			}
			assert.Zero(t, cached(first, c.before))
			assert.Equal(t, 20.0, cached(first, c.before), "the same round again")
			assert.Equal(t, c.blocks, cached(second, c.after))
		})
	}
}

func TestJSONMode(t *testing.T) {
	e := start(t)
	for v, model := range map[emulator.Vendor]string{emulator.GLM: "glm-5.3", emulator.Kimi: "kimi-k3"} {
		r := to(t, e, v).post("/chat/completions", chatBody(model, `,"response_format":{"type":"json_object"}`))
		content, ok := at(t, decode(t, r.body), "choices", 0, "message", "content").(string)
		require.True(t, ok)
		assert.Equal(t, true, decode(t, content)["emulated"])
	}
	schema := `{"type":"object","required":["verdict","count","list"],"properties":{"verdict":{"enum":["pass","fail"]},"count":{"type":"integer","minimum":3},` +
		`"list":{"type":"array","minItems":1,"items":{"type":"string"}},"extra":{"type":"string"}}}`
	r := to(t, e, emulator.Kimi).post("/chat/completions", chatBody("kimi-k3", `,"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":`+schema+`}}`))
	content, ok := at(t, decode(t, r.body), "choices", 0, "message", "content").(string)
	require.True(t, ok)
	assert.Equal(t, map[string]any{"verdict": "pass", "count": 3.0, "list": []any{"emulated"}}, decode(t, content))
}

func TestLimitsCutTheDefaultAnswer(t *testing.T) {
	e := start(t)
	c := to(t, e, emulator.Kimi)
	short := decode(t, c.post("/chat/completions", chatBody("kimi-k3", `,"max_completion_tokens":5`)).body)
	assert.Equal(t, "length", at(t, short, "choices", 0, "finish_reason"))
	assert.Empty(t, at(t, short, "choices", 0, "message", "content"), "reasoning uses the limit up first")
	assert.Equal(t, 5.0, at(t, short, "usage", "completion_tokens"))
	long := decode(t, c.post("/chat/completions", chatBody("kimi-k3", `,"max_completion_tokens":500`)).body)
	assert.Equal(t, "stop", at(t, long, "choices", 0, "finish_reason"))
}

func TestThinkingSwitches(t *testing.T) {
	e := start(t)
	for _, tt := range []struct {
		vendor emulator.Vendor
		model  string
		extra  string
		thinks bool
	}{
		{emulator.GLM, "glm-5.3", "", true},
		{emulator.GLM, "glm-5.2", `,"reasoning_effort":"none"`, false},
		{emulator.GLM, "glm-5.2", `,"reasoning_effort":"minimal"`, false},
		{emulator.GLM, "glm-5.2", "", true},
		{emulator.GLM, "glm-4.6", `,"thinking":{"type":"disabled"}`, false},
		{emulator.GLM, "glm-4.6", `,"reasoning_effort":"none"`, true}, // ignored by earlier models
		{emulator.GLM, "glm-4-32b-0414-128k", `,"thinking":{"type":"enabled"}`, false},
		{emulator.Kimi, "kimi-k2.6", "", true},
		{emulator.Kimi, "kimi-k2.6", `,"thinking":{"type":"disabled"}`, false},
	} {
		r := to(t, e, tt.vendor).post("/chat/completions", chatBody(tt.model, tt.extra))
		m, ok := at(t, decode(t, r.body), "choices", 0, "message").(map[string]any)
		require.True(t, ok)
		assert.Equal(t, tt.thinks, m["reasoning_content"] != nil, tt.model+tt.extra)
	}
}

func TestForcedToolIsCalled(t *testing.T) {
	e := start(t)
	tools := `,"tool_choice":"required","tools":[{"type":"function","function":{"name":"fun","parameters":{"type":"object","required":["a"],"properties":{"a":{"type":"string"}}}}}]`
	m := decode(t, to(t, e, emulator.Kimi).post("/chat/completions", chatBody("kimi-k3", tools)).body)
	assert.Equal(t, "tool_calls", at(t, m, "choices", 0, "finish_reason"))
	assert.Equal(t, `{"a":"emulated"}`, at(t, m, "choices", 0, "message", "tool_calls", 0, "function", "arguments"))
}

func TestBuiltinSearchOfKimi(t *testing.T) {
	e := start(t)
	c := to(t, e, emulator.Kimi)
	extra := `,"thinking":{"type":"disabled"},"tools":[{"type":"builtin_function","function":{"name":"$web_search"}}]`
	first := decode(t, c.post("/chat/completions", messages("kimi-k2.6", user, extra)).body)
	call := at(t, first, "choices", 0, "message", "tool_calls", 0)
	assert.Equal(t, "$web_search", at(t, call, "function", "name"))
	assert.Equal(t, "builtin_function", at(t, call, "type"))
	args, ok := at(t, call, "function", "arguments").(string)
	require.True(t, ok)
	spent := at(t, decode(t, args), "usage", "total_tokens")
	require.NotNil(t, spent)
	quoted := strings.ReplaceAll(args, `"`, `\"`)
	id, ok := at(t, call, "id").(string)
	require.True(t, ok)
	echo := user + `,{"role":"assistant","content":"","tool_calls":[{"id":"` + id + `","type":"builtin_function","function":{"name":"$web_search","arguments":"` + quoted + `"}}]}` +
		`,{"role":"tool","tool_call_id":"` + id + `","name":"$web_search","content":"` + quoted + `"}`
	second := decode(t, c.post("/chat/completions", messages("kimi-k2.6", echo, extra)).body)
	assert.Equal(t, "stop", at(t, second, "choices", 0, "finish_reason"))
	assert.Greater(t, at(t, second, "usage", "prompt_tokens"), spent, "the search happened at the vendor and is counted")
}

func TestSearchInsideAGLMChat(t *testing.T) {
	e := start(t)
	c := to(t, e, emulator.GLM)
	tool := func(fields string) string {
		return `,"tools":[{"type":"web_search","web_search":{` + fields + `}}]`
	}
	with := decode(t, c.post("/chat/completions", chatBody("glm-5.3", tool(`"enable":true,"search_result":true,"count":2`))).body)
	hits, ok := at(t, with, "web_search").([]any)
	require.True(t, ok)
	assert.Len(t, hits, 2)
	assert.Contains(t, at(t, hits, 0, "content"), "emulated")
	without := decode(t, c.post("/chat/completions", chatBody("glm-5.3", tool(`"enable":true`))).body)
	assert.NotContains(t, without, "web_search", "results are told only where they were asked for")
	streamed := c.post("/chat/completions", chatBody("glm-5.3", `,"stream":true`+tool(`"search_result":true`))).events()
	assert.Contains(t, streamed[len(streamed)-2], `"web_search":[{"title"`)
}
