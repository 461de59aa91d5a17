package server

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

func TestRoots(t *testing.T) {
	const ask = `{"jsonrpc":"2.0","id":"exai-%d","method":"roots/list"}`
	synctest.Test(t, func(t *testing.T) {
		client := &Client{}
		_, known := client.Roots(t.Context())
		assert.False(t, known, "no client yet")

		p := connect(t, serverOf(nil, client, nil))
		p.handshake(newest, `{"roots":{"listChanged":true}}`)
		assert.Equal(t, fmt.Sprintf(ask, 1), p.next().raw)
		start := time.Now()
		go func() {
			time.Sleep(time.Second)
			p.send(`{"jsonrpc":"2.0","id":"exai-1","result":{"roots":[{"uri":"file:///home/me/my%%20code","name":"x"},{"uri":"https://example.org/"},{"uri":5},"x",null,{}]}}`)
		}()
		paths, known := client.Roots(t.Context())
		assert.True(t, known)
		assert.Equal(t, []string{"/home/me/my code"}, paths)
		assert.Equal(t, time.Second, time.Since(start), "it waits for the first answer")

		p.send(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`)
		assert.Equal(t, fmt.Sprintf(ask, 2), p.next().raw)
		start = time.Now()
		paths, known = client.Roots(t.Context())
		assert.True(t, known)
		assert.Equal(t, []string{"/home/me/my code"}, paths, "the old ones while the client does not answer")
		assert.Equal(t, 2*time.Second, time.Since(start))

		p.send(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`)
		assert.Equal(t, fmt.Sprintf(ask, 3), p.next().raw)
		p.send(`{"jsonrpc":"2.0","id":"exai-3","result":{"roots":[{"uri":"file:///new"}]}}`)
		p.send(`{"jsonrpc":"2.0","id":"exai-2","result":{"roots":[{"uri":"file:///late"}]}}`)
		synctest.Wait()
		paths, _ = client.Roots(t.Context())
		assert.Equal(t, []string{"/new"}, paths, "an answer to an older question is out of date")

		p.send(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`)
		p.next()
		p.send(`{"jsonrpc":"2.0","id":"exai-4","error":{"code":-32601,"message":"no such method"}}`)
		p.send(`{"jsonrpc":"2.0","id":"exai-4","result":{"roots":[{"uri":"file:///second"}]}}`)
		synctest.Wait()
		_, known = client.Roots(t.Context())
		assert.False(t, known, "a question is answered once")
	})
}

func TestRootsOfAClientThatKeepsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &Client{}
		p := connect(t, serverOf(nil, client, nil))
		p.send(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"roots":{}},"clientInfo":{"name":"c","version":"1"}}}`)
		p.next()
		start := time.Now()
		short, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		client.Roots(short)
		assert.Equal(t, time.Second/2, time.Since(start), "a call that is over waits no longer")
		for range 3 {
			_, known := client.Roots(t.Context())
			assert.False(t, known)
		}
		assert.Equal(t, 2*time.Second, time.Since(start), "one wait, not one per call")
	})
}

func TestRootsAreNotAskedInTheStatelessRevision(t *testing.T) {
	p := connect(t, serverOf(nil, nil, nil))
	p.send(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"roots":{}}}}}`)
	assert.Nil(t, p.next().Error)
	p.send(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`)
	p.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	require.NoError(t, p.closeInput())
	assert.Empty(t, p.rest())
}

func TestRootsAreNotAskedOfAClientWithout(t *testing.T) {
	for _, version := range Revisions() {
		client := &Client{}
		p := connect(t, serverOf(nil, client, nil))
		p.handshake(version, `{}`)
		p.send(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`)
		_, known := client.Roots(t.Context())
		assert.False(t, known)
		require.NoError(t, p.closeInput())
		assert.Empty(t, p.rest())
	}
}

func TestRootsAreNotAskedOfAClientThatWouldHang(t *testing.T) {
	const ask = `{"jsonrpc":"2.0","id":"exai-1","method":"roots/list"}`
	for _, c := range []struct {
		version, capabilities, name string
		asked                       bool
	}{
		{"2024-11-05", `{"roots":{"listChanged":true}}`, "mcp", false}, // as the Python SDK 1.2.1 writes it
		{"2024-11-05", `{"sampling":{},"roots":{"listChanged":true}}`, "mcp", true},
		{"2024-11-05", `{"roots":{"listChanged":true}}`, "another", true},
		{"2025-11-25", `{"roots":{"listChanged":true}}`, "mcp", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			client := &Client{}
			p := connect(t, serverOf(nil, client, nil))
			p.send(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"%s","capabilities":%s,"clientInfo":{"name":"%s","version":"0.1.0"}}}`,
				c.version, c.capabilities, c.name)
			p.next()
			p.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
			if c.asked {
				assert.Equal(t, ask, p.next().raw)
			}
			start := time.Now()
			_, known := client.Roots(t.Context())
			assert.False(t, known)
			if !c.asked {
				assert.Zero(t, time.Since(start), "no call waits for an answer")
			}
			require.NoError(t, p.closeInput())
			assert.Empty(t, p.rest())
		})
	}
}

