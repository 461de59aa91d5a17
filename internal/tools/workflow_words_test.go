package tools

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/tools/words"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

// Every section of the workflows' words can be filled in, and says something on lines that are lines.
func TestWorkflowWords(t *testing.T) {
	data := map[string]any{
		"Tool": "debug", "Next": 2, "Total": 3, "Remaining": 1, "Left": "1", "IssuesTool": true, "Blind": true, "Missing": true, "Answer": "", "Example": "", "Bad": "", "Server": "exai-mcp", "Arguments": "{}",
	}
	for _, name := range append([]string{"expert"}, workflows...) {
		t.Run(name, func(t *testing.T) {
			w, err := words.For(name)
			require.NoError(t, err)
			for _, section := range w.Sections() {
				if section == "description" { // it names other tools where they are shown
					continue
				}
				text, err := w.Render(section, data)
				require.NoError(t, err, section)
				assert.Greater(t, len(text), 20, section)
				assert.NotContains(t, text, `\n`, "a line break is one")
				assert.NotContains(t, text, "—", "plain punctuation")
			}
		})
	}
}

// specs are the twelve as data.
var specs = map[string]workflow.Spec{
	"debug": debugSpec, "analyze": analyzeSpec, "thinkdeep": thinkdeepSpec, "codereview": codereviewSpec, "refactor": refactorSpec,
	"secaudit": secauditSpec, "testgen": testgenSpec, "precommit": precommitSpec, "tracer": tracerSpec, "docgen": docgenSpec,
}

// The required actions of every step that there can be: the original's number of them, each one a sentence.
func TestRequiredActions(t *testing.T) {
	counts := map[string][]int{ // step 1, then exploring, low, medium, high, very_high, almost_certain, certain
		"debug":      {4, 4, 4, 4, 4, 4, 4, 4},
		"codereview": {6, 6, 6, 6, 6, 5, 5, 5},
		"testgen":    {6, 6, 6, 6, 6, 5, 5, 5},
		"precommit":  {5, 5, 5, 5, 5, 4, 4, 4},
		"thinkdeep":  {3, 1, 3, 3, 3, 3, 3, 1},
		"tracer":     {5, 5, 5, 5, 5, 5, 5, 5},
	}
	ladder := []string{"exploring", "low", "medium", "high", "very_high", "almost_certain", "certain"}
	for name, spec := range specs {
		t.Run(name, func(t *testing.T) {
			w, err := words.For(name)
			require.NoError(t, err)
			lines := func(n, total int, confidence string) int {
				f := workflow.Facts{Confidence: confidence}
				f.StepNumber, f.TotalSteps = n, total
				list, err := w.Lines(spec.Ladder.Actions(f), nil)
				require.NoError(t, err)
				for _, line := range list {
					assert.Regexp(t, `^[A-Z].*[.?]$`, line)
					assert.Less(t, strings.Count(line, " "), 40)
				}
				return len(list)
			}
			for n := 1; n <= 9; n++ {
				for _, confidence := range append([]string{"", "incomplete", "partial", "complete"}, ladder...) {
					assert.NotZero(t, lines(n, 9, confidence))
				}
			}
			if want := counts[name]; want != nil {
				got := []int{lines(1, 9, "low")}
				for _, confidence := range ladder {
					got = append(got, lines(2, 9, confidence))
				}
				assert.Equal(t, want, got)
			}
		})
	}
	for name, want := range map[string][]int{"secaudit": {4, 4, 4, 4, 4, 4, 3}, "analyze": {6, 6, 6, 6, 6, 6, 6}} {
		w, err := words.For(name)
		require.NoError(t, err)
		for i, n := range want {
			f := workflow.Facts{}
			f.StepNumber, f.TotalSteps = i+1, 7
			list, err := w.Lines(specs[name].Ladder.Actions(f), nil)
			require.NoError(t, err)
			assert.Len(t, list, n, "%s, step %d", name, i+1)
		}
	}
}
