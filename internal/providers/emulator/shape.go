package emulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"time"
)

// doneEvent ends a stream of either vendor.
const doneEvent = "data: [DONE]\n\n"

// shape makes the wire form of one chat's answer: its ids, and what differs between the vendors.
type shape struct {
	vendor       Vendor
	id           string
	requestID    string
	model        string
	created      time.Time
	includeUsage bool
	toolStream   bool // GLM: arguments of tool calls come piecewise
}

// answer is what a model said.
type answer struct {
	reasoning []string
	content   []string
	calls     []ToolCall
	finish    string
	usage     Usage
	thinks    bool
	gap       time.Duration
	hits      []Hit // GLM's search inside a chat, where its results were asked for
	objects   bool  // arguments of calls as objects

	countParts bool // the index of a choice counts the parts of the answer
}

type delta struct {
	Role      string      `json:"role,omitempty"`
	Content   *string     `json:"content,omitempty"`
	Reasoning *string     `json:"reasoning_content,omitempty"`
	Thoughts  *string     `json:"reasoning,omitempty"` // the lab's name for it
	ToolCalls []callPiece `json:"tool_calls,omitempty"`
}

type callPiece struct {
	Index    int       `json:"index"`
	ID       string    `json:"id,omitempty"`
	Type     string    `json:"type,omitempty"`
	Function callInner `json:"function"`
}

type callInner struct {
	Name      string `json:"name,omitempty"`
	Arguments any    `json:"arguments"`
}

// chunk is one event of a stream. A nil delta means no choice at all.
type chunk struct {
	index  int
	delta  *delta
	finish string
	usage  *Usage
	own    bool // Kimi: the usage stands in the choice
	hits   []Hit
}

type wireChoice struct {
	Index        int             `json:"index"`
	Delta        *delta          `json:"delta,omitempty"`
	Message      *wholeMessage   `json:"message,omitempty"`
	FinishReason json.RawMessage `json:"finish_reason,omitempty"`
	Usage        *wireUsage      `json:"usage,omitempty"`
}

type wholeMessage struct {
	Role      string      `json:"role"`
	Content   string      `json:"content"`
	Reasoning string      `json:"reasoning_content,omitempty"`
	Thoughts  string      `json:"reasoning,omitempty"`
	ToolCalls []callPiece `json:"tool_calls,omitempty"`
}

type wireReply struct {
	ID          string       `json:"id"`
	RequestID   string       `json:"request_id,omitempty"`
	Object      string       `json:"object"`
	Created     int64        `json:"created"`
	Model       string       `json:"model"`
	Choices     []wireChoice `json:"choices"`
	Fingerprint string       `json:"system_fingerprint,omitempty"`
	Usage       *wireUsage   `json:"usage,omitempty"`
	WebSearch   []Hit        `json:"web_search,omitempty"`
}

type wireUsage struct {
	Prompt        int            `json:"prompt_tokens"`
	Completion    int            `json:"completion_tokens"`
	Total         int            `json:"total_tokens"`
	Cached        int            `json:"cached_tokens,omitempty"` // Kimi
	PromptDetails map[string]int `json:"prompt_tokens_details,omitempty"`
	OutputDetails map[string]int `json:"completion_tokens_details,omitempty"` // GLM
}

func text(s string) *string { return &s }

func (s shape) usage(u *Usage) *wireUsage {
	if u == nil {
		return nil
	}
	w := &wireUsage{Prompt: u.Prompt, Completion: u.Output, Total: u.Prompt + u.Output}
	switch {
	case s.vendor == GLM:
		w.PromptDetails = map[string]int{"cached_tokens": u.Cached}
		if u.Reasoning > 0 {
			w.OutputDetails = map[string]int{"reasoning_tokens": u.Reasoning}
		}
	case u.Cached > 0:
		w.Cached = u.Cached
		w.PromptDetails = map[string]int{"cached_tokens": u.Cached}
	}
	return w
}

