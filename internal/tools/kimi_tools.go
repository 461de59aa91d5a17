package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

type toolsChatInput struct {
	Messages     json.RawMessage `json:"messages" types:"string,array" items:"string,object" jsonschema:"To go on: those of the last reply, and a tool message for each call."`
	Model        string          `json:"model,omitempty"`
	Tools        []rawItem       `json:"tools,omitempty"`
	ToolChoice   json.RawMessage `json:"tool_choice,omitempty" types:"string,object"`
	Temperature  *float64        `json:"temperature,omitempty" default:"0.6"`
	Stream       *bool           `json:"stream,omitempty"`
	UseWebsearch bool            `json:"use_websearch,omitempty"`
}

func kimiChatWithTools(d *Deps) tool.Tool {
	return tool.New("kimi_chat_with_tools", d.toolsChat, tool.Hints(tool.Annotations{ReadOnly: true, OpenWorld: true}))
}

// toolsChat lets a Kimi model call functions of the caller, who runs them, and Kimi's own web search, which runs here.
func (d *Deps) toolsChat(ctx context.Context, in toolsChatInput) (*Result, error) {
	messages, err := toolMessages(in.Messages)
	if err != nil {
		return nil, err
	}
	tools, search, err := readTools(in.Tools)
	if err != nil {
		return nil, err
	}
	tools, choice, note, err := chooseFunction(tools, in.ToolChoice)
	if err != nil {
		return nil, err
	}
	r := &Result{}
	r.Metadata.Note(note)
	searches := &atomic.Int64{}
	if note == "" && (search || in.UseWebsearch) { // else the caller wants one function alone
		found, note := d.formulaSearch(ctx, searches)
		r.Metadata.Note(note)
		for _, t := range found {
			if !slices.ContainsFunc(tools, func(have calls.Tool) bool { return have.Name == t.Name }) {
				tools = append(tools, t)
			}
		}
	}
	if in.Stream != nil {
		r.Metadata.Note("stream: answers are always streamed from the vendor, and the reply always comes whole.")
	}
	out, err := d.Caller.Call(ctx, calls.Call{
		Model: in.Model, Provider: "kimi", Category: providers.CategoryFast, Tools: tools, On: progress.From(ctx).Model(),
		Needs: providers.Needs{Functions: len(tools) > 0, Images: hasImages(messages)},
		Build: func(providers.Model) (providers.ChatRequest, error) {
			return providers.ChatRequest{Messages: messages, Temperature: in.Temperature, ToolChoice: choice}, nil
		},
	})
	if err != nil {
		return nil, in.locate(ctx, ask.CallError(ctx, err, out))
	}
	if n := searches.Load(); n > 0 {
		r.Metadata.Note(fmt.Sprintf("The model searched the web %d times; Moonshot bills each search beside the tokens.", n))
	}
	d.toolsReply(r, messages, out)
	return r, nil
}

// locate says where in the caller's tools the part of a function's schema is that the vendor refused.
func (in toolsChatInput) locate(ctx context.Context, err error) error {
	var refused *providers.Error
	if !errors.As(err, &refused) || refused.Function == "" {
		return err
	}
	for i, item := range in.Tools {
		var f previewFunction
		if json.Unmarshal(unquoted(item.text), &f) != nil || f.Name != refused.Function {
			continue
		}
		place := fmt.Sprintf("tools[%d]%s", i, f.at)
		if refused.SchemaPath != "" {
			place += ".parameters." + refused.SchemaPath
		}
		e := *reply.FromError(ctx, err)
		e.Hint = fmt.Sprintf("Change %s; the same request would be refused again.", place)
		return &e
	}
	return err
}

// toolsReply says what the model answered, or which functions it wants to have run.
func (d *Deps) toolsReply(r *Result, messages []providers.Message, out *calls.Outcome) {
	resp := out.Response
	answeredBy(&r.Metadata, out)
	r.Body.Set("status", "success").Set("provider", "KIMI").Set("model", out.Model.ID).Set("content", resp.Content).
		Set("tool_calls", nil).Set("usage", writeUsage(resp.Usage))
	switch {
	case out.Partial:
		r.Body.Set("status", "partial").Set("content", partialText(out))
	case len(resp.ToolCalls) > 0:
		r.Body.Set("status", "tool_call_pending").Set("tool_calls", writeCalls(resp.ToolCalls))
		d.returnMessages(r, messages, out.Messages)
	}
}

// returnMessages puts the messages into the reply, for the caller to continue with. If the reply would be too long for the
// client it has only the new ones, since shortened messages are useless.
func (d *Deps) returnMessages(r *Result, sent, added []providers.Message) {
	const how = `Run each of tool_calls, append one {"role": "tool", "tool_call_id": its id, "content": its result} for each to %s, ` +
		"and call kimi_chat_with_tools again with %s and the same tools."
	fits := func(list []any) bool {
		text, err := json.Marshal(list)
		return err == nil && (d.Config.Files.MaxOutputTokens <= 0 || tool.EstimateTokens(string(text)) < d.Config.Files.MaxOutputTokens*2/3)
	}
	whole, fresh := writeMessages(slices.Concat(sent, added)), writeMessages(added)
	switch {
	case fits(whole):
		r.Body.Set("messages", whole).Set("note", fmt.Sprintf(how, "messages", "them"))
		return
	case !fits(fresh): // what the model thought is the longest part, and the one that can be done without
		r.Metadata.Note("reasoning_content is left out, since the reply would have been too long.")
		for _, m := range fresh {
			m.(*Object).Delete("reasoning_content")
		}
	}
	r.Body.Set("new_messages", fresh).Set("note", fmt.Sprintf(how, "new_messages", "the messages that you sent, these behind them,"))
}

