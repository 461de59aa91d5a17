package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

func TestEndOfInput(t *testing.T) {
	t.Run("calls may finish", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := connect(t, serverOf(nil, nil, map[string]handler{"slow": slow(1400 * time.Millisecond)}))
			start := time.Now()
			for i := range 20 {
				p.call(newest, fmt.Sprint(i), "slow", `{}`, "")
			}
			require.NoError(t, p.closeInput())
			assert.Equal(t, 1400*time.Millisecond, time.Since(start))
			all := p.rest()
			assert.Len(t, all, 20)
			for _, l := range all {
				assert.JSONEq(t, `{"content":"done"}`, l.content(t))
			}
		})
	})
	t.Run("then they are cancelled, and may store", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			stored := false
			p := connect(t, serverOf(nil, nil, map[string]handler{"slow": func(ctx context.Context, inv tool.Invocation) *tools.Result {
				r := slow(time.Hour)(ctx, inv)
				time.Sleep(100 * time.Millisecond)
				stored = true
				return r
			}}))
			start := time.Now()
			p.call(newest, `1`, "slow", `{}`, "")
			require.NoError(t, p.closeInput())
			assert.Equal(t, 1600*time.Millisecond, time.Since(start))
			assert.True(t, stored)
			all := p.rest()
			require.Len(t, all, 1)
			assert.Contains(t, all[0].content(t), ErrShutdown.Error(), "not to be mistaken for the client's cancellation")
		})
	})
	t.Run("a handler that does not listen holds nobody up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			defer close(release)
			p := connect(t, serverOf(nil, nil, map[string]handler{"deaf": func(context.Context, tool.Invocation) *tools.Result {
				<-release
				return says("too late")
			}}))
			start := time.Now()
			p.call(newest, `1`, "deaf", `{}`, "")
			require.NoError(t, p.closeInput())
			assert.Less(t, time.Since(start), 1900*time.Millisecond)
			assert.Empty(t, p.rest())
		})
	})
}

func TestSignal(t *testing.T) {
	t.Run("cancels at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := connect(t, serverOf(nil, nil, map[string]handler{"slow": slow(time.Hour)}))
			start := time.Now()
			p.call(newest, `1`, "slow", `{}`, "")
			synctest.Wait()
			p.signal()
			require.NoError(t, <-p.ended)
			assert.Zero(t, time.Since(start))
			assert.Len(t, p.rest(), 1)
		})
	})
	t.Run("takes no more calls", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := connect(t, serverOf(nil, nil, map[string]handler{"storing": func(ctx context.Context, _ tool.Invocation) *tools.Result {
				<-ctx.Done()
				time.Sleep(time.Second)
				return says("stored")
			}}))
			p.call(newest, `1`, "storing", `{}`, "")
			synctest.Wait()
			p.signal()
			synctest.Wait()
			p.call(newest, `2`, "storing", `{}`, "")
			require.NoError(t, <-p.ended)
			all := p.rest()
			require.Len(t, all, 1)
			assert.Equal(t, "1", string(all[0].ID))
		})
	})
	t.Run("cuts the time to finish short", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := connect(t, serverOf(nil, nil, map[string]handler{"slow": slow(time.Hour)}))
			start := time.Now()
			p.call(newest, `1`, "slow", `{}`, "")
			p.in.Close()
			time.Sleep(500 * time.Millisecond)
			p.signal()
			require.NoError(t, <-p.ended)
			assert.Equal(t, 500*time.Millisecond, time.Since(start))
		})
	})
	t.Run("a handler that does not listen holds nobody up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			defer close(release)
			p := connect(t, serverOf(nil, nil, map[string]handler{"deaf": func(context.Context, tool.Invocation) *tools.Result {
				<-release
				return says("too late")
			}}))
			start := time.Now()
			p.call(newest, `1`, "deaf", `{}`, "")
			synctest.Wait()
			p.signal()
			require.NoError(t, <-p.ended)
			assert.Less(t, time.Since(start), 1900*time.Millisecond)
		})
	})
}

// A client that does not read must hold up neither the calls nor the end.
func TestClientThatStopsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var finished atomic.Int32
		p := dial(t, serverOf(nil, nil, map[string]handler{"chatty": func(_ context.Context, inv tool.Invocation) *tools.Result {
			for range 20000 { // more than may wait
				inv.Progress(strings.Repeat("x", 150))
			}
			finished.Add(1)
			return says("done")
		}}))
		start := time.Now()
		for i := range 10 {
			p.call(newest, fmt.Sprint(i), "chatty", `{}`, `"t"`)
		}
		synctest.Wait()
		assert.EqualValues(t, 10, finished.Load(), "calls end although nobody reads")
		require.NoError(t, p.closeInput())
		assert.Less(t, time.Since(start), 1900*time.Millisecond)
	})
}

// A client that is gone, rather than slow, ends the server without a wait.
func TestClientThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := dial(t, serverOf(nil, nil, map[string]handler{"slow": slow(time.Hour)}))
		start := time.Now()
		p.call(newest, `1`, "slow", `{}`, "")
		p.out.Close()
		p.send(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)
		require.NoError(t, <-p.ended)
		assert.Zero(t, time.Since(start))
	})
}

// The same when it is gone while calls may finish.
func TestClientThatIsGoneAfterItsInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := dial(t, serverOf(nil, nil, map[string]handler{"chatty": func(ctx context.Context, inv tool.Invocation) *tools.Result {
			time.Sleep(100 * time.Millisecond)
			inv.Progress("for nobody")
			return slow(time.Hour)(ctx, inv)
		}}))
		start := time.Now()
		p.call(newest, `1`, "chatty", `{}`, `"t"`)
		p.in.Close()
		p.out.Close()
		require.NoError(t, <-p.ended)
		assert.Equal(t, 100*time.Millisecond, time.Since(start))
	})
}

func TestInputThatBreaks(t *testing.T) {
	p := connect(t, serverOf(nil, nil, nil))
	p.in.CloseWithError(errors.New("the disk is on fire"))
	assert.ErrorContains(t, <-p.ended, "the disk is on fire")
}
