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
	waiting []*write
	last    *write // that was added; nil when nothing is being written
}

type write struct {
	do   func(context.Context)
	done chan struct{} // closed when it is done; nil when nobody asked
}

// add hands over a write and returns at once.
func (q *queue) add(do func(context.Context)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) >= maxWaiting {
		q.lost()
		return
	}
	idle := q.last == nil
	q.last = &write{do: do}
	q.waiting = append(q.waiting, q.last)
	if idle {
		go q.write()
	}
}

func (q *queue) write() {
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 {
			q.last = nil
			q.mu.Unlock()
			return
		}
		w := q.waiting[0]
		q.waiting = q.waiting[1:]
		q.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), writeTime)
		w.do(ctx)
		cancel()
		q.mu.Lock()
		if w.done != nil {
			close(w.done)
		}
		q.mu.Unlock()
	}
}

// wait returns when everything that was added before is written, or when ctx ends.
func (q *queue) wait(ctx context.Context) error {
	q.mu.Lock()
	w := q.last
	if w == nil {
		q.mu.Unlock()
		return nil
	}
	if w.done == nil {
		w.done = make(chan struct{})
	}
	q.mu.Unlock()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
