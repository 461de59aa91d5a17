package bounded

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var errOver = errors.New("over")

// Functions that obey their context, that ignore it, that fail, that panic, and that are done in time.
func TestRun(t *testing.T) {
	failed := errors.New("failed")
	for name, c := range map[string]struct {
		f    func(context.Context) (int, error)
		want int
		err  error
		took time.Duration
	}{
		"in time": {func(context.Context) (int, error) { time.Sleep(time.Second); return 7, nil }, 7, nil, time.Second},
		"fails":   {func(context.Context) (int, error) { return 0, failed }, 0, failed, 0},
		"ignores its context": {func(context.Context) (int, error) {
			time.Sleep(time.Hour)
			return 7, nil
		}, 0, errOver, 3 * time.Second},
		"obeys its context": {func(ctx context.Context) (int, error) {
			<-ctx.Done()
			time.Sleep(time.Millisecond)
			return 7, ctx.Err()
		}, 0, errOver, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errOver)
				defer cancel()
				start := time.Now()
				got, err := Run(ctx, c.f)
				assert.Equal(t, c.want, got)
				assert.Equal(t, c.err, err)
				assert.Equal(t, c.took, time.Since(start))
				time.Sleep(2 * time.Hour) // a bubble ends when its goroutines have
			})
		})
	}
}

func TestRunReturnsAPanicAsAnError(t *testing.T) {
	_, err := Run(t.Context(), func(context.Context) (int, error) { panic("fell") })
	require.ErrorContains(t, err, "panic: fell")
	assert.ErrorContains(t, err, "bounded_test.go", "with the stack")
}

// A context that has ended already does not hide an outcome that is there.
func TestAwaitPrefersTheOutcome(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		done := make(chan int, 1)
		_, ok := Await(ended, done)
		assert.False(t, ok)
		done <- 7
		got, ok := Await(ended, done)
		assert.True(t, ok)
		assert.Equal(t, 7, got)
	}
}

func TestDo(t *testing.T) {
	assert.NoError(t, Do(t.Context(), func(context.Context) error { return nil }))
	assert.Equal(t, errOver, Do(t.Context(), func(context.Context) error { return errOver }))
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errOver)
		defer cancel()
		var soon, late sync.WaitGroup
		soon.Go(func() { time.Sleep(time.Second) })
		late.Go(func() { time.Sleep(time.Minute) })
		start := time.Now()
		assert.NoError(t, Wait(ctx, &soon))
		assert.Equal(t, time.Second, time.Since(start))
		assert.Equal(t, errOver, Wait(ctx, &late))
		assert.Equal(t, 3*time.Second, time.Since(start))
		<-Done(&late)
		assert.Equal(t, time.Minute, time.Since(start))
	})
}
