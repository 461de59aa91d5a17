package providers

import (
	"context"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// Event is a sign of life of a running call.
type Event struct {
	Phase    Phase
	Provider string
	Model    string
	Tokens   int           // estimated tokens received so far, reasoning included
	Attempt  int           // of the request in progress, from 1; 0 before the first
	Wait     time.Duration // for PhaseRetrying: how long until the next attempt
	Detail   string        // what is read or searched, "" for nothing
}

// Phase is what a running call is doing.
type Phase string

// The phases of a call.
const (
	PhaseQueued     Phase = "queued"
	PhaseAsking     Phase = "asking"
	PhasePrompt     Phase = "reading the prompt" // a local server, which says so
	PhaseThinking   Phase = "thinking"
	PhaseWriting    Phase = "writing"
	PhaseSearching  Phase = "searching"
	PhaseReading    Phase = "reading" // the model's functions read files
	PhaseRetrying   Phase = "retrying"
	PhaseFallback   Phase = "fallback"
	PhaseBackground Phase = "background"
)

// Fallback says that another model answered than the one first chosen, and why.
type Fallback struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Reason string `json:"reason"`
}

// Observer receives what happened on the wire, for the health figures and the logs. Its methods return quickly.
type Observer interface {
	// Attempt is told of every request sent, when it has ended.
	Attempt(Attempt)
	// LimitExceeded is told of every limit that ended something.
	LimitExceeded(LimitExceeded)
}

// Attempt is one request sent to a vendor.
type Attempt struct {
	Provider   string
	Model      string
	Op         string // chat, search, upload, extract, models ...
	Start      time.Time
	Duration   time.Duration
	FirstDelta time.Duration // 0 when none came
	Usage      Usage
	RequestID  string
	Err        *Error // nil when it succeeded
}

// LimitExceeded is one limit that fired.
type LimitExceeded struct {
	Limit     config.Limit
	Provider  string
	Model     string
	RequestID string // the vendor's
	Elapsed   time.Duration
	// The tool call that it happened in, "" outside of one; the conversation is "" where the call has none.
	Tool, ContinuationID string
}

type requestIDKey struct{}

// OnRequestID returns a context with which a provider's requests report the vendor's ids for them; see ReportRequestID.
func OnRequestID(ctx context.Context, report func(id string)) context.Context {
	return context.WithValue(ctx, requestIDKey{}, report)
}

// ReportRequestID reports the vendor's id of a request to whoever sent it. A provider calls it as soon as the response's
// headers have arrived, with the context that it was given, so that an answer that never ends can be named too.
func ReportRequestID(ctx context.Context, id string) {
	if report, ok := ctx.Value(requestIDKey{}).(func(string)); ok && id != "" {
		report(id)
	}
}
