package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
)

// Turns without a number come after the others, by creation and then by id, and get the numbers after the last one.
func TestNumberRest(t *testing.T) {
	at := func(id string, n int, minute int) conversation.Turn {
		return conversation.Turn{ID: id, N: n, CreatedAt: time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC)}
	}
	for _, c := range []struct {
		name  string
		turns []conversation.Turn
		ids   string
		n     []int
	}{
		{"none", nil, "", nil},
		{"numbered ones by number, whenever they were made", []conversation.Turn{at("c", 3, 0), at("a", 1, 9), at("b", 2, 5)}, "abc", []int{1, 2, 3}},
		{"the others by creation", []conversation.Turn{at("b", 0, 2), at("c", 0, 3), at("a", 0, 1)}, "abc", []int{1, 2, 3}},
		{"then by id", []conversation.Turn{at("b", 0, 1), at("a", 0, 1), at("c", 0, 1)}, "abc", []int{1, 2, 3}},
		{"behind the numbered ones, though made before", []conversation.Turn{at("d", 0, 1), at("b", 9, 8), at("c", 0, 0), at("a", 4, 9)}, "abcd", []int{4, 9, 10, 11}},
		{"one numbered and first", []conversation.Turn{at("a", 5, 9), at("b", 0, 1)}, "ab", []int{5, 6}},
	} {
		numberRest(c.turns)
		ids := ""
		var n []int
		for _, turn := range c.turns {
			ids += turn.ID
			n = append(n, turn.N)
		}
		assert.Equal(t, c.ids, ids, c.name)
		assert.Equal(t, c.n, n, c.name)
	}
}
