package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/bench/o200k"
	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// fixture is the whole of the tools over stub vendors, a store in a map and a folder.
type fixture struct {
	*tool.Dispatcher
	t        testing.TB
	deps     *Deps
	store    *asktest.Store
	dir      string
	requests []providers.ChatRequest
}

func newFixture(t testing.TB, glm asktest.Chat, set ...func(*config.Config)) *fixture {
	h := &fixture{t: t, store: &asktest.Store{}, dir: t.TempDir()}
	cfg := config.Default()
	cfg.Conversations.Backend = "memory"
	cfg.Files.AllowedRoots = []string{h.dir}
	for _, s := range set {
		s(cfg)
	}
	reg, caller := asktest.Vendors(t, cfg, func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		h.requests = append(h.requests, req)
		return glm(ctx, req, on)
	}, nil)
	ws, err := workspace.New(cfg.Files, "", "", "", nil, nil)
	require.NoError(t, err)
	conversations := ask.New(ask.Options{Config: cfg, Caller: caller, Store: h.store.Open})
	h.deps = &Deps{
		Config: cfg, Registry: reg, Caller: caller, Conversations: conversations, Store: h.store.Open, Workspace: ws,
		Issues:  func(context.Context) (issue.Store, error) { return nil, issue.ErrNotFound },
		Version: Version{Number: "1.2.3", Commit: "abcdef0", Date: "2026-11-23", Protocols: []string{"2025-11-25"}},
	}
	shown, _ := Shown(h.deps)
	h.Dispatcher = h.deps.Dispatcher(shown)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		assert.NoError(t, conversations.Close(ctx))
		assert.NoError(t, caller.Close(ctx))
	})
	return h
}

func (h *fixture) file(name, text string) string {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	require.NoError(h.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(h.t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// call calls a tool and gives its reply as a client reads it.
func (h *fixture) call(name string, args map[string]any) (map[string]any, string) {
	h.t.Helper()
	text, err := json.Marshal(args)
	require.NoError(h.t, err)
	r := h.Call(h.t.Context(), tool.Invocation{Tool: name, Arguments: text, Client: "test 1"})
	text, err = r.JSON()
	require.NoError(h.t, err)
	var object map[string]any
	require.NoError(h.t, json.Unmarshal(text, &object))
	return object, string(text)
}

func (h *fixture) last() string {
	h.t.Helper()
	require.NotEmpty(h.t, h.requests)
	m := h.requests[len(h.requests)-1].Messages
	return m[len(m)-1].Content
}

func codeIn(object map[string]any) any {
	e, _ := object["error"].(map[string]any)
	return e["code"]
}

func idIn(t *testing.T, object map[string]any) string {
	t.Helper()
	offer, ok := object["continuation_offer"].(map[string]any)
	require.True(t, ok, "%v", object)
	return offer["continuation_id"].(string)
}

var uuids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

func TestGoldenReplies(t *testing.T) {
	// What other tests hold, or other tools change.
	limits, count := regexp.MustCompile(`"timeouts":\[.*?\]`), regexp.MustCompile(`"tools_count":\d+`)
	for name, c := range map[string]struct {
		tool string
		args map[string]any
	}{
		"chat":                  {"chat", map[string]any{"prompt": "hello", "stream": true}},
		"chat-blank":            {"chat", map[string]any{"prompt": "  "}},
		"challenge":             {"challenge", map[string]any{"prompt": "You are wrong: <b>it</b> & that."}},
		"listmodels":            {"listmodels", map[string]any{}},
		"status":                {"status", map[string]any{}},
		"provider_capabilities": {"provider_capabilities", map[string]any{"include_tools": false}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newFixture(t, asktest.Says("A \"quoted\" <answer>."), func(c *config.Config) { c.GLM.AllowedModels = []string{"glm-5.3", "glm-5.3-flash"} })
				_, text := h.call(c.tool, c.args)
				text = strings.ReplaceAll(uuids.ReplaceAllString(text, "00000000-0000-0000-0000-000000000000"), h.dir, "/folder")
				text = count.ReplaceAllString(text, `"tools_count":0`)
				text = limits.ReplaceAllString(text, `"timeouts":[]`)
				golden(t, "reply/"+name+".json", indented(t, []byte(text)))
			})
		})
	}
}

