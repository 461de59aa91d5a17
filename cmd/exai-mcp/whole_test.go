package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The whole_*_test.go files hold the whole program to its largest promises, as a client sees them. This one has what they
// share: a client that takes nothing for granted, and a call of every tool.

// object is a reply as a client reads it.
type object = map[string]any

// peer is a client that answers for every line of the server's: each must be a message, each answer must belong to a call
// that is still waiting, and each reply must have the form that the contract gives it.
type peer struct {
	t      testing.TB
	stdin  io.WriteCloser
	stderr *syncBuffer
	ended  chan struct{} // closed when stdout has ended
	code   chan int      // the exit code, of a program in this process
	cancel context.CancelFunc
	cmd    *exec.Cmd         // of a program in a process of its own
	listen func(line string) // hears every line as it came; nil where nobody does

	writing sync.Mutex
	mu      sync.Mutex
	last    int
	waiting map[int]*pendingCall
}

// pendingCall is a call that waits for its answer.
type pendingCall struct {
	tool   string
	args   object
	sent   time.Time
	heard  string // the progress message that came last
	noted  float64
	answer chan *toolReply
}

// toolReply is a tool's reply.
type toolReply struct {
	object
	tool  string
	text  string // the object as it was sent; of other requests than tools/call the whole result
	took  time.Duration
	heard string // the last progress message before it
}

// serveHere runs the server in this process, so that the race detector and the list of goroutines see it.
func (s *site) serveHere() *peer {
	ctx, cancel := context.WithCancel(context.Background())
	fromClient, toServer := io.Pipe()
	fromServer, toClient := io.Pipe()
	p := s.peer(toServer)
	p.code, p.cancel = make(chan int, 1), cancel
	go func() {
		p.code <- run(ctx, nil, s.environ, fromClient, toClient, p.stderr)
		toClient.Close()
	}()
	go p.read(fromServer)
	s.t.Cleanup(func() {
		cancel()
		toServer.Close()
		<-p.ended
	})
	p.initialize()
	return p
}

// serveChild runs the server as a process of its own, as a client does.
func (s *site) serveChild() *peer {
	exe, err := os.Executable()
	require.NoError(s.t, err)
	cmd := exec.Command(exe, "serve")
	// Where the race detector is in it, it would sleep for a second before it exits.
	cmd.Env, cmd.Dir = append(slices.Clone(s.environ), "GORACE=atexit_sleep_ms=0"), s.dir
	stdin, err := cmd.StdinPipe()
	require.NoError(s.t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(s.t, err)
	p := s.peer(stdin)
	p.cmd, cmd.Stderr = cmd, p.stderr
	require.NoError(s.t, cmd.Start())
	go p.read(stdout)
	s.t.Cleanup(func() {
		p.kill()
		assert.NotContains(s.t, p.stderr.String(), "DATA RACE")
	})
	p.initialize()
	return p
}

func (s *site) peer(stdin io.WriteCloser) *peer {
	return &peer{t: s.t, stdin: stdin, stderr: &syncBuffer{}, ended: make(chan struct{}), waiting: map[int]*pendingCall{}, listen: s.listen}
}

// read takes the server's lines until there are no more.
func (p *peer) read(stdout io.Reader) {
	defer func() {
		close(p.ended)
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, a := range p.waiting {
			close(a.answer)
		}
		p.waiting = nil
	}()
	type arrival struct {
		line string
		at   time.Time
	}
	arrivals := make(chan arrival, 1<<14) // so that what this client makes of a line holds up no other
	go func() {
		defer close(arrivals)
		lines := bufio.NewReader(stdout)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return // a killed process may leave half a line
			}
			arrivals <- arrival{line, time.Now()}
		}
	}()
	for a := range arrivals {
		p.handleLine(a.line, a.at)
	}
}

