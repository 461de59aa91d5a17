package calls

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

// opSearch is the op of a web search, which is paid for by the piece.
const opSearch = "search"

// Do makes one plain request to a vendor: a search, an upload, a list. It takes the same path as a chat: a slot of the
// vendor's queue, retries, the observer, and the limit, which bounds the whole of it, queueing and retries included,
// within the call's budget where ctx carries one. send is called once per attempt and must start afresh each time
// (reopen what it reads). op names the request in logs. The error is an *Error.
func Do[T any](ctx context.Context, c *Caller, provider, op string, limit config.Limit, send func(context.Context) (T, error)) (T, error) {
	var none, result T
	if p := providers.PreviewFrom(ctx); p != nil {
		planned := providers.PlannedRequest{Op: op, Provider: provider}
		if op == opSearch {
			planned.ExpectedUSD, planned.MaximumUSD = searchUSD, searchUSD
		}
		p.Request(planned)
		return none, providers.ErrPreview
	}
	err := c.plain(ctx, provider, op, limit, func(ctx context.Context) (cost providers.Usage, err error) {
		result, err = send(ctx)
		if found, ok := any(result).(*providers.SearchResult); ok && err == nil {
			cost.CostUSD = found.CostUSD
		}
		return cost, err
	})
	if err != nil {
		return none, err // an attempt that failed may have returned a part
	}
	return result, nil
}

func (c *Caller) plain(ctx context.Context, provider, op string, limit config.Limit, send func(context.Context) (providers.Usage, error)) error {
	d, began := deadlineOf(ctx), time.Now()
	fires, at := d.firstLimit(limit, began)
	mine := &limitError{fires}
	ctx, cancel := context.WithDeadlineCause(ctx, at, mine)
	defer cancel()

	ended := func() *providers.Error { return c.plainEnded(ctx, mine, provider, op) }
	attempts, withoutSlot := 1+c.cfg.Calls.MaxRetries, chan struct{}(nil)
	if op == opModels && c.reg.endpoint(provider) {
		// A local server has one slot, and its list says what is loaded while that is taken. One that is not there is not waited for.
		if withoutSlot = make(chan struct{}); c.cfg.Vendor(provider).Local() {
			attempts = 1
		}
		close(withoutSlot)
	}
	loop := retrying{
		attempts: attempts, ended: ended, jitter: c.jitter,
		left: func() time.Duration { return time.Until(at) },
	}
	err := loop.run(ctx, func() *providers.Error {
		if failure := c.delayed(provider, loop.left()); failure != nil {
			return failure
		}
		release, err := c.slots.acquire(ctx, provider, withoutSlot, func() {})
		if err != nil {
			if errors.Is(context.Cause(ctx), mine) {
				return c.noSlotError(provider, fires)
			}
			return ended()
		}
		defer release()
		var plan usage.Plan
		if op == opSearch {
			plan.FlatUSD = searchUSD
		}
		ch, failure := c.reserve(ctx, d.budget, providers.Model{}, provider, plan)
		if failure != nil {
			if ctx.Err() != nil {
				return ended()
			}
			return failure
		}
		defer ch.abandon()
		a := providers.Attempt{Provider: provider, Op: op, Start: time.Now()}
		a.Usage, err = send(providers.OnRequestID(ctx, func(id string) { a.RequestID = id }))
		a.Err = c.failure(ctx, err, provider, ended)
		ch.settle(a, "")
		c.reportAttempt(a)
		return a.Err
	})
	if err == nil {
		return nil
	}
	err = located(err, provider, "", d.start)
	c.reportFailedLimit(err, d.budget)
	return err
}

// delayed is the error of a request whose vendor's limit per minute admits none as long as the request has time, nil where it
// may wait.
func (c *Caller) delayed(vendor string, left time.Duration) *providers.Error {
	wait := c.slots.delay(vendor)
	if wait == 0 || wait < left {
		return nil
	}
	return c.delayedError(vendor, wait)
}

// plainEnded is the error of a plain request whose context has ended: by limit, by the caller's own deadline, or else by
// a cancellation.
func (c *Caller) plainEnded(ctx context.Context, limit *limitError, provider, op string) *providers.Error {
	title := c.cfg.VendorTitle(provider)
	if errors.Is(context.Cause(ctx), limit) {
		return timeoutError(limit.limit, fmt.Sprintf("The %s request to %s was not answered within %s.", op, title, limit.limit))
	}
	e := &providers.Error{Kind: providers.KindCancelled, Message: "The request was cancelled.", Err: context.Cause(ctx)}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		e.Kind = providers.KindTimeout
		e.Message = fmt.Sprintf("The %s request to %s was not answered in the caller's time.", op, title)
	}
	return e
}

// failure makes an *Error of what a provider returned. Where our own context ended, that is the reason, whatever the
// transport made of it, unless the vendor had answered.
func (c *Caller) failure(ctx context.Context, err error, provider string, ended func() *providers.Error) *providers.Error {
	if err == nil {
		return nil
	}
	var e *providers.Error
	if !errors.As(err, &e) {
		e = &providers.Error{Kind: providers.KindProviderError, Message: fmt.Sprintf("The request to %s failed.", c.cfg.VendorTitle(provider)), Err: err}
	}
	answered := e.VendorCode != "" || e.HTTPStatus >= 400
	if ctx.Err() != nil && !answered {
		byUs := ended()
		byUs.RequestID = e.RequestID
		return byUs
	}
	c.slots.refused(provider, e)
	return e
}

// located is the error with what only the path knows filled in.
func located(e *providers.Error, provider, model string, start time.Time) *providers.Error {
	filled := *e
	if filled.Provider == "" {
		filled.Provider = provider
	}
	if filled.Model == "" {
		filled.Model = model
	}
	filled.Elapsed = time.Since(start)
	return &filled
}

// reportFailedLimit reports a limit that ended a request.
func (c *Caller) reportFailedLimit(e *providers.Error, of providers.Budget) {
	if e.Kind == providers.KindTimeout && e.Limit != nil {
		c.reportLimit(providers.LimitExceeded{Limit: *e.Limit, Provider: e.Provider, Model: e.Model, RequestID: e.RequestID, Elapsed: e.Elapsed}, of)
	}
}

func timeoutError(limit config.Limit, message string) *providers.Error {
	return &providers.Error{
		Kind: providers.KindTimeout, Limit: &limit, Message: message, Err: &limitError{limit},
		Hint: fmt.Sprintf("Send it again, ask for less, or raise %s in the server's environment.", limit.Name),
	}
}
