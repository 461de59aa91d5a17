package server

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

func TestRevisionsAreThoseThatAreTested(t *testing.T) {
	assert.Equal(t, []string{"2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"}, Revisions())
}

func TestHandshake(t *testing.T) {
	for asked, agreed := range map[string]string{
		"2024-11-05": "2024-11-05", "2025-03-26": "2025-03-26", "2025-06-18": "2025-06-18", "2025-11-25": "2025-11-25",
		"2026-07-28": "2025-11-25", // has no handshake
		"2099-01-01": "2025-11-25", "1999-01-01": "2025-11-25", "": "2025-03-26",
	} {
		t.Run(asked, func(t *testing.T) {
			p := connect(t, serverOf(nil, nil, map[string]handler{"echo": slow(0)}))
			p.send(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"%s","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`, asked)
			var got struct {
				ProtocolVersion string
				ServerInfo      map[string]any
				Capabilities    map[string]any
				Instructions    string
			}
			require.NoError(t, json.Unmarshal(p.next().Result, &got))
			assert.Equal(t, agreed, got.ProtocolVersion)
			assert.Equal(t, map[string]any{"name": "exai-mcp", "version": "1.2.3"}, got.ServerInfo)
			assert.Equal(t, map[string]any{"tools": map[string]any{}, "logging": map[string]any{}}, got.Capabilities)
			assert.Equal(t, "Ask for a second opinion.", got.Instructions)
		})
	}
}

func TestToolsListPerRevision(t *testing.T) {
	const (
		schema  = `"inputSchema":{"type":"object","properties":{"n":{"type":"integer"}}}`
		hints   = `"annotations":{"title":"The echo","readOnlyHint":true,"destructiveHint":false,"idempotentHint":false,"openWorldHint":true}`
		oldest  = `{"tools":[{"name":"echo","description":"Does <it> & more.",` + schema + `}]}`
		hinted  = `{"tools":[{"name":"echo","description":"Does <it> & more.",` + schema + `,` + hints + `}]}`
		current = `{"tools":[{"name":"echo","title":"The echo","description":"Does <it> & more.",` + schema + `,` + hints + `}]}`
	)
	for version, want := range map[string]string{
		"2024-11-05": oldest, "2025-03-26": hinted, "2025-06-18": current, "2025-11-25": current, "2026-07-28": current,
	} {
		t.Run(version, func(t *testing.T) {
			fakes := map[string]handler{"echo": slow(0)}
			p := connect(t, serverOf(nil, nil, fakes))
			p.handshake(version, `{}`)
			p.send(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":""%s}}`, meta(version, ""))
			got := p.next()
			if version != "2026-07-28" {
				assert.Equal(t, want, string(got.Result))
				if version == newest {
					list, err := ListTools(toolsOf(fakes))
					require.NoError(t, err)
					assert.Equal(t, want, string(list))
				}
				return
			}
			var whole, wanted map[string]any
			require.NoError(t, json.Unmarshal(got.Result, &whole))
			require.NoError(t, json.Unmarshal([]byte(want), &wanted))
			assert.Equal(t, wanted["tools"], whole["tools"])
			assert.Equal(t, "complete", whole["resultType"])
			assert.Contains(t, whole, "ttlMs")
		})
	}
}

func TestResultPerRevision(t *testing.T) {
	for _, version := range Revisions() {
		t.Run(version, func(t *testing.T) {
			p := connect(t, serverOf(nil, nil, map[string]handler{"fail": func(context.Context, tool.Invocation) *tools.Result {
				r := says("a < b && c > d")
				r.Body.Set("n", json.Number("9007199254740993"))
				r.IsError = true
				return r
			}}))
			p.handshake(version, `{}`)
			p.call(version, `1`, "fail", `{}`, "")
			got := p.next()
			const object = `{"content":"a < b && c > d","n":9007199254740993}`
			assert.Equal(t, object, got.content(t))
			var r struct {
				IsError           bool
				StructuredContent json.RawMessage
			}
			require.NoError(t, json.Unmarshal(got.Result, &r))
			assert.True(t, r.IsError)
			if version >= "2025-06-18" {
				assert.Equal(t, object, string(r.StructuredContent), "both are whole")
			} else {
				assert.NotContains(t, got.raw, "structuredContent")
			}
			assert.Equal(t, version == "2026-07-28", strings.Contains(got.raw, "resultType"))
		})
	}
}

// A client that skips the handshake is served in the revision that MCP has servers assume, 2025-03-26.
func TestWithoutAHandshake(t *testing.T) {
	p := connect(t, serverOf(nil, nil, map[string]handler{"echo": slow(0)}))
	p.call("", `1`, "echo", `{}`, "")
	got := p.next()
	assert.JSONEq(t, `{"content":"done"}`, got.content(t))
	assert.NotContains(t, got.raw, "structuredContent")
	p.send(`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`)
	assert.Contains(t, p.next().raw, `"annotations":{"title":"The echo"`)
}

func TestWhatAToolIsTold(t *testing.T) {
	for version, client := range map[string]string{"2025-06-18": "probe 9", "2026-07-28": "modern 1"} {
		t.Run(version, func(t *testing.T) {
			heard := make(chan tool.Invocation, 1)
			p := connect(t, serverOf(nil, nil, map[string]handler{"echo": func(_ context.Context, inv tool.Invocation) *tools.Result {
				heard <- inv
				return says("")
			}}))
			p.handshake(version, `{}`)
			before := time.Now()
			p.call(version, `"a"`, "echo", `{"n":1}`, "")
			inv := <-heard
			assert.Equal(t, `"a"`, inv.ID)
			assert.Equal(t, "echo", inv.Tool)
			assert.Equal(t, `{"n":1}`, string(inv.Arguments))
			assert.Equal(t, client, inv.Client)
			assert.Nil(t, inv.Progress, "no token, no progress")
			assert.WithinRange(t, inv.Received, before, time.Now())
			p.next()
			for _, none := range []string{`"arguments":null`, `"other":1`} {
				p.send(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo",%s%s}}`, none, meta(version, ""))
				assert.Nil(t, (<-heard).Arguments, none)
				p.next()
			}
		})
	}
}

// A stateless request names its client itself; who sent another one says nothing about it.
func TestClientsOfStatelessRequestsAreTheirOwn(t *testing.T) {
	heard := make(chan string, 1)
	p := connect(t, serverOf(nil, nil, map[string]handler{"echo": func(_ context.Context, inv tool.Invocation) *tools.Result {
		heard <- inv.Client
		return says("")
	}}))
	const nameless = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{` +
		`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
	p.handshake(newest, `{}`)
	p.call("2026-07-28", `1`, "echo", `{}`, "")
	assert.Equal(t, "modern 1", <-heard)
	p.next()
	p.send(nameless)
	assert.Empty(t, <-heard)
	p.next()
	p.call(newest, `1`, "echo", `{}`, "")
	assert.Equal(t, "probe 9", <-heard, "the handshake's client is still the same")
	p.next()
}

func TestUnknownLogLevels(t *testing.T) {
	p := connect(t, serverOf(nil, nil, map[string]handler{"echo": slow(0)}))
	for level, refused := range map[string]bool{`"loud"`: true, `5`: true, `""`: true, `"debug"`: false, `"emergency"`: false} {
		p.call("2026-07-28", `1`, "echo", `{}`, `1,"io.modelcontextprotocol/logLevel":`+level)
		got := p.next()
		for got.Method != "" {
			got = p.next()
		}
		require.Equal(t, refused, got.Error != nil, got.raw)
		if refused {
			assert.Equal(t, -32602, got.Error.Code)
			assert.Contains(t, got.Error.Message, "logLevel must be debug, info")
		}
	}
	p.call(newest, `1`, "echo", `{}`, `1,"io.modelcontextprotocol/logLevel":"loud"`)
	assert.Nil(t, p.next().Error, "an older revision knows no such member")
}

func TestProgressComesBeforeTheResult(t *testing.T) {
	for _, version := range Revisions() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			p := connect(t, serverOf(nil, nil, map[string]handler{"busy": func(_ context.Context, inv tool.Invocation) *tools.Result {
				inv.Progress("first")
				inv.Progress(strings.Repeat("é", 300))
				return says("done")
			}}))
			p.handshake(version, `{}`)
			const calls = 1000
			go func() {
				for i := range calls {
					p.call(version, fmt.Sprint(i), "busy", `{}`, fmt.Sprint(i+9007199254740993))
				}
			}()
			seen := map[string]int{}
			for results := 0; results < calls; {
				l := p.next()
				if l.Method == "" {
					require.Nil(t, l.Error, l.raw)
					var i int
					require.NoError(t, json.Unmarshal(l.ID, &i))
					assert.Equal(t, 2, seen[fmt.Sprint(i+9007199254740993)], "progress of call %d ahead of its result", i)
					results++
					continue
				}
				require.Equal(t, "notifications/progress", l.Method)
				var n struct {
					ProgressToken json.RawMessage
					Progress      int
					Message       string
				}
				require.NoError(t, json.Unmarshal(l.Params, &n))
				seen[string(n.ProgressToken)]++
				assert.Equal(t, seen[string(n.ProgressToken)], n.Progress, "rising")
				assert.Less(t, utf8.RuneCountInString(n.Message), 200)
				assert.Equal(t, version != "2024-11-05", n.Message != "", "a message where the revision has one")
			}
		})
	}
}

func TestProgressTokens(t *testing.T) {
	p := connect(t, serverOf(nil, nil, map[string]handler{"busy": func(_ context.Context, inv tool.Invocation) *tools.Result {
		if inv.Progress == nil {
			return says("no token")
		}
		inv.Progress("x")
		return says("token")
	}}))
	p.handshake(newest, `{}`)
	for _, token := range []string{`"t\u00e9"`, `0`, `""`, `-1`} {
		p.call(newest, `1`, "busy", `{}`, token)
		assert.Contains(t, p.next().raw, `"progressToken":`+token+`,`)
		assert.Contains(t, p.next().content(t), "token")
	}
	for _, none := range []string{`null`, `{}`, `true`} {
		p.call(newest, `1`, "busy", `{}`, none)
		assert.Contains(t, p.next().content(t), "no token")
	}
}

func TestStatelessRevision(t *testing.T) {
	p := connect(t, serverOf(nil, nil, map[string]handler{"echo": slow(0)}))
	p.send(`{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"x":1%s}}`, meta("2026-07-28", ""))
	var found struct {
		SupportedVersions []string
		Capabilities      map[string]any
		Instructions      string
	}
	require.NoError(t, json.Unmarshal(p.next().Result, &found))
	assert.Equal(t, Revisions(), found.SupportedVersions)
	assert.Equal(t, map[string]any{"tools": map[string]any{}, "logging": map[string]any{}}, found.Capabilities)
	assert.NotEmpty(t, found.Instructions)

	for _, removed := range []string{"ping", "initialize", "logging/setLevel"} {
		p.send(`{"jsonrpc":"2.0","id":2,"method":"%s","params":{"x":1%s}}`, removed, meta("2026-07-28", ""))
		got := p.next()
		require.NotNil(t, got.Error, removed)
		assert.Equal(t, -32601, got.Error.Code, removed)
	}
	// A request of another revision on the same streams is served in its own.
	p.call("", `3`, "echo", `{}`, "")
	assert.NotContains(t, p.next().raw, "resultType")
	p.call("2026-07-28", `4`, "echo", `{}`, "")
	assert.Contains(t, p.next().raw, "resultType")

	p.send(`{"jsonrpc":"2.0","id":5,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true}%s}}`, meta("2026-07-28", ""))
	assert.Equal(t, "notifications/subscriptions/acknowledged", p.next().Method, "ahead of the answer")
	assert.Equal(t, `5`, string(p.next().ID))
}

func TestLogMessages(t *testing.T) {
	client := &Client{}
	log := zap.New(client.LogCore())
	log.Error("nobody is there yet")
	s := serverOf(nil, client, nil)
	for _, version := range []string{"2024-11-05", "2025-11-25"} {
		t.Run(version, func(t *testing.T) {
			p := connect(t, s)
			p.handshake(version, `{}`)
			log.Warn("below the level")
			log.Named("glm").With(zap.String("limit", "GLM_TIMEOUT_SECS")).Error("a limit was exceeded", zap.Int("n", 1))
			got := p.next()
			assert.Equal(t, "notifications/message", got.Method)
			assert.JSONEq(t, `{"level":"error","logger":"glm","data":{"message":"a limit was exceeded","limit":"GLM_TIMEOUT_SECS","n":1}}`, string(got.Params))

			p.send(`{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"debug"}}`)
			assert.Nil(t, p.next().Error)
			log.Debug("now this as well")
			assert.Contains(t, p.next().raw, `"level":"debug"`)
			require.NoError(t, p.closeInput())
			assert.Empty(t, p.rest())
		})
	}
}

// From 2026-07-28 on log messages belong to a request that asked for them.
func TestLogMessagesOfARequest(t *testing.T) {
	client := &Client{}
	log := zap.New(client.LogCore())
	p := connect(t, serverOf(nil, client, map[string]handler{"fail": func(_ context.Context, inv tool.Invocation) *tools.Result {
		log.Warn("about it", zap.String("request_id", inv.ID))
		log.Info("below its level", zap.String("request_id", inv.ID))
		log.Error("about another", zap.String("request_id", `"other"`))
		log.Error("about none")
		return says("done")
	}}))
	call := func(id, level string) {
		p.send(`{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"fail"%s}}`, id, meta("2026-07-28", level))
	}
	call(`"other"`, "")
	assert.Equal(t, `"other"`, string(p.next().ID), "one that did not ask hears nothing")
	call(`"a"`, `"io.modelcontextprotocol/logLevel":"warning"`)
	got := p.next()
	assert.Equal(t, "notifications/message", got.Method)
	assert.JSONEq(t, `{"level":"warning","data":{"message":"about it","request_id":"\"a\""}}`, string(got.Params))
	assert.Equal(t, `"a"`, string(p.next().ID))
	assert.False(t, client.LogCore().Enabled(zap.ErrorLevel), "nobody listens any more, so nothing is put together")
	log.Error("after it", zap.String("request_id", `"a"`))
	require.NoError(t, p.closeInput())
	assert.Empty(t, p.rest())
}

// The official TypeScript SDK confuses a progress notification with the answer behind it when it reads both at once.
func TestAnAnswerIsWrittenWellAfterItsLastProgress(t *testing.T) {
	fakes := map[string]handler{
		"noted": func(_ context.Context, inv tool.Invocation) *tools.Result {
			inv.Progress("working")
			time.Sleep(time.Second)
			inv.Progress("storing")
			return says("done")
		},
		"early": func(_ context.Context, inv tool.Invocation) *tools.Result {
			inv.Progress("working")
			time.Sleep(time.Second)
			return says("done")
		},
		"silent": func(context.Context, tool.Invocation) *tools.Result {
			time.Sleep(time.Second)
			return says("done")
		},
		"straggler": func(_ context.Context, inv tool.Invocation) *tools.Result {
			inv.Progress("working")
			time.AfterFunc(2*time.Millisecond, func() { inv.Progress("after the answer was ready") })
			return says("done")
		},
	}
	for _, c := range []struct {
		tool  string
		notes int
		took  time.Duration
	}{
		{"noted", 2, time.Second + noteGap},
		{"early", 1, time.Second},
		{"silent", 0, time.Second},
		{"straggler", 1, noteGap},
	} {
		t.Run(c.tool, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := connect(t, serverOf(nil, nil, fakes))
				p.handshake(newest, `{}`)
				start := time.Now()
				p.call(newest, `1`, c.tool, `{}`, `"t"`)
				notes := 0
				got := p.next()
				for ; got.Method != ""; got = p.next() {
					notes++
				}
				assert.Equal(t, c.took, time.Since(start))
				assert.Equal(t, c.notes, notes)
				assert.JSONEq(t, `{"content":"done"}`, got.content(t))
				require.NoError(t, p.closeInput())
				assert.Empty(t, p.rest())
			})
		})
	}
	t.Run("other calls don't wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := connect(t, serverOf(nil, nil, fakes))
			p.handshake(newest, `{}`)
			start := time.Now()
			p.call(newest, `1`, "straggler", `{}`, `"t"`)
			assert.Equal(t, "notifications/progress", p.next().Method)
			p.send(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)
			assert.Equal(t, "2", string(p.next().ID))
			assert.Zero(t, time.Since(start))
			assert.Equal(t, "1", string(p.next().ID))
			assert.Equal(t, noteGap, time.Since(start))
		})
	})
	t.Run("counts from the writing, not from the handing in", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := dial(t, serverOf(nil, nil, fakes))
			read := func() {
				_, err := p.out.Read(make([]byte, 64<<10)) // a pipe hands over what one Write wrote
				require.NoError(t, err)
			}
			p.call(newest, `1`, "straggler", `{}`, `"t"`)
			time.Sleep(time.Minute) // and all that time the client reads nothing
			start := time.Now()
			read()
			read()
			assert.Equal(t, noteGap, time.Since(start))
		})
	})
	t.Run("a call may be cancelled meanwhile", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := connect(t, serverOf(nil, nil, fakes))
			p.handshake(newest, `{}`)
			p.call(newest, `1`, "straggler", `{}`, `"t"`)
			assert.Equal(t, "notifications/progress", p.next().Method)
			p.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
			require.NoError(t, p.closeInput())
			assert.Empty(t, p.rest())
		})
	})
}
