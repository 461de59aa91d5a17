package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// Tasks are the answers that go on behind their calls; *tools.Tasks are some.
type Tasks interface {
	Of(ctx context.Context, p reply.Pending) (tools.Task, error)
	Get(ctx context.Context, id string) (tools.Task, error)
	Cancel(ctx context.Context, id string) error
}

var _ Tasks = (*tools.Tasks)(nil)

// The tasks extension of revision 2026-07-28 (SEP-2663 and the ext-tasks draft of August 2026). mcp-go 1.2.1 has tasks in the
// form of 2025-11-25 alone, which no client that we know uses, so none of these methods reaches it.
const (
	tasksExtension = "io.modelcontextprotocol/tasks"
	methodGet      = "tasks/get"
	methodUpdate   = "tasks/update"
	methodCancel   = "tasks/cancel"
	methodListen   = "subscriptions/listen"

	codeMethodNotFound    = -32601
	codeMissingCapability = -32021
	codeUnsupported       = -32022

	pollInterval = 2 * time.Second
	// becomingTask is what looking for a call's task may take: the call's limit is over by then.
	becomingTask = 100 * time.Millisecond
	// maxTaskID is the longest id that Claude Code 2.1.332 takes; its characters are the visible ones of ASCII.
	maxTaskID = 1024
)

// taskFields are a task as every message about it has them.
type taskFields struct {
	ResultType     string `json:"resultType"`
	TaskID         string `json:"taskId"`
	Status         string `json:"status"`
	StatusMessage  string `json:"statusMessage,omitempty"`
	CreatedAt      string `json:"createdAt"`
	LastUpdatedAt  string `json:"lastUpdatedAt"`
	TTLMs          int64  `json:"ttlMs"`
	PollIntervalMs int64  `json:"pollIntervalMs,omitempty"`
	Result         any    `json:"result,omitempty"`
}

func (s *Server) fieldsOf(t tools.Task, resultType string) taskFields {
	const stamp = "2006-01-02T15:04:05.000Z"
	f := taskFields{
		ResultType: resultType, TaskID: t.ID, Status: string(t.Status), StatusMessage: t.Message,
		CreatedAt: t.Created.UTC().Format(stamp), LastUpdatedAt: t.Updated.UTC().Format(stamp), TTLMs: t.TTL.Milliseconds(),
	}
	if t.Status == tools.TaskWorking {
		f.PollIntervalMs = pollInterval.Milliseconds()
	}
	return f
}

// takesTasks reports whether a request's client takes a task as the answer.
func (s *Server) takesTasks(m requestMeta) bool {
	return s.tasks != nil && m.revision.stateless() && m.declares("extensions", tasksExtension)
}

// taskResult is the task that a call becomes, nil when it can't be one. Where the answer has ended meanwhile, done is the
// whole reply.
func (s *Server) taskResult(ctx context.Context, p reply.Pending) (own json.RawMessage, done *tools.Result) {
	ctx, cancel := context.WithTimeout(ctx, becomingTask)
	defer cancel()
	task, err := s.tasks.Of(ctx, p)
	switch {
	case err != nil:
		s.log.Warn("a call is answered in part and not by a task", zap.String("continuation_id", p.ContinuationID), zap.Error(err))
		return nil, nil
	case task.Status == tools.TaskCompleted:
		return nil, task.Result
	case task.Status != tools.TaskWorking || !validTaskID(task.ID):
		return nil, nil
	}
	return s.ownResult(s.fieldsOf(task, "task")), nil
}

// validTaskID reports whether clients take an id.
func validTaskID(id string) bool {
	return id != "" && len(id) <= maxTaskID && !strings.ContainsFunc(id, func(r rune) bool { return r < 0x21 || r > 0x7e })
}