func TestFilePath(t *testing.T) {
	for _, c := range []struct{ uri, unix, windows string }{
		{"file:///home/me", "/home/me", ""},
		{"file:///home/me/", "/home/me", ""},
		{"file:///a%20b/%C3%A9%23%25", "/a b/é#%", ""},
		{"file:///a/../b", "/b", ""},
		{"FILE:///x", "/x", ""},
		{"file://localhost/x", "/x", ""},
		{"file:///", "/", ""},
		{"file:///C:/Users/me", "/C:/Users/me", `C:\Users\me`},
		{"file:///c%3A/Users/me%20too", "/c:/Users/me too", `C:\Users\me too`},
		{"file://C:/Users", "", `C:\Users`},
		{"file:///C:", "/C:", `C:\`},
		{"file://server/share/x", "", `\\server\share\x`},
		{"file:///a%00b", "", ""},
		{"file:///a%zz", "", ""},
		{"https://example.org/x", "", ""},
		{"/home/me", "", ""},
		{"", "", ""},
	} {
		unix, ok := filePath(c.uri, false)
		assert.Equal(t, c.unix, unix, c.uri)
		assert.Equal(t, c.unix != "", ok, c.uri)
		windows, ok := filePath(c.uri, true)
		assert.Equal(t, c.windows, windows, c.uri)
		assert.Equal(t, c.windows != "", ok, c.uri)
	}
}

// modernMeta is the _meta of a stateless request from a client with these capabilities.
func modernMeta(capabilities string) string {
	return `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":` + capabilities + `}`
}

// A stateless client is asked for its roots by the answer to its call, and sends the call again with them.
func TestRootsByInputRequest(t *testing.T) {
	client := &Client{}
	p := connect(t, serverOf(nil, client, map[string]handler{"read": func(ctx context.Context, inv tool.Invocation) *tools.Result {
		paths, known := client.Roots(ctx)
		if inv.MayAskRoots {
			return &tools.Result{AskRoots: true}
		}
		return says(fmt.Sprint(known, paths))
	}}))
	call := func(more, capabilities string) line {
		t.Helper()
		p.send(`{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"read","arguments":{}%s,%s}}`, more, modernMeta(capabilities))
		return p.next()
	}
	const asks = `{"jsonrpc":"2.0","id":"a","result":{"resultType":"input_required","inputRequests":{"roots":{"method":"roots/list","params":{}}},` +
		`"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"exai-mcp","version":"1.2.3"}}}}`
	assert.Equal(t, asks, call("", `{"roots":{"listChanged":true}}`).raw)
	assert.JSONEq(t, `{"content":"false []"}`, call("", `{}`).content(t), "one that does not declare roots is not asked")
	assert.JSONEq(t, `{"content":"false []"}`, call("", `{"roots":null}`).content(t))
	for _, nothing := range []string{`null`, `{}`, `5`, `{"roots":null}`, `{"roots":{"action":"decline"}}`, `{"other":{}}`} {
		assert.NotContains(t, call(`,"inputResponses":`+nothing, `{"roots":{}}`).raw, "inputRequests", "nobody is asked twice: %s", nothing)
	}
	got := call(`,"inputResponses":{"roots":{"roots":[{"uri":"file:///a%20b","name":"x"},{"uri":"http://x/"}]}}`, `{"roots":{}}`)
	assert.JSONEq(t, `{"content":"true [/a b]"}`, got.content(t))
	assert.Equal(t, asks, call("", `{"roots":{}}`).raw, "what a tool needs is the tool's affair")
	got = call(`,"inputResponses":{"roots":{"roots":[{"uri":"file:///c"},{"uri":"file:///a%20b"}]}}`, `{}`)
	assert.JSONEq(t, `{"content":"true [/a b /c]"}`, got.content(t), "a later answer adds to what is known")
	assert.JSONEq(t, `{"content":"true [/a b /c]"}`, call("", `{}`).content(t), "for the whole process")

	p.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","inputResponses":{"roots":{"roots":[{"uri":"file:///d"}]}}}}`)
	assert.JSONEq(t, `{"content":"true [/a b /c]"}`, p.next().content(t), "an older revision has no such answers")
}
