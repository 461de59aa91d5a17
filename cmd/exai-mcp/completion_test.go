package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a shell is offered: the last argument is what was typed so far.
func TestCompletion(t *testing.T) {
	s := newSite(t, "LOG_LEVEL=error")
	code, _, errs := s.run("", "call", "chat", `{"prompt":"hello"}`)
	require.Equal(t, exitOK, code, errs)
	_, listed, _ := s.run("", "conversations", "list")
	id := strings.Fields(strings.Split(listed, "\n")[1])[0]
	_, _, errs = s.run("", "issues", "create", "A title")
	require.Empty(t, errs)
	for _, c := range []struct {
		line  string
		first string // of what is offered
		files bool   // the shell offers files
	}{
		{"", "ask\t", false},
		{"ask -c ", id + "\tchat: hello", false},
		{"ask -f ", "", true},
		{"ask -m ", "glm-5.3", false},
		{"review ", "", true},
		{"review --model ", "glm-5.3", false},
		{"tools ", "chat\t", false},
		{"install --client ", "claude-code", false},
		{"install --scope ", "user", false},
		{"usage --by ", "day", false},
		{"ui ", "", false},
		{"review --hook ", "claude-stop", false},
		{"review --format ", "text", false},
		{"review --fail-on ", "critical", false},
		{"call ", "chat\t", false},
		{"call chat ", "", false},
		{"config --client ", "claude-code", false},
		{"issues list --status ", "open", false},
		{"issues list --severity ", "critical", false},
		{"issues check 1 --status ", "pending", false},
		{"issues show ", "1\tmedium: A title", false},
		{"issues show 1 ", "", false},
		{"issues list --conversation ", id + "\tchat: hello", false},
		{"issues list --file ", "", true},
		{"conversations show ", id + "\tchat: hello", false},
		{"conversations delete x ", id, false},
		{"conversations list --tool ", "chat\t", false},
		{"doctor ", "", false},
		{"--env-file ", "", true},
	} {
		code, out, _ := s.run("", append([]string{"__complete"}, strings.Split(c.line, " ")...)...)
		assert.Equal(t, exitOK, code, c.line)
		offered, directive, _ := strings.Cut("\n"+out, "\n:")
		first, _, _ := strings.Cut(strings.TrimPrefix(offered, "\n"), "\n")
		if c.first == "" {
			assert.Empty(t, first, c.line)
		} else {
			assert.True(t, strings.HasPrefix(first, c.first), "%q: %q", c.line, first)
		}
		assert.Equal(t, c.files, strings.HasPrefix(directive, "0"), "%q: directive %q", c.line, directive)
	}
}
