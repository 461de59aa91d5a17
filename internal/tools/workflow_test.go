package tools

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/store"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// promised is what clients of the original know of a workflow tool: its words and keys, written down once more, so that a
// slip in a Spec shows.
type promised struct {
	pause, complete, final, skipped string
	counts                          string // the key of the status block
	own                             []string
	block                           string // the key of the completion block
	flags                           []string
	required                        string
	last                            string // the confidence that ends a run
	always                          bool   // an expert is asked at every end
	verdict                         bool
	prose                           bool // the expert answers in prose
	more                            dict // what the tool's arguments need besides
}

var investigators = map[string]promised{
	"debug": {
		pause: "pause_for_investigation", complete: "investigation_complete", final: "certain_confidence_proceed_with_fix",
		skipped: "skipped_due_to_certain_confidence", counts: "investigation_status", own: []string{"hypotheses_formed"},
		block: "complete_investigation", flags: []string{"investigation_complete"}, required: "investigation_required", last: "certain",
	},
	"analyze": {
		pause: "pause_for_analysis", complete: "analysis_complete", counts: "analysis_status",
		own: []string{"analysis_confidence", "insights_by_severity"}, block: "complete_analysis",
		flags: []string{"analysis_complete"}, required: "analyze_required", always: true,
	},
	"codereview": {
		pause: "pause_for_code_review", complete: "code_review_complete", final: "code_review_complete_ready_for_implementation",
		skipped: "skipped_due_to_certain_review_confidence", counts: "code_review_status", own: []string{"review_confidence", "issues_by_severity"},
		block: "complete_code_review", flags: []string{"code_review_complete"}, required: "codereview_required", last: "certain", verdict: true,
	},
	"refactor": {
		pause: "pause_for_refactoring_analysis", complete: "refactoring_analysis_complete",
		final:   "refactoring_analysis_complete_ready_for_implementation",
		skipped: "skipped_due_to_complete_refactoring_confidence", counts: "refactoring_status",
		own: []string{"refactor_confidence", "opportunities_by_type"}, block: "complete_refactoring",
		flags: []string{"refactoring_complete"}, required: "refactor_required", last: "complete",
	},
	"secaudit": {
		pause: "pause_for_security_audit", complete: "security_audit_complete", final: "security_analysis_complete",
		skipped: "skipped_due_to_certain_audit_confidence", counts: "security_audit_status",
		own: []string{"audit_confidence", "vulnerabilities_by_severity"}, block: "complete_security_audit",
		flags: []string{"security_audit_complete"}, required: "secaudit_required", last: "certain", verdict: true,
	},
	"testgen": {
		pause: "pause_for_test_analysis", complete: "test_generation_complete", final: "test_generation_complete_ready_for_implementation",
		skipped: "skipped_due_to_certain_test_confidence", counts: "test_generation_status",
		own: []string{"analysis_confidence", "test_scenarios_identified"}, block: "complete_test_generation",
		flags: []string{"test_generation_complete"}, required: "testgen_required", last: "certain", always: true, prose: true,
	},
	"precommit": {
		pause: "pause_for_validation", complete: "validation_complete", final: "validation_complete_ready_for_commit",
		skipped: "skipped_due_to_certain_validation_confidence", counts: "validation_status",
		own: []string{"assessment_confidence", "issues_identified"}, block: "complete_validation",
		flags: []string{"validation_complete"}, required: "precommit_required", last: "certain", always: true, verdict: true,
	},
	"thinkdeep": {
		pause: "pause_for_thinkdeep", complete: "thinkdeep_complete", final: "deep_thinking_complete_ready_for_implementation",
		skipped: "skipped_due_to_certain_thinking_confidence", counts: "thinkdeep_status", block: "complete_thinkdeep",
		flags: []string{"thinkdeep_complete", "thinking_complete"}, required: "thinkdeep_required", last: "certain", always: true, prose: true,
		more: dict{"problem_context": "a queue", "focus_areas": []string{"order"}},
	},
}

// eachInvestigator runs a test for each of the eight tools that an expert judges.
func eachInvestigator(t *testing.T, test func(t *testing.T, tool string, p promised)) {
	for _, tool := range slices.Sorted(maps.Keys(investigators)) {
		t.Run(tool, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, tool, investigators[tool]) })
		})
	}
}

// step are a step's arguments.
func (l *lab) step(tool string, n, total int, more ...any) dict {
	args := dict{
		"step": fmt.Sprintf("Step %d: why does the window miss its end?", n), "step_number": n, "total_steps": total,
		"next_step_required": n < total, "findings": fmt.Sprintf("Finding of step %d.", n),
	}
	maps.Copy(args, investigators[tool].more)
	return with(args, more...)
}

const source = "package window\n\nfunc Sum(n []int) (s int) {\n\tfor i := 0; i < len(n)-1; i++ {\n\t\ts += n[i]\n\t}\n\treturn s\n}\n"

func (p promised) answer(l *lab) string {
	if p.prose {
		return "Do it. The loop `i < len(n)-1` in window.go:4 ends too soon."
	}
	return expertSays(finding("high", "window.go", 4), finding("low", "gone.go", 1), dict{"severity": "low", "title": "No file"})
}

