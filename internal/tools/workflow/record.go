package workflow

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/bounded"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/proof"
)

// Finished is what a run has found, for those who record it.
type Finished struct {
	Tool           string
	ContinuationID string
	Found          []Found
}

// Found is one finding of medium severity or above, the caller's or the expert's.
type Found struct {
	Severity       issue.Severity // critical, high or medium
	File           string         // as it was cited, "" for none
	Line           int            // 0 for none
	Title          string         // one line
	Quote          string         // the line of code that proves it, "" for none
	Evidence       string
	Recommendation string
	Category       string // as it was written, "" for none
}

// Tracked is a finding as the issue tracker has it.
type Tracked struct {
	Number   int    `json:"number"`
	Title    string `json:"title"`
	Severity string `json:"severity"`
	Status   string `json:"status"`
	New      bool   `json:"new"` // false: it was being tracked already
}

// longestTitle is how many characters a recorded title has at most.
const longestTitle = 160

// foundIn picks the findings that are worth recording: none that cites a file which does not exist or was not read.
func foundIn[F ~map[string]any](findings []F) []Found {
	serious, _ := atLeast(findings, issue.Medium)
	var found []Found
	for _, one := range serious {
		f := Finding(one)
		if c := proof.Citation(f.Text("citation")); c == proof.NotFound || c == proof.NotRead {
			continue
		}
		n := Found{
			Severity: f.Severity(), Title: f.Title(), Quote: f.Text("quote"), Evidence: f.Text("evidence", "description", "details"),
			Recommendation: f.Text("recommendation", "fix", "suggestion"), Category: f.Text("category", "type"),
		}
		if n.Title == "" {
			n.Title = Finding{"title": n.Evidence}.Title()
		}
		if n.Title == "" {
			continue // it says nothing
		}
		if runes := []rune(n.Title); len(runes) > longestTitle {
			n.Title = string(runes[:longestTitle-1]) + "…"
		}
		n.File, n.Line = f.Place()
		found = append(found, n)
	}
	return found
}

// record hands what a run has found to the issue tracker, each part once: the caller's issues when the run ends, the
// expert's findings when its answer is whole. A failure costs the record, never the step.
func (r *run) record(ctx context.Context, o expertOutcome, k *stepMeta) {
	if r.Capture == nil || o.state == expertWants || ctx.Err() != nil || providers.PreviewFrom(ctx) != nil {
		return
	}
	var found []Found
	if !k.IssuesRecorded {
		found, k.IssuesRecorded = foundIn(r.newIssues()), true
	}
	if o.state == expertAnswered && !k.FoundRecorded {
		k.FoundRecorded = true
		found = append(found, foundIn(o.analysis.Findings)...)
	}
	if len(found) == 0 {
		return
	}
	tracked, err := r.capture(ctx, Finished{Tool: r.spec.Tool, ContinuationID: r.lease.ID, Found: found})
	if err != nil {
		r.Log.Warn("findings not recorded", zap.String("continuation_id", r.lease.ID), zap.Error(err))
		r.meta.Note("Some findings could not be recorded in the issue tracker in time.")
	}
	for _, t := range tracked {
		if !slices.ContainsFunc(k.Tracked, func(have Tracked) bool { return have.Number == t.Number }) {
			k.Tracked = append(k.Tracked, t)
		}
	}
}

// newIssues are the run's issues without those that were recorded when it had ended before.
func (r *run) newIssues() []map[string]any {
	var known []Facts
	for i, turn := range r.past {
		if turn.Step.Number < r.decision.Step.StepNumber && stepMetaOf(turn).IssuesRecorded {
			known = r.facts[:i+1]
		}
	}
	before := Consolidate(r.spec.Ladder, known).Issues
	var issues []map[string]any
	for _, one := range r.sum.Issues {
		if !slices.ContainsFunc(before, same(one)) {
			issues = append(issues, one)
		}
	}
	return issues
}

// captureTime is what recording may take at most; within a call it may also take no more than half of its reserve.
const captureTime = 2 * time.Second

// capture calls Capture and gives up on it when its time is over, whether it obeys its ctx or not.
func (r *run) capture(ctx context.Context, f Finished) ([]Tracked, error) {
	ctx, cancel := context.WithDeadline(ctx, r.captureEnd(ctx))
	defer cancel()
	return bounded.Run(ctx, func(ctx context.Context) ([]Tracked, error) { return r.Capture(ctx, f) })
}

// captureEnd is when work on the issue tracker must end.
func (r *run) captureEnd(ctx context.Context) time.Time {
	end := time.Now().Add(captureTime)
	if b, ok := providers.BudgetFrom(ctx); ok {
		if half := b.AnswerBy().Add(b.Reserve() / 2); half.Before(end) {
			end = half
		}
	}
	return end
}
