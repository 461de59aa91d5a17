package calls

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

const (
	// halveInterval is how often a vendor's slots may be halved: requests that were refused together are one reason.
	halveInterval = time.Second
	// quietPeriod is how long a vendor must refuse nothing for too many requests at once before its slots are doubled again.
	quietPeriod = time.Minute
	// maxQueueDelay is the longest wait that a vendor's limit per minute can ask for; a longer one is another quota.
	maxQueueDelay = time.Minute
)

// slots bounds how many requests run at once, at each vendor and overall. Requests without a slot wait in one queue, first come
// first served, but a request whose vendor is busy doesn't delay another vendor's.
type slots struct {
	mu      sync.Mutex
	max     int // overall
	running int
	vendors map[string]*vendorSlots
	queue   []*waiter
}

// vendorSlots are the slots of one vendor.
type vendorSlots struct {
	max          int // 0: no limit
	limit        int // max, or less since the vendor refused requests
	running      int
	halvedAt     time.Time
	refusedAt    time.Time // the latest refusal for too many requests at once
	delayedUntil time.Time // the vendor's limit per minute admits no request before
}

type waiter struct {
	vendor *vendorSlots
	ready  chan struct{} // closed, under the lock, when the slot is the waiter's
}

func newSlots(cfg *config.Config) *slots {
	s := &slots{max: cfg.Calls.MaxInflight, vendors: map[string]*vendorSlots{}}
	for _, v := range cfg.Vendors() {
		s.vendors[v.Row.Name] = &vendorSlots{max: v.MaxInflight, limit: v.MaxInflight}
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
	v := s.vendors[vendor]
	if v == nil {
		v = &vendorSlots{}
	}
	w := &waiter{vendor: v, ready: make(chan struct{})}
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
		w.vendor.running--
		s.grantLocked()
	default:
		s.queue = slices.DeleteFunc(s.queue, func(q *waiter) bool { return q == w })
	}
}

// grantLocked hands out the free slots in the order of the queue.
func (s *slots) grantLocked() {
	now := time.Now()
	s.queue = slices.DeleteFunc(s.queue, func(w *waiter) bool {
		if s.max > 0 && s.running >= s.max || !w.vendor.free(now) {
			return false
		}
		s.running++
		w.vendor.running++
		close(w.ready)
		return true
	})
}

func (v *vendorSlots) free(now time.Time) bool {
	return !now.Before(v.delayedUntil) && (v.max <= 0 || v.running < v.limit)
}

// refused takes notice of a request that a vendor refused for its rate. For too many requests at once its slots are
// halved, at most once a halveInterval, and doubled again after each quietPeriod; for too many requests or tokens a minute
// nothing is sent to it for as long as it asked. A refusal that names neither concerns its own request alone.
func (s *slots) refused(vendor string, e *providers.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, now := s.vendors[vendor], time.Now()
	switch {
	case v == nil:
	case e.Concurrency:
		v.refusedAt = now
		if now.Sub(v.halvedAt) < halveInterval {
			return
		}
		if v.halvedAt = now; v.limit == v.max {
			time.AfterFunc(quietPeriod, func() { s.widen(v) })
		}
		v.limit = max(1, v.limit/2)
	case e.PerMinute && e.RetryAfter <= maxQueueDelay:
		if until := now.Add(e.RetryAfter); until.After(v.delayedUntil) {
			v.delayedUntil = until
			time.AfterFunc(e.RetryAfter, s.grant)
		}
	}
}

// widen doubles a vendor's slots after a quietPeriod without a refusal, and goes on until they are what they were.
func (s *slots) widen(v *vendorSlots) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := quietPeriod - time.Since(v.refusedAt)
	if wait <= 0 {
		v.limit = min(v.max, v.limit*2)
		s.grantLocked()
		wait = quietPeriod
	}
	if v.limit < v.max {
		time.AfterFunc(wait, func() { s.widen(v) })
	}
}

func (s *slots) grant() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grantLocked()
}

// delay is how long a vendor's limit per minute admits no request yet.
func (s *slots) delay(vendor string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.vendors[vendor]; v != nil {
		return max(0, time.Until(v.delayedUntil))
	}
	return 0
}

// delayedError is the error of a request whose vendor admits none for longer than the request has time.
func (c *Caller) delayedError(vendor string, wait time.Duration) *providers.Error {
	return &providers.Error{
		Kind: providers.KindRateLimited, Provider: vendor, Retry: true, RetryAfter: wait,
		Message: fmt.Sprintf("%s admits no request for another %s: its limit per minute is reached.", c.cfg.VendorTitle(vendor), wait.Round(time.Second)),
		Hint:    fmt.Sprintf("Send it again in %s.", wait.Round(time.Second)),
	}
}
