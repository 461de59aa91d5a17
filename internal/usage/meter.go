package usage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Options are what a Meter needs.
type Options struct {
	// Store gives the store of all processes. It may wait while the store is being opened, at most until ctx ends.
	Store       func(ctx context.Context) (Store, error)
	DayLimitUSD float64 // MAX_COST_PER_DAY_USD; 0 for none
	Host, User  string  // who asks; set in every request
	// Workspace names the folder that requests are made for. May be nil.
	Workspace func() string
	// Failed hears of requests that could not be stored. May be nil.
	Failed func(err error)
}

// storeWait is how long a request waits for the store to grant it. A store that takes longer counts as one that does not
// work: the process then counts for itself.
const storeWait = time.Second

// Meter stores what requests cost and holds the day's limit. Before each request ask Gate, after it call the Grant's Settle;
// a request without a gate, such as one for a list of models, is handed to Record. Rows are written behind the calls, in
// order, so that no answer waits for them. While the store does not work, the process counts for itself.
type Meter struct {
	o     Options
	local *Local // what this process spent, for the time without a store
	queue queue

	mu      sync.Mutex
	held    map[string]Store // reservations under way
	beating bool
	closed  chan struct{}
	work    sync.WaitGroup
}

// NewMeter returns a Meter, which the caller closes.
func NewMeter(o Options) *Meter {
	m := &Meter{o: o, local: NewLocal(), held: map[string]Store{}, closed: make(chan struct{})}
	m.queue.lost = func() { m.failed(errors.New("store what a request cost: too many requests wait for the store")) }
	return m
}

// Grant is the permission to send one request.
type Grant struct {
	OutputCap int    // as the plan has it, or lowered to what is left
	Note      string // for the reply; "" for none

	meter *Meter
	store Store // nil: the process counts for itself
	id    string
}

// Gate reserves what a request may cost. The error is an *OverBudgetError when too little of the day's limit is left.
func (m *Meter) Gate(ctx context.Context, who Request, p Plan) (*Grant, error) {
	g := &Grant{OutputCap: p.OutputCap, meter: m}
	if m.o.DayLimitUSD <= 0 || p.ReserveUSD() == 0 {
		return g, nil
	}
	m.fill(&who)
	waiting, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	err := m.queue.wait(waiting) // what this process has settled counts
	var store Store
	if err == nil {
		store, err = m.o.Store(waiting)
	}
	if err == nil {
		err = g.reserve(waiting, store, who, p)
	}
	var over *OverBudgetError
	switch {
	case err == nil:
		g.store = store
		m.hold(g.id, store)
		return g, nil
	case errors.As(err, &over) || ctx.Err() != nil:
		return nil, err
	}
	if err := g.reserve(ctx, m.local, who, p); err != nil {
		return nil, err
	}
	g.Note = "The store does not answer, so MAX_COST_PER_DAY_USD counts this process alone."
	return g, nil
}

// fill sets what is the same for all requests of the process.
func (m *Meter) fill(r *Request) {
	r.Host, r.User = m.o.Host, m.o.User
	if r.Workspace == "" && m.o.Workspace != nil {
		r.Workspace = m.o.Workspace()
	}
}

// reserve takes the plan's amount, or, where that is too much, what is left for a lower output cap.
func (g *Grant) reserve(ctx context.Context, store Store, who Request, p Plan) error {
	limit := g.meter.o.DayLimitUSD
	id, day, err := store.Reserve(ctx, reservation(p, limit, who))
	var over *OverBudgetError
	if errors.As(err, &over) {
		fitted, ok := p.Fit(over.Remaining())
		if !ok {
			return err
		}
		p = fitted
		id, day, err = store.Reserve(ctx, reservation(p, limit, who))
	}
	if err != nil {
		return err
	}
	if p.OutputCap < g.OutputCap {
		g.Note = fmt.Sprintf("The answer was limited to %d tokens, since little of MAX_COST_PER_DAY_USD=%g is left.", p.OutputCap, limit)
	} else if NearLimit(day.UsedUSD(), limit) {
		g.Note = fmt.Sprintf("80 %% or more of MAX_COST_PER_DAY_USD=%g is used or reserved.", limit)
	}
	g.id, g.OutputCap = id, p.OutputCap
	return nil
}

func reservation(p Plan, limitUSD float64, who Request) Reservation {
	return Reservation{AmountUSD: p.ReserveUSD(), MostUSD: p.MostUSD(), LimitUSD: limitUSD, Request: who}
}

// Settle stores what the request came to and gives back what it did not need. It returns at once.
func (g *Grant) Settle(r Request) {
	m := g.meter
	if g.store == nil && g.id != "" { // the process counts for itself
		_ = m.local.Settle(context.Background(), g.id, r) // it is in memory
		m.queue.add(func(ctx context.Context) {
			if err := m.store(ctx, r); err != nil {
				m.failed(err)
			}
		})
		return
	}
	if g.store == nil {
		m.Record(r)
		return
	}
	m.queue.add(func(ctx context.Context) {
		m.fill(&r)
		err := g.store.Settle(ctx, g.id, r)
		m.release(g.id)
		if err != nil {
			m.failed(fmt.Errorf("store what a request cost: %w", err))
		}
	})
}

// Record stores a request that asked no Gate. It returns at once.
func (m *Meter) Record(r Request) {
	m.queue.add(func(ctx context.Context) {
		if err := m.store(ctx, r); err != nil {
			_ = m.local.Record(ctx, r) // it is in memory
			m.failed(err)
		}
	})
}

func (m *Meter) store(ctx context.Context, r Request) error {
	m.fill(&r)
	store, err := m.o.Store(ctx)
	if err == nil {
		err = store.Record(ctx, r)
	}
	if err != nil {
		return fmt.Errorf("store what a request cost: %w", err)
	}
	return nil
}

func (m *Meter) failed(err error) {
	if m.o.Failed != nil {
		m.o.Failed(err)
	}
}

// hold keeps a reservation alive until release.
func (m *Meter) hold(id string, store Store) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held[id] = store
	if !m.beating {
		m.beating = true
		m.work.Go(m.beat)
	}
}

func (m *Meter) release(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.held, id)
}

// beat says every BeatEvery that the reservations are alive, until there are none.
func (m *Meter) beat() {
	tick := time.NewTicker(BeatEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-m.closed:
			return
		}
		byStore := map[Store][]string{}
		m.mu.Lock()
		for id, store := range m.held {
			byStore[store] = append(byStore[store], id)
		}
		if m.beating = len(byStore) > 0; !m.beating {
			m.mu.Unlock()
			return
		}
		m.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), HeartbeatLost/2)
		for store, ids := range byStore {
			if err := store.Beat(ctx, ids); err != nil {
				m.failed(fmt.Errorf("keep reservations alive: %w", err))
			}
		}
		cancel()
	}
}

// Flush waits until everything that was settled and recorded so far is stored, or for ctx.
func (m *Meter) Flush(ctx context.Context) error {
	if err := m.queue.wait(ctx); err != nil {
		return fmt.Errorf("storing what requests cost: %w", err)
	}
	return nil
}

// Close flushes and ends the heartbeats. What is reserved and never settled counts as spent.
func (m *Meter) Close(ctx context.Context) error {
	err := m.Flush(ctx)
	close(m.closed)
	m.work.Wait()
	return err
}
