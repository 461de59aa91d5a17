//go:build unix

package git

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tooMuch is one byte more than is read of one command's output.
var tooMuch = strings.Repeat("x", answerLimit+1)

func TestGenerated(t *testing.T) {
	r, git := answering(t,
		nul("a.go", "linguist-generated", "set", "b.go", "linguist-generated", "true", "c.go", "linguist-generated", "unset",
			"d.go", "linguist-generated", "unspecified", "cut.go", "linguist-generated"),
		nul("e.go", "linguist-generated", "set"))
	names := append([]string{"a.go", "b.go", "c.go", "d.go"}, slices.Repeat([]string{"x"}, diffNames-4)...)
	got, err := r.Generated(t.Context(), append(names, "e.go"))
	require.NoError(t, err)
	assert.Equal(t, map[string]bool{"a.go": true, "b.go": true, "e.go": true}, got)
	command := []string{"check-attr", "-z", "linguist-generated", "--"}
	assert.Equal(t, [][]string{append(command[:4:4], names...), append(command[:4:4], "e.go")}, git.asked(t))

	got, err = r.Generated(t.Context(), nil)
	require.NoError(t, err)
	assert.Empty(t, got)
}

func TestInOneCommand(t *testing.T) {
	for _, c := range []struct {
		lengths []int
		want    int
	}{
		{nil, 0},
		{[]int{diffArgs * 2, 1}, 1},
		{[]int{diffArgs - 3, 1}, 2},
		{[]int{diffArgs - 2, 1}, 1},
		{[]int{5, diffArgs - 7, 1}, 2},
		{[]int{5, diffArgs - 6, 1}, 1},
		{make([]int, diffNames), diffNames},
		{make([]int, diffNames+1), diffNames},
	} {
		assert.Equal(t, c.want, inOneCommand(len(c.lengths), func(i int) int { return c.lengths[i] }), "%d lengths", len(c.lengths))
	}
}

// The lists of git are read as it writes them, and what is cut is left out.
func TestNames(t *testing.T) {
	const plain = ":100644 100644 1111111 2222222 "
	r, git := answering(t, nul(plain+"M", "m.go", "junk", "", plain+"R086", "old.go", "new.go", plain+"C100", "from.go", "copy.go",
		":000000 100644 0000000 2222222 A", "added.go", ":160000 160000 1111111 2222222 M", "sub", ":160000 000000 1111111 0000000 D", "gone",
		plain+"U", "unmerged.go", plain+"R100", "half.go")+plain+"M", nul(plain+"M"), nul(":", "a", ":1 2", "b", plain+"R100", "old.go", "new.go"), tooMuch)
	parts, whole, err := r.Names(t.Context(), Diff{Args: []string{"--cached", oneID}}, "below")
	require.NoError(t, err)
	assert.True(t, whole)
	assert.Equal(t, []Part{
		{Name: "m.go", State: 'M'},
		{Name: "new.go", From: "old.go", State: 'R'},
		{Name: "copy.go", From: "from.go", State: 'C'},
		{Name: "added.go", State: 'A'},
		{Name: "sub", Submodule: true, State: 'M'},
		{Name: "gone", State: 'D'},
		{Name: "unmerged.go", State: 'U'},
		{Name: "half.go", State: 'R'},
	}, parts)
	assert.Equal(t, [][]string{{
		"diff", "--raw", "-z", "--no-ext-diff", "--no-textconv", "-M", "--ignore-submodules=dirty", "--cached", oneID, "--", "below",
	}}, git.asked(t))
	parts, whole, err = r.Names(t.Context(), Diff{}, ".")
	require.NoError(t, err)
	assert.True(t, whole)
	assert.Empty(t, parts, "without its name an entry is none")
	parts, _, err = r.Names(t.Context(), Diff{}, ".")
	require.NoError(t, err)
	assert.Equal(t, []Part{{Name: "b", State: '2'}, {Name: "new.go", From: "old.go", State: 'R'}}, parts)
	_, whole, err = r.Names(t.Context(), Diff{}, ".")
	require.NoError(t, err)
	assert.False(t, whole)
}

func TestFingerprint(t *testing.T) {
	raw := nul(":100644 100644 "+oneID+" "+otherID+" M", "a.go")
	r, git := answering(t, raw, raw, raw+nul("more"))
	fingerprint := func() string {
		got, err := r.Fingerprint(t.Context(), Diff{Args: []string{"--cached"}})
		require.NoError(t, err)
		assert.Len(t, got, 64)
		return got
	}
	first := fingerprint()
	r.Head = oneID
	other := fingerprint()
	assert.NotEqual(t, first, other, "another HEAD")
	assert.NotEqual(t, other, fingerprint(), "another diff")
	assert.Equal(t, []string{
		"diff", "--raw", "-z", "--no-abbrev", "--no-ext-diff", "--no-textconv", "-M", "--ignore-submodules=dirty", "--cached", "--", ".",
	}, git.asked(t)[0])
}

