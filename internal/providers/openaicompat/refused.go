package openaicompat

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// refusedPart is what a refusal says about the request, as far as it may be shown: only names that the request itself holds, or
// that are words of the API and of JSON Schema. The vendor's own sentence is never shown.
type refusedPart struct {
	param    string   // a top-level parameter that can be left out, "" if none
	paths    []string // into the request or into a function's schema ("properties.a"), at most three
	function string   // of the request, whose schema or name is meant
	// schemaPath is the first of paths that leads to something in that function's schema, "" if none does.
	schemaPath string
	message    int    // index of a message in the request, -1 if none
	role       string // of that message
	field      string // of that message
	why        string // a predicate in our words, "" where the vendor's is none that we know
}

// findRefusedPart finds what a refusal of a chat names. w may be nil, for a request that was no chat.
func findRefusedPart(f Fault, w *Wire) refusedPart {
	b := refusedPart{message: -1, why: predicate(f.Message)}
	if w == nil {
		return b
	}
	b.param = refusedParam(f, w.sent)
	b.findMessage(f, w)
	words := w.vocabulary()
	if b.message >= 0 {
		if words[f.Param] && !strings.Contains(f.Param, ".") {
			b.field = f.Param
		} else if i := slices.IndexFunc(messageFields, func(s string) bool { return strings.Contains(f.Message, s) }); i >= 0 {
			b.field = messageFields[i]
		}
		return b
	}
	b.paths = paths(f, words)
	b.findFunction(f, w)
	return b
}

// messageFields are fields of a message that refusals name, the specific ones first.
var messageFields = []string{"reasoning_content", "tool_call_id", "tool_calls", "image_url", "video_url", "file_url"}

var messageAt = lazyregexp.New(`(?i)(?:messages?\b[^0-9\n]{0,40}?(?:index|position)|messages?)[ .#:\[]{0,3}(\d{1,5})|第\s*(\d{1,5})\s*条`)

// findMessage finds the message that a refusal names by its index ("message at index 3", "the message at position 2 with
// role 'user'", "messages[1].content").
func (b *refusedPart) findMessage(f Fault, w *Wire) {
	m := messageAt().FindStringSubmatch(f.Param + " " + f.Message)
	if m == nil {
		return
	}
	n, err := strconv.Atoi(cmp.Or(m[1], m[2]))
	if err != nil || n >= len(w.Messages) {
		return
	}
	b.message, b.role = n, w.Messages[n].Role
}

// toolAt matches the index of a function in a path: "tools[1].function.parameters", "tools.1.function.name".
var toolAt = lazyregexp.New(`\btools[.\[](\d{1,4})\b`)

// findFunction finds the function of the request that a refusal means: the one that it names, by name or index, else the
// only one whose schema has what it names.
func (b *refusedPart) findFunction(f Fault, w *Wire) {
	index := -1
	if m := toolAt().FindStringSubmatch(f.Param + " " + f.Message); m != nil {
		index, _ = strconv.Atoi(m[1]) // digits
	}
	var candidates []refusedPart
	for i, t := range w.Tools {
		if t.Function == nil {
			continue
		}
		found := refusedPart{function: t.Function.Name}
		if raw, err := json.Marshal(t.Function.Parameters); err == nil {
			if at := slices.IndexFunc(b.paths, func(path string) bool { return resolves(raw, path) }); at >= 0 {
				found.schemaPath = b.paths[at]
			}
		}
		if i == index || containsWord(f.Message, t.Function.Name) {
			b.function, b.schemaPath = found.function, found.schemaPath
			return
		}
		if found.schemaPath != "" {
			candidates = append(candidates, found)
		}
	}
	if len(candidates) == 1 {
		b.function, b.schemaPath = candidates[0].function, candidates[0].schemaPath
	}
}

func containsWord(s, word string) bool {
	for _, found := range pathPattern().FindAllString(s, -1) {
		if found == word || strings.HasSuffix(found, "."+word) {
			return word != ""
		}
	}
	return false
}

// pathPattern matches what may be a path or a name: "properties.a", "tools.0.function.name", "messages[1].content".
var pathPattern = lazyregexp.New(`[A-Za-z_$][\w$-]*(?:\.[\w$-]+|\[\d{1,4}\])*`)

// steps are the names and indexes of a path.
func steps(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
}

// paths are the paths that a refusal names and that consist of words of the request. A single word is one only where the
// vendor sets it apart ("The stop parameter", "stop 参数", 'stop', "param": "stop"), since prose uses the same words.
func paths(f Fault, words map[string]bool) []string {
	known := func(path string) bool {
		return !slices.ContainsFunc(steps(path), func(s string) bool {
			_, err := strconv.Atoi(s)
			return err != nil && !words[s]
		})
	}
	var found []string
	add := func(path string) {
		if path = strings.TrimRight(path, ".-"); path != "" && len(path) <= 200 && known(path) && !slices.Contains(found, path) && len(found) < 3 {
			found = append(found, path)
		}
	}
	add(f.Param)
	if strings.Contains(strings.ToLower(f.Message), "function name") {
		add("tools.function.name")
	}
	if pair := conflictPattern().FindStringSubmatch(f.Message); pair != nil {
		add(pair[1])
		add(pair[2])
	}
	for _, at := range pathPattern().FindAllStringIndex(f.Message, -1) {
		if path := f.Message[at[0]:at[1]]; len(steps(path)) > 1 || setApart(f.Message, at[0], at[1]) {
			add(path)
		}
	}
	return found
}

