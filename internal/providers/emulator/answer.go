package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// builtinSearch is Kimi's old search tool: the model calls it, and the client echoes the arguments.
const builtinSearch = "$web_search"

// chat answers POST chat/completions.
func (x *exchange) chat() (*wire, error) {
	v := x.record.Vendor
	if err := x.member(); err != nil {
		return nil, err
	}
	c, err := parseChat(x.sent)
	if err != nil {
		return nil, unreadable(v, err)
	}
	x.note(func(r *Request) { r.Chat = c })
	f, err := x.e.model(v, c)
	if err != nil {
		return nil, err
	}
	rules := map[Vendor]func() []check{GLM: glmRules, Kimi: kimiRules, Lab: labRules}[v]
	in := &inquiry{e: x.e, v: v, c: c, f: f, tokens: promptTokens(v, c)}
	for _, rule := range rules() {
		if err := rule(in); err != nil {
			return nil, err
		}
	}
	if err := x.admit(); err != nil {
		return nil, err
	}
	return x.respond(in, x.e.reply(x.snapshot())), nil
}

// unreadable is the refusal of a body that is no JSON, or has a value of the wrong type.
func unreadable(v Vendor, err error) error {
	var bad *badField
	if errors.As(err, &bad) {
		if v == GLM {
			return glmIllegal("wrong type of "+bad.name, bad.name)
		}
		if v == Lab {
			return labBad("wrong type of "+bad.name, "invalid_type", bad.name, "Invalid type for '%s'.", bad.name)
		}
		return badRequest(v, "wrong type of "+bad.name, "", "Invalid request: "+bad.Error())
	}
	if v == GLM {
		return badRequest(v, "malformed JSON", "1210", "Invalid API parameter, please check the documentation.")
	}
	return badRequest(v, "malformed JSON", "", "Invalid request: "+err.Error())
}

// admit lets a valid chat in, if the account is paid and the vendor's concurrency allows it.
func (x *exchange) admit() error {
	v, e := x.record.Vendor, x.e
	e.mu.Lock()
	defer e.mu.Unlock()
	unpaid, full := e.balance[v] <= 0, e.parallel[v] > 0 && e.busy[v] >= e.parallel[v]
	switch {
	case unpaid && v == Lab:
		return &refusal{rule: "no balance", status: 429, body: labError("insufficient_quota", "insufficient_quota", "", "You exceeded your current quota, please check your plan and billing details.")}
	case full && v == Lab:
		return &refusal{rule: "too many at once", status: 429, body: labError("requests", "rate_limit_exceeded", "", "Rate limit reached: too many concurrent requests.")}
	case unpaid && v == GLM:
		return &refusal{rule: "no balance", status: 429, code: "1113", message: "Insufficient balance or no resource package. Please recharge."}
	case unpaid:
		return &refusal{
			rule: "no balance", status: 429, code: "exceeded_current_quota_error",
			message: "Your account is suspended due to insufficient balance, please recharge your account or check your plan and billing details",
		}
	case full && v == GLM:
		return &refusal{rule: "too many at once", status: 429, code: "1302", message: "Rate limit reached for requests: too much API concurrency, please reduce it"}
	case full:
		return &refusal{
			rule: "too many at once", status: 429, code: "rate_limit_reached_error",
			message: fmt.Sprintf("Your account request reached max concurrency: %d, please try again after 1 seconds", e.parallel[v]),
		}
	}
	e.busy[v]++
	x.counts = true
	return nil
}

