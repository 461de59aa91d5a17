package ask_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
)

// Who comes back to an answer that is being written reads what has arrived; a sentence stands for an answer without text.
func TestAnAnswerSoFar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, dripping())
		part := pendingAnswer(t, b)
		time.Sleep(5500 * time.Millisecond)
		h, err := b.Lease(b.call(), part.ContinuationID)
		require.NoError(t, err)
		defer h.Release()
		stored := h.Turns[1]
		turn, text := h.SoFar(stored)
		assert.Greater(t, len(text), len(stored.Content), "newer than what was saved")
		assert.Equal(t, text, turn.Content)
		assert.Equal(t, stored.ID, turn.ID)
		assert.Equal(t, conversation.TurnRunning, turn.Status)

		time.Sleep(2 * time.Minute)
		require.NoError(t, h.Reload(b.call()))
		whole := h.Turns[1]
		assert.Equal(t, conversation.TurnComplete, whole.Status)
		turn, text = h.SoFar(whole)
		assert.Equal(t, whole, turn)
		assert.Equal(t, whole.Content, text)
		whole.Content = ""
		_, text = h.SoFar(whole)
		assert.Equal(t, "The model is still thinking; no part of the answer has arrived yet.", text)

		require.NoError(t, b.store.Delete(t.Context(), h.ID))
		before := h.Conversation
		require.ErrorIs(t, h.Reload(b.call()), conversation.ErrNotFound)
		assert.Equal(t, before, h.Conversation)
	})
}

func TestAnAnswerWithoutTextSoFar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, thinkingOn())
		part := pendingAnswer(t, b)
		h, err := b.Lease(b.call(), part.ContinuationID)
		require.NoError(t, err)
		defer h.Release()
		turn, text := h.SoFar(h.Turns[1])
		assert.Empty(t, turn.Content)
		assert.Equal(t, h.Turns[1].ID, turn.ID)
		assert.Regexp(t, `^glm-5.3-flash has been thinking for 2\d s \(about \d+ tokens\) and has not begun its answer yet; it goes on in the background\.$`, text)
	})
}