// The whole life of a run: first step, middle, backtrack, sent again, end with an expert, sent again.
func TestWorkflowRun(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newLab(t, nil)
		l.glm = asktest.Says(p.answer(l))
		l.restart()
		window := l.file("window.go", source)
		other := l.file("other.go", "package window\n")

		first := l.call(tool, l.step(tool, 1, 3, "relevant_files", []string{window}, "files_checked", []string{window, other}, "hypothesis", "off by one"))
		assert.Equal(t, p.pause, first["status"])
		keys := []string{
			"status", "step_number", "total_steps", "next_step_required", "continuation_id", p.counts, "file_context", "next_call", p.required,
			"required_actions", "next_steps", "continuation_required", "continuation_available", "next_step_number", "metadata",
		}
		if tool == "thinkdeep" {
			keys = append(keys, "thinking_status")
		}
		assert.ElementsMatch(t, keys, keysOf(first))
		assert.Equal(t, true, first["next_step_required"])
		assert.Equal(t, true, first[p.required])
		assert.Equal(t, true, first["continuation_required"])
		assert.Equal(t, true, first["continuation_available"])
		assert.EqualValues(t, 2, first["next_step_number"])
		assert.NotEmpty(t, first["required_actions"])
		assert.Contains(t, first["next_steps"], "step_number 2")
		assert.NotContains(t, first["next_steps"], `\n`)
		assert.Equal(t, "reference_only", at(first, "file_context", "type"))
		assert.ElementsMatch(t, slices.Concat(p.own, []string{
			"files_checked", "relevant_files", "relevant_context", "issues_found", "images_collected", "current_confidence",
		}), keysOf(first[p.counts]))
		assert.EqualValues(t, 2, at(first, p.counts, "files_checked"))
		assert.EqualValues(t, 1, at(first, p.counts, "relevant_files"))
		metadata := keysOf(first["metadata"])
		assert.Subset(t, []string{"tool_name", "duration_ms", "notes"}, metadata, "no model answered")
		assert.Equal(t, tool, at(first, "metadata", "tool_name"))
		id := first["continuation_id"].(string)
		assert.Regexp(t, "^"+uuids.String()+"$", id)

		// next_call is valid as it stands, and keeps what the next step needs.
		next := l.nextCall(first)
		assert.EqualValues(t, 2, next["step_number"])
		assert.EqualValues(t, 3, next["total_steps"])
		assert.Equal(t, true, next["next_step_required"])
		assert.NotContains(t, next, "files_checked")

		issues := []dict{{"severity": "high", "description": "ends too soon", "type": "codesmells"}, {"description": "no test"}}
		second := l.call(tool, with(next, "step", "Step 2", "findings", "Read it.", "issues_found", issues, "relevant_context", []string{"Sum"}))
		assert.Equal(t, p.pause, second["status"])
		assert.EqualValues(t, 2, at(second, p.counts, "issues_found"))
		assert.EqualValues(t, 1, at(second, p.counts, "relevant_context"))
		assert.EqualValues(t, 2, at(second, p.counts, "files_checked"), "the run remembers")
		for key, want := range map[string]dict{
			"insights_by_severity": {"high": 1.0, "medium": 1.0}, "issues_by_severity": {"high": 1.0, "medium": 1.0},
			"vulnerabilities_by_severity": {"high": 1.0, "medium": 1.0}, "opportunities_by_type": {"codesmells": 1.0, "unspecified": 1.0},
		} {
			if slices.Contains(p.own, key) {
				assert.Equal(t, want, at(second, p.counts, key))
			}
		}
		final := l.nextCall(second)
		assert.Equal(t, false, final["next_step_required"], "the last step that was announced")

		// Sent again: the stored reply, without a word to anybody.
		again := l.call(tool, with(next, "step", "Step 2", "findings", "Read it.", "issues_found", issues, "relevant_context", []string{"Sum"}))
		assert.True(t, noteIn(again, "stored reply"))
		delete(again, "metadata")
		delete(second, "metadata")
		assert.Equal(t, second, again)

		// A backtrack takes step 2 back.
		third := l.call(tool, l.step(tool, 3, 4, "continuation_id", id, "backtrack_from_step", 2, "relevant_files", []string{window}))
		assert.EqualValues(t, 0, at(third, p.counts, "issues_found"))
		assert.NotContains(t, l.nextCall(third), "backtrack_from_step")
		assert.Zero(t, l.asked())

		end := l.step(tool, 4, 4, "continuation_id", id, "relevant_files", []string{window}, "issues_found", []dict{{"severity": "low", "description": "name"}})
		done := l.call(tool, end)
		assert.Equal(t, 1, l.asked())
		assert.Equal(t, p.complete, done["status"])
		assert.Equal(t, false, done["next_step_required"])
		assert.Equal(t, id, done["continuation_id"])
		for _, flag := range p.flags {
			assert.Equal(t, true, done[flag], flag)
		}
		assert.NotContains(t, done, "next_call")
		assert.NotContains(t, done, "skip_expert_analysis")
		block := at(done, p.block)
		assert.ElementsMatch(t, []string{"initial_request", "steps_taken", "files_examined", "relevant_files", "relevant_context", "issues_found", "work_summary"}, keysOf(block))
		assert.Equal(t, "Step 1: why does the window miss its end?", at(block, "initial_request"))
		assert.EqualValues(t, 3, at(block, "steps_taken"))
		assert.Equal(t, []any{}, at(block, "relevant_context"), "of step 2, which was taken back")
		assert.Equal(t, "analysis_complete", at(done, "expert_analysis", "status"))
		if p.prose {
			assert.Equal(t, p.answer(l), at(done, "expert_analysis", "raw_analysis"))
		} else {
			assert.Equal(t, "verified", at(done, "expert_analysis", "findings", 0, "citation"))
			assert.Equal(t, "not_found", at(done, "expert_analysis", "findings", 1, "citation"))
			assert.NotContains(t, at(done, "expert_analysis", "findings", 2), "citation")
		}
		assert.Equal(t, "fully_embedded", at(done, "file_context", "type"))
		assert.EqualValues(t, 1, at(done, "file_context", "files_embedded"))
		assert.Equal(t, window, at(done, "file_context", "manifest", "sent", 0, "path"))
		if p.verdict {
			assert.Equal(t, "changes_required", done["verdict"])
		} else {
			assert.NotContains(t, done, "verdict")
		}
		assert.Equal(t, tool != "thinkdeep", done["important_considerations"] != nil)
		if tool == "thinkdeep" {
			assert.Equal(t, []any{"order"}, at(done, "thinking_status", "analysis_focus"))
			assert.ElementsMatch(t, []string{"steps_completed", "final_confidence", "relevant_context", "key_findings", "issues_identified", "files_analyzed"}, keysOf(done["complete_thinking"]))
			assert.NotEmpty(t, done["completion_message"])
		}
		for _, key := range []string{"model_used", "provider_used", "duration_ms", "attempts", "finish_reason", "usage", "thinking"} {
			assert.Contains(t, done["metadata"], key)
		}
		assert.Equal(t, "glm-5.3", at(done, "metadata", "model_used"))

		// What the expert was told.
		prompt := l.prompt()
		for _, part := range []string{"   4| \tfor i := 0; i < len(n)-1; i++ {", "Step 1: why does the window", "Finding of step 3.", "[LOW]"} {
			assert.Contains(t, prompt, part)
		}
		assert.NotContains(t, prompt, "Read it.", "step 2 was taken back")
		system := l.system()
		assert.Contains(t, system, "second opinion on another agent's work")
		assert.Contains(t, system, "Today is ")
		assert.Equal(t, !p.prose, strings.Contains(system, `"findings": [`))
		if tool == "thinkdeep" {
			assert.Contains(t, prompt, "problem context: a queue")
			assert.Contains(t, prompt, "focus areas: order")
		}

		// Sent again: stored, with the metadata of the answer.
		stored := l.call(tool, end)
		assert.Equal(t, 1, l.asked())
		assert.Equal(t, at(done, "metadata", "usage"), at(stored, "metadata", "usage"))
		assert.True(t, noteIn(stored, "no model was asked"))
		delete(stored, "metadata")
		delete(done, "metadata")
		assert.Equal(t, done, stored)
	})
}

