package ask

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

func TestUnstoredAnswersAreBounded(t *testing.T) {
	var u unstoredAnswers
	add := func(id, text string) { u.add(id, conversation.Turn{Role: providers.RoleAssistant, Content: text}) }
	kept := func() (ids []string) {
		for _, a := range u.answers {
			ids = append(ids, a.id)
		}
		return ids
	}
	for i := range maxUnstored + 2 {
		add(fmt.Sprint(i), "x")
	}
	assert.Equal(t, []string{"2", "3", "4", "5", "6", "7", "8", "9"}, kept())
	add("4", "newer")
	turn, ok := u.get("4")
	assert.True(t, ok)
	assert.Equal(t, "newer", turn.Content)
	assert.Equal(t, []string{"2", "3", "5", "6", "7", "8", "9", "4"}, kept(), "one for each conversation")
	add("5", " ")
	add("6", strings.Repeat("x", maxUnstoredBytes+1))
	u.add("7", conversation.Turn{Role: providers.RoleUser, Content: "a question"})
	assert.Equal(t, []string{"2", "3", "8", "9", "4"}, kept(), "what can't be kept takes the place of nothing, and the old one is gone")
	add("big", strings.Repeat("x", maxUnstoredBytes-2))
	assert.Equal(t, []string{"big"}, kept(), "16 MiB in all")
	add("small", "xy")
	assert.Equal(t, []string{"big", "small"}, kept())
	add("exact", strings.Repeat("x", maxUnstoredBytes))
	assert.Equal(t, []string{"exact"}, kept())
	add("big", strings.Repeat("x", maxUnstoredBytes-2))
	u.drop("big")
	_, ok = u.get("big")
	assert.False(t, ok)
}
