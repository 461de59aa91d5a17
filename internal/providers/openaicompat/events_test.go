package openaicompat

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

func readEvents(r io.Reader, maxLine int) (*eventReader, string, error) {
	events := newEventReader(io.NopCloser(r), maxLine)
	out, err := io.ReadAll(events)
	return events, string(out), err
}

func TestEventReader(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"events, comments, fields": {": c\nevent: x\nid: 1\nretry: 3\ndata: {\"a\":1}\n\ndata: [DONE]\n\n", "data: { \"a\":1}\ndata: [DONE]\n"},
		"no blank after the colon": {"data:{}\r\ndata:[DONE]\r\n", "data: { }\ndata: [DONE]\n"},
		"byte order mark":          {"\xef\xbb\xbfdata: {}\n", "data: { }\n"},
		"no end to the last line":  {"data: {}\ndata: {\"b\":2}", "data: { }\ndata: { \"b\":2}\n"},
		"empty and odd data":       {"data:\ndata: \ndata: ping\ndata: [1]\ndata: {}\n", "data: { }\n"},
		"an event over many lines": {"data: {\ndata:  \"a\": [1,\n: ping\ndata:  2]\r\ndata: }\n\ndata: {\"b\":2}\n", "data: {  \"a\": [1, 2] }\ndata: { \"b\":2}\n"},
		"one that never ends":      {"data: {\"a\":\ndata: [DONE]\n", "data: { \"a\":\n"},
		"bare JSON lines":          {"{\"a\":1}\n{\"b\":2}\n", "data: { \"a\":1}\ndata: { \"b\":2}\n"},
		"a body over many lines":   {"{\n \"a\": [1,\n  2]\n}\n", "data: { \"a\":[1,2]}\n"},
		"half a body":              {"{\n \"a\": [1,\n", "data: { \n"},
		"nothing":                  {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, got, err := readEvents(strings.NewReader(tc.in), 1000)
			require.NoError(t, err)
			assert.Equal(t, tc.want, got)
			_, got, err = readEvents(iotest.OneByteReader(strings.NewReader(tc.in)), 1000)
			require.NoError(t, err)
			assert.Equal(t, tc.want, got, "byte by byte")
		})
	}
}

func TestEventReaderBoundsALine(t *testing.T) {
	_, _, err := readEvents(strings.NewReader("data: {}\ndata: "+strings.Repeat("x", 9000)+"\n"), 8192)
	require.ErrorIs(t, err, errTooLong)
	_, _, err = readEvents(strings.NewReader("data: {\n"+strings.Repeat("data: 1,\n", 5000)), 8192)
	require.ErrorIs(t, err, errTooLong, "of many short lines")
	_, got, err := readEvents(strings.NewReader("data: {\""+strings.Repeat("x", 8000)+"\"}\n"), 8192)
	require.NoError(t, err)
	assert.Len(t, got, 8000+len("data: { \"\"}\n"))
}

func TestEventReaderPassesErrorsOn(t *testing.T) {
	boom := errors.New("boom")
	_, got, err := readEvents(io.MultiReader(strings.NewReader("data: {}\ndata: {\"to"), iotest.ErrReader(boom)), 1000)
	require.ErrorIs(t, err, boom)
	assert.Equal(t, "data: { }\ndata: { \"to\n", got)
}

func TestEventReaderKeepsJunkForTheLog(t *testing.T) {
	events, _, err := readEvents(strings.NewReader("<html>\n"+strings.Repeat("<p>", 1000)), 1<<20)
	require.NoError(t, err)
	assert.Zero(t, events.seen)
	assert.Len(t, events.junk, maxJunk)
}

