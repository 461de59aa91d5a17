package workspace

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
)

func TestReadable(t *testing.T) {
	for name, c := range map[string]struct {
		part           git.Part
		diff, want     string
		added, removed []Span
	}{
		"two hunks": {
			part:  git.Part{Name: "pay.go"},
			diff:  "diff --git a/pay.go b/pay.go\nindex 1..2 100644\n--- a/pay.go\n+++ b/pay.go\n@@ -9,4 +9,5 @@ func f() {\n a\n-b\n+B\n+C\n \n@@ -99,2 +100,1 @@\n-x\n y\n\\ No newline at end of file\n",
			want:  "diff --git a/pay.go b/pay.go\n--- a/pay.go\n+++ b/pay.go\n@@ -9,4 +9,5 @@ func f() {\n   9| a\n  10|-b\n  10|+B\n  11|+C\n  12| \n@@ -99,2 +100,1 @@\n  99|-x\n 100| y\n\\ No newline at end of file\n",
			added: []Span{{10, 11}}, removed: []Span{{10, 10}, {99, 99}},
		},
		"a name that git escapes": {
			part:  git.Part{Name: "支付/a b.go"},
			diff:  "diff --git \"a/\\346\\224\\257\\344\\273\\230/a b.go\" \"b/\\346\\224\\257\\344\\273\\230/a b.go\"\nnew file mode 100644\nindex 0..1\n--- /dev/null\n+++ \"b/\\346\\224\\257\\344\\273\\230/a b.go\"\t\n@@ -0,0 +1 @@\n+x\n",
			want:  "diff --git a/支付/a b.go b/支付/a b.go\nnew file mode 100644\n--- /dev/null\n+++ b/支付/a b.go\n@@ -0,0 +1 @@\n   1|+x\n",
			added: []Span{{1, 1}},
		},
		"a rename with a line break in the name": {
			part:  git.Part{Name: "new\nname.go", From: "old.go"},
			diff:  "diff --git a/old.go \"b/new\\nname.go\"\nsimilarity index 90%\nrename from old.go\nrename to \"new\\nname.go\"\nindex 1..2\n--- a/old.go\n+++ \"b/new\\nname.go\"\n@@ -3 +3 @@\n-x\n+y\n",
			want:  "diff --git a/old.go b/new\\nname.go\nsimilarity index 90%\nrename from old.go\nrename to new\\nname.go\n--- a/old.go\n+++ b/new\\nname.go\n@@ -3 +3 @@\n   3|-x\n   3|+y\n",
			added: []Span{{3, 3}}, removed: []Span{{3, 3}},
		},
		"a name that is not UTF-8": {
			part:  git.Part{Name: "old\xff\xfe.go"},
			diff:  "diff --git \"a/old\\377\\376.go\" \"b/old\\377\\376.go\"\n--- \"a/old\\377\\376.go\"\n+++ \"b/old\\377\\376.go\"\n@@ -0,0 +1 @@\n+x\n",
			want:  "diff --git a/old\uFFFD.go b/old\uFFFD.go\n--- a/old\uFFFD.go\n+++ b/old\uFFFD.go\n@@ -0,0 +1 @@\n   1|+x\n",
			added: []Span{{1, 1}},
		},
		"a deleted file": {
			part:    git.Part{Name: "gone.go"},
			diff:    "diff --git a/gone.go b/gone.go\ndeleted file mode 100644\n--- a/gone.go\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-bye\n--- now\n",
			want:    "diff --git a/gone.go b/gone.go\ndeleted file mode 100644\n--- a/gone.go\n+++ /dev/null\n@@ -1,2 +0,0 @@\n   1|-bye\n   2|--- now\n",
			removed: []Span{{1, 2}},
		},
		"a merge": {
			part:  git.Part{Name: "m.go"},
			diff:  "diff --cc m.go\nindex 1,2..3\n--- a/m.go\n+++ b/m.go\n@@@ -5,3 -5,3 +5,4 @@@\n  both\n +second\n+ first\n--none\n  end\n",
			want:  "diff --cc m.go\n--- a/m.go\n+++ b/m.go\n@@@ -5,3 -5,3 +5,4 @@@\n   5|  both\n   6| +second\n   7|+ first\n   7|--none\n   8|  end\n",
			added: []Span{{6, 7}}, removed: []Span{{7, 7}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := readable(c.part, c.diff)
			assert.Equal(t, c.want, got.text)
			assert.Equal(t, c.added, got.added)
			assert.Equal(t, c.removed, got.removed)
		})
	}
}
