package calls

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Generation is an answer being made. It outlives its call when a limit of ours ends the call while the vendor's stream
// is alive.
type Generation struct {
	c     *Caller
	call  Call
	frame frame
	ctx   context.Context // of the answer; ended, with the reason as its cause, by a limit, the caller or Stop
	stop  context.CancelCauseFunc
	done  chan struct{}
	// behind is closed when the answer goes on in the background: the call is over, its limits no longer count, and
	// no slot is held.
	behind chan struct{}

	listening sync.Mutex
	silent    bool // the call has returned, so nobody listens any more

	mu         sync.Mutex
	out        Outcome // Usage, Attempts, Notes ... as they grow; Content and Reasoning are in text and thought
	text       strings.Builder
	thought    strings.Builder
	received   providers.TokenTally // over all requests of this answer
	spoken     bool                 // any delta has arrived
	answering  bool                 // the request that runs now has sent an event
	delivering bool                 // ... and a delta
	asked      asking               // the request that runs now
	detached   bool
	broken     bool // a stream died after it had begun
	guessed    bool // the usage is partly an estimate
	ended      bool
	limit      *config.Limit // that ended the call
	err        error
	panicked   string
	release    func() // gives back the slot of the request that runs now

	onCall, onWait, onIdle, onBehind *time.Timer
}

// asking is the request that runs now.
type asking struct {
	limit     config.Limit // the vendor's
	since     time.Time    // queueing and retries included
	input     int          // estimated tokens
	requestID string
	queued    bool // it waits for a slot
}

func newGeneration(ctx context.Context, c *Caller, call Call, f frame) *Generation {
	g := &Generation{c: c, call: call, frame: f, done: make(chan struct{}), behind: make(chan struct{}), release: func() {}}
	// What a tool's function does inside this answer is bounded by the answer, not by the budget, which a background
	// answer outlives.
	g.ctx, g.stop = context.WithCancelCause(providers.WithoutBudget(context.WithoutCancel(ctx)))
	return g
}

// Done is closed when the answer has ended, well or not.
func (g *Generation) Done() <-chan struct{} { return g.done }

// Key is the Call's Key.
func (g *Generation) Key() string { return g.call.Key }

// Snapshot is what the generation has come to so far. After Done it is final.
func (g *Generation) Snapshot() Outcome {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.snapshot()
}

func (g *Generation) snapshot() Outcome {
	out := g.out
	out.Notes, out.Messages = slices.Clone(out.Notes), slices.Clone(out.Messages)
	if g.ended {
		return out
	}
	out.Partial, out.Limit = true, g.limit
	out.Response.Content, out.Response.Reasoning = g.text.String(), g.thought.String()
	out.Response.FinishReason = providers.FinishTimeout
	if g.delivering {
		u := g.estimate()
		u.CostUSD = out.Model.Price.Cost(u)
		out.Response.Usage = out.Response.Usage.Plus(u)
	}
	if g.detached {
		out.Live = g
	}
	out.Elapsed = time.Since(g.frame.start)
	return out
}

// Stop ends the generation at once; what arrived stays in Snapshot.
func (g *Generation) Stop() { g.stop(errStopped) }

// Tokens is the estimated number of tokens received so far, reasoning included.
func (g *Generation) Tokens() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.received.Tokens()
}

// abandonAfter is how long an answer that was told to end may take to do so before its call returns without it.
const abandonAfter = 100 * time.Millisecond

// await waits for the answer, for the background, or for the caller to go.
func (g *Generation) await(ctx context.Context) (*Outcome, error) {
	select {
	case <-g.done:
	case <-g.behind:
	case <-ctx.Done():
		g.stop(callerGone(ctx))
		g.awaitEnd()
	case <-g.ctx.Done():
		g.awaitEnd()
	}
	g.hush()
	g.mu.Lock()
	abandoned := !g.ended && !g.detached // a provider or a tool's function does not heed its context
	g.mu.Unlock()
	if abandoned {
		g.finish(nil, g.ending())
	}
	g.mu.Lock()
	panicked, out, err := g.panicked, g.snapshot(), g.err
	g.mu.Unlock()
	if panicked != "" {
		panic(panicked) // in the caller's goroutine, where somebody recovers
	}
	return &out, err
}

// hush sends no more events, after a last one when the answer goes on in the background.
func (g *Generation) hush() {
	g.mu.Lock()
	detached, last := g.detached, g.event(providers.PhaseBackground)
	g.mu.Unlock()
	g.listening.Lock()
	defer g.listening.Unlock()
	g.silent = true
	if detached && g.call.On != nil {
		g.call.On(last)
	}
}

