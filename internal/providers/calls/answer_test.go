package calls_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
)

func TestRetries(t *testing.T) {
	again := func(kind providers.Kind, after time.Duration) *providers.Error {
		return &providers.Error{Kind: kind, Retry: true, RetryAfter: after, HTTPStatus: 429}
	}
	for _, c := range []struct {
		name     string
		chat     chatFunc
		attempts int
		took     time.Duration
		kind     providers.Kind // "" for an answer
	}{
		{"three failures, then an answer", fails(answers("yes"), overloaded(), overloaded(), overloaded()), 4, 7 * time.Second, ""},
		{"failures forever", fails(nil, overloaded(), overloaded(), overloaded(), overloaded(), overloaded(), overloaded()), 5, 15 * time.Second, providers.KindOverloaded},
		{"not worth a retry", fails(nil, &providers.Error{Kind: providers.KindBalance}), 1, 0, providers.KindBalance},
		{"Retry-After that fits", fails(answers("yes"), again(providers.KindRateLimited, 9*time.Second)), 2, 9 * time.Second, ""},
		{"Retry-After that does not fit", fails(answers("yes"), again(providers.KindRateLimited, 1152*time.Second)), 1, 0, providers.KindRateLimited},
		{"Retry-After that fits the vendor's limit but not the call's", fails(answers("yes"), again(providers.KindRateLimited, 28200*time.Millisecond)), 1, 0, providers.KindRateLimited},
		{"a silence after a failure", fails(silent(), overloaded()), 2, 28500 * time.Millisecond, providers.KindTimeout},
		{"a connection that never was", fails(nil, &providers.Error{Kind: providers.KindTimeout, Limit: &config.Limit{Name: "CONNECT_TIMEOUT_SECS", Value: 5 * time.Second}}), 1, 0, providers.KindTimeout},
		{"an error that is none of ours", func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
			return nil, errors.New("odd")
		}, 1, 0, providers.KindProviderError},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFakeTime(t, nil, func(t *testing.T, b *fixture) {
				b.glm.ChatFunc = c.chat
				start := time.Now()
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
				assert.Equal(t, c.took, time.Since(start))
				assert.Equal(t, c.attempts, out.Attempts)
				assert.Len(t, b.seen.attempts, c.attempts)
				if c.kind == "" {
					require.NoError(t, err)
					assert.Equal(t, "yes", out.Response.Content)
					return
				}
				e := failure(t, err)
				assert.Equal(t, c.kind, e.Kind)
				assert.Equal(t, "glm", e.Provider)
				assert.Equal(t, "glm-5.3", e.Model)
				if c.kind == providers.KindTimeout {
					assert.Len(t, b.seen.names(), 1)
				}
			})
		})
	}
}

func TestWhatWasDeliveredIsNotAskedForAgain(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    *providers.Error
		finish providers.FinishReason
	}{
		{"a reset", &providers.Error{Kind: providers.KindNetwork, Retry: true}, providers.FinishNetwork},
		{"an error event", overloaded(), providers.FinishNetwork},
		{"the content filter", &providers.Error{Kind: providers.KindContentFiltered}, providers.FinishContentFilter},
		{"too long an answer", &providers.Error{Kind: providers.KindTooLarge}, providers.FinishLength},
		{"a refused parameter", &providers.Error{Kind: providers.KindInvalidRequest, Param: "temperature"}, providers.FinishNetwork},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFakeTime(t, nil, func(t *testing.T, b *fixture) {
				b.glm.ChatFunc = stream(c.err, think(time.Second, "hm"), say(time.Second, "\n<|begin_of_box|>word "))
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), backgroundCall("", "conversation"))
				require.NoError(t, err)
				assert.True(t, out.Partial)
				assert.Equal(t, c.finish, out.Response.FinishReason)
				assert.Equal(t, "word ", out.Response.Content)
				assert.Equal(t, "hm", out.Response.Reasoning)
				assert.Equal(t, 1, out.Attempts)
				assert.Nil(t, out.Live)
				assert.Nil(t, out.Fallback)
				assert.False(t, out.Response.UsageKnown)
				assert.Positive(t, out.Response.Usage.OutputTokens)
				assert.Positive(t, out.Response.Usage.CostUSD)
			})
		})
	}
}

