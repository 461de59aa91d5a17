package calls_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// TestAnyVendorKeepsTheRules calls random vendors, drawn from a seed, and holds what came back to
// the rules that have no exception.
func TestAnyVendorKeepsTheRules(t *testing.T) {
	for seed := range uint64(400) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			draw := rand.New(rand.NewPCG(seed, 1))
			inFakeTime(t, randomLimits(draw), func(t *testing.T, b *fixture) {
				b.glm.ChatFunc, b.kimi.ChatFunc = randomVendor(draw), randomVendor(draw)
				call := ask([]string{"", "glm-5.3", "kimi-k3"}[draw.IntN(3)])
				call.Background = draw.IntN(2) == 0
				class := []config.Class{config.ClassSimple, config.ClassExpert, config.ClassFile}[draw.IntN(3)]
				ctx := b.inClass(t.Context(), class)
				budget, _ := providers.BudgetFrom(ctx)
				start := time.Now()
				out, err := b.caller.Call(ctx, call)
				took := time.Since(start)

				assert.LessOrEqual(t, took, budget.AnswerBy().Sub(start), "no call outlives its limit")
				require.NotNil(t, out)
				if class == config.ClassSimple {
					assert.LessOrEqual(t, took, 2*b.cfg.Timeouts.Vendor(out.Model.Provider).Value, "nor, but for a fallback, its vendor's")
				}
				most := 1 + b.cfg.Calls.MaxRetries
				if out.Fallback != nil {
					most *= 2
					assert.Empty(t, call.Model, "a named model is never swapped")
				} else {
					assert.True(t, call.Model == "" || call.Model == out.Model.ID)
				}
				assert.LessOrEqual(t, out.Attempts, most)
				if err != nil {
					e := failure(t, err)
					assert.NotEmpty(t, e.Message)
					assert.Equal(t, e.Kind == providers.KindTimeout, e.Limit != nil)
					assert.Empty(t, out.Response.Content, "an error holds no answer")
					assert.Nil(t, out.Live)
					return
				}
				assert.True(t, strings.HasPrefix(words(1000), out.Response.Content), "text is what was said, from its start")
				assert.Equal(t, out.Response.FinishReason != providers.FinishStop, out.Partial)
				assert.Equal(t, out.Limit != nil, out.Response.FinishReason == providers.FinishTimeout)
				if out.Live == nil {
					assert.Len(t, b.seen.attempts, out.Attempts, "nothing runs any more")
					return
				}
				<-out.Live.Done()
				final := out.Live.Snapshot()
				assert.True(t, strings.HasPrefix(final.Response.Content, out.Response.Content), "what went on only grew")
				assert.Len(t, b.seen.attempts, out.Attempts)
				assert.LessOrEqual(t, time.Since(start), budget.Limit.Value+b.cfg.Timeouts.Background)
			})
		})
	}
}

// randomLimits draws limits, ordered as the configuration orders them.
func randomLimits(draw *rand.Rand) func(*config.Config) {
	vendor := time.Duration(2+draw.IntN(58)) * time.Second
	outer := vendor + time.Duration(draw.IntN(30))*time.Second
	idle := time.Duration(1+draw.IntN(30)) * time.Second
	within := time.Duration(5+draw.IntN(90)) * time.Second
	retries := draw.IntN(5)
	return func(c *config.Config) {
		c.Timeouts.GLM, c.Timeouts.Kimi, c.Timeouts.StreamIdle = vendor, vendor, idle
		c.Timeouts.SimpleTool, c.Timeouts.WorkflowTool, c.Timeouts.Expert = outer, outer, outer
		c.Timeouts.AnswerWithin, c.Calls.MaxRetries = within, retries
	}
}

// randomVendor draws a vendor: some failures first, then an answer of words and pauses, with thoughts between, that may break.
func randomVendor(draw *rand.Rand) chatFunc {
	kinds := []providers.Kind{providers.KindOverloaded, providers.KindNetwork, providers.KindProviderError, providers.KindRateLimited, providers.KindAuth}
	var before []*providers.Error
	for range draw.IntN(4) {
		e := &providers.Error{Kind: kinds[draw.IntN(len(kinds))], Message: "It failed.", HTTPStatus: 500}
		e.Retry = e.Kind != providers.KindAuth
		if draw.IntN(3) == 0 {
			e.RetryAfter = time.Duration(draw.IntN(40)) * time.Second
		}
		before = append(before, e)
	}
	var beats []scriptStep
	for range 1 + draw.IntN(30) {
		wait := time.Duration(draw.IntN(4000)+1) * time.Millisecond
		switch draw.IntN(12) {
		case 0:
			wait *= 20
		case 1:
			wait = 0
		}
		if draw.IntN(4) == 0 {
			beats = append(beats, think(wait, "hm "))
		} else {
			beats = append(beats, say(wait, "word "))
		}
	}
	beats = append(beats, say(time.Second, "word "))
	var broken error
	if draw.IntN(4) == 0 {
		broken = &providers.Error{Kind: providers.KindNetwork, Retry: true, Message: "It broke."}
	}
	return fails(stream(broken, beats...), before...)
}
