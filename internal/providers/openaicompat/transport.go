package openaicompat

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

const (
	// maxErrorBody is how much of a failed response is read. Nobody's error needs more.
	maxErrorBody = 64 << 10
	// tailWait bounds what follows the end of an answer: usage, the end mark, the connection's end for its reuse. The
	// answer is whole by then, so this is no limit on it.
	tailWait = 2 * time.Second
	// markWait is that bound where the usage has come already.
	markWait = 300 * time.Millisecond
	// callWait is that bound behind a call, without usage: GLM-4.5 was recorded to set the finish reason with each call of
	// an answer, and the next call comes in one piece after a silence.
	callWait = 10 * time.Second
	// drainWait bounds the wait for the connection's end alone.
	drainWait = 100 * time.Millisecond
)

// errConnect is the cause of a request that ended before it had a connection.
var errConnect = errors.New("no connection within the connect limit")

// errEncode is a request that could not be written as JSON.
var errEncode = errors.New("encode the request")

// errTail is the cause of an exchange that was ended after its answer was whole.
var errTail = errors.New("the answer is whole")

// DialFunc opens a connection, as http.Transport.DialContext does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// newTransport is one vendor's connection pool. It has no time limits beyond connecting: everything later is the
// caller's context. Compression stays off, since a compressing proxy holds back streamed pieces.
func newTransport(connect time.Duration, dial DialFunc) *http.Transport {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: connect, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: connect,
		ForceAttemptHTTP2:   true, // a DialContext of one's own turns HTTP/2 off otherwise
		MaxIdleConns:        100,
		MaxIdleConnsPerHost: 64, // all of a vendor's requests go to one host
		IdleConnTimeout:     90 * time.Second,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
		DisableCompression:  true,
	}
	if dial != nil {
		t.DialContext = dial
		t.Proxy = nil
	}
	return t
}

// exchange is one request and what the transport saw of it. go-openai drops the headers of a stream that fails to open,
// so they are kept here.
type exchange struct {
	parent    context.Context // the caller's
	ctx       context.Context // the request's own: it also ends at the connect limit
	cancel    context.CancelCauseFunc
	body      []byte // of a chat; nil otherwise
	wire      *Wire  // what it was made from; nil as well
	maxLine   int    // bytes of one streamed event
	connected atomic.Bool
	status    int
	header    http.Header
	events    *eventReader // of a chat that was answered
	ending    bool         // its answer has a finish reason, and what follows is bounded
}

type exchangeKey struct{}

// offline is the exchange of something that failed beside the network, with the status that it had come with, if any.
func offline(status int) *exchange {
	return &exchange{parent: context.Background(), ctx: context.Background(), status: status}
}

// begin opens an exchange under the connect limit: one limit over name lookup, dial, proxy and TLS together. The
// returned function ends it and must be called when its body has been read.
func (c *Client) begin(parent context.Context) (*exchange, func()) {
	x := &exchange{parent: parent, maxLine: c.maxAnswer + maxErrorBody}
	ctx, cancel := context.WithCancelCause(parent)
	x.cancel = cancel
	timer := time.AfterFunc(c.connect.Value, func() { cancel(errConnect) })
	x.ctx = httptrace.WithClientTrace(context.WithValue(ctx, exchangeKey{}, x), &httptrace.ClientTrace{
		GetConn: func(string) { x.connected.Store(false); timer.Reset(c.connect.Value) }, // again when net/http tries again
		GotConn: func(httptrace.GotConnInfo) { timer.Stop(); x.connected.Store(true) },
	})
	return x, func() { timer.Stop(); cancel(nil) }
}

// endAfter ends the exchange when the rest of it does not come in time.
func (x *exchange) endAfter(d time.Duration) (stop func()) {
	timer := time.AfterFunc(d, func() { x.cancel(errTail) })
	return func() { timer.Stop() }
}

// injector puts into each request what go-openai cannot: the dialect's headers, and a chat's body with the parameters
// that its struct does not know.
type injector struct {
	base   http.RoundTripper
	header http.Header
}

// RoundTrip implements http.RoundTripper. It changes a clone, as that interface demands.
func (t injector) RoundTrip(req *http.Request) (*http.Response, error) {
	clone := req.Clone(req.Context())
	for name, values := range t.header {
		clone.Header[name] = values
	}
	if x := req.Context().Value(exchangeKey{}).(*exchange); x.body != nil {
		replaceBody(clone, x.body)
	}
	return t.base.RoundTrip(clone)
}

// replaceBody puts another body in the place of a request's.
func replaceBody(req *http.Request, body []byte) {
	req.Body.Close()
	req.ContentLength = int64(len(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req.Body = io.NopCloser(bytes.NewReader(body))
}

// unzipped reads a body that came compressed although nobody asked for that, as some proxies send it.
type unzipped struct {
	body io.ReadCloser
	zip  *gzip.Reader // nil until the first Read, since its header may be long in coming
}

// Read implements io.Reader.
func (u *unzipped) Read(p []byte) (int, error) {
	if u.zip == nil {
		var err error
		if u.zip, err = gzip.NewReader(u.body); err != nil {
			u.zip = nil
			return 0, err
		}
	}
	return u.zip.Read(p)
}

// Close implements io.Closer.
func (u *unzipped) Close() error { return u.body.Close() }

// gate is the HTTP client that go-openai is given: it turns every response that is no success into an error of its own
// (go-openai reads such bodies without bound and leaves a failed stream's open) and makes a stream's body readable for
// it.
type gate struct{ client *Client }

// statusError is a response that is no success.
type statusError struct {
	status int
	body   []byte
}

func (e *statusError) Error() string { return fmt.Sprintf("HTTP %d, %d bytes", e.status, len(e.body)) }

func (e *statusError) said() string { return string(e.body) }

// Do implements openai.HTTPDoer.
func (g gate) Do(req *http.Request) (*http.Response, error) {
	x := req.Context().Value(exchangeKey{}).(*exchange) // every request of a Client has one
	resp, err := g.client.http.Do(req)
	if err != nil {
		return nil, err
	}
	x.status, x.header = resp.StatusCode, resp.Header
	if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		resp.Body = &unzipped{body: resp.Body}
	}
	providers.ReportRequestID(x.parent, g.client.requestID(resp.Header))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer resp.Body.Close()
		// A body that breaks off is still the best account of the failure that there is.
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
		return nil, &statusError{status: resp.StatusCode, body: body}
	}
	if x.body != nil {
		x.events = newEventReader(resp.Body, x.maxLine)
		resp.Body = x.events
	}
	return resp, nil
}
