package markup

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// frameTokens matches the tokens that open and close calls and sections of calls: <tool_call>, </tool_call>,
// <|tool_calls_section_begin|>, <｜tool▁call▁end｜>, <minimax:tool_call>, <function_calls>, <start_function_call>, [TOOL_CALLS]
// and their like.
const frameTokens = `<[|｜]?/?(?:[a-z]{2,12}:|｜DSML｜|longcat_|start_|end_)?(?:tool|function)[_▁]?calls?(?:[_▁]section)?(?:[_▁](?:begin|end|start))?[|｜]?>|` +
	`\[TOOL_CALLS\]|<\|python_tag\|>|<\|(?:START|END)_ACTION\|>|<\|action_(?:start|end)\|>`

var (
	frameToken = lazyregexp.New(`(?i)^(?:` + frameTokens + `)`)
	// specialToken matches any other token of a template; within a run of calls it means nothing to us.
	specialToken = lazyregexp.New(`^(?:<\|close\|>\s*[a-z]{1,20}\s*(?:<\|sep\|>|<[^<>]{0,5}$|$)|<[|｜]/?[A-Za-z_▁]{2,40}[|｜]>)`)
	// cutTag matches a tag, or a fence around arguments, that the end of the text cuts.
	cutTag = lazyregexp.New("^(?:<[^<>{}\n]{0,80}|(?:\\[CALL_ID\\][\\w-]{0,64})?(?:\\[[A-Z_]{0,11})?|`{1,3})$")
)

// call is one call as it was written.
type call struct {
	name      string
	arguments string // a JSON object, where whole
	whole     bool
}

// run reads one run of call markup, from where it may begin to the end of the text.
type run struct {
	s       string
	i       int // how far it has been read
	offered []providers.Function
	calls   []call

	closings func() []int // of s
	open     bool         // an opening token was read, so that a bare name or JSON is a call
	pending  bool         // ... and no call after it yet
	plain    bool         // ... and it is a tag such as prose may name, no special token
}

func (r *run) rest() string { return r.s[r.i:] }

func (r *run) skipSpace() {
	r.i = len(r.s) - len(strings.TrimLeft(r.rest(), " \t\r\n"))
}

// skip takes a literal, white space before it included.
func (r *run) skip(token string) bool {
	rest := strings.TrimLeft(r.rest(), " \t\r\n")
	if !strings.HasPrefix(rest, token) {
		return false
	}
	r.i = len(r.s) - len(rest) + len(token)
	return true
}

func (r *run) add(c call) {
	r.calls = append(r.calls, c)
	r.pending = false
}

// read reads to the end of the text. It is false when something there is no markup, at which r.i then stands.
func (r *run) read() bool {
	start := r.i
	for {
		r.skipSpace()
		if r.i == len(r.s) {
			break
		}
		if !r.token() && !r.call() {
			if r.i == start || !cutTag().MatchString(r.rest()) {
				return false
			}
			r.i = len(r.s)
		}
	}
	if r.pending {
		r.add(call{})
	}
	return true
}

// token takes a token that stands around calls.
func (r *run) token() bool {
	if m := frameToken().FindString(r.rest()); m != "" {
		r.i += len(m)
		r.open = !closing(m)
		r.pending, r.plain = r.open, !strings.ContainsAny(m, "|｜[")
		return true
	}
	if m := specialToken().FindString(r.rest()); m != "" && !harmonyCall(r.rest()) && !channelCall().MatchString(r.rest()) {
		r.i += len(m)
		return true
	}
	return false
}

func closing(token string) bool {
	return strings.Contains(token, "/") || strings.HasSuffix(strings.TrimRight(strings.ToLower(token), "|｜>"), "end") ||
		strings.HasPrefix(token, "<|END_") || strings.HasPrefix(token, "<end_") || strings.HasSuffix(token, "|>") && strings.HasPrefix(token, "<t")
}

// call takes one call, in whatever spelling.
func (r *run) call() bool {
	switch rest := r.rest(); {
	case channelCall().MatchString(rest):
		r.channelCall()
	case harmonyCall(rest):
		r.harmonyCall()
	case elementCall().MatchString(rest):
		r.elementCall()
	case r.open && (rest[0] == '{' || rest[0] == '['):
		r.jsonCalls()
	default:
		return r.namedCall()
	}
	return true
}

var frames = lazyregexp.New(`(?i)` + frameTokens)

