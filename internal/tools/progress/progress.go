// Package progress turns what a call is doing into the short messages that a waiting client sees.
//
// It knows no protocol: a message is a string, and who asked for it gave a function.
package progress

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

const (
	// every is how often a call speaks that has nothing new to say; clients are promised a message every 5 s.
	every = 4 * time.Second
	// pace is the least time between two messages. What changes meanwhile waits, and only what has come of it is told: a
	// panel of many models does not flood its client, and the last message does not come right before the result, where
	// clients made with MCP's TypeScript SDK can't tell any more what it belongs to.
	pace = 200 * time.Millisecond
	// maxLine is the longest message, in characters.
	maxLine = 199
)

// Reporter speaks for one call. All its methods are safe for concurrent use and do nothing on a nil Reporter.
type Reporter struct {
	send  func(string) // nil: nobody listens
	heard func(providers.Event)
	id    string
	start time.Time
	stop  chan struct{}
	done  chan struct{}

	mu     sync.Mutex
	phase  string
	models []*line
	spoken time.Time // when the last message went out
	unsaid bool      // there is news since
	closed bool
}

// line is what one model is doing.
type line struct {
	name   string
	phase  string
	tokens int
}

// Start begins to report: the first message goes out at once, another when something has changed, at most five a second,
// and at least one every 5 s until Stop. continuationID, when the call has one, leads every message. heard is told every event of a model. Both
// functions may be nil.
func Start(send func(message string), heard func(providers.Event), continuationID, phase string, start time.Time) *Reporter {
	r := &Reporter{send: send, heard: heard, id: continuationID, phase: phase, start: start}
	if send == nil {
		return r
	}
	r.stop, r.done = make(chan struct{}), make(chan struct{})
	r.speak()
	go r.tick()
	return r
}

// Stop ends the reporting. No message is sent after it has returned.
func (r *Reporter) Stop() {
	if r == nil {
		return
	}
	r.mu.Lock()
	already := r.closed
	r.closed = true
	r.mu.Unlock()
	if r.send != nil && !already {
		close(r.stop)
		<-r.done
	}
}

// ContinuationID is the id of the conversation that this call works on or will begin, "" for a call without one.
func (r *Reporter) ContinuationID() string {
	if r == nil {
		return ""
	}
	return r.id
}

// Phase says what the tool itself is doing, "reading files". It stands until a model begins.
func (r *Reporter) Phase(text string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.phase != text || len(r.models) > 0 {
		r.phase, r.models = text, nil
		r.speak()
	}
}

// Model gives a function for providers.Call.On that reports one model's call; several may run at once.
func (r *Reporter) Model() func(providers.Event) {
	if r == nil {
		return nil
	}
	l := &line{}
	return func(e providers.Event) {
		if r.heard != nil {
			r.heard(e)
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
		r.speak()
	}
}

func describe(e providers.Event) string {
	switch {
	case e.Phase == providers.PhaseRetrying:
		return fmt.Sprintf("retrying in %.1f s (attempt %d)", e.Wait.Seconds(), e.Attempt+1)
	case e.Attempt > 1:
		return fmt.Sprintf("%s (attempt %d)", e.Phase, e.Attempt)
	}
	return string(e.Phase)
}

func (r *Reporter) tick() {
	defer close(r.done)
	t := time.NewTicker(pace / 2)
	defer t.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-t.C:
			r.mu.Lock()
			if r.unsaid || time.Since(r.spoken) >= every {
				r.speak()
			}
			r.mu.Unlock()
		}
	}
}

// speak sends the present line, or leaves it to a later tick when one went out just now. The caller holds the lock, so
// messages stay in order and none follows Stop.
func (r *Reporter) speak() {
	if r.send == nil || r.closed {
		return
	}
	if r.unsaid = time.Since(r.spoken) < pace; r.unsaid {
		return
	}
	r.spoken = time.Now()
	r.send(r.text())
}

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

// From gives the call's reporter, nil where there is none.
func From(ctx context.Context) *Reporter {
	r, _ := ctx.Value(key{}).(*Reporter)
	return r
}
