package openaicompat

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/markup"
)

// answer gathers a streamed answer, event by event.
type answer struct {
	on  func(providers.Delta)
	max int // bytes of text, reasoning and tool arguments

	id, requestID, model string
	content, reasoning   strings.Builder
	contents, reasonings joiner
	calls                []*call
	finish               string // the vendor's word, "" until it came
	usage                providers.Usage
	usageKnown           bool
	costKnown            bool // the vendor says what it charges
	searches             []providers.SearchHit

	size    int
	pieces  int  // deltas that carried something
	begun   bool // an event came that reports no error
	choices bool // an event had choices
	arrived bool // a delta was delivered
	refused bool // the model wrote that it refuses, in the place of a text

	newID    func() string    // makes an id for a call without one
	thoughts *thoughtSplitter // where Dialect.ThoughtTags

	returned []string                   // Dialect.Returned
	fields   map[string]json.RawMessage // of those

	reasoningName string // that reasoning came by, "" where it came in the text

	torn bool // an event was torn, so that the next one may belong to another answer
}

type call struct {
	index     int
	id, name  string
	arguments strings.Builder
	pieces    joiner
	extra     map[string]json.RawMessage
}

func (a *answer) finished() bool { return a.finish != "" }

// event takes one event in. It returns a *faultError for one that reports an error in whatever form, errUnreadable for
// what can't be decoded, errTooLong beyond the bound.
func (a *answer) event(raw []byte) error {
	var ev event
	err := json.Unmarshal(raw, &ev)
	if err != nil || ev.Error != nil || ev.Code != nil || ev.Base != nil {
		if f, ok := parseFault(raw, false); ok {
			return &faultError{f}
		}
	}
	var odd *json.UnmarshalTypeError // of which the rest was decoded
	if err != nil && !errors.As(err, &odd) {
		return fmt.Errorf("%w: %w", errUnreadable, err)
	}
	if a.torn && ev.ID != "" {
		a.torn = false
		if a.id != "" && a.id != string(ev.ID) {
			a.restart()
		}
	}
	a.id, a.requestID = cmp.Or(a.id, string(ev.ID)), cmp.Or(a.requestID, string(ev.RequestID))
	a.model = cmp.Or(a.model, string(ev.Model))
	for _, h := range ev.WebSearch {
		a.searches = append(a.searches, h.hit())
	}
	if !a.usageKnown {
		a.count(ev.Timings.usage())
	}
	a.count(ev.Groq.Usage)
	a.count(ev.Usage)
	if len(ev.Choices) > 0 {
		a.choice(ev.Choices[0])
	}
	a.begin(ev.Progress)
	if a.size > a.max {
		return errTooLong
	}
	if slices.Contains(brokenOff, a.finish) {
		return a.vendorFailure(ev.Choices)
	}
	return nil
}

// begin reports that the answer has begun, or that the server still reads the prompt.
func (a *answer) begin(reading *promptProgress) {
	if !a.begun && !a.arrived && a.on != nil {
		if reading != nil {
			a.on(providers.Delta{Read: int(reading.Processed), Prompt: int(reading.Total)})
			return
		}
		a.on(providers.Delta{})
	}
	a.begun = true
}

// choice takes the first choice of an event in, whatever its index: api.z.ai was recorded to count the index up with each
// part of one answer (0 reasoning, 1 text, 2 the end), and more than one answer is never asked for.
func (a *answer) choice(ch choice) {
	a.choices = true
	a.count(ch.Usage)
	if ch.Delta != nil {
		a.take(ch.Delta)
	}
	if ch.Message != nil && a.size == 0 { // beside or behind deltas it repeats them
		a.take(ch.Message)
	}
	a.finish = cmp.Or(a.finish, string(ch.FinishReason))
	if a.finished() && a.refused && a.content.Len() == 0 {
		a.finish = "content_filter"
	}
}

// flushThoughts takes in what the splitter still holds. A closing tag without an opening one means that the model's template
// had opened it: all before it is reasoning.
func (a *answer) flushThoughts() {
	if a.thoughts == nil {
		return
	}
	text, thought := a.thoughts.rest()
	a.content.WriteString(text)
	a.reasoning.WriteString(thought)
	if before, after, found := cutClosingTag(a.content.String()); found && a.reasoning.Len() == 0 {
		a.reasoning.WriteString(strings.TrimSpace(before))
		a.content.Reset()
		a.content.WriteString(after)
	}
	a.thoughts = nil
}

