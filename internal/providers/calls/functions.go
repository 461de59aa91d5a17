package calls

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// answered is what one call of a function came to.
type answered struct {
	text  string
	fault string // of a panic
	keep  bool   // the same call is answered with the same text again
}

// answerCalls answers the calls that a model made: those of our functions are run, at the same time, within the bounds. It
// gives the messages that the next request carries on with, and the calls that only our caller's client can run.
func (r *toolRounds) answerCalls(resp *providers.ChatResponse) (replies []providers.Message, pending []providers.ToolCall) {
	results := make([]answered, len(resp.ToolCalls))
	firstOf := map[string]int{} // of this round, by callKey
	run := 0
	for i, call := range resp.ToolCalls {
		key := callKey(call)
		before, known := r.results[key]
		first, repeated := firstOf[key]
		tool, ours := r.j.tools[call.Name]
		switch {
		case r.offer == withdrawn:
			results[i].text = "Not executed. " + noMoreCalls
		case !r.offers(call.Name):
			results[i].text = fmt.Sprintf("Error: unknown function %q. The functions are: %s.", call.Name, strings.Join(r.names(), ", "))
		case !ours || tool.Run == nil:
			pending = append(pending, call)
		case run == r.bounds.Calls:
			results[i].text = fmt.Sprintf("Not executed: at most %d calls are run in one round. Make it again if it is still needed.", r.bounds.Calls)
		case repeated:
			results[i].text = fmt.Sprintf("Not executed: this is the same call as %s.", resp.ToolCalls[first].ID)
		case known:
			run++
			results[i].text = "This call was made before, with this result. Don't repeat calls.\n" + before
		default:
			run++
			firstOf[key] = i
		}
	}
	r.run(resp.ToolCalls, firstOf, results, r.room()/max(run, 1))

	replies = []providers.Message{{
		Role: providers.RoleAssistant, Content: resp.Content, Reasoning: resp.Reasoning, ToolCalls: resp.ToolCalls, VendorFields: resp.VendorFields,
	}}
	for i, call := range resp.ToolCalls {
		if text := results[i].text; text != "" {
			r.given += len(text)
			replies = append(replies, providers.Message{Role: providers.RoleTool, ToolCallID: call.ID, Name: call.Name, Content: text})
		}
	}
	return replies, pending
}

// run runs the calls of a round at the same time. Each result has room bytes, so that none is shortened later: that would
// change the prefix that the vendor has cached.
func (r *toolRounds) run(calls []providers.ToolCall, which map[string]int, results []answered, room int) {
	r.emit(calls, which)
	var all sync.WaitGroup
	for _, i := range which {
		ctx := WithCallNumber(r.g.ctx, r.numbered+i)
		all.Go(func() {
			results[i] = r.g.c.vetting.result(calls[i].Name, runTool(ctx, r.j.tools[calls[i].Name], calls[i], room))
		})
	}
	all.Wait()
	r.numbered += len(calls)
	for i := range results {
		if results[i].fault != "" {
			panic(results[i].fault)
		}
		if len(results[i].text) > room {
			results[i].text = strings.TrimSpace(clip(results[i].text, room) + "\n[cut: no more room]")
		}
	}
	for key, i := range which {
		if results[i].keep {
			r.results[key] = results[i].text
		}
	}
}

// numberKey is the context's key of a call's number.
type numberKey struct{}

// WithCallNumber sets what CallNumber returns.
func WithCallNumber(ctx context.Context, n int) context.Context {
	return context.WithValue(ctx, numberKey{}, n)
}

// CallNumber is the place of the function call that ctx belongs to among the calls of its answer, in the order in which the
// model made them; those of one round run at the same time. It is 0 elsewhere.
func CallNumber(ctx context.Context) int {
	n, _ := ctx.Value(numberKey{}).(int)
	return n
}

// maxAbout is how many calls of a round a sign of life names.
const maxAbout = 3

// emit says what the round is doing.
func (r *toolRounds) emit(calls []providers.ToolCall, which map[string]int) {
	var phase providers.Phase
	var about []string
	for i, call := range calls {
		tool := r.j.tools[call.Name]
		if at, runs := which[callKey(call)]; !runs || at != i || tool.Phase == "" || phase != "" && tool.Phase != phase {
			continue
		}
		phase = tool.Phase
		if tool.About != nil {
			about = append(about, tool.About(call.Arguments))
		}
	}
	if len(about) > maxAbout {
		about = append(about[:maxAbout], fmt.Sprintf("%d more", len(about)-maxAbout))
	}
	if phase != "" {
		r.g.emitAbout(phase, strings.Join(about, ", "))
	}
}

func (r *toolRounds) offers(name string) bool {
	return slices.ContainsFunc(r.j.req.Functions, func(f providers.Function) bool { return f.Name == name })
}

func (r *toolRounds) names() (names []string) {
	for _, f := range r.j.req.Functions {
		names = append(names, f.Name)
	}
	return names
}

// callKey is the same for two calls of one function with equal arguments, however these are written.
func callKey(call providers.ToolCall) string {
	var arguments any
	if json.Unmarshal([]byte(call.Arguments), &arguments) == nil {
		if same, err := json.Marshal(arguments); err == nil {
			return call.Name + " " + string(same)
		}
	}
	return call.Name + " " + call.Arguments
}

// runTool runs one function. Its error is text for the model, which can go on without; a panic is handed to the
// goroutine where it is recovered.
func runTool(ctx context.Context, t Tool, call providers.ToolCall, room int) (result answered) {
	defer func() {
		if p := recover(); p != nil {
			result = answered{fault: fmt.Sprintf("%v\n%s", p, debug.Stack())}
		}
	}()
	text, err := t.Run(ctx, call.Arguments, room)
	var e *providers.Error
	switch {
	case errors.As(err, &e):
		return answered{text: "Error: " + e.Message}
	case err != nil:
		return answered{text: "Error: " + err.Error()}
	case strings.TrimSpace(text) == "":
		text = "(no result)" // Kimi refuses an empty tool message
	}
	return answered{text: text, keep: true}
}
