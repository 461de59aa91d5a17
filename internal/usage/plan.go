package usage

import (
	"context"
	"math"
	"slices"
	"sync"
)

// Price is in USD per million tokens.
type Price struct {
	Input  float64
	Output float64
}

// MostExpensive is the price that an unknown one counts as: the highest of each kind.
func MostExpensive(known []Price) (p Price) {
	for _, k := range known {
		p.Input, p.Output = max(p.Input, k.Input), max(p.Output, k.Output)
	}
	return p
}

// Plan is what is known of a request before it is sent.
type Plan struct {
	InputTokens int // estimated
	OutputCap   int // the most that the model may write, thinking included
	Thinks      bool
	Price       Price   // at list price, without cache; zero for what costs nothing
	FlatUSD     float64 // charged beside the tokens, such as for a search
}

// Output tokens that a reservation covers, and the lowest cap that a request may be lowered to: a model that thinks writes
// nothing readable with less.
const (
	reservedOutput         = 4096
	reservedOutputThinking = 8192
	minOutput              = 1024
	minOutputThinking      = 8192
)

// ReserveUSD is what is reserved for the request: its input, and the part of its output cap that answers usually need.
func (p Plan) ReserveUSD() float64 { return p.cost(min(p.OutputCap, p.reservedOutput())) }

// MostUSD is what the request costs if the answer gets as long as its cap.
func (p Plan) MostUSD() float64 { return p.cost(p.OutputCap) }

func (p Plan) reservedOutput() int {
	if p.Thinks {
		return reservedOutputThinking
	}
	return reservedOutput
}

func (p Plan) minOutput() int {
	if p.Thinks {
		return min(p.OutputCap, minOutputThinking)
	}
	return min(p.OutputCap, minOutput)
}

func (p Plan) cost(output int) float64 {
	return (float64(p.InputTokens)*p.Price.Input+float64(output)*p.Price.Output)/1e6 + p.FlatUSD
}

// Fit lowers the output cap to what there is room for. ok is false when too little would be left to answer with.
func (p Plan) Fit(r Remaining) (fitted Plan, ok bool) {
	if r.Fits(p.ReserveUSD(), p.MostUSD()) {
		return p, true
	}
	perToken := p.Price.Output / 1e6
	if perToken <= 0 {
		return p, false // the input alone is too much
	}
	affordable := math.Floor((r.MostUSD-p.cost(0))/perToken + 1e-6) // a whole number may come out slightly below
	if affordable < float64(p.minOutput()) {
		return p, false
	}
	p.OutputCap = min(p.OutputCap, int(affordable))
	return p, true
}

// warnShare is the part of a limit from which on a note says how much is used.
const warnShare = 0.8

// NearLimit reports whether so much of a limit is used that people should know. No limit is never near.
func NearLimit(usedUSD, limitUSD float64) bool {
	return limitUSD > 0 && usedUSD >= warnShare*limitUSD
}

// CallBudget holds MAX_COST_PER_CALL_USD over the requests of one tool call. It is safe for concurrent use. A nil CallBudget
// has no limit.
type CallBudget struct {
	limitUSD float64

	mu       sync.Mutex
	spentUSD float64
	held     []Plan // of requests under way
}

// NewCallBudget returns the budget of one tool call, nil for a limit of 0.
func NewCallBudget(limitUSD float64) *CallBudget {
	if limitUSD <= 0 {
		return nil
	}
	return &CallBudget{limitUSD: limitUSD}
}

// Reserve takes a request's amount from the budget, with its output cap lowered to what fits. ok is false when it does not
// fit: a first request then fails, a later one is left out.
func (c *CallBudget) Reserve(p Plan) (fitted Plan, ok bool) {
	if c == nil {
		return p, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if fitted, ok = p.Fit(c.remainingLocked()); ok {
		c.held = append(c.held, fitted)
	}
	return fitted, ok
}

// Settle puts what a request cost in place of what Reserve returned for it.
func (c *CallBudget) Settle(p Plan, costUSD float64) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.held, p); i >= 0 {
		c.held = slices.Delete(c.held, i, i+1)
	}
	c.spentUSD += costUSD
}

// UsedUSD is what the call's requests have cost and reserved.
func (c *CallBudget) UsedUSD() float64 {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	used, _ := c.usedLocked()
	return used
}

// LeftUSD is what one more request may cost.
func (c *CallBudget) LeftUSD() float64 {
	if c == nil {
		return math.Inf(1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(c.remainingLocked().MostUSD, 0)
}

func (c *CallBudget) usedLocked() (usd float64, e Excess) {
	usd = c.spentUSD
	for _, p := range c.held {
		usd, e = usd+p.ReserveUSD(), e.Add(p.ReserveUSD(), p.MostUSD())
	}
	return usd, e
}

func (c *CallBudget) remainingLocked() Remaining {
	used, e := c.usedLocked()
	return RemainingOf(c.limitUSD, used, e)
}

// LimitUSD is the limit, 0 for none.
func (c *CallBudget) LimitUSD() float64 {
	if c == nil {
		return 0
	}
	return c.limitUSD
}

type callBudgetKey struct{}

// WithCallBudget puts the budget of a tool call on the context, unless it has one already, which then holds.
func WithCallBudget(ctx context.Context, c *CallBudget) context.Context {
	if c == nil || CallBudgetFrom(ctx) != nil {
		return ctx
	}
	return context.WithValue(ctx, callBudgetKey{}, c)
}

// CallBudgetFrom returns the budget of the tool call, nil where it has no limit.
func CallBudgetFrom(ctx context.Context) *CallBudget {
	c, _ := ctx.Value(callBudgetKey{}).(*CallBudget)
	return c
}
