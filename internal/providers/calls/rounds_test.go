package calls_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
)

const (
	noMore   = "No more function calls are possible. Conclude with what you have."
	conclude = "No more function calls are possible. Write your whole answer now, in the form that was asked for, from what you have. Say what you could not check."
)

// reads answers with calls of "read", one for each of the arguments.
func reads(arguments ...string) chatFunc {
	return func(_ context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		on(providers.Delta{Reasoning: "hm"})
		on(providers.Delta{ToolCall: true})
		resp := &providers.ChatResponse{Reasoning: "hm", FinishReason: providers.FinishToolCalls}
		for i, a := range arguments {
			resp.ToolCalls = append(resp.ToolCalls, providers.ToolCall{ID: fmt.Sprintf("read:%d", i), Name: "read", Arguments: a})
		}
		return resp, nil
	}
}

// endless reads another file in every round.
func endless() chatFunc {
	n := 0
	return func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		n++
		return reads(fmt.Sprintf(`{"n":%d}`, n))(ctx, req, on)
	}
}

// reader is a call with the function "read", whose results are size bytes; ran counts how often it ran.
func reader(model string, bounds calls.Bounds, size int, ran *atomic.Int64) calls.Call {
	call := backgroundCall(model, "id")
	call.Bounds = bounds
	call.Tools = []calls.Tool{{
		Function: providers.Function{Name: "read"}, Phase: providers.PhaseReading, About: func(a string) string { return a },
		Run: func(_ context.Context, arguments string, room int) (string, error) {
			ran.Add(1)
			return strings.Repeat("x", min(size, room)), nil
		},
	}}
	return call
}

func tail(req providers.ChatRequest, n int) []providers.Message {
	return req.Messages[len(req.Messages)-n:]
}

// TestFunctionsAreWithdrawnInTheVendorsWay: behind the last round the request keeps its functions, for the cached prefix;
// a call that comes all the same is answered and not run, and then the last request has none.
func TestFunctionsAreWithdrawnInTheVendorsWay(t *testing.T) {
	for model, choice := range map[string]string{"glm-5.3": "", "kimi-k3": `"none"`, "kimi-k2.7-code": `"none"`, "glm-9": ""} {
		t.Run(model, func(t *testing.T) {
			inFakeTime(t, nil, func(t *testing.T, b *fixture) {
				more := endless()
				turns := &inTurn{scripts: []chatFunc{more, more, more, answers("enough")}}
				b.glm.ChatFunc, b.kimi.ChatFunc = turns.chat, turns.chat
				var ran atomic.Int64
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassExpert), reader(model, calls.Bounds{Rounds: 2, Calls: 8, Bytes: 50_000}, 10, &ran))
				require.NoError(t, err)
				assert.Equal(t, "enough", out.Response.Content)
				assert.EqualValues(t, 2, ran.Load())
				require.Len(t, turns.requests, 4)
				for i, r := range turns.requests {
					assert.Len(t, r.Functions, []int{1, 1, 1, 0}[i], "request %d", i)
					assert.Equal(t, []string{"", "", choice, ""}[i], string(r.ToolChoice), "request %d", i)
				}
				assert.Equal(t, []providers.Message{
					{Role: providers.RoleTool, ToolCallID: "read:0", Name: "read", Content: "xxxxxxxxxx\n\n" + noMore},
					{Role: providers.RoleUser, Content: conclude},
				}, tail(turns.requests[2], 2))
				assert.Equal(t, "Not executed. "+noMore, tail(turns.requests[3], 1)[0].Content)
				for i := range 3 {
					before := turns.requests[i].Messages
					assert.Equal(t, before, turns.requests[i+1].Messages[:len(before)], "what was sent stays as it was")
				}
				assert.Equal(t, turns.requests[3].Messages[1:], out.Messages)
			})
		})
	}
}

