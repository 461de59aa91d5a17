package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

// hostileAnswer tries to be more than text: HTML, a script, escape sequences, a link of a terminal, bidirectional text, and a
// line of 1 MB.
var hostileAnswer = "<script>alert(1)</script><img src=http://203.0.113.1/x onerror=alert(2)> \x1b[2J\x1b]0;owned\x07\x1b]8;;http://evil\x07 " +
	"\u009b31m \u202etxt.exe\u202c \u2066hidden\u2069 \u2028 " + strings.Repeat("wide ", 1<<20/5)

// What a model wrote is shown as text wherever people read it: in the terminal nothing acts, and lists keep their width; on the
// page no element comes of it, and nothing hides or reorders.
func TestHostileAnswer(t *testing.T) {
	g := newGate(t, "COLUMNS=80")
	g.commit("a.go", "package a\n")
	g.write("a.go", "package a\n\nfunc F(a, b int) int { return a / b } // PLANTED\n")
	finding, err := json.Marshal(map[string]any{"summary": hostileAnswer[:4000], "findings": []any{map[string]any{
		"severity": "high", "file": "a.go", "line": 3, "title": hostileAnswer[:4000], "quote": "func F(a, b int) int { return a / b } // PLANTED",
		"trigger": hostileAnswer[:4000], "evidence": hostileAnswer[:4000], "recommendation": hostileAnswer, "fix": hostileAnswer[:4000],
	}}})
	require.NoError(t, err)
	g.judge(string(finding))
	code, review, errs := g.run("", "review")
	require.Equal(t, exitFailed, code, errs)
	g.vendors.Always(emulator.Match{}, func(emulator.Request) emulator.Reply { return emulator.Say(hostileAnswer) })
	code, answer, errs := g.run("", "ask", hostileAnswer[:3000])
	require.Equal(t, exitOK, code, errs)
	require.NoError(t, g.openStore().Usage().Record(t.Context(), usage.Request{
		Host: hostileAnswer[:300], User: hostileAnswer[:300], Tool: hostileAnswer[:300], Model: hostileAnswer[:300], Workspace: hostileAnswer[:300],
		Outcome: hostileAnswer[:300], ExceededLimit: hostileAnswer[:300], CostUSD: 0.1,
	}))

	for args, out := range map[string]string{
		"review": review, "ask": answer, "usage": "", "usage --by tool": "", "usage --by model": "", "usage --by workspace": "", "issues list": "",
		"issues search script": "", "issues show 1": "", "conversations list": "", "conversations search script": "", "conversations show latest": "",
	} {
		if out == "" {
			code, out, errs = g.run("", strings.Fields(args)...)
			require.Equal(t, exitOK, code, args+errs)
		}
		for _, r := range out + errs {
			if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
				t.Errorf("%s: %U reaches the terminal", args, r)
				break
			}
		}
		if args == "review" || args == "ask" || strings.Contains(args, "show") {
			assert.Contains(t, out, `\u001b[2J`, args)
		}
		if strings.Contains(args, "list") || strings.Contains(args, "usage") || args == "review" {
			for line := range strings.Lines(out) {
				code := strings.HasPrefix(line, "    ") // which keeps its lines
				assert.True(t, code || text.StringWidth(strings.TrimRight(line, "\n")) <= 80, args)
			}
		}
	}

	address, stop := g.page()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := &http.Client{Jar: jar}
	root, _, _ := strings.Cut(address, "/?")
	talks, err := g.openStore().List(t.Context(), conversation.Filter{Limit: 1})
	require.NoError(t, err)
	require.Len(t, talks, 1)
	for _, path := range []string{address, root + "/calls", root + "/cost", root + "/conversations", root + "/issues", root + "/issues/1", root + "/conversations/" + talks[0].ID} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		require.NoError(t, err)
		resp, err := client.Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, http.StatusOK, resp.StatusCode, path)
		assert.Less(t, len(body), 2<<20, path)
		for _, bad := range []string{"<script>alert", "<img", "\x1b", "\x07", "\u009b", "\u202e", "\u2066", "\u2028"} {
			assert.False(t, strings.Contains(string(body), bad), "%s has %q", path, bad)
		}
		assert.True(t, strings.Contains(string(body), "&lt;script&gt;alert"), path)
	}
	assert.Equal(t, exitOK, stop())
}
