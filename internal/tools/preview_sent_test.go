package tools_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
)

// previewCase is a call, and what it sends beside what its preview says itself.
type previewCase struct {
	tool string
	args object
	// files are the names of those that go to the model; FILE, OTHER, TEXT, BINARY and DIR in args are paths.
	files  []string
	chats  int // requests to models
	others []emulator.Op
}

// previewCases call every tool that reaches a vendor, with files wherever it takes some.
func previewCases() map[string]previewCase {
	expert := func(tool string, more object) previewCase {
		args := object{"step": "Look at it.", "relevant_files": []string{"FILE", "OTHER", "BINARY"}}
		for name, value := range more {
			args[name] = value
		}
		return previewCase{tool: tool, args: args, files: []string{"a.go", "b.go"}, chats: 1}
	}
	cases := map[string]previewCase{
		"chat with files": {tool: "chat", args: object{"prompt": "Is it right?", "files": []string{"FILE", "OTHER"}}, files: []string{"a.go", "b.go"}, chats: 1},
		"chat":            {tool: "chat", args: object{"prompt": "What is idempotence?"}, chats: 1},
		"chat, a model":   {tool: "chat", args: object{"prompt": "What is idempotence?", "model": "kimi-k3.1-pro", "use_websearch": false}, chats: 1},
		"codereview with findings": {
			tool: "codereview", files: []string{"a.go"}, chats: 2,
			args: object{"step": "Review it.", "relevant_files": []string{"FILE"}, "issues_found": []object{{"severity": "high", "description": "It divides by zero."}}},
		},
		"precommit": {tool: "precommit", args: object{"step": "Check it.", "path": "DIR"}, files: []string{"b.go", "DIR"}, chats: 1}, // the diff has the folder's name
		"consensus": {
			tool: "consensus", files: []string{"a.go"}, chats: 2,
			args: object{"step": "Is it good?", "models": []object{{"model": "glm-5.3"}, {"model": "kimi-k3.1-pro"}}, "relevant_files": []string{"FILE"}},
		},
		"kimi_multi_file_chat": {
			tool: "kimi_multi_file_chat", args: object{"prompt": "What do they say?", "files": []string{"FILE", "OTHER"}}, files: []string{"a.go", "b.go"},
			chats: 1, others: []emulator.Op{emulator.OpUpload, emulator.OpUpload},
		},
		"kimi_intent_analysis": {tool: "kimi_intent_analysis", args: object{"prompt": "Find the newest release of Go."}, chats: 1},
		"kimi_chat_with_tools": {tool: "kimi_chat_with_tools", args: object{"messages": "Hello", "tools": []object{{"name": "add", "parameters": object{"type": "object"}}}}, chats: 1},
		"kimi_chat_with_tools, search": {
			tool: "kimi_chat_with_tools", args: object{"messages": "Hello", "use_websearch": true}, chats: 1, others: []emulator.Op{emulator.OpFormulaTools},
		},
		"kimi_capture_headers":    {tool: "kimi_capture_headers", args: object{"messages": []string{"Hello"}}, chats: 1},
		"kimi_upload_and_extract": {tool: "kimi_upload_and_extract", args: object{"files": []string{"FILE", "OTHER"}}, files: []string{"a.go", "b.go"}, others: []emulator.Op{emulator.OpUpload, emulator.OpUpload}},
		"glm_upload_file":         {tool: "glm_upload_file", args: object{"file": "TEXT"}, files: []string{"t.txt"}, others: []emulator.Op{emulator.OpUpload}},
		"glm_web_search":          {tool: "glm_web_search", args: object{"search_query": "go release"}, others: []emulator.Op{emulator.OpSearch}},
		"status":                  {tool: "status", args: object{"probe": true}, chats: 2, others: []emulator.Op{emulator.OpModels, emulator.OpModels}},
		"provider_capabilities":   {tool: "provider_capabilities", args: object{}},
		"listmodels":              {tool: "listmodels", args: object{}},
	}
	for _, tool := range []string{"thinkdeep", "debug", "analyze", "codereview", "refactor", "secaudit", "testgen"} {
		cases[tool] = expert(tool, nil)
	}
	return cases
}