// The ways in which a run ends without an expert's answer. The completion block is always there, and the step never fails.
func TestWorkflowEndsWithoutAnExpert(t *testing.T) {
	for name, c := range map[string]struct {
		set    func(l *lab)
		args   []any
		glm    asktest.Chat
		status string // expert_analysis.status; "" for the tool's own word
		text   string // in reason or error.code
	}{
		"switched off":       {set: func(l *lab) { l.cfg.Expert.Enabled = false }, status: "skipped", text: "EXPERT_ANALYSIS_ENABLED"},
		"refused":            {args: []any{"use_assistant_model", false}, status: "skipped", text: "use_assistant_model"},
		"refused by default": {set: func(l *lab) { l.cfg.Expert.UseAssistantModel = false }, status: "skipped", text: "DEFAULT_USE_ASSISTANT_MODEL"},
		"certain":            {args: []any{"confidence", "LAST"}},
		"no key":             {set: func(l *lab) { l.glm = nil }, status: "analysis_error", text: "not_configured"},
		"refused by the vendor": {
			glm:    fails(providers.Error{Kind: providers.KindInvalidRequest, HTTPStatus: 400, Message: "The vendor refused."}),
			status: "analysis_error", text: "invalid_request",
		},
		"no balance": {glm: fails(providers.Error{Kind: providers.KindBalance, Message: "The account is empty."}), status: "analysis_error", text: "balance"},
		"silent":     {glm: silent, status: "analysis_timeout", text: "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			eachInvestigator(t, func(t *testing.T, tool string, p promised) {
				set := c.set
				if set == nil {
					set = func(*lab) {}
				}
				glm := c.glm
				if glm == nil {
					glm = asktest.Says(p.answer(nil))
				}
				l := newLab(t, glm, set)
				window := l.file("window.go", source)
				args := l.step(tool, 1, 1, "relevant_files", []string{window}, "hypothesis", "off by one")
				args = with(args, c.args...)
				if args["confidence"] == "LAST" {
					if p.last == "" {
						return // no confidence ends it
					}
					args["confidence"] = p.last
				}
				done := l.call(tool, args)
				want := c.status
				if want == "" {
					want = p.skipped
					assert.Equal(t, p.final, done["status"])
					assert.Equal(t, true, done["skip_expert_analysis"])
					assert.Equal(t, "off by one", at(done, p.block, "final_analysis"))
					assert.Equal(t, p.last, at(done, p.block, "confidence_level"))
				} else {
					assert.Equal(t, p.complete, done["status"])
					assert.NotContains(t, done, "skip_expert_analysis")
				}
				assert.Equal(t, want, at(done, "expert_analysis", "status"))
				if c.text != "" {
					assert.Contains(t, fmt.Sprint(at(done, "expert_analysis", "reason"), at(done, "expert_analysis", "error", "code")), c.text)
				}
				if attempts := at(done, "metadata", "attempts"); l.asked() > 0 {
					assert.EqualValues(t, l.asked(), attempts, "what was asked in vain counts")
				} else {
					assert.Nil(t, attempts)
				}
				assert.NotNil(t, done[p.block])
				for _, flag := range p.flags {
					assert.Equal(t, true, done[flag])
				}
				if p.verdict {
					assert.Equal(t, "inconclusive", done["verdict"])
				}
				assert.NotEqual(t, "error", done["status"])
				if c.status == "skipped" || c.status == "" {
					assert.Zero(t, l.asked())
				}
				if c.status == "analysis_error" || c.status == "analysis_timeout" {
					assert.Contains(t, at(done, "expert_analysis", "note"), "Send it again unchanged")
					assert.EqualValues(t, 0, at(done, "file_context", "files_embedded"), "nobody has read them")
				}
			})
		})
	}
}

// With a single finding and nothing else there is nothing to judge, except where an expert always is asked.
func TestNothingToJudge(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newLab(t, asktest.Says(p.answer(nil)))
		l.file("window.go", source)
		done := l.call(tool, l.step(tool, 1, 1))
		assert.Equal(t, p.complete, done["status"])
		assert.NotNil(t, done[p.block])
		switch {
		case tool == "precommit":
			assert.Equal(t, "skipped", at(done, "expert_analysis", "status"), "there is no repository")
		case p.always:
			assert.Equal(t, "analysis_complete", at(done, "expert_analysis", "status"))
		default:
			assert.Equal(t, "skipped", at(done, "expert_analysis", "status"))
			assert.Contains(t, at(done, "expert_analysis", "reason"), "nothing for an expert to judge")
			assert.Zero(t, l.asked())
		}
		if p.verdict {
			assert.Equal(t, "inconclusive", done["verdict"])
		}
	})
}

// A failed expert alone is asked again when the step is sent again: its place and its counts stay.
func TestFailedExpertIsAskedAgain(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newLab(t, fails(providers.Error{Kind: providers.KindBalance, Message: "The account is empty."}))
		window := l.file("window.go", source)
		first := l.call(tool, l.step(tool, 1, 2, "relevant_files", []string{window}))
		end := l.step(tool, 2, 2, "continuation_id", first["continuation_id"], "issues_found", []dict{{"severity": "low", "description": "x"}})
		failed := l.call(tool, end)
		require.Equal(t, "analysis_error", at(failed, "expert_analysis", "status"))
		later := l.call(tool, l.step(tool, 3, 4, "continuation_id", first["continuation_id"]))
		require.Equal(t, p.pause, later["status"])

		l.restart()
		l.glm = asktest.Says(p.answer(l))
		again := l.call(tool, end)
		assert.Equal(t, p.complete, again["status"])
		assert.Equal(t, "analysis_complete", at(again, "expert_analysis", "status"))
		assert.Equal(t, failed[p.counts], again[p.counts])
		assert.Equal(t, at(failed, p.block, "steps_taken"), at(again, p.block, "steps_taken"))
		asked := l.asked()

		stored := l.call(tool, end)
		assert.Equal(t, asked, l.asked())
		assert.Equal(t, again["expert_analysis"], stored["expert_analysis"])

		fourth := l.call(tool, l.step(tool, 4, 5, "continuation_id", first["continuation_id"]))
		assert.EqualValues(t, 1, at(fourth, p.counts, "issues_found"), "later steps stand")
	})
}

// An expert that takes longer than the call goes on in the background; the step, sent again, fetches.
func TestPartialExpert(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newLab(t, nil)
		l.glm = slowly(90, p.answer(l)+strings.Repeat(" ", 200))
		l.restart()
		window := l.file("window.go", source)
		args := l.step(tool, 1, 1, "relevant_files", []string{window})
		start := time.Now()
		part := l.call(tool, args)
		assert.Less(t, time.Since(start), 55*time.Second)
		assert.Equal(t, p.complete, part["status"])
		assert.Equal(t, "partial", at(part, "expert_analysis", "status"))
		assert.NotEmpty(t, at(part, "expert_analysis", "content"))
		assert.Contains(t, at(part, "expert_analysis", "note"), "still writing")
		assert.Equal(t, "timeout", at(part, "metadata", "finish_reason"))
		assert.NotNil(t, part[p.block])
		if p.verdict {
			assert.Equal(t, "inconclusive", part["verdict"])
		}
		args["continuation_id"] = part["continuation_id"]

		// At once: waits for the rest, which takes the place of the part.
		whole := l.call(tool, args)
		assert.Equal(t, 1, l.asked(), "nothing is asked twice")
		assert.Equal(t, 90*time.Second, time.Since(start).Round(time.Second))
		assert.Equal(t, "analysis_complete", at(whole, "expert_analysis", "status"))
		assert.Equal(t, "stop", at(whole, "metadata", "finish_reason"))
		assert.Equal(t, part[p.counts], whole[p.counts])
		if p.verdict {
			assert.Equal(t, "changes_required", whole["verdict"])
		}

		l.restart()
		stored := l.call(tool, args)
		assert.Equal(t, whole["expert_analysis"], stored["expert_analysis"])
		assert.Equal(t, 1, l.asked())
	})
}

// Nobody has to fetch: the stored step becomes whole by itself.
func TestBackgroundExpertCompletesItsStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, slowly(90, expertSays(finding("high", "window.go", 4))))
		window := l.file("window.go", source)
		args := l.step("codereview", 1, 1, "relevant_files", []string{window})
		part := l.call("codereview", args)
		time.Sleep(2 * time.Minute)
		l.restart()
		args["continuation_id"] = part["continuation_id"]
		start := time.Now()
		whole := l.call("codereview", args)
		assert.Zero(t, time.Since(start))
		assert.Equal(t, "changes_required", whole["verdict"])
		assert.Equal(t, "verified", at(whole, "expert_analysis", "findings", 0, "citation"))
		assert.True(t, noteIn(whole, "stored reply"))
		assert.Equal(t, 1, l.asked())
	})
}

