package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
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

// The latest turns are those that Load has at its end: as many as were asked for, and back to the latest answer.
func TestLoadLatest(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		_, err := s.LoadLatest(t.Context(), "long", 1)
		require.ErrorIs(t, err, conversation.ErrNotFound)
		turns := []conversation.Turn{attach(user("0"), file("/p/a.go", "first"))}
		for k := range latestChunk {
			turns = append(turns, assistant(fmt.Sprint("answer ", k)), user(strings.Repeat("question ", k%7)))
		}
		turns[2*latestChunk-9].Attachments = []conversation.Attachment{file("/p/a.go", "first"), file("/p/b.go", strings.Repeat("b", 5000))}
		say(t, s, "long", turns...)
		say(t, s, "long", step("debug", 1), assistant("expert"), step("debug", 2), step("debug", 3))
		_, err = s.Append(t.Context(), conversation.NewTurns{ConversationID: "long", DropStepsTool: "debug", DropStepsFrom: 3, Turns: []conversation.Turn{user("instead")}})
		require.NoError(t, err)
		all := load(t, s, "long").Turns
		require.Len(t, all, 2*latestChunk+5)
		check := func(bytes int) (earlier int) {
			c, err := s.LoadLatest(t.Context(), "long", bytes)
			require.NoError(t, err)
			require.Equal(t, len(all), c.Earlier+len(c.Turns))
			require.Empty(t, cmp.Diff(all[c.Earlier:], c.Turns))
			have := 0
			for _, turn := range c.Turns {
				have += turn.Bytes()
			}
			assert.True(t, have >= bytes || c.Earlier == 0)
			return c.Earlier
		}
		assert.Equal(t, latestChunk+5, check(0))
		assert.Equal(t, latestChunk+5, check(5000), "files count")
		assert.Equal(t, 5, check(12_000))
		assert.Zero(t, check(1<<30))

		var more []conversation.Turn
		for range latestChunk + 10 {
			more = append(more, user("unanswered"), conversation.Turn{Role: providers.RoleAssistant, Content: "by nobody knows whom"})
		}
		say(t, s, "long", more...)
		all = load(t, s, "long").Turns
		earlier := check(0)
		assert.Equal(t, "glm-5.3", all[slices.IndexFunc(all, func(t conversation.Turn) bool { return t.Content == "expert" })].Model)
		assert.Less(t, earlier, slices.IndexFunc(all, func(t conversation.Turn) bool { return t.Content == "expert" }))
		assert.Positive(t, earlier)

		if s.d.name != "postgres" { // which reads a table of this size whole
			assert.Contains(t, explain(t, s, countEarlier, "x", 500), "exai_messages_summary")
		}

		raw(t, s, `UPDATE messages SET turn_number = NULL WHERE content = '0'`)
		all = load(t, s, "long").Turns
		assert.Zero(t, check(0), "rows that have no number are the latest")
	})
}
