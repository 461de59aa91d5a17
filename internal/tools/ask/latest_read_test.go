package ask_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// countingStore counts what is read. A whole one reads every turn always.
type countingStore struct {
	*asktest.Store
	whole bool
	reads []int // turns of each
}

func (s *countingStore) LoadLatest(ctx context.Context, id string, bytes int) (*conversation.Conversation, error) {
	load := func() (*conversation.Conversation, error) { return s.Store.LoadLatest(ctx, id, bytes) }
	if s.whole {
		load = func() (*conversation.Conversation, error) { return s.Load(ctx, id) }
	}
	c, err := load()
	if err == nil {
		s.reads = append(s.reads, len(c.Turns))
	}
	return c, err
}

// longConversation is a store with a conversation "long" of turns with a text.
func longConversation(t *testing.T, turns int, text string) *asktest.Store {
	t.Helper()
	s, history := &asktest.Store{}, saidBefore(turns, text)
	for i := range history {
		if history[i].Role == providers.RoleAssistant {
			history[i].Model = "m"
		}
	}
	_, err := s.Append(t.Context(), conversation.NewTurns{ConversationID: "long", Turns: history})
	require.NoError(t, err)
	return s
}

// Of a long conversation no more is read than may be sent, and what is sent is the same as if all of it were.
func TestALongConversationIsReadAsFarAsItIsSent(t *testing.T) {
	prose, blanks := strings.Repeat("some words ", 90), strings.Repeat(" ", 990)
	for name, c := range map[string]struct {
		text   string
		window int
		reads  int
		all    bool
	}{
		"a small window":        {prose, 32_768, 1, false},
		"a usual one":           {prose, 262_144, 1, false},
		"a large one":           {prose, 524_288, 2, false},
		"one that has room":     {prose, 8_000_000, 2, true},
		"text of little weight": {blanks, 131_072, 3, false},
		"and all of it":         {blanks, 524_288, 4, true},
	} {
		const turns = 6000
		var requests []providers.ChatRequest
		var notes [][]string
		for _, whole := range []bool{false, true} {
			s := &countingStore{Store: longConversation(t, turns, c.text), whole: whole}
			stub := &stubCaller{model: providers.Model{ContextWindow: c.window}, outcome: calls.Outcome{Response: providers.ChatResponse{Content: "yes"}}}
			service := ask.New(ask.Options{Config: config.Default(), Caller: stub, Store: func(context.Context) (conversation.Store, error) { return s, nil }})
			said, err := service.Ask(t.Context(), "long", question("and then?"))
			require.NoError(t, err, name)
			requests, notes = append(requests, stub.request), append(notes, said.Metadata.Notes)
			if !whole {
				assert.Len(t, s.reads, c.reads, name)
				assert.Equal(t, c.all, s.reads[len(s.reads)-1] == turns, "%s: %d", name, s.reads)
			}
		}
		assert.Len(t, requests[0].Messages, len(requests[1].Messages), name)
		assert.Equal(t, requests[1], requests[0], name)
		assert.Equal(t, notes[1], notes[0], name)
	}
}

// Turns that were not read count, and are read where a call names files.
func TestTurnsThatWereNotReadCount(t *testing.T) {
	s := longConversation(t, 4000, strings.Repeat("some words ", 90))
	cfg := config.Default()
	cfg.Conversations.MaxTurns = 4003
	stub := &stubCaller{model: providers.Model{ContextWindow: 131_072}, outcome: calls.Outcome{Response: providers.ChatResponse{Content: "yes"}}}
	service := ask.New(ask.Options{Config: cfg, Caller: stub, Store: s.Open})
	q := question("and then?")
	q.Attach = func(ctx context.Context, h *ask.Lease, _ *ask.Question) error {
		assert.Positive(t, h.Earlier)
		assert.Equal(t, 4000, h.Earlier+len(h.Turns))
		assert.Equal(t, "m", h.Model())
		require.NoError(t, h.ReadWhole(ctx))
		assert.Len(t, h.Turns, 4000)
		assert.Zero(t, h.Earlier)
		return nil
	}
	said, err := service.Ask(t.Context(), "long", q)
	require.NoError(t, err)
	assert.Equal(t, 1, *said.Remaining)
	assert.Equal(t, 4002, said.N)

	q.Attach = nil
	said, err = service.Ask(t.Context(), "long", q)
	require.NoError(t, err)
	assert.Zero(t, *said.Remaining)
	_, err = service.Ask(t.Context(), "long", q)
	require.ErrorContains(t, err, "This conversation has 4004 turns")
}
