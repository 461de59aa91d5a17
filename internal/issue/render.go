package issue

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bar shows the checklist's progress in width characters and as a count, "[###.......] 3/10"; "" without a checklist. It
// is full only when every step is complete.
func (i Issue) Bar(width int) string {
	if i.TotalSteps == 0 {
		return ""
	}
	done := width * i.CompletedSteps / i.TotalSteps
	return fmt.Sprintf("[%s%s] %d/%d", strings.Repeat("#", done), strings.Repeat(".", width-done), i.CompletedSteps, i.TotalSteps)
}

// Where is the issue's place on one line, "src/a.go:48-51"; "" when no file is known.
func (i Issue) Where() string {
	switch {
	case i.File == "" || i.LineStart == 0:
		return i.File
	case i.LineEnd > i.LineStart:
		return fmt.Sprintf("%s:%d-%d", i.File, i.LineStart, i.LineEnd)
	}
	return fmt.Sprintf("%s:%d", i.File, i.LineStart)
}

// Mention is a conversation that has to do with an issue.
type Mention struct {
	ConversationID string
	How            []string // "found", "fixed", "3 updates", "checklist step 2"
}

// Conversations are the continuation ids of Mentions.
func (i Issue) Conversations() []string {
	var ids []string
	for _, m := range i.Mentions() {
		ids = append(ids, m.ConversationID)
	}
	return ids
}

// Mentions lists the conversations of an issue that Get returned: the one that found it first, the one that fixed it
// next, then those in which it was worked on.
func (i Issue) Mentions() []Mention {
	var list []Mention
	of := func(id string) *Mention {
		k := slices.IndexFunc(list, func(m Mention) bool { return m.ConversationID == id })
		if k < 0 {
			k = len(list)
			list = append(list, Mention{ConversationID: id})
		}
		return &list[k]
	}
	say := func(id, how string) {
		if id != "" {
			m := of(id)
			m.How = append(m.How, how)
		}
	}
	say(i.ConversationID, "found")
	say(i.FixConversationID, "fixed")
	updates := map[string]int{}
	for _, u := range i.Updates {
		if updates[u.ConversationID]++; u.ConversationID != "" {
			of(u.ConversationID)
		}
	}
	steps := map[string][]string{}
	for _, s := range i.Checklist {
		if s.ConversationID != "" {
			of(s.ConversationID)
			steps[s.ConversationID] = append(steps[s.ConversationID], strconv.Itoa(s.Number))
		}
	}
	for _, m := range slices.Clone(list) {
		if n := updates[m.ConversationID]; n > 0 {
			say(m.ConversationID, count(n, "update"))
		}
		switch n := steps[m.ConversationID]; len(n) {
		case 0:
		case 1:
			say(m.ConversationID, "checklist step "+n[0])
		default:
			say(m.ConversationID, "checklist steps "+strings.Join(n, ", "))
		}
	}
	return list
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Page is an issue with what a reader wants to see beside it.
type Page struct {
	Issue  Issue             // as Get returns it
	Linked []Issue           // those that it is tied to, where they are at hand
	Titles map[string]string // of its conversations, where they are known
}

// Markdown is the whole issue for people and models: every column that is not empty, the checklist, the conversations
// and the audit trail. Long texts are quoted, so that nothing in them looks like a part of the page.
func (p Page) Markdown() string {
	i := p.Issue
	var b strings.Builder
	fmt.Fprintf(&b, "# Issue %d: %s\n\n", i.Number, line(i.Title))
	field := func(name, value string) {
		if value = line(value); value != "" {
			fmt.Fprintf(&b, "- %s: %s\n", name, value)
		}
	}
	field("Severity", string(i.Severity))
	field("Category", string(i.Category))
	field("Status", string(i.Status))
	if i.TotalSteps > 0 {
		field("Progress", fmt.Sprintf("%s, %d %%", i.Bar(20), i.Progress()))
	}
	field("Place", i.Where())
	field("Components", strings.Join(i.Components, ", "))
	field("Blocks", p.links(i.Blocks))
	field("Blocked by", p.links(i.BlockedBy))
	field("Related", p.links(i.Related))
	field("Workspace", i.Workspace)
	field("Created", clock(i.CreatedAt))
	field("Changed", clock(i.UpdatedAt))
	field("Fixed on", clock(i.FixDate))
	section := func(title, text string) {
		if text = strings.TrimSpace(text); text != "" {
			fmt.Fprintf(&b, "\n## %s\n\n%s\n", title, quote(text))
		}
	}
	section("Description", i.Description)
	section("Root cause", i.RootCause)
	section("Impact", i.Impact)
	section("Recommended fix", i.RecommendedFix)
	section("Actual fix", i.ActualFix)
	p.checklist(&b)
	p.conversations(&b)
	if len(i.Updates) > 0 {
		b.WriteString("\n## History\n\n")
	}
	for _, u := range i.Updates {
		fmt.Fprintf(&b, "- %s\n", strings.Join(nonEmpty(clock(u.CreatedAt), string(u.Type), within(u.ConversationID)), ", "))
		if text := strings.TrimSpace(u.Content); text != "" {
			fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(quote(text), "\n", "\n  "))
		}
	}
	return b.String()
}