// A preview of each tool that reaches a vendor sends and stores nothing, and says what the same call then sends: the files, the
// models, the other requests, and the tokens within a tenth.
func TestPreviewEqualsWhatIsSent(t *testing.T) {
	cases := previewCases()
	for _, tool := range tools.Catalog(&tools.Deps{Config: config.Default()}) {
		if tool.Annotations.OpenWorld && tool.Name != "planner" && tool.Name != "tracer" && tool.Name != "docgen" && tool.Name != "self-check" {
			found := false
			for _, c := range cases {
				found = found || c.tool == tool.Name
			}
			assert.True(t, found, "%s has no case", tool.Name)
		}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newVendorFixture(t)
			r.Always(emulator.Match{}, func(emulator.Request) emulator.Reply {
				return emulator.Say(`{"summary": "fine", "findings": [], "judgements": [], "needs_websearch": true, "complexity": "simple", "domain": "x", ` +
					`"recommended_provider": "GLM", "recommended_model": "glm-5.3", "streaming_preferred": false}`)
			})
			args := r.placed(c.args)
			for i, name := range c.files {
				c.files[i] = strings.Replace(name, "DIR", filepath.Base(r.dir), 1)
			}
			previewed := object{"preview": true}
			for key, value := range args {
				previewed[key] = value
			}
			o := r.call(c.tool, previewed)
			require.Equal(t, "preview", o["status"], o)
			assert.Empty(t, r.Requests(), "nothing was sent")
			list, err := r.store.List(t.Context(), conversation.Filter{})
			require.NoError(t, err)
			assert.Empty(t, list, "nothing was stored")

			sent := r.call(c.tool, args)
			require.NotEqual(t, "error", sent["status"], sent)
			tokens, models, ops := 0, []string{}, []emulator.Op{}
			for _, q := range r.Requests() {
				switch {
				case q.Chat != nil:
					tokens += tokensOf(t, q)
					models = append(models, q.Chat.Model)
				case q.Method != http.MethodDelete && q.Op != emulator.OpFileContent: // what an upload brings with it
					ops = append(ops, q.Op)
				}
			}
			require.Len(t, models, c.chats)
			assert.ElementsMatch(t, c.others, ops)
			planned, others := []string{}, 0
			for _, m := range o["models"].([]any) {
				if m := m.(object); m["op"] == "chat" {
					planned = append(planned, m["model"].(string))
				} else {
					others++
				}
			}
			assert.ElementsMatch(t, models, planned)
			assert.Equal(t, len(ops), others, "uploads, searches and lists are requests too: %v", o["models"])
			if c.chats > 0 {
				assert.InEpsilon(t, tokens, o["input_tokens"], 0.1)
			}
			assert.ElementsMatch(t, c.files, baseNames(o["manifest"]))
			assert.ElementsMatch(t, c.files, r.given(sent, c), "the manifest is what is sent")
			expected, most := o["expected_cost_usd"].(float64), o["maximum_cost_usd"].(float64)
			assert.GreaterOrEqual(t, most, expected)
			assert.Equal(t, c.chats > 0 || slices.Contains(c.others, emulator.OpSearch), expected > 0)
		})
	}
}

// placed makes the fixture's folder a repository, and the paths of its files into arguments.
func (r *vendorFixture) placed(args object) object {
	r.t.Helper()
	code := strings.Repeat("// Half returns half of n, rounded down.\nfunc Half(n int) int { return n / 2 }\n\n", 40)
	paths := map[string]string{
		"FILE": r.file("a.go", "package a\n\n"+code), "OTHER": r.file("b.go", "package a\n\nvar Name = \"b\"\n"),
		"BINARY": r.file("c.bin", "\x00\x01\x02"), "TEXT": r.file("t.txt", "Some words."), "DIR": r.dir,
	}
	gittest.Init(r.t, r.dir, nil)
	if args["path"] == "DIR" {
		r.file("b.go", "package a\n\nvar Name = \"changed\"\n")
	}
	out := object{}
	for key, value := range args {
		switch v := value.(type) {
		case string:
			if path, ok := paths[v]; ok {
				value = path
			}
		case []string:
			list := slices.Clone(v)
			for i := range list {
				if path, ok := paths[list[i]]; ok {
					list[i] = path
				}
			}
			value = list
		}
		out[key] = value
	}
	return out
}

// given are the files that a call gave to models or vendors, as the conversation keeps them; of one that keeps none, the
// uploaded ones.
func (r *vendorFixture) given(reply object, c previewCase) (names []string) {
	for _, q := range r.Requests() {
		if q.Upload != nil && c.chats == 0 {
			names = append(names, q.Upload.Name)
		}
	}
	list, err := r.store.List(r.t.Context(), conversation.Filter{})
	require.NoError(r.t, err)
	for _, summary := range list {
		kept, err := r.store.Load(r.t.Context(), summary.ID)
		require.NoError(r.t, err)
		for _, turn := range kept.Turns {
			for _, a := range turn.Attachments {
				if name := filepath.Base(a.Path); !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

func baseNames(manifest any) (names []string) {
	for _, f := range manifest.([]any) {
		names = append(names, filepath.Base(f.(object)["path"].(string)))
	}
	return names
}

// tokensOf estimates what a chat as the vendor received it takes.
func tokensOf(t *testing.T, q emulator.Request) int {
	t.Helper()
	var body struct {
		Tools []struct{ Function providers.Function }
	}
	require.NoError(t, json.Unmarshal(q.Body, &body))
	var r providers.ChatRequest
	for _, m := range q.Chat.Messages {
		r.Messages = append(r.Messages, providers.Message{Content: m.Content})
	}
	for _, tool := range body.Tools {
		r.Functions = append(r.Functions, tool.Function)
	}
	return providers.EstimateRequest(r)
}