// The process dies while the expert writes: what had arrived stays, and the step asks anew.
func TestExpertOfADeadProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, slowly(90, expertSays(finding("high", "window.go", 4))))
		window := l.file("window.go", source)
		args := l.step("debug", 1, 1, "relevant_files", []string{window})
		part := l.call("debug", args)
		args["continuation_id"] = part["continuation_id"]
		l.restart() // ends the answer
		l.glm = asktest.Says(expertSays())
		whole := l.call("debug", args)
		assert.Equal(t, "analysis_complete", at(whole, "expert_analysis", "status"))
		assert.True(t, noteIn(whole, "asked again"))
		assert.Equal(t, 2, l.asked())
	})
}

// The answer goes on in one process, and is fetched in another.
func TestExpertIsFetchedByAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &tracker{}
		l := newLab(t, slowly(90, expertSays(finding("high", "window.go", 4))), withTracker(seen))
		window := l.file("window.go", source)
		args := l.step("codereview", 1, 1, "relevant_files", []string{window}, "issues_found", reported)
		start := time.Now()
		args["continuation_id"] = l.call("codereview", args)["continuation_id"]
		other := l.twin()
		whole := other.call("codereview", args)
		assert.InDelta(t, 90, time.Since(start).Seconds(), 1)
		assert.Equal(t, "changes_required", whole["verdict"])
		assert.Len(t, whole["tracked_issues"], 3)
		assert.Len(t, seen.titles(), 2, "what the first process recorded is not recorded again")
		assert.Zero(t, other.asked())
	})
}

// A run is taken up by another process at any step.
func TestRunGoesOnInAnotherProcess(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newLab(t, asktest.Says(p.answer(nil)))
		window := l.file("window.go", source)
		other := l.twin()
		id := l.call(tool, l.step(tool, 1, 3, "relevant_files", []string{window}))["continuation_id"]
		second := other.call(tool, l.step(tool, 2, 3, "continuation_id", id, "relevant_context", []string{"Sum"}))
		assert.EqualValues(t, 1, at(second, p.counts, "relevant_files"))
		done := l.call(tool, l.step(tool, 3, 3, "continuation_id", id))
		assert.EqualValues(t, 3, at(done, p.block, "steps_taken"))
		assert.Equal(t, []any{"Sum"}, at(done, p.block, "relevant_context"))
	})
}

// A database keeps runs as the map of the other tests does: places, drops, answers and stored replies.
func TestRunsOnADatabase(t *testing.T) {
	run := func(t *testing.T, tool string, set ...func(l *lab)) (texts []string) {
		l := newLab(t, asktest.Says(investigators[tool].answer(nil)), set...)
		window := l.file("window.go", source)
		var id any
		for _, args := range l.script(tool, window) {
			reply, text := l.try(t.Context(), tool, with(args(id), "confidence", nil))
			require.NotEqual(t, "error", reply["status"], text)
			id = reply["continuation_id"]
			texts = append(texts, regexp.MustCompile(`"duration_ms":\d+`).ReplaceAllString(l.stable(text), ""))
		}
		return texts
	}
	for tool := range investigators {
		t.Run(tool, func(t *testing.T) {
			assert.Equal(t, run(t, tool), run(t, tool, onDatabase(t)))
		})
	}
}

// onDatabase puts a lab on a database of its own.
func onDatabase(t *testing.T) func(l *lab) {
	s, err := store.Open(t.Context(), config.Conversations{Backend: "sqlite", StateDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return func(l *lab) {
		l.openStore = func(context.Context) (conversation.Store, error) { return s, nil }
	}
}

// A fetch that runs out of time is partial again, with more text.
func TestFetchIsPartialAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, slowly(200, strings.Repeat("x", 400)))
		window := l.file("window.go", source)
		args := l.step("debug", 1, 1, "relevant_files", []string{window})
		part := l.call("debug", args)
		args["continuation_id"] = part["continuation_id"]
		more := l.call("debug", args)
		assert.Equal(t, "partial", at(more, "expert_analysis", "status"))
		assert.Greater(t, len(at(more, "expert_analysis", "content").(string)), len(at(part, "expert_analysis", "content").(string))+60)
		assert.Equal(t, 1, l.asked())

		chat := l.call("chat", dict{"prompt": "", "continuation_id": part["continuation_id"]})
		assert.Equal(t, "partial", chat["status"], "chat fetches the same answer")
	})
}

// A new step that would ask an expert waits for the old answer, or is busy; a pause does not wait.
func TestNewStepWhileTheExpertWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, slowly(200, strings.Repeat("x", 400)))
		window := l.file("window.go", source)
		part := l.call("debug", l.step("debug", 1, 1, "relevant_files", []string{window}))
		id := part["continuation_id"]
		start := time.Now()
		pause := l.call("debug", l.step("debug", 2, 4, "continuation_id", id))
		assert.Zero(t, time.Since(start))
		assert.Equal(t, "pause_for_investigation", pause["status"])
		assert.Equal(t, "conversation_busy", l.errorCode("debug", l.step("debug", 3, 3, "continuation_id", id)))
		assert.Equal(t, 1, l.asked(), "nothing was sent")
		time.Sleep(time.Minute)
		done := l.call("debug", l.step("debug", 3, 3, "continuation_id", id))
		assert.Equal(t, "investigation_complete", done["status"])
		assert.Equal(t, 2, l.asked())
	})
}

// A run sent anew with other arguments replaces its step and drops later ones; a number not seen yet takes its place.
func TestStepsReplaceAndTakeTheirPlace(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newLab(t, asktest.Says(p.answer(nil)))
		window := l.file("window.go", source)
		id := l.call(tool, l.step(tool, 1, 9, "files_checked", []string{window}, "relevant_files", []string{window}))["continuation_id"]
		for n := 2; n <= 4; n++ {
			l.call(tool, l.step(tool, n, 9, "continuation_id", id, "relevant_context", []string{fmt.Sprint(n)}))
		}
		replaced := l.call(tool, l.step(tool, 3, 9, "continuation_id", id, "relevant_context", []string{"other"}))
		assert.EqualValues(t, 2, at(replaced, p.counts, "relevant_context"), "2 and other")
		far := l.call(tool, l.step(tool, 7, 9, "continuation_id", id, "relevant_context", []string{"7"}))
		assert.EqualValues(t, 3, at(far, p.counts, "relevant_context"))
		between := l.call(tool, l.step(tool, 5, 9, "continuation_id", id, "relevant_context", []string{"5"}))
		assert.EqualValues(t, 4, at(between, p.counts, "relevant_context"))
		anew := l.call(tool, l.step(tool, 1, 9, "continuation_id", id, "findings", "another begin", "relevant_files", []string{window}))
		assert.EqualValues(t, 0, at(anew, p.counts, "relevant_context"), "everything was dropped")
	})
}

