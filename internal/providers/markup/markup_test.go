package markup

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

var offered = []providers.Function{
	{Name: "web_search", Parameters: json.RawMessage(`{"properties":{"query":{"type":"string"},"count":{"type":"integer"},"site":{"type":["string","null"]}}}`)},
	{Name: "now"},
}

// glm is a call in GLM's own spelling.
const glm = "<tool_call>web_search\n<arg_key>query</arg_key>\n<arg_value>2026</arg_value>\n<arg_key>count</arg_key>\n<arg_value>5</arg_value>\n</tool_call>"

const (
	kimi  = `<|tool_call_begin|>functions.web_search:0<|tool_call_argument_begin|>{"query":"go"}<|tool_call_end|>`
	kimi3 = `<|open|>call tool="web_search" index="1"<|sep|><|open|>argument key="query" type="string"<|sep|>12<|close|>argument<|sep|>` +
		`<|open|>argument key="count" type="number"<|sep|>3<|close|>argument<|sep|><|close|>call<|sep|>`
	qwen = "<tool_call>\n<function=web_search>\n<parameter=query>\n2026\n</parameter>\n<parameter=count>\n5\n</parameter>\n</function>\n</tool_call>"
)

// whole are whole calls of web_search, by spelling, with their arguments.
var whole = map[string][2]string{
	"glm":                         {glm, `{"count":5,"query":"2026"}`},
	"glm, on one line":            {"<tool_call>web_search<arg_key>query</arg_key><arg_value>x</arg_value></tool_call>", `{"query":"x"}`},
	"glm, opening token lost":     {"web_search\n<arg_key>query</arg_key>\n<arg_value>x</arg_value>\n</tool_call>", `{"query":"x"}`},
	"glm, markup in a value":      {"<tool_call>web_search<arg_key>query</arg_key><arg_value>what is </tool_call> & `</a>`</arg_value></tool_call>", "{\"query\":\"what is </tool_call> & `</a>`\"}"},
	"glm, no arguments":           {"<tool_call>web_search</tool_call>", `{}`},
	"glm, no arguments, lines":    {"<tool_call>web_search\n</tool_call>", `{}`},
	"glm, nullable string":        {"<tool_call>web_search<arg_key>site</arg_key><arg_value>7</arg_value></tool_call>", `{"site":"7"}`},
	"glm, unknown argument":       {"<tool_call>web_search<arg_key> x </arg_key><arg_value>[1]</arg_value></tool_call>", `{"x":[1]}`},
	"glm, name and JSON":          {"<tool_call>web_search\n{\"query\": \"x\"}\n</tool_call>", `{"query":"x"}`},
	"glm, end of turn":            {glm + "<|observation|>", `{"count":5,"query":"2026"}`},
	"hermes":                      {"<tool_call>\n{\"name\": \"web_search\", \"arguments\": {\"query\": \"go\"}}\n</tool_call>", `{"query":"go"}`},
	"hermes, no closing token":    {`<tool_call>{"name":"web_search","arguments":{"query":"go"}}`, `{"query":"go"}`},
	"hermes, parameters":          {`<tool_call>{"name":"web_search","parameters":{"query":"go"}}</tool_call>`, `{"query":"go"}`},
	"hermes, arguments as text":   {`<tool_call>{"name":"web_search","arguments":"{\"query\":\"go\"}"}</tool_call>`, `{"query":"go"}`},
	"hermes, no arguments":        {`<tool_call>{"name":"web_search","arguments":null}</tool_call>`, `{}`},
	"hermes, empty arguments":     {`<tool_call>{"name":"web_search","arguments":""}</tool_call>`, `{}`},
	"hermes, openai's object":     {`<tool_call>{"type":"function","function":{"name":"web_search","arguments":{"query":"go"}}}</tool_call>`, `{"query":"go"}`},
	"hermes, function as a name":  {`<tool_call>{"function":"web_search","input":{"query":"go"}}</tool_call>`, `{"query":"go"}`},
	"hermes, token in a string":   {`<tool_call>{"name":"web_search","arguments":{"query":"</tool_call>"}}</tool_call>`, `{"query":"</tool_call>"}`},
	"xai":                         {`<xai:function_call name="web_search"><parameter name="query">go</parameter></xai:function_call>`, `{"query":"go"}`},
	"tool_call with a name":       {`<tool_call name="web_search">{"query":"go"}</tool_call>`, `{"query":"go"}`},
	"internlm":                    {`<|action_start|><|plugin|>{"name":"web_search","parameters":{"query":"go"}}<|action_end|>`, `{"query":"go"}`},
	"function_call":               {`<function_call>{"name":"web_search","arguments":{"query":"go"}}</function_call>`, `{"query":"go"}`},
	"granite":                     {`<|tool_call|>[{"name":"web_search","arguments":{"query":"go"}}]`, `{"query":"go"}`},
	"nemotron":                    {`<TOOLCALL>[{"name":"web_search","arguments":{"query":"go"}}]</TOOLCALL>`, `{"query":"go"}`},
	"llama":                       {`<|python_tag|>{"name":"web_search","parameters":{"query":"go"}}<|eom_id|>`, `{"query":"go"}`},
	"llama, element":              {`<function=web_search>{"query":"go"}</function>`, `{"query":"go"}`},
	"cohere":                      {`<|START_ACTION|>[{"tool_call_id":"0","tool_name":"web_search","parameters":{"query":"go"}}]<|END_ACTION|>`, `{"query":"go"}`},
	"mistral, list":               {`[TOOL_CALLS][{"name":"web_search","arguments":{"query":"go"}}]`, `{"query":"go"}`},
	"mistral, name":               {`[TOOL_CALLS]web_search[ARGS]{"query":"go"}`, `{"query":"go"}`},
	"mistral, id":                 {`[TOOL_CALLS]web_search[CALL_ID]a1B2c3[ARGS]{"query":"go"}`, `{"query":"go"}`},
	"kimi":                        {kimi, `{"query":"go"}`},
	"kimi, no counter":            {`<|tool_call_begin|>web_search<|tool_call_argument_begin|>{"query":"go"}<|tool_call_end|>`, `{"query":"go"}`},
	"kimi, blanks":                {"<|tool_calls_section_begin|> <|tool_call_begin|> functions.web_search:22 <|tool_call_argument_begin|> {\"query\":\"go\"} <|tool_call_end|> <|tool_calls_section_end|>", `{"query":"go"}`},
	"kimi, section":               {"<|tool_calls_section_begin|>" + kimi + "<|tool_calls_section_end|><|im_end|>", `{"query":"go"}`},
	"kimi, singular":              {"<|tool_call_section_begin|>" + kimi + "<|tool_call_section_end|>", `{"query":"go"}`},
	"kimi, section without end":   {"<|tool_calls_section_begin|>" + kimi, `{"query":"go"}`},
	"kimi, call without end":      {strings.TrimSuffix(kimi, "<|tool_call_end|>"), `{"query":"go"}`},
	"kimi, no arguments":          {`<|tool_call_begin|>functions.web_search:0<|tool_call_end|>`, `{}`},
	"kimi 3":                      {"<|open|>tools<|sep|>" + kimi3 + "<|close|>tools<|sep|><|close|>message<|sep|>", `{"count":3,"query":"12"}`},
	"kimi 3, damaged":             {"<|open|>tools" + strings.TrimPrefix(kimi3, "<|open|>"), `{"count":3,"query":"12"}`},
	"kimi 3, json":                {`<|open|>call tool="web_search" index="1"<|sep|><|open|>json type="object"<|sep|>{"query":"go"}<|close|>json<|sep|><|close|>call<|sep|>`, `{"query":"go"}`},
	"qwen":                        {qwen, `{"count":5,"query":"2026"}`},
	"qwen, no frame":              {"<function=web_search>\n<parameter=query>\n2026\n</parameter>\n</function>", `{"query":"2026"}`},
	"qwen, no end of the element": {"<tool_call><function=web_search><parameter=query>2026</parameter></tool_call>", `{"query":"2026"}`},
	"seed":                        {"<seed:tool_call><function=web_search><parameter=query>2026</parameter></function></seed:tool_call>", `{"query":"2026"}`},
	"minimax":                     {"<minimax:tool_call>\n<invoke name=\"web_search\">\n<parameter name=\"query\">2026</parameter>\n</invoke>\n</minimax:tool_call>", `{"query":"2026"}`},
	"invoke":                      {`<function_calls><invoke name="web_search"><parameter name="query">2026</parameter></invoke></function_calls>`, `{"query":"2026"}`},
	"deepseek 3":                  {"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>web_search\n```json\n{\"query\":\"go\"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>", `{"query":"go"}`},
	"deepseek 3.1":                {`<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>web_search<｜tool▁sep｜>{"query":"go"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>`, `{"query":"go"}`},
	"deepseek 3.2":                {`<｜DSML｜function_calls><｜DSML｜invoke name="web_search"><｜DSML｜parameter name="other" string="true">7</｜DSML｜parameter></｜DSML｜invoke></｜DSML｜function_calls>`, `{"other":"7"}`},
	"gpt-oss":                     {`<|channel|>commentary to=functions.web_search <|constrain|>json<|message|>{"query":"go"}<|call|>`, `{"query":"go"}`},
	"gpt-oss, whole header":       {`<|start|>assistant<|channel|>commentary to=functions.web_search json<|message|>{"query":"go"}`, `{"query":"go"}`},
	"gpt-oss, addressee first":    {`<|start|>assistant to=functions.web_search<|channel|>commentary<|message|>{"query":"go"}`, `{"query":"go"}`},
}

