package markup

import (
	"sort"
	"strings"
)

// spans are parts of a text, in order: where each begins and ends, in bytes.
type spans [][2]int

// hold reports whether a position lies in one of the spans.
func (s spans) hold(at int) bool {
	i := sort.Search(len(s), func(i int) bool { return s[i][1] > at })
	return i < len(s) && s[i][0] <= at
}

// literals finds the parts of an answer in which markup is quoted rather than meant: fenced code (also a fence that
// never ends), inline code, and the strings of JSON values (also a string that never ends, as in an answer cut short).
func literals(content string) spans {
	var found spans
	for i := 0; i < len(content); {
		end := i + 1
		switch c := content[i]; {
		case c == '`':
			end = endOfCode(content, i)
			if end > i {
				found = append(found, [2]int{i, end})
			} else {
				end = i + run1(content[i:], '`')
				found = append(found, [2]int{i, min(end+1, len(content))}) // what directly follows an open backquote is quoted
			}
		case c == '~' && lineStart(content, i) && strings.HasPrefix(content[i:], "~~~"):
			end = endOfFence(content, i, '~')
			found = append(found, [2]int{i, end})
		case c == '{' || c == '[':
			end = jsonStrings(content, i, &found)
		}
		i = end
	}
	return found
}

// endOfCode is where code that begins at a backquote ends, or i where that backquote begins none.
func endOfCode(content string, i int) int {
	ticks := run1(content[i:], '`')
	if ticks >= 3 {
		return endOfFence(content, i, '`')
	}
	for j := i + ticks; j < len(content); j++ {
		switch content[j] {
		case '`':
			n := run1(content[j:], '`')
			if n == ticks {
				return j + n
			}
			j += n - 1
		case '\n':
			if strings.HasPrefix(strings.TrimLeft(content[j+1:], " \t\r"), "\n") {
				return i // inline code ends with its paragraph
			}
		}
	}
	return i
}

// endOfFence is where the fence that begins at i ends: behind the next one as long, or at the text's end.
func endOfFence(content string, i int, mark byte) int {
	ticks := run1(content[i:], mark)
	fence := content[i : i+ticks]
	at := strings.Index(content[i+ticks:], fence)
	if at < 0 {
		return len(content)
	}
	end := i + ticks + at
	return end + run1(content[end:], mark)
}

// run1 is how often a byte is repeated at the beginning of s.
func run1(s string, c byte) int {
	n := 0
	for n < len(s) && s[n] == c {
		n++
	}
	return n
}

func lineStart(content string, i int) bool {
	return strings.TrimLeft(content[strings.LastIndexByte(content[:i], '\n')+1:i], " ") == ""
}

// jsonStrings adds the strings of the JSON value that begins at i, and returns where the value, or what looked like one,
// ends.
func jsonStrings(content string, i int, found *spans) int {
	if next := strings.TrimLeft(content[i+1:], " \t\r\n"); next == "" || !strings.ContainsRune(`"{[]}`, rune(next[0])) {
		return i + 1
	}
	depth := 0
	for j := i; j < len(content); j++ {
		switch c := content[j]; {
		case c == '"':
			end := endOfString(content, j)
			*found = append(*found, [2]int{j, end})
			j = end - 1
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return j + 1
			}
		case !strings.ContainsRune(" \t\r\n:,+-.0123456789eEtrufalsn", rune(c)):
			return j // no JSON after all, or JSON that breaks off
		}
	}
	return len(content)
}

func endOfString(content string, i int) int {
	for j := i + 1; j < len(content); j++ {
		switch content[j] {
		case '\\':
			j++
		case '"':
			return j + 1
		}
	}
	return len(content)
}
