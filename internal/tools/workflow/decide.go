package workflow

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Decision is what is to be done with a step: nothing of it depends on time, files or a model.
type Decision struct {
	// Repeats is the index in the past of the same step with equal arguments, -1 when the step is new.
	Repeats int
	// DropFrom drops the stored steps with this number or a higher one before the step is stored; 0 drops none.
	DropFrom int
	// Steps are the run's steps as they will be, this one in its place.
	Steps []Facts
	// Step is this step, with total_steps raised to step_number where it was lower.
	Step Facts
	// Done: the run ends with this step.
	Done bool
	// Early says why the run ends although the caller wanted another step; "" when it did not.
	Early string
	// Expert says whether an expert is to be asked at the end, or why not.
	Expert ExpertChoice
	// Notes tell the caller what was taken differently than sent.
	Notes []string
}

// ExpertChoice says what Decide wants of an expert.
type ExpertChoice int

// The wishes.
const (
	NoExpert        ExpertChoice = iota // the run goes on, or the tool never asks one
	AskExpert                           // ask
	SkipConfident                       // the caller is certain
	SkipRefused                         // the caller said use_assistant_model=false
	SkipOff                             // EXPERT_ANALYSIS_ENABLED=false
	SkipUnwarranted                     // there is nothing for an expert to judge
)

// Options are what Decide must know besides the steps.
type Options struct {
	ExpertEnabled bool // EXPERT_ANALYSIS_ENABLED
	UseExpert     bool // what an omitted use_assistant_model means
	// Same reports whether the step now sent carries arguments equal to those of past step i. nil: never.
	Same func(i int) bool
}

// The bounds of early termination: a run ends before its caller says so only on substantial findings.
const (
	earlyStep     = 2
	earlyFindings = 100 // characters
)

// Decide judges a step against the past steps of its run, which are in order of their numbers.
func Decide(s Spec, past []Facts, in Facts, o Options) Decision {
	d := Decision{Repeats: -1, Step: in}
	if d.Step.TotalSteps < d.Step.StepNumber {
		d.Step.TotalSteps = d.Step.StepNumber
		if in.TotalSteps > 0 {
			d.Notes = append(d.Notes, fmt.Sprintf("total_steps raised from %d to %d, the number of this step", in.TotalSteps, in.StepNumber))
		}
	}
	if i := slices.IndexFunc(past, func(p Facts) bool { return p.StepNumber == in.StepNumber }); i >= 0 {
		if o.Same != nil && o.Same(i) {
			d.Repeats, d.Steps = i, past[:i+1]
			d.Step = past[i]
			return judge(s, d, o)
		}
		d.DropFrom = in.StepNumber
	}
	if b := in.BacktrackFromStep; b > 0 {
		d.DropFrom = min(cmp.Or(d.DropFrom, b), b)
	}
	d.Steps = place(past, d.DropFrom, d.Step)
	if note := droppedNote(past, d.DropFrom, in.StepNumber); note != "" {
		d.Notes = append(d.Notes, note)
	}
	return judge(s, d, o)
}

// droppedNote says which stored steps a new one does away with, "" for none.
func droppedNote(past []Facts, from, step int) string {
	replaced := ""
	var later []string
	for _, p := range past {
		switch {
		case from == 0 || p.StepNumber < from:
		case p.StepNumber == step:
			replaced = fmt.Sprintf("Step %d was sent before with other arguments; this one replaces it.", step)
		default:
			later = append(later, strconv.Itoa(p.StepNumber))
		}
	}
	if len(later) > 0 {
		gone := "Dropped from this run: step " + strings.Join(later, ", ") + "."
		return strings.TrimSpace(replaced + " " + gone)
	}
	return replaced
}

// place puts a step among the past ones by its number, without those that are dropped.
func place(past []Facts, dropFrom int, in Facts) []Facts {
	steps := slices.DeleteFunc(slices.Clone(past), func(p Facts) bool { return dropFrom > 0 && p.StepNumber >= dropFrom })
	at, _ := slices.BinarySearchFunc(steps, in.StepNumber, func(p Facts, n int) int { return p.StepNumber - n })
	return slices.Insert(steps, at, in)
}

// judge decides whether the run ends with the step, and what of an expert.
func judge(s Spec, d Decision, o Options) Decision {
	c := Consolidate(s.Ladder, d.Steps)
	d.Done = !d.Step.Continues()
	if !d.Done {
		d.Early = early(s, d.Step)
		d.Done = d.Early != ""
	}
	if d.Done && s.Expert != ExpertNever {
		d.Expert = chooseExpert(s, c, d.Step, o)
	}
	return d
}

// early gives the reason to end a run before its caller does, "" for none.
func early(s Spec, f Facts) string {
	if s.Expert == ExpertNever || f.StepNumber < earlyStep || len([]rune(f.Findings)) <= earlyFindings || len(f.RelevantFiles) == 0 {
		return ""
	}
	switch {
	case s.Ladder.Final != "" && f.Confidence == s.Ladder.Final, f.Confidence == "certain":
		return fmt.Sprintf("confidence is %q at step %d, with findings and relevant files", f.Confidence, f.StepNumber)
	case f.Confidence == "very_high" && f.StepNumber >= f.TotalSteps-1:
		return fmt.Sprintf("confidence is %q at step %d of %d, with findings and relevant files", f.Confidence, f.StepNumber, f.TotalSteps)
	}
	return ""
}

// wantsExpert reports whether the caller, or its silence, lets an expert be asked.
func wantsExpert(f Facts, o Options) bool {
	if use := f.UseAssistantModel; use != nil {
		return *use
	}
	return o.UseExpert
}

func chooseExpert(s Spec, c Consolidated, f Facts, o Options) ExpertChoice {
	switch {
	case s.Ladder.Final != "" && c.Confidence == s.Ladder.Final:
		return SkipConfident
	case !o.ExpertEnabled:
		return SkipOff
	case !wantsExpert(f, o):
		return SkipRefused
	case s.Expert == ExpertAlways, len(c.RelevantFiles) > 0, len(c.Findings) >= 2, len(c.Issues) > 0:
		return AskExpert
	}
	return SkipUnwarranted
}

// MayAsk tells, from a step alone, whether it can come to an expert call. It decides which limit the call has, before
// anything of its run is known.
func MayAsk(s Spec, f Facts, o Options) bool {
	ends := !f.Continues() || early(s, f) != ""
	certain := s.Ladder.Final != "" && f.Confidence == s.Ladder.Final
	return s.Expert != ExpertNever && o.ExpertEnabled && wantsExpert(f, o) && ends && !certain
}
