package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

type toolCallsInput struct {
	N    *int   `json:"n,omitempty" jsonschema:"1 to 200; default 20."`
	Path string `json:"path,omitempty" jsonschema:"Another log in the log folder."`
}

func toolCallLogTail(d *Deps) tool.Tool {
	return tool.New("toolcall_log_tail", d.toolCalls, tool.Hints(tool.Annotations{ReadOnly: true, Idempotent: true}))
}

const (
	standardCalls = 20
	maxCalls      = 200
)

// toolCalls shows the end of the tool-call log, or of another log beside it.
func (d *Deps) toolCalls(ctx context.Context, in toolCallsInput) (*Result, error) {
	r := &Result{}
	q := activity.Query{Lines: standardCalls}
	if in.N != nil {
		if q.Lines = min(max(*in.N, 1), maxCalls); q.Lines != *in.N {
			r.Metadata.Note(fmt.Sprintf("n: took %d as %d; it takes 1 to %d.", *in.N, q.Lines, maxCalls))
		}
	}
	var lines []string
	err := activity.ErrOff
	switch {
	case d.Activity == nil:
	case in.Path == "":
		lines, err = d.Activity.TailToolCalls(ctx, q)
	default:
		lines, err = d.Activity.Tail(ctx, in.Path, q)
	}
	switch {
	case errors.Is(err, activity.ErrOff):
		r.Body.Set("status", "disabled").Set("reason", "The tool-call log is off: EX_TOOLCALL_LOG_PATH is empty.").Set("count", 0).Set("events", []any{})
		return r, nil
	case errors.Is(err, fs.ErrNotExist):
		path := in.Path
		if path == "" {
			path = d.Config.Logs.ToolCallPath
		}
		r.Body.Set("status", "not_found").Set("path", path).Set("count", 0).Set("events", []any{})
		return r, nil
	case errors.Is(err, activity.ErrOutside):
		return nil, &reply.Error{
			Code: reply.CodePathDenied, Err: err,
			Message: fmt.Sprintf("%s is not a log in the log folder.", reply.Quote(in.Path)),
			Hint:    "Name a .jsonl or .log file beside the server's own logs, or leave path out. EX_TOOLCALL_LOG_PATH says where they are.",
		}
	case err != nil:
		return nil, err
	}
	events := []any{}
	for _, line := range lines {
		if json.Valid([]byte(line)) {
			events = append(events, json.RawMessage(line))
		} else {
			events = append(events, line)
		}
	}
	r.Body.Set("status", "ok").Set("count", len(events)).Set("events", events)
	return r, nil
}
