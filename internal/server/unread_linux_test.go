package server

import (
	"context"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

// connections are what clients start a server with: pipes, and the sockets of Node's child_process.
var connections = map[string]func(t *testing.T) (reader, writer *os.File){
	"pipe": func(t *testing.T) (*os.File, *os.File) {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		return r, w
	},
	"socket": func(t *testing.T) (*os.File, *os.File) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		return os.NewFile(uintptr(fds[0]), "reader"), os.NewFile(uintptr(fds[1]), "writer")
	},
}

func TestUnread(t *testing.T) {
	for name, connect := range connections {
		t.Run(name, func(t *testing.T) {
			r, w := connect(t)
			assert.Zero(t, unread(w))
			_, err := w.WriteString("hello")
			require.NoError(t, err)
			assert.Positive(t, unread(w))
			_, err = io.ReadFull(r, make([]byte, 5))
			require.NoError(t, err)
			assert.Zero(t, unread(w))
			require.NoError(t, r.Close())
			require.NoError(t, w.Close())
			assert.Zero(t, unread(w), "closed")
		})
	}
	file, err := os.Create(t.TempDir() + "/file")
	require.NoError(t, err)
	_, err = file.WriteString("hello")
	require.NoError(t, err)
	assert.Zero(t, unread(file))
	require.NoError(t, file.Close())
	assert.Zero(t, unread(io.Discard))
}

// A client that is kept from reading for longer than the gap still does not read an answer together with the progress
// notification before it.
func TestAnAnswerWaitsUntilItsLastProgressWasRead(t *testing.T) {
	for name, connect := range connections {
		t.Run(name, func(t *testing.T) {
			s := serverOf(nil, nil, map[string]handler{"quick": func(_ context.Context, inv tool.Invocation) *tools.Result {
				inv.Progress("working")
				return says("done")
			}})
			in, client := io.Pipe()
			r, w := connect(t)
			served := make(chan error, 1)
			go func() {
				_, err := s.Serve(t.Context(), in, w)
				served <- err
			}()
			_, err := io.WriteString(client, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`+"\n")
			require.NoError(t, err)
			read := func() string {
				b := make([]byte, 1<<20)
				n, err := r.Read(b)
				require.NoError(t, err)
				return string(b[:n])
			}
			require.Contains(t, read(), `"id":1`)
			_, err = io.WriteString(client, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"quick","arguments":{},"_meta":{"progressToken":"t"}}}`+"\n")
			require.NoError(t, err)
			time.Sleep(10 * noteGap)
			first := read()
			assert.Contains(t, first, "notifications/progress")
			assert.NotContains(t, first, `"id":2`)
			assert.Contains(t, read(), `"id":2`)
			require.NoError(t, client.Close())
			require.NoError(t, <-served)
		})
	}
}
