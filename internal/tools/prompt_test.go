package tools

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

func newPrompts(t testing.TB, h *fixture) *Prompts {
	t.Helper()
	shown, _ := Shown(h.deps)
	return NewPrompts(h.deps, shown)
}

// sample is a value that a person may give for an argument.
func sample(t tool.Tool, name string) string {
	for _, p := range t.Params() {
		if p.Name == name {
			if words := p.Words(); len(words) > 0 {
				return words[0]
			}
			if p.Kind() == "integer" {
				return "7"
			}
		}
	}
	return "some ```words```, and \"more\""
}

var blocks = regexp.MustCompile("(?s)(`{3,})json\n(.*?)\n`{3,}(?:\n|$)")

// Every tool has a prompt whose call the tool accepts, with what people are asked for and nothing that the tool has not.
func TestEveryToolHasItsPrompt(t *testing.T) {
	h := newFixture(t, asktest.Says("x"), func(c *config.Config) { c.Tools.Diagnostics, c.Tools.IssueTracker = true, true })
	shown, _ := Shown(h.deps)
	p := NewPrompts(h.deps, shown)
	list := p.List()
	require.Len(t, list, len(shown)+1)
	assert.Equal(t, "continue", list[0].Name)
	for i, tool := range shown {
		prompt := list[i+1]
		t.Run(tool.Name, func(t *testing.T) {
			require.Equal(t, tool.Name, prompt.Name)
			assert.NotEmpty(t, prompt.Title)
			assert.NotEmpty(t, prompt.Description)
			least, all := map[string]string{}, map[string]string{}
			optional := false
			for _, a := range prompt.Arguments {
				assert.True(t, tool.Has(a.Name), a.Name)
				assert.NotEmpty(t, a.Description, a.Name)
				all[a.Name] = sample(tool, a.Name)
				if a.Required {
					assert.False(t, optional, "the required ones come first: clients take them by their place")
					least[a.Name] = all[a.Name]
				}
				optional = optional || !a.Required
			}
			for _, given := range []map[string]string{least, all} {
				text, err := p.Get(t.Context(), tool.Name, given)
				require.NoError(t, err)
				assert.Contains(t, text, "`"+tool.Name+"` of the MCP server exai-mcp", "it says which tool to call")
				assert.NotContains(t, text, "<no value>")
				block := blocks.FindStringSubmatch(text)
				if block == nil {
					assert.Empty(t, given, text)
					continue
				}
				_, _, err = tool.Check(json.RawMessage(block[2]), h.deps.Config)
				assert.NoError(t, err, "the call is valid as it stands: %s", block[2])
				var args map[string]any
				require.NoError(t, json.Unmarshal([]byte(block[2]), &args))
				for name := range given {
					assert.Contains(t, args, name)
				}
			}
			if len(least) > 0 {
				_, err := p.Get(t.Context(), tool.Name, nil)
				e := reply.FromError(t.Context(), err)
				assert.Equal(t, reply.CodeInvalidRequest, e.Code)
				for name := range least {
					assert.Contains(t, e.Message, name)
				}
			}
		})
	}
}

// What a tool can't do without is asked of the person, or filled in for the agent.
func TestPromptsAskForWhatIsRequired(t *testing.T) {
	h := newFixture(t, asktest.Says("x"))
	want := map[string]string{
		"chat": "prompt", "debug": "step", "consensus": "step", "tracer": "step trace_mode target_description",
		"glm_web_search": "search_query", "kimi_multi_file_chat": "files prompt", "docgen": "step", "version": "", "activity": "",
	}
	for _, prompt := range newPrompts(t, h).List() {
		var required []string
		for _, a := range prompt.Arguments {
			if a.Required {
				required = append(required, a.Name)
			}
			assert.NotEqual(t, findingsArgument, a.Name, "the agent fills it in")
		}
		if names, listed := want[prompt.Name]; listed {
			assert.Equal(t, names, strings.Join(required, " "), prompt.Name)
		}
	}
}

