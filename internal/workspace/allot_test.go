package workspace

import (
	"flag"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

func TestAllot(t *testing.T) {
	for _, c := range []struct {
		sizes  []int
		budget int
		want   []int
	}{
		{nil, 100, []int{}},
		{[]int{10, 20, 30}, 100, []int{10, 20, 30}},
		{[]int{10, 500, 20}, 100, []int{10, 70, 20}},
		{[]int{500, 10, 500}, 110, []int{50, 10, 50}},
		{[]int{500, 500, 500}, 25, []int{12, 12, leftOut}},
		{[]int{500, 500}, 5, []int{leftOut, leftOut}},
		{[]int{0, 500}, 0, []int{0, leftOut}},
		{[]int{15, 500, 500}, 30, []int{10, 10, 10}},
	} {
		assert.Equal(t, c.want, allot(c.sizes, c.budget, 10), "%v of %d", c.sizes, c.budget)
	}
	assert.Equal(t, []int{40, 60}, allotTiers([]int{80, 60}, []bool{false, true}, 100, 10), "what was named goes first")
	assert.Equal(t, []int{leftOut, leftOut}, allotTiers([]int{10, 500}, []bool{false, true}, 9, 10), "what gets nothing leaves no more for the others")
	assert.Equal(t, []int{9, leftOut}, allotTiers([]int{9, 500}, []bool{false, true}, 9, 10), "nor less")
	assert.Equal(t, []int{0, 10}, allotTiers([]int{0, 10}, []bool{true, false}, 10, 10))
	assert.Equal(t, []int{0}, allotTiers([]int{0}, []bool{true}, -3, 10))
	assert.Equal(t, []int{leftOut}, allotTiers([]int{1}, []bool{true}, 0, 10))
	assert.Equal(t, []int{leftOut, 100}, allotTiers([]int{80, 600}, []bool{false, true}, 100, 10))
}

func TestAllotKeepsItsPromises(t *testing.T) {
	require.NoError(t, flag.Set("rapid.seed", "1")) // nothing depends on chance; -rapid.checks tries more
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOf(rapid.IntRange(0, 5000)).Draw(t, "sizes")
		budget := rapid.IntRange(0, 20_000).Draw(t, "budget")
		granted := allot(sizes, budget, 200)
		sum, least, cut := 0, 1<<30, false
		for i, g := range granted {
			if g == leftOut {
				continue
			}
			if g > sizes[i] {
				t.Fatalf("%d of %d", g, sizes[i])
			}
			if g < sizes[i] {
				cut = true
				least = min(least, g)
				if g < 200 {
					t.Fatalf("a share of %d helps nobody", g)
				}
			}
			sum += g
		}
		if sum > budget {
			t.Fatalf("%d of %d", sum, budget)
		}
		for i, g := range granted {
			if cut && g == sizes[i] && g > least+len(sizes) {
				t.Fatalf("%d is whole while another was cut to %d", g, least)
			}
		}
		total := 0
		for _, size := range sizes {
			total += size
		}
		if total <= budget && !slices.Equal(granted, sizes) && len(sizes) > 0 {
			t.Fatal("everything fits, but not everything is whole")
		}
	})
}

func TestCutText(t *testing.T) {
	text := strings.Repeat("a line of text\n", 1000)
	cut, lines := cutText(text, 500, int64(len(text)))
	assert.LessOrEqual(t, providers.EstimateTokens(cut), 500)
	assert.Greater(t, providers.EstimateTokens(cut), 400)
	head, ok := withoutCutNote(cut)
	assert.True(t, ok)
	assert.Equal(t, strings.Repeat("a line of text\n", lines), head)
	assert.Contains(t, cut, "[cut by the server: above are lines 1 to")

	long := strings.Repeat("wörter ", 5000)
	cut, lines = cutText(long, 300, int64(len(long)))
	head, ok = withoutCutNote(cut)
	assert.True(t, ok)
	assert.Zero(t, lines)
	assert.LessOrEqual(t, providers.EstimateTokens(cut), 300)
	assert.True(t, strings.HasPrefix(long, strings.TrimSuffix(head, "\n")))
	assert.Contains(t, cut, "the beginning of line 1")

	for _, whole := range []string{"", "text\n", "[cut by the server: not really", "x [cut by the server: a]\nb\n"} {
		_, ok := withoutCutNote(whole)
		assert.False(t, ok, "%q", whole)
	}
}
