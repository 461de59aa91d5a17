package workflow_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/bench/o200k"
	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

func compactReplies(l *fixture) { l.cfg.Tools.ReplyStyle = config.ReplyCompact }

// tokens are those of a value as JSON.
func tokens(t *testing.T, value any) int {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return o200k.Count(string(text))
}

// A pause costs an agent at most 240 tokens, however much the step reported, and its next call is valid and goes on with the
// run. What git reports comes on top.
func TestCompactPauses(t *testing.T) {
	report := strings.Repeat("The loop in window.go stops before the last element, so that the sum misses it. ", 20)
	// follow goes from pause to pause to the run's end, and returns the last reply.
	follow := func(t *testing.T, l *fixture, tool string, args dict, more func(n int) dict) dict {
		var first any
		for n := 2; ; n++ {
			reply, text := l.try(t.Context(), tool, args)
			require.NotEqual(t, "error", reply["status"], text)
			if reply["next_call"] == nil {
				assert.Equal(t, first, reply["continuation_id"])
				return reply
			}
			size := o200k.Count(uuids.ReplaceAllString(text, "3f6c1d0a-5b7e-4c8d-9a10-2b3c4d5e6f70"))
			if repos := at(reply, "file_context", "repositories"); repos != nil {
				size -= tokens(t, repos)
			}
			t.Logf("step %d: %d tokens", n-1, size)
			assert.LessOrEqual(t, size, 240, text)
			assert.NotContains(t, text, "The loop in window.go", "the caller's own report")
			for _, key := range []string{"step_number", "total_steps", "continuation_required", "next_step_number", "continuation_id"} {
				assert.NotContains(t, reply, key)
			}
			reply["continuation_id"] = at(reply, "next_call", "arguments", "continuation_id") // where a full reply has it, too
			if first == nil {
				first = reply["continuation_id"]
			}
			args = l.nextCall(reply)
			assert.Equal(t, first, args["continuation_id"])
			maps.Copy(args, more(n))
		}
	}
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newFixture(t, asktest.Says(p.answer(nil)), compactReplies)
		l.repository()
		files := []string{l.file("window.go", source), l.file("window_test.go", "package window\n"), l.file("sum.go", "package window\n")}
		args := l.step(tool, 1, 5, "findings", report, "relevant_files", files, "issues_found", []dict{{"severity": "high", "description": report}})
		if tool == "precommit" {
			args["path"] = l.dir
		}
		follow(t, l, tool, args, func(n int) dict {
			more := dict{"findings": report}
			if tool != "refactor" { // which has words of its own
				more["confidence"] = []string{"", "", "exploring", "low", "medium", "high"}[n]
			}
			return more
		})
		assert.Contains(t, l.prompt(), "for i := 0; i < len(n)-1", "the run remembers the files")
		assert.Contains(t, l.prompt(), "why does the window miss its end?")
	})
	for tool, args := range map[string]dict{
		"planner": {"step": report},
		"tracer":  {"step": report, "trace_mode": "precision", "target_description": "Sum"},
		"docgen":  {"step": report, "num_files_documented": 0, "total_files_to_document": 3},
	} {
		t.Run(tool, func(t *testing.T) {
			follow(t, newFixture(t, nil, compactReplies), tool, args, func(n int) dict {
				if tool == "docgen" {
					return dict{"num_files_documented": n, "findings": report}
				}
				return nil
			})
		})
	}
}

// A review costs an agent at most 200 tokens beyond what the expert found.
func TestCompactReviews(t *testing.T) {
	for _, tool := range []string{"codereview", "precommit", "secaudit", "debug"} {
		t.Run(tool, func(t *testing.T) {
			l := newFixture(t, asktest.Says(expertSays(
				finding("high", "window.go", 4), with(finding("medium", "sum.go", 4), "title", "Sum misses its end"),
				with(finding("low", "window.go", 1), "quote", "package window"))), withTracker(&tracker{}), compactReplies)
			l.repository()
			args := dict{"step": strings.Repeat("Review the loops and the sums. ", 40)}
			files := []string{l.file("window.go", source+"// more\n"), l.file("sum.go", source)}
			if tool == "precommit" {
				args["path"] = l.dir
			} else {
				args["relevant_files"] = files
			}
			beyond := func(reply dict, text string) int {
				text = uuids.ReplaceAllString(strings.ReplaceAll(text, l.dir, "/home/ada/shop"), "3f6c1d0a-5b7e-4c8d-9a10-2b3c4d5e6f70")
				found, err := json.Marshal(reply["expert_analysis"])
				require.NoError(t, err)
				return o200k.Count(text) - o200k.Count(strings.ReplaceAll(string(found), l.dir, "/home/ada/shop"))
			}
			reply, text := l.try(t.Context(), tool, args)
			require.Len(t, at(reply, "expert_analysis", "findings"), 3)
			t.Logf("%d tokens beyond the findings", beyond(reply, text))
			assert.LessOrEqual(t, beyond(reply, text), 200, text)
			assert.Len(t, reply["tracked_issues"], 2)
			assert.Len(t, reply["coverage"], 2)
			if tool != "debug" {
				assert.Equal(t, "changes_required", reply["verdict"])
			}
			again, text := l.try(t.Context(), tool, with(args, "continuation_id", reply["continuation_id"]))
			assert.Equal(t, reply["expert_analysis"], again["expert_analysis"], "the stored reply")
			assert.LessOrEqual(t, beyond(again, text)-tokens(t, at(again, "metadata", "notes")), 200, text)
		})
	}
}
