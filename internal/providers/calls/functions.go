package calls

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// callTools runs the functions that a model asked for, at the same time, and gives the messages that the next request
// carries on with, and the calls that only our caller's client can run.
func (g *Generation) callTools(j *job, resp *providers.ChatResponse) (replies []providers.Message, pending []providers.ToolCall) {
	replies = []providers.Message{{Role: providers.RoleAssistant, Content: resp.Content, Reasoning: resp.Reasoning, ToolCalls: resp.ToolCalls, VendorFields: resp.VendorFields}}
	results := make([]string, len(resp.ToolCalls))
	faults := make([]string, len(resp.ToolCalls))
	var all sync.WaitGroup
	for i, call := range resp.ToolCalls {
		tool, ours := j.tools[call.Name]
		offered := slices.ContainsFunc(j.req.Functions, func(f providers.Function) bool { return f.Name == call.Name })
		switch {
		case ours && tool.Run != nil:
			if call.Name == searchFunction {
				g.emit(providers.PhaseSearching, 0)
			}
			all.Go(func() { results[i], faults[i] = runTool(g.ctx, tool, call) })
		case offered:
			pending = append(pending, call)
		default:
			results[i] = fmt.Sprintf("Error: unknown function %q. Answer without it.", call.Name)
		}
	}
	all.Wait()
	for i, call := range resp.ToolCalls {
		if faults[i] != "" {
			panic(faults[i])
		}
		if results[i] != "" {
			replies = append(replies, providers.Message{Role: providers.RoleTool, ToolCallID: call.ID, Name: call.Name, Content: results[i]})
		}
	}
	return replies, pending
}

// runTool runs one function. Its error is text for the model, which can go on without; a panic is handed to the
// goroutine where it is recovered.
func runTool(ctx context.Context, t Tool, call providers.ToolCall) (text, fault string) {
	defer func() {
		if p := recover(); p != nil {
			fault = fmt.Sprintf("%v\n%s", p, debug.Stack())
		}
	}()
	text, err := t.Run(ctx, call.Arguments)
	var e *providers.Error
	switch {
	case errors.As(err, &e):
		return "Error: " + e.Message, ""
	case err != nil:
		return "Error: " + err.Error(), ""
	case strings.TrimSpace(text) == "":
		return "(no result)", "" // Kimi refuses an empty tool message
	}
	return text, ""
}
