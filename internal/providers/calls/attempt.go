package calls

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// attempt makes one HTTP exchange: it waits for a slot, sends the request and reads the stream to its end.
func (g *Generation) attempt(p providers.Provider, req providers.ChatRequest) (*providers.ChatResponse, *providers.Error) {
	release, failure := g.acquireSlot(p.Name())
	if failure != nil {
		return nil, failure
	}
	defer release()
	ch, failure := g.c.reserve(g.ctx, g.costBudget(), req.Model, p.Name(), g.c.plan(req))
	if failure != nil {
		if g.ctx.Err() != nil {
			failure = g.contextError()
		}
		return nil, failure
	}
	defer ch.abandon()
	req.MaxOutputTokens = ch.capped
	var reading bool
	g.update(func(s *state) {
		s.addNotes(ch.notes)
		s.release = release
		s.out.Attempts++
		s.request.attempts++
		reading, s.reading = s.reading && s.request.attempts == 1, false
		s.request.id = ""
	})
	if !reading { // else what was read stays what the call says that it does, until the model answers
		g.emit(providers.PhaseAsking, 0)
	}

	a := providers.Attempt{Provider: p.Name(), Model: req.Model.ID, Op: "chat", Start: time.Now()}
	ctx := providers.OnRequestID(g.ctx, func(id string) {
		g.update(func(s *state) { s.request.id = id })
	})
	resp, err := p.Chat(ctx, req, func(d providers.Delta) { g.onDelta(d, &a) })

	var final bool // what was delivered cannot be taken back, so nothing is sent again
	g.update(func(s *state) {
		a.RequestID = s.request.id
		if resp != nil {
			s.out.Response.Header = resp.Header // a partial answer's are worth keeping too
			if resp.RequestID != "" {
				a.RequestID = resp.RequestID
			}
		}
		a.Usage = s.addUsage(req.Model, resp)
		final = s.request.sentDelta && (s.request.sentText || !s.request.inRounds)
		s.interrupted = s.interrupted || err != nil && s.request.sentDelta
		s.control, _ = s.next(requestEnded)
		s.attemptSentText = s.request.sentText
		s.request.sentDelta, s.request.sentText = false, false
	})

	if err == nil && resp == nil {
		err = &providers.Error{Kind: providers.KindProviderError, Message: fmt.Sprintf("%s sent no answer.", req.Model.ID)}
	}
	a.Err = g.attemptError(err, a, final)
	ch.settle(a, g.exceeded())
	g.c.reportAttempt(a)
	return resp, a.Err
}

// attemptError is the error of an attempt, nil for none. A final one is not retried.
func (g *Generation) attemptError(err error, a providers.Attempt, final bool) *providers.Error {
	e := g.c.failure(g.ctx, err, a.Provider, g.contextError)
	if e == nil {
		return nil
	}
	e.RequestID = cmp.Or(e.RequestID, a.RequestID)
	if final {
		e.Retry, e.Param = false, ""
	}
	return e
}

// costBudget names the call that the request belongs to.
func (g *Generation) costBudget() providers.Budget {
	b := g.deadline.budget
	b.ContinuationID = cmp.Or(b.ContinuationID, g.call.Key)
	return b
}

// exceeded is the limit that ended the call while this answer went on, "" for none.
func (g *Generation) exceeded() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state.limit == nil {
		return ""
	}
	return g.state.limit.Name
}

// addNotes adds the notes that are not there yet.
func (s *state) addNotes(notes []string) {
	for _, note := range notes {
		if !slices.Contains(s.out.Notes, note) {
			s.out.Notes = append(s.out.Notes, note)
		}
	}
}

