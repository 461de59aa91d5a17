package tools

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// fixes sets issues to fixed by the run, but for what the expert finds again, what is done already, and numbers that this
// workspace does not have.
func TestFixes(t *testing.T) {
	h := newTrackedFixture(t)
	ctx := t.Context()
	file := h.file("a.go", "package a\n\nvar total = first + second\n")
	root := h.deps.Workspace.FirstRoot(ctx)
	for i, one := range []issue.Issue{
		{Title: "Closes too early", Severity: issue.High, Category: issue.Other, Workspace: root},
		{Title: "Overflow in the sum", Severity: issue.High, Category: issue.Other, Workspace: root, File: file},
		{Title: "Of another project", Severity: issue.High, Category: issue.Other, Workspace: "/elsewhere"},
		{Title: "Closed long ago", Severity: issue.Low, Category: issue.Other, Workspace: root, Status: issue.Closed},
	} {
		made, err := h.store.Issues().Create(ctx, one)
		require.NoError(t, err)
		require.Equal(t, i+1, made.Number)
	}
	h.answers(fmt.Sprintf(`{"summary":"one is left","findings":[{"severity":"high","title":"Overflow in the sum","file":%q,"line":3,`+
		`"quote":"var total = first + second","evidence":"it overflows","fix":"widen it"}]}`, file))
	args := map[string]any{"step": "Review my fixes.", "relevant_files": []string{file}, "fixes": []any{1, "2", 3, 4, 99, 1}}

	preview := map[string]any{"preview": true}
	for k, v := range args {
		preview[k] = v
	}
	_, text := h.call("codereview", preview)
	one, err := h.store.Issues().Get(ctx, 1)
	require.NoError(t, err)
	assert.Equal(t, issue.Open, one.Status, text)

	body, text := h.call("codereview", args)
	require.NotEqual(t, "error", body["status"], text)
	for _, want := range []string{
		"Issue 1 was set to fixed.", "Issue 2 was found again, so it was not set to fixed.", "Unknown issue 3: fixes takes", "Issue 4 is already closed.",
		"Unknown issue 99",
	} {
		assert.Contains(t, text, want)
	}
	one, err = h.store.Issues().Get(ctx, 1)
	require.NoError(t, err)
	assert.Equal(t, issue.Fixed, one.Status)
	assert.Equal(t, body["continuation_id"], one.FixConversationID)
	two, err := h.store.Issues().Get(ctx, 2)
	require.NoError(t, err)
	assert.Equal(t, issue.Open, two.Status)
}

// A step that was replaced, or taken back, no longer says what the run fixed.
func TestFixesOfAReplacedStep(t *testing.T) {
	h := newTrackedFixture(t)
	for n := range 3 {
		_, err := h.store.Issues().Create(t.Context(), issue.Issue{
			Title: fmt.Sprint("Issue ", n), Severity: issue.High, Category: issue.Other, Workspace: h.deps.Workspace.FirstRoot(t.Context()),
		})
		require.NoError(t, err)
	}
	h.answers(`{"summary":"fine","findings":[]}`)
	step := func(n int, fixes []int, more ...any) map[string]any {
		args := map[string]any{"step": "It is fixed.", "step_number": n, "total_steps": 3, "next_step_required": n < 3, "fixes": fixes}
		for i := 0; i < len(more); i += 2 {
			args[more[i].(string)] = more[i+1]
		}
		body, text := h.call("debug", args)
		require.NotEqual(t, "error", body["status"], text)
		return body
	}
	id := step(1, []int{1})["continuation_id"]
	step(1, []int{2}, "continuation_id", id)
	step(2, []int{3}, "continuation_id", id)
	step(3, nil, "continuation_id", id, "backtrack_from_step", 2, "relevant_files", []string{h.file("a.go", "package a\n")})
	for n, want := range []issue.Status{issue.Open, issue.Fixed, issue.Open} {
		one, err := h.store.Issues().Get(t.Context(), n+1)
		require.NoError(t, err)
		assert.Equal(t, want, one.Status, n+1)
	}
}

// Without a judgement, or a tracker, nothing is closed, and the reply says so.
func TestFixesWait(t *testing.T) {
	h := newTrackedFixture(t)
	made, err := h.store.Issues().Create(t.Context(), issue.Issue{Title: "x", Severity: issue.High, Category: issue.Other, Workspace: h.deps.Workspace.FirstRoot(t.Context())})
	require.NoError(t, err)
	h.answer = func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
		return nil, &providers.Error{Kind: providers.KindProviderError, Message: "broken", HTTPStatus: 500}
	}
	file := h.file("a.go", "package a\n")
	_, text := h.call("debug", map[string]any{"step": "It is fixed.", "relevant_files": []string{file}, "fixes": []int{made.Number}, "model": "glm-5.3"})
	assert.Contains(t, text, "no issue was closed")
	now, err := h.store.Issues().Get(t.Context(), made.Number)
	require.NoError(t, err)
	assert.Equal(t, issue.Open, now.Status)

	off := newFixture(t, asktest.Says("{}"), func(c *config.Config) { c.Issues.Capture = false })
	_, text = off.call("debug", map[string]any{"step": "It is fixed.", "relevant_files": []string{off.file("a.go", "package a\n")}, "fixes": 1})
	assert.Contains(t, text, "fixes was ignored")
}
