package openaicompat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// The ugly ways in which an answer can go wrong after HTTP said 200. partial is what of it must survive.
func TestChatFailsInsideTheAnswer(t *testing.T) {
	nested := `{"error":{"code":"1302","message":"slow down"}}`
	for name, tc := range map[string]struct {
		lines   []string
		kind    providers.Kind
		partial string
	}{
		"error event":                      {[]string{say("ab"), "data: " + nested, ""}, providers.KindProviderError, "ab"},
		"error event, spaced":              {[]string{say("ab"), `data:  { "error" : {"code":"1302","message":"slow down"}}`}, providers.KindProviderError, "ab"},
		"error event, another key first":   {[]string{say("ab"), `data: {"request_id":"r","error":{"code":"1302"}}`}, providers.KindProviderError, "ab"},
		"error event after a comment":      {[]string{say("ab"), ": ping", "data: " + nested}, providers.KindProviderError, "ab"},
		"error event after a field":        {[]string{say("ab"), "event: error", "id: 3", "data: " + nested}, providers.KindProviderError, "ab"},
		"flat error event":                 {[]string{say("ab"), `data: {"code":500,"msg":"boom","success":false}`}, providers.KindProviderError, "ab"},
		"error event that is a word":       {[]string{say("ab"), `data: {"error":"boom"}`}, providers.KindProviderError, "ab"},
		"error event without a message":    {[]string{say("ab"), `data: {"error":{}}`}, providers.KindProviderError, "ab"},
		"bare error line in a stream":      {[]string{say("ab"), nested}, providers.KindProviderError, "ab"},
		"error with choices of its own":    {[]string{say("ab"), `data: {"choices":"none","error":{"code":"1302"}}`}, providers.KindProviderError, "ab"},
		"error body under 200":             {[]string{nested}, providers.KindProviderError, ""},
		"flat error body under 200":        {[]string{`{"code":"500","msg":"boom"}`}, providers.KindProviderError, ""},
		"error body over several lines":    {[]string{"{", `"error": {"code": "1302"}`, "}"}, providers.KindProviderError, ""},
		"page under 200":                   {[]string{"<html>", "<body>sign in</body>", "</html>"}, providers.KindProviderError, ""},
		"plain text under 200":             {[]string{"upstream connect error"}, providers.KindProviderError, ""},
		"no choices":                       {[]string{`data: {"id":"c1","choices":[]}`, done}, providers.KindProviderError, ""},
		"network_error as finish reason":   {[]string{say("ab"), `data: {"choices":[{"delta":{},"finish_reason":"network_error"}]}`, done}, providers.KindProviderError, "ab"},
		"error as finish reason":           {[]string{say("ab"), `data: {"choices":[{"delta":{},"finish_reason":"error","error":{"code":502,"message":"gone"}}]}`, done}, providers.KindProviderError, "ab"},
		"overloaded, as finish reason":     {[]string{say("ab"), `data: {"choices":[{"delta":{},"finish_reason":"insufficient_system_resource"}]}`, done}, providers.KindProviderError, "ab"},
		"garbage event":                    {[]string{say("ab"), "data: {\"choices\":[{\x00\xff]]]", done}, providers.KindProviderError, "ab"},
		"garbage that is no JSON, then on": {[]string{say("ab"), "data: ping", say("c")}, providers.KindNetwork, "abc"},
		"end without a finish reason":      {[]string{say("ab")}, providers.KindNetwork, "ab"},
		"[DONE] without a finish reason":   {[]string{say("ab"), done}, providers.KindNetwork, "ab"},
		"nothing at all":                   {nil, providers.KindNetwork, ""},
		"comments alone":                   {[]string{": a", ": b"}, providers.KindNetwork, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, stream(tc.lines...))
			resp, err := c.Chat(t.Context(), question(), nil)
			e := refused(t, err, tc.kind)
			assert.Equal(t, 200, e.HTTPStatus)
			assert.NotEmpty(t, e.Hint)
			if tc.partial == "" {
				assert.Nil(t, resp)
				return
			}
			require.NotNil(t, resp)
			assert.Equal(t, tc.partial, resp.Content)
			assert.Equal(t, providers.FinishNetwork, resp.FinishReason)
		})
	}
}

