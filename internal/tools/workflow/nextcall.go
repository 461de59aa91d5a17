package workflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// words are the prose of a reply: its next steps, and the actions of a section. more are pairs of a name that the prose
// uses and its value.
func (r *run) words(section, actions string, more ...string) (Words, error) {
	data := map[string]any{
		"Tool": r.spec.Tool, "Next": r.decision.Step.StepNumber + 1, "Total": r.decision.Step.TotalSteps,
		"Remaining": r.decision.Step.TotalSteps - r.decision.Step.StepNumber,
	}
	for pair := range slices.Chunk(more, 2) {
		data[pair[0]] = pair[1]
	}
	w := Words{}
	var err error
	if w.NextSteps, err = r.step.Words.Render(section, data); err != nil {
		return Words{}, err
	}
	if actions != "" {
		w.Actions, err = r.step.Words.Lines(actions, data)
	}
	return w, err
}

// forOneStep are arguments that are meant for the step that carries them alone, and remembered those that the run keeps
// by itself: the next call needs neither.
var (
	forOneStep = []string{"continuation_id", "backtrack_from_step", "is_step_revision", "revises_step_number", "is_branch_point", "branch_from_step"}
	remembered = []string{"files_checked", "relevant_context", "issues_found", "images"}
)

// next is the call that goes on from here, valid as it stands: the arguments of this step with the next step's number.
func (r *run) next(id string) NextCall {
	f := r.decision.Step
	args := &reply.Object{}
	args.Set("step", fmt.Sprintf("Continue with step %d: report what you found.", f.StepNumber+1))
	args.Set("step_number", f.StepNumber+1)
	args.Set("total_steps", max(f.TotalSteps, f.StepNumber+1))
	args.Set("next_step_required", f.StepNumber+1 < f.TotalSteps)
	sent := map[string]json.RawMessage{}
	_ = json.Unmarshal(r.step.Args, &sent) // they were made of an object
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		if args.Get(name) == nil && !slices.Contains(forOneStep, name) && !slices.Contains(remembered, name) {
			args.Set(name, sent[name])
		}
	}
	if id != "" {
		args.Set("continuation_id", id)
	}
	return NextCall{Tool: r.spec.Tool, Arguments: args}
}
