package openaicompat

import (
	"compress/gzip"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

func TestChatGathersTheAnswer(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Msh-Request-Id", "req-1")
		w.Header().Set("X-RateLimit-Remaining", "7")
		w.Header().Set("Set-Cookie", "no=business-of-ours")
		stream(
			": keepalive",
			`data: {"id":"c1","model":"glm-x-0814","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}`,
			`data: {"choices":[{"index":0,"delta":{"reasoning_content":"let me "}}]}`,
			`data: {"choices":[{"index":0,"delta":{"reasoning_content":"see"}}]}`,
			"event: message", "id: 7", "", "garbage that is no field",
			`data:{"choices":[{"index":0,"delta":{"content":"six"}}]}`+"\r",
			`data: {"choices":[{"index":0,"delta":{"content":""}},{"index":1,"delta":{"content":"a second choice"}}]}`,
			`data:   {"choices":[{"index":0.0,"delta":{"content":[{"type":"text","text":"ty"}]}}],"created":1.7e9}`,
			`data: {"choices":[{"index":0,"delta":{"content":"-two"},"finish_reason":"stop","usage":{"prompt_tokens":10.0,"completion_tokens":"5","cached_tokens":4}}]}`,
			`data: {"choices":[],"web_search":[{"title":"T","link":"https://a.test","publish_date":20260814}]}`,
			`data: {"choices":[],"usage":null,"torn`,
			done,
		)(w, r)
	})
	var deltas []providers.Delta
	resp, err := c.Chat(t.Context(), question(), func(d providers.Delta) { deltas = append(deltas, d) })
	require.NoError(t, err)
	assert.Equal(t, []providers.Delta{{}, {Reasoning: "let me "}, {Reasoning: "see"}, {Content: "six"}, {Content: "ty"}, {Content: "-two"}}, deltas)
	assert.Equal(t, &providers.ChatResponse{
		Model: "glm-x-0814", Content: "sixty-two", Reasoning: "let me see", FinishReason: providers.FinishStop,
		Usage:      providers.Usage{InputTokens: 10, CachedTokens: 4, OutputTokens: 5},
		UsageKnown: true, RequestID: "req-1",
		Header:   map[string]string{"msh-request-id": "req-1", "x-ratelimit-remaining": "7"},
		Searches: []providers.SearchHit{{Title: "T", Link: "https://a.test", Published: "20260814"}},
	}, resp, "what follows a whole answer can't spoil it")
}

func TestChatUsage(t *testing.T) {
	for name, tc := range map[string]struct {
		last []string
		want providers.Usage
	}{
		"with the finish reason": {
			[]string{`data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":6,"prompt_tokens_details":{"cached_tokens":8},"completion_tokens_details":{"reasoning_tokens":3}}}`},
			providers.Usage{InputTokens: 12, CachedTokens: 8, OutputTokens: 6, ReasoningTokens: 3},
		},
		"in an event of its own": {
			[]string{`data: {"choices":[{"delta":{},"finish_reason":"stop"}]}`, `data: {"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":6,"cached_tokens":8}}`},
			providers.Usage{InputTokens: 12, CachedTokens: 8, OutputTokens: 6},
		},
		"in the choice": {
			[]string{`data: {"choices":[{"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":12,"completion_tokens":6}}]}`},
			providers.Usage{InputTokens: 12, OutputTokens: 6},
		},
		"nonsense": {
			[]string{`data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":-1,"completion_tokens":"many"}}`},
			providers.Usage{},
		},
		"no object at all": {
			[]string{`data: {"choices":[{"delta":{},"finish_reason":"stop","usage":[]}],"usage":"n/a","web_search":{}}`},
			providers.Usage{},
		},
		"details that are none": {
			[]string{`data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":6,"prompt_tokens_details":null}}`},
			providers.Usage{InputTokens: 12, OutputTokens: 6},
		},
		"thoughts beside the completion, as xAI counts them": {
			[]string{`data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":6,"total_tokens":118,"completion_tokens_details":{"reasoning_tokens":100}}}`},
			providers.Usage{InputTokens: 12, OutputTokens: 106, ReasoningTokens: 100},
		},
		"thoughts in the total alone, as Gemini counts them": {
			[]string{`data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":6,"total_tokens":118}}`},
			providers.Usage{InputTokens: 12, OutputTokens: 106, ReasoningTokens: 100},
		},
		"a total that is explained otherwise": {
			[]string{`data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":6,"total_tokens":30,"completion_tokens_details":{"reasoning_tokens":3}}}`},
			providers.Usage{InputTokens: 12, OutputTokens: 6, ReasoningTokens: 3},
		},
		"more cached than sent": {
			[]string{`data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"cached_tokens":9}}`},
			providers.Usage{InputTokens: 3, CachedTokens: 3, OutputTokens: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, stream(append(append([]string{say("x")}, tc.last...), done)...))
			resp, err := c.Chat(t.Context(), question(), nil)
			require.NoError(t, err)
			assert.Equal(t, tc.want, resp.Usage)
			assert.Equal(t, tc.want != providers.Usage{}, resp.UsageKnown)
		})
	}
}

