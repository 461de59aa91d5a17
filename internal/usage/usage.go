// Package usage is the vocabulary of what requests to vendors cost, and of budgets: a Request is one row of exai_usage, a
// Store keeps them for all processes, and a Meter is what calls use, as a gate before each request and an observer after it.
package usage

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Request is one request to a vendor that has ended: one row of exai_usage.
type Request struct {
	ID              string    // uuid; given by the Store when empty
	CreatedAt       time.Time // by the Store's clock, which gives it
	Host            string
	User            string
	Tool            string
	Vendor          string
	Model           string
	InputTokens     int
	CachedTokens    int // of InputTokens
	OutputTokens    int
	ReasoningTokens int // of OutputTokens
	CostUSD         float64
	Duration        time.Duration
	Outcome         string // "ok", or the kind of the failure
	ExceededLimit   string // the variable of the limit that ended it; "" for none
	ConversationID  string
	Workspace       string
	Billing         Billing
}

// Billing says who pays for a request, where that is not simply its tokens.
type Billing string

// Billings that a request may have.
const (
	ByTokens    Billing = ""
	ByPlan      Billing = "plan"  // a subscription: it counts as 0
	ByMaybePlan Billing = "plan?" // the key decides: the list price counts
)

// Outcomes that the Store itself writes. Others are the kinds of failures.
const (
	OutcomeOK   = "ok"
	OutcomeLost = "lost" // its process died before it said what the request came to; CostUSD is what was reserved
)

// Reservation is what a request is allowed to cost before it is sent.
type Reservation struct {
	ID        string  // uuid; given by the Store
	AmountUSD float64 // held until Settle, or counted as spent when the process dies
	MostUSD   float64 // what it costs if its answer gets as long as it may; at least AmountUSD
	LimitUSD  float64 // of the day, for all processes of the Store
	Request   Request // whose it is: who asks, which tool, vendor and model
}

// Day is how much of a UTC day's budget is used, by the Store's clock.
type Day struct {
	Start       time.Time // midnight UTC
	SpentUSD    float64   // of requests that have ended
	ReservedUSD float64   // of requests under way
	Excess      Excess    // by which those may exceed what is reserved for them
}

// Excess is by how much requests under way may exceed what is reserved for them.
type Excess struct {
	SumUSD     float64 // of all
	LargestUSD float64 // of one
}

// Add counts one more request.
func (e Excess) Add(reservedUSD, mostUSD float64) Excess {
	excess := max(mostUSD-reservedUSD, 0)
	return Excess{SumUSD: e.SumUSD + excess, LargestUSD: max(e.LargestUSD, excess)}
}

// Remaining is what a limit has left for one more request. However long the answers get, what all requests spend exceeds a limit
// by no more than what a single one costs beyond its reservation. So a request is let through if it may be that one, because
// its reservation fits beside everything that the others may cost, or if another one is, and all that it may cost itself fits.
type Remaining struct {
	ReserveUSD float64 // a reservation up to this fits, whatever the answer comes to
	MostUSD    float64 // what costs at most this fits
}

// RemainingOf is what is left of a limit where so much is spent and reserved.
func RemainingOf(limitUSD, usedUSD float64, e Excess) Remaining {
	reserve := limitUSD - usedUSD - e.SumUSD
	return Remaining{ReserveUSD: reserve, MostUSD: reserve + e.LargestUSD}
}

// Fits reports whether there is room for a request.
func (r Remaining) Fits(reservedUSD, mostUSD float64) bool {
	return reservedUSD <= r.ReserveUSD || max(mostUSD, reservedUSD) <= r.MostUSD
}

// Remaining is what is left of a limit of the day.
func (d Day) Remaining(limitUSD float64) Remaining {
	return RemainingOf(limitUSD, d.UsedUSD(), d.Excess)
}

// UsedUSD is what counts against the day's limit.
func (d Day) UsedUSD() float64 { return d.SpentUSD + d.ReservedUSD }

// Resets is when the next day begins.
func (d Day) Resets() time.Time { return d.Start.AddDate(0, 0, 1) }

