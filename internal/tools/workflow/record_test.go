package workflow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/store"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// tracker is an issue store that only captures.
type tracker struct {
	issue.Store
	mu       sync.Mutex
	batches  [][]issue.Finding
	behave   func(ctx context.Context) error
	captured int
}

func (t *tracker) Capture(ctx context.Context, findings []issue.Finding) (out []issue.Captured, err error) {
	if t.behave != nil {
		if err := t.behave(ctx); err != nil {
			return nil, err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.batches = append(t.batches, findings)
	for _, f := range findings {
		t.captured++
		out = append(out, issue.Captured{Number: t.captured, Title: f.Title, Severity: f.Severity, Status: issue.Open, New: true})
	}
	return out, nil
}

// titles are what was captured, batch by batch.
func (t *tracker) titles() (all [][]string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, batch := range t.batches {
		var titles []string
		for _, f := range batch {
			titles = append(titles, fmt.Sprintf("%s: %s", f.Severity, f.Title))
		}
		all = append(all, titles)
	}
	return all
}

func withTracker(t *tracker) func(l *fixture) { return func(l *fixture) { l.tracker = t } }

var reported = []dict{
	{"severity": "high", "description": "The agent's own."}, {"description": "Without a severity."}, {"severity": "low", "description": "Not worth it."},
}

// What a finished run found is recorded once, with how to close it; a run that is not finished records nothing.
func TestFindingsAreTrackedOnce(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		seen := &tracker{}
		l := newFixture(t, asktest.Says(p.answer(nil)), withTracker(seen))
		window := l.file("window.go", source)
		first := l.call(tool, l.step(tool, 1, 2, "relevant_files", []string{window}, "issues_found", reported))
		assert.Empty(t, seen.titles(), "the run goes on")
		end := l.step(tool, 2, 2, "continuation_id", first["continuation_id"])
		done := l.call(tool, end)
		want := []string{"high: The agent's own.", "medium: Without a severity."}
		if !p.prose {
			want = append(want, "high: Window misses its end")
			f := seen.batches[0][2]
			assert.Equal(t, window, f.File, "under the name that the host has for it")
			assert.Equal(t, 4, f.Line)
			assert.Equal(t, "The last element is never added.", f.Description)
			assert.Equal(t, "Use i < len(n).", f.RecommendedFix)
			assert.Equal(t, l.dir, f.Workspace)
			assert.Equal(t, first["continuation_id"], f.ConversationID)
			assert.Equal(t, tool, f.Tool)
			assert.Equal(t, tool == "secaudit", f.Category == issue.Security)
		}
		assert.Equal(t, [][]string{want}, seen.titles())
		assert.Len(t, done["tracked_issues"], len(want))
		assert.Equal(t, dict{"number": 1.0, "title": "The agent's own.", "severity": "high", "status": "open", "new": true}, at(done, "tracked_issues", 0))
		assert.Contains(t, done["close_tracked_issues"], "as fixes in the next call")

		l.restart()
		again := l.call(tool, end)
		assert.Equal(t, done["tracked_issues"], again["tracked_issues"])
		assert.Len(t, seen.titles(), 1, "never twice")

		// The run goes on and ends once more: only what is new is recorded.
		l.glm = asktest.Says(expertSays())
		l.call(tool, l.step(tool, 3, 3, "continuation_id", first["continuation_id"], "issues_found", append(reported, dict{"severity": "critical", "description": "Later."})))
		assert.Equal(t, []string{"critical: Later."}, seen.titles()[1])
	})
}

// The caller's issues are recorded when the run ends, the expert's findings when its answer is whole.
func TestFindingsOfALateExpert(t *testing.T) {
	for name, behave := range map[string]func(l *fixture, part dict, args dict){
		"fetched": func(l *fixture, part, args dict) {
			l.call("debug", with(args, "continuation_id", part["continuation_id"]))
		},
		"nobody fetches": func(*fixture, dict, dict) {
			time.Sleep(2 * time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				seen := &tracker{}
				l := newFixture(t, slowly(90, expertSays(finding("high", "window.go", 4))), withTracker(seen))
				window := l.file("window.go", source)
				args := l.step("debug", 1, 1, "relevant_files", []string{window}, "issues_found", reported)
				part := l.call("debug", args)
				assert.Len(t, part["tracked_issues"], 2)
				behave(l, part, args)
				assert.Equal(t, [][]string{{"high: The agent's own.", "medium: Without a severity."}, {"high: Window misses its end"}}, seen.titles())
				whole := l.call("debug", with(args, "continuation_id", part["continuation_id"]))
				assert.Len(t, whole["tracked_issues"], 3)
				assert.Len(t, seen.titles(), 2)
			})
		})
	}
	t.Run("asked again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			seen := &tracker{}
			l := newFixture(t, fails(providers.Error{Kind: providers.KindBalance, Message: "empty"}), withTracker(seen))
			window := l.file("window.go", source)
			args := l.step("debug", 1, 1, "relevant_files", []string{window}, "issues_found", reported)
			args["continuation_id"] = l.call("debug", args)["continuation_id"]
			l.glm = asktest.Says(expertSays(finding("high", "window.go", 4)))
			done := l.call("debug", args)
			assert.Equal(t, [][]string{{"high: The agent's own.", "medium: Without a severity."}, {"high: Window misses its end"}}, seen.titles())
			assert.Len(t, done["tracked_issues"], 3)
		})
	})
}

