package ask

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

func TestPending(t *testing.T) {
	running := conversation.Turn{Role: providers.RoleAssistant, N: 2, Status: conversation.TurnRunning}
	h := &Lease{Conversation: conversation.Conversation{ID: "c"}, t: &Conversations{}}
	assert.Nil(t, h.Pending(running), "the store ends with the process")
	h.t.lasting.Store(true)
	assert.Equal(t, &reply.Pending{ContinuationID: "c", Turn: 2}, h.Pending(running))
	for name, change := range map[string]func(*conversation.Turn){
		"a question": func(t *conversation.Turn) { t.Role = providers.RoleUser },
		"not stored": func(t *conversation.Turn) { t.N = 0 },
		"finished":   func(t *conversation.Turn) { t.Status = conversation.TurnComplete },
	} {
		turn := running
		change(&turn)
		assert.Nil(t, h.Pending(turn), name)
	}
}

func TestSoFarOfAnotherProcess(t *testing.T) {
	h := &Lease{t: &Conversations{}}
	turn := conversation.Turn{N: 2, Content: "half"}
	got, text := h.SoFar(turn)
	assert.Equal(t, turn, got)
	assert.Equal(t, "half", text)
	turn.Content = ""
	got, text = h.SoFar(turn)
	assert.Equal(t, turn, got)
	assert.Contains(t, text, "still thinking")
}

func TestStoringIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := func(ctx context.Context) time.Duration {
			limited, cancel := (&Conversations{}).storing(ctx)
			defer cancel()
			end, _ := limited.Deadline()
			assert.NoError(t, limited.Err(), "a cancelled call stores too")
			return time.Until(end)
		}
		budget := providers.Budget{Limit: config.Limit{Name: "X", Value: 4 * time.Second}, Start: time.Now()}
		within := providers.WithBudget(t.Context(), budget)
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		assert.Equal(t, storeTime, left(t.Context()))
		assert.Equal(t, 4*time.Second-budget.Reserve()/5, left(within))
		assert.Equal(t, cancelledStoreTime, left(cancelled))
	})
}
