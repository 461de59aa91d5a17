package calls

import (
	"sync"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// events delivers a call's signs of life to its listener, one at a time, until the call returns.
type events struct {
	on func(providers.Event) // may be nil

	mu     sync.Mutex
	closed bool
}

func (l *events) emit(e providers.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed && l.on != nil {
		l.on(e)
	}
}

// close ends the delivery, after a last event unless it is nil.
func (l *events) close(last *providers.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if last != nil && l.on != nil {
		l.on(*last)
	}
}

// emit sends an event as things stand.
func (g *Generation) emit(phase providers.Phase, wait time.Duration) {
	g.mu.Lock()
	e := g.state.event(phase)
	g.mu.Unlock()
	e.Wait = wait
	g.events.emit(e)
}

// emitAbout sends an event about what a function does.
func (g *Generation) emitAbout(phase providers.Phase, about string) {
	var e providers.Event
	g.update(func(s *state) {
		s.reading = phase == providers.PhaseReading
		e = s.event(phase)
	})
	e.Detail = about
	g.events.emit(e)
}

// stopEvents sends no more events, after a last one where the answer goes on in the background.
func (g *Generation) stopEvents() {
	g.mu.Lock()
	isDetached, last := g.state.phase == detached, g.state.event(providers.PhaseBackground)
	g.mu.Unlock()
	if isDetached {
		g.events.close(&last)
	} else {
		g.events.close(nil)
	}
}

func (s *state) event(phase providers.Phase) providers.Event {
	return providers.Event{
		Phase: phase, Provider: s.out.Model.Provider, Model: s.out.Model.ID,
		Tokens: s.received.Tokens(), Attempt: s.request.attempts,
	}
}
