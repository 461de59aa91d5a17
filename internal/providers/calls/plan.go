package calls

import (
	"errors"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// resolvePreview chooses who would answer. Without the API key that it needs it chooses as if there were one.
func (c *Caller) resolvePreview(q Query) ([]Candidate, error) {
	list, err := c.reg.Resolve(q)
	var failure *providers.Error
	if errors.As(err, &failure) && failure.Kind == providers.KindNotConfigured {
		q.keyless = true
		return c.reg.Resolve(q)
	}
	return list, err
}

// planCall adds the request that a call would send first to a preview. It needs no API key.
func (c *Caller) planCall(call Call, d callDeadline, into *providers.Preview) (*Outcome, error) {
	list, err := c.resolvePreview(call.query())
	if err != nil {
		return nil, elapsed(err, d.start)
	}
	m := c.billed(list[0].Model)
	j, err := c.prepare(call, m, d)
	if err != nil {
		return nil, err
	}
	plan := c.plan(j.req)
	planned := providers.PlannedRequest{
		Op: "chat", Provider: m.Provider, Model: m.ID, Thinking: j.thinking(), InputTokens: plan.InputTokens, OutputCap: plan.OutputCap,
		ExpectedUSD: providers.RoundUSD(plan.ReserveUSD()), MaximumUSD: providers.RoundUSD(c.maximumUSD(call, j)),
	}
	if _, known := c.countedPrice(m); !known {
		into.Note("The price of " + m.ID + " is not known; it counts as the highest one that is.")
	}
	into.Request(planned)
	into.Note(list[0].Notes...)
	into.Note(j.notes...)
	return &Outcome{Model: m, Thinking: planned.Thinking}, providers.ErrPreview
}

// bytesPerToken is how many bytes of code are a token at least.
const bytesPerToken = 3

// maximumUSD is what a call costs whose model uses every round, with results as long as the bounds allow, calls on when no call
// is run any more, and writes as much as its cap each time. MAX_COST_PER_CALL_USD ends it earlier.
func (c *Caller) maximumUSD(call Call, j *job) float64 {
	plan, rounds, requests, bounds := c.plan(j.req), 0, 1, call.Bounds
	if bounds == (Bounds{}) {
		bounds = DefaultBounds()
	}
	most := 0.0
	if j.runsTools() {
		requests++
		if !call.NoCalls {
			rounds = bounds.Rounds
		}
		if _, ok := j.tools[searchFunction]; ok && rounds > 0 {
			most += maxSearches * searchUSD
		}
	}
	price := providers.Price{Input: plan.Price.Input, Output: plan.Price.Output}
	for n := range requests + rounds {
		results := bounds.Bytes / bytesPerToken * min(n, rounds) / max(rounds, 1)
		most += plan.FlatUSD + price.Cost(providers.Usage{
			InputTokens: plan.InputTokens + results + n*plan.OutputCap, OutputTokens: plan.OutputCap,
		})
	}
	if limit := c.cfg.Costs.PerCallUSD; limit > 0 {
		most = min(most, limit)
	}
	return most
}