func must(raw json.RawMessage, err error) json.RawMessage {
	if err != nil {
		panic(err)
	}
	return raw
}

func TestParseCallMarkupWhole(t *testing.T) {
	for name, tc := range whole {
		t.Run(name, func(t *testing.T) {
			for _, before := range []string{"", "Let me look.\n\n", "Let me look: ", "See `<tool_call>` and\n```\n<tool_call>x\n```\n", "{\"a\":\"<tool_call>\"}\n"} {
				p := ParseCallMarkup(before+tc[0]+"\n", offered)
				require.Len(t, p.Calls, 1, "%q: removed %q", before, p.Removed)
				assert.Equal(t, "web_search", p.Calls[0].Name)
				assert.Equal(t, tc[1], p.Calls[0].Arguments)
				assert.Equal(t, "leaked_0", p.Calls[0].ID)
				assert.Empty(t, p.Removed)
				assert.Equal(t, strings.TrimRight(before, " \n"), p.Text)

				p = ParseCallMarkup(before+tc[0], nil)
				assert.Empty(t, p.Calls, "nothing was offered")
				assert.Equal(t, []string{"web_search"}, p.Removed)
				assert.Equal(t, strings.TrimRight(before, " \n"), p.Text)
			}
			for _, about := range []string{tc[0] + "\nis how a call looks.", "```\n" + tc[0] + "\n```", "```\n" + tc[0], "`" + tc[0] + "`", `{"quote":` + strings.TrimSuffix(string(must(encode(tc[0]))), `"`)} {
				if strings.Contains(tc[0], "`") && strings.HasPrefix(about, "`") {
					continue // backquotes in backquotes are another code
				}
				assert.Equal(t, Parsed{Text: about}, ParseCallMarkup(about, offered))
			}
		})
	}
}

