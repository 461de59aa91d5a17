// Package words holds the program's prose: one text file for each tool, and what is said to every client and every model.
//
// A file begins with "# Title" and has sections under "## name": at least "description", which clients read in the
// catalogue; and, where a model is asked, "system", the tool's part of the system prompt; "reads", what to read for its task;
// "output", what the answer is to look like, or for a JSON object with findings "answer", its own keys, with "example" and "bad",
// findings to report and to leave out. Sections are text/template.
package words

import (
	"embed"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/template"
)

//go:embed *.md
var files embed.FS

// Words are one tool's.
type Words struct {
	Name        string
	Title       string
	Description string
	sections    func() map[string]string // read on first use: the start needs titles and descriptions alone
}

// For reads a tool's file. An error means that it is missing or has no title or description.
func For(name string) (Words, error) {
	text, err := files.ReadFile(name + ".md")
	if err != nil {
		return Words{}, fmt.Errorf("words of %s: %w", name, err)
	}
	w := parse(name, string(text))
	if w.Title == "" || w.Description == "" {
		return Words{}, fmt.Errorf("words/%s.md lacks a title or a description", name)
	}
	return w, nil
}

func parse(name, text string) Words {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	w := Words{Name: name, sections: sync.OnceValue(func() map[string]string { return maps.Collect(sectionsOf(text)) })}
	head, _, _ := strings.Cut(text, "\n## ")
	for line := range strings.Lines(head) {
		if title, ok := strings.CutPrefix(line, "# "); ok {
			w.Title = strings.TrimSpace(title)
		}
	}
	for section, body := range sectionsOf(text) {
		if section == "description" {
			w.Description = strings.Join(strings.Fields(body), " ") // a client shows it as one paragraph
			break
		}
	}
	return w
}

// sectionsOf yields the names and texts of a file's sections.
func sectionsOf(text string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		_, rest, more := strings.Cut(text, "\n## ")
		for more {
			var section string
			section, rest, more = strings.Cut(rest, "\n## ")
			name, body, _ := strings.Cut(section, "\n")
			if !yield(strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(body)) {
				return
			}
		}
	}
}

// all are the sections; the zero Words have none.
func (w Words) all() map[string]string {
	if w.sections == nil {
		return nil
	}
	return w.sections()
}

// Has reports whether there is a section of that name.
func (w Words) Has(section string) bool {
	_, ok := w.all()[section]
	return ok
}

// Sections lists the names of the sections, sorted.
func (w Words) Sections() []string {
	var names []string
	for name := range w.all() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Render fills a section with data. A missing section, or one that needs what data lacks, is an error.
func (w Words) Render(section string, data any) (string, error) {
	text, ok := w.all()[section]
	if !ok {
		return "", fmt.Errorf("words/%s.md has no section %q", w.Name, section)
	}
	t, err := template.New(w.Name + "/" + section).Option("missingkey=error").Parse(text)
	if err != nil {
		return "", fmt.Errorf("words/%s.md: %w", w.Name, err)
	}
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		return "", fmt.Errorf("words/%s.md: %w", w.Name, err)
	}
	return strings.TrimSpace(b.String()), nil
}

// Lines is a section's list: what follows "- " or "1. " on each line that begins so, filled with data.
func (w Words) Lines(section string, data any) ([]string, error) {
	text, err := w.Render(section, data)
	if err != nil {
		return nil, err
	}
	return Items(text), nil
}

// Items is the list in a text: what follows "- " or "1. " on each line that begins so.
func Items(text string) (items []string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		mark, item, ok := strings.Cut(line, " ")
		if ok && (mark == "-" || strings.HasSuffix(mark, ".") && strings.Trim(mark[:len(mark)-1], "0123456789") == "") {
			items = append(items, strings.TrimSpace(item))
		} else if line != "" && len(items) > 0 {
			items[len(items)-1] += " " + line
		}
	}
	return items
}

// Facts are what the rules for every model call depend on.
type Facts struct {
	Date   string // today's, in words
	Locale string // LOCALE, "" where the answer's language is the prompt's
	JSON   bool   // the answer is a JSON object
	Search bool   // the model may be able to search the web
	Masked bool   // secrets are masked in what it is given
}

// Rules is what every model is told besides its tool's own system prompt. The files of this package are compiled in, so
// that it cannot fail at run time where the tests pass.
func Rules(f Facts) string {
	name := "rules_prose"
	if f.JSON {
		name = "rules_json"
	}
	return must(name).mustRender("rules", f)
}

// Expert is a section of what experts are told, and their callers of them. Like Rules, it cannot fail at run time where the
// tests pass.
func Expert(section string, data any) string { return must("expert").mustRender(section, data) }

// Text is a section filled with data, "" where there is no such section. Like Rules, it cannot fail at run time where the
// tests pass.
func (w Words) Text(section string, data any) string {
	if !w.Has(section) {
		return ""
	}
	return w.mustRender(section, data)
}

// Instructions is what the server tells a client in the handshake: when to use which of the tools that are shown, and where
// files go.
func Instructions(shown []string) string {
	return must("instructions").mustRender("instructions", names(shown))
}

// Describe fills a tool's description in: it names other tools only where they are shown. Like Rules, it cannot fail at run
// time where the tests pass.
func Describe(tool, description string, shown []string) string {
	if !strings.Contains(description, "{{") {
		return description
	}
	sections := map[string]string{"description": description}
	return Words{Name: tool, sections: func() map[string]string { return sections }}.mustRender("description", names(shown))
}

// names says of each tool that it is shown; of the others a template reads false.
func names(shown []string) map[string]bool {
	set := map[string]bool{}
	for _, tool := range []string{
		"chat", "challenge", "debug", "analyze", "thinkdeep", "codereview", "refactor", "secaudit", "testgen", "precommit", "consensus",
		"planner", "tracer", "docgen", "status", "health", "activity", "toolcall_log_tail",
		"kimi_upload_and_extract", "kimi_multi_file_chat", "glm_web_search",
	} {
		set[tool] = slices.Contains(shown, tool)
	}
	return set
}

func must(name string) Words {
	w, err := For(name)
	if err != nil {
		panic(err)
	}
	return w
}

func (w Words) mustRender(section string, data any) string {
	text, err := w.Render(section, data)
	if err != nil {
		panic(err)
	}
	return text
}
