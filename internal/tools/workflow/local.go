package workflow

import (
	"context"
	"encoding/json"
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

	run *run
}

// RunLocal takes a step of a tool that calls no model and makes its reply itself. body makes it for a continuation id,
// "" when nothing could be stored.
func (e *Engine) RunLocal(ctx context.Context, s Spec, step Step, body func(l Local, meta *reply.Metadata) (func(id string) *reply.Object, error)) (*reply.Result, error) {
	r, err := e.begin(ctx, s, step)
	if err != nil {
		return nil, err
	}
	defer r.lease.Release()
	if r.stored != nil {
		return r.replay(ctx)
	}
	object, err := body(Local{Decision: r.decision, Consolidated: r.sum, Lines: r.lines(), run: r}, &r.meta)
	if err != nil {
		return nil, err
	}
	return r.keep(ctx, r.stepTurn(), stepMeta{}, nil, nil, func(id string, _ bool) *reply.Object { return object(id) }), nil
}

// lines are the run's steps that remain with this one, in the order in which they were stored.
func (r *run) lines() []Line {
	var lines []Line
	for _, turn := range r.lease.Turns {
		line, ok := r.lineOf(turn)
		if ok && (r.decision.DropFrom == 0 || line.Number < r.decision.DropFrom || turn.Step.Tool != r.key()) {
			lines = append(lines, line)
		}
	}
	return append(lines, Line{Number: r.decision.Step.StepNumber, Branch: r.decision.Step.Branch, Args: r.step.Args})
}

func (r *run) lineOf(turn conversation.Turn) (Line, bool) {
	if turn.Step == nil {
		return Line{}, false
	}
	tool, branch, _ := strings.Cut(turn.Step.Tool, "/")
	return Line{Number: turn.Step.Number, Branch: branch, Args: turn.Step.Input}, tool == r.spec.Tool
}

// Next is the call that goes on, valid as it stands.
func (l Local) Next(id string) NextCall { return l.run.next(id) }

// Words reads the prose of a section, and the list of another one ("" for none). more are pairs of a name that the prose
// uses and its value.
func (l Local) Words(section, actions string, more ...string) (Words, error) {
	return l.run.words(section, actions, more...)
}

// Reply begins the reply: what every step of such a tool tells.
func (l Local) Reply(status, id string) *reply.Object {
	o := head(l.run.spec, status, l.Step, l.Consolidated, id, l.Done)
	if counts, ok := o.Get(l.run.spec.Keys.Status).(*reply.Object); ok {
		counts.Set("step_history_length", len(l.Lines))
	}
	return o.Set("step_content", l.Step.Step)
}

// Pause completes the reply that asks for another step.
func (l Local) Pause(o *reply.Object, id string, next NextCall, w Words) *reply.Object {
	number, _ := next.Arguments.Get("step_number").(int)
	o.Set("next_step_required", true).Set("next_call", next).Set(l.run.spec.Keys.Required, true).
		Set("required_actions", orEmpty(w.Actions)).Set("next_steps", w.NextSteps)
	return continued(o, number, id)
}

// Finish completes the reply that ends the run. show says how the caller is to present the result, by part.
func (l Local) Finish(o, output, show *reply.Object, w Words) *reply.Object {
	for _, flag := range l.run.spec.Keys.Flags {
		o.Set(flag, true)
	}
	return o.Set("output", output.Set("presentation_guidelines", show)).Set("next_steps", w.NextSteps)
}
