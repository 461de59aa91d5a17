package ask

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestKeyedMutex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m keyedMutex
		lock := func(key string, wait time.Duration) bool {
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			return m.Lock(ctx, key)
		}
		assert.True(t, lock("a", time.Second))
		assert.True(t, lock("b", time.Second), "another key is free")
		assert.False(t, lock("a", time.Second))
		assert.False(t, lock("a", time.Second), "one who gave up does not free it")
		assert.Len(t, m.entries, 2)
		got := make(chan bool)
		go func() { got <- lock("a", time.Minute) }()
		synctest.Wait()
		m.Unlock("a")
		assert.True(t, <-got, "who waits gets it")
		assert.False(t, lock("a", time.Second), "and has it alone")
		m.Unlock("a")
		m.Unlock("b")
		assert.Empty(t, m.entries, "nothing is left of what nobody uses")
		assert.True(t, lock("a", time.Second))
		m.Unlock("a")
	})
}
