package calls

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

// searchUSD is what is reserved for a search before its price is known: the highest price (Z.ai's).
const searchUSD = 0.01

// billed is the model with the price that its vendor's address makes: nothing at a plan's.
func (c *Caller) billed(m providers.Model) providers.Model {
	if v := c.cfg.Vendor(m.Provider); v != nil && v.Billing() == config.BillingPlan {
		m.Price = &providers.Price{}
	}
	return m
}

// billing is who pays for a vendor's requests, as rows are marked.
func (c *Caller) billing(vendor string) usage.Billing {
	by := usage.ByTokens
	if v := c.cfg.Vendor(vendor); v != nil {
		switch v.Billing() {
		case config.BillingPlan:
			by = usage.ByPlan
		case config.BillingMaybePlan:
			by = usage.ByMaybePlan
		}
	}
	return by
}

// countedPrice is the price that counts against the limits: the model's; where it is unknown, nothing for a local endpoint,
// else the most expensive known one of the vendor, else of all.
func (c *Caller) countedPrice(m providers.Model) (p usage.Price, known bool) {
	if m.Price != nil {
		return usage.Price{Input: m.Price.Input, Output: m.Price.Output}, true
	}
	if v := c.cfg.Vendor(m.Provider); v != nil && v.Billing() == config.BillingLocal {
		return usage.Price{}, true
	}
	prices := c.prices(m.Provider)
	if prices == nil {
		prices = c.prices("")
	}
	return usage.MostExpensive(prices), false
}

// prices are the known prices of a vendor's models, or of all models; nil for none.
func (c *Caller) prices(vendor string) (known []usage.Price) {
	for _, m := range c.reg.catalog.Models(vendor) {
		if m.Price != nil {
			known = append(known, usage.Price{Input: m.Price.Input, Output: m.Price.Output})
		}
	}
	return known
}

// plan is what is known of a chat request before it is sent.
func (c *Caller) plan(req providers.ChatRequest) usage.Plan {
	p := usage.Plan{
		InputTokens: providers.EstimateRequest(req), OutputCap: req.MaxOutputTokens,
		Thinks: req.Model.Thinking.On(req.Thinking),
	}
	p.Price, _ = c.countedPrice(req.Model)
	if req.NativeSearch {
		p.FlatUSD = searchUSD
	}
	return p
}

// charge is one request's part of the limits, from the reservation to the bill.
type charge struct {
	c      *Caller
	call   *usage.CallBudget
	plan   usage.Plan // as the call's limit reserved it
	grant  *usage.Grant
	who    usage.Request
	model  providers.Model
	notes  []string
	capped int // the output cap to send

	settled bool
}

// reserve asks both limits for a request. The error has KindBudget, or is the context's end.
func (c *Caller) reserve(ctx context.Context, b providers.Budget, m providers.Model, vendor string, plan usage.Plan) (*charge, *providers.Error) {
	ch := &charge{
		c: c, call: usage.CallBudgetFrom(ctx), model: m,
		who: usage.Request{Tool: b.Tool, ConversationID: b.ContinuationID, Vendor: vendor, Model: m.ID, Billing: c.billing(vendor)},
	}
	fitted, ok := ch.call.Reserve(plan)
	if !ok {
		return nil, c.overCall(ch.call, m, vendor, plan)
	}
	ch.plan, ch.capped = fitted, fitted.OutputCap
	if limit := ch.call.LimitUSD(); fitted.OutputCap < plan.OutputCap {
		ch.notes = append(ch.notes, fmt.Sprintf("The answer was limited to %d tokens, since little of MAX_COST_PER_CALL_USD=%g is left.", fitted.OutputCap, limit))
	} else if usage.NearLimit(ch.call.UsedUSD(), limit) {
		ch.notes = append(ch.notes, fmt.Sprintf("80 %% or more of MAX_COST_PER_CALL_USD=%g is used or reserved.", limit))
	}
	if c.meter == nil {
		return ch, nil
	}
	grant, err := c.meter.Gate(ctx, ch.who, fitted)
	if err != nil {
		ch.call.Settle(ch.plan, 0)
		var over *usage.OverBudgetError
		if errors.As(err, &over) {
			return nil, c.overDay(over, m, vendor, plan)
		}
		return nil, &providers.Error{Kind: providers.KindCancelled, Message: "The call was cancelled.", Err: err}
	}
	ch.grant, ch.capped = grant, grant.OutputCap
	if grant.Note != "" {
		ch.notes = append(ch.notes, grant.Note)
	}
	return ch, nil
}

