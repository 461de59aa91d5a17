package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/bounded"
	"github.com/exai-mcp/exai-mcp/internal/typo"

	"github.com/mark3labs/mcp-go/mcp"
	"go.uber.org/zap"
)

// Why a call's context ended, by context.Cause.
var (
	ErrCancelledByClient = errors.New("cancelled by client")
	ErrShutdown          = errors.New("the server is shutting down")
)

// How long calls in flight have at shutdown. Whoever runs Serve has the rest of the two seconds within which
// the process is to be gone.
const (
	finishTime   = 1500 * time.Millisecond // to finish, after the client closed its end
	shutdownTime = 1650 * time.Millisecond // until Serve returns, storing after a cancellation included
	flushTime    = 50 * time.Millisecond   // for the last lines to be written, at least
)

// conn is one client on one pair of streams.
type conn struct {
	server *Server
	log    *zap.Logger
	out    *outbox
	base   context.Context // what every call's context descends from
	state  session
	roots  roots

	listeners atomic.Int32 // calls in flight that receive log entries about them

	mu       sync.Mutex
	calls    map[string]*call // in flight, by id
	pending  map[string]func(result json.RawMessage)
	lastID   int
	stopped  bool
	inflight sync.WaitGroup
}

// call is one request in flight.
type call struct {
	message *message
	reply   replyTo
	tool    toolCall // of a tools/call
	cancel  context.CancelCauseFunc
	fault   *lineFault      // why it can't be served, where a handler knows better words than mcp-go
	own     json.RawMessage // its result, where mcp-go has none of that kind
	// These are guarded by the conn's mutex.
	finished    bool             // answered or cancelled: nothing more about it is sent
	answerReady bool             // its answer is ready: no more progress
	lastNote    *delivery        // its latest progress notification; nil: none
	logLevel    mcp.LoggingLevel // from which it receives log entries; "" for none
}

// Serve answers the client on in and out until in ends, out breaks or ctx does, and returns within 1.7 s of that, whatever
// a tool does. When in ends, calls in flight may finish for 1.5 s; otherwise they are cancelled at once. It closes neither
// stream. It returns when the end came, so that its caller knows how much of its own time to go is left, and the error of
// reading in; the end of in and of ctx are none.
func (s *Server) Serve(ctx context.Context, in io.Reader, out io.Writer) (end time.Time, err error) {
	base, cancel := context.WithCancelCause(ctx)
	defer cancel(ErrShutdown)
	c := &conn{
		server: s, log: s.log, out: newOutbox(out), base: base,
		calls: map[string]*call{}, pending: map[string]func(json.RawMessage){},
	}
	s.client.conn.Store(c)
	defer s.client.conn.CompareAndSwap(c, nil)

	read := make(chan error, 1)
	go func() { read <- c.read(in) }()
	var finish time.Duration
	select {
	case err = <-read:
		finish = finishTime
	case <-c.out.broken:
	case <-ctx.Done():
	}
	end = time.Now()
	deadline := end.Add(shutdownTime)
	idle := c.stop()
	select {
	case <-idle:
	case <-time.After(finish):
	case <-c.out.broken:
	}
	cancel(ErrShutdown)
	select {
	case <-idle:
	case <-time.After(time.Until(deadline)):
		c.log.Warn("calls were still running at shutdown")
	}
	c.out.close(max(time.Until(deadline), flushTime))
	return end, err
}

// stop refuses further calls. The channel closes when those in flight have ended.
func (c *conn) stop() <-chan struct{} {
	c.mu.Lock()
	c.stopped = true // before Wait, since begin must not add to a WaitGroup that is waited on
	c.mu.Unlock()
	return bounded.Done(&c.inflight)
}

// read serves line after line until the input ends.
func (c *conn) read(in io.Reader) error {
	lines := newLineReader(in)
	for {
		line, err := lines.next()
		var fault *lineFault
		switch {
		case errors.As(err, &fault):
			c.out.send(refusal(fault.id, fault.code, fault.text))
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case len(line) == 0:
		case line[0] == '[' && revision(c.state.ProtocolVersion()).batches():
			c.handleBatch(line)
		default:
			c.handleMessage(line, c.out.send)
		}
	}
}

// handleMessage serves one message. reply is called once, with the answer or nil.
func (c *conn) handleMessage(line []byte, reply replyTo) {
	m, err := parseMessage(line, time.Now())
	var fault *lineFault
	switch {
	case m != nil && m.method != "" && m.id == nil:
		if err == nil {
			c.handleNotification(m)
		}
		reply(nil)
	case errors.As(err, &fault):
		reply(refusal(fault.id, fault.code, fault.text))
	case m.method == "":
		c.handleResponse(m)
		reply(nil)
	default:
		c.handleRequest(m, reply)
	}
}

// handleNotification handles a notification. Unknown ones are ignored.
func (c *conn) handleNotification(m *message) {
	switch m.method {
	case "notifications/cancelled":
		for key, value := range members(m.params) {
			if key == "requestId" {
				c.cancelCall(idKey(value))
			}
		}
	case "notifications/initialized", "notifications/roots/list_changed":
		c.askRoots()
	}
}

