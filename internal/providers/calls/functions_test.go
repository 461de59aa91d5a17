package calls_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
)

// callsTool answers with calls of functions, after a pause.
func callsTool(name string, after time.Duration, more ...providers.ToolCall) chatFunc {
	return func(ctx context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		if !pause(ctx, after) {
			return nil, &providers.Error{Kind: providers.KindNetwork, Err: context.Cause(ctx)}
		}
		on(providers.Delta{Reasoning: "I need it."})
		on(providers.Delta{ToolCall: true})
		return &providers.ChatResponse{
			Reasoning: "I need it.", FinishReason: providers.FinishToolCalls, UsageKnown: true,
			Usage:     providers.Usage{InputTokens: 100, CachedTokens: 40, OutputTokens: 10, ReasoningTokens: 5},
			ToolCalls: append([]providers.ToolCall{{ID: name + ":0", Name: name, Arguments: "{}"}}, more...),
		}, nil
	}
}

func function(name string, run func(ctx context.Context, arguments string) (string, error)) calls.Tool {
	tool := calls.Tool{Function: providers.Function{Name: name}}
	if run != nil {
		tool.Run = func(ctx context.Context, arguments string, _ int) (string, error) { return run(ctx, arguments) }
	}
	return tool
}

func TestFunctionsAreRunUntilThereIsText(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		turns := &inTurn{scripts: []chatFunc{
			callsTool("add", 0, providers.ToolCall{ID: "b", Name: "broken", Arguments: "{}"}, providers.ToolCall{ID: "e", Name: "empty", Arguments: "{}"},
				providers.ToolCall{ID: "u", Name: "unheard-of", Arguments: "{}"}, providers.ToolCall{ID: "v", Name: "vendor", Arguments: "{}"}),
			usage(answers("5"), providers.Usage{InputTokens: 200, OutputTokens: 20}),
		}}
		b.glm.ChatFunc = turns.chat
		call := ask("glm-5.3")
		slow := func(text string, err error) func(context.Context, string) (string, error) {
			return func(context.Context, string) (string, error) { time.Sleep(time.Second); return text, err }
		}
		call.Tools = []calls.Tool{
			function("add", slow("5", nil)), function("broken", slow("", errors.New("out of order"))), function("empty", slow(" ", nil)),
			function("vendor", slow("", &providers.Error{Kind: providers.KindAuth, Message: "It refused.", Err: errors.New("a secret")})),
		}
		start := time.Now()
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		require.NoError(t, err)
		assert.Equal(t, time.Second, time.Since(start), "functions run side by side")
		assert.Equal(t, "5", out.Response.Content)
		assert.Equal(t, 2, out.Attempts)
		assert.Equal(t, providers.Usage{
			InputTokens: 300, CachedTokens: 40, OutputTokens: 30, ReasoningTokens: 5,
			CostUSD: (260*1.4 + 40*0.26 + 30*4.4) / 1e6,
		}, out.Response.Usage)
		assert.True(t, out.Response.UsageKnown)
		assert.Equal(t, out.Response.Usage, b.seen.attempts[0].Usage.Plus(b.seen.attempts[1].Usage), "each request's own, with its cost")

		require.Len(t, turns.requests, 2)
		assert.Len(t, turns.requests[0].Functions, 4)
		assert.Equal(t, "I need it.", turns.requests[1].Messages[1].Reasoning, "reasoning goes back within the loop")
		var results []string
		for _, m := range turns.requests[1].Messages[2:] {
			assert.Equal(t, providers.RoleTool, m.Role)
			results = append(results, m.ToolCallID+" "+m.Content)
		}
		assert.Equal(t, []string{
			"add:0 5", "b Error: out of order", "e (no result)",
			`u Error: unknown function "unheard-of". The functions are: add, broken, empty, vendor.`, "v Error: It refused.",
		}, results)
		assert.Equal(t, turns.requests[1].Messages[1:], out.Messages)
	})
}

func TestFunctionCallsAreNumberedInTheModelsOrder(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		turns := &inTurn{scripts: []chatFunc{
			callsTool("slow", 0, providers.ToolCall{ID: "u", Name: "unheard-of", Arguments: "{}"}, providers.ToolCall{ID: "q", Name: "quick", Arguments: "{}"}),
			callsTool("quick", 0, providers.ToolCall{ID: "s", Name: "slow", Arguments: `{"again":true}`}),
			answers("done"),
		}}
		b.glm.ChatFunc = turns.chat
		var mu sync.Mutex
		got := map[string][]int{}
		run := func(name string, wait time.Duration) calls.Tool {
			return function(name, func(ctx context.Context, arguments string) (string, error) {
				time.Sleep(wait)
				mu.Lock()
				defer mu.Unlock()
				got[name] = append(got[name], calls.CallNumber(ctx))
				return arguments, nil
			})
		}
		call := ask("glm-5.3")
		call.Tools = []calls.Tool{run("slow", time.Second), run("quick", 0)}
		_, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		require.NoError(t, err)
		assert.Equal(t, map[string][]int{"slow": {0, 4}, "quick": {2}}, got, "the second call of quick is the same as the first")
		assert.Zero(t, calls.CallNumber(t.Context()))
	})
}

// named has an answer say which model it is from.
func named(chat chatFunc, model string) chatFunc {
	return func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		resp, err := chat(ctx, req, on)
		resp.Model = model
		return resp, err
	}
}