// In compact replies a chat costs an agent at most 125 tokens beyond its answer.
func TestCompactReplies(t *testing.T) {
	const answer = "A bloom filter answers \"certainly not\" or \"maybe\"."
	h := newFixture(t, asktest.Says(answer), func(c *config.Config) { c.Tools.ReplyStyle = config.ReplyCompact })
	file := filepath.Join(h.dir, "a.go")
	require.NoError(t, os.WriteFile(file, []byte("package a\n"), 0o600))
	for tool, args := range map[string]map[string]any{
		"chat":      {"prompt": "What is a bloom filter?", "files": []string{file}, "thinking_mode": "low"},
		"challenge": {"prompt": "You are wrong."},
	} {
		object, text := h.call(tool, args)
		assert.LessOrEqual(t, o200k.Count(text)-o200k.Count(quoted(t, object["content"])), 125, text)
		assert.Equal(t, "continuation_available", object["status"])
		metadata := object["metadata"].(map[string]any)
		delete(metadata, "model_used")
		delete(metadata, "usage")
		assert.Equal(t, []string{"duration_ms"}, slices.Collect(maps.Keys(metadata)))
		id := idIn(t, object)
		again, text := h.call("chat", map[string]any{"prompt": "And then?", "continuation_id": id})
		assert.Equal(t, answer, again["content"])
		assert.LessOrEqual(t, o200k.Count(text)-o200k.Count(quoted(t, again["content"])), 125, text)
	}
}

func quoted(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return string(text)
}

func TestChatGoesOn(t *testing.T) {
	h := newFixture(t, asktest.Says("ok"))
	first, _ := h.call("chat", map[string]any{"prompt": "one"})
	assert.Equal(t, "continuation_available", first["status"])
	second, _ := h.call("chat", map[string]any{"prompt": "two", "continuation_id": idIn(t, first)})
	assert.Equal(t, idIn(t, first), idIn(t, second))
	assert.Len(t, h.requests[1].Messages, 4)
	assert.Equal(t, h.requests[0].Messages, h.requests[1].Messages[:2], "the beginning stays, so that a vendor's cache hits")
	for _, req := range h.requests {
		assert.Equal(t, idIn(t, first), req.CacheKey)
	}
	// The same again by a blank prompt, and nothing is asked for it.
	third, _ := h.call("chat", map[string]any{"continuation_id": idIn(t, first)})
	assert.Equal(t, "ok", third["content"])
	assert.Len(t, h.requests, 2)
}

func TestChatSwitches(t *testing.T) {
	h := newFixture(t, asktest.Says("ok"))
	h.call("chat", map[string]any{"prompt": "x", "temperature": 0.2, "use_websearch": false, "model": "glm-5.3", "thinking_mode": "high"})
	req := h.requests[0]
	assert.Equal(t, 0.2, *req.Temperature)
	assert.Empty(t, req.Functions)
	assert.Equal(t, "glm-5.3", req.Model.ID)
	assert.Equal(t, "high", req.Thinking.Effort)
	h.call("chat", map[string]any{"prompt": "x"})
	req = h.requests[1]
	assert.Nil(t, req.Temperature)
	require.Len(t, req.Functions, 1, "the default is on")
	assert.Equal(t, "web_search", req.Functions[0].Name)
	assert.Equal(t, "glm-5.3-flash", req.Model.ID)
}

func TestChatSendsFilesOnce(t *testing.T) {
	h := newFixture(t, asktest.Says("ok"))
	path := h.file("src/a.go", "package first\n")
	object, _ := h.call("chat", map[string]any{"prompt": "look", "files": []string{filepath.Join(h.dir, "src")}})
	assert.Contains(t, h.last(), "package first")
	assert.Contains(t, h.last(), "look")
	id := idIn(t, object)
	h.call("chat", map[string]any{"prompt": "again", "files": []string{path}, "continuation_id": id})
	assert.NotContains(t, h.last(), "package first")
	assert.Contains(t, h.last(), "Unchanged since")
	h.file("src/a.go", "package second\n")
	h.call("chat", map[string]any{"prompt": "again", "files": []string{path}, "continuation_id": id})
	assert.Contains(t, h.last(), "package second")
}

// Agents write a line behind a path, or several paths in one text.
func TestChatTakesPathsAsAgentsWriteThem(t *testing.T) {
	h := newFixture(t, asktest.Says("ok"))
	h.file("a.go", "package first\n")
	h.file("b.go", "package second\n")
	for _, files := range []any{"a.go, b.go", []string{"a.go:1", "b.go:3-4", "a.go"}} {
		h.call("chat", map[string]any{"prompt": "look", "files": files})
		assert.Equal(t, 1, strings.Count(h.last(), "package first"), files)
		assert.Equal(t, 1, strings.Count(h.last(), "package second"), files)
	}
	object, _ := h.call("chat", map[string]any{"prompt": "look", "files": "a.go, none.go"})
	assert.Equal(t, "file_not_found", codeIn(object))
	object, _ = h.call("chat", map[string]any{"prompt": "look", "files": ".env:1"})
	assert.Equal(t, "path_denied", codeIn(object))
}

