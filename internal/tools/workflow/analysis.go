package workflow

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// Finding is one finding, an expert's or a caller's: an object as it was written. The keys that we rely on have accessors.
type Finding map[string]any

// Severity is the finding's severity in our words, medium where it names none.
func (f Finding) Severity() issue.Severity {
	severity, _ := issue.ParseSeverity(f.Text("severity", "priority", "level"))
	return severity
}

// Text is the value of the first of the keys that has one, "" where none has. "null" and "N/A" are no values.
func (f Finding) Text(keys ...string) string {
	for _, key := range keys {
		text, _ := f[key].(string)
		if text = strings.TrimSpace(text); text != "" && !slices.Contains(absent, strings.ToLower(text)) {
			return text
		}
	}
	return ""
}

// absent are the words with which a model fills a key that it has no value for.
var absent = []string{"null", "n/a", "undefined"}

var (
	lineAtEnd   = lazyregexp.New(`^(.+?)(?::L?|#L| \(lines? )(\d{1,9})(?:[-:–]L?\d+)?\)?$`)
	firstNumber = lazyregexp.New(`\d{1,9}`)
)

// Place is the file that the finding cites, "" for none, and the line, 0 for none. A model may write both as one, or
// several lines.
func (f Finding) Place() (file string, line int) {
	file = f.Text("file", "path", "file_path", "filename", "location")
	if slices.Contains([]string{"", "none", "-"}, strings.ToLower(file)) {
		return "", 0
	}
	line = f.line()
	if m := lineAtEnd().FindStringSubmatch(file); m != nil {
		file = m[1]
		if line == 0 {
			line, _ = strconv.Atoi(m[2]) // at most nine digits
		}
	}
	return file, line
}

func (f Finding) line() int {
	for _, key := range []string{"line", "line_number", "start_line"} {
		switch v := f[key].(type) {
		case float64:
			return int(min(max(v, 0), math.MaxInt32))
		case string:
			n, _ := strconv.Atoi(firstNumber().FindString(v)) // "" is no line
			return n
		}
	}
	return 0
}

// Title is the finding in a line.
func (f Finding) Title() string {
	title, _, _ := strings.Cut(f.Text(titleKeys...), "\n")
	return strings.TrimSpace(title)
}

// Analysis is an expert's answer, read.
type Analysis struct {
	// Object is the answer as a JSON object; text that is none stands under raw_analysis.
	Object map[string]any
	// Findings are those of Object, which shares them.
	Findings []Finding
	// Structured: the answer was the JSON object with findings that was asked for.
	Structured bool
}

// Read takes an expert's answer apart. asked reports whether it was to be a JSON object with findings; else it is prose,
// unless it is a request for files alone. What is not the object that it should be is kept whole as raw_analysis.
func Read(text string, asked bool) Analysis {
	object := findObject(text, asked)
	if object == nil {
		a := Analysis{Object: map[string]any{"status": "analysis_complete", "raw_analysis": text}}
		if asked {
			a.Object["parse_error"] = "The answer is not the requested JSON object."
		}
		return a
	}
	if _, has := object["status"].(string); !has {
		object["status"] = "analysis_complete"
	}
	a := Analysis{Object: object}
	list, ok := object["findings"].([]any)
	a.Structured = ok && asked
	if !ok {
		return a
	}
	kept := []any{}
	for _, v := range list {
		if title, ok := v.(string); ok {
			v = map[string]any{"title": title}
		}
		if f, ok := v.(map[string]any); ok && !Finding(f).Empty() {
			if _, named := f["severity"]; named {
				f["severity"] = string(Finding(f).Severity())
			}
			kept, a.Findings = append(kept, f), append(a.Findings, f)
		}
	}
	object["findings"] = kept
	return a
}

func asksForFiles(status string) bool {
	return status == "files_required_to_continue" || status == "investigation_paused" || status == "refactoring_paused"
}

// Wants is the status with which the expert asks for files, "" when it does not, and their paths.
func (a Analysis) Wants() (status string, files []string) {
	if status, _ = a.Object["status"].(string); !asksForFiles(status) {
		return "", nil
	}
	for _, key := range []string{"files_needed", "files"} {
		list, isList := a.Object[key].([]any)
		if !isList {
			list = []any{a.Object[key]}
		}
		for _, v := range list {
			if path, ok := v.(string); ok && strings.TrimSpace(path) != "" {
				files = union(files, []string{strings.TrimSpace(path)})
			}
		}
	}
	return status, files
}

// answerKeys are those of the tools' own answers.
var answerKeys = []string{
	"summary", "overview", "strengths", "first_step", "root_cause", "fix", "test", "unexplained", "target", "steps", "risks", "tests_first", "files",
}

// The keys of an analysis and of a finding that a reader wants first; the others follow by name.
var (
	analysisKeys = slices.Concat([]string{"status"}, answerKeys[:len(answerKeys)-1], []string{"raw_analysis", "parse_error", "findings", "files"})
	findingKeys  = []string{
		"severity", "file", "line", "cited_line", "line_end", "citation", "title", "quote", "evidence", "trigger", "recommendation", "fix", "confidence",
	}
)

// readable is an analysis whose keys stand in an order that reads well.
func readable(object map[string]any) *reply.Object {
	o := inOrder(object, analysisKeys)
	list, ok := object["findings"].([]any)
	if !ok {
		return o
	}
	list = slices.Clone(list)
	for i, v := range list {
		if f, ok := v.(map[string]any); ok {
			list[i] = inOrder(f, findingKeys)
		}
	}
	return o.Set("findings", list)
}

func inOrder(object map[string]any, first []string) *reply.Object {
	o := &reply.Object{}
	for _, key := range first {
		if value, ok := object[key]; ok {
			o.Set(key, value)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		o.Set(key, object[key])
	}
	return o
}

// shorter is an expert's analysis with the beginning of the answer's text in the place of the whole: what a reply that is
// too long for the client is cut to. Of structured findings an index remains.
func shorter(analysis any, head string) map[string]any {
	object := map[string]any{}
	if raw, err := json.Marshal(analysis); err == nil {
		_ = json.Unmarshal(raw, &object) // it is an object, or nothing of it remains
	}
	for _, key := range []string{"content", "raw_analysis"} {
		if _, ok := object[key].(string); ok {
			object[key] = head
			return object
		}
	}
	short := map[string]any{"status": object["status"], "raw_analysis": head}
	list, _ := object["findings"].([]any)
	var index []any
	for _, v := range list {
		f, _ := v.(map[string]any)
		entry := map[string]any{}
		for _, key := range []string{"severity", "title", "file", "line", "quote", "citation"} {
			if f[key] != nil {
				entry[key] = f[key]
			}
		}
		index = append(index, entry)
	}
	if index != nil {
		short["findings"] = index
	}
	return short
}

// atLeast returns the findings of a severity or worse, and the number of the others.
func atLeast[F ~map[string]any](findings []F, least issue.Severity) (shown []F, hidden int) {
	for _, f := range findings {
		if Finding(f).Severity().AtLeast(least) {
			shown = append(shown, f)
		} else {
			hidden++
		}
	}
	return shown, hidden
}
