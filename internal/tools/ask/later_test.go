package ask_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
)

// What goes on behind a call ends with the server, which waits for it, and is not begun once the server is closing.
func TestLaterWorkEndsWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := ask.New(ask.Options{})
		ended := false
		require.True(t, c.Later(t.Context(), func(ctx context.Context) {
			<-ctx.Done()
			time.Sleep(time.Second)
			ended = true
		}))
		synctest.Wait()
		closing, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		require.NoError(t, c.Close(closing))
		assert.True(t, ended)
		assert.Equal(t, time.Second, time.Since(start))
		assert.False(t, c.Later(t.Context(), func(context.Context) { assert.Fail(t, "work began after the server closed") }))
		synctest.Wait()
	})
}

// Whoever began later work can end it; and its context ends with it, for whatever it has begun itself.
func TestLaterWorkHasItsCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := ask.New(ask.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		var own context.Context
		require.True(t, c.Later(ctx, func(ctx context.Context) { <-ctx.Done() }))
		require.True(t, c.Later(t.Context(), func(ctx context.Context) { own = ctx }))
		synctest.Wait()
		require.ErrorIs(t, own.Err(), context.Canceled)
		cancel()
		start := time.Now()
		require.NoError(t, c.Close(t.Context()))
		assert.Zero(t, time.Since(start))
	})
}

type bigKey struct{}

// A server that runs for months keeps nothing of work that has ended.
func TestLaterWorkLeavesNothingBehind(t *testing.T) {
	c := ask.New(ask.Options{})
	begin := func() (weak.Pointer[[1 << 20]byte], chan struct{}) {
		held, done := new([1 << 20]byte), make(chan struct{})
		require.True(t, c.Later(context.WithValue(context.Background(), bigKey{}, held), func(context.Context) { close(done) }))
		return weak.Make(held), done
	}
	held, done := begin()
	<-done
	for range 1000 {
		if runtime.GC(); held.Value() == nil {
			break
		}
	}
	assert.Nil(t, held.Value())
	require.NoError(t, c.Close(t.Context()))
}