func TestStatus(t *testing.T) {
	r, git := answering(t, nul(" M m.go", "", "???", "?? f", "R  new.go", "old.go", " C copy.go", "from.go", "UU both.go", "R  half.go")+"?? cut", tooMuch)
	changes, whole, err := r.Status(t.Context(), "below")
	require.NoError(t, err)
	assert.True(t, whole)
	assert.Equal(t, []Change{
		{State: " M", Name: "m.go"},
		{State: "??", Name: "f"},
		{State: "R ", Name: "new.go", From: "old.go"},
		{State: " C", Name: "copy.go", From: "from.go"},
		{State: "UU", Name: "both.go"},
		{State: "R ", Name: "half.go"},
	}, changes)
	_, whole, err = r.Status(t.Context(), ".")
	require.NoError(t, err)
	assert.False(t, whole)
	assert.Equal(t, []string{"status", "--porcelain=v1", "-z", "--untracked-files=all", "--ignore-submodules=dirty", "--", "below"}, git.asked(t)[0])
}

func TestFilesAndTracked(t *testing.T) {
	r, git := answering(t, nul("a.go", "", "b.go")+"cut", tooMuch,
		nul("100644 "+oneID+" 0\ta.go", "100755 "+oneID+" 1\tboth.go", "100755 "+otherID+" 2\tboth.go", "120000 "+otherID+" 0\tlink",
			"160000 "+oneID+" 0\tsub", "100644 1234 0\tno id", "100644 "+oneID+" 0 x\ttoo many", "100644 "+oneID+" 0\t", "no tab", "100644 "+oneID+" 0\tb.go"),
		tooMuch)
	names, whole, err := r.Files(t.Context(), r.guest.dir)
	require.NoError(t, err)
	assert.True(t, whole)
	assert.Equal(t, []string{"a.go", "b.go"}, names)
	_, whole, err = r.Files(t.Context(), r.guest.dir)
	require.NoError(t, err)
	assert.False(t, whole)

	files, whole, err := r.Tracked(t.Context())
	require.NoError(t, err)
	assert.True(t, whole)
	assert.Equal(t, []File{
		{Name: "a.go", Mode: "100644", id: oneID},
		{Name: "both.go", Mode: "100755", id: oneID},
		{Name: "link", Mode: "120000", id: otherID},
		{Name: "sub", Mode: "160000", id: oneID},
		{Name: "b.go", Mode: "100644", id: oneID},
	}, files)
	assert.Equal(t, []bool{false, false, true, false, false}, []bool{files[0].Link(), files[1].Link(), files[2].Link(), files[3].Link(), files[4].Link()})
	assert.True(t, files[3].Submodule())
	assert.False(t, files[2].Submodule())
	_, whole, err = r.Tracked(t.Context())
	require.NoError(t, err)
	assert.False(t, whole)
	assert.Equal(t, []string{"ls-files", "-co", "--exclude-standard", "-z"}, git.asked(t)[0])
	assert.Equal(t, []string{"ls-files", "--cached", "--stage", "-z"}, git.asked(t)[2])
}

func TestReachable(t *testing.T) {
	r, git := answering(t, "")
	ok, err := r.Reachable(t.Context(), oneID, otherID)
	require.NoError(t, err)
	assert.True(t, ok)
	ok, err = r.Reachable(t.Context(), oneID, otherID)
	require.NoError(t, err, "git says no by the exit status 1")
	assert.False(t, ok)
	assert.Equal(t, []string{"merge-base", "--is-ancestor", oneID, otherID}, git.asked(t)[1])
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(assert.AnError)
	_, err = r.Reachable(ctx, oneID, otherID)
	assert.ErrorIs(t, err, assert.AnError)
}

func TestLog(t *testing.T) {
	r, git := answering(t, nul(oneID, "2024-05-06", "Ann", "Second", "\n"+otherID, "2024-05-05", "Bob", "", "\n"+otherID, "half"))
	commits, err := r.Log(t.Context(), "HEAD", "a.go", 7)
	require.NoError(t, err)
	assert.Equal(t, []Commit{
		{ID: oneID, Date: "2024-05-06", Author: "Ann", Subject: "Second"}, {ID: otherID, Date: "2024-05-05", Author: "Bob"},
	}, commits)
	args := git.asked(t)[0]
	assert.Equal(t, []string{"--max-count=7", "HEAD", "--", "a.go"}, args[len(args)-4:])
}