// An answer may end anywhere. Whatever arrived of a call is not shown, and nothing runs whose arguments are not whole.
func TestParseCallMarkupCut(t *testing.T) {
	for name, tc := range whole {
		t.Run(name, func(t *testing.T) {
			for n := minOpener; n < len(tc[0]); n++ {
				switch {
				case strings.Contains(name, "lost") && n < strings.Index(tc[0], "<arg_key>")+9:
					continue // a word, no markup yet
				case strings.Contains(name, "in a value") && strings.Contains(tc[0][:n], "</tool_call> "):
					continue // a closing token and text behind it: nobody can tell a cut value from prose
				case strings.Contains(name, "gpt-oss") && n < strings.Index(tc[0], "to=")+3:
					continue // a message, perhaps to nobody
				}
				p := ParseCallMarkup("Look: "+tc[0][:n], offered)
				assert.Equal(t, "Look:", p.Text, "%q", tc[0][:n])
				assert.True(t, p.Found())
				for _, c := range p.Calls {
					assert.JSONEq(t, tc[1], c.Arguments, "%q", tc[0][:n])
				}
			}
		})
	}
}

func TestParseCallMarkup(t *testing.T) {
	call := func(id, name, args string) providers.ToolCall {
		return providers.ToolCall{ID: id, Name: name, Arguments: args}
	}
	one := call("leaked_0", "web_search", `{"count":5,"query":"2026"}`)
	for name, tc := range map[string]struct {
		in      string
		text    string
		calls   []providers.ToolCall
		removed []string
	}{
		"two":                     {glm + "\n<tool_call>now</tool_call>", "", []providers.ToolCall{one, call("leaked_1", "now", "{}")}, nil},
		"two in one frame":        {"<tool_call>{\"name\":\"now\"}\n{\"name\":\"now\"}</tool_call>", "", []providers.ToolCall{call("leaked_0", "now", "{}"), call("leaked_1", "now", "{}")}, nil},
		"two in a list":           {`[TOOL_CALLS][{"name":"now"}, {"name":"web_search","arguments":{"count":1}}]`, "", []providers.ToolCall{call("leaked_0", "now", "{}"), call("leaked_1", "web_search", `{"count":1}`)}, nil},
		"two in a section":        {"<|tool_calls_section_begin|>" + kimi + kimi + "<|tool_calls_section_end|>", "", []providers.ToolCall{call("leaked_0", "web_search", `{"query":"go"}`), call("leaked_1", "web_search", `{"query":"go"}`)}, nil},
		"two spellings":           {glm + kimi, "", []providers.ToolCall{one, call("leaked_1", "web_search", `{"query":"go"}`)}, nil},
		"one of two not offered":  {"<tool_call>now</tool_call><tool_call>rm</tool_call>", "", []providers.ToolCall{call("leaked_0", "now", "{}")}, []string{"rm"}},
		"one of two cut":          {glm + "<tool_call>now", "", []providers.ToolCall{one}, []string{"now"}},
		"one of two only begun":   {glm + "<tool_call>", "", []providers.ToolCall{one}, []string{""}},
		"not offered":             {"Hm.\n<tool_call>rm<arg_key>path</arg_key><arg_value>/</arg_value></tool_call>", "Hm.", nil, []string{"rm"}},
		"cut before the name":     {"Hm. <|tool_calls_section_begin|>", "Hm.", nil, []string{""}},
		"opener twice":            {"<tool_call>\n<tool_call>now</tool_call>", "", []providers.ToolCall{call("leaked_0", "now", "{}")}, nil},
		"empty section":           {"Hm.<|tool_calls_section_begin|><|tool_calls_section_end|>", "Hm.", nil, []string{""}},
		"a mention before":        {"The tag <tool_call> begins one. <tool_call>now</tool_call>", "The tag <tool_call> begins one.", []providers.ToolCall{call("leaked_0", "now", "{}")}, nil},
		"prose between calls":     {"<tool_call>now</tool_call> and then <tool_call>now</tool_call>", "<tool_call>now</tool_call> and then", []providers.ToolCall{call("leaked_0", "now", "{}")}, nil},
		"arguments that are none": {`<|tool_call_begin|>functions.now:0<|tool_call_argument_begin|>"x"<|tool_call_end|>`, "", nil, []string{"now"}},
		"a brace too few":         {`<tool_call>{"name":"now","arguments":{"a":1}</tool_call>`, "", nil, []string{"now"}},
		"a brace too many":        {`<tool_call>{{"name":"now","arguments":{"a":1}}}</tool_call>`, "", nil, []string{"now"}},
		"python":                  {`<tool_call>{'name': 'now', 'arguments': {}}</tool_call>`, "", nil, []string{"now"}},
		"python, no end":          {`<tool_call>{'name': 'now', 'arguments'`, "", nil, []string{"now"}},
		"code":                    {`<tool_call>now(zone="x")</tool_call>`, "", nil, []string{"now"}},
		"code in a list":          {`<|tool_call_start|>[now(zone="x")]<|tool_call_end|>`, "", nil, []string{"now"}},
		"gemma":                   {`<|tool_call>call:now{zone:<|"|>x<|"|>}<tool_call|>`, "", nil, []string{"now"}},
		"functiongemma":           {`<start_function_call>call:now{zone:<escape>x<escape>}<end_function_call>`, "", nil, []string{"now"}},
		"longcat":                 {"<longcat_tool_call>now\n<longcat_arg_key>zone</longcat_arg_key>\n<longcat_arg_value>x</longcat_arg_value>\n</longcat_tool_call>", "", nil, []string{"now"}},
		"longcat, no end":         {"<longcat_tool_call>now\n<longcat_arg_key>zone</longcat_ar", "", nil, []string{"now"}},
		"xai, no end":             {`<xai:function_call name="now"><parameter name="zone">x`, "", nil, []string{"now"}},
		"value without key":       {"<tool_call>now<arg_value>x</arg_value></tool_call>", "", nil, []string{"now"}},
		"key without value":       {"<tool_call>now<arg_key>x</arg_key></tool_call>", "", nil, []string{"now"}},
		"key without end":         {"<tool_call>now<arg_key>x<arg_value>y</arg_value></tool_call>", "", nil, []string{"now"}},
		"no name in JSON":         {`<tool_call>{"query":"x"}</tool_call>`, "", nil, []string{""}},
		"a list of no calls":      {`<tool_call>["x"]</tool_call>`, "", nil, []string{""}},
		"kimi 3, no tool":         {`<|open|>call index="1"<|sep|><|close|>call<|sep|>`, "", nil, []string{""}},
		"kimi 3, broken JSON":     {`<|open|>call tool="now" index="1"<|sep|><|open|>json type="object"<|sep|>{broken<|close|>json<|sep|><|close|>call<|sep|>`, "", nil, []string{"now"}},
		"kimi 3, a shell line":    {`Hm.<|open|>tools<|sep|><|open|>call tool="now" ls -la`, "Hm.", nil, []string{"now"}},
		"in JSON that has ended":  {`{"a":"b"}` + glm, `{"a":"b"}`, []providers.ToolCall{one}, nil},
		"behind a lone backquote": {"5` of\n\nrain. " + glm, "5` of\n\nrain.", []providers.ToolCall{one}, nil},
		// All of these stay as they are.
		"not at the end":               {glm + "\nThat is how a call looks.", "=", nil, nil},
		"prose in a call":              {"<tool_call>now please do it</tool_call>", "=", nil, nil},
		"tags in a sentence":           {"A call stands between <tool_call> and </tool_call>", "=", nil, nil},
		"tags in a sentence, full":     {"A call stands in <tool_call> tags.", "=", nil, nil},
		"tag before a word":            {"It is put into <tool_call> tags", "=", nil, nil},
		"tag and a full stop":          {"It begins with <tool_call>.", "=", nil, nil},
		"an example and what it means": {"<tool_call>now<arg_key>k</arg_key><arg_value>v</arg_value> is its form.", "=", nil, nil},
		"an element that is prose":     {"<function=now is the syntax", "=", nil, nil},
		"an element and prose":         {"<function=now> begins a call.", "=", nil, nil},
		"code of python":               {"<|python_tag|>print(1)", "=", nil, nil},
		"a message to nobody":          {"<|channel|>final<|message|>Hello", "=", nil, nil},
		"a cut string of JSON":         {`{"findings":[{"quote":"<tool_call>now`, "=", nil, nil},
		"cut inline code":              {"Write `<tool_call>now", "=", nil, nil},
		"a fence of tildes":            {"~~~\n<tool_call>now</tool_call>\n~~~", "=", nil, nil},
		"plain":                        {"Nothing < here [1].", "=", nil, nil},
		"a link":                       {"See [\"x\"](https://x.test) <b>now</b>", "=", nil, nil},
		"less than a token":            {"a < b, List<to", "=", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.text == "=" {
				tc.text = tc.in
			}
			assert.Equal(t, Parsed{Text: tc.text, Calls: tc.calls, Removed: tc.removed}, ParseCallMarkup(tc.in, offered))
		})
	}
}

