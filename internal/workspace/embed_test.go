package workspace

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

func entryPaths(dir string, entries []Entry) []string {
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimPrefix(e.Path, dir+"/"))
	}
	return names
}

func attached(dir string, sent []conversation.Attachment) map[string]string {
	m := map[string]string{}
	for _, a := range sent {
		m[strings.TrimPrefix(a.Path, dir+"/")] = string(a.Data)
	}
	return m
}

func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d of a long file\n", i+1)
	}
	return b.String()
}

func TestEmbedSendsWholeFilesFirst(t *testing.T) {
	dir := tempDir(t)
	write(t, "small a\n", dir, "a.go")
	write(t, lines(20_000), dir, "big.log")
	write(t, lines(20_000), dir, "big2.log")
	write(t, "small z\n", dir, "z.go")
	w := newWorkspace(t, dir)
	sent, m, err := w.embedPaths(t.Context(), []string{dir}, Budget{Tokens: 5000}, nil)
	require.NoError(t, err)
	got := attached(dir, sent)
	assert.Equal(t, "small a\n", got["a.go"])
	assert.Equal(t, "small z\n", got["z.go"])
	assert.Equal(t, []string{"a.go", "z.go"}, entryPaths(dir, m.Sent))
	assert.Equal(t, []string{"big.log", "big2.log"}, entryPaths(dir, m.Cut))
	assert.Empty(t, m.LeftOut)
	assert.LessOrEqual(t, m.Tokens, 5000)
	assert.Greater(t, m.Tokens, 4000, "the budget is used")
	total := 0
	for _, a := range sent {
		total += providers.EstimateTokens(a.Data) + fileOverhead
		assert.Equal(t, hashOf(string(a.Data)), a.SHA256)
		assert.Equal(t, "text/plain", a.MIME)
	}
	assert.Equal(t, m.Tokens, total)
	assert.InEpsilon(t, m.Cut[0].Tokens, m.Cut[1].Tokens, 0.05, "equals are cut alike")
	assert.True(t, strings.HasPrefix(got["big.log"], "line 1 of a long file\nline 2 "))
	head, ok := withoutCutNote(got["big.log"])
	assert.True(t, ok)
	assert.Equal(t, m.Cut[0].Lines, strings.Count(head, "\n"))
	assert.Contains(t, m.Cut[0].Reason, fmt.Sprint(m.Cut[0].Lines))
}

