package review

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/issue"
)

// Style is how text looks where it is shown. The zero Style is plain text.
type Style struct {
	// Paint colours a word by its meaning: a severity, a verdict, or "dim". nil leaves it.
	Paint func(meaning, text string) string
	// Wrap breaks a text into lines for an indentation. nil leaves it.
	Wrap func(text, indent string) string
}

func (s Style) paint(meaning, text string) string {
	if s.Paint == nil {
		return text
	}
	return s.Paint(meaning, text)
}

func (s Style) wrap(text, indent string) string {
	if s.Wrap == nil {
		return indent + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+indent) + "\n"
	}
	return s.Wrap(text, indent)
}

// Text is the report for people: the findings, worst first, then what the review came to.
func (r *Report) Text(s Style) string {
	var b strings.Builder
	for _, f := range r.Findings {
		r.findingText(&b, s, f)
	}
	if r.Nothing {
		b.WriteString("Nothing to review")
	} else {
		b.WriteString("Verdict: " + s.paint(string(r.Verdict), r.Verdict.Words()))
		if n := len(r.Findings); n > 0 {
			b.WriteString(" (" + r.counted() + ")")
		}
	}
	if r.Reason != "" {
		b.WriteString(": " + escaped(r.Reason))
	}
	b.WriteString("\n")
	if r.Compared != "" {
		b.WriteString(s.wrap("Compared: "+escaped(r.Compared), ""))
	}
	for _, how := range []string{"not_read", "part", "skipped"} {
		r.coverageText(&b, s, how)
	}
	if r.MoreCoverage > 0 {
		fmt.Fprintf(&b, "Not listed here: %d more files\n", r.MoreCoverage)
	}
	if line := r.costLine(); line != "" {
		b.WriteString(s.paint("dim", line) + "\n")
	}
	return b.String()
}

func (r *Report) findingText(b *strings.Builder, s Style, f Finding) {
	head := s.paint(string(f.Severity), fmt.Sprintf("%-8s", f.Severity))
	if place := f.Place(); place != "" {
		head += "  " + escapedLine(place)
	}
	fmt.Fprintf(b, "%s  %s\n", head, s.paint("dim", "["+cmp.Or(escapedLine(f.Citation), "not cited")+"]"))
	b.WriteString(s.wrap(escapedLine(f.Title), "  "))
	if f.Quote != "" {
		b.WriteString("  > " + s.paint("dim", escapedLine(f.Quote)) + "\n")
	}
	if f.Trigger != "" {
		b.WriteString(s.wrap("When: "+escaped(f.Trigger), "  "))
	}
	if f.Recommendation != "" {
		b.WriteString(s.wrap("Fix: "+escaped(f.Recommendation), "  "))
	}
	if f.Fix != "" { // code keeps its lines
		b.WriteString(Style{}.wrap(escaped(f.Fix), "    "))
	}
	b.WriteString("\n")
}

// coverageWords introduce the files of each kind of coverage.
var coverageWords = map[string]string{"not_read": "Not read", "part": "Read in part", "skipped": "Skipped"}

const maxCovered = 10 // files that a line of coverage names

func (r *Report) coverageText(b *strings.Builder, s Style, how string) {
	var files []string
	for _, c := range r.Coverage {
		if c.How != how {
			continue
		}
		name := escapedLine(c.File)
		if c.Why != "" {
			name += " (" + escapedLine(c.Why) + ")"
		}
		files = append(files, name)
	}
	if len(files) > 0 {
		b.WriteString(s.wrap(coverageWords[how]+": "+strings.Join(first(files, maxCovered), ", "), ""))
	}
}

// costLine is who answered, how long it took, what it cost, and how to go on.
func (r *Report) costLine() string {
	if r.Model == "" {
		return ""
	}
	line := fmt.Sprintf("%s, %.1f s, $%.4f", escapedLine(r.Model), r.Seconds, r.CostUSD)
	if r.ContinuationID != "" {
		line += ", conversation " + escapedLine(r.ContinuationID)
	}
	return line
}

// escaped is text in which hidden characters are written as their code, so that a terminal shows them and does nothing; line
// breaks and tabs stay.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n' || r == '\t' || !hidden(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// escapedLine is escaped text in one line.
func escapedLine(text string) string {
	return strings.Join(strings.FieldsFunc(escaped(text), func(r rune) bool { return r == ' ' || r == '\n' || r == '\t' }), " ")
}

// levelOf is a severity in the words of SARIF and GitHub.
func levelOf(s issue.Severity) string {
	switch s {
	case issue.Critical, issue.High:
		return "error"
	case issue.Medium:
		return "warning"
	}
	return "note"
}

// about is what a finding's message says beside its title.
func (f Finding) about() string {
	var parts []string
	add := func(label, text string) {
		if text != "" {
			parts = append(parts, label+shown(text))
		}
	}
	add("", f.Evidence)
	add("When: ", f.Trigger)
	add("Quoted line: ", oneLine(f.Quote))
	add("Fix: ", f.Recommendation)
	add("Citation: ", cmp.Or(oneLine(f.Citation), "none"))
	return strings.Join(parts, "\n")
}
