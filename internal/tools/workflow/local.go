package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// Line is one stored step of a tool that makes its replies itself.
type Line struct {
	Number int
	Branch string
	Args   json.RawMessage
}

// Local is a run of a tool that calls no model, as its reply needs it.
type Local struct {
	Decision
	Consolidated
	// Lines are all steps of the run, branches included, in the order in which they were sent; the last is this one.
	Lines []Line
	// Next gives the call that goes on.
	Next func(id string) NextCall
	// Words reads the prose of a section, and the list of another one ("" for none). more are pairs of a name that the
	// prose uses and its value.
	Words func(section, actions string, more ...string) (Words, error)
}

// RunLocal takes a step of a tool that calls no model and makes its reply itself. body makes it for a continuation id,
// "" when nothing could be stored.
func (e *Engine) RunLocal(ctx context.Context, s Spec, step Step, body func(run Local, meta *reply.Metadata) (func(id string) *reply.Object, error)) (*reply.Result, error) {
	r, err := e.begin(ctx, s, step)
	if err != nil {
		return nil, err
	}
	defer r.hold.Release()
	if r.d.Again >= 0 {
		return r.again(ctx)
	}
	if err := r.hold.Room(); err != nil {
		return nil, err
	}
	make, err := body(Local{Decision: r.d, Consolidated: r.c, Lines: r.lines(), Next: r.next, Words: r.words}, &r.meta)
	if err != nil {
		return nil, err
	}
	return r.keep(ctx, r.said(), kept{}, nil, make), nil
}

// lines are the run's steps that remain with this one, in the order in which they were stored.
func (r *run) lines() []Line {
	var lines []Line
	for _, turn := range r.hold.Turns {
		if line, ok := r.lineOf(turn); ok && !(turn.Step.Tool == r.key() && r.d.DropFrom > 0 && line.Number >= r.d.DropFrom) {
			lines = append(lines, line)
		}
	}
	return append(lines, Line{Number: r.d.Step.StepNumber, Branch: r.d.Step.Branch, Args: r.step.Args})
}

func (r *run) lineOf(turn conversation.Turn) (Line, bool) {
	if turn.Step == nil {
		return Line{}, false
	}
	tool, branch, _ := strings.Cut(turn.Step.Tool, "/")
	return Line{Number: turn.Step.Number, Branch: branch, Args: turn.Step.Input}, tool == r.spec.Tool
}

// begin takes hold of a run's thread and judges the step. The caller releases the hold.
func (e *Engine) begin(ctx context.Context, s Spec, step Step) (*run, error) {
	r := &run{Engine: e, spec: s, step: step}
	if err := r.check(ctx); err != nil {
		return nil, err
	}
	hold, err := e.Threads.Hold(ctx, step.Facts.ContinuationID)
	if err != nil {
		return nil, err
	}
	r.hold = hold
	if step.Facts.ContinuationID == "" && step.Facts.StepNumber > 1 {
		r.meta.Note(fmt.Sprintf("Step %d came without a continuation_id, so it begins a new run: send the continuation_id of the reply with the next step.", step.Facts.StepNumber))
	}
	if err := r.decide(); err != nil {
		hold.Release()
		return nil, err
	}
	return r, nil
}
