// Package secrets masks credentials in text that is about to leave the machine: tokens of known formats, blocks of
// private keys, and random values that are assigned to a name such as api_key or password.
//
// The formats are those of gitleaks (gitleaks.txt, made by generate) and some of our own (own.txt). Expressions run only
// where one of their keywords stands in or before a long run of characters that tokens are made of, so that a megabyte of
// ordinary source takes about 20 ms; RE2 keeps the worst case linear.
package secrets

import (
	"slices"
	"strings"
)

// Found is one secret that was masked.
type Found struct {
	Line int    // from 1
	Kind string // the kind in the mask, such as github-pat or password
}

// Mask returns the text with each secret replaced by "[secret: kind]", and what was replaced, in order. Lines keep their
// numbers. Text without secrets is returned as it is. A private key is recognized by its first or last line, so a file
// must be masked before it is cut into parts.
func Mask(text string) (string, []Found) {
	keys := privateKeyLines(text)
	var out strings.Builder
	var found []Found
	copied, line := 0, 0 // what of the text is in out; the line that counted ends before
	for start := 0; start < len(text); {
		number, end := line+1, len(text)
		if i := strings.IndexByte(text[start:], '\n'); i >= 0 {
			end = start + i
		}
		masked, kinds := maskLine(text[start:end], number, keys)
		if len(kinds) > 0 {
			out.WriteString(text[copied:start])
			out.WriteString(masked)
			copied = end
			for _, k := range kinds {
				found = append(found, Found{Line: number, Kind: k})
			}
		}
		line, start = number, end+1
	}
	if found == nil {
		return text, nil
	}
	out.WriteString(text[copied:])
	return out.String(), found
}

// mask is what stands for a secret of a kind.
func mask(kind string) string { return "[secret: " + kind + "]" }

// Marks returns how many masks stand in a text.
func Marks(text string) (n int) {
	for {
		i := strings.Index(text, maskOpening)
		if i < 0 {
			return n
		}
		text = text[i:]
		size := maskAt(text)
		if size > 0 {
			n++
		}
		text = text[max(size, len(maskOpening)):]
	}
}

const maskOpening = "[secret: "

// maskAt returns the length of the mask that a text begins with, 0 if it begins with none.
func maskAt(text string) int {
	rest, ok := strings.CutPrefix(text, maskOpening)
	if !ok {
		return 0
	}
	end := strings.IndexByte(rest[:min(len(rest), longestKind+1)], ']')
	if end < 0 || !kinds()[rest[:end]] {
		return 0
	}
	return len(maskOpening) + end + 1
}

// span is a part of a line that is a secret.
type span struct {
	start, end int
	kind       string
}

// rounds is how often a line is scanned again after something in it was masked: a mask may uncover a token that began or
// ended inside what is masked now.
const rounds = 8

// maskLine returns a line with its secrets masked, and their kinds in order.
func maskLine(line string, number int, keys map[int]span) (string, []string) {
	var all []string
	if key, ok := keys[number]; ok {
		line, all = line[:key.start]+mask(key.kind)+line[key.end:], []string{key.kind}
	}
	for range rounds {
		if nextRun(line, 0).end == 0 {
			break
		}
		spans := scan(line)
		if len(spans) == 0 {
			break
		}
		var out strings.Builder
		copied := 0
		for _, s := range spans {
			out.WriteString(line[copied:s.start])
			out.WriteString(mask(s.kind))
			copied = s.end
			all = append(all, s.kind)
		}
		out.WriteString(line[copied:])
		line = out.String()
	}
	return line, all
}

// scan returns the secrets of a line, in order, without overlaps. What is masked already is passed over.
func scan(line string) []span {
	var spans []span
	for start := 0; start < len(line); {
		end, next := len(line), len(line)
		for i := start; ; {
			j := strings.Index(line[i:], maskOpening)
			if j < 0 {
				break
			}
			if size := maskAt(line[i+j:]); size > 0 {
				end, next = i+j, i+j+size
				break
			}
			i += j + len(maskOpening)
		}
		for _, s := range scanPart(line[start:end]) {
			spans = append(spans, span{start + s.start, start + s.end, s.kind})
		}
		start = next
	}
	return spans
}

// scanPart returns the secrets of a part of a line that holds no mask.
func scanPart(part string) []span {
	p := newPass(part)
	for run := nextRun(part, 0); run.end > 0; run = nextRun(part, run.end) {
		if strings.HasSuffix(part[:run.start], ";base64,") {
			p.seen = run.end // an image or a font
			continue
		}
		p.look(run)
	}
	return p.secrets()
}

// union sorts spans and joins those that overlap; the kind is that of the first, of a known format if there is one.
func union(spans []span) []span {
	slices.SortStableFunc(spans, func(a, b span) int { return a.start - b.start })
	var out []span
	for _, s := range spans {
		last := len(out) - 1
		switch {
		case last < 0 || s.start >= out[last].end:
			out = append(out, s)
			continue
		case assignedKinds[out[last].kind] && !assignedKinds[s.kind]:
			out[last].kind = s.kind
		}
		out[last].end = max(out[last].end, s.end)
	}
	return out
}
