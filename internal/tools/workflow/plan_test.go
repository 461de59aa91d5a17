package workflow

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func line(n int, branch, args string) Line {
	return Line{Number: n, Branch: branch, Args: json.RawMessage(fmt.Sprintf(`{"step":"s%d%s","step_number":%d%s}`, n, branch, n, args))}
}

func TestPlanOf(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []Line
		want  string
		notes []string
		order []string
	}{
		{"nothing", nil, `{"steps":[]}`, nil, []string{}},
		{
			"a line",
			[]Line{line(1, "", ""), line(2, "", "")},
			`{"steps":[{"step_number":1,"content":"s1"},{"step_number":2,"content":"s2"}]}`, nil,
			[]string{},
		},
		{
			"a revision takes its place",
			[]Line{line(1, "", ""), line(2, "", ""), line(3, "", `,"revises_step_number":1`)},
			`{"steps":[{"step_number":1,"content":"s3","revised_by_step":3},{"step_number":2,"content":"s2"}]}`, nil,
			[]string{},
		},
		{
			"a revision of a revision",
			[]Line{line(1, "", ""), line(2, "", `,"revises_step_number":1`), line(3, "", `,"revises_step_number":1`)},
			`{"steps":[{"step_number":1,"content":"s3","revised_by_step":3}]}`, nil,
			[]string{},
		},
		{
			"a revision of nothing",
			[]Line{line(1, "", ""), line(2, "", `,"revises_step_number":9`)},
			`{"steps":[{"step_number":1,"content":"s1"},{"step_number":2,"content":"s2"}]}`,
			[]string{"Step 2 revises step 9, which is not on this line of the plan; it was added as a separate step."},
			[]string{},
		},
		{
			"a flag that is false denies its number",
			[]Line{
				line(1, "", ""), line(2, "", `,"is_step_revision":false,"revises_step_number":1,"is_branch_point":false,"branch_from_step":1`),
				line(3, "b", `,"is_branch_point":true,"branch_from_step":2`), line(4, "b", `,"is_branch_point":false,"branch_from_step":1`),
			},
			`{"steps":[{"step_number":1,"content":"s1"},{"step_number":2,"content":"s2"}],"branches":{
				"b":{"branch_from_step":2,"steps":[{"step_number":3,"content":"s3b"},{"step_number":4,"content":"s4b"}]}}}`, nil,
			[]string{"b"},
		},
		{
			"branches keep to themselves",
			[]Line{
				line(1, "", ""), line(2, "b", `,"branch_from_step":1`), line(2, "", ""), line(3, "a", `,"branch_from_step":2`),
				line(4, "b", `,"revises_step_number":2`),
			},
			`{"steps":[{"step_number":1,"content":"s1"},{"step_number":2,"content":"s2"}],"branches":{
				"b":{"branch_from_step":1,"steps":[{"step_number":2,"content":"s4b","revised_by_step":4}]},
				"a":{"branch_from_step":2,"steps":[{"step_number":3,"content":"s3a"}]}}}`, nil,
			[]string{"b", "a"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := PlanOf(c.lines)
			require.NoError(t, err)
			text, err := json.Marshal(p)
			require.NoError(t, err)
			assert.JSONEq(t, c.want, string(text))
			assert.Equal(t, c.notes, p.Notes)
			assert.Equal(t, c.order, p.BranchIDs())
		})
	}
	_, err := PlanOf([]Line{{Args: json.RawMessage(`[]`)}})
	assert.Error(t, err)
}
