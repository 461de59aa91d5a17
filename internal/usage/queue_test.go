package usage

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rows that are added while somebody waits must not make it wait longer: a server that is never idle would look like a
// store that does not answer.
func TestQueueWaitsForWhatWasAddedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q queue
		var written atomic.Int64
		stop := time.Now().Add(10 * time.Second)
		var add func()
		add = func() {
			q.add(func(context.Context) {
				if time.Now().Before(stop) {
					add()
				}
				time.Sleep(10 * time.Millisecond)
				written.Add(1)
			})
		}
		require.NoError(t, q.wait(t.Context()), "nothing waits")
		add()
		add()
		begin := time.Now()
		require.NoError(t, q.wait(t.Context()))
		assert.Equal(t, 20*time.Millisecond, time.Since(begin))
		assert.EqualValues(t, 2, written.Load())

		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		assert.ErrorIs(t, q.wait(ctx), context.DeadlineExceeded)
		time.Sleep(11 * time.Second)
		require.NoError(t, q.wait(t.Context()), "it is idle again")
	})
}
