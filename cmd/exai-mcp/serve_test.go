package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/server"
)

// session is a client of the whole program.
type session struct {
	s     *site
	in    io.WriteCloser
	lines chan wireLine
	errs  *syncBuffer
	stop  context.CancelFunc // what a signal does
	ended chan int           // the exit code
	last  int
}

type wireLine struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
	raw    string
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// serve runs the program with pipes for stdin and stdout. Every line on stdout must be a message, without a key.
func (s *site) serve() *session {
	ctx, cancel := context.WithCancel(context.Background())
	fromClient, toServer := io.Pipe()
	fromServer, toClient := io.Pipe()
	c := &session{s: s, in: toServer, lines: make(chan wireLine, 1<<14), errs: &syncBuffer{}, stop: cancel, ended: make(chan int, 1)}
	go func() {
		c.ended <- run(ctx, nil, s.environ, fromClient, toClient, c.errs)
		toClient.Close()
	}()
	go c.read(fromServer)
	s.t.Cleanup(func() {
		cancel()
		toServer.Close()
		for range c.lines { // until stdout is closed
		}
		s.noKeyIn(c.errs.String())
	})
	return c
}

func (c *session) read(stdout io.Reader) {
	defer close(c.lines)
	r := bufio.NewReader(stdout)
	for {
		raw, err := r.ReadString('\n')
		if err != nil {
			return
		}
		var l wireLine
		if err := json.Unmarshal([]byte(raw), &l); err != nil || !strings.Contains(raw, `"jsonrpc":"2.0"`) {
			c.s.t.Errorf("stdout carries something that is no message: %q", raw)
		}
		c.s.noKeyIn(raw)
		l.raw = strings.TrimSpace(raw)
		c.lines <- l
	}
}

func (c *session) send(format string, args ...any) {
	c.s.t.Helper()
	_, err := fmt.Fprintf(c.in, format+"\n", args...)
	require.NoError(c.s.t, err)
}

// next is the next line that is no notification.
func (c *session) next() wireLine {
	c.s.t.Helper()
	for {
		select {
		case l, ok := <-c.lines:
			require.True(c.s.t, ok, "the server hung up; its log: %s", c.errs)
			if l.Method == "" {
				return l
			}
		case <-time.After(scaled(20 * time.Second)):
			require.Fail(c.s.t, "no answer", c.errs.String())
		}
	}
}

func (c *session) handshake(version string) {
	c.s.t.Helper()
	if version >= "2026" {
		return
	}
	c.send(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"%s","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`, version)
	assert.Contains(c.s.t, c.next().raw, `"protocolVersion":"`+version+`"`)
	c.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
}

// chat sends a call and returns its id.
func (c *session) chat(version, prompt string) string {
	c.s.t.Helper()
	c.last++
	meta := ""
	if version >= "2026" {
		meta = `,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"progressToken":1}`
	}
	c.send(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"chat","arguments":{"prompt":%q,"model":"glm-5.3-flash"}%s}}`, c.last, prompt, meta)
	return fmt.Sprint(c.last)
}

// closeInput closes stdin and waits for the program to end.
func (c *session) closeInput() (code int, took time.Duration) {
	start := time.Now()
	c.in.Close()
	return <-c.ended, time.Since(start)
}

func TestServe(t *testing.T) {
	for _, version := range server.Revisions() {
		t.Run(version, func(t *testing.T) {
			s := newSite(t)
			c := s.serve()
			c.handshake(version)
			s.vendors.On(emulator.Match{Text: "hello"}, emulator.Say("(emulated) a < b"))
			id := c.chat(version, "hello")
			got := c.next()
			assert.Equal(t, id, string(got.ID))
			assert.Contains(t, got.raw, `\"content\":\"(emulated) a < b\"`)
			assert.Equal(t, version >= "2025-06-18", strings.Contains(got.raw, `"structuredContent":{"status":"continuation_available"`))
			code, took := c.closeInput()
			assert.Equal(t, exitOK, code)
			assert.Less(t, took, scaled(time.Second))
			assert.Contains(t, c.errs.String(), "GLM_TIMEOUT_SECS=30s", "the time limits are logged at start")
		})
	}
}