func TestAnotherModelThanWasAskedForIsNoted(t *testing.T) {
	for said, noted := range map[string]bool{
		"": false, "glm-5.3": false, "GLM-5.3": false, "glm-5.3-0814": false, "glm-5.3@20260814": false, "zai/glm-5.3": false, "glm-5.3:9": false,
		"glm-5.3-flash": true, "glm-5": true, "kimi-k3": true, "glm-5.3-": true,
	} {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			b.glm.ChatFunc = named(answers("yes"), said)
			out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
			require.NoError(t, err)
			assert.Equal(t, "glm-5.3", out.Model.ID, "what a conversation goes on with")
			if noted {
				assert.Equal(t, []string{"GLM (Z.ai) reports that " + said + " answered."}, out.Notes)
			} else {
				assert.Empty(t, out.Notes, said)
			}
		})
	}
}

// usage adds a vendor's count to an answer.
func usage(chat chatFunc, u providers.Usage) chatFunc {
	return func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		resp, err := chat(ctx, req, on)
		if err == nil {
			resp.Usage, resp.UsageKnown = u, true
		}
		return resp, err
	}
}

func TestAModelThatOnlyCallsFunctionsIsAnError(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.kimi.ChatFunc = callsTool("more", 0)
		call := ask("kimi-k3")
		call.Tools = []calls.Tool{function("more", func(context.Context, string) (string, error) { return "and more", nil })}
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		assert.Equal(t, providers.KindProviderError, failure(t, err).Kind)
		assert.Equal(t, 6, out.Attempts, "four rounds, one request with the functions withdrawn, one without")
		assert.Equal(t, 600, out.Response.Usage.InputTokens, "what was spent is told all the same")
	})
}

func TestAClientsFunctionEndsTheAnswer(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.kimi.ChatFunc = callsTool("ours", 0, providers.ToolCall{ID: "theirs:1", Name: "theirs", Arguments: `{"x":1}`})
		call := ask("kimi-k3")
		call.Tools = []calls.Tool{
			function("ours", func(context.Context, string) (string, error) { return "done", nil }),
			function("theirs", nil),
		}
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		require.NoError(t, err)
		assert.False(t, out.Partial)
		assert.Equal(t, providers.FinishToolCalls, out.Response.FinishReason)
		assert.Equal(t, []providers.ToolCall{{ID: "theirs:1", Name: "theirs", Arguments: `{"x":1}`}}, out.Response.ToolCalls)
		require.Len(t, out.Messages, 2, "the model's message, and the result of the function that is ours")
		assert.Len(t, out.Messages[0].ToolCalls, 2)
		assert.Equal(t, "done", out.Messages[1].Content)
	})
}

// TestACallThatIsCancelledDuringItsFunctions: it has no calls left for the client to run.
func TestACallThatIsCancelledDuringItsFunctions(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.kimi.ChatFunc = callsTool("ours", 0, providers.ToolCall{ID: "theirs:1", Name: "theirs", Arguments: `{}`})
		ctx, cancel := context.WithCancel(b.inClass(t.Context(), config.ClassSimple))
		time.AfterFunc(time.Second, cancel)
		call := ask("kimi-k3")
		call.Tools = []calls.Tool{function("ours", func(ctx context.Context, _ string) (string, error) {
			<-ctx.Done()
			return "", context.Cause(ctx)
		}), function("theirs", nil)}
		out, err := b.caller.Call(ctx, call)
		require.NoError(t, err)
		assert.Equal(t, providers.FinishCancelled, out.Response.FinishReason)
		assert.Empty(t, out.Response.ToolCalls)
		assert.Len(t, b.seen.attempts, 1)
	})
}

// TestFunctionsOfARequestAreItsOwn: those that are added to a request do not reach what Build returned.
func TestFunctionsOfARequestAreItsOwn(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		turns := &inTurn{scripts: []chatFunc{answers("yes")}}
		b.kimi.ChatFunc = turns.chat
		shared := make([]providers.Function, 2)
		shared[0].Name = "first"
		call := ask("kimi-k3")
		build := call.Build
		call.Build = func(m providers.Model) (providers.ChatRequest, error) {
			req, err := build(m)
			req.Functions = shared[:1]
			return req, err
		}
		call.Tools = []calls.Tool{function("second", nil)}
		_, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		require.NoError(t, err)
		assert.Equal(t, []providers.Function{{Name: "first"}, {Name: "second"}}, turns.requests[0].Functions)
		assert.Empty(t, shared[1].Name)
	})
}

func TestAPanicReachesTheCaller(t *testing.T) {
	for name, call := range map[string]func(*fixture) calls.Call{
		"in a provider": func(b *fixture) calls.Call {
			b.glm.ChatFunc = func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
				panic("boom")
			}
			return ask("glm-5.3")
		},
		"in a function": func(b *fixture) calls.Call {
			b.glm.ChatFunc = callsTool("f", 0)
			c := ask("glm-5.3")
			c.Tools = []calls.Tool{function("f", func(context.Context, string) (string, error) { panic("boom") })}
			return c
		},
		"in Build": func(*fixture) calls.Call {
			return calls.Call{Model: "glm-5.3", Build: func(providers.Model) (providers.ChatRequest, error) { panic("boom") }}
		},
		"in a listener": func(b *fixture) calls.Call {
			b.glm.ChatFunc = answers("x")
			c := ask("glm-5.3")
			c.On = func(providers.Event) { panic("boom") }
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, func(c *config.Config) { c.GLM.MaxInflight = 1 }, func(t *testing.T, b *fixture) {
				for range 2 { // the second shows that the slot was given back
					func() {
						defer func() { assert.Contains(t, recover(), "boom") }()
						_, _ = b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call(b))
					}()
				}
			})
		})
	}
}
