package workflow

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/proof"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// What is read for an expert is read within the call's time, so that an exceeded limit still leaves the reserve.
func TestWorkingEndsBeforeTheReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		limit := config.Limit{Name: "EXPERT_ANALYSIS_TIMEOUT_SECS", Value: 20 * time.Second}
		ctx, cancel := working(providers.WithBudget(t.Context(), providers.Budget{Limit: limit, Start: start}))
		defer cancel()
		<-ctx.Done()
		assert.Equal(t, 19*time.Second, time.Since(start))
		e := reply.FromError(t.Context(), context.Cause(ctx))
		assert.Equal(t, reply.CodeTimeout, e.Code)
		require.NotNil(t, e.Limit)
		assert.Equal(t, "EXPERT_ANALYSIS_TIMEOUT_SECS=20s", e.Limit.String())
	})
}

// brokenFiles resolves every path to the same file, and reads nothing.
type brokenFiles struct {
	Files
	err  error
	gone bool // nor resolve any
}

func (f brokenFiles) Resolve(_ context.Context, paths []string) ([]workspace.Ref, []workspace.Problem) {
	if f.gone {
		return nil, nil
	}
	return make([]workspace.Ref, len(paths)), nil
}

func (brokenFiles) WorkTree([]workspace.Ref) string { return "" }

func (f brokenFiles) Embed(context.Context, []workspace.Ref, workspace.Budget, map[string]conversation.Attachment) ([]conversation.Attachment, workspace.Manifest, error) {
	return nil, workspace.Manifest{}, f.err
}

// An expert never judges without files that were not read in time.
func TestFilesThatCannotBeReadEndTheStep(t *testing.T) {
	late := errors.New("too late")
	r := &run{Engine: &Engine{Config: config.Default(), Files: brokenFiles{err: late}}}
	_, err := r.embedChanged(t.Context(), Evidence{Changed: []workspace.ChangedFile{{Path: "/a.go", Current: true}}}, 1000, nil)
	require.ErrorIs(t, err, late)
	_, err = r.embed(t.Context(), Evidence{}, make([]workspace.Ref, 1), nil, 1000, nil)
	require.ErrorIs(t, err, late)
}

func TestMissingNamesWhatTheExpertLacks(t *testing.T) {
	assert.Empty(t, missing(workspace.Manifest{Sent: []workspace.Entry{{Path: "a.go"}}}, ""))
	m := workspace.Manifest{Cut: []workspace.Entry{{Path: "/w/sub/b.go", Reason: "the first 9 lines"}}}
	for range 25 {
		m.LeftOut = append(m.LeftOut, workspace.Entry{Path: "c\n.go", Reason: "binary."})
	}
	text := missing(m, "/w")
	assert.Contains(t, text, "- sub/b.go: cut, the first 9 lines\n")
	assert.Contains(t, text, `- c\n.go: not given, binary`)
	assert.Contains(t, text, "- and 6 more")
}

// A file that its expert has read whole since is covered, but not the lines that a diff of it removes.
func TestCoverAgain(t *testing.T) {
	w, dir := newWorkspace(t)
	file := filepath.Join(dir, "a.go")
	require.NoError(t, os.WriteFile(file, []byte("one\ntwo\n"), 0o600))
	shown := &proof.Shown{}
	shown.Add(file, proof.WorkTree, 1, "one\ntwo\n")
	stored := []Coverage{{File: file, How: CoverNotRead, Why: "too long"}, {File: dir + "/b.go", How: CoverSkipped}}
	r := &run{Engine: &Engine{Config: config.Default(), Files: w}, shown: shown}
	assert.Equal(t, []Coverage{{File: file, How: CoverWhole}, stored[1]}, r.coverAgain(t.Context(), stored))
	r.step.Evidence = func(context.Context, Consolidated, int) (Evidence, error) { return Evidence{}, nil }
	assert.Equal(t, []Coverage{{File: file, How: CoverPart, Why: "too long"}, stored[1]}, r.coverAgain(t.Context(), stored))
}

// What was not given is named as the diff names it, also where no file leads to its work tree.
func TestMissingIsRelativeToTheDiff(t *testing.T) {
	r := &run{Engine: &Engine{Config: config.Default(), Files: brokenFiles{}}}
	given := Evidence{
		Attachments: []conversation.Attachment{{MIME: mimeDiff, Path: "/r"}},
		Manifest:    workspace.Manifest{LeftOut: []workspace.Entry{{Path: "/r/a.go", Reason: "binary."}}},
	}
	assert.Contains(t, r.missing(t.Context(), given), "- a.go: not given, binary")
}

