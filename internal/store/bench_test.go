package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// BenchmarkLoad loads a conversation of 1,000 turns from a database of 10,000 conversations. The bound is 10 ms.
func BenchmarkLoad(b *testing.B) {
	for _, c := range backends {
		b.Run(c.name, func(b *testing.B) {
			s := open(b, c.fresh(b))
			fillBench(b, s)
			for b.Loop() {
				th, err := s.Load(b.Context(), "long")
				require.NoError(b, err)
				require.Len(b, th.Turns, 1000)
			}
		})
	}
}

// BenchmarkAppend stores a question and its answer in a conversation of 1,000 turns.
func BenchmarkAppend(b *testing.B) {
	for _, c := range backends {
		b.Run(c.name, func(b *testing.B) {
			s := open(b, c.fresh(b))
			fillBench(b, s)
			for b.Loop() {
				_, err := s.Append(b.Context(), conversation.NewTurns{ConversationID: "long", Turns: []conversation.Turn{user("q"), assistant("a")}})
				require.NoError(b, err)
			}
		})
	}
}

// fillBench makes 10,000 conversations of two turns and one of 1,000, past the store.
func fillBench(b *testing.B, s *Store) {
	b.Helper()
	var rows []conversation.Turn
	for i := range 1000 {
		turn := user(strings.Repeat("What does this function do? ", 10))
		if i%2 == 1 {
			turn = assistant(strings.Repeat("It adds two numbers and returns their sum. ", 20))
			turn.Usage = providers.Usage{InputTokens: 1000 * i, OutputTokens: 200, CostUSD: 0.001}
			turn.FinishReason = providers.FinishStop
		}
		rows = append(rows, turn)
	}
	rows[0].Attachments = []conversation.Attachment{{Path: "/a.go", MIME: "text/x-go", Data: []byte(strings.Repeat("x", 20_000))}}
	_, err := s.Append(b.Context(), conversation.NewTurns{ConversationID: "long", Title: "long", Turns: rows})
	require.NoError(b, err)
	tx, err := s.write.BeginTx(b.Context(), nil)
	require.NoError(b, err)
	for i := range 10_000 {
		row, _, err := lockConversation(b.Context(), tx, conversation.NewTurns{ConversationID: fmt.Sprint("conversation ", i), Title: "short"})
		require.NoError(b, err)
		turns, err := prepareTurns([]conversation.Turn{user("Hello"), assistant("Hi there")})
		require.NoError(b, err)
		turns[0].N, turns[1].N = 1, 2
		require.NoError(b, insertTurns(b.Context(), tx, row, fmt.Sprint("conversation ", i), turns))
	}
	require.NoError(b, tx.Commit())
}