func TestPromptArgumentsBecomeTheToolsOwn(t *testing.T) {
	p := newPrompts(t, newFixture(t, asktest.Says("x")))
	get := func(name string, given map[string]string) (map[string]any, string) {
		t.Helper()
		text, err := p.Get(t.Context(), name, given)
		require.NoError(t, err)
		var args map[string]any
		require.NoError(t, json.Unmarshal([]byte(blocks.FindStringSubmatch(text)[2]), &args))
		return args, text
	}
	args, text := get("debug", map[string]string{
		"step": "it crashes <here>", "relevant_files": "/a b.go, /c.go\n/d", "use_websearch": "no", "temperature": "0.5", "thinking_mode": "HIGH", "host_own": "x",
	})
	assert.Equal(t, map[string]any{
		"step": "it crashes <here>", "findings": "(what you found so far)",
		"relevant_files": []any{"/a b.go", "/c.go", "/d"}, "use_websearch": false, "temperature": 0.5, "thinking_mode": "high",
	}, args)
	assert.Contains(t, text, "One call is enough")
	assert.Contains(t, text, "an expert model")

	args, _ = get("consensus", map[string]string{"step": "A or B?", "models": "glm-5.3, kimi-k3.1-pro"})
	assert.Equal(t, []any{map[string]any{"model": "glm-5.3"}, map[string]any{"model": "kimi-k3.1-pro"}}, args["models"])

	args, _ = get("chat", map[string]string{"prompt": "x", "files": `["/with, comma.go"]`})
	assert.Equal(t, []any{"/with, comma.go"}, args["files"])

	_, text = get("planner", map[string]string{"step": "a release"})
	assert.NotContains(t, text, "expert")
	assert.Contains(t, text, "one step of the plan per call")

	_, err := p.Get(t.Context(), "chat", map[string]string{"prompt": "x", "thinking_mode": "loud"})
	assert.ErrorContains(t, err, "minimal")
	_, err = p.Get(t.Context(), "chat", map[string]string{"prompt": "  "})
	assert.ErrorContains(t, err, "prompt")
	_, err = p.Get(t.Context(), "nope", nil)
	assert.ErrorIs(t, err, ErrNoPrompt)
}

func TestPromptContinue(t *testing.T) {
	h, _ := library(t)
	p := newPrompts(t, h)
	get := func(id, prompt string) string {
		t.Helper()
		text, err := p.Get(t.Context(), "continue", map[string]string{"continuation_id": id, "prompt": prompt})
		require.NoError(t, err)
		assert.NotContains(t, text, "glm-key-123456")
		assert.NotContains(t, text, "<no value>")
		return text
	}
	keep := func(id string, turns ...conversation.Turn) {
		_, err := h.store.Append(t.Context(), conversation.NewTurns{ConversationID: id, Title: "A title", Tool: "debug", Turns: turns})
		require.NoError(t, err)
	}
	assert.Contains(t, get("", ""), "- continuation_id t-1: Is it ********? (chat, 3 turns, ")
	assert.Contains(t, get("", "about locks"), "Find the one that this belongs to: about locks")

	text := get("t-1", "and now?")
	assert.Contains(t, text, "conversation t-1 (\"Is it ********?\")")
	assert.Contains(t, blocks.FindStringSubmatch(text)[2], `"prompt": "and now?"`)
	assert.Contains(t, get(" t-1 ", ""), `"prompt": ""`, "a blank prompt fetches the last answer")

	keep("partial", conversation.Turn{Role: providers.RoleAssistant, Status: conversation.TurnPartial})
	assert.Contains(t, get("partial", ""), "Its last answer is incomplete")
	keep("running", conversation.Turn{Role: providers.RoleAssistant, Status: conversation.TurnRunning, SavedAt: time.Now()})
	assert.Contains(t, get("running", "then this"), "still being written")
	assert.Contains(t, get("running", "then this"), "this prompt: then this")

	keep("paused", conversation.Turn{Role: providers.RoleUser, Step: &conversation.Step{
		Tool: "debug", Number: 2, Reply: json.RawMessage(`{"status":"pause_for_investigation","required_actions":["read a.go"],"next_call":{"tool":"debug","arguments":{"step_number":3}}}`),
	}})
	text = get("paused", "mind the lock")
	assert.Contains(t, text, "an unfinished run of the tool `debug` that stopped after step 2")
	assert.Contains(t, text, `"read a.go"`)
	assert.Contains(t, text, `"step_number": 3`)
	assert.Contains(t, text, "mind the lock")
	keep("done", conversation.Turn{Role: providers.RoleUser, Step: &conversation.Step{Tool: "debug", Number: 2, Reply: json.RawMessage(`{"status":"x","next_call":null}`)}})
	assert.Contains(t, get("done", ""), "Summarise in a few sentences where it stands")

	_, err := p.Get(t.Context(), "continue", map[string]string{"continuation_id": "nope"})
	assert.Equal(t, reply.CodeConversationNotFound, reply.FromError(t.Context(), err).Code)

	assert.Contains(t, get("latest", ""), "- continuation_id t-1: ", "no conversation is of this folder, so all are listed")
	for _, c := range []struct{ id, dir string }{{"aaaaaa11", h.deps.Workspace.FirstRoot(t.Context())}, {"aaaaaa22", "/elsewhere"}} {
		_, err := h.store.Append(t.Context(), conversation.NewTurns{
			ConversationID: c.id, Workspace: c.dir, Tool: "chat", Turns: []conversation.Turn{{Role: providers.RoleUser, Content: "x"}},
		})
		require.NoError(t, err)
	}
	assert.Contains(t, get("latest", "go on"), `"continuation_id": "aaaaaa11"`)
	assert.Contains(t, get("aaaaaa2", ""), `"continuation_id": "aaaaaa22"`)
	_, err = p.Get(t.Context(), "continue", map[string]string{"continuation_id": "aaaaaa"})
	assert.Equal(t, reply.CodeInvalidRequest, reply.FromError(t.Context(), err).Code)
	require.ErrorContains(t, err, "aaaaaa is ambiguous: it may be aaaaaa")
	h.store.Before = func(context.Context, string) error { return errors.New("down") }
	for _, id := range []string{"", "t-1"} {
		_, err = p.Get(t.Context(), "continue", map[string]string{"continuation_id": id})
		assert.Equal(t, reply.CodeStoreUnavailable, reply.FromError(t.Context(), err).Code)
	}
}