// serveTask answers a request about tasks. handled is false when the request is about something else, which mcp-go answers.
func (s *Server) serveTask(ctx context.Context, m *message) (own json.RawMessage, handled bool, err error) {
	meta := metaOf(m.params)
	switch m.method {
	case methodGet, methodUpdate, methodCancel:
		if err := s.admitTask(m, meta); err != nil {
			return nil, true, err
		}
	case methodListen:
		if s.tasks != nil && meta.revision.stateless() && !s.takesTasks(meta) && listensToTasks(m.params) {
			return nil, true, missingTasks()
		}
		return nil, false, nil
	default:
		return nil, false, nil
	}
	id, isText := "", false
	for key, value := range members(m.params) {
		if key == "taskId" {
			id, isText = text(value)
		}
	}
	if !isText {
		return nil, true, &lineFault{code: codeInvalidParams, text: "params.taskId must be a string"}
	}
	own, err = s.doTask(ctx, m.method, id)
	return own, true, err
}

// answerAboutTasks answers a request about tasks; handled is false when it is about something else, which mcp-go answers.
func (c *conn) answerAboutTasks(ctx context.Context, k *call) (line []byte, handled bool) {
	own, handled, err := c.server.serveTask(ctx, k.message)
	if err == nil {
		if handled {
			line = ownAnswer(k.message.id, own)
		}
		return line, handled
	}
	var fault *lineFault
	if !errors.As(err, &fault) {
		c.log.Error("a task could not be described", zap.String("method", k.message.method), zap.Error(err))
		fault = &lineFault{code: codeInternal, text: "internal error; the server's log says more"}
	}
	fault.id = k.message.id
	return fault.refusal(), true
}

// admitTask checks that a request may ask about tasks, in the order in which the protocol has it.
func (s *Server) admitTask(m *message, meta requestMeta) error {
	switch {
	case s.tasks == nil || !meta.revision.stateless():
		return &lineFault{code: codeMethodNotFound, text: "Method " + m.method + " not found"}
	case !slices.Contains(Revisions(), string(meta.revision)):
		return &lineFault{
			code: codeUnsupported, text: "unsupported protocol version " + quote(string(meta.revision)),
			data: map[string]any{"supported": Revisions(), "requested": meta.revision},
		}
	case meta.capabilities == nil:
		return &lineFault{code: codeInvalidParams, text: "missing or invalid _meta field " + mcp.MetaKeyClientCapabilities}
	case !s.takesTasks(meta):
		return missingTasks()
	}
	return nil
}

// missingTasks refuses a request whose client has not declared the extension in it.
func missingTasks() error {
	return &lineFault{
		code: codeMissingCapability, text: "this needs the client capability extensions." + tasksExtension + ", declared in the request's _meta",
		data: map[string]any{"requiredCapabilities": map[string]any{"extensions": map[string]any{tasksExtension: struct{}{}}}},
	}
}

// listensToTasks reports whether a client wants notifications about tasks.
func listensToTasks(params json.RawMessage) bool {
	return requestMeta{capabilities: params}.declares("notifications", "taskIds")
}

// doTask does what is asked of a task. A question within a task never comes from us, so an update answers none.
func (s *Server) doTask(ctx context.Context, method, id string) (json.RawMessage, error) {
	switch method {
	case methodUpdate:
		return s.ownResult(completeResult{"complete"}), nil
	case methodCancel:
		if err := s.tasks.Cancel(ctx, id); err != nil {
			return nil, taskFault(ctx, id, err)
		}
		return s.ownResult(completeResult{"complete"}), nil
	}
	task, err := s.tasks.Get(ctx, id)
	if err != nil {
		return nil, taskFault(ctx, id, err)
	}
	f := s.fieldsOf(task, "complete")
	f.TaskID = id // a bare continuation_id stays what the client asked by
	if task.Status == tools.TaskCompleted {
		result, err := callResult(task.Result, mcp.ProtocolVersion20260728)
		if err != nil {
			return nil, err
		}
		result.ResultType = mcp.ResultTypeComplete
		f.Result = plain(result)
	}
	return s.ownResult(f), nil
}

// completeResult is an acknowledgement.
type completeResult struct {
	ResultType string `json:"resultType"`
}

func taskFault(ctx context.Context, id string, err error) error {
	if errors.Is(err, tools.ErrNoTask) {
		return &lineFault{code: codeInvalidParams, text: fmt.Sprintf("there is no task %.100q", id)}
	}
	e := reply.FromError(ctx, err)
	return &lineFault{code: codeInternal, text: e.Message + " " + e.Hint}
}
