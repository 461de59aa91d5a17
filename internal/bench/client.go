//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is an MCP server as a process of its own, spoken to over its stdin and stdout as a client does.
type child struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr *tail

	mu      sync.Mutex
	last    int
	waiting map[int]chan answer
	ended   chan struct{} // closed when stdout ended
}

// answer is a line of the server's that answers a request.
type answer struct {
	ID     *int            `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`

	at time.Time // when the line was there
}

func startChild(environ []string, dir, exe string, args ...string) (*child, error) {
	cmd := exec.Command(exe, args...) //nolint:noctx // it is ended by closing its stdin, or by a signal
	c := &child{cmd: cmd, stderr: &tail{}, waiting: map[int]chan answer{}, ended: make(chan struct{})}
	cmd.Env, cmd.Dir, cmd.Stderr = environ, dir, c.stderr
	var err error
	if c.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go c.read(stdout)
	return c, nil
}

func (c *child) read(stdout io.Reader) {
	defer close(c.ended)
	lines := bufio.NewReaderSize(stdout, 1<<16)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		a := answer{at: time.Now()}
		if json.Unmarshal(line, &a) != nil || a.ID == nil {
			continue
		}
		c.mu.Lock()
		to := c.waiting[*a.ID]
		delete(c.waiting, *a.ID)
		c.mu.Unlock()
		if to != nil {
			to <- a
		}
	}
}

// ask sends a request and waits for its result.
func (c *child) ask(method string, params any) (json.RawMessage, error) {
	a, err := c.await(method, params)
	return a.Result, err
}

// await sends a request and waits for its answer, which is no error.
func (c *child) await(method string, params any) (answer, error) {
	to := make(chan answer, 1)
	c.mu.Lock()
	c.last++
	id := c.last
	c.waiting[id] = to
	err := c.write(map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": params})
	c.mu.Unlock()
	if err != nil {
		return answer{}, err
	}
	select {
	case a := <-to:
		if a.Error != nil {
			return answer{}, fmt.Errorf("%s: %s", method, a.Error)
		}
		return a, nil
	case <-c.ended:
		return answer{}, fmt.Errorf("the server ended before it answered %s; its last lines: %s", method, c.stderr)
	case <-time.After(2 * time.Minute):
		return answer{}, errors.New("no answer to " + method)
	}
}

func (c *child) write(message any) error {
	line, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = c.stdin.Write(append(line, '\n'))
	return err
}

// greet shakes hands and returns the catalogue.
func (c *child) greet() (list answer, err error) {
	_, err = c.ask("initialize", map[string]any{
		"protocolVersion": "2025-11-25", "capabilities": map[string]any{},
		"clientInfo": map[string]any{"name": "bench", "version": "1"},
	})
	if err != nil {
		return answer{}, err
	}
	if err := c.write(map[string]any{"jsonrpc": "2.0", "method": "notifications/initialized"}); err != nil {
		return answer{}, err
	}
	return c.await("tools/list", map[string]any{})
}

// reply is what the figures need of a tool's reply object.
type reply struct {
	Status  string
	Content string
	Offer   struct {
		ID string `json:"continuation_id"`
	} `json:"continuation_offer"`
	Error struct{ Code, Message string }
}

// chat calls the chat tool.
func (c *child) chat(arguments map[string]any) (reply, error) {
	result, err := c.ask("tools/call", map[string]any{"name": "chat", "arguments": arguments})
	if err != nil {
		return reply{}, err
	}
	var r struct{ StructuredContent reply }
	err = json.Unmarshal(result, &r)
	return r.StructuredContent, err
}

// answered is chat, where all but an answer is a failure.
func (c *child) answered(arguments map[string]any) error {
	r, err := c.chat(arguments)
	if err == nil && r.Status != "continuation_available" {
		err = fmt.Errorf("chat answered %s: %s", r.Status, r.Error.Message+r.Content)
	}
	return err
}

// kill is for servers that are of no further interest.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.ended
	_ = c.cmd.Wait()
}

// memory reads a line of the process's status, such as VmRSS (resident now) or VmHWM (the most so far), in bytes.
func (c *child) memory(name string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no %s", name)
}

// sockets counts the process's open sockets. Its stdin, stdout and stderr are pipes.
func (c *child) sockets() (int, error) {
	dir := fmt.Sprintf("/proc/%d/fd", c.cmd.Process.Pid)
	entries, err := os.ReadDir(dir)
	n := 0
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n, err
}

// goroutines ends the process with SIGQUIT, upon which Go prints the stack of every goroutine, and counts them.
func (c *child) goroutines() (int, error) {
	c.stderr.keepAll()
	if err := c.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		return 0, err
	}
	<-c.ended
	_ = c.cmd.Wait()
	n := 0
	for line := range strings.Lines(c.stderr.String()) {
		if strings.HasPrefix(line, "goroutine ") && !strings.HasPrefix(line, "goroutine 0 ") {
			n++
		}
	}
	if n == 0 {
		return 0, errors.New("SIGQUIT printed no goroutine")
	}
	return n, nil
}

// tail keeps the end of what a process says on stderr.
type tail struct {
	mu   sync.Mutex
	all  bool
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - 4096; over > 0 && !t.all {
		t.text = t.text[over:]
	}
	return len(p), nil
}

func (t *tail) keepAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all, t.text = true, nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
