package tools

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
)

// steps takes steps of the workflow tools in a repository with a change. Its experts all give one answer.
type steps struct {
	*tool.Dispatcher
	t     *testing.T
	cfg   *config.Config
	asked atomic.Int64
}

func newSteps(t *testing.T, answer string) *steps {
	t.Helper()
	s := &steps{t: t, cfg: config.Default()}
	dir := t.TempDir()
	s.cfg.Conversations.Backend = "memory"
	s.cfg.Files.AllowedRoots = []string{dir}
	reg, caller := asktest.Vendors(t, s.cfg, func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		s.asked.Add(1)
		return asktest.Says(answer)(ctx, req, on)
	}, nil)
	ws, err := workspace.New(s.cfg.Files, "", "", "", nil, nil)
	require.NoError(t, err)
	store := &asktest.Store{}
	conversations := ask.New(ask.Options{Config: s.cfg, Caller: caller, Store: store.Open})
	d := &Deps{Config: s.cfg, Registry: reg, Caller: caller, Conversations: conversations, Store: store.Open, Workspace: ws}
	s.Dispatcher = d.Dispatcher(Catalog(d))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		assert.NoError(t, conversations.Close(ctx))
		assert.NoError(t, caller.Close(ctx))
	})
	file := filepath.Join(dir, "window.go")
	require.NoError(t, os.WriteFile(file, []byte("package window\n"), 0o644))
	gittest.Init(t, dir, nil)
	require.NoError(t, os.WriteFile(file, []byte("package window\n\nvar n int\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "text"), []byte("what the arguments call a file\n"), 0o644))
	return s
}

// try takes a step and gives its reply as a client reads it.
func (s *steps) try(ctx context.Context, name string, args map[string]any) (reply map[string]any, text string) {
	s.t.Helper()
	sent, err := json.Marshal(args)
	require.NoError(s.t, err)
	raw, err := s.Call(ctx, tool.Invocation{Tool: name, Arguments: sent}).JSON()
	require.NoError(s.t, err)
	require.NoError(s.t, json.Unmarshal(raw, &reply))
	return reply, string(raw)
}

func changed(args map[string]any, name string, value any) map[string]any {
	out := maps.Clone(args)
	out[name] = value
	return out
}

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
		return []any{[]any{}, []any{map[string]any{"model": "glm-5.3"}}, []any{
			map[string]any{"model": "glm-5.3", "stance": "for", "stance_prompt": "be brave"}, map[string]any{"model": "glm-5.3-flash", "stance": "against", "further": 1},
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
func minimalArgs(t *testing.T, tool string) map[string]any {
	t.Helper()
	args := map[string]any{}
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
			sets := []map[string]any{minimal}
			most, second := map[string]any{}, map[string]any{}
			for _, name := range slices.Sorted(maps.Keys(was.Properties)) {
				values := was.Properties[name].values(name)
				most[name], second[name] = values[len(values)-1], values[0]
				for _, value := range values {
					sets = append(sets, changed(minimal, name, value))
				}
			}
			sets = append(sets, most, second)
			if tool == "consensus" { // one that can see for the picture
				most["models"] = []any{map[string]any{"model": "glm-5.3-flash", "stance": "for", "stance_prompt": "be brave"}}
			}
			synctest.Test(t, func(t *testing.T) {
				l := newSteps(t, `{"status": "analysis_complete", "findings": []}`)
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
		l := newSteps(t, `{"status": "analysis_complete", "findings": []}`)
		for _, blank := range []string{"", " \n"} {
			reply, text := l.try(t.Context(), tool, changed(minimalArgs(t, tool), "step", blank))
			require.Equal(t, "error", reply["status"], text)
			assert.Equal(t, "invalid_request", reply["error"].(map[string]any)["code"], tool)
		}
		assert.Zero(t, l.asked.Load(), tool)
	}
}

// Agents write issues as plain sentences: each is an issue, of medium severity like any that names none.
func TestIssuesInPlainWords(t *testing.T) {
	for _, tool := range []string{"debug", "analyze", "thinkdeep", "codereview", "refactor", "secaudit", "testgen", "precommit", "docgen"} {
		t.Run(tool, func(t *testing.T) {
			l := newSteps(t, `{"status": "analysis_complete", "findings": []}`)
			args := changed(minimalArgs(t, tool), "issues_found", []any{"The loop ends one too early.", map[string]any{"severity": "low", "description": "A name lies."}})
			args["step_number"], args["total_steps"], args["next_step_required"], args["total_files_to_document"] = 1, 1, false, 0
			done, text := l.try(t.Context(), tool, args)
			require.NotEqual(t, "error", done["status"], text)
			found := false
			for key, block := range done {
				if complete, ok := block.(map[string]any); ok && strings.HasPrefix(key, "complete_") && complete["issues_found"] != nil {
					found = true
					assert.Equal(t, "The loop ends one too early.", complete["issues_found"].([]any)[0].(map[string]any)["description"])
					assert.Len(t, complete["issues_found"], 2)
				}
			}
			assert.True(t, found, "%v", done)
		})
	}
}

// A step beyond MCP_PROMPT_SIZE_LIMIT is a normal result that says how to send it.
func TestStepTooLong(t *testing.T) {
	for _, tool := range workflows {
		t.Run(tool, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newSteps(t, "x")
				l.cfg.Files.PromptSizeLimit = 100
				args := minimalArgs(t, tool)
				args["step"] = strings.Repeat("é", 100)
				reply, text := l.try(t.Context(), tool, args)
				assert.NotEqual(t, "resend_prompt", reply["status"], text)
				args["step"] = strings.Repeat("é", 101)
				reply, text = l.try(t.Context(), tool, args)
				assert.Equal(t, "resend_prompt", reply["status"], text)
				assert.Contains(t, reply["content"], "step has 101 characters")
				assert.EqualValues(t, 100, reply["metadata"].(map[string]any)["limit"])
			})
		})
	}
}
