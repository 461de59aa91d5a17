package git

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestUnquoteAndHeaders(t *testing.T) {
	for in, want := range map[string]string{
		"diff --git a/x b/x": "x", "diff --git a/a b/c b/a b/c": "a b/c", `diff --git "a/t\tab" "b/t\tab"`: "t\tab",
		`diff --git "a/\303\244\"" "b/\303\244\""`: "ä\"", "diff --git a/x b/y": "", "diff --git a/x": "", "diff --cc un/merged": "un/merged",
		`diff --combined "a\nb"`: "a\nb", "something else": "", "diff --git": "",
	} {
		assert.Equal(t, want, headerName(in), "%q", in)
	}
	parts, last := splitDiff([]byte("diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\ndiff --git a/m b/m\nold mode 100644\nnew mode 100755\n" +
		"diff --git a/new b/new\nnew file mode 100644\nindex 0..1\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+diff --git a/fake b/fake\ndiff --git a/half b/"))
	var names []string
	for _, p := range parts {
		names = append(names, p.From+">"+p.Name)
	}
	assert.Equal(t, []string{"x>y", ">m", ">new"}, names)
	assert.False(t, last, "the last one is cut within its header")
}

// A part of more than MaxPartBytes is cut after its last whole line.
func TestPartsAreCutAtALine(t *testing.T) {
	head := "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -0,0 +1,2 @@\n+1\n"
	for more, want := range map[int]int{MaxPartBytes - len(head): MaxPartBytes, MaxPartBytes - len(head) + 1: len(head)} {
		p, ok := parsePart([]byte(head + "+" + strings.Repeat("x", more-2) + "\n"))
		assert.True(t, ok)
		assert.Len(t, p.Text, want)
		assert.Equal(t, want != MaxPartBytes, p.Cut)
	}
}

// A part's names are read from what git writes before the first hunk.
func TestPartNames(t *testing.T) {
	for text, want := range map[string]Part{
		"diff --git a/x b/x\nBinary files a/x and b/x differ\n+++ b/y\n":                    {Name: "x", Binary: true},
		"diff --git a/x b/x\nGIT binary patch\n":                                            {Name: "x", Binary: true},
		"diff --git a/x b/y\ncopy from x\ncopy to \"y\\tz\"\n":                              {Name: "y\tz", From: "x"},
		"diff --git a/x b/y\nrename from \"x\\n\"\nrename to y\n":                           {Name: "y", From: "x\n"},
		"diff --git a/x b/x\n--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n":                       {Name: "x"},
		"diff --git a/d e b/d e\n--- a/d e\t\n+++ b/d e\t\n@@ -1 +1 @@\n--- a/f\n+++ b/f\n": {Name: "d e"},
		"diff --git a/x b/y\n--- a/\n+++ b/z\n":                                             {Name: "z"},
		"diff --git a/x b/y\n+++ b/\n":                                                      {},
		"diff --git a/x b/y\nBinary files a/x and b/y differ\n":                             {Binary: true},
		"diff --git a/x b/y\n@@ -1 +1 @@\n":                                                 {},
		"":                                                                                  {},
	} {
		p, ok := parsePart([]byte(text))
		assert.Equal(t, want.Name != "", ok, "%q", text)
		want.Text = []byte(text)
		assert.Equal(t, want, p, "%q", text)
	}
	for _, unreadable := range []string{`"a"b"`, `"a\"`, `"\12"`, `"\128"`, `"\400"`, `"\x"`} {
		assert.Empty(t, unquoteName(unreadable), unreadable)
	}
	for _, plain := range []string{"", `"`, "a", `a"`, `"a`} {
		assert.Equal(t, plain, unquoteName(plain))
	}
	assert.Equal(t, "\x01\xff\a", unquoteName(`"\001\377\a"`))
	for _, header := range []string{"diff --git a/b/", "a/x b/x", "diff --git x", "diff --git a b", "diff --git a/xyb/x", "diff --git c/x b/x", "diff --git a/x c/x", "diff --git a/ b/"} {
		assert.Empty(t, headerName(header), header)
	}
}