// BenchmarkParseCallMarkup shows that the time grows with the length of an answer, whatever opens in it and never ends.
func BenchmarkParseCallMarkup(b *testing.B) {
	for _, piece := range []string{
		"<tool_call>", "<tool_call> x ", "<tool_call>a", "<tool_call>{", "<tool_call>[", "<tool_call>a(", "<function=a>", "`", "`` ` ",
		"{\"", "[\"a\"", "<|open|>call ", "<|open|>", "<tool_call>a<arg_key>", "<tool_call>{\"name\":1}",
		"a<arg_key>b</arg_key><arg_value>", "<|channel|>a", "[TOOL_CALLS]", "<invoke name=\"a\"><parameter name=\"b\">",
	} {
		for _, size := range []int{1 << 13, 1 << 16} {
			text := strings.Repeat(piece, size/len(piece)) + " end."
			b.Run(fmt.Sprintf("%q/%d", piece, size), func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					ParseCallMarkup(text, offered)
				}
			})
		}
	}
}

func TestFunctionName(t *testing.T) {
	for in, want := range map[string]string{
		"read": "read", "functions.read:0": "read", "read:12": "read", " read\n": "read", "default_api.read": "read",
		"read<arg_key>path": "read", "read</arg_value>": "read", "$web_search": "$web_search", "read file": "read", "": "", "<x>": "", "日本": "",
	} {
		assert.Equal(t, want, FunctionName(in), in)
	}
	dotted := []providers.Function{{Name: "a.b:c"}}
	assert.Equal(t, "a.b:c", functionName("a.b:c", dotted), "an offered name is itself")
}

