package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

// fakeTasks is a fake of Tasks.
type fakeTasks struct {
	tasks     map[string]tools.Task
	cancelled []string
	err       error
	slow      bool
}

func (l *fakeTasks) Of(ctx context.Context, p reply.Pending) (tools.Task, error) {
	if l.slow {
		<-ctx.Done()
		return tools.Task{}, ctx.Err()
	}
	return l.Get(ctx, fmt.Sprintf("%s.%d", p.ContinuationID, p.Turn))
}

func (l *fakeTasks) Get(_ context.Context, id string) (tools.Task, error) {
	if l.err != nil {
		return tools.Task{}, l.err
	}
	task, ok := l.tasks[id]
	if !ok {
		return task, tools.ErrNoTask
	}
	return task, nil
}

func (l *fakeTasks) Cancel(ctx context.Context, id string) error {
	_, err := l.Get(ctx, id)
	l.cancelled = append(l.cancelled, id)
	return err
}

var taskBegan = time.Date(2026, 11, 29, 11, 0, 0, 0, time.FixedZone("", 3600))

func working(id string) tools.Task {
	return tools.Task{
		ID: id, Status: tools.TaskWorking, Message: "glm-5.3 <writing>", Created: taskBegan, Updated: taskBegan.Add(1500 * time.Millisecond),
		TTL: 87_000 * time.Second,
	}
}

// withTasks serves a tool "ask" that answers as given.
func withTasks(t *testing.T, l *fakeTasks, answer func(inv tool.Invocation) *tools.Result) *peer {
	return connect(t, New(Options{
		Name: "exai-mcp", Version: "1.2.3", Tasks: l, Tools: toolsOf(map[string]handler{"ask": nil}),
		Call: func(_ context.Context, inv tool.Invocation) *tools.Result { return answer(inv) },
	}))
}

// pending is a reply whose answer goes on.
func pending() *tools.Result {
	r := says("so far")
	r.Body.Set("status", "partial")
	r.Pending = &reply.Pending{ContinuationID: "4f2c", Turn: 2}
	return r
}

const (
	takesTasks = `{"extensions":{"io.modelcontextprotocol/tasks":{}}}`
	signature  = `"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"exai-mcp","version":"1.2.3"}}`
)

// about sends a request about tasks in the newest revision.
func (p *peer) about(method, fields, capabilities string) line {
	p.t.Helper()
	p.send(`{"jsonrpc":"2.0","id":7,"method":"%s","params":{%s%s}}`, method, fields, modernMeta(capabilities))
	return p.next()
}

