package tools_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/providers/glm"
	"github.com/exai-mcp/exai-mcp/internal/providers/kimi"
	"github.com/exai-mcp/exai-mcp/internal/providers/providertest"
	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/upload"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// vendorFixture is the whole of the tools over both emulated vendors: from the arguments down to the bytes, over pipes, so that a
// test may run under a fake clock.
type vendorFixture struct {
	*tool.Dispatcher
	*emulator.Emulator
	t     *testing.T
	cfg   *config.Config
	dir   string // that may be read
	state string // ours
	store *asktest.Store
	log   *activity.Log
	close func()
}

func newVendorFixture(t *testing.T, set ...func(*config.Config)) *vendorFixture {
	r := &vendorFixture{t: t, cfg: config.Default(), dir: t.TempDir(), state: t.TempDir(), store: &asktest.Store{}, Emulator: emulator.New()}
	cfg := r.cfg
	cfg.GLM.APIKey, cfg.Kimi.APIKey = emulator.GLMKey, emulator.KimiKey
	cfg.Files.AllowedRoots = []string{r.dir}
	cfg.Conversations.StateDir = r.state
	cfg.Logs.ActivityPath = filepath.Join(r.state, "logs", "activity.jsonl")
	cfg.Logs.ToolCallPath = filepath.Join(r.state, "logs", "toolcalls.jsonl")
	cfg.Tools.Diagnostics = true
	for _, s := range set {
		s(cfg)
	}
	dial := map[emulator.Vendor]*providertest.PipeListener{}
	for _, v := range []emulator.Vendor{emulator.GLM, emulator.Kimi} {
		dial[v] = providertest.NewPipeListener()
		r.Serve(v, dial[v])
	}
	cfg.GLM.APIURL, cfg.Kimi.APIURL = r.GLMURL(), r.KimiURL()
	g, err := glm.New(glm.Options{
		Vendor: cfg.GLM, Timeouts: cfg.Timeouts, Models: calls.BuiltinModels("glm"), DialContext: dial[emulator.GLM].Dial,
	}, cfg.GLMSearch)
	require.NoError(t, err)
	k, err := kimi.New(kimi.Options{Vendor: cfg.Kimi, Timeouts: cfg.Timeouts, Models: calls.BuiltinModels("kimi"), DialContext: dial[emulator.Kimi].Dial})
	require.NoError(t, err)
	reg, err := calls.NewRegistry(cfg, g, k)
	require.NoError(t, err)
	r.log = activity.Open(cfg, nil)
	caller := calls.NewCaller(reg, cfg, r.log, nil)
	ws, err := workspace.New(cfg.Files, r.state, "", "", nil, nil)
	require.NoError(t, err)
	conversations := ask.New(ask.Options{Config: cfg, Caller: caller, Store: r.store.Open, Activity: r.log})
	uploads := upload.New(upload.Options{Config: cfg, Registry: reg, Caller: caller, Activity: r.log})
	deps := &tools.Deps{
		Config: cfg, Registry: reg, Caller: caller, Conversations: conversations, Store: r.store.Open, Workspace: ws, Uploads: uploads, Activity: r.log,
		Issues:  func(context.Context) (issue.Store, error) { return nil, issue.ErrNotFound },
		Version: tools.Version{Number: "1.2.3"},
	}
	shown, _ := tools.Shown(deps)
	r.Dispatcher = deps.Dispatcher(shown)
	r.close = func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		assert.NoError(t, conversations.Close(ctx))
		assert.NoError(t, uploads.Close(ctx))
		assert.NoError(t, caller.Close(ctx))
		assert.NoError(t, reg.Close())
		assert.NoError(t, r.log.Close())
		r.Close()
		assert.Zero(t, r.Connections())
	}
	t.Cleanup(func() { r.close() })
	return r
}

// with runs a test under a fake clock; synctest fails when a goroutine is left.
func with(t *testing.T, run func(t *testing.T, r *vendorFixture), set ...func(*config.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newVendorFixture(t, set...)
		run(t, r)
	})
}

// object is a reply as a client reads it.
type object = map[string]any

func (r *vendorFixture) call(tool string, args any) object {
	r.t.Helper()
	return r.callWith(r.t.Context(), tool, args)
}

func (r *vendorFixture) callWith(ctx context.Context, name string, args any) object {
	r.t.Helper()
	text, err := json.Marshal(args)
	require.NoError(r.t, err)
	result := r.Call(ctx, tool.Invocation{ID: "1", Tool: name, Arguments: text, Client: "test 1", Progress: func(string) {}})
	text, err = result.JSON()
	require.NoError(r.t, err)
	for _, secret := range []string{emulator.GLMKey, emulator.KimiKey} {
		assert.NotContains(r.t, string(text), secret)
	}
	var o object
	require.NoError(r.t, json.Unmarshal(text, &o))
	assert.Equal(r.t, result.IsError, o["status"] == "error")
	assert.Equal(r.t, name, o["metadata"].(object)["tool_name"])
	return o
}

