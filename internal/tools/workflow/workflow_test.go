package workflow_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
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
		flags: []string{"test_generation_complete"}, required: "testgen_required", last: "certain", always: true,
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
func (l *fixture) step(tool string, n, total int, more ...any) dict {
	args := dict{
		"step": fmt.Sprintf("Step %d: why does the window miss its end?", n), "step_number": n, "total_steps": total,
		"next_step_required": n < total, "findings": fmt.Sprintf("Finding of step %d.", n),
	}
	maps.Copy(args, investigators[tool].more)
	return with(args, more...)
}

const source = "package window\n\nfunc Sum(n []int) (s int) {\n\tfor i := 0; i < len(n)-1; i++ {\n\t\ts += n[i]\n\t}\n\treturn s\n}\n"

func (p promised) answer(l *fixture) string {
	if p.prose {
		return "Do it. The loop `i < len(n)-1` in window.go:4 ends too soon."
	}
	return expertSays(finding("high", "window.go", 4), finding("low", "gone.go", 1), dict{"severity": "low", "title": "No file"})
}

// The whole life of a run: first step, middle, backtrack, sent again, end with an expert, sent again.
func TestWorkflowRun(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newFixture(t, nil)
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
		assert.Contains(t, first["next_steps"], "next_call")
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
			assert.Equal(t, "unproven", at(done, "expert_analysis", "findings", 2, "citation"))
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
		for _, part := range []string{"   4| \tfor i := 0; i < len(n)-1; i++ {", "Step 1: why does the window"} {
			assert.Contains(t, prompt, part)
		}
		for _, part := range []string{"Finding of step 3.", "[LOW]"} {
			assert.Equal(t, !p.verdict, strings.Contains(prompt, part), "a reviewer judges first")
		}
		assert.NotContains(t, prompt, "Read it.", "step 2 was taken back")
		system := l.system()
		assert.Contains(t, system, "Another agent asked for your judgement.")
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
		set    func(l *fixture)
		args   []any
		glm    asktest.Chat
		status string // expert_analysis.status; "" for the tool's own word
		text   string // in reason or error.code
	}{
		"switched off":       {set: func(l *fixture) { l.cfg.Expert.Enabled = false }, status: "skipped", text: "EXPERT_ANALYSIS_ENABLED"},
		"refused":            {args: []any{"use_assistant_model", false}, status: "skipped", text: "use_assistant_model"},
		"refused by default": {set: func(l *fixture) { l.cfg.Expert.UseAssistantModel = false }, status: "skipped", text: "DEFAULT_USE_ASSISTANT_MODEL"},
		"certain":            {args: []any{"confidence", "LAST"}},
		"no key":             {set: func(l *fixture) { l.glm = nil }, status: "analysis_error", text: "not_configured"},
		"refused by the vendor": {
			glm:    fails(providers.Error{Kind: providers.KindInvalidRequest, HTTPStatus: 400, Message: "The vendor refused."}),
			status: "analysis_error", text: "invalid_request",
		},
		"a configured model that is gone": {
			glm:    fails(providers.Error{Kind: providers.KindModelNotFound, HTTPStatus: 404, Message: "No such model."}),
			status: "analysis_error", text: "model_not_found",
		},
		"no balance": {glm: fails(providers.Error{Kind: providers.KindBalance, Message: "The account is empty."}), status: "analysis_error", text: "balance"},
		"silent":     {glm: silent, status: "analysis_timeout", text: "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			eachInvestigator(t, func(t *testing.T, tool string, p promised) {
				set := c.set
				if set == nil {
					set = func(*fixture) {}
				}
				glm := c.glm
				if glm == nil {
					glm = asktest.Says(p.answer(nil))
				}
				l := newFixture(t, glm, set)
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
					assert.EqualValues(t, l.asked(), attempts, "failed attempts count")
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
		l := newFixture(t, asktest.Says(p.answer(nil)))
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

func TestEarlyTermination(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newFixture(t, asktest.Says(p.answer(nil)))
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

// Bad arguments fail the step, whatever an expert would have said; nothing is stored of it.
func TestBadArgumentsFailTheStep(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newFixture(t, asktest.Says(p.answer(nil)))
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
		l.glm = fails(providers.Error{Kind: providers.KindModelNotFound, HTTPStatus: 404, Message: "No such model."})
		assert.Equal(t, "model_not_found", l.errorCode(tool, with(ok, "model", "glm-9-made-up")), "a named model that the vendor does not have")
		list, err := l.store.List(t.Context(), conversation.Filter{})
		require.NoError(t, err)
		assert.Empty(t, list)
	})
}

func TestSeverityFilter(t *testing.T) {
	for _, tool := range []string{"codereview", "secaudit", "precommit"} {
		t.Run(tool, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := investigators[tool]
				l := newFixture(t, asktest.Says(expertSays(finding("critical", "window.go", 4), finding("medium", "window.go", 4))))
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
		l := newFixture(t, asktest.Says(expertSays()))
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
