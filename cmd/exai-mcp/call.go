package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools"
	toolreply "github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

func (a *app) callCommand() *cobra.Command {
	var limited, text bool
	cmd := &cobra.Command{
		Use:   "call TOOL [JSON or -]",
		Short: "Call one tool from a shell",
		Long: `Calls one tool, as a client would, and prints the reply object. The arguments are a JSON object; "-" reads it from stdin.
Progress goes to stderr. An answer that a time limit cuts short goes on in the background, and the command waits for it and
prints the finished one; --limit prints what a client would get. --text prints the content alone. "call TOOL --help" shows
the tool's parameters.`,
		Example: `  exai-mcp call listmodels
  exai-mcp call chat '{"prompt":"Name three uses of a bloom filter."}'
  git diff | jq -Rs '{prompt: ("Review this:\n" + .)}' | exai-mcp call chat -`,
		Args: argumentRange(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error { return a.callTool(cmd.Context(), args, limited, text) },
	}
	cmd.Flags().BoolVar(&limited, "limit", false, "apply the time limit of a client's call")
	cmd.Flags().BoolVar(&text, "text", false, "print only the content")
	usage := cmd.HelpFunc()
	cmd.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		names := cmd.Flags().Args()
		if len(names) == 0 {
			usage(cmd, args)
			return
		}
		a.helpErr = a.showTool(names[0], false)
	})
	return cmd
}

func (a *app) callTool(ctx context.Context, args []string, limited, text bool) error {
	arguments, err := a.arguments(args[1:])
	if err != nil {
		return err
	}
	cfg, err := a.load()
	if err != nil {
		return err
	}
	a.limitLogsToWarnings(cfg)
	p, err := a.assembleCommand(cfg)
	if err != nil {
		return err
	}
	defer func() { p.close(time.Now().Add(goneWithin)) }()
	p.database.prewarm()
	status := a.newStatus(true)
	invocation := func() tool.Invocation {
		return tool.Invocation{
			ID: "call", Tool: args[0], Arguments: arguments, Received: time.Now(), Client: "exai-mcp call",
			Progress: status.show,
		}
	}
	var reply *tools.Result
	if limited {
		reply = p.dispatch.Call(ctx, invocation())
	} else if reply, err = p.finished(ctx, time.Time{}, invocation); err != nil {
		return failure{err}
	}
	status.clear()
	if text {
		return a.printContent(reply)
	}
	return a.printReply(reply)
}

// finished calls a tool and waits for what goes on in the background, until a time if one is given.
func (p *program) finished(ctx context.Context, until time.Time, invocation func() tool.Invocation) (*tools.Result, error) {
	var last *calls.Generation // that a reply left in progress
	brokenOff := 0
	return finish(ctx, until, invocation, p.dispatch.Call, func(o outcome) bool {
		before := last
		last = o.answer(p.caller.Background())
		whole := false // it may have ended just behind the reply, which then lacks its end
		if before != nil && before != last {
			if whole = !before.Snapshot().Partial; !whole {
				brokenOff++ // and a step that is sent again is asked again
			}
		}
		return brokenOff < 2 && (last != nil || len(o.Pending) > 0 || o.Agent.Status == "partial" || whole)
	})
}

// finish is finished, with what calls a tool and what reports whether there is more to come, or has come, than a reply has.
func finish(
	ctx context.Context, until time.Time, invocation func() tool.Invocation,
	call func(context.Context, tool.Invocation) *tools.Result, more func(outcome) bool,
) (*tools.Result, error) {
	inv := invocation()
	reply := call(ctx, inv)
	for first := true; ctx.Err() == nil; first = false {
		o := outcomeOf(reply)
		if !o.partial() || o.ID == "" && len(o.Pending) == 0 || !more(o) && !first {
			break
		}
		if !until.IsZero() && time.Until(until) < time.Second { // too little to fetch anything
			break
		}
		name, arguments, err := o.fetchCall(inv.Tool, inv.Arguments)
		if err != nil {
			return nil, err
		}
		inv = invocation()
		inv.Tool, inv.Arguments = name, arguments
		reply = call(ctx, inv)
	}
	return reply, nil
}

