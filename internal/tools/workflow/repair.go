package workflow

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// maxStarts is how many places of an answer are tried as the beginning of its JSON: a model may write a few words, or a
// line of code, in front of it.
const maxStarts = 40

// findObject returns the JSON object that an answer is, nil when there is none. What models often get wrong is repaired: a
// fence or prose around it, a comma behind the last element, a raw line break or a lone backslash in a string, a bare list of
// findings, and "issues" in the place of "findings". asked says whether an object with findings was asked for. Of several
// objects, such as a draft and the answer, the last one with findings counts, so that an empty draft hides none.
func findObject(text string, asked bool) map[string]any {
	text = strings.TrimSpace(text)
	if !asked && !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "```") {
		return nil
	}
	alone := unfenced(text)
	rest := text
	var best map[string]any
	for range maxStarts {
		at := strings.IndexAny(rest, "{[")
		if at < 0 {
			break
		}
		rest = rest[at:]
		value, end := decodeFirst(rest)
		object := asAnalysis(value, asked, strings.HasPrefix(rest, alone))
		if object == nil {
			end = 1
		} else if list, _ := object["findings"].([]any); best == nil || len(list) > 0 {
			best = object
		}
		if rest = rest[end:]; best != nil && !asked {
			break
		}
	}
	return best
}

// asAnalysis is a decoded value as the answer, nil where it is another one. alone says that the whole text is the value.
func asAnalysis(value any, asked, alone bool) map[string]any {
	switch v := value.(type) {
	case map[string]any:
		if asked {
			renameIssues(v)
			renameFiles(v)
		}
		if isAnalysis(v, asked) || asked && alone && holdsFiles(v["files"]) { // tests alone are an answer too
			return v
		}
	case []any:
		if asked && isFindings(v, alone) {
			return map[string]any{"findings": v}
		}
	}
	return nil
}

// decodeFirst decodes the JSON value with which a text begins, nil when it begins with none even when repaired, and returns
// where it ends. A repaired one ends with the text, since its own end is not known.
func decodeFirst(text string) (v any, end int) {
	d := json.NewDecoder(strings.NewReader(text))
	if d.Decode(&v) == nil {
		return v, int(d.InputOffset())
	}
	if json.NewDecoder(strings.NewReader(repaired(text))).Decode(&v) == nil {
		return v, len(text)
	}
	return nil, len(text)
}

