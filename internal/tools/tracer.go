package tools

import (
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

type tracerInput struct {
	workflow.StepInput
	Findings          string   `json:"findings" default:"" join:"lines"`
	FilesChecked      []string `json:"files_checked,omitempty"`
	RelevantFiles     []string `json:"relevant_files,omitempty"`
	RelevantContext   []string `json:"relevant_context,omitempty"`
	Confidence        string   `json:"confidence,omitempty" enum:"exploring,low,medium,high,very_high,almost_certain,certain"`
	Images            []string `json:"images,omitempty"`
	Model             string   `json:"model,omitempty"`
	TraceMode         string   `json:"trace_mode" enum:"precision,dependencies,ask" jsonschema:"ask: the user is to choose."`
	TargetDescription string   `json:"target_description"`
}

// Facts are the step's.
func (in tracerInput) Facts() workflow.Facts {
	return workflow.Facts{
		StepInput: in.StepInput, Findings: in.Findings, FilesChecked: in.FilesChecked, RelevantFiles: in.RelevantFiles,
		RelevantContext: in.RelevantContext, Confidence: in.Confidence, Images: in.Images,
	}
}

// tracer guides the caller through code by hand and says how to draw what it found. It calls no model.
func tracer(d *Deps) tool.Tool {
	return local(d, tracerSpec, tracerReply)
}

var tracerSpec = workflow.Spec{
	Collects: true,
	Tool:     "tracer",
	Statuses: workflow.Statuses{Pause: "pause_for_tracing", Complete: "tracing_complete"},
	Keys:     workflow.Keys{Status: "tracer_status", Flags: []string{"tracer_complete", "tracing_complete"}, Required: "tracer_required"},
	Ladder:   workflow.Ladder{Default: "low", Actions: byConfidence},
}

func tracerReply(l workflow.Local, in tracerInput, _ *Metadata) (func(id string) *Object, error) {
	if in.TraceMode == "ask" && l.Step.StepNumber == 1 {
		return modeChoice(l, in)
	}
	if l.Done {
		return finishedTrace(l, in)
	}
	w, err := l.Words("next", byConfidence(l.Step))
	return func(id string) *Object {
		return l.Pause(l.Reply(tracerSpec.Statuses.Pause, id), id, l.Next(id), w)
	}, err
}

// modeChoice lets the user choose the mode; step 1 then comes once more.
func modeChoice(l workflow.Local, in tracerInput) (func(id string) *Object, error) {
	w, err := l.Words("mode", "ask")
	return func(id string) *Object {
		next := l.Next(id)
		next.Arguments.Set("step", in.Step).Set("step_number", 1).Set("total_steps", l.Step.TotalSteps).
			Set("next_step_required", l.Step.Continues()).Set("trace_mode", "precision")
		return l.Pause(l.Reply("mode_selection_required", id).Set("mode_selection_required", true), id, next, w)
	}, err
}

func finishedTrace(l workflow.Local, in tracerInput) (func(id string) *Object, error) {
	w, err := l.Words("done", "")
	if err != nil {
		return nil, err
	}
	drawing := in.TraceMode
	if drawing == "ask" {
		drawing = "dependencies"
	}
	how, err := l.Words(drawing, "")
	return func(id string) *Object {
		o := l.Reply(tracerSpec.Statuses.Complete, id).Set("trace_summary", workflow.Summary(l.Consolidated))
		output := (&Object{}).Set("instructions", w.NextSteps).Set("format", in.TraceMode+"_trace_analysis").
			Set("rendering_instructions", how.NextSteps)
		show := (&Object{}).Set("completed_trace", "Show the drawing first, then the tables; leave out what was not found.").
			Set("step_content", "Use the findings of all steps; the last one wins where they differ.").
			Set("continuation", "Send this continuation_id with a further step to complete the trace later.")
		return l.Finish(o, output, show, w)
	}, err
}
