package workflow_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// fixture runs workflows: every tool over stub vendors, a store in a map and a folder. It can be restarted.
type fixture struct {
	*tool.Dispatcher
	t     testing.TB
	deps  *tools.Deps
	cfg   *config.Config
	store *asktest.Store
	dir   string
	close func()

	glm, kimi asktest.Chat // what the vendors do; may be exchanged between calls
	tracker   issue.Store  // nil: no tracker
	openStore func(ctx context.Context) (conversation.Store, error)

	// secondTurns: the vendors see the turns in which an expert judges what the caller reports; else these are answered with
	// nothing decided, and not recorded.
	secondTurns bool

	mu       sync.Mutex
	requests []providers.ChatRequest
	vendors  []string
}

func newFixture(t testing.TB, glm asktest.Chat, set ...func(l *fixture)) *fixture {
	t.Helper()
	l := &fixture{t: t, cfg: config.Default(), store: &asktest.Store{}, dir: t.TempDir(), glm: glm}
	if real, err := filepath.EvalSymlinks(l.dir); err == nil {
		l.dir = real
	}
	l.cfg.Conversations.Backend = "memory"
	l.cfg.Files.AllowedRoots = []string{l.dir}
	l.openStore = l.store.Open
	for _, s := range set {
		s(l)
	}
	l.start()
	t.Cleanup(func() { l.close() })
	return l
}

// start makes a process over the store that is there.
func (l *fixture) start() {
	var kimi asktest.Chat
	if l.kimi != nil {
		kimi = l.vendor("kimi", func() asktest.Chat { return l.kimi })
	}
	keyless := l.glm == nil
	reg, caller := asktest.Vendors(l.t, l.cfg, l.vendor("glm", func() asktest.Chat { return l.glm }), kimi)
	if keyless {
		l.cfg.GLM.APIKey = ""
	}
	ws, err := workspace.New(l.cfg.Files, "", "", "", nil, nil)
	require.NoError(l.t, err)
	conversations := ask.New(ask.Options{Config: l.cfg, Caller: caller, Store: l.openStore})
	l.deps = &tools.Deps{Config: l.cfg, Registry: reg, Caller: caller, Conversations: conversations, Store: l.openStore, Workspace: ws}
	if l.tracker != nil {
		l.deps.Issues = func(context.Context) (issue.Store, error) { return l.tracker, nil }
	}
	l.Dispatcher = l.deps.Dispatcher(tools.Catalog(l.deps))
	l.close = func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		assert.NoError(l.t, conversations.Close(ctx))
		assert.NoError(l.t, caller.Close(ctx))
	}
}

// otherProcess is another process on the same store and folder.
func (l *fixture) otherProcess() *fixture {
	other := &fixture{t: l.t, cfg: config.Default(), store: l.store, dir: l.dir, openStore: l.openStore, glm: l.glm, kimi: l.kimi, tracker: l.tracker, secondTurns: l.secondTurns}
	*other.cfg = *l.cfg
	other.start()
	l.t.Cleanup(func() { other.close() })
	return other
}

// restart ends the process and begins another one on the same store.
func (l *fixture) restart() {
	l.close()
	l.start()
}

func (l *fixture) vendor(name string, chat func() asktest.Chat) asktest.Chat {
	return func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		if !l.secondTurns && isSecondTurn(req) {
			return asktest.Says(`{"judgements": []}`)(ctx, req, on)
		}
		l.mu.Lock()
		l.requests, l.vendors = append(l.requests, req), append(l.vendors, name)
		l.mu.Unlock()
		return chat()(ctx, req, on)
	}
}

func isSecondTurn(req providers.ChatRequest) bool {
	return strings.HasPrefix(req.Messages[len(req.Messages)-1].Content, "## What the agent reports\n")
}

// asked is how many requests the vendors got.
func (l *fixture) asked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.requests)
}

// prompt and system are the last request's.
func (l *fixture) prompt() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	require.NotEmpty(l.t, l.requests)
	m := l.requests[len(l.requests)-1].Messages
	return m[len(m)-1].Content
}

func (l *fixture) system() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	require.NotEmpty(l.t, l.requests)
	return l.requests[len(l.requests)-1].Messages[0].Content
}

