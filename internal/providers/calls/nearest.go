package calls

import (
	"slices"
	"strings"
)

// nearest picks at most three of names that look like the one that was meant, the closest first. A name is close when
// a third of it or less would have to change, or when one contains the other.
func nearest(meant string, names []string) []string {
	meant = strings.ToLower(strings.TrimSpace(meant))
	if meant == "" {
		return nil
	}
	type match struct {
		name string
		cost int
	}
	var found []match
	for _, n := range names {
		low := strings.ToLower(n)
		cost := editDistance(meant, low)
		if near := cost <= max(2, len(meant)/3); near || strings.Contains(low, meant) || strings.Contains(meant, low) {
			found = append(found, match{n, cost})
		}
	}
	slices.SortStableFunc(found, func(a, b match) int { return a.cost - b.cost })
	var best []string
	for _, m := range found[:min(3, len(found))] {
		best = append(best, m.name)
	}
	return best
}

// editDistance is the number of insertions, deletions and changes of one byte that turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