func TestEmbedNamesWhatItLeavesOut(t *testing.T) {
	dir := tempDir(t)
	write(t, "package a\n", dir, "a.go")
	write(t, "SECRET\n", dir, ".env")
	write(t, "\x89PNG\r\n\x1a\n\x00\x00", dir, "p.go")
	w := newWorkspace(t, dir)
	sent, m, err := w.embedPaths(t.Context(), []string{"a.go", ".env", "p.go", "missing.go", "/etc/passwd", "a.go"}, Budget{Tokens: 1000}, nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"a.go": "package a\n"}, attached(dir, sent))
	reasons := map[string]Entry{}
	for _, e := range m.LeftOut {
		reasons[strings.TrimPrefix(e.Path, dir+"/")] = e
	}
	assert.Equal(t, CodeDenied, reasons[".env"].Code)
	assert.Equal(t, CodeDenied, reasons["/etc/passwd"].Code)
	assert.Equal(t, CodeNotFound, reasons["missing.go"].Code)
	assert.Equal(t, "binary: image/png", reasons["p.go"].Reason)
	assert.Len(t, m.LeftOut, 4)
	assert.NotContains(t, fmt.Sprint(m), "SECRET")
	text, err := json.Marshal(m)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"sent":[{"path":"`+dir+`/a.go","tokens":`)
}

func TestEmbedPrefersWhatIsNamed(t *testing.T) {
	dir := tempDir(t)
	write(t, lines(500), dir, "folder/a.txt")
	write(t, lines(500), dir, "named.txt")
	w := newWorkspace(t, dir)
	sent, m, err := w.embedPaths(t.Context(), []string{"folder", "named.txt"}, Budget{Tokens: providers.EstimateTokens(lines(500)) + fileOverhead + 600}, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"named.txt"}, entryPaths(dir, m.Sent))
	assert.Equal(t, []string{"folder/a.txt"}, entryPaths(dir, m.Cut))
	assert.Equal(t, 2, len(sent))

	_, m, err = w.embedPaths(t.Context(), []string{"folder", "named.txt"}, Budget{Tokens: 100_000, MaxFiles: 1}, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"named.txt"}, entryPaths(dir, m.Sent))
	assert.Contains(t, m.LeftOut[0].Reason, "at most 1 files")
}

func TestEmbedLimits(t *testing.T) {
	dir := tempDir(t)
	write(t, lines(1000), dir, "a.txt")
	w := newWorkspace(t, dir)
	sent, m, err := w.embedPaths(t.Context(), []string{"a.txt"}, Budget{Tokens: 100_000, MaxFileBytes: 2000}, nil)
	require.NoError(t, err)
	require.Len(t, m.Cut, 1)
	assert.Less(t, len(sent[0].Data), 2200)
	assert.Equal(t, int64(len(lines(1000))), sent[0].Size)

	sent, m, err = w.embedPaths(t.Context(), []string{"a.txt"}, Budget{Tokens: 200}, nil)
	require.NoError(t, err)
	require.Len(t, m.Cut, 1, "a single file gets what there is")
	assert.LessOrEqual(t, m.Tokens, 200)
	assert.True(t, strings.HasPrefix(string(sent[0].Data), "line 1 of a long file\n"))

	sent, m, err = w.embedPaths(t.Context(), []string{"a.txt"}, Budget{}, nil)
	require.NoError(t, err)
	assert.Empty(t, sent)
	assert.True(t, m.Empty())
	assert.Contains(t, m.LeftOut[0].Reason, "no room")

	sent, _, err = w.embedPaths(t.Context(), []string{"a.txt"}, Budget{Tokens: 100_000, LineNumbers: true}, nil)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(sent[0].Data), "   1| line 1 of a long file\n   2| "))
}

func TestEmbedSendsAFileOncePerConversation(t *testing.T) {
	dir := tempDir(t)
	write(t, "one\n", dir, "a.txt")
	write(t, lines(5000), dir, "big.txt")
	w := newWorkspace(t, dir)
	embed := func(tokens int, numbers bool, already map[string]conversation.Attachment) ([]conversation.Attachment, Manifest) {
		sent, m, err := w.embedPaths(t.Context(), []string{"a.txt", "big.txt"}, Budget{Tokens: tokens, LineNumbers: numbers}, already)
		require.NoError(t, err)
		return sent, m
	}
	for _, numbers := range []bool{false, true} {
		write(t, "one\n", dir, "a.txt")
		write(t, lines(5000), dir, "big.txt")
		first, m := embed(3000, numbers, nil)
		require.Len(t, first, 2)
		require.Len(t, m.Cut, 1)
		held := map[string]conversation.Attachment{}
		for _, a := range first {
			held[a.Path] = a
		}
		again, m := embed(3000, numbers, held)
		assert.Empty(t, again)
		assert.Equal(t, []string{"a.txt", "big.txt"}, entryPaths(dir, m.Unchanged))
		assert.Zero(t, m.Tokens)
		again, m = embed(2800, numbers, held)
		assert.Empty(t, again, "a little less room is no reason to send less of it once more")
		assert.False(t, m.Empty())

		again, m = embed(3000, !numbers, held)
		assert.Empty(t, again, "line numbers are no change")
		assert.Equal(t, []string{"a.txt", "big.txt"}, entryPaths(dir, m.Unchanged))

		more, _ := embed(1_000_000, numbers, held)
		require.Len(t, more, 1, "with room for the whole, the whole is sent")
		assert.Equal(t, dir+"/big.txt", more[0].Path)

		write(t, "two\n", dir, "a.txt")
		write(t, "changed\n"+lines(5000), dir, "big.txt")
		changed, m := embed(3000, numbers, held)
		assert.Len(t, changed, 2)
		assert.Empty(t, m.Unchanged)
	}
}

func TestEmbedEndsWithTheCall(t *testing.T) {
	dir := tempDir(t)
	write(t, "x", dir, "a.txt")
	w := newWorkspace(t, dir)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(assert.AnError)
	_, _, err := w.embedPaths(ctx, []string{dir}, Budget{Tokens: 10}, nil)
	assert.ErrorIs(t, err, assert.AnError)
	_, _, err = w.expandPaths(ctx, []string{dir})
	assert.ErrorIs(t, err, assert.AnError)
}

func TestExpandWithoutGit(t *testing.T) {
	dir := tempDir(t)
	for _, name := range []string{"b.go", "a/x.go", "a/.hidden/y.go", ".github/ci.yml", "node_modules/m/i.js", "a/vendor/v.go", ".git2/z", "a/build.go"} {
		write(t, "text\n", dir, name)
	}
	write(t, "a\x00b", dir, "a/binary.dat")
	write(t, "SECRET", dir, "a/.env.local")
	link(t, "..", dir, "a/up")
	link(t, ".", dir, "a/self")
	link(t, "x.go", dir, "a/same.go")
	link(t, "/etc/passwd", dir, "a/passwd")
	link(t, "nothing", dir, "a/dangling")
	w := newWorkspace(t, dir)
	w.git.Program = ""
	files, left, err := w.expandPaths(t.Context(), []string{dir, "b.go", dir + "/a"})
	require.NoError(t, err)
	var got []string
	for _, f := range files {
		got = append(got, strings.TrimPrefix(f, dir+"/"))
	}
	assert.Equal(t, []string{".git2/z", ".github/ci.yml", "a/.hidden/y.go", "a/build.go", "a/x.go", "b.go"}, got)
	assert.ElementsMatch(t, []string{"a/binary.dat", "a/.env.local", "a/passwd", "a/.env.local", "a/passwd"}, entryPaths(dir, left))
}

func TestExpandIsBounded(t *testing.T) {
	dir := tempDir(t)
	for i := range 30 {
		write(t, "x", dir, fmt.Sprintf("f%02d", i))
	}
	w := newWorkspace(t, dir)
	refs, _ := w.Resolve(t.Context(), []string{dir})
	items, left, err := w.expand(t.Context(), refs, 10)
	require.NoError(t, err)
	assert.Len(t, items, 10)
	require.Len(t, left, 1)
	assert.Equal(t, dir+"/f10", left[0].Path)
	assert.Contains(t, left[0].Reason, "20 files")
}

// A limited manifest names the first files of each list, and counts the others by folder.
func TestManifestLimit(t *testing.T) {
	m := Manifest{LeftOut: []Entry{{Path: "/w/z/c"}, {Path: "/w/b"}, {Path: "/w/a"}}}
	for i := range 5 {
		m.Sent = append(m.Sent, Entry{Path: fmt.Sprintf("/w/d%d/f", 5-i)})
	}
	short := m.Limit(2)
	assert.Equal(t, []Entry{{Path: "/w/d1/f"}, {Path: "/w/d2/f"}}, short.Sent)
	assert.Equal(t, []Entry{{Path: "/w/a"}, {Path: "/w/b"}}, short.LeftOut)
	assert.Equal(t, 4, short.More)
	assert.Equal(t, map[string]int{"/w/d3": 1, "/w/d4": 1, "/w/d5": 1, "/w/z": 1}, short.MoreIn)
	assert.Len(t, m.Sent, 5)
	assert.Equal(t, "/w/d5/f", m.Sent[0].Path, "the whole one keeps its order")
	assert.Nil(t, m.Limit(5).MoreIn)

	var many Manifest
	for i := range 400 {
		for range i%3 + 1 {
			many.LeftOut = append(many.LeftOut, Entry{Path: fmt.Sprintf(`C:\w\%03d\f`, i)})
		}
	}
	short = many.Limit(0)
	total := 0
	for _, n := range short.MoreIn {
		total += n
	}
	assert.Len(t, short.MoreIn, maxMoreFolders+1)
	assert.Equal(t, len(many.LeftOut), total)
	assert.Equal(t, len(many.LeftOut), short.More)
	assert.Equal(t, 3, short.MoreIn[`C:\w\002`], "the largest folders have their names")
	assert.Equal(t, ".", folderOf("f"))
	assert.Equal(t, "/", folderOf("/f"))
}

// A cut text ends in whole lines and says how many; of a single long line it says that.
func TestCutTextSaysWhatIsLeft(t *testing.T) {
	cut, lines := cutText("one\ntwo\nthree\n", cutTokens+providers.EstimateTokens("one\ntwo\n"), 14)
	assert.Equal(t, "one\ntwo\n"+cutPrefix+"above are lines 1 to 2, 8 bytes of a file of 14]\n", cut)
	assert.Equal(t, 2, lines)
	cut, lines = cutText(strings.Repeat("x", 100)+"\nsecond\n", cutTokens+5, 108)
	assert.Zero(t, lines)
	assert.Contains(t, cut, "x… [line cut]\n"+cutPrefix+"above is the beginning of line 1, ")
	assert.Equal(t, 2, strings.Count(cut, "\n"), "the mark has a line of its own")
	cut, lines = cutText("one\n", 0, 4)
	assert.Equal(t, cutPrefix+"above is the beginning of line 1, 0 bytes of a file of 4]\n", cut)
	assert.Zero(t, lines)
}

// As much of a text is kept as fits: whole lines, or the beginning of the first one.
func TestCutTextKeepsAsMuchAsFits(t *testing.T) {
	assert.Equal(t, []int{1, 2, 4}, lineEnds("\n\na\nb"))
	first := strings.Repeat("word ", 20) + "\n"
	cut, lines := cutText(first+strings.Repeat("word ", 40)+"\n", cutTokens+providers.EstimateTokens(first)+5, 301)
	head, _ := withoutCutNote(cut)
	assert.Equal(t, first, head)
	assert.Equal(t, 1, lines)
	text := strings.Repeat("some words and more of them ", 50)
	for tokens := range 20 {
		cut, _ = cutText(text, cutTokens+tokens, int64(len(text)))
		head, _ = withoutCutNote(cut)
		head = strings.TrimSuffix(head, "\n")
		assert.LessOrEqual(t, providers.EstimateTokens(head), tokens)
		assert.Greater(t, providers.EstimateTokens(text[:len(head)+1]), tokens)
	}
}

func TestEmbedUnreadableFolder(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("this user may read everything")
	}
	dir := tempDir(t)
	write(t, "x", dir, "closed/f")
	require.NoError(t, os.Chmod(dir+"/closed", 0))
	t.Cleanup(func() { _ = os.Chmod(dir+"/closed", 0o755) })
	_, m, err := newWorkspace(t, dir).embedPaths(t.Context(), []string{"closed"}, Budget{Tokens: 100}, nil)
	require.NoError(t, err)
	require.Len(t, m.LeftOut, 1)
	assert.Equal(t, CodeDenied, m.LeftOut[0].Code)
}
