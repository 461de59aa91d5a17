package calls

import (
	"context"
	"errors"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// limitError is the cause of a context that one of our limits ended. Causes say what happened; the errors that a
// transport makes of an ended context don't (HTTP/1 returns the cause, HTTP/2 its own error).
type limitError struct{ limit config.Limit }

func (e *limitError) Error() string { return "exceeded " + e.limit.String() }

// The other causes that end an answer.
var (
	errCallerCancelled = errors.New("the caller cancelled")
	errTooLong         = errors.New("the answer is longer than MAX_ANSWER_BYTES")
	errStopped         = errors.New("the answer was stopped")
)

// callerCause is why the context of a call's caller ended: it cancelled, or exceeded a limit of its own.
func callerCause(ctx context.Context) error {
	cause := context.Cause(ctx)
	var limited *providers.Error
	var limit *limitError
	switch {
	case errors.As(cause, &limit):
		return limit
	case errors.As(cause, &limited) && limited.Limit != nil:
		return &limitError{*limited.Limit}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return context.DeadlineExceeded
	}
	return errCallerCancelled
}

// callDeadline is the time that a whole call has: its budget's, or no bound outside a tool call, where the request's own
// limit is the only one.
type callDeadline struct {
	start    time.Time // of the call
	budget   providers.Budget
	bounded  bool // by the budget; without one it only names the call
	answerBy time.Time
}

func deadlineOf(ctx context.Context) callDeadline {
	b, ok := providers.BudgetFrom(ctx)
	if !ok {
		return callDeadline{start: time.Now(), budget: b}
	}
	return callDeadline{start: b.Start, budget: b, bounded: true, answerBy: b.AnswerBy()}
}

// simple reports whether one request's limit bounds the whole of it and not only the wait for its first event.
func (d callDeadline) simple() bool { return !d.bounded || d.budget.Class == config.ClassSimple }

// requestEnd is when a request that began at start must have ended or, when it is not simple, started to answer.
func (d callDeadline) requestEnd(request config.Limit, start time.Time) time.Time {
	end := start.Add(request.Value)
	if d.bounded && d.answerBy.Before(end) {
		return d.answerBy
	}
	return end
}

// limitBehind names the limit behind the end of the call: the call's own or, where only the call's reserve ends a request before
// its own limit does, the request's.
func (d callDeadline) limitBehind(request config.Limit, start time.Time) config.Limit {
	reserved := start.Add(request.Value).Add(-d.budget.Reserve())
	if request.Value <= d.budget.Limit.Value && !reserved.After(d.budget.Deadline()) {
		return request
	}
	return d.budget.Limit
}

// firstLimit is the limit that ends a request, which began at start and whose own limit bounds the whole of it, and when.
func (d callDeadline) firstLimit(request config.Limit, start time.Time) (config.Limit, time.Time) {
	at := d.requestEnd(request, start)
	if d.bounded {
		return d.limitBehind(request, start), at
	}
	return request, at
}

// nextLimit is the limit that is over first, as an event, and when; the zero time when none counts.
func (s *state) nextLimit(d callDeadline, cfg *config.Config) (at time.Time, e event) {
	if s.stopping || s.phase == ended {
		return time.Time{}, 0
	}
	earlier := func(t time.Time, of event) {
		if at.IsZero() || t.Before(at) {
			at, e = t, of
		}
	}
	if s.phase != detached && d.bounded {
		earlier(d.answerBy, callLimit)
	}
	if s.request.limit.Value > 0 && !s.request.expired {
		earlier(s.request.since.Add(s.request.limit.Value), requestLimit)
	}
	if s.hasFirstEvent {
		earlier(s.request.lastDelta.Add(cfg.Timeouts.Idle().Value), idleLimit)
	}
	if s.phase == detached {
		earlier(s.detachedAt.Add(cfg.Timeouts.BackgroundLimit().Value), backgroundLimit)
	}
	return at, e
}

// handleLimitsLocked handles every limit that is over.
func (g *Generation) handleLimitsLocked() {
	for {
		at, e := g.state.nextLimit(g.deadline, g.c.cfg)
		if at.IsZero() || time.Now().Before(at) {
			return
		}
		g.handleLimitLocked(e)
	}
}

// handleLimitLocked detaches or stops the answer at a limit, and keeps the limit's name.
func (g *Generation) handleLimitLocked(e event) {
	s := &g.state
	var limit config.Limit
	switch e {
	case callLimit:
		limit = g.deadline.budget.Limit
		if (!s.hasFirstEvent || s.whole) && s.request.limit.Value > 0 {
			limit = g.deadline.limitBehind(s.request.limit, s.request.since)
		}
	case requestLimit:
		limit, s.request.expired = s.request.limit, true
	case idleLimit:
		limit = g.c.cfg.Timeouts.Idle()
	case backgroundLimit:
		limit = g.c.cfg.Timeouts.BackgroundLimit()
	}
	var do action
	s.control, do = s.next(e)
	switch do {
	case detach:
		s.limit, s.detachedAt = &limit, time.Now()
	case stop:
		g.cancel(&limitError{limit})
	}
}

// armLocked sets the timer. A limit that moves away needs nothing: the timer then finds it not over yet.
func (g *Generation) armLocked() {
	at, _ := g.state.nextLimit(g.deadline, g.c.cfg)
	switch {
	case at.IsZero():
		if g.timer != nil {
			g.timer.Stop()
		}
		g.armed = time.Time{}
	case g.timer == nil:
		g.armed, g.timer = at, time.AfterFunc(time.Until(at), g.onTimer)
	case g.armed.IsZero() || at.Before(g.armed):
		g.armed = at
		g.timer.Reset(time.Until(at))
	}
}

func (g *Generation) onTimer() {
	defer g.recoverPanic()
	g.update(func(*state) { g.armed = time.Time{} })
}
