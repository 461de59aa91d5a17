// Package typo finds the names that a misspelt one was meant for.
package typo

import (
	"slices"
	"strings"
)

// maxNames is how many names are worth proposing.
const maxNames = 3

// Nearest returns the names that meant was almost certainly written for, at most three, the closest first: those that differ in
// case and separators alone, by one or two typing errors, or by a part of the name. Short words are never near.
func Nearest(meant string, names []string) []string {
	word := Plain(meant)
	return closest(names, func(name string) (cost int, near bool) {
		candidate := Plain(name)
		short := min(len(word), len(candidate))
		if cost = Distance(word, candidate); cost <= 1 && short >= 3 || cost <= 2 && short >= 5 {
			return cost, true
		}
		return 2 + cost, short >= 5 && contained(word, candidate)
	})
}

// Similar returns the names that resemble meant, at most three, the closest first. It is more generous than Nearest: a third
// of the name may differ, and any part of it will do.
func Similar(meant string, names []string) []string {
	word := strings.ToLower(strings.TrimSpace(meant))
	if word == "" {
		return nil
	}
	return closest(names, func(name string) (cost int, near bool) {
		name = strings.ToLower(name)
		cost = Distance(word, name)
		return cost, cost <= max(2, len(word)/3) || contained(word, name)
	})
}

func contained(a, b string) bool { return strings.Contains(a, b) || strings.Contains(b, a) }

func closest(names []string, judge func(name string) (cost int, near bool)) []string {
	type match struct {
		name string
		cost int
	}
	var found []match
	for _, name := range names {
		if cost, near := judge(name); near {
			found = append(found, match{name, cost})
		}
	}
	slices.SortStableFunc(found, func(a, b match) int { return a.cost - b.cost })
	var best []string
	for _, m := range found[:min(maxNames, len(found))] {
		best = append(best, m.name)
	}
	return best
}

// Plain returns a word without case and separators: "Very-High" and "very_high" are the same.
func Plain(word string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(strings.TrimSpace(word)))
}

// Distance counts the typing errors between two words: a letter added, left out or changed, or two neighbours swapped. Words
// whose lengths differ by more than 64 are not compared: their distance is the sum of their lengths.
func Distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x)-len(y) > 64 || len(y)-len(x) > 64 {
		return len(x) + len(y)
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
