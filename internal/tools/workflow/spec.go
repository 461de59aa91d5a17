// Package workflow is the step protocol of the workflow tools: what a step carries, how it is judged (Decide), what a run
// has come to (Consolidate, a fold over its stored steps), what an expert answered (Read), the replies that the client
// reads, and the Engine that does what was decided.
//
// Spec, decide, findings, analysis, plan, prompt, reply and panelreply are pure. It knows no protocol, no vendor and no
// database, and no tool imports are allowed here: the tools import this package.
package workflow

import "github.com/exai-mcp/exai-mcp/internal/tools/reply"

// StepInput is what a step of every workflow carries.
type StepInput struct {
	Step              string `json:"step"`
	StepNumber        int    `json:"step_number,omitempty" minimum:"1"`                                     // 0: omitted, until the run is known
	TotalSteps        int    `json:"total_steps,omitempty" minimum:"1"`                                     // 0: omitted
	NextStepRequired  *bool  `json:"next_step_required,omitempty" jsonschema:"true: another step follows."` // nil: omitted
	UseAssistantModel *bool  `json:"use_assistant_model,omitempty"`
	ContinuationID    string `json:"continuation_id,omitempty"`
}

// Continues reports whether the caller wants another step after this one.
func (in StepInput) Continues() bool { return in.NextStepRequired != nil && *in.NextStepRequired }

// Investigation is what a step of the eight investigating workflows carries besides: what the caller looked at and found.
type Investigation struct {
	StepInput
	Findings          string           `json:"findings" default:"" join:"lines"`
	FilesChecked      []string         `json:"files_checked,omitempty"`
	RelevantFiles     []string         `json:"relevant_files,omitempty" jsonschema:"The last step sends them to the expert."`
	RelevantContext   []string         `json:"relevant_context,omitempty"`
	IssuesFound       []map[string]any `json:"issues_found,omitempty" text:"description"`
	BacktrackFromStep int              `json:"backtrack_from_step,omitempty"`
	Temperature       *float64         `json:"temperature,omitempty" minimum:"0" maximum:"1"`
	ThinkingMode      string           `json:"thinking_mode,omitempty" enum:"minimal,low,medium,high,max"`
	UseWebsearch      *bool            `json:"use_websearch,omitempty"`
	Images            []string         `json:"images,omitempty"`
	Model             string           `json:"model,omitempty"`
}

// Belief is what the caller holds to be the cause, and how firmly.
type Belief struct {
	Hypothesis string `json:"hypothesis,omitempty"`
	Confidence string `json:"confidence,omitempty" enum:"exploring,low,medium,high,very_high,almost_certain,certain"`
}

// Facts is one step as Decide, Consolidate and the expert's prompt see it, whatever tool it belongs to.
type Facts struct {
	StepInput
	Findings          string
	FilesChecked      []string
	RelevantFiles     []string
	RelevantContext   []string
	IssuesFound       []map[string]any
	BacktrackFromStep int
	Fixes             []int // numbers of issues that the run fixed
	Hypothesis        string
	Confidence        string // "" when the step names none
	Images            []string
	Branch            string    // the line of a plan that the step belongs to, "" for the main one
	Paths             []string  // other arguments that name files or folders: one that is refused fails the step
	Settings          []Setting // the tool's own parameters, for the expert
}

// Setting is one of a tool's own parameters in words.
type Setting struct {
	Name  string
	Value string
}

// Base is the investigation itself, for tools that embed it.
func (in Investigation) Base() Investigation { return in }

// SeveritySetting is the setting that hides findings of lower severity from a reply.
const SeveritySetting = "severity filter"

// Facts are the investigation's facts; the tool adds its own.
func (in Investigation) Facts() Facts {
	return Facts{
		StepInput: in.StepInput, Findings: in.Findings, FilesChecked: in.FilesChecked, RelevantFiles: in.RelevantFiles,
		RelevantContext: in.RelevantContext, IssuesFound: in.IssuesFound, BacktrackFromStep: in.BacktrackFromStep,
		Images: in.Images,
	}
}

// Spec is what makes a workflow tool itself. The rest is the same for all.
type Spec struct {
	Tool     string
	Statuses Statuses
	Keys     Keys
	Ladder   Ladder
	Expert   Policy
	// Collects: the tool only collects the caller's steps, so that one call is not a run.
	Collects bool
	// NeedsFiles: a run that begins without relevant files takes the changed ones.
	NeedsFiles bool
	// Findings: the expert is asked for a JSON object with findings, and with the keys of the words' section "answer", if there is
	// one. What a finding quotes is looked for in what the expert was shown.
	Findings bool
	// Blind: the expert judges without knowing what the caller found, and judges that in a second turn.
	Blind bool
	// Verdict: the run ends with pass, changes_required or inconclusive.
	Verdict bool
	// Counts adds the tool's own counts to the status block. nil adds none.
	Counts func(o *reply.Object, c Consolidated)
	// Extra adds the tool's own keys behind the status block; over reports whether the run has ended. nil adds none.
	Extra func(o *reply.Object, f Facts, c Consolidated, over bool)
}

// Statuses are the words that a tool's replies carry as status.
type Statuses struct {
	Pause    string // another step is wanted
	Complete string // the run is over, with or without an expert's answer
	Final    string // the run is over and the caller is certain; "" where that cannot be
	Skipped  string // expert_analysis.status beside Final
}

// Keys are the names under which a tool's replies carry their parts.
type Keys struct {
	Status     string   // the counts, "investigation_status"
	Confidence string   // the key in it that repeats the confidence under the tool's own name, "" for none
	Completion string   // the block of a finished run, "complete_investigation"
	Flags      []string // true when finished, "investigation_complete"
	Required   string   // true on a pause, "investigation_required"
}

// Ladder is a tool's way from "exploring" to certainty.
type Ladder struct {
	Default string // the confidence of a run that never named one
	Final   string // the word that ends a run without an expert; "" where none does
	// Actions names the section of required actions for a step.
	Actions func(f Facts) string
}

// Policy says when an expert is asked at the end of a run.
type Policy int

// The policies.
const (
	ExpertNever    Policy = iota // the tool is the caller's own work
	ExpertEvidence               // with a relevant file, a second finding or an issue
	ExpertAlways                 // at every end
)