func TestAnAnswerThatItsVendorBeginsAgain(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = func(_ context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			on(providers.Delta{Reasoning: "hm", Content: "void"})
			on(providers.Delta{Restart: true})
			on(providers.Delta{Content: "Hel"})
			return nil, &providers.Error{Kind: providers.KindNetwork}
		}
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
		require.NoError(t, err)
		assert.True(t, out.Partial)
		assert.Equal(t, "Hel", out.Response.Content)
		assert.Empty(t, out.Response.Reasoning)
	})
}

func finished(reason providers.FinishReason, content, reasoning string) chatFunc {
	return func(_ context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		on(providers.Delta{Content: content, Reasoning: reasoning})
		return &providers.ChatResponse{Content: content, Reasoning: reasoning, FinishReason: reason}, nil
	}
}

func TestHowAnswersFinish(t *testing.T) {
	for _, c := range []struct {
		name    string
		chat    chatFunc
		kind    providers.Kind
		partial bool
	}{
		{"whole", finished(providers.FinishStop, "yes", ""), "", false},
		{"cut by its output limit", finished(providers.FinishLength, "ye", ""), "", true},
		{"cut by the content filter", finished(providers.FinishContentFilter, "ye", ""), "", true},
		{"refused by the content filter", finished(providers.FinishContentFilter, "", "hm"), providers.KindContentFiltered, false},
		{"nothing but thoughts", finished(providers.FinishStop, "", "hm"), providers.KindProviderError, false},
		{"nothing but blanks", finished(providers.FinishStop, " \n", ""), providers.KindProviderError, false},
		{"nothing at all", func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
			return nil, nil
		}, providers.KindProviderError, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFakeTime(t, nil, func(t *testing.T, b *fixture) {
				b.glm.ChatFunc = c.chat
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
				assert.Equal(t, 1, out.Attempts)
				if c.kind != "" {
					e := failure(t, err)
					assert.Equal(t, c.kind, e.Kind)
					assert.NotEmpty(t, e.Message)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, c.partial, out.Partial)
			})
		})
	}
}

func TestAnOutputLimitWithoutTextIsTriedOnceMore(t *testing.T) {
	empty := func(after time.Duration) chatFunc {
		return func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			pause(ctx, after)
			return finished(providers.FinishLength, "", "hm")(ctx, req, on)
		}
	}
	for _, c := range []struct {
		name     string
		model    string
		thinking providers.ThinkingMode
		set      func(*config.Config)
		after    time.Duration
		caps     []int
		efforts  []string
	}{
		{"with a higher cap", "glm-5.3", providers.ThinkMax, nil, time.Second, []int{32_768, 131_072}, []string{"max", "max"}},
		{"within the model's own", "glm-4.6v", providers.ThinkHigh, nil, time.Second, []int{32_768, 32_768}, []string{"enabled", "disabled"}},
		{"an operator's cap stays", "glm-5.3", providers.ThinkMax, func(c *config.Config) { c.GLM.MaxOutputTokens = 500 }, time.Second, []int{500, 500}, []string{"max", "high"}},
		{"with half of the time", "glm-5.3", providers.ThinkMax, nil, 13500 * time.Millisecond, []int{32_768, 131_072}, []string{"max", "max"}},
		{"but not with less", "glm-5.3", providers.ThinkMax, nil, 13501 * time.Millisecond, []int{32_768}, []string{"max"}},
		{"one that nobody described", "glm-9", providers.ThinkLow, nil, time.Second, []int{8_192, 32_768}, []string{"", ""}},
		{"nor without a way to think less", "glm-5.3", providers.ThinkLow, func(c *config.Config) { c.GLM.MaxOutputTokens = 500 }, time.Second, []int{500}, []string{"low"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFakeTime(t, c.set, func(t *testing.T, b *fixture) {
				turns := &inTurn{scripts: []chatFunc{empty(c.after), empty(0), answers("never")}}
				b.glm.ChatFunc = turns.chat
				call := ask(c.model)
				call.Thinking = c.thinking
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
				e := failure(t, err)
				assert.Equal(t, providers.KindProviderError, e.Kind)
				assert.Contains(t, e.Hint, "GLM_MAX_OUTPUT_TOKENS")
				var caps []int
				var efforts []string
				for _, r := range turns.requests {
					caps = append(caps, r.MaxOutputTokens)
					efforts = append(efforts, r.Thinking.Effort+r.Thinking.Type)
				}
				assert.Equal(t, c.caps, caps)
				assert.Equal(t, c.efforts, efforts)
				asked := slices.DeleteFunc(slices.Clone(out.Notes), func(n string) bool { return !strings.Contains(n, "asked again") })
				assert.Len(t, asked, len(caps)-1)
				for _, note := range asked {
					assert.True(t, strings.HasSuffix(note, fmt.Sprintf("with %d tokens and %s.", caps[1], cmp.Or(out.Thinking, "the same thinking"))), note)
				}
				assert.True(t, strings.HasSuffix(out.Thinking, efforts[len(efforts)-1]))
			})
		})
	}
}