func TestACallBecomesATask(t *testing.T) {
	l := &fakeTasks{tasks: map[string]tools.Task{"4f2c.2": working("4f2c.2")}}
	var took []bool
	p := withTasks(t, l, func(inv tool.Invocation) *tools.Result {
		took = append(took, inv.TakesTask)
		if inv.Progress != nil {
			inv.Progress("4f2c thinking")
		}
		return pending()
	})
	call := func(capabilities string) line {
		t.Helper()
		p.send(`{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"ask","arguments":{},%s}}`, modernMeta(capabilities))
		return p.next()
	}
	assert.Equal(t, `{"jsonrpc":"2.0","id":"c","result":{"resultType":"task","taskId":"4f2c.2","status":"working","statusMessage":"glm-5.3 <writing>",`+
		`"createdAt":"2026-11-29T10:00:00.000Z","lastUpdatedAt":"2026-11-29T10:00:01.500Z","ttlMs":87000000,"pollIntervalMs":2000,`+signature+`}}`,
		call(takesTasks).raw)

	// Where nobody declared tasks in this request, there is none.
	for _, capabilities := range []string{`{}`, `{"extensions":{}}`, `{"extensions":{"io.modelcontextprotocol/tasks":null}}`, `{"tasks":{}}`} {
		assert.Contains(t, call(capabilities).content(t), "so far", capabilities)
	}
	assert.Equal(t, []bool{true, false, false, false, false}, took)
	for _, version := range Revisions()[1:] {
		p.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ask","task":{"ttl":1000},"_meta":{"io.modelcontextprotocol/protocolVersion":"%s",`+
			`"io.modelcontextprotocol/clientCapabilities":%s}}}`, version, takesTasks)
		assert.Contains(t, p.next().content(t), "so far", version)
	}

	// The progress of a call ends with it.
	p.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ask",%s,"progressToken":1}}}`, strings.TrimSuffix(modernMeta(takesTasks), "}"))
	assert.Equal(t, "notifications/progress", p.next().Method)
	assert.Contains(t, p.next().raw, `"resultType":"task"`)

	// A task that can't be looked up, or whose id no client takes, is the reply that there would be without tasks.
	for name, breakIt := range map[string]func(){
		"unknown":    func() { l.tasks = nil },
		"store":      func() { l.err = errors.New("disk full") },
		"slow":       func() { l.err, l.slow = nil, true },
		"id":         func() { l.slow, l.tasks = false, map[string]tools.Task{"4f2c.2": working("a b.2")} },
		"long id":    func() { l.tasks = map[string]tools.Task{"4f2c.2": working(strings.Repeat("x", 1025))} },
		"was closed": func() { l.tasks = map[string]tools.Task{"4f2c.2": {ID: "4f2c.2", Status: tools.TaskCancelled}} },
	} {
		breakIt()
		assert.Contains(t, call(takesTasks).content(t), "so far", name)
		l.err, l.slow = nil, false
	}
	l.tasks = map[string]tools.Task{"4f2c.2": {ID: "4f2c.2", Status: tools.TaskCompleted, Result: says("the end")}}
	assert.Contains(t, call(takesTasks).content(t), "the end", "it has ended meanwhile")
}

func TestTasksAreDeclaredInTheNewestRevisionAlone(t *testing.T) {
	p := withTasks(t, &fakeTasks{}, nil)
	assert.Contains(t, p.about("server/discover", "", `{}`).raw, `"extensions":{"io.modelcontextprotocol/tasks":{}}`)
	assert.NotContains(t, p.about("server/discover", "", `{}`).raw, `"tasks":{`)
	for _, version := range Revisions()[1:] {
		p := withTasks(t, &fakeTasks{}, nil)
		assert.NotContains(t, p.handshake(version, takesTasks).raw, "tasks", version)
	}
}

func TestGetATask(t *testing.T) {
	done := working("done")
	done.Status, done.Message, done.Result = tools.TaskCompleted, "", says("a < b")
	failed := done
	failed.Result = says("no")
	failed.Result.IsError = true
	stopped := working("stopped")
	stopped.Status, stopped.Message = tools.TaskCancelled, "Cancelled."
	l := &fakeTasks{tasks: map[string]tools.Task{"4f2c.2": working("4f2c.2"), "done": done, "failed": failed, "stopped": stopped, "4f2c": working("4f2c.2")}}
	p := withTasks(t, l, nil)
	const times = `"createdAt":"2026-11-29T10:00:00.000Z","lastUpdatedAt":"2026-11-29T10:00:01.500Z","ttlMs":87000000`
	for id, want := range map[string]string{
		"4f2c.2": `"status":"working","statusMessage":"glm-5.3 <writing>",` + times + `,"pollIntervalMs":2000`,
		"4f2c":   `"status":"working","statusMessage":"glm-5.3 <writing>",` + times + `,"pollIntervalMs":2000`,
		"done": `"status":"completed",` + times + `,"result":{"resultType":"complete","content":[{"type":"text","text":"{\"content\":\"a < b\"}"}],` +
			`"structuredContent":{"content":"a < b"}}`,
		"failed": `"status":"completed",` + times + `,"result":{"resultType":"complete","content":[{"type":"text","text":"{\"content\":\"no\"}"}],` +
			`"structuredContent":{"content":"no"},"isError":true}`,
		"stopped": `"status":"cancelled","statusMessage":"Cancelled.",` + times,
	} {
		assert.Equal(t, `{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","taskId":"`+id+`",`+want+`,`+signature+`}}`,
			p.about("tasks/get", `"taskId":"`+id+`",`, takesTasks).raw)
	}
}

