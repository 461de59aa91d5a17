package markup

import (
	"encoding/json"
	"html"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// Calls written as an element with the name as attribute: <function=name><parameter=key>value</parameter></function>, and
// <invoke name="..."><parameter name="..."> or <xai:function_call name="..."> under any prefix.
var (
	elementCall   = lazyregexp.New(`(?i)^<(?:function=|(?:[a-z]{2,12}:|｜DSML｜)?(?:invoke|(?:tool|function)_call)\s+name=)["']?([\w$.:-]{0,128})["']?\s*(?:>|$)`)
	elementArg    = lazyregexp.New(`(?i)^<(?:[a-z]{2,12}:|｜DSML｜)?parameter(?:=|\s+name=)["']?([^"'>\n]{1,200})["']?((?:\s+[a-z]+="[^"]*")*)\s*>`)
	elementArgEnd = lazyregexp.New(`(?i)</(?:[a-z]{2,12}:|｜DSML｜)?parameter>`)
	elementEnd    = lazyregexp.New(`(?i)^</(?:[a-z]{2,12}:|｜DSML｜)?(?:function|invoke|(?:tool|function)_call)>`)
)

func (r *run) elementCall() {
	m := elementCall().FindStringSubmatch(r.rest())
	name, values := m[1], map[string]json.RawMessage{}
	r.i += len(m[0])
	r.open = true
	r.skipSpace()
	if strings.HasPrefix(r.rest(), "{") { // Llama writes the arguments as JSON
		r.bareArguments(name)
		r.skipEnd()
		return
	}
	for {
		r.skipSpace()
		arg := elementArg().FindStringSubmatch(r.rest())
		if arg == nil {
			break
		}
		end := elementArgEnd().FindStringIndex(r.s[r.i+len(arg[0]):])
		if end == nil {
			r.unreadable(name)
			return
		}
		r.i += len(arg[0])
		kind := parameterType(r.offered, functionName(name, r.offered), arg[1])
		if strings.Contains(arg[2], `string="true"`) {
			kind = "string"
		}
		values[arg[1]] = written(trimBreak(r.rest()[:end[0]]), kind)
		r.i += end[1]
	}
	if !r.skipEnd() {
		r.finish(name, values)
		return
	}
	r.add(withValues(name, values))
}

func (r *run) skipEnd() bool {
	r.skipSpace()
	m := elementEnd().FindString(r.rest())
	r.i += len(m)
	return m != ""
}

// trimBreak removes the line break that the template puts before and after a value.
func trimBreak(s string) string {
	return strings.TrimSuffix(strings.TrimPrefix(s, "\n"), "\n")
}

// Kimi K3's channels: <|open|>call tool="name" index="1"<|sep|>, then an argument channel for each argument or one json
// channel with all of them, <|close|>call<|sep|>. "toolscall" is the same with the tokens between the two words lost.
var (
	channelCall  = lazyregexp.New(`^<\|open\|>\s*(?:tools\s*(?:<\|sep\|>|<[^<>]{0,5}$|c?a?l?l?$)|(?:tools)?call\b(?:[^<]*?\btool="([^"<]*)"?)?[^<]*(<\|sep\|>)?)`)
	channelBlock = lazyregexp.New(`^<\|open\|>\s*(argument|json)\b([^<]*)<\|sep\|>`)
	channelEnd   = lazyregexp.New(`^<\|close\|>\s*call\b(?:<\|sep\|>)?`)
	blockKey     = lazyregexp.New(`\bkey="([^"]*)"`)
	blockType    = lazyregexp.New(`\btype="([^"]*)"`)
)

func (r *run) channelCall() {
	m := channelCall().FindStringSubmatch(r.rest())
	r.i += len(m[0])
	r.open, r.pending = true, true
	if !strings.Contains(m[0], "call") { // the section's own channel
		return
	}
	name, values, whole := html.UnescapeString(m[1]), map[string]json.RawMessage{}, m[2] != ""
	for whole {
		r.skipSpace()
		block := channelBlock().FindStringSubmatch(r.rest())
		if block == nil {
			break
		}
		r.i += len(block[0])
		value, ok := r.until("<|close|>" + block[1])
		r.skip("<|sep|>")
		whole = ok && channelValues(values, block, value)
	}
	r.skipSpace()
	end := channelEnd().FindString(r.rest())
	if !whole || end == "" {
		if at := strings.Index(r.rest(), "<|close|>call"); at >= 0 {
			r.i += at
			end = channelEnd().FindString(r.rest())
		} else {
			r.i = len(r.s)
		}
		whole = false
	}
	r.i += len(end)
	c := withValues(name, values)
	c.whole = c.whole && whole
	r.add(c)
}

// channelValues adds the value of an argument channel, or all of a json channel. It is false for one that can't be read.
func channelValues(values map[string]json.RawMessage, block []string, value string) bool {
	if block[1] == "json" {
		return json.Unmarshal([]byte(value), &values) == nil
	}
	key := blockKey().FindStringSubmatch(block[2])
	if key == nil {
		return false
	}
	kind := ""
	if m := blockType().FindStringSubmatch(block[2]); m != nil {
		kind = m[1]
	}
	values[html.UnescapeString(key[1])] = written(value, kind)
	return true
}

// harmonyHeader matches the header of a message to a function in gpt-oss's format.
var harmonyHeader = lazyregexp.New(`^(?:<\|start\|>assistant\s*)?(?:to=(?:functions\.)?([\w-]+)\s*)?<\|channel\|>\s*\w+` +
	`(?:\s+to=(?:functions\.)?([\w.-]+))?\s*(?:<\|constrain\|>)?\s*\w*\s*<\|message\|>`)

// harmonyName is the function that a message is addressed to, "" if none is.
func harmonyName(s string) string {
	if m := harmonyHeader().FindStringSubmatch(s); m != nil {
		return m[1] + m[2]
	}
	return ""
}

// harmonyCut matches a header to a function that the end of the text cuts.
var harmonyCut = lazyregexp.New(`^(?:<\|start\|>[^<]{0,200})?(?:<\|channel\|>[^<]{0,200})?(?:<\|constrain\|>[^<]{0,40})?(?:<[^<>]{0,14})?$`)

// maxHeader is more than harmonyCut matches, in bytes.
const maxHeader = 600

// cutAddressee is the function that a cut header is addressed to. It is false for a header to nobody.
func cutAddressee(s string) (string, bool) {
	if len(s) > maxHeader {
		return "", false
	}
	if _, to, ok := strings.Cut(s, "to="); ok && harmonyCut().MatchString(s) {
		return FunctionName(to), true
	}
	return "", false
}

func harmonyCall(s string) bool {
	_, cut := cutAddressee(s)
	return cut || harmonyName(s) != ""
}

func (r *run) harmonyCall() {
	if name, cut := cutAddressee(r.rest()); cut {
		r.i = len(r.s)
		r.add(call{name: name})
		return
	}
	name := harmonyName(r.rest())
	r.i += len(harmonyHeader().FindString(r.rest()))
	r.open = true
	r.bareArguments(name)
}
