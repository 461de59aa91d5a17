package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// Finding is one of an expert's findings, an object as the expert wrote it. The keys that we rely on have accessors.
type Finding map[string]any

// Severity is the finding's severity, "medium" where it names none of ours.
func (f Finding) Severity() string {
	word, _ := f["severity"].(string)
	if word = strings.ToLower(strings.TrimSpace(word)); rank(word) == 0 {
		return "medium"
	}
	return word
}

// Text is a key's value as text, "" where it has none.
func (f Finding) Text(key string) string {
	text, _ := f[key].(string)
	return strings.TrimSpace(text)
}

// Line is the cited line, 0 where there is none.
func (f Finding) Line() int {
	switch v := f["line"].(type) {
	case float64:
		return int(v)
	case string:
		var n int
		if _, err := fmt.Sscanf(strings.TrimLeft(v, "Ll"), "%d", &n); err == nil {
			return n
		}
	}
	return 0
}

// rank orders severities, 0 for a word that is none.
func rank(severity string) int {
	switch severity {
	case "critical":
		return 4
	case "high":
		return 3
	case "medium":
		return 2
	case "low":
		return 1
	}
	return 0
}

// Analysis is an expert's answer, read.
type Analysis struct {
	// Object is the answer as a JSON object; text that is none stands under raw_analysis.
	Object map[string]any
	// Findings are those of Object, which shares them.
	Findings []Finding
	// Structured: the answer was the JSON object that was asked for.
	Structured bool
}

// Wants is the status with which the expert asks for files, and the paths, "" when it does not.
func (a Analysis) Wants() (status string, files []string) {
	status, _ = a.Object["status"].(string)
	switch status {
	case "files_required_to_continue", "investigation_paused", "refactoring_paused":
	default:
		return "", nil
	}
	for _, key := range []string{"files_needed", "files"} {
		list, _ := a.Object[key].([]any)
		for _, v := range list {
			if path, ok := v.(string); ok && strings.TrimSpace(path) != "" {
				files = append(files, strings.TrimSpace(path))
			}
		}
	}
	return status, files
}

// Read takes an expert's answer apart. An answer that is no JSON object is kept whole as raw_analysis.
func Read(text string) Analysis {
	object, ok := jsonObject(text)
	if !ok {
		return Analysis{Object: map[string]any{"status": "analysis_complete", "raw_analysis": text}}
	}
	if _, has := object["status"].(string); !has {
		object["status"] = "analysis_complete"
	}
	a := Analysis{Object: object, Structured: true}
	list, _ := object["findings"].([]any)
	for _, v := range list {
		if f, ok := v.(map[string]any); ok {
			a.Findings = append(a.Findings, f)
		}
	}
	return a
}

// jsonObject finds the JSON object that an answer is: alone, or in a fenced block with or without words around it.
func jsonObject(text string) (map[string]any, bool) {
	text = strings.TrimSpace(text)
	candidates := []string{text}
	if _, rest, ok := strings.Cut(text, "```"); ok {
		_, rest, _ = strings.Cut(rest, "\n")
		if i := strings.LastIndex(rest, "```"); i >= 0 {
			candidates = append(candidates, rest[:i])
		}
	}
	if i, j := strings.Index(text, "{"), strings.LastIndex(text, "}"); i >= 0 && j > i {
		candidates = append(candidates, text[i:j+1])
	}
	for _, c := range candidates {
		var object map[string]any
		if json.Unmarshal([]byte(c), &object) == nil && object != nil {
			return object, true
		}
	}
	return nil, false
}

// cite marks each finding that cites a file as verified or not_found.
func (a Analysis) cite(ctx context.Context, files Files, sent []string) {
	for _, f := range a.Findings {
		if path := f.Text("file"); path != "" {
			f["citation"] = files.Verify(ctx, path, f.Line(), sent...)
		}
	}
}

// filter leaves out findings and issues below a severity and tells how many of them.
func filter(findings []Finding, least string) (shown []Finding, hidden int) {
	for _, f := range findings {
		if rank(f.Severity()) >= rank(least) {
			shown = append(shown, f)
		} else {
			hidden++
		}
	}
	return shown, hidden
}

// Verdicts of a review.
const (
	VerdictPass         = "pass"
	VerdictChanges      = "changes_required"
	VerdictInconclusive = "inconclusive"
)

// verdict judges a review: never a pass on an answer that is missing, cut or not in the form asked for, nor where no file
// and no diff was read.
func verdict(expert string, a Analysis, issues []map[string]any, read bool) string {
	if expert != expertAnswered || !a.Structured || !read {
		return VerdictInconclusive
	}
	all := a.Findings
	for _, issue := range issues {
		all = append(all, issue)
	}
	for _, f := range all {
		if rank(f.Severity()) >= rank("medium") {
			return VerdictChanges
		}
	}
	return VerdictPass
}