func (l *fixture) file(name, text string) string {
	l.t.Helper()
	path := filepath.Join(l.dir, filepath.FromSlash(name))
	require.NoError(l.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(l.t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// onePixel is an image that is given inline.
const onePixel = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

var uuids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

type dict = map[string]any

// try calls a tool and gives its reply as a client reads it.
func (l *fixture) try(ctx context.Context, tool string, args dict) (reply dict, text string) {
	l.t.Helper()
	sent, err := json.Marshal(args)
	require.NoError(l.t, err)
	return l.send(ctx, tool, sent)
}

// schemaOf is the schema of a tool.
func schemaOf(t testing.TB, name string) json.RawMessage {
	t.Helper()
	for _, one := range tools.Catalog(&tools.Deps{Config: config.Default()}) {
		if one.Name == name {
			return one.Schema()
		}
	}
	t.Fatalf("no tool %s", name)
	return nil
}

func (l *fixture) send(ctx context.Context, name string, args json.RawMessage) (reply dict, text string) {
	l.t.Helper()
	start := time.Now()
	r := l.Call(ctx, tool.Invocation{Tool: name, Arguments: args, Client: "test 1"})
	raw, err := r.JSON()
	require.NoError(l.t, err)
	require.NoError(l.t, json.Unmarshal(raw, &reply))
	require.Equal(l.t, r.IsError, reply["status"] == "error", "%s", raw)
	require.LessOrEqual(l.t, time.Since(start), 60*time.Second, "no call outlives its limit")
	return reply, string(raw)
}

// call is try for a call that has to succeed.
func (l *fixture) call(tool string, args dict) dict {
	l.t.Helper()
	reply, text := l.try(l.t.Context(), tool, args)
	require.NotEqual(l.t, "error", reply["status"], text)
	return reply
}

// errorCode is try for a call that has to fail.
func (l *fixture) errorCode(tool string, args dict) string {
	l.t.Helper()
	reply, text := l.try(l.t.Context(), tool, args)
	require.Equal(l.t, "error", reply["status"], text)
	return at(reply, "error", "code").(string)
}

// at is a value inside of a reply, nil when it is not there.
func at(v any, path ...any) any {
	for _, key := range path {
		switch key := key.(type) {
		case string:
			object, _ := v.(dict)
			v = object[key]
		case int:
			list, _ := v.([]any)
			if key >= len(list) {
				return nil
			}
			v = list[key]
		}
	}
	return v
}

func keysOf(object any) (keys []string) {
	for key := range object.(dict) {
		keys = append(keys, key)
	}
	return keys
}

// noteIn reports whether one of a reply's notes holds a text.
func noteIn(reply dict, part string) bool {
	list, _ := at(reply, "metadata", "notes").([]any)
	return strings.Contains(fmt.Sprint(list...), part)
}

func with(args dict, more ...any) dict {
	out := dict{}
	for k, v := range args {
		out[k] = v
	}
	for i := 0; i+1 < len(more); i += 2 {
		if more[i+1] == nil {
			delete(out, more[i].(string))
		} else {
			out[more[i].(string)] = more[i+1]
		}
	}
	return out
}

// schemas compiles every published schema once.
var schemas = sync.OnceValue(func() map[string]*jsonschema.Schema {
	out := map[string]*jsonschema.Schema{}
	for _, tool := range tools.Catalog(&tools.Deps{Config: config.Default()}) {
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(tool.Schema()))
		if err != nil {
			panic(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource(tool.Name, document); err != nil {
			panic(err)
		}
		out[tool.Name] = c.MustCompile(tool.Name)
	}
	return out
})

// nextCall is a reply's next_call, which has to be valid for the tool's published schema.
func (l *fixture) nextCall(reply dict) dict {
	l.t.Helper()
	tool, _ := at(reply, "next_call", "tool").(string)
	args, ok := at(reply, "next_call", "arguments").(dict)
	require.True(l.t, ok, "no next_call: %v", reply)
	text, err := json.Marshal(args)
	require.NoError(l.t, err)
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(l.t, err)
	require.NotNil(l.t, schemas()[tool], "next_call names %q", tool)
	require.NoError(l.t, schemas()[tool].Validate(value), "%s", text)
	require.Equal(l.t, reply["continuation_id"], args["continuation_id"])
	return args
}

// ids replaces every id by one that says which it is, by first mention, and the folder by "/project".
func (l *fixture) stable(text string) string {
	names := map[string]string{}
	text = uuids.ReplaceAllStringFunc(text, func(id string) string {
		if names[id] == "" {
			names[id] = fmt.Sprintf("00000000-0000-0000-0000-%012d", len(names)+1)
		}
		return names[id]
	})
	return strings.ReplaceAll(text, l.dir, "/project")
}

// expertSays is an expert's answer in the form that is asked for.
func expertSays(findings ...dict) string {
	list := []dict{}
	list = append(list, findings...)
	text, err := json.Marshal(dict{"status": "analysis_complete", "summary": "Looked at it.", "findings": list})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// finding is a finding about the source that quotes its loop.
func finding(severity, file string, line int) dict {
	return dict{
		"severity": severity, "file": file, "line": line, "title": "Window misses its end", "quote": "for i := 0; i < len(n)-1; i++ {",
		"evidence": "The last element is never added.", "recommendation": "Use i < len(n).", "confidence": "certain",
	}
}

// fails is a vendor that refuses.
func fails(e providers.Error) asktest.Chat {
	return func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
		failure := e
		return nil, &failure
	}
}

// silent is a vendor that says nothing until it is given up.
func silent(ctx context.Context, _ providers.ChatRequest, _ func(providers.Delta)) (*providers.ChatResponse, error) {
	<-ctx.Done()
	return nil, &providers.Error{Kind: providers.KindNetwork, Message: "ended", Err: context.Cause(ctx)}
}

// slowly is a vendor that takes so many seconds for a text.
func slowly(seconds int, text string) asktest.Chat {
	var parts []providers.Delta
	size := max(len(text)/seconds, 1)
	for i := range seconds {
		part := text[min(i*size, len(text)):min((i+1)*size, len(text))]
		if i == seconds-1 {
			part = text[min(i*size, len(text)):]
		}
		if part == "" {
			parts = append(parts, providers.Delta{Reasoning: "hm. "})
		} else {
			parts = append(parts, providers.Delta{Content: part})
		}
	}
	return asktest.Drips(time.Second, parts...)
}