func TestCallsBeyondTheBoundsAreAnswered(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		turns := &inTurn{scripts: []chatFunc{
			reads(`{"p":1,"q":2}`, `{"q":2, "p":1}`, `{"p":2}`, `{"p":3}`), reads(`{"p":3}`, `{"p":2}`), answers("enough"),
		}}
		b.kimi.ChatFunc = turns.chat
		var ran atomic.Int64
		call := reader("kimi-k3", calls.Bounds{Rounds: 6, Calls: 2, Bytes: 50_000}, 4, &ran)
		var events []string
		call.On = func(e providers.Event) {
			if e.Phase == providers.PhaseReading {
				events = append(events, e.Detail)
			}
		}
		_, err := b.caller.Call(b.inClass(t.Context(), config.ClassExpert), call)
		require.NoError(t, err)
		assert.EqualValues(t, 3, ran.Load())
		assert.Equal(t, []string{
			"xxxx", "Not executed: this is the same call as read:0.", "xxxx",
			"Not executed: at most 2 calls are run in one round. Make it again if it is still needed.",
			"xxxx", "This call was made before, with this result. Don't repeat calls.\nxxxx",
		}, results(turns.requests[2].Messages))
		assert.Equal(t, []string{`{"p":1,"q":2}, {"p":2}`, `{"p":3}`}, events)
	})
}

func TestOnlyAFewCallsAreNamedWhileTheyRun(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		turns := &inTurn{scripts: []chatFunc{reads("1", "2", "3", "4", "5"), reads("6", "7", "8"), answers("enough")}}
		b.kimi.ChatFunc = turns.chat
		var ran atomic.Int64
		call := reader("kimi-k3", calls.Bounds{Rounds: 6, Calls: 8, Bytes: 50_000}, 4, &ran)
		var shown []string
		call.On = func(e providers.Event) { shown = append(shown, strings.TrimSpace(string(e.Phase)+" "+e.Detail)) }
		_, err := b.caller.Call(b.inClass(t.Context(), config.ClassExpert), call)
		require.NoError(t, err)
		assert.Equal(t, []string{
			"asking", "thinking", "writing", "reading 1, 2, 3, 2 more", "thinking", "writing", "reading 6, 7, 8", "writing",
		}, shown, "what is read is said until the model answers")
	})
}

// results are the texts of the tool messages.
func results(messages []providers.Message) (texts []string) {
	for _, m := range messages {
		if m.Role == providers.RoleTool {
			texts = append(texts, m.Content)
		}
	}
	return texts
}

func TestHowTheCallsOfARoundAreCounted(t *testing.T) {
	for _, c := range []struct {
		name   string
		bounds calls.Bounds
		size   int
		rounds []chatFunc
		want   []string
	}{
		{
			"a repeated call is one of its round's",
			calls.Bounds{Rounds: 6, Calls: 1, Bytes: 50_000},
			4,
			[]chatFunc{reads(`{"p":1}`), reads(`{"p":1}`, `{"p":2}`)},
			[]string{
				"xxxx", "This call was made before, with this result. Don't repeat calls.\nxxxx",
				"Not executed: at most 1 calls are run in one round. Make it again if it is still needed.",
			},
		},
		{
			"arguments that are no JSON are compared as they are",
			calls.Bounds{Rounds: 6, Calls: 8, Bytes: 50_000},
			4,
			[]chatFunc{reads(`{"p":`, `{"q":`, `{"p":`)},
			[]string{"xxxx", "xxxx", "Not executed: this is the same call as read:0."},
		},
		{
			"a result that just fits is whole",
			calls.Bounds{Rounds: 6, Calls: 8, Bytes: 5_000},
			5_000,
			[]chatFunc{reads(`{}`)},
			[]string{strings.Repeat("x", 5_000) + "\n\n" + noMore},
		},
		{
			"there is room for one round more",
			calls.Bounds{Rounds: 6, Calls: 8, Bytes: 2_010},
			10,
			[]chatFunc{reads(`{}`)},
			[]string{"xxxxxxxxxx"},
		},
		{
			"there is too little room for one",
			calls.Bounds{Rounds: 6, Calls: 8, Bytes: 2_009},
			10,
			[]chatFunc{reads(`{}`)},
			[]string{"xxxxxxxxxx\n\n" + noMore},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFakeTime(t, nil, func(t *testing.T, b *fixture) {
				turns := &inTurn{scripts: append(c.rounds, answers("enough"))}
				b.kimi.ChatFunc = turns.chat
				var ran atomic.Int64
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassExpert), reader("kimi-k3", c.bounds, c.size, &ran))
				require.NoError(t, err)
				assert.Equal(t, c.want, results(out.Messages))
			})
		})
	}
}

