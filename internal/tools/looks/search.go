package looks

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/tools/proof"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// The bounds of one search.
const (
	maxPattern      = 1_000 // bytes
	maxMatches      = 200
	maxMatchesFile  = 30
	maxMatchLine    = 300      // bytes of a line that are shown
	maxSearchedFile = 2 << 20  // bytes; larger files are data
	maxSearched     = 64 << 20 // bytes of all files
)

// searchFiles is the function search_files.
func (r *Reader) searchFiles(ctx context.Context, a arguments, room int, look *Look) (string, error) {
	pattern, err := compile(a.Pattern)
	if err != nil {
		return "", err
	}
	wanted, err := compileGlob(a.Glob)
	if err != nil {
		return "", err
	}
	files, whole, err := r.scope.Below(ctx, a.Path)
	if err != nil {
		return "", err
	}
	s := search{r: r, pattern: pattern, room: room}
	for _, f := range files {
		if !wanted(f.Name) {
			continue
		}
		if err := s.file(ctx, f); err != nil {
			return "", err
		}
		if s.full {
			break
		}
	}
	look.Lines = s.matches
	return s.result(whole), nil
}

// compile reads a pattern, which is matched line by line.
func compile(pattern string) (*regexp.Regexp, error) {
	switch {
	case pattern == "":
		return nil, errors.New("pattern is required")
	case len(pattern) > maxPattern:
		return nil, fmt.Errorf("pattern exceeds the limit of %d bytes", maxPattern)
	}
	re, err := regexp.Compile("(?m:" + pattern + ")")
	if err != nil {
		if _, own := regexp.Compile(pattern); own != nil {
			err = own
		}
		return nil, fmt.Errorf("pattern is not a valid regular expression in RE2 syntax: %w", err)
	}
	return re, nil
}

// search is the state of one search.
type search struct {
	r       *Reader
	pattern *regexp.Regexp
	room    int

	b        strings.Builder
	matches  int
	searched int
	bytes    int
	skipped  int  // files that are too large
	absent   int  // files that git tracks and the work tree lacks
	full     bool // no more is looked for
}

// file searches one file. One that can't be read, or is no text, has no match.
func (s *search) file(ctx context.Context, f workspace.ReadableFile) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	ref, err := s.r.scope.Ref(ctx, f)
	var failed *workspace.Error
	if errors.As(err, &failed) && failed.Code == workspace.CodeNotFound {
		s.absent++
	}
	if err != nil || ref.IsFolder() {
		return context.Cause(ctx)
	}
	if ref.Size() > maxSearchedFile {
		s.skipped++
		return nil
	}
	if s.bytes += int(ref.Size()); s.bytes > maxSearched {
		s.full = true
		return nil
	}
	read, err := ref.ReadText(0)
	if err != nil {
		return context.Cause(ctx)
	}
	s.searched++
	text, err := s.r.mask(f.Name, read.Content)
	if err != nil {
		return err
	}
	s.lines(f, text)
	return nil
}

// lines takes the lines of a file that match.
func (s *search) lines(f workspace.ReadableFile, text string) {
	const footer = 250 // bytes that the last line of the result may take
	inFile, line, counted := 0, 1, 0
	for at := 0; at < len(text); {
		m := s.pattern.FindStringIndex(text[at:])
		if m == nil || at+m[0] >= len(text) {
			return
		}
		start := strings.LastIndexByte(text[:at+m[0]], '\n') + 1
		end := len(text)
		if n := strings.IndexByte(text[at+m[0]:], '\n'); n >= 0 {
			end = at + m[0] + n
		}
		line += strings.Count(text[counted:start], "\n")
		counted, at = start, end+1
		shown := text[start:end]
		if len(shown) > maxMatchLine {
			shown = strings.ToValidUTF8(shown[:maxMatchLine], "") + proof.LineCut
		}
		entry := fmt.Sprintf("%s:%d: %s\n", shorten(f.Name, maxWritten), line, shown)
		if s.matches == maxMatches || s.b.Len()+len(entry)+footer > s.room {
			s.full = true
			return
		}
		s.b.WriteString(entry)
		s.r.remember(f, proof.WorkTree, line, shown)
		s.matches++
		if inFile++; inFile == maxMatchesFile {
			fmt.Fprintf(&s.b, "%s: [more matches: read it]\n", shorten(f.Name, maxWritten))
			return
		}
	}
}

// result is what the model reads.
func (s *search) result(whole bool) string {
	if s.matches == 0 {
		fmt.Fprintf(&s.b, "No match in %s.", count(s.searched, "file"))
	} else {
		fmt.Fprintf(&s.b, "[%s in %s searched", count(s.matches, "matching line"), count(s.searched, "file"))
		if s.full {
			s.b.WriteString("; there may be more: narrow the pattern, path or glob")
		}
		s.b.WriteString("]")
	}
	if s.skipped > 0 {
		fmt.Fprintf(&s.b, " %s larger than %d MiB not searched.", count(s.skipped, "file"), maxSearchedFile>>20)
	}
	if s.absent > 0 {
		fmt.Fprintf(&s.b, " %s not in the work tree, so not searched.", count(s.absent, "tracked file"))
	}
	if !whole {
		s.b.WriteString(" Not every file of the project could be listed.")
	}
	return s.b.String()
}
