// Package markup reads the markup of chat templates that models sometimes write into an answer as plain text: function
// calls that the vendor's server failed to recognise, box tokens, channel tokens. It does nothing but look at strings.
package markup

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Parsed is an answer's text, taken apart by ParseCallMarkup.
type Parsed struct {
	// Text is the answer without the markup at its end, and without the white space before it; the answer unchanged
	// where there is no markup.
	Text string
	// Calls are the complete calls of functions that were offered, in order. Their ids are unique within the answer
	// alone ("leaked_0"), their arguments are a JSON object.
	Calls []providers.ToolCall
	// Removed names the function of every other call, in order: cut short, malformed, or of a function that was not
	// offered. A name is "" where the answer ended before it.
	Removed []string
}

// Found reports whether the answer ended in markup.
func (p Parsed) Found() bool { return len(p.Calls)+len(p.Removed) > 0 }

// ParseCallMarkup separates an answer from the function calls that the model wrote at its end as text, in the markup of
// some chat template, whole or cut short. offered are the functions of the request; nil where it offered none.
//
// Only markup that is the whole answer or its end counts, since an answer may also be about markup, and none that lies
// in code (fences, backquotes) or in a JSON string. Several calls may follow each other there, with nothing but white
// space and section tokens between them. A call is complete when its name and its arguments are: arguments written as a
// JSON object are whole without a closing token, those written one by one are not.
//
// The spellings are those of the chat templates of GLM-4.5 to 5.3 (<tool_call>name<arg_key>k</arg_key><arg_value>v
// </arg_value></tool_call>, with or without line breaks and with its opening token lost), Kimi K2 (<|tool_call_begin|>
// functions.name:0<|tool_call_argument_begin|>{...}, the section's token in the singular or plural), Kimi K3 (<|open|>call
// tool="name"<|sep|>, also damaged to "toolscall"), Hermes and Qwen (JSON in <tool_call>), Qwen3-Coder (<function=name>
// <parameter=k>), MiniMax and DeepSeek (<invoke name="..."> under any prefix; <｜tool▁call▁begin｜>), Mistral
// ([TOOL_CALLS]), Cohere, Llama (<|python_tag|>) and gpt-oss (<|channel|>commentary to=functions.name).
//
// White space around JSON and tags does not matter. An argument that the function's schema declares a string is taken as
// written; every other one is JSON where it is valid JSON, and a string where not.
func ParseCallMarkup(content string, offered []providers.Function) Parsed {
	if !strings.ContainsAny(content, "<[") {
		return Parsed{Text: content}
	}
	at, calls := findRun(content, offered)
	if at < 0 {
		return Parsed{Text: content}
	}
	p := Parsed{Text: strings.TrimRight(content[:at], " \t\r\n")}
	if len(calls) == 0 {
		calls = []call{{}}
	}
	for _, c := range calls {
		name := functionName(c.name, offered)
		if !c.whole || !isOffered(name, offered) {
			p.Removed = append(p.Removed, name)
			continue
		}
		p.Calls = append(p.Calls, providers.ToolCall{ID: fmt.Sprintf("leaked_%d", len(p.Calls)), Name: name, Arguments: c.arguments})
	}
	return p
}

// starter matches where a run of call markup may begin. GLM's opening token can be missing, since servers that drop
// special tokens leave the tags of the arguments.
var starter = lazyregexp.New(`(?i)` + frameTokens + `|<function=|<(?:[a-z]{2,12}:|｜DSML｜)?(?:invoke|(?:tool|function)_call)\s+name=|` +
	`<\|open\|>\s*(?:tools|call)|<\|start\|>assistant|<\|channel\|>|[\w$.-]{1,64}\s*<arg_key>`)