func (p Page) checklist(b *strings.Builder) {
	if len(p.Issue.Checklist) > 0 {
		b.WriteString("\n## Checklist\n\n")
	}
	for _, s := range p.Issue.Checklist {
		mark := " "
		if s.Status == StepComplete {
			mark = "x"
		}
		fmt.Fprintf(b, "- [%s] %d. %s (%s)\n", mark, s.Number, line(s.Description),
			strings.Join(nonEmpty(string(s.Status), clock(s.CompletedAt), within(s.ConversationID)), ", "))
	}
}

func (p Page) conversations(b *strings.Builder) {
	mentions := p.Issue.Mentions()
	if len(mentions) > 0 {
		b.WriteString("\n## Conversations\n\n")
	}
	for _, m := range mentions {
		fmt.Fprintf(b, "- %s: %s", line(m.ConversationID), strings.Join(m.How, ", "))
		if title := line(p.Titles[m.ConversationID]); title != "" {
			fmt.Fprintf(b, " (%s)", title)
		}
		b.WriteByte('\n')
	}
}

// links names issues by number, with title and status where they are known.
func (p Page) links(numbers []int) string {
	var out []string
	for _, n := range numbers {
		name := fmt.Sprintf("#%d", n)
		if k := slices.IndexFunc(p.Linked, func(i Issue) bool { return i.Number == n }); k >= 0 {
			name += fmt.Sprintf(" %s (%s)", p.Linked[k].Title, p.Linked[k].Status)
		}
		out = append(out, name)
	}
	return strings.Join(out, "; ")
}

// LinkedTo lists the numbers of the issues that an issue is tied to, each once.
func (i Issue) LinkedTo() []int {
	all := slices.Concat(i.Blocks, i.BlockedBy, i.Related)
	slices.Sort(all)
	return slices.Compact(all)
}

// Markdown is a list of issues as a table.
func Markdown(list []Issue) string {
	var b strings.Builder
	b.WriteString("| # | Severity | Status | Category | Progress | Title | Place |\n|--:|---|---|---|---|---|---|\n")
	for _, i := range list {
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %s | %s |\n", i.Number, cell(string(i.Severity)), cell(string(i.Status)),
			cell(string(i.Category)), i.Bar(10), cell(i.Title), cell(i.Where()))
	}
	return b.String()
}