// TestAFailedCallMayBeMadeAgain: only what succeeded is answered from before.
func TestAFailedCallMayBeMadeAgain(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		turns := &inTurn{scripts: []chatFunc{reads("{}"), reads("{}"), answers("enough")}}
		b.kimi.ChatFunc = turns.chat
		var ran atomic.Int64
		call := ask("kimi-k3")
		call.Tools = []calls.Tool{function("read", func(context.Context, string) (string, error) {
			if ran.Add(1) == 1 {
				return "", errors.New("busy")
			}
			return "text", nil
		})}
		_, err := b.caller.Call(b.inClass(t.Context(), config.ClassExpert), call)
		require.NoError(t, err)
		assert.Equal(t, "text", tail(turns.requests[2], 1)[0].Content)
	})
}

func TestResultsStayWithinTheirBytes(t *testing.T) {
	for _, c := range []struct {
		name   string
		model  string
		bounds calls.Bounds
		size   int
		rounds int
		bytes  int
	}{
		{"the bound", "kimi-k3", calls.Bounds{Rounds: 6, Calls: 8, Bytes: 30_000}, 10_000, 3, 30_000},
		{"one result is cut to the bound", "kimi-k3", calls.Bounds{Rounds: 6, Calls: 8, Bytes: 30_000}, 100_000, 1, 30_000},
		{"the model's window", "glm-4-airx", calls.Bounds{Rounds: 6, Calls: 8, Bytes: 240_000}, 100_000, 1, 12_200},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFakeTime(t, nil, func(t *testing.T, b *fixture) {
				more := endless()
				turns := &inTurn{scripts: slices.Concat(slices.Repeat([]chatFunc{more}, c.rounds), []chatFunc{answers("enough")})}
				b.glm.ChatFunc, b.kimi.ChatFunc = turns.chat, turns.chat
				var ran atomic.Int64
				call := reader(c.model, c.bounds, c.size, &ran)
				call.Tools[0].Run = func(context.Context, string, int) (string, error) {
					return strings.Repeat("x = 1;\n\n,", c.size/9), nil
				}
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassExpert), call)
				require.NoError(t, err)
				assert.Equal(t, "enough", out.Response.Content)
				total := 0
				for _, text := range results(out.Messages) {
					total += len(text)
				}
				assert.LessOrEqual(t, total, c.bytes+200)
				assert.Greater(t, total, c.bytes*2/3)
				assert.Equal(t, conclude, tail(turns.requests[c.rounds], 1)[0].Content)
				if c.name == "the model's window" {
					assert.Less(t, turns.requests[1].MaxOutputTokens, turns.requests[0].MaxOutputTokens, "the answer fits beside them")
				}
			})
		})
	}
}

// TestFunctionsAreWithdrawnAtHalfTheLimit: what was asked for by then is still answered.
func TestFunctionsAreWithdrawnAtHalfTheLimit(t *testing.T) {
	for _, c := range []struct {
		after    time.Duration
		withdraw bool
	}{{29*time.Second + 999*time.Millisecond, false}, {30 * time.Second, true}} {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			turns := &inTurn{scripts: []chatFunc{stream(nil, think(time.Second, "hm"), think(c.after-time.Second, "hm")), answers("enough")}}
			first := turns.scripts[0]
			turns.scripts[0] = func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
				resp, err := first(ctx, req, on)
				resp.ToolCalls = []providers.ToolCall{{ID: "a", Name: "read", Arguments: "{}"}}
				return resp, err
			}
			b.kimi.ChatFunc = turns.chat
			b.cfg.Timeouts.StreamIdle = time.Minute
			var ran atomic.Int64
			call := reader("kimi-k3", calls.Bounds{Rounds: 6, Calls: 8, Bytes: 30_000}, 4, &ran)
			ctx := providers.WithBudget(t.Context(), providers.Budget{
				Limit: config.Limit{Name: "EXPERT_ANALYSIS_TIMEOUT_SECS", Value: time.Minute}, Class: config.ClassExpert, Start: time.Now(),
			})
			_, err := b.caller.Call(ctx, call)
			require.NoError(t, err)
			assert.EqualValues(t, 1, ran.Load())
			assert.Equal(t, c.withdraw, string(turns.requests[1].ToolChoice) == `"none"`, c.after)
		})
	}
}

