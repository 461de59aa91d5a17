package calls

import (
	"fmt"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// attempt sends one request and listens to its end.
func (g *Generation) attempt(p providers.Provider, req providers.ChatRequest) (*providers.ChatResponse, *providers.Error) {
	release, failure := g.slot(p.Name())
	if failure != nil {
		return nil, failure
	}
	defer release()
	g.mu.Lock()
	g.release = release
	if g.detached {
		release()
	}
	g.out.Attempts++
	g.asked.requestID = ""
	g.mu.Unlock()
	g.tell(providers.PhaseAsking, 0)

	a := providers.Attempt{Provider: p.Name(), Model: req.Model.ID, Op: "chat", Start: time.Now()}
	ctx := providers.OnRequestID(g.ctx, func(id string) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.asked.requestID = id
	})
	resp, err := p.Chat(ctx, req, func(d providers.Delta) { g.heard(d, &a) })

	g.mu.Lock()
	if g.onIdle != nil {
		g.onIdle.Stop()
	}
	a.RequestID = g.asked.requestID
	if resp != nil {
		g.out.Response.Header = resp.Header // a partial answer's are worth keeping too
		if resp.RequestID != "" {
			a.RequestID = resp.RequestID
		}
	}
	a.Usage = g.spend(req.Model, resp)
	broken := err != nil && g.delivering
	g.broken = g.broken || broken
	g.answering, g.delivering = false, false
	g.mu.Unlock()

	if err == nil && resp == nil {
		err = &providers.Error{Kind: providers.KindProviderError, Message: fmt.Sprintf("%s answered nothing.", req.Model.ID)}
	}
	if a.Err = g.c.failure(g.ctx, err, p.Name(), g.ending); a.Err != nil {
		if a.Err.RequestID == "" {
			a.Err.RequestID = a.RequestID
		}
		if broken { // what was delivered cannot be taken back, so nothing is sent again
			a.Err.Retry, a.Err.Param = false, ""
		}
	}
	g.c.attempted(a)
	return resp, a.Err
}

// slot waits for a slot of the vendor's queue. One that comes when the request's time is all but over is of no use: what
// would be sent could only be cut.
func (g *Generation) slot(vendor string) (release func(), failure *providers.Error) {
	release, err := g.c.slots.take(g.ctx, vendor, g.behind, func() {
		g.mu.Lock()
		g.asked.queued = true
		g.mu.Unlock()
		g.tell(providers.PhaseQueued, 0)
	})
	if err != nil {
		return nil, g.ending()
	}
	g.mu.Lock()
	waited, limit, since := g.asked.queued, g.asked.limit, g.asked.since
	g.asked.queued = false
	g.mu.Unlock()
	if waited && g.left(limit.Value, since) < min(minAttempt, limit.Value/10) {
		release()
		fires, _ := g.frame.first(limit, since)
		return nil, noSlot(vendor, fires)
	}
	return release, nil
}

// heard takes one delta of the stream. An empty one says that the answer has begun: from there on, silence counts.
func (g *Generation) heard(d providers.Delta, a *providers.Attempt) {
	idle := g.c.cfg.Timeouts.Idle()
	g.mu.Lock()
	if g.ended {
		g.mu.Unlock()
		return
	}
	switch {
	case !g.answering:
		g.answering = true
		g.onIdle = time.AfterFunc(idle.Value, func() { g.stop(&passed{idle}) })
	case !d.Empty():
		g.onIdle.Reset(idle.Value)
	}
	if d.Empty() {
		g.mu.Unlock()
		return
	}
	if !g.delivering {
		g.delivering, g.spoken = true, true
		g.text.Reset()
		g.thought.Reset()
		a.FirstDelta = time.Since(a.Start)
	}
	long := false
	if most := g.c.cfg.Calls.MaxAnswerBytes; most > 0 {
		room := int(most) - g.text.Len() - g.thought.Len()
		long = len(d.Reasoning)+len(d.Content) > room
		d.Reasoning = clip(d.Reasoning, room)
		d.Content = clip(d.Content, room-len(d.Reasoning))
	}
	g.thought.WriteString(d.Reasoning)
	g.text.WriteString(d.Content)
	g.received.Add(d.Reasoning)
	g.received.Add(d.Content)
	g.mu.Unlock()
	if long {
		g.stop(errTooLong)
	}
	phase := providers.PhaseWriting
	if d.Content == "" && d.Reasoning != "" {
		phase = providers.PhaseThinking
	}
	g.tell(phase, 0)
}

// spend adds what a request took to the answer's usage. Where the vendor did not say, since the answer was cut short, it
// is an estimate of what it will charge. The lock is held.
func (g *Generation) spend(m providers.Model, resp *providers.ChatResponse) providers.Usage {
	var u providers.Usage
	switch {
	case resp != nil && resp.UsageKnown:
		u = resp.Usage
	case g.delivering:
		u, g.guessed = g.estimate(), true
		if resp != nil {
			u.CostUSD = resp.Usage.CostUSD
		}
	default:
		return u
	}
	u.CostUSD = providers.RoundUSD(u.CostUSD + m.Price.Cost(u))
	g.out.Response.Usage = g.out.Response.Usage.Plus(u)
	return u
}

// estimate guesses what the request that runs now has taken so far. The lock is held.
func (g *Generation) estimate() providers.Usage {
	thought := providers.EstimateTokens(g.thought.String())
	return providers.Usage{
		InputTokens: g.asked.input, ReasoningTokens: thought, OutputTokens: thought + providers.EstimateTokens(g.text.String()),
	}
}