// restart forgets what has arrived: behind a torn event, api.z.ai was recorded to begin the answer again under another
// id. Elsewhere a new id means nothing, since some gateways give each event one.
func (a *answer) restart() {
	a.id, a.requestID, a.finish, a.usage, a.usageKnown, a.searches, a.calls = "", "", "", providers.Usage{}, false, nil, nil
	a.fields, a.reasoningName, a.costKnown = nil, "", false
	if a.thoughts != nil {
		a.thoughts = &thoughtSplitter{}
	}
	a.content, a.reasoning, a.contents, a.reasonings = strings.Builder{}, strings.Builder{}, joiner{}, joiner{}
	if a.on != nil {
		a.on(providers.Delta{Restart: true})
	}
}

// brokenOff are finish reasons that are no end but a failure of the vendor's own inference: GLM's (Z.ai API docs, chat
// completion), DeepSeek's (DeepSeek API docs, chat completion), and OpenRouter's (OpenRouter docs, errors), which puts what
// happened beside it.
var brokenOff = []string{"network_error", "insufficient_system_resource", "error"}

// vendorFailure is the error of an answer that its vendor broke off.
func (a *answer) vendorFailure(choices []choice) error {
	f := Fault{Code: a.finish, Message: "finish_reason " + a.finish}
	a.finish = ""
	if len(choices) > 0 {
		if said, ok := faultObject(choices[0].Error); ok {
			f = said
		}
	}
	return &faultError{f}
}

// take adds a delta and delivers it.
func (a *answer) take(d *delta) {
	switch {
	case d.Reasoning != "":
		a.reasoningName = "reasoning_content"
	case d.Thoughts != "":
		d.Reasoning, a.reasoningName = d.Thoughts, "reasoning"
	}
	d.Reasoning += d.Content.thought // a piece has one of them
	a.size += len(d.Content.text) + len(d.Reasoning)
	a.fields = a.keepFields(a.fields, d.fields())
	a.refused = a.refused || d.Refusal != ""
	out := providers.Delta{
		Content: a.contents.push(string(d.Content.text)), Reasoning: a.reasonings.push(string(d.Reasoning)),
		ToolCall: len(d.ToolCalls) > 0,
	}
	if a.thoughts != nil {
		text, thought := a.thoughts.push(out.Content)
		out.Content, out.Reasoning = text, out.Reasoning+thought
	}
	a.content.WriteString(out.Content)
	a.reasoning.WriteString(out.Reasoning)
	for _, p := range d.ToolCalls {
		a.takeCall(p)
	}
	if out.Empty() {
		return
	}
	a.arrived = true
	a.pieces++
	if a.on != nil {
		a.on(out)
	}
}

// takeCall adds a piece to the call that it belongs to, or begins a new one with it.
func (a *answer) takeCall(p callPiece) {
	c := a.callOf(p)
	if c == nil {
		c = &call{index: len(a.calls)}
		if p.Index != nil {
			c.index = int(*p.Index)
		}
		a.calls = append(a.calls, c)
	}
	c.id, c.name = cmp.Or(c.id, string(p.ID)), cmp.Or(c.name, string(p.Function.Name))
	c.arguments.WriteString(c.pieces.push(string(p.Function.Arguments)))
	a.size += len(p.Function.Arguments)
	c.extra = a.keepFields(c.extra, map[string]json.RawMessage{"extra_content": p.Extra})
}

// keepFields adds a piece's fields to those that go back to the vendor. A list comes in parts, anything else whole.
func (a *answer) keepFields(kept, fields map[string]json.RawMessage) map[string]json.RawMessage {
	for _, key := range a.returned {
		raw := fields[key]
		if len(raw) == 0 || string(raw) == "null" {
			continue
		}
		var before, more []json.RawMessage
		if json.Unmarshal(kept[key], &before) == nil && json.Unmarshal(raw, &more) == nil {
			raw, _ = json.Marshal(append(before, more...)) // of JSON
		}
		if kept == nil {
			kept = map[string]json.RawMessage{}
		}
		a.size += len(raw) - len(kept[key])
		kept[key] = raw
	}
	return kept
}

