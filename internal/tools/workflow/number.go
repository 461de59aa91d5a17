package workflow

import (
	"encoding/json"
	"slices"
	"strconv"
)

// A tool that only collects the caller's steps begins with a run of that many.
const collectedSteps = 3

// numbered fills in the numbers that a step omits. Without a run they are 1, 1 and no further step, so that one call is a
// complete run; of a tool that collects steps 1, 3 and one more. In a run they are the next number, the total as announced,
// and no further step; of a tool that collects steps one more while the number is below the total. The first step of a
// branch follows the one that it leaves. repeats: the step is the run's latest one, sent again.
func numbered(s Spec, past []Facts, in StepInput, repeats bool) StepInput {
	var latest StepInput
	if len(past) > 0 {
		latest = past[len(past)-1].StepInput
	}
	if in.StepNumber == 0 {
		in.StepNumber = latest.StepNumber + 1
		if repeats {
			in.StepNumber = latest.StepNumber
		}
	}
	if in.TotalSteps == 0 {
		total := latest.TotalSteps
		if total == 0 && s.Collects {
			total = collectedSteps
		}
		in.TotalSteps = max(total, in.StepNumber)
	}
	if in.NextStepRequired == nil {
		more := s.Collects && in.StepNumber < in.TotalSteps
		if repeats {
			more = latest.Continues()
		}
		in.NextStepRequired = &more
	}
	return in
}

// fillNumbers gives the step the numbers that it omits, in its facts and in the arguments that are stored and compared.
func (r *run) fillNumbers() {
	sent := r.sent
	repeats := false
	if n := len(r.past); n > 0 && sent.Facts.StepNumber == 0 {
		repeats = sameApart(r.past[n-1].Step.Input, sent.Args, omittedNumbers(sent.Facts.StepInput))
	}
	past := r.facts
	if len(past) == 0 && sent.Facts.Branch != "" {
		past = r.trunk()
	}
	in := numbered(r.spec, past, sent.Facts.StepInput, repeats)
	r.step.Facts.StepInput = in
	args := map[string]json.RawMessage{}
	_ = json.Unmarshal(sent.Args, &args) // they were made of an object
	args["step_number"], args["total_steps"] = integer(in.StepNumber), integer(in.TotalSteps)
	args["next_step_required"] = json.RawMessage(strconv.FormatBool(in.Continues()))
	r.step.Args, _ = json.Marshal(args) // made of JSON
}

// trunk is the main line as a new branch goes on from it: up to the step that the branch leaves.
func (r *run) trunk() (steps []Facts) {
	var move planMove
	_ = json.Unmarshal(r.sent.Args, &move) // they were made of an object
	for _, turn := range r.lease.Turns {
		line, ok := r.lineOf(turn)
		if !ok || line.Branch != "" || move.BranchFromStep > 0 && line.Number > move.BranchFromStep {
			continue
		}
		if f, err := r.step.Read(line.Args); err == nil { // else the main line's own next step reports it
			steps = append(steps, f)
		}
	}
	slices.SortStableFunc(steps, func(a, b Facts) int { return a.StepNumber - b.StepNumber })
	return steps
}

func integer(n int) json.RawMessage { return json.RawMessage(strconv.Itoa(n)) }

// omittedNumbers are the numbers that a step without step_number omits, by the arguments' names.
func omittedNumbers(in StepInput) []string {
	names := []string{"step_number"}
	if in.TotalSteps == 0 {
		names = append(names, "total_steps")
	}
	if in.NextStepRequired == nil {
		names = append(names, "next_step_required")
	}
	return names
}

// sameApart reports whether two argument objects are equal apart from some names.
func sameApart(a, b json.RawMessage, names []string) bool {
	without := func(args json.RawMessage) json.RawMessage {
		var fields map[string]json.RawMessage
		if json.Unmarshal(args, &fields) != nil {
			return nil
		}
		for _, name := range names {
			delete(fields, name)
		}
		text, _ := json.Marshal(fields) // it was read from JSON
		return text
	}
	x := without(a)
	return x != nil && sameJSON(x, without(b))
}
