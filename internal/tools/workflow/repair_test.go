package workflow

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzRepair holds that an answer which is wrong in one of the ways that are repaired reads like the right one.
func FuzzRepair(f *testing.F) {
	f.Add("Loop ends, too soon", "P1", `for i := 0; i < len(n)-1; i++ {`, byte(0))
	f.Add(`a "quoted" {brace], ,}`, "nit", "```", byte(7))
	f.Add("tab\tand\nline", "严重", `\`, byte(31))
	f.Fuzz(func(t *testing.T, title, severity, quote string, how byte) {
		title, severity, quote = strings.ToValidUTF8(title, "?"), strings.ToValidUTF8(severity, "?"), strings.ToValidUTF8(quote, "?")
		list := []any{
			map[string]any{"title": title, "severity": severity, "quote": quote, "line": 3},
			map[string]any{"title": "a second one", "severity": severity},
			map[string]any{"severity": severity},
		}
		text := func(v any) string {
			out, err := json.Marshal(v)
			require.NoError(t, err)
			return string(out)
		}
		right := Read(text(map[string]any{"findings": list}), true)
		require.True(t, right.Structured)

		var wrong string
		switch how % 3 {
		case 0:
			wrong = text(map[string]any{"findings": list})
		case 1:
			wrong = text(map[string]any{"issues": list})
		case 2:
			wrong = text(list)
		}
		if how&4 != 0 { // every bracket that closes something outside of strings gets a comma in front
			wrong = withCommas(wrong)
		}
		if how&8 != 0 {
			wrong = rawBreaks(wrong)
		}
		if how&16 != 0 {
			wrong = "```json\n" + wrong + "\n```"
		}
		if how&32 != 0 && how%3 != 2 {
			wrong = "I read struct{} and n[0], then:\n" + wrong + "\nThat is all {}."
		}
		got := Read(wrong, true)
		require.True(t, got.Structured, "%s", wrong)
		require.Equal(t, text(right.Findings), text(got.Findings), "%s", wrong)
	})
}

// withCommas puts a comma before each closing bracket outside of strings that has something in front of it.
func withCommas(text string) string {
	var b strings.Builder
	inString := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case inString && c == '\\':
			b.WriteByte(c)
			i++
			c = text[i]
		case c == '"':
			inString = !inString
		case !inString && (c == '}' || c == ']') && text[i-1] != '{' && text[i-1] != '[':
			b.WriteString(" ,\n")
		}
		b.WriteByte(c)
	}
	return b.String()
}

// rawBreaks turns the escaped line breaks and tabs of strings into raw ones.
func rawBreaks(text string) string {
	return strings.NewReplacer(`\\`, `\\`, `\n`, "\n", `\t`, "\t", `\r`, "\r").Replace(text)
}

// Where no form was asked for, a request for files in the middle of prose is an example and not the answer.
func TestARequestForFilesInProseIsAnAnswerOnlyWhereAFormWasAskedFor(t *testing.T) {
	const object = `{"status": "files_required_to_continue", "files_needed": ["a.go"]}`
	require.Nil(t, findObject("Send "+object+" to the tracker.", false))
	require.NotNil(t, findObject("Send "+object+" to the tracker.", true))
	require.NotNil(t, findObject(object, false))
	require.NotNil(t, findObject("```json\n"+object+"\n```", false))
}

// What models get wrong in JSON is repaired, and what is right already stays as it is.
func TestRepaired(t *testing.T) {
	for text, want := range map[string]string{
		`{"a": [1, 2,], }`:          `{"a": [1, 2] }`,
		"{\"a\": 1 ,\n\t\r }":       "{\"a\": 1 \n\t\r }",
		`{"a": ",]", "b": 1}`:       `{"a": ",]", "b": 1}`,
		`{"a": 1, "b": 2}`:          `{"a": 1, "b": 2}`,
		`[1,`:                       `[1,`,
		"{\n\"a\": \"b\nc\rd\te\"}": "{\n\"a\": \"b\\nc\\rd\\te\"}",
		"\"\x00 \x1f!\"":            `"   !"`,
		`"it\'s"`:                   `"it's"`,
		`"\" \\ \/ \b \f \n \r \t"`: `"\" \\ \/ \b \f \n \r \t"`,
		`"\d \Users \x"`:            `"\\d \\Users \\x"`,
		`"\u00fF \u00f \u12g4 \u"`:  `"\u00fF \\u00f \\u12g4 \\u"`,
		"\"\\\n\\\x01\\ \"":         `"\\\n\\ \\ "`,
		`\" ,]`:                     `\" ,]`,
		`"a\`:                       `"a\`,
		`"a\d`:                      `"a\\d`,
		`"\`:                        `"\`,
	} {
		assert.Equal(t, want, repaired(text), text)
	}
}

// The end of a value is known where it is right as it stands; one that was repaired ends with the text.
func TestDecodeFirst(t *testing.T) {
	for _, c := range []struct {
		text string
		want any
		end  int
	}{
		{`[1] and {`, []any{1.0}, 3},
		{`{} `, map[string]any{}, 2},
		{`[1,] and {`, []any{1.0}, 10},
		{`[1`, nil, 2},
		{`[1,} `, nil, 5},
	} {
		v, end := decodeFirst(c.text)
		assert.Equal(t, c.want, v, c.text)
		assert.Equal(t, c.end, end, c.text)
	}
}

// Of an answer that holds several objects, the one that is the answer is taken, in the form that was asked for.
func TestFindObject(t *testing.T) {
	type list = []any
	type object = map[string]any
	finding := object{"title": "t", "severity": "low"}
	for name, c := range map[string]struct {
		text string
		want object
	}{
		"a status alone":                    {`{"status": "x"}`, object{"status": "x"}},
		"findings alone":                    {`{"findings": []}`, object{"findings": list{}}},
		"findings that are no list":         {`{"findings": 1}`, nil},
		"one key of an answer":              {`{"summary": "s"}`, nil},
		"files alone":                       {"```json\n{\"files\": {\"a_test.go\": \"x\"}}\n```", object{"files": list{object{"path": "a_test.go", "content": "x"}}}},
		"files among words":                 {`See {"files": [{"path": "p", "content": "x"}]}.`, nil},
		"two keys of an answer":             {`{"summary": "s", "risks": []}`, object{"summary": "s", "risks": list{}}},
		"a status that is no text":          {`{"status": 1}`, nil},
		"the last one with findings":        {`{"findings": [1]} {"findings": [2]} {"findings": []} {"status": "x"}`, object{"findings": list{2.0}}},
		"the first where none has findings": {`{"status": "x"} {"status": "y"}`, object{"status": "x"}},
		"inside of another one":             {`{"a": {"status": "x"}}`, object{"status": "x"}},
		"not once more inside of itself":    {`{"status": "x", "findings": [{"findings": [1]}]}`, object{"status": "x", "findings": list{object{"findings": list{1.0}}}}},
		"the fortieth beginning":            {strings.Repeat("{ ", 39) + `{"status": "x"}`, object{"status": "x"}},
		"the next one is not looked at":     {strings.Repeat("{ ", 40) + `{"status": "x"}`, nil},
		"issues":                            {`{"issues": [1]}`, object{"findings": list{1.0}}},
		"issues that are no list":           {`{"status": "x", "issues": 1}`, object{"status": "x", "issues": 1.0}},
		"issues beside odd findings":        {`{"issues": [1], "findings": "none"}`, nil},
		"a list":                            {`[{"title": "t"}, "u"]`, object{"findings": list{object{"title": "t"}, "u"}}},
		"a list in a fence":                 {"```\n[\"u\"]\n```", object{"findings": list{"u"}}},
		"an empty list":                     {`[]`, object{"findings": list{}}},
		"a list of numbers":                 {`[1]`, nil},
		"a list among words":                {`See [{"title": "t", "severity": "low"}].`, object{"findings": list{finding}}},
		"texts among words":                 {`See ["u"].`, nil},
		"nothing among words":               {`See [].`, nil},
		"objects among words":               {`See [{"title": "t"}] and [{"severity": "low"}] and [{"severity": "low", "name": "t"}].`, nil},
		"a title of no text among words":    {`See [{"title": 1, "severity": "low"}].`, nil},
		"white space around it":             {" \n{\"status\": \"x\"}\n ", object{"status": "x"}},
		"a fence that does not end":         {"```json\n[\"u\"]", object{"findings": list{"u"}}},
		"a fence without a line":            {"```[\"u\"]```", object{"findings": list{"u"}}},
		"texts behind a fence of one line":  {"```x``` is in [\"u\"].", nil},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.want, findObject(c.text, true)) })
	}
}

