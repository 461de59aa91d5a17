package openaicompat

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Ways that an answer can end badly after it was opened.
var (
	errCut        = errors.New("the stream ended before the answer did")
	errUnreadable = errors.New("the stream contains something that is not an event")
	errNoChoices  = errors.New("the answer has no choices")
	errNoStream   = errors.New("the response is not an event stream")
)

// faultError is a Fault found inside an answer, after HTTP had said 200.
type faultError struct{ fault Fault }

func (e *faultError) Error() string { return "the answer reports an error" }

func (e *faultError) said() string { return e.fault.Message }

// ask is what a failed request wanted, for its error.
type ask struct {
	op    string
	model string
}

// failure makes the one error of a failed exchange.
func (c *Client) failure(x *exchange, a ask, err error) *providers.Error {
	var refused *statusError
	var inside *faultError
	switch {
	case errors.As(err, &refused):
		f, _ := parseFault(refused.body, true)
		f.Status = refused.status
		return c.refusal(x, a, f, err)
	case errors.As(err, &inside):
		f := inside.fault
		f.Status = x.status
		return c.refusal(x, a, f, err)
	}
	e := c.interruption(x, a, err)
	e.Provider, e.Model = c.dialect.Name, a.model
	e.HTTPStatus, e.RequestID = x.status, c.requestID(x.header)
	return e
}

// refusal is the error of a request that the vendor answered with a fault.
func (c *Client) refusal(x *exchange, a ask, f Fault, err error) *providers.Error {
	f.Op, f.RetryAfter = a.op, retryAfter(x.header, time.Now())
	var v Verdict
	if c.dialect.Classify != nil {
		v = c.dialect.Classify(f)
	}
	if v.Kind == "" {
		v = byStatus(f)
	}
	e := &providers.Error{
		Kind: v.Kind, Retry: v.Retry, Concurrency: v.Concurrency, PerMinute: v.PerMinute, NoFunctions: v.NoFunctions, TooManyTokens: v.TooManyTokens,
		Provider: c.dialect.Name, Model: a.model,
		RetryAfter: waitFor(x.header, f, v, time.Now()), HTTPStatus: f.Status,
		VendorCode: c.printable(f.code()), RequestID: cmp.Or(c.requestID(x.header), c.printable(f.RequestID)),
		Err: c.scrubbed(err),
	}
	hint := cmp.Or(v.Hint, c.dialect.Hints[v.Kind], hints[v.Kind])
	if v.Kind == providers.KindAuth && c.key == "" {
		hint = hintKey
	}
	if v.Kind == providers.KindInvalidRequest && a.op == OpChat {
		b := findRefusedPart(f, x.wire)
		e.Param, e.Function, e.SchemaPath = b.param, b.function, b.schemaPath
		if what := b.String(); what != "" && c.holdsNoKey(what) && v.Message == "" {
			v.Message = fmt.Sprintf("%s refused the request: %s", c.dialect.Label, what)
		} else if b.param == "" && v.Hint == "" {
			hint = hintUnnamed
		}
	}
	e.Message = c.sentence(e, a, v.Message)
	e.Hint = c.hint(hint)
	return e
}

// code is what the vendor calls a fault: its code, but its type where the code only repeats the status.
func (f Fault) code() string {
	if f.Type != "" && f.Code == strconv.Itoa(f.Status) {
		return f.Type
	}
	return cmp.Or(f.Code, f.Type)
}

// interruption is the error of a request that ended without a word from the vendor: the caller's context, the connect
// limit, the network, or an answer that could not be read.
func (c *Client) interruption(x *exchange, a ask, err error) *providers.Error {
	who := c.dialect.Label
	answer := who + "'s answer"
	if a.op != OpChat {
		answer += " to " + a.op
	}
	if x.parent.Err() != nil {
		cause := context.Cause(x.parent)
		kind := providers.KindTimeout
		if errors.Is(cause, context.Canceled) {
			kind = providers.KindCancelled
		}
		return &providers.Error{Kind: kind, Message: answer + " was given up: its caller no longer waits.", Err: cause}
	}
	e := &providers.Error{Kind: providers.KindNetwork, Retry: true, Err: c.scrubbed(err)}
	switch {
	case errors.Is(context.Cause(x.ctx), errConnect), !x.connected.Load() && isTimeout(err):
		limit := c.connect
		e.Kind, e.Limit = providers.KindTimeout, &limit
		e.Message, e.Hint = who+" could not be connected to within "+limit.String()+".", hintConnect
	case errors.Is(err, errEncode):
		e.Kind, e.Retry, e.Message = providers.KindInvalidRequest, false, "The request could not be written as JSON."
		e.Hint = "A function's parameters must be a JSON Schema object."
	case errors.Is(err, errTooLong):
		e.Kind, e.Retry = providers.KindTooLarge, false
		e.Message, e.Hint = answer+" is longer than MAX_ANSWER_BYTES.", "Ask for less, or raise MAX_ANSWER_BYTES."
	case errors.Is(err, errNoStream):
		e.Kind, e.Retry = providers.KindProviderError, false
		e.Message, e.Hint = answer+" is not what its API documents.", hintAddress
	case errors.Is(err, errUnreadable), errors.Is(err, errNoChoices):
		e.Kind, e.Message = providers.KindProviderError, answer+" could not be read."
	case untrusted(err):
		e.Retry = false
		e.Message, e.Hint = who+"'s certificate is not trusted here.", hintCertificate
	case noSuchHost(err):
		e.Retry = false
		e.Message, e.Hint = who+"'s address does not exist.", hintConnect
	case !x.connected.Load():
		e.Message, e.Hint = who+" could not be connected to.", hintConnect
	default:
		e.Message = answer + " was cut off."
	}
	e.Hint = c.hint(cmp.Or(e.Hint, hints[e.Kind]))
	return e
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

func noSuchHost(err error) bool {
	var lookup *net.DNSError
	return errors.As(err, &lookup) && lookup.IsNotFound
}

// untrusted reports whether TLS refused the other side, which no retry fixes.
func untrusted(err error) bool {
	var verify *tls.CertificateVerificationError
	return errors.As(err, &verify)
}