func TestFileAt(t *testing.T) {
	folder := "040000 tree " + oneID + "\ta"
	r, git := answering(t, nul("100644 blob "+otherID+"\tother", "100644 blob "+oneID+"\ta"), nul(folder), nul("160000 commit "+oneID+"\ta"), "", "text", "text")
	f, err := r.FileAt(t.Context(), otherID, "a")
	require.NoError(t, err)
	assert.Equal(t, File{Name: "a", Mode: "100644", id: oneID}, f)
	_, err = r.FileAt(t.Context(), otherID, "a")
	require.ErrorIs(t, err, ErrNoFile, "a folder")
	sub, err := r.FileAt(t.Context(), otherID, "a")
	require.NoError(t, err)
	_, err = r.FileAt(t.Context(), otherID, "a")
	require.ErrorIs(t, err, ErrNoFile)

	data, cut, err := r.Content(t.Context(), f, 4)
	require.NoError(t, err)
	assert.Equal(t, "text", string(data))
	assert.False(t, cut)
	data, cut, err = r.Content(t.Context(), f, 3)
	require.NoError(t, err)
	assert.Equal(t, "tex", string(data))
	assert.True(t, cut)
	_, cut, err = r.Content(t.Context(), sub, 3)
	require.EqualError(t, err, "a is a submodule")
	assert.False(t, cut)
	asked := git.asked(t)
	assert.Equal(t, []string{"ls-tree", "-z", "--full-tree", otherID, "--", "a"}, asked[0])
	assert.Equal(t, []string{"cat-file", "blob", oneID}, asked[4])
	assert.Len(t, asked, 6)
}

// A commit's id is what git writes last; anything else is refused before git is asked, or afterwards.
func TestCommit(t *testing.T) {
	r, git := answering(t, oneID+"\n", "--end-of-options\n"+oneID+"\n", "nonsense\n", oneID, "nonsense", strings.Repeat("a", 64))
	for range 2 {
		id, err := r.Commit(t.Context(), "main")
		require.NoError(t, err)
		assert.Equal(t, oneID, id)
	}
	id, err := r.Commit(t.Context(), "main")
	require.EqualError(t, err, `rev-parse answered "nonsense"`)
	assert.Empty(t, id)
	for _, bad := range []string{"a\nb", "a\x00"} {
		id, err = r.Commit(t.Context(), bad)
		require.ErrorIs(t, err, ErrNoCommit)
		assert.Empty(t, id)
	}
	base, ok := r.CommonCommit(t.Context(), "a", "b")
	assert.True(t, ok)
	assert.Equal(t, oneID, base)
	_, ok = r.CommonCommit(t.Context(), "a", "b")
	assert.False(t, ok, "nonsense is no commit")
	assert.Equal(t, strings.Repeat("a", 64), r.MergeBase(t.Context(), "a", "b"))
	assert.Equal(t, "a", r.MergeBase(t.Context(), "a", "b"), "none in common")
	assert.Equal(t, []string{"rev-parse", "--quiet", "--verify", "--end-of-options", "main^{commit}"}, git.asked(t)[0])
	assert.Equal(t, []string{"merge-base", "a", "b"}, git.asked(t)[3])
}

// The empty tree stands for what was before the first commit, in either format of ids.
func TestSide(t *testing.T) {
	for _, c := range []struct{ head, tree string }{{"", emptyTree}, {oneID, emptyTree}, {strings.Repeat("a", 64), emptyTree256}} {
		r, git := answering(t, otherID)
		r.Head = c.head
		side, err := r.Side(t.Context(), c.tree)
		require.NoError(t, err)
		assert.Equal(t, c.tree, side)
		assert.Empty(t, git.asked(t))
		side, err = r.Side(t.Context(), "main")
		require.NoError(t, err)
		assert.Equal(t, otherID, side)
	}
}

// partOf is a file's part of a diff, with a line of a length.
func partOf(name string, length int) string {
	return "diff --git a/" + name + " b/" + name + "\n--- a/" + name + "\n+++ b/" + name + "\n@@ -0,0 +1 @@\n+" + strings.Repeat("x", length) + "\n"
}

func texts(parts []Part) (all []string) {
	for _, p := range parts {
		all = append(all, string(p.Text))
	}
	return all
}