func (p *peer) handleLine(line string, at time.Time) {
	if p.listen != nil {
		p.listen(line)
	}
	var m struct {
		JSONRPC string
		ID      *int
		Method  string
		Params  struct {
			ProgressToken int
			Progress      float64
			Message       string
		}
		Result json.RawMessage
		Error  json.RawMessage
	}
	if err := json.Unmarshal([]byte(line), &m); err != nil || m.JSONRPC != "2.0" {
		p.t.Errorf("stdout carries something that is no message: %q", line)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case m.Method == "notifications/progress":
		a := p.waiting[m.Params.ProgressToken]
		if a == nil {
			p.t.Errorf("progress of a call that is over: %s", line)
			return
		}
		assert.Greater(p.t, m.Params.Progress, a.noted, "progress rises: %s", line)
		assert.Less(p.t, len([]rune(m.Params.Message)), 200, line)
		a.noted, a.heard = m.Params.Progress, m.Params.Message
	case m.Method != "":
	case m.ID == nil || p.waiting[*m.ID] == nil:
		p.t.Errorf("an answer that nobody waits for: %.500s", line)
	default:
		a := p.waiting[*m.ID]
		delete(p.waiting, *m.ID)
		reply := &toolReply{tool: a.tool, took: at.Sub(a.sent), heard: a.heard}
		if a.tool != "" {
			assert.Empty(p.t, string(m.Error), "%s %v", a.tool, a.args)
			reply.read(p.t, m.Result)
		} else {
			reply.text = string(m.Result)
		}
		a.answer <- reply
	}
}

