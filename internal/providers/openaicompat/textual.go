package openaicompat

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Models sometimes write their own template's markup into the answer. What is done about it is deliberately little,
// since an answer may also be *about* that markup:
//
//   - GLM's box tokens go, their content stays; so does an answer's leading blank. Nothing inside of code is touched.
//   - Tool calls written out as text become tool calls only if they stand at the very end of the answer, outside of
//     code, are whole and well-formed, and each names a function that this request offered. Anything else stays text.

// codeSpans matches fenced blocks (also one that never ends) and inline code.
var codeSpans = lazyregexp.New("(?s)```.*?(?:```|$)|`[^`\n]*`")

var boxTokens = strings.NewReplacer("<|begin_of_box|>", "", "<|end_of_box|>", "")

// tidy removes box tokens outside of code, and leading blank lines.
func tidy(content string) string {
	if strings.Contains(content, "_of_box|>") {
		var b strings.Builder
		last := 0
		for _, span := range codeSpans().FindAllStringIndex(content, -1) {
			b.WriteString(boxTokens.Replace(content[last:span[0]]))
			b.WriteString(content[span[0]:span[1]])
			last = span[1]
		}
		b.WriteString(boxTokens.Replace(content[last:]))
		content = b.String()
	}
	return strings.TrimLeft(content, "\r\n")
}

// The calls at an answer's end: GLM's <tool_call>name <arg_key>k</arg_key><arg_value>v</arg_value></tool_call> or with
// JSON inside, and Kimi's <|tool_call_begin|>functions.name:0<|tool_call_argument_begin|>{...}<|tool_call_end|>, alone or
// in a section (chat templates of GLM-4.5 and Kimi-K2).
var (
	glmTail     = lazyregexp.New(`(?s)(?:<tool_call>.*?</tool_call>\s*)+$`)
	glmCall     = lazyregexp.New(`(?s)<tool_call>(.*?)</tool_call>`)
	glmName     = lazyregexp.New(`^\s*([A-Za-z0-9_-]+)\s*`)
	glmArg      = lazyregexp.New(`(?s)^\s*<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>\s*`)
	kimiSection = lazyregexp.New(`<\|tool_calls?_section_(?:begin|end)\|>`)
	kimiTail    = lazyregexp.New(`(?s)(?:<\|tool_calls?_section_begin\|>\s*)?(?:<\|tool_call_begin\|>.*?<\|tool_call_end\|>\s*)+(?:<\|tool_calls?_section_end\|>\s*)?$`)
	kimiCall    = lazyregexp.New(`(?s)<\|tool_call_begin\|>\s*(?:functions\.)?([A-Za-z0-9_-]+):\d+\s*<\|tool_call_argument_begin\|>(.*?)<\|tool_call_end\|>`)
)

// leakedCalls takes tool calls that were written as text off the answer's end. It returns the answer unchanged and no
// calls unless every one of them is whole and was offered.
func leakedCalls(content string, offered []providers.Function) (string, []providers.ToolCall) {
	if len(offered) == 0 {
		return content, nil
	}
	for _, form := range []struct {
		mark  string
		tail  func() *regexp.Regexp
		parse func(string, []providers.Function) []providers.ToolCall
	}{{"<tool_call>", glmTail, parseGLMCalls}, {"<|tool_call_begin|>", kimiTail, parseKimiCalls}} {
		if !strings.Contains(content, form.mark) {
			continue
		}
		at := form.tail().FindStringIndex(content)
		if at == nil || insideCode(content, at[0]) {
			continue
		}
		calls := form.parse(content[at[0]:], offered)
		if len(calls) > 0 && allOffered(calls, offered) {
			return strings.TrimRight(content[:at[0]], " \r\n"), calls
		}
	}
	return content, nil
}

func insideCode(content string, at int) bool {
	return slices.ContainsFunc(codeSpans().FindAllStringIndex(content, -1), func(span []int) bool {
		return span[0] <= at && at < span[1]
	})
}

func allOffered(calls []providers.ToolCall, offered []providers.Function) bool {
	for _, c := range calls {
		if !slices.ContainsFunc(offered, func(f providers.Function) bool { return f.Name == c.Name }) {
			return false
		}
	}
	return true
}

// parseGLMCalls reads GLM's form; nil unless all of it can be read.
func parseGLMCalls(tail string, offered []providers.Function) []providers.ToolCall {
	if strings.TrimSpace(glmCall().ReplaceAllString(tail, "")) != "" {
		return nil
	}
	var calls []providers.ToolCall
	for i, m := range glmCall().FindAllStringSubmatch(tail, -1) {
		name, args, ok := parseGLMCall(m[1], offered)
		if !ok {
			return nil
		}
		calls = append(calls, providers.ToolCall{ID: fmt.Sprintf("leaked_%d", i), Name: name, Arguments: args})
	}
	return calls
}

func parseGLMCall(inner string, offered []providers.Function) (name, args string, ok bool) {
	var whole struct {
		Name      string `json:"name"`
		Arguments Text   `json:"arguments"`
	}
	if json.Unmarshal([]byte(inner), &whole) == nil && whole.Name != "" {
		args = arguments(string(whole.Arguments))
		return whole.Name, args, isObject(args)
	}
	m := glmName().FindStringSubmatch(inner)
	if m == nil {
		return "", "", false
	}
	rest, values := inner[len(m[0]):], map[string]json.RawMessage{}
	for rest != "" {
		arg := glmArg().FindStringSubmatch(rest)
		if arg == nil {
			return "", "", false
		}
		key := strings.TrimSpace(arg[1])
		values[key] = written(arg[2], takesString(offered, m[1], key))
		rest = rest[len(arg[0]):]
	}
	encoded, err := json.Marshal(values)
	return m[1], string(encoded), err == nil
}

// written is a written argument's value as JSON: the template writes strings bare and everything else as JSON.
func written(s string, isString bool) json.RawMessage {
	if !isString && json.Valid([]byte(s)) {
		return json.RawMessage(s)
	}
	quoted, _ := json.Marshal(s) // a string always encodes
	return quoted
}

// takesString tells whether a function's parameter is a string by its schema.
func takesString(offered []providers.Function, function, param string) bool {
	for _, f := range offered {
		var schema struct {
			Properties map[string]struct {
				Type text `json:"type"`
			} `json:"properties"`
		}
		if f.Name == function && json.Unmarshal(f.Parameters, &schema) == nil {
			return schema.Properties[param].Type == "string"
		}
	}
	return false
}

// parseKimiCalls reads Kimi's form; nil unless all of it can be read.
func parseKimiCalls(tail string, _ []providers.Function) []providers.ToolCall {
	if strings.TrimSpace(kimiSection().ReplaceAllString(kimiCall().ReplaceAllString(tail, ""), "")) != "" {
		return nil
	}
	var calls []providers.ToolCall
	for i, m := range kimiCall().FindAllStringSubmatch(tail, -1) {
		args := strings.TrimSpace(arguments(m[2]))
		if !isObject(args) {
			return nil
		}
		calls = append(calls, providers.ToolCall{ID: fmt.Sprintf("leaked_%d", i), Name: m[1], Arguments: args})
	}
	return calls
}

func isObject(s string) bool {
	var object map[string]json.RawMessage
	return json.Unmarshal([]byte(s), &object) == nil && object != nil
}