func TestUpdateAndCancelAreAcknowledged(t *testing.T) {
	l := &fakeTasks{tasks: map[string]tools.Task{"4f2c.2": working("4f2c.2")}}
	p := withTasks(t, l, nil)
	const acknowledged = `{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete",` + signature + `}}`
	for range 2 {
		assert.Equal(t, acknowledged, p.about("tasks/cancel", `"taskId":"4f2c.2",`, takesTasks).raw)
	}
	assert.Equal(t, []string{"4f2c.2", "4f2c.2"}, l.cancelled)
	assert.Equal(t, acknowledged, p.about("tasks/update", `"taskId":"4f2c.2","inputResponses":{"q":{"action":"accept"}},`, takesTasks).raw)
}

func TestWhoMayAskAboutTasks(t *testing.T) {
	l := &fakeTasks{tasks: map[string]tools.Task{"4f2c.2": working("4f2c.2")}}
	p := withTasks(t, l, nil)
	refused := func(got line, code int, message, data string) {
		t.Helper()
		require.NotNil(t, got.Error, got.raw)
		assert.Equal(t, code, got.Error.Code, got.raw)
		assert.Contains(t, got.Error.Message, message)
		var whole struct {
			Error struct{ Data json.RawMessage }
		}
		require.NoError(t, json.Unmarshal([]byte(got.raw), &whole))
		assert.Equal(t, data, string(whole.Error.Data))
	}
	const undeclared = `{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}`
	for _, method := range []string{"tasks/get", "tasks/update", "tasks/cancel"} {
		refused(p.about(method, `"taskId":"4f2c.2",`, `{}`), -32021, "io.modelcontextprotocol/tasks", undeclared)
		refused(p.about(method, `"taskId":5,`, takesTasks), -32602, "taskId must be a string", "")
		refused(p.about(method, ``, takesTasks), -32602, "taskId must be a string", "")
		refused(p.about(method, `"taskId":"4f2c.2",`, `5`), -32602, "clientCapabilities", "")
		p.send(`{"jsonrpc":"2.0","id":7,"method":"%s","params":{"taskId":"4f2c.2","_meta":{"io.modelcontextprotocol/protocolVersion":"2099-01-01"}}}`, method)
		refused(p.next(), -32022, "2099-01-01",
			`{"requested":"2099-01-01","supported":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"]}`)
		p.send(`{"jsonrpc":"2.0","id":7,"method":"%s","params":{"taskId":"4f2c.2"}}`, method)
		refused(p.next(), -32601, method, "")
	}
	refused(p.about("tasks/get", `"taskId":"nobody",`, takesTasks), -32602, `there is no task "nobody"`, "")
	refused(p.about("tasks/cancel", `"taskId":"nobody",`, takesTasks), -32602, `there is no task "nobody"`, "")
	for _, gone := range []string{"tasks/result", "tasks/list"} {
		refused(p.about(gone, `"taskId":"4f2c.2",`, takesTasks), -32601, gone, "")
	}
	l.err = reply.StoreUnavailable(errors.New("disk full"))
	got := p.about("tasks/get", `"taskId":"4f2c.2",`, takesTasks)
	refused(got, -32603, "", "")
	assert.NotContains(t, got.raw, "disk full")
	l.err = nil

	// Notifications about tasks are not offered; who may not have them is told so.
	refused(p.about("subscriptions/listen", `"notifications":{"taskIds":["4f2c.2"]},`, `{}`), -32021, "tasks", undeclared)
	assert.Equal(t, "notifications/subscriptions/acknowledged", p.about("subscriptions/listen", `"notifications":{"taskIds":["4f2c.2"]},`, takesTasks).Method)
	assert.Nil(t, p.next().Error)

	none := connect(t, serverOf(nil, nil, nil))
	refused(none.about("tasks/get", `"taskId":"4f2c.2",`, takesTasks), -32601, "tasks/get", "")
}