func (g *Generation) awaitEnd() {
	t := time.NewTimer(abandonAfter)
	defer t.Stop()
	select {
	case <-g.done:
	case <-t.C:
	}
}

// run makes the answer.
func (g *Generation) run(list []Candidate) {
	defer g.c.end(g)
	defer close(g.done)
	defer g.stop(nil)
	defer func() {
		if p := recover(); p != nil {
			g.mu.Lock()
			g.panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
			g.mu.Unlock()
			g.finish(nil, &providers.Error{Kind: providers.KindProviderError, Message: "The answer ended by a fault of ours."})
		}
	}()
	g.start()
	resp, err := g.answer(list)
	g.finish(resp, err)
}

// start sets the clock that ends the call when its budget does; one that is over already asks nobody.
func (g *Generation) start() {
	if !g.frame.bounded {
		return
	}
	left := time.Until(g.frame.answerBy)
	if left <= 0 {
		g.callOver()
		return
	}
	g.mu.Lock()
	g.onCall = time.AfterFunc(left, g.callOver)
	g.mu.Unlock()
}

// callOver is called when the call's budget ends.
func (g *Generation) callOver() {
	g.mu.Lock()
	limit := g.frame.budget.Limit
	if waits := !g.answering || g.frame.simple(); waits && g.asked.limit.Value > 0 {
		limit = g.frame.cut(g.asked.limit, g.asked.since)
	}
	g.mu.Unlock()
	g.leave(limit)
}

// requestOver is called when the vendor's limit of a request ends: without a first event the vendor is silent; an
// answer that has begun is bounded by it in a simple tool alone.
func (g *Generation) requestOver() {
	g.mu.Lock()
	limit, answering, bound := g.asked.limit, g.answering, g.frame.simple() && !g.detached
	g.mu.Unlock()
	switch {
	case !answering:
		g.stop(&passed{limit})
	case bound:
		g.leave(limit)
	}
}

// leave ends the call at a limit of ours: the answer goes on in the background if anything of it has arrived and it
// may, else it ends too.
func (g *Generation) leave(limit config.Limit) {
	g.mu.Lock()
	if g.ended || g.detached {
		g.mu.Unlock()
		return
	}
	if !g.spoken || !g.call.Background || !g.c.cfg.Calls.BackgroundCompletion || g.ctx.Err() != nil {
		g.mu.Unlock()
		g.stop(&passed{limit})
		return
	}
	g.detached, g.limit = true, &limit
	g.release()
	most := g.c.cfg.Timeouts.BackgroundLimit()
	g.onBehind = time.AfterFunc(most.Value, func() { g.stop(&passed{most}) })
	model, requestID := g.out.Model, g.asked.requestID
	g.mu.Unlock()

	g.c.limitPassed(providers.LimitPassed{Limit: limit, Provider: model.Provider, Model: model.ID, RequestID: requestID, Elapsed: time.Since(g.frame.start)}, g.frame.budget)
	g.c.keep(g, model.Provider)
	close(g.behind)
}

// tell sends an event to whoever called, as long as the call runs.
func (g *Generation) tell(phase providers.Phase, wait time.Duration) {
	if g.call.On == nil {
		return
	}
	g.mu.Lock()
	e := g.event(phase)
	g.mu.Unlock()
	e.Wait = wait
	g.listening.Lock()
	defer g.listening.Unlock()
	if !g.silent {
		g.call.On(e)
	}
}

// event is a sign of life as things stand. The lock is held.
func (g *Generation) event(phase providers.Phase) providers.Event {
	return providers.Event{
		Phase: phase, Provider: g.out.Model.Provider, Model: g.out.Model.ID,
		Tokens: g.received.Tokens(), Attempt: g.out.Attempts,
	}
}

