package openaicompat

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		say("hi") + "\n\n" + stop + "\n\n" + done,
		`data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":{"a":1}}}]}}]}`,
		"{\n\"error\": {\"code\": 1}\n}", "data: {\"error\":\"x\"}", ": c\n<html>", "data: {\"usage\":{\"prompt_tokens\":5.0}}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		const maxLine = 4096
		events := newEventReader(io.NopCloser(bytes.NewReader(body)), maxLine)
		out, err := io.ReadAll(events)
		if err != nil && !errors.Is(err, errTooLong) {
			t.Fatal(err)
		}
		ans := &answer{max: 1000}
		for line := range bytes.Lines(out) {
			payload, ok := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte("data: "))
			if !ok {
				t.Fatalf("not an event: %q", line)
			}
			if ans.event(payload) != nil {
				break
			}
		}
		r := ans.response()
		for _, call := range wholeCalls(r.ToolCalls) {
			if !json.Valid([]byte(call.Arguments)) {
				t.Fatalf("half a call: %q", call.Arguments)
			}
		}
		if r.Usage.InputTokens < r.Usage.CachedTokens || r.Usage.OutputTokens < r.Usage.ReasoningTokens {
			t.Fatalf("%+v", r.Usage)
		}
	})
}
