package wording

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../.."

// thirdParty are files whose text others wrote, and the list itself.
var thirdParty = []string{
	"LICENSE", "go.mod", "go.sum",
	"internal/packaging/testdata/server.schema.json",
	"internal/providers/calls/models.json",
	"internal/tools/testdata/original.json",
	"internal/wording/banned.txt",
	"internal/wording/wording_test.go",
}

// skippedFolders are not part of the repository.
var skippedFolders = []string{".git", "bin", "bundles", "dist", "node_modules"}

// textFile matches the names of files that people or models read.
var textFile = regexp.MustCompile(`\.(go|md|txt|json|sql|sh|mjs|js|html|css|svg|yaml|yml|toml|tmpl|example)$|^(Makefile|Dockerfile|run|LICENSE)$`)

// phrase is a banned phrase.
type phrase struct {
	text, better string
	pattern      *regexp.Regexp
	first        string // what the text must contain, in lower case, before the slower pattern is tried
}

// banned reads banned.txt.
func banned(t *testing.T) []phrase {
	t.Helper()
	text, err := os.ReadFile("banned.txt")
	require.NoError(t, err)
	var all []phrase
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		text, better, ok := strings.Cut(line, " => ")
		require.True(t, ok, "banned.txt: %q has no replacement", line)
		first, _, _ := strings.Cut(strings.ToLower(strings.Fields(text)[0]), "*")
		all = append(all, phrase{text, better, patternOf(text), first})
	}
	return all
}

// patternOf matches a phrase as whole words. Between words there may be a line break with a comment mark.
func patternOf(text string) *regexp.Regexp {
	words := strings.Fields(text)
	for i, word := range words {
		quoted := strings.ReplaceAll(regexp.QuoteMeta(word), `\*`, `[a-z]*`)
		words[i] = quoted
	}
	return regexp.MustCompile(`(?i)\b` + strings.Join(words, `\s+(?:(?://|#|>)\s*)?`) + `\b`)
}

// glossary cuts the part of AGENTS.md that names words in order to rule them out, and keeps the line numbers.
func glossary(text string) string {
	const begin, end = "<!-- glossary -->", "<!-- /glossary -->"
	head, rest, found := strings.Cut(text, begin)
	inside, foot, closed := strings.Cut(rest, end)
	if !found || !closed {
		return text
	}
	return head + strings.Repeat("\n", strings.Count(inside, "\n")) + foot
}

func TestNoBannedPhrases(t *testing.T) {
	phrases := banned(t)
	require.Greater(t, len(phrases), 40)
	files := 0
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains(skippedFolders, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		if !textFile.MatchString(entry.Name()) || slices.Contains(thirdParty, relative) {
			return nil
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		files++
		text := string(data)
		if relative == "AGENTS.md" {
			text = glossary(text)
		}
		lower := strings.ToLower(text)
		for _, p := range phrases {
			if !strings.Contains(lower, p.first) {
				continue
			}
			for _, at := range p.pattern.FindAllStringIndex(text, -1) {
				line := 1 + strings.Count(text[:at[0]], "\n")
				t.Errorf("%s:%d: %q: write %q", relative, line, text[at[0]:at[1]], p.better)
			}
		}
		return nil
	})
	require.NoError(t, err)
	assert.Greater(t, files, 300, "the walk found the repository")
}

func TestPatternOf(t *testing.T) {
	for text, want := range map[string]bool{
		"reports what it mends":         true,
		"Mend it":                       true,
		"recommend, amend":              false,
		"list, divided\n// by commas":   true,
		"list, divided\n\t# by  commas": true,
		"divided by commasx":            false,
		"it tells whether":              true,
		"it tells us whether":           false,
	} {
		found := patternOf("mend*").MatchString(text) || patternOf("divided by commas").MatchString(text) ||
			patternOf("tells whether").MatchString(text)
		assert.Equal(t, want, found, text)
	}
}

func TestGlossaryIsNotChecked(t *testing.T) {
	got := glossary("a\n<!-- glossary -->\nmend\n<!-- /glossary -->\nb\n")
	assert.NotContains(t, got, "mend")
	assert.Equal(t, 5, strings.Count(got, "\n"))
}
