package calls

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// slowPeriod is how long a vendor gets half as many requests after it refused one for too many at once.
const slowPeriod = time.Minute

// slots bounds how many requests run at once, at each vendor and overall. Whoever finds no slot waits in one queue, first
// come first served, but a request whose vendor is busy doesn't hold up another vendor's.
type slots struct {
	mu      sync.Mutex
	max     int // overall
	running int
	lanes   map[string]*lane
	queue   []*waiter
}

type lane struct {
	max, running int
	slowUntil    time.Time
}

type waiter struct {
	lane  *lane
	ready chan struct{} // closed, under the lock, when the slot is the waiter's
}

func newSlots(cfg *config.Config) *slots {
	s := &slots{max: cfg.Calls.MaxInflight, lanes: map[string]*lane{}}
	for _, v := range cfg.Vendors() {
		s.lanes[v.Row.Name] = &lane{max: v.MaxInflight}
	}
	return s
}

// acquire waits for a slot and returns what gives it back, which may be called more than once. It calls queued when it has
// to wait. It fails when ctx ends; when skip is closed it goes on without a slot.
func (s *slots) acquire(ctx context.Context, vendor string, skip <-chan struct{}, queued func()) (release func(), err error) {
	select {
	case <-skip:
		return func() {}, nil
	default:
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s.mu.Lock()
	l := s.lanes[vendor]
	if l == nil {
		l = &lane{}
		s.lanes[vendor] = l
	}
	w := &waiter{lane: l, ready: make(chan struct{})}
	s.queue = append(s.queue, w)
	s.grantLocked()
	s.mu.Unlock()
	release = sync.OnceFunc(func() { s.releaseSlot(w) })

	select {
	case <-w.ready:
		return release, nil
	default:
		queued()
	}
	select {
	case <-w.ready:
		return release, nil
	case <-skip:
		release()
		return release, nil
	case <-ctx.Done():
		release()
		return nil, context.Cause(ctx)
	}
}

// releaseSlot frees a waiter's slot, or takes it out of the queue when it has none yet.
func (s *slots) releaseSlot(w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-w.ready:
		s.running--
		w.lane.running--
		s.grantLocked()
	default:
		s.queue = slices.DeleteFunc(s.queue, func(q *waiter) bool { return q == w })
	}
}

// grantLocked hands out the free slots in the order of the queue.
func (s *slots) grantLocked() {
	now := time.Now()
	s.queue = slices.DeleteFunc(s.queue, func(w *waiter) bool {
		if s.max > 0 && s.running >= s.max || !w.lane.free(now) {
			return false
		}
		s.running++
		w.lane.running++
		close(w.ready)
		return true
	})
}

func (l *lane) free(now time.Time) bool {
	limit := l.max
	if limit <= 0 {
		return true
	}
	if now.Before(l.slowUntil) {
		limit = max(1, limit/2)
	}
	return l.running < limit
}

// slowDown halves a vendor's slots for a minute.
func (s *slots) slowDown(vendor string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lanes[vendor]; l != nil {
		l.slowUntil = time.Now().Add(slowPeriod)
		time.AfterFunc(slowPeriod, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.grantLocked()
		})
	}
}
