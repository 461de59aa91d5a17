package tools

import (
	"context"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

type tracerInput struct {
	workflow.StepInput
	Findings          string   `json:"findings"`
	FilesChecked      []string `json:"files_checked,omitempty"`
	RelevantFiles     []string `json:"relevant_files,omitempty"`
	RelevantContext   []string `json:"relevant_context,omitempty"`
	Confidence        string   `json:"confidence,omitempty" enum:"exploring,low,medium,high,very_high,almost_certain,certain"`
	Images            []string `json:"images,omitempty"`
	Model             string   `json:"model,omitempty"`
	TraceMode         string   `json:"trace_mode" enum:"precision,dependencies,ask"`
	TargetDescription string   `json:"target_description"`
}

// Base is empty: no expert is asked.
func (in tracerInput) Base() workflow.Investigation { return workflow.Investigation{} }

// Facts are the step's.
func (in tracerInput) Facts() workflow.Facts {
	return workflow.Facts{
		StepInput: in.StepInput, Findings: in.Findings, FilesChecked: in.FilesChecked, RelevantFiles: in.RelevantFiles,
		RelevantContext: in.RelevantContext, Confidence: in.Confidence, Images: in.Images,
	}
}

// tracer guides the caller through code by hand and says how to draw what it found. It calls no model.
func tracer(d *Deps) Tool {
	return New(tracerSpec.Tool, func(ctx context.Context, in tracerInput) (*Result, error) {
		step, err := stepOf(d.Config, tracerSpec.Tool, in)
		if err != nil {
			return nil, err
		}
		return d.engine().RunLocal(ctx, tracerSpec, step, func(run workflow.Local, _ *reply.Metadata) (func(string) *reply.Object, error) {
			return tracerReply(run, in)
		})
	}, Hints(Annotations{ReadOnly: true}), Threaded(), Class(config.ClassWorkflow))
}

var tracerSpec = workflow.Spec{
	Tool:     "tracer",
	Statuses: workflow.Statuses{Pause: "pause_for_tracing", Complete: "tracing_complete"},
	Keys:     workflow.Keys{Status: "tracer_status", Flags: []string{"tracer_complete", "tracing_complete"}, Required: "tracer_required"},
	Ladder:   workflow.Ladder{Default: "low", Actions: byConfidence},
}

func tracerReply(run workflow.Local, in tracerInput) (func(string) *reply.Object, error) {
	status, section, actions := tracerSpec.Statuses.Pause, "next", byConfidence(run.Step)
	choose := in.TraceMode == "ask" && in.StepNumber == 1
	switch {
	case choose:
		status, section, actions = "mode_selection_required", "mode", "ask"
	case run.Done:
		status, section, actions = tracerSpec.Statuses.Complete, "done", ""
	}
	w, err := run.Words(section, actions)
	if err != nil {
		return nil, err
	}
	mode := in.TraceMode
	if mode == "ask" {
		mode = "dependencies"
	}
	how, err := run.Words(mode, "")
	if err != nil {
		return nil, err
	}
	return func(id string) *reply.Object {
		o := (&reply.Object{}).Set("status", status)
		stepHead(o, run, id)
		o.Set("step_content", in.Step)
		o.Set(tracerSpec.Keys.Status, workflow.CountsOf(tracerSpec, run.Consolidated).Set("step_history_length", len(run.Lines)))
		if run.Done && !choose {
			return finishedTrace(o, run, in, w.NextSteps, how.NextSteps)
		}
		if choose {
			o.Set("mode_selection_required", true).Set("next_step_required", true).Set("next_call", chosen(run, in, id))
		} else {
			o.Set("next_call", run.Next(id))
		}
		return o.Set(tracerSpec.Keys.Required, true).Set("required_actions", w.Actions).Set("next_steps", w.NextSteps).
			Set("continuation_required", true).Set("continuation_available", id != "").Set("next_step_number", nextNumber(run, choose))
	}, nil
}

// chosen is the call after the user has chosen a mode: step 1 once more.
func chosen(run workflow.Local, in tracerInput, id string) workflow.NextCall {
	next := run.Next(id)
	next.Arguments.Set("step", in.Step).Set("step_number", 1).Set("total_steps", in.TotalSteps).
		Set("next_step_required", in.NextStepRequired).Set("trace_mode", "precision")
	return next
}

func nextNumber(run workflow.Local, choose bool) int {
	if choose {
		return 1
	}
	return run.Step.StepNumber + 1
}

func finishedTrace(o *reply.Object, run workflow.Local, in tracerInput, done, rendering string) *reply.Object {
	for _, flag := range tracerSpec.Keys.Flags {
		o.Set(flag, true)
	}
	o.Set("trace_summary", workflow.Summary(run.Consolidated))
	o.Set("output", (&reply.Object{}).Set("instructions", done).Set("format", in.TraceMode+"_trace_analysis").
		Set("rendering_instructions", rendering).
		Set("presentation_guidelines", (&reply.Object{}).
			Set("completed_trace", "Show the drawing first, then the tables; leave out what was not found.").
			Set("step_content", "Use the findings of all steps; the last one wins where they differ.").
			Set("continuation", "Send this continuation_id with a further step to complete the trace later.")))
	return o.Set("next_steps", done)
}
