package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/review"
)

// limitLogsToWarnings has a command for people log warnings alone, unless the user chose a level. How its tool call failed
// is not among them, since the command prints it.
func (a *app) limitLogsToWarnings(cfg *config.Config) {
	if cfg.Source("LOG_LEVEL") == "default" {
		cfg.Logs.Level, a.printsOutcome = "warn", true
	}
}

// showsTerminal reports whether a writer is a terminal.
func showsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// smart reports whether a writer is a terminal that can do more than print: colour, and lines that rewrite themselves.
func (a *app) smart(w io.Writer) bool { return showsTerminal(w) && a.getenv("TERM") != "dumb" }

// coloured reports whether a writer takes colour: a terminal, unless NO_COLOR or TERM=dumb says otherwise.
func (a *app) coloured(w io.Writer) bool { return a.smart(w) && a.getenv("NO_COLOR") == "" }

// colours are what words of a meaning look like.
var colours = map[string]text.Colors{
	"critical": {text.FgHiRed, text.Bold}, "high": {text.FgRed}, "medium": {text.FgYellow}, "low": {text.FgCyan},
	string(review.Pass): {text.FgGreen, text.Bold}, string(review.ChangesRequired): {text.FgRed, text.Bold},
	string(review.Inconclusive): {text.FgYellow, text.Bold},
	"dim":                       {text.Faint}, "bold": {text.Bold},
}

// paint colours a text by its meaning where stdout takes colour.
func (a *app) paint(meaning, s string) string {
	if !a.coloured(a.stdout) {
		return s
	}
	return escape(colours[meaning], s)
}

// escape puts a text between the escapes of its colours. The library's own switch is for the whole process and looks at
// its own standard output.
func escape(c text.Colors, s string) string {
	if len(c) == 0 || s == "" {
		return s
	}
	return c.EscapeSeq() + s + text.Reset.EscapeSeq()
}

// reportStyle is how a report looks on stdout.
func (a *app) reportStyle() review.Style {
	style := review.Style{}
	if width := a.lineWidth(); width > 0 {
		style.Wrap = func(s, indent string) string { return wrapped(s, indent, width) }
	}
	if a.coloured(a.stdout) {
		style.Paint = a.paint
	}
	return style
}

// lineWidth is how many columns a line may have where that matters: on a terminal, or where COLUMNS says so. 0 is no limit,
// for programs that read the output.
func (a *app) lineWidth() int {
	if showsTerminal(a.stdout) || a.getenv("COLUMNS") != "" {
		return a.width()
	}
	return 0
}

const (
	columnGap = 2  // between the columns of a table
	minColumn = 16 // what a column that is too wide may shrink to: a date and time are never cut
	minCut    = 8  // what one that was wider than that may shrink to where the table still does not fit
)

