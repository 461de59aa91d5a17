package usage

import (
	"context"
	"sync"
	"time"
)

const (
	// writeTime is what storing one row may take.
	writeTime = 5 * time.Second
	// maxWaiting is how many rows may wait for a store that does not answer.
	maxWaiting = 10_000
)

// queue writes rows one after the other, in a goroutine that ends when none waits. The zero value works.
type queue struct {
	lost func() // called for a write that found the queue full

	mu      sync.Mutex
	waiting []func(context.Context)
	writing bool
	idle    chan struct{} // closed when nothing waits any longer; nil when nobody asked
}

// add hands over a write and returns at once.
func (q *queue) add(write func(context.Context)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) >= maxWaiting {
		q.lost()
		return
	}
	q.waiting = append(q.waiting, write)
	if !q.writing {
		q.writing = true
		go q.write()
	}
}

func (q *queue) write() {
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 {
			q.writing = false
			if q.idle != nil {
				close(q.idle)
				q.idle = nil
			}
			q.mu.Unlock()
			return
		}
		next := q.waiting[0]
		q.waiting = q.waiting[1:]
		q.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), writeTime)
		next(ctx)
		cancel()
	}
}

// wait returns when nothing waits to be written, or when ctx ends.
func (q *queue) wait(ctx context.Context) error {
	q.mu.Lock()
	if !q.writing {
		q.mu.Unlock()
		return nil
	}
	if q.idle == nil {
		q.idle = make(chan struct{})
	}
	idle := q.idle
	q.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
