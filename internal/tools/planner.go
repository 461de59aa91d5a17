package tools

import (
	"fmt"

	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

type plannerInput struct {
	workflow.StepInput
	Model             string `json:"model,omitempty"`
	IsStepRevision    *bool  `json:"is_step_revision,omitempty"`
	RevisesStepNumber int    `json:"revises_step_number,omitempty"` // 0: none, from models that fill in everything
	IsBranchPoint     *bool  `json:"is_branch_point,omitempty"`
	BranchFromStep    int    `json:"branch_from_step,omitempty"` // 0: none
	BranchID          string `json:"branch_id,omitempty"`
	MoreStepsNeeded   bool   `json:"more_steps_needed,omitempty"`
}

// Facts are the step with the branch that it belongs to.
func (in plannerInput) Facts() workflow.Facts {
	return workflow.Facts{StepInput: in.StepInput, Branch: in.BranchID}
}

// planner keeps a plan that the caller writes, with its branches and revisions. It calls no model.
func planner(d *Deps) tool.Tool {
	return local(d, plannerSpec, plannerReply)
}

var plannerSpec = workflow.Spec{
	Collects: true,
	Tool:     "planner",
	Statuses: workflow.Statuses{Pause: "pause_for_planning", Complete: "planning_complete"},
	Keys:     workflow.Keys{Status: "planner_status", Flags: []string{"planner_complete", "planning_complete"}, Required: "planner_required"},
	Ladder:   workflow.Ladder{Default: "planning"},
}

// A plan of that many steps begins with thinking about the whole before it becomes concrete.
const (
	deepPlanSteps = 5
	deepSteps     = 3
)

func plannerReply(l workflow.Local, in plannerInput, meta *Metadata) (func(id string) *Object, error) {
	plan, err := workflow.PlanOf(l.Lines)
	if err != nil {
		return nil, err
	}
	meta.Note(plan.Notes...)
	if isTrue(in.IsBranchPoint) && in.BranchID == "" {
		meta.Note("is_branch_point came without a branch_id, so the step stays on the main line.")
	}
	if l.Step.Step == placeholderStep(l.Step.StepNumber) {
		meta.Note(fmt.Sprintf("step still holds the placeholder of next_call. Send step %d again with the plan's own text, which replaces it.", l.Step.StepNumber))
	}
	meta.Own.Set("branches", plan.BranchIDs()).Set("step_history_length", len(l.Lines)).
		Set("is_step_revision", isTrue(in.IsStepRevision)).Set("revises_step_number", orNull(in.RevisesStepNumber)).
		Set("is_branch_point", isTrue(in.IsBranchPoint)).Set("branch_from_step", orNull(in.BranchFromStep)).
		Set("branch_id", in.BranchID).Set("more_steps_needed", in.MoreStepsNeeded)
	if l.Done {
		return finishedPlan(l, plan)
	}
	status, section, actions := plannerSpec.Statuses.Pause, "next", "going-on"
	deep := l.Step.TotalSteps >= deepPlanSteps && l.Step.StepNumber <= deepSteps
	switch {
	case deep:
		status, section = "pause_for_deep_thinking", "deep"
		actions = [...]string{"deep-first", "deep-second", "deep-third"}[l.Step.StepNumber-1]
	case l.Step.StepNumber == 1:
		actions = "first"
	}
	w, err := l.Words(section, actions)
	return func(id string) *Object {
		o := l.Reply(status, id)
		if deep {
			o.Set("thinking_required", true).Set("required_thinking", w.Actions)
		}
		next := l.Next(id)
		next.Arguments.Set("step", placeholderStep(l.Step.StepNumber+1))
		return l.Pause(o, id, next, w)
	}, err
}

// placeholderStep is next_call's text for a step that only the caller can write. Sent unchanged, it would become part of
// the plan.
func placeholderStep(number int) string {
	return fmt.Sprintf("(Write step %d of the plan here.)", number)
}

func finishedPlan(l workflow.Local, plan workflow.Plan) (func(id string) *Object, error) {
	w, err := l.Words("done", "")
	if err != nil {
		return nil, err
	}
	present, err := l.Words("present", "")
	return func(id string) *Object {
		o := l.Reply(plannerSpec.Statuses.Complete, id).
			Set("plan_summary", fmt.Sprintf("COMPLETE PLAN: %s (%d steps, %d branches)", l.Initial, len(l.Lines), len(plan.Branches))).
			Set("plan", plan)
		output := (&Object{}).Set("instructions", w.NextSteps).Set("format", "step_by_step_planning")
		show := (&Object{}).Set("completed_plans", present.NextSteps).
			Set("step_content", "Show the steps of plan in order, revised ones in their latest form.").
			Set("continuation", "Send this continuation_id with a further step to change the plan later.")
		return l.Finish(o, output, show, w)
	}, err
}

func isTrue(flag *bool) bool { return flag != nil && *flag }

func orNull(n int) any {
	if n == 0 {
		return nil
	}
	return n
}
