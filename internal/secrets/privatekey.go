package secrets

import (
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// privateKey is the kind of each line of a private key.
const privateKey = "private-key"

const (
	// fullLine is the least length of a key's full line: RFC 7468 has 64 characters, ssh-keygen 70, RFC 1421 64.
	fullLine = 40
	// mostLines bounds a block whose end is missing; a key of 16,384 bits has 200 lines.
	mostLines = 400
	// leastHunk is the least number of lines in a hunk that shows neither end of a key: a change, and three lines around it.
	leastHunk = 4
)

var (
	keyBegins = lazyregexp.New(`-----BEGIN[ A-Z0-9]{0,60}PRIVATE KEY(?: BLOCK)?-----`)
	keyEnds   = lazyregexp.New(`-----END[ A-Z0-9]{0,60}PRIVATE KEY(?: BLOCK)?-----`)
	// keyLine is a line of base64, as it may stand in source or in a diff: numbered, indented, quoted, added to the next.
	keyLine = lazyregexp.New(`^(?: *\d{1,7}\|)?[-+ \t"'\x60#/*>|]*?([A-Za-z0-9/](?:[A-Za-z0-9+/]*[A-Za-z0-9/])?={0,2})(?:\\[nr])*[\\"'\x60+.,;) \t\r]*$`)
	// keyHeader is a header of an encrypted or an armored key, with the checksum of the latter.
	keyHeader = lazyregexp.New(`^(?: *\d{1,7}\|)?[-+ \t"'\x60#/*>|]*` +
		`((?:Proc-Type|DEK-Info|Version|Comment|Hash|Charset): [^"'\x60\\]*|=[A-Za-z0-9+/]{4})(?:\\[nr])*[\\"'\x60+.,;) \t\r]*$`)
	// hunkHead is the line before a hunk of a diff. After it git repeats (group 1) an earlier line that begins with a letter.
	hunkHead = lazyregexp.New(`^@@+ (?:[-+]\d{1,9}(?:,\d{1,9})? ){2,9}@@+(?: (.*))?$`)
	// keyInline is a key on one line, its line ends escaped or spaces, with its end or what there is of it.
	keyInline = lazyregexp.New(`-----BEGIN[ A-Z0-9]{0,60}PRIVATE KEY(?: BLOCK)?-----(?:\\+[nr]| )*` +
		`(?:[A-Za-z-]{4,12}: [^\\"']{1,80}(?:\\+[nr])+)*[A-Za-z0-9+/=]{32,}` +
		`(?:[A-Za-z0-9+/=\\]| [A-Za-z0-9+/=]{16,})*(?: ?-----END[ A-Z0-9]{0,60}PRIVATE KEY(?: BLOCK)?-----)?`)
)

// privateKeyLines returns what of which line belongs to a private key, by line number.
func privateKeyLines(text string) map[int]span {
	if !strings.Contains(text, "PRIVATE KEY") && !strings.Contains(text, "@@ -") {
		return nil
	}
	lines := strings.Split(text, "\n")
	out := map[int]span{}
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if at := hunkHead().FindStringSubmatchIndex(line); at != nil {
			keyHunk(lines, i, at[2], out)
			continue
		}
		if !strings.Contains(line, "PRIVATE KEY") {
			continue
		}
		if at := keyInline().FindStringIndex(line); at != nil {
			out[i+1] = span{at[0], at[1], privateKey}
			continue
		}
		if begins := keyBegins().FindStringIndex(line); begins != nil {
			if last := keyBlock(lines, i, out); last > i {
				out[i+1] = span{begins[0], begins[1], privateKey}
				i = last
			}
			continue
		}
		if ends := keyEnds().FindStringIndex(line); ends != nil && keyTail(lines, i, out) {
			out[i+1] = span{ends[0], ends[1], privateKey}
		}
	}
	return out
}

// keyBlock adds the lines of the key that begins on lines[first], and returns the index of the last, first if none is one:
// source may name the marker alone.
func keyBlock(lines []string, first int, out map[int]span) (last int) {
	full := 0 // length of a full line
	for i := first + 1; i < min(len(lines), first+mostLines); i++ {
		if ends := keyEnds().FindStringIndex(lines[i]); ends != nil {
			if full > 0 {
				out[i+1] = span{ends[0], ends[1], privateKey}
				return i
			}
			return first
		}
		at := keyPart(lines[i])
		size := at.end - at.start
		switch {
		case at.kind == "" && strings.Trim(lines[i], "+- \t\r#/*|>") == "":
			continue // the empty line after headers
		case at.kind == "", full == 0 && !header(lines[i]) && size < fullLine:
			return max(last, first)
		}
		out[i+1], last = at, i
		if !header(lines[i]) {
			if full > 0 && size < full && !nextIsEnd(lines, i) {
				return last // the last line of a key whose end is missing
			}
			full = max(full, size)
		}
	}
	return max(last, first)
}

// keyHunk adds the lines of a diff's hunk from within a key, too far from its ends to show them, and what its head repeats of
// the lines before it: section is where in lines[head] that begins, -1 for nowhere.
func keyHunk(lines []string, head, section int, out map[int]span) {
	if section >= 0 && keyMaterial(lines[head][section:]) {
		at := keyPart(lines[head][section:])
		out[head+1] = span{section + at.start, section + at.end, privateKey}
	}
	i := head + 1
	for ; i < len(lines) && lines[i] != "" && strings.IndexByte(" +-\\", lines[i][0]) >= 0; i++ {
		if lines[i][0] != '\\' && !keyMaterial(lines[i][1:]) {
			return
		}
	}
	if i-head <= leastHunk {
		return
	}
	for n := head + 1; n < i; n++ {
		if lines[n][0] != '\\' {
			out[n+1] = keyPart(lines[n])
		}
	}
}

// keyMaterial reports whether a line is a full one of a key by its look alone.
func keyMaterial(line string) bool {
	at := keyPart(line)
	part := line[at.start:at.end]
	return len(part) >= fullLine && !hex().MatchString(part) && strings.ContainsAny(part, "0123456789") &&
		strings.ToLower(part) != part && strings.ToUpper(part) != part && entropy(part) >= 4
}

// nextIsEnd reports whether one of the two next lines ends the key; an armored one has a checksum between.
func nextIsEnd(lines []string, i int) bool {
	for _, l := range lines[i+1 : min(len(lines), i+3)] {
		if keyEnds().MatchString(l) {
			return true
		}
	}
	return false
}

// keyTail adds the lines before the end of a key whose beginning the text lacks, as in a diff. All but the last are full.
func keyTail(lines []string, end int, out map[int]span) (found bool) {
	first := end
	for first > 0 && end-first < mostLines {
		at := keyPart(lines[first-1])
		size := at.end - at.start
		if _, done := out[first]; done || at.kind == "" || first < end && size < fullLine {
			break
		}
		found = found || size >= fullLine
		first--
	}
	for i := first; found && i < end; i++ {
		out[i+1] = keyPart(lines[i])
	}
	return found
}

// keyPart returns what of a line may be part of a key; its kind is "" if nothing can.
func keyPart(line string) span {
	m := keyHeader().FindStringSubmatchIndex(line)
	if m == nil {
		m = keyLine().FindStringSubmatchIndex(line)
	}
	if m == nil {
		return span{}
	}
	return span{m[2], m[3], privateKey}
}

func header(line string) bool { return keyHeader().MatchString(line) }
