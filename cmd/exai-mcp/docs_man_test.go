package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra/doc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The man pages are made of the commands' own help, one for each command. Packages carry them.
func TestDocsManPages(t *testing.T) {
	const folder = "../../docs/man"
	day := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	a := &app{out: io.Discard, errw: io.Discard}
	root := a.rootCommand()
	root.DisableAutoGenTag = true // which holds for those below it
	made := t.TempDir()
	header := &doc.GenManHeader{Section: "1", Source: "exai-mcp", Manual: "exai-mcp", Date: &day}
	require.NoError(t, doc.GenManTree(root, header, made))
	pages, err := filepath.Glob(filepath.Join(made, "*.1"))
	require.NoError(t, err)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		assert.Contains(t, string(text), ".SH NAME")
		document(t, filepath.Join("man", filepath.Base(page)), string(text))
	}
	release, err := os.ReadFile("../../.goreleaser.yaml")
	require.NoError(t, err)
	for _, page := range pages {
		assert.Contains(t, string(release), "      - docs/man/"+filepath.Base(page)+"\n", "the cask names each page")
	}
	assert.Equal(t, len(pages), strings.Count(string(release), "      - docs/man/"))
	kept, err := filepath.Glob(filepath.Join(folder, "*.1"))
	require.NoError(t, err)
	assert.Len(t, kept, len(pages), "a page of a command that is gone")
	assert.FileExists(t, filepath.Join(folder, "exai-mcp-review.1"))
}
