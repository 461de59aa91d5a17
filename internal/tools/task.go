package tools

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

// ErrNoTask says that an id names no task.
var ErrNoTask = errors.New("no such task")

// TaskStatus is where a task is, in MCP's words.
type TaskStatus string

// The states of a task. A tool's error is a result, so no task of ours fails.
const (
	TaskWorking   TaskStatus = "working"
	TaskCompleted TaskStatus = "completed"
	TaskCancelled TaskStatus = "cancelled"
)

// Task is a call whose answer goes on, or went on, behind it.
type Task struct {
	ID      string
	Status  TaskStatus
	Message string    // for the person; the model never reads it
	Created time.Time // when the answer outlived its call
	Updated time.Time
	TTL     time.Duration // from Created
	// Result is the reply that the call would have given had it waited, of a completed task.
	Result *Result
}

// taskLooks bounds how long looking for a task may take.
const taskLooks = 5 * time.Second

// keptAfterwards is how long a task can be asked for after its answer must have ended: a client that is closed resumes days
// later at times, and gives an id up when the time is over.
const keptAfterwards = 24 * time.Hour

// Tasks are the answers that go on behind their calls. Nothing but the conversation is kept of one, so that any process
// which has the store knows it: its id is the conversation's and the number of the answer's turn.
type Tasks struct {
	deps     *Deps
	dispatch *tool.Dispatcher
}

// NewTasks returns the tasks behind these tools' calls.
func NewTasks(d *Deps, x *tool.Dispatcher) *Tasks { return &Tasks{deps: d, dispatch: x} }

// Of is the task that a pending answer is.
func (t *Tasks) Of(ctx context.Context, p reply.Pending) (Task, error) {
	return t.Get(ctx, p.ContinuationID+"."+strconv.Itoa(p.Turn))
}

// Get finds a task by its id. A bare continuation_id is the conversation's latest answer. The error is ErrNoTask where there
// is none; any other one may be shown to a client by way of reply.FromError.
func (t *Tasks) Get(ctx context.Context, id string) (Task, error) {
	return look(ctx, taskLooks, func(ctx context.Context) (Task, error) {
		conversationID, b, err := t.find(ctx, id)
		if err != nil {
			return Task{}, err
		}
		return t.taskOf(conversationID, b)
	})
}

// Cancel ends a task that is still working; one that has ended stays as it is.
func (t *Tasks) Cancel(ctx context.Context, id string) error {
	_, err := look(ctx, taskLooks, func(ctx context.Context) (struct{}, error) {
		conversationID, b, err := t.find(ctx, id)
		if err == nil {
			err = noTask(t.deps.Conversations.CancelBackground(ctx, conversationID, b.Turn.N))
		}
		return struct{}{}, err
	})
	return err
}

// find takes an id apart. A conversation's own id may end in a number behind a dot, too.
func (t *Tasks) find(ctx context.Context, id string) (conversationID string, b *ask.Background, err error) {
	dot := strings.LastIndexByte(id, '.')
	if n, ok := parseCount(id[dot+1:]); ok && dot > 0 {
		if b, err = t.deps.Conversations.Background(ctx, id[:dot], n); !errors.Is(err, conversation.ErrNotFound) {
			return id[:dot], b, err
		}
	}
	b, err = t.deps.Conversations.Background(ctx, id, 0)
	return id, b, noTask(err)
}

func noTask(err error) error {
	if errors.Is(err, conversation.ErrNotFound) {
		return ErrNoTask
	}
	return err
}

// taskOf describes an answer as a task.
func (t *Tasks) taskOf(conversationID string, b *ask.Background) (Task, error) {
	out := Task{
		ID: conversationID + "." + strconv.Itoa(b.Turn.N), Status: TaskWorking, Created: b.Turn.CreatedAt, Updated: b.Turn.SavedAt,
		TTL: t.deps.Config.Timeouts.BackgroundLimit().Value + keptAfterwards, Message: workingOn(b),
	}
	switch {
	case b.Live != nil:
		out.Updated = time.Now()
		return out, nil
	case b.Running:
		return out, nil
	case b.Turn.FinishReason == providers.FinishCancelled:
		out.Status = TaskCancelled
		out.Message = fmt.Sprintf("Cancelled. What had arrived is kept: call chat with continuation_id %s and a blank prompt to read it.", conversationID)
		return out, nil
	}
	result, completing, err := t.replyOf(b)
	if err != nil || completing {
		return out, err
	}
	out.Status, out.Message = TaskCompleted, ""
	out.Result = t.dispatch.Render(b.Turn.Tool, tookFor(b), result)
	return out, nil
}

// replyOf is the reply with an answer that has ended. completing says that its process still works on it.
func (t *Tasks) replyOf(b *ask.Background) (r *Result, completing bool, err error) {
	if r, completing, err = t.deps.engine().StoredReply(b.Conversation, b.Turn); r != nil || err != nil {
		return r, completing, err
	}
	said, err := t.deps.Conversations.Stored(b.Conversation, b.Turn)
	if err != nil {
		return nil, false, err
	}
	if b.Turn.Tool == filesChatName {
		return filesChatReply(said), false, nil
	}
	return said.Reply(), false, nil
}

// workingOn says what happens to an answer that is being written.
func workingOn(b *ask.Background) string {
	who := b.Turn.Model
	if who == "" {
		who = "the model"
	}
	if b.Live == nil {
		return fmt.Sprintf("%s answers in another process, %s so far", who, characters(b.Turn.Content))
	}
	if b.Turn.Content == "" {
		return fmt.Sprintf("%s thinking, %.0f s", who, b.Live.Elapsed.Seconds())
	}
	return fmt.Sprintf("%s writing, %.0f s, %s so far", who, b.Live.Elapsed.Seconds(), characters(b.Turn.Content))
}

func characters(text string) string {
	n := len([]rune(text))
	if n == 1 {
		return "1 character"
	}
	return fmt.Sprintf("%d characters", n)
}

// tookFor is how long an answer took, from its question on as far as that is stored.
func tookFor(b *ask.Background) time.Duration {
	began := b.Turn.CreatedAt
	for _, turn := range b.Conversation.Turns {
		if turn.N == b.Turn.N-1 && !turn.CreatedAt.IsZero() {
			began = turn.CreatedAt
		}
	}
	return max(0, b.Turn.SavedAt.Sub(began))
}
