package workflow_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

var emptyFilter conversation.Filter

func plan(n, total int, more ...any) dict {
	return with(dict{"step": fmt.Sprintf("Part %d.", n), "step_number": n, "total_steps": total, "next_step_required": n < total}, more...)
}

func TestPlanner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, nil)
		first := l.call("planner", plan(1, 3))
		assert.ElementsMatch(t, []string{
			"status", "step_number", "total_steps", "next_step_required", "continuation_id", "planner_status", "step_content", "next_call",
			"planner_required", "required_actions", "next_steps", "continuation_required", "continuation_available", "next_step_number", "metadata",
		}, keysOf(first))
		assert.Equal(t, "pause_for_planning", first["status"])
		assert.Equal(t, true, first["planner_required"])
		assert.Equal(t, "Part 1.", first["step_content"])
		assert.EqualValues(t, 1, at(first, "planner_status", "step_history_length"))
		assert.ElementsMatch(t, []string{
			"tool_name", "duration_ms", "branches", "step_history_length", "is_step_revision", "revises_step_number", "is_branch_point",
			"branch_from_step", "branch_id", "more_steps_needed",
		}, keysOf(first["metadata"]))
		assert.Len(t, first["required_actions"], 4)
		next := l.nextCall(first)
		second := l.call("planner", next)
		assert.EqualValues(t, 2, at(second, "planner_status", "step_history_length"))
		assert.True(t, noteIn(second, "Send step 2 again with the plan's own text"), "next_call was sent as it stands")
		second = l.call("planner", with(next, "step", "Part 2."))
		assert.False(t, noteIn(second, "placeholder"))
		assert.EqualValues(t, 2, at(second, "planner_status", "step_history_length"), "it replaced the placeholder")
		done := l.call("planner", with(l.nextCall(second), "step", "The end."))
		assert.Equal(t, "planning_complete", done["status"])
		assert.Equal(t, false, done["next_step_required"])
		for _, flag := range []string{"planner_complete", "planning_complete"} {
			assert.Equal(t, true, done[flag])
		}
		assert.Contains(t, done["plan_summary"], "Part 1. (3 steps, 0 branches)")
		assert.Equal(t, "step_by_step_planning", at(done, "output", "format"))
		assert.ElementsMatch(t, []string{"completed_plans", "step_content", "continuation"}, keysOf(at(done, "output", "presentation_guidelines")))
		assert.Equal(t, "The end.", at(done, "plan", "steps", 2, "content"))
		assert.NotContains(t, done, "next_call")

		// A finished plan goes on, in another process, and a step sent again is answered as it was.
		l.restart()
		more := l.call("planner", plan(4, 5, "continuation_id", first["continuation_id"]))
		assert.EqualValues(t, 4, at(more, "planner_status", "step_history_length"))
		again := l.call("planner", with(next, "step", "Part 2."))
		assert.Equal(t, second["next_call"], again["next_call"])
		assert.Equal(t, at(second, "metadata", "branches"), at(again, "metadata", "branches"))
		assert.True(t, noteIn(again, "stored reply"))
	})
}

// A plan in a conversation that has other turns consists of its own steps.
func TestPlanAmongOtherTurns(t *testing.T) {
	l := newFixture(t, asktest.Says("fine"))
	id := idOf(l.call("chat", dict{"prompt": "What of it?"}))
	l.call("debug", l.step("debug", 1, 3, "continuation_id", id))
	assert.EqualValues(t, 1, at(l.call("planner", plan(1, 3, "continuation_id", id)), "planner_status", "step_history_length"))
	assert.EqualValues(t, 2, at(l.call("planner", plan(2, 3, "continuation_id", id)), "planner_status", "step_history_length"))
	assert.EqualValues(t, 2, at(l.call("planner", plan(2, 3, "continuation_id", id, "step", "Other.")), "planner_status", "step_history_length"))
}

// A long plan begins with thinking about the whole.
func TestPlannerDeepThinking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, nil)
		var id any
		for n := 1; n <= 4; n++ {
			args := plan(n, 5)
			if id != nil {
				args["continuation_id"] = id
			}
			r := l.call("planner", args)
			id = r["continuation_id"]
			l.nextCall(r)
			if n <= 3 {
				assert.Equal(t, "pause_for_deep_thinking", r["status"])
				assert.Equal(t, true, r["thinking_required"])
				assert.Equal(t, r["required_actions"], r["required_thinking"])
				assert.Len(t, r["required_thinking"], 4)
				assert.Contains(t, r["next_steps"], fmt.Sprintf("%d of 5", 5-n))
			} else {
				assert.Equal(t, "pause_for_planning", r["status"])
				assert.NotContains(t, r, "thinking_required")
			}
		}
	})
}

