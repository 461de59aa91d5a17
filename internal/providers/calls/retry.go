package calls

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// The waits between attempts: base, twice that, and so on up to the cap, each drawn between nothing and its bound.
const (
	retryBase = time.Second
	retryCap  = 30 * time.Second
	// minAttempt is the least time that a further attempt must have to be worth the wait for it.
	minAttempt = 500 * time.Millisecond
)

// fullJitter draws a wait between nothing and d.
func fullJitter(d time.Duration) time.Duration { return rand.N(d + 1) }

// retrying says how often, and for how long, one request is sent again. Libraries for this sleep through the deadline
// and then return the deadline's error, losing what the vendor said; this loop never sleeps into a time in which no
// attempt fits, and keeps the vendor's last error.
type retrying struct {
	attempts int                         // maximum, the first included
	left     func() time.Duration        // what is left of the request's time
	ended    func() *providers.Error     // why the context ended
	correct  func(*providers.Error) bool // changes the request so that this refusal cannot come again; may be nil
	waiting  func(wait time.Duration)    // called before every wait; may be nil
	jitter   func(time.Duration) time.Duration
}

// run sends until it succeeds, the failure is not worth another attempt, or no further attempt fits.
func (r retrying) run(ctx context.Context, send func() *providers.Error) *providers.Error {
	least := min(minAttempt, r.left()/10)
	var last *providers.Error
	for n := 1; ; n++ {
		err := send()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return withEarlier(err, last)
		}
		if r.correct != nil && r.correct(err) {
			n--
			continue
		}
		if !mayRetry(err, n, r.attempts) {
			return withEarlier(err, last)
		}
		wait := err.RetryAfter
		if wait <= 0 {
			wait = r.jitter(min(retryBase<<min(n-1, 10), retryCap))
		}
		if wait > r.left()-least {
			if err.RetryAfter > 0 {
				err.Kind = providers.KindRateLimited
			}
			return withEarlier(err, last)
		}
		if r.waiting != nil {
			r.waiting(wait)
		}
		if !sleep(ctx, wait) {
			return withEarlier(r.ended(), err)
		}
		last = err
	}
}

// sleep waits, and reports whether the context outlived the wait.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// withEarlier joins what an earlier attempt failed with, so that an exceeded limit does not hide what the vendor said.
func withEarlier(e, earlier *providers.Error) *providers.Error {
	if earlier == nil {
		return e
	}
	joined := *e
	joined.Err = errors.Join(e.Err, earlier)
	if e.Kind == providers.KindTimeout && earlier.Message != "" {
		joined.Message += " Before that: " + earlier.Message
	}
	return &joined
}