// conflictPattern matches two parameters that a refusal says not to go together: "temperature and do_sample cannot be set at
// the same time", "temperature 与 do_sample 参数不能同时设置".
var conflictPattern = lazyregexp.New("(?i)([a-z_]{1,40})['\"`”]?(?: and | or | with |, ?| ?[与和及或、] ?)['\"`“]?([a-z_]{1,40})['\"`”]?(?: ?参数| parameters?)? ?" +
	"(?:cannot|can't|can not|must not|may not|are mutually|are incompatible|不能|不可|互斥)")

var (
	beforeName = lazyregexp.New("(?i)(?:['\"`“]|parameters?:? |field:? |property |invalid |missing |接收到|参数|\\bthe )$")
	afterName  = lazyregexp.New("(?i)^(?:['\"`”]|: | parameters?\\b| field\\b| ?参数| is (?:not|required|invalid|missing|illegal))")
)

func setApart(s string, from, to int) bool {
	return beforeName().MatchString(s[max(0, from-20):from]) && afterName().MatchString(s[to:]) ||
		strings.HasPrefix(s[to:], "参数") || strings.HasPrefix(s[to:], " 参数") || strings.HasPrefix(s[to:], " parameter") ||
		strings.HasSuffix(strings.ToLower(s[:from]), "invalid ") && strings.HasPrefix(s[to:], ":")
}

// predicates are what refusals say, in our words; the first that a text contains counts.
var predicates = []struct{ text, ours string }{
	{"type is not defined", "has no type"},
	{"without type", "has no type"},
	{"root must be of type object", "must have the type object"},
	{"is duplicated", "is used twice"},
	{"duplicate", "is used twice"},
	{"cannot specify both", "cannot be combined"},
	{"at the same time", "cannot be combined"},
	{"simultaneously", "cannot be combined"},
	{"mutually exclusive", "cannot be combined"},
	{"be set together", "cannot be combined"},
	{"be used together", "cannot be combined"},
	{"不能同时", "cannot be combined"},
	{"不可同时", "cannot be combined"},
	{"互斥", "cannot be combined"},
	{"incompatible", "cannot be combined with the rest of the request"},
	{"must not be empty", "must not be empty"},
	{"not received", "is missing"},
	{"未正常接收到", "is missing"},
	{"is required", "is missing"},
	{"missing", "is missing"},
	{"is not found", "is not known"},
	{"not a valid moonshot flavored json schema", "is not a schema that the vendor takes"},
	{"json schema", "is not a schema that the vendor takes"},
	{"not supported", "is not supported"},
	{"does not support", "is not supported"},
	{"不支持", "is not supported"},
	{"must be between", "is out of range"},
	{"out of range", "is out of range"},
	{"is allowed", "has a value that is not allowed"},
	{"illegal", "has a value that is not allowed"},
	{"非法", "has a value that is not allowed"},
	{"invalid", "is invalid"},
}

func predicate(message string) string {
	message = strings.ToLower(message)
	for _, p := range predicates {
		if strings.Contains(message, p.text) {
			return p.ours
		}
	}
	return ""
}

// String says what was refused, "" where nothing may be shown but a parameter that can be left out.
func (b refusedPart) String() string {
	var what string
	switch {
	case b.message >= 0:
		what = fmt.Sprintf("message %d (%s)", b.message, b.role)
		if b.field != "" {
			what = b.field + " of " + what
		}
	case len(b.paths) > 0:
		what = strings.Join(b.paths, " and ")
		if b.function != "" {
			what += " of the function " + b.function
		}
	case b.function != "":
		what = "the function " + b.function
	default:
		return ""
	}
	if b.why != "" {
		return what + " " + b.why
	}
	return what
}

// schemaWords are the words of JSON Schema and of the chat API that a path may go through.
var schemaWords = strings.Fields(`type properties required items anyOf oneOf allOf enum const format title description default
	minimum maximum minItems maxItems minLength maxLength pattern additionalProperties $ref $defs definitions
	prompt tools function functions parameters name arguments strict messages content role text image_url url video_url file_url
	response_format json_schema schema thinking keep clear_thinking tool_choice temperature top_p max_tokens
	max_completion_tokens stop stream stream_options reasoning_effort web_search search_query user_id request_id do_sample
	prompt_cache_key prompt_cache_options n presence_penalty frequency_penalty tool_call_id tool_calls reasoning_content model`)

// vocabulary is every word that a refusal may be quoted with: those of schemas and the API, the request's parameters, and
// the keys in its functions' schemas.
func (w *Wire) vocabulary() map[string]bool {
	words := map[string]bool{}
	for _, s := range slices.Concat(schemaWords, w.sent) {
		words[s] = true
	}
	for _, t := range w.Tools {
		if t.Function == nil {
			continue
		}
		words[t.Function.Name] = true
		if raw, err := json.Marshal(t.Function.Parameters); err == nil {
			var schema any
			_ = json.Unmarshal(raw, &schema) // it has just been encoded
			addKeys(schema, words)
		}
	}
	return words
}

func addKeys(v any, words map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			words[key] = true
			addKeys(value, words)
		}
	case []any:
		for _, value := range v {
			addKeys(value, words)
		}
	}
}

// resolves reports whether a path leads to something in a JSON value.
func resolves(raw json.RawMessage, path string) bool {
	for _, step := range steps(path) {
		var object map[string]json.RawMessage
		var list []json.RawMessage
		if json.Unmarshal(raw, &object) == nil && object[step] != nil {
			raw = object[step]
			continue
		}
		n, err := strconv.Atoi(step)
		if err != nil || json.Unmarshal(raw, &list) != nil || n < 0 || n >= len(list) {
			return false
		}
		raw = list[n]
	}
	return true
}
