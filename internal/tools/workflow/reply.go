package workflow

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/tools/looks"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// NextCall is a call that is valid as it stands: a caller may send it unchanged.
type NextCall struct {
	Tool      string        `json:"tool"`
	Arguments *reply.Object `json:"arguments"`
}

// FileContext says what happened to the files of a step.
type FileContext struct {
	Type          string `json:"type"` // reference_only, fully_embedded or partially_embedded
	FilesEmbedded int    `json:"files_embedded"`
	Note          string `json:"note,omitempty"`
	// Repositories are what git says of them, and Manifest what was sent, cut and left out; both are stored and read again.
	Repositories json.RawMessage `json:"repositories,omitempty"`
	Manifest     json.RawMessage `json:"manifest,omitempty"`
	// Listing are all files by name where the manifest does not list them all. It is stored, and no part of a reply.
	Listing []workspace.FileGroup `json:"listing,omitempty"`
}

// shown is what a reply shows of it.
func (f FileContext) shown() FileContext {
	f.Listing = nil
	return f
}

// Words are the prose of a reply; they come from the tool's words file.
type Words struct {
	Actions    []string // what to do before the next step
	NextSteps  string
	Considered string // what to bear in mind with an expert's answer; "" for nothing
}

// Expert is what became of the expert's call: the answer, or {status, reason or error, content}.
type Expert struct {
	Analysis any
	// Wants is the status word with which the expert asks for more ("files_required_to_continue"), "" when it does not.
	Wants   string
	Content string // its request as text, with Wants
}

// head is what every reply begins with.
func head(s Spec, status string, f Facts, c Consolidated, continuationID string, over bool) *reply.Object {
	o := &reply.Object{}
	o.Set("status", status)
	o.Set("step_number", f.StepNumber)
	o.Set("total_steps", f.TotalSteps)
	o.Set("next_step_required", !over)
	if continuationID != "" {
		o.Set("continuation_id", continuationID)
	}
	o.Set(s.Keys.Status, CountsOf(s, c))
	if s.Extra != nil {
		s.Extra(o, f, c, over)
	}
	return o
}

// CountsOf is the status block: how much a run has gathered.
func CountsOf(s Spec, c Consolidated) *reply.Object {
	o := &reply.Object{}
	o.Set("files_checked", len(c.FilesChecked))
	o.Set("relevant_files", len(c.RelevantFiles))
	o.Set("relevant_context", len(c.RelevantContext))
	o.Set("issues_found", len(c.Issues))
	o.Set("images_collected", len(c.Images))
	o.Set("current_confidence", c.Confidence)
	if s.Keys.Confidence != "" {
		o.Set(s.Keys.Confidence, c.Confidence)
	}
	if s.Counts != nil {
		s.Counts(o, c)
	}
	return o
}

// Pause is what a reply that asks for another step is made of.
type Pause struct {
	Step    Facts
	Run     Consolidated
	ID      string // the continuation id, "" when nothing could be stored
	Files   FileContext
	Next    NextCall
	Words   Words
	Looked  []looks.Look
	Content string // what the expert asked for, with Status
	Status  string // "": the spec's
}

// PauseReply is the reply that asks for another step.
func PauseReply(s Spec, p Pause) *reply.Object {
	status := s.Statuses.Pause
	if p.Status != "" {
		status = p.Status
	}
	o := head(s, status, p.Step, p.Run, p.ID, false)
	if p.Content != "" {
		o.Set("content", p.Content)
	}
	if len(p.Looked) > 0 {
		o.Set("looked_at", p.Looked)
	}
	o.Set("file_context", p.Files.shown())
	o.Set("next_call", p.Next)
	o.Set(s.Keys.Required, true)
	o.Set("required_actions", orEmpty(p.Words.Actions))
	o.Set("next_steps", p.Words.NextSteps)
	return continued(o, p.Step.StepNumber+1, p.ID)
}

// continued are the hints that end every pause.
func continued(o *reply.Object, next int, id string) *reply.Object {
	return o.Set("continuation_required", true).Set("continuation_available", id != "").Set("next_step_number", next)
}

