package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
)

// reply is a tool's reply object.
type reply map[string]any

// text is what stands under a path of keys, "" when that is no text.
func (r reply) text(path ...string) string {
	var at any = map[string]any(r)
	for _, key := range path {
		object, _ := at.(map[string]any)
		at = object[key]
	}
	s, _ := at.(string)
	return s
}

// shownFirst are the keys of a reply that come first in the demo; the others follow by name.
var shownFirst = [...]string{"status", "content", "error"}

// leftOut are keys that a client needs and a reader does not.
var leftOut = [...]string{
	"metadata", "content_type", "next_call", "next_step_number", "step_number", "total_steps", "continuation_available",
	"continuation_required", "remaining_turns", "investigation_status", "file_context", "agent_analysis", "complete_consensus",
	"complete_code_review", "code_review_status", "code_review_complete", "close_tracked_issues", "model_consulted", "model_response",
	"model_stance", "current_model_index", "created", "id", "request_id", "icon", "refer",
}

// outline is the reply as a reader wants it: its keys, and one line of its metadata.
func (r reply) outline() string {
	rest := maps.Clone(map[string]any(r))
	var parts []string
	for _, key := range shownFirst {
		if value, ok := rest[key]; ok {
			parts = append(parts, outline(map[string]any{key: value}, "   "))
			delete(rest, key)
		}
	}
	if others := outline(rest, "   "); others != "" {
		parts = append(parts, others)
	}
	return strings.Join(append(parts, "   ["+r.figures()+"]"), "\n")
}

// figures are the reply's metadata in a line.
func (r reply) figures() string {
	m, _ := r["metadata"].(map[string]any)
	parts := []string{fmt.Sprintf("%v ms", m["duration_ms"])}
	for _, key := range []string{"model_used", "provider_used", "thinking", "finish_reason"} {
		if s, ok := m[key].(string); ok {
			parts = append(parts, s)
		}
	}
	if usage, ok := m["usage"].(map[string]any); ok {
		parts = append(parts, fmt.Sprintf("%v tokens in, %v of them cached, %v out, $%.6f",
			usage["input_tokens"], usage["cached_tokens"], usage["output_tokens"], usage["cost_usd"]))
	}
	if notes, ok := m["notes"].([]any); ok {
		for _, note := range notes {
			parts = append(parts, fmt.Sprint(note))
		}
	}
	return strings.Join(parts, "; ")
}

// outline writes a JSON value as an indented outline; long texts are cut.
func outline(value any, indent string) string {
	const longest = 600
	switch v := value.(type) {
	case map[string]any:
		var lines []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if slices.Contains(leftOut[:], key) {
				continue
			}
			lines = append(lines, indent+key+":"+under(v[key], indent))
		}
		return strings.Join(lines, "\n")
	case []any:
		var lines []string
		for _, item := range v {
			lines = append(lines, indent+"- "+strings.TrimPrefix(outline(item, indent+"  "), indent+"  "))
		}
		return strings.Join(lines, "\n")
	case []string:
		return indent + "- " + strings.Join(v, "\n"+indent+"- ")
	}
	return strings.ReplaceAll(clip(strings.TrimSpace(fmt.Sprint(value)), longest), "\n", "\n"+indent)
}

// under is a value that follows a key or a dash: on the same line when it is short, on lines of its own else.
func under(value any, indent string) string {
	switch v := value.(type) {
	case map[string]any, []any, []string:
		if below := outline(v, indent+"   "); below != "" {
			return "\n" + below
		}
		return " (none)"
	case nil:
		return " (none)"
	}
	return " " + outline(value, indent+"   ")
}

// clip cuts a text to n characters.
func clip(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n]) + " ..."
	}
	return s
}

// fit breaks the lines of an outline that are wider than width, with an indentation that shows it.
func fit(outline string, width int) string {
	var b strings.Builder
	for line := range strings.Lines(outline) {
		line = strings.TrimRight(line, " \n")
		if text.StringWidth(line) <= width {
			b.WriteString(line + "\n")
			continue
		}
		said := strings.TrimLeft(line, " ")
		indent := line[:len(line)-len(said)]
		hanging := indent + "   "
		b.WriteString(indent + strings.TrimPrefix(wrapped(said, hanging, width), hanging))
	}
	return strings.TrimRight(b.String(), "\n")
}

// wrap breaks lines that are longer than width between words.
func wrap(s string, width int) string {
	var lines []string
	for line := range strings.SplitSeq(s, "\n") {
		current := ""
		for word := range strings.FieldsSeq(line) {
			if current != "" && len(current)+1+len(word) > width {
				lines = append(lines, current)
				current = ""
			}
			current = strings.TrimPrefix(current+" "+word, " ")
		}
		lines = append(lines, current)
	}
	return strings.Join(lines, "\n")
}
