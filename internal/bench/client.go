//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/stdioclient"
)

// server is the program, or another server, as a process of its own.
type server struct {
	*stdioclient.Client
	cmd    *exec.Cmd
	stderr *tail
}

// startServer starts a server that has not been initialized yet.
func startServer(environ []string, dir, exe string) (*server, error) {
	s := &server{cmd: exec.Command(exe), stderr: &tail{}} //nolint:noctx // it is ended by a signal
	s.cmd.Env, s.cmd.Dir, s.cmd.Stderr = environ, dir, s.stderr
	var err error
	s.Client, err = stdioclient.Start(s.cmd, nil)
	return s, err
}

// ask sends a request and waits two minutes at most for its result.
func (s *server) ask(method string, params any) (stdioclient.Answer, error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), 2*time.Minute, errors.New("no answer within 2 minutes"))
	defer cancel()
	a, err := s.Request(ctx, method, params)
	if err != nil {
		err = fmt.Errorf("%w; the server's last lines: %s", err, s.stderr)
	}
	return a, err
}

// list initializes the session and returns the answer to tools/list.
func (s *server) list() (stdioclient.Answer, error) {
	if _, err := s.Initialize(context.Background(), "bench", "1"); err != nil {
		return stdioclient.Answer{}, err
	}
	return s.ask("tools/list", map[string]any{})
}

// reply is what the figures need of a tool's reply object.
type reply struct {
	Status  string
	Content string
	Offer   struct {
		ID string `json:"continuation_id"`
	} `json:"continuation_offer"`
	Error    struct{ Code, Message string }
	Metadata struct{ Stored *bool }
	taskID   string // set where the answer is a task instead
}

// chat calls the chat tool.
func (s *server) chat(arguments map[string]any) (reply, error) {
	return s.call("chat", arguments, nil)
}

// call calls a tool; meta may be nil.
func (s *server) call(tool string, arguments, meta map[string]any) (reply, error) {
	params := map[string]any{"name": tool, "arguments": arguments}
	if meta != nil {
		params["_meta"] = meta
	}
	result, err := s.ask("tools/call", params)
	if err != nil {
		return reply{}, err
	}
	var r struct {
		StructuredContent reply
		TaskID            string
	}
	err = json.Unmarshal(result.Result, &r)
	r.StructuredContent.taskID = r.TaskID
	return r.StructuredContent, err
}

// answered is chat, where all but an answer is a failure.
func (s *server) answered(arguments map[string]any) error {
	r, err := s.chat(arguments)
	if err == nil && r.Status != "continuation_available" {
		err = fmt.Errorf("chat answered %s: %s", r.Status, r.Error.Message+r.Content)
	}
	return err
}

// ended reports whether the process has closed its stdout.
func (s *server) ended() bool {
	select {
	case <-s.Ended():
		return true
	default:
		return false
	}
}

// kill is for servers that are of no further interest.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.Wait()
}

func (s *server) memory(name string) (int64, error) { return memoryOf(s.cmd.Process.Pid, name) }

// memoryOf reads a line of a process's status, such as VmRSS (resident now) or VmHWM (the most so far), in bytes.
func memoryOf(pid int, name string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
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

// files is what the process has open whose name begins with prefix, sorted. A socket's or a pipe's number is left out.
func (s *server) files(prefix string) ([]string, error) {
	dir := fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid)
	entries, err := os.ReadDir(dir)
	var open []string
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && strings.HasPrefix(to, prefix) {
			kind, _, _ := strings.Cut(to, ":[")
			open = append(open, kind)
		}
	}
	slices.Sort(open)
	return open, err
}

// goroutines ends the process with SIGQUIT, upon which Go prints the stack of every goroutine, and counts them.
func (s *server) goroutines() (int, error) {
	s.stderr.keepAll()
	if err := s.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		return 0, err
	}
	_ = s.Wait()
	n := 0
	for line := range strings.Lines(s.stderr.String()) {
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