func TestChatToolCalls(t *testing.T) {
	piece := func(s string) string {
		return `data: {"choices":[{"index":0,"delta":{"tool_calls":[` + s + `]}}]}`
	}
	finish := func(word string) string {
		return `data: {"choices":[{"index":0,"delta":{},"finish_reason":"` + word + `"}]}`
	}
	for name, tc := range map[string]struct {
		events []string
		want   []providers.ToolCall
	}{
		"split arguments, two calls": {
			[]string{
				piece(`{"index":0,"id":"search:0","type":"function","function":{"name":"search","arguments":""}}`),
				piece(`{"index":1,"id":"search:1","type":"function","function":{"name":"search","arguments":"{}"}}`),
				piece(`{"index":0,"function":{"arguments":"{\"q\":"}}`),
				piece(`{"index":0,"function":{"arguments":"\"go\"}"}}`),
				finish("tool_calls"),
			},
			[]providers.ToolCall{{ID: "search:0", Name: "search", Arguments: `{"q":"go"}`}, {ID: "search:1", Name: "search", Arguments: "{}"}},
		},
		"no name": {
			[]string{piece(`{"index":0,"id":"a","function":null},{"index":1,"id":"b","function":{"name":"","arguments":"{}"}}`), finish("tool_calls")},
			[]providers.ToolCall{{ID: "a", Name: "unnamed", Arguments: "{}"}, {ID: "b", Name: "unnamed", Arguments: "{}"}},
		},
		"arguments as an object, finish stop": {
			[]string{piece(`{"index":0,"id":"a","function":{"name":"f","arguments":{"n": 1}}}`), finish("stop")},
			[]providers.ToolCall{{ID: "a", Name: "f", Arguments: `{"n":1}`}},
		},
		"no arguments, no id": {
			[]string{piece(`{"index":0,"function":{"name":"f"}}`), finish("tool_calls")},
			[]providers.ToolCall{{ID: "call00001", Name: "f", Arguments: "{}"}},
		},
		"no index": {
			[]string{
				piece(`{"id":"a","function":{"name":"f","arguments":"{\"n\""}}`), piece(`{"function":{"arguments":":1}"}}`),
				piece(`{"id":"b","function":{"name":"g","arguments":"{}"}}`), finish("tool_calls"),
			},
			[]providers.ToolCall{{ID: "a", Name: "f", Arguments: `{"n":1}`}, {ID: "b", Name: "g", Arguments: "{}"}},
		},
		"every call numbered 0": {
			[]string{
				piece(`{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}`),
				piece(`{"index":0,"id":"b","function":{"name":"g","arguments":"{"}}`), piece(`{"index":0,"function":{"arguments":"}"}}`),
				finish("tool_calls"),
			},
			[]providers.ToolCall{{ID: "a", Name: "f", Arguments: "{}"}, {ID: "b", Name: "g", Arguments: "{}"}},
		},
		"an id that changes within a call": {
			[]string{
				piece(`{"index":0,"id":"a","function":{"name":"read","arguments":""}}`), piece(`{"index":0,"id":"b","function":{"arguments":"{\"path\":"}}`),
				piece(`{"index":0,"id":"c","function":{"name":"","arguments":"\"a.go\"}"}}`), finish("tool_calls"),
			},
			[]providers.ToolCall{{ID: "a", Name: "read", Arguments: `{"path":"a.go"}`}},
		},
		"an id that changes, no index": {
			[]string{
				piece(`{"id":"a","function":{"name":"read","arguments":"{\"path\":"}}`), piece(`{"id":"b","function":{"arguments":"\"a.go\"}"}}`),
				finish("tool_calls"),
			},
			[]providers.ToolCall{{ID: "a", Name: "read", Arguments: `{"path":"a.go"}`}},
		},
		"a name in every piece": {
			[]string{
				piece(`{"index":0,"id":"a","function":{"name":"read","arguments":"{\"path\":"}}`), piece(`{"index":0,"id":"a","function":{"name":"read","arguments":"\"a.go\"}"}}`),
				piece(`{"index":0,"id":"b","function":{"name":"read","arguments":"{}"}}`), finish("tool_calls"),
			},
			[]providers.ToolCall{{ID: "a", Name: "read", Arguments: `{"path":"a.go"}`}, {ID: "b", Name: "read", Arguments: "{}"}},
		},
		"every call numbered 0, no ids": {
			[]string{piece(`{"index":0,"function":{"name":"f","arguments":"{}"}}`), piece(`{"index":0,"function":{"name":"g","arguments":"{}"}}`), finish("tool_calls")},
			[]providers.ToolCall{{ID: "call00001", Name: "f", Arguments: "{}"}, {ID: "call00002", Name: "g", Arguments: "{}"}},
		},
		"a finish reason with each call": {
			[]string{
				`data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`,
				piece(`{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}`), finish("tool_calls"),
			},
			[]providers.ToolCall{{ID: "a", Name: "f", Arguments: "{}"}, {ID: "b", Name: "g", Arguments: "{}"}},
		},
		"markup in the name": {
			[]string{piece(`{"index":0,"id":"a","function":{"name":"read<arg_key>path</arg_key><arg_value>a.go</arg_value>","arguments":"{}"}}`), piece(`{"index":1,"id":"b","function":{"name":"functions.f:1","arguments":"{\"n\":1}"}}`), finish("tool_calls")},
			[]providers.ToolCall{{ID: "a", Name: "read", Arguments: `{"path":"a.go"}`}, {ID: "b", Name: "f", Arguments: `{"n":1}`}},
		},
		"a character in two pieces": {
			[]string{piece(`{"index":0,"id":"a","function":{"name":"f","arguments":"{\"q\":\"\ud83d"}}`), piece(`{"index":0,"function":{"arguments":"\ude00\"}"}}`), finish("tool_calls")},
			[]providers.ToolCall{{ID: "a", Name: "f", Arguments: `{"q":"😀"}`}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			pieces := 0
			c := serve(t, stream(append(tc.events, done)...))
			resp, err := c.Chat(t.Context(), question(), func(d providers.Delta) {
				assert.True(t, d.ToolCall)
				pieces++
			})
			require.NoError(t, err)
			assert.Equal(t, tc.want, resp.ToolCalls)
			assert.Equal(t, providers.FinishToolCalls, resp.FinishReason)
			assert.Equal(t, len(tc.events)-1, pieces)
		})
	}
}