// TestHalfOfTheTimeOutsideAToolCall is half of the vendor's limit.
func TestHalfOfTheTimeOutsideAToolCall(t *testing.T) {
	for after, attempts := range map[time.Duration]int{15 * time.Second: 2, 15001 * time.Millisecond: 1} {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			turns := &inTurn{scripts: []chatFunc{func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
				pause(ctx, after)
				return finished(providers.FinishLength, "", "hm")(ctx, req, on)
			}, answers("yes")}}
			b.glm.ChatFunc = turns.chat
			out, _ := b.caller.Call(t.Context(), ask("glm-5.3"))
			assert.Equal(t, attempts, out.Attempts, after)
		})
	}
}

func TestARefusedParameterIsLeftOutFromThenOn(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		refuses := func(params ...string) chatFunc {
			return func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
				for _, p := range params {
					if !strings.Contains(strings.Join(req.Drop, " "), p) {
						return nil, &providers.Error{Kind: providers.KindInvalidRequest, Param: p, HTTPStatus: 400}
					}
				}
				return answers("yes")(ctx, req, on)
			}
		}
		b.glm.ChatFunc, b.kimi.ChatFunc = refuses("temperature", "reasoning_effort"), answers("yes")
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
		require.NoError(t, err)
		assert.Equal(t, 3, out.Attempts)
		assert.Len(t, out.Notes, 2)
		assert.Empty(t, out.Thinking, "what was not sent is not claimed")

		out, err = b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
		require.NoError(t, err)
		assert.Equal(t, 1, out.Attempts, "it is remembered")
		assert.Len(t, out.Notes, 2, "and said again")
		out, err = b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.2"))
		require.NoError(t, err)
		assert.Equal(t, 3, out.Attempts, "for that model alone")

		for _, vital := range []string{"model", "messages", "messages[3].content", "stream", "tools[0].function.name", "[0].name", ""} {
			b.kimi.ChatFunc = fails(answers("yes"), &providers.Error{Kind: providers.KindInvalidRequest, Param: vital, HTTPStatus: 400})
			_, err = b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("kimi-k3"))
			assert.Equal(t, providers.KindInvalidRequest, failure(t, err).Kind, vital)
		}
	})
}

func TestAParameterThatWasNotToBlameIsSentAgain(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		blames := &providers.Error{Kind: providers.KindInvalidRequest, Param: "reasoning_effort", HTTPStatus: 400}
		b.glm.ChatFunc = fails(nil, blames, blames)
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
		assert.Equal(t, providers.KindInvalidRequest, failure(t, err).Kind)
		assert.Equal(t, 2, out.Attempts)

		b.glm.ChatFunc = answers("yes")
		out, err = b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
		require.NoError(t, err)
		assert.Equal(t, "reasoning_effort=low", out.Thinking, "the request was refused without it too")
		assert.Empty(t, out.Notes)
	})
}

func TestTooLongAnAnswerIsKeptAsFarAsItMayBe(t *testing.T) {
	inFakeTime(t, func(c *config.Config) { c.Calls.MaxAnswerBytes = 12 }, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = stream(nil, think(time.Second, "hm"), say(time.Second, "word "), say(time.Second, "wörd wörd"), say(forever, "never"))
		start := time.Now()
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), backgroundCall("glm-5.3", "conversation"))
		require.NoError(t, err)
		assert.Equal(t, 3*time.Second, time.Since(start))
		assert.Equal(t, "word wörd", out.Response.Content, "no half character")
		assert.True(t, out.Partial)
		assert.Equal(t, providers.FinishLength, out.Response.FinishReason)
		assert.Nil(t, out.Live)
		assert.Nil(t, out.Limit)
	})
}

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