// A tracker that fails or hangs costs the record, never the step nor its time.
func TestTrackerThatFails(t *testing.T) {
	for name, behave := range map[string]func(ctx context.Context) error{
		"fails": func(context.Context) error { return errors.New("no such table") },
		"hangs": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"hangs and heeds nothing": func(context.Context) error {
			time.Sleep(10 * time.Minute)
			return nil
		},
		"panics": func(context.Context) error { panic("tracker") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFixture(t, asktest.Drips(49*time.Second, providers.Delta{Content: expertSays(finding("high", "window.go", 4))}), withTracker(&tracker{behave: behave}), func(l *fixture) {
					l.cfg.Timeouts.GLM, l.cfg.Timeouts.StreamIdle = 53*time.Second, 53*time.Second
					l.cfg.Timeouts.AnswerWithin, l.cfg.Timeouts.Expert = 52*time.Second, 52*time.Second
				})
				window := l.file("window.go", source)
				start := time.Now()
				done := l.call("debug", l.step("debug", 1, 1, "relevant_files", []string{window}))
				assert.LessOrEqual(t, time.Since(start), 52*time.Second)
				assert.Equal(t, "analysis_complete", at(done, "expert_analysis", "status"))
				assert.NotContains(t, done, "tracked_issues")
				assert.True(t, noteIn(done, "could not be recorded"))
				assert.Nil(t, at(done, "metadata", "stored"), "the step itself is kept")
				time.Sleep(15 * time.Minute) // lets what hangs end
			})
		})
	}
}

func TestTrackingIsSwitchedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &tracker{}
		l := newFixture(t, asktest.Says(expertSays(finding("high", "window.go", 4))), withTracker(seen), func(l *fixture) { l.cfg.Issues.Capture = false })
		done := l.call("debug", l.step("debug", 1, 1, "issues_found", reported))
		assert.NotContains(t, done, "tracked_issues")
		assert.Empty(t, seen.titles())
	})
}

// An expert that asks for files has not ended the run.
func TestRunThatWantsFilesIsNotTracked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &tracker{}
		l := newFixture(t, asktest.Says(`{"status": "files_required_to_continue", "files_needed": ["nowhere.go"]}`), withTracker(seen))
		paused := l.call("debug", l.step("debug", 1, 1, "issues_found", reported))
		assert.Equal(t, "files_required_to_continue", paused["status"])
		assert.Empty(t, seen.titles())
	})
}

// One finding is one workspace, file and title, however the file is named and whoever reports it.
func TestTrackedInARealStore(t *testing.T) {
	s, err := store.Open(t.Context(), config.Conversations{Backend: "memory"})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	l := newFixture(t, asktest.Says(expertSays(finding("high", "sub/window.go", 4))), func(l *fixture) { l.tracker = s.Issues() })
	window := l.file("sub/window.go", source)
	mine := []dict{{"severity": "critical", "title": "window misses its END!", "file": window}}
	done := l.call("debug", l.step("debug", 1, 1, "relevant_files", []string{window}, "issues_found", mine))
	require.Len(t, done["tracked_issues"], 1, "the agent and the expert mean the same")
	assert.Equal(t, true, at(done, "tracked_issues", 0, "new"))

	done = l.call("codereview", l.step("codereview", 1, 1, "relevant_files", []string{window}))
	require.Len(t, done["tracked_issues"], 1)
	assert.Equal(t, false, at(done, "tracked_issues", 0, "new"), "seen again")
	assert.EqualValues(t, 1, at(done, "tracked_issues", 0, "number"))

	one, err := s.Issues().Get(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, window, one.File)
	assert.Equal(t, issue.Critical, one.Severity)
	assert.Len(t, one.Updates, 3, "found, found again by the expert, found again by the review")
}

// An item without content, whoever sends it and with whatever severity, neither counts nor is recorded.
func TestEmptyFindingsPassAReview(t *testing.T) {
	for _, c := range []struct{ reported, found any }{
		{[]any{""}, []any{}},
		{[]any{" ", "N/A", "null", nil}, []any{}},
		{[]any{dict{}, dict{"severity": ""}, dict{"severity": "critical"}}, []any{}},
		{"no issues", []any{dict{}, ""}},
		{nil, []any{dict{"severity": "none", "title": "no issues"}}},
	} {
		seen := &tracker{}
		text, err := json.Marshal(dict{"status": "analysis_complete", "summary": "Fine.", "findings": c.found})
		require.NoError(t, err)
		l := newFixture(t, asktest.Says(string(text)), withTracker(seen))
		window := l.file("window.go", source)
		done := l.call("codereview", l.step("codereview", 1, 1, "relevant_files", []string{window}, "issues_found", c.reported))
		assert.Equal(t, "pass", done["verdict"], c)
		assert.EqualValues(t, 0, at(done, "code_review_status", "issues_found"), c)
		assert.Equal(t, []any{}, at(done, "expert_analysis", "findings"), c)
		assert.NotContains(t, done, "tracked_issues", c)
		assert.Empty(t, seen.titles(), c)
	}
}
