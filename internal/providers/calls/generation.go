package calls

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Generation is the making of one answer: a goroutine that can outlive the call that started it.
//
//	   no slot is free
//	queued <---------- waiting <-----------------+ the request has ended: a function runs, a retry waits
//	  |  ------------>  |    \                   |
//	  |     a slot      |     +--------------> streaming
//	  |                 |      first event       |
//	  +-----------------+------------------------+-------------> ended: answer, failure, Stop, or a limit that
//	                    |                                        does not detach
//	                    |  the call's time is over, a delta has arrived (in this request or an earlier one) or a local
//	                    |  server has the request and loads its model or reads the prompt, the call allows a
//	                    v  background, and the answer was not told to stop
//	                detached ----------------------------------> ended: answer, failure, Stop, a first event that is
//	                                                             late, an idle stream, BACKGROUND_MAX_SECS
//
// All of it is one state, changed in update alone; control.next is the table of the arrows. The call's time is over at
// its budget's AnswerBy or, in a simple tool, at the limit of a request that has sent its first event.
//
// The work is nested in four levels, and only withRetries repeats a request:
//
//	tryCandidates   one model after the other. It falls back when mayFallBack says so.
//	runToolRounds   one model: request, run its functions, request again, until there is text (rounds.go). A round that
//	                fails is followed by one last request without functions.
//	withRetries     one request within its vendor's limit. It sends again when mayRetry says so (retry.go has the waits).
//	attempt         one HTTP exchange: slot, stream, usage, report to the observer (attempt.go).
type Generation struct {
	c        *Caller
	call     Call
	deadline callDeadline
	ctx      context.Context // of the answer; its cause says which limit, or who, ended it
	cancel   context.CancelCauseFunc
	done     chan struct{} // closed when the answer has ended
	detached chan struct{} // closed when the answer goes on in the background: no limit of the call counts any longer
	slotless chan struct{} // closed when it goes on without a slot, which a task does not
	letGo    sync.Once     // closes slotless
	events   events
	searches searches

	mu    sync.Mutex
	state state // changed in update alone
	timer *time.Timer
	armed time.Time // when timer fires; zero when it does not
}

// phase is where a generation is.
type phase int

const (
	waiting   phase = iota // for the first event of a request, for a retry or for a function
	queued                 // for a slot of the vendor
	streaming              // events of the request arrive
	detached               // the call is over; the same goes on in the background, without a slot unless it is a task
	ended
)

// control is the part of the state that decides about the call and the answer.
type control struct {
	phase         phase
	hasFirstEvent bool // the request in progress has sent its first event: what streaming is while attached
	hasDelta      bool // a delta has arrived, reasoning included, in this request or an earlier one
	stopping      bool // the answer was told to end
	whole         bool // the vendor's limit bounds a whole request, not only the wait for its first event
	background    bool // the call and BACKGROUND_COMPLETION allow the answer to go on behind the call
	local         bool // the model runs on this machine, where loading it and reading the prompt may take minutes
	sent          bool // a request is with the vendor and has not ended
	task          bool // detached, it keeps its slot and is not evicted: the client waits for it as a task
}

// event is something that happens to a generation.
type event int

const (
	noSlotFree event = iota
	requestSent
	firstEvent
	deltaArrived
	requestEnded
	callLimit       // the call's time is over, its reserve excepted
	requestLimit    // the vendor's limit of the request is over, queueing and retries included
	idleLimit       // STREAM_IDLE_TIMEOUT_SECS without a delta
	backgroundLimit // BACKGROUND_MAX_SECS since the answer was detached
	stopAsked       // by the caller, by a third background answer, by Close, by MAX_ANSWER_BYTES
	answerEnded
)

// action is what follows from an event beside the new phase.
type action int

const (
	nothing action = iota
	detach         // the call returns now, and the answer goes on
	stop           // the answer's context ends; what has arrived is kept
)

// next is the whole of a generation's logic in time.
func (c control) next(e event) (control, action) {
	attached := c.phase != detached
	switch {
	case c.phase == ended:
	case e == answerEnded:
		c.phase = ended
	case e == noSlotFree && attached:
		c.phase = queued
	case e == requestSent:
		c.sent = true
		if attached {
			c.phase = waiting
		}
	case e == firstEvent:
		c.hasFirstEvent = true
		if attached {
			c.phase = streaming
		}
	case e == deltaArrived:
		c.hasDelta = true
	case e == requestEnded:
		c.hasFirstEvent, c.sent = false, false
		if attached {
			c.phase = waiting
		}
	case e == callLimit && attached, e == requestLimit && attached && c.hasFirstEvent && c.whole:
		if (c.hasDelta || c.local && c.sent) && c.background && !c.stopping {
			c.phase = detached
			return c, detach
		}
		c.stopping = true
		return c, stop
	case e == requestLimit && !c.hasFirstEvent, e == idleLimit, e == backgroundLimit, e == stopAsked:
		c.stopping = true
		return c, stop
	}
	return c, nothing
}

