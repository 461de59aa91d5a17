package main

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

// child is this program run as an MCP client runs it: another process, connected by its stdin and stdout.
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	note  func(method string, params json.RawMessage) // receives the server's notifications

	mu      sync.Mutex
	last    int
	waiting map[int]chan rpcAnswer
	ended   chan struct{} // closed when stdout ended
}

// rpcAnswer is a line from the server.
type rpcAnswer struct {
	ID     *int            `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// startChild starts a program in a folder with exactly this environment.
func startChild(exe string, args, environ []string, dir string, stderr io.Writer, note func(string, json.RawMessage)) (*child, error) {
	cmd := exec.Command(exe, args...) //nolint:noctx // it is ended by closing its stdin, as a client does
	cmd.Env, cmd.Dir, cmd.Stderr = environ, dir, stderr
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
	c := &child{cmd: cmd, stdin: stdin, note: note, waiting: map[int]chan rpcAnswer{}, ended: make(chan struct{})}
	go c.read(stdout)
	return c, nil
}

func (c *child) read(stdout io.Reader) {
	defer close(c.ended)
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var a rpcAnswer
		if json.Unmarshal(line, &a) != nil {
			continue
		}
		if a.Method != "" {
			c.note(a.Method, a.Params)
			continue
		}
		if a.ID == nil {
			continue
		}
		c.mu.Lock()
		answer := c.waiting[*a.ID]
		delete(c.waiting, *a.ID)
		c.mu.Unlock()
		if answer != nil {
			answer <- a
		}
	}
}

// request sends a request and waits for its result.
func (c *child) request(ctx context.Context, method string, params any) (json.RawMessage, error) {
	answer := make(chan rpcAnswer, 1)
	c.mu.Lock()
	c.last++
	id := c.last
	c.waiting[id] = answer
	c.mu.Unlock()
	if err := c.write(map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": params}); err != nil {
		return nil, err
	}
	select {
	case a := <-answer:
		if a.Error != nil {
			return nil, fmt.Errorf("%s: %s (%d)", method, a.Error.Message, a.Error.Code)
		}
		return a.Result, nil
	case <-c.ended:
		return nil, errors.New("the server ended before it answered " + method)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// notify sends a notification.
func (c *child) notify(method string) error {
	return c.write(map[string]any{"jsonrpc": "2.0", "method": method})
}

func (c *child) write(message any) error {
	line, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = c.stdin.Write(append(line, '\n'))
	return err
}

// close closes the server's stdin, as a client does at its end, and returns how long the server took to exit.
func (c *child) close() (time.Duration, error) {
	start := time.Now()
	if err := c.stdin.Close(); err != nil {
		return 0, err
	}
	<-c.ended
	err := c.cmd.Wait()
	return time.Since(start), err
}