// write sends a line. before hears that it is about to go; nil where nobody cares.
func (p *peer) write(message object, before func()) error {
	line, err := json.Marshal(message)
	if err != nil {
		return err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	if before != nil {
		before()
	}
	_, err = p.stdin.Write(append(line, '\n'))
	return err
}

// start sends a request. Its answer's channel is closed without one when the server ends.
func (p *peer) start(method, tool string, params object) <-chan *toolReply {
	a := &pendingCall{tool: tool, args: params, answer: make(chan *toolReply, 1)}
	p.mu.Lock()
	if p.waiting == nil {
		p.mu.Unlock()
		close(a.answer)
		return a.answer
	}
	p.last++
	id := p.last
	p.waiting[id] = a
	p.mu.Unlock()
	if tool != "" {
		params = object{"name": tool, "arguments": params, "_meta": object{"progressToken": id}}
	}
	// A server that is killed meanwhile closes the answer's channel, and takes no more.
	_ = p.write(object{"jsonrpc": "2.0", "id": id, "method": method, "params": params}, func() {
		p.mu.Lock()
		a.sent = time.Now()
		p.mu.Unlock()
	})
	return a.answer
}

// ask calls a tool.
func (p *peer) ask(tool string, args object) <-chan *toolReply {
	return p.start("tools/call", tool, args)
}

// call calls a tool and waits for its reply, which must come.
func (p *peer) call(tool string, args object) *toolReply {
	p.t.Helper()
	r := p.await(p.ask(tool, args))
	require.NotNil(p.t, r, "no answer to %s %v: %s", tool, args, p.stderr)
	return r
}

// await waits for an answer. It is nil when the server ended, or took longer than any call may.
func (p *peer) await(answer <-chan *toolReply) *toolReply {
	select {
	case r := <-answer:
		return r
	case <-time.After(scaled(30 * time.Second)):
		p.t.Errorf("a call was not answered within %s", scaled(30*time.Second))
		return nil
	}
}

// initialize opens the session.
func (p *peer) initialize() {
	p.t.Helper()
	hello := p.start("initialize", "", object{
		"protocolVersion": "2025-11-25", "capabilities": object{}, "clientInfo": object{"name": "whole", "version": "1"},
	})
	require.NotNil(p.t, p.await(hello), "no handshake: %s", p.stderr)
	require.NoError(p.t, p.write(object{"jsonrpc": "2.0", "method": "notifications/initialized"}, nil))
}

// closeInput closes stdin and waits for the program to end.
func (p *peer) closeInput() (took time.Duration) {
	start := time.Now()
	p.stdin.Close()
	<-p.ended
	if p.cmd != nil {
		assert.NoError(p.t, p.cmd.Wait())
	} else {
		assert.Equal(p.t, exitOK, <-p.code)
	}
	return time.Since(start)
}

// kill ends the process at once, as kill -9 does. Answers that it has sent are heard before kill returns.
func (p *peer) kill() {
	_ = p.cmd.Process.Kill() // it may have ended before
	<-p.ended
	_ = p.cmd.Wait()
}

// read takes a tools/call's result apart and checks its form.
func (r *toolReply) read(t testing.TB, result json.RawMessage) {
	var whole struct {
		Content []struct{ Type, Text string }
		Object  json.RawMessage `json:"structuredContent"`
		IsError bool
	}
	if !assert.NoError(t, json.Unmarshal(result, &whole)) || !assert.Len(t, whole.Content, 1, r.tool) {
		return
	}
	r.text = whole.Content[0].Text
	assert.Equal(t, "text", whole.Content[0].Type)
	assert.Equal(t, r.text, string(whole.Object), "text and structuredContent of %s differ", r.tool)
	if !assert.NoError(t, json.Unmarshal([]byte(r.text), &r.object), r.text) {
		return
	}
	r.check(t, whole.IsError)
}

// check holds a reply to sections 4 and 5 of the contract.
func (r *toolReply) check(t testing.TB, isError bool) {
	keys := orderedKeys(t, r.text)
	status := r.str("status")
	assert.NotEmpty(t, status, r.text)
	assert.Equal(t, isError, status == "error", r.text)
	assert.NotContains(t, []string{r.tool + "_failed", r.tool + "_timeout", "local_work_complete", "calling_expert_analysis"}, status)
	assert.Equal(t, "metadata", keys[len(keys)-1], "metadata comes last: %v", keys)
	meta, _ := r.object["metadata"].(object)
	assert.Equal(t, r.tool, meta["tool_name"], r.text)
	assert.IsType(t, 0.0, meta["duration_ms"])
	if model := meta["model_used"]; model != nil {
		assert.NotEmpty(t, model)
		assert.Contains(t, []any{"glm", "kimi", "lab", "glm, kimi", "kimi, glm"}, meta["provider_used"], r.text)
		assert.NotZero(t, meta["attempts"], r.text)
		usage, _ := meta["usage"].(object)
		for _, key := range []string{"input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "cost_usd"} {
			assert.IsType(t, 0.0, usage[key], "%s: %s", key, r.text)
		}
	}
	if isError {
		r.checkError(t, keys)
	}
}

// codes are the error codes that a client may see.
var codes = []string{
	"invalid_request", "model_not_found", "not_configured", "auth", "balance", "rate_limited", "overloaded", "timeout", "network",
	"content_filtered", "context_length", "provider_error", "path_denied", "file_not_found", "too_large", "conversation_not_found",
	"conversation_busy", "conversation_full", "conversation_expired", "store_unavailable", "internal",
}

func (r *toolReply) checkError(t testing.TB, keys []string) {
	assert.Equal(t, []string{"status", "content", "content_type", "error", "metadata"}, keys)
	assert.Equal(t, "text", r.str("content_type"))
	e, _ := r.object["error"].(object)
	assert.Contains(t, codes, e["code"], r.text)
	assert.Equal(t, r.object["content"], e["message"])
	assert.NotEmpty(t, e["message"])
	assert.NotEmpty(t, e["hint"], "what to do next: %s", r.text)
	assert.IsType(t, false, e["retryable"])
	if e["code"] == "timeout" {
		assert.Regexp(t, `^[A-Z_]+=[0-9.]+s( x [0-9.]+)?$`, e["limit"], "the limit that fired: %s", r.text)
		assert.IsType(t, 0.0, e["elapsed_ms"])
	}
	for _, leak := range []string{"goroutine ", ".go:", "panic:"} {
		assert.NotContains(t, r.text, leak)
	}
}

// orderedKeys are an object's keys in their order.
func orderedKeys(t testing.TB, text string) (keys []string) {
	d := json.NewDecoder(strings.NewReader(text))
	_, err := d.Token()
	for err == nil && d.More() {
		var key json.Token
		var value json.RawMessage
		if key, err = d.Token(); err == nil {
			err = d.Decode(&value)
		}
		keys = append(keys, fmt.Sprint(key))
	}
	assert.NoError(t, err)
	return keys
}

// str is the text at the end of a path of keys, "" where there is none.
func (r *toolReply) str(path ...string) string {
	var v any = r.object
	for _, key := range path {
		o, _ := v.(object)
		v = o[key]
	}
	text, _ := v.(string)
	return text
}

// errorCode is "" for a reply that is no error.
func (r *toolReply) errorCode() string { return r.str("error", "code") }

// id is the continuation_id that a reply offers.
func (r *toolReply) id() string {
	if id := r.str("continuation_offer", "continuation_id"); id != "" {
		return id
	}
	return r.str("continuation_id")
}

// project makes a folder that may be read: a git repository with a small change in it.
func (s *site) project() string {
	s.t.Helper()
	dir := filepath.Join(s.dir, "project")
	s.file("project/add.go", "package sums\n\nfunc Add(a, b int) int { return a + b }\n")
	s.file("project/notes.txt", "Add has to add.\n")
	s.git("init", "-q")
	s.git("add", ".")
	s.git("commit", "-q", "-m", "start")
	s.file("project/add.go", "package sums\n\nfunc Add(a, b int) int { return a - b }\n")
	if !slices.ContainsFunc(s.environ, func(e string) bool { return strings.HasPrefix(e, "EXAI_ALLOWED_ROOTS=") }) {
		s.environ = append(s.environ, "EXAI_ALLOWED_ROOTS="+dir)
	}
	return dir
}

// git runs git in the project.
func (s *site) git(args ...string) {
	s.t.Helper()
	gittest.Run(s.t, filepath.Join(s.dir, "project"), args...)
}

// file writes a file below the site's folder.
func (s *site) file(name, content string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, filepath.FromSlash(name))
	require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(s.t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

// everyTool is a call of each of the tools that does what the tool is for. mark stands in whatever is sent to a vendor, so
// that each request can be told from others; the files to upload are the caller's.
func everyTool(mark, source, document string) map[string]object {
	step := func(more object) object {
		args := object{
			"step": mark, "step_number": 1, "total_steps": 1, "next_step_required": false, "findings": "Add subtracts.",
			"relevant_files": []string{source},
		}
		for k, v := range more {
			args[k] = v
		}
		return args
	}
	calls := map[string]object{
		"chat":      {"prompt": mark, "files": []string{source}},
		"challenge": {"prompt": mark},
		"planner":   {"step": mark, "step_number": 1, "total_steps": 2, "next_step_required": true},
		"tracer": step(object{
			"trace_mode": "precision", "target_description": mark, "next_step_required": true, "total_steps": 2,
		}),
		"docgen": step(object{
			"document_complexity": true, "document_flow": true, "update_existing": true, "comments_on_complex_logic": true,
			"num_files_documented": 1, "total_files_to_document": 1,
		}),
		"consensus":  step(nil),
		"listmodels": {}, "version": {}, "status": {}, "health": {}, "activity": {}, "toolcall_log_tail": {}, "provider_capabilities": {},
		"kimi_upload_and_extract": {"files": []string{document}},
		"kimi_multi_file_chat":    {"files": []string{document}, "prompt": mark},
		"kimi_intent_analysis":    {"prompt": mark},
		"kimi_capture_headers":    {"messages": []object{{"role": "user", "content": mark}}},
		"kimi_chat_with_tools":    {"messages": mark},
		"glm_upload_file":         {"file": document},
		"glm_web_search":          {"search_query": mark},
		"glm_payload_preview":     {"prompt": mark},
	}
	for _, name := range []string{"thinkdeep", "debug", "analyze", "codereview", "refactor", "secaudit", "testgen", "precommit"} {
		calls[name] = step(nil)
	}
	return calls
}

// everyTool is a call of each tool: of all that the server lists, and of no other.
func TestEveryToolIsCalledByTheWholeTests(t *testing.T) {
	s := newSite(t)
	var out bytes.Buffer
	require.Equal(t, exitOK, run(t.Context(), []string{"tools", "--json"}, s.environ, strings.NewReader(""), &out, io.Discard))
	var list struct{ Tools []struct{ Name string } }
	require.NoError(t, json.Unmarshal(out.Bytes(), &list))
	var names, called []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	for name := range everyTool("", "", "") {
		called = append(called, name)
	}
	assert.ElementsMatch(t, names, called)
	assert.Len(t, called, 29)

	source := filepath.Join(s.project(), "add.go")
	p := s.serveHere()
	for name, args := range everyTool("mark", source, s.file("project/upload.txt", "text")) {
		r := p.call(name, args)
		assert.NotEqual(t, "error", r.str("status"), "%s: %s", name, r.text)
	}
}
