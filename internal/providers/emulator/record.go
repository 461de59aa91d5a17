package emulator

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxKept is how many requests are kept for Requests; older ones are forgotten so that a long soak stays small.
const maxKept = 10_000

// maxBody is how much of a body is kept in Request.Body.
const maxBody = 16 << 20

// Op is what a request asks for.
type Op string

// The operations. OpUnknown is a path or method that the vendor does not have.
const (
	OpUnknown      Op = "unknown"
	OpChat         Op = "chat"
	OpSearch       Op = "search"        // GLM: POST web_search; Kimi: POST tools/search and tools/search_pro
	OpReader       Op = "reader"        // GLM: POST reader
	OpTokens       Op = "tokens"        // GLM: POST tokenizer; Kimi: POST tokenizers/estimate-token-count
	OpModels       Op = "models"        // GET models
	OpUpload       Op = "upload"        // POST files
	OpFiles        Op = "files"         // GET files
	OpFile         Op = "file"          // Kimi: GET files/{id}
	OpFileContent  Op = "file_content"  // GET files/{id}/content
	OpFileDelete   Op = "file_delete"   // DELETE files/{id}
	OpBalance      Op = "balance"       // Kimi: GET users/me/balance
	OpFormulaTools Op = "formula_tools" // Kimi: GET formulas/{uri}/tools
	OpFormulaRun   Op = "formula_run"   // Kimi: POST formulas/{uri}/fibers
)

// Request is one request as it arrived, and what became of it.
type Request struct {
	Vendor Vendor
	Op     Op
	Method string
	// Path is the path as it was sent, not decoded, without the query.
	Path  string
	Query string
	// Header is the request's, the value of Authorization masked.
	Header http.Header
	// KeyOK: Authorization held the right key.
	KeyOK bool
	// Body is the body as sent, up to 16 MiB; of an upload nothing is kept, see Upload.
	Body []byte
	// Received is how many bytes of the body were read so far.
	Received int64
	// Chat is the parsed body of a chat that was valid JSON of the right types, else nil.
	Chat *Chat
	// Upload is the file of an upload that was read to its end, else nil.
	Upload *Upload

	Time time.Time // when the header had arrived
	// Status is the HTTP status that was answered; 0 while there is none.
	Status int
	// Refused is the rule that the request broke, in a few words; "" when it was answered.
	Refused string
	// Sent is how many deltas of a streamed answer were written.
	Sent int
	// Gone is when the client was seen to have closed the connection before its answer was whole; zero if it was not.
	Gone time.Time
	// Ended is when nothing more was done about the request; zero while it runs.
	Ended time.Time
}

// Upload is a file as it was uploaded.
type Upload struct {
	Name    string
	Purpose string
	Size    int64
}

// exchange is a request that is being answered. Its record is guarded by the emulator's mutex.
type exchange struct {
	e      *Emulator
	w      http.ResponseWriter
	r      *http.Request
	record Request
	sent   []byte // the whole body, where it is JSON
	counts bool   // it counts against Concurrency
}

func (e *Emulator) begin(v Vendor, w http.ResponseWriter, r *http.Request) *exchange {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	x := &exchange{e: e, w: w, r: r, record: Request{
		Vendor: v, Op: OpUnknown, Method: r.Method, Path: path, Query: query, Header: r.Header.Clone(), Time: time.Now(),
	}}
	if x.record.Header.Get("Authorization") != "" {
		x.record.Header.Set("Authorization", "********")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.arrived++
	e.log = append(e.log, x)
	if len(e.log) > maxKept {
		e.log = slices.Delete(e.log, 0, len(e.log)-maxKept)
	}
	e.signal()
	return x
}

// end closes the record, whatever way the handler left.
func (x *exchange) end() {
	x.note(func(r *Request) {
		r.Ended = time.Now()
		if x.counts {
			x.e.busy[r.Vendor]--
		}
	})
}

// note changes the record.
func (x *exchange) note(change func(*Request)) {
	x.e.mu.Lock()
	change(&x.record)
	x.e.signal()
	x.e.mu.Unlock()
}

// snapshot is the record as it is now.
func (x *exchange) snapshot() Request {
	x.e.mu.Lock()
	defer x.e.mu.Unlock()
	return x.record
}

// gone notes that the client closed the connection, unless it was us.
func (x *exchange) gone() {
	select {
	case <-x.e.done:
		return
	default:
	}
	x.note(func(r *Request) {
		if r.Gone.IsZero() {
			r.Gone = time.Now()
		}
	})
}

// pause waits for d (0 or less: not at all; forever: without end). It is false when the client went away or the
// emulator closed first.
func (x *exchange) pause(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	var due <-chan time.Time
	if d != forever {
		t := time.NewTimer(d)
		defer t.Stop()
		due = t.C
	}
	select {
	case <-due:
		return true
	case <-x.r.Context().Done():
		x.gone()
	case <-x.e.done:
	}
	return false
}

// counted reads a request's body, counts it, and obeys the reply's upload fault if it has one.
type counted struct {
	x      *exchange
	intake *bodyRead
}

func (c counted) Read(p []byte) (int, error) {
	if in := c.intake; in != nil {
		wait := in.every
		if in.stopAt > 0 && c.x.snapshot().Received >= in.stopAt {
			wait = forever
		}
		if !c.x.pause(wait) {
			return 0, http.ErrAbortHandler
		}
		p = p[:min(len(p), in.chunk)]
	}
	n, err := c.x.r.Body.Read(p)
	if n > 0 {
		c.x.note(func(r *Request) { r.Received += int64(n) })
	}
	if err != nil && err != io.EOF {
		c.x.gone()
	}
	return n, err
}

// Requests returns what arrived so far, oldest first: the last 10,000.
func (e *Emulator) Requests() []Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.requests()
}

func (e *Emulator) requests() []Request {
	out := make([]Request, len(e.log))
	for i, x := range e.log {
		out[i] = x.record
	}
	return out
}

// Forget empties Requests; what is under way goes on, unrecorded.
func (e *Emulator) Forget() {
	e.mu.Lock()
	e.log, e.arrived = nil, 0
	e.mu.Unlock()
}

// WaitFor blocks until n requests have arrived since the start or since Forget, whatever became of them, and returns
// them.
func (e *Emulator) WaitFor(ctx context.Context, n int) ([]Request, error) {
	if !e.wait(ctx.Done(), func() bool { return e.arrived >= n }) {
		return e.Requests(), context.Cause(ctx)
	}
	return e.Requests(), nil
}

// WaitGone blocks until the clients of n requests went away before their answer was whole, and returns all requests.
func (e *Emulator) WaitGone(ctx context.Context, n int) ([]Request, error) {
	return e.WaitUntil(ctx, func(rs []Request) bool {
		gone := 0
		for _, r := range rs {
			if !r.Gone.IsZero() {
				gone++
			}
		}
		return gone >= n
	})
}

// WaitIdle blocks until no request is being answered.
func (e *Emulator) WaitIdle(ctx context.Context) error {
	_, err := e.WaitUntil(ctx, func(rs []Request) bool {
		return !slices.ContainsFunc(rs, func(r Request) bool { return r.Ended.IsZero() })
	})
	return err
}

// WaitUntil blocks until cond holds for the requests so far, and returns them. cond is called often and must not call
// the emulator.
func (e *Emulator) WaitUntil(ctx context.Context, cond func([]Request) bool) ([]Request, error) {
	if !e.wait(ctx.Done(), func() bool { return cond(e.requests()) }) {
		return e.Requests(), context.Cause(ctx)
	}
	return e.Requests(), nil
}
