package calls_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
)

func TestFallback(t *testing.T) {
	down := func() chatFunc {
		return fails(nil, overloaded(), overloaded(), overloaded(), overloaded(), overloaded())
	}
	with := func(change func(*calls.Call)) calls.Call {
		call := ask("")
		call.Category = providers.CategoryReasoning
		if change != nil {
			change(&call)
		}
		return call
	}
	for _, c := range []struct {
		name string
		set  func(*config.Config)
		call calls.Call
		chat chatFunc
		to   string // "" for no fallback
		why  string
	}{
		{"after failures", nil, with(nil), down(), "kimi-k3.1-pro", "overloaded"},
		{"auto names no model", nil, with(func(c *calls.Call) { c.Model = "auto" }), down(), "kimi-k3.1-pro", "overloaded"},
		{"from the conversation's model", nil, with(func(c *calls.Call) { c.Prefer = "glm-4.6" }), down(), "kimi-k3.1-pro", "overloaded"},
		{"when waiting takes too long", nil, with(nil), fails(nil, &providers.Error{Kind: providers.KindRateLimited, Retry: true, RetryAfter: time.Hour}), "kimi-k3.1-pro", "rate_limited"},
		{"when another model is all that helps", nil, with(nil), fails(nil, &providers.Error{Kind: providers.KindOverloaded}), "kimi-k3.1-pro", "overloaded"},
		{"not from a named model", nil, with(func(c *calls.Call) { c.Model = "glm-5.3" }), down(), "", ""},
		{"not from a bound tool", nil, with(func(c *calls.Call) { c.Provider = "glm" }), down(), "", ""},
		{"not when it is off", func(c *config.Config) { c.Calls.FallbackOnFailure = false }, with(nil), down(), "", ""},
		{"not for a refusal", nil, with(nil), fails(nil, &providers.Error{Kind: providers.KindAuth}), "", ""},
		{"not for a exceeded limit", nil, with(nil), silent(), "", ""},
		{"not without another vendor", func(c *config.Config) { c.Kimi.APIKey = "" }, with(nil), down(), "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFakeTime(t, c.set, func(t *testing.T, b *fixture) {
				b.glm.ChatFunc, b.kimi.ChatFunc = c.chat, answers("from Kimi")
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassExpert), c.call)
				if c.to == "" {
					require.Error(t, err)
					assert.Nil(t, out.Fallback)
					assert.Equal(t, "glm", failure(t, err).Provider)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, "from Kimi", out.Response.Content)
				assert.Equal(t, c.to, out.Model.ID)
				require.NotNil(t, out.Fallback)
				assert.Equal(t, c.to, out.Fallback.To)
				assert.Equal(t, c.why, out.Fallback.Reason)
				assert.Equal(t, len(b.seen.attempts), out.Attempts, "both vendors' requests count")
			})
		})
	}
}

func TestFallbackStaysInTheCallsLimit(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc, b.kimi.ChatFunc = fails(nil, overloaded(), overloaded(), overloaded(), overloaded(), overloaded()), silent()
		start := time.Now()
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask(""))
		assert.Equal(t, 28500*time.Millisecond, time.Since(start))
		e := failure(t, err)
		assert.Equal(t, "kimi", e.Provider)
		assert.Equal(t, "SIMPLE_TOOL_TIMEOUT_SECS=30s", e.Limit.String(), "Kimi had 13.5 of its 30 s")
		assert.Equal(t, &providers.Fallback{From: "glm-5.3-flash", To: "kimi-k3.1-pro", Reason: "overloaded"}, out.Fallback)
		assert.Equal(t, 6, out.Attempts)
	})
}

func TestAFallbackIsShown(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc, b.kimi.ChatFunc = fails(nil, &providers.Error{Kind: providers.KindOverloaded}), answers("yes")
		call := ask("")
		var heard []providers.Event
		call.On = func(e providers.Event) { heard = append(heard, e) }
		_, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		require.NoError(t, err)
		assert.Equal(t, []providers.Event{
			{Phase: providers.PhaseAsking, Provider: "glm", Model: "glm-5.3-flash", Attempt: 1},
			{Phase: providers.PhaseFallback, Provider: "glm", Model: "glm-5.3-flash", Attempt: 1},
			{Phase: providers.PhaseAsking, Provider: "kimi", Model: "kimi-k3.1-pro", Attempt: 1},
			{Phase: providers.PhaseWriting, Provider: "kimi", Model: "kimi-k3.1-pro", Attempt: 1, Tokens: 1},
		}, heard)
	})
}