func TestTidy(t *testing.T) {
	for in, want := range map[string]string{
		"\n\nanswer\n": "answer\n",
		"  indented":   "  indented",
		"It is <|begin_of_box|>42<|end_of_box|>.":                                     "It is 42.",
		"\n<|begin_of_box|>\n4":                                                       "4",
		"cut <|begin_of_box|>4":                                                       "cut 4",
		"write `<|begin_of_box|>` for a box":                                          "write `<|begin_of_box|>` for a box",
		"```\n<|end_of_box|>\n```\n<|begin_of_box|>1":                                 "```\n<|end_of_box|>\n```\n1",
		"```\nnever closed <|begin_of_box|>":                                          "```\nnever closed <|begin_of_box|>",
		"<|begin_of_box|>a `b` c<|end_of_box|> `unclosed":                             "a `b` c `unclosed",
		`{"quote":"<|begin_of_box|>"}`:                                                `{"quote":"<|begin_of_box|>"}`,
		"<|begin_of_box|>{\"a\":1}<|end_of_box|>":                                     `{"a":1}`,
		"Hm.<|close|>think<|sep|><|open|>response<|sep|>Yes.<|close|>response<|sep|>": "Hm.Yes.",
	} {
		assert.Equal(t, want, Tidy(in))
	}
}

