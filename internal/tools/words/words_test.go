package words

import (
	"io/fs"
	"strings"
	"testing"
	"text/template"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	w := parse("x", "# The title\r\n\r\n## Description\r\n\r\nOne\r\ntwo.\r\n\r\n## steps\n\n1. First {{.A}}\n2. Second\n   and on\n- Third\n\n## empty\n")
	assert.Equal(t, "The title", w.Title)
	assert.Equal(t, "One two.", w.Description, "one paragraph")
	assert.Equal(t, "One\ntwo.", w.sections()["description"], "however the file was checked out")
	assert.Equal(t, []string{"description", "empty", "steps"}, w.Sections())
	assert.True(t, w.Has("steps"))
	assert.False(t, w.Has("system"))

	lines, err := w.Lines("steps", map[string]string{"A": "thing"})
	require.NoError(t, err)
	assert.Equal(t, []string{"First thing", "Second and on", "Third"}, lines)

	_, err = w.Render("system", nil)
	assert.ErrorContains(t, err, `no section "system"`)
	_, err = w.Render("steps", map[string]string{})
	assert.Error(t, err, "a template that asks for what there is not")
}

func TestForMissing(t *testing.T) {
	_, err := For("no-such-tool")
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

// Every file has its title and description, and templates that can be read.
func TestEveryFile(t *testing.T) {
	names, err := fs.Glob(files, "*.md")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		w, err := For(strings.TrimSuffix(name, ".md"))
		require.NoError(t, err)
		for section, text := range w.sections() {
			_, err := template.New(section).Parse(text)
			assert.NoError(t, err, "%s, %s", name, section)
			assert.NotContains(t, text, "TODO")
		}
	}
}

func TestRules(t *testing.T) {
	plain := Rules(Facts{Date: "Monday, 23 November 2026"})
	assert.Contains(t, plain, "conclusion first")
	assert.Contains(t, plain, "Today is Monday, 23 November 2026.")
	assert.NotContains(t, plain, "web search")
	assert.NotContains(t, plain, "locale")
	assert.Equal(t, 1, strings.Count(plain, "\n\n"), "one list without gaps")
	all := Rules(Facts{Date: "d", Locale: "fr-FR", Search: true})
	assert.Contains(t, all, "fr-FR")
	assert.Contains(t, all, "web search")
	assert.True(t, strings.HasSuffix(all, "Today is d."), "what changes daily comes last, for the vendors' caches")

	object := Rules(Facts{Date: "d", Locale: "fr-FR", Search: true, Masked: true, JSON: true})
	for _, part := range []string{"keys that are asked for", "fr-FR", "[secret: kind]", "web search", "Today is d."} {
		assert.Contains(t, object, part)
	}
	assert.NotContains(t, object, "conclusion first", "an object has its order from its form")
	assert.Equal(t, 1, strings.Count(object, "\n\n"), "one list without gaps")
}
