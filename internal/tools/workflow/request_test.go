package workflow_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// TestGoldenRequests keeps what a vendor receives of each tool that asks an expert, to be read from top to bottom.
func TestGoldenRequests(t *testing.T) {
	for _, tool := range []string{"analyze", "codereview", "consensus", "debug", "precommit", "refactor", "secaudit", "testgen", "thinkdeep"} {
		t.Run(tool, func(t *testing.T) {
			l := newFixture(t, asktest.Says(expertSays()))
			l.secondTurns = true
			l.repository()
			args := consensusArgs("relevant_files", []string{"window.go"}, "models", []dict{{"model": "glm-5.3"}, {"model": "glm-5.3-flash", "stance": "against"}})
			if tool != "consensus" {
				args = l.step(tool, 1, 1, "relevant_files", []string{"window.go"}, "hypothesis", "The bound is one too small.", "confidence", "medium",
					"issues_found", []dict{{"severity": "high", "description": "The last number is not added.", "file": "window.go", "line": 4}},
					"relevant_context", []string{"Sum"})
			}
			l.call(tool, args)
			l.mu.Lock()
			defer l.mu.Unlock()
			slices.SortStableFunc(l.requests, func(a, b providers.ChatRequest) int { return strings.Compare(a.Model.ID, b.Model.ID) }) // panelists are asked at once
			var b strings.Builder
			for n, req := range l.requests {
				fmt.Fprintf(&b, "######## Request %d to %s, at most %d tokens, JSON %t, effort %q\n", n+1, req.Model.ID, req.MaxOutputTokens, req.JSONObject, req.Thinking.Effort)
				for _, f := range req.Functions {
					fmt.Fprintf(&b, "function %s: %s\n", f.Name, f.Description)
				}
				messages := req.Messages
				if n > 0 && len(messages) > 2 && assert.ObjectsAreEqual(l.requests[n-1].Messages, messages[:len(messages)-2]) {
					messages = messages[len(messages)-2:]
					b.WriteString("\n(the messages of the request before, then)\n")
				}
				for _, m := range messages {
					fmt.Fprintf(&b, "\n######## %s\n\n%s\n", m.Role, m.Content)
				}
				b.WriteString("\n")
			}
			assertOrder(t, l.requests[0].Messages[0].Content)
			text := l.stable(b.String())
			for _, own := range []struct{ pattern, as string }{
				{`Today is [^.]*\.`, "Today is DATE."},
				{`(?m)(^Repository: |BEGIN CHANGES [0-9a-f]{16} )001\b`, "${1}project"}, // the folder's name
				{`(the mark |=== (?:BEGIN|END) (?:FILE|CHANGES) )[0-9a-f]{16}`, "${1}MARK"},
				{`\b[0-9a-f]{40}\b`, "COMMIT"},
			} {
				text = regexp.MustCompile(own.pattern).ReplaceAllString(text, own.as)
			}
			path := filepath.Join("testdata", "request", tool+".txt")
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
				require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
				return
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err, "run go test ./internal/tools/workflow -update and read the diff")
			assert.Equal(t, string(want), text)
		})
	}
}

// assertOrder reports a system prompt whose headings are not in the order in which a model is to read them.
func assertOrder(t *testing.T, system string) {
	t.Helper()
	var headings []string
	for line := range strings.Lines(system) {
		if title, ok := strings.CutPrefix(line, "# "); ok {
			headings = append(headings, strings.TrimSpace(title))
		}
	}
	require.GreaterOrEqual(t, len(headings), 4, "%v", headings)
	assert.Equal(t, "Role", headings[0])
	assert.Equal(t, "Output format", headings[len(headings)-1])
	functions, rules := slices.Index(headings, "Functions"), slices.Index(headings, "Rules")
	assert.Positive(t, functions)
	assert.Equal(t, functions+1, rules, "how to read, then the rules, then the form")
	assert.Len(t, slices.Compact(slices.Sorted(slices.Values(headings))), len(headings), "each heading once")
}
