package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

func TestAsk(t *testing.T) {
	s := newSite(t, "LOG_LEVEL=error")
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".git"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".git", "HEAD"), []byte("ref: refs/heads/main\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.go"), []byte("package marked\n"), 0o600))
	t.Chdir(dir)
	said := func(text string) {
		s.vendors.Script(emulator.Say(strings.SplitAfter(text, " ")...).Thinking("first ", "I ", "think"))
	}

	code, out, errs := s.run("", "ask", "--dry-run", "-f", "a.go", "What is a bloom filter?")
	assert.Equal(t, exitOK, code, errs)
	assert.Contains(t, out, "a.go")
	assert.Contains(t, out, "glm-5.3-flash")
	assert.Empty(t, s.vendors.Requests(), "nothing is sent")

	said("It is a set. \x1b[31mIt may err.\n")
	code, out, errs = s.run("", "ask", "What is a bloom filter?")
	assert.Equal(t, exitOK, code, errs)
	assert.Equal(t, "It is a set. \\u001b[31mIt may err.\n", out, "the answer alone, and nothing that acts on a terminal")
	assert.Regexp(t, `^glm-5\.3-flash, \d+\.\d s, \$0\.\d{4}, conversation [0-9a-f-]{36}\n$`, errs)
	id := errs[strings.LastIndex(errs, " ")+1 : len(errs)-1]

	for _, name := range []string{id, id[:6], "latest"} {
		said("And so on.")
		code, out, errs = s.run("", "ask", "-c", name, "-m", "kimi-k3", "-f", "a.go", "And?")
		assert.Equal(t, exitOK, code, errs)
		assert.Equal(t, "And so on.\n", out)
		assert.Contains(t, errs, "kimi-k3, ")
		assert.Contains(t, errs, "conversation "+id)
	}
	assert.Contains(t, string(s.vendors.Requests()[1].Body), "package marked")
	before := len(s.vendors.Requests())
	code, out, _ = s.run("", "ask", "-c", "latest")
	assert.Equal(t, exitOK, code)
	assert.Equal(t, "And so on.\n", out, "the last answer")
	assert.Len(t, s.vendors.Requests(), before)

	said("From stdin.")
	code, out, _ = s.run("a question\n", "ask", "--json", "-")
	assert.Equal(t, exitOK, code)
	var object map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &object))
	assert.Equal(t, "From stdin.", object["content"])

	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"ask"}, exitUsage, "a question is required"},
		{[]string{"ask", "-"}, exitUsage, "a question is required"},
		{[]string{"ask", "a", "b"}, exitUsage, "expected 0 to 1 arguments"},
		{[]string{"ask", "-m", "gpt-9", "x"}, exitFailed, "gpt-9"},
		{[]string{"ask", "-f", "nope.go", "x"}, exitFailed, "nope.go"},
		{[]string{"ask", strings.Repeat("x ", 200_001)}, exitFailed, "MCP_PROMPT_SIZE_LIMIT=400000"},
		{[]string{"ask", "-f", "/etc/passwd", "x"}, exitFailed, "lies outside the folders"},
		{[]string{"ask", "-c", "00000000-0000-4000-8000-000000000000", "x"}, exitFailed, "no conversation"},
	} {
		code, out, errs = s.run("", c.args...)
		assert.Equal(t, c.code, code, c.args)
		assert.Empty(t, out, c.args)
		assert.Contains(t, errs, c.says, c.args)
	}
}

// pieces keeps what is written, and says when a part of it has arrived.
type pieces struct {
	mu   sync.Mutex
	text strings.Builder
	want string
	came chan struct{}
}

func (p *pieces) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	had := strings.Contains(p.text.String(), p.want)
	p.text.Write(b)
	if !had && strings.Contains(p.text.String(), p.want) {
		close(p.came)
	}
	return len(b), nil
}

// The answer is printed while it is written, also after a limit has sent it into the background, and never twice.
func TestAskStreams(t *testing.T) {
	for name, settings := range map[string][]string{
		"in time":       nil,
		"in background": limits("GLM_TIMEOUT_SECS=1", "KIMI_TIMEOUT_SECS=1", "SIMPLE_TOOL_TIMEOUT_SECS=1"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, append(settings, "LOG_LEVEL=error")...)
			var words []string
			for range 20 {
				words = append(words, "word ")
			}
			words = append(words, "end.")
			s.vendors.Script(emulator.Say(words...).Every(scaled(100 * time.Millisecond)))
			out := &pieces{want: "word word word", came: make(chan struct{})}
			done := make(chan int)
			go func() {
				done <- run(t.Context(), []string{"ask", "x"}, s.environ, strings.NewReader(""), out, io.Discard)
			}()
			select {
			case <-out.came:
			case <-done:
				t.Fatal("nothing was printed before the end")
			}
			assert.Equal(t, exitOK, <-done)
			assert.Equal(t, strings.Join(words, "")+"\n", out.text.String())
			assert.Len(t, s.vendors.Requests(), 1)
		})
	}
}

// What was printed of an answer that the model began again is followed by the whole.
func TestAskAfterARestart(t *testing.T) {
	var out strings.Builder
	a := &app{out: &out, stdout: &out, errw: io.Discard, stderr: io.Discard}
	for _, c := range []struct{ printed, content, want string }{
		{"", "whole\n", "whole\n"},
		{"one ", "one two", "two\n"},
		{"one two ", "one two", "\n"},
		{"one two\n", "one two\n", ""},
		{"one two\n\n", "one two\n\n", ""},
		{"one\n", "one\n\ntwo", "\ntwo\n"},
		{"other ", "one two", "\n\none two\n"},
	} {
		out.Reset()
		p := &answerPrinter{a: a, status: a.newStatus(false), printed: c.printed}
		require.NoError(t, p.print(c.content))
		assert.Equal(t, c.want, out.String(), "%+v", c)
	}
	out.Reset()
	p := &answerPrinter{a: a, status: a.newStatus(false)}
	for _, text := range []string{"o", "one tw", "one two th", "begun aga", "one two three fo"} {
		p.arrived(text)
	}
	assert.Equal(t, "one two three ", out.String(), "whole words, each once")
}

// A full disk is a failure, and a closed pipe is none.
func TestAskOutput(t *testing.T) {
	s := newSite(t, "LOG_LEVEL=error")
	var errs strings.Builder
	code := run(t.Context(), []string{"ask", "x"}, s.environ, strings.NewReader(""), failing{syscall.ENOSPC}, &errs)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs.String(), "write the output")
	code = run(t.Context(), []string{"ask", "x"}, s.environ, strings.NewReader(""), failing{syscall.EPIPE}, io.Discard)
	assert.Equal(t, exitOK, code)
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