func TestServeKeepsAnsweringBesideSlowCalls(t *testing.T) {
	s := newSite(t, "GLM_MAX_INFLIGHT=200", "MAX_INFLIGHT=200")
	pinged := make(chan struct{})
	answer := sync.OnceFunc(func() { close(pinged) })
	t.Cleanup(answer)
	s.vendors.Always(emulator.Match{}, func(emulator.Request) emulator.Reply {
		<-pinged
		return emulator.Say("(emulated)").With(emulator.DelayHeaders(500 * time.Millisecond))
	})
	c := s.serve()
	c.handshake("2025-11-25")
	for range 150 {
		c.chat("", "slow")
	}
	c.send(`{"jsonrpc":"2.0","id":"ping","method":"ping"}`)
	assert.Equal(t, `"ping"`, string(c.next().ID), "ahead of 150 calls that were sent before it")
	answer()
	start := time.Now()
	for range 150 {
		assert.Contains(t, c.next().raw, "(emulated)")
	}
	assert.Less(t, time.Since(start), scaled(20*time.Second), "side by side, not one after the other")
}

func TestServeCancels(t *testing.T) {
	s := newSite(t, "GLM_MAX_INFLIGHT=1")
	s.vendors.Always(emulator.Match{}, func(emulator.Request) emulator.Reply { return emulator.Fail(emulator.NeverAnswer()) })
	c := s.serve()
	c.handshake("2025-11-25")
	running := c.chat("", "running")
	_, err := s.vendors.WaitFor(t.Context(), 1)
	require.NoError(t, err)
	queued := c.chat("", "queued")
	for _, id := range []string{queued, running} {
		c.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%s}}`, id)
	}
	requests, err := s.vendors.WaitGone(t.Context(), 1)
	require.NoError(t, err)
	assert.Len(t, requests, 1, "the queued call never reached the vendor")
	c.send(`{"jsonrpc":"2.0","id":"after","method":"ping"}`)
	assert.Equal(t, `"after"`, string(c.next().ID))
	_, took := c.closeInput()
	assert.Less(t, took, scaled(time.Second))
	assert.Empty(t, c.lines, "no answer after a cancellation")
}

func TestServeEndsInTime(t *testing.T) {
	stuck := func(t *testing.T) (*site, *session) {
		s := newSite(t)
		s.vendors.Always(emulator.Match{}, func(emulator.Request) emulator.Reply {
			return emulator.Say("(emulated) ", "some", "thing").With(emulator.StallAfter(2))
		})
		c := s.serve()
		c.handshake("2025-11-25")
		c.chat("", "stall")
		_, err := s.vendors.WaitUntil(t.Context(), func(r []emulator.Request) bool { return len(r) == 1 && r[0].Sent == 2 })
		require.NoError(t, err)
		return s, c
	}
	t.Run("when stdin does", func(t *testing.T) {
		s, c := stuck(t)
		code, took := c.closeInput()
		assert.Equal(t, exitOK, code)
		assert.GreaterOrEqual(t, took, 1500*time.Millisecond, "calls may finish for 1.5 s")
		assert.Less(t, took, scaled(2*time.Second))
		_, err := s.vendors.WaitGone(t.Context(), 1)
		assert.NoError(t, err, "the vendor's request is cancelled")
	})
	t.Run("at once on a signal", func(t *testing.T) {
		s, c := stuck(t)
		start := time.Now()
		c.stop()
		assert.Equal(t, exitOK, <-c.ended)
		assert.Less(t, time.Since(start), scaled(time.Second))
		_, err := s.vendors.WaitGone(t.Context(), 1)
		assert.NoError(t, err)
	})
}

// What had arrived of an answer when the server ended is there when the next one starts.
func TestServeStoresWhatWasCutShort(t *testing.T) {
	s := newSite(t)
	s.vendors.On(emulator.Match{}, emulator.Say("(emulated) ", "half ", "an answer").With(emulator.StallAfter(2)))
	c := s.serve()
	c.handshake("2025-11-25")
	c.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"chat","arguments":{"prompt":"x","model":"glm-5.3-flash"},"_meta":{"progressToken":1}}}`)
	var note wireLine
	for !strings.Contains(note.raw, "writing") { // something has arrived
		note = <-c.lines
	}
	id := note.raw[strings.Index(note.raw, "continuation_id=")+len("continuation_id="):][:36]
	c.stop()
	<-c.ended

	_, out, _ := s.run("", "call", "chat", `{"prompt":"","continuation_id":"`+id+`"}`)
	assert.Contains(t, out, `"content": "(emulated) `)
	assert.Contains(t, out, `"status": "partial"`)
}