func FuzzParseCallMarkup(f *testing.F) {
	for _, tc := range whole {
		f.Add("Look.\n" + tc[0])
		f.Add(tc[0][:len(tc[0])/2])
	}
	f.Add("{\"a\":\"<tool_call>\", `b`: ```\n[\"x")
	f.Fuzz(func(t *testing.T, content string) {
		p := ParseCallMarkup(content, offered)
		if !strings.HasPrefix(content, p.Text) {
			t.Fatalf("the text is not the answer's beginning: %q", p.Text)
		}
		if !p.Found() && p.Text != content {
			t.Fatalf("changed without markup: %q", p.Text)
		}
		for i, c := range p.Calls {
			var args map[string]json.RawMessage
			if json.Unmarshal([]byte(c.Arguments), &args) != nil || args == nil || !isOffered(c.Name, offered) || c.ID != fmt.Sprintf("leaked_%d", i) {
				t.Fatalf("not a call: %+v", c)
			}
		}
		without := ParseCallMarkup(content, nil)
		if without.Text != p.Text || len(without.Calls) > 0 || len(without.Removed) != len(p.Calls)+len(p.Removed) {
			t.Fatalf("what is offered changes what is markup: %+v, %+v", p, without)
		}
		for _, name := range p.Removed {
			if name != FunctionName(name) && !isOffered(name, offered) {
				t.Fatalf("not a name: %q", name)
			}
		}
		Tidy(content)
	})
}
