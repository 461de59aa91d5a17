package workflow

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A run is the fold over its steps: lists in the order of first mention, what is repeated once, the latest word of each kind.
func TestConsolidate(t *testing.T) {
	leak := map[string]any{"severity": "HIGH", "type": "CodeSmells", "description": "leaks"}
	race := map[string]any{"description": "races"}
	name := map[string]any{"severity": "low", "type": "N/A", "description": "a name"}
	c := Consolidate(Ladder{Default: "low"}, []Facts{
		{
			StepInput: StepInput{Step: "first", StepNumber: 1}, Findings: " \n", FilesChecked: []string{"a", "b", "a"}, RelevantFiles: []string{"a"},
			RelevantContext: []string{"F"}, Images: []string{"i"}, IssuesFound: []map[string]any{leak, {"severity": "high"}}, Hypothesis: "h1",
			Settings: []Setting{{"focus", "speed"}, {"type", ""}},
		},
		{
			StepInput: StepInput{Step: "second", StepNumber: 2}, Findings: "found", FilesChecked: []string{"c", "b"}, RelevantFiles: []string{"b", "a"},
			RelevantContext: []string{"G", "F"}, Images: []string{"j", "i"}, IssuesFound: []map[string]any{race, leak, name}, Confidence: "high",
			Settings: []Setting{{"type", "full"}, {"focus", ""}},
		},
		{StepInput: StepInput{Step: "third", StepNumber: 4}, Findings: "more", Hypothesis: "h2", Settings: []Setting{{"focus", "safety"}}},
	})
	assert.Equal(t, Consolidated{
		Initial: "first", Steps: 3, FilesChecked: []string{"a", "b", "c"}, RelevantFiles: []string{"a", "b"}, RelevantContext: []string{"F", "G"},
		Findings: []string{"Step 2: found", "Step 4: more"}, Hypotheses: []Hypothesis{{1, "h1", "low"}, {4, "h2", "high"}},
		Issues: []map[string]any{leak, race, name}, Images: []string{"i", "j"}, Confidence: "high",
		Settings: []Setting{{"focus", "safety"}, {"type", "full"}},
	}, c)
	assert.Equal(t, map[string]int{"high": 1, "medium": 1, "low": 1}, c.BySeverity())
	assert.Equal(t, map[string]int{"codesmells": 1, "unspecified": 2}, c.ByType())

	none := Consolidate(Ladder{Default: "low"}, nil)
	assert.Equal(t, Consolidated{Confidence: "low"}, none)
	assert.Empty(t, none.ByType())
}