// Step 1 without a continuation_id is always a new run; a later one is, too, and says so.
func TestStepsWithoutAnID(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newLab(t, asktest.Says(p.answer(nil)))
		window := l.file("window.go", source)
		args := l.step(tool, 1, 3, "relevant_files", []string{window})
		one, two := l.call(tool, args), l.call(tool, args)
		assert.NotEqual(t, one["continuation_id"], two["continuation_id"])
		assert.False(t, noteIn(two, "stored"))
		third := l.call(tool, l.step(tool, 3, 5, "relevant_files", []string{window}))
		assert.NotEqual(t, one["continuation_id"], third["continuation_id"])
		assert.True(t, noteIn(third, "begins a new run"))
		assert.EqualValues(t, 1, at(third, p.counts, "relevant_files"))
		assert.Equal(t, "conversation_not_found", l.errorCode(tool, with(args, "continuation_id", "no-such-id")))
	})
}

// script is a whole run of a tool as calls that follow from each other's replies.
func (l *lab) script(tool, window string) []func(id any) dict {
	return []func(id any) dict{
		func(any) dict {
			return l.step(tool, 1, 4, "relevant_files", []string{window}, "hypothesis", tool+" guesses")
		},
		func(id any) dict {
			return l.step(tool, 2, 4, "continuation_id", id, "issues_found", []dict{{"severity": "high", "description": "of " + tool}})
		},
		func(id any) dict {
			return l.step(tool, 3, 4, "continuation_id", id, "backtrack_from_step", 2, "confidence", "high")
		},
		func(id any) dict { return l.step(tool, 3, 4, "continuation_id", id, "findings", "other") },
		func(id any) dict { return l.step(tool, 4, 4, "continuation_id", id) },
		func(id any) dict { return l.step(tool, 4, 4, "continuation_id", id) },
	}
}

// The replies of a run are the same whether it runs alone, among others, or across processes.
func TestRunsDoNotSeeEachOther(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		run := func(between func(l *lab, i int)) (texts []string) {
			l := newLab(t, asktest.Says(p.answer(nil)))
			window := l.file("window.go", source)
			var id any
			for i, args := range l.script(tool, window) {
				if between != nil {
					between(l, i)
				}
				reply, text := l.try(t.Context(), tool, with(args(id), "confidence", nil))
				require.NotEqual(t, "error", reply["status"], text)
				id = reply["continuation_id"]
				texts = append(texts, l.stable(text))
			}
			return texts
		}
		alone := run(nil)
		assert.Equal(t, alone, run(func(l *lab, _ int) { l.restart() }), "a restart before every step")

		ids := map[string]any{}
		assert.Equal(t, alone, run(func(l *lab, i int) {
			for other := range investigators { // each of them one step further, in threads of their own
				name := "another " + other
				window := l.file("another.go", "package another\n")
				reply := l.call(other, with(l.script(other, window)[i](ids[name]), "confidence", nil, "findings", "of "+name))
				ids[name] = reply["continuation_id"]
			}
		}), "other runs between the steps")
	})
}

func TestEarlyTermination(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newLab(t, asktest.Says(p.answer(nil)))
		window := l.file("window.go", source)
		last := p.last
		if last == "" {
			last = "certain"
		}
		id := l.call(tool, l.step(tool, 1, 5, "relevant_files", []string{window}))["continuation_id"]
		done := l.call(tool, l.step(tool, 2, 5, "continuation_id", id, "confidence", last, "relevant_files", []string{window}, "findings", strings.Repeat("found ", 20)))
		assert.Equal(t, true, done["early_termination"])
		assert.Contains(t, done["early_termination_reason"], "step 2")
		assert.Equal(t, false, done["next_step_required"])
		if p.last == "" {
			assert.Equal(t, p.complete, done["status"], "an expert is asked all the same")
			assert.Equal(t, 1, l.asked())
		} else {
			assert.Equal(t, p.final, done["status"])
			assert.Zero(t, l.asked())
		}
	})
}

// An expert that needs a file gets it once, within the same call; then the word goes to the caller.
func TestExpertAsksForFiles(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newLab(t, nil)
		window := l.file("window.go", source)
		extra := l.file("extra.go", "package window // the other half\n")
		third := l.file("third.go", "package window // the third\n")
		wants := func(path string) string {
			return fmt.Sprintf(`{"status": "files_required_to_continue", "mandatory_instructions": "The caller's file.", "files_needed": [%q]}`, path)
		}
		answers := []string{wants(extra), p.answer(l)}
		l.glm = func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			answer := answers[0]
			answers = answers[1:]
			return asktest.Says(answer)(ctx, req, on)
		}
		l.restart()
		served := l.call(tool, l.step(tool, 1, 1, "relevant_files", []string{window}))
		assert.Equal(t, p.complete, served["status"])
		assert.Equal(t, 2, l.asked())
		assert.Contains(t, l.prompt(), "the other half")
		assert.Contains(t, l.prompt(), "The files that you asked for")
		assert.EqualValues(t, 2, at(served, "file_context", "files_embedded"))
		assert.EqualValues(t, 2, at(served, "metadata", "attempts"))
		assert.EqualValues(t, 20, at(served, "metadata", "usage", "input_tokens"), "both requests count")

		answers = []string{wants(extra), wants(third), p.answer(l)}
		paused := l.call(tool, l.step(tool, 1, 1, "relevant_files", []string{window}))
		assert.Equal(t, "files_required_to_continue", paused["status"])
		assert.Equal(t, wants(third), paused["content"])
		assert.NotContains(t, paused, p.block)
		assert.NotContains(t, paused, "expert_analysis")
		for _, flag := range p.flags {
			assert.NotContains(t, paused, flag)
		}
		next := l.nextCall(paused)
		assert.EqualValues(t, 2, next["step_number"])
		assert.Equal(t, false, next["next_step_required"])
		assert.Contains(t, next["relevant_files"], third)
		again := l.call(tool, l.step(tool, 1, 1, "relevant_files", []string{window}, "continuation_id", paused["continuation_id"]))
		assert.Equal(t, "files_required_to_continue", again["status"], "the stored reply")
		assert.Len(t, answers, 1)

		done := l.call(tool, next)
		assert.Equal(t, p.complete, done["status"])
		assert.Contains(t, l.prompt(), "the third")
	})
}

// A file that the expert asks for is never one that may not be read.
func TestExpertAsksForARefusedFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, asktest.Says(`{"status": "files_required_to_continue", "files_needed": [".env", "/etc/passwd"]}`))
		window := l.file("window.go", source)
		l.file(".env", "KEY=secret-value")
		paused, text := l.try(t.Context(), "debug", l.step("debug", 1, 1, "relevant_files", []string{window}))
		assert.Equal(t, "files_required_to_continue", paused["status"])
		assert.NotContains(t, text, "secret-value")
		assert.NotContains(t, fmt.Sprint(l.requests), "secret-value")
		assert.Equal(t, 1, l.asked(), "there was nothing to ask again with")
		next := l.nextCall(paused)
		assert.Equal(t, []any{window}, next["relevant_files"], "next_call stays valid")
		l.call("debug", next)
	})
}

