package git

import (
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
