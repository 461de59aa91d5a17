package workflow

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// The answers of tools with a form of their own are found without a status and without findings, and their files have one form.
func TestAnswersOfTheirOwnKind(t *testing.T) {
	file := []any{map[string]any{"path": "a_test.go", "content": "package a\n"}}
	for name, c := range map[string]struct {
		text string
		key  string
		want any
	}{
		"as asked for":              {`{"summary": "s", "findings": [], "files": [{"path": "a_test.go", "content": "package a\n"}]}`, "files", file},
		"without findings":          {`{"summary": "s", "files": [{"path": "a_test.go", "content": "package a\n"}]}`, "files", file},
		"other keys of a file":      {`{"summary": "s", "files": [{"file": "a_test.go", "language": "go", "code": "package a\n"}]}`, "files", file},
		"under tests":               {`{"summary": "s", "tests": [{"filename": "a_test.go", "content": "package a\n"}]}`, "files", file},
		"a map":                     {`{"summary": "s", "files": {"a_test.go": "package a\n"}}`, "files", file},
		"raw line breaks":           {"{\"summary\": \"s\", \"files\": [{\"path\": \"a_test.go\", \"content\": \"package a\n\"},]}", "files", file},
		"an entry without its text": {`{"summary": "s", "files": [{"path": "a_test.go"}]}`, "files", []any{map[string]any{"path": "a_test.go"}}},
		"an analysis":               {"Here it is:\n" + `{"overview": "o", "strengths": ["x"], "first_step": "f"}`, "strengths", []any{"x"}},
		"a cause":                   {`{"root_cause": "c", "unexplained": []}`, "root_cause", "c"},
		"a plan":                    {`{"target": "t", "steps": ["1", "2"], "risks": [], "tests_first": []}`, "steps", []any{"1", "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := Read(c.text, true)
			assert.Equal(t, c.want, a.Object[c.key])
			assert.Equal(t, "analysis_complete", a.Object["status"])
			assert.NotContains(t, a.Object, "parse_error")
		})
	}
	assert.Contains(t, Read(`The config is {"files": ["a"]}.`, true).Object, "parse_error", "one key alone is not an answer")
	assert.Equal(t, "files_required_to_continue", Read(`{"status": "files_required_to_continue", "files": ["a.go"]}`, true).Object["status"])

	keys := readable(map[string]any{"files": file, "findings": []any{}, "other": 1, "summary": "s", "status": "x", "root_cause": "c"}).Keys()
	assert.Equal(t, []string{"status", "summary", "root_cause", "findings", "files", "other"}, keys)
}