// tools/list never waits for the database.
func TestServeStartsWithoutItsDatabase(t *testing.T) {
	hole, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer hole.Close()
	s := newSite(t, "CONVERSATION_STORAGE_BACKEND=postgres", "DATABASE_URL=postgres://me:secretpassword@"+hole.Addr().String()+"/x")
	c := s.serve()
	c.handshake("2025-11-25")
	c.send(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	start := time.Now()
	assert.Contains(t, c.next().raw, `"name":"chat"`)
	assert.Less(t, time.Since(start), scaled(5*time.Second))
	time.Sleep(2 * startsWithin) // so that it is being opened when the end comes
	code, took := c.closeInput()
	assert.Equal(t, exitOK, code)
	assert.Less(t, took, scaled(2*time.Second))
	assert.NotContains(t, c.errs.String(), "secretpassword")
}

// Some clients never read a server's stderr: a pipe that is full must stop neither the calls nor the end.
func TestServeWithAStderrThatNobodyReads(t *testing.T) {
	s := newSite(t)
	unread, full := io.Pipe()
	defer unread.Close()
	fromClient, toServer := io.Pipe()
	fromServer, toClient := io.Pipe()
	c := &session{s: s, in: toServer, lines: make(chan wireLine, 1<<14), errs: &syncBuffer{}, stop: func() {}, ended: make(chan int, 1)}
	go func() {
		c.ended <- run(t.Context(), nil, s.environ, fromClient, toClient, full)
		toClient.Close()
	}()
	go c.read(fromServer)
	c.handshake("2025-11-25")
	for range 100 {
		c.chat("", "hello")
		assert.Contains(t, c.next().raw, "emulated")
	}
	code, took := c.closeInput()
	assert.Equal(t, exitOK, code)
	assert.Less(t, took, scaled(2*time.Second))
}

func TestServeSurvivesNonsense(t *testing.T) {
	c := newSite(t).serve()
	for _, line := range []string{"hello", "[]", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"nope"}}`, strings.Repeat("x", 1<<20)} {
		c.send("%s", line)
		assert.NotNil(t, c.next().Error, line[:min(len(line), 50)])
	}
	c.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	assert.Contains(t, c.next().raw, `"result":{}`)
}

// The process as a whole, with real signals.
func TestSignalsToTheProcess(t *testing.T) {
	if os.PathSeparator == '\\' {
		t.Skip("Windows has no such signals")
	}
	start := func(t *testing.T, settings ...string) (*exec.Cmd, *site) {
		s := newSite(t, settings...)
		s.vendors.On(emulator.Match{}, emulator.Say("(emulated) ", "some", "thing").With(emulator.StallAfter(2)))
		exe, err := os.Executable()
		require.NoError(t, err)
		cmd := exec.Command(exe, "serve")
		cmd.Env = s.environ
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		_, err = io.WriteString(in, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"chat","arguments":{"prompt":"x","model":"glm-5.3-flash"}}}`+"\n")
		require.NoError(t, err)
		_, err = s.vendors.WaitUntil(t.Context(), func(r []emulator.Request) bool { return len(r) == 1 && r[0].Sent == 2 })
		require.NoError(t, err)
		time.Sleep(scaled(100 * time.Millisecond)) // for it to arrive: nothing tells when it has
		return cmd, s
	}
	for _, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd, s := start(t)
			begin := time.Now()
			require.NoError(t, cmd.Process.Signal(sig))
			assert.NoError(t, cmd.Wait(), "a signal is an orderly end")
			assert.Less(t, time.Since(begin), scaled(2*time.Second))
			_, err := s.vendors.WaitGone(t.Context(), 1)
			assert.NoError(t, err)
		})
	}
	t.Run("a second one waits for nothing", func(t *testing.T) {
		hole, err := net.Listen("tcp", "127.0.0.1:0") // a database that does not answer: storing takes all the time it gets
		require.NoError(t, err)
		defer hole.Close()
		cmd, s := start(t, "CONVERSATION_STORAGE_BACKEND=postgres", "DATABASE_URL=postgres://me:x@"+hole.Addr().String()+"/x")
		begin := time.Now()
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		_, err = s.vendors.WaitGone(t.Context(), 1)
		require.NoError(t, err)
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		var exit *exec.ExitError
		require.ErrorAs(t, cmd.Wait(), &exit)
		assert.Equal(t, exitStopped, exit.ExitCode())
		assert.Less(t, time.Since(begin), scaled(time.Second))
	})
}
