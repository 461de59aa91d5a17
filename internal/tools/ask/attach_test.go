package ask

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

func TestFilesThatAreNotSent(t *testing.T) {
	some := workspace.Manifest{Sent: []workspace.Entry{{Path: "a.go"}}, LeftOut: []workspace.Entry{{Path: "b.pdf", Reason: "binary: PDF"}}}
	assert.Empty(t, NotSent(workspace.Manifest{}))
	assert.Contains(t, NotSent(some), "Not sent: ")
	assert.Contains(t, NotSent(some), "kimi_multi_file_chat reads PDF and Office files.")
	require.NoError(t, NothingSent(workspace.Manifest{}), "no file was named")
	require.NoError(t, NothingSent(some), "one was sent")

	picture := workspace.Manifest{LeftOut: []workspace.Entry{{Path: "a.png", Reason: "binary: PNG."}}}
	assert.Contains(t, NotSent(picture), "Pictures are given under images.")
	var e *workspace.Error
	require.ErrorAs(t, NothingSent(picture), &e)
	assert.Equal(t, workspace.CodeInvalid, e.Code)
	assert.Equal(t, `"a.png" can't be sent: binary: PNG.`, e.Message)
	gone := workspace.Manifest{LeftOut: []workspace.Entry{{Path: "a.pdf", Code: workspace.CodeNotFound, Reason: "there is no such file"}, {Path: "b.txt", Reason: "binary"}}}
	require.ErrorAs(t, NothingSent(gone), &e)
	assert.Equal(t, workspace.CodeNotFound, e.Code, "what the first one failed of")
	assert.Contains(t, e.Message, "None of the 2 files can be sent: ")
	assert.NotContains(t, e.Hint, "kimi_multi_file_chat", "it can't read what is not there")
}