// readStream reads a body as Chat does, in pieces of the given size, and returns the answer and what was delivered of it.
func readStream(t *testing.T, body []byte, size int) (*providers.ChatResponse, string) {
	const maxLine = 4096
	events := newEventReader(io.NopCloser(&inPieces{body, size}), maxLine)
	delivered := ""
	ids := 0
	newID := func() string { ids++; return fmt.Sprintf("made_%d", ids) }
	ans := &answer{max: 1000, newID: newID, on: func(d providers.Delta) {
		if d.Restart {
			delivered = ""
		}
		delivered += d.Content
	}}
	lines := bufio.NewReaderSize(events, 16)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, errTooLong) || len(line) > 0 {
				t.Fatalf("%q, then %v", line, err)
			}
			break
		}
		payload, ok := bytes.CutPrefix(line[:len(line)-1], []byte("data: "))
		if !ok {
			t.Fatalf("not an event: %q", line)
		}
		ans.torn, events.torn = ans.torn || events.torn, false
		if ans.event(payload) != nil {
			break
		}
	}
	return ans.response(), delivered
}

// inPieces is a connection that delivers a few bytes at a time.
type inPieces struct {
	rest []byte
	size int
}

func (r *inPieces) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest[:min(r.size, len(r.rest))])
	r.rest = r.rest[n:]
	return n, nil
}

func FuzzStream(f *testing.F) {
	call := `data: {"choices":[{"index":2,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":{"a":1}}}]}}]}`
	for _, seed := range []string{
		say("hi") + "\n\n" + stop + "\n\n" + done, call + "\n\n" + stop,
		`data: {"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}` + "\n\n" + `data: {"choices":[{"index":1,"delta":{"content":"Hello"}}]}` + "\n\n" + `data: {"choices":[{"index":2,"finish_reason":"stop"}]}`,
		`data: {"id":"x","choices":[{"delta":{"roledata: ` + `{"id":"y","choices":[{"delta":{"content":"Hello"}}]}` + "\n\n" + stop,
		say("never") + "\n\n" + `data: {"id":"x","cho` + "\n" + `data: {"id":"z","choices":[{"delta":{"content":"again"}}]}` + "\n\n" + done,
		`data: {"choices":[{"delta":{"content":"ok \ud83d"}}]}` + "\n\n" + `data: {"choices":[{"delta":{"content":"\ude00"}}]}` + "\n\n",
		"data: {\"choices\":[{\"delta\":{\"content\":\"\xf0\x9f\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"\x98\x80\"}}]}\n\n",
		`data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}},{"index":0,"id":"b","function":{"arguments":"}"}}]}}]}`,
		"{\n\"error\": {\"code\": 1}\n}", `{"choices":[{"delta":{"tool_calls":[{}]}}]}`, "data: {\"error\":\"x\"}", ": c\n<html>", "data: {\"usage\":{\"prompt_tokens\":5.0}}",
	} {
		f.Add([]byte(seed), uint8(7))
	}
	f.Fuzz(func(t *testing.T, body []byte, size uint8) {
		whole, _ := readStream(t, body, 1<<20)
		r, delivered := readStream(t, body, int(size)+1)
		if !reflect.DeepEqual(whole, r) {
			t.Fatalf("in pieces it is another answer: %+v, %+v", whole, r)
		}
		if delivered != r.Content {
			t.Fatalf("%q was delivered of %q", delivered, r.Content)
		}
		for _, call := range r.ToolCalls {
			if !utf8.ValidString(call.Arguments) {
				t.Fatalf("no text: %q", call.Arguments)
			}
		}
		for _, call := range wholeCalls(r.ToolCalls) {
			if !json.Valid([]byte(call.Arguments)) {
				t.Fatalf("half a call: %q", call.Arguments)
			}
		}
		if !utf8.ValidString(r.Content) || !utf8.ValidString(r.Reasoning) {
			t.Fatalf("no text: %q, %q", r.Content, r.Reasoning)
		}
		if r.Usage.InputTokens < r.Usage.CachedTokens || r.Usage.OutputTokens < r.Usage.ReasoningTokens {
			t.Fatalf("%+v", r.Usage)
		}
	})
}