// Recorded at api.z.ai: the index of the only choice counts the parts of one answer.
func TestChatIndexThatGrows(t *testing.T) {
	part := func(index int, fields string) string {
		return fmt.Sprintf(`data: {"id":"c1","model":"glm-x","choices":[{"index":%d,%s}]}`, index, fields)
	}
	t.Run("text", func(t *testing.T) {
		c := serve(t, stream(
			part(0, `"delta":{"role":"assistant","reasoning_content":"\nhm"}`),
			part(1, `"delta":{"role":"assistant","content":"Hello"}`),
			part(2, `"finish_reason":"stop","delta":{"role":"assistant","content":""},"usage":{"prompt_tokens":9,"completion_tokens":2}`),
			done,
		))
		resp, err := c.Chat(t.Context(), question(), nil)
		require.NoError(t, err)
		assert.Equal(t, "Hello", resp.Content)
		assert.Equal(t, "\nhm", resp.Reasoning)
		assert.Equal(t, providers.FinishStop, resp.FinishReason)
		assert.Equal(t, providers.Usage{InputTokens: 9, OutputTokens: 2}, resp.Usage)
	})
	t.Run("calls", func(t *testing.T) {
		call := func(index int, id, name string) string {
			return part(index, `"delta":{"tool_calls":[{"index":0,"id":"`+id+`","function":{"name":"`+name+`","arguments":"{}"}}]}`)
		}
		c := serve(t, stream(
			part(0, `"delta":{"reasoning_content":"hm"}`), part(1, `"delta":{"content":"I look."}`),
			call(2, "call_a", "f"), call(3, "call_b", "g"), part(4, `"delta":{},"finish_reason":"tool_calls"`), done,
		))
		resp, err := c.Chat(t.Context(), question(), nil)
		require.NoError(t, err)
		assert.Equal(t, "I look.", resp.Content)
		assert.Equal(t, []providers.ToolCall{{ID: "call_a", Name: "f", Arguments: "{}"}, {ID: "call_b", Name: "g", Arguments: "{}"}}, resp.ToolCalls)
		assert.Equal(t, providers.FinishToolCalls, resp.FinishReason)
	})
}