// acquireSlot waits for a slot of the vendor. One that comes when the request's time is almost over is not used: what
// would be sent could only be cut off.
func (g *Generation) acquireSlot(vendor string) (release func(), failure *providers.Error) {
	if failure = g.c.delayed(vendor, g.timeLeft()); failure != nil && g.view().phase != detached {
		return nil, failure
	}
	release, err := g.c.slots.acquire(g.ctx, vendor, g.slotless, func() {
		g.update(func(s *state) { s.control, _ = s.next(noSlotFree) })
		g.emit(providers.PhaseQueued, 0)
	})
	if err != nil {
		return nil, g.contextError()
	}
	g.mu.Lock()
	waited, r := g.state.phase == queued, g.state.request
	g.mu.Unlock()
	if waited && g.timeLeft() < min(minAttempt, r.limit.Value/10) {
		release()
		limit, _ := g.deadline.firstLimit(r.limit, r.since)
		return nil, g.c.noSlotError(vendor, limit)
	}
	g.update(func(s *state) { s.control, _ = s.next(requestSent) })
	return release, nil
}

// onDelta takes one delta of the stream. An empty one says that the answer has started: from there on, silence counts.
func (g *Generation) onDelta(d providers.Delta, a *providers.Attempt) {
	if d.Prompt > 0 {
		g.onReading(d)
		return
	}
	var tooLong bool
	g.update(func(s *state) {
		if s.phase == ended { // its call has returned without it
			return
		}
		now := time.Now()
		if !s.hasFirstEvent {
			s.request.lastDelta = now
			s.control, _ = s.next(firstEvent)
		}
		if d.Restart {
			s.text.Reset()
			s.thought.Reset()
		}
		if d.Empty() {
			return
		}
		s.request.lastDelta = now
		s.control, _ = s.next(deltaArrived)
		if !s.request.sentDelta {
			s.request.sentDelta = true
			s.text.Reset()
			s.thought.Reset()
			a.FirstDelta = time.Since(a.Start)
		}
		s.request.sentText = s.request.sentText || d.Content != ""
		if limit := g.c.cfg.Calls.MaxAnswerBytes; limit > 0 {
			room := int(limit) - s.text.Len() - s.thought.Len()
			tooLong = len(d.Reasoning)+len(d.Content) > room
			d.Reasoning = clip(d.Reasoning, room)
			d.Content = clip(d.Content, room-len(d.Reasoning))
		}
		s.thought.WriteString(d.Reasoning)
		s.text.WriteString(d.Content)
		s.received.Add(d.Reasoning)
		s.received.Add(d.Content)
	})
	if d.Empty() && !tooLong {
		return
	}
	if tooLong {
		g.stop(errTooLong)
	}
	phase := providers.PhaseWriting
	if d.Content == "" && d.Reasoning != "" {
		phase = providers.PhaseThinking
	}
	g.emit(phase, 0)
}

// onReading takes what a server says while it reads the prompt: it is alive, so that the wait for its first event begins
// again.
func (g *Generation) onReading(d providers.Delta) {
	var begun bool
	g.update(func(s *state) {
		if begun = s.hasFirstEvent; !begun {
			s.request.since = time.Now()
		}
	})
	if !begun {
		g.emitAbout(providers.PhasePrompt, fmt.Sprintf("%d %%", 100*min(d.Read, d.Prompt)/d.Prompt))
	}
}

// addUsage adds what a request took to the answer's usage. Where the vendor did not say, since the answer was cut short,
// it is an estimate of what it will charge.
func (s *state) addUsage(m providers.Model, resp *providers.ChatResponse) providers.Usage {
	var u providers.Usage
	switch {
	case resp != nil && resp.UsageKnown:
		u = resp.Usage
	case s.request.sentDelta:
		u, s.estimated = s.estimate(), true
		if resp != nil {
			u.CostUSD = resp.Usage.CostUSD
		}
	default:
		return u
	}
	if resp == nil || !resp.CostKnown {
		u.CostUSD = providers.RoundUSD(u.CostUSD + m.Price.Cost(u))
	}
	s.out.Response.Usage = s.out.Response.Usage.Plus(u)
	return u
}

// estimate guesses what the request in progress has taken so far.
func (s *state) estimate() providers.Usage {
	thought := providers.EstimateTokens(s.thought.String())
	return providers.Usage{
		InputTokens: s.request.input, ReasoningTokens: thought, OutputTokens: thought + providers.EstimateTokens(s.text.String()),
	}
}
