package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/store"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// trackedFixture is a fixture with the issue tracker in a database.
type trackedFixture struct {
	*fixture
	store  *store.Store
	answer asktest.Chat // what the model says
}

// answers has the model say a text.
func (h *trackedFixture) answers(text string) { h.answer = asktest.Says(text) }

func newTrackedFixture(t *testing.T) *trackedFixture {
	k := &trackedFixture{answer: asktest.Says("x")}
	h := newFixture(t, func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		return k.answer(ctx, req, on)
	}, func(c *config.Config) { c.Tools.IssueTracker = true })
	s, err := store.Open(t.Context(), config.Conversations{Backend: "memory"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	h.deps.Issues = func(context.Context) (issue.Store, error) { return s.Issues(), nil }
	h.deps.Store = func(context.Context) (conversation.Store, error) { return s, nil }
	k.fixture, k.store = h, s
	return k
}

// do calls the tool and expects it to work.
func (h *trackedFixture) do(action string, args map[string]any) map[string]any {
	h.t.Helper()
	object, text := h.send(action, args)
	require.Equal(h.t, "success", object["status"], text)
	return object
}

func (h *trackedFixture) send(action string, args map[string]any) (map[string]any, string) {
	h.t.Helper()
	with := map[string]any{"action": action}
	for name, value := range args {
		with[name] = value
	}
	return h.call("issues", with)
}

func (h *trackedFixture) numbers(args map[string]any) (out []int) {
	h.t.Helper()
	action := "list"
	if args["text"] != nil {
		action = "search"
	}
	for _, row := range h.do(action, args)["issues"].([]any) {
		out = append(out, int(row.(map[string]any)["issue_number"].(float64)))
	}
	return out
}

func TestIssuesTool(t *testing.T) {
	h := newTrackedFixture(t)
	_, err := h.store.Append(t.Context(), conversation.NewTurns{ConversationID: "c1", Title: "The review", Turns: []conversation.Turn{
		{Role: providers.RoleUser, Content: "look"},
	}})
	require.NoError(t, err)
	made := h.do("create", map[string]any{
		"title": "No timeout", "severity": "Critical", "category": "timeout", "file_path": "src/a.py", "line_start": 48, "line_end": 51,
		"affected_components": []string{"async"}, "conversation_id": "c1", "description": "d", "root_cause": "r", "impact_description": "i",
		"recommended_fix": "f", "steps": []string{"imports", "client"},
	})
	assert.Equal(t, "markdown", made["content_type"])
	assert.Contains(t, made["content"], "Issue 1, critical, open: No timeout")
	assert.Equal(t, "issues", made["metadata"].(map[string]any)["tool_name"])
	row := made["issue"].(map[string]any)
	assert.Equal(t, h.deps.Workspace.FirstRoot(t.Context()), row["workspace"])
	assert.Equal(t, []any{48.0, 51.0, 2.0}, []any{row["line_start"], row["line_end"], row["total_steps"]})
	h.do("create", map[string]any{"title": "Default of 300 s", "severity": "high", "related_issues": []int{1}, "workspace": "/elsewhere"})
	h.do("create", map[string]any{"title": "Hard-coded", "category": "architecture", "fix_conversation_id": "c9", "fix_date": "2026-01-31"})

	assert.Equal(t, []int{1, 2}, h.numbers(nil), "active, the worst first")
	assert.Equal(t, []int{1, 2, 3}, h.numbers(map[string]any{"status": "all"}))
	assert.Equal(t, []int{1}, h.numbers(map[string]any{"severity": "critical, low", "file_path": "a.py", "affected_components": "async", "workspace": ".", "conversation_id": "c1", "category": "timeout"}))
	assert.Equal(t, []int{3}, h.numbers(map[string]any{"status": "fixed,verified"}))
	assert.Equal(t, []int{3}, h.numbers(map[string]any{"text": "HARD-CODED"}), "a search looks at every status")
	list := h.do("list", nil)
	assert.Contains(t, list["content"], "| 1 | critical | open | timeout | [..........] 0/2 | No timeout | src/a.py:48-51 |")
	assert.NotContains(t, list["issues"].([]any)[0], "description", "show has the texts")
	assert.Equal(t, "No issues.", h.do("search", map[string]any{"text": "nowhere"})["content"])
	page := h.do("list", map[string]any{"status": "all", "limit": 2})
	assert.Equal(t, 2.0, page["next_offset"])
	assert.Equal(t, []int{3}, h.numbers(map[string]any{"status": "all", "limit": 2, "offset": 2}))

	checked := h.do("check", map[string]any{"issue_number": 1, "step_number": 1, "conversation_id": "c2"})
	assert.Contains(t, checked["content"], "checklist step 1 (imports): pending -> complete")
	assert.Equal(t, 50.0, checked["issue"].(map[string]any)["progress_percentage"])
	h.do("check", map[string]any{"issue_number": 1, "step_number": 2, "status": "skipped"})
	h.do("check", map[string]any{"issue_number": 1, "steps": []string{"docs"}})
	h.do("comment", map[string]any{"issue_number": 1, "text": "on it", "conversation_id": "c2"})
	h.do("link", map[string]any{"issue_number": 1, "blocks_issues": []int{2}, "related_issues": []int{3}})
	moved := h.do("update", map[string]any{"issue_number": 1, "status": "in progress", "title": "No time limit", "text": "begun", "conversation_id": "c2", "found_in": "c0"})
	assert.Equal(t, "Issue 1, critical, in_progress: No time limit\n\n- status_change: open -> in_progress: begun\n"+
		"- comment: title: No timeout -> No time limit\n- conversation_link: conversation: c0\n", moved["content"])
	same := h.do("update", map[string]any{"issue_number": 1, "status": "in_progress"})
	assert.Contains(t, same["content"], "Nothing changed")
	fixed := h.do("fix", map[string]any{"issue_number": 1, "fix_conversation_id": "c2", "actual_fix": "set a limit"})["issue"].(map[string]any)
	assert.Equal(t, []any{"fixed", "c2", "set a limit"}, []any{fixed["status"], fixed["fix_conversation_id"], fixed["actual_fix"]})
	assert.NotEmpty(t, fixed["fix_date"])
	h.do("fix", map[string]any{"issue_number": 2, "conversation_id": "c2"})
	h.do("update", map[string]any{"issue_number": 1, "status": "verified", "found_in": "c1"})

	shown := h.do("show", map[string]any{"issue_number": 1})
	for _, want := range []string{
		"# Issue 1: No time limit", "- Blocks: #2 Default of 300 s (fixed)", "- [x] 1. imports (complete, ", "- c1: found, ", "(The review)",
		"- c2: fixed, ", "checklist step 1", "verification",
	} {
		assert.Contains(t, shown["content"], want)
	}
	assert.Len(t, shown["issue"].(map[string]any)["updates"], 17)
	assert.Equal(t, []int{1, 2}, h.numbers(map[string]any{"status": "all", "conversation_id": "c2"}), "from a conversation to its issues")

	out := h.do("export", nil)
	require.Len(t, out["issues"], 3)
	assert.Len(t, out["issues"].([]any)[0].(map[string]any)["checklist"], 3)
	out = h.do("export", map[string]any{"format": "csv", "severity": "high"})
	assert.Equal(t, "text", out["content_type"])
	assert.Equal(t, 1, strings.Count(out["content"].(string), "Default of 300 s"))
	assert.Contains(t, h.do("export", map[string]any{"format": "markdown", "limit": 1})["content"], "# Issue 1: ")
}

func TestIssuesToolRefuses(t *testing.T) {
	h := newTrackedFixture(t)
	h.do("create", map[string]any{"title": "t", "steps": []string{"one"}})
	for _, c := range []struct {
		action string
		args   map[string]any
		says   string
		hint   string
	}{
		{"close", nil, "action", "action"},
		{"show", nil, "The action show needs issue_number.", "show takes issue_number."},
		{"show", map[string]any{"issue_number": 7}, "There is no issue 7.", "status all"},
		{"show", map[string]any{"issue_number": 1, "severity": "high", "title": "x"}, "The action show does not take severity, title.", "show takes issue_number."},
		{"create", map[string]any{"severity": "high"}, "needs title", "recommended_fix"},
		{"create", map[string]any{"title": "  "}, "That can't be done: title is required.", "Correct it"},
		{"create", map[string]any{"title": "x", "severity": "bad"}, `severity: "bad" is none of critical, high, medium, low.`, "severity"},
		{"create", map[string]any{"title": "x", "category": "style"}, `category: "style" is none of timeout`, "category"},
		{"create", map[string]any{"title": "x", "fix_date": "soon"}, `fix_date "soon" is not a date.`, "2026-01-31"},
		{"create", map[string]any{"title": "x", "line_start": 5, "line_end": 4}, "line_end 4 is before line_start 5", ""},
		{"create", map[string]any{"title": "x", "related_issues": []int{9}}, "There is no issue 9.", ""},
		{"create", map[string]any{"title": "x", "steps": []string{"a", " "}}, "a checklist step needs a description", ""},
		{"update", map[string]any{"issue_number": 1}, "There is nothing to update.", "status"},
		{"update", map[string]any{"issue_number": 1, "status": "done"}, `status: "done" is none of`, ""},
		{"update", map[string]any{"issue_number": 1, "status": "verified"}, "an issue that is open can become in_progress, fixed, closed, wont_fix, not verified", "the action show lists its fields"},
		{"fix", map[string]any{"issue_number": 1}, "The action fix needs fix_conversation_id.", "continuation_id"},
		{"comment", map[string]any{"issue_number": 1}, "needs text", ""},
		{"check", map[string]any{"issue_number": 1}, "either step_number", "steps"},
		{"check", map[string]any{"issue_number": 1, "step_number": 1, "steps": []string{"x"}}, "either step_number", ""},
		{"check", map[string]any{"issue_number": 1, "step_number": 4}, "issue 1 has no checklist step 4", ""},
		{"check", map[string]any{"issue_number": 1, "step_number": 1, "status": "fixed"}, `status: "fixed" is none of pending, in_progress, complete, skipped`, ""},
		{"link", map[string]any{"issue_number": 1}, "needs blocks_issues", "numbers"},
		{"link", map[string]any{"issue_number": 1, "related_issues": []int{1}}, "an issue cannot be linked to itself", ""},
		{"search", nil, "needs text", ""},
		{"list", map[string]any{"status": "open,nope"}, `status: "nope" is none of`, ""},
		{"list", map[string]any{"affected_components": []string{"a", "b"}}, "narrowed by one", ""},
		{"list", map[string]any{"limit": 201}, "limit", ""},
		{"export", map[string]any{"format": "pdf"}, "format", ""},
	} {
		t.Run(fmt.Sprint(c.action, " ", c.args), func(t *testing.T) {
			object, text := h.send(c.action, c.args)
			assert.Equal(t, "invalid_request", codeIn(object), text)
			assert.Contains(t, object["content"], c.says)
			assert.Contains(t, object["error"].(map[string]any)["hint"], c.hint)
		})
	}
	assert.Equal(t, []int{1}, h.numbers(map[string]any{"status": "all"}), "what is refused changes nothing")
	whole := h.do("show", map[string]any{"issue_number": 1})["issue"].(map[string]any)
	assert.Len(t, whole["updates"], 2)

	h.deps.Issues = func(context.Context) (issue.Store, error) { return nil, errors.New("secret words of a driver") }
	object, text := h.send("list", nil)
	assert.Equal(t, "store_unavailable", codeIn(object))
	assert.NotContains(t, text, "secret words")
}

// The tool is there when it is asked for, and only then.
func TestIssuesToolIsAsked(t *testing.T) {
	h := newFixture(t, asktest.Says("x"))
	object, _ := h.call("issues", map[string]any{"action": "list"})
	assert.Equal(t, "invalid_request", codeIn(object))
	for name, set := range map[string]func(c *config.Tools){
		"by name":      func(c *config.Tools) { c.IssueTracker = true },
		"in lean mode": func(c *config.Tools) { c.IssueTracker, c.LeanMode = true, true },
	} {
		d := &Deps{Config: config.Default()}
		set(&d.Config.Tools)
		shown, _ := Shown(d)
		assert.Equal(t, "issues", shown[len(shown)-1].Name, name)
	}
}
