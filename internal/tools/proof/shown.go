// Package proof checks what a model cites against what it was shown. Shown records every line that reached the model;
// Check looks for a finding's quote among them. It is pure: it reads no file and knows no tool.
package proof

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// The revisions of a file that are no commits.
const (
	WorkTree = ""       // the file as it is, or the new side of a diff
	Before   = "before" // the old side of a diff
)

// Shown records what a model was shown. It is safe for concurrent use, and its zero value is empty.
type Shown struct {
	mu    sync.Mutex
	files map[string][]*segment // by the name that results use
	names map[string][]string   // other names of these files, such as those relative to a work tree
}

// LineCut ends a line of which only the beginning is shown, wherever a line is cut. It can be cited, but is not covered.
const LineCut = "… [line cut]"

// segment is a run of consecutive lines of one revision of a file.
type segment struct {
	revision string
	part     bool // it is one line, of which only the beginning was shown
	first    int  // the number of its first line, from 1
	last     int
	text     string // the lines with their white space joined, separated by blanks; lines without text are left out
	starts   []mark // where in text each of them begins
}

// mark says at which offset of a segment's text a line begins.
type mark struct{ offset, line int }

// Add records lines of a file that the model was shown, as they were shown but without line numbers. first is the number of
// text's first line, from 1. revision is WorkTree, Before or a commit.
func (s *Shown) Add(file, revision string, first int, text string) {
	if text == "" {
		s.add(file, nil)
		return
	}
	s.addLines(file, revision, first, strings.Split(strings.TrimSuffix(text, "\n"), "\n"))
}

// addLines records consecutive lines, each that was cut by itself.
func (s *Shown) addLines(file, revision string, first int, lines []string) {
	from := 0
	keep := func(to int, part bool) {
		if from < to {
			g := newSegment(revision, first+from, lines[from:to])
			g.part = part
			s.add(file, g)
		}
		from = to
	}
	for i, line := range lines {
		if strings.HasSuffix(strings.TrimSuffix(line, "\n"), LineCut) {
			keep(i, false)
			keep(i+1, true)
		}
	}
	keep(len(lines), false)
}

// numbered is a line as the workspace numbers it: "  12| text".
var numbered = lazyregexp.New(`^ *(\d{1,9})\| ?`)

// AddNumbered records lines that were shown with their numbers, as the workspace writes them ("  12| text"). Lines without a
// number, such as the mark of a cut, are not the file's.
func (s *Shown) AddNumbered(file, revision, text string) {
	s.add(file, nil)
	first, lines := 0, []string(nil)
	flush := func() {
		s.addLines(file, revision, first, lines)
		lines = nil
	}
	for line := range strings.Lines(text) {
		at := numbered().FindStringSubmatchIndex(line)
		if at == nil {
			continue
		}
		n, _ := strconv.Atoi(line[at[2]:at[3]]) // at most nine digits
		if len(lines) == 0 || n != first+len(lines) {
			flush()
			first = n
		}
		lines = append(lines, line[at[1]:])
	}
	flush()
}

// AddDiff records one file's part of a unified diff, of two or more sides: its lines count for the new side, removed ones for
// the old side of file from, which may be cited by the new name too. The hunks' headers say where the lines are, so lines may be numbered ("  12|+text") or not.
func (s *Shown) AddDiff(file, from, diff string) {
	s.add(file, nil)
	var d diffReader
	for line := range strings.Lines(diff) {
		d.read(line)
	}
	d.flush()
	for _, g := range d.after {
		s.add(file, g)
	}
	for _, g := range d.before {
		s.add(from, g)
		s.add(file, g)
	}
}

// Name lets a file be cited by another name, such as its path relative to the work tree. What is recorded or named under that
// name later is the file's, too. Files of several work trees can have one name.
func (s *Shown) Name(name, file string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	file = s.knownLocked(file)
	if s.names == nil {
		s.names = map[string][]string{}
	}
	if !slices.Contains(s.names[name], file) {
		s.names[name] = append(s.names[name], file)
	}
}

// knownLocked is the file that a name stands for, itself where it stands for none or for several.
func (s *Shown) knownLocked(file string) string {
	if known := s.names[file]; len(known) == 1 {
		return known[0]
	}
	return file
}

// Has reports whether anything of a file was shown.
func (s *Shown) Has(file string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.files[file]
	return ok
}

// Covers reports whether the lines first to last of a file's revision were all shown.
func (s *Shown) Covers(file, revision string, first, last int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for first <= last {
		end := 0
		for _, g := range s.files[file] {
			if g.revision == revision && !g.part && g.first <= first && g.last >= first {
				end = max(end, g.last)
			}
		}
		if end == 0 {
			return false
		}
		first = end + 1
	}
	return true
}

// add records a segment of a file once. A nil one records that the file, of which no line is known, was shown.
func (s *Shown) add(file string, g *segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files == nil {
		s.files = map[string][]*segment{}
	}
	file = s.knownLocked(file)
	have := s.files[file]
	for _, h := range have {
		if g == nil || h.revision == g.revision && h.part == g.part && h.first == g.first && h.last == g.last && h.text == g.text {
			return
		}
	}
	if g == nil {
		s.files[file] = have
		return
	}
	s.files[file] = append(have, g)
}

func newSegment(revision string, first int, lines []string) *segment {
	g := &segment{revision: revision, first: first, last: first + len(lines) - 1}
	var b strings.Builder
	for i, line := range lines {
		joined := joinSpace(line)
		if joined == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		g.starts = append(g.starts, mark{b.Len(), first + i})
		b.WriteString(joined)
	}
	g.text = b.String()
	return g
}

// joinSpace is a text in which each run of white space is one blank, without any at its ends.
func joinSpace(text string) string { return strings.Join(strings.Fields(text), " ") }
