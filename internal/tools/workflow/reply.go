package workflow

import (
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// NextCall is a call that is valid as it stands: a caller may send it unchanged.
type NextCall struct {
	Tool      string        `json:"tool"`
	Arguments *reply.Object `json:"arguments"`
}

// FileContext says what happened to the files of a step.
type FileContext struct {
	Type          string `json:"type"` // reference_only, fully_embedded or none
	FilesEmbedded int    `json:"files_embedded"`
	Note          string `json:"note,omitempty"`
	Manifest      any    `json:"manifest,omitempty"`
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
func head(s Spec, status string, d Decision, c Consolidated, continuationID string, next bool) *reply.Object {
	f := &reply.Object{}
	f.Set("status", status)
	f.Set("step_number", d.Step.StepNumber)
	f.Set("total_steps", d.Step.TotalSteps)
	f.Set("next_step_required", next)
	if continuationID != "" {
		f.Set("continuation_id", continuationID)
	}
	f.Set(s.Keys.Status, CountsOf(s, c))
	if s.Extra != nil {
		s.Extra(f, d, c)
	}
	return f
}

// CountsOf is the status block: how much a run has gathered.
func CountsOf(s Spec, c Consolidated) *reply.Object {
	f := &reply.Object{}
	f.Set("files_checked", len(c.FilesChecked))
	f.Set("relevant_files", len(c.RelevantFiles))
	f.Set("relevant_context", len(c.RelevantContext))
	f.Set("issues_found", len(c.Issues))
	f.Set("images_collected", len(c.Images))
	f.Set("current_confidence", c.Confidence)
	if s.Keys.Confidence != "" {
		f.Set(s.Keys.Confidence, c.Confidence)
	}
	if s.Counts != nil {
		s.Counts(f, c)
	}
	return f
}

// PauseReply is the reply that asks for another step.
func PauseReply(s Spec, d Decision, c Consolidated, continuationID string, files FileContext, next NextCall, w Words) *reply.Object {
	f := head(s, s.Statuses.Pause, d, c, continuationID, true)
	f.Set("file_context", files)
	f.Set("next_call", next)
	f.Set(s.Keys.Required, true)
	f.Set("required_actions", w.Actions)
	f.Set("next_steps", w.NextSteps)
	f.Set("continuation_required", true)
	f.Set("continuation_available", continuationID != "")
	f.Set("next_step_number", d.Step.StepNumber+1)
	return f
}

// FinalReply is the reply that ends a run. An expert that asks for more gets no completion block, but the call to go on
// with, since the run is not over then.
func FinalReply(s Spec, d Decision, c Consolidated, continuationID string, files FileContext, e Expert, next NextCall, w Words) *reply.Object {
	if e.Wants != "" {
		f := head(s, e.Wants, d, c, continuationID, false)
		f.Set("content", e.Content)
		f.Set("file_context", files)
		f.Set("next_call", next)
		f.Set("next_steps", w.NextSteps)
		return f
	}
	status := s.Statuses.Complete
	if d.Expert == SkipConfident {
		status = s.Statuses.Final
	}
	f := head(s, status, d, c, continuationID, false)
	for _, flag := range s.Keys.Flags {
		f.Set(flag, true)
	}
	if d.Early != "" {
		f.Set("early_termination", true)
		f.Set("early_termination_reason", d.Early)
	}
	f.Set(s.Keys.Completion, completion(d, c))
	if d.Expert == SkipConfident {
		f.Set("skip_expert_analysis", true)
	}
	if e.Analysis != nil {
		f.Set("expert_analysis", e.Analysis)
	}
	f.Set("file_context", files)
	f.Set("next_steps", w.NextSteps)
	if w.Considered != "" {
		f.Set("important_considerations", w.Considered)
	}
	return f
}

// completion is the summary of a finished run.
func completion(d Decision, c Consolidated) *reply.Object {
	f := &reply.Object{}
	f.Set("initial_request", c.Initial)
	f.Set("steps_taken", c.Steps)
	f.Set("files_examined", orEmpty(c.FilesChecked))
	f.Set("relevant_files", orEmpty(c.RelevantFiles))
	f.Set("relevant_context", orEmpty(c.RelevantContext))
	issues := c.Issues
	if issues == nil {
		issues = []map[string]any{}
	}
	f.Set("issues_found", issues)
	f.Set("work_summary", Summary(c))
	if d.Expert == SkipConfident {
		f.Set("final_analysis", finalAnalysis(d, c))
		f.Set("confidence_level", c.Confidence)
	}
	return f
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
	fmt.Fprintf(&b, "%d steps, %d files examined, %d relevant, %d issues, confidence %s.",
		c.Steps, len(c.FilesChecked), len(c.RelevantFiles), len(c.Issues), c.Confidence)
	for _, finding := range c.Findings {
		b.WriteString("\n")
		b.WriteString(finding)
	}
	return b.String()
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