func (r *vendorFixture) file(name string, content string) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	require.NoError(r.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(r.t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

// seen are the requests of one kind that have arrived.
func (r *vendorFixture) seen(op emulator.Op) []emulator.Request {
	return slices.DeleteFunc(r.Requests(), func(q emulator.Request) bool { return q.Op != op })
}

func code(o object) any {
	e, _ := o["error"].(object)
	return e["code"]
}

func notes(o object) []any {
	n, _ := o["metadata"].(object)["notes"].([]any)
	return n
}

// vendorTool is a tool that asks a vendor, with a call that succeeds.
type vendorTool struct {
	vendor emulator.Vendor
	op     emulator.Op // the request that it is all about
	args   func(r *vendorFixture) object
	keys   []string // the original's, at top level
	limit  string   // the variable that ends it when the vendor says nothing; "" for uploads, which go on
}

func vendorTools() map[string]vendorTool {
	file := func(r *vendorFixture) string { return r.file("notes.txt", "The answer is 42.") }
	return map[string]vendorTool{
		"kimi_upload_and_extract": {
			emulator.Kimi, emulator.OpUpload, func(r *vendorFixture) object { return object{"files": []string{file(r)}} },
			[]string{"messages"},
			"",
		},
		"kimi_multi_file_chat": {
			emulator.Kimi, emulator.OpChat, func(r *vendorFixture) object {
				return object{"files": []string{file(r)}, "prompt": "What is the answer?"}
			},
			[]string{"model", "content"},
			"KIMI_TIMEOUT_SECS=30s",
		},
		"kimi_intent_analysis": {
			emulator.Kimi, emulator.OpChat, func(*vendorFixture) object { return object{"prompt": "Write a parser."} },
			[]string{"needs_websearch", "complexity", "domain", "recommended_provider", "recommended_model", "streaming_preferred"},
			"KIMI_TIMEOUT_SECS=30s",
		},
		"kimi_capture_headers": {
			emulator.Kimi, emulator.OpChat, func(*vendorFixture) object { return object{"messages": []object{{"role": "user", "content": "hi"}}} },
			[]string{"provider", "model", "content", "tool_calls", "usage", "raw"},
			"KIMI_TIMEOUT_SECS=30s",
		},
		"kimi_chat_with_tools": {
			emulator.Kimi, emulator.OpChat, func(*vendorFixture) object { return object{"messages": "hi"} },
			[]string{"provider", "model", "content", "tool_calls", "usage"},
			"KIMI_TIMEOUT_SECS=30s",
		},
		"glm_upload_file": {
			emulator.GLM, emulator.OpUpload, func(r *vendorFixture) object { return object{"file": file(r)} },
			[]string{"file_id", "filename"},
			"",
		},
		"glm_web_search": {
			emulator.GLM, emulator.OpSearch, func(*vendorFixture) object { return object{"search_query": "go 1.26"} },
			[]string{"id", "created", "request_id", "search_intent", "search_result"},
			"GLM_WEBSEARCH_TIMEOUT_SECS=30s",
		},
	}
}

const analysis = `{"needs_websearch":false,"complexity":"moderate","domain":"parsing","recommended_provider":"GLM",` +
	`"recommended_model":"glm-5.3-flash","streaming_preferred":true}`

// eachVendorTool runs a rule that holds for every tool that asks a vendor.
func eachVendorTool(t *testing.T, rule func(t *testing.T, r *vendorFixture, name string, tool vendorTool), set ...func(*config.Config)) {
	for name, tool := range vendorTools() {
		t.Run(name, func(t *testing.T) {
			with(t, func(t *testing.T, r *vendorFixture) {
				if name == "kimi_intent_analysis" {
					r.Always(emulator.Match{}, func(emulator.Request) emulator.Reply { return emulator.Say(analysis) })
				}
				rule(t, r, name, tool)
			}, set...)
		})
	}
}

func TestVendorToolsSucceed(t *testing.T) {
	eachVendorTool(t, func(t *testing.T, r *vendorFixture, name string, tool vendorTool) {
		o := r.call(name, tool.args(r))
		assert.Contains(t, []string{"success", "continuation_available"}, o["status"], o)
		for _, key := range tool.keys {
			assert.Contains(t, o, key)
		}
		require.NotEmpty(t, r.seen(tool.op))
		assert.Equal(t, tool.vendor, r.seen(tool.op)[0].Vendor)
		for _, q := range r.Requests() {
			assert.Empty(t, q.Refused)
		}
	})
}

func TestVendorToolsWithoutAKey(t *testing.T) {
	eachVendorTool(t, func(t *testing.T, r *vendorFixture, name string, tool vendorTool) {
		o := r.call(name, tool.args(r))
		assert.Equal(t, "not_configured", code(o))
		assert.Contains(t, o["error"].(object)["hint"], map[emulator.Vendor]string{emulator.GLM: "GLM_API_KEY", emulator.Kimi: "KIMI_API_KEY"}[tool.vendor])
		assert.Empty(t, r.Requests(), "nobody is asked")
	}, func(c *config.Config) { c.GLM.APIKey, c.Kimi.APIKey = "", "" })
}

func TestVendorToolsPassOnAVendorsRefusal(t *testing.T) {
	eachVendorTool(t, func(t *testing.T, r *vendorFixture, name string, tool vendorTool) {
		word := map[emulator.Vendor]string{emulator.GLM: "1113", emulator.Kimi: "exceeded_current_quota_error"}[tool.vendor]
		r.On(emulator.Match{Op: tool.op}, emulator.Fail(emulator.VendorError(429, word, "vendor's own words")))
		o := r.call(name, tool.args(r))
		assert.Equal(t, "balance", code(o), o)
		assert.NotContains(t, o["content"], "vendor's own words")
		assert.Equal(t, string(tool.vendor), o["error"].(object)["provider"])
		assert.Len(t, r.seen(tool.op), 1, "not asked again")
	})
}

// Whatever a vendor does, the reply is out when the call's limit has passed.
func TestVendorToolsEndAtTheirLimit(t *testing.T) {
	eachVendorTool(t, func(t *testing.T, r *vendorFixture, name string, tool vendorTool) {
		args := tool.args(r)
		r.Always(emulator.Match{Op: tool.op}, func(emulator.Request) emulator.Reply { return emulator.Fail(emulator.NeverAnswer()) })
		start := time.Now()
		o := r.call(name, args)
		took := time.Since(start)
		if tool.limit != "" {
			assert.Equal(t, "timeout", code(o))
			assert.Equal(t, tool.limit, o["error"].(object)["limit"])
			assert.LessOrEqual(t, took, 31*time.Second)
			assert.GreaterOrEqual(t, took, 28*time.Second)
			return
		}
		assert.Equal(t, "partial", o["status"], o)
		assert.Less(t, took, 55*time.Second)
		assert.GreaterOrEqual(t, took, 53*time.Second)
		pending := o["pending"].([]any)
		require.Len(t, pending, 1)
		assert.Equal(t, object{"path": filepath.Join(r.dir, "notes.txt"), "bytes_sent": 17.0, "size": 17.0}, pending[0])
		assert.Equal(t, map[string]int{"FILE_TOOL_TIMEOUT_SECS": 1}, r.log.Stats().Limits)
	})
}

func TestVendorToolsAreCancelledUpstream(t *testing.T) {
	eachVendorTool(t, func(t *testing.T, r *vendorFixture, name string, tool vendorTool) {
		args := tool.args(r)
		r.Always(emulator.Match{Op: tool.op}, func(emulator.Request) emulator.Reply { return emulator.Fail(emulator.NeverAnswer()) })
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		start := time.Now()
		o := r.callWith(ctx, name, args)
		assert.Equal(t, "error", o["status"])
		assert.Less(t, time.Since(start), 3500*time.Millisecond)
		_, err := r.WaitGone(t.Context(), 1)
		require.NoError(t, err)
		assert.Less(t, time.Since(start), 3500*time.Millisecond, "the vendor sees it at once")
	})
}

func TestVendorToolsRefuseBadArguments(t *testing.T) {
	eachVendorTool(t, func(t *testing.T, r *vendorFixture, name string, tool vendorTool) {
		good := tool.args(r)
		bad := []object{{}, {"nonsense": 1}}
		for key := range good {
			args := object{}
			for k, v := range good {
				args[k] = v
			}
			args[key] = object{"what": []int{1}}
			bad = append(bad, args)
			blank := object{}
			for k, v := range good {
				blank[k] = v
			}
			blank[key] = ""
			if _, list := good[key].([]string); list {
				blank[key] = []string{}
			}
			bad = append(bad, blank)
		}
		for _, args := range bad {
			o := r.call(name, args)
			if !assert.Contains(t, []any{"invalid_request", "file_not_found"}, code(o), "%v gave %v", args, o) {
				continue
			}
			assert.NotEmpty(t, o["error"].(object)["hint"])
		}
		assert.Empty(t, r.Requests())
	})
}

func TestFileToolsRefusePaths(t *testing.T) {
	for name, args := range map[string]func(path string) object{
		"kimi_upload_and_extract": func(path string) object { return object{"files": []string{path}} },
		"kimi_multi_file_chat":    func(path string) object { return object{"files": []string{path}, "prompt": "?"} },
		"glm_upload_file":         func(path string) object { return object{"file": path} },
	} {
		t.Run(name, func(t *testing.T) {
			with(t, func(t *testing.T, r *vendorFixture) {
				require.NoError(t, os.WriteFile(filepath.Join(r.state, "exai.db"), []byte("x"), 0o600))
				for path, want := range map[string]string{
					"/etc/passwd":                       "path_denied",
					r.dir + "/../../etc/passwd":         "path_denied",
					filepath.Join(r.state, "exai.db"):   "path_denied",
					r.file(".env", "KEY=1"):             "path_denied",
					r.file("sub/id_rsa", "x"):           "path_denied",
					filepath.Join(r.dir, "missing.pdf"): "file_not_found",
					r.dir:                               "invalid_request",
					r.file("empty.txt", ""):             "invalid_request",
				} {
					o := r.call(name, args(path))
					assert.Equal(t, want, code(o), "%s: %v", path, o)
				}
				assert.Empty(t, r.Requests())
			})
		})
	}
}
