package ask

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// TestAnswersSayWhatTheyFound: at once, and when the stored answer is fetched.
func TestAnswersSayWhatTheyFound(t *testing.T) {
	out := calls.Outcome{
		Original: "Yes. <tool_call>x",
		Response: providers.ChatResponse{Content: "Yes.", Searches: []providers.SearchHit{
			{Title: "Go 1.26", Link: "https://go.dev/doc/go1.26", Published: "2026-02-10"},
			{Title: "Go 1.26 again", Link: "https://go.dev/doc/go1.26"},
			{Title: "without a link"},
			{Title: "Blog", Link: "https://go.dev/blog"},
		}},
		Searches: providers.SearchTotal{Count: 2, CostUSD: 0.004},
	}
	turn := fill(conversation.Turn{}, out, nil)
	for _, m := range []reply.Metadata{metadata(out), MetadataOf(turn)} {
		assert.Equal(t, []reply.Source{{Title: "Go 1.26", URL: "https://go.dev/doc/go1.26", Date: "2026-02-10"}, {Title: "Blog", URL: "https://go.dev/blog"}}, m.Sources)
		assert.Equal(t, &providers.SearchTotal{Count: 2, CostUSD: 0.004}, m.Searches)
	}
	assert.Equal(t, "Yes.", turn.Content)
	assert.Contains(t, string(turn.Meta), "Yes. \\u003ctool_call\\u003ex", "the original text is kept")
	assert.Nil(t, MetadataOf(fill(conversation.Turn{}, calls.Outcome{}, nil)).Searches)
}
