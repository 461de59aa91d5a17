package ask_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// A file goes to the model once per conversation unless it changes.
func TestFilesAreSentOnce(t *testing.T) {
	b := newFixture(t, asktest.Says("ok"))
	file := func(sum, data string) conversation.Attachment {
		return conversation.Attachment{Path: "/p/a.go", SHA256: sum, MIME: "text/plain", Data: []byte(data)}
	}
	q := question("1")
	q.Attachments = []conversation.Attachment{file("s1", "package a")}
	said, err := b.Ask(b.call(), "", q)
	require.NoError(t, err)
	q.Prompt = "2"
	_, err = b.Ask(b.call(), said.ContinuationID, q)
	require.NoError(t, err)
	q.Prompt, q.Attachments = "3", []conversation.Attachment{file("s2", "package b")}
	_, err = b.Ask(b.call(), said.ContinuationID, q)
	require.NoError(t, err)

	last := func(i int) string { return b.requests[i].Messages[len(b.requests[i].Messages)-1].Content }
	assert.Contains(t, last(0), "package a")
	assert.NotContains(t, last(1), "package a")
	assert.Contains(t, last(1), "[Unchanged since they were sent earlier in this conversation: /p/a.go]")
	assert.Contains(t, last(2), "package b")
	assert.Equal(t, last(0), b.requests[2].Messages[1].Content, "what was sent is sent the same again")
}

func TestTooMuchForTheWindow(t *testing.T) {
	b := newFixture(t, asktest.Says("ok"))
	q := question("x")
	q.Model = "glm-4.5"
	q.Attachments = []conversation.Attachment{{Path: "/big", SHA256: "s", MIME: "text/plain", Data: []byte(strings.Repeat("word ", 200_000))}}
	_, err := b.Ask(b.call(), "", q)
	assert.Equal(t, reply.CodeContextLength, codeOf(err))
	assert.Empty(t, b.requests)
}

// When a conversation has outgrown the window, the oldest turns stay out, the reply says so, and files that went with them are
// sent again when they are named.
func TestLongConversationDropsItsOldestTurns(t *testing.T) {
	b := newFixture(t, asktest.Says("ok"))
	file := conversation.Attachment{Path: "/p/a.go", SHA256: "s1", MIME: "text/plain", Data: []byte("package a")}
	turns := []conversation.Turn{{Role: providers.RoleUser, Content: "with the file", Attachments: []conversation.Attachment{file}}}
	for range 60 {
		turns = append(turns, conversation.Turn{Role: providers.RoleAssistant, Content: strings.Repeat("long answer ", 1000), Model: "glm-4.5"},
			conversation.Turn{Role: providers.RoleUser, Content: "go on"})
	}
	_, err := b.store.Append(t.Context(), conversation.NewTurns{ConversationID: "long", Turns: turns})
	require.NoError(t, err)
	q := question("next")
	q.Model, q.Attachments = "glm-4.5", []conversation.Attachment{file}
	said, err := b.Ask(b.call(), "long", q)
	require.NoError(t, err)
	sent := b.requests[0].Messages
	assert.Less(t, len(sent), 100)
	assert.Equal(t, providers.RoleUser, sent[1].Role)
	assert.Contains(t, sent[len(sent)-1].Content, "package a")
	assert.Contains(t, strings.Join(said.Metadata.Notes, " "), "Left out, since the window of glm-4.5 has no room for more: the ")
}

// A request that its model's window cannot hold is refused before it is sent.
func TestWindowOfTheModelCounts(t *testing.T) {
	b := newFixture(t, asktest.Says("yes"))
	q := question(strings.Repeat("a few words ", 400_000))
	q.Model = "glm-5.3"
	_, err := b.Ask(b.call(), "", q)
	var e *providers.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, providers.KindContextLength, e.Kind)
	assert.Regexp(t, `^The request has about \d{6,} tokens, more than the context window of glm-\S+ \(\d{6,}\)\.$`, e.Message)
	assert.Empty(t, b.requests)

	q.Prompt = strings.Repeat("a few words ", 20_000) // more than a window that nobody knows
	s, err := b.Ask(b.call(), "", q)
	require.NoError(t, err)
	assert.Equal(t, "yes", s.Text)
}
