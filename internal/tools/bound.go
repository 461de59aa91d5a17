package tools

import (
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// maxDiagnostic is how many tokens a diagnostic tool returns unless the call asks for more: agents look at them in passing.
// Logs are full of ids and numbers, for which the estimate is low.
const maxDiagnostic = 1500 * 4 / 5

// cuttable is a list of a diagnostic reply that may lose entries.
type cuttable struct {
	key    string
	costs  []int // estimated tokens of the entries that remain
	newest bool  // the last entries are kept, else the first
	last   bool  // it loses none as long as another list has some
	put    func(from, to int)
	whole  int
}

// cutting describes the list under a key. put sets what is kept of it, nil under the key.
func cutting[T any](r *Result, key string, list []T, newest bool, put func(kept []T)) cuttable {
	c := cuttable{key: key, newest: newest, whole: len(list)}
	for _, entry := range list {
		text, _ := reply.Marshal(entry) // what can't be written is reported with the whole reply
		c.costs = append(c.costs, providers.EstimateTokens(text)+1)
	}
	if put == nil {
		put = func(kept []T) { r.Body.Set(key, kept) }
	}
	c.put = func(from, to int) { put(list[from:to]) }
	return c
}

// atLast has a list keep its entries as long as another one has some.
func (c cuttable) atLast() cuttable {
	c.last = true
	return c
}

// nextToCut is the list that takes most, -1 if none has entries. Those that are cut at last count when no other is left.
func nextToCut(lists []cuttable) int {
	next := -1
	for i, c := range lists {
		switch {
		case len(c.costs) == 0:
		case next < 0, !c.last && lists[next].last, c.last == lists[next].last && total(c.costs) > total(lists[next].costs):
			next = i
		}
	}
	return next
}

// bound takes entries off the lists that take most, until the reply is short enough, and says in a note what it left out and
// where more is.
func bound(r *Result, more string, lists ...cuttable) {
	text, err := r.JSON()
	if err != nil {
		return // reported where the reply is sent
	}
	notes, _ := reply.Marshal(r.Metadata)
	over := providers.EstimateTokens(text) + providers.EstimateTokens(notes) - maxDiagnostic
	if over <= 0 {
		return
	}
	over += providers.EstimateTokens(more) + 30 // the note about it
	for over > 0 {
		longest := nextToCut(lists)
		if longest < 0 {
			break
		}
		c := &lists[longest]
		if c.newest {
			over -= c.costs[0]
			c.costs = c.costs[1:]
		} else {
			over -= c.costs[len(c.costs)-1]
			c.costs = c.costs[:len(c.costs)-1]
		}
	}
	var left []string
	for _, c := range lists {
		kept := len(c.costs)
		if kept == c.whole {
			continue
		}
		if c.newest {
			c.put(c.whole-kept, c.whole)
		} else {
			c.put(0, kept)
		}
		left = append(left, fmt.Sprintf("%d of %d in %s", c.whole-kept, c.whole, c.key))
	}
	r.Metadata.Note(fmt.Sprintf("Left out to keep this short: %s. %s", strings.Join(left, ", "), more))
}

func total(costs []int) (sum int) {
	for _, c := range costs {
		sum += c
	}
	return sum
}
