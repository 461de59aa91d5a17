package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

const newest = "2025-11-25" // the newest revision with a handshake

// slow works for a time, or until it is told to stop.
func slow(d time.Duration) handler {
	return func(ctx context.Context, _ tool.Invocation) *tools.Result {
		select {
		case <-time.After(d):
			return says("done")
		case <-ctx.Done():
			return says("stopped: " + context.Cause(ctx).Error())
		}
	}
}

func TestIDsComeBackByteForByte(t *testing.T) {
	p := connect(t, serverOf(nil, nil, map[string]handler{"echo": func(_ context.Context, inv tool.Invocation) *tools.Result {
		return says(string(inv.Arguments))
	}}))
	for _, id := range []string{`1`, `0`, `-7`, `9007199254740993`, `18446744073709551615`, `1.50`, `""`, `"a"`, `"q\"uo\u00e9"`, `"<&>"`} {
		p.send(`{"jsonrpc":"2.0","id":%s,"method":"ping"}`, id)
		got := p.next()
		assert.Contains(t, got.raw, `"id":`+id+`,`, "ping")
		assert.Nil(t, got.Error, got.raw)

		p.call("", id, "echo", `{"n": 9007199254740993, "s":"<é>"}`, "")
		got = p.next()
		assert.Contains(t, got.raw, `"id":`+id+`,`, "tools/call")
		assert.JSONEq(t, `{"content":"{\"n\": 9007199254740993, \"s\":\"<é>\"}"}`, got.content(t), "arguments keep every digit")

		p.send(`{"jsonrpc":"2.0","id":%s,"method":"no/such"}`, id)
		got = p.next()
		assert.Contains(t, got.raw, `"id":`+id+`,`, "error")
		assert.Equal(t, -32601, got.Error.Code)
	}
}

func TestMembersMayComeInAnyOrder(t *testing.T) {
	p := connect(t, serverOf(nil, nil, map[string]handler{"echo": func(_ context.Context, inv tool.Invocation) *tools.Result {
		return says(string(inv.Arguments))
	}}))
	p.send(`{"params":{"_meta":{},"arguments":{"id":"inner","method":"x"},"name":"echo"},"method":"tools/call","ID":"no","id":5,"jsonrpc":"2.0"}`)
	got := p.next()
	assert.Equal(t, "5", string(got.ID))
	assert.JSONEq(t, `{"content":"{\"id\":\"inner\",\"method\":\"x\"}"}`, got.content(t))

	p.send(`{"jsonrpc":"2.0","id":6,"method":"tools/list","params":null}`)
	assert.Nil(t, p.next().Error, "some clients write out what they leave out")
}

func TestMalformedLines(t *testing.T) {
	for _, c := range []struct {
		name, line, id string
		code           int
	}{
		{"no JSON", `hello`, `null`, -32700},
		{"cut off", `{"jsonrpc":"2.0","id":1,"method":"ping"`, `null`, -32700},
		{"two on a line", `{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}`, `null`, -32700},
		{"batch", `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, `null`, -32600},
		{"empty batch", `[]`, `null`, -32600},
		{"a number", `5`, `null`, -32600},
		{"a string", `"ping"`, `null`, -32600},
		{"no version", `{"id":1,"method":"ping"}`, `1`, -32600},
		{"old version", `{"jsonrpc":"1.0","id":1,"method":"ping"}`, `1`, -32600},
		{"null id", `{"jsonrpc":"2.0","id":null,"method":"ping"}`, `null`, -32600},
		{"object id", `{"jsonrpc":"2.0","id":{},"method":"ping"}`, `null`, -32600},
		{"true as id", `{"jsonrpc":"2.0","id":true,"method":"ping"}`, `null`, -32600},
		{"no method", `{"jsonrpc":"2.0","id":1}`, `1`, -32600},
		{"method is a number", `{"jsonrpc":"2.0","id":1,"method":5}`, `1`, -32600},
		{"params is an array", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["x"]}`, `1`, -32602},
		{"params is a string", `{"jsonrpc":"2.0","id":"a","method":"ping","params":"x"}`, `"a"`, -32602},
		{"no params for a tool", `{"jsonrpc":"2.0","id":1,"method":"tools/call"}`, `1`, -32602},
		{"tool name is a number", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}`, `1`, -32602},
		{"unknown tool", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"no\"such"}}`, `1`, -32602},
		{"unknown method", `{"jsonrpc":"2.0","id":1,"method":"tools/destroy"}`, `1`, -32601},
		{"wrong type inside params", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":5}}`, `1`, -32602},
		{"bad log level", `{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"loud"}}`, `1`, -32602},
		{"deep nesting", strings.Repeat("[", 20000) + strings.Repeat("]", 20000), `null`, -32700},
		{"a NUL", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\x00\"}", `null`, -32700},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := connect(t, serverOf(nil, nil, map[string]handler{"echo": slow(0)}))
			p.handshake(newest, `{}`)
			p.send("%s", c.line)
			got := p.next()
			require.NotNil(t, got.Error, got.raw)
			assert.Equal(t, c.code, got.Error.Code, got.raw)
			assert.Contains(t, got.raw, `"id":`+c.id+`,`)
			for _, goWord := range []string{"Go struct", "mcp.", "unparsable", "unmarshal"} {
				assert.NotContains(t, got.raw, goWord, "errors are for clients, not for Go programmers")
			}
			p.send(`{"jsonrpc":"2.0","id":"alive","method":"ping"}`)
			assert.Equal(t, `{"jsonrpc":"2.0","id":"alive","result":{}}`, p.next().raw)
		})
	}
}

