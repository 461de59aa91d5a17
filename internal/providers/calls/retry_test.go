package calls

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// TestRetrying drives the loop with vendors that fail in a given way, under a limit, and looks at how often and for how
// long it tried, and at what it gave back.
func TestRetrying(t *testing.T) {
	worst := func(d time.Duration) time.Duration { return d }
	retry := func(kind providers.Kind, after time.Duration) *providers.Error {
		return &providers.Error{Kind: kind, Retry: true, RetryAfter: after}
	}
	for _, c := range []struct {
		name     string
		limit    time.Duration
		attempts int
		replies  []*providers.Error // the last one repeats
		sent     int
		took     time.Duration
		kind     providers.Kind // "" for success
	}{
		{"success at once", 30 * time.Second, 5, []*providers.Error{nil}, 1, 0, ""},
		{"three failures", 30 * time.Second, 5, []*providers.Error{retry(providers.KindProviderError, 0), retry(providers.KindProviderError, 0), retry(providers.KindProviderError, 0), nil}, 4, 7 * time.Second, ""},
		{"attempts run out", 60 * time.Second, 5, []*providers.Error{retry(providers.KindOverloaded, 0)}, 5, 15 * time.Second, providers.KindOverloaded},
		{"no wait into the limit's end", 5 * time.Second, 9, []*providers.Error{retry(providers.KindOverloaded, 0)}, 3, 3 * time.Second, providers.KindOverloaded},
		{"waits are capped", 300 * time.Second, 9, []*providers.Error{retry(providers.KindOverloaded, 0)}, 9, (1 + 2 + 4 + 8 + 16 + 30 + 30 + 30) * time.Second, providers.KindOverloaded},
		{"not worth it", 30 * time.Second, 5, []*providers.Error{{Kind: providers.KindAuth}}, 1, 0, providers.KindAuth},
		{"Retry-After that fits", 30 * time.Second, 5, []*providers.Error{retry(providers.KindRateLimited, 4*time.Second), nil}, 2, 4 * time.Second, ""},
		{"Retry-After that does not", 30 * time.Second, 5, []*providers.Error{retry(providers.KindOverloaded, 30*time.Second)}, 1, 0, providers.KindRateLimited},
		{"Retry-After that leaves no attempt", 10 * time.Second, 5, []*providers.Error{retry(providers.KindRateLimited, 9600*time.Millisecond)}, 1, 0, providers.KindRateLimited},
		{"Retry-After that just leaves one", 10 * time.Second, 5, []*providers.Error{retry(providers.KindRateLimited, 9500*time.Millisecond), nil}, 2, 9500 * time.Millisecond, ""},
		{"an attempt in a tenth of a short limit", 2 * time.Second, 5, []*providers.Error{retry(providers.KindRateLimited, 1800*time.Millisecond), nil}, 2, 1800 * time.Millisecond, ""},
		{"a silence", 30 * time.Second, 5, []*providers.Error{retry(providers.KindTimeout, 0)}, 1, 0, providers.KindTimeout},
		{"none allowed", 30 * time.Second, 1, []*providers.Error{retry(providers.KindNetwork, 0)}, 1, 0, providers.KindNetwork},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.limit)
				defer cancel()
				start, sent := time.Now(), 0
				loop := retrying{
					attempts: c.attempts, jitter: worst,
					left:  func() time.Duration { return c.limit - time.Since(start) },
					ended: func() *providers.Error { return &providers.Error{Kind: providers.KindTimeout} },
				}
				err := loop.run(ctx, func() *providers.Error {
					reply := c.replies[min(sent, len(c.replies)-1)]
					sent++
					return reply
				})
				assert.Equal(t, c.sent, sent, "attempts")
				assert.Equal(t, c.took, time.Since(start), "time")
				if c.kind == "" {
					require.Nil(t, err)
					return
				}
				require.NotNil(t, err)
				assert.Equal(t, c.kind, err.Kind)
			})
		})
	}
}

func TestRetryingKeepsTheVendorsWordBesideTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		said := &providers.Error{Kind: providers.KindOverloaded, Retry: true, Message: "busy"}
		sent := 0
		loop := retrying{
			attempts: 5, jitter: func(time.Duration) time.Duration { return 0 },
			left:  func() time.Duration { return 10 * time.Second },
			ended: func() *providers.Error { return &providers.Error{Kind: providers.KindTimeout} },
		}
		err := loop.run(ctx, func() *providers.Error {
			if sent++; sent == 1 {
				return said
			}
			<-ctx.Done()
			return &providers.Error{Kind: providers.KindTimeout, Message: "silent"}
		})
		assert.Equal(t, providers.KindTimeout, err.Kind)
		assert.ErrorIs(t, err, said)
		var first *providers.Error
		require.ErrorAs(t, err, &first)
		assert.Equal(t, "silent Before that: busy", first.Message)
	})
}

