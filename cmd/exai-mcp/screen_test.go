package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
)

func TestTableFitsTheWidth(t *testing.T) {
	rows := func() [][]string {
		return [][]string{
			{"ID", "SEVERITY", "TITLE", "PLACE"},
			{"1", "high", "The sum of an empty cart is divided by its length, which is zero", "shop/cart.go:42"},
			{"22", "low", "长标题 " + strings.Repeat("宽", 40), "src/\x1b[2Jx.go"},
		}
	}
	for _, width := range []string{"60", "80", "120"} {
		a := &app{stdout: io.Discard, environ: []string{"COLUMNS=" + width}}
		out := a.table(rows())
		for line := range strings.Lines(out) {
			assert.LessOrEqual(t, text.StringWidth(strings.TrimRight(line, "\n")), a.width(), line)
		}
		assert.NotContains(t, out, "\x1b")
		assert.Contains(t, out, "shop/cart.go:42", "what is short stays whole")
	}
	wide := (&app{stdout: io.Discard}).table(rows())
	assert.Contains(t, wide, "which is zero  ", "without a terminal nothing is cut")
	assert.NotContains(t, wide, "…")
	for _, crowded := range [][]string{ // conversations and issues with a value in each column
		{"debb44af", "kimi_multi_file_chat", "openrouter/deepseek/deepseek-v4", "12", "2026-11-29 17:53", "running", strings.Repeat("title ", 20)},
		{"1234", "critical", "in_progress", "configuration", "[##..] 10/12", strings.Repeat("title ", 20), "src/" + strings.Repeat("folder/", 9) + "a.go:12"},
	} {
		head := make([]string, len(crowded))
		out := (&app{stdout: io.Discard, environ: []string{"COLUMNS=80"}}).table([][]string{head, slices.Clone(crowded)})
		for line := range strings.Lines(out) {
			assert.LessOrEqual(t, text.StringWidth(strings.TrimRight(line, "\n")), 80, line)
		}
		for _, cell := range crowded {
			if len(cell) <= 16 {
				assert.Contains(t, out, cell, "what is short stays whole")
			}
		}
	}
	many := make([]string, 30)
	for i := range many {
		many[i] = "a long cell indeed"
	}
	assert.NotEmpty(t, (&app{stdout: io.Discard, environ: []string{"COLUMNS=80"}}).table([][]string{many}), "more columns than can fit")
}

// Help fits a narrow terminal, examples included.
func TestHelpFitsTheWidth(t *testing.T) {
	s := newSite(t, "COLUMNS=80")
	var each func(cmd *cobra.Command, names []string)
	each = func(cmd *cobra.Command, names []string) {
		code, out, errs := s.run("", append(names, "--help")...)
		require.Equal(t, exitOK, code, errs)
		for line := range strings.Lines(out) {
			assert.LessOrEqual(t, text.StringWidth(strings.TrimRight(line, "\n")), 80, "%v: %s", names, line)
		}
		for _, sub := range cmd.Commands() {
			each(sub, append(slices.Clone(names), sub.Name()))
		}
	}
	each((&app{}).rootCommand(), nil)
}

// Where lines are short, what was found has lines of its own.
func TestFoundTextFitsTheWidth(t *testing.T) {
	list := []conversation.Summary{
		{ID: "debb44af-15b9-456d-9b88-6a2519f81427", Tool: "codereview", Model: "glm-5.3-flash", Turns: 12, UpdatedAt: time.Unix(1e9, 0), Title: "A title of some length", Excerpt: "…before\nthe retry budget\x1b[2J and a good many of the words that came after it in the answer…"},
		{ID: "0d9cf5b7-95a8-4d5e-8b71-1f6d4b3a8f00", Tool: "chat", Model: "kimi-k3.1-pro", Turns: 2, UpdatedAt: time.Unix(1e9, 0), Excerpt: "retry budget"},
	}
	for _, width := range []string{"80", "120"} {
		out := (&app{stdout: io.Discard, environ: []string{"COLUMNS=" + width}}).summaryTable(list, true)
		for line := range strings.Lines(out) {
			assert.LessOrEqual(t, text.StringWidth(strings.TrimRight(line, "\n")), map[string]int{"80": 80, "120": 120}[width], line)
		}
		assert.NotContains(t, out, "\x1b")
		assert.Regexp(t, `(?s)debb44af.*\n    …before the retry budget\\u001b\[2J and .*\n0d9cf5b7.*\n    retry budget\n$`, out)
	}
	wide := strings.Split((&app{stdout: io.Discard}).summaryTable(list, true), "\n")
	require.Len(t, wide, 4)
	assert.Regexp(t, `TITLE +FOUND$`, wide[0])
	assert.Regexp(t, `retry budget$`, wide[2])
}

