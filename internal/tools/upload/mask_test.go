package upload_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/upload"
)

const fakeToken = "glpat-" + "q7Zk2WmX9vB4nT6rYc1H"

// inUTF16 is a text with a byte order mark.
func inUTF16(text string) string {
	out := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		out = append(out, byte(unit), byte(unit>>8))
	}
	return string(out)
}

func TestUploadedTextIsMasked(t *testing.T) {
	const plain, secret, masked = "nothing\r\nhere\n", "a\ntoken: " + fakeToken + "\n", "a\ntoken: [secret: gitlab-pat]\n"
	long := strings.Repeat("a long line without a secret\n", 17<<20/29)
	binary := "%PDF-1.7 \x00" + fakeToken
	for name, c := range map[string]struct {
		content, sent, note, policy string
	}{
		"plain":    {plain, plain, "", ""},
		"text":     {secret, masked, "Secrets that were masked as [secret: kind] in the uploaded text: 1 (", ""},
		"utf-16":   {inUTF16(secret), masked, "text: 1 (", ""},
		"long":     {long + secret, long + masked, "text: 1 (", ""},
		"document": {binary, binary, "Images and binary documents can't be checked for secrets; sent as they are: ", ""},
		"send":     {secret, secret, "", "send"},
		"own key":  {"a\nan-own-key-of-ours\n" + fakeToken, "a\n[secret: key]\n" + fakeToken, "text: 1 (", "send"},
		"refuse":   {secret, "", "", "refuse"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t, func(cfg *config.Config) {
				cfg.Files.OwnKeys = []string{"an-own-key-of-ours"}
				if c.policy != "" {
					cfg.Files.Secrets = c.policy
				}
			})
			var sent []string
			b.kimi.UploadFunc = func(_ context.Context, f providers.File) (providers.FileRef, error) {
				data, err := io.ReadAll(f.Body)
				assert.EqualValues(t, len(data), f.Size)
				sent = append(sent, string(data))
				return providers.FileRef{ID: "id"}, err
			}
			path := b.file(strings.Repeat("folder/", 10)+"a.txt", c.content)
			files := b.uploadAll(b.read(path))
			require.Len(t, files, 1)
			if c.policy == "refuse" {
				require.ErrorContains(t, files[0].Err, `a.txt" contains a secret (line 2: gitlab-pat)`)
				assert.NotContains(t, files[0].Err.Error(), fakeToken)
				assert.Empty(t, sent)
				return
			}
			require.NoError(t, files[0].Err)
			require.Len(t, sent, 1)
			assert.True(t, sent[0] == c.sent, "%.200q", sent[0])
			note := upload.MaskNote(files)
			if assert.Contains(t, note, c.note); c.note != "" {
				assert.Contains(t, note, path)
			}
			assert.Equal(t, note, upload.MaskNote(b.uploadAll(b.read(path))), "a text that is kept says the same")
			assert.Len(t, sent, 1)
		})
	}
}
