package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

// stepped is the input of every workflow tool.
type stepped interface {
	Facts() workflow.Facts
}

// investigation is the input of a workflow tool whose run an expert judges.
type investigation interface {
	stepped
	Base() workflow.Investigation
}

// stepper makes a workflow tool of what it does with a step.
func stepper[In stepped](d *Deps, s workflow.Spec, run func(ctx context.Context, step workflow.Step, in In) (*Result, error), opts ...tool.Option) tool.Tool {
	return tool.New(s.Tool, func(ctx context.Context, in In) (*Result, error) {
		step, err := stepOf(d, s.Tool, in)
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(step.Facts.Step) == "" {
			return nil, reply.InvalidRequest("Say in step what this step is about; in the first one, what is asked.", "step is blank.")
		}
		if r := d.resend("step", step.Facts.Step, step.Words); r != nil {
			return r, nil
		}
		return run(ctx, step, in)
	}, append(opts, tool.InConversation())...)
}

// investigator makes a workflow tool of its spec. adjust, which may be nil, adds what the spec can't say to a step.
func investigator[In investigation](d *Deps, s workflow.Spec, adjust func(step *workflow.Step, in In)) tool.Tool {
	opts := []tool.Option{
		tool.Hints(tool.Annotations{ReadOnly: true, OpenWorld: true}),
		tool.Limited(func(in In, cfg *config.Config) (config.Class, config.Limit) {
			return stepLimit(cfg, s, in.Facts(), thinking(cfg, s.Tool, in.Base().ThinkingMode))
		}),
	}
	if s.Verdict || s.Tool == "debug" { // whose issues are judged and tracked most
		opts = append(opts, tool.ItemKeys[issueKeys]("issues_found"))
	}
	return stepper(d, s, func(ctx context.Context, step workflow.Step, in In) (*Result, error) {
		if adjust != nil {
			adjust(&step, in)
		}
		return d.engine().Run(ctx, s, step)
	}, opts...)
}

// issueKeys are the keys of an issue that the tools make use of.
type issueKeys struct {
	Severity    string `json:"severity,omitempty"`
	Description string `json:"description,omitempty"`
	File        string `json:"file,omitempty"`
	Line        int    `json:"line,omitempty"`
}

// local makes a workflow tool that calls no model. reply makes what it answers.
func local[In stepped](d *Deps, s workflow.Spec, reply func(l workflow.Local, in In, meta *Metadata) (func(id string) *Object, error)) tool.Tool {
	return stepper(d, s, func(ctx context.Context, step workflow.Step, in In) (*Result, error) {
		return d.engine().RunLocal(ctx, s, step, func(l workflow.Local, meta *Metadata) (func(string) *Object, error) {
			return reply(l, in, meta)
		})
	}, tool.Hints(tool.Annotations{ReadOnly: true}), tool.Class(config.ClassWorkflow))
}

// engine is the workflow engine over the same parts that the tools have.
func (d *Deps) engine() *workflow.Engine {
	e := &workflow.Engine{Config: d.Config, Conversations: d.Conversations, Files: d.Workspace, Window: d.window, Reader: d.reader, Log: d.log()}
	if d.Config.Issues.Capture && d.Issues != nil {
		e.Capture, e.Fix = d.track, d.fix
	}
	return e
}

// window is the context window, in tokens, of the model that a question will go to; 0 when it is not known.
func (d *Deps) window(ctx context.Context, q ask.Question, images bool) int {
	list, err := d.Caller.Resolve(ctx, calls.Query{Model: q.Model, Prefer: q.Prefer, Provider: q.Provider, Category: q.Category, Needs: providers.Needs{Images: images}})
	if err != nil || len(list) == 0 {
		return 0
	}
	return list[0].Model.ContextWindow
}

// stepOf is a tool's arguments as a step.
func stepOf[In stepped](d *Deps, tool string, in In) (workflow.Step, error) {
	w, err := words.For(tool)
	if err != nil {
		return workflow.Step{}, err
	}
	args, err := storedArguments(in)
	if err != nil {
		return workflow.Step{}, err
	}
	step := workflow.Step{
		Facts: in.Facts(), Args: args, Words: w,
		Read: func(args json.RawMessage) (workflow.Facts, error) {
			var in In
			if err := json.Unmarshal(args, &in); err != nil {
				return workflow.Facts{}, err
			}
			return in.Facts(), nil
		},
		Ask: ask.Question{Thinking: thinking(d.Config, tool, "")},
	}
	step.Facts.ContinuationID = strings.TrimSpace(step.Facts.ContinuationID)
	if judged, ok := any(in).(investigation); ok {
		base := judged.Base()
		step.Ask = ask.Question{
			Model: base.Model, Temperature: base.Temperature, Thinking: thinking(d.Config, tool, base.ThinkingMode),
			Search: d.searches(base.UseWebsearch, tool, false),
		}
		step.SearchAlone = base.UseWebsearch == nil && d.Config.Search.DefaultOn == nil
		step.SearchNamed = base.UseWebsearch != nil && *base.UseWebsearch
	} else { // a consensus, whose callers don't choose
		step.Ask.Search = d.searches(nil, tool, false)
		step.SearchAlone = d.Config.Search.DefaultOn == nil
	}
	return step, nil
}

// storedArguments is a tool's input as stored and compared: its own JSON without the id of its conversation.
func storedArguments(in any) (json.RawMessage, error) {
	raw, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("arguments: %w", err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, fmt.Errorf("arguments: %w", err)
	}
	delete(fields, "continuation_id")
	return reply.Marshal(fields)
}

// thinking is how hard the expert thinks: as the caller says, else as configured.
func thinking(cfg *config.Config, tool, asked string) providers.ThinkingMode {
	switch {
	case asked != "":
		return providers.ThinkingMode(asked)
	case tool == "thinkdeep":
		return providers.ThinkingMode(cfg.Expert.ThinkDeepThinkingMode)
	}
	return providers.ThinkingMode(cfg.Expert.ThinkingMode)
}

// stepLimit is the limit of a workflow step: that of an expert call when the step can come to one.
func stepLimit(cfg *config.Config, s workflow.Spec, f workflow.Facts, mode providers.ThinkingMode) (config.Class, config.Limit) {
	o := workflow.Options{ExpertEnabled: cfg.Expert.Enabled, UseExpert: workflow.UsesExpert(cfg, s.Tool)}
	if !workflow.MayAsk(s, f, o) {
		return config.ClassWorkflow, cfg.Timeouts.For(config.ClassWorkflow)
	}
	if s.Tool == "thinkdeep" {
		return config.ClassExpert, cfg.Timeouts.ThinkDeep(string(mode))
	}
	return config.ClassExpert, cfg.Timeouts.For(config.ClassExpert)
}
