package usage

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

var _ Store = (*Local)(nil)

// Local is a Store in memory for one process: it counts while there is no other, and stands in for one in tests.
type Local struct {
	mu       sync.Mutex
	requests []Request
	reserved map[string]Reservation
}

// NewLocal returns an empty Local.
func NewLocal() *Local { return &Local{reserved: map[string]Reservation{}} }

// Record implements Store.
func (l *Local) Record(_ context.Context, r Request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.CreatedAt = time.Now().UTC()
	l.requests = append(l.requests, r)
	oldest := r.CreatedAt.AddDate(0, 0, -KeepDays)
	for len(l.requests) > 0 && l.requests[0].CreatedAt.Before(oldest) {
		l.requests = l.requests[1:]
	}
	return nil
}

// Reserve implements Store.
func (l *Local) Reserve(_ context.Context, r Reservation) (string, Day, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	day := l.todayLocked()
	if !day.Remaining(r.LimitUSD).Fits(r.AmountUSD, r.MostUSD) {
		return "", day, &OverBudgetError{Day: day, LimitUSD: r.LimitUSD, AmountUSD: r.AmountUSD}
	}
	r.ID, r.Request.CreatedAt = uuid.NewString(), time.Now().UTC()
	l.reserved[r.ID] = r
	return r.ID, l.todayLocked(), nil
}

// Settle implements Store.
func (l *Local) Settle(ctx context.Context, id string, r Request) error {
	l.mu.Lock()
	delete(l.reserved, id)
	l.mu.Unlock()
	return l.Record(ctx, r)
}

// Beat implements Store; a reservation here ends with the process.
func (l *Local) Beat(context.Context, []string) error { return nil }

// Today implements Store.
func (l *Local) Today(context.Context) (Day, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.todayLocked(), nil
}

func (l *Local) todayLocked() Day {
	day := Day{Start: StartOfDay(time.Now())}
	for _, r := range slices.Backward(l.requests) {
		if r.CreatedAt.Before(day.Start) {
			break
		}
		day.SpentUSD += r.CostUSD
	}
	for _, r := range l.reserved {
		if !r.Request.CreatedAt.Before(day.Start) {
			day.ReservedUSD += r.AmountUSD
			day.Excess = day.Excess.Add(r.AmountUSD, r.MostUSD)
		}
	}
	return day
}

// Totals implements Store.
func (l *Local) Totals(_ context.Context, days int, by By) ([]Total, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := StartOfDay(time.Now()).AddDate(0, 0, 1-days)
	groups := map[string]Total{}
	for _, r := range l.requests {
		if r.CreatedAt.Before(from) {
			continue
		}
		name := map[By]string{
			ByDay: r.CreatedAt.Format(time.DateOnly), ByModel: r.Model, ByTool: r.Tool, ByWorkspace: r.Workspace,
		}[by]
		one := Total{Requests: 1, InputTokens: r.InputTokens, OutputTokens: r.OutputTokens, CostUSD: r.CostUSD, Billing: r.Billing}
		if r.Billing != ByTokens {
			one.Planned = 1
		}
		t := Sum([]Total{groups[name], one})
		t.Name = name
		groups[name] = t
	}
	var out []Total
	for _, t := range groups {
		out = append(out, t)
	}
	SortTotals(out, by)
	return out, nil
}

// StartOfDay is midnight UTC of the day that a time is on.
func StartOfDay(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// SortTotals puts days in order and other groups by falling cost, then by requests and name.
func SortTotals(list []Total, by By) {
	slices.SortFunc(list, func(a, b Total) int {
		if by == ByDay {
			return cmp.Compare(a.Name, b.Name)
		}
		return cmp.Or(cmp.Compare(b.CostUSD, a.CostUSD), cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Name, b.Name))
	})
}