// A diff is asked for in commands of a bounded length, each of them about the next names.
func TestDiffInSeveralCommands(t *testing.T) {
	long := strings.Repeat("n", diffArgs-4)
	r, git := answering(t, partOf("b", 1), partOf("c", 1), partOf("old", 1))
	parts, err := r.Diff(t.Context(), Diff{Args: []string{"--cached"}}, []Part{{Name: "a", From: "old"}, {Name: "b"}, {Name: long}, {Name: "c"}})
	require.NoError(t, err)
	assert.Equal(t, []string{partOf("b", 1), partOf("c", 1), partOf("old", 1)}, texts(parts))
	asked := git.asked(t)
	require.Len(t, asked, 3)
	assert.Equal(t, []string{"--", "b", long}, asked[0][len(asked[0])-3:])
	assert.Equal(t, []string{"--", "c"}, asked[1][len(asked[1])-2:])
	assert.Contains(t, asked[0], "--no-renames", "among these git could find renames that it did not find among all files")
	assert.Equal(t, []string{
		"diff", "--patch", "--no-color", "--no-ext-diff", "--no-textconv", "-M", "--ignore-submodules=dirty", "--submodule=short",
		"--src-prefix=a/", "--dst-prefix=b/", "--cached", "--", "a", "old",
	}, asked[2])
}

// What comes after a cut in git's output is asked for again; a part that is cut says so.
func TestDiffGoesOnAfterACut(t *testing.T) {
	names := []Part{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	huge := partOf("b", answerLimit)
	r, git := answering(t, partOf("a", 1)+huge, partOf("c", 1))
	parts, err := r.Diff(t.Context(), Diff{}, names)
	require.NoError(t, err)
	require.Len(t, parts, 3)
	assert.Equal(t, []bool{false, true, false}, []bool{parts[0].Cut, parts[1].Cut, parts[2].Cut})
	asked := git.asked(t)
	require.Len(t, asked, 2)
	assert.Equal(t, []string{"--", "c"}, asked[1][len(asked[1])-2:])

	// The cut is within a part whose header can't be read: the one before it is whole.
	r, git = answering(t, partOf("a", 1)+"diff --git a/"+strings.Repeat("b", answerLimit), partOf("b", 1)+partOf("c", 1))
	parts, err = r.Diff(t.Context(), Diff{}, names)
	require.NoError(t, err)
	assert.Equal(t, []string{partOf("a", 1), partOf("b", 1), partOf("c", 1)}, texts(parts))
	assert.False(t, parts[0].Cut)
	assert.Len(t, git.asked(t), 2)

	// What was read before is kept where nothing more can be.
	r, _ = answering(t, huge, tooMuch)
	parts, err = r.Diff(t.Context(), Diff{}, names[1:])
	require.NoError(t, err)
	assert.Len(t, parts, 1)

	// Nothing can be read at all, or something that was not asked for: that ends it.
	for _, text := range []string{tooMuch, partOf("stranger", answerLimit)} {
		r, git = answering(t, text, partOf("b", 1))
		_, err = r.Diff(t.Context(), Diff{}, names)
		require.NoError(t, err)
		assert.Len(t, git.asked(t), 1)
	}
}

// A repository's diff is bounded in bytes and in commands. What was read before a failure is kept.
func TestDiffIsBounded(t *testing.T) {
	huge := []string{partOf("a", answerLimit), partOf("b", answerLimit), partOf("c", answerLimit), partOf("d", 1)}
	names := []Part{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}
	r, git := answering(t, huge...)
	parts, err := r.Diff(t.Context(), Diff{}, names)
	require.NoError(t, err)
	assert.Len(t, parts, diffOutputs)
	assert.Len(t, git.asked(t), diffOutputs)

	r, git = answering(t, huge[0], huge[1], partOf("c", 1), partOf("d", answerLimit))
	parts, err = r.Diff(t.Context(), Diff{}, []Part{names[0], names[1], {Name: "c", From: strings.Repeat("l", diffArgs)}, names[3]})
	require.NoError(t, err)
	require.Len(t, parts, 4)
	assert.Len(t, git.asked(t), 4)
	assert.Equal(t, diffOutputs*answerLimit, len(strings.Join(texts(parts), "")), "the last one gets what is left")

	r, git = answering(t, slices.Repeat([]string{""}, diffRounds+1)...)
	_, err = r.Diff(t.Context(), Diff{}, slices.Repeat([]Part{{Name: strings.Repeat("n", diffArgs)}}, diffRounds+1))
	require.NoError(t, err)
	assert.Len(t, git.asked(t), diffRounds)

	r, _ = answering(t, partOf("a", answerLimit))
	parts, err = r.Diff(t.Context(), Diff{}, names)
	require.Error(t, err)
	assert.Len(t, parts, 1)
}
