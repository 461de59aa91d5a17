package openaicompat

import (
	"strings"
)

// thoughtTags are the tags between which some models write their reasoning into the text, where the server that runs them
// does not separate it (vLLM and llama.cpp docs, reasoning).
var thoughtTags = []string{"think", "thinking", "thought"}

// thoughtSplitter separates reasoning in tags at the beginning of a text from the text, piece by piece: tags may be split over
// pieces.
type thoughtSplitter struct {
	held   string // not decided yet: it may be a tag, or begin one
	closer string // the tag that ends the reasoning; "" outside of it
	open   bool   // the text has started, or the reasoning is over
}

// push takes a piece of the text in and returns what of it, and of what was held, is text and reasoning.
func (s *thoughtSplitter) push(piece string) (text, thought string) {
	if s.open {
		return piece, ""
	}
	s.held += piece
	if s.closer == "" {
		tag, may := openingTag(s.held)
		switch {
		case tag != "":
			s.closer = "</" + tag + ">"
			_, s.held, _ = strings.Cut(s.held, "<"+tag+">")
		case may:
			return "", ""
		default:
			return s.end(), ""
		}
	}
	before, after, found := strings.Cut(s.held, s.closer)
	if found {
		s.open, s.held = true, ""
		return strings.TrimLeft(after, "\r\n \t"), before
	}
	keep := partialSuffix(s.held, s.closer)
	thought, s.held = s.held[:len(s.held)-keep], s.held[len(s.held)-keep:]
	return "", thought
}

// rest is what is held at the text's end.
func (s *thoughtSplitter) rest() (text, thought string) {
	if s.closer != "" && !s.open {
		thought, s.held, s.open = s.held, "", true
		return "", thought
	}
	return s.end(), ""
}

func (s *thoughtSplitter) end() string {
	text := s.held
	s.open, s.held = true, ""
	return text
}

// openingTag is the tag that a text begins with, white space aside; may reports that more of the text could make one.
func openingTag(text string) (tag string, may bool) {
	begun := strings.TrimLeft(text, "\r\n \t")
	for _, t := range thoughtTags {
		whole := "<" + t + ">"
		if strings.HasPrefix(begun, whole) {
			return t, true
		}
		may = may || strings.HasPrefix(whole, begun)
	}
	return "", may
}

// partialSuffix is how many bytes at the end of a text begin a tag.
func partialSuffix(text, tag string) int {
	for n := min(len(text), len(tag)-1); n > 0; n-- {
		if strings.HasSuffix(text, tag[:n]) {
			return n
		}
	}
	return 0
}

// cutClosingTag cuts a text at a closing tag that stands alone on its line or ends one and that no opening tag precedes.
func cutClosingTag(text string) (before, after string, found bool) {
	for _, t := range thoughtTags {
		at := strings.Index(text, "</"+t+">")
		if at < 0 || strings.Contains(text[:at], "<"+t+">") || strings.Count(text[:at], "`")%2 == 1 {
			continue
		}
		rest := text[at+len(t)+3:]
		if rest == "" || rest[0] == '\n' || rest[0] == '\r' {
			return text[:at], strings.TrimLeft(rest, "\r\n \t"), true
		}
	}
	return "", "", false
}