func TestWrapped(t *testing.T) {
	assert.Equal(t, "  one two three four\n  five\n\n  六六六六六六六六六\n  averyveryverylongword\n", strings.ReplaceAll(wrapped("one two three  four five\n\n六六六六六六六六六 averyveryverylongword\n", "  ", 22), "  \n", "\n"))
	a := &app{stdout: io.Discard, environ: []string{"COLUMNS=40"}}
	assert.Equal(t, "first words of a text that is longer\n    than a line\n", a.hangingIndent("first words of a text that is longer than a line", "    "))
}

// On a terminal a note replaces the one before; elsewhere each has a line, or none is shown.
func TestStatusLine(t *testing.T) {
	var out strings.Builder
	live := &statusLine{w: &out, width: 30, live: true}
	live.show("continuation_id=abc | glm-5.3 thinking, 3 s\x1b[2J")
	live.show(strings.Repeat("x", 50))
	live.clear()
	live.clear()
	assert.Equal(t, "\r\x1b[K\x1b[2mglm-5.3 thinking, 3 s\\u001b[…\x1b[0m\r\x1b[K\x1b[2m"+strings.Repeat("x", 28)+"…\x1b[0m\r\x1b[K", out.String())
	out.Reset()
	lines := &statusLine{w: &out, width: 30, each: true}
	lines.show("continuation_id=abc | thinking")
	lines.clear()
	assert.Equal(t, "continuation_id=abc | thinking\n", out.String())
	out.Reset()
	none := &statusLine{w: &out, width: 30}
	none.show("x")
	none.clear()
	assert.Empty(t, out.String())
}

func TestColour(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer file.Close()
	for _, w := range []io.Writer{file, io.Discard} {
		a := &app{stdout: w, stderr: w}
		assert.Equal(t, "high", a.paint("high", "high"), "only a terminal is coloured")
		assert.Nil(t, a.reportStyle().Paint)
	}
	assert.Equal(t, "\x1b[31mx\x1b[0m", escape(colours["high"], "x"))
	assert.Equal(t, "x", escape(colours["no such meaning"], "x"))
}

func TestJSONOfListsForPeople(t *testing.T) {
	s := newSite(t, "LOG_LEVEL=error")
	t.Chdir(t.TempDir())
	code, out, _ := s.run("", "doctor", "--offline", "--json")
	assert.Equal(t, exitOK, code)
	var doctor struct {
		Program        string
		Checks         []checkResult
		Problems       int
		KeysNotChecked int `json:"keys_not_checked"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &doctor))
	assert.Equal(t, 2, doctor.KeysNotChecked)
	assert.NotEmpty(t, doctor.Checks)
	assert.Contains(t, doctor.Program, "exai-mcp ")

	s.environ = append(s.environ, "GLM_TIMEOUT_SECS=soon")
	code, out, _ = s.run("", "doctor", "--json")
	assert.Equal(t, exitFailed, code)
	require.NoError(t, json.Unmarshal([]byte(out), &doctor))
	assert.Equal(t, 1, doctor.Problems)
	s.environ = s.environ[:len(s.environ)-1]

	code, out, _ = s.run("", "config", "--json")
	assert.Equal(t, exitOK, code)
	var config struct {
		Settings []struct{ Name, Value, Default, Source string }
		Client   float64 `json:"client_timeout_secs"`
		Warnings []string
	}
	require.NoError(t, json.Unmarshal([]byte(out), &config))
	assert.NotNil(t, config.Warnings)
	assert.Equal(t, 112.5, config.Client)
	for _, setting := range config.Settings {
		if setting.Name == "GLM_API_KEY" {
			assert.Equal(t, "environment", setting.Source)
			assert.NotContains(t, setting.Value, "emulated")
		}
	}
}