func TestPromptShowsTheRun(t *testing.T) {
	c := Consolidate(plain.Ladder, []Facts{
		step(1, 2, true, files("a.go"), func(f *Facts) {
			f.Hypothesis, f.Settings = "a <race>", []Setting{{"focus", "speed"}, {"unset", ""}}
			f.IssuesFound = []map[string]any{{"severity": "HIGH", "description": "x < y & z"}}
		}),
		step(2, 2, false, confidence("high"), func(f *Facts) { f.RelevantContext = []string{"Sum"} }),
	})
	assert.Equal(t, `## Request
look

## Settings
- focus: speed

## The agent's work: 2 steps, 0 files examined
Step 1: found
Step 2: found

## Relevant context
- Sum

## Issues that the agent reports
- [HIGH] {"description":"x < y & z","severity":"HIGH"}

## The agent's hypotheses, in order
- step 1 (confidence low): a <race>

## Files that the agent calls relevant
- a.go

## The agent's confidence
high`, Prompt(c))
}

func TestPathsOfOneFileAreResolvedOnce(t *testing.T) {
	r := &run{Engine: &Engine{Config: config.Default(), Files: brokenFiles{}}}
	found, problems := r.resolve(t.Context(), []string{"a.go", "./a.go", "a.go"})
	assert.Len(t, found, 1, "both paths lead to it")
	assert.Empty(t, problems)
}

// What an expert has read since changes the coverage of what it had not read whole, and of nothing else.
func TestCoverageOfLaterReads(t *testing.T) {
	r := &run{Engine: &Engine{Config: config.Default(), Files: brokenFiles{gone: true}}, shown: &proof.Shown{}}
	for _, file := range []string{"/whole.go", "/unread.go", "/part.go"} {
		r.shown.Add(file, proof.WorkTree, 1, "package a\n")
	}
	got := r.coverAgain(t.Context(), []Coverage{
		{File: "/whole.go", How: CoverWhole}, {File: "/unread.go", How: CoverNotRead}, {File: "/part.go", How: CoverPart}, {File: "/other.go", How: CoverNotRead},
	})
	assert.Equal(t, []Coverage{
		{File: "/whole.go", How: CoverWhole}, {File: "/unread.go", How: CoverPart}, {File: "/part.go", How: CoverPart}, {File: "/other.go", How: CoverNotRead},
	}, got)
}

func TestCoverageOfANamedFile(t *testing.T) {
	cut := workspace.Entry{Path: "/cut.go", Reason: "the first 9 lines"}
	room := workspace.Entry{Path: "/room.go", Reason: "no room"}
	binary := workspace.Entry{Path: "/a.bin", Reason: "binary: ELF"}
	lost := workspace.Entry{Path: "/lost.go", Reason: "there is no such file", Code: workspace.CodeNotFound}
	m := workspace.Manifest{
		Sent: []workspace.Entry{{Path: "/whole.go"}}, Cut: []workspace.Entry{cut}, LeftOut: []workspace.Entry{room, binary, lost},
	}
	for _, c := range []struct {
		entry workspace.Entry
		want  Coverage
	}{
		{workspace.Entry{Path: "/whole.go", Reason: "x"}, Coverage{File: "/whole.go", How: CoverWhole}},
		{cut, Coverage{File: "/cut.go", How: CoverPart, Why: cut.Reason}},
		{room, Coverage{File: "/room.go", How: CoverNotRead, Why: room.Reason}},
		{binary, Coverage{File: "/a.bin", How: CoverSkipped, Why: binary.Reason}},
		{lost, Coverage{File: "/lost.go", How: CoverSkipped, Why: lost.Reason}},
		{workspace.Entry{Path: "/other.go", Code: workspace.CodeNotFound}, Coverage{File: "/other.go", How: CoverPart}},
	} {
		assert.Equal(t, c.want, coverNamed(c.entry, m), c.entry.Path)
	}
}

// An expert may read what has changed, but for files whose change is recorded alone.
func TestChangedFilesAreReadable(t *testing.T) {
	for current, want := range map[bool]int{true: 1, false: 0} {
		r := &run{Engine: &Engine{Config: config.Default(), Files: brokenFiles{}}}
		from := r.readable(t.Context(), Evidence{Base: "abc", Changed: []workspace.ChangedFile{{Path: "/a.go", Current: current}}}, nil)
		assert.Len(t, from.Refs, want)
		assert.Empty(t, from.Around)
		assert.Equal(t, "abc", from.Base)
	}
}

// A note lists what of a named folder is not sent; what was named itself was noted when the step was checked.
func TestNotesOfFilesThatAreNotSent(t *testing.T) {
	w, dir := newWorkspace(t)
	for _, name := range []string{"a.txt", ".env", "id_rsa"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("text\n"), 0o600))
	}
	r := &run{Engine: &Engine{Config: config.Default(), Files: w}}
	refs, problems := w.Resolve(t.Context(), []string{dir, filepath.Join(dir, "gone.txt"), filepath.Join(dir, ".env")})
	require.Len(t, problems, 2)
	e, err := r.embed(t.Context(), Evidence{}, refs, problems, 1000, nil)
	require.NoError(t, err)
	require.Len(t, e.Notes, 1)
	assert.Contains(t, e.Notes[0], "id_rsa")
	assert.NotContains(t, e.Notes[0], ".env")
	assert.NotContains(t, e.Notes[0], "gone.txt")
}