// JSON is issues as a JSON array, indented.
func JSON(list []Issue) ([]byte, error) {
	if list == nil {
		list = []Issue{}
	}
	compact, err := marshal(list)
	if err != nil {
		return nil, fmt.Errorf("issues as JSON: %w", err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, compact, "", "  "); err != nil {
		return nil, fmt.Errorf("issues as JSON: %w", err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// Formats are the forms of Export.
func Formats() []string { return []string{"json", "markdown", "csv"} }

// Export is ExportTo for issues that are at hand, which are also looked up where one is linked to another.
func Export(list []Issue, format string) (string, error) {
	each := func(yield func(Issue, error) bool) {
		for _, i := range list {
			if !yield(i, nil) {
				return
			}
		}
	}
	var b strings.Builder
	err := ExportTo(&b, each, format, func(Issue) ([]Issue, error) { return list, nil })
	return b.String(), err
}

// ExportTo writes issues with their checklists and updates in one of the Formats, one after the other, a write for each.
// linked finds the issues that one is linked to, of which Markdown shows the titles.
func ExportTo(w io.Writer, issues iter.Seq2[Issue, error], format string, linked func(Issue) ([]Issue, error)) error {
	if !slices.Contains(Formats(), format) {
		return invalid("format %q is none of %s", format, strings.Join(Formats(), ", "))
	}
	n := 0
	for i, err := range issues {
		if err != nil {
			return err
		}
		var b bytes.Buffer
		switch format {
		case "json":
			err = jsonElement(&b, i, n == 0)
		case "csv":
			err = csvRow(&b, i, n == 0)
		default:
			if n > 0 {
				b.WriteString("\n---\n\n")
			}
			page := Page{Issue: i}
			if len(i.LinkedTo()) > 0 {
				page.Linked, err = linked(i)
			}
			b.WriteString(page.Markdown())
		}
		if err != nil {
			return fmt.Errorf("issue %d as %s: %w", i.Number, format, err)
		}
		if _, err := w.Write(b.Bytes()); err != nil {
			return err
		}
		n++
	}
	last := ""
	switch {
	case format == "json" && n == 0:
		last = "[]\n"
	case format == "json":
		last = "\n]\n"
	case format == "csv" && n == 0:
		last = strings.Join(csvColumns, ",") + "\n"
	}
	_, err := io.WriteString(w, last)
	return err
}

// jsonElement is an issue as an element of an indented array.
func jsonElement(b *bytes.Buffer, i Issue, first bool) error {
	if first {
		b.WriteString("[\n  ")
	} else {
		b.WriteString(",\n  ")
	}
	compact, err := i.MarshalJSON()
	if err != nil {
		return err
	}
	return json.Indent(b, compact, "  ", "  ")
}

// csvColumns are the columns of CSV.
var csvColumns = []string{
	"issue_number", "title", "severity", "category", "status", "description", "file_path", "line_start", "line_end",
	"affected_components", "conversation_id", "fix_conversation_id", "root_cause", "impact_description", "recommended_fix",
	"actual_fix", "fix_date", "related_issues", "blocks_issues", "blocked_by_issues", "workspace", "created_at",
	"updated_at", "completed_steps", "total_steps", "progress_percentage", "checklist", "updates", "id",
}

// csvRow writes an issue as a row of CSV, the first with a header before it; lists, the checklist and the updates have a line
// for each entry in their cell. A cell that a spreadsheet would take for a formula begins with an apostrophe.
func csvRow(b *bytes.Buffer, i Issue, first bool) error {
	out := csv.NewWriter(b)
	if first {
		if err := out.Write(csvColumns); err != nil {
			return err
		}
	}
	row := []string{
		strconv.Itoa(i.Number), i.Title, string(i.Severity), string(i.Category), string(i.Status), i.Description, i.File,
		known(i.LineStart), known(i.LineEnd), strings.Join(i.Components, "\n"), i.ConversationID, i.FixConversationID,
		i.RootCause, i.Impact, i.RecommendedFix, i.ActualFix, stamp(i.FixDate), numbers(i.Related), numbers(i.Blocks),
		numbers(i.BlockedBy), i.Workspace, stamp(i.CreatedAt), stamp(i.UpdatedAt), strconv.Itoa(i.CompletedSteps),
		strconv.Itoa(i.TotalSteps), strconv.Itoa(i.Progress()), steps(i.Checklist), updates(i.Updates), i.ID,
	}
	for k, cell := range row {
		if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
			row[k] = "'" + cell
		}
	}
	if err := out.Write(row); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

func steps(list []ChecklistStep) string {
	var out []string
	for _, s := range list {
		out = append(out, fmt.Sprintf("%d. %s (%s)", s.Number, line(s.Description),
			strings.Join(nonEmpty(string(s.Status), stamp(s.CompletedAt), within(s.ConversationID)), ", ")))
	}
	return strings.Join(out, "\n")
}

func updates(list []Update) string {
	var out []string
	for _, u := range list {
		about := strings.Join(nonEmpty(stamp(u.CreatedAt), string(u.Type), within(u.ConversationID)), ", ")
		out = append(out, about+": "+line(u.Content))
	}
	return strings.Join(out, "\n")
}

func numbers(list []int) string {
	var out []string
	for _, n := range list {
		out = append(out, strconv.Itoa(n))
	}
	return strings.Join(out, "\n")
}

func known(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func within(conversation string) string {
	if conversation == "" {
		return ""
	}
	return "in conversation " + line(conversation)
}

func nonEmpty(parts ...string) []string {
	return slices.DeleteFunc(parts, func(s string) bool { return s == "" })
}

// clock is a time for people, to the second, "" for none.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// line is a text on one line.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }

// cell is a text in a table of Markdown.
func cell(text string) string { return strings.ReplaceAll(line(text), "|", `\|`) }

func quote(text string) string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	return "> " + strings.ReplaceAll(text, "\n", "\n> ")
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
