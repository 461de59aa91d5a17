package providers

import (
	"context"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// Call is one question of a tool to "a model": which one answers, and how often it is asked, is the Caller's business.
type Call struct {
	// Model is the name that the caller gave, "" or "auto" for none. A named model is never swapped for another vendor's.
	Model string
	// Prefer is the thread's model, used when Model names none; unlike a named one it may fall back.
	Prefer string
	// Provider binds the call to one vendor ("glm", "kimi"), for that vendor's own tools. "" means any.
	Provider string
	Category Category
	Needs    Needs
	Thinking ThinkingMode
	Search   bool // let the model search the web, if model and vendor can
	// Build makes the request for the model that was chosen: history within its window, its images. Model, Thinking, Drop,
	// NativeSearch, MaxOutputTokens (when 0) and Functions of Tools are filled in afterwards.
	Build func(m Model) (ChatRequest, error)
	// Tools are functions that the model may call. One with Run is run here, at most 5 rounds; a call of one without ends
	// the answer with FinishToolCalls.
	Tools []Tool
	// Key is the continuation id that background work is found by.
	Key string
	// Background allows the answer to go on after a limit of ours (BACKGROUND_COMPLETION permitting).
	Background bool
	// On hears of every phase and of text arriving; it must return quickly. May be nil.
	On func(Event)
}

// Tool is a Function with the code that runs it.
type Tool struct {
	Function
	// Run answers one call with the text for the tool message. nil: the client of our client runs it.
	Run func(ctx context.Context, arguments string) (string, error)
}

// Event is a sign of life of a running call.
type Event struct {
	Phase    Phase
	Provider string
	Model    string
	Tokens   int           // estimated tokens received so far, reasoning included
	Attempt  int           // requests sent so far
	Wait     time.Duration // for PhaseRetrying: how long until the next attempt
}

// Phase is what a running call is doing.
type Phase string

// The phases of a call.
const (
	PhaseQueued     Phase = "queued"
	PhaseAsking     Phase = "asking"
	PhaseThinking   Phase = "thinking"
	PhaseWriting    Phase = "writing"
	PhaseSearching  Phase = "searching"
	PhaseRetrying   Phase = "retrying"
	PhaseFallback   Phase = "fallback"
	PhaseBackground Phase = "background"
)

// Outcome is what a call came to: a finished answer, or a partial one with the reason in FinishReason.
type Outcome struct {
	Response ChatResponse // Usage summed over all rounds, CostUSD filled in
	Model    Model        // who really answered
	Partial  bool
	Limit    *config.Limit // the limit that ended a partial answer, if one did
	Cut      *Error        // why a partial answer was cut short; nil where the model itself ended it so, or it goes on
	// Live is the running generation when it goes on in the background; nil else.
	Live     *Generation
	Thinking string // the switch as sent
	Attempts int    // requests sent
	Fallback *Fallback
	Notes    []string
	Elapsed  time.Duration
	Messages []Message // the tool-loop messages after the request's own, for callers that hand the loop on
}

// Fallback says that another model answered than the one first chosen, and why.
type Fallback struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Reason string `json:"reason"`
}

// Observer hears what happened on the wire, for the health figures and the logs. Its methods return quickly.
type Observer interface {
	// Attempt is told of every request sent, when it has ended.
	Attempt(Attempt)
	// LimitPassed is told of every limit that ended something.
	LimitPassed(LimitPassed)
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

// LimitPassed is one limit that fired.
type LimitPassed struct {
	Limit     config.Limit
	Provider  string
	Model     string
	RequestID string // the vendor's
	Elapsed   time.Duration
	// The tool call that it happened in, "" outside of one; the conversation is "" where the call has none.
	Tool, ContinuationID string
}
