package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/review"
)

// A list is the same JSON whether it is printed one by one or at once.
func TestPrintSummaries(t *testing.T) {
	all := []conversation.Summary{
		{ID: "a", Title: "<x> & \"y\"\n\x1b[2J\u202e é", Tool: "chat", Turns: 3, CreatedAt: time.Unix(1, 5000).UTC()},
		{ID: "b", Running: true, Host: "build-7", Excerpt: strings.Repeat("long ", 40_000)},
		{},
	}
	for n := range len(all) + 1 {
		var out strings.Builder
		a := &app{out: &out}
		require.NoError(t, a.printSummaries(func(yield func(conversation.Summary, error) bool) {
			for _, s := range all[:n] {
				if !yield(s, nil) {
					return
				}
			}
		}))
		records := make([]summaryRecord, n)
		for i, s := range all[:n] {
			records[i] = summaryRecord(s)
		}
		text, err := review.IndentedJSON(records)
		require.NoError(t, err)
		assert.Equal(t, plainJSON(text), out.String())
	}
	broken := errors.New("broken")
	a := &app{out: &strings.Builder{}}
	require.ErrorIs(t, a.printSummaries(func(yield func(conversation.Summary, error) bool) {
		_ = yield(all[0], nil) && yield(conversation.Summary{}, broken)
	}), broken)
}

// What is shown as it is, is what the slow way would show.
func TestHarmless(t *testing.T) {
	for r := range rune(0x200) {
		text := "a" + string(r) + "b"
		safe := !unsafeRune(r) && r != '\r'
		if harmless(text) {
			assert.True(t, safe, "%q", text)
		}
		assert.Equal(t, r < 0x80 && safe, harmless([]byte(text)), "%q", text)
	}
	assert.False(t, harmless("\xff"))
	assert.True(t, harmless(""))
}