// respond makes the wire form of a chat's answer.
func (x *exchange) respond(in *inquiry, reply Reply) *wire {
	for _, f := range reply.Faults {
		if f.reply != nil {
			f.reply(&reply)
		}
	}
	a := in.answer(reply)
	if in.f.ThinkTags {
		a.inTags()
	}
	s := x.shape(in.c)
	s.includeUsage = s.includeUsage && !in.f.NoUsage
	w := &wire{vendor: in.v, status: http.StatusOK, header: http.Header{}, stream: in.c.Stream, shape: s}
	switch {
	case reply.JSON != "":
		w.stream = false
		w.frames = pieces([]byte(reply.JSON))
	case w.stream:
		w.frames = s.stream(a, max(value(in.c.body.N), 1))
	default:
		w.frames = pieces(s.body(a, max(value(in.c.body.N), 1)))
	}
	switch {
	case !w.stream:
		w.header.Set("Content-Type", "application/json; charset=utf-8")
	case in.v == GLM:
		w.header.Set("Content-Type", "text/event-stream;charset=UTF-8")
	default:
		w.header.Set("Content-Type", "text/event-stream")
	}
	w = w.with(reply.Faults)
	if first := x.e.load(in.f); first.wait > 0 {
		rest := w.frames
		w.frames = func(yield func(frame) bool) {
			if yield(first) {
				rest(yield)
			}
		}
	}
	return w
}

func (x *exchange) shape(c *Chat) shape {
	n, now := x.e.nextID(), time.Now()
	s := shape{
		vendor: x.record.Vendor, model: c.Model, created: now,
		includeUsage: c.IncludeUsage, toolStream: value(c.body.ToolStream),
	}
	if s.vendor == GLM {
		s.id = now.UTC().Format("20060102150405") + hexID("", n, 18)
		s.requestID = value(c.body.RequestID)
		if s.requestID == "" {
			s.requestID = s.id
		}
		return s
	}
	s.id = hexID("chatcmpl-", n, 24)
	return s
}

// inquiry is a chat that is being checked and answered.
type inquiry struct {
	e      *Emulator
	v      Vendor
	c      *Chat
	f      facts
	tokens int // of the prompt
}

// answer is what the model says: the script's words, or the emulator's own.
func (in *inquiry) answer(r Reply) answer {
	a := answer{
		reasoning: r.Reasoning, content: r.Content, calls: r.ToolCalls, finish: r.FinishReason,
		thinks: in.f.thinks(in.c), gap: r.Gap, objects: r.ObjectArguments || in.v == Lab,
		countParts: r.CountParts,
	}
	if !r.scripted() {
		in.own(&a)
	}
	if a.finish == "" {
		a.finish = "stop"
		if len(a.calls) > 0 {
			a.finish = "tool_calls"
		}
	}
	a.hits = in.searched(r.Hits)
	a.usage = in.usage(a)
	if r.Usage != nil {
		a.usage = *r.Usage
	}
	return a
}

// own is the answer without a script: it has the form that the prompt gives, or repeats what the vendor understood, and says that
// it is emulated.
func (in *inquiry) own(a *answer) {
	c := in.c
	said := firstWords(c.LastUser(), 12)
	if a.thinks {
		a.reasoning = words(fmt.Sprintf("This reasoning is emulated; no model is thinking about %q.", said))
	}
	if call, ok := in.ownCall(); ok {
		a.calls = []ToolCall{call}
		return
	}
	form := in.formed()
	switch {
	case c.Format == "json_schema":
		a.content = words(string(mustJSON(sampleOf(c.schema()))))
	case form != nil:
		a.content = words(string(mustJSON(form)))
	case c.Format == "json_object":
		a.content = words(string(mustJSON(map[string]any{
			"emulated": true, "model": c.Model, "thinking": in.switchWord(), "you_said": said,
		})))
	default:
		a.content = words(fmt.Sprintf("This answer is emulated: no model was called. The request was for %s (%s), with %s and %s. "+
			"The last user message begins: %q.", c.Model, in.switchWord(), numberOf(len(c.Messages), "message"), numberOf(len(c.Tools), "tool"), said))
	}
	if c.Limit > 0 {
		truncate(a, c.Limit)
	}
}

