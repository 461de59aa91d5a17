package calls_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
)

// asTask is a simple call whose client takes a task.
func (b *fixture) asTask(ctx context.Context) context.Context {
	ctx = b.inClass(ctx, config.ClassSimple)
	budget, _ := providers.BudgetFrom(ctx)
	budget.Task = true
	return providers.WithBudget(ctx, budget)
}

func (b *fixture) task(t *testing.T, model string) *calls.Generation {
	t.Helper()
	out, err := b.caller.Call(b.asTask(t.Context()), backgroundCall(model, model))
	require.NoError(t, err)
	require.NotNil(t, out.Live)
	return out.Live
}

func TestATaskKeepsItsSlot(t *testing.T) {
	inFakeTime(t, func(c *config.Config) { c.GLM.MaxInflight = 1 }, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = steady(300)
		live := b.task(t, "glm-5.3")
		b.glm.ChatFunc = answers("at once")
		_, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
		assert.Contains(t, failure(t, err).Message, "waiting for a free GLM (Z.ai) request slot")

		time.AfterFunc(10*time.Second, live.EndTask)
		start := time.Now()
		_, err = b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
		require.NoError(t, err)
		assert.Equal(t, 10*time.Second, time.Since(start), "no client asks for it any more")
		live.EndTask()
		<-live.Done()
		assert.Equal(t, words(300), live.Snapshot().Response.Content, "it goes on all the same")
	})
}

func TestATaskFreesItsSlotWhenItEnds(t *testing.T) {
	inFakeTime(t, func(c *config.Config) { c.GLM.MaxInflight = 1 }, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = steady(300)
		live := b.task(t, "glm-5.3")
		live.Cancel()
		<-live.Done()
		assert.Equal(t, providers.FinishCancelled, live.Snapshot().Response.FinishReason)
		assert.Equal(t, words(28), live.Snapshot().Response.Content)
		b.glm.ChatFunc = answers("at once")
		_, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
		require.NoError(t, err)
	})
}

// Each request of a task has a slot, also one that begins behind the call. Another background answer needs none, nor does a task
// that no client will ask for.
func TestALaterRequestOfATaskWaitsForASlot(t *testing.T) {
	for name, c := range map[string]struct {
		in    func(*fixture, context.Context) context.Context
		ended time.Duration // when EndTask is called; 0 for never
		took  time.Duration
	}{
		"a task":           {(*fixture).asTask, 0, 57 * time.Second}, // it began at 28.5 s, and its slot was free 28.5 s later
		"a task that ends": {(*fixture).asTask, 45 * time.Second, 45 * time.Second},
		"no task": {func(b *fixture, ctx context.Context) context.Context {
			return b.inClass(ctx, config.ClassSimple)
		}, 0, 41 * time.Second},
	} {
		t.Run(name, func(t *testing.T) { laterRequest(t, c.in, c.ended, c.took) })
	}
}

func laterRequest(t *testing.T, in func(*fixture, context.Context) context.Context, ended, took time.Duration) {
	inFakeTime(t, func(c *config.Config) { c.GLM.MaxInflight = 1 }, func(t *testing.T, b *fixture) {
		turns := &inTurn{scripts: []chatFunc{callsTool("slow", time.Second), steady(50), answers("the end")}}
		b.glm.ChatFunc = turns.chat
		call := backgroundCall("glm-5.3", "conversation")
		call.Tools = []calls.Tool{function("slow", func(context.Context, string) (string, error) {
			time.Sleep(40 * time.Second)
			return "late", nil
		})}
		start := time.Now()
		out, err := b.caller.Call(in(b, t.Context()), call)
		require.NoError(t, err)
		require.NotNil(t, out.Live)
		if ended > 0 {
			time.AfterFunc(ended-time.Since(start), out.Live.EndTask)
		}
		var end time.Duration
		go func() {
			<-out.Live.Done()
			end = time.Since(start)
		}()
		other, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), backgroundCall("glm-5.3", "other")) // takes the slot meanwhile
		require.NoError(t, err)
		require.NotNil(t, other.Live, "an ordinary background answer gives the slot back at its call's end")
		<-out.Live.Done()
		synctest.Wait()
		assert.Equal(t, took, end)
		assert.Equal(t, "the end", out.Live.Snapshot().Response.Content)
	})
}

func TestTasksAreNotEvicted(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = steady(400)
		var live []*calls.Generation
		for range 3 {
			live = append(live, b.task(t, "glm-5.3"))
		}
		for range 2 {
			out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), backgroundCall("glm-5.3", "ordinary"))
			require.NoError(t, err)
			live = append(live, out.Live)
		}
		assert.Equal(t, live, b.caller.Background(), "tasks don't count, and are not counted")
		live[2].EndTask()
		<-live[2].Done()
		assert.Equal(t, providers.FinishTimeout, live[2].Snapshot().Response.FinishReason, "the oldest of three that are no tasks")
		live[0].Stop()
		<-live[0].Done()
		assert.Equal(t, providers.FinishTimeout, live[0].Snapshot().Response.FinishReason, "the server stopped it, not the client")
		for _, g := range []*calls.Generation{live[1], live[3], live[4]} {
			<-g.Done()
			assert.Equal(t, words(400), g.Snapshot().Response.Content)
		}
	})
}

// A task has BACKGROUND_MAX_SECS from the end of its call on, and no other limit.
func TestTheLimitOfATask(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = steady(10_000)
		start := time.Now()
		live := b.task(t, "glm-5.3")
		<-live.Done()
		assert.Equal(t, 628500*time.Millisecond, time.Since(start))
		assert.Equal(t, "BACKGROUND_MAX_SECS=600s", live.Snapshot().Limit.String())
	})
}