func TestAToolThatIsMisspelt(t *testing.T) {
	p := connect(t, serverOf(nil, nil, map[string]handler{"echo": slow(0), "thinkdeep": slow(0)}))
	p.handshake(newest, `{}`)
	for name, want := range map[string]string{
		"think_dep": `unknown tool "think_dep"; did you mean thinkdeep? see tools/list`,
		"nothing":   `unknown tool "nothing"; see tools/list`,
	} {
		p.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q}}`, name)
		got := p.next()
		require.NotNil(t, got.Error, got.raw)
		assert.Equal(t, want, got.Error.Message)
	}
}

func TestLogLevelBeforeTheHandshake(t *testing.T) {
	p := connect(t, serverOf(nil, nil, nil))
	p.send(`{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"info"}}`)
	got := p.next()
	require.NotNil(t, got.Error, got.raw)
	assert.Equal(t, -32600, got.Error.Code)
	assert.Contains(t, got.Error.Message, "initialize", "what to do")
}

func TestLinesThatAreNotAnswered(t *testing.T) {
	p := connect(t, serverOf(nil, nil, map[string]handler{"echo": slow(0)}))
	for _, quiet := range []string{
		``, `   `, "\t", "\r",
		`{"jsonrpc":"2.0","method":"notifications/unknown"}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled"}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"never"}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":null}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":["x"]}`,
		`{"jsonrpc":"1.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":"exai-1","result":{}}`,
		`{"jsonrpc":"2.0","id":99,"error":{"code":1,"message":"x"}}`,
		`{"jsonrpc":"2.0","result":{}}`,
		`{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo"}}`,
	} {
		p.send("%s", quiet)
	}
	p.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	assert.Equal(t, `{"jsonrpc":"2.0","id":1,"result":{}}`, p.next().raw)
}

func TestLineEndsAndByteOrderMark(t *testing.T) {
	p := connect(t, serverOf(nil, nil, nil))
	_, err := io.WriteString(p.in, "\xef\xbb\xbf"+`{"jsonrpc":"2.0","id":1,"method":"ping"}`+"\r\n\r\n"+
		`  {"jsonrpc" : "2.0" , "id" : 2 , "method" : "ping" }  `+"\n"+
		`{"jsonrpc":"2.0","id":3,"method":"ping"}`) // and no newline
	require.NoError(t, err)
	require.NoError(t, p.closeInput())
	var ids []string
	for _, l := range p.rest() {
		assert.Nil(t, l.Error, l.raw)
		ids = append(ids, string(l.ID))
	}
	assert.ElementsMatch(t, []string{"1", "2", "3"}, ids)
}

func TestSlowCallsRunSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, serverOf(nil, nil, map[string]handler{"slow": slow(300 * time.Millisecond)}))
		p.handshake(newest, `{}`)
		start := time.Now()
		for i := range 150 {
			p.call(newest, fmt.Sprint(i), "slow", `{}`, "")
		}
		p.send(`{"jsonrpc":"2.0","id":"ping","method":"ping"}`)
		first := p.next()
		assert.Equal(t, `"ping"`, string(first.ID), "a ping overtakes slow calls")
		assert.Zero(t, time.Since(start))
		p.send(`{"jsonrpc":"2.0","id":"list","method":"tools/list"}`)
		assert.Equal(t, `"list"`, string(p.next().ID))
		assert.Zero(t, time.Since(start))
		for range 150 {
			got := p.next()
			assert.JSONEq(t, `{"content":"done"}`, got.content(t))
		}
		assert.Equal(t, 300*time.Millisecond, time.Since(start))
	})
}