// settle puts the request's bill in place of its reservation. exceeded is the limit that ended the call behind a request
// which went on, "" for none.
func (ch *charge) settle(a providers.Attempt, exceeded string) {
	r := ch.who
	r.InputTokens, r.CachedTokens = a.Usage.InputTokens, a.Usage.CachedTokens
	r.OutputTokens, r.ReasoningTokens = a.Usage.OutputTokens, a.Usage.ReasoningTokens
	r.CostUSD = a.Usage.CostUSD
	if ch.model.Price == nil && r.CostUSD == 0 {
		p, _ := ch.c.countedPrice(ch.model)
		r.CostUSD = (&providers.Price{Input: p.Input, Output: p.Output}).Cost(a.Usage)
	}
	r.Duration, r.Outcome, r.ExceededLimit = time.Since(a.Start), usage.OutcomeOK, exceeded
	if a.Err != nil {
		r.Outcome = string(a.Err.Kind)
		if a.Err.Limit != nil {
			r.ExceededLimit = a.Err.Limit.Name
		}
	}
	ch.finish(r)
}

func (ch *charge) finish(r usage.Request) {
	ch.settled = true
	ch.call.Settle(ch.plan, r.CostUSD)
	if ch.grant != nil {
		ch.grant.Settle(r)
	}
}

// abandon counts what was reserved as spent, where a panic kept the request from being settled.
func (ch *charge) abandon() {
	if !ch.settled {
		r := ch.who
		r.CostUSD, r.Outcome = ch.plan.ReserveUSD(), usage.OutcomeLost
		ch.finish(r)
	}
}

// overCall is the error of a request that MAX_COST_PER_CALL_USD has no room for.
func (c *Caller) overCall(b *usage.CallBudget, m providers.Model, vendor string, plan usage.Plan) *providers.Error {
	return &providers.Error{
		Kind: providers.KindBudget, Provider: vendor, Model: m.ID,
		Message: fmt.Sprintf("MAX_COST_PER_CALL_USD=%g does not allow this request: it may cost %.4f USD, and %.4f USD of the call's limit are left.",
			b.LimitUSD(), plan.ReserveUSD(), b.LeftUSD()),
		Hint: c.budgetHint("MAX_COST_PER_CALL_USD", plan),
	}
}

// overDay is the error of a request that MAX_COST_PER_DAY_USD has no room for.
func (c *Caller) overDay(over *usage.OverBudgetError, m providers.Model, vendor string, plan usage.Plan) *providers.Error {
	return &providers.Error{
		Kind: providers.KindBudget, Provider: vendor, Model: m.ID, Err: over,
		Message: fmt.Sprintf("MAX_COST_PER_DAY_USD=%g does not allow this request: it may cost %.4f USD, and %.4f USD of today's limit, which all servers on this store share, are left.",
			over.LimitUSD, plan.ReserveUSD(), over.LeftUSD()),
		Hint: fmt.Sprintf("The limit resets at %s. ", over.Day.Resets().Local().Format("2006-01-02 15:04 MST")) +
			c.budgetHint("MAX_COST_PER_DAY_USD", plan),
	}
}

// budgetHint says what else can be done, with a cheaper model where there is one.
func (c *Caller) budgetHint(setting string, plan usage.Plan) string {
	ways := []string{"ask for less", "raise " + setting + " in the server's environment"}
	cheapest, best := "", plan.ReserveUSD()
	for _, other := range c.reg.Models() {
		price, known := c.countedPrice(c.billed(other))
		if !known || other.Unavailable || !other.Functions {
			continue
		}
		try := plan
		if try.Price = price; try.ReserveUSD() < best {
			cheapest, best = other.ID, try.ReserveUSD()
		}
	}
	if cheapest != "" {
		ways = append([]string{"name a cheaper model such as " + cheapest}, ways...)
	}
	hint := strings.Join(ways, ", or ")
	return strings.ToUpper(hint[:1]) + hint[1:] + "."
}

// noMoreMoney is the note about functions that the call's limit has no room for.
const noMoreMoney = "The model could call no more functions: too little of MAX_COST_PER_CALL_USD is left."

// affordable is how many bytes of results the call's limit pays for, beside so many requests that carry what there is so far:
// the one with the results, which must conclude, and the one that calls the functions, unless it was sent.
func (r *toolRounds) affordable(requests int, replies ...providers.Message) int {
	budget := usage.CallBudgetFrom(r.g.ctx)
	if budget == nil {
		return math.MaxInt
	}
	req := r.j.req
	req.Messages = slices.Concat(req.Messages, replies)
	plan := r.g.c.plan(req)
	if plan.Price.Input == 0 {
		return math.MaxInt
	}
	left := max(0, budget.LeftUSD()-float64(requests)*plan.ReserveUSD())
	return int(min(2*left*1e6/plan.Price.Input, 1<<40)) // at two bytes a token, as in room
}

// runsTools reports whether one of the functions is run here. The request then belongs to an exchange of function calls, also
// where it carries only what they returned.
func (j *job) runsTools() bool {
	for _, t := range j.tools {
		if t.Run != nil {
			return true
		}
	}
	return false
}
