package workflow

import (
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// The call that goes on has the arguments of this step, but for what only this step needs and what the run remembers.
func TestNextCall(t *testing.T) {
	sent := `{"step":"s","step_number":9,"findings":"f","model":"m","files_checked":["a"],"relevant_context":["c"],"issues_found":[{}],"images":["i"],
		"continuation_id":"old","backtrack_from_step":1,"is_step_revision":true,"revises_step_number":1,"is_branch_point":true,"branch_from_step":1,"branch_id":"b"}`
	for name, c := range map[string]struct {
		n, total int
		id, want string
	}{
		"more than one is left": {1, 3, "id-1", `"step":"Continue with step 2: report what you found.","step_number":2,"total_steps":3,"next_step_required":true,"continuation_id":"id-1"`},
		"one is left":           {2, 3, "id-1", `"step":"Continue with step 3: report what you found.","step_number":3,"total_steps":3,"next_step_required":false,"continuation_id":"id-1"`},
		"one more than planned": {3, 3, "id-1", `"step":"Continue with step 4: report what you found.","step_number":4,"total_steps":4,"next_step_required":false,"continuation_id":"id-1"`},
		"not stored":            {1, 2, "", `"step":"Continue with step 2: report what you found.","step_number":2,"total_steps":2,"next_step_required":false`},
	} {
		r := &run{spec: Spec{Tool: "debug"}, step: Step{Args: json.RawMessage(sent)}}
		r.decision.Step = step(c.n, c.total, true)
		text, err := json.Marshal(r.next(c.id))
		require.NoError(t, err)
		assert.JSONEq(t, `{"tool":"debug","arguments":{`+c.want+`,"findings":"f","model":"m","branch_id":"b"}}`, string(text), name)
	}
}

// The prose of a reply is filled in with the step's numbers and what its tool adds.
func TestWordsOfAStep(t *testing.T) {
	own, err := words.For("planner")
	require.NoError(t, err)
	r := &run{spec: Spec{Tool: "planner"}, step: Step{Words: own}}
	r.decision.Step = step(2, 6, true)
	w, err := r.words("deep", "deep-second")
	require.NoError(t, err)
	assert.Contains(t, w.NextSteps, "4 of 6 steps remain. Then call planner with step_number 3.")
	assert.Len(t, w.Actions, 4)
	w, err = r.words("deep", "")
	require.NoError(t, err)
	assert.Empty(t, w.Actions)
	w, err = r.words("deep", "", "Next", "five", "Total", "ten")
	require.NoError(t, err)
	assert.Contains(t, w.NextSteps, "4 of ten steps remain. Then call planner with step_number five.")
	for _, sections := range [][2]string{{"nowhere", "first"}, {"deep", "nowhere"}} {
		_, err = r.words(sections[0], sections[1])
		assert.ErrorContains(t, err, `words/planner.md has no section "nowhere"`)
	}
}

// An expert that judges for itself is asked what the caller was asked, without what it found, and with every later step.
func TestBlindPrompt(t *testing.T) {
	c := Consolidated{
		Initial: "look", Settings: []Setting{{"focus", "speed"}, {"type", "full"}}, RelevantFiles: []string{"a.go", "b.go"},
		Findings: []string{"Step 1: SECRET"}, Hypotheses: []Hypothesis{{1, "SECRET", "high"}}, RelevantContext: []string{"SECRET"},
		Issues: []map[string]any{{"title": "SECRET"}}, Confidence: "SECRET", FilesChecked: []string{"SECRET"},
	}
	second := func(f *Facts) { f.Step = "look there" }
	assert.Equal(t, `## Request
look

## Later steps of the request
Step 2: look there
Step 3: look

## Settings
- focus: speed
- type: full

## Files to judge
- a.go
- b.go`, BlindPrompt(c, []Facts{step(1, 3, true), step(2, 3, true, second), step(3, 3, false)}))
	assert.Equal(t, "## Request\nlook", BlindPrompt(Consolidated{Initial: "look"}, []Facts{step(1, 1, false)}))
	assert.Equal(t, "## Request\nlook", BlindPrompt(Consolidated{Initial: "look"}, nil))
}

// Of many files that it lacks an expert is told twenty.
func TestMissingNamesTwentyFiles(t *testing.T) {
	entries := func(n int) (list []workspace.Entry) {
		for range n {
			list = append(list, workspace.Entry{Path: "/w/a.go", Reason: "binary."})
		}
		return list
	}
	lines := func(n int) (text string) {
		text = "## Not given to you, or not whole"
		for range n {
			text += "\n- a.go: not given, binary"
		}
		return text
	}
	assert.Equal(t, lines(20), missing(workspace.Manifest{LeftOut: entries(20)}, "/w"))
	assert.Equal(t, lines(20)+"\n- and 1 more", missing(workspace.Manifest{LeftOut: entries(21)}, "/w"))
}

// inTree are files of a work tree, "" for none.
type inTree struct {
	brokenFiles
	top string
}

func (f inTree) WorkTree([]workspace.Ref) string { return f.top }

// What is missing is named as the expert is shown it: below the work tree, else below the diff.
func TestMissingIsNamedAsItIsShown(t *testing.T) {
	diff := []conversation.Attachment{{MIME: "text/plain", Path: "/x"}, {MIME: mimeDiff, Path: "/r"}}
	for _, c := range []struct {
		top         string
		attachments []conversation.Attachment
		path, want  string
	}{
		{"/w", diff, "/w/a.go", "- a.go: not given"},
		{"/w", diff, "/r/a.go", "- /r/a.go: not given"},
		{"/w", nil, "/w/a.go", "- a.go: not given"},
		{"", diff, "/r/a.go", "- a.go: not given"},
		{"", nil, "/r/a.go", "- /r/a.go: not given"},
		{"", diff[:1], "/x/a.go", "- /x/a.go: not given"},
	} {
		r := &run{Engine: &Engine{Config: config.Default(), Files: inTree{top: c.top}}}
		given := Evidence{Attachments: c.attachments, Manifest: workspace.Manifest{LeftOut: []workspace.Entry{{Path: c.path, Reason: "binary"}}}}
		assert.Contains(t, r.missing(t.Context(), given), c.want, "%+v", c)
	}
}

// countedFiles are files of a workspace, which counts how often a path is resolved.
type countedFiles struct {
	Files
	resolved map[string]int
}

func (f countedFiles) Resolve(ctx context.Context, paths []string) ([]workspace.Ref, []workspace.Problem) {
	for _, path := range paths {
		f.resolved[path]++
	}
	return f.Files.Resolve(ctx, paths)
}

// In one call a path is resolved once, whatever names it, and a file or a problem is listed once.
func TestResolve(t *testing.T) {
	w, dir := newWorkspace(t)
	require.NoError(t, os.Mkdir(dir+"/sub", 0o700))
	require.NoError(t, os.WriteFile(dir+"/a.go", nil, 0o600))
	require.NoError(t, os.WriteFile(dir+"/sub/b.go", nil, 0o600))
	counted := countedFiles{w, map[string]int{}}
	r := &run{Engine: &Engine{Config: config.Default(), Files: counted}}
	found, problems := r.resolve(t.Context(), []string{"a.go", "gone.go", "./a.go", "sub/b.go", "gone.go", "/etc/passwd"})
	assert.Equal(t, []string{dir + "/a.go", dir + "/sub/b.go"}, pathsOf(found))
	require.Len(t, problems, 2)
	assert.Equal(t, "gone.go", problems[0].Path)
	assert.Equal(t, "/etc/passwd", problems[1].Path)

	again, problems := r.resolve(t.Context(), []string{dir + "/sub/b.go", "gone.go", "a.go"})
	assert.Equal(t, []string{dir + "/sub/b.go", dir + "/a.go"}, pathsOf(again))
	assert.Len(t, problems, 1)
	assert.Equal(t, map[string]int{"a.go": 1, "gone.go": 1, "./a.go": 1, "sub/b.go": 1, "/etc/passwd": 1}, counted.resolved)
	assert.Equal(t, []string{dir + "/a.go", dir + "/sub/b.go"}, pathsOf(r.refs.known))
	assert.Empty(t, pathsOf(nil))
}