// callOf is the call that a piece continues: the one with its index, else with its id, else the last; nil for a piece that
// begins a call. Only a piece with a name begins one beside a call that it could continue, since gateways were recorded
// to change the id within one call. With a name, another id or another name is another call: some servers give every
// call the index 0, and some repeat the name with every piece.
func (a *answer) callOf(p callPiece) *call {
	var c *call
	for _, known := range slices.Backward(a.calls) {
		if p.Index != nil && known.index == int(*p.Index) || p.Index == nil && p.ID != "" && known.id == string(p.ID) {
			c = known
			break
		}
	}
	name, id := string(p.Function.Name), string(p.ID)
	if c == nil && p.Index == nil && name == "" && len(a.calls) > 0 {
		c = a.calls[len(a.calls)-1]
	}
	if c != nil && name != "" && c.name != "" && (name != c.name || id != "" && c.id != "" && id != c.id) {
		return nil
	}
	return c
}

// count takes usage in; the last report wins, since it is the whole answer's.
func (a *answer) count(u *usage) {
	if u == nil || u.Prompt == 0 && u.Completion == 0 {
		return
	}
	a.usageKnown = true
	cached, reasoning := max(u.Cached, u.PromptDetails.Cached, u.CacheHit), u.CompletionDetails.Reasoning
	if beyond := u.Total - u.Prompt - u.Completion; u.Total > 0 && beyond > 0 && (reasoning == 0 || beyond == reasoning) {
		u.Completion += beyond // thoughts that are not counted there: xAI's, which names them, and Gemini's
		reasoning = max(reasoning, beyond)
	}
	a.usage = providers.Usage{
		InputTokens: int(u.Prompt), OutputTokens: int(u.Completion),
		CachedTokens: int(min(cached, u.Prompt)), ReasoningTokens: int(min(reasoning, u.Completion)),
	}
	if a.costKnown = u.Cost != nil && *u.Cost >= 0; a.costKnown {
		a.usage.CostUSD = float64(*u.Cost)
	}
}

// response is the answer so far, as it came.
func (a *answer) response() *providers.ChatResponse {
	r := &providers.ChatResponse{
		Model: a.model, Content: a.content.String(), Reasoning: a.reasoning.String(),
		FinishReason: finishReason(a.finish), Usage: a.usage, UsageKnown: a.usageKnown, CostKnown: a.costKnown,
		RequestID: cmp.Or(a.requestID, a.id), Searches: a.searches, VendorFields: a.fields,
	}
	if slices.Contains(a.returned, a.reasoningName) {
		r.VendorFields = maps.Clone(r.VendorFields)
		if r.VendorFields == nil {
			r.VendorFields = map[string]json.RawMessage{}
		}
		r.VendorFields[a.reasoningName], _ = json.Marshal(r.Reasoning) // a string
	}
	seen := map[string]bool{}
	for _, c := range a.calls {
		id := c.id
		if id == "" || seen[id] { // some servers give none, and some give every call the same
			id = a.newID()
		}
		seen[id] = true
		name, args := repairCall(c.name, c.arguments.String())
		r.ToolCalls = append(r.ToolCalls, providers.ToolCall{ID: id, Name: name, Arguments: args, VendorFields: c.extra})
	}
	return r
}

// unnamed stands for a call's name where it has none: a message with such a call would be refused when it goes back.
const unnamed = "unnamed"

// repairCall separates a function's name from markup that the vendor's server left in it ("read<arg_key>path</arg_key>
// <arg_value>a.go", recorded of GLM), and takes the arguments from there where the call has none.
func repairCall(name, args string) (repairedName, repairedArgs string) {
	clean := markup.FunctionName(name)
	switch clean {
	case "":
		return unnamed, args
	case name:
		return name, args
	}
	if blank := strings.TrimSpace(args); blank == "" || blank == "{}" {
		inside := markup.ParseCallMarkup("<tool_call>"+name+"</tool_call>", []providers.Function{{Name: clean}})
		if len(inside.Calls) == 1 {
			args = inside.Calls[0].Arguments
		}
	}
	return clean, args
}

// finishReason maps the vendors' words (Z.ai and Moonshot API docs, chat completion) to ours.
func finishReason(word string) providers.FinishReason {
	switch word {
	case "":
		return ""
	case "tool_calls", "function_call":
		return providers.FinishToolCalls
	case "length", "max_tokens", "model_context_window_exceeded":
		return providers.FinishLength
	case "sensitive", "content_filter":
		return providers.FinishContentFilter
	}
	return providers.FinishStop
}
