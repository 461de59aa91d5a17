package calls

import (
	"time"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// announceDetached reports the limit that ended the call, and lets the call return.
func (g *Generation) announceDetached() {
	g.mu.Lock()
	m, limit, id := g.state.out.Model, *g.state.limit, g.state.request.id
	g.mu.Unlock()
	g.c.reportLimit(providers.LimitExceeded{
		Limit: limit, Provider: m.Provider, Model: m.ID, RequestID: id, Elapsed: time.Since(g.deadline.start),
	}, g.deadline.budget)
	g.c.trackBackground(g)
	if !g.view().task {
		g.letGo.Do(func() { close(g.slotless) })
	}
	close(g.detached)
}

// EndTask makes a task that no client will ask for an ordinary background answer: it gives its slot back and may be evicted.
func (g *Generation) EndTask() {
	g.update(func(s *state) { s.task = false })
	g.letGo.Do(func() { close(g.slotless) })
	g.c.evict(g.provider())
}