func (s shape) reply(object string) wireReply {
	r := wireReply{ID: s.id, Object: object, Created: s.created.Unix(), Model: s.model, Choices: []wireChoice{}}
	if s.vendor != GLM {
		r.Fingerprint = "fpv0_emulated"
	}
	return r
}

// event is one chunk as server-sent event.
func (s shape) event(c chunk) []byte {
	r := s.reply("chat.completion.chunk")
	r.WebSearch = c.hits
	if c.delta != nil {
		choice := wireChoice{Index: c.index, Delta: c.delta}
		switch {
		case c.finish != "":
			choice.FinishReason = mustJSON(c.finish)
		case s.vendor != GLM:
			choice.FinishReason = json.RawMessage("null")
		}
		if c.own {
			choice.Usage = s.usage(c.usage)
		}
		r.Choices = append(r.Choices, choice)
	}
	if !c.own {
		r.Usage = s.usage(c.usage)
	}
	return event(mustJSON(r))
}

// stream is the whole answer as events. choices is how many alternatives were asked for.
func (s shape) stream(a answer, choices int) iter.Seq[frame] {
	return func(yield func(frame) bool) {
		for i := range choices {
			for _, c := range s.chunks(a, i) {
				f := frame{data: s.event(c), delta: !c.delta.empty(), final: c.finish != ""}
				if f.delta {
					f.wait = a.gap
				}
				if !yield(f) {
					return
				}
			}
		}
		if s.vendor != GLM && s.includeUsage {
			if !yield(frame{data: s.event(chunk{usage: &a.usage}), final: true}) {
				return
			}
		}
		yield(frame{data: []byte(doneEvent), final: true})
	}
}

// empty reports whether the delta is there for its role alone.
func (d *delta) empty() bool {
	return (d.Content == nil || *d.Content == "") && d.Reasoning == nil && d.Thoughts == nil && len(d.ToolCalls) == 0
}

// chunks are one choice's. Reasoning comes before content, content before tool calls.
func (s shape) chunks(a answer, index int) []chunk {
	var out []chunk
	add := func(d delta) {
		if s.vendor == GLM {
			d.Role = "assistant" // GLM names the role in every delta
		}
		out = append(out, chunk{index: index, delta: &d})
	}
	if s.vendor != GLM {
		add(delta{Role: "assistant", Content: text("")})
	}
	for _, r := range a.reasoning {
		if s.vendor == Lab {
			add(delta{Thoughts: text(r)})
			continue
		}
		add(delta{Reasoning: text(r)})
	}
	for _, c := range a.content {
		add(delta{Content: text(c)})
	}
	whole := s.vendor == GLM && !s.toolStream
	for _, c := range s.calls(a) {
		if whole {
			add(delta{ToolCalls: []callPiece{c}})
			continue
		}
		for _, p := range split(c) {
			add(delta{ToolCalls: []callPiece{p}})
		}
	}
	if s.vendor == Lab {
		out = append(out, chunk{index: index, delta: &delta{}, finish: a.finish})
		if a.countParts {
			countParts(out)
		}
		return out
	}
	last := chunk{index: index, delta: &delta{}, finish: a.finish, usage: &a.usage, own: s.vendor == Kimi, hits: a.hits}
	if s.vendor == GLM {
		last.delta = &delta{Role: "assistant", Content: text("")}
		if whole && len(a.calls) > 0 {
			// Without tool_stream, GLM's tool call and its finish_reason may share a chunk.
			last.delta = out[len(out)-1].delta
			out = out[:len(out)-1]
		}
	}
	out = append(out, last)
	if a.countParts {
		countParts(out)
	}
	return out
}

