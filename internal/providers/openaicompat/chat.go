package openaicompat

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/markup"
)

// Chat makes one streamed chat request, as providers.Provider documents it.
//
// With an error the response holds what had arrived, if anything had. Its FinishReason is then network, length (too long
// an answer, with KindTooLarge) or content_filter; when the context ended it is empty and the error wraps
// context.Cause(ctx), for the caller to say which limit that was.
func (c *Client) Chat(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
	if err := c.configured(req.Model.ID); err != nil {
		return nil, err
	}
	x, end := c.begin(ctx)
	defer end()
	a := ask{op: OpChat, model: req.Model.ID}
	w := c.newWire(req)
	body, err := w.body()
	if err != nil {
		return nil, c.failure(x, a, err)
	}
	x.body, x.wire = body, w

	// The injector puts the body in; go-openai adds the rest, and reads the stream.
	stream, err := c.api.CreateChatCompletionStream(x.ctx, openai.ChatCompletionRequest{Model: w.Model})
	if err != nil {
		return nil, c.failure(x, a, err)
	}
	defer stream.Close() //nolint:errcheck // all that was wanted of it has been read

	ans := &answer{on: on, max: c.maxAnswer, returned: c.dialect.Returned, newID: c.callID}
	if c.dialect.ThoughtTags {
		ans.thoughts = &thoughtSplitter{}
	}
	if err := x.read(stream, ans); err != nil {
		e := c.failure(x, a, err)
		return c.partial(x, ans, e), e
	}
	return c.response(x, ans), nil
}

// callID is an id for a call that came without one: nine letters and digits, the form that the strictest servers want.
func (c *Client) callID() string { return fmt.Sprintf("call%05d", c.calls.Add(1)%100_000) }

// Payload is the exact JSON body that Chat would send for req.
func (c *Client) Payload(req providers.ChatRequest) (json.RawMessage, error) {
	body, err := c.newWire(req).body()
	if err != nil {
		return nil, c.failure(offline(0), ask{OpChat, req.Model.ID}, err)
	}
	return body, nil
}

// read takes the stream in until the answer is whole. A stream that ends before a finish reason was seen was cut: to
// go-openai that looks the same as success.
func (x *exchange) read(stream *openai.ChatCompletionStream, ans *answer) error {
	stop := func() {}
	defer func() { stop() }()
	for {
		raw, err := stream.RecvRaw()
		if err != nil {
			if ans.finished() {
				x.settle(err)
				return nil
			}
			if errors.Is(err, io.EOF) {
				return x.cut(ans)
			}
			return err
		}
		ans.torn, x.events.torn = ans.torn || x.events.torn, false
		pieces := ans.pieces
		switch err := ans.event(raw); {
		case err == nil:
		case ans.finished():
			return nil // a whole answer is not lost over what follows it
		case errors.Is(err, errUnreadable) && x.events.truncated:
			return errCut
		default:
			return err
		}
		if wait := ans.tail(); wait > 0 && (!x.ending || ans.pieces > pieces) {
			stop()
			stop, x.ending = x.endAfter(wait), true
		}
	}
}

// tail bounds the wait for what follows a finish reason, 0 before one.
func (a *answer) tail() time.Duration {
	switch {
	case !a.finished():
		return 0
	case a.usageKnown:
		return markWait
	case len(a.calls) > 0:
		return callWait
	}
	return tailWait
}

// cut says what a stream that ended early was.
func (x *exchange) cut(ans *answer) error {
	switch {
	case x.events.seen == 0 && len(x.events.junk) > 0:
		return &quoted{errNoStream, string(x.events.junk)}
	case x.events.seen > 0 && !ans.choices:
		return errNoChoices
	case len(x.events.junk) > 0:
		return &quoted{errCut, string(x.events.junk)}
	}
	return errCut
}

// settle reads a finished stream to the connection's end, so that the connection can be used again.
func (x *exchange) settle(err error) {
	if errors.Is(err, io.EOF) {
		defer x.endAfter(drainWait)()
		x.events.drain()
	}
}

// response is the finished answer.
func (c *Client) response(x *exchange, ans *answer) *providers.ChatResponse {
	ans.flushThoughts()
	r := ans.response()
	c.identify(x, r)
	r.Content = markup.Tidy(r.Content)
	for i := range r.ToolCalls {
		r.ToolCalls[i].Arguments = arguments(r.ToolCalls[i].Arguments)
	}
	// Both vendors have been seen to end a tool call with "stop"; the calls decide.
	switch {
	case len(r.ToolCalls) > 0:
		r.FinishReason = providers.FinishToolCalls
	case r.FinishReason == providers.FinishToolCalls:
		r.FinishReason = providers.FinishStop
	}
	return r
}

// modelName matches what may be a model's id, of a gateway too ("zai/glm-5.3").
var modelName = lazyregexp.New(`^[A-Za-z0-9_.:/@-]{1,128}$`)

// identify says what the response's headers tell of where it came from.
func (c *Client) identify(x *exchange, r *providers.ChatResponse) {
	r.Header = c.keepHeaders(x.header)
	r.RequestID = cmp.Or(c.requestID(x.header), c.printable(r.RequestID))
	if !modelName().MatchString(r.Model) || !c.holdsNoKey(r.Model) {
		r.Model = ""
	}
}

// partial is what arrived of an answer that failed, nil when nothing did.
func (c *Client) partial(x *exchange, ans *answer, e *providers.Error) *providers.ChatResponse {
	if !ans.arrived {
		return nil
	}
	ans.flushThoughts()
	r := ans.response()
	c.identify(x, r)
	e.RequestID = r.RequestID
	r.Content = markup.Tidy(r.Content)
	r.ToolCalls = wholeCalls(r.ToolCalls)
	switch {
	case x.parent.Err() != nil:
		r.FinishReason = ""
	case e.Kind == providers.KindContentFiltered:
		r.FinishReason = providers.FinishContentFilter
	case e.Kind == providers.KindTooLarge:
		r.FinishReason = providers.FinishLength
	default:
		r.FinishReason = providers.FinishNetwork
	}
	return r
}

// wholeCalls are the tool calls whose arguments arrived whole: of a cut answer, only those can be run.
func wholeCalls(calls []providers.ToolCall) []providers.ToolCall {
	var whole []providers.ToolCall
	for _, call := range calls {
		if json.Valid([]byte(call.Arguments)) {
			whole = append(whole, call)
		}
	}
	return whole
}
