package workflow_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// One call with a step alone is a complete run, and the expert answers.
func TestOneCallIsEnough(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newFixture(t, asktest.Says(p.answer(nil)))
		l.repository()
		l.file("window.go", source+"// changed\n")
		done := l.call(tool, dict{"step": "Look at it.", "relevant_files": []string{"window.go"}})
		assert.EqualValues(t, 1, done["step_number"])
		assert.EqualValues(t, 1, done["total_steps"])
		assert.Equal(t, false, done["next_step_required"])
		assert.False(t, noteIn(done, "was missing"), "nothing was")
		assert.Equal(t, 1, l.asked())

		// The same without a number, in the same run, is that step sent again: nothing is asked.
		again := dict{"step": "Look at it.", "relevant_files": []string{"window.go"}, "continuation_id": done["continuation_id"]}
		repeated := l.call(tool, again)
		assert.EqualValues(t, 1, repeated["step_number"])
		assert.Equal(t, 1, l.asked())

		// Another step without a number is the next one, and replaces nothing.
		next := l.call(tool, with(again, "step", "Now look there."))
		assert.EqualValues(t, 2, next["step_number"])
		assert.Equal(t, 2, l.asked())
		stored, err := l.store.Load(t.Context(), done["continuation_id"].(string))
		require.NoError(t, err)
		var steps []int
		for _, turn := range stored.Turns {
			if turn.Step != nil {
				steps = append(steps, turn.Step.Number)
			}
		}
		assert.Equal(t, []int{1, 2}, steps)
	})
}

// Tools that collect the caller's steps go on by themselves, and end at the announced number.
func TestCollectorsNumberTheirSteps(t *testing.T) {
	l := newFixture(t, nil)
	first := l.call("planner", dict{"step": "First."})
	assert.EqualValues(t, 3, first["total_steps"])
	assert.Equal(t, true, first["next_step_required"])
	id := first["continuation_id"]
	args := string(l.turnsOf(id)[0].Step.Input)
	assert.Contains(t, args, `"next_step_required":true,"step":"First.","step_number":1,"total_steps":3`, "as it is stored")
	assert.EqualValues(t, 1, l.call("planner", dict{"step": "First.", "continuation_id": id})["step_number"], "sent again")
	second := l.call("planner", dict{"step": "Second.", "continuation_id": id})
	assert.EqualValues(t, 2, second["step_number"])
	assert.Equal(t, true, second["next_step_required"])
	third := l.call("planner", dict{"step": "Third.", "continuation_id": id})
	assert.EqualValues(t, 3, third["step_number"])
	assert.Equal(t, "planning_complete", third["status"])
	assert.EqualValues(t, 3, at(third, "planner_status", "step_history_length"))
}

func TestConsensusInOneCall(t *testing.T) {
	l := newFixture(t, asktest.Says("Yes."))
	l.kimi = asktest.Says("No.")
	l.restart()
	done := l.call("consensus", dict{"step": "Is it right?", "models": "glm-5.3,kimi-k3"})
	assert.Equal(t, "consensus_workflow_complete", done["status"])
	assert.Equal(t, 2, l.asked())
	id := done["continuation_id"]
	l.call("consensus", dict{"step": "Is it right?", "models": "glm-5.3,kimi-k3", "continuation_id": id})
	assert.Equal(t, 2, l.asked(), "the same question again")
	l.call("consensus", dict{"step": "And the other?", "models": "glm-5.3,kimi-k3", "continuation_id": id})
	assert.Equal(t, 4, l.asked(), "another question is asked")
}
