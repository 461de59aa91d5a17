package tools

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// workflows are the twelve.
var workflows = []string{
	"debug", "analyze", "thinkdeep", "codereview", "refactor", "secaudit", "testgen", "precommit", "consensus", "planner", "tracer", "docgen",
}

// meant are values that make sense where any text would be valid: the original's schemas can't say that a model or a file
// has to be there.
func meant(property string) []any {
	switch property {
	case "model":
		return []any{"glm-5.3-flash", "auto"}
	case "models":
		return []any{[]any{}, []any{dict{"model": "glm-5.3"}}, []any{
			dict{"model": "glm-5.3", "stance": "for", "stance_prompt": "be brave"}, dict{"model": "glm-5.3-flash", "stance": "against", "further": 1},
		}}
	case "images":
		return []any{[]any{}, []any{onePixel}}
	case "path":
		return []any{"."}
	case "compare_to":
		return []any{"HEAD"}
	case "continuation_id":
		return []any{""}
	}
	return nil
}

func (p originalProperty) values(name string) []any {
	if values := meant(name); values != nil {
		return values
	}
	return p.examples()
}

// minimalArgs are the arguments that the original's schema requires, and no more.
func minimalArgs(t *testing.T, tool string) dict {
	t.Helper()
	args := dict{}
	was := originals(t)[tool]
	for _, name := range was.Required {
		args[name] = was.Properties[name].values(name)[0]
	}
	return args
}

// Every set of arguments that the original's schemas allow is not only understood: the tool takes the step.
func TestEveryValidArgumentSetIsTaken(t *testing.T) {
	for _, tool := range workflows {
		t.Run(tool, func(t *testing.T) {
			was := originals(t)[tool]
			minimal := minimalArgs(t, tool)
			sets := []dict{minimal}
			most, second := dict{}, dict{}
			for _, name := range slices.Sorted(maps.Keys(was.Properties)) {
				values := was.Properties[name].values(name)
				most[name], second[name] = values[len(values)-1], values[0]
				for _, value := range values {
					sets = append(sets, with(minimal, name, value))
				}
			}
			sets = append(sets, most, second)
			if tool == "consensus" { // one that can see for the picture
				most["models"] = []any{dict{"model": "glm-5.3-flash", "stance": "for", "stance_prompt": "be brave"}}
			}
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, asktest.Says(expertSays()))
				l.repository()
				for _, args := range sets {
					reply, text := l.try(t.Context(), tool, args)
					assert.NotEqual(t, "error", reply["status"], "%v\n%s", args, text)
					assert.NotEmpty(t, reply["continuation_id"])
				}
			})
		})
	}
}

// A step without words asks nobody: models would answer a question that nobody put.
func TestBlankStepIsRefused(t *testing.T) {
	for _, tool := range workflows {
		l := newLab(t, asktest.Says(expertSays()))
		for _, blank := range []string{"", " \n"} {
			assert.Equal(t, "invalid_request", l.errorCode(tool, with(minimalArgs(t, tool), "step", blank)), tool)
		}
		assert.Zero(t, l.asked(), tool)
	}
}

// Agents write issues as plain sentences: each is an issue, of medium severity like any that names none.
func TestIssuesInPlainWords(t *testing.T) {
	for _, tool := range []string{"debug", "analyze", "thinkdeep", "codereview", "refactor", "secaudit", "testgen", "precommit", "docgen"} {
		t.Run(tool, func(t *testing.T) {
			l := newLab(t, asktest.Says(expertSays()))
			l.repository()
			args := with(minimalArgs(t, tool), "issues_found", []any{"The loop ends one too early.", dict{"severity": "low", "description": "A name lies."}})
			args["step_number"], args["total_steps"], args["next_step_required"], args["total_files_to_document"] = 1, 1, false, 0
			done := l.call(tool, args)
			found := false
			for key, block := range done {
				if complete, ok := block.(dict); ok && strings.HasPrefix(key, "complete_") && complete["issues_found"] != nil {
					found = true
					assert.Equal(t, "The loop ends one too early.", at(complete, "issues_found", 0, "description"))
					assert.Len(t, complete["issues_found"], 2)
				}
			}
			assert.True(t, found, "%v", done)
		})
	}
}
