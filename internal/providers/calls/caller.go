// Package calls is the call engine: the one path that every request to a vendor takes. Caller.Call chooses who answers
// (Registry, Catalog), and a Generation makes the answer: it queues, sends, retries, falls back, runs the functions that
// a model calls, and goes on in the background when its call ends first. Do takes the same path for plain requests.
package calls

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/bounded"
	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

// Caller is the one path to the vendors: it chooses who answers, and bounds, repeats, records and finishes every request.
// It is safe for concurrent use.
type Caller struct {
	reg     *Registry
	cfg     *config.Config
	obs     providers.Observer
	slots   *slots
	jitter  func(time.Duration) time.Duration
	vetting *vetting
	meter   *usage.Meter // nil: what requests cost is not stored

	lists listings
	// closing ends with Close: requests that no call waits for end with it.
	closing context.Context
	close   context.CancelFunc

	mu         sync.Mutex
	closed     bool
	running    map[*Generation]struct{} // every answer being made
	background []*Generation            // those of them that go on in the background, the oldest first
	finished   sync.WaitGroup
	refused    map[string][]string // provider and model to wire parameters that the vendor refused
}

// NewCaller returns the path. obs may be nil; meter stores what requests cost and holds them to the limit of a day, and may be
// nil too.
func NewCaller(reg *Registry, cfg *config.Config, obs providers.Observer, meter *usage.Meter) *Caller {
	c := &Caller{
		reg: reg, cfg: cfg, obs: obs, meter: meter, slots: newSlots(cfg), jitter: fullJitter, vetting: newVetting(cfg.Files.Secrets, cfg.Files.OwnKeys...),
		running: map[*Generation]struct{}{}, refused: map[string][]string{},
		lists: listings{asked: map[string]time.Time{}, running: map[string]chan struct{}{}},
	}
	c.closing, c.close = context.WithCancel(context.Background())
	return c
}

// Call asks a model and waits for the answer, within the budget on ctx (outside a tool call, within the vendor's limit).
//
// The outcome is a finished answer or a partial one; a partial one whose Live is set goes on in the background. An error
// is an *Error, or what Build returned; the outcome beside it is nil when no model was chosen, else it holds what is
// known without an answer (Model, Attempts, Notes ...). When ctx is cancelled, the outcome is what had arrived
// (FinishCancelled), or the error has KindCancelled. No event is sent after Call has returned.
func (c *Caller) Call(ctx context.Context, call Call) (*Outcome, error) {
	d := deadlineOf(ctx)
	c.learnEndpoints(ctx, call.query())
	if p := providers.PreviewFrom(ctx); p != nil {
		return c.planCall(call, d, p)
	}
	list, err := c.reg.Resolve(call.query())
	if err != nil {
		return nil, elapsed(err, d.start)
	}
	g := newGeneration(ctx, c, call, d)
	if !c.register(g) {
		return nil, &providers.Error{Kind: providers.KindCancelled, Message: "The server is stopping.", Elapsed: time.Since(d.start)}
	}
	if ctx.Err() != nil {
		g.stop(callerCause(ctx)) // before anything is sent
	}
	go g.run(list)
	return g.await(ctx)
}

// Resolve is the registry's, once the lists of models are read that it may need: before that, little is known of an endpoint's
// models.
func (c *Caller) Resolve(ctx context.Context, q Query) ([]Candidate, error) {
	c.learnEndpoints(ctx, q)
	return c.reg.Resolve(q)
}

func (call Call) query() Query {
	return Query{Model: call.Model, Prefer: call.Prefer, Provider: call.Provider, Category: call.Category, Needs: call.Needs}
}

func elapsed(err error, start time.Time) error {
	if e, ok := err.(*providers.Error); ok { //nolint:errorlint // Resolve returns nothing else, unwrapped
		e.Elapsed = time.Since(start)
	}
	return err
}

// Preview is a request that was not sent.
type Preview struct {
	Body     json.RawMessage // the JSON body, as the vendor would get it
	Model    providers.Model
	Thinking string
	Notes    []string
}

// Preview shows the request that Call would send first. It needs no API key, and no network but for the list of models of an
// endpoint.
func (c *Caller) Preview(ctx context.Context, call Call) (*Preview, error) {
	c.learnEndpoints(ctx, call.query())
	list, err := c.resolvePreview(call.query())
	if err != nil {
		return nil, err
	}
	m := list[0].Model
	shower, ok := c.reg.lookup(m.Provider).(providers.Previewer)
	if !ok {
		return nil, &providers.Error{
			Kind: providers.KindInvalidRequest, Provider: m.Provider, Model: m.ID,
			Message: fmt.Sprintf("A request to %s cannot be previewed.", c.cfg.VendorTitle(m.Provider)),
		}
	}
	job, err := c.prepare(call, m, deadlineOf(ctx))
	if err != nil {
		return nil, err
	}
	body, err := shower.Payload(job.req)
	if err != nil {
		return nil, err
	}
	return &Preview{Body: body, Model: m, Thinking: job.thinking(), Notes: append(list[0].Notes, job.notes...)}, nil
}

