package workspace

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
)

func TestManifestGroups(t *testing.T) {
	m := Manifest{
		Sent: []Entry{{Path: "z"}, {Path: "a"}}, Cut: []Entry{{Path: "c", Reason: "the first 3 lines"}}, Unchanged: []Entry{{Path: "u"}},
		LeftOut: []Entry{{Path: "y", Reason: "binary."}, {Path: "x", Reason: "too large"}, {Path: "b", Reason: "binary"}},
	}
	assert.Equal(t, []FileGroup{
		{"Not sent: binary", []string{"b", "y"}},
		{"Not sent: too large", []string{"x"}},
		{"Sent in part: the first 3 lines", []string{"c"}},
		{"Sent", []string{"a", "z"}},
		{"Sent before", []string{"u"}},
	}, m.Groups())
	assert.Empty(t, Manifest{}.Groups())
	assert.Equal(t, 7, Manifest{
		Sent: []Entry{{Masked: 1}, {Masked: 2}}, Cut: []Entry{{Masked: 4}}, LeftOut: []Entry{{Masked: 8}},
	}.Masked())
	assert.True(t, Manifest{LeftOut: m.LeftOut}.Empty())
	for _, some := range []Manifest{{Sent: m.Sent}, {Cut: m.Cut}, {Unchanged: m.Unchanged}} {
		assert.False(t, some.Empty())
	}
	assert.Equal(t, Entry{Path: "p", Reason: assert.AnError.Error()}, failed("p", assert.AnError))
	assert.Equal(t, Entry{Path: "p", Reason: "It is wrong.", Code: CodeInvalid, Hint: "Correct it."}, failed("p", fmt.Errorf("read: %w", invalid("q", "It is wrong.", "Correct it."))))
}

// The folders that are counted by name are those with the most files, by name where they have as many.
func TestLargestFolders(t *testing.T) {
	counts := map[string]int{}
	for n := range maxMoreFolders + 2 {
		counts[fmt.Sprintf("d%03d", n)] = 1
	}
	counts["large"] = 2
	kept := largestFolders(counts)
	assert.Len(t, kept, maxMoreFolders+1)
	assert.Equal(t, 2, kept["large"])
	assert.Equal(t, 3, kept[otherFolders])
	assert.Contains(t, kept, fmt.Sprintf("d%03d", maxMoreFolders-2))
	assert.NotContains(t, kept, fmt.Sprintf("d%03d", maxMoreFolders-1))

	var m Manifest
	for n := range maxMoreFolders {
		m.Sent = append(m.Sent, Entry{Path: fmt.Sprintf("/d%03d/f", n)})
	}
	assert.NotContains(t, m.Limit(0).MoreIn, otherFolders)
	assert.Len(t, m.Limit(0).MoreIn, maxMoreFolders)
}

func TestDescribe(t *testing.T) {
	const status = "Status, as git's two letters (index, work tree):\n"
	many := Repository{Path: "/w/r", Branch: "main", Head: "1234"}
	for n := range statusShown {
		many.Changes = append(many.Changes, Change{Path: fmt.Sprintf("/w/r/%d", n), State: " M"})
	}
	shown := "Repository: r\nBranch: main at 1234\n" + status
	for _, c := range many.Changes {
		shown += " M " + strings.TrimPrefix(c.Path, "/w/r/") + "\n"
	}
	more := many
	more.Changes = append(more.Changes[:statusShown:statusShown], Change{Path: "/w/r/x", State: "??"}, Change{Path: "/w/r/y", State: "??"})
	for name, c := range map[string]struct {
		repo Repository
		name string
		want string
	}{
		"clean":     {Repository{Path: "/w/r", Branch: "main", Head: "1234"}, "r", "Repository: r\nBranch: main at 1234\n" + status + "(clean)\n"},
		"no commit": {Repository{Path: "/w/r", Branch: "ma\nin"}, "r", "Repository: r\nBranch: ma\\nin, without a commit yet\n" + status + "(clean)\n"},
		"detached":  {Repository{Path: "/w/r", Head: "1234"}, "", "Repository: /w/r\nHEAD is detached at 1234\n" + status + "(clean)\n"},
		"as many":   {many, "r", shown},
		"more":      {more, "r", shown + "... and 2 more\n"},
		"everything": {
			Repository{
				Path: "/w/r", Branch: "b", Head: "1234", CompareTo: "main", Base: "5678", subjects: []string{"Second", "First"},
				Changes: []Change{{Path: "/w/r/new.go", From: "/w/r/old.go", State: "R "}, {Path: "/w/r/a.go", State: " M"}},
			},
			"r", "Repository: r\nBranch: b at 1234\nCompared with: main, from the common commit 5678 on\nLast commits, the newest first:\n- Second\n- First\n" +
				status + "R  new.go (from old.go)\n M a.go\n",
		},
		"without a name": {
			Repository{Path: "/w/r", Branch: "b", Head: "1234", Changes: []Change{{Path: "/w/r/new.go", From: "/w/r/old.go", State: "R "}}},
			"", "Repository: /w/r\nBranch: b at 1234\n" + status + "R  /w/r/new.go (from /w/r/old.go)\n",
		},
	} {
		assert.Equal(t, c.want, describe(c.repo, c.name), name)
	}
	one := &inspection{report: &GitReport{Repositories: []Repository{{Path: `C:\w\r`}}}}
	assert.Equal(t, "r", one.nameOf(one.report.Repositories[0]))
	one.report.Repositories = append(one.report.Repositories, Repository{Path: "/w/s"})
	assert.Empty(t, one.nameOf(one.report.Repositories[0]))
}

