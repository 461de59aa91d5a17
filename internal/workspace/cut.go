package workspace

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// cutPrefix begins the line that ends a cut text.
const cutPrefix = "[cut by the server: "

// cutTokens is what the mark of a cut takes, generously.
const cutTokens = 40

// cutText keeps as many whole lines of a text as fit into a number of tokens, and says in a last line what is missing.
// Of a single line that is too long it keeps the beginning; lines is then 0. size is the whole file's, in bytes.
func cutText(text string, tokens int, size int64) (cut string, lines int) {
	tokens = max(tokens-cutTokens, 0)
	ends := lineEnds(text)
	n := sort.Search(len(ends), func(i int) bool { return providers.EstimateTokens(text[:ends[i]]) > tokens })
	var head string
	if n > 0 {
		head = text[:ends[n-1]]
	} else {
		head = firstOf(text, sort.Search(len(text), func(i int) bool { return providers.EstimateTokens(firstOf(text, i+1)) > tokens }))
	}
	where := fmt.Sprintf("above are lines 1 to %d", n)
	bytes := len(head)
	if n == 0 {
		where = "above is the beginning of line 1"
		if head != "" {
			head += lineCut + "\n"
		}
	}
	return head + fmt.Sprintf("%s%s, %d bytes of a file of %d]\n", cutPrefix, where, bytes, size), n
}

// lineCut ends the beginning of a line that was cut: proof.LineCut, by which nobody takes the line for shown.
const lineCut = "… [line cut]"

// firstLines says what a cut text has, of a file or its diff.
func firstLines(lines int) string {
	switch lines {
	case 0:
		return "the beginning of the first line"
	case 1:
		return "the first line"
	}
	return fmt.Sprintf("the first %d lines", lines)
}

// lineEnds are the offsets after each line's end.
func lineEnds(text string) []int {
	var ends []int
	for i := 0; ; {
		n := strings.IndexByte(text[i:], '\n')
		if n < 0 {
			return ends
		}
		i += n + 1
		ends = append(ends, i)
	}
}

// firstOf is at most the first n bytes of a text, without a broken character at the end.
func firstOf(text string, n int) string {
	n = min(n, len(text))
	for n > 0 && n < len(text) && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// withoutCutNote is what of a cut text came from the file, and false when it is not a cut one.
func withoutCutNote(text string) (string, bool) {
	i := strings.LastIndex(text, cutPrefix)
	if i < 0 || !strings.HasSuffix(text, "]\n") || strings.Count(text[i:], "\n") != 1 {
		return text, false
	}
	return strings.TrimSuffix(text[:i], lineCut+"\n"), true
}