// numberOf is a number with its noun.
func numberOf(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// switchWord is the thinking switch in words.
func (in *inquiry) switchWord() string {
	switch {
	case in.c.Effort != "" && len(in.f.Efforts) > 0:
		return "reasoning_effort " + in.c.Effort
	case in.f.thinks(in.c):
		return "thinking"
	}
	return "not thinking"
}

// ownCall is the call that an unscripted model makes when the request forces one, offers Kimi's built-in search, or lets it read.
func (in *inquiry) ownCall() (ToolCall, bool) {
	c := in.c
	last := c.Messages[len(c.Messages)-1]
	if _, ok := c.tool(func(t Tool) bool { return t.Name == builtinSearch }); ok && last.Role == "user" {
		return ToolCall{Name: builtinSearch, Arguments: string(mustJSON(map[string]any{
			"search_result": map[string]string{"search_id": hexID("", in.tokens, 16)},
			"usage":         map[string]int{"total_tokens": builtinSearchTokens},
		}))}, true
	}
	if c.ToolChoice == "" || c.ToolChoice == "auto" || c.ToolChoice == "none" {
		return in.read()
	}
	t, ok := c.tool(func(t Tool) bool {
		return t.Type == "function" && (c.ToolChoice == "required" || c.ToolChoice == t.Name)
	})
	if !ok {
		return ToolCall{}, false
	}
	var entry wireTool
	if err := json.Unmarshal(t.Raw, &entry); err != nil || entry.Function == nil {
		return ToolCall{}, false
	}
	return ToolCall{Name: t.Name, Arguments: string(mustJSON(sampleOf(entry.Function.Parameters)))}, true
}

// schema is the schema of response_format json_schema.
func (c *Chat) schema() json.RawMessage {
	var js struct {
		Schema json.RawMessage `json:"schema"`
	}
	if c.body.ResponseFormat == nil || json.Unmarshal(c.body.ResponseFormat.JSONSchema, &js) != nil {
		return nil
	}
	return js.Schema
}

// sampleOf is a smallest value of a JSON Schema: required properties alone, first choices, least numbers.
func sampleOf(raw json.RawMessage) any {
	var s struct {
		Type       string                     `json:"type"`
		Enum       []any                      `json:"enum"`
		Const      any                        `json:"const"`
		Properties map[string]json.RawMessage `json:"properties"`
		Required   []string                   `json:"required"`
		Items      json.RawMessage            `json:"items"`
		MinItems   int                        `json:"minItems"`
		Minimum    float64                    `json:"minimum"`
		AnyOf      []json.RawMessage          `json:"anyOf"`
	}
	if json.Unmarshal(raw, &s) != nil {
		return map[string]any{}
	}
	switch {
	case s.Const != nil:
		return s.Const
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.AnyOf) > 0:
		return sampleOf(s.AnyOf[0])
	}
	switch s.Type {
	case "string":
		return "emulated"
	case "integer", "number":
		return s.Minimum
	case "boolean":
		return false
	case "null":
		return nil
	case "array":
		items := []any{}
		for range s.MinItems {
			items = append(items, sampleOf(s.Items))
		}
		return items
	}
	object := map[string]any{}
	for _, name := range s.Required {
		object[name] = sampleOf(s.Properties[name])
	}
	return object
}

// words cuts a text into the pieces that a stream would carry, a few words each.
func words(s string) []string {
	var out []string
	n := 0
	from := 0
	for i, r := range s {
		if r == ' ' {
			if n++; n == 4 {
				out = append(out, s[from:i+1])
				from, n = i+1, 0
			}
		}
	}
	if from < len(s) {
		out = append(out, s[from:])
	}
	return out
}

func firstWords(s string, n int) string {
	fields := strings.Fields(s)
	if len(fields) <= n {
		return strings.Join(fields, " ")
	}
	return strings.Join(fields[:n], " ") + " …"
}

// truncate ends an answer at a limit in tokens, which reasoning uses up first.
func truncate(a *answer, limit int) {
	room := limit * bytesPerToken
	cut := func(pieces []string) []string {
		for i, p := range pieces {
			if len(p) > room {
				a.finish = "length"
				kept := strings.ToValidUTF8(p[:room], "")
				room = 0
				if kept == "" {
					return pieces[:i]
				}
				return append(pieces[:i:i], kept)
			}
			room -= len(p)
		}
		return pieces
	}
	a.reasoning = cut(a.reasoning)
	a.content = cut(a.content)
}