// TestAFallbackHasTimeForAnAttempt: with half a second or less left, the first vendor's failure is the answer.
func TestAFallbackHasTimeForAnAttempt(t *testing.T) {
	for after, want := range map[time.Duration]string{27_999 * time.Millisecond: "kimi", 28 * time.Second: "glm"} {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			b.glm.ChatFunc = func(ctx context.Context, _ providers.ChatRequest, _ func(providers.Delta)) (*providers.ChatResponse, error) {
				pause(ctx, after)
				return nil, &providers.Error{Kind: providers.KindOverloaded}
			}
			b.kimi.ChatFunc = answers("yes")
			out, _ := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask(""))
			assert.Equal(t, want, out.Model.Provider, after)
		})
	}
}

func TestAVendorThatFailedLatelyIsTriedSecond(t *testing.T) {
	inFakeTime(t, func(c *config.Config) { c.Calls.MaxRetries = 0 }, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc, b.kimi.ChatFunc = fails(nil, overloaded(), overloaded()), answers("yes")
		who := func() string {
			out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask(""))
			require.NoError(t, err)
			return out.Model.Provider
		}
		assert.Equal(t, "kimi", who(), "by fallback")
		assert.Len(t, b.seen.attempts, 2)
		assert.Equal(t, "kimi", who(), "first at once")
		assert.Len(t, b.seen.attempts, 3)
		time.Sleep(time.Minute)
		assert.Equal(t, "kimi", who(), "by fallback: after a minute GLM is first again, and fails again")
		assert.Len(t, b.seen.attempts, 5)
		b.glm.ChatFunc = answers("yes")
		time.Sleep(time.Minute)
		assert.Equal(t, "glm", who())
		b.glm.ChatFunc = fails(nil, &providers.Error{Kind: providers.KindInvalidRequest})
		_, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask(""))
		require.Error(t, err)
		b.glm.ChatFunc = answers("yes")
		assert.Equal(t, "glm", who(), "a refused request is not the vendor's fault")
		b.glm.ChatFunc = steady(100)
		_, err = b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask(""))
		require.NoError(t, err)
		b.glm.ChatFunc = answers("yes")
		assert.Equal(t, "glm", who(), "nor is a limit of ours that ended an answer")
	})
}

// TestTheOperatorsModelStaysFirst: also after a failure, as does the conversation's.
func TestTheOperatorsModelStaysFirst(t *testing.T) {
	for _, prefer := range []string{"", "glm-4.6"} {
		inFakeTime(t, func(c *config.Config) { c.Calls.MaxRetries, c.Models.Default = 0, "glm-5.3" }, func(t *testing.T, b *fixture) {
			b.glm.ChatFunc, b.kimi.ChatFunc = fails(answers("yes"), overloaded()), answers("yes")
			call := ask("")
			call.Prefer = prefer
			for _, want := range []string{"kimi", "glm"} {
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
				require.NoError(t, err)
				assert.Equal(t, want, out.Model.Provider)
			}
		})
	}
}

// TestWhatCountsAsAVendorsFailure: after it, another vendor is tried first.
func TestWhatCountsAsAVendorsFailure(t *testing.T) {
	broken := &providers.Error{Kind: providers.KindNetwork}
	unbuilt := ask("glm-5.3")
	unbuilt.Build = func(providers.Model) (providers.ChatRequest, error) {
		return providers.ChatRequest{}, errors.New("no such file")
	}
	for _, c := range []struct {
		name  string
		chat  chatFunc
		then  *calls.Call // another one, that GLM answers
		first string
	}{
		{"a silence", silent(), nil, "kimi"},
		{"a stream that breaks off", stream(broken, say(0, "half")), nil, "kimi"},
		{"one that goes on beyond our limit", steady(100), nil, "glm"},
		{"a failure before a success", fails(answers("yes"), broken), new(ask("glm-5.3")), "glm"},
		{"a failure before a call that asked nobody", fails(answers("yes"), broken), &unbuilt, "kimi"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFakeTime(t, nil, func(t *testing.T, b *fixture) {
				b.glm.ChatFunc, b.kimi.ChatFunc = c.chat, answers("yes")
				_, _ = b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
				if c.then != nil {
					_, _ = b.caller.Call(b.inClass(t.Context(), config.ClassSimple), *c.then)
				}
				b.glm.ChatFunc = answers("yes")
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask(""))
				require.NoError(t, err)
				assert.Equal(t, c.first, out.Model.Provider)
			})
		})
	}
}

