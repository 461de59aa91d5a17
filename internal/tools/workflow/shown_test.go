package workflow

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/proof"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// cited is what becomes of a quote that a finding cites: whether it was shown, of which file and in which line.
func cited(s *proof.Shown, file string, line int, quote string) proof.Result {
	return s.Check(proof.Claim{File: file, Line: line, Quote: quote}, func(string) (string, bool) { return "", false })
}

// What an expert was shown is what its findings may quote: files by the lines that they were shown with, diffs by those of the
// files that they are about, and nothing of what is no text.
func TestShow(t *testing.T) {
	s := &proof.Shown{}
	show(s, []conversation.Attachment{
		{Path: "/w/numbered.go", Name: "numbered.go", MIME: "text/plain", Data: []byte("  7| seventh line\n  8| eighth line\n")},
		{Path: "/w/plain.go", MIME: "text/plain", Data: []byte("first line\nsecond line\n")},
		{Path: "/w/later.go", MIME: "text/plain", Data: []byte("21| line twenty-one\n")},
		{Path: "/w/whole.go", Name: "who\nle.go", MIME: "text/plain", Data: []byte("   1| the whole\n")},
		{Path: "/w/picture.png", MIME: "image/png", Data: []byte("line of a picture\n")},
		{Path: "/w/paper.pdf", MIME: conversation.DocumentMIME, Data: []byte("line of a document\n")},
		{Path: "/w", MIME: mimeDiff, Data: []byte("diff --git a/d.go b/d.go\n--- a/d.go\n+++ b/d.go\n@@ -3 +3 @@\n-the old line\n+the new line\n")},
	})
	for _, c := range []struct {
		file  string
		line  int
		quote string
		want  proof.Result
	}{
		{"/w/whole.go", 1, "the whole", proof.Result{Citation: proof.Verified, File: "/w/whole.go", Line: 1}},
		{"who\nle.go", 1, "the whole", proof.Result{Citation: proof.Verified, File: "/w/whole.go", Line: 1}},
		{`who\nle.go`, 1, "the whole", proof.Result{Citation: proof.Verified, File: "/w/whole.go", Line: 1}},
		{"/w/whole.go", 1, "1| the whole", proof.Result{Citation: proof.Verified, File: "/w/whole.go", Line: 1}},
		{"/w/plain.go", 2, "second line", proof.Result{Citation: proof.Verified, File: "/w/plain.go", Line: 2}},
		{"/w/plain.go", 0, "second line", proof.Result{Citation: proof.Moved, File: "/w/plain.go", Line: 2}},
		{"/w/picture.png", 1, "line of a picture", proof.Result{Citation: proof.NotFound, Line: 1}},
		{"/w/paper.pdf", 1, "line of a document", proof.Result{Citation: proof.NotFound, Line: 1}},
		{"d.go", 3, "the old line", proof.Result{Citation: proof.Verified, File: "/w/d.go", Line: 3}},
		{"/w/d.go", 0, "the new line", proof.Result{Citation: proof.Moved, File: "/w/d.go", Line: 3}},
		{"/w", 1, "the new line", proof.Result{Citation: proof.NotFound, Line: 1}},
	} {
		assert.Equal(t, c.want, cited(s, c.file, c.line, c.quote), c.file+": "+c.quote)
	}
}

// The names of a file on the two sides of a diff, as the lines above its hunks have them.
func TestSidesOf(t *testing.T) {
	for part, want := range map[string][2]string{
		"git a/x b/y\n--- a/x\n+++ b/y\n@@ -1 +1 @@\n":                        {"x", "y"},
		"git a/x b/y\r\n--- a/x\r\n+++ b/y\r\n@@ -1 +1 @@\n":                  {"x", "y"},
		"git a/x b/x\nnew file mode\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n": {"x", "x"},
		"git a/x b/x\n--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n":                {"x", "x"},
		"git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n--- a/y\n+++ b/z\n":      {"x", "x"},
		"git a/x b/x\nBinary files differ\n":                                  {"", ""},
	} {
		before, after := sidesOf(part)
		assert.Equal(t, want, [2]string{before, after}, part)
	}
}

// Each file of a diff counts with its own lines, though another file's lines, or a file without lines, stand before it.
func TestShowDiffs(t *testing.T) {
	s := &proof.Shown{}
	showDiffs(s, "/r/", "diff --git a/pic b/pic\nBinary files differ\n"+
		"diff --git a/one.go b/one.go\n--- a/one.go\n+++ b/one.go\n@@ -1 +1 @@\n  1|-line before one\n  1|+line of one\n"+
		"diff --git a/old.go b/new.go\n--- a/old.go\n+++ b/new.go\n@@ -5 +7 @@\n  5|-line before two\n  7|+diff --line of two\n")
	verified := func(file string, line int) proof.Result {
		return proof.Result{Citation: proof.Verified, File: file, Line: line}
	}
	assert.Equal(t, verified("/r/one.go", 1), cited(s, "one.go", 1, "line of one"))
	assert.Equal(t, verified("/r/one.go", 1), cited(s, "one.go", 1, "line before one"))
	assert.Equal(t, verified("/r/new.go", 7), cited(s, "new.go", 7, "diff --line of two"))
	assert.Equal(t, verified("/r/old.go", 5), cited(s, "old.go", 5, "line before two"))
	assert.False(t, s.Has("/r/pic"))
	assert.False(t, s.Has("/r/"))
}

