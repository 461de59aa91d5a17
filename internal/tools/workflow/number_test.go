package workflow

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNumbered(t *testing.T) {
	yes, no := true, false
	step := func(n, total int, more *bool) StepInput {
		return StepInput{StepNumber: n, TotalSteps: total, NextStepRequired: more}
	}
	run := []Facts{{StepInput: step(1, 4, &yes)}, {StepInput: step(2, 4, &yes)}}
	for _, c := range []struct {
		name     string
		collects bool
		past     []Facts
		in       StepInput
		repeats  bool
		want     StepInput
	}{
		{"one call is a run", false, nil, step(0, 0, nil), false, step(1, 1, &no)},
		{"a collector begins", true, nil, step(0, 0, nil), false, step(1, 3, &yes)},
		{"all given", false, nil, step(2, 5, &yes), false, step(2, 5, &yes)},
		{"a number alone", false, nil, step(2, 0, nil), false, step(2, 2, &no)},
		{"a collector's last number", true, nil, step(3, 0, nil), false, step(3, 3, &no)},
		{"a further step is wanted", false, nil, step(0, 0, &yes), false, step(1, 1, &yes)},
		{"the next of a run", false, run, step(0, 0, nil), false, step(3, 4, &no)},
		{"the next of a collector's run", true, run, step(0, 0, nil), false, step(3, 4, &yes)},
		{"a collector's run ends", true, []Facts{{StepInput: step(3, 4, &yes)}}, step(0, 0, nil), false, step(4, 4, &no)},
		{"beyond the total", false, []Facts{{StepInput: step(4, 4, &yes)}}, step(0, 0, nil), false, step(5, 5, &no)},
		{"another total", true, run, step(0, 3, nil), false, step(3, 3, &no)},
		{"the latest step again", false, run, step(0, 0, nil), true, step(2, 4, &yes)},
		{"a named step of a run", false, run, step(1, 0, nil), false, step(1, 4, &no)},
	} {
		got := numbered(Spec{Collects: c.collects}, c.past, c.in, c.repeats)
		assert.Equal(t, c.want, got, c.name)
	}
}

func TestSameApart(t *testing.T) {
	stored := `{"step":"s","step_number":2,"total_steps":4,"next_step_required":true}`
	all := []string{"step_number", "total_steps", "next_step_required"}
	assert.True(t, sameApart([]byte(stored), []byte(`{"step":"s"}`), all))
	assert.False(t, sameApart([]byte(stored), []byte(`{"step":"other"}`), all))
	assert.False(t, sameApart([]byte(stored), []byte(`{"step":"s"}`), all[:2]), "one that was given counts")
	assert.False(t, sameApart([]byte(`[]`), []byte(`[]`), all))
}