// Bad arguments fail the step, whatever an expert would have said; nothing is stored of it.
func TestBadArgumentsFailTheStep(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newLab(t, asktest.Says(p.answer(nil)))
		window := l.file("window.go", source)
		l.file(".env", "KEY=1")
		ok := l.step(tool, 1, 1, "relevant_files", []string{window})
		for _, c := range []struct {
			name string
			more []any
			code string
		}{
			{"outside of the roots", []any{"relevant_files", []string{"/etc/passwd"}}, "path_denied"},
			{"refused by name", []any{"files_checked", []string{".env"}}, "path_denied"},
			{"an image that is none", []any{"images", []string{window}}, "invalid_request"},
			{"an image elsewhere", []any{"images", []string{"/etc/shadow.png"}}, "path_denied"},
			{"an image at a web address", []any{"images", []string{"https://example.org/a.png"}}, "invalid_request"},
			{"a model that is none", []any{"model", "no-such-model"}, "model_not_found"},
			{"a model that is blind", []any{"model", "glm-5.3", "images", []string{onePixel}}, "invalid_request"},
			{"confidence", []any{"confidence", "sure"}, "invalid_request"},
			{"step_number", []any{"step_number", 0}, "invalid_request"},
			{"temperature", []any{"temperature", 3}, "invalid_request"},
		} {
			assert.Equal(t, c.code, l.errorCode(tool, with(ok, c.more...)), c.name)
		}
		assert.Zero(t, l.asked())
		list, err := l.store.List(t.Context(), conversation.Filter{})
		require.NoError(t, err)
		assert.Empty(t, list)
	})
}

// A file that is not there is noted, not refused; more of them are named up to a bound.
func TestMissingFilesAreNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, asktest.Says(expertSays()))
		var gone []string
		for i := range 30 {
			gone = append(gone, fmt.Sprintf("gone%d.go", i))
		}
		r := l.call("debug", l.step("debug", 1, 2, "files_checked", gone))
		assert.True(t, noteIn(r, "Not found: gone0.go"))
		assert.True(t, noteIn(r, "and 20 more"))
		done := l.call("debug", l.step("debug", 2, 2, "continuation_id", r["continuation_id"], "relevant_files", []string{"gone0.go"}))
		assert.Equal(t, "reference_only", at(done, "file_context", "type"))
		assert.Contains(t, l.prompt(), "gone0.go: not given")
	})
}

// When the store does not confirm, the answer still goes out, and promises nothing.
func TestStoreThatDoesNotConfirm(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		broken := true
		l := newLab(t, asktest.Says(p.answer(nil)), func(l *lab) {
			l.store.Before = func(_ context.Context, op string) error {
				if broken && op == "append" {
					return errors.New("disk full")
				}
				return nil
			}
		})
		window := l.file("window.go", source)
		pause := l.call(tool, l.step(tool, 1, 2, "relevant_files", []string{window}))
		assert.Equal(t, p.pause, pause["status"])
		assert.Equal(t, false, at(pause, "metadata", "stored"))
		assert.NotContains(t, pause, "continuation_id")
		assert.Equal(t, false, pause["continuation_available"])
		assert.NotContains(t, l.nextCall(pause), "continuation_id")
		assert.True(t, noteIn(pause, "not kept"))

		done := l.call(tool, l.step(tool, 1, 1, "relevant_files", []string{window}))
		assert.Equal(t, p.complete, done["status"])
		assert.Equal(t, "analysis_complete", at(done, "expert_analysis", "status"))
		assert.Equal(t, false, at(done, "metadata", "stored"))

		broken = false
		id := l.call(tool, l.step(tool, 1, 3, "relevant_files", []string{window}))["continuation_id"]
		broken = true
		second := l.call(tool, l.step(tool, 2, 3, "continuation_id", id))
		assert.Equal(t, id, second["continuation_id"], "the run is there up to step 1")
		assert.Equal(t, false, at(second, "metadata", "stored"))
		broken = false
		third := l.call(tool, l.step(tool, 3, 4, "continuation_id", id))
		assert.EqualValues(t, 1, at(third, p.counts, "relevant_files"))
	})
}

// An answer that could not be stored does not go on in the background, and does not say so.
func TestPartialThatIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, slowly(90, strings.Repeat("x", 200)), func(l *lab) {
			l.store.Before = func(_ context.Context, op string) error {
				if op == "append" {
					return errors.New("disk full")
				}
				return nil
			}
		})
		window := l.file("window.go", source)
		part, text := l.try(t.Context(), "debug", l.step("debug", 1, 1, "relevant_files", []string{window}))
		assert.Equal(t, "partial", at(part, "expert_analysis", "status"))
		assert.NotContains(t, text, "still writing")
		assert.NotContains(t, text, "in the background")
		synctest.Wait()
		assert.Empty(t, l.deps.Caller.Background())
	})
}

// A cancelled call stores what had arrived; the step, sent again, asks anew.
func TestCancelledExpert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, slowly(40, strings.Repeat("x", 80)))
		window := l.file("window.go", source)
		id := l.call("debug", l.step("debug", 1, 2, "relevant_files", []string{window}))["continuation_id"]
		end := l.step("debug", 2, 2, "continuation_id", id)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(10 * time.Second)
			cancel()
		}()
		start := time.Now()
		l.try(ctx, "debug", end)
		assert.Less(t, time.Since(start), 12*time.Second)
		thread, err := l.store.Load(t.Context(), id.(string))
		require.NoError(t, err)
		last := thread.Turns[len(thread.Turns)-1]
		assert.Equal(t, conversation.TurnPartial, last.Status)
		assert.NotEmpty(t, last.Content)

		l.glm = asktest.Says(expertSays())
		done := l.call("debug", end)
		assert.Equal(t, "analysis_complete", at(done, "expert_analysis", "status"))
	})
}

// A step beyond MCP_PROMPT_SIZE_LIMIT is a normal result that says how to send it.
func TestStepTooLong(t *testing.T) {
	for _, tool := range workflows {
		t.Run(tool, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, asktest.Says("x"), func(l *lab) { l.cfg.Files.PromptSizeLimit = 100 })
				args := minimalArgs(t, tool)
				args["step"] = strings.Repeat("é", 100)
				reply, text := l.try(t.Context(), tool, args)
				assert.NotEqual(t, "resend_prompt", reply["status"], text)
				args["step"] = strings.Repeat("é", 101)
				reply = l.call(tool, args)
				assert.Equal(t, "resend_prompt", reply["status"])
				assert.Contains(t, reply["content"], "step has 101 characters")
				assert.EqualValues(t, 100, at(reply, "metadata", "limit"))
			})
		})
	}
}

