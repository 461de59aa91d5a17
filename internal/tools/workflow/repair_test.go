package workflow

import (
	"encoding/json"
	"strings"
	"testing"

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
