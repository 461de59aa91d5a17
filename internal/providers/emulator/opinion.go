package emulator

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// An unscripted model fills in the form of answer that its prompt gives, as far as that can be done without judgement, so that
// every tool gets a valid answer about any project: a finding cites a real line that the model was shown, and says that nobody
// judged it. The prompts are read as a model reads them: by the keys that they ask for.

var (
	formEntry  = lazyregexp.New(`(?m)^- "([a-z_]+)": (.+)$`)
	extraOf    = lazyregexp.New(`also has ("[a-z_]+"[^\n]*)`)
	quotedKey  = lazyregexp.New(`"([a-z_]+)"`)
	offered    = lazyregexp.New(`provider "([^"]+)", model "([^"]+)"`)
	claimEntry = lazyregexp.New(`(?m)^(\d+)\. \[[^\]\n]*\] (.+)$`)
	numbered   = lazyregexp.New(`^ *(\d+)\|(.*)$`)
	fileBegins = lazyregexp.New(`^=== BEGIN FILE \S+ (.+) ===$`)
)

// formed is an unscripted model's answer to a prompt that gives the form of a JSON object; nil where none does.
func (in *inquiry) formed() map[string]any {
	c := in.c
	var system string
	for _, m := range c.Messages {
		if m.Role == "system" {
			system += m.Content + "\n"
		}
	}
	switch {
	case strings.Contains(c.LastUser(), `{"judgements": [`):
		return map[string]any{"judgements": judgementsOf(c.LastUser())}
	case strings.Contains(system, `"findings": [`):
		return findingsFor(system, c)
	case strings.Contains(system, `- "needs_websearch": `):
		return intentFor(system)
	}
	return nil
}

// judgementsOf leaves every claim open.
func judgementsOf(prompt string) []any {
	list := []any{}
	for _, m := range claimEntry().FindAllStringSubmatch(prompt, -1) {
		list = append(list, map[string]any{
			"claim": m[1] + ". " + m[2], "judgement": "undecided", "why": "(emulated) No model judged this claim.",
		})
	}
	return list
}

// intentFor calls every request simple, and recommends the first model of the prompt's list.
func intentFor(system string) map[string]any {
	answer := map[string]any{
		"needs_websearch": false, "complexity": "simple", "domain": "emulated", "streaming_preferred": false,
		"recommended_provider": "", "recommended_model": "",
	}
	if m := offered().FindStringSubmatch(system); m != nil {
		answer["recommended_provider"], answer["recommended_model"] = m[1], m[2]
	}
	return answer
}

// findingsFor is a review that found nothing but the first line it was shown.
func findingsFor(system string, c *Chat) map[string]any {
	answer := map[string]any{"status": "analysis_complete", "summary": "This review is emulated: no model was called."}
	if _, own, ok := strings.Cut(system, "The object also has"); ok {
		own, _, _ = strings.Cut(own, "\n\n")
		for _, m := range formEntry().FindAllStringSubmatch(own, -1) {
			answer[m[1]] = valueFor(m[2])
		}
	}
	findings := []any{}
	if line, ok := firstShown(c); ok {
		f := map[string]any{
			"severity": "low", "file": line.file, "line": line.number, "line_end": line.number, "quote": line.text,
			"title": "Emulated finding", "evidence": "(emulated) This is the first line that the model was shown; no model judged it.",
			"trigger": "an emulated vendor", "recommendation": "Set a key to have it judged.", "fix": nil, "confidence": "low",
		}
		if m := extraOf().FindStringSubmatch(system); m != nil {
			for _, key := range quotedKey().FindAllStringSubmatch(m[1], -1) {
				f[key[1]] = "emulated"
			}
		}
		findings = append(findings, f)
	}
	answer["findings"] = findings
	return answer
}

// valueFor is a value for a key of which a prompt says this.
func valueFor(about string) any {
	switch {
	case strings.Contains(about, `{"path":`):
		return []any{map[string]any{"path": "emulated.txt", "content": "This file is emulated: no model wrote a test.\n"}}
	case strings.Contains(about, "as a list"):
		return []any{"(emulated)"}
	case strings.Contains(about, "or null"):
		return nil
	}
	return "(emulated)"
}