func TestEventsReportWhatHappens(t *testing.T) {
	inFakeTime(t, func(c *config.Config) { c.GLM.MaxInflight = 1 }, func(t *testing.T, b *fixture) {
		turns := &inTurn{scripts: []chatFunc{
			stream(nil, say(2*time.Second, "first")),
			fails(nil, overloaded()),
			stream(nil, think(time.Second, "thinking about it"), say(time.Second, "writing it")),
		}}
		b.glm.ChatFunc = turns.chat
		var first sync.WaitGroup
		first.Go(func() { _, _ = b.caller.Call(t.Context(), ask("glm-5.3")) })
		time.Sleep(time.Second)
		call := ask("glm-5.3")
		var heard []providers.Event
		call.On = func(e providers.Event) { heard = append(heard, e) }
		_, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		require.NoError(t, err)
		first.Wait()
		for i := range heard {
			assert.Equal(t, "glm glm-5.3", heard[i].Provider+" "+heard[i].Model)
			heard[i].Provider, heard[i].Model = "", ""
		}
		assert.Equal(t, []providers.Event{
			{Phase: providers.PhaseQueued},
			{Phase: providers.PhaseAsking, Attempt: 1},
			{Phase: providers.PhaseRetrying, Attempt: 1, Wait: time.Second},
			{Phase: providers.PhaseAsking, Attempt: 2},
			{Phase: providers.PhaseThinking, Attempt: 2, Tokens: 4},
			{Phase: providers.PhaseWriting, Attempt: 2, Tokens: 5},
		}, heard)
	})
}

func TestTheOutputCapIsWithinTheModels(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		turns := &inTurn{scripts: []chatFunc{answers("yes")}}
		b.glm.ChatFunc = turns.chat
		for model, want := range map[string]int{"glm-4.5v": 8_192, "glm-4-air": 4_096, "glm-5.3": 32_768} {
			turns.requests = nil
			_, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask(model))
			require.NoError(t, err)
			assert.Equal(t, want, turns.requests[0].MaxOutputTokens, model)
		}
	})
}

func TestPreviewNeedsNoKey(t *testing.T) {
	b := setUp(t, func(c *config.Config) { c.GLM.APIKey, c.Kimi.APIKey = "", "" })
	var shown providers.ChatRequest
	b.glm.SearchFunc = func(context.Context, providers.SearchQuery) (*providers.SearchResult, error) { return nil, nil }
	b.glm.PayloadFunc = func(req providers.ChatRequest) (json.RawMessage, error) {
		shown = req
		return json.RawMessage(`{}`), nil
	}
	call := ask("")
	call.Provider, call.Search, call.Thinking = "glm", true, providers.ThinkHigh
	p, err := b.caller.Preview(b.inClass(t.Context(), config.ClassSimple), call)
	require.NoError(t, err)
	assert.JSONEq(t, `{}`, string(p.Body))
	assert.Equal(t, "glm-5.3-flash", p.Model.ID)
	assert.Equal(t, "reasoning_effort=high", p.Thinking)
	require.Len(t, shown.Functions, 1)
	assert.Equal(t, "web_search", shown.Functions[0].Name, "as with a key")
	assert.Equal(t, 32_768, shown.MaxOutputTokens)
	assert.Empty(t, b.seen.attempts)
}

func TestBuildErrorsComeBackAsTheyAre(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		why := errors.New("no such file")
		out, err := b.caller.Call(t.Context(), calls.Call{Model: "glm-5.3", Build: func(providers.Model) (providers.ChatRequest, error) {
			return providers.ChatRequest{}, why
		}})
		assert.Equal(t, why, err)
		assert.Zero(t, out.Attempts)
	})
}

func TestManyAtOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*config.Config)
		last time.Duration
	}{
		{"with limits raised they finish together", func(c *config.Config) { c.GLM.MaxInflight, c.Calls.MaxInflight = 64, 64 }, time.Second},
		{"with the defaults they queue", nil, 4 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFakeTime(t, c.set, func(t *testing.T, b *fixture) {
				b.glm.ChatFunc = stream(nil, say(time.Second, "yes"))
				var all sync.WaitGroup
				start := time.Now()
				for range 64 {
					all.Go(func() {
						out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
						if assert.NoError(t, err) {
							assert.Equal(t, "yes", out.Response.Content)
							assert.LessOrEqual(t, out.Elapsed, 28500*time.Millisecond)
						}
					})
				}
				all.Wait()
				assert.Equal(t, c.last, time.Since(start))
			})
		})
	}
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
