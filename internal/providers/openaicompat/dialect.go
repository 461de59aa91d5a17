package openaicompat

import (
	"net/http"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Dialect is what one vendor does its own way. A nil hook means that the vendor does nothing special there.
type Dialect struct {
	// Name is the vendor's short name, "glm"; Label is what sentences call it, "GLM".
	Name  string
	Label string
	// Shape finishes a chat request: w already holds what both vendors write alike (messages, tools, thinking,
	// response_format), Shape adds, changes and leaves out the rest.
	Shape func(req providers.ChatRequest, w *Wire)
	// Image makes a picture one that the vendor takes.
	Image func(providers.Image) providers.Image
	// Classify says what a fault means in this vendor's words. A Verdict without a Kind leaves it to the HTTP status.
	Classify func(f Fault) Verdict
	// Hints replace the general advice for a kind of failure.
	Hints map[providers.Kind]string
	// Header goes with every request.
	Header http.Header
	// ReasoningField is the name of a message's reasoning in requests, "" for "reasoning_content". In answers that name and
	// "reasoning" are both read.
	ReasoningField string
	// Returned are the fields of an assistant's message and of its calls that go back unchanged in a function loop, such as
	// "reasoning_details" and "extra_content". Others, of another vendor's answer, are not sent.
	Returned []string
	// NoStreamOptions: the vendor refuses stream_options, or reports usage without being asked.
	NoStreamOptions bool
	// ThoughtTags: reasoning may stand at the beginning of the text, as <think>...</think>.
	ThoughtTags bool
}

// Fault is what a vendor says went wrong, taken apart. Its texts are untrusted: they are for classifying and for the
// log, never for a reply.
type Fault struct {
	Op        string // what was asked for: OpChat, or the operation's name
	Status    int    // the HTTP status; 200 for a fault inside an answer
	Code      string // a number or a word, as text
	Type      string
	Message   string
	Param     string // the parameter that the body names by itself, "" if none
	RequestID string // where the body tells it
	HTML      bool   // the body is a web page, so something else than the API answered

	RetryAfter time.Duration   // what the response's header asks for; 0 if it does not
	RetryDelay string          // the same in the body, "17s"; "" if it does not
	resets     map[string]text // headers of limits that the body repeats
}

// Verdict is what a Fault means to a caller.
type Verdict struct {
	Kind        providers.Kind
	Retry       bool // the vendor's documentation classes it as worth another attempt
	Concurrency bool // too many requests at once
	PerMinute   bool // a limit of requests or tokens per minute is reached
	NoFunctions bool // the model, or its server, takes no functions
	// TooManyTokens is by how many tokens, the output limit included, the request exceeds what one may ask for; 0 if unknown.
	TooManyTokens int
	// Message says what happened where the kind alone would not, without a full stop; "" for the general sentence.
	Message string
	Hint    string
	RetryAt time.Time // when the vendor says that a limit is reset; zero where it does not
}