// outcome is what reports whether a reply is all that will come.
type outcome struct {
	Status string `json:"status"`
	ID     string `json:"continuation_id"`
	Offer  struct {
		ID string `json:"continuation_id"`
	} `json:"continuation_offer"`
	Expert  struct{ Status string } `json:"expert_analysis"`
	Agent   struct{ Status string } `json:"agent_findings"` // of a second turn; a list when it has ended
	Pending []json.RawMessage       `json:"pending"`        // uploads
}

func outcomeOf(reply *tools.Result) outcome {
	var o outcome
	if object, err := reply.JSON(); err == nil {
		_ = json.Unmarshal(object, &o) // a key of another type is of no interest here
	}
	if o.ID == "" {
		o.ID = o.Offer.ID
	}
	return o
}

func (o outcome) partial() bool {
	return o.Status == "partial" || o.Expert.Status == "partial" || o.Agent.Status == "partial"
}

// answer is the answer that goes on among those in the background, nil for none.
func (o outcome) answer(background []*calls.Generation) *calls.Generation {
	for _, g := range background {
		if g.Key() == o.ID {
			return g
		}
	}
	return nil
}

// fetchCall returns the call that fetches what has arrived since: for an answer a blank prompt to chat, for uploads the
// same call, for a workflow's step the same call in the same conversation.
func (o outcome) fetchCall(tool string, arguments json.RawMessage) (string, json.RawMessage, error) {
	next := map[string]any{}
	if err := json.Unmarshal(arguments, &next); err != nil {
		return "", nil, err
	}
	if tool == "chat" || tool == "kimi_multi_file_chat" && o.ID != "" {
		tool, next = "chat", map[string]any{"prompt": ""}
	}
	if o.ID != "" {
		next["continuation_id"] = o.ID
	}
	text, err := json.Marshal(next)
	return tool, text, err
}

// arguments reads the tool's arguments from the command line, or from stdin for "-".
func (a *app) arguments(args []string) (json.RawMessage, error) {
	text := []byte("{}")
	if len(args) == 1 {
		text = []byte(args[0])
	}
	if string(text) == "-" {
		var err error
		if text, err = io.ReadAll(a.in); err != nil {
			return nil, failure{fmt.Errorf("read the arguments: %w", err)}
		}
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // as editors on Windows begin a file
	const wanted = `the arguments must be a JSON object, such as '{"prompt":"..."}'`
	var wrong *json.SyntaxError
	switch err := json.Unmarshal(text, new(json.RawMessage)); {
	case errors.As(err, &wrong) && len(bytes.TrimSpace(text)) > 0:
		return nil, fmt.Errorf("%s: %w, at byte %d of %d", wanted, err, wrong.Offset, len(text))
	case err != nil || bytes.TrimSpace(text)[0] != '{':
		return nil, errors.New(wanted)
	}
	return text, nil
}

func (a *app) printReply(reply *tools.Result) error {
	object, err := reply.JSON()
	if err != nil {
		return failure{err}
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, object, "", "  "); err != nil {
		return failure{err}
	}
	fmt.Fprintln(a.out, plainJSON(pretty.Bytes())) // what models wrote must not act on a terminal
	if reply.IsError {
		return failure{}
	}
	return nil
}

// printContent prints a reply's content alone. Of a failed call it goes to stderr.
func (a *app) printContent(reply *tools.Result) error {
	if reply.IsError {
		return failureOf(reply)
	}
	content, ok := reply.Body.Get("content").(string)
	if !ok {
		text := "this reply has no content; omit --text to see all of it"
		if id := outcomeOf(reply).ID; id != "" { // it may have cost something
			text += `; "exai-mcp conversations show ` + id + `" shows what this call came to`
		}
		return failure{errors.New(text)}
	}
	fmt.Fprintln(a.out, plain(strings.TrimRight(content, "\n")))
	return nil
}

// failureOf is what the reply to a failed call says, with what to do about it.
func failureOf(reply *tools.Result) failure {
	text, _ := reply.Body.Get("content").(string)
	if e, ok := reply.Body.Get("error").(*toolreply.Object); ok {
		if hint, _ := e.Get("hint").(string); hint != "" {
			text += " " + hint
		}
	}
	return failure{errors.New(plain(text))}
}