// shownLine is a line of a file as a model was shown it.
type shownLine struct {
	file   string
	number int
	text   string
}

// minShown is how many letters and digits make a line worth citing.
const minShown = 6

// firstShown is the first line of those that a chat shows of a file, in an attachment, a diff or the result of read_file, that
// says something.
func firstShown(c *Chat) (shownLine, bool) {
	for _, m := range c.Messages {
		switch m.Role {
		case "user":
			if line, ok := firstAttached(m.Content); ok {
				return line, true
			}
		case "tool":
			head, rest, _ := strings.Cut(m.Content, "\n")
			name, count, ok := cutLast(head, ", ")
			if !ok || !strings.HasSuffix(count, "line") && !strings.HasSuffix(count, "lines") || strings.Contains(name, " in commit ") {
				continue
			}
			for text := range strings.Lines(rest) {
				if line, ok := lineOf(name, text, false); ok {
					return line, true
				}
			}
		}
	}
	return shownLine{}, false
}

// firstAttached is the first line that says something of the files and diffs in front of a prompt.
func firstAttached(text string) (shownLine, bool) {
	file, diff := "", false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case fileBegins().MatchString(line):
			file, diff = fileBegins().FindStringSubmatch(line)[1], false
		case strings.HasPrefix(line, "=== BEGIN CHANGES "):
			diff = true
		case strings.HasPrefix(line, "=== END "):
			file = ""
		case diff && strings.HasPrefix(line, "+++ "):
			file = strings.TrimPrefix(strings.TrimPrefix(line, "+++ "), "b/")
		case file != "":
			if found, ok := lineOf(file, line, diff); ok {
				return found, true
			}
		}
	}
	return shownLine{}, false
}

// lineOf reads a line with its number before a bar; one of a diff has a mark behind the bar.
func lineOf(file, line string, diff bool) (shownLine, bool) {
	m := numbered().FindStringSubmatch(strings.TrimRight(line, "\r\n"))
	if m == nil {
		return shownLine{}, false
	}
	text := m[2]
	if diff && text != "" {
		if text[0] == '-' {
			return shownLine{}, false
		}
		text = text[1:]
	}
	said := 0
	for _, r := range text {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			said++
		}
	}
	n, err := strconv.Atoi(m[1])
	return shownLine{file, n, strings.TrimSpace(text)}, err == nil && said >= minShown
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// Reading has unscripted models use the functions with which they can read files, as a reviewer does: one that is not called flash
// lists the files and reads one that it was not sent, and then answers. The flash ones answer at once.
func Reading() Option { return func(e *Emulator) { e.reading = true } }

// read is an unscripted model's next move with the functions that it is offered, if it makes one.
func (in *inquiry) read() (ToolCall, bool) {
	c := in.c
	if !in.e.reading || strings.Contains(c.Model, "flash") || !offersFunctions(c) {
		return ToolCall{}, false
	}
	if _, ok := c.tool(func(t Tool) bool { return t.Name == "list_files" }); !ok {
		return ToolCall{}, false
	}
	switch exchanges(c) {
	case 0:
		return ToolCall{Name: "list_files", Arguments: "{}"}, true
	case 1:
		listed := c.Messages[len(c.Messages)-1]
		for name := range strings.Lines(listed.Content) {
			name = strings.TrimSpace(name)
			if listed.Role == "tool" && readable(name) && !strings.Contains(c.Text(), name+" ===\n") {
				return ToolCall{Name: "read_file", Arguments: string(mustJSON(map[string]any{"path": name, "to": 200}))}, true
			}
		}
	}
	return ToolCall{}, false
}

// readable reports whether a line of list_files is a file's name.
func readable(name string) bool {
	return name != "" && !strings.HasPrefix(name, "[") && !strings.HasSuffix(name, ")") && !strings.HasSuffix(name, ".") &&
		!strings.HasPrefix(name, "Error") && !strings.HasPrefix(name, "Not ")
}