func TestChatFinishReasons(t *testing.T) {
	for word, want := range map[string]providers.FinishReason{
		"stop": "stop", "length": "length", "sensitive": "content_filter", "content_filter": "content_filter",
		"model_context_window_exceeded": "length", "tool_calls": "stop", "something new": "stop",
	} {
		c := serve(t, stream(say("x"), `data: {"choices":[{"delta":{},"finish_reason":"`+word+`"}]}`, done))
		resp, err := c.Chat(t.Context(), question(), nil)
		require.NoError(t, err)
		assert.Equal(t, want, resp.FinishReason, word)
	}
}

func TestChatTakesAWholeAnswerWhereAStreamShouldBe(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, "{\n  \"id\": \"c1\",\n  \"choices\": [{\"message\": {\"content\": \"whole\"}, \"finish_reason\": \"stop\"}]\n}")
	})
	resp, err := c.Chat(t.Context(), question(), nil)
	require.NoError(t, err)
	assert.Equal(t, "whole", resp.Content)
}

func TestACompressedAnswerThatNobodyAskedFor(t *testing.T) {
	zipped := func(status int, flushed ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			assert.NotContains(t, r.Header.Get("Accept-Encoding"), "gzip")
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(status)
			z := gzip.NewWriter(w)
			for _, text := range flushed {
				fmt.Fprintf(z, "%s\n\n", text)
				_ = z.Flush()
				w.(http.Flusher).Flush()
			}
			_ = z.Close()
		}
	}
	c := serve(t, zipped(200, say("a"), say("b"), stop, done))
	resp, err := c.Chat(t.Context(), question(), nil)
	require.NoError(t, err)
	assert.Equal(t, "ab", resp.Content)

	c = serve(t, zipped(401, `{"error":{"code":"1000"}}`))
	_, err = c.Chat(t.Context(), question(), nil)
	assert.Equal(t, "1000", refused(t, err, providers.KindAuth).VendorCode)

	c = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		fmt.Fprint(w, say("no zip at all"))
	})
	_, err = c.Chat(t.Context(), question(), nil)
	refused(t, err, providers.KindNetwork)
}

func TestChatUsesItsConnectionAgain(t *testing.T) {
	var conns atomic.Int32
	c := serve(t, stream(say("ab"), "", stop, "", done, ""), func(o *Options) {
		dial := o.DialContext
		o.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conns.Add(1)
			return dial(ctx, network, address)
		}
	})
	for range 5 {
		_, err := c.Chat(t.Context(), question(), nil)
		require.NoError(t, err)
	}
	assert.Equal(t, int32(1), conns.Load())
}

// What becomes of calls that a model writes into its text is the call engine's to say, which keeps the original text too.
func TestChatLeavesWrittenCallsInTheText(t *testing.T) {
	c := serve(t, stream(say("\nLooking.\n<tool_ca"), say("ll>now</tool_call>"), stop, done))
	req := question()
	req.Functions = []providers.Function{{Name: "now"}}
	resp, err := c.Chat(t.Context(), req, nil)
	require.NoError(t, err)
	assert.Equal(t, "Looking.\n<tool_call>now</tool_call>", resp.Content)
	assert.Empty(t, resp.ToolCalls)
	assert.Equal(t, providers.FinishStop, resp.FinishReason)
}

