package ask_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/looks"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// readerOf is a reader of one file, and that file's path.
func readerOf(t *testing.T, text string) (*looks.Reader, string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	path := filepath.Join(dir, "a.go")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	w, err := workspace.New(config.Files{AllowedRoots: []string{dir}}, "", dir, "", nil, nil)
	require.NoError(t, err)
	refs, problems := w.Resolve(t.Context(), []string{path})
	require.Empty(t, problems)
	return looks.New(looks.Options{Scope: w.ReadScope(t.Context(), workspace.ReadQuery{Refs: refs})}), path
}

func namesOf(tools []calls.Tool) (names []string) {
	for _, f := range tools {
		names = append(names, f.Name)
	}
	return names
}

// A model that takes functions is told how to read, within bounds that follow the call's limit.
func TestAModelThatReads(t *testing.T) {
	reader, _ := readerOf(t, "package a\n")
	for _, limit := range []time.Duration{30 * time.Second, 120 * time.Second} {
		for _, few := range []bool{false, true} {
			s, q := &stubCaller{model: providers.Model{ID: "m", Functions: true}}, question("x")
			q.Reader, q.FewReads, q.Reads, q.Form = reader, few, "Read the tests first.", "Answer in one word."
			q.Tools = []calls.Tool{{Function: providers.Function{Name: "lookup", Description: "Looks something up"}}}
			budget := providers.Budget{Limit: config.Limit{Name: "X", Value: limit}, Start: time.Now()}
			_, err := s.service(config.Default()).Generate(providers.WithBudget(t.Context(), budget), q)
			require.NoError(t, err)
			bounds := looks.Bounds(limit, few)
			assert.Equal(t, bounds, s.call.Bounds)
			assert.Equal(t, append([]string{"lookup"}, namesOf(reader.Tools())...), namesOf(s.call.Tools))

			system := s.request.Messages[0].Content
			how := reader.Prompt(bounds, "Read the tests first.")
			assert.Contains(t, how, "Read the tests first.")
			assert.True(t, strings.HasPrefix(system, "You are a test.\n\n"+how+"\n\n# Rules\n"), system)
			assert.True(t, strings.HasSuffix(system, "\n\nAnswer in one word."), system)
			all := providers.ChatRequest{Messages: s.request.Messages[:1]}
			for _, f := range s.call.Tools {
				all.Functions = append(all.Functions, f.Function)
			}
			assert.Equal(t, providers.Planned(providers.EstimateRequest(all))+tokensOf(conversation.Turn{Content: "x"}), s.call.Needs.Tokens)

			// A model that takes none may be asked when the call has returned, as the next candidate.
			request, err := s.call.Build(providers.Model{ID: "other"})
			require.NoError(t, err)
			assert.Equal(t, strings.Replace(system, how+"\n\n", "", 1), request.Messages[0].Content)
		}
	}
}

// What a model looked at is kept with its answer; what it was given, once the answer has ended.
func TestWhatAModelReadIsKept(t *testing.T) {
	reader, path := readerOf(t, "package a\n")
	s, q := &stubCaller{}, question("x")
	s.outcome = calls.Outcome{
		Response: providers.ChatResponse{Content: "yes"},
		Messages: []providers.Message{{Role: providers.RoleTool, Content: "1 | package a", Name: "read_file"}},
	}
	q.Reader = reader
	a := s.generate(t, q)
	assert.Empty(t, a.Looked())
	assert.Empty(t, ask.ExchangeIn(a.Turn()), "nothing was read")

	text, err := s.call.Tools[0].Run(t.Context(), fmt.Sprintf(`{"path":%q}`, path), 1000)
	require.NoError(t, err)
	want := []looks.Look{{Tool: "read_file", Path: path, Lines: 1, Bytes: len(text)}}
	assert.Equal(t, want, a.Looked())
	assert.Equal(t, want, ask.LookedIn(a.Turn()))
	assert.Equal(t, s.outcome.Messages, ask.ExchangeIn(a.Turn()))
	a.Outcome.Live = new(calls.Generation)
	assert.Equal(t, want, ask.LookedIn(a.Turn()))
	assert.Empty(t, ask.ExchangeIn(a.Turn()))
}
