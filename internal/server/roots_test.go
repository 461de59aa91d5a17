package server

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
	require.NoError(t, p.hangUp())
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
		require.NoError(t, p.hangUp())
		assert.Empty(t, p.rest())
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
