package calls

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/markup"
)

// Done is closed when the answer has ended, well or not.
func (g *Generation) Done() <-chan struct{} { return g.done }

// Key is the Call's Key.
func (g *Generation) Key() string { return g.call.Key }

// Stop ends the generation at once; what arrived stays in Snapshot.
func (g *Generation) Stop() { g.stop(errStopped) }

// Cancel is Stop by who asked for the answer: its finish reason says so.
func (g *Generation) Cancel() { g.stop(errCallerCancelled) }

// Tokens is the estimated number of tokens received so far, reasoning included.
func (g *Generation) Tokens() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state.received.Tokens()
}

// Snapshot is what the generation has come to so far. After Done it is final.
func (g *Generation) Snapshot() Outcome {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.snapshotLocked()
}

func (g *Generation) snapshotLocked() Outcome {
	s := &g.state
	out := s.out
	out.Notes, out.Messages = slices.Clone(out.Notes), slices.Clone(out.Messages)
	if s.phase == ended {
		return out
	}
	out.Partial, out.Limit = true, s.limit
	out.Response.Content, out.Original, _ = s.partialText()
	out.Response.Reasoning = s.thought.String()
	out.Response.FinishReason = providers.FinishTimeout
	if s.request.sentDelta {
		u := s.estimate()
		u.CostUSD = out.Model.Price.Cost(u)
		out.Response.Usage = out.Response.Usage.Plus(u)
	}
	if s.phase == detached {
		out.Live = g
	}
	out.Elapsed = time.Since(g.deadline.start)
	out.noteLocal()
	return out
}

// noteLocal says that a model of this machine was asked. Where its server sends it from there is not known.
func (out *Outcome) noteLocal() {
	if out.Model.Local {
		out.Notes = append(out.Notes, "Sent to a server on this machine.")
	}
}

// partialText is the text that has arrived, tidied as a whole answer's is. A function call written as text at its end is
// removed, and notes name the function; original is as in Outcome.
func (s *state) partialText() (text, original string, notes []string) {
	text = markup.Tidy(s.text.String())
	parsed := markup.ParseCallMarkup(text, nil)
	if s.taken == "" {
		notes = removedNotes(parsed.Removed)
	}
	return parsed.Text, s.original(text, parsed.Found()), notes
}

// original is Outcome.Original, where last is the text of the latest response; changed says that calls were taken out of it.
func (s *state) original(last string, changed bool) string {
	if len(s.originals) == 0 && s.taken == "" && !changed {
		return ""
	}
	return strings.TrimSpace(strings.Join(append(slices.Clip(s.originals), cmp.Or(s.taken, last)), "\n\n"))
}

// endRound keeps the text of a round that function calls were taken out of.
func (s *state) endRound() {
	if s.taken != "" {
		s.originals, s.taken = append(s.originals, s.taken), ""
	}
}

// abandonAfter is how long an answer that was told to end may take to do so before its call returns without it.
const abandonAfter = 100 * time.Millisecond

// await waits until the answer has ended or is detached, or the caller is gone.
func (g *Generation) await(ctx context.Context) (*Outcome, error) {
	select {
	case <-g.done:
	case <-g.detached:
	case <-ctx.Done():
		g.stop(callerCause(ctx))
		g.awaitEnd()
	case <-g.ctx.Done():
		g.awaitEnd()
	}
	g.stopEvents()
	if g.view().phase < detached { // a provider or a tool's function ignores its context
		g.finish(nil, g.contextError())
	}
	g.mu.Lock()
	panicked, out, err := g.state.panicked, g.snapshotLocked(), g.state.err
	g.mu.Unlock()
	if panicked != "" {
		panic(panicked) // in the caller's goroutine, where somebody recovers
	}
	return &out, err
}

func (g *Generation) awaitEnd() {
	select {
	case <-g.done:
	case <-time.After(abandonAfter):
	}
}

// contextError is the error for the end of the answer's context.
func (g *Generation) contextError() *providers.Error {
	g.mu.Lock()
	defer g.mu.Unlock()
	cause, model := context.Cause(g.ctx), g.state.out.Model
	var l *limitError
	switch {
	case errors.As(cause, &l) && g.state.phase == queued:
		return g.c.noSlotError(model.Provider, l.limit)
	case errors.As(cause, &l) && !g.state.hasDelta && l.limit == g.c.cfg.Timeouts.Idle():
		return timeoutError(l.limit, fmt.Sprintf("%s began to answer, and then sent nothing within %s.", model.ID, l.limit))
	case errors.As(cause, &l) && !g.state.hasDelta:
		return timeoutError(l.limit, fmt.Sprintf("%s sent nothing within %s.", model.ID, l.limit))
	case errors.As(cause, &l):
		return timeoutError(l.limit, fmt.Sprintf("%s did not finish its answer within %s.", model.ID, l.limit))
	case errors.Is(cause, context.DeadlineExceeded):
		return &providers.Error{Kind: providers.KindTimeout, Message: fmt.Sprintf("%s did not answer in the caller's time.", model.ID), Err: cause}
	case errors.Is(cause, errTooLong):
		return &providers.Error{Kind: providers.KindTooLarge, Message: fmt.Sprintf("%s wrote more than MAX_ANSWER_BYTES=%d.", model.ID, g.c.cfg.Calls.MaxAnswerBytes), Err: cause}
	}
	return &providers.Error{Kind: providers.KindCancelled, Message: "The call was cancelled.", Err: cause}
}

