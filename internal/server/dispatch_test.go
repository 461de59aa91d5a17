package server

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

type fakeInput struct {
	Prompt string `json:"prompt"`
}

// The server with the real entrance to the tools behind it, and fake tools behind that.
func TestThroughTheDispatcher(t *testing.T) {
	serve := func(t *testing.T, f func(ctx context.Context, in fakeInput) (*tools.Result, error)) *peer {
		list := []tool.Tool{tool.New("chat", f)}
		p := connect(t, New(Options{Name: "n", Version: "v", Tools: list, Call: tool.NewDispatcher(tool.Options{Config: config.Default()}, list).Call}))
		p.handshake(newest, `{}`)
		return p
	}
	t.Run("a panic is an error result", func(t *testing.T) {
		p := serve(t, func(context.Context, fakeInput) (*tools.Result, error) { panic("the secret") })
		p.call(newest, `1`, "chat", `{"prompt":"x"}`, "")
		got := p.next()
		require.Nil(t, got.Error, got.raw)
		assert.Contains(t, got.raw, `"isError":true`)
		assert.Contains(t, got.content(t), `"code":"internal"`)
		assert.NotContains(t, got.raw, "secret")
	})
	t.Run("so is a failure", func(t *testing.T) {
		p := serve(t, func(context.Context, fakeInput) (*tools.Result, error) { return nil, errors.New("the secret") })
		p.call(newest, `1`, "chat", `{"prompt":"x"}`, "")
		got := p.next()
		assert.Contains(t, got.content(t), `"code":"internal"`)
		assert.NotContains(t, got.raw, "secret")
	})
	t.Run("and what can't be understood", func(t *testing.T) {
		p := serve(t, func(context.Context, fakeInput) (*tools.Result, error) { return says("never"), nil })
		for _, bad := range []string{`{}`, `[]`, `"x"`, `{"prompt":{}}`} {
			p.call(newest, `1`, "chat", bad, "")
			assert.Contains(t, p.next().content(t), `"code":"invalid_request"`, bad)
		}
	})
	t.Run("a tool that does not end is left at its limit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			defer close(release)
			p := serve(t, func(context.Context, fakeInput) (*tools.Result, error) {
				<-release
				return says("too late"), nil
			})
			start := time.Now()
			p.call(newest, `1`, "chat", `{"prompt":"x"}`, `"t"`)
			var got line
			signs := 0
			for got = p.next(); got.Method != ""; got = p.next() {
				signs++
			}
			assert.Equal(t, config.Default().Timeouts.SimpleTool, time.Since(start))
			assert.Contains(t, got.content(t), `"limit":"SIMPLE_TOOL_TIMEOUT_SECS=30s"`)
			assert.GreaterOrEqual(t, signs, 6, "a sign of life at least every 5 s")
		})
	})
	t.Run("a cancelled call is stored and not answered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			stored := make(chan error, 1)
			p := serve(t, func(ctx context.Context, _ fakeInput) (*tools.Result, error) {
				<-ctx.Done()
				stored <- context.Cause(ctx)
				return says("partial"), nil
			})
			p.call(newest, `1`, "chat", `{"prompt":"x"}`, "")
			p.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
			assert.ErrorIs(t, <-stored, ErrCancelledByClient)
			require.NoError(t, p.closeInput())
			assert.Empty(t, p.rest())
		})
	})
}
