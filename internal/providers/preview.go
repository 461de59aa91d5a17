package providers

import (
	"context"
	"slices"
	"strings"
	"sync"
)

// Preview collects what a call would send. While one is on the context nothing is sent and nothing is stored: whoever would
// send adds to it and returns ErrPreview.
type Preview struct {
	mu       sync.Mutex
	requests []PlannedRequest
	files    []PlannedFile
	notes    []string
}

// PlannedRequest is a request that was not sent.
type PlannedRequest struct {
	Op          string  `json:"op"` // chat, search, upload ...
	Provider    string  `json:"provider"`
	Model       string  `json:"model,omitempty"`
	Thinking    string  `json:"thinking,omitempty"` // the switch as it would be sent
	InputTokens int     `json:"input_tokens"`       // estimated
	OutputCap   int     `json:"output_cap,omitempty"`
	ExpectedUSD float64 `json:"expected_cost_usd"` // of one request with a usual answer
	MaximumUSD  float64 `json:"maximum_cost_usd"`  // with every round of functions, and every answer as long as its cap
}

// PlannedFile is a file that would be sent.
type PlannedFile struct {
	Path   string `json:"path"`
	Bytes  int64  `json:"bytes"`
	Tokens int    `json:"tokens"` // estimated
}

// ErrPreview ends a call that is only previewed. It counts as a cancellation, which nobody retries or stores.
var ErrPreview error = &Error{Kind: KindCancelled, Message: "This call was previewed; nothing was sent."}

type previewKey struct{}

// WithPreview returns a context under which nothing is sent, and what would have been.
func WithPreview(ctx context.Context) (context.Context, *Preview) {
	p := &Preview{}
	return context.WithValue(ctx, previewKey{}, p), p
}

// PreviewFrom returns the call's preview, nil for a call that sends.
func PreviewFrom(ctx context.Context) *Preview {
	p, _ := ctx.Value(previewKey{}).(*Preview)
	return p
}

// WithoutPreview lets a preview make a request, such as for the list that says which model would be asked.
func WithoutPreview(ctx context.Context) context.Context {
	return context.WithValue(ctx, previewKey{}, (*Preview)(nil))
}

// Request adds a request.
func (p *Preview) Request(r PlannedRequest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, r)
}

// File adds a file. One that several models would get counts once.
func (p *Preview) File(f PlannedFile) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.ContainsFunc(p.files, func(have PlannedFile) bool { return have.Path == f.Path }) {
		p.files = append(p.files, f)
	}
}

// Note adds notes that are not there yet.
func (p *Preview) Note(notes ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range notes {
		if n != "" && !slices.Contains(p.notes, n) {
			p.notes = append(p.notes, n)
		}
	}
}

// Planned returns what was added: requests by model, since they are made at the same time, files in order, notes.
func (p *Preview) Planned() (requests []PlannedRequest, files []PlannedFile, notes []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	requests = slices.Clone(p.requests)
	slices.SortStableFunc(requests, func(a, b PlannedRequest) int { return strings.Compare(a.Model, b.Model) })
	return requests, slices.Clone(p.files), slices.Clone(p.notes)
}