// noSlotError is the error of a request that waited in the queue until its time was over.
func (c *Caller) noSlotError(provider string, limit config.Limit) *providers.Error {
	e := timeoutError(limit, fmt.Sprintf("Timed out after %s waiting for a free %s request slot.", limit, c.cfg.VendorTitle(provider)))
	e.Hint = fmt.Sprintf("Send it again later, or raise %s_MAX_INFLIGHT in the server's environment.", strings.ToUpper(provider))
	return e
}

// finish decides, once, what the answer has come to, and reports a limit that ended it.
func (g *Generation) finish(resp *providers.ChatResponse, err error) {
	var failure *providers.Error
	g.update(func(s *state) {
		if s.phase == ended {
			return
		}
		s.out.Elapsed = time.Since(g.deadline.start)
		if failure = asError(err); failure != nil {
			failure = located(failure, s.out.Model.Provider, s.out.Model.ID, g.deadline.start)
			if failure.RequestID == "" {
				failure.RequestID = s.request.id
			}
		}
		s.conclude(resp, err, failure, g.ctx.Err() != nil)
		s.control, _ = s.next(answerEnded)
	})
	if failure != nil {
		g.c.reportFailedLimit(failure, g.deadline.budget)
	}
}

// conclude makes the outcome: an answer, a partial one, or the error. stopped says that the answer's context has ended.
func (s *state) conclude(resp *providers.ChatResponse, err error, failure *providers.Error, stopped bool) {
	out := &s.out
	usage, searches := out.Response.Usage, out.Response.Searches
	switch {
	case err == nil:
		out.Response, out.Original = *resp, s.original(resp.Content, false)
		out.Partial = resp.FinishReason == providers.FinishLength || resp.FinishReason == providers.FinishContentFilter
		if len(resp.Searches) > 0 { // by the vendor's own tool, whose one price covers a whole request
			out.Searches.Count++
			out.Searches.CostUSD = providers.RoundUSD(out.Searches.CostUSD + resp.Usage.CostUSD)
			searches = append(searches, resp.Searches...)
		}
	case failure == nil:
		s.err = err // Build's own
	case s.phase == detached || s.hasDelta && (s.interrupted || stopped): // detached, its call has returned a partial answer
		out.Partial, out.Cut = true, failure
		var notes []string
		out.Response.Content, out.Original, notes = s.partialText()
		out.Notes = append(out.Notes, notes...)
		out.Response.Reasoning = s.thought.String()
		out.Response.FinishReason, out.Limit = s.cutReason(failure)
		if resp != nil && resp.FinishReason == providers.FinishLength {
			out.Response.FinishReason = resp.FinishReason // it ended before any text, behind a call that promised some
		}
		out.Response.RequestID = failure.RequestID
	default:
		s.err = failure
		out.Response.RequestID = failure.RequestID
	}
	if s.err == nil {
		out.noteLocal()
	}
	out.Response.Usage, out.Response.UsageKnown, out.Response.Searches = usage, !s.estimated && usage != providers.Usage{}, searches
}

// cutReason is why a partial answer ended, and the limit if it was one.
func (s *state) cutReason(e *providers.Error) (providers.FinishReason, *config.Limit) {
	switch e.Kind {
	case providers.KindTimeout:
		return providers.FinishTimeout, e.Limit
	case providers.KindCancelled:
		if s.phase == detached && !errors.Is(e.Err, errCallerCancelled) { // it was evicted by another one; what ended its call stays the reason
			return providers.FinishTimeout, s.limit
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
	return g.state.out.Model.Provider
}

// recoverPanic ends an answer that a bug has interrupted; await panics with it where somebody recovers.
func (g *Generation) recoverPanic() {
	if p := recover(); p != nil {
		stack := debug.Stack()
		g.update(func(s *state) { s.panicked = fmt.Sprintf("%v\n%s", p, stack) })
		g.cancel(errStopped)
		g.finish(nil, &providers.Error{Kind: providers.KindProviderError, Message: "Internal error while answering."})
	}
}
