package calls_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
)

// TestWhatALiveAnswerHasComeToSoFar is everything that the reply of a call whose answer goes on can say, and what the same
// answer says in the end.
func TestWhatALiveAnswerHasComeToSoFar(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = stream(nil, think(time.Second, "hm"), say(20*time.Second, "So far"), say(20*time.Second, ", so good."))
		start := time.Now()
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), backgroundCall("glm-5.3", "conversation"))
		require.NoError(t, err)
		live := out.Live
		require.NotNil(t, live)
		assert.Equal(t, providers.EstimateTokens("hm")+providers.EstimateTokens("So far"), live.Tokens())
		model, _ := b.reg.Catalog().Lookup("glm-5.3")
		spent := providers.Usage{InputTokens: 8, ReasoningTokens: 1, OutputTokens: 3}
		spent.CostUSD = model.Price.Cost(spent)
		limit := b.cfg.Timeouts.Vendor("glm")
		want := calls.Outcome{
			Response: providers.ChatResponse{Content: "So far", Reasoning: "hm", FinishReason: providers.FinishTimeout, Usage: spent},
			Model:    model, Partial: true, Limit: &limit, Thinking: "reasoning_effort=low", Attempts: 1, Elapsed: 28500 * time.Millisecond,
		}
		out.Live = nil
		assert.Equal(t, want, *out)

		time.Sleep(10 * time.Second)
		again := live.Snapshot()
		assert.Same(t, live, again.Live)
		again.Live, want.Elapsed = nil, 38500*time.Millisecond
		assert.Equal(t, want, again)

		<-live.Done()
		final := live.Snapshot()
		assert.Equal(t, 41*time.Second, time.Since(start))
		want.Partial, want.Limit, want.Elapsed = false, nil, 41*time.Second
		want.Response.Content, want.Response.FinishReason = "So far, so good.", providers.FinishStop
		assert.Positive(t, final.Response.Usage.OutputTokens)
		want.Response.Usage = final.Response.Usage
		assert.Equal(t, want, final)
	})
}

// TestTheOriginalOfALiveAnswer: texts of earlier rounds that calls were taken out of are part of it, a text without calls
// is alone its own original.
func TestTheOriginalOfALiveAnswer(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		turns := &inTurn{scripts: []chatFunc{
			answers("I look." + writtenCall), stream(nil, say(20*time.Second, "So far"), say(20*time.Second, ", so good.")),
		}}
		b.glm.ChatFunc = turns.chat
		call := backgroundCall("glm-5.3", "conversation")
		call.Tools = []calls.Tool{function("read", func(context.Context, string) (string, error) { return "text", nil })}
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		require.NoError(t, err)
		assert.Equal(t, "So far", out.Response.Content)
		assert.Equal(t, "I look."+writtenCall+"\n\nSo far", out.Original)
		require.NotNil(t, out.Live)
		<-out.Live.Done()
		assert.Equal(t, "I look."+writtenCall+"\n\nSo far, so good.", out.Live.Snapshot().Original)
	})
}
