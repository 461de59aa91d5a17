package workflow

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// fixing is a run that has come to steps, over a tracker that remembers what it was told.
func fixing(told *[]string, fails error, steps ...Facts) *run {
	r := &run{Engine: &Engine{Log: zap.NewNop()}, lease: &ask.Lease{Conversation: conversation.Conversation{ID: "c"}}}
	r.decision.Steps, r.decision.Step = steps, steps[len(steps)-1]
	r.Fix = func(_ context.Context, id string, numbers, again []int) ([]string, error) {
		*told = append(*told, fmt.Sprint(id, numbers, again))
		return []string{"Issue 1 was set to fixed."}, fails
	}
	return r
}

func fixes(numbers ...int) func(*Facts) { return func(f *Facts) { f.Fixes = numbers } }

// What all steps of a run name as fixed is closed once it has been judged, but for what was found again.
func TestFixesAreClosedWhenTheRunIsJudged(t *testing.T) {
	const wait, off = "fixes waits for the expert: no issue was closed. Send this step again.", "fixes was ignored: findings are not tracked here (ISSUE_TRACKER_CAPTURE)."
	preview, _ := providers.WithPreview(t.Context())
	over, cancel := context.WithCancel(t.Context())
	cancel()
	steps := []Facts{step(1, 2, true, fixes(3, 1)), step(2, 2, false, fixes(1, 7))}
	for name, c := range map[string]struct {
		ctx   context.Context
		steps []Facts
		state string
		off   bool
		told  []string
		notes []string
	}{
		"answered":       {t.Context(), steps, expertAnswered, false, []string{"c[3 1 7] [7 9]"}, []string{"Issue 1 was set to fixed."}},
		"skipped":        {t.Context(), steps, expertSkipped, false, []string{"c[3 1 7] [7 9]"}, []string{"Issue 1 was set to fixed."}},
		"failed":         {t.Context(), steps, expertFailed, false, nil, []string{wait}},
		"still writing":  {t.Context(), steps, expertPartial, false, nil, []string{wait}},
		"wants files":    {t.Context(), steps, expertWants, false, nil, []string{wait}},
		"no tracker":     {t.Context(), steps, expertFailed, true, nil, []string{off}},
		"nothing named":  {t.Context(), []Facts{step(1, 1, false)}, expertAnswered, true, nil, nil},
		"a preview":      {preview, steps, expertAnswered, true, nil, nil},
		"cancelled":      {over, steps, expertAnswered, true, nil, nil},
		"an issue alone": {t.Context(), []Facts{step(1, 1, false, fixes(5))}, expertAnswered, false, []string{"c[5] [7 9]"}, []string{"Issue 1 was set to fixed."}},
	} {
		t.Run(name, func(t *testing.T) {
			var told []string
			r := fixing(&told, nil, c.steps...)
			if c.off {
				r.Fix = nil
			}
			r.closeFixed(c.ctx, expertOutcome{state: c.state}, &stepMeta{Tracked: []Tracked{{Number: 7}, {Number: 9}}})
			assert.Equal(t, c.told, told)
			assert.Equal(t, reply.Metadata{Notes: c.notes}, r.meta)
		})
	}
}

// A tracker that fails, or hangs, is noted beside what it did, and never holds the reply up.
func TestFixesThatCannotBeClosed(t *testing.T) {
	const note = "Not every issue of fixes could be closed in time; exai-mcp issues update NUMBER --fixed-by does it."
	t.Run("it fails", func(t *testing.T) {
		var told []string
		broken := errors.New("no database")
		r := fixing(&told, broken, step(1, 1, false, fixes(1)))
		core, logs := observer.New(zap.WarnLevel)
		r.Log = zap.New(core)
		fix, used := r.Fix, context.Context(nil)
		r.Fix = func(ctx context.Context, id string, numbers, again []int) ([]string, error) {
			used = ctx
			return fix(ctx, id, numbers, again)
		}
		r.closeFixed(t.Context(), expertOutcome{state: expertAnswered}, &stepMeta{})
		assert.Equal(t, []string{"Issue 1 was set to fixed.", note}, r.meta.Notes)
		require.ErrorIs(t, used.Err(), context.Canceled, "nothing of it goes on")
		require.Len(t, logs.All(), 1)
		assert.Equal(t, map[string]any{"continuation_id": "c", "error": "no database"}, logs.All()[0].ContextMap())
	})
	t.Run("it hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := fixing(nil, nil, step(1, 1, false, fixes(1)))
			ends := make(chan time.Time, 1)
			r.Fix = func(ctx context.Context, _ string, _, _ []int) ([]string, error) {
				end, _ := ctx.Deadline()
				ends <- end
				<-ctx.Done()
				return nil, ctx.Err()
			}
			start := time.Now()
			r.closeFixed(t.Context(), expertOutcome{state: expertAnswered}, &stepMeta{})
			assert.Equal(t, captureTime, time.Since(start))
			assert.Equal(t, start.Add(captureTime), <-ends)
			assert.Equal(t, []string{note}, r.meta.Notes)
		})
	})
}