func TestAModelTheVendorRefusesComesWithTheNearestNames(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = fails(nil, &providers.Error{Kind: providers.KindModelNotFound, Message: "No such model."})
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.31"))
		e := failure(t, err)
		assert.Equal(t, providers.KindModelNotFound, e.Kind)
		assert.Contains(t, e.Hint, "glm-5.3")
		require.Len(t, out.Notes, 1)
		assert.Contains(t, out.Notes[0], "not in the catalogue")
	})
}

// notFound is a vendor's answer that there is no such model for this key.
func notFound() *providers.Error {
	return &providers.Error{Kind: providers.KindModelNotFound, HTTPStatus: 404, Message: "no such model"}
}

// lacks answers as a vendor whose key has none of these models.
func lacks(then chatFunc, asked *[]string, ids ...string) chatFunc {
	return func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		*asked = append(*asked, req.Model.ID)
		if slices.Contains(ids, req.Model.ID) {
			return nil, notFound()
		}
		return then(ctx, req, on)
	}
}

func TestAModelThatTheVendorRefusesIsReplaced(t *testing.T) {
	files := func() calls.Call {
		call := ask("")
		call.Category = providers.CategoryFiles
		return call
	}
	t.Run("by the next one of that vendor, and skipped from then on", func(t *testing.T) {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			var asked []string
			b.kimi.ChatFunc = lacks(answers("yes"), &asked, "kimi-k3.1-pro")
			out, err := b.caller.Call(b.inClass(t.Context(), config.ClassFile), files())
			require.NoError(t, err)
			assert.Equal(t, "kimi-k3", out.Model.ID)
			assert.Nil(t, out.Fallback, "it is the same vendor")
			assert.Equal(t, 2, out.Attempts)
			assert.Equal(t, []string{"kimi-k3.1-pro is not available with this API key; kimi-k3 answers."}, out.Notes)
			out, err = b.caller.Call(b.inClass(t.Context(), config.ClassFile), files())
			require.NoError(t, err)
			assert.Equal(t, 1, out.Attempts)
			assert.Equal(t, []string{"kimi-k3.1-pro is not available with this API key; kimi-k3 answers."}, out.Notes)
			assert.Equal(t, []string{"kimi-k3.1-pro", "kimi-k3", "kimi-k3"}, asked)
		})
	})
	t.Run("by one that only the vendor's list has", func(t *testing.T) {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			var asked []string
			var known []string
			for _, m := range b.reg.Catalog().Models("kimi") {
				known = append(known, m.ID)
			}
			b.kimi.ChatFunc = lacks(answers("yes"), &asked, known...)
			lists := 0
			b.kimi.ListModelsFunc = func(context.Context) ([]providers.Model, error) {
				lists++
				return []providers.Model{{ID: "k3", Provider: "kimi", ContextWindow: 1 << 20, Thinking: providers.Thinking{Always: true}}}, nil
			}
			for range 2 {
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassFile), files())
				require.NoError(t, err)
				assert.Equal(t, "k3", out.Model.ID)
			}
			assert.Equal(t, []string{"kimi-k3.1-pro", "k3", "k3"}, asked, "no other name is tried")
			assert.Equal(t, 1, lists)
		})
	})
	t.Run("without the list where that does not come", func(t *testing.T) {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			var asked []string
			b.kimi.ChatFunc = lacks(answers("yes"), &asked, "kimi-k3.1-pro")
			b.kimi.ListModelsFunc = func(ctx context.Context) ([]providers.Model, error) {
				<-ctx.Done()
				return nil, context.Cause(ctx)
			}
			start := time.Now()
			out, err := b.caller.Call(b.inClass(t.Context(), config.ClassFile), files())
			require.NoError(t, err)
			assert.Equal(t, "kimi-k3", out.Model.ID)
			assert.Equal(t, 5*time.Second, time.Since(start))
			_, err = b.caller.Call(b.inClass(t.Context(), config.ClassFile), files())
			require.NoError(t, err)
			assert.Equal(t, 5*time.Second, time.Since(start), "it is not asked for again at once")
		})
	})
	t.Run("without the list where there is little time for it", func(t *testing.T) {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			b.kimi.ChatFunc = fails(answers("yes"), notFound())
			refuses := b.kimi.ChatFunc
			b.kimi.ChatFunc = func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
				if req.Model.ID == "kimi-k3.1-pro" {
					pause(ctx, 25500*time.Millisecond)
				}
				return refuses(ctx, req, on)
			}
			b.kimi.ListModelsFunc = func(ctx context.Context) ([]providers.Model, error) {
				<-ctx.Done()
				return nil, context.Cause(ctx)
			}
			start := time.Now()
			out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), files())
			require.NoError(t, err)
			assert.Equal(t, "kimi-k3", out.Model.ID)
			assert.Equal(t, 28*time.Second, time.Since(start), "half a second is left for the next one")
		})
	})
	t.Run("by another vendor's where it has none", func(t *testing.T) {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			var asked []string
			var ids []string
			for _, m := range b.reg.Catalog().Models("kimi") {
				ids = append(ids, m.ID)
			}
			b.kimi.ChatFunc = lacks(answers("yes"), &asked, ids...)
			b.glm.ChatFunc = answers("GLM's")
			out, err := b.caller.Call(b.inClass(t.Context(), config.ClassFile), files())
			require.NoError(t, err)
			assert.Equal(t, "GLM's", out.Response.Content)
			assert.Equal(t, "model_not_found", out.Fallback.Reason)
			assert.Equal(t, "glm-5.3", out.Fallback.To)
			assert.Equal(t, slices.Compact(slices.Clone(asked)), asked, "no model is asked twice")
		})
	})
	t.Run("not by another vendor's where fallback is off", func(t *testing.T) {
		inFakeTime(t, func(c *config.Config) { c.Calls.FallbackOnFailure = false }, func(t *testing.T, b *fixture) {
			b.kimi.ChatFunc = func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
				return nil, notFound()
			}
			out, err := b.caller.Call(b.inClass(t.Context(), config.ClassFile), files())
			assert.Equal(t, providers.KindModelNotFound, failure(t, err).Kind)
			assert.Equal(t, "kimi", out.Model.Provider)
			assert.Nil(t, out.Fallback)
		})
	})
	t.Run("not any more once it has answered", func(t *testing.T) {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			b.kimi.ChatFunc = answers("yes")
			b.reg.Catalog().Learn("kimi", []providers.Model{{ID: "kimi-k3"}})
			for _, c := range []struct{ model, want string }{{"", "kimi-k3"}, {"kimi-k3.1-pro", "kimi-k3.1-pro"}, {"", "kimi-k3.1-pro"}} {
				call := files()
				call.Model = c.model
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassFile), call)
				require.NoError(t, err)
				assert.Equal(t, c.want, out.Model.ID)
			}
		})
	})
	t.Run("by none where it has none and the tool asks no other", func(t *testing.T) {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			var asked []string
			b.kimi.ChatFunc = func(_ context.Context, req providers.ChatRequest, _ func(providers.Delta)) (*providers.ChatResponse, error) {
				asked = append(asked, req.Model.ID)
				require.Less(t, len(asked), 100, "it asks the same again and again")
				return nil, notFound()
			}
			call := files()
			call.Provider = "kimi"
			_, err := b.caller.Call(b.inClass(t.Context(), config.ClassFile), call)
			assert.Equal(t, providers.KindModelNotFound, failure(t, err).Kind)
			assert.Equal(t, "kimi-k3.1-pro", asked[0])
			slices.Sort(asked)
			assert.Equal(t, slices.Compact(slices.Clone(asked)), asked, "each model once")
		})
	})
	t.Run("never where the caller named it", func(t *testing.T) {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			var asked []string
			b.kimi.ChatFunc = lacks(answers("yes"), &asked, "kimi-k3.1-pro")
			_, err := b.caller.Call(b.inClass(t.Context(), config.ClassFile), ask("kimi-k3.1-pro"))
			assert.Equal(t, providers.KindModelNotFound, failure(t, err).Kind)
			assert.Equal(t, []string{"kimi-k3.1-pro"}, asked)
			assert.Equal(t, []string{"chat"}, b.seen.ops(), "nor is the vendor's list needed")
		})
	})
}