// TestARoundThatFails: within an exchange only text counts as delivered, so a round is sent again after reasoning; when
// that fails too, one last request without functions concludes.
func TestARoundThatFails(t *testing.T) {
	broken := &providers.Error{Kind: providers.KindNetwork, Retry: true, Message: "reset"}
	reset := stream(broken, think(time.Second, "hm"))
	for _, c := range []struct {
		name      string
		scripts   []chatFunc
		attempts  int
		content   string
		functions int // of the last request
		partial   bool
		kind      providers.Kind
	}{
		{"once", []chatFunc{endless(), reset, answers("enough")}, 3, "enough", 1, false, ""},
		{"in the first round", []chatFunc{reset, answers("enough")}, 2, "enough", 1, false, ""},
		{"always", slices.Concat([]chatFunc{endless()}, slices.Repeat([]chatFunc{reset}, 3), []chatFunc{answers("enough")}), 5, "enough", 0, false, ""},
		{"always, and the last request too", slices.Concat([]chatFunc{endless()}, slices.Repeat([]chatFunc{reset}, 7)), 7, "", 0, true, ""},
		{"in the middle of its text", []chatFunc{endless(), stream(broken, think(0, "hm"), say(0, "half"))}, 2, "half", 1, true, ""},
		{"for good", []chatFunc{endless(), fails(nil, &providers.Error{Kind: providers.KindBalance})}, 2, "", 1, false, providers.KindBalance},
		{"without text", []chatFunc{endless(), finished(providers.FinishStop, "", "hm"), answers("enough")}, 3, "enough", 0, false, ""},
		{"filtered", []chatFunc{endless(), finished(providers.FinishContentFilter, "", "hm")}, 2, "", 1, false, providers.KindContentFiltered},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFakeTime(t, func(c *config.Config) { c.Calls.MaxRetries = 2 }, func(t *testing.T, b *fixture) {
				turns := &inTurn{scripts: c.scripts}
				b.kimi.ChatFunc = turns.chat
				var ran atomic.Int64
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassExpert), reader("kimi-k3", calls.Bounds{Rounds: 6, Calls: 8, Bytes: 30_000}, 4, &ran))
				assert.Equal(t, c.attempts, out.Attempts)
				last := turns.requests[len(turns.requests)-1]
				assert.Len(t, last.Functions, c.functions)
				assert.Equal(t, slices.Concat(last.Messages[1:]), out.Messages, "what the client may go on with")
				if c.functions == 0 {
					assert.Equal(t, conclude, tail(last, 1)[0].Content)
				}
				if c.kind != "" {
					assert.Equal(t, c.kind, failure(t, err).Kind)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, c.content, out.Response.Content)
				assert.Equal(t, c.partial, out.Partial)
			})
		})
	}
}

// TestCallsThatMayNotRun: the request begins like an earlier one that offered them.
func TestCallsThatMayNotRun(t *testing.T) {
	for _, c := range []struct {
		name   string
		tools  bool
		choice string
		want   []string
	}{
		{"functions that are listed", true, `"none"`, []string{"Not executed. " + noMore}},
		{"none at all", false, "", nil},
	} {
		inFakeTime(t, nil, func(t *testing.T, b *fixture) {
			first := answers("enough")
			if c.tools {
				first = reads("{}")
			}
			turns := &inTurn{scripts: []chatFunc{first, func(_ context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
				on(providers.Delta{Content: "enough"})
				return &providers.ChatResponse{Content: "enough", ToolCalls: []providers.ToolCall{{ID: "x", Name: "read", Arguments: "{}"}}}, nil
			}}}
			b.kimi.ChatFunc = turns.chat
			var ran atomic.Int64
			call := reader("kimi-k3", calls.Bounds{}, 4, &ran)
			if call.NoCalls = true; !c.tools {
				call.Tools = nil
			}
			out, err := b.caller.Call(b.inClass(t.Context(), config.ClassExpert), call)
			require.NoError(t, err)
			assert.Equal(t, c.choice, string(turns.requests[0].ToolChoice), c.name)
			assert.Equal(t, c.want, results(out.Messages), c.name)
			assert.Equal(t, "enough", out.Response.Content)
			assert.Empty(t, out.Response.ToolCalls, "a call beside the last text is nobody's to run")
			assert.Zero(t, ran.Load())
		})
	}
}

