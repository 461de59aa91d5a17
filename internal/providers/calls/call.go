package calls

import (
	"context"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Call is one question of a tool to "a model": which one answers, and how often it is asked, is the Caller's business.
type Call struct {
	// Model is the name that the caller gave, "" or "auto" for none. A named model is never swapped for another vendor's.
	Model string
	// Prefer is the conversation's model, used when Model names none; unlike a named one it may fall back.
	Prefer string
	// Provider binds the call to one vendor ("glm", "kimi"), for that vendor's own tools. "" means any.
	Provider string
	Category providers.Category
	Needs    providers.Needs
	Thinking providers.ThinkingMode
	Search   bool // let the model search the web, if model and vendor can
	// Build makes the request for the model that was chosen: history within its window, its images. Model, Thinking, Drop,
	// NativeSearch, MaxOutputTokens (when 0) and Functions of Tools are filled in afterwards.
	Build func(m providers.Model) (providers.ChatRequest, error)
	// Tools are functions that the model may call. One with Run is run here, within Bounds; a call of one without ends the
	// answer with FinishToolCalls.
	Tools []Tool
	// Bounds limit the functions that are run here; the zero value means DefaultBounds.
	Bounds Bounds
	// NoCalls: the functions are listed, so that the request begins like an earlier one that offered them, but none is run.
	NoCalls bool
	// Key is the continuation id that background work is found by.
	Key string
	// Background allows the answer to go on after a limit of ours (BACKGROUND_COMPLETION permitting).
	Background bool
	// On is called for every phase and for text that arrives; it must return quickly. May be nil.
	On func(providers.Event)
}

// Tool is a Function with the code that runs it.
type Tool struct {
	providers.Function
	// Run answers one call with the text for the tool message, of which room bytes are used. Calls of one round run at the
	// same time; one that was answered is not run again. nil: the client of our client runs it.
	Run func(ctx context.Context, arguments string, room int) (string, error)
	// Optional: a model that takes no functions answers without it.
	Optional bool
	// Phase is what the call is doing meanwhile, "" for nothing of its own; About names what it is done to, and may be nil.
	Phase providers.Phase
	About func(arguments string) string
}

// Bounds limit the functions of one answer. Beyond them, and when half of the call's limit is over, the model is told to
// conclude with what it has.
type Bounds struct {
	Rounds int // exchanges of function calls
	Calls  int // of one round that are run
	Bytes  int // of all results together
}

// DefaultBounds are the bounds of a call that names none: five requests, the last of which concludes.
func DefaultBounds() Bounds { return Bounds{Rounds: 4, Calls: 8, Bytes: 240_000} }

// Outcome is what a call came to: a finished answer, or a partial one with the reason in FinishReason.
type Outcome struct {
	Response providers.ChatResponse // Usage summed over all rounds, CostUSD filled in
	// Original is all text that the model wrote, where function calls written as text were taken out of it, in whatever
	// round; else "".
	Original string
	Model    providers.Model // who really answered
	Partial  bool
	Limit    *config.Limit    // the limit that ended a partial answer, if one did
	Cut      *providers.Error // why a partial answer was cut short; nil where the model itself ended it so, or it goes on
	// Live is the running generation when it goes on in the background; nil else.
	Live     *Generation
	Thinking string // the switch as sent
	Attempts int    // requests sent
	Fallback *providers.Fallback
	Searches providers.SearchTotal // made for this answer; what they found is in Response.Searches
	Notes    []string
	Elapsed  time.Duration
	Messages []providers.Message // the tool-loop messages after the request's own, for callers that continue the loop themselves
}