// handleRequest starts serving a request. The call is registered before its goroutine runs, so that a cancellation that
// follows finds it. The handshake is served in line, since everything after it depends on it.
func (c *conn) handleRequest(m *message, reply replyTo) {
	if metaOf(m.params).badLogLevel() {
		reply(refusal(m.id, codeInvalidParams, badLogLevelText))
		return
	}
	ctx, cancel := context.WithCancelCause(c.base)
	k := &call{message: m, reply: reply, cancel: cancel}
	if m.method == string(mcp.MethodToolsCall) {
		if err := c.parseToolCall(k); err != nil {
			cancel(nil)
			reply(refusal(m.id, codeInvalidParams, err.Error()))
			return
		}
	}
	started, duplicate := c.register(k)
	if !started {
		cancel(nil)
		if duplicate {
			reply(refusal(m.id, codeInvalidRequest, "a request with this id is still being served; give each request an id of its own"))
		}
		return // otherwise the server is shutting down, and sends nothing more
	}
	if m.method == string(mcp.MethodInitialize) {
		c.serve(ctx, k)
		c.expectRoots()
		return
	}
	go c.serve(ctx, k)
}

// parseToolCall parses a tools/call's params and checks that the tool exists.
func (c *conn) parseToolCall(k *call) (err error) {
	if k.tool, err = k.message.toolCall(); err != nil {
		return err
	}
	if _, known := c.server.tools[k.tool.name]; !known {
		meant := ";"
		if near := typo.Nearest(k.tool.name, slices.Sorted(maps.Keys(c.server.tools))); len(near) > 0 {
			meant = "; did you mean " + strings.Join(near, " or ") + "?"
		}
		return errors.New("unknown tool " + quote(k.tool.name) + meant + " see tools/list")
	}
	return nil
}

// register registers a call, unless its id is taken or the server is shutting down.
func (c *conn) register(k *call) (started, duplicate bool) {
	key := idKey(k.message.id)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return false, false
	}
	if _, taken := c.calls[key]; taken {
		return false, true
	}
	c.calls[key] = k
	c.inflight.Add(1)
	return true, false
}

// cancelCall ends a call at once; nothing more about it is sent, and its id may be used again.
func (c *conn) cancelCall(key string) {
	c.mu.Lock()
	k := c.calls[key]
	if k != nil {
		k.finished = true
		delete(c.calls, key)
	}
	c.mu.Unlock()
	if k != nil {
		k.cancel(ErrCancelledByClient)
	}
}

// serve answers one request.
func (c *conn) serve(ctx context.Context, k *call) {
	defer c.inflight.Done()
	defer k.cancel(nil)
	answer := c.dispatch(ctx, k)
	c.log.Debug("request served", zap.String("method", k.message.method), zap.String(requestIDField, string(k.message.id)),
		zap.Float64("took_secs", time.Since(k.message.received).Seconds()))
	c.awaitNoteGap(ctx, k)
	c.mu.Lock() // not before: logging to the client takes it, too
	defer c.mu.Unlock()
	if k.finished {
		k.reply(nil)
		return
	}
	k.finished = true
	delete(c.calls, idKey(k.message.id))
	k.reply(answer)
}

// dispatch returns mcp-go's answer to a request, with the request's own id. A panic is logged and hidden.
func (c *conn) dispatch(ctx context.Context, k *call) (line []byte) {
	defer func() {
		if r := recover(); r != nil {
			c.log.Error("panic while serving a request", zap.String("method", k.message.method), zap.Any("panic", r),
				zap.ByteString("stack", debug.Stack()))
			line = refusal(k.message.id, codeInternal, "internal error; the server's log says more")
		}
	}()
	if line, handled := c.answerAboutTasks(ctx, k); handled {
		return line
	}
	params := k.message.params
	if k.tool.slim != nil {
		params = k.tool.slim // mcp-go does not need the arguments
	}
	session := newRequestSession(&c.state, metaOf(params).revision.stateless())
	ctx = c.server.mcp.WithContext(withCall(ctx, c, k), session)
	response := c.server.mcp.HandleMessage(ctx, k.message.envelope(params))
	c.forward(k, session.notifications)
	if k.fault != nil {
		return k.fault.refusal()
	}
	if k.own != nil {
		return ownAnswer(k.message.id, k.own)
	}
	line, err := encodeResponse(response, k.message)
	if err != nil {
		c.log.Error("an answer could not be encoded", zap.String("method", k.message.method), zap.Error(err))
		return refusal(k.message.id, codeInternal, "internal error; the server's log says more")
	}
	return line
}

// forward sends the notifications that mcp-go queued while it served a request.
func (c *conn) forward(k *call, notes <-chan mcp.JSONRPCNotification) {
	for {
		select {
		case note := <-notes:
			if line, err := encode(note); err == nil {
				c.notify(k, line)
			}
		default:
			return
		}
	}
}

// notify sends a notification about a call that has not finished.
func (c *conn) notify(k *call, line []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !k.finished {
		c.out.offer(line)
	}
}

// sendRequest sends a request of our own; answer receives its result, or nil when the client refused.
func (c *conn) sendRequest(method string, answer func(result json.RawMessage)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID++
	id := json.RawMessage(quote("exai-" + strconv.Itoa(c.lastID)))
	c.pending[idKey(id)] = answer
	c.out.send((&message{id: id, method: method}).envelope(nil))
}

// handleResponse passes the client's answer to a request of ours on. One that was not asked for is ignored.
func (c *conn) handleResponse(m *message) {
	key := idKey(m.id)
	c.mu.Lock()
	answer := c.pending[key]
	delete(c.pending, key)
	c.mu.Unlock()
	if answer != nil {
		answer(m.result)
	}
}
