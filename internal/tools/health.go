package tools

import (
	"context"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

type healthInput struct {
	TailLines *int `json:"tail_lines,omitempty" jsonschema:"Of each log; omitted: as many as are short."`
}

func health(d *Deps) tool.Tool {
	return tool.New("health", d.health, tool.Hints(tool.Annotations{ReadOnly: true, Idempotent: true}))
}

// metrics are the lines of the activity log that tell of requests to vendors and of what ended them.
var metrics = lazyregexp.New(`"kind":"(model_attempt|limit_exceeded|fallback)"`)

const (
	maxLines    = 5000
	healthLines = 50 // of each log, at most, where the call does not say
)

// health shows how this process and its vendors have fared, from what was seen: nobody is asked.
func (d *Deps) health(ctx context.Context, in healthInput) (*Result, error) {
	configured, models := []string{}, []string{}
	for _, p := range d.Registry.Providers() {
		configured = append(configured, p.Name())
	}
	for _, m := range d.Registry.Models() {
		models = append(models, m.ID)
	}
	lines := healthLines
	if in.TailLines != nil {
		lines = min(max(*in.TailLines, 0), maxLines)
	}
	r := &Result{}
	r.Body.Set("status", "success").Set("providers_configured", configured).Set("models_available", models).Set("costs", d.costs(ctx))
	if d.Activity == nil {
		r.Body.Set("vendors", d.vendorHealth(activity.Stats{})).Set("metrics_tail", []string{}).Set("toolcalls_tail", []string{})
		return r, nil
	}
	stats := d.Activity.Stats()
	r.Body.Set("since", stats.Since).Set("vendors", d.vendorHealth(stats)).Set("limits_exceeded", stats.Limits).Set("today", stats.Today()).
		Set("running", len(d.running(ctx, ""))).Set("log_lines_lost", stats.Dropped)
	requests := tailOf(d.Activity.TailActivity(ctx, activity.Query{Lines: lines, Filter: metrics()}))
	toolCalls := tailOf(d.Activity.TailToolCalls(ctx, activity.Query{Lines: lines}))
	r.Body.Set("metrics_tail", requests).Set("toolcalls_tail", toolCalls)
	if in.TailLines == nil {
		bound(r, "tail_lines=50 shows more of the logs, listmodels all models.", cutting(r, "models_available", models, false, nil),
			cutting(r, "metrics_tail", requests, true, nil), cutting(r, "toolcalls_tail", toolCalls, true, nil))
	}
	return r, nil
}

// tailOf is a log's end; of a log that is off or has nothing in it yet, nothing.
func tailOf(lines []string, err error) []string {
	if err != nil || lines == nil {
		return []string{}
	}
	return lines
}

// vendorHealth says of every vendor whether it has a key and how it has answered.
func (d *Deps) vendorHealth(stats activity.Stats) *Object {
	all := &Object{}
	for _, vendor := range d.Config.VendorRows() {
		name := vendor.Name
		_, err := d.Registry.Provider(name)
		o := (&Object{}).Set("configured", err == nil).Set("requests", 0).Set("failures", 0).Set("last_success", nil).Set("last_failure", nil)
		for _, v := range stats.Vendors {
			if v.Name != name {
				continue
			}
			o.Set("requests", v.Requests).Set("failures", v.Failures)
			if !v.LastSuccess.IsZero() {
				o.Set("last_success", v.LastSuccess)
			}
			if v.LastFailure != nil {
				o.Set("last_failure", v.LastFailure)
			}
			o.Set("latency_secs", v.Latency).Set("first_delta_secs", v.FirstDelta).Set("today", v.Today)
		}
		all.Set(name, o)
	}
	return all
}
