// Package progress turns what a call is doing into the short messages that a waiting client sees. A message is a string,
// sent by the function that the caller passes.
package progress

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// The pace of the messages: clients are promised none in the first 200 ms of a call, the first by 250 ms, at most one per
// 100 ms, and one at least every 5 s.
const (
	first    = 205 * time.Millisecond // from the call's start to its first message: most calls are over before
	pace     = 110 * time.Millisecond // the least time between two messages; changes meanwhile become one message
	interval = 4 * time.Second        // between messages when nothing changes
)

// maxLine is the longest message, in characters.
const maxLine = 199

// Reporter sends one call's progress messages. All its methods are safe for concurrent use and do nothing on a nil Reporter.
type Reporter struct {
	send    func(string) // nil: the client wants no progress
	onEvent func(providers.Event)
	id      string
	start   time.Time

	mu       sync.Mutex
	phase    string
	models   []*line
	earliest time.Time   // when the next message may be sent
	timer    *time.Timer // sends the next message; nil when send is nil
	waiting  bool        // there is news that no message has reported yet
	closed   bool
}

// line is what one model is doing.
type line struct {
	name   string
	phase  string
	tokens int
}

// Start begins to report a call that began at start: the first message is sent 205 ms later, another when something has
// changed, at most one per 110 ms, and at least one every 4 s until Stop. continuationID, when the call has one, leads every
// message. onEvent receives every event of a model. Both functions may be nil.
func Start(send func(message string), onEvent func(providers.Event), continuationID, phase string, start time.Time) *Reporter {
	r := &Reporter{send: send, onEvent: onEvent, id: continuationID, phase: phase, start: start, earliest: start.Add(first)}
	if send == nil {
		return r
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = true
	r.timer = time.AfterFunc(time.Until(r.earliest), r.tick)
	return r
}

// Stop ends the reporting. No message is sent after it has returned.
func (r *Reporter) Stop() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.timer != nil {
		r.timer.Stop()
	}
}

// ContinuationID returns the id of the conversation that this call continues or will begin, "" for a call without one.
func (r *Reporter) ContinuationID() string {
	if r == nil {
		return ""
	}
	return r.id
}

// Phase sets what the tool itself is doing, "reading files". It is shown until a model begins.
func (r *Reporter) Phase(text string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.phase != text || len(r.models) > 0 {
		r.phase, r.models = text, nil
		r.changedLocked()
	}
}

// Model returns a function for calls.Call.On that reports one model's call; several may run at once.
func (r *Reporter) Model() func(providers.Event) {
	if r == nil {
		return nil
	}
	l := &line{}
	return func(e providers.Event) {
		if r.onEvent != nil {
			r.onEvent(e)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		phase := describe(e)
		changed := phase != l.phase || e.Model != "" && e.Model != l.name
		l.phase, l.tokens = phase, e.Tokens
		if e.Model != "" {
			l.name = e.Model
		}
		if !changed {
			return
		}
		known := false
		for _, have := range r.models {
			known = known || have == l
		}
		if !known {
			r.models = append(r.models, l)
		}
		r.changedLocked()
	}
}

func describe(e providers.Event) string {
	if e.Detail != "" {
		return string(e.Phase) + " " + e.Detail
	}
	switch {
	case e.Phase == providers.PhaseRetrying:
		return fmt.Sprintf("retrying in %.1f s (attempt %d)", e.Wait.Seconds(), e.Attempt+1)
	case e.Attempt > 1:
		return fmt.Sprintf("%s (attempt %d)", e.Phase, e.Attempt)
	}
	return string(e.Phase)
}

// tick is what the timer runs.
func (r *Reporter) tick() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.emitLocked()
	}
}

// changedLocked reports news: now, or as soon as a message may be sent.
func (r *Reporter) changedLocked() {
	if r.send == nil || r.closed || r.waiting {
		return
	}
	if wait := time.Until(r.earliest); wait > 0 {
		r.waiting = true
		r.timer.Reset(wait)
		return
	}
	r.emitLocked()
}

// emitLocked sends the present state. The lock keeps messages in order, and keeps any from following Stop.
func (r *Reporter) emitLocked() {
	r.waiting = false
	r.earliest = time.Now().Add(pace)
	r.timer.Reset(interval)
	r.send(r.text())
}

// text is one message: the continuation_id, then what each model, or else the tool, is doing.
func (r *Reporter) text() string {
	var parts []string
	if r.id != "" {
		parts = append(parts, "continuation_id="+r.id)
	}
	seconds := int(time.Since(r.start).Seconds())
	for _, l := range r.models {
		name := l.name
		if name == "" {
			name = "model"
		}
		text := fmt.Sprintf("%s %s, %d s", name, l.phase, seconds)
		if l.tokens > 0 {
			text += fmt.Sprintf(", %d tokens", l.tokens)
		}
		parts = append(parts, text)
	}
	if len(r.models) == 0 {
		parts = append(parts, fmt.Sprintf("%s, %d s", r.phase, seconds))
	}
	return shorten(strings.Join(parts, " | "))
}

func shorten(s string) string {
	if runes := []rune(s); len(runes) > maxLine {
		return string(runes[:maxLine-1]) + "…"
	}
	return s
}

type key struct{}

// With puts a reporter on the context.
func With(ctx context.Context, r *Reporter) context.Context { return context.WithValue(ctx, key{}, r) }

// From returns the call's reporter, nil where there is none.
func From(ctx context.Context) *Reporter {
	r, _ := ctx.Value(key{}).(*Reporter)
	return r
}