// Where prose was asked for, only an answer that is a request for files from its beginning is one.
func TestFindObjectInProse(t *testing.T) {
	const first, second = `{"status": "investigation_paused", "files": ["a"]}`, `{"status": "refactoring_paused"}`
	want := map[string]any{"status": "investigation_paused", "files": []any{"a"}}
	for text, want := range map[string]map[string]any{
		first: want, " \n" + first: want, first + second: want, "```\n" + first + "\n```": want, "{} " + first: want, "[] " + first: nil, "Or " + first: nil,
		`{"status": "done", "findings": []}`: nil, `["a"]`: nil,
		`{"status": "investigation_paused", "issues": [1], "tests": {"a": "b"}}`: {"status": "investigation_paused", "issues": []any{1.0}, "tests": map[string]any{"a": "b"}},
	} {
		assert.Equal(t, want, findObject(text, false), text)
	}
}

// Files come in one form, however the model wrote them; what is no file stays.
func TestRenameFiles(t *testing.T) {
	for text, want := range map[string]string{
		`{"files": [{"path": "a", "content": "x"}]}`:                                              `{"files": [{"path": "a", "content": "x"}]}`,
		`{"tests": [{"file": "a", "code": "x", "why": "y"}]}`:                                     `{"files": [{"path": "a", "content": "x"}]}`,
		`{"test_files": {"b": "y", "a": "x"}}`:                                                    `{"files": [{"path": "a", "content": "x"}, {"path": "b", "content": "y"}]}`,
		`{"test_files": [{"name": "a", "text": "x"}], "tests": [{"filename": "b", "body": "y"}]}`: `{"files": [{"path": "a", "content": "x"}], "tests": [{"filename": "b", "body": "y"}]}`,
		`{"files": {"a": "x"}, "tests": {"b": "y"}}`:                                              `{"files": [{"path": "a", "content": "x"}], "tests": {"b": "y"}}`,
		`{"files": [{"file_path": "a", "content": "", "code": "x", "text": "y"}]}`:                `{"files": [{"path": "a", "content": "x"}]}`,
		`{"files": [{"path": "a"}, {"content": "x"}, {"path": "b", "content": 1}, "c"]}`:          `{"files": [{"path": "a"}, {"content": "x"}, {"path": "b", "content": 1}, "c"]}`,
		`{"files": ["c", {"file": "a", "code": "x"}]}`:                                            `{"files": ["c", {"path": "a", "content": "x"}]}`,
		`{"tests": []}`:                 `{"tests": []}`,
		`{"tests": {}}`:                 `{"tests": {}}`,
		`{"tests": ["a"]}`:              `{"tests": ["a"]}`,
		`{"tests": [{"path": "a"}, 1]}`: `{"tests": [{"path": "a"}, 1]}`,
		`{"tests": {"a": "x", "b": 1}}`: `{"tests": {"a": "x", "b": 1}}`,
		`{"tests": "all pass"}`:         `{"tests": "all pass"}`,
		`{"files": {"a": 1}}`:           `{"files": {"a": 1}}`,
	} {
		var object map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &object))
		renameFiles(object)
		got, err := json.Marshal(object)
		require.NoError(t, err)
		assert.JSONEq(t, want, string(got))
	}
}