func TestChatCutInTheMiddleOfALine(t *testing.T) {
	for name, tail := range map[string]string{
		"whole last line without its end": `data: {"choices":[{"delta":{"content":"c"},"finish_reason":"stop"}]}`,
		"torn last line":                  `data: {"choices":[{"delta":{"conte`,
		"torn error":                      `data: {"error":{"code":"13`,
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, say("ab")+"\n\n"+tail)
			})
			resp, err := c.Chat(t.Context(), question(), nil)
			if strings.HasPrefix(name, "whole") {
				require.NoError(t, err)
				assert.Equal(t, "abc", resp.Content)
				return
			}
			e := refused(t, err, providers.KindNetwork)
			assert.True(t, e.Retry)
			assert.Equal(t, "ab", resp.Content)
		})
	}
}

func TestChatConnectionDies(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		stream(say("ab"), `data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"n\":"}}]}}]}`)(w, r)
		panic(http.ErrAbortHandler)
	})
	resp, err := c.Chat(t.Context(), question(), nil)
	e := refused(t, err, providers.KindNetwork)
	assert.True(t, e.Retry)
	assert.Contains(t, e.Message, "cut off")
	assert.Equal(t, "ab", resp.Content)
	assert.Empty(t, resp.ToolCalls, "half a call can't be run")
}

func TestChatTooLongAnAnswer(t *testing.T) {
	small := func(o *Options) { o.MaxAnswerBytes = 1000 }
	t.Run("in many pieces", func(t *testing.T) {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			for range 100 {
				fmt.Fprintf(w, "%s\n\n", say(strings.Repeat("x", 100)))
			}
		}, small)
		resp, err := c.Chat(t.Context(), question(), nil)
		e := refused(t, err, providers.KindTooLarge)
		assert.False(t, e.Retry)
		assert.Equal(t, providers.FinishLength, resp.FinishReason)
		assert.Len(t, resp.Content, 1100)
	})
	t.Run("in one endless line", func(t *testing.T) {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			for range 10_000 {
				if _, err := fmt.Fprint(w, "data: {"+strings.Repeat(" ", 1000)); err != nil {
					return
				}
			}
		}, small)
		resp, err := c.Chat(t.Context(), question(), nil)
		refused(t, err, providers.KindTooLarge)
		assert.Nil(t, resp)
	})
}

func TestChatEndsWithItsContext(t *testing.T) {
	for name, before := range map[string][]string{"before anything": nil, "in the middle": {say("ab"), ": ping"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gone := make(chan struct{})
				c := serve(t, func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					if before != nil {
						stream(before...)(w, r)
					}
					<-r.Context().Done()
					close(gone)
				})
				cause := errors.New("STREAM_IDLE_TIMEOUT_SECS=25s")
				ctx, cancel := context.WithTimeoutCause(t.Context(), 25*time.Second, cause)
				defer cancel()
				start := time.Now()
				resp, err := c.Chat(ctx, question(), nil)
				assert.Equal(t, 25*time.Second, time.Since(start))
				refused(t, err, providers.KindTimeout)
				require.ErrorIs(t, err, cause)
				if before == nil {
					assert.Nil(t, resp)
				} else {
					assert.Equal(t, "ab", resp.Content)
					assert.Empty(t, resp.FinishReason, "which limit it was is the caller's to say")
				}
				<-gone // the vendor's side saw the connection close
			})
		})
	}
}

func TestChatCancelled(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		stream(say("ab"))(w, r)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := c.Chat(ctx, question(), func(providers.Delta) { cancel() })
	refused(t, err, providers.KindCancelled)
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, "ab", resp.Content)
}

func TestChatDoesNotWaitForTheEndOfAWholeAnswer(t *testing.T) {
	silent := `data: {"choices":[{"delta":{},"finish_reason":"stop"}]}`
	for name, tc := range map[string]struct {
		lines []string
		wait  time.Duration
	}{
		"no usage":        {[]string{say("ab"), silent}, tailWait},
		"no [DONE]":       {[]string{say("ab"), stop}, markWait},
		"[DONE], no end":  {[]string{say("ab"), stop, done}, drainWait},
		"usage by itself": {[]string{say("ab"), silent, `data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}`, done}, drainWait},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := serve(t, func(w http.ResponseWriter, r *http.Request) {
					stream(tc.lines...)(w, r)
					<-r.Context().Done()
				})
				start := time.Now()
				resp, err := c.Chat(t.Context(), question(), nil)
				require.NoError(t, err)
				assert.Equal(t, "ab", resp.Content)
				assert.Equal(t, name != "no usage", resp.UsageKnown)
				assert.Equal(t, tc.wait, time.Since(start))
			})
		})
	}
}
