package calls

import (
	"context"
	"errors"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// passed is the cause of a context that one of our limits ended. Causes tell what happened; the errors that a transport
// makes of an ended context don't (HTTP/1 gives the cause back, HTTP/2 its own error).
type passed struct{ limit config.Limit }

func (p *passed) Error() string { return p.limit.String() + " passed" }

// The other causes that end an answer.
var (
	errCallerGone = errors.New("the caller cancelled")
	errTooLong    = errors.New("the answer is longer than MAX_ANSWER_BYTES")
	errStopped    = errors.New("the answer was stopped")
)

// callerGone says why the context of a call's caller ended: it cancelled, or a limit of its own passed.
func callerGone(ctx context.Context) error {
	cause := context.Cause(ctx)
	var limited *providers.Error
	var limit *passed
	switch {
	case errors.As(cause, &limit):
		return limit
	case errors.As(cause, &limited) && limited.Limit != nil:
		return &passed{*limited.Limit}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return context.DeadlineExceeded
	}
	return errCallerGone
}

// frame is the time that a whole call has: its budget's, or no bound outside a tool call, where the request's own limit
// is the only one.
type frame struct {
	start    time.Time // of the call
	budget   providers.Budget
	bounded  bool // by the budget; without one it only names the call
	answerBy time.Time
}

func frameOf(ctx context.Context) frame {
	b, ok := providers.BudgetFrom(ctx)
	if !ok {
		return frame{start: time.Now(), budget: b}
	}
	return frame{start: b.Start, budget: b, bounded: true, answerBy: b.AnswerBy()}
}

// simple tells whether one request's limit bounds the whole of it and not only the wait for its first event.
func (f frame) simple() bool { return !f.bounded || f.budget.Class == config.ClassSimple }

// until is when a request that began at start must have ended or, when it is not simple, begun to answer.
func (f frame) until(request config.Limit, start time.Time) time.Time {
	end := start.Add(request.Value)
	if f.bounded && f.answerBy.Before(end) {
		return f.answerBy
	}
	return end
}

// cut names the limit behind the end of the call: the call's own or, where only the call's reserve ends a request before
// its own limit does, the request's.
func (f frame) cut(request config.Limit, start time.Time) config.Limit {
	reserved := start.Add(request.Value).Add(-f.budget.Reserve())
	if request.Value <= f.budget.Limit.Value && !reserved.After(f.budget.Deadline()) {
		return request
	}
	return f.budget.Limit
}

// first is the limit that ends a request, begun at start, whose own limit bounds the whole of it, and when.
func (f frame) first(request config.Limit, start time.Time) (config.Limit, time.Time) {
	at := f.until(request, start)
	if f.bounded && at.Equal(f.answerBy) {
		return f.cut(request, start), at
	}
	return request, at
}
