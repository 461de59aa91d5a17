package tool

import (
	"slices"
	"strings"
)

// Nearest picks the names, at most three, that one was probably meant for, the closest first: those that differ in case
// and separators alone, by one or two typing errors, or by a part of the name.
func Nearest(meant string, names []string) []string {
	type match struct {
		name string
		cost int
	}
	var found []match
	word := plain(meant)
	for _, name := range names {
		candidate := plain(name)
		short := min(len(word), len(candidate))
		cost := distance(word, candidate)
		switch {
		case short == 0:
		case cost <= 1 && short >= 3, cost <= 2 && short >= 5:
			found = append(found, match{name, cost})
		case short >= 5 && (strings.Contains(word, candidate) || strings.Contains(candidate, word)):
			found = append(found, match{name, 2 + cost})
		}
	}
	slices.SortStableFunc(found, func(a, b match) int { return a.cost - b.cost })
	var best []string
	for _, m := range found[:min(3, len(found))] {
		best = append(best, m.name)
	}
	return best
}

// distance counts the typing errors between two words: a letter added, left out or changed, or two neighbours swapped.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x)-len(y) > 64 || len(y)-len(x) > 64 {
		return len(x) + len(y) // far from it, and not worth the time
	}
	before, last := make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row := make([]int, len(y)+1)
		row[0] = i
		for j := 1; j <= len(y); j++ {
			change := 1
			if x[i-1] == y[j-1] {
				change = 0
			}
			row[j] = min(last[j-1]+change, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(y)]
}
