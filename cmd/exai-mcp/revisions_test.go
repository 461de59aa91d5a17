package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/server"
)

// The protocol as clients of each revision see it, on the whole program.

// request sends a request in a revision and returns its id. fields are params without braces, and may be blank.
func (c *session) request(version, method, fields string) string {
	c.s.t.Helper()
	c.last++
	if version >= "2026" {
		meta := `"_meta":{"io.modelcontextprotocol/protocolVersion":"` + version + `","io.modelcontextprotocol/clientCapabilities":{}`
		if before, after, found := strings.Cut(fields, `"_meta":{`); found {
			fields = before + meta + "," + after
		} else {
			fields = strings.TrimPrefix(fields+","+meta+"}", ",")
		}
	}
	c.send(`{"jsonrpc":"2.0","id":%d,"method":"%s","params":{%s}}`, c.last, method, fields)
	return strconv.Itoa(c.last)
}

// result sends a request and reads its result.
func (c *session) result(version, method, fields string, into any) {
	c.s.t.Helper()
	id := c.request(version, method, fields)
	got := c.next()
	require.Equal(c.s.t, id, string(got.ID), got.raw)
	require.Empty(c.s.t, got.Error, method)
	require.NoError(c.s.t, json.Unmarshal(got.Result, into), got.raw)
}

func chatFields(prompt, more string) string {
	return fmt.Sprintf(`"name":"chat","arguments":{"prompt":%q,"model":"glm-5.3-flash"}%s`, prompt, more)
}