// The expert's long answer is cut at a paragraph's end, and chat reads the rest.
func TestLongExpertAnswerIsReadOn(t *testing.T) {
	for name, answer := range map[string]string{
		"prose": strings.Repeat("A paragraph of the expert's answer.\n\n", 2000),
		"findings": func() string {
			var list []dict
			for i := range 60 {
				f := finding("high", "window.go", 4)
				f["title"], f["evidence"] = fmt.Sprintf("Number %d", i), strings.Repeat("proof ", 200)
				list = append(list, f)
			}
			return expertSays(list...)
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, asktest.Says(answer), func(l *lab) { l.cfg.Files.MaxOutputTokens = 8000 })
				window := l.file("window.go", source)
				tool := "codereview"
				args := l.step(tool, 1, 1, "relevant_files", []string{window})
				done, text := l.try(t.Context(), tool, args)
				require.NotEqual(t, "error", done["status"], text)
				head := at(done, "expert_analysis", "raw_analysis").(string)
				require.True(t, strings.HasPrefix(answer, head), "the beginning, as it was written")
				next := at(done, "more", "next_offset")
				require.EqualValues(t, len(head), next)
				assert.EqualValues(t, len(answer), at(done, "more", "total_chars"))
				assert.Contains(t, at(done, "more", "uri"), "exai://conversations/"+done["continuation_id"].(string)+"/turns/")
				assert.Less(t, len(text)*2/7, 8000)
				if name == "findings" {
					assert.Equal(t, "changes_required", done["verdict"])
					assert.Len(t, at(done, "expert_analysis", "findings"), 60, "an index of all findings")
					assert.Equal(t, "verified", at(done, "expert_analysis", "findings", 59, "citation"))
				}
				whole := head
				for next != nil {
					part := l.call("chat", dict{"prompt": "", "continuation_id": done["continuation_id"], "offset": next})
					whole += part["content"].(string)
					next = at(part, "more", "next_offset")
				}
				assert.Equal(t, answer, whole)

				args["continuation_id"] = done["continuation_id"]
				stored, _ := l.try(t.Context(), tool, args)
				assert.Equal(t, at(done, "more", "uri"), at(stored, "more", "uri"), "the stored reply is cut alike")
				assert.True(t, strings.HasPrefix(head, at(stored, "expert_analysis", "raw_analysis").(string)), "to make room for its note")
				assert.Equal(t, 1, l.asked())
			})
		})
	}
}

// thinkdeep's limit follows its thinking mode, and every expert call obeys its own.
func TestExpertLimits(t *testing.T) {
	for _, c := range []struct {
		tool, mode string
		set        func(l *lab)
		limit      string
		secs       float64
	}{
		{"debug", "", nil, "GLM_TIMEOUT_SECS=30s", 30},
		{"debug", "", func(l *lab) { l.cfg.Timeouts.GLM = 50 * time.Second }, "GLM_TIMEOUT_SECS=50s", 50},
		{"thinkdeep", "minimal", func(l *lab) { l.cfg.Timeouts.GLM = 50 * time.Second }, "EXPERT_ANALYSIS_TIMEOUT_SECS=60s x 0.5", 30},
		{"thinkdeep", "low", func(l *lab) { l.cfg.Timeouts.GLM = 50 * time.Second }, "EXPERT_ANALYSIS_TIMEOUT_SECS=60s x 0.7", 42},
		{"thinkdeep", "medium", func(l *lab) { l.cfg.Timeouts.GLM = 59 * time.Second }, "ANSWER_WITHIN_SECS=55s", 55},
		{"thinkdeep", "", func(l *lab) {
			l.cfg.Timeouts.GLM, l.cfg.Timeouts.AnswerWithin, l.cfg.Timeouts.Expert = 80*time.Second, 300*time.Second, 30*time.Second
		}, "EXPERT_ANALYSIS_TIMEOUT_SECS=30s x 1.5", 45},
		{"thinkdeep", "max", func(l *lab) { l.cfg.Timeouts.GLM, l.cfg.Timeouts.ThinkDeepExpert = 50*time.Second, 20*time.Second }, "THINKDEEP_EXPERT_TIMEOUT_SECS=20s", 20},
	} {
		t.Run(fmt.Sprintf("%s %s %s", c.tool, c.mode, c.limit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, silent, func(l *lab) {
					if c.set != nil {
						c.set(l)
					}
				})
				window := l.file("window.go", source)
				args := l.step(c.tool, 1, 1, "relevant_files", []string{window})
				if c.mode != "" {
					args["thinking_mode"] = c.mode
				}
				start := time.Now()
				done := l.call(c.tool, args)
				took := time.Since(start).Seconds()
				assert.LessOrEqual(t, took, c.secs)
				assert.Greater(t, took, c.secs-2.1)
				assert.Equal(t, "analysis_timeout", at(done, "expert_analysis", "status"))
				assert.Contains(t, []any{c.limit, strings.Split(c.limit, " ")[0]}, at(done, "expert_analysis", "error", "limit"))
			})
		})
	}
}

// How hard the expert thinks, what it may search and how it is set: as asked, else as configured.
func TestExpertSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, asktest.Says("fine"))
		window := l.file("window.go", source)
		ask := func(tool string, more ...any) providers.ChatRequest {
			l.call(tool, l.step(tool, 1, 1, append([]any{"relevant_files", []string{window}}, more...)...))
			return l.requests[len(l.requests)-1]
		}
		assert.Equal(t, "high", ask("debug").Thinking.Effort, "medium, in a call of 55 s, on a model that has low, high and max")
		assert.Equal(t, "low", ask("debug", "thinking_mode", "low").Thinking.Effort)
		assert.Equal(t, "max", ask("debug", "thinking_mode", "max").Thinking.Effort)
		assert.Equal(t, "high", ask("thinkdeep").Thinking.Effort)
		assert.Nil(t, ask("debug").Temperature)
		assert.InDelta(t, 0.7, *ask("debug", "temperature", 0.7).Temperature, 0)
		assert.True(t, ask("debug").NativeSearch || len(l.requests[len(l.requests)-1].Functions) > 0, "search is on by default")
		off := ask("debug", "use_websearch", false)
		assert.False(t, off.NativeSearch)
		assert.Empty(t, off.Functions)
		assert.True(t, ask("debug").JSONObject)
		assert.False(t, ask("testgen").JSONObject, "prose")
		picture := ask("debug", "images", []string{onePixel})
		assert.True(t, picture.Model.Images, "a model that sees is chosen")
		assert.Len(t, picture.Messages[len(picture.Messages)-1].Images, 1)
	})
}

// The expert sees the rest of its thread, and its own earlier answers, but nothing twice.
func TestExpertSeesTheThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, asktest.Says(expertSays()))
		window := l.file("window.go", source)
		id := l.call("debug", l.step("debug", 1, 3, "relevant_files", []string{window}))["continuation_id"]
		l.call("debug", l.step("debug", 2, 2, "continuation_id", id))
		l.glm = asktest.Says("A chat's answer.")
		l.call("chat", dict{"prompt": "What of it?", "continuation_id": id})
		l.glm = asktest.Says(expertSays())
		l.call("debug", l.step("debug", 3, 3, "continuation_id", id))

		var roles, texts []string
		for _, m := range l.requests[len(l.requests)-1].Messages {
			roles, texts = append(roles, string(m.Role)), append(texts, m.Content)
		}
		assert.Equal(t, []string{"system", "user", "assistant", "user", "assistant", "user"}, roles)
		assert.Contains(t, texts[1], source[:14], "the file, as it was sent")
		assert.Equal(t, expertSays(), texts[2])
		assert.Equal(t, "What of it?", texts[3])
		assert.NotContains(t, texts[5], "package window", "a file is sent once per thread")
		assert.Contains(t, texts[5], "Unchanged since they were sent")
		assert.Contains(t, texts[5], "Finding of step 3.")
	})
}

