package workflow

import (
	"encoding/json"
	"fmt"
)

// Plan is what the steps of a run amount to: the main line, with revisions in place, and the branches from it.
type Plan struct {
	Steps    []PlanStep            `json:"steps"`
	Branches map[string]PlanBranch `json:"branches,omitempty"`

	// Notes tell of revisions of steps that are not there.
	Notes []string `json:"-"`

	order []string
}

// PlanStep is one step of a plan in its latest form.
type PlanStep struct {
	Number    int    `json:"step_number"`
	Content   string `json:"content"`
	RevisedBy int    `json:"revised_by_step,omitempty"`
}

// PlanBranch is a way that leaves the main line behind a step.
type PlanBranch struct {
	From  int        `json:"branch_from_step,omitempty"`
	Steps []PlanStep `json:"steps"`
}

// planMove is what a plan's step says of its place. A flag that is false, rather than omitted, denies the number that goes
// with it: some clients have their model fill in every argument.
type planMove struct {
	Step              string `json:"step"`
	StepNumber        int    `json:"step_number"`
	IsStepRevision    *bool  `json:"is_step_revision"`
	RevisesStepNumber int    `json:"revises_step_number"`
	IsBranchPoint     *bool  `json:"is_branch_point"`
	BranchFromStep    int    `json:"branch_from_step"`
}

// PlanOf folds steps into a plan: a revision takes the place of the step that it revises, on the same line; what names a
// branch belongs to it.
func PlanOf(lines []Line) (Plan, error) {
	p := Plan{Steps: []PlanStep{}, Branches: map[string]PlanBranch{}}
	for _, line := range lines {
		var in planMove
		if err := json.Unmarshal(line.Args, &in); err != nil {
			return Plan{}, fmt.Errorf("a stored step of a plan: %w", err)
		}
		if in.IsStepRevision != nil && !*in.IsStepRevision {
			in.RevisesStepNumber = 0
		}
		if in.IsBranchPoint != nil && !*in.IsBranchPoint {
			in.BranchFromStep = 0
		}
		branch, known := p.Branches[line.Branch]
		steps := p.Steps
		if line.Branch != "" {
			steps = branch.Steps
		}
		steps, found := revise(steps, in)
		if !found {
			p.Notes = append(p.Notes, fmt.Sprintf("Step %d revises step %d, which is not on this line of the plan; it was added as a separate step.", in.StepNumber, in.RevisesStepNumber))
		}
		if line.Branch == "" {
			p.Steps = steps
			continue
		}
		if !known {
			p.order = append(p.order, line.Branch)
		}
		if in.BranchFromStep > 0 {
			branch.From = in.BranchFromStep
		}
		branch.Steps = steps
		p.Branches[line.Branch] = branch
	}
	return p, nil
}

// revise puts a step at its place, or in the place of the one that it revises; found is false when there is none.
func revise(steps []PlanStep, in planMove) (_ []PlanStep, found bool) {
	for i := range steps {
		if steps[i].Number == in.RevisesStepNumber {
			steps[i].Content, steps[i].RevisedBy = in.Step, in.StepNumber
			return steps, true
		}
	}
	return append(steps, PlanStep{Number: in.StepNumber, Content: in.Step}), in.RevisesStepNumber == 0
}

// BranchIDs are the names of the branches, in the order in which they began.
func (p Plan) BranchIDs() []string { return append([]string{}, p.order...) }