func TestChatRefusesFiles(t *testing.T) {
	h := newFixture(t, asktest.Says("ok"))
	env := h.file(".env", "KEY=hunter2")
	for path, want := range map[string]string{
		env: "path_denied", "/etc/passwd": "path_denied", filepath.Join(h.dir, "none.go"): "file_not_found",
	} {
		object, text := h.call("chat", map[string]any{"prompt": "x", "files": []string{path}})
		assert.Equal(t, want, codeIn(object), path)
		assert.NotContains(t, text, "hunter2")
	}
	object, text := h.call("chat", map[string]any{"prompt": "x", "images": []string{"/etc/passwd"}})
	assert.Equal(t, "path_denied", codeIn(object))
	assert.Contains(t, text, "EXAI_ALLOWED_ROOTS")
	assert.Empty(t, h.requests, "nothing was sent")
}

// What is left out is named to the caller and to the model.
func TestChatNamesWhatIsLeftOut(t *testing.T) {
	h := newFixture(t, asktest.Says("ok"))
	h.file("d/tool.bin", "\x7fELF\x00\x01\x02")
	h.file("d/a.go", "package a\n")
	_, text := h.call("chat", map[string]any{"prompt": "x", "files": []string{filepath.Join(h.dir, "d")}})
	assert.Contains(t, text, "tool.bin")
	assert.Contains(t, h.last(), "[Named but not included here: ")
	assert.Contains(t, h.last(), "package a")
}

func TestPromptFile(t *testing.T) {
	h := newFixture(t, asktest.Says("ok"))
	path := h.file("prompt.txt", "the long prompt")
	h.call("chat", map[string]any{"prompt": "short", "files": []string{path}})
	assert.Equal(t, "the long prompt", h.last())
	assert.NotContains(t, h.last(), "prompt.txt")
}

// Who saves a prompt that was too long under the name that stands for the prompt gets an answer, not the same advice again.
func TestPromptFileTooLong(t *testing.T) {
	h := newFixture(t, asktest.Says("ok"), func(c *config.Config) { c.Files.PromptSizeLimit = 10 })
	path := h.file("prompt.txt", "the long prompt")
	object, _ := h.call("chat", map[string]any{"prompt": "see file", "files": []string{path}})
	assert.Equal(t, "continuation_available", object["status"])
	assert.Contains(t, h.last(), "the long prompt")
	assert.Contains(t, h.last(), "see file")
	object, _ = h.call("chat", map[string]any{"prompt": " ", "files": []string{path}})
	assert.Equal(t, "resend_prompt", object["status"])
	assert.EqualValues(t, 15, object["metadata"].(map[string]any)["prompt_size"])
	assert.Len(t, h.requests, 1)
}

func TestPromptTooLong(t *testing.T) {
	h := newFixture(t, asktest.Says("ok"), func(c *config.Config) { c.Files.PromptSizeLimit = 10 })
	object, _ := h.call("chat", map[string]any{"prompt": "äöüäöüäöüä"})
	assert.Equal(t, "continuation_available", object["status"], "characters count, not bytes")
	for _, tool := range []string{"chat", "challenge"} {
		object, _ = h.call(tool, map[string]any{"prompt": "12345678901"})
		assert.Equal(t, "resend_prompt", object["status"])
		meta := object["metadata"].(map[string]any)
		assert.EqualValues(t, 11, meta["prompt_size"])
		assert.EqualValues(t, 10, meta["limit"])
		assert.NotEmpty(t, meta["instructions"])
	}
	assert.Len(t, h.requests, 1)
}

var onePixel = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

func TestImagesReachModelsThatSee(t *testing.T) {
	h := newFixture(t, asktest.Says("ok"))
	h.call("chat", map[string]any{"prompt": "what is it?", "images": onePixel})
	require.Len(t, h.requests, 1)
	m := h.requests[0].Messages
	require.Len(t, m[len(m)-1].Images, 1)
	assert.True(t, h.requests[0].Model.Images)
	object, _ := h.call("chat", map[string]any{"prompt": "x", "images": []string{onePixel}, "model": "glm-5.3"})
	assert.Equal(t, "invalid_request", codeIn(object), "a named model that can't see is not swapped")
}

