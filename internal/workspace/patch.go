package workspace

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
)

// hunkHeader is the header of a hunk: the first lines of the old side, or of several, and of the new one.
var hunkHeader = lazyregexp.New(`^@@+ -(\d{1,9})(?:,\d+)? (?:-\d+(?:,\d+)? )*\+(\d{1,9})(?:,\d+)? @@`)

// Span is a run of lines, both ends included.
type Span struct{ First, Last int }

// patch is one file's part of a diff as a model reads it.
type patch struct {
	text string
	// added are the lines of the new side that the diff adds, removed those of the old side that it takes away.
	added, removed []Span
}

// readable writes a part of a diff as a model reads it: each line with its number in front, that of the new side or, of a
// removed line, that of the old side; and names as they are, where git escapes all that is not ASCII.
func readable(p git.Part, text string) patch {
	w := patchWriter{name: shownName(p.Name), from: shownName(p.From)}
	if p.From == "" {
		w.from = w.name
	}
	for line := range strings.Lines(text) {
		w.write(line)
	}
	return patch{text: w.text.String(), added: w.added, removed: w.removed}
}

// shownName is a name in a diff: bytes that are no UTF-8 as in the host's names of files, by which coverage goes, and what can't
// be printed escaped.
func shownName(name string) string {
	return conversation.Printable(strings.ToValidUTF8(name, "\uFFFD"))
}

// patchWriter is the state of readable.
type patchWriter struct {
	name, from     string
	text           bytes.Buffer
	sides          int // marks in front of each line; 0 before the first hunk
	old, new       int // the numbers of the next lines
	added, removed []Span
}

func (w *patchWriter) write(line string) {
	if at := hunkHeader().FindStringSubmatch(line); at != nil {
		w.sides = strings.IndexByte(line, ' ') - 1
		w.old, _ = strconv.Atoi(at[1]) // at most nine digits
		w.new, _ = strconv.Atoi(at[2])
		w.text.WriteString(line)
		return
	}
	if w.sides == 0 {
		w.header(line)
		return
	}
	marks := line[:min(w.sides, len(line))]
	var number int
	switch {
	case strings.Trim(marks, "+- ") != "":
		w.text.WriteString(line) // "\ No newline at end of file"
		return
	case strings.Contains(marks, "-"):
		number = w.old
		if marks[0] == '-' { // in a diff of several sides, the old one is the first
			w.removed = extend(w.removed, w.old)
			w.old++
		}
	default:
		number = w.new
		if strings.Contains(marks, "+") {
			w.added = extend(w.added, w.new)
		}
		if marks[0] == ' ' {
			w.old++
		}
		w.new++
	}
	fmt.Fprintf(&w.text, "%4d|%s", number, line)
}

// fileLine is the number in the file, on the side that has it, of line n of its part of a diff. Of a hunk's header, which
// repeats an earlier line, it is that of the hunk's first line.
func fileLine(text string, n int) int {
	var w patchWriter
	for line := range strings.Lines(text) {
		if n--; n > 0 {
			w.write(line)
			continue
		}
		if w.sides > 0 && strings.Contains(line[:min(w.sides, len(line))], "-") {
			return w.old
		}
		if strings.HasPrefix(line, "@@") {
			w.write(line)
		}
		break
	}
	return max(w.new, 1)
}

// header writes a line that stands before the hunks, with the names as they are.
func (w *patchWriter) header(line string) {
	word, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	absent := strings.HasPrefix(rest, "/dev/null")
	switch {
	case word == "index":
	case word == "diff" && strings.HasPrefix(rest, "--git "):
		fmt.Fprintf(&w.text, "diff --git a/%s b/%s\n", w.from, w.name)
	case word == "diff":
		fmt.Fprintf(&w.text, "diff --cc %s\n", w.name)
	case word == "---" && !absent:
		fmt.Fprintf(&w.text, "--- a/%s\n", w.from)
	case word == "+++" && !absent:
		fmt.Fprintf(&w.text, "+++ b/%s\n", w.name)
	case (word == "rename" || word == "copy") && strings.HasPrefix(rest, "from "):
		fmt.Fprintf(&w.text, "%s from %s\n", word, w.from)
	case (word == "rename" || word == "copy") && strings.HasPrefix(rest, "to "):
		fmt.Fprintf(&w.text, "%s to %s\n", word, w.name)
	default:
		w.text.WriteString(line)
	}
}

// extend adds a line to spans that are in order.
func extend(spans []Span, line int) []Span {
	if n := len(spans); n > 0 && spans[n-1].Last+1 == line {
		spans[n-1].Last = line
		return spans
	}
	return append(spans, Span{line, line})
}
