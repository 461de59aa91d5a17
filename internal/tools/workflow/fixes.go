package workflow

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/bounded"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Fixable is the argument of tools whose runs may fix issues.
type Fixable struct {
	Fixes []int `json:"fixes,omitempty" jsonschema:"Numbers of tracked issues that your changes fixed."`
}

// closeFixed sets the issues that the run's steps name as fixed to fixed, but for those that it reported again. It is done
// when the run has been judged: an expert that failed, or still writes, has not.
func (r *run) closeFixed(ctx context.Context, o expertOutcome, k *stepMeta) {
	var numbers []int
	for _, f := range r.decision.Steps {
		for _, n := range f.Fixes {
			if !slices.Contains(numbers, n) {
				numbers = append(numbers, n)
			}
		}
	}
	if len(numbers) == 0 || ctx.Err() != nil || providers.PreviewFrom(ctx) != nil {
		return
	}
	switch {
	case r.Fix == nil:
		r.meta.Note("fixes was ignored: findings are not tracked here (ISSUE_TRACKER_CAPTURE).")
		return
	case o.state != expertAnswered && o.state != expertSkipped:
		r.meta.Note("fixes waits for the expert: no issue was closed. Send this step again.")
		return
	}
	var again []int
	for _, t := range k.Tracked {
		again = append(again, t.Number)
	}
	notes, err := r.bounded(ctx, func(ctx context.Context) ([]string, error) { return r.Fix(ctx, r.lease.ID, numbers, again) })
	r.meta.Note(notes...)
	if err != nil {
		r.Log.Warn("issues not closed", zap.String("continuation_id", r.lease.ID), zap.Error(err))
		r.meta.Note("Not every issue of fixes could be closed in time; exai-mcp issues update NUMBER --fixed-by does it.")
	}
}

func (r *run) bounded(ctx context.Context, work func(ctx context.Context) ([]string, error)) ([]string, error) {
	ctx, cancel := context.WithDeadline(ctx, r.captureEnd(ctx))
	defer cancel()
	return bounded.Run(ctx, work)
}