// findRun finds where the answer's closing run of call markup begins, -1 if there is none, and the calls in it.
func findRun(content string, offered []providers.Function) (int, []call) {
	quoted, skip, ends := literals(content), 0, closings(content)
	for _, m := range starter().FindAllStringIndex(content, -1) {
		at := m[0]
		// A closing tag alone may end a sentence about tags; a closing special token can't.
		if at < skip || quoted.hold(at) || strings.HasPrefix(content[at:], "</") {
			continue
		}
		run := &run{s: content, i: at, offered: offered, closings: ends}
		if run.read() {
			return at, run.calls
		}
		skip = run.i // what a run failed at is prose: nothing before it can be the end of the answer
	}
	if at := cutOpener(content); at >= skip && at >= 0 && !quoted.hold(at) {
		return at, nil
	}
	return -1, nil
}

// openers are tokens that an answer cut by its length limit may end in the middle of.
var openers = []string{
	"<tool_call>", "<tool_calls>", "<|tool_call|>", "<|tool_call_begin|>", "<|tool_calls_section_begin|>", "<|tool_call_section_begin|>",
	"<｜tool▁calls▁begin｜>", "<|open|>tools<|sep|>", "<|open|>call ", "[TOOL_CALLS]", "<function=", "<function_calls>", "<minimax:tool_call>",
	"<|START_ACTION|>", "<|python_tag|>", "<seed:tool_call>", "<｜DSML｜function_calls>", "<TOOLCALL>",
	"<xai:function_call name=", "<tool_call name=", "<longcat_tool_call>", "<start_function_call>", "<|action_start|>",
}

// minOpener is how much of an opener must be there to be taken for one, in bytes: "<tool" is, "<to" may be anything.
const minOpener = 5

// cutOpener is where the answer's end is the beginning of an opener, -1 if it is none.
func cutOpener(content string) int {
	best := -1
	for _, token := range openers {
		for n := min(len(token)-1, len(content)); n >= minOpener; n-- {
			if strings.HasSuffix(content, token[:n]) {
				if at := len(content) - n; best < 0 || at < best {
					best = at
				}
				break
			}
		}
	}
	return best
}

// legalName matches the beginning of a function's name as both vendors take it.
var legalName = lazyregexp.New(`^[A-Za-z0-9_$-]{1,128}`)

// FunctionName cuts a function's name out of what a damaged call has in its place: "functions.read:0" and
// "read<arg_key>path" are "read".
func FunctionName(s string) string { return functionName(s, nil) }

func functionName(s string, offered []providers.Function) string {
	s = strings.TrimSpace(s)
	if isOffered(s, offered) {
		return s
	}
	s = strings.TrimPrefix(s, "call:")
	word, _, _ := strings.Cut(s, "<")
	word, _, _ = strings.Cut(word, ":")
	if dot := strings.LastIndexByte(word, '.'); dot >= 0 {
		word = word[dot+1:]
	}
	return legalName().FindString(word)
}

func isOffered(name string, offered []providers.Function) bool {
	return slices.ContainsFunc(offered, func(f providers.Function) bool { return f.Name == name })
}

// channelTokens are tokens around an answer: GLM's box, and the channels that Kimi K3's template opens and closes. Their
// content is the answer.
var channelTokens = lazyregexp.New(`<\|(?:begin|end)_of_box\|>|<\|(?:open|close)\|>(?:response|message|think)\b[^<]{0,100}<\|sep\|>`)

// Tidy removes tokens that stand around an answer, outside of code and JSON strings, and leading blank lines.
func Tidy(content string) string {
	if strings.Contains(content, "_of_box|>") || strings.Contains(content, "<|sep|>") {
		content = removeOutside(content, channelTokens())
	}
	return strings.TrimLeft(content, "\r\n")
}

// removeOutside removes the matches that lie outside of code and JSON strings.
func removeOutside(content string, pattern *regexp.Regexp) string {
	quoted, last := literals(content), 0
	var b strings.Builder
	for _, m := range pattern.FindAllStringIndex(content, -1) {
		if !quoted.hold(m[0]) {
			b.WriteString(content[last:m[0]])
			last = m[1]
		}
	}
	b.WriteString(content[last:])
	return b.String()
}
