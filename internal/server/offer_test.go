package server

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// fakeResources implements Resources, fakePrompts Prompts.
type fakeResources struct {
	latest   func(ctx context.Context) []tools.Resource
	read     func(ctx context.Context, uri string) (tools.Document, error)
	complete func(template, variable, typed string, given map[string]string) (tools.Completion, error)
}

func (fakeResources) Fixed() []tools.Resource {
	return []tools.Resource{{URI: "exai://issues", Name: "issues", Title: "The issues", Description: "All <of> them.", MIME: "text/markdown", Priority: 0.5}}
}

func (fakeResources) Templates() []tools.Resource {
	return []tools.Resource{{URI: "exai://issues/{number}", Name: "issue", Title: "One issue", Description: "By number.", MIME: "text/markdown"}}
}

func (s fakeResources) Latest(ctx context.Context) []tools.Resource {
	if s.latest == nil {
		return nil
	}
	return s.latest(ctx)
}

func (s fakeResources) Read(ctx context.Context, uri string) (tools.Document, error) {
	return s.read(ctx, uri)
}

func (s fakeResources) Complete(_ context.Context, template, variable, typed string, given map[string]string) (tools.Completion, error) {
	return s.complete(template, variable, typed, given)
}

type fakePrompts struct {
	get      func(ctx context.Context, name string, given map[string]string) (string, error)
	complete func(name, argument, typed string) (tools.Completion, error)
}

func (fakePrompts) Names() []string { return []string{"chat"} }

func (fakePrompts) List() []tools.Prompt {
	return []tools.Prompt{{Name: "chat", Title: "Chat about it", Description: "Asks.", Arguments: []tools.PromptArgument{
		{Name: "prompt", Description: "What.", Required: true}, {Name: "model"},
	}}}
}

func (m fakePrompts) Get(ctx context.Context, name string, given map[string]string) (string, error) {
	return m.get(ctx, name, given)
}

func (m fakePrompts) Complete(_ context.Context, name, argument, typed string) (tools.Completion, error) {
	return m.complete(name, argument, typed)
}

func offering(log *zap.Logger, s fakeResources, m fakePrompts) *Server {
	return New(Options{Name: "exai-mcp", Version: "1", Resources: s, Prompts: m, Log: log})
}

// ask sends a request in a revision and gives the answer.
func (p *peer) ask(version, method, params string) line {
	p.t.Helper()
	p.send(`{"jsonrpc":"2.0","id":"r","method":"%s","params":{"x":1%s%s}}`, method, params, meta(version, ""))
	got := p.next()
	require.JSONEq(p.t, `"r"`, string(got.ID), got.raw)
	return got
}

func TestCapabilitiesPerRevision(t *testing.T) {
	all := map[string]any{"tools": map[string]any{}, "logging": map[string]any{}, "resources": map[string]any{}, "prompts": map[string]any{}, "completions": map[string]any{}}
	first := map[string]any{"tools": map[string]any{}, "logging": map[string]any{}, "resources": map[string]any{}, "prompts": map[string]any{}}
	for _, version := range Revisions() {
		t.Run(version, func(t *testing.T) {
			p := connect(t, offering(nil, fakeResources{}, fakePrompts{}))
			var hello struct{ Capabilities map[string]any }
			if version == "2026-07-28" {
				require.NoError(t, json.Unmarshal(p.ask(version, "server/discover", "").Result, &hello))
			} else {
				require.NoError(t, json.Unmarshal(p.handshake(version, `{}`).Result, &hello))
			}
			if version == "2024-11-05" {
				assert.Equal(t, first, hello.Capabilities, "completing had no capability yet")
			} else {
				assert.Equal(t, all, hello.Capabilities)
			}
		})
	}
}

