package providers

import (
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// Kind is the machine code of a failed model call, one of the contract's error codes.
type Kind string

// The kinds of failure that a request to a vendor can end with.
const (
	KindInvalidRequest  Kind = "invalid_request"
	KindModelNotFound   Kind = "model_not_found"
	KindNotConfigured   Kind = "not_configured"
	KindAuth            Kind = "auth"
	KindBalance         Kind = "balance"
	KindBudget          Kind = "budget" // MAX_COST_PER_CALL_USD or MAX_COST_PER_DAY_USD; nothing was sent
	KindRateLimited     Kind = "rate_limited"
	KindOverloaded      Kind = "overloaded"
	KindTimeout         Kind = "timeout"
	KindNetwork         Kind = "network"
	KindContentFiltered Kind = "content_filtered"
	KindContextLength   Kind = "context_length"
	KindProviderError   Kind = "provider_error"
	KindTooLarge        Kind = "too_large"
	KindCancelled       Kind = "cancelled" // the client cancelled; never shown, since nobody waits
)

// Error is a failed request, for three audiences: Kind for programs, Message and Hint for the model that reads the
// reply, Err for the log. Message and Hint never hold a vendor's body, an address's credentials or a key.
type Error struct {
	Kind     Kind
	Message  string // one sentence that names what failed
	Hint     string // what to do next
	Provider string
	Model    string
	// Retry: the vendor's documentation classes it as worth another attempt of the same request.
	Retry bool
	// Concurrency: the vendor refused since too many requests run at once.
	Concurrency bool
	// PerMinute: the vendor refused since a limit of requests or tokens per minute is reached.
	PerMinute bool
	// NoFunctions: the model, or the server that runs it, takes no functions; the request may be sent without them.
	NoFunctions bool
	// TooManyTokens is by how many tokens the request, its output limit included, exceeds what one request of this account
	// may ask for; 0 if unknown. With a lower output limit it may be sent.
	TooManyTokens int
	RetryAfter    time.Duration // what the vendor asked for; 0 if it did not
	Param         string        // the wire parameter that a 400 blames, "" if none
	// Function is the function of the request that a 400 blames, SchemaPath the place in its parameters' schema, such as
	// "properties.a"; "" where the vendor names none.
	Function, SchemaPath string
	HTTPStatus           int
	VendorCode           string // the vendor's code or type, for the log
	RequestID            string
	Limit                *config.Limit // the limit that fired, for KindTimeout
	Elapsed              time.Duration // from the call's start
	Err                  error
}

// Error is the sentence for logs; replies are made from the fields.
func (e *Error) Error() string {
	s := string(e.Kind) + ": " + e.Message
	if e.Err != nil {
		s += " (" + e.Err.Error() + ")"
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }
