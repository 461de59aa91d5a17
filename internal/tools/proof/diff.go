package proof

import (
	"strconv"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

var (
	// hunk is the header of a hunk: the first lines of the old side, or of several, and of the new one.
	hunk = lazyregexp.New(`^@@+ -(\d{1,9})(?:,\d+)? (?:-\d+(?:,\d+)? )*\+(\d{1,9})(?:,\d+)? @@`)
	// numberedDiff is the beginning of a hunk's line with a number in front.
	numberedDiff = lazyregexp.New(`^ *(\d{1,9})\|`)
)

// diffReader takes one file's part of a diff apart into the lines of both sides.
type diffReader struct {
	sides    int // marks in front of each line: one for an ordinary diff; 0 before the first hunk
	old, new int // the numbers of the next lines
	lines    [2]run
	before   []*segment
	after    []*segment
}

// run is a run of consecutive lines that is still growing.
type run struct {
	first int
	lines []string
}

// read takes the diff's next line.
func (d *diffReader) read(line string) {
	if at := hunk().FindStringSubmatch(line); at != nil {
		d.flush()
		d.sides = strings.IndexByte(line, ' ') - 1
		d.old, _ = strconv.Atoi(at[1])
		d.new, _ = strconv.Atoi(at[2])
		return
	}
	if d.sides == 0 {
		return // the part's header
	}
	line = strings.TrimRight(d.unnumbered(line), "\r\n")
	if len(line) < d.sides {
		line += strings.Repeat(" ", d.sides-len(line)) // an editor has taken the blank of an empty line
	}
	marks, text := line[:d.sides], line[d.sides:]
	switch {
	case strings.Trim(marks, "+- ") != "": // "\ No newline at end of file", or the mark of a cut
	case strings.Contains(marks, "-"):
		d.keep(0, d.old, text)
		if marks[0] == '-' { // in a diff of several sides, the old one is the first
			d.old++
		}
	default:
		d.keep(1, d.new, text)
		d.new++
		if marks[0] == ' ' {
			d.endRun(0)
			d.old++
		}
	}
}

// unnumbered is a hunk's line without its number.
func (d *diffReader) unnumbered(line string) string {
	at := numberedDiff().FindStringSubmatchIndex(line)
	if at == nil {
		return line
	}
	if n, _ := strconv.Atoi(line[at[2]:at[3]]); n != d.old && n != d.new { // at most nine digits
		return line // it is a line of the file that begins like one with a number
	}
	return line[at[1]:]
}

// keep adds a line to a side.
func (d *diffReader) keep(side, number int, text string) {
	r := &d.lines[side]
	if len(r.lines) == 0 {
		r.first = number
	}
	r.lines = append(r.lines, text)
}

// endRun ends a side's run of lines.
func (d *diffReader) endRun(side int) {
	r := &d.lines[side]
	if len(r.lines) == 0 {
		return
	}
	if side == 0 {
		d.before = append(d.before, newSegment(Before, r.first, r.lines))
	} else {
		d.after = append(d.after, newSegment(WorkTree, r.first, r.lines))
	}
	*r = run{}
}

// flush ends both sides' runs.
func (d *diffReader) flush() {
	d.endRun(0)
	d.endRun(1)
}
