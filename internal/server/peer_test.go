package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handler is a fake tool.
type handler func(ctx context.Context, inv tool.Invocation) *tools.Result

// says is a result with one key.
func says(text string) *tools.Result {
	r := &tools.Result{}
	r.Body.Set("content", text)
	return r
}

// serverOf makes a server whose tools are fakes.
func serverOf(log *zap.Logger, client *Client, fakes map[string]handler) *Server {
	return New(Options{
		Name: "exai-mcp", Version: "1.2.3", Instructions: "Ask for a second opinion.", Client: client, Log: log,
		Tools: toolsOf(fakes),
		Call:  func(ctx context.Context, inv tool.Invocation) *tools.Result { return fakes[inv.Tool](ctx, inv) },
	})
}

type countInput struct {
	N int `json:"n,omitempty"`
}

func toolsOf(fakes map[string]handler) (list []tool.Tool) {
	for name := range fakes {
		t := tool.New("version", func(context.Context, countInput) (*tools.Result, error) { return nil, nil },
			tool.Hints(tool.Annotations{ReadOnly: true, OpenWorld: true}))
		t.Name, t.Title, t.Description = name, "The "+name, "Does <it> & more."
		list = append(list, t)
	}
	return list
}

// line is what came from the server.
type line struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	raw   string
	batch []line // of a line that is an array
}

// peer is a client at the other end of two pipes.
type peer struct {
	t      testing.TB
	in     *io.PipeWriter
	out    *io.PipeReader
	lines  chan line
	ended  chan error // what Serve returned
	signal context.CancelFunc
}

// connect starts to serve. The peer closes its input when the test ends.
func connect(t testing.TB, s *Server) *peer {
	p := dial(t, s)
	go func() {
		defer close(p.lines)
		r := bufio.NewReader(p.out)
		for {
			raw, err := r.ReadString('\n')
			if err != nil {
				return
			}
			var l line
			into := any(&l)
			if raw[0] == '[' {
				into = &l.batch
			}
			if err := json.Unmarshal([]byte(raw), into); err != nil || !utf8.ValidString(raw) {
				t.Errorf("stdout carries something that is no JSON: %q", raw)
			}
			l.raw = raw[:len(raw)-1]
			p.lines <- l
		}
	}()
	return p
}

// dial starts to serve a client that does not read.
func dial(t testing.TB, s *Server) *peer {
	ctx, cancel := context.WithCancel(context.Background())
	fromClient, toServer := io.Pipe()
	fromServer, toClient := io.Pipe()
	p := &peer{t: t, in: toServer, out: fromServer, lines: make(chan line, 1<<16), ended: make(chan error, 1), signal: cancel}
	go func() {
		_, err := s.Serve(ctx, fromClient, toClient)
		p.ended <- err
		close(p.ended)
		toClient.Close()
	}()
	t.Cleanup(func() {
		cancel()
		toServer.Close()
		fromServer.Close()
		for range p.ended {
		}
	})
	return p
}

func (p *peer) send(format string, args ...any) {
	p.t.Helper()
	_, err := fmt.Fprintf(p.in, format+"\n", args...)
	require.NoError(p.t, err)
}

// next is the next line from the server, of whatever kind.
func (p *peer) next() line {
	p.t.Helper()
	select {
	case l, ok := <-p.lines:
		require.True(p.t, ok, "the server hung up")
		return l
	case <-time.After(30 * time.Second):
		require.Fail(p.t, "no line from the server")
		return line{}
	}
}

// rest is every line until the server closes its output.
func (p *peer) rest() (all []line) {
	for l := range p.lines {
		all = append(all, l)
	}
	return all
}

// handshake agrees on a revision. 2026-07-28 has none.
func (p *peer) handshake(version, capabilities string) line {
	p.t.Helper()
	if version == mcp.ProtocolVersion20260728 {
		return line{}
	}
	p.send(`{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"protocolVersion":"%s","capabilities":%s,"clientInfo":{"name":"probe","version":"9"}}}`,
		version, capabilities)
	answer := p.next()
	require.JSONEq(p.t, `"hello"`, string(answer.ID))
	p.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return answer
}

// meta is the _meta member that a revision wants in the params of each request, with more members in it.
func meta(version, more string) string {
	m := ""
	if version == mcp.ProtocolVersion20260728 {
		m = `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},` +
			`"io.modelcontextprotocol/clientInfo":{"name":"modern","version":"1"}`
	}
	switch {
	case m == "" && more == "":
		return ""
	case m != "" && more != "":
		m += ","
	}
	return `,"_meta":{` + m + more + `}`
}

// call sends a tools/call.
func (p *peer) call(version, id, tool, arguments, token string) {
	p.t.Helper()
	if token != "" {
		token = `"progressToken":` + token
	}
	p.send(`{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"%s","arguments":%s%s}}`,
		id, tool, arguments, meta(version, token))
}

// closeInput closes the client's end and waits for the server to go.
func (p *peer) closeInput() error {
	p.in.Close()
	return <-p.ended
}

// content is the text of a tool's result.
func (l line) content(t testing.TB) string {
	t.Helper()
	var r struct {
		Content []struct{ Type, Text string }
	}
	require.NoError(t, json.Unmarshal(l.Result, &r), l.raw)
	require.Len(t, r.Content, 1)
	require.Equal(t, "text", r.Content[0].Type)
	return r.Content[0].Text
}
