package calls_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/providers/providertest"
)

// byDefault is the clock of the default limits.
func byDefault() clock {
	return clock{
		call: 30 * time.Second, idle: 25 * time.Second, connect: 5 * time.Second,
		beat: time.Second, wait: 2 * time.Second, retry: time.Second,
	}
}

var vendors = []emulator.Vendor{emulator.GLM, emulator.Kimi, emulator.Lab}

// TestFaultMatrix runs every fault against every vendor, streamed and plain, from the provider down to the bytes, over
// pipes and under a fake clock: the time at the caller is exact, and synctest fails when a goroutine is left.
func TestFaultMatrix(t *testing.T) {
	for _, x := range matrix() {
		for _, v := range vendors {
			if x.only != "" && x.only != v {
				continue
			}
			if x.chat.attempts > 0 {
				t.Run(x.name+"/"+string(v)+"/chat", func(t *testing.T) {
					inPipes(t, v, x, x.chat, func(t *testing.T, r *vendorPath) time.Duration { return r.chat(t, x) })
				})
			}
			for _, q := range requests() {
				if q.vendor != v || x.plain.attempts == 0 || q.opaque && readsTheBody(x) {
					continue
				}
				t.Run(x.name+"/"+string(v)+"/"+string(q.op), func(t *testing.T) {
					inPipes(t, v, x, x.plain, func(t *testing.T, r *vendorPath) time.Duration { return r.plain(t, x, q) })
				})
			}
		}
	}
}

// readsTheBody: what is wrong is in the body of a 200, which for a file's text is none of our business.
func readsTheBody(x row) bool {
	switch x.name {
	case "200 with an error in it", "200 with a flat error in it", "garbage":
		return true
	}
	return false
}

// inPipes runs a test of one vendor over pipes, under a fake clock.
func inPipes(t *testing.T, v emulator.Vendor, x row, want end, run func(*testing.T, *vendorPath) time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		e, l := emulator.New(), providertest.NewPipeListener()
		e.Serve(v, l)
		url := e.URL(v)
		if x.hole {
			into := providertest.NewPipeListener()
			hole := emulator.NewBlackHole(into)
			defer hole.Close()
			l, url = into, hole.URL("/v1")
		}
		r, close := build(t, v, byDefault(), e, url, l.Dial)
		took := run(t, r)
		assert.Equal(t, want.after(r.clock), took, "time at the caller")
		r.idle(t, x, want)
		close()
		e.Close()
		assert.Zero(t, e.Connections())
	})
}

// TestAServerThatNeverAnswersCostsThirtySeconds is the promise that the program was written for, spelt out: for every
// vendor, streamed or not, a call ends when its limit says so, and says which.
func TestAServerThatNeverAnswersCostsThirtySeconds(t *testing.T) {
	never := row{reply: with(emulator.NeverAnswer()), chat: timeout("vendor", byReserve), plain: timeout("vendor", byReserve)}
	for _, v := range vendors {
		variable := map[emulator.Vendor]string{emulator.GLM: "GLM_TIMEOUT_SECS=30s", emulator.Kimi: "KIMI_TIMEOUT_SECS=30s", emulator.Lab: "LAB_TIMEOUT_SECS=30s"}[v]
		for name, run := range map[string]func(*testing.T, *vendorPath) error{
			"chat": func(t *testing.T, r *vendorPath) error {
				r.script(never, emulator.OpChat)
				_, err := r.caller.Call(r.context(t), ask(r.model()))
				return err
			},
			"plain": func(t *testing.T, r *vendorPath) error {
				r.script(never, emulator.OpModels)
				_, err := r.caller.ListModels(r.context(t), string(v))
				return err
			},
		} {
			t.Run(string(v)+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e, l := emulator.New(), providertest.NewPipeListener()
					e.Serve(v, l)
					r, close := build(t, v, byDefault(), e, e.URL(v), l.Dial)
					start := time.Now()
					e2 := failure(t, run(t, r))
					took := time.Since(start)
					assert.Greater(t, took, 25*time.Second)
					assert.Less(t, took, 35*time.Second)
					assert.Equal(t, providers.KindTimeout, e2.Kind)
					require.NotNil(t, e2.Limit)
					assert.Equal(t, variable, e2.Limit.String())
					close()
					e.Close()
				})
			})
		}
	}
}