// The new side of a diff is the work tree, the index or a commit.
func TestNewSide(t *testing.T) {
	for name, c := range map[string]struct {
		diffs []git.Diff
		want  git.Diff
		other bool
	}{
		"none":             {nil, git.Diff{}, false},
		"staged, unstaged": {[]git.Diff{{Args: []string{"--cached"}}, {}}, git.Diff{}, false},
		"unstaged":         {[]git.Diff{{}}, git.Diff{}, false},
		"against a commit": {[]git.Diff{{Args: []string{"a"}}}, git.Diff{}, false},
		"staged":           {[]git.Diff{{Args: []string{"--cached"}}}, git.Diff{}, true},
		"staged, a commit": {[]git.Diff{{Args: []string{"--cached", "a"}}}, git.Diff{}, true},
		"between commits":  {[]git.Diff{{Args: []string{"a", "b"}}}, git.Diff{Args: []string{"b"}}, true},
	} {
		got, other := newSide(c.diffs)
		assert.Equal(t, c.want, got, name)
		assert.Equal(t, c.other, other, name)
	}
}

func TestNewFilesInOrder(t *testing.T) {
	change := func(state, name string) Change { return Change{State: state, name: name} }
	assert.Equal(t, []Change{change("??", "a.go"), change("??", "z.go"), change("??", "node_modules/m.js"), change("??", "x/dist/d.js")}, newFirst([]Change{
		change("??", "node_modules/m.js"), change(" M", "m.go"), change("??", "a.go"), change("??", "nested/"), change("??", "x/dist/d.js"), change("A ", "b.go"), change("??", "z.go"),
	}))
}

func TestNewFileAsADiff(t *testing.T) {
	for name, c := range map[string]struct {
		text Text
		want string
	}{
		"empty":          {Text{}, "diff --git a/a\\nb b/a\\nb\nnew file mode 100644\n"},
		"lines":          {Text{Content: "1\n2\n", Lines: 2}, "@@ -0,0 +1,2 @@\n+1\n+2\n"},
		"without an end": {Text{Content: "1\n2", Lines: 2}, "@@ -0,0 +1,2 @@\n+1\n+2\n\\ No newline at end of file\n"},
		"cut":            {Text{Content: "1\n2", Lines: 2, Cut: true}, "@@ -0,0 +1,2 @@\n+1\n+2\n"},
	} {
		got := added(newFile{name: "a\nb", mode: "100644"}, &c.text)
		head := "diff --git a/a\\nb b/a\\nb\nnew file mode 100644\n"
		if c.text.Content != "" {
			head += "--- /dev/null\n+++ b/a\\nb\n"
		}
		assert.Equal(t, head+strings.TrimPrefix(c.want, head), got, name)
	}
}

// New files are sure of a third of the budget and the diffs of the rest; either takes what the other leaves.
func TestGrants(t *testing.T) {
	for _, c := range []struct {
		fresh  []bool
		sizes  []int
		budget int
		want   []int
	}{
		{nil, nil, 100, []int{}},
		{[]bool{true, false}, []int{5000, 5000}, 3000, []int{1000, 2000}},
		{[]bool{true, false}, []int{5000, 500}, 3000, []int{2500, 500}},
		{[]bool{true, false}, []int{300, 5000}, 3000, []int{300, 2700}},
		{[]bool{false, false}, []int{900, 5000}, 3000, []int{900, 2100}},
		{[]bool{true, true, false}, []int{300, 400, 5000}, 3000, []int{300, 400, 2300}},
		{[]bool{false, true}, []int{5000, 5000}, 400, []int{267, leftOut}},
		{[]bool{false, true}, []int{5000, 5000}, 0, []int{leftOut, leftOut}},
		{[]bool{false, false, true}, []int{5000, 5000, 500}, 600, []int{400, leftOut, 200}},
	} {
		i := &inspection{}
		for _, fresh := range c.fresh {
			p := repoPart{of: "unstaged"}
			if fresh {
				p.of = PartUntracked
			}
			i.parts = append(i.parts, p)
		}
		assert.Equal(t, c.want, i.grants(c.sizes, c.budget), "%v of %d", c.sizes, c.budget)
	}
}