// closings finds the closing tokens of a text, once for all of its runs.
func closings(s string) func() []int {
	return sync.OnceValue(func() []int {
		var at []int
		for _, m := range frames().FindAllStringIndex(s, -1) {
			if closing(s[m[0]:m[1]]) {
				at = append(at, m[0])
			}
		}
		return at
	})
}

// nextClosing is where the next closing token begins, or the text's end.
func (r *run) nextClosing() int {
	at := r.closings()
	if i, _ := slices.BinarySearch(at, r.i); i < len(at) {
		return at[i]
	}
	return len(r.s)
}

// unreadable takes a call whose inside is in no known form: up to the next closing token or, where there is none, to the
// end of the text.
func (r *run) unreadable(name string) {
	r.i = r.nextClosing()
	r.add(call{name: name})
}

// closes reports whether a closing token follows: what a call that is written part by part needs to be whole.
func (r *run) closes() bool {
	r.skipSpace()
	m := frameToken().FindString(r.rest())
	return m != "" && closing(m)
}

// The name in JSON that does not decode, and in a call written as code.
var (
	jsonName = lazyregexp.New(`["'](?:name|tool_name|function)["']\s*:\s*["']([^"']{1,128})`)
	codeName = lazyregexp.New(`^\[?\s*([A-Za-z_][\w.-]{0,127})\s*\(`)
)

func brokenName(s string) string {
	for _, form := range []func() *regexp.Regexp{jsonName, codeName} {
		if m := form().FindStringSubmatch(s); m != nil {
			return m[1]
		}
	}
	return ""
}

// jsonCalls takes a JSON object that is a call, or a list of them.
func (r *run) jsonCalls() {
	raw, err := r.value()
	var list []json.RawMessage
	switch {
	case err == nil && raw[0] == '{':
		list = []json.RawMessage{raw}
	case err == nil && json.Unmarshal(raw, &list) == nil && len(list) > 0:
	default:
		start := r.i
		if errors.Is(err, io.ErrUnexpectedEOF) {
			r.i = len(r.s)
		} else {
			r.i = r.nextClosing()
		}
		r.add(call{name: brokenName(r.s[start:r.i])})
		return
	}
	for _, item := range list {
		r.add(jsonCall(item))
	}
}

// jsonCall reads a call of the form {"name": ..., "arguments": ...}, under any of the names that templates give the two,
// and OpenAI's {"function": {...}}.
func jsonCall(raw json.RawMessage) call {
	var c struct {
		Name       string          `json:"name"`
		ToolName   string          `json:"tool_name"`
		Function   json.RawMessage `json:"function"`
		Arguments  json.RawMessage `json:"arguments"`
		Parameters json.RawMessage `json:"parameters"`
		Input      json.RawMessage `json:"input"`
	}
	if json.Unmarshal(raw, &c) != nil {
		return call{}
	}
	name, args := c.Name, json.RawMessage(nil)
	if name == "" {
		name = c.ToolName
	}
	for _, a := range []json.RawMessage{c.Arguments, c.Parameters, c.Input} {
		if args == nil {
			args = a
		}
	}
	if name == "" && len(c.Function) > 0 {
		if c.Function[0] == '{' {
			return jsonCall(c.Function)
		}
		_ = json.Unmarshal(c.Function, &name) // what is no string is no name
	}
	return withArguments(name, args)
}

// withArguments makes a call of a name and its arguments in JSON: an object, or a string that holds one.
func withArguments(name string, args json.RawMessage) call {
	var inside string
	if json.Unmarshal(args, &inside) == nil && inside != "" { // null is "" as well
		args = json.RawMessage(inside)
	}
	if trimmed := bytes.TrimSpace(args); len(trimmed) == 0 || string(trimmed) == "null" || inside == "" && len(args) > 0 && args[0] == '"' {
		args = json.RawMessage("{}")
	}
	var compact bytes.Buffer
	if name == "" || json.Compact(&compact, args) != nil || compact.Bytes()[0] != '{' {
		return call{name: name}
	}
	return call{name: name, arguments: compact.String(), whole: true}
}

// value takes one JSON value. Where it can't, nothing is taken and the error is io.ErrUnexpectedEOF for a value that the
// end of the text cuts.
func (r *run) value() (json.RawMessage, error) {
	r.skipSpace()
	d := json.NewDecoder(strings.NewReader(r.rest()))
	var raw json.RawMessage
	err := d.Decode(&raw)
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	}
	r.i += int(d.InputOffset())
	return raw, nil
}

