package server

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
)

// blockedWriter is a client that takes nothing until it is let go, and then fails.
type blockedWriter chan struct{}

func (s blockedWriter) Write([]byte) (int, error) {
	<-s
	return 0, errors.New("the pipe is gone")
}

// What waits for a client that does not read is bounded, answers aside; once the client is gone nothing is kept.
func TestWhatWaitsForAClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := make(blockedWriter)
		o := newOutbox(client)
		o.send(make([]byte, 100<<10)) // keeps the writer busy
		synctest.Wait()
		waiting := func() (n int) {
			o.mu.Lock()
			defer o.mu.Unlock()
			for _, line := range o.lines {
				n += len(line.text)
			}
			return n
		}
		for range 3 * maxWaitingBytes / 1000 {
			o.offer(make([]byte, 1000))
		}
		assert.InDelta(t, maxWaitingBytes, waiting(), 1000)
		o.send(make([]byte, maxWaitingBytes))
		assert.InDelta(t, 2*maxWaitingBytes, waiting(), 1000, "an answer is never left out")

		close(client)
		<-o.broken
		synctest.Wait()
		o.send([]byte("late"))
		assert.Zero(t, waiting())
	})
}

// countingWriter is a client that keeps up.
type countingWriter struct{ bytes int }

func (c *countingWriter) Write(p []byte) (int, error) {
	c.bytes += len(p)
	return len(p), nil
}

// A client that keeps up gets everything, however much that comes to be.
func TestNothingIsLeftOutForAClientThatKeepsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &countingWriter{}
		o := newOutbox(client)
		for range 8 {
			o.offer(make([]byte, maxWaitingBytes/2-1))
			synctest.Wait()
		}
		o.close(0)
		synctest.Wait()
		assert.Equal(t, 4*maxWaitingBytes, client.bytes)
	})
}