func TestWithEarlier(t *testing.T) {
	busy := &providers.Error{Kind: providers.KindOverloaded, Message: "busy"}
	late := &providers.Error{Kind: providers.KindTimeout, Message: "late"}
	no := &providers.Error{Kind: providers.KindAuth, Message: "no"}
	assert.Same(t, late, withEarlier(late, nil))
	assert.Equal(t, "late Before that: busy", withEarlier(late, busy).Message)
	assert.Equal(t, "late", withEarlier(late, &providers.Error{Kind: providers.KindNetwork}).Message)
	assert.Equal(t, "no", withEarlier(no, busy).Message, "a vendor's last word needs no other")
	require.ErrorIs(t, withEarlier(no, busy), busy)
	assert.Equal(t, "late", late.Message)
}

// TestACorrectedRequestIsNoFurtherAttempt: after it, the first failure is waited for as any first one.
func TestACorrectedRequestIsNoFurtherAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		replies := []*providers.Error{{Param: "a"}, {Param: "b"}, {Kind: providers.KindOverloaded, Retry: true}, nil}
		start, sent := time.Now(), 0
		err := retrying{
			attempts: 2, jitter: func(d time.Duration) time.Duration { return d },
			left:    func() time.Duration { return time.Minute },
			correct: func(e *providers.Error) bool { return e.Param != "" },
		}.run(t.Context(), func() *providers.Error { sent++; return replies[sent-1] })
		assert.Nil(t, err)
		assert.Equal(t, 4, sent)
		assert.Equal(t, time.Second, time.Since(start))
	})
}

// TestWhatAVendorSaysAtTheEndStays: a refusal that arrives as the time ends is neither corrected nor replaced.
func TestWhatAVendorSaysAtTheEndStays(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	said := &providers.Error{Kind: providers.KindOverloaded, Retry: true}
	err := retrying{
		attempts: 5, jitter: fullJitter, left: func() time.Duration { return time.Minute },
		ended:   func() *providers.Error { return &providers.Error{Kind: providers.KindCancelled} },
		correct: func(*providers.Error) bool { t.Error("there is no time to correct it"); return false },
	}.run(ctx, func() *providers.Error { cancel(); return said })
	assert.Same(t, said, err)
}

func TestRetryingStopsWaitingWhenTheCallerGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start, said := time.Now(), &providers.Error{Kind: providers.KindOverloaded, Retry: true}
		err := retrying{
			attempts: 5, jitter: func(d time.Duration) time.Duration { return 20 * time.Second },
			left:  func() time.Duration { return time.Minute },
			ended: func() *providers.Error { return &providers.Error{Kind: providers.KindCancelled} },
		}.run(ctx, func() *providers.Error { return said })
		assert.Equal(t, providers.KindCancelled, err.Kind)
		require.ErrorIs(t, err, said, "what it waited for")
		assert.Equal(t, time.Second, time.Since(start))
	})
}

func TestFullJitterStaysInItsBounds(t *testing.T) {
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		d := fullJitter(time.Second)
		low, high = min(low, d), max(high, d)
	}
	assert.GreaterOrEqual(t, low, time.Duration(0))
	assert.LessOrEqual(t, high, time.Second)
	assert.Less(t, low, 200*time.Millisecond)
	assert.Greater(t, high, 800*time.Millisecond)
}

func slotsOf(glm, kimi, all int) *slots {
	cfg := config.Default()
	cfg.GLM.MaxInflight, cfg.Kimi.MaxInflight, cfg.Calls.MaxInflight = glm, kimi, all
	return newSlots(cfg)
}

func take(t *testing.T, s *slots, vendor string) func() {
	t.Helper()
	release, err := s.acquire(t.Context(), vendor, nil, func() {})
	require.NoError(t, err)
	return release
}

func TestSlotsAreServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slotsOf(1, 1, 24)
		release := take(t, s, "glm")
		var order []int
		queued := 0
		for i := range 5 {
			go func() {
				give, err := s.acquire(t.Context(), "glm", nil, func() { queued++ })
				if err == nil {
					order = append(order, i)
					time.Sleep(time.Second)
					give()
				}
			}()
			synctest.Wait()
		}
		take(t, s, "kimi")() // another vendor's queue is no obstacle
		release()
		release() // twice is once
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, []int{0, 1, 2, 3, 4}, order)
		assert.Equal(t, 5, queued)
		assert.Zero(t, s.running)
	})
}

func TestSlotsOverall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slotsOf(4, 4, 2)
		first, second := take(t, s, "glm"), take(t, s, "kimi")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("enough"))
		defer cancel()
		_, err := s.acquire(ctx, "kimi", nil, func() {})
		require.EqualError(t, err, "enough")
		first()
		take(t, s, "kimi")()
		second()
		assert.Zero(t, s.running)
		assert.Empty(t, s.queue)
		assert.Equal(t, 1, inFlight(t, slotsOf(4, 4, 1), "glm"))
	})
}

func TestSlotsGoneIntoTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slotsOf(1, 1, 24)
		release := take(t, s, "glm")
		behind := make(chan struct{})
		time.AfterFunc(time.Second, func() { close(behind) })
		free, err := s.acquire(t.Context(), "glm", behind, func() {})
		require.NoError(t, err)
		assert.Equal(t, 1, s.running, "a background answer holds none")
		assert.Empty(t, s.queue, "nor does it wait for one any longer")
		free()
		_, err = s.acquire(t.Context(), "glm", behind, func() {})
		require.NoError(t, err)
		release()
		assert.Zero(t, s.running)
		assert.Empty(t, s.queue)
	})
}

func TestSlotsWithoutALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slotsOf(0, 1, 0)
		for range 3 {
			defer take(t, s, "glm")()
			defer take(t, s, "nobody")() // whom no configuration bounds
		}
		take(t, s, "kimi")()
		for _, vendor := range []string{"glm", "nobody"} {
			s.refused(vendor, &providers.Error{Kind: providers.KindRateLimited, Concurrency: true})
			s.refused(vendor, &providers.Error{Kind: providers.KindRateLimited, PerMinute: true})
			assert.Zero(t, s.delay(vendor))
			defer take(t, s, vendor)()
		}
	})
}

// inFlight is how many requests of a vendor get a slot at once.
func inFlight(t *testing.T, s *slots, vendor string) int {
	t.Helper()
	synctest.Wait()
	n := 0
	var releases []func()
	for {
		ctx, cancel := context.WithCancel(t.Context())
		release, err := s.acquire(ctx, vendor, nil, cancel)
		cancel()
		if err != nil {
			break
		}
		n++
		releases = append(releases, release)
	}
	for _, release := range releases {
		release()
	}
	return n
}

func TestSlotsAreHalvedAndDoubledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slotsOf(16, 16, 64)
		tooMany := &providers.Error{Kind: providers.KindRateLimited, Concurrency: true, Retry: true, RetryAfter: 5 * time.Second}
		for range 10 { // requests that were refused together
			s.refused("glm", tooMany)
			time.Sleep(50 * time.Millisecond)
		}
		assert.Equal(t, 8, inFlight(t, s, "glm"))
		assert.Equal(t, 16, inFlight(t, s, "kimi"))
		time.Sleep(500 * time.Millisecond)
		s.refused("glm", tooMany)
		assert.Equal(t, 4, inFlight(t, s, "glm"), "a second after the first halving")
		time.Sleep(quietPeriod - time.Second)
		assert.Equal(t, 4, inFlight(t, s, "glm"))
		s.refused("glm", tooMany)
		assert.Equal(t, 2, inFlight(t, s, "glm"))
		time.Sleep(quietPeriod - time.Second)
		assert.Equal(t, 2, inFlight(t, s, "glm"), "a minute without a refusal, not a minute since the first one")
		time.Sleep(time.Second)
		assert.Equal(t, 4, inFlight(t, s, "glm"))
		time.Sleep(quietPeriod)
		assert.Equal(t, 8, inFlight(t, s, "glm"))
		time.Sleep(quietPeriod)
		assert.Equal(t, 16, inFlight(t, s, "glm"))
		time.Sleep(10 * quietPeriod)
		assert.Equal(t, 16, inFlight(t, s, "glm"))
		for range 10 {
			s.refused("glm", tooMany)
			time.Sleep(time.Second)
		}
		assert.Equal(t, 1, inFlight(t, s, "glm"), "never none")
		time.Sleep(quietPeriod)
		assert.Equal(t, 2, inFlight(t, s, "glm"), "doubled once a minute, as before")
	})
}

func TestAWaiterGetsTheSlotThatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slotsOf(2, 2, 64)
		s.refused("glm", &providers.Error{Concurrency: true})
		start := time.Now()
		take(t, s, "glm")
		take(t, s, "glm")
		assert.Equal(t, quietPeriod, time.Since(start))
	})
}

func TestALimitPerMinuteDelaysTheVendorsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slotsOf(4, 4, 64)
		limited := func(after time.Duration) *providers.Error {
			return &providers.Error{Kind: providers.KindRateLimited, Retry: true, PerMinute: true, RetryAfter: after}
		}
		s.refused("glm", limited(maxQueueDelay+1))
		s.refused("glm", limited(0))
		s.refused("glm", &providers.Error{Kind: providers.KindRateLimited, Retry: true, RetryAfter: 7 * time.Second})
		assert.Equal(t, 4, inFlight(t, s, "glm"), "another quota, a limit without a time, and one that names no minute")
		s.refused("glm", limited(20*time.Second))
		s.refused("glm", limited(5*time.Second)) // does not shorten it
		assert.Equal(t, 20*time.Second, s.delay("glm"))
		assert.Zero(t, s.delay("kimi"))
		start := time.Now()
		take(t, s, "kimi")
		assert.Zero(t, time.Since(start))
		take(t, s, "glm")
		assert.Equal(t, 20*time.Second, time.Since(start))
		assert.Zero(t, s.delay("glm"))
		s.refused("kimi", limited(maxQueueDelay))
		assert.Equal(t, maxQueueDelay, s.delay("kimi"))
		assert.Equal(t, 3, inFlight(t, s, "glm"), "the limit at one time is what it was")
	})
}