// repaired is JSON text without commas before a closing bracket, and with raw control characters and lone backslashes in
// strings escaped.
func repaired(text string) string {
	var b strings.Builder
	inString := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case inString && c == '\\' && i+1 < len(text):
			i++
			b.WriteString(escaped(text[i:]))
		case c == '"':
			inString = !inString
			b.WriteByte(c)
		case inString && c < 0x20:
			b.WriteString(controlEscapes[c])
		case !inString && c == ',' && closes(text[i+1:]):
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// controlEscapes are the JSON escapes of the control characters; those that no text needs become a space.
var controlEscapes = func() (escapes [0x20]string) {
	for i := range escapes {
		escapes[i] = " "
	}
	escapes['\n'], escapes['\r'], escapes['\t'] = `\n`, `\r`, `\t`
	return escapes
}()

// hexDigits are the four that JSON has behind \u.
var hexDigits = lazyregexp.New(`^[0-9A-Fa-f]{4}`)

// escaped is what a backslash in a string stands for with the character behind it, with which the text begins: in quoted
// code, such as \d or C:\Users, the backslash is one of the code's own.
func escaped(text string) string {
	switch c := text[0]; {
	case c == '\'':
		return "'"
	case strings.IndexByte(`"\/bfnrt`, c) >= 0, c == 'u' && hexDigits().MatchString(text[1:]):
		return `\` + text[:1]
	case c < 0x20:
		return `\\` + controlEscapes[c]
	}
	return `\\` + text[:1]
}

// closes reports whether the next character of a text, white space aside, is a closing bracket.
func closes(text string) bool {
	text = strings.TrimLeft(text, " \t\r\n")
	return strings.HasPrefix(text, "}") || strings.HasPrefix(text, "]")
}

// unfenced is a text without the code fence around it.
func unfenced(text string) string {
	inner, ok := strings.CutPrefix(text, "```")
	if !ok {
		return text
	}
	if _, below, ok := strings.Cut(inner, "\n"); ok {
		inner = below
	}
	return strings.TrimSpace(strings.TrimSuffix(inner, "```"))
}

// renameIssues takes a list under "issues" for the findings where there are none, not even in a list of their own.
func renameIssues(object map[string]any) {
	list, ok := object["issues"].([]any)
	have, isList := object["findings"].([]any)
	if _, has := object["findings"]; !ok || has && (!isList || len(have) > 0) {
		return
	}
	object["findings"] = list
	delete(object, "issues")
}

// renameFiles brings the files of an answer into their form, {path, content}: those under "tests" or "test_files", in a map from
// path to content, or with other names of the two keys. An entry that lacks either stays as it is.
func renameFiles(object map[string]any) {
	for _, key := range []string{"test_files", "tests"} {
		if _, has := object["files"]; !has && holdsFiles(object[key]) {
			object["files"] = object[key]
			delete(object, key)
		}
	}
	if byPath, ok := object["files"].(map[string]any); ok && holdsFiles(byPath) {
		list := []any{}
		for _, path := range slices.Sorted(maps.Keys(byPath)) {
			list = append(list, map[string]any{"path": path, "content": byPath[path]})
		}
		object["files"] = list
	}
	list, _ := object["files"].([]any)
	for _, v := range list {
		f, _ := v.(map[string]any)
		path, content := Finding(f).Text("path", "file", "file_path", "filename", "name"), ""
		for _, key := range []string{"content", "code", "text", "body"} {
			if text, ok := f[key].(string); ok && content == "" {
				content = text
			}
		}
		if path != "" && content != "" {
			clear(f)
			f["path"], f["content"] = path, content
		}
	}
}

// holdsFiles reports whether a value may be the files of an answer: objects in a list, or texts by path.
func holdsFiles(value any) bool {
	switch v := value.(type) {
	case []any:
		return len(v) > 0 && !slices.ContainsFunc(v, func(one any) bool { _, ok := one.(map[string]any); return !ok })
	case map[string]any:
		for _, one := range v {
			if _, ok := one.(string); !ok {
				return false
			}
		}
		return len(v) > 0
	}
	return false
}

// isAnalysis reports whether an object is the answer, and not some other object that stands in it.
func isAnalysis(object map[string]any, asked bool) bool {
	status, _ := object["status"].(string)
	_, findings := object["findings"].([]any)
	return asksForFiles(status) || asked && (status != "" || findings || hasAnswerKeys(object))
}

// hasAnswerKeys reports whether an object has two or more of the keys of the tools' own answers.
func hasAnswerKeys(object map[string]any) bool {
	n := 0
	for _, key := range answerKeys {
		if _, ok := object[key]; ok {
			n++
		}
	}
	return n > 1
}

// isFindings reports whether a list is a bare list of findings: objects that say something, or, where the answer is the
// list alone, also strings and nothing.
func isFindings(list []any, alone bool) bool {
	for _, v := range list {
		switch v := v.(type) {
		case map[string]any:
			if _, wrapped := v["findings"]; wrapped || !alone && !looksLikeFinding(v) {
				return false
			}
		case string:
			if !alone {
				return false
			}
		default:
			return false
		}
	}
	return alone || len(list) > 0
}

// looksLikeFinding reports whether an object has one of the keys that a finding is named by.
func looksLikeFinding(f Finding) bool {
	return !f.Empty() && slices.ContainsFunc(titleKeys[:4], func(key string) bool { _, ok := f[key]; return ok }) && f["severity"] != nil
}
