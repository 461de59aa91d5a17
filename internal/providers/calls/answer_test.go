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
