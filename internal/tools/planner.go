package tools

import (
	"context"
	"fmt"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

type plannerInput struct {
	workflow.StepInput
	Model             string `json:"model,omitempty"`
	IsStepRevision    bool   `json:"is_step_revision,omitempty"`
	RevisesStepNumber int    `json:"revises_step_number,omitempty" minimum:"1"`
	IsBranchPoint     bool   `json:"is_branch_point,omitempty"`
	BranchFromStep    int    `json:"branch_from_step,omitempty" minimum:"1"`
	BranchID          string `json:"branch_id,omitempty"`
	MoreStepsNeeded   bool   `json:"more_steps_needed,omitempty"`
}

// Base is empty: a plan has no evidence.
func (in plannerInput) Base() workflow.Investigation { return workflow.Investigation{} }

// Facts are the step with the branch that it belongs to.
func (in plannerInput) Facts() workflow.Facts {
	return workflow.Facts{StepInput: in.StepInput, Branch: in.BranchID}
}

// planner keeps a plan that the caller writes, with its branches and revisions. It calls no model.
func planner(d *Deps) Tool {
	return New(plannerSpec.Tool, func(ctx context.Context, in plannerInput) (*Result, error) {
		step, err := stepOf(d.Config, plannerSpec.Tool, in)
		if err != nil {
			return nil, err
		}
		return d.engine().RunLocal(ctx, plannerSpec, step, func(run workflow.Local, meta *reply.Metadata) (func(string) *reply.Object, error) {
			return plannerReply(run, in, meta)
		})
	}, Hints(Annotations{ReadOnly: true}), Threaded(), Class(config.ClassWorkflow))
}

var plannerSpec = workflow.Spec{
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

func plannerReply(run workflow.Local, in plannerInput, meta *reply.Metadata) (func(string) *reply.Object, error) {
	plan, err := workflow.PlanOf(run.Lines)
	if err != nil {
		return nil, err
	}
	meta.Note(plan.Notes...)
	meta.Own.Set("branches", plan.BranchIDs()).Set("step_history_length", len(run.Lines)).
		Set("is_step_revision", in.IsStepRevision).Set("revises_step_number", orNull(in.RevisesStepNumber)).
		Set("is_branch_point", in.IsBranchPoint).Set("branch_from_step", orNull(in.BranchFromStep)).
		Set("branch_id", in.BranchID).Set("more_steps_needed", in.MoreStepsNeeded)

	status, section, actions := plannerSpec.Statuses.Pause, "next", "going-on"
	deep := run.Step.TotalSteps >= deepPlanSteps && run.Step.StepNumber <= deepSteps
	switch {
	case run.Done:
		status, section, actions = plannerSpec.Statuses.Complete, "done", ""
	case deep:
		status, section = "pause_for_deep_thinking", "deep"
		actions = [...]string{"deep-first", "deep-second", "deep-third"}[run.Step.StepNumber-1]
	case run.Step.StepNumber == 1:
		actions = "first"
	}
	w, err := run.Words(section, actions)
	if err != nil {
		return nil, err
	}
	present, err := run.Words("present", "")
	if err != nil {
		return nil, err
	}
	return func(id string) *reply.Object {
		o := (&reply.Object{}).Set("status", status)
		stepHead(o, run, id)
		o.Set("step_content", in.Step)
		o.Set(plannerSpec.Keys.Status, workflow.CountsOf(plannerSpec, run.Consolidated).Set("step_history_length", len(run.Lines)))
		if run.Done {
			return finishedPlan(o, plan, run, w.NextSteps, present.NextSteps)
		}
		o.Set("next_call", run.Next(id)).Set(plannerSpec.Keys.Required, true)
		if deep {
			o.Set("thinking_required", true).Set("required_thinking", w.Actions)
		}
		return o.Set("required_actions", w.Actions).Set("next_steps", w.NextSteps).
			Set("continuation_required", true).Set("continuation_available", id != "").Set("next_step_number", run.Step.StepNumber+1)
	}, nil
}

// stepHead is what the replies of planner and tracer begin with.
func stepHead(o *reply.Object, run workflow.Local, id string) {
	o.Set("step_number", run.Step.StepNumber).Set("total_steps", run.Step.TotalSteps).Set("next_step_required", !run.Done)
	if id != "" {
		o.Set("continuation_id", id)
	}
}

func finishedPlan(o *reply.Object, plan workflow.Plan, run workflow.Local, done, present string) *reply.Object {
	for _, flag := range plannerSpec.Keys.Flags {
		o.Set(flag, true)
	}
	o.Set("plan_summary", fmt.Sprintf("COMPLETE PLAN: %s (%d steps, %d branches)", run.Consolidated.Initial, len(run.Lines), len(plan.Branches)))
	o.Set("plan", plan)
	o.Set("output", (&reply.Object{}).Set("instructions", done).Set("format", "step_by_step_planning").
		Set("presentation_guidelines", (&reply.Object{}).Set("completed_plans", present).
			Set("step_content", "Show the steps of plan in order, revised ones in their latest form.").
			Set("continuation", "Send this continuation_id with a further step to change the plan later.")))
	return o.Set("next_steps", done)
}

func orNull(n int) any {
	if n == 0 {
		return nil
	}
	return n
}
