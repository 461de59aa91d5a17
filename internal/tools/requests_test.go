package tools_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
)

// requestText shows chats as their vendors received them, to be read from top to bottom: parameters, functions, messages. What
// a request has in common with the one before is shown once.
func requestText(t *testing.T, requests []emulator.Request) string {
	t.Helper()
	var b strings.Builder
	var before *emulator.Chat
	for i, r := range requests {
		c := r.Chat
		require.NotNil(t, c)
		fmt.Fprintf(&b, "######## Request %d: %s %s\n\n", i+1, r.Method, r.Path)
		for _, key := range slices.Sorted(maps.Keys(c.Raw)) {
			if key != "messages" && key != "tools" {
				fmt.Fprintf(&b, "%s: %s\n", key, c.Raw[key])
			}
		}
		writeFunctions(t, &b, c, before)
		messages := c.Messages
		if before != nil && len(messages) > len(before.Messages) && reflect.DeepEqual(before.Messages, messages[:len(before.Messages)]) {
			messages = messages[len(before.Messages):]
			b.WriteString("\n(the messages of the request before, then)\n")
		}
		for _, m := range messages {
			writeMessage(&b, m)
		}
		b.WriteString("\n")
		before = c
	}
	return b.String()
}

// writeFunctions writes what a chat offers, one line for each function.
func writeFunctions(t *testing.T, b *strings.Builder, c, before *emulator.Chat) {
	t.Helper()
	if before != nil && len(c.Tools) > 0 && slices.EqualFunc(c.Tools, before.Tools, func(a, b emulator.Tool) bool { return string(a.Raw) == string(b.Raw) }) {
		b.WriteString("(the functions of the request before)\n")
		return
	}
	for _, tool := range c.Tools {
		var entry struct {
			Function struct {
				Description string
				Parameters  struct {
					Properties map[string]struct{ Type string }
					Required   []string
				}
			}
		}
		require.NoError(t, json.Unmarshal(tool.Raw, &entry))
		if tool.Name == "" {
			fmt.Fprintf(b, "%s %s\n", tool.Type, tool.Raw)
			continue
		}
		var parameters []string
		for _, name := range slices.Sorted(maps.Keys(entry.Function.Parameters.Properties)) {
			optional := ""
			if !slices.Contains(entry.Function.Parameters.Required, name) {
				optional = "?"
			}
			parameters = append(parameters, name+optional+" "+entry.Function.Parameters.Properties[name].Type)
		}
		fmt.Fprintf(b, "%s %s(%s): %s\n", tool.Type, tool.Name, strings.Join(parameters, ", "), entry.Function.Description)
	}
}

func writeMessage(b *strings.Builder, m emulator.Message) {
	fmt.Fprintf(b, "\n######## %s", m.Role)
	if m.ToolCallID != "" {
		fmt.Fprintf(b, ", to %s", m.ToolCallID)
	}
	b.WriteString("\n\n")
	if m.Reasoning != nil {
		fmt.Fprintf(b, "(reasoning) %s\n", *m.Reasoning)
	}
	for _, p := range m.Parts {
		if p.Type != "text" {
			fmt.Fprintf(b, "(%s) %.40s…\n", p.Type, p.URL)
		}
	}
	if m.Content != "" {
		b.WriteString(strings.TrimRight(m.Content, "\n") + "\n")
	}
	for _, call := range m.ToolCalls {
		fmt.Fprintf(b, "(calls, as %s) %s %s\n", call.ID, call.Name, call.Arguments)
	}
}