// TestAnOutputLimitBehindCalls: they are complete, and what they return is what the model waits for.
func TestAnOutputLimitBehindCalls(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		cut := func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			resp, err := reads("{}")(ctx, req, on)
			resp.FinishReason = providers.FinishLength
			return resp, err
		}
		turns := &inTurn{scripts: []chatFunc{cut, answers("enough")}}
		b.kimi.ChatFunc = turns.chat
		var ran atomic.Int64
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassExpert), reader("kimi-k3", calls.Bounds{}, 4, &ran))
		require.NoError(t, err)
		assert.Equal(t, "enough", out.Response.Content)
		assert.EqualValues(t, 1, ran.Load())
		assert.Equal(t, 2, out.Attempts)
	})
}

// TestALaterRequestOutsideAToolCallIsBounded: between two requests nothing bounds the answer, but the second has its
// vendor's limit again.
func TestALaterRequestOutsideAToolCallIsBounded(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		turns := &inTurn{scripts: []chatFunc{reads("{}"), silent()}}
		b.kimi.ChatFunc = turns.chat
		var ran atomic.Int64
		call := reader("kimi-k3", calls.Bounds{}, 4, &ran)
		call.Tools[0].Run = func(context.Context, string, int) (string, error) {
			time.Sleep(50 * time.Second)
			return "text", nil
		}
		start := time.Now()
		_, err := b.caller.Call(t.Context(), call)
		require.NoError(t, err)
		assert.Equal(t, 80*time.Second, time.Since(start))
		assert.Equal(t, []string{"KIMI_TIMEOUT_SECS=30s"}, b.seen.names())
	})
}

// TestFunctionsOfTheClientAreNoRounds: without a function that is run here, a delta is final as everywhere.
func TestFunctionsOfTheClientAreNoRounds(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = stream(&providers.Error{Kind: providers.KindNetwork, Retry: true}, think(time.Second, "hm"))
		call := ask("glm-5.3")
		call.Tools = []calls.Tool{function("theirs", nil)}
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		require.NoError(t, err)
		assert.Equal(t, 1, out.Attempts)
		assert.True(t, out.Partial)
	})
}

// TestTheFifthRoundGoesOnInTheBackground: a call's limit in a late round ends the call and not the answer.
func TestTheFifthRoundGoesOnInTheBackground(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		more := endless()
		turns := &inTurn{scripts: []chatFunc{more, more, more, more, stream(nil, think(20*time.Second, "hm"), think(20*time.Second, "hm"), say(24*time.Second, "done"))}}
		b.kimi.ChatFunc = turns.chat
		var ran atomic.Int64
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassExpert), reader("kimi-k3", calls.Bounds{Rounds: 6, Calls: 8, Bytes: 30_000}, 4, &ran))
		require.NoError(t, err)
		require.NotNil(t, out.Live)
		assert.True(t, out.Partial)
		<-out.Live.Done()
		last := out.Live.Snapshot()
		assert.Equal(t, "done", last.Response.Content)
		assert.Equal(t, 5, last.Attempts)
		assert.Len(t, last.Messages, 8)
	})
}

// TestAModelWithoutFunctionsAnswersWithoutThem: where they are optional.
func TestAModelWithoutFunctionsAnswersWithoutThem(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		turns := &inTurn{scripts: []chatFunc{answers("yes")}}
		b.glm.ChatFunc = turns.chat
		var ran atomic.Int64
		call := reader("autoglm-phone-multilingual", calls.Bounds{}, 1, &ran)
		call.Tools[0].Optional = true
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassExpert), call)
		require.NoError(t, err)
		assert.Empty(t, turns.requests[0].Functions)
		assert.Equal(t, []string{"autoglm-phone-multilingual cannot call functions, so it had none of read."}, out.Notes)
	})
}
