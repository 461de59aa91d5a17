package reply

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// Code is the machine-readable part of an error reply. The codes of model calls are the providers' Kinds.
type Code string

// The codes that a reply can carry.
const (
	CodeInvalidRequest       = Code(providers.KindInvalidRequest)
	CodeModelNotFound        = Code(providers.KindModelNotFound)
	CodeNotConfigured        = Code(providers.KindNotConfigured)
	CodeAuth                 = Code(providers.KindAuth)
	CodeBalance              = Code(providers.KindBalance)
	CodeBudget               = Code(providers.KindBudget)
	CodeRateLimited          = Code(providers.KindRateLimited)
	CodeOverloaded           = Code(providers.KindOverloaded)
	CodeTimeout              = Code(providers.KindTimeout)
	CodeNetwork              = Code(providers.KindNetwork)
	CodeContentFiltered      = Code(providers.KindContentFiltered)
	CodeContextLength        = Code(providers.KindContextLength)
	CodeProviderError        = Code(providers.KindProviderError)
	CodeTooLarge             = Code(providers.KindTooLarge)
	CodePathDenied           = Code("path_denied")
	CodeFileNotFound         = Code("file_not_found")
	CodeConversationNotFound = Code("conversation_not_found")
	CodeConversationBusy     = Code("conversation_busy")
	CodeConversationFull     = Code("conversation_full")
	CodeConversationExpired  = Code("conversation_expired")
	CodeStoreUnavailable     = Code("store_unavailable")
	CodeInternal             = Code("internal")
	// CodeCancelled is for logs alone. A client that cancelled gets no reply; one whose call ended with the server gets
	// CodeNetwork.
	CodeCancelled = Code(providers.KindCancelled)
)

// Error is a failure as the client reads it. Message and Hint hold no vendor's body, no stack trace and no key; Err, the
// cause, is for the log.
type Error struct {
	Code       Code
	Message    string // one sentence that names what failed
	Hint       string // what to do next
	Retryable  bool   // the same call may well succeed later
	Provider   string
	Model      string
	Limit      *config.Limit // the limit that fired
	Elapsed    time.Duration // from the call's start; 0 when it says nothing
	RetryAfter time.Duration
	Metadata   *Metadata // what asking took, where a model was asked without success: attempts, usage, fallback, notes
	Err        error
}