// holdsNoSlot reports whether the answer needs no slot of its vendor any more.
func (c control) holdsNoSlot() bool { return c.phase == ended || c.phase == detached && !c.task }

// mayRetry reports whether a request that failed is sent again: the vendor documents the failure as worth it, an attempt
// is left, and it was no timeout, which has had its time. attempt clears Retry once a delta has arrived; within rounds of
// function calls only a delta with text does that. Whether the wait fits into what is left of the request's limit is
// decided with the wait, in retrying.run. A request that can be corrected (a parameter or the functions left out) is sent
// again besides, and does not count against the attempts.
func mayRetry(e *providers.Error, sent, attempts int) bool {
	return e.Retry && e.Kind != providers.KindTimeout && sent < attempts
}

// mayFallBack reports whether another candidate is asked after a failure; a model that the caller named is the only
// candidate. Nothing of an answer may have arrived, and the call must have time for an attempt. A model that the vendor
// does not have is replaced, where FALLBACK_ON_FAILURE is false by another of that vendor alone (see remaining in resolve.go). After any
// other failure FALLBACK_ON_FAILURE must be true, and the failure a retryable one or an overload, and no timeout.
func (g *Generation) mayFallBack(e *providers.Error) bool {
	if g.view().hasDelta || g.ctx.Err() != nil || g.deadline.bounded && time.Until(g.deadline.answerBy) <= minAttempt {
		return false
	}
	if e.Kind == providers.KindModelNotFound {
		return !Named(g.call.Model)
	}
	return g.c.cfg.Calls.FallbackOnFailure && (e.Retry || e.Kind == providers.KindOverloaded) && e.Kind != providers.KindTimeout
}

// state is everything about a generation that changes. Beside control, nothing in it decides.
type state struct {
	control
	request request // that is in progress, or was last
	// The answer as it grows. Content and reasoning are in text and thought until it has ended.
	out             Outcome
	text, thought   strings.Builder
	originals       []string             // of earlier rounds: texts that function calls were taken out of
	taken           string               // the same of the latest response, "" where nothing was taken out
	received        providers.TokenTally // over all requests of this answer
	interrupted     bool                 // a stream died after its first delta
	attemptSentText bool                 // the latest attempt has sent text
	reading         bool                 // files were read since the latest attempt
	estimated       bool                 // the usage is partly an estimate
	limit           *config.Limit        // that ended the call
	detachedAt      time.Time
	release         func() // gives back the slot of the latest attempt, if it still has it; nil before, and when a detached answer gave it back
	err             error
	panicked        string
}

// request is one request to a vendor, its retries included.
type request struct {
	limit     config.Limit // the vendor's; zero when no request is in progress
	since     time.Time
	expired   bool      // the limit is over; the first event came before
	input     int       // estimated tokens
	attempts  int       // so far
	id        string    // the vendor's, of the latest attempt
	inRounds  bool      // it belongs to an exchange of function calls
	sentDelta bool      // the attempt has sent a delta
	sentText  bool      // the attempt has sent text of an answer
	lastDelta time.Time // of the attempt, or its first event
}

func newGeneration(ctx context.Context, c *Caller, call Call, d callDeadline) *Generation {
	g := &Generation{c: c, call: call, deadline: d, done: make(chan struct{}), detached: make(chan struct{}), slotless: make(chan struct{}), events: events{on: call.On}}
	g.state.whole = d.simple()
	g.state.background = call.Background && c.cfg.Calls.BackgroundCompletion
	g.state.task = d.budget.Task
	// What a tool's function does inside this answer is bounded by the answer, not by the budget, which a background
	// answer outlives.
	g.ctx, g.cancel = context.WithCancelCause(providers.WithoutBudget(context.WithoutCancel(ctx)))
	return g
}

// update is the only place where the state changes. It makes the change, handles every limit that is over by then,
// checks the invariants and sets the timer for the next limit; a call that has become detached is then let go.
func (g *Generation) update(change func(*state)) {
	if g.updateState(change) {
		g.announceDetached()
	}
}

func (g *Generation) updateState(change func(*state)) (becameDetached bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &g.state
	before := s.phase
	change(s)
	g.handleLimitsLocked()
	if s.holdsNoSlot() && s.release != nil {
		s.release()
		s.release = nil
	}
	if fault := s.invalid(); fault != "" && s.panicked == "" {
		panic("generation: " + fault)
	}
	g.armLocked()
	return before != detached && s.phase == detached
}

// view is a copy of what decides.
func (g *Generation) view() control {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state.control
}

// attemptSentText reports whether the latest attempt has sent text of an answer.
func (g *Generation) attemptSentText() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state.attemptSentText
}

// stop ends the answer for a reason; what has arrived is kept.
func (g *Generation) stop(cause error) {
	g.update(func(s *state) {
		s.control, _ = s.next(stopAsked)
		g.cancel(cause)
	})
}

// invalid names the invariant that the state breaks, "" when it breaks none.
func (s *state) invalid() string {
	switch {
	case s.phase == streaming && !s.hasFirstEvent, (s.phase == waiting || s.phase == queued) && s.hasFirstEvent:
		return "the phase and the request's first event disagree"
	case s.request.sentDelta && !s.hasDelta, s.request.sentText && !s.request.sentDelta:
		return "a request has sent a delta that the answer lacks"
	case s.phase == detached && (s.limit == nil || !s.hasDelta && !s.local):
		return "detached without a limit or without a delta"
	case s.holdsNoSlot() && s.release != nil:
		return "a detached answer holds a slot"
	}
	return ""
}

// run makes the answer.
func (g *Generation) run(list []Candidate) {
	defer g.c.unregister(g)
	defer close(g.done)
	defer g.cancel(nil)
	defer g.recoverPanic()
	g.finish(g.tryCandidates(list))
}

// tryCandidates asks the first candidate and, after a failure, the next where mayFallBack allows it.
func (g *Generation) tryCandidates(list []Candidate) (*providers.ChatResponse, error) {
	tried := map[string]bool{}
	for {
		c := list[0]
		tried[c.Model.ID] = true
		c.Model = g.c.billed(c.Model)
		resp, err := g.runToolRounds(c)
		failure := asError(err)
		if err == nil || failure != nil { // else it is Build's, and no vendor was asked
			g.c.reg.recordResult(c.Model, g.vendorFailure(failure))
		}
		if failure == nil || !g.mayFallBack(failure) {
			return resp, err
		}
		if failure.Kind == providers.KindModelNotFound {
			g.readList(c.Model.Provider)
		}
		list = g.remaining(list[1:], c, failure, tried)
		if len(list) == 0 {
			return nil, err
		}
		if list[0].Model.Provider != c.Model.Provider {
			g.update(func(s *state) {
				s.out.Fallback = &providers.Fallback{From: c.Model.ID, To: list[0].Model.ID, Reason: string(failure.Kind)}
			})
			g.emit(providers.PhaseFallback, 0)
		}
	}
}

// vendorFailure is the failure as far as it is the vendor's: a limit of ours that ended an answer in the middle is not.
func (g *Generation) vendorFailure(e *providers.Error) *providers.Error {
	if e != nil && (e.Kind == providers.KindTimeout && g.view().hasDelta || e.Kind == providers.KindBudget) {
		return nil
	}
	return e
}

// withRetries sends one request until it is answered, may not be sent again, or its vendor's limit is over.
func (g *Generation) withRetries(p providers.Provider, j *job) (*providers.ChatResponse, *providers.Error) {
	g.update(func(s *state) {
		s.request = request{
			limit: g.c.cfg.Timeouts.Vendor(p.Name()), since: time.Now(), input: providers.EstimateRequest(j.req),
			inRounds: j.runsTools(),
		}
	})
	defer g.update(func(s *state) { s.request.limit = config.Limit{} })

	loop := retrying{
		attempts: 1 + g.c.cfg.Calls.MaxRetries,
		left:     g.timeLeft,
		ended:    g.contextError,
		correct: func(e *providers.Error) bool {
			return g.dropFunctions(j, e) || g.dropParameter(j, e) || g.lowerOutput(j, e)
		},
		waiting: func(wait time.Duration) { g.emit(providers.PhaseRetrying, wait) },
		jitter:  g.c.jitter,
	}
	var resp *providers.ChatResponse
	var earlier *providers.Error
	err := loop.run(g.ctx, func() (err *providers.Error) {
		resp, err = g.attempt(p, j.req)
		if err != nil && err.Kind == providers.KindBudget && earlier != nil { // what the vendor said counts more
			g.addNote("It was not sent again: " + err.Message)
			again := *earlier
			again.Retry = false
			return &again
		}
		earlier = err
		return err
	})
	if err == nil || err.Kind != providers.KindInvalidRequest { // else it was not the parameters, and later requests keep them
		g.c.rememberDropped(j.req.Model, j.req.Drop)
	}
	if err != nil && err.Kind == providers.KindModelNotFound {
		err.Hint = g.c.reg.suggest(j.req.Model.ID)
	}
	return resp, err
}

// timeLeft is what is left of the request's time. Once the answer is detached, the call's limit no longer counts.
func (g *Generation) timeLeft() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.state.request
	left := time.Until(r.since.Add(r.limit.Value))
	if g.deadline.bounded && g.state.phase != detached {
		left = min(left, time.Until(g.deadline.answerBy))
	}
	return left
}