// countParts gives every part of an answer (its reasoning, its text, each call, its end) an index of its own.
func countParts(chunks []chunk) {
	part := func(c chunk) string {
		switch {
		case c.finish != "":
			return "end"
		case len(c.delta.ToolCalls) > 0:
			return fmt.Sprintf("call %d", c.delta.ToolCalls[0].Index)
		case c.delta.Reasoning != nil || c.delta.Thoughts != nil:
			return "reasoning"
		}
		return "text"
	}
	for i := 1; i < len(chunks); i++ {
		chunks[i].index = chunks[i-1].index
		if part(chunks[i]) != part(chunks[i-1]) {
			chunks[i].index++
		}
	}
}

// split cuts a call into the pieces that a stream carries: the name first, then the arguments in parts of a few
// characters, cut without regard to what they mean.
func split(c callPiece) []callPiece {
	args, ok := c.Function.Arguments.(string)
	if !ok {
		return []callPiece{c}
	}
	c.Function.Arguments = ""
	out := []callPiece{c}
	runes := []rune(args)
	for len(runes) > 0 {
		n := min(7, len(runes))
		out = append(out, callPiece{Index: c.Index, Function: callInner{Arguments: string(runes[:n])}})
		runes = runes[n:]
	}
	return out
}

// calls are the answer's calls in wire form. Ids that the script leaves open take the vendor's form: GLM's are unique,
// Kimi's count within the answer and so repeat between turns ("search:0").
func (s shape) calls(a answer) []callPiece {
	var out []callPiece
	for i, c := range a.calls {
		id, typ := c.ID, "function"
		if id == "" && s.vendor == GLM {
			id = fmt.Sprintf("call_%s%02d", s.id, i)
		} else if id == "" && s.vendor == Lab {
			id = fmt.Sprintf("call_%s%02d", s.id[len(s.id)-20:], i)
		} else if id == "" {
			id = fmt.Sprintf("%s:%d", c.Name, i)
		}
		if s.vendor == Kimi && c.Name == builtinSearch {
			typ = "builtin_function"
		}
		p := callPiece{Index: i, ID: id, Type: typ, Function: callInner{Name: c.Name, Arguments: c.Arguments}}
		if a.objects {
			p.Function.Arguments = json.RawMessage(c.Arguments)
		}
		out = append(out, p)
	}
	return out
}

// body is the whole answer as one JSON text.
func (s shape) body(a answer, choices int) []byte {
	r := s.reply("chat.completion")
	if s.vendor == GLM {
		r.RequestID = s.requestID
	}
	for i := range choices {
		message := &wholeMessage{Role: "assistant", Content: join(a.content), Reasoning: join(a.reasoning), ToolCalls: s.calls(a)}
		if s.vendor == Lab {
			message.Thoughts, message.Reasoning = message.Reasoning, ""
		}
		r.Choices = append(r.Choices, wireChoice{Index: i, FinishReason: mustJSON(a.finish), Message: message})
	}
	r.Usage = s.usage(&a.usage)
	r.WebSearch = a.hits
	return mustJSON(r)
}

func join(pieces []string) string {
	var b bytes.Buffer
	for _, p := range pieces {
		b.WriteString(p)
	}
	return b.String()
}

// event wraps a JSON text as server-sent event.
func event(data []byte) []byte {
	return append(append([]byte("data: "), data...), "\n\n"...)
}

// errorBody is an error in the vendor's own form: GLM's code is a string, Kimi has a type.
func errorBody(v Vendor, code, message string) []byte {
	type inner struct {
		Code    string `json:"code,omitempty"`
		Message string `json:"message"`
		Type    string `json:"type,omitempty"`
	}
	if v == Lab {
		return labError(code, code, "", message)
	}
	in := inner{Code: code, Message: message}
	if v == Kimi {
		in = inner{Type: code, Message: message}
	}
	return mustJSON(map[string]inner{"error": in})
}

// mustJSON marshals values of our own making, which cannot fail but by a raw message that a script got wrong.
func mustJSON(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("emulator: a scripted reply is no JSON: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
