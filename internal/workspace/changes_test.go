package workspace

import (
	"os"
	"strings"
	"testing"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// changesOf are a report's changed files, by name relative to a folder.
func changesOf(r *GitReport, dir string) map[string]ChangedFile {
	all := map[string]ChangedFile{}
	for _, c := range r.Changed {
		c.Path, c.From = strings.TrimPrefix(c.Path, dir+"/"), strings.TrimPrefix(c.From, dir+"/")
		all[c.Path] = c
	}
	return all
}

func TestChangedFiles(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir, map[string]string{
		"edit.go": lines(40), "both.go": "1\n2\n3\n", "gone.go": "bye\n", "old.go": lines(30), "go.sum": "a\n", "gen/api.pb.go": "x\n", "gen/hand.go": "x\n",
		"app.min.js": "x\n", "bundle.js": "x\n", "pic.png": "\x89PNG\r\n\x1a\n\x00", ".env": "KEY=1\n", "same.go": "1\n",
		".gitattributes": "gen/*.pb.go linguist-generated\ngen/hand.go -linguist-generated\n",
	})
	write(t, strings.Replace(lines(40), "line 20 of", "LINE 20 of", 1), dir, "edit.go")
	write(t, "1\nB\n3\n", dir, "both.go")
	gittest.Run(t, dir, "add", "both.go")
	write(t, "1\nB\n3\n4\n", dir, "both.go")
	require.NoError(t, os.Remove(dir+"/gone.go"))
	gittest.Run(t, dir, "mv", "old.go", "new.go")
	write(t, "b\n", dir, "go.sum")
	write(t, "y\n", dir, "gen/api.pb.go")
	write(t, "y\n", dir, "gen/hand.go")
	write(t, "y\n", dir, "app.min.js")
	write(t, strings.Repeat("y", 6000)+"\n", dir, "bundle.js")
	write(t, "\x89PNG\r\n\x1a\n\x00x", dir, "pic.png")
	write(t, "KEY=2\n", dir, ".env")
	write(t, "1\n2\n", dir, "fresh.go")
	write(t, "{}\n", dir, "web/package-lock.json")
	w := newWorkspace(t, dir)

	all := inspect(t, w, GitQuery{})
	assert.Equal(t, map[string]ChangedFile{
		"edit.go":               {Path: "edit.go", From: "edit.go", Added: []Span{{20, 20}}, Removed: []Span{{20, 20}}, Current: true},
		"both.go":               {Path: "both.go", From: "both.go", Added: []Span{{2, 2}, {4, 4}}, Removed: []Span{{2, 2}}, Current: true},
		"gone.go":               {Path: "gone.go", From: "gone.go", Removed: []Span{{1, 1}}},
		"new.go":                {Path: "new.go", From: "old.go", Current: true},
		"go.sum":                {Path: "go.sum", From: "go.sum", Skipped: "lock file", Current: true},
		"gen/api.pb.go":         {Path: "gen/api.pb.go", From: "gen/api.pb.go", Skipped: "generated", Current: true},
		"gen/hand.go":           {Path: "gen/hand.go", From: "gen/hand.go", Added: []Span{{1, 1}}, Removed: []Span{{1, 1}}, Current: true},
		"app.min.js":            {Path: "app.min.js", From: "app.min.js", Skipped: "minified", Current: true},
		"bundle.js":             {Path: "bundle.js", From: "bundle.js", Skipped: "minified", Current: true},
		"pic.png":               {Path: "pic.png", From: "pic.png", Skipped: "binary", Current: true},
		"fresh.go":              {Path: "fresh.go", From: "fresh.go", Added: []Span{{1, 2}}, Current: true, New: true},
		"web/package-lock.json": {Path: "web/package-lock.json", From: "web/package-lock.json", Skipped: "lock file", Current: true},
		".env":                  {Path: ".env", From: ".env", Unread: changesOf(all, dir)[".env"].Unread, Current: true},
	}, changesOf(all, dir))
	assert.Contains(t, changesOf(all, dir)[".env"].Unread, "refused")
	text := reportText(all)
	for _, skipped := range []string{"go.sum b", "package-lock.json b", "api.pb.go b", "app.min.js b", "yyyyyy"} {
		assert.NotContains(t, text, skipped)
	}

	staged := changesOf(inspect(t, w, GitQuery{Staged: true}), dir)
	assert.Len(t, staged, 2)
	assert.False(t, staged["both.go"].Current, "it has changed since it was staged")
	assert.Equal(t, []Span{{2, 2}}, staged["both.go"].Added)
	assert.True(t, staged["new.go"].Current)

	gittest.Run(t, dir, "commit", "-q", "-m", "second")
	branch := changesOf(inspect(t, w, GitQuery{CompareTo: "HEAD~1..HEAD"}), dir)
	assert.Len(t, branch, 2)
	assert.False(t, branch["both.go"].Current, "the work tree has more")
	assert.True(t, branch["new.go"].Current)
}

func TestSkipReason(t *testing.T) {
	for name, want := range map[string]string{
		"Cargo.lock": "lock file", "a/b/yarn.lock": "lock file", "a/my.lock": "", "lib/jquery.min.js": "minified", "app.js.map": "minified",
		"minutes.md": "", "a.go": "", "gen.go": "generated",
	} {
		assert.Equal(t, want, skipReason(name, map[string]bool{"gen.go": true}), name)
	}
	long := strings.Repeat("x", maxReadableLine+1) + "\n"
	assert.True(t, minified("a.CSS", "short\n"+long))
	assert.False(t, minified("a.css", strings.Repeat("short\n", 2000)))
	assert.False(t, minified("a.json", long))
}