// By is what totals are grouped by.
type By string

// The groups of totals.
const (
	ByDay       By = "day"
	ByModel     By = "model"
	ByTool      By = "tool"
	ByWorkspace By = "workspace"
)

// Groups lists every By.
func Groups() []By { return []By{ByDay, ByModel, ByTool, ByWorkspace} }

// Valid reports whether it is one of the groups.
func (b By) Valid() bool { return slices.Contains(Groups(), b) }

// Total is what the requests of one group took.
type Total struct {
	Name         string // the day (YYYY-MM-DD), model, tool or workspace; "" where that is not known
	Requests     int
	InputTokens  int
	OutputTokens int
	CostUSD      float64
	Planned      int     // of Requests: those that a plan pays for, or may pay for
	Billing      Billing // theirs; "plan?" where they are of both kinds
}

// Mark says for people what a plan pays for: "plan" or "plan?", "part plan" where it is only some of the requests, "" where it
// is none.
func (t Total) Mark() string {
	if t.Planned > 0 && t.Planned < t.Requests {
		return "part " + string(t.Billing)
	}
	return string(t.Billing)
}

// Sum adds totals up.
func Sum(list []Total) (sum Total) {
	for _, t := range list {
		sum.Requests += t.Requests
		sum.InputTokens += t.InputTokens
		sum.OutputTokens += t.OutputTokens
		sum.CostUSD += t.CostUSD
		sum.Planned += t.Planned
		sum.Billing = max(sum.Billing, t.Billing)
	}
	return sum
}

const (
	// KeepDays is how long single requests are kept. Older ones are folded into one row for each day, vendor, model, tool
	// and workspace.
	KeepDays = 400
	// HeartbeatLost is how long after its last heartbeat the process of a reservation counts as dead.
	HeartbeatLost = 10 * time.Second
	// BeatEvery is how often a process says that its reservations are alive.
	BeatEvery = 2 * time.Second
)

// Filter chooses requests. Zero fields do not narrow.
type Filter struct {
	Before         time.Time
	ConversationID string
	Tool           string
	Model          string
	Outcome        string
	ExceededLimit  string
	Limit          int // 0 means 50
}

// Count is how often something happened.
type Count struct {
	Name string
	N    int
}

// Store keeps usage. Implementations are safe for concurrent use, also by several processes on one database; times and days
// are those of the Store's clock, and every method gives up when ctx ends.
type Store interface {
	// Record stores a request that had no reservation.
	Record(ctx context.Context, r Request) error
	// Reserve holds an amount of today's budget until Settle and returns the reservation's id with the day as it is then. It
	// is an *OverBudgetError, with the day, where what remains of the day does not fit it, beside what all processes have spent and
	// reserved today.
	Reserve(ctx context.Context, r Reservation) (id string, day Day, err error)
	// Settle ends a reservation and stores what the request came to, also when the reservation counts as lost meanwhile.
	Settle(ctx context.Context, id string, r Request) error
	// Beat says that the process of these reservations is alive.
	Beat(ctx context.Context, ids []string) error
	// Today returns how much of today is used. Reservations of dead processes count as spent.
	Today(ctx context.Context) (Day, error)
	// Totals sums up the last days, today included, by a group: days in order, the others by falling cost.
	Totals(ctx context.Context, days int, by By) ([]Total, error)
}

// OverBudgetError is the refusal of a reservation.
type OverBudgetError struct {
	Day       Day
	LimitUSD  float64
	AmountUSD float64 // that was asked for
}

// Error says how much is left.
func (e *OverBudgetError) Error() string {
	return fmt.Sprintf("reserve %.4f USD: only %.4f USD of the day's %.2f USD are left", e.AmountUSD, e.LeftUSD(), e.LimitUSD)
}

// Remaining is what was left.
func (e *OverBudgetError) Remaining() Remaining { return e.Day.Remaining(e.LimitUSD) }

// LeftUSD is how much would have been granted.
func (e *OverBudgetError) LeftUSD() float64 { return max(e.Remaining().MostUSD, 0) }
