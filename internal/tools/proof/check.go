package proof

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// Citation says what was found of what a model cited.
type Citation string

// The citations.
const (
	NotFound Citation = "not_found" // the file does not exist
	Verified Citation = "verified"  // the quote is within three lines of the cited one
	Moved    Citation = "moved"     // the quote is at exactly one other place
	NotRead  Citation = "not_read"  // the model was shown nothing of the file
	Unproven Citation = "unproven"  // anything else
)

const (
	maxDistance = 3 // lines between a quote and the line that is cited with it
	minQuote    = 6 // letters and digits
)

// Claim is what a finding cites. Line is 0 where it names none.
type Claim struct {
	File  string
	Line  int
	Quote string
}

// Result is what Check found. File is the cited file's name in Shown, or as find named it, "" where it is not known. Line is
// the quote's line where the citation is Moved, else the claim's.
type Result struct {
	Citation Citation
	File     string
	Line     int
}

// Check looks for a claim's quote in what was shown of its file. The file may be spelt as in a diff, with a prefix a/ or b/
// or in git's quotes, and by the end of its path where only one such file was shown. find looks up a name outside of what
// was shown and returns the file's name, false where there is no such file.
func (s *Shown) Check(c Claim, find func(name string) (file string, ok bool)) Result {
	quotes := quoteSpellings(c.Quote)
	files, file, exists := s.resolve(c.File, find)
	r := Result{Citation: Unproven, File: file, Line: c.Line}
	if strings.TrimSpace(c.File) == "" || letters(quotes[len(quotes)-1]) < minQuote {
		return r
	}
	if !exists {
		r.Citation = NotFound
		return r
	}
	if len(files) == 0 {
		r.Citation = NotRead
		return r
	}
	for _, quote := range quotes {
		if places := s.places(files, quote); len(places) > 0 {
			return choose(places, r)
		}
	}
	return r
}

// choose is the result for a quote that is at the given places.
func choose(places []place, r Result) Result {
	near := slices.DeleteFunc(slices.Clone(places), func(p place) bool { return r.Line < 1 || p.distance(r.Line) > maxDistance })
	if len(near) > 0 {
		if file := near[0].file; !slices.ContainsFunc(near, func(p place) bool { return p.file != file }) {
			r.Citation, r.File = Verified, file
		}
		return r
	}
	// A line that stands in the work tree and, elsewhere, in an older revision has moved to where it is now.
	now := slices.DeleteFunc(slices.Clone(places), func(p place) bool { return p.revision != WorkTree })
	if len(now) == 0 {
		now = places
	}
	to := now[0]
	if !slices.ContainsFunc(now, func(p place) bool { return p.file != to.file || p.first != to.first }) {
		r.Citation, r.File, r.Line = Moved, to.file, to.first
	}
	return r
}

// place is where a quote was found.
type place struct {
	file, revision string
	first, last    int
}

// distance is how many lines are between the place and a line.
func (p place) distance(line int) int { return max(p.first-line, line-p.last, 0) }

// places finds a quote in what was shown of files.
func (s *Shown) places(files []string, quote string) (found []place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, file := range files {
		for _, g := range s.files[file] {
			for at := range wordsIn(g.text, quote) {
				found = append(found, place{file, g.revision, g.lineAt(at), g.lineAt(at + len(quote) - 1)})
			}
		}
	}
	return found
}

// lineAt is the number of the line at an offset of the segment's text.
func (g *segment) lineAt(offset int) int {
	i, exact := slices.BinarySearchFunc(g.starts, offset, func(m mark, offset int) int { return m.offset - offset })
	if !exact {
		i--
	}
	return g.starts[i].line
}

// wordsIn yields the offsets at which a text holds a quote that neither begins nor ends within a word.
func wordsIn(text, quote string) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		if quote == "" {
			return
		}
		for from := 0; ; {
			at := strings.Index(text[from:], quote)
			if at < 0 {
				return
			}
			at += from
			if !splitsWord(text, at) && !splitsWord(text, at+len(quote)) && !yield(at) {
				return
			}
			from = at + 1
		}
	}
}

// splitsWord reports whether an offset of a text is within a word of a script that separates words.
func splitsWord(text string, at int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:at])
	after, _ := utf8.DecodeRuneInString(text[at:])
	return at > 0 && at < len(text) && inWord(before) && inWord(after)
}

// firstIdeograph begins the blocks of Chinese, Japanese and Korean, which are written without blanks.
const firstIdeograph = 0x2E80

func inWord(r rune) bool {
	return r == '_' || r < firstIdeograph && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

var (
	lineNumber = lazyregexp.New(`^\s*[+-]?\s*[Ll]?\d{1,9}(?:\s*[|:│]\s?|\t)`)
	diffMark   = lazyregexp.New(`^\s*[+-]{1,2}`) // two in a diff of three sides
)

// quoteSpellings are the texts that a quote may stand for, each with its white space joined: as it is, without the quotes
// around it, without line numbers, without the marks of a diff. The last one is the barest.
func quoteSpellings(quote string) []string {
	spellings := []string{joinSpace(quote)}
	bare := strings.Trim(strings.TrimSpace(quote), "`")
	if inner, ok := strings.CutPrefix(bare, `"`); ok && strings.HasSuffix(inner, `"`) {
		bare = strings.TrimSuffix(inner, `"`)
	}
	add := func(quote string) {
		if joined := joinSpace(quote); joined != spellings[len(spellings)-1] {
			spellings = append(spellings, joined)
		}
	}
	add(bare)
	for _, prefix := range []func() *regexp.Regexp{lineNumber, diffMark} {
		lines := strings.Split(bare, "\n")
		for i, line := range lines {
			lines[i] = line[len(prefix().FindString(line)):]
		}
		bare = strings.Join(lines, "\n")
		add(bare)
	}
	return spellings
}

// letters counts the letters and digits of a text.
func letters(text string) (n int) {
	for _, r := range text {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			n++
		}
	}
	return n
}