func TestPlannerBranchesAndRevisions(t *testing.T) {
	t.Run("in a map", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { branchesAndRevisions(t, newFixture(t, nil)) })
	})
	t.Run("in a database", func(t *testing.T) { branchesAndRevisions(t, newFixture(t, nil, onDatabase(t))) })
}

func branchesAndRevisions(t *testing.T, l *fixture) {
	id := l.call("planner", plan(1, 8))["continuation_id"]
	send := func(n int, more ...any) dict {
		return l.call("planner", plan(n, 8, append([]any{"continuation_id", id}, more...)...))
	}
	send(2, "is_step_revision", false, "revises_step_number", 1, "is_branch_point", false, "branch_from_step", 0, "branch_id", "")
	send(3, "is_branch_point", true, "branch_from_step", 2, "branch_id", "fast")
	l.restart()
	branch := send(4, "branch_id", "fast")
	assert.Equal(t, []any{"fast"}, at(branch, "metadata", "branches"))
	assert.EqualValues(t, 4, at(branch, "metadata", "step_history_length"))
	next := l.nextCall(branch)
	assert.Equal(t, "fast", next["branch_id"], "the next call goes on with the branch")
	unnumbered := dict{"step": "Part 3.", "continuation_id": id, "is_branch_point": true, "branch_from_step": 2, "branch_id": "safe/slow"}
	slow := l.call("planner", unnumbered)
	assert.Equal(t, []any{3.0, 8.0, true}, []any{slow["step_number"], slow["total_steps"], slow["next_step_required"]}, "it leaves step 2")
	assert.Equal(t, "Part 3.", l.call("planner", unnumbered)["step_content"], "sent again")
	main := send(3, "step", "Main line.")
	assert.Equal(t, []any{"fast", "safe/slow"}, at(main, "metadata", "branches"))
	revised := send(5, "is_step_revision", true, "revises_step_number", 2, "step", "Part 2, better.")
	assert.EqualValues(t, 2, at(revised, "metadata", "revises_step_number"))
	assert.NotContains(t, l.nextCall(revised), "is_step_revision")
	stray := send(6, "is_step_revision", true, "revises_step_number", 99, "step", "Stray.")
	assert.True(t, noteIn(stray, "step 99"))
	assert.True(t, noteIn(send(7, "is_branch_point", true), "without a branch_id"))
	replaced := send(4, "branch_id", "fast", "step", "Part 4, again.")
	assert.NotEmpty(t, replaced["next_call"])
	send(7, "step", "Seven.")

	done := send(8)
	assert.Equal(t, []any{
		dict{"step_number": 1.0, "content": "Part 1."},
		dict{"step_number": 2.0, "content": "Part 2, better.", "revised_by_step": 5.0},
		dict{"step_number": 3.0, "content": "Main line."},
		dict{"step_number": 6.0, "content": "Stray."},
		dict{"step_number": 7.0, "content": "Seven."},
		dict{"step_number": 8.0, "content": "Part 8."},
	}, at(done, "plan", "steps"))
	assert.Equal(t, dict{
		"fast": dict{"branch_from_step": 2.0, "steps": []any{
			dict{"step_number": 3.0, "content": "Part 3."}, dict{"step_number": 4.0, "content": "Part 4, again."},
		}},
		"safe/slow": dict{"branch_from_step": 2.0, "steps": []any{dict{"step_number": 3.0, "content": "Part 3."}}},
	}, at(done, "plan", "branches"))
	assert.Contains(t, done["plan_summary"], "2 branches")
}

func trace(n, total int, mode string, more ...any) dict {
	return with(dict{
		"step": fmt.Sprintf("Trace %d.", n), "step_number": n, "total_steps": total, "next_step_required": n < total,
		"findings": "calls", "trace_mode": mode, "target_description": "Sum in window.go",
	}, more...)
}