// What an expert said of a step that was taken back is not shown to the next one.
func TestExpertDoesNotSeeWhatWasTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, fails(providers.Error{Kind: providers.KindBalance, Message: "empty"}))
		id := l.call("debug", l.step("debug", 1, 3))["continuation_id"]
		end := l.step("debug", 2, 2, "continuation_id", id)
		l.call("debug", end)
		l.glm = asktest.Says(`{"findings": [], "summary": "the old opinion"}`)
		l.call("debug", end) // asked again: question and answer stand behind the step
		l.glm = asktest.Says(expertSays())
		l.call("debug", with(end, "findings", "anew"))
		assert.NotContains(t, fmt.Sprint(l.requests[len(l.requests)-1].Messages), "the old opinion")
		l.call("debug", l.step("debug", 3, 3, "continuation_id", id))
		sent := fmt.Sprint(l.requests[len(l.requests)-1].Messages)
		assert.NotContains(t, sent, "the old opinion")
		assert.Contains(t, sent, "Looked at it.", "the opinion on the step that stands")
	})
}

// EXPERT_ANALYSIS_INCLUDE_FILES=false and the bounds on files are obeyed, and said.
func TestExpertFileSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, asktest.Says(expertSays()))
		var files []string
		for i := range 5 {
			files = append(files, l.file(fmt.Sprintf("f%d.go", i), strings.Repeat(fmt.Sprintf("// line of %d\n", i), 500)))
		}
		l.cfg.Expert.MaxFileCount, l.cfg.Expert.MaxFileSizeKB = 2, 1
		done := l.call("debug", l.step("debug", 1, 1, "relevant_files", files))
		assert.Equal(t, "partially_embedded", at(done, "file_context", "type"))
		assert.Len(t, at(done, "file_context", "manifest", "cut"), 2)
		assert.Len(t, at(done, "file_context", "manifest", "left_out"), 3)
		assert.Contains(t, l.prompt(), "f4.go: not given")
		assert.Contains(t, l.prompt(), "f0.go: cut")

		l.cfg.Expert.IncludeFiles = false
		done = l.call("codereview", l.step("codereview", 1, 1, "relevant_files", files))
		assert.Equal(t, "reference_only", at(done, "file_context", "type"))
		assert.Contains(t, at(done, "file_context", "note"), "EXPERT_ANALYSIS_INCLUDE_FILES")
		assert.NotContains(t, l.prompt(), "line of 0")
		assert.Equal(t, "inconclusive", done["verdict"], "no file was read")
	})
}

// Files never fill more of a window than leaves room for the rest.
func TestExpertFilesFitTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, asktest.Says(expertSays()))
		big := l.file("big.go", strings.Repeat("var x = 1 // some line of a large file\n", 60_000))
		l.call("debug", l.step("debug", 1, 1, "relevant_files", []string{big}, "model", "glm-4.5v"))
		m := l.requests[len(l.requests)-1].Model
		sent := providers.EstimateTokens(l.prompt())
		assert.Less(t, sent, m.ContextWindow*3/5)
		assert.Greater(t, sent, m.ContextWindow/5)
	})
}

func TestSeverityFilter(t *testing.T) {
	for _, tool := range []string{"codereview", "secaudit", "precommit"} {
		t.Run(tool, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := investigators[tool]
				l := newLab(t, asktest.Says(expertSays(finding("critical", "window.go", 4), finding("medium", "window.go", 4))))
				window := l.file("window.go", source)
				issues := []dict{{"severity": "high", "description": "a"}, {"severity": "low", "description": "b"}, {"description": "c"}}
				args := l.step(tool, 1, 1, "relevant_files", []string{window}, "issues_found", issues, "severity_filter", "high")
				done := l.call(tool, args)
				assert.Len(t, at(done, p.block, "issues_found"), 1)
				assert.Len(t, at(done, "expert_analysis", "findings"), 1)
				assert.EqualValues(t, 3, at(done, p.counts, "issues_found"), "counts stay whole")
				assert.True(t, noteIn(done, "leaves out 3 findings"))
				assert.Equal(t, "changes_required", done["verdict"])

				l.glm = asktest.Says(expertSays(finding("medium", "window.go", 4)))
				done = l.call(tool, l.step(tool, 1, 1, "relevant_files", []string{window}, "severity_filter", "critical"))
				assert.Equal(t, []any{}, at(done, "expert_analysis", "findings"))
				assert.Equal(t, "changes_required", done["verdict"], "judged before the filter")

				l.glm = asktest.Says(expertSays(finding("low", "window.go", 4)))
				done = l.call(tool, l.step(tool, 1, 1, "relevant_files", []string{window}, "severity_filter", "all"))
				assert.Len(t, at(done, "expert_analysis", "findings"), 1)
				assert.Equal(t, "pass", done["verdict"])
			})
		})
	}
}

// refactor takes its published words of confidence and the general ones.
func TestRefactorConfidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, asktest.Says(expertSays()))
		for said, means := range map[string]string{
			"exploring": "exploring", "incomplete": "incomplete", "partial": "partial", "complete": "complete",
			"low": "incomplete", "medium": "partial", "high": "partial", "very_high": "partial", "almost_certain": "partial", "certain": "complete",
		} {
			r := l.call("refactor", l.step("refactor", 1, 3, "confidence", said))
			assert.Equal(t, means, at(r, "refactoring_status", "refactor_confidence"), said)
		}
		r := l.call("refactor", l.step("refactor", 1, 3))
		assert.Equal(t, "incomplete", at(r, "refactoring_status", "current_confidence"))
	})
}

// What step 1 omits is filled, and noted: the changed files of the first root.
func TestChangedFilesAreFilledIn(t *testing.T) {
	for _, tool := range []string{"analyze", "codereview", "testgen"} {
		t.Run(tool, func(t *testing.T) {
			p := investigators[tool]
			l := newLab(t, asktest.Says(p.answer(nil)))
			l.git("init", "-q")
			window := l.file("window.go", source)
			first := l.call(tool, l.step(tool, 1, 2, "findings", nil))
			assert.EqualValues(t, 1, at(first, p.counts, "relevant_files"))
			assert.True(t, noteIn(first, "the changed files of the first root were taken: 1"))
			assert.True(t, noteIn(first, "findings was missing"))
			l.file("later.go", "package window\n")
			l.restart()
			done := l.call(tool, l.step(tool, 2, 2, "continuation_id", first["continuation_id"]))
			assert.Equal(t, []any{window}, at(done, p.block, "relevant_files"), "those of step 1")
			assert.Contains(t, l.prompt(), "for i := 0")
			again := l.call(tool, l.step(tool, 1, 2, "findings", nil, "continuation_id", first["continuation_id"]))
			assert.True(t, noteIn(again, "stored reply"), "what is filled in is no new argument")
		})
	}
	t.Run("without a repository", func(t *testing.T) {
		l := newLab(t, asktest.Says(expertSays()))
		first := l.call("codereview", l.step("codereview", 1, 2))
		assert.True(t, noteIn(first, "No relevant_files were named"))
	})
}

// MAX_CONVERSATION_TURNS ends a thread for new steps; reading goes on.
func TestFullThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, asktest.Says(expertSays()), func(l *lab) { l.cfg.Conversations.MaxTurns = 2 })
		first := l.step("debug", 1, 5)
		id := l.call("debug", first)["continuation_id"]
		l.call("debug", l.step("debug", 2, 5, "continuation_id", id))
		assert.Equal(t, "conversation_full", l.errorCode("debug", l.step("debug", 3, 5, "continuation_id", id)))
		again := l.call("debug", with(first, "continuation_id", id))
		assert.Equal(t, "pause_for_investigation", again["status"])
	})
}
