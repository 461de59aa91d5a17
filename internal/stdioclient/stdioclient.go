// Package stdioclient is a small MCP client of one server that runs as a child process, connected by its stdin and stdout.
// It numbers requests and matches answers to them; what they contain is its caller's business.
package stdioclient

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"
)

// Client is a running server and the requests that wait for its answers. It is safe for concurrent use.
type Client struct {
	cmd            *exec.Cmd
	stdin          io.WriteCloser
	onNotification func(method string, params json.RawMessage)

	writing sync.Mutex // one line at a time on stdin; not mu, since the server may wait for its own lines to be read

	mu      sync.Mutex
	last    int
	waiting map[int]chan line
	ended   chan struct{} // closed when stdout ended
}

// Answer is the result of a request.
type Answer struct {
	Result json.RawMessage
	At     time.Time // when the line was read
}

// line is one line of the server's.
type line struct {
	ID     *int            `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`

	at time.Time
}

// Start starts the command, whose Stdin and Stdout must be unset. onNotification receives the server's notifications one
// after another, in order; nil ignores them. A request of the server's counts as one and is not answered.
func Start(cmd *exec.Cmd, onNotification func(method string, params json.RawMessage)) (*Client, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if onNotification == nil {
		onNotification = func(string, json.RawMessage) {}
	}
	c := &Client{cmd: cmd, stdin: stdin, onNotification: onNotification, waiting: map[int]chan line{}, ended: make(chan struct{})}
	go c.read(stdout)
	return c, nil
}

func (c *Client) read(stdout io.Reader) {
	defer close(c.ended)
	lines := bufio.NewReaderSize(stdout, 1<<16)
	for {
		raw, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		l := line{at: time.Now()}
		switch {
		case json.Unmarshal(raw, &l) != nil:
		case l.Method != "":
			c.onNotification(l.Method, l.Params)
		case l.ID != nil:
			c.deliver(l)
		}
	}
}

// deliver hands an answer to the request that waits for it.
func (c *Client) deliver(l line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if to := c.waiting[*l.ID]; to != nil {
		to <- l // has room for one
		delete(c.waiting, *l.ID)
	}
}

// Initialize agrees on the newest revision that has a session, and returns the server's answer to initialize.
func (c *Client) Initialize(ctx context.Context, name, version string) (Answer, error) {
	a, err := c.Request(ctx, "initialize", map[string]any{
		"protocolVersion": "2025-11-25", "capabilities": map[string]any{},
		"clientInfo": map[string]any{"name": name, "version": version},
	})
	if err != nil {
		return Answer{}, err
	}
	return a, c.notify("notifications/initialized", nil)
}

// Request sends a request and waits for its result. An error answer is an error. If ctx ends first, the server is told that
// the request is cancelled.
func (c *Client) Request(ctx context.Context, method string, params any) (Answer, error) {
	to := make(chan line, 1)
	c.mu.Lock()
	c.last++
	id := c.last
	c.waiting[id] = to
	c.mu.Unlock()
	defer c.forget(id)
	if err := c.write(map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": params}); err != nil {
		return Answer{}, err
	}
	select {
	case l := <-to:
		if l.Error != nil {
			return Answer{}, fmt.Errorf("%s: %s (%d)", method, l.Error.Message, l.Error.Code)
		}
		return Answer{Result: l.Result, At: l.at}, nil
	case <-c.ended:
		return Answer{}, errors.New("the server ended before it answered " + method)
	case <-ctx.Done():
		err := fmt.Errorf("%s: %w", method, context.Cause(ctx))
		return Answer{}, errors.Join(err, c.notify("notifications/cancelled", map[string]any{"requestId": id}))
	}
}

func (c *Client) forget(id int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

// notify sends a notification; nil params are left out.
func (c *Client) notify(method string, params map[string]any) error {
	message := map[string]any{"jsonrpc": "2.0", "method": method}
	if params != nil {
		message["params"] = params
	}
	return c.write(message)
}

func (c *Client) write(message any) error {
	raw, err := json.Marshal(message)
	if err != nil {
		return err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err = c.stdin.Write(append(raw, '\n'))
	return err
}

// Close closes the server's stdin, as a client does at its end, and returns how long the server took to exit.
func (c *Client) Close() (time.Duration, error) {
	start := time.Now()
	if err := c.stdin.Close(); err != nil {
		return 0, err
	}
	err := c.Wait()
	return time.Since(start), err
}

// Ended is closed once the server has closed its stdout.
func (c *Client) Ended() <-chan struct{} { return c.ended }

// Wait waits until the server has exited. An exit code other than 0 is an error.
func (c *Client) Wait() error {
	<-c.ended
	return c.cmd.Wait()
}
