package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

// activityInput holds, like the original's, the arguments of tools that ask a model; they mean nothing here, but for
// continuation_id.
type activityInput struct {
	Lines          *int     `json:"lines,omitempty" jsonschema:"10 to 5000; omitted: as many as are short."`
	Filter         string   `json:"filter,omitempty" jsonschema:"An RE2 regular expression."`
	Source         string   `json:"source,omitempty" enum:"auto,activity,server"`
	Since          string   `json:"since,omitempty" jsonschema:"A time such as 2026-11-23T12:00:00Z; UTC where it names no zone."`
	Until          string   `json:"until,omitempty"`
	Structured     bool     `json:"structured,omitempty"`
	ContinuationID string   `json:"continuation_id,omitempty" jsonschema:"Only this conversation's."`
	Model          string   `json:"model,omitempty"`
	Temperature    *float64 `json:"temperature,omitempty"`
	ThinkingMode   string   `json:"thinking_mode,omitempty"`
	UseWebsearch   *bool    `json:"use_websearch,omitempty"`
	Files          []string `json:"files,omitempty"`
	Images         []string `json:"images,omitempty"`
}

func activityTool(d *Deps) tool.Tool {
	return tool.New("activity", d.activity, tool.Hints(tool.Annotations{ReadOnly: true, Idempotent: true}))
}

// activity shows what is going on (calls, and answers that go on behind them) and the end of the activity log.
func (d *Deps) activity(ctx context.Context, in activityInput) (*Result, error) {
	r := &Result{}
	q, err := in.query(&r.Metadata)
	if err != nil {
		return nil, err
	}
	var lines []string
	err = activity.ErrOff
	if d.Activity != nil {
		lines, err = in.tail(ctx, d.Activity, q)
	}
	switch {
	case errors.Is(err, activity.ErrOff):
		r.Metadata.Note("The activity log is off (ACTIVITY_LOG, EX_ACTIVITY_LOG_PATH).")
	case errors.Is(err, fs.ErrNotExist):
		r.Metadata.Note("Nothing has been logged yet.")
	case err != nil:
		return nil, err
	}
	if in.Source == "server" {
		r.Metadata.Note("The server's own log goes to stderr, where the client keeps it; these are the lines of the activity log.")
	}
	if !in.Structured {
		for i, line := range lines {
			lines[i] = activity.Text(line)
		}
	}
	show := func(lines []string) {
		r.Body.Set("content", strings.Join(lines, "\n")).Set("content_type", "text").Set("lines", len(lines))
	}
	r.Body.Set("status", "success")
	show(lines)
	running := d.running(ctx, in.ContinuationID)
	r.Body.Set("running", running)
	if in.Lines == nil {
		bound(r, "lines asks for more of the log.", cutting(r, "content", lines, true, show), cutting(r, "running", running, false, nil))
	}
	return r, nil
}

const (
	minLines      = 10
	standardLines = 200
)

// query reads what is asked of the log.
func (in activityInput) query(m *Metadata) (q activity.Query, err error) {
	q.Lines = standardLines
	if in.Lines != nil {
		if q.Lines = min(max(*in.Lines, minLines), maxLines); q.Lines != *in.Lines {
			m.Note(fmt.Sprintf("lines: took %d as %d; it takes %d to %d.", *in.Lines, q.Lines, minLines, maxLines))
		}
	}
	if in.Filter != "" {
		if q.Filter, err = regexp.Compile(in.Filter); err != nil {
			return q, reply.InvalidRequest("It takes RE2's syntax: no lookaheads and no backreferences. (?i) ignores case.", "filter is not a valid regular expression: %s.", reply.Clip(in.Filter))
		}
	}
	if q.Since, err = timeOf("since", in.Since); err != nil {
		return q, err
	}
	q.Until, err = timeOf("until", in.Until)
	return q, err
}

// tail reads the log; of one conversation, its lines alone.
func (in activityInput) tail(ctx context.Context, log *activity.Log, q activity.Query) ([]string, error) {
	if in.ContinuationID == "" {
		return log.TailActivity(ctx, q)
	}
	all := q
	id, err := json.Marshal(in.ContinuationID)
	if err != nil {
		return nil, err
	}
	all.Lines, all.Filter = maxLines, regexp.MustCompile(`"continuation_id":`+regexp.QuoteMeta(string(id)))
	lines, err := log.TailActivity(ctx, all)
	lines = slices.DeleteFunc(lines, func(line string) bool {
		return q.Filter != nil && !q.Filter.MatchString(line) && !q.Filter.MatchString(activity.Text(line))
	})
	return lines[max(0, len(lines)-q.Lines):], err
}

// timeOf reads a time as people and programs write it.
func timeOf(name, text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, reply.InvalidRequest("Write it like 2026-11-23T12:00:00Z.", "%s is not a valid time: %s.", name, reply.Quote(text))
}

// running is the work in progress but for the call that asks, of one conversation where one is named.
func (d *Deps) running(ctx context.Context, continuationID string) []activity.Running {
	list := []activity.Running{}
	if d.Activity == nil {
		return list
	}
	for _, w := range d.Activity.Running() {
		if w.ID != tool.CallFrom(ctx).ID && (continuationID == "" || w.ContinuationID == continuationID) {
			list = append(list, w)
		}
	}
	return list
}