func TestListsPerRevision(t *testing.T) {
	latest := func(context.Context) []tools.Resource {
		return []tools.Resource{{
			URI: "exai://issues/7", Name: "issue 7", Title: "#7 Slow", Description: "high", MIME: "text/markdown", Priority: 0.25,
			Modified: time.Date(2026, 11, 23, 13, 0, 0, 0, time.FixedZone("", 3600)),
		}}
	}
	const (
		titled = `{"resources":[` +
			`{"annotations":{"priority":0.5},"uri":"exai://issues","name":"issues","title":"The issues","description":"All <of> them.","mimeType":"text/markdown"},` +
			`{"annotations":{"priority":0.25,"lastModified":"2026-11-23T12:00:00Z"},"uri":"exai://issues/7","name":"issue 7","title":"#7 Slow","description":"high","mimeType":"text/markdown"}]}`
		untitled = `{"resources":[` +
			`{"annotations":{"priority":0.5},"uri":"exai://issues","name":"The issues","description":"All <of> them.","mimeType":"text/markdown"},` +
			`{"annotations":{"priority":0.25},"uri":"exai://issues/7","name":"#7 Slow","description":"high","mimeType":"text/markdown"}]}`
		template = `"description":"By number.","mimeType":"text/markdown"}]}`
		prompt   = `"description":"Asks.","arguments":[{"name":"prompt","description":"What.","required":true},{"name":"model"}]}]}`
	)
	for _, version := range Revisions() {
		t.Run(version, func(t *testing.T) {
			p := connect(t, offering(nil, fakeResources{latest: latest}, fakePrompts{}))
			p.handshake(version, `{}`)
			same := func(method, want string) {
				t.Helper()
				got := p.ask(version, method, "").Result
				if version != "2026-07-28" {
					assert.Equal(t, want, string(got))
					return
				}
				var whole, wanted map[string]any
				require.NoError(t, json.Unmarshal(got, &whole))
				require.NoError(t, json.Unmarshal([]byte(want), &wanted))
				for key, value := range wanted {
					assert.Equal(t, value, whole[key])
				}
				scope, ttl := "public", float64(3_600_000)
				if method == "resources/list" { // conversations and issues come and go
					scope, ttl = "private", 0
				}
				assert.Equal(t, scope, whole["cacheScope"], method)
				assert.Equal(t, ttl, whole["ttlMs"], method)
			}
			if version >= "2025-06-18" {
				same("resources/list", titled)
				same("resources/templates/list", `{"resourceTemplates":[{"uriTemplate":"exai://issues/{number}","name":"issue","title":"One issue",`+template)
				same("prompts/list", `{"prompts":[{"name":"chat","title":"Chat about it",`+prompt)
				return
			}
			same("resources/list", untitled)
			same("resources/templates/list", `{"resourceTemplates":[{"uriTemplate":"exai://issues/{number}","name":"One issue",`+template)
			same("prompts/list", `{"prompts":[{"name":"chat",`+prompt)
		})
	}
}

type noPrompts struct{ fakePrompts }

func (noPrompts) Names() []string { return nil }

func (noPrompts) List() []tools.Prompt { return nil }

func TestListOfNoPrompts(t *testing.T) {
	p := connect(t, New(Options{Name: "exai-mcp", Version: "1", Prompts: noPrompts{}}))
	p.handshake("2025-06-18", `{}`)
	assert.JSONEq(t, `{"prompts":[]}`, string(p.ask("2025-06-18", "prompts/list", "").Result), "clients refuse null")
}

func TestCursors(t *testing.T) {
	p := connect(t, offering(nil, fakeResources{}, fakePrompts{}))
	p.handshake(newest, `{}`)
	for _, method := range []string{"resources/list", "resources/templates/list", "prompts/list", "tools/list"} {
		got := p.ask(newest, method, `,"cursor":"%%%"`)
		require.NotNil(t, got.Error, got.raw)
		assert.Equal(t, -32602, got.Error.Code)
		assert.NotContains(t, got.raw, "base64")
		assert.NotContains(t, p.ask(newest, method, "").raw, "nextCursor", "one page")
	}
}

// A list refuses a request for what is wrong with it, be that its cursor or not.
func TestListsOfRequestsWithoutCapabilities(t *testing.T) {
	p := connect(t, offering(nil, fakeResources{}, fakePrompts{}))
	for _, method := range []string{"resources/list", "tools/list"} {
		for _, capabilities := range []string{``, `,"io.modelcontextprotocol/clientCapabilities":5`} {
			p.send(`{"jsonrpc":"2.0","id":1,"method":"%s","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"%s}}}`, method, capabilities)
			got := p.next()
			require.NotNil(t, got.Error, got.raw)
			assert.Equal(t, -32602, got.Error.Code)
			assert.Contains(t, got.Error.Message, "io.modelcontextprotocol/clientCapabilities")
		}
	}
}