// stable is a text without what differs from run to run.
func (r *vendorFixture) stable(text string) string {
	text = strings.ReplaceAll(text, r.dir, "/project")
	for _, own := range []struct{ pattern, as string }{
		{`(?m)(^Repository: |BEGIN CHANGES [0-9a-f]{16} )001\b`, "${1}project"}, // the folder's name
		{`(the mark |=== (?:BEGIN|END) (?:FILE|CHANGES) )[0-9a-f]{16}`, "${1}MARK"},
		{`\b[0-9a-f]{40}\b`, "COMMIT"},
		{`\b[0-9a-f]{12} 2\d{3}-\d\d-\d\d `, "COMMIT 2000-01-01 "},
		{`"[0-9a-f]{32}"`, `"HASH"`},
		{`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, "CONVERSATION"},
	} {
		text = regexp.MustCompile(own.pattern).ReplaceAllString(text, own.as)
	}
	return text
}

// git runs git in the fixture's folder.
func (r *vendorFixture) git(args ...string) {
	r.t.Helper()
	gittest.Run(r.t, r.dir, args...)
}

// chatsOf are the chats that arrived; none may have been refused.
func (r *vendorFixture) chatsOf() []emulator.Request {
	r.t.Helper()
	chats := r.seen(emulator.OpChat)
	for _, c := range chats {
		require.Empty(r.t, c.Refused, "%s", c.Body)
	}
	slices.SortStableFunc(chats, func(a, b emulator.Request) int { return strings.Compare(a.Chat.Model, b.Chat.Model) }) // panelists are asked at once
	return chats
}

// repository makes a project of two commits with changes of every kind.
func (r *vendorFixture) repository() {
	r.file("window.go", "package window\n\nfunc Sum(n []int) (s int) {\n\tfor i := 0; i < len(n)-1; i++ {\n\t\ts += n[i]\n\t}\n\treturn s\n}\n")
	r.file("caller.go", "package window\n\nvar all = Sum([]int{1, 2})\n")
	r.file("old.go", "package window\n\nconst old = 1\n")
	r.git("init", "-q", "-b", "main")
	r.git("add", ".")
	r.git("commit", "-q", "-m", "Add a window")
	r.file("doc.go", "// Package window sums.\npackage window\n")
	r.git("add", ".")
	r.git("commit", "-q", "-m", "Document the window")
	r.file("window.go", "package window\n\nfunc Sum(n []int) (s int) {\n\tfor i := 0; i < len(n); i++ {\n\t\ts += n[i]\n\t}\n\treturn s\n}\n")
	r.git("rm", "-q", "old.go")
	r.file("client.go", "package window\n\nconst apiKey = \"ghp_16C7e42F292c6912E7710c838347Ae178B4a\"\n")
	r.git("add", "client.go")
	r.file("fresh.go", "package window\n\nvar fresh = all\n")
}

// TestGoldenAskRequests keeps what the vendors receive of the tools that ask a model without a workflow, and of precommit,
// which gathers by itself what it sends.
func TestGoldenAskRequests(t *testing.T) {
	text := func(text string) emulator.Reply { return emulator.Say(text).Thinking("I look.") }
	for name, play := range map[string]func(r *vendorFixture){
		"chat": func(r *vendorFixture) {
			r.Script(text("It adds."), text("No."))
			o := r.call("chat", object{"prompt": "What does it do?", "files": []string{r.dir + "/window.go"}, "model": "glm-4.6"})
			r.call("chat", object{"prompt": "Is that right?", "continuation_id": o["continuation_offer"].(object)["continuation_id"]})
		},
		"chat-kimi": func(r *vendorFixture) {
			r.Script(text("Go 1.26."))
			r.call("chat", object{"prompt": "What is new in Go?", "model": "kimi-k3", "thinking_mode": "high"})
		},
		"kimi_intent_analysis": func(r *vendorFixture) {
			r.Script(text(`{"needs_websearch":false,"complexity":"simple","domain":"sums","recommended_provider":"KIMI","recommended_model":"kimi-k3","streaming_preferred":false}`))
			r.call("kimi_intent_analysis", object{"prompt": "Which window is best?", "context": "A sum over a list."})
		},
		"kimi_multi_file_chat": func(r *vendorFixture) {
			r.Script(text("Two lines."))
			r.call("kimi_multi_file_chat", object{"prompt": "What do they say?", "files": []string{r.file("a.txt", "The first."), r.file("b.txt", "The second.")}})
		},
		"kimi_chat_with_tools": func(r *vendorFixture) {
			r.Script(emulator.Call("add", `{"a":1,"b":2}`).Thinking("I add."))
			r.call("kimi_chat_with_tools", object{"messages": "Add 1 and 2.", "tools": []object{{"type": "function", "function": object{
				"name": "add", "description": "Add two numbers.",
				"parameters": object{"type": "object", "properties": object{"a": object{"type": "number"}, "b": object{"type": "number"}}, "required": []string{"a", "b"}},
			}}}})
		},
		"precommit-repository": func(r *vendorFixture) {
			r.Script(text(`{"status":"analysis_complete","summary":"Fine.","findings":[]}`))
			r.call("precommit", object{"step": "Review the sum."})
		},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, func(t *testing.T, r *vendorFixture) {
				r.repository()
				play(r)
				require.Zero(t, r.Unused())
				tools.Golden(t, "request/"+name+".txt", []byte(r.stable(requestText(t, r.chatsOf()))))
			})
		})
	}
}

// systemPrompt is the part of these goldens that those of the workflow tools show already.
var systemPrompt = regexp.MustCompile(`(?s)(######## system\n\n).*?(\n######## user\n)`)

// TestGoldenReadingRequests keeps what each vendor receives of a review in which the expert reads, more than it may, and then
// judges what the caller found.
func TestGoldenReadingRequests(t *testing.T) {
	for name, model := range map[string]string{"glm": "glm-5.3", "glm-toggle": "glm-4.6", "kimi": "kimi-k3", "kimi-toggle": "kimi-k2.6"} {
		t.Run(name, func(t *testing.T) {
			with(t, func(t *testing.T, r *vendorFixture) {
				r.repository()
				answer := emulator.Say(`{"status":"analysis_complete","summary":"Fine.","findings":[]}`).Thinking("I have ", "it.")
				reads := [][]emulator.ToolCall{
					{{Name: "search_files", Arguments: `{"pattern":"Sum\\("}`}, {Name: "read_file", Arguments: `{"path":".env"}`}},
					{{Name: "read_file", Arguments: `{"path":"caller.go"}`}, {Name: "git_history", Arguments: `{"path":"window.go"}`}},
					{{Name: "git_show", Arguments: `{"commit":"HEAD","path":"window.go","from":4,"to":4}`}},
					{{Name: "list_files", Arguments: `{}`}},
					{{Name: "read_file", Arguments: `{"path":"doc.go","from":2}`}},
					{{Name: "read_file", Arguments: `{"path":"doc.go","from":1,"to":1}`}},
					{{Name: "read_file", Arguments: `{"path":"window.go"}`}}, // one round too many
				}
				r.Always(emulator.Match{}, func(q emulator.Request) emulator.Reply {
					if strings.HasPrefix(q.Chat.LastUser(), "## What the agent reports") {
						return emulator.Say(`{"judgements":[{"claim":1,"judgement":"holds","why":"window.go:4"}]}`).Thinking("hm")
					}
					return emulator.Reads(answer, reads...)(q)
				})
				r.call("codereview", object{
					"step": "Is the sum right?", "relevant_files": []string{r.dir + "/window.go"}, "model": model, "thinking_mode": "high",
					"issues_found": []object{{"severity": "high", "description": "The last number is not added.", "file": "window.go", "line": 4}},
				})
				text := systemPrompt.ReplaceAllString(requestText(t, r.chatsOf()), "${1}(as for every review: workflow/testdata/request/codereview.txt)\n${2}")
				tools.Golden(t, "request/reading-"+name+".txt", []byte(r.stable(text)))
			})
		})
	}
}

// A secret in a change is an error under SECRETS_IN_CONTEXT=refuse, also where nobody named the repository.
func TestRefusedSecretInAChange(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		r.repository()
		r.file("window.go", "package window\n\nconst token = \"ghp_"+"q7Zk2WmX9vB4nT6rYc1Hd8Lp3Js5FgQaUeRo\"\n")
		for _, args := range []object{{"step": "Review."}, {"step": "Review.", "path": r.dir}} {
			reply := r.call("precommit", args)
			require.Equal(t, "error", reply["status"])
			assert.Equal(t, "invalid_request", reply["error"].(object)["code"])
			assert.Contains(t, reply["content"], "(line 3: github-pat)")
		}
		assert.Empty(t, r.chatsOf())
	}, func(c *config.Config) { c.Files.Secrets = "refuse" })
}
