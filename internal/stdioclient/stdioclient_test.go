package stdioclient_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/stdioclient"
)

// TestMain makes this test's binary a server when it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "serve" {
		serve()
		return
	}
	os.Exit(m.Run())
}

// serve answers each request by its method.
func serve() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	var late string
	for lines.Scan() {
		var m struct {
			ID     int
			Method string
			Params json.RawMessage
		}
		if json.Unmarshal(lines.Bytes(), &m) != nil {
			os.Exit(3)
		}
		switch m.Method {
		case "late": // is answered after the next request
			late = fmt.Sprintf(`{"id":%d,"result":"late"}`+"\n", m.ID)
		case "refuse":
			fmt.Printf(`{"id":%d,"error":{"code":-32601,"message":"unknown method"}}`+"\n", m.ID)
		case "exit":
			return
		case "never":
		case "notifications/cancelled":
			fmt.Printf(`{"method":"cancelled","params":%s}`+"\n", m.Params)
		case "notifications/initialized":
			fmt.Println(`{"method":"greeted","params":{"id":7}}`)
		default:
			fmt.Printf("no JSON\n"+`{"id":999,"result":"of nobody"}`+"\n"+`{"id":%d,"result":%s}`+"\n%s", m.ID, m.Params, late)
			late = ""
		}
	}
}

func start(t *testing.T, onNotification func(string, json.RawMessage)) *stdioclient.Client {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	c, err := stdioclient.Start(exec.Command(exe, "serve"), onNotification)
	require.NoError(t, err)
	return c
}

func TestRequests(t *testing.T) {
	notes := make(chan string, 1)
	c := start(t, func(method string, params json.RawMessage) { notes <- method + string(params) })
	hello, err := c.Initialize(t.Context(), "test", "1")
	require.NoError(t, err)
	assert.JSONEq(t, `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}`, string(hello.Result))
	assert.NotZero(t, hello.At)
	assert.Equal(t, `greeted{"id":7}`, <-notes)

	late := make(chan stdioclient.Answer)
	go func() {
		a, err := c.Request(t.Context(), "late", nil)
		assert.NoError(t, err)
		late <- a
	}()
	for waiting := true; waiting; {
		select {
		case a := <-late:
			assert.Equal(t, `"late"`, string(a.Result))
			waiting = false
		default:
			_, err := c.Request(t.Context(), "echo", 1)
			require.NoError(t, err)
		}
	}

	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			long := strings.Repeat("x", i<<14)
			a, err := c.Request(t.Context(), "echo", long)
			assert.NoError(t, err)
			assert.Len(t, a.Result, len(long)+len(`""`))
		})
	}
	wg.Wait()

	_, err = c.Request(t.Context(), "refuse", nil)
	require.EqualError(t, err, "refuse: unknown method (-32601)")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("tired of waiting"))
	_, err = c.Request(ctx, "never", nil)
	require.EqualError(t, err, "never: tired of waiting")
	assert.Regexp(t, `^cancelled\{"requestId":\d+\}$`, <-notes)

	_, err = c.Close()
	require.NoError(t, err)
}

func TestServerThatEnds(t *testing.T) {
	c := start(t, nil)
	_, err := c.Request(t.Context(), "exit", nil)
	require.EqualError(t, err, "the server ended before it answered exit")
	require.NoError(t, c.Wait())
}

func TestServerThatIsNotThere(t *testing.T) {
	_, err := stdioclient.Start(exec.Command(t.TempDir()+"/none"), nil)
	require.ErrorIs(t, err, os.ErrNotExist)
}