// How long a client may keep what it read depends on whether it can change.
func TestCacheHints(t *testing.T) {
	p := connect(t, offering(nil, fakeResources{read: func(context.Context, string) (tools.Document, error) {
		return tools.Document{MIME: "text/plain", Text: "x"}, nil
	}}, fakePrompts{}))
	for method, want := range map[string]string{
		"server/discover": `"ttlMs":3600000,"cacheScope":"public"`, "tools/list": `"ttlMs":3600000,"cacheScope":"public"`,
		"resources/read": `"ttlMs":0,"cacheScope":"private"`,
	} {
		assert.Contains(t, p.ask("2026-07-28", method, `,"uri":"exai://issues"`).raw, want, method)
	}
}

func TestReadAndGet(t *testing.T) {
	for _, version := range Revisions() {
		t.Run(version, func(t *testing.T) {
			p := connect(t, offering(nil, fakeResources{read: func(_ context.Context, uri string) (tools.Document, error) {
				return tools.Document{MIME: "text/markdown", Text: "<" + uri + ">\n"}, nil
			}}, fakePrompts{get: func(_ context.Context, name string, given map[string]string) (string, error) {
				return name + " & " + given["prompt"], nil
			}}))
			p.handshake(version, `{}`)
			for _, uri := range []string{"exai://issues", "exai://issues/7", "exai://issues/a%20b"} {
				assert.Contains(t, p.ask(version, "resources/read", `,"uri":"`+uri+`"`).raw,
					`"contents":[{"uri":"`+uri+`","mimeType":"text/markdown","text":"<`+uri+`>\n"}]`)
			}
			got := p.ask(version, "prompts/get", `,"name":"chat","arguments":{"prompt":"a < b"}`)
			assert.Contains(t, got.raw, `"messages":[{"role":"user","content":{"type":"text","text":"chat & a < b"}}]`)
		})
	}
}

func TestWhatIsNotThereIsAProtocolError(t *testing.T) {
	for _, version := range Revisions() {
		t.Run(version, func(t *testing.T) {
			p := connect(t, offering(nil, fakeResources{
				read: func(context.Context, string) (tools.Document, error) { return tools.Document{}, tools.ErrNoResource },
				complete: func(string, string, string, map[string]string) (tools.Completion, error) {
					return tools.Completion{}, tools.ErrNoResource
				},
			}, fakePrompts{
				get:      func(context.Context, string, map[string]string) (string, error) { return "", tools.ErrNoPrompt },
				complete: func(string, string, string) (tools.Completion, error) { return tools.Completion{}, tools.ErrNoPrompt },
			}))
			p.handshake(version, `{}`)
			code := -32002
			if version == "2026-07-28" {
				code = -32602
			}
			for _, uri := range []string{"exai://issues/7", "exai://nope", "", "file:///etc/passwd"} {
				got := p.ask(version, "resources/read", `,"uri":"`+uri+`"`)
				require.NotNil(t, got.Error, got.raw)
				assert.Equal(t, code, got.Error.Code)
				assert.Equal(t, noResource, got.Error.Message)
			}
			for _, name := range []string{"chat", "nope", ""} {
				got := p.ask(version, "prompts/get", `,"name":"`+name+`"`)
				require.NotNil(t, got.Error, got.raw)
				assert.Equal(t, -32602, got.Error.Code)
				assert.Equal(t, noPrompt, got.Error.Message)
			}
			for _, ref := range []string{`{"type":"ref/prompt","name":"nope"}`, `{"type":"ref/resource","uri":"exai://nope"}`, `{"type":"ref/tool","name":"x"}`, `{}`, `5`} {
				got := p.ask(version, "completion/complete", `,"ref":`+ref+`,"argument":{"name":"model","value":""}`)
				require.NotNil(t, got.Error, got.raw)
				assert.Contains(t, []int{-32602, code}, got.Error.Code, got.raw)
				for _, goWord := range []string{"mcp.", "unmarshal", "map["} {
					assert.NotContains(t, got.raw, goWord)
				}
			}
			p.send(`{"jsonrpc":"2.0","id":1,"method":"completion/complete"}`) // nor params, nor a revision
			got := p.next()
			require.NotNil(t, got.Error, got.raw)
			assert.Equal(t, -32602, got.Error.Code, got.raw)
			assert.NotContains(t, got.raw, "nil")
		})
	}
}