// Final is what the reply that ends a run is made of.
type Final struct {
	Decision Decision
	Run      Consolidated
	Shown    []map[string]any // the run's issues without those that the severity filter hides
	ID       string           // the continuation id, "" when nothing could be stored
	Files    FileContext
	Expert   Expert
	Coverage []Coverage
	Agent    any          // what the expert says of the caller's findings; nil for nothing
	Nothing  bool         // there was nothing to review
	Looked   []looks.Look // what the expert looked at by itself
	Words    Words
	Verdict  string // "" for a tool without
	// VerdictReason says why, where the findings alone don't; "" where they do.
	VerdictReason string
	Tracked       []Tracked
	Closing       string // how to close what is tracked
}

// FinalReply is the reply that ends a run.
func FinalReply(s Spec, f Final) *reply.Object {
	status := s.Statuses.Complete
	switch {
	case f.Nothing:
		status, f.Expert.Analysis = StatusNothing, nil
	case f.Decision.Expert == SkipConfident:
		status = s.Statuses.Final
	}
	o := head(s, status, f.Decision.Step, f.Run, f.ID, true)
	for _, flag := range s.Keys.Flags {
		o.Set(flag, true)
	}
	if f.Decision.Early != "" {
		o.Set("early_termination", true)
		o.Set("early_termination_reason", f.Decision.Early)
	}
	if f.Verdict != "" {
		o.Set("verdict", f.Verdict)
		if f.VerdictReason != "" {
			o.Set("verdict_reason", f.VerdictReason)
		}
	}
	if len(f.Looked) > 0 {
		o.Set("looked_at", f.Looked)
	}
	if list, more := shortCoverage(f.Coverage); len(list) > 0 {
		o.Set("coverage", list)
		if more > 0 {
			o.Set("coverage_more", more)
		}
	}
	o.Set(s.Keys.Completion, completion(f))
	if f.Decision.Expert == SkipConfident {
		o.Set("skip_expert_analysis", true)
	}
	if f.Expert.Analysis != nil {
		o.Set("expert_analysis", f.Expert.Analysis)
	}
	if f.Agent != nil {
		o.Set("agent_findings", f.Agent)
	}
	o.Set("file_context", f.Files.shown())
	o.Set("next_steps", f.Words.NextSteps)
	if f.Words.Considered != "" {
		o.Set("important_considerations", f.Words.Considered)
	}
	if len(f.Tracked) > 0 {
		o.Set("tracked_issues", f.Tracked)
		o.Set("close_tracked_issues", f.Closing)
	}
	return o
}

// completion is the summary of a finished run.
func completion(f Final) *reply.Object {
	c := f.Run
	o := &reply.Object{}
	o.Set("initial_request", c.Initial)
	o.Set("steps_taken", c.Steps)
	o.Set("files_examined", orEmpty(c.FilesChecked))
	o.Set("relevant_files", orEmpty(c.RelevantFiles))
	o.Set("relevant_context", orEmpty(c.RelevantContext))
	o.Set("issues_found", orEmpty(f.Shown))
	o.Set("work_summary", Summary(c))
	if f.Decision.Expert == SkipConfident {
		o.Set("final_analysis", finalAnalysis(f.Decision, c))
		o.Set("confidence_level", c.Confidence)
	}
	return o
}

// finalAnalysis is what a caller that needs no expert concluded: its hypothesis, else its last findings.
func finalAnalysis(d Decision, c Consolidated) string {
	if n := len(c.Hypotheses); n > 0 {
		return c.Hypotheses[n-1].Hypothesis
	}
	return d.Step.Findings
}

// Summary is a run in words: how much was looked at, then the findings in order.
func Summary(c Consolidated) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s examined, %d relevant, %s, confidence %s.",
		count(c.Steps, "step"), count(len(c.FilesChecked), "file"), len(c.RelevantFiles), count(len(c.Issues), "issue"), c.Confidence)
	for _, finding := range c.Findings {
		b.WriteString("\n")
		b.WriteString(finding)
	}
	return b.String()
}

func count(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