// A file below a work tree has the name that the host gives it.
func TestHostPath(t *testing.T) {
	for _, c := range [][3]string{
		{"/w", "a/b.go", "/w/a/b.go"},
		{"/w/", "b.go", "/w/b.go"},
		{`C:\w`, "a/b.go", `C:\w\a\b.go`},
		{`/w\x`, "a/b.go", `/w\x/a/b.go`},
		{`C:/w`, "a/b.go", `C:/w/a/b.go`},
	} {
		assert.Equal(t, c[2], hostPath(c[0], c[1]), c[0])
	}
}

// Files are known by their names as diffs spell them, and by no other where that is the same.
func TestSpell(t *testing.T) {
	s := &proof.Shown{}
	s.Add("/w/a\nb.go", proof.WorkTree, 1, "line of the file\n")
	spell(s, "/w/plain.go", "/w/a\nb.go")
	assert.Equal(t, proof.Verified, cited(s, `/w/a\nb.go`, 1, "line of the file").Citation)
}

// What the expert of an answer was shown is, without a record of this call, what stood in the conversation before the answer.
func TestShownFor(t *testing.T) {
	text := func(path string) []conversation.Attachment {
		return []conversation.Attachment{{Path: path, MIME: "text/plain", Data: []byte("line of " + path + "\n")}}
	}
	r := &run{}
	r.lease = leaseOf(
		conversation.Turn{Role: providers.RoleUser, Attachments: text("/asked.go")},
		conversation.Turn{ID: "1", Role: providers.RoleAssistant, Attachments: text("/answered.go")},
		conversation.Turn{Role: providers.RoleUser, Attachments: text("/again.go")},
		conversation.Turn{ID: "2", Role: providers.RoleAssistant},
		conversation.Turn{Role: providers.RoleUser, Attachments: text("/later.go")},
	)
	r.stored = &storedStep{meta: stepMeta{Coverage: []Coverage{{File: "/as\nked.go"}}}}
	has := func(answer string) (files []string) {
		s := r.shownFor(answer)
		for _, file := range []string{"/asked.go", "/answered.go", "/again.go", "/later.go"} {
			if s.Has(file) {
				files = append(files, file)
			}
		}
		return files
	}
	assert.Equal(t, []string{"/asked.go"}, has("1"))
	assert.Equal(t, []string{"/asked.go", "/again.go"}, has("2"))
	s := r.shownFor("2")
	show(s, text("/as\nked.go"))
	assert.Equal(t, proof.Verified, cited(s, `/as\nked.go`, 1, "line of /as").Citation)

	r.showHistory(r.lease.Turns[:1], []workspace.ChangedFile{{Path: "/to\n.go", From: "/from\n.go"}})
	show(r.shown, append(text("/to\n.go"), text("/from\n.go")...))
	assert.Equal(t, "/to\n.go", cited(r.shown, `/to\n.go`, 1, "line of /to").File)
	assert.Equal(t, "/from\n.go", cited(r.shown, `/from\n.go`, 1, "line of /from").File)
}

// A finding's lines are numbers, and those that it names move with its quote only where that lies outside of them.
func TestProveAtTheEdges(t *testing.T) {
	shown := &proof.Shown{}
	shown.Add("/w/a.go", proof.WorkTree, 1, "package a\n\n\n\n\n\n\n\nfunc last() {}\n")
	for _, c := range []struct{ finding, want Finding }{
		{
			Finding{"file": "/w/a.go", "line": "1", "quote": "package a"},
			Finding{"file": "/w/a.go", "line": 1.0, "quote": "package a", "citation": "verified"},
		},
		{
			Finding{"file": "/w/a.go", "line": 2.0, "line_end": 9.0, "quote": "func last() {}"},
			Finding{"file": "/w/a.go", "line": 9.0, "line_end": 9.0, "cited_line": 2.0, "quote": "func last() {}", "citation": "moved"},
		},
	} {
		c.finding.prove(shown, func(string) (string, bool) { return "", false })
		assert.Equal(t, c.want, c.finding)
	}
}

// leaseOf is a conversation of these turns.
func leaseOf(turns ...conversation.Turn) *ask.Lease {
	return &ask.Lease{Conversation: conversation.Conversation{ID: "id-1", Turns: turns}}
}