func TestFailuresWhileReadingDoNotLeak(t *testing.T) {
	core, logged := observer.New(zap.DebugLevel)
	var fail error
	p := connect(t, offering(zap.New(core), fakeResources{
		read: func(context.Context, string) (tools.Document, error) {
			if fail == nil {
				panic("the secret")
			}
			return tools.Document{}, fail
		},
	}, fakePrompts{get: func(context.Context, string, map[string]string) (string, error) { return "", fail }}))
	p.handshake(newest, `{}`)
	secret := errors.New("dial tcp: the secret")
	for _, c := range []struct {
		err  error
		code int
		want string
	}{
		{&reply.Error{Code: reply.CodeStoreUnavailable, Message: "No answer.", Hint: "Try again.", Err: secret}, -32603, "No answer. Try again."},
		{reply.InvalidRequest("Give one.", "There is no prompt."), -32602, "There is no prompt. Give one."},
		{secret, -32603, ""},
		{nil, -32603, ""},
	} {
		fail = c.err
		got := p.ask(newest, "resources/read", `,"uri":"exai://issues"`)
		require.NotNil(t, got.Error, got.raw)
		assert.Equal(t, c.code, got.Error.Code)
		assert.NotContains(t, got.raw, "secret")
		assert.Contains(t, got.Error.Message, c.want)
		if c.err != nil {
			assert.Equal(t, got.Error, p.ask(newest, "prompts/get", `,"name":"chat"`).Error)
		}
	}
	assert.Equal(t, 4, logged.FilterMessage("a request failed").Len(), "the cause is for the log, and a caller's fault none")
	assert.NotNil(t, p.ask(newest, "prompts/get", `,"name":"chat","arguments":{"prompt":5}`).Error, "arguments are texts")
}

func TestCompletionPerRevision(t *testing.T) {
	for _, version := range Revisions() {
		t.Run(version, func(t *testing.T) {
			p := connect(t, offering(nil, fakeResources{complete: func(template, variable, typed string, given map[string]string) (tools.Completion, error) {
				return tools.Completion{Values: []string{strings.Join([]string{template, variable, typed, given["id"]}, " ")}, Total: 1}, nil
			}}, fakePrompts{complete: func(name, argument, typed string) (tools.Completion, error) {
				if typed == "" {
					return tools.Completion{}, nil
				}
				return tools.Completion{Values: []string{name, argument, typed}, Total: 120}, nil
			}}))
			p.handshake(version, `{}`)
			ask := func(ref, argument string) string {
				return p.ask(version, "completion/complete", `,"ref":`+ref+`,"argument":`+argument+`,"context":{"arguments":{"id":"t"}}`).raw
			}
			assert.Contains(t, ask(`{"type":"ref/prompt","name":"chat"}`, `{"name":"model","value":"gl"}`),
				`"completion":{"values":["chat","model","gl"],"total":120,"hasMore":true}`)
			assert.Contains(t, ask(`{"type":"ref/prompt","name":"chat"}`, `{"name":"model","value":""}`), `"completion":{"values":[]}`)
			assert.Contains(t, ask(`{"type":"ref/resource","uri":"exai://issues/{number}"}`, `{"name":"number","value":"1"}`),
				`"completion":{"values":["exai://issues/{number} number 1 t"],"total":1}`)
		})
	}
}

// A resource that takes long is left when the client has no use for it any more, and a list never waits for one.
func TestReadingIsCancelled(t *testing.T) {
	left := make(chan error, 1)
	started := make(chan struct{})
	p := connect(t, offering(nil, fakeResources{read: func(ctx context.Context, _ string) (tools.Document, error) {
		close(started)
		<-ctx.Done()
		left <- context.Cause(ctx)
		return tools.Document{}, context.Cause(ctx)
	}}, fakePrompts{}))
	p.handshake(newest, `{}`)
	p.send(`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"exai://issues"}}`)
	<-started
	assert.Nil(t, p.ask(newest, "tools/list", "").Error)
	p.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	assert.ErrorIs(t, <-left, ErrCancelledByClient)
	require.NoError(t, p.closeInput())
	assert.Empty(t, p.rest(), "no answer after a cancellation")
}

// A revision that the server does not speak is refused with those that it does.
func TestRevisionsThatAreNotSpoken(t *testing.T) {
	p := connect(t, offering(nil, fakeResources{}, fakePrompts{}))
	for _, method := range []string{"server/discover", "resources/list", "tools/list"} {
		p.send(`{"jsonrpc":"2.0","id":1,"method":"%s","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2099-01-01","io.modelcontextprotocol/clientCapabilities":{}}}}`, method)
		got := p.next()
		require.NotNil(t, got.Error, got.raw)
		assert.Equal(t, -32022, got.Error.Code)
		assert.Contains(t, got.raw, `"supported":["2026-07-28","2025-11-25"`)
	}
}