func writeMessages(list []providers.Message) []any {
	out := []any{}
	for _, m := range list {
		out = append(out, writeMessage(m))
	}
	return out
}

// answeredBy says in the metadata who answered and what it took.
func answeredBy(m *reply.Metadata, out *calls.Outcome) {
	m.ModelUsed, m.ProviderUsed, m.Attempts = out.Model.ID, out.Model.Provider, out.Attempts
	m.FinishReason, m.Thinking, m.Fallback = string(out.Response.FinishReason), out.Thinking, out.Fallback
	usage := out.Response.Usage
	m.Usage = &usage
	m.Note(out.Notes...)
	if out.Limit != nil {
		m.Note(fmt.Sprintf("The answer was ended by %s; what had arrived is here.", out.Limit))
	}
}

// partialText is what has arrived of an answer, or that only thinking has.
func partialText(out *calls.Outcome) string {
	if out.Response.Content != "" {
		return out.Response.Content
	}
	return fmt.Sprintf("%s had been thinking for %.0f s (about %d tokens) and had not begun its answer.",
		out.Model.ID, out.Elapsed.Seconds(), providers.EstimateTokens(out.Response.Reasoning))
}

// toolMessages reads messages as the tool takes them: a text, or a list of texts and messages. Blank ones are left out.
func toolMessages(raw json.RawMessage) ([]providers.Message, error) {
	var list []json.RawMessage
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if json.Unmarshal([]byte(text), &list) != nil || len(list) == 0 { // else the list came in a string
			list = []json.RawMessage{raw}
		}
	} else if err := json.Unmarshal(raw, &list); err != nil {
		return nil, reply.InvalidRequest(messageHint, "messages can't be read.")
	}
	messages, err := readMessages(list)
	if err != nil {
		return nil, err
	}
	if messages = slices.DeleteFunc(messages, blank); len(messages) == 0 {
		return nil, reply.InvalidRequest(messageHint, "All messages are blank.")
	}
	return messages, nil
}

// readTools reads functions as chat APIs take them, {"type": "function", "function": {...}} or bare. Kimi's old built-in
// search, an object or its name alone, asks for the search of today.
func readTools(list []rawItem) (tools []calls.Tool, search bool, err error) {
	const hint = `A tool looks like {"type": "function", "function": {"name": ..., "description": ..., "parameters": {...}}}; "$web_search" is Kimi's own search.`
	for i, item := range list {
		raw := item.text
		var name string
		_ = json.Unmarshal(raw, &name) // "" where it is no string
		var t previewFunction
		if !strings.HasPrefix(name, "$") {
			if err := json.Unmarshal(unquoted(raw), &t); err != nil || t.Name == "" {
				return nil, false, reply.InvalidRequest(hint, "tools[%d] is not a function.", i)
			}
			name = t.Name
		}
		switch {
		case name == "$web_search":
			search = true
		case strings.HasPrefix(name, "$"):
			return nil, false, reply.InvalidRequest(hint, "tools[%d]: Kimi has no built-in function %s.", i, reply.Quote(name))
		default:
			tools = append(tools, calls.Tool{Function: t.Function})
		}
	}
	return tools, search, nil
}

// unquoted is a value that came as JSON in a string, as it is otherwise.
func unquoted(raw json.RawMessage) json.RawMessage {
	var text string
	if json.Unmarshal(raw, &text) == nil && json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	return raw
}

// searchFormula is Kimi's web search for the models of today (Moonshot docs, Formula API); the built-in $web_search works
// with thinking off alone, which they can't.
const searchFormula = "moonshot/web-search:latest"

// formulaSearch makes functions of Kimi's search that run here. It gives none, and a note, where there is no search.
func (d *Deps) formulaSearch(ctx context.Context, runs *atomic.Int64) (tools []calls.Tool, note string) {
	if !d.Config.Search.KimiEnabled {
		return nil, "No web search: KIMI_ENABLE_INTERNET_SEARCH is false."
	}
	p, err := d.Registry.Provider("kimi")
	if err != nil {
		return nil, "" // the call itself says so
	}
	formulas, ok := p.(providers.Formulas)
	if !ok {
		return nil, "No web search: this provider has none."
	}
	limit := d.Config.Timeouts.Search("kimi")
	functions, err := calls.Do(ctx, d.Caller, "kimi", "formula", limit, func(ctx context.Context) ([]providers.Function, error) {
		return formulas.FormulaTools(ctx, searchFormula)
	})
	if errors.Is(err, providers.ErrPreview) {
		functions, err = []providers.Function{foreseenSearch()}, nil
	}
	if err != nil {
		return nil, "No web search: " + reply.FromError(ctx, err).Message
	}
	for _, f := range functions {
		tools = append(tools, calls.Tool{Function: f, Phase: providers.PhaseSearching, Run: func(ctx context.Context, arguments string, _ int) (string, error) {
			runs.Add(1)
			return calls.Do(ctx, d.Caller, "kimi", "search", limit, func(ctx context.Context) (string, error) {
				return formulas.RunFormula(ctx, searchFormula, f.Name, arguments)
			})
		}})
	}
	return tools, ""
}

// foreseenSearch stands in a preview for Kimi's search, whose schema only Moonshot has: as its documents show it.
func foreseenSearch() providers.Function {
	return providers.Function{
		Name: "web_search", Description: "Search the web for information.",
		Parameters: json.RawMessage(`{"type":"object","properties":{"query":{"type":"string","description":"What to search for"},` +
			`"classes":{"type":"array","items":{"type":"string"}}},"required":["query"]}`),
	}
}
