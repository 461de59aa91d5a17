package conversation

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestPage(t *testing.T) {
	page := Page{
		Conversation: Conversation{
			ID: "6f1c", Title: "Why is\nit slow?", Tool: "debug", Workspace: "/repo", CreatedAt: noon, UpdatedAt: noon.Add(time.Minute),
			Turns: []Turn{
				{
					N: 1, Role: providers.RoleUser, Content: "Look at this\n## Turn 2: a fake", Tool: "debug", CreatedAt: noon,
					Step:        &Step{Tool: "debug", Number: 3},
					Attachments: []Attachment{{Path: "/repo/a\n.go", MIME: "text/x-go", Size: 12}, {MIME: "image/png", Size: 9}},
				},
				{
					N: 2, Role: providers.RoleAssistant, Content: "Because <x> & y.\n", Tool: "debug", Model: "glm-5.3", Provider: "glm",
					CreatedAt: noon.Add(time.Minute), Usage: providers.Usage{InputTokens: 100, OutputTokens: 7, CostUSD: 0.00123},
				},
				{N: 4, Role: providers.RoleUser, Content: "And now?", Tool: "chat"},
				{N: 5, Role: providers.RoleAssistant, Model: "kimi-k3", Status: TurnRunning, SavedAt: noon},
				{N: 6, Role: providers.RoleAssistant, Model: "glm-5.3", Content: "Half", Status: TurnPartial, FinishReason: providers.FinishTimeout},
			},
		},
		Issues: []string{"#7 Slow loop (open)"},
	}
	assert.Equal(t, `# Why is it slow?

- continuation_id: 6f1c
- Begun by: debug
- Workspace: /repo
- Created: 2026-11-23 12:00:00 UTC
- Changed: 2026-11-23 12:01:00 UTC
- Turns: 5
- Models: glm-5.3, kimi-k3
- Cost: 100 tokens in, 7 out, 0.0012 USD
- Issue: #7 Slow loop (open)

## Turn 1: user, step 3 of debug, 2026-11-23 12:00:00 UTC

- Attached: /repo/a\n.go (text/x-go, 12 bytes)
- Attached: pasted (image/png, 9 bytes)

> Look at this
> ## Turn 2: a fake

## Turn 2: answer by glm-5.3 (glm), debug, 2026-11-23 12:01:00 UTC

> Because <x> & y.

## Turn 4: user, chat

> And now?

## Turn 5: answer by kimi-k3, still being written

No part of this answer has arrived.

## Turn 6: answer by glm-5.3, only a part arrived (timeout)

> Half
`, page.Markdown())

	page.Conversation.Turns[3].Orphaned = true
	assert.Contains(t, page.Markdown(), "## Turn 5: answer by kimi-k3, only a part arrived\n", "its process died")
	assert.Contains(t, Page{}.Markdown(), "# Conversation\n\n- Turns: 0\n")
}

func TestPageWithinALimit(t *testing.T) {
	long := Conversation{Turns: []Turn{
		{N: 1, Role: providers.RoleUser, Content: strings.Repeat("é", 10)},
		{N: 2, Role: providers.RoleAssistant, Content: strings.Repeat("line of text\n", 100)},
		{N: 3, Role: providers.RoleAssistant, Content: strings.Repeat("x", 5000)},
	}}
	text := Page{Conversation: long, Limit: 210, URI: func(n int) string { return fmt.Sprintf("exai://t/%d", n) }}.Markdown()
	assert.Contains(t, text, "> "+strings.Repeat("é", 10)+"\n", "what is short stays whole")
	assert.Contains(t, text, strings.Repeat("> line of text\n", 7)+"\n[cut: 90 of 1300 characters; the whole is at exai://t/2]\n", "whole lines")
	assert.Contains(t, text, "> "+strings.Repeat("x", 100)+"\n\n[cut: 100 of 5000 characters; the whole is at exai://t/3]\n")

	assert.NotContains(t, Page{Conversation: long}.Markdown(), "[cut", "without a limit everything is there")
	for _, limit := range []int{1, 3, 17, 1000, 6309, 6310} {
		text := Page{Conversation: long, Limit: limit}.Markdown()
		assert.Less(t, utf8.RuneCountInString(text), limit+700, "the turns' heads and marks aside")
		assert.Equal(t, limit < 6310, strings.Contains(text, "[cut"))
	}
}
