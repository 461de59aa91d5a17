package store

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Append fills in what turns lack, and leaves the caller's as they are.
func TestAppendFillsIn(t *testing.T) {
	s := open(t, backends[0].fresh(t))
	id := uuid.NewString()
	given := []conversation.Turn{attach(user("q"), file("/f", "x")), assistant("a"), user("r")}
	given[1].ID = strings.ToUpper(id)
	out := say(t, s, "t", given...)
	assert.Empty(t, given[0].ID)
	assert.Empty(t, given[0].Attachments[0].SHA256)
	assert.Equal(t, id, out[1].ID, "in the form that the databases give back")
	for i, turn := range out {
		assert.Equal(t, time.Duration(i)*time.Microsecond, turn.CreatedAt.Sub(out[0].CreatedAt), "in their order")
	}
	assert.Equal(t, out, load(t, s, "t").Turns)
	out[1].ID = strings.ToUpper(id)
	out[1].Content = "more"
	require.NoError(t, s.Save(t.Context(), "t", out[1]))
	assert.Equal(t, "more", load(t, s, "t").Turns[1].Content)
}

// Rows that another program added are numbered after the others, by their creation and then by id, before what is appended.
func TestAppendNumbersOtherRows(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		turns := []conversation.Turn{user("1"), user("2"), user("5"), user("4"), user("3")}
		turns[3].CreatedAt = now()
		turns[2].CreatedAt = now().Add(time.Second)
		turns[4].CreatedAt = turns[3].CreatedAt
		turns[3].ID, turns[4].ID = "00000000-0000-0000-0000-000000000002", "00000000-0000-0000-0000-000000000001"
		say(t, s, "t", turns...)
		raw(t, s, `UPDATE messages SET turn_number = NULL WHERE content IN ('3', '4', '5')`)
		out := say(t, s, "t", user("6"))
		assert.Equal(t, 6, out[0].N)
		got := load(t, s, "t").Turns
		assert.Equal(t, []string{"1", "2", "3", "4", "5", "6"}, contents(got))
		for i, turn := range got {
			assert.Equal(t, i+1, turn.N)
		}
		assert.Zero(t, one[int64](t, s, `SELECT count(*) FROM messages WHERE turn_number IS NULL`))
	})
}

// A step is dropped with what followed it, up to the next step or the user's next word.
func TestStepsFrom(t *testing.T) {
	named := func(id string, turn conversation.Turn) conversation.Turn { turn.ID = id; return turn }
	system := conversation.Turn{Role: providers.RoleSystem}
	turns := []conversation.Turn{
		named("before", assistant("")), named("d1", step("debug", 1)), named("of d1", assistant("")),
		named("d2", step("debug", 2)), named("of d2", assistant("")), named("also", system),
		named("chat", user("")), named("of chat", assistant("")),
		named("a3", step("analyze", 3)), named("of a3", assistant("")), named("d3", step("debug", 3)),
	}
	for _, c := range []struct {
		tool string
		from int
		want []any
	}{
		{"debug", 1, []any{"d1", "of d1", "d2", "of d2", "also", "d3"}},
		{"debug", 2, []any{"d2", "of d2", "also", "d3"}},
		{"debug", 3, []any{"d3"}},
		{"debug", 4, nil},
		{"analyze", 1, []any{"a3", "of a3"}},
		{"", 0, nil},
	} {
		assert.Equal(t, c.want, stepsFrom(turns, c.tool, c.from), "%s from %d", c.tool, c.from)
	}
}

// Steps are dropped from the first on, and none where no number is given.
func TestDropFirstStep(t *testing.T) {
	s := open(t, backends[0].fresh(t))
	say(t, s, "t", step("debug", 1), assistant("a"))
	for from, want := range [][]string{{"debug 1", "a"}, nil} {
		_, err := s.Append(t.Context(), conversation.NewTurns{ConversationID: "t", DropStepsTool: "debug", DropStepsFrom: from})
		require.NoError(t, err)
		assert.Equal(t, want, contents(load(t, s, "t").Turns))
	}
}