func TestCancelledCallsAreStoppedAndNotAnswered(t *testing.T) {
	for _, id := range []string{`5`, `"five"`, `9007199254740993`, `"f\u0069ve"`} {
		synctest.Test(t, func(t *testing.T) {
			causes := make(chan error, 1)
			var late func(string)
			p := connect(t, serverOf(nil, nil, map[string]handler{"slow": func(ctx context.Context, inv tool.Invocation) *tools.Result {
				inv.Progress("working")
				late = inv.Progress
				<-ctx.Done()
				causes <- context.Cause(ctx)
				inv.Progress("after the cancellation")
				return says("stopped")
			}}))
			p.handshake(newest, `{}`)
			p.call(newest, id, "slow", `{}`, `"t"`)
			assert.Equal(t, "notifications/progress", p.next().Method)
			p.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%s,"reason":"enough"}}`, id)
			assert.ErrorIs(t, <-causes, ErrCancelledByClient)
			synctest.Wait()
			late("after the end")
			p.send(`{"jsonrpc":"2.0","id":%s,"method":"ping"}`, id) // the id is free again
			got := p.next()
			assert.Contains(t, got.raw, `"result":{}`, "nothing comes between a cancellation and what is asked next")
			require.NoError(t, p.closeInput())
			assert.Empty(t, p.rest())
		})
	}
}

// A call whose cancellation comes with the next line, before its goroutine had a chance to run, must be stopped as well.
func TestCancelRightAfterTheCall(t *testing.T) {
	const n = 500
	var stopped sync.WaitGroup
	stopped.Add(n)
	p := connect(t, serverOf(nil, nil, map[string]handler{"slow": func(ctx context.Context, _ tool.Invocation) *tools.Result {
		<-ctx.Done()
		if errors.Is(context.Cause(ctx), ErrCancelledByClient) {
			stopped.Done()
		}
		return says("stopped")
	}}))
	p.handshake(newest, `{}`)
	for i := range n {
		p.send(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"slow"}}`+"\n"+
			`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, i, i)
	}
	stopped.Wait() // hangs if one cancellation was lost
	require.NoError(t, p.closeInput())
	assert.Empty(t, p.rest(), "no cancelled call is answered")
}

func TestDuplicateIDsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		p := connect(t, serverOf(nil, nil, map[string]handler{"slow": func(ctx context.Context, inv tool.Invocation) *tools.Result {
			calls.Add(1)
			return slow(time.Second)(ctx, inv)
		}}))
		p.handshake(newest, `{}`)
		p.call(newest, `7`, "slow", `{}`, "")
		p.call(newest, `7`, "slow", `{}`, "")
		refused := p.next()
		require.NotNil(t, refused.Error)
		assert.Equal(t, -32600, refused.Error.Code)
		assert.Equal(t, `7`, string(refused.ID))
		p.call(newest, `"7"`, "slow", `{}`, "") // a string is another id than the number
		assert.Nil(t, p.next().Error)
		assert.Nil(t, p.next().Error)
		assert.EqualValues(t, 2, calls.Load())
		p.call(newest, `7`, "slow", `{}`, "") // and an answered one is free again
		assert.Nil(t, p.next().Error)
	})
}

func TestPanicsAreHidden(t *testing.T) {
	core, logged := observer.New(zap.DebugLevel)
	p := connect(t, serverOf(zap.New(core), nil, map[string]handler{
		"boom": func(context.Context, tool.Invocation) *tools.Result { panic("boom: the secret") },
		"nil":  func(context.Context, tool.Invocation) *tools.Result { return nil },
	}))
	p.handshake(newest, `{}`)
	for _, tool := range []string{"boom", "nil"} {
		p.call(newest, `1`, tool, `{}`, "")
		got := p.next()
		require.NotNil(t, got.Error)
		assert.Equal(t, -32603, got.Error.Code)
		assert.NotContains(t, got.raw, "secret")
		assert.NotContains(t, got.raw, "goroutine")
	}
	assert.Len(t, logged.FilterMessage("panic while serving a request").All(), 2)
	p.send(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	assert.Nil(t, p.next().Error)
}

func TestLongLines(t *testing.T) {
	p := connect(t, serverOf(nil, nil, map[string]handler{"len": func(_ context.Context, inv tool.Invocation) *tools.Result {
		var args struct{ Text string }
		if err := json.Unmarshal(inv.Arguments, &args); err != nil {
			return says(err.Error())
		}
		return says(fmt.Sprint(len(args.Text)))
	}}))
	p.handshake(newest, `{}`)
	p.call(newest, `1`, "len", `{"text":"`+strings.Repeat("x", 20<<20)+`"}`, "")
	assert.JSONEq(t, fmt.Sprintf(`{"content":"%d"}`, 20<<20), p.next().content(t))

	p.call(newest, `"big"`, "len", `{"text":"`+strings.Repeat("x", maxLine)+`"}`, "")
	got := p.next()
	require.NotNil(t, got.Error, "beyond the cap")
	assert.Equal(t, -32600, got.Error.Code)
	assert.Equal(t, `"big"`, string(got.ID))

	p.call(newest, `2`, "len", `{"text":"y"}`, "")
	assert.JSONEq(t, `{"content":"1"}`, p.next().content(t), "the line after it is served")
}