// Error is the sentence for logs, with what the vendor said by its codes.
func (e *Error) Error() string {
	s, cause := string(e.Code)+": "+e.Message, e.Err
	var vendor *providers.Error
	if errors.As(e.Err, &vendor) && vendor.Message == e.Message {
		cause = vendor.Err
		if vendor.HTTPStatus != 0 || vendor.VendorCode != "" {
			s += fmt.Sprintf(" [HTTP %d, code %q, request %q]", vendor.HTTPStatus, vendor.VendorCode, vendor.RequestID)
		}
	}
	var file *workspace.Error
	if errors.As(e.Err, &file) && file.Message == e.Message {
		cause = file.Err
	}
	if cause != nil {
		s += " (" + cause.Error() + ")"
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// InvalidRequest is an invalid_request: what is wrong with the arguments, and what to send instead.
func InvalidRequest(hint, format string, args ...any) *Error {
	return &Error{Code: CodeInvalidRequest, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// StoreUnavailable is the error about a database that did not answer or answered wrongly.
func StoreUnavailable(err error) *Error {
	return &Error{
		Code: CodeStoreUnavailable, Retryable: true, Err: err,
		Message: "The conversation store did not answer, so this conversation can't be read now.",
		Hint:    "Try again, or omit continuation_id to start a new conversation; status and exai-mcp doctor report what is wrong with the database.",
	}
}

// LimitExceeded is the error about an exceeded limit. It is also the cause of the context that the limit ends.
func LimitExceeded(limit config.Limit) *providers.Error {
	return &providers.Error{
		Kind: providers.KindTimeout, Limit: &limit, Retry: true,
		Message: fmt.Sprintf("The call exceeded its limit (%s).", limit),
		Hint:    "Ask for less in one call, or raise the limit in the server's environment; with a continuation_id, chat with a blank prompt fetches an answer in progress.",
	}
}

// FromError turns any error into one that a client may read. ctx is the call's, whose cause explains an error that only says
// that the context ended. An unknown error becomes "internal", without its text.
func FromError(ctx context.Context, err error) *Error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	var vendor *providers.Error
	if errors.As(err, &vendor) {
		return fromVendor(vendor)
	}
	var file *workspace.Error
	if errors.As(err, &file) {
		return &Error{Code: Code(file.Code), Message: file.Message, Hint: file.Hint, Err: file}
	}
	if known := fromStores(err); known != nil {
		return known
	}
	cause := context.Cause(ctx)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || cause != nil && errors.Is(err, cause) {
		switch {
		case errors.As(cause, &own):
			return own
		case errors.As(cause, &vendor):
			return fromVendor(vendor)
		case cause != nil:
			return &Error{Code: CodeCancelled, Message: "The call was cancelled.", Hint: "Call again.", Err: cause}
		}
	}
	return &Error{
		Code: CodeInternal, Err: err,
		Message: "Internal error in the tool.",
		Hint:    "The server's log (stderr) says more; please report it. Other calls are not affected.",
	}
}

func fromVendor(e *providers.Error) *Error {
	out := &Error{
		Code: Code(e.Kind), Message: e.Message, Hint: e.Hint, Retryable: e.Retry, Provider: e.Provider, Model: e.Model,
		Limit: e.Limit, Elapsed: e.Elapsed, RetryAfter: e.RetryAfter, Err: e,
	}
	switch e.Kind {
	case providers.KindOverloaded, providers.KindTimeout:
		out.Retryable = true
	case providers.KindRateLimited: // not where the day's or the plan's quota is exhausted and nobody knows until when
		out.Retryable = e.Retry || e.RetryAfter > 0
	}
	return out
}

func fromStores(err error) *Error {
	switch {
	case errors.Is(err, conversation.ErrNotFound):
		return &Error{
			Code: CodeConversationNotFound, Err: err,
			Message: "There is no conversation with this continuation_id.",
			Hint:    "Omit continuation_id to start a new one; activity and exai-mcp conversations list the existing ones.",
		}
	case errors.Is(err, conversation.ErrBusy):
		return ConversationBusy(err)
	case errors.Is(err, issue.ErrNotFound):
		return &Error{Code: CodeInvalidRequest, Err: err, Message: "No issue has this number.", Hint: "List the issues to see their numbers."}
	case errors.Is(err, issue.ErrInvalid):
		return &Error{Code: CodeInvalidRequest, Err: err, Message: "Invalid change of the issue: " + err.Error() + ".", Hint: "Correct the argument that is named."}
	}
	return nil
}

// ConversationBusy is the error about a conversation whose last answer is still being written.
func ConversationBusy(err error) *Error {
	return &Error{
		Code: CodeConversationBusy, Retryable: true, Err: err,
		Message: "The last answer of this conversation is still being written, so nothing was sent.",
		Hint:    "Fetch it: call chat with this continuation_id and a blank prompt. Then ask again.",
	}
}

// Result renders the error as the contract's reply.
func (e *Error) Result() *Result {
	e = e.forClient()
	r := &Result{IsError: true}
	if e.Metadata != nil {
		r.Metadata = *e.Metadata
	}
	r.Body.Set("status", "error").Set("content", e.Message).Set("content_type", "text").Set("error", e.Object())
	return r
}

// Object is the reply's "error" block, also for errors inside a reply that is none.
func (e *Error) Object() *Object {
	e = e.forClient()
	o := &Object{}
	o.Set("code", e.Code).Set("message", e.Message).Set("hint", e.Hint).Set("retryable", e.Retryable)
	if e.Provider != "" {
		o.Set("provider", e.Provider)
	}
	if e.Model != "" {
		o.Set("model", e.Model)
	}
	if e.Limit != nil {
		o.Set("limit", e.Limit.String())
	}
	if e.Elapsed > 0 {
		o.Set("elapsed_ms", e.Elapsed.Milliseconds())
	}
	if e.RetryAfter > 0 {
		o.Set("retry_after_secs", math.Ceil(e.RetryAfter.Seconds()))
	}
	return o
}

// forClient is the error as a client reads it. A client that still reads of a cancelled call did not cancel it: the end of
// the program did.
func (e *Error) forClient() *Error {
	if e.Code != CodeCancelled {
		return e
	}
	out := *e
	out.Code, out.Retryable = CodeNetwork, true
	out.Message, out.Hint = "exai-mcp was stopped before an answer came.", "Send the call again. Keep the server's stdin open until its answer is there."
	return &out
}
