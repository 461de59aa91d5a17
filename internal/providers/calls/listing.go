package calls

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

const (
	opModels = "models"
	// listWithin bounds how long a call waits for an endpoint's list of models.
	listWithin = 5 * time.Second
	// listFresh is how long the list of a local server counts as true: models are loaded and unloaded while it runs.
	listFresh = 30 * time.Second
)

// listings remember when each endpoint's list of models was asked for.
type listings struct {
	mu      sync.Mutex
	asked   map[string]time.Time
	running map[string]chan struct{} // closed when the request ends
}

// started notes that a vendor's list is asked for now.
func (l *listings) started(vendor string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked[vendor] = time.Now()
}

// learnEndpoints reads the lists of the endpoints that a query may need and that are not known, or not any longer: which
// model to ask, what it can do, and how large its window is. It waits for them at most listWithin; a list that can't be
// read is no failure of the call.
func (c *Caller) learnEndpoints(ctx context.Context, q Query) { c.learn(ctx, c.reg.consulted(q)) }

// LearnEndpoints reads the lists of all endpoints that can be asked, as a call reads those that it may need.
func (c *Caller) LearnEndpoints(ctx context.Context) {
	var all []*config.Vendor
	for _, v := range c.cfg.Vendors() {
		if v.Row.IsEndpoint() && c.reg.usable(v.Row.Name) == nil {
			all = append(all, v)
		}
	}
	c.learn(ctx, all)
}

func (c *Caller) learn(ctx context.Context, vendors []*config.Vendor) {
	var all sync.WaitGroup
	within, cancel := context.WithTimeout(ctx, listWithin)
	defer cancel()
	for _, v := range vendors {
		done := c.startListing(ctx, v)
		if done == nil {
			continue
		}
		all.Go(func() {
			select {
			case <-done:
			case <-within.Done():
			}
		})
	}
	all.Wait()
}

// readList reads the list of a vendor that has just refused a model, if it was not read lately: who may answer is then known,
// and no more names have to be tried. It waits as long as there is time for an attempt after it.
func (g *Generation) readList(vendor string) {
	wait := listWithin
	if g.deadline.bounded {
		wait = min(wait, time.Until(g.deadline.answerBy)-minAttempt)
	}
	ctx, cancel := context.WithTimeout(g.ctx, wait)
	defer cancel()
	if done := g.c.startListing(ctx, g.c.cfg.Vendor(vendor)); done != nil {
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
}

// startListing asks a vendor for its list unless that is known and fresh; it returns what ends with the request, nil where none
// is needed.
func (c *Caller) startListing(ctx context.Context, v *config.Vendor) <-chan struct{} {
	c.lists.mu.Lock()
	defer c.lists.mu.Unlock()
	name := v.Row.Name
	if done := c.lists.running[name]; done != nil {
		return done
	}
	if c.reg.catalog.Listed(name) && !v.Local() || time.Since(c.lists.asked[name]) < listFresh || !c.beginListing() {
		return nil
	}
	done := make(chan struct{})
	c.lists.running[name] = done
	within, cancel := context.WithTimeout(providers.WithoutPreview(providers.WithoutBudget(context.WithoutCancel(ctx))), listWithin)
	go func() {
		defer c.finished.Done()
		defer close(done)
		defer cancel()
		defer context.AfterFunc(c.closing, cancel)()
		_, _ = c.ListModels(within, name) // a failure is remembered where the model is chosen
		c.lists.mu.Lock()
		delete(c.lists.running, name)
		c.lists.mu.Unlock()
	}()
	return done
}

// beginListing counts a request that Close waits for, and is false when the caller is closed.
func (c *Caller) beginListing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.finished.Add(1)
	}
	return !c.closed
}

// consulted are the endpoints whose lists a query may need: that of the model that is named; all, where the name may be of any
// of them or where no vendor with an API of its own can answer.
func (r *Registry) consulted(q Query) (list []*config.Vendor) {
	add := func(v *config.Vendor) {
		if v.Row.IsEndpoint() && r.usable(v.Row.Name) == nil {
			list = append(list, v)
		}
	}
	if q.Provider != "" {
		if v := r.cfg.Vendor(q.Provider); v != nil {
			add(v)
		}
		return list
	}
	for _, name := range []string{q.Model, q.Prefer, r.cfg.Models.Default} {
		if !Named(name) {
			continue
		}
		if row, _, ok := r.catalog.endpointOf(strings.TrimSpace(name)); ok {
			add(r.cfg.Vendor(row.Name))
			return list
		}
		if v := r.bareName(name); v != nil {
			add(v)
			return list
		}
		if m, ok := r.catalog.Lookup(name); ok && !m.Unlisted && r.usable(m.Provider) == nil {
			add(r.cfg.Vendor(m.Provider))
			return list
		}
		break // it may be an id of any endpoint
	}
	if !Named(q.Model) && (r.usable("glm") == nil || r.usable("kimi") == nil) {
		return list
	}
	for _, v := range r.cfg.Vendors() {
		add(v)
	}
	return list
}
