package workspace

import "slices"

// leftOut is what allot gives to something that gets no share at all.
const leftOut = -1

// allot shares a budget fairly: whatever is smaller than an equal share is given whole, and what that leaves is shared
// equally by the larger ones. A share below least is of no use, so when there are too many large ones the last of them
// get nothing. It returns for each size what of it is granted.
func allot(sizes []int, budget, least int) []int {
	granted := make([]int, len(sizes))
	open := make([]int, 0, len(sizes)) // indices without a grant yet, smallest first
	for i := range sizes {
		open = append(open, i)
	}
	slices.SortStableFunc(open, func(a, b int) int { return sizes[a] - sizes[b] })
	for len(open) > 0 {
		for len(open) > 0 && sizes[open[0]] <= budget/len(open) {
			granted[open[0]] = sizes[open[0]]
			budget -= sizes[open[0]]
			open = open[1:]
		}
		if len(open) == 0 {
			break
		}
		if share := budget / len(open); share >= least {
			for _, i := range open {
				granted[i] = share
			}
			break
		}
		last := slices.Max(open)
		granted[last] = leftOut
		open = slices.DeleteFunc(open, func(i int) bool { return i == last })
	}
	return granted
}

// allotTiers serves the named ones first and shares what is left among the others.
func allotTiers(sizes []int, named []bool, budget, least int) []int {
	granted := make([]int, len(sizes))
	for _, tier := range []bool{true, false} {
		var at, part []int
		for i, size := range sizes {
			if named[i] == tier {
				at, part = append(at, i), append(part, size)
			}
		}
		for j, g := range allot(part, max(budget, 0), least) {
			granted[at[j]] = g
			budget -= max(g, 0)
		}
	}
	return granted
}
