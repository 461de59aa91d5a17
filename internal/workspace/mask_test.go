package workspace

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/secrets"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
)

const (
	fakeToken = "glpat-" + "q7Zk2WmX9vB4nT6rYc1H"
	fakeKey   = "-----BEGIN " + "PRIVATE KEY-----\n" +
		"MIIEowIBAAKCAQEAq7Zk2WmX9vB4nT6rYc1Hd8Lp3Js5FgQaUeRoIyKzGtNbVxCw\n" +
		"-----END " + "PRIVATE KEY-----\n"
)

func TestEmbedMasksSecrets(t *testing.T) {
	dir := tempDir(t)
	write(t, "package a\n\nconst token = \""+fakeToken+"\"\n"+fakeKey+"// end\n", dir, "a.go")
	w := newWorkspace(t, dir)
	for _, numbers := range []bool{false, true} {
		sent, m, err := w.embedPaths(t.Context(), []string{dir}, Budget{Tokens: 5000, LineNumbers: numbers}, nil)
		require.NoError(t, err)
		text := string(sent[0].Data)
		assert.NotContains(t, text, fakeToken)
		assert.NotContains(t, text, "MIIEow")
		assert.Contains(t, text, `const token = "[secret: gitlab-pat]"`)
		assert.Equal(t, 7, strings.Count(text, "\n"), "every line is there")
		require.Len(t, m.Sent, 1)
		assert.Equal(t, 4, m.Sent[0].Masked)
		assert.Equal(t, 4, m.Masked())

		again, m, err := w.embedPaths(t.Context(), []string{dir}, Budget{Tokens: 5000, LineNumbers: numbers},
			map[string]conversation.Attachment{sent[0].Path: sent[0]})
		require.NoError(t, err)
		assert.Empty(t, again, "what is masked and was sent is not sent again")
		assert.Len(t, m.Unchanged, 1)
	}

	w.secrets = secrets.PolicyRefuse
	_, _, err := w.embedPaths(t.Context(), []string{dir}, Budget{Tokens: 5000}, nil)
	e, ok := asError(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, CodeInvalid, e.Code)
	assert.Contains(t, e.Message, `a.go" contains a secret (line 3: gitlab-pat, and 3 more)`)
	assert.NotContains(t, err.Error(), fakeToken)

	w.secrets = secrets.PolicySend
	sent, m, err := w.embedPaths(t.Context(), []string{dir}, Budget{Tokens: 5000}, nil)
	require.NoError(t, err)
	assert.Contains(t, string(sent[0].Data), fakeToken)
	assert.Zero(t, m.Masked())
}

// The server's own keys are masked in files whatever the policy and whatever they look like.
func TestEmbedMasksOwnKeys(t *testing.T) {
	const key = "own-key-of-the-server"
	dir := tempDir(t)
	write(t, "a\n"+key+"\n", dir, "a.txt")
	for _, policy := range []string{"mask", "send"} {
		w, err := New(config.Files{AllowedRoots: []string{dir}, Secrets: policy, OwnKeys: []string{key}}, "", dir, "", nil, nil)
		require.NoError(t, err)
		sent, _, err := w.embedPaths(t.Context(), []string{dir}, Budget{Tokens: 5000}, nil)
		require.NoError(t, err)
		assert.Equal(t, "a\n[secret: key]\n", string(sent[0].Data))
	}
}

func TestInspectMasksSecrets(t *testing.T) {
	dir := tempDir(t)
	gittest.Init(t, dir, map[string]string{"a.txt": "one\n", "gone.txt": "password: " + fakeToken + "\n"})
	write(t, "one\ntoken = "+fakeToken+"\n"+fakeKey, dir, "a.txt")
	write(t, fakeKey+"rest\n", dir, "new.txt")
	gittest.Run(t, dir, "rm", "-q", "gone.txt")
	w := newWorkspace(t, dir)
	report := inspect(t, w, GitQuery{Path: dir})
	text := reportText(report)
	assert.NotContains(t, text, fakeToken)
	assert.NotContains(t, text, "MIIEow")
	assert.Contains(t, text, "token = [secret: gitlab-pat]")
	assert.Equal(t, 8, report.Manifest.Masked())

	w.secrets = secrets.PolicyRefuse
	_, err := w.Inspect(t.Context(), GitQuery{Path: dir, Staged: true, Unstaged: true, Tokens: 5000})
	require.ErrorContains(t, err, "contains a secret (line ")
	assert.NotContains(t, err.Error(), fakeToken)
}

// The refusal of a diff names the line of the file, not of the diff.
func TestRefusedDiffNamesTheFilesLine(t *testing.T) {
	dir := tempDir(t)
	before := strings.Repeat("text\n", 40)
	gittest.Init(t, dir, map[string]string{"a.txt": before})
	write(t, before+"token = "+fakeToken+"\n", dir, "a.txt")
	w := newWorkspace(t, dir)
	w.secrets = secrets.PolicyRefuse
	_, err := w.Inspect(t.Context(), GitQuery{Path: dir, Unstaged: true, Tokens: 5000})
	require.ErrorContains(t, err, "a.txt\" contains a secret (line 41: gitlab-pat)")

	diff := "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -10,3 +20,3 @@ func\n a\n-b\n+c\n d\n"
	for n, want := range map[int]int{1: 1, 4: 20, 5: 20, 6: 11, 7: 21, 8: 22} {
		assert.Equal(t, want, fileLine(diff, n), n)
	}
}