// table lays out rows of cells in columns, the first row being the names. A cell is one line; where the table is too wide,
// its widest columns are cut. Severities are coloured.
func (a *app) table(rows [][]string) string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			row[i] = plain(oneLine(cell)) // before it is measured
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], text.StringWidth(row[i]))
		}
	}
	if a.lineWidth() > 0 { // columns without a value take no room
		rows, widths = withoutEmpty(rows, widths)
	}
	shrink(widths, a.lineWidth())
	var b strings.Builder
	for n, row := range rows {
		line := ""
		for i, cell := range row {
			cell = text.Pad(text.Snip(cell, widths[i], "…"), widths[i], ' ')
			switch _, meaning := colours[strings.TrimSpace(cell)]; {
			case n == 0:
				cell = a.paint("bold", cell)
			case meaning && rows[0][i] == "SEVERITY":
				cell = a.paint(strings.TrimSpace(cell), cell)
			}
			line += cell + strings.Repeat(" ", columnGap)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// withoutEmpty leaves out the columns whose cells are all empty but for their name.
func withoutEmpty(rows [][]string, widths []int) (kept [][]string, left []int) {
	kept = make([][]string, len(rows))
	for i, width := range widths {
		used := len(rows) == 1
		for _, row := range rows[1:] {
			used = used || i < len(row) && row[i] != ""
		}
		if !used {
			continue
		}
		left = append(left, width)
		for n, row := range rows {
			if i < len(row) {
				kept[n] = append(kept[n], row[i])
			}
		}
	}
	return kept, left
}

// shrink makes the widest of columns narrower until a table fits into a width; 0 is no limit.
func shrink(widths []int, limit int) {
	total := -columnGap
	var wide []int // columns that may be cut
	for i, w := range widths {
		total += w + columnGap
		if i > 0 && w > minColumn { // the first one is the name, which stays whole
			wide = append(wide, i)
		}
	}
	for _, least := range []int{minColumn, minCut} {
		for ; limit > 0 && total > limit; total-- {
			widest := -1
			for _, i := range wide {
				if widths[i] > least && (widest < 0 || widths[i] >= widths[widest]) {
					widest = i
				}
			}
			if widest < 0 {
				break
			}
			widths[widest]--
		}
	}
}

// fromHere shortens a path below the working directory.
func fromHere(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	return strings.TrimPrefix(path, dir+string(os.PathSeparator))
}

// hangingIndent breaks a text into lines where their width is limited, all but the first with an indentation.
func (a *app) hangingIndent(s, indent string) string {
	width := a.lineWidth()
	if width == 0 {
		return s + "\n"
	}
	return strings.TrimPrefix(wrapped(s, indent, width), indent)
}

// wrapped breaks a text into lines of a width, each with an indentation. Words that are longer stay whole.
func wrapped(s, indent string, width int) string {
	room := max(width-text.StringWidth(indent), 20)
	var b strings.Builder
	for paragraph := range strings.SplitSeq(strings.TrimRight(s, "\n"), "\n") {
		line, used := "", 0
		for word := range strings.FieldsSeq(paragraph) {
			n := text.StringWidth(word)
			if used > 0 && used+1+n > room {
				b.WriteString(indent + line + "\n")
				line, used = "", 0
			}
			if used > 0 {
				line, used = line+" ", used+1
			}
			line, used = line+word, used+n
		}
		b.WriteString(strings.TrimRight(indent+line, " ") + "\n")
	}
	return b.String()
}

// fitHelp fits the help texts of a command and those below it to a width.
func fitHelp(cmd *cobra.Command, width int) {
	cmd.Long = reflow(cmd.Long, width)
	if !cmd.HasParent() { // the others have theirs from it
		flags := fmt.Sprintf(".FlagUsagesWrapped %d", width-flagSlop)
		usage := strings.ReplaceAll(cmd.UsageTemplate(), ".FlagUsages", flags)
		cmd.SetUsageTemplate(strings.Replace(usage, "for more information about a command", "for more about a command", 1))
	}
	for _, sub := range cmd.Commands() {
		fitHelp(sub, width)
	}
}

// flagSlop is by how much pflag lets a line exceed its width, rather than to break off a short word.
const flagSlop = 5

// reflow fits paragraphs to a width. Lines that begin with a blank, such as examples, stay as they are.
func reflow(s string, width int) string {
	var b strings.Builder
	var paragraph []string
	flush := func() {
		if len(paragraph) > 0 {
			b.WriteString(wrapped(strings.Join(paragraph, " "), "", width))
		}
		paragraph = nil
	}
	for line := range strings.SplitSeq(s, "\n") {
		if line == "" || line[0] == ' ' {
			flush()
			b.WriteString(line + "\n")
			continue
		}
		paragraph = append(paragraph, line)
	}
	flush()
	return strings.TrimRight(b.String(), "\n")
}

// statusLine shows on stderr what goes on: on a terminal in one line that rewrites itself, elsewhere not at all, or in a
// line each for whoever wants that.
type statusLine struct {
	w     io.Writer
	width int
	live  bool // rewrites itself
	each  bool // a line each, where it does not

	mu    sync.Mutex
	shown bool
}

// eraseLine returns to the line's beginning and clears it.
const eraseLine = "\r\x1b[K"

// newStatus returns the status line of a command.
func (a *app) newStatus(each bool) *statusLine {
	width := defaultWidth
	if f, ok := a.stderr.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			width = n
		}
	}
	return &statusLine{w: a.errw, width: width, live: a.smart(a.stderr), each: each}
}

// show shows a message in the place of the last one. The id of the conversation, which is for programs, is left out.
func (s *statusLine) show(message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.live:
		if id, rest, ok := strings.Cut(message, " | "); ok && strings.HasPrefix(id, "continuation_id=") {
			message = rest
		}
		fmt.Fprint(s.w, eraseLine+escape(colours["dim"], text.Snip(plain(oneLine(message)), s.width-1, "…")))
		s.shown = true
	case s.each:
		fmt.Fprintln(s.w, message)
	}
}

// clear removes the message.
func (s *statusLine) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shown {
		fmt.Fprint(s.w, eraseLine)
		s.shown = false
	}
}