func TestPromptContinueWithoutAConversation(t *testing.T) {
	text, err := newPrompts(t, newFixture(t, asktest.Says("x"))).Get(t.Context(), "continue", nil)
	require.NoError(t, err)
	assert.Contains(t, text, "no conversation")
}

func TestCompletePrompts(t *testing.T) {
	h, _ := library(t)
	h.deps.Config.Tools.IssueTracker = true
	p := newPrompts(t, h)
	complete := func(prompt, argument, typed string) []string {
		t.Helper()
		c, err := p.Complete(t.Context(), prompt, argument, typed)
		require.NoError(t, err)
		return c.Values
	}
	models := complete("chat", "model", "")
	assert.Contains(t, models, "glm-5.3")
	assert.False(t, slices.ContainsFunc(models, func(m string) bool { return strings.HasPrefix(m, "kimi") }), "a vendor without a key can't be asked")
	assert.Contains(t, complete("chat", "model", "GLM-5.3-f"), "glm-5.3-flash")
	assert.Empty(t, complete("chat", "model", "gpt"))
	assert.Empty(t, complete("kimi_multi_file_chat", "model", "glm"), "Kimi's tools ask Kimi")
	for _, m := range complete("consensus", "models", "glm-5.3,glm-5.3-f") {
		assert.True(t, strings.HasPrefix(m, "glm-5.3,glm-5.3-f"), m)
	}
	assert.Equal(t, []string{"t-1"}, complete("chat", "continuation_id", "t"))
	assert.Equal(t, []string{"t-1"}, complete("continue", "continuation_id", ""))
	assert.Equal(t, []string{"minimal", "medium", "max"}, complete("debug", "thinking_mode", "m"))
	assert.Equal(t, []string{"true", "false"}, complete("chat", "use_websearch", ""))
	assert.Equal(t, []string{"3", "4"}, complete("issues", "issue_number", ""))
	assert.Empty(t, complete("chat", "prompt", "x"))
	assert.Empty(t, complete("chat", "nope", "x"))
	_, err := p.Complete(t.Context(), "nope", "model", "")
	assert.ErrorIs(t, err, ErrNoPrompt)
}
