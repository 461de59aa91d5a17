package ask

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// A reply names a hundred files of each kind; the others are in its question's turn, and a note says where.
func TestManyFilesAreListedInTheResource(t *testing.T) {
	var m workspace.Manifest
	for i := range listedFiles {
		m.Sent = append(m.Sent, workspace.Entry{Path: fmt.Sprintf("/p/%03d.go", i)})
	}
	short, all := Listed(m)
	assert.Equal(t, m, short)
	assert.Nil(t, all, "the reply names them all")

	m.Sent = append(m.Sent, workspace.Entry{Path: "/p/last.go"})
	short, all = Listed(m)
	assert.Len(t, short.Sent, 100)
	assert.Equal(t, 1, short.More)
	require.Len(t, all, 1)
	assert.Len(t, all[0].Paths, 101)

	turn := conversation.Turn{N: 3}
	keepListing(&turn, nil)
	assert.Nil(t, turn.Meta)
	assert.Empty(t, ListingNote("c", turn))
	keepListing(&turn, all)
	assert.Equal(t, all, ListingOf(turn))
	assert.Equal(t, "The names of all files of this call, sent or not, are in the resource exai://conversations/c/turns/3.", ListingNote("c", turn))
	turn.N = 0
	assert.Empty(t, ListingNote("c", turn), "a turn that was not stored has no resource")
}

func TestListingOf(t *testing.T) {
	group := []workspace.FileGroup{{What: "Sent", Paths: []string{"a.go"}}}
	for meta, want := range map[string][]workspace.FileGroup{
		"": nil, "{": nil, `{"listing":"a"}`: nil, `{"thinking":"x"}`: nil,
		`{"listing":[{"what":"Sent","paths":["a.go"]}]}`:           group,
		`{"files":{"listing":[{"what":"Sent","paths":["a.go"]}]}}`: group,
	} {
		assert.Equal(t, want, ListingOf(conversation.Turn{Meta: json.RawMessage(meta)}), meta)
	}
}

func TestMarkdown(t *testing.T) {
	assert.Equal(t, "# Files\n\n## Not sent: too\\nlarge (2)\n\n- a.go\n- b\\n.go\n\n## Sent (1)\n\n- c.go\n", Markdown([]workspace.FileGroup{
		{What: "Not sent: too\nlarge", Paths: []string{"a.go", "b\n.go"}}, {What: "Sent", Paths: []string{"c.go"}},
	}))
}
