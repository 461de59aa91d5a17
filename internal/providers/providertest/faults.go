package providertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// outcome is what a request to a vendor with a fault must come to.
type outcome struct {
	kind    providers.Kind // "": the answer is whole; ended: the caller's context ends it
	partial bool           // something of the answer had arrived
}

// ended marks an answer that only the caller's limit ends.
const ended providers.Kind = "ended by the caller"

// outcomes are what the emulator's faults come to, by the fault's name. Errors in a vendor's own code are in refusals.
func outcomes() map[string]outcome {
	return map[string]outcome{
		"never_answer": {ended, false}, "delay_headers": {ended, false}, "headers_then_stall": {ended, false},
		"stall": {ended, true}, "comments_only": {ended, false}, "comments": {ended, true},
		"empty_deltas": {ended, true}, "drip": {ended, true}, "think": {ended, true},
		"pause": {"", true}, "omit_done": {"", true},
		"reset_before_headers": {providers.KindNetwork, false}, "reset": {providers.KindNetwork, true},
		"drop": {providers.KindNetwork, true}, "cut_at_once": {providers.KindNetwork, false}, "cut": {providers.KindNetwork, true},
		"status_500": {providers.KindProviderError, false}, "status_503": {providers.KindOverloaded, false},
		"status_429": {providers.KindRateLimited, false},
		"error_1234": {providers.KindNetwork, false}, "error_server_error": {providers.KindProviderError, false},
		"error_in_200": {providers.KindOverloaded, false}, "error_in_200_flat": {providers.KindProviderError, false},
		"error_event": {providers.KindOverloaded, true}, "error_event_flat": {providers.KindProviderError, true},
		"garbage": {providers.KindProviderError, true}, "garbage_at_once": {providers.KindProviderError, false},
		"empty_choices": {providers.KindProviderError, false}, "huge": {providers.KindTooLarge, true},
		"html_page": {providers.KindProviderError, false},
	}
}

// faults is what a provider must survive, and what it must say of it.
func (s suite) faults(t *testing.T) {
	want := outcomes()
	for _, f := range emulator.Faults(s.vendor) {
		s.test(t, f.Name, func(t *testing.T, b bench) {
			o, known := want[f.Name]
			require.True(t, known, "say in outcomes what this fault comes to")
			b.emulator.Script(emulator.Say("one ", "two ", "three ", "four").With(f))
			const limit = 100 * time.Second
			passed := errors.New("LIMIT=100s")
			ctx, cancel := context.WithTimeoutCause(t.Context(), limit, passed)
			defer cancel()
			start, delivered := time.Now(), 0
			resp, err := b.provider.Chat(ctx, b.ask(t, "hello"), func(d providers.Delta) {
				if !d.Empty() {
					delivered++
				}
			})
			took := time.Since(start)

			assert.Equal(t, o.partial, delivered > 0)
			assert.Equal(t, o.partial, resp != nil, "what arrived is kept, and nothing else is made up")
			switch o.kind {
			case "":
				require.NoError(t, err)
				assert.Equal(t, "one two three four", resp.Content)
			case ended:
				_ = b.failed(t, err)
				require.ErrorIs(t, err, passed)
				assert.Equal(t, limit, took)
			default:
				e := b.failed(t, err)
				assert.Equal(t, o.kind, e.Kind)
				assert.Less(t, took, limit, "it was known before the limit")
			}
			if o.partial && o.kind != "" {
				assert.NotEmpty(t, resp.Content+resp.Reasoning)
				assert.NotEqual(t, providers.FinishStop, resp.FinishReason)
			}
			require.NoError(t, b.emulator.WaitIdle(t.Context()))
			assert.Len(t, b.emulator.Requests(), 1)
		})
	}
}

// sockets runs a few on real connections, which can be reset.
func (s suite) sockets(t *testing.T) {
	e, err := emulator.Start()
	require.NoError(t, err)
	defer e.Close()
	b := bench{s, e, s.create(t, e.URL(s.vendor), s.options(e, nil))}
	t.Run("answer", func(t *testing.T) {
		e.Script(emulator.Say("over ", "TCP"))
		resp, _ := b.chat(t, b.ask(t, "hello"))
		assert.Equal(t, "over TCP", resp.Content)
	})
	for _, f := range []emulator.Fault{emulator.ResetBeforeHeaders(), emulator.ResetAfter(2), emulator.DropAfter(2)} {
		t.Run(f.Name, func(t *testing.T) {
			e.Script(emulator.Say("one ", "two ", "three").With(f))
			_, err := b.provider.Chat(t.Context(), b.ask(t, "hello"), nil)
			fail := b.failed(t, err)
			assert.Equal(t, providers.KindNetwork, fail.Kind)
			assert.True(t, fail.Retry)
		})
	}
}