// Some servers cut a text between the two halves of a character, in JSON's escapes or in its bytes.
func TestChatCharactersInTwoEvents(t *testing.T) {
	raw := func(field, s string) string { return `data: {"choices":[{"delta":{"` + field + `":"` + s + `"}}]}` }
	for name, tc := range map[string]struct {
		pieces []string
		want   string
	}{
		"escapes":                       {[]string{`ok \ud83d`, `\ude00 end`}, "ok 😀 end"},
		"upper case":                    {[]string{`ok \uD83D`, `\uDE00 end`}, "ok 😀 end"},
		"whole pair beside a half":      {[]string{`\ud83d\ude00\ud83d`, `\ude01`}, "😀😁"},
		"an empty piece between":        {[]string{`ok \ud83d`, ``, `\ude00`}, "ok 😀"},
		"bytes":                         {[]string{"ok \xf0\x9f", "\x98\x80 end"}, "ok 😀 end"},
		"bytes, one by one":             {[]string{"\xe4", "\xbd", "\xa0"}, "你"},
		"other escapes beside a half":   {[]string{`a\n\"\\\/\u00e9\ud83d`, `\ude00\t\b`}, "a\n\"\\/é😀\t\b"},
		"a high half alone":             {[]string{`a\ud83d`, `b`}, "a\uFFFDb"},
		"a low half alone":              {[]string{`a`, `\ude00b`}, "a\uFFFDb"},
		"half a character at the end":   {[]string{`a\ud83d`}, "a"},
		"half its bytes at the end":     {[]string{"a\xf0\x9f"}, "a"},
		"bytes that begin no character": {[]string{"a\x80b"}, "a\uFFFDb"},
	} {
		for _, field := range []string{"content", "reasoning_content"} {
			t.Run(name+", "+field, func(t *testing.T) {
				var lines []string
				for _, piece := range tc.pieces {
					lines = append(lines, raw(field, piece))
				}
				c, got := serve(t, stream(append(lines, stop, done)...)), ""
				resp, err := c.Chat(t.Context(), question(), func(d providers.Delta) { got += d.Content + d.Reasoning })
				require.NoError(t, err)
				assert.Equal(t, tc.want, resp.Content+resp.Reasoning)
				assert.Equal(t, tc.want, got, "the deltas are the same text")
			})
		}
	}
}

// Recorded at api.z.ai: an event stops in the middle of a key, and the next one follows in the same line.
func TestChatTornEvents(t *testing.T) {
	other := func(id, content string) string {
		return `{"id":"` + id + `","choices":[{"index":0,"delta":{"content":"` + content + `"}}]}`
	}
	const torn = `data: {"id":"x","choices":[{"index":0,"delta":{"role`
	for name, tc := range map[string]struct {
		lines   []string
		want    string
		restart bool
	}{
		"at once":                        {[]string{torn + "data: " + other("c1", "Hello"), stop, done}, "Hello", false},
		"without a blank":                {[]string{torn + "data:" + other("c1", "Hello"), stop, done}, "Hello", false},
		"twice in one line":              {[]string{torn + torn + "data: " + other("c1", "Hello"), stop, done}, "Hello", false},
		"in the next line":               {[]string{torn, "data: " + other("c1", "Hello"), "", stop, done}, "Hello", false},
		"in the middle, same id":         {[]string{say("Hel"), torn + "data: " + other("c1", "lo"), stop, done}, "Hello", false},
		"in the middle, a new id":        {[]string{say("Nev"), torn + "data: " + other("y", "Hello"), "data: " + other("y", "!"), stop, done}, "Hello!", true},
		"a new id, told later":           {[]string{say("Nev"), torn + `data: {"choices":[]}`, "data: " + other("y", "Hello"), stop, done}, "Hello", true},
		"then new ids that mean nothing": {[]string{torn + "data: " + other("a", "Hel"), "data: " + other("b", "lo"), stop, done}, "Hello", false},
		"before the end mark":            {[]string{say("Hello"), stop, torn + "data: [DONE]"}, "Hello", false},
		"text that quotes a stream":      {[]string{say("Hel"), say("data: {\"id\":1}"), stop, done}, `Heldata: {"id":1}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			restarted, got := false, ""
			c := serve(t, stream(tc.lines...))
			resp, err := c.Chat(t.Context(), question(), func(d providers.Delta) {
				if d.Restart {
					restarted, got = true, ""
				}
				got += d.Content
			})
			require.NoError(t, err)
			assert.Equal(t, tc.want, resp.Content)
			assert.Equal(t, tc.want, got)
			assert.Equal(t, tc.restart, restarted)
			assert.Equal(t, providers.FinishStop, resp.FinishReason)
		})
	}
}

func TestChatWaitsForTheNextCall(t *testing.T) {
	call := func(i int) string {
		return fmt.Sprintf(`data: {"choices":[{"delta":{"tool_calls":[{"index":%d,"id":"%[1]d","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`, i)
	}
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			for i := range 3 {
				stream(call(i))(w, r)
				time.Sleep(callWait - time.Second)
			}
			stream(stop, done)(w, r)
		})
		resp, err := c.Chat(t.Context(), question(), nil)
		require.NoError(t, err)
		assert.Len(t, resp.ToolCalls, 3)
		assert.True(t, resp.UsageKnown)
	})
}
