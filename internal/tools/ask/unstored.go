package ask

import (
	"slices"
	"strings"
	"sync"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// What a process keeps of answers that the store did not take, so that a long one can still be read on.
const (
	maxUnstored      = 8        // answers
	maxUnstoredBytes = 16 << 20 // of their texts together
)

// unstoredAnswers are the latest answers that the store did not take, the oldest first, one for each conversation.
type unstoredAnswers struct {
	mu      sync.Mutex
	answers []unstoredAnswer
}

type unstoredAnswer struct {
	id   string // the conversation's
	turn conversation.Turn
}

// add keeps an answer, in the place of older ones where there are too many.
func (u *unstoredAnswers) add(id string, turn conversation.Turn) {
	u.drop(id)
	if turn.Role != providers.RoleAssistant || strings.TrimSpace(turn.Content) == "" || len(turn.Content) > maxUnstoredBytes {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answers = append(u.answers, unstoredAnswer{id, turn})
	for len(u.answers) > maxUnstored || u.sizeLocked() > maxUnstoredBytes {
		u.answers = slices.Delete(u.answers, 0, 1)
	}
}

func (u *unstoredAnswers) sizeLocked() (n int) {
	for _, a := range u.answers {
		n += len(a.turn.Content)
	}
	return n
}

// get returns a conversation's unstored answer.
func (u *unstoredAnswers) get(id string) (conversation.Turn, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	i := slices.IndexFunc(u.answers, func(a unstoredAnswer) bool { return a.id == id })
	if i < 0 {
		return conversation.Turn{}, false
	}
	return u.answers[i].turn, true
}

// drop forgets a conversation's answer.
func (u *unstoredAnswers) drop(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answers = slices.DeleteFunc(u.answers, func(a unstoredAnswer) bool { return a.id == id })
}