// A cancellation reaches the vendor's socket at once, and the call is not answered.
func TestCancellationReachesTheVendorInEveryRevision(t *testing.T) {
	const calls = 15
	for _, version := range server.Revisions() {
		t.Run(version, func(t *testing.T) {
			s := newSite(t, "LOG_LEVEL=error")
			s.vendors.Always(emulator.Match{}, func(emulator.Request) emulator.Reply {
				return emulator.Say("(emulated) ", "some", "thing").With(emulator.StallAfter(2))
			})
			c := s.serve()
			c.handshake(version)
			var took []time.Duration
			for n := range calls {
				id := c.request(version, "tools/call", chatFields("stall", ""))
				_, err := s.vendors.WaitUntil(t.Context(), func(r []emulator.Request) bool { return len(r) == n+1 && r[n].Sent == 2 })
				require.NoError(t, err)
				before := time.Now()
				c.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%s,"reason":"the user stopped it"}}`, id)
				requests, err := s.vendors.WaitGone(t.Context(), n+1)
				require.NoError(t, err)
				require.Len(t, requests, n+1, "nothing is sent again")
				assert.True(t, requests[n].Gone.After(before), "the cancellation did it")
				took = append(took, requests[n].Gone.Sub(before))
			}
			slices.Sort(took)
			t.Logf("seen at the vendor's socket after %s (median), %s (longest)", took[calls/2], took[calls-1])
			assert.Less(t, took[calls/2], scaled(100*time.Millisecond))
			assert.Less(t, took[calls-1], scaled(5*time.Second), "long before the silence's own limit")

			var list struct{ Tools []any }
			c.result(version, "tools/list", "", &list)
			assert.NotEmpty(t, list.Tools, "the first answer after the cancellations is that of the next request")
			code, left := c.closeInput()
			assert.Equal(t, exitOK, code)
			assert.Less(t, left, scaled(time.Second), "nothing is waited for")
			for l := range c.lines {
				assert.NotEmpty(t, l.Method, "no answer after a cancellation: %s", l.raw)
			}
		})
	}
}

// What is offered besides tools, and that it works, in every revision.
func TestOfferInEveryRevision(t *testing.T) {
	for _, version := range server.Revisions() {
		t.Run(version, func(t *testing.T) {
			s := newSite(t, "LOG_LEVEL=error", "MAX_MCP_OUTPUT_TOKENS=1500")
			long := strings.Repeat("(emulated) a paragraph with <tags> & \"quotes\"\n\n", 400)
			s.vendors.On(emulator.Match{}, emulator.Say(long))
			c := s.serve()
			var hello struct {
				Instructions string
				Capabilities map[string]any
			}
			if version >= "2026" {
				c.result(version, "server/discover", "", &hello)
			} else {
				c.result(version, "initialize", `"protocolVersion":"`+version+`","capabilities":{},"clientInfo":{"name":"t","version":"1"}`, &hello)
				c.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
			}
			assert.NotEmpty(t, hello.Instructions)
			assert.Less(t, utf8.RuneCountInString(hello.Instructions), 2000)
			want := []string{"completions", "logging", "prompts", "resources", "tools"}
			if version == "2024-11-05" {
				want = want[1:]
			}
			if version >= "2026" {
				want = append(want, "extensions") // tasks
			}
			var offered []string
			for name := range hello.Capabilities {
				offered = append(offered, name)
			}
			assert.ElementsMatch(t, want, offered)

			var called struct{ Content []struct{ Text string } }
			c.result(version, "tools/call", chatFields("something long", ""), &called)
			var reply struct {
				More  struct{ URI string }
				Offer struct {
					ID string `json:"continuation_id"`
				} `json:"continuation_offer"`
			}
			require.NoError(t, json.Unmarshal([]byte(called.Content[0].Text), &reply))
			read := func(uri string) string {
				t.Helper()
				var page struct {
					Contents []struct{ URI, MIMEType, Text string }
				}
				c.result(version, "resources/read", fmt.Sprintf(`"uri":%q`, uri), &page)
				require.Len(t, page.Contents, 1)
				assert.Equal(t, uri, page.Contents[0].URI)
				return page.Contents[0].Text
			}
			assert.Equal(t, strings.TrimSpace(long), strings.TrimSpace(read(reply.More.URI)), "more.uri leads to the whole answer")
			assert.Contains(t, read("exai://conversations/"+reply.Offer.ID), "> something long\n")
			for _, uri := range []string{"exai://issues", "exai://models", "exai://config", "exai://conversations"} {
				assert.NotEmpty(t, read(uri))
			}
			var listed struct {
				Resources []struct{ URI, Name, Title string }
			}
			c.result(version, "resources/list", "", &listed)
			assert.Len(t, listed.Resources, 5, "the fixed ones and the conversation")
			for _, r := range listed.Resources {
				assert.Equal(t, version >= "2025-06-18", r.Title != "", r.URI)
				read(r.URI)
			}
			c.prompts(version, reply.Offer.ID)
		})
	}
}

// prompts looks at the prompts, and completes their arguments.
func (c *session) prompts(version, id string) {
	t := c.s.t
	var tools struct{ Tools []struct{ Name string } }
	c.result(version, "tools/list", "", &tools)
	var menu struct {
		Prompts []struct{ Name, Title string }
	}
	c.result(version, "prompts/list", "", &menu)
	var names []string
	for _, p := range menu.Prompts {
		names = append(names, p.Name)
		assert.Equal(t, version >= "2025-06-18", p.Title != "", p.Name)
	}
	assert.Contains(t, names, "continue")
	for _, tool := range tools.Tools {
		assert.Contains(t, names, tool.Name)
	}
	var picked struct {
		Messages []struct {
			Role    string
			Content struct{ Type, Text string }
		}
	}
	c.result(version, "prompts/get", fmt.Sprintf(`"name":"continue","arguments":{"continuation_id":%q,"prompt":"and then?"}`, id), &picked)
	require.Len(t, picked.Messages, 1)
	assert.Equal(t, "user", picked.Messages[0].Role)
	assert.Contains(t, picked.Messages[0].Content.Text, id)

	for argument, typed := range map[string]string{"model": "glm-5.3", "continuation_id": id[:8]} {
		var found struct{ Completion struct{ Values []string } }
		c.result(version, "completion/complete", fmt.Sprintf(`"ref":{"type":"ref/prompt","name":"chat"},"argument":{"name":%q,"value":%q}`, argument, typed), &found)
		require.NotEmpty(t, found.Completion.Values)
		assert.True(t, strings.HasPrefix(found.Completion.Values[0], typed), found.Completion.Values[0])
	}
}

// Resources and prompts are listed at once although the database does not answer.
func TestListsDoNotWaitForTheDatabase(t *testing.T) {
	t.Parallel()
	hole, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer hole.Close()
	s := newSite(t, "LOG_LEVEL=error", "CONVERSATION_STORAGE_BACKEND=postgres", "DATABASE_URL=postgres://me:secretpassword@"+hole.Addr().String()+"/x")
	c := s.serve()
	c.handshake("2025-11-25")
	start := time.Now()
	var listed struct{ Resources []any }
	c.result("", "resources/list", "", &listed)
	assert.Len(t, listed.Resources, 4, "the fixed ones")
	var menu struct{ Prompts []any }
	c.result("", "prompts/list", "", &menu)
	assert.NotEmpty(t, menu.Prompts)
	assert.Less(t, time.Since(start), scaled(5*time.Second))
	c.request("", "resources/read", `"uri":"exai://conversations"`)
	got := c.next()
	assert.Contains(t, string(got.Error), "-32603")
	assert.NotContains(t, got.raw, "secretpassword")
	assert.NotContains(t, got.raw, hole.Addr().String())
}

// The client's folders are asked for again when they change, and calls obey the new ones.
func TestServeFollowsTheClientsRoots(t *testing.T) {
	s := newSite(t, "LOG_LEVEL=error")
	folder := func(name string) (dir, file string) {
		dir = filepath.Join(s.t.TempDir(), name)
		require.NoError(t, os.MkdirAll(dir, 0o755))
		file = filepath.Join(dir, name+".go")
		require.NoError(t, os.WriteFile(file, []byte("package "+name), 0o644))
		return dir, file
	}
	oldDir, oldFile := folder("old")
	newDir, newFile := folder("new")
	c := s.serve()
	c.send(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{"listChanged":true}},"clientInfo":{"name":"t","version":"1"}}}`)
	c.next()
	tell := func(method, dir string) {
		c.send(`{"jsonrpc":"2.0","method":"%s"}`, method)
		asked := <-c.lines
		require.Equal(t, "roots/list", asked.Method)
		uri := url.URL{Scheme: "file", Path: filepath.ToSlash(dir)}
		c.send(`{"jsonrpc":"2.0","id":%s,"result":{"roots":[{"uri":%q}]}}`, asked.ID, uri.String())
	}
	sent := func(file string) string {
		t.Helper()
		c.request("", "tools/call", fmt.Sprintf(`"name":"chat","arguments":{"prompt":"look","files":[%q],"model":"glm-5.3-flash"}`, file))
		return c.next().raw
	}
	tell("notifications/initialized", oldDir)
	assert.NotContains(t, sent(oldFile), "path_denied")
	assert.Contains(t, sent(newFile), "path_denied")
	tell("notifications/roots/list_changed", newDir)
	assert.NotContains(t, sent(newFile), "path_denied")
	assert.Contains(t, sent(oldFile), "path_denied")
	requests := s.vendors.Requests()
	require.Len(t, requests, 2)
	assert.Contains(t, requests[0].Chat.Text(), "package old")
	assert.Contains(t, requests[1].Chat.Text(), "package new")
}

// A stateless client is asked for its folders when a call names a path outside of the known ones, and no sooner; what it
// answers holds for the rest of the process. The round in which it is asked reaches no vendor and counts as no call.
func TestStatelessClientsAreAskedForTheirRoots(t *testing.T) {
	s := newSite(t, "LOG_LEVEL=error")
	dir, file := s.t.TempDir(), "far.go"
	file = filepath.Join(dir, file)
	require.NoError(t, os.WriteFile(file, []byte("package far"), 0o644))
	root := url.URL{Scheme: "file", Path: filepath.ToSlash(dir)}
	c := s.serve()
	call := func(capabilities, tool, arguments, more string) string {
		t.Helper()
		c.last++
		c.send(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"%s","arguments":%s%s,"_meta":{"progressToken":1,`+
			`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":%s}}}`,
			c.last, tool, arguments, more, capabilities)
		return c.next().raw
	}
	read := fmt.Sprintf(`{"prompt":"look","files":[%q],"model":"glm-5.3-flash"}`, file)
	const rooted, asks = `{"roots":{}}`, `"result":{"resultType":"input_required","inputRequests":{"roots":{"method":"roots/list","params":{}}}`
	assert.NotContains(t, call(rooted, "chat", `{"prompt":"hello","model":"glm-5.3-flash"}`, ""), asks, "no path, no question")
	assert.Contains(t, call(`{}`, "chat", read, ""), "path_denied", "one that has no roots can't be asked")
	s.vendors.Forget()
	assert.Contains(t, call(rooted, "chat", read, ""), asks)
	assert.Contains(t, call(rooted, "chat", read, `,"inputResponses":{}`), "path_denied", "nobody is asked twice")
	assert.Empty(t, s.vendors.Requests())
	answer := fmt.Sprintf(`,"inputResponses":{"roots":{"roots":[{"uri":%q,"name":"far"}]}}`, root.String())
	assert.Contains(t, call(rooted, "chat", read, answer), `"resultType":"complete"`)
	require.Len(t, s.vendors.Requests(), 1)
	assert.Contains(t, s.vendors.Requests()[0].Chat.Text(), "package far")
	assert.NotContains(t, call(`{}`, "chat", read, ""), "path_denied", "the root is known now")
	assert.NotContains(t, call(rooted, "chat", read, ""), asks)
	log := call(`{}`, "toolcall_log_tail", `{}`, "")
	assert.Equal(t, 6, strings.Count(log, `\"tool\":\"chat\"`), "the asking round is no call")
}

// The folder that Claude Code names is a root, unless it is the home folder or is not absolute.
func TestTheProjectOfClaudeCodeIsARoot(t *testing.T) {
	s := newSite(t, "LOG_LEVEL=error")
	write := func(dir string) (file string) {
		file = filepath.Join(dir, "a.go")
		require.NoError(t, os.WriteFile(file, []byte("package a"), 0o644))
		return file
	}
	project := t.TempDir()
	for _, c := range []struct {
		dir, file string
		allowed   bool
	}{
		{project, write(project), true},
		{"", write(project), false},
		{s.dir, write(s.dir), false},
		{".", write(s.dir), false},
	} {
		s.vendors.Forget()
		at := *s
		at.environ = append(slices.Clone(s.environ), "CLAUDE_PROJECT_DIR="+c.dir)
		client := at.serve()
		client.request("2026-07-28", "tools/call", fmt.Sprintf(`"name":"chat","arguments":{"prompt":"look","files":[%q],"model":"glm-5.3-flash"}`, c.file))
		assert.Equal(t, !c.allowed, strings.Contains(client.next().raw, "path_denied"), "%+v", c)
		assert.Equal(t, c.allowed, len(s.vendors.Requests()) == 1)
	}
}

// An exceeded limit is told to the client as a log message, at its level, without a word of the prompt.
func TestExceededLimitsAreLoggedToTheClient(t *testing.T) {
	for _, version := range server.Revisions() {
		t.Run(version, func(t *testing.T) {
			s := newSite(t, "LOG_LEVEL=error", "GLM_TIMEOUT_SECS=0.3", "MAX_RETRIES=0")
			s.vendors.Always(emulator.Match{}, func(emulator.Request) emulator.Reply { return emulator.Fail(emulator.NeverAnswer()) })
			c := s.serve()
			c.handshake(version)
			level := ""
			if version >= "2026" {
				level = `,"_meta":{"io.modelcontextprotocol/logLevel":"warning"}`
			} else {
				var none struct{}
				c.result(version, "logging/setLevel", `"level":"warning"`, &none)
			}
			id := c.request(version, "tools/call", chatFields("a private question", level))
			var logged []string
			for l := range c.lines {
				if l.Method == "" {
					require.Equal(t, id, string(l.ID), l.raw)
					break
				}
				assert.Equal(t, "notifications/message", l.Method)
				logged = append(logged, l.raw)
			}
			all := strings.Join(logged, "\n")
			assert.Contains(t, all, `"level":"warning"`)
			assert.Contains(t, all, "GLM_TIMEOUT_SECS=0.3s")
			assert.NotContains(t, all, "private question")
		})
	}
}
