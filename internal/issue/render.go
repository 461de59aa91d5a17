package issue

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
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
	Zone   *time.Location    // of the times; nil is UTC
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
	field("Created", p.clock(i.CreatedAt))
	field("Changed", p.clock(i.UpdatedAt))
	field("Fixed on", p.clock(i.FixDate))
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
		fmt.Fprintf(&b, "- %s\n", strings.Join(nonEmpty(p.clock(u.CreatedAt), string(u.Type), within(u.ConversationID)), ", "))
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
			strings.Join(nonEmpty(string(s.Status), p.clock(s.CompletedAt), within(s.ConversationID)), ", "))
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
func (p Page) clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(cmp.Or(p.Zone, time.UTC)).Format("2006-01-02 15:04:05 MST")
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