// ListModels asks a vendor which models its key may use, and adds the ones that the catalogue lacks to it. A vendor
// that has no such list gives none.
func (c *Caller) ListModels(ctx context.Context, provider string) ([]providers.Model, error) {
	p, err := c.reg.Provider(provider)
	if err != nil {
		return nil, err
	}
	lister, ok := p.(providers.ModelLister)
	if !ok {
		return nil, nil
	}
	c.lists.started(provider)
	listed, err := Do(ctx, c, provider, opModels, c.cfg.Timeouts.Vendor(provider), lister.ListModels)
	c.reg.setListFailure(provider, err)
	if err != nil {
		return nil, err
	}
	c.reg.catalog.Learn(provider, listed)
	return listed, nil
}

// RefreshModels asks every configured vendor for its models, at the same time. A failure leaves the catalogue as it is:
// the observer was told, and nothing depends on the answer.
func (c *Caller) RefreshModels(ctx context.Context) {
	var all sync.WaitGroup
	for _, p := range c.reg.Providers() {
		all.Go(func() { _, _ = c.ListModels(ctx, p.Name()) })
	}
	all.Wait()
}

// Background lists the answers that go on in the background, the oldest first.
func (c *Caller) Background() []*Generation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.background)
}

// Running lists the answers that are being made, in the background or for a call that waits.
func (c *Caller) Running() []*Generation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.running))
}

// Close stops every answer that is being made and waits for them to end, or for ctx. Later calls fail.
func (c *Caller) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	c.close()
	for g := range c.running {
		g.stop(errStopped)
	}
	c.mu.Unlock()
	if err := bounded.Wait(ctx, &c.finished); err != nil {
		return fmt.Errorf("stopping model calls: %w", err)
	}
	return nil
}

// register adds an answer to those being made, and is false when the caller is closed.
func (c *Caller) register(g *Generation) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.running[g] = struct{}{}
		c.finished.Add(1)
	}
	return !c.closed
}

// unregister removes an answer that has ended.
func (c *Caller) unregister(g *Generation) {
	c.mu.Lock()
	delete(c.running, g)
	c.background = slices.DeleteFunc(c.background, func(b *Generation) bool { return b == g })
	c.mu.Unlock()
	c.finished.Done()
}

// maxBackground is how many answers of one vendor may go on in the background, tasks aside.
const maxBackground = 2

// trackBackground lists an answer as one that goes on in the background.
func (c *Caller) trackBackground(g *Generation) {
	c.mu.Lock()
	c.background = append(c.background, g)
	c.mu.Unlock()
	c.evict(g.provider())
}

// evict stops a vendor's oldest background answers where there are more than maxBackground. Tasks have a slot, which bounds
// their number, and are not counted.
func (c *Caller) evict(provider string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var same []*Generation
	for _, b := range c.background {
		if b.provider() == provider && b.ctx.Err() == nil && !b.view().task {
			same = append(same, b)
		}
	}
	for _, old := range same[:max(0, len(same)-maxBackground)] {
		old.stop(errStopped)
	}
}

func (c *Caller) reportAttempt(a providers.Attempt) {
	if c.obs != nil {
		a.Duration = time.Since(a.Start)
		if a.Err != nil {
			a.RequestID = cmp.Or(a.RequestID, a.Err.RequestID)
		}
		c.obs.Attempt(a)
	}
}

// reportLimit reports a limit that ended something in a call.
func (c *Caller) reportLimit(l providers.LimitExceeded, of providers.Budget) {
	if c.obs != nil {
		l.Tool, l.ContinuationID = of.Tool, of.ContinuationID
		c.obs.LimitExceeded(l)
	}
}

// dropped lists the wire parameters that a model's vendor refused before. A vendor has one base URL in the life of a
// process, so the model alone is the key.
func (c *Caller) dropped(m providers.Model) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.refused[m.Provider+" "+m.ID])
}

// rememberDropped keeps parameters without which a request was no longer refused.
func (c *Caller) rememberDropped(m providers.Model, params []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := m.Provider + " " + m.ID
	for _, param := range params {
		if !slices.Contains(c.refused[key], param) {
			c.refused[key] = append(c.refused[key], param)
		}
	}
}

// droppable is the top-level wire parameter that a refusal blames, "" when a request is nothing without it. What a
// caller's tools are made of is its own, so it is told of a refusal instead.
func droppable(param string) string {
	if i := strings.IndexAny(param, ".[ "); i >= 0 {
		param = param[:i]
	}
	switch param {
	case "model", "messages", "stream", "tools", "functions":
		return ""
	}
	return param
}