// A reply that is too long is cut, and the rest is read by offset as often as it is asked for.
func TestLongAnswerIsReadPartByPart(t *testing.T) {
	whole := strings.TrimSpace(strings.Repeat(strings.Repeat("Ein längerer Satz. ", 20)+"\n\n", 60))
	h := newFixture(t, asktest.Says(whole), func(c *config.Config) { c.Files.MaxOutputTokens = 3000 })
	object, text := h.call("chat", map[string]any{"prompt": "x"})
	id, got := idIn(t, object), ""
	for parts := 0; ; parts++ {
		require.Less(t, parts, 50)
		assert.Less(t, len(text), 3000*4)
		got += object["content"].(string)
		more, cut := object["more"].(map[string]any)
		if !cut {
			break
		}
		assert.Equal(t, fmt.Sprintf("exai://conversations/%s/turns/2", id), more["uri"])
		object, text = h.call("chat", map[string]any{"prompt": "", "continuation_id": id, "offset": more["next_offset"]})
	}
	assert.Equal(t, whole, got)
	assert.Len(t, h.requests, 1)
}

func TestChatPartialAndFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pieces []providers.Delta
		for range 35 {
			pieces = append(pieces, providers.Delta{Content: "x"})
		}
		h := newFixture(t, asktest.Drips(time.Second, pieces...))
		var lines []string // sent by turns
		r := h.Call(t.Context(), tool.Invocation{Tool: "chat", Arguments: json.RawMessage(`{"prompt":"count"}`), Progress: func(line string) { lines = append(lines, line) }})
		assert.Equal(t, "partial", r.Body.Get("status"))
		id := r.Body.Get("continuation_offer").(*Object).Get("continuation_id").(string)
		assert.True(t, strings.HasPrefix(lines[0], "continuation_id="+id), "the first message names the conversation")
		assert.Contains(t, strings.Join(lines, "\n"), "glm-5.3-flash writing")
		object, _ := h.call("chat", map[string]any{"prompt": " ", "continuation_id": id})
		assert.Equal(t, "continuation_available", object["status"])
		assert.Equal(t, strings.Repeat("x", 35), object["content"])
	})
}

func TestNotConfigured(t *testing.T) {
	h := newFixture(t, asktest.Says("ok"))
	h.deps.Config.GLM.APIKey = ""
	object, text := h.call("chat", map[string]any{"prompt": "x"})
	assert.Equal(t, "not_configured", codeIn(object))
	assert.Contains(t, text, "GLM_API_KEY")
	object, _ = h.call("status", map[string]any{"doctor": true})
	assert.Equal(t, "success", object["status"])
	assert.Contains(t, fmt.Sprint(object["next_steps"]), "GLM_API_KEY")
}

func TestChallengeWithoutAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newFixture(t, asktest.Says("ok"))
		h.store.Before = func(ctx context.Context, _ string) error { <-ctx.Done(); return context.Cause(ctx) }
		start := time.Now()
		object, _ := h.call("challenge", map[string]any{"prompt": "no"})
		assert.Equal(t, "success", object["status"])
		assert.Nil(t, object["continuation_offer"])
		assert.Equal(t, false, object["metadata"].(map[string]any)["stored"])
		assert.Less(t, time.Since(start), 6*time.Second)
		object, _ = h.call("status", nil)
		assert.Equal(t, "not answering", object["store"].(map[string]any)["state"])
	})
}

func TestStatusDoctorAsksTheVendors(t *testing.T) {
	h := newFixture(t, func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
		panic("a provider that falls")
	})
	object, text := h.call("status", map[string]any{"doctor": true, "probe": true, "include_tools": true})
	assert.Equal(t, "success", object["status"])
	assert.Contains(t, object["tools_loaded"], "chat")
	probes := object["doctor"].(map[string]any)["probes"].(map[string]any)
	assert.Contains(t, probes, "listmodels")
	chat := probes["chat"].(map[string]any)["glm"].(map[string]any)
	assert.Equal(t, false, chat["ok"])
	assert.NotContains(t, text, "a provider that falls")
	assert.NotEmpty(t, object["timeouts"])
}

func TestVersion(t *testing.T) {
	h := newFixture(t, asktest.Says("ok"))
	object, _ := h.call("version", map[string]any{"model": "ignored"})
	content := object["content"].(string)
	for _, part := range []string{"1.2.3", "abcdef0", "Client: test 1", "GLM (Z.ai)", "2025-11-25"} {
		assert.Contains(t, content, part)
	}
	assert.Equal(t, "markdown", object["content_type"])
	assert.Equal(t, "1.2.3", object["metadata"].(map[string]any)["server_version"])
}

func TestReplyNotes(t *testing.T) {
	var m reply.Metadata
	m.Note("a", "", "b")
	m.Note("a")
	assert.Equal(t, []string{"a", "b"}, m.Notes)
}