// Names and what may stand between a name and its arguments.
var (
	bareName  = lazyregexp.New(`^[A-Za-z_$][\w$.:-]{0,127}`)
	argTag    = lazyregexp.New(`^</?(?:longcat_)?arg_(?:key|value)>`)
	beforeArg = lazyregexp.New(`(?i)^(?:<[|｜]tool[_▁]call[_▁]argument[_▁]begin[|｜]>|(?:\[CALL_ID\][\w-]{0,64})?\[ARGS\]|<[|｜]tool[_▁]sep[|｜]>)`)
)

// namedCall takes a call that begins with the function's bare name. It is false where the name is a word of prose: one
// that a blank separates from the tag before it is taken only with arguments.
func (r *run) namedCall() bool {
	start, name := r.i, bareName().FindString(r.rest())
	if name == "" || !r.open && !strings.HasPrefix(strings.TrimLeft(r.s[r.i+len(name):], " \t\r\n"), "<arg_key>") {
		return false
	}
	spaced := r.plain && start > 0 && strings.ContainsRune(" \t", rune(r.s[start-1]))
	r.i += len(name)
	name = r.realName(name)
	switch rest := r.rest(); {
	case strings.HasPrefix(rest, "<arg_key>"):
		r.pairs(name)
		return true
	case strings.HasPrefix(rest, "{"), strings.HasPrefix(rest, "```"):
		r.bareArguments(name)
		return true
	case argTag().MatchString(rest):
		r.unreadable(name)
		return true
	case spaced:
	case rest == "":
		r.add(call{name: name})
		return true
	case frameToken().MatchString(rest):
		r.add(call{name: name, arguments: "{}", whole: r.closes()})
		return true
	case elementCall().MatchString(rest): // which names the function once more
		return true
	case cutTag().MatchString(rest):
		r.i = len(r.s)
		r.add(call{name: name})
		return true
	case strings.ContainsRune(`<(["=`, rune(rest[0])) && r.nextClosing() < len(r.s):
		r.unreadable(name)
		return true
	}
	r.i = start
	return false
}

// realName takes the token between a name and its arguments. DeepSeek puts the type of the call before it and the name
// behind it.
func (r *run) realName(name string) string {
	r.skipSpace()
	m := beforeArg().FindString(r.rest())
	if m == "" {
		return name
	}
	r.i += len(m)
	r.skipSpace()
	if behind := bareName().FindString(r.rest()); behind != "" {
		name = behind
		r.i += len(behind)
		r.skipSpace()
	}
	return name
}

// bareArguments takes a call's arguments as a JSON object, in a fence or not.
func (r *run) bareArguments(name string) {
	fenced := r.skip("```json") || r.skip("```")
	args, err := r.value()
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		r.i = len(r.s)
		r.add(call{name: name})
	case err != nil:
		r.unreadable(name)
	default:
		if fenced {
			r.skip("```")
		}
		r.add(withArguments(name, args))
	}
}

// pairs takes GLM's arguments, a key and a value each.
func (r *run) pairs(name string) {
	values := map[string]json.RawMessage{}
	for {
		start := r.i
		if !r.skip("<arg_key>") {
			break
		}
		key, value, ok := r.pair()
		if !ok {
			r.i = start
			r.unreadable(name)
			return
		}
		values[key] = written(value, parameterType(r.offered, functionName(name, r.offered), key))
	}
	r.finish(name, values)
}

func (r *run) pair() (key, value string, ok bool) {
	if key, ok = r.until("</arg_key>"); !ok || !r.skip("<arg_value>") {
		return "", "", false
	}
	value, ok = r.until("</arg_value>")
	return strings.TrimSpace(key), value, ok
}

// finish adds a call whose arguments were written one by one: whole where a closing token follows.
func (r *run) finish(name string, values map[string]json.RawMessage) {
	if !r.closes() {
		r.add(call{name: name})
		return
	}
	r.add(withValues(name, values))
}

// until takes the text up to a token, the token included. It is false, and all of the text taken, where there is none.
func (r *run) until(token string) (string, bool) {
	text, _, ok := strings.Cut(r.rest(), token)
	if !ok {
		r.i = len(r.s)
		return text, false
	}
	r.i += len(text) + len(token)
	return text, true
}
