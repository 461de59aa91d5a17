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
	// Tools are functions that the model may call. One with Run is run here, at most 5 rounds; a call of one without ends
	// the answer with FinishToolCalls.
	Tools []Tool
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
	// Run answers one call with the text for the tool message. nil: the client of our client runs it.
	Run func(ctx context.Context, arguments string) (string, error)
}

// Outcome is what a call came to: a finished answer, or a partial one with the reason in FinishReason.
type Outcome struct {
	Response providers.ChatResponse // Usage summed over all rounds, CostUSD filled in
	// Original is the answer's text as the model wrote it, where function calls written as text were removed from
	// Response.Content; else "".
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
