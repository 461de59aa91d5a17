package workspace

import "slices"

// leftOut is what allot gives to something that gets no share at all.
const leftOut = -1

// allot shares a budget fairly: whatever is smaller than an equal share is given whole, and what that leaves is shared
// equally by the larger ones. A share below least is of no use, so when there are too many large ones the last of them
// get nothing. It returns for each size what of it is granted.
func allot(sizes []int, budget, least int) []int {
	granted := make([]int, len(sizes))
	open := make([]int, 0, len(sizes)) // indices, smallest first: those without a grant yet, and some that are done
	for i := range sizes {
		open = append(open, i)
	}
	slices.SortStableFunc(open, func(a, b int) int { return sizes[a] - sizes[b] })
	done := make([]bool, len(sizes))
	last := len(sizes) - 1
	for left := len(sizes); left > 0; left-- {
		for done[open[0]] {
			open = open[1:]
		}
		share := budget / left
		if i := open[0]; sizes[i] <= share {
			granted[i], done[i] = sizes[i], true
			budget -= sizes[i]
			continue
		}
		if share >= least {
			for _, i := range open {
				if !done[i] {
					granted[i] = share
				}
			}
			break
		}
		for done[last] {
			last--
		}
		granted[last], done[last] = leftOut, true
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