func TestTracer(t *testing.T) {
	for mode, drawing := range map[string]string{"precision": "↓", "dependencies": "From/To"} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFixture(t, nil)
				window := l.file("window.go", source)
				first := l.call("tracer", trace(1, 2, mode, "relevant_files", []string{window}))
				assert.Equal(t, "pause_for_tracing", first["status"], "a mode that is named is taken at once")
				assert.Len(t, first["required_actions"], 5)
				assert.EqualValues(t, 1, at(first, "tracer_status", "relevant_files"))
				next := l.nextCall(first)
				assert.Equal(t, mode, next["trace_mode"])
				l.restart()
				done := l.call("tracer", next)
				assert.Equal(t, "tracing_complete", done["status"])
				for _, flag := range []string{"tracer_complete", "tracing_complete"} {
					assert.Equal(t, true, done[flag])
				}
				assert.Equal(t, mode+"_trace_analysis", at(done, "output", "format"))
				assert.Contains(t, at(done, "output", "rendering_instructions"), drawing)
				assert.Contains(t, done["trace_summary"], "Step 1: calls")
				assert.NotContains(t, done, "next_call")
				assert.Equal(t, "path_denied", l.errorCode("tracer", trace(1, 2, mode, "files_checked", []string{"/etc/passwd"})))
			})
		})
	}
}

func TestTracerAsksForTheMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, nil)
		for _, total := range []int{1, 3} {
			args := trace(1, total, "ask")
			if total == 3 {
				delete(args, "step_number") // which is 1 without a continuation_id
			}
			asked := l.call("tracer", args)
			assert.Equal(t, "mode_selection_required", asked["status"])
			assert.Equal(t, true, asked["mode_selection_required"])
			assert.Equal(t, true, asked["next_step_required"])
			assert.Len(t, asked["required_actions"], 4)
			assert.EqualValues(t, 1, asked["next_step_number"])
			next := l.nextCall(asked)
			assert.EqualValues(t, 1, next["step_number"])
			assert.Equal(t, "Trace 1.", next["step"])
			chosen := l.call("tracer", next)
			assert.EqualValues(t, 1, at(chosen, "tracer_status", "step_history_length"), "step 1 was replaced")
			if total == 1 {
				assert.Equal(t, "tracing_complete", chosen["status"])
			} else {
				assert.Equal(t, "pause_for_tracing", chosen["status"])
			}
		}
		assert.Equal(t, "tracing_complete", l.call("tracer", trace(2, 2, "ask"))["status"], "a later step draws the dependencies")
	})
}

func docs(n, total int, more ...any) dict {
	return with(dict{
		"step": fmt.Sprintf("Document %d.", n), "step_number": n, "total_steps": total, "next_step_required": n < total, "findings": "style",
		"document_complexity": true, "document_flow": false, "update_existing": true, "comments_on_complex_logic": true,
		"num_files_documented": n - 1, "total_files_to_document": total - 1,
	}, more...)
}

func TestDocgen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, nil)
		first := l.call("docgen", docs(1, 4, "relevant_context", []string{"godoc"}))
		assert.Equal(t, "pause_for_documentation_analysis", first["status"])
		assert.Equal(t, true, first["documentation_analysis_required"])
		assert.EqualValues(t, 1, at(first, "documentation_analysis_status", "documentation_strategies"))
		next := l.nextCall(first)
		assert.Equal(t, false, next["document_flow"])
		assert.EqualValues(t, 0, next["num_files_documented"])
		id := first["continuation_id"]
		l.call("docgen", docs(2, 4, "continuation_id", id))

		// Ending while files are left is refused.
		early := l.call("docgen", docs(3, 4, "continuation_id", id, "next_step_required", false))
		assert.Equal(t, "documentation_analysis_required", early["status"])
		assert.Equal(t, true, early["pause_for_docgen"])
		assert.Equal(t, true, early["next_step_required"])
		assert.Contains(t, early["next_steps"], "1 of 3")
		assert.NotContains(t, early, "documentation_analysis_complete")
		last := l.nextCall(early)
		assert.Equal(t, false, last["next_step_required"])

		done := l.call("docgen", with(last, "num_files_documented", 3))
		assert.Equal(t, "documentation_analysis_complete", done["status"])
		assert.Equal(t, true, done["documentation_analysis_complete"])
		assert.Equal(t, true, done["skip_expert_analysis"])
		assert.Equal(t, "skipped_due_to_complete_analysis", at(done, "expert_analysis", "status"))
		assert.NotEmpty(t, at(done, "complete_documentation_analysis", "final_analysis"))
		assert.EqualValues(t, 4, at(done, "complete_documentation_analysis", "steps_taken"))

		// What the original requires may be left out.
		r := l.call("docgen", dict{"step": "x", "step_number": 1, "total_steps": 2, "next_step_required": true})
		assert.False(t, noteIn(r, "document_complexity"), "its default is published")
		assert.True(t, noteIn(r, "findings was missing"))
	})
}