// ending is the error that the end of the answer's context is.
func (g *Generation) ending() *providers.Error {
	g.mu.Lock()
	defer g.mu.Unlock()
	cause, model := context.Cause(g.ctx), g.out.Model
	var p *passed
	switch {
	case errors.As(cause, &p) && g.asked.queued:
		return noSlot(model.Provider, p.limit)
	case errors.As(cause, &p) && !g.spoken && p.limit == g.c.cfg.Timeouts.Idle():
		return timeoutError(p.limit, fmt.Sprintf("%s began to answer, and then sent nothing within %s.", model.ID, p.limit))
	case errors.As(cause, &p) && !g.spoken:
		return timeoutError(p.limit, fmt.Sprintf("%s sent nothing within %s.", model.ID, p.limit))
	case errors.As(cause, &p):
		return timeoutError(p.limit, fmt.Sprintf("%s did not finish its answer within %s.", model.ID, p.limit))
	case errors.Is(cause, context.DeadlineExceeded):
		return &providers.Error{Kind: providers.KindTimeout, Message: fmt.Sprintf("%s did not answer in the caller's time.", model.ID), Err: cause}
	case errors.Is(cause, errTooLong):
		return &providers.Error{Kind: providers.KindTooLarge, Message: fmt.Sprintf("%s wrote more than MAX_ANSWER_BYTES=%d.", model.ID, g.c.cfg.Calls.MaxAnswerBytes), Err: cause}
	}
	return &providers.Error{Kind: providers.KindCancelled, Message: "The call was cancelled.", Err: cause}
}

// noSlot is the error of a request that waited in the queue until its time was over.
func noSlot(provider string, limit config.Limit) *providers.Error {
	e := timeoutError(limit, fmt.Sprintf("No slot for a request to %s became free within %s.", titleOf(provider), limit))
	e.Hint = fmt.Sprintf("Send it again later, or raise %s_MAX_INFLIGHT in the server's environment.", strings.ToUpper(provider))
	return e
}

// finish settles what the answer has come to, once, and tells the observer of a limit that ended it.
func (g *Generation) finish(resp *providers.ChatResponse, err error) {
	g.mu.Lock()
	if g.ended {
		g.mu.Unlock()
		return
	}
	g.ended = true
	g.release()
	for _, t := range []*time.Timer{g.onCall, g.onWait, g.onIdle, g.onBehind} {
		if t != nil {
			t.Stop()
		}
	}
	g.out.Elapsed = time.Since(g.frame.start)
	failure := asError(err)
	if failure != nil {
		failure = located(failure, g.out.Model.Provider, g.out.Model.ID, g.frame.start)
		if failure.RequestID == "" {
			failure.RequestID = g.asked.requestID
		}
	}
	g.conclude(resp, err, failure)
	g.mu.Unlock()
	if failure != nil {
		g.c.reportLimit(failure, g.frame.budget)
	}
}

// conclude makes the outcome: an answer, a partial one, or the error. The lock is held.
func (g *Generation) conclude(resp *providers.ChatResponse, err error, failure *providers.Error) {
	out := &g.out
	usage, searches := out.Response.Usage, out.Response.Searches
	switch {
	case err == nil:
		out.Response = *resp
		out.Partial = resp.FinishReason == providers.FinishLength || resp.FinishReason == providers.FinishContentFilter
		searches = append(searches, resp.Searches...)
	case failure == nil:
		g.err = err // Build's own
	case g.spoken && (g.broken || g.detached || g.ctx.Err() != nil):
		out.Partial, out.Cut = true, failure
		out.Response.Content, out.Response.Reasoning = g.text.String(), g.thought.String()
		out.Response.FinishReason, out.Limit = g.cutBy(failure)
		if resp != nil && (resp.FinishReason == providers.FinishLength || resp.FinishReason == providers.FinishContentFilter) {
			out.Response.FinishReason = resp.FinishReason // it ended before any text, behind a call that promised some
		}
		out.Response.RequestID = failure.RequestID
	default:
		g.err = failure
		out.Response.RequestID = failure.RequestID
	}
	out.Response.Usage, out.Response.UsageKnown, out.Response.Searches = usage, !g.guessed && usage != providers.Usage{}, searches
}

// cutBy says what ended a partial answer, and the limit if it was one.
func (g *Generation) cutBy(e *providers.Error) (providers.FinishReason, *config.Limit) {
	switch e.Kind {
	case providers.KindTimeout:
		return providers.FinishTimeout, e.Limit
	case providers.KindCancelled:
		if g.detached { // it gave way to another one; what ended its call stays the reason
			return providers.FinishTimeout, g.limit
		}
		return providers.FinishCancelled, nil
	case providers.KindTooLarge:
		return providers.FinishLength, nil
	case providers.KindContentFiltered:
		return providers.FinishContentFilter, nil
	}
	return providers.FinishNetwork, nil
}

// provider is the vendor that is asked.
func (g *Generation) provider() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.out.Model.Provider
}
