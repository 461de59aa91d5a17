package usage

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPlan(t *testing.T) {
	price := Price{Input: 1, Output: 10} // USD per million tokens
	for _, c := range []struct {
		name    string
		plan    Plan
		left    float64
		reserve float64
		cap     int // 0: it does not fit
	}{
		{"a small cap", Plan{InputTokens: 1000, OutputCap: 2000, Price: price}, 1, 0.021, 2000},
		{"the part that answers need", Plan{InputTokens: 1000, OutputCap: 8192, Price: price}, 1, 0.001 + 0.04096, 8192},
		{"exactly what is left", Plan{InputTokens: 1000, OutputCap: 4096, Price: price}, 0.001 + 0.04096, 0.001 + 0.04096, 4096},
		{"thinking", Plan{OutputCap: 32768, Thinks: true, Price: price}, 1, 0.08192, 32768},
		{"lowered", Plan{InputTokens: 1000, OutputCap: 8192, Price: price}, 0.021, 0.04196, 2000},
		{"lowered to the least", Plan{InputTokens: 1000, OutputCap: 8192, Price: price}, 0.001 + 0.010241, 0.04196, 1024},
		{"less than the least", Plan{InputTokens: 1000, OutputCap: 8192, Price: price}, 0.001 + 0.010239, 0.04196, 0},
		{"a cap below the least is kept whole", Plan{InputTokens: 1000, OutputCap: 500, Price: price}, 0.005, 0.006, 0},
		{"thinking is not lowered", Plan{OutputCap: 32768, Thinks: true, Price: price}, 0.0819, 0.08192, 0},
		{"nothing left", Plan{InputTokens: 1, OutputCap: 8192, Price: price}, 0, 0.040961, 0},
		{"the input alone", Plan{InputTokens: 1_000_000, OutputCap: 10, Price: Price{Input: 1}}, 0.5, 1, 0},
		{"a search", Plan{OutputCap: 1, FlatUSD: 0.01}, 0.01, 0.01, 1},
		{"free", Plan{InputTokens: 1_000_000, OutputCap: 8192}, 0, 0, 8192},
	} {
		assert.InDelta(t, c.reserve, c.plan.ReserveUSD(), 1e-12, c.name)
		fitted, ok := c.plan.Fit(Remaining{c.left, c.left})
		assert.Equal(t, c.cap > 0, ok, c.name)
		if ok {
			assert.Equal(t, c.cap, fitted.OutputCap, c.name)
			assert.LessOrEqual(t, fitted.ReserveUSD(), c.left+1e-12, c.name)
		}
	}
	assert.Equal(t, Price{Input: 3, Output: 9}, MostExpensive([]Price{{1, 9}, {3, 2}}))
	assert.Zero(t, MostExpensive(nil))
	for used, want := range map[float64]bool{0: false, 0.79: false, 0.8: true, 2: true} {
		assert.Equal(t, want, NearLimit(used, 1), used)
	}
	assert.False(t, NearLimit(5, 0), "no limit")
}

// However long the answers of the requests that were let through get, all of them together exceed the limit by at most what
// one costs beyond its reservation; and none is refused that could not break this.
func TestRoom(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 1))
	tried, refused, lowered := 0, 0, 0
	for range 2000 {
		limit := 0.5 + random.Float64()
		budget, used, e := NewCallBudget(limit), 0.0, Excess{}
		var held []Plan
		for range 12 {
			p := Plan{
				InputTokens: random.IntN(40_000), OutputCap: 1 + random.IntN(40_000), Thinks: random.IntN(2) == 0, Price: Price{Input: 1, Output: 4},
			}
			room := RemainingOf(limit, used, e)
			fitted, ok := budget.Reserve(p)
			tried++
			if !ok {
				refused++
				p.OutputCap = p.minOutput()
				require.False(t, room.Fits(p.ReserveUSD(), p.MostUSD()), "the shortest answer was not too much")
				continue
			}
			if fitted.OutputCap < p.OutputCap {
				lowered++
				fitted.OutputCap++
				require.False(t, room.Fits(fitted.ReserveUSD(), fitted.MostUSD()), "no longer answer fits")
				fitted.OutputCap--
			}
			held = append(held, fitted)
			used, e = used+fitted.ReserveUSD(), e.Add(fitted.ReserveUSD(), fitted.MostUSD())
			require.LessOrEqual(t, used+e.SumUSD, limit+e.LargestUSD+1e-9)
			require.InDelta(t, used, budget.UsedUSD(), 1e-9)
			if random.IntN(3) == 0 { // one ends, and is as long as it may be
				i := random.IntN(len(held))
				budget.Settle(held[i], held[i].MostUSD())
				used += held[i].MostUSD() - held[i].ReserveUSD()
				held, e = slices.Delete(held, i, i+1), Excess{}
				for _, h := range held {
					e = e.Add(h.ReserveUSD(), h.MostUSD())
				}
			}
		}
	}
	assert.Greater(t, refused, tried/50)
	assert.Greater(t, lowered, tried/50)
}

func TestCallBudget(t *testing.T) {
	var none *CallBudget
	p := Plan{OutputCap: 1000, Price: Price{Output: 1000}} // 1 USD
	_, ok := none.Reserve(p)
	assert.True(t, ok)
	none.Settle(p, 1)
	assert.Zero(t, none.UsedUSD())
	assert.Nil(t, NewCallBudget(0))

	c := NewCallBudget(2)
	_, ok = c.Reserve(p)
	assert.True(t, ok)
	c.Settle(p, 0.5)
	assert.Equal(t, 0.5, c.UsedUSD())
	_, ok = c.Reserve(p)
	assert.True(t, ok)
	_, ok = c.Reserve(p)
	assert.False(t, ok, "one is under way and 0.5 USD are left")
	assert.Equal(t, 1.5, c.UsedUSD())
}

func TestTotals(t *testing.T) {
	list := []Total{{Name: "b", Requests: 1, InputTokens: 2, OutputTokens: 3, CostUSD: 1}, {Name: "a", Requests: 4, CostUSD: 1}, {Name: "c", CostUSD: 5}}
	assert.Equal(t, Total{Requests: 5, InputTokens: 2, OutputTokens: 3, CostUSD: 7}, Sum(list))
	names := func(by By) (out string) {
		SortTotals(list, by)
		for _, t := range list {
			out += t.Name
		}
		return out
	}
	assert.Equal(t, "cab", names(ByModel))
	assert.Equal(t, "abc", names(ByDay))
	assert.True(t, ByTool.Valid())
	for want, total := range map[string]Total{
		"": {Requests: 2}, "plan": {Requests: 2, Planned: 2, Billing: ByPlan}, "part plan?": {Requests: 2, Planned: 1, Billing: ByMaybePlan},
	} {
		assert.Equal(t, want, total.Mark())
	}
	assert.Equal(t, Total{Requests: 3, Planned: 2, Billing: ByMaybePlan},
		Sum([]Total{{Requests: 1, Planned: 1, Billing: ByMaybePlan}, {Requests: 1, Planned: 1, Billing: ByPlan}, {Requests: 1}}))
	assert.False(t, By("vendor").Valid())
}

func TestLocal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it begins at midnight UTC
		l, ctx := NewLocal(), t.Context()
		require.NoError(t, l.Record(ctx, Request{Model: "a", CostUSD: 0.25}))
		time.Sleep(24 * time.Hour)
		require.NoError(t, l.Record(ctx, Request{Model: "b", CostUSD: 0.5, InputTokens: 7, Billing: ByPlan}))
		id, day, err := l.Reserve(ctx, Reservation{AmountUSD: 0.5, LimitUSD: 1})
		require.NoError(t, err)
		assert.Equal(t, Day{Start: time.Now().UTC(), SpentUSD: 0.5, ReservedUSD: 0.5}, day)
		_, _, err = l.Reserve(ctx, Reservation{AmountUSD: 0.01, LimitUSD: 1})
		var over *OverBudgetError
		require.ErrorAs(t, err, &over)
		assert.Zero(t, over.LeftUSD())
		assert.EqualError(t, err, "reserve 0.0100 USD: only 0.0000 USD of the day's 1.00 USD are left")
		require.NoError(t, l.Settle(ctx, id, Request{Model: "a", CostUSD: 0.125}))
		day, err = l.Today(ctx)
		require.NoError(t, err)
		assert.Equal(t, 0.625, day.UsedUSD())
		one, err := l.Totals(ctx, 1, ByModel)
		require.NoError(t, err)
		assert.Equal(t, []Total{{Name: "b", Requests: 1, InputTokens: 7, CostUSD: 0.5, Planned: 1, Billing: ByPlan}, {Name: "a", Requests: 1, CostUSD: 0.125}}, one)
		two, err := l.Totals(ctx, 2, ByDay)
		require.NoError(t, err)
		assert.Equal(t, []Total{{Name: "2000-01-01", Requests: 1, CostUSD: 0.25}, {Name: "2000-01-02", Requests: 2, InputTokens: 7, CostUSD: 0.625, Planned: 1, Billing: ByPlan}}, two)
		time.Sleep((KeepDays + 1) * 24 * time.Hour)
		require.NoError(t, l.Record(ctx, Request{}))
		assert.Len(t, l.requests, 1, "old ones are forgotten")
	})
}

// countingLocal is a Local that counts heartbeats and can fail.
type countingLocal struct {
	*Local
	beats  [][]string
	broken error
}

func (s *countingLocal) Beat(_ context.Context, ids []string) error {
	s.beats = append(s.beats, ids)
	return nil
}

func (s *countingLocal) Record(ctx context.Context, r Request) error {
	return errors.Join(s.broken, s.Local.Record(ctx, r))
}

func (s *countingLocal) Reserve(ctx context.Context, r Reservation) (string, Day, error) {
	if s.broken != nil {
		return "", Day{}, s.broken
	}
	return s.Local.Reserve(ctx, r)
}

func TestMeter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ctx := &countingLocal{Local: NewLocal()}, t.Context()
		var failed []error
		m := NewMeter(Options{
			Store: func(context.Context) (Store, error) { return s, nil }, DayLimitUSD: 1, Host: "h", User: "u",
			Failed: func(err error) { failed = append(failed, err) },
		})
		defer func() { require.NoError(t, m.Close(t.Context())) }()
		plan := Plan{InputTokens: 100_000, OutputCap: 8000, Price: Price{Input: 4, Output: 10}} // 0.4 + 0.04096 USD
		g, err := m.Gate(ctx, Request{Tool: "chat"}, plan)
		require.NoError(t, err)
		assert.Equal(t, 8000, g.OutputCap)
		assert.Empty(t, g.Note)
		second, err := m.Gate(ctx, Request{Tool: "chat"}, plan)
		require.NoError(t, err)
		assert.Equal(t, "80 % or more of MAX_COST_PER_DAY_USD=1 is used or reserved.", second.Note)
		_, err = m.Gate(ctx, Request{Tool: "chat"}, plan)
		var over *OverBudgetError
		require.ErrorAs(t, err, &over)
		small := Plan{InputTokens: 5_000, OutputCap: 8000, Price: plan.Price} // up to 0.1 USD, where 0.04 + 0.03904 are left
		third, err := m.Gate(ctx, Request{Tool: "chat"}, small)
		require.NoError(t, err)
		assert.Equal(t, 5904, third.OutputCap)
		assert.Contains(t, third.Note, "limited to 5904 tokens")

		time.Sleep(3 * BeatEvery)
		synctest.Wait()
		require.NotEmpty(t, s.beats)
		assert.Len(t, s.beats[0], 3)
		for _, g := range []*Grant{g, second, third} {
			g.Settle(Request{Tool: "chat", CostUSD: 0.1})
		}
		n := len(s.beats)
		time.Sleep(3 * BeatEvery)
		synctest.Wait()
		assert.Len(t, s.beats, n, "nothing is under way")
		assert.Equal(t, "h", s.requests[0].Host)
		assert.Equal(t, "u", s.requests[0].User)
		day, err := s.Today(ctx)
		require.NoError(t, err)
		assert.InDelta(t, 0.3, day.UsedUSD(), 1e-9)

		// What costs nothing needs no budget; what asks no gate is stored too.
		free, err := m.Gate(ctx, Request{}, Plan{InputTokens: 1 << 30, OutputCap: 5})
		require.NoError(t, err)
		free.Settle(Request{Tool: "local"})
		m.Record(Request{Tool: "models"})
		require.NoError(t, m.Flush(ctx))
		assert.Equal(t, []string{"local", "models"}, []string{s.requests[3].Tool, s.requests[4].Tool})
		assert.Empty(t, failed)

		// Without the store, the process counts for itself.
		s.broken = errors.New("disk full")
		alone, err := m.Gate(ctx, Request{}, plan)
		require.NoError(t, err)
		assert.Contains(t, alone.Note, "counts this process alone")
		alone.Settle(Request{CostUSD: 0.9})
		require.NoError(t, m.Flush(ctx))
		require.Len(t, failed, 1)
		_, err = m.Gate(ctx, Request{}, plan)
		require.ErrorAs(t, err, &over)
		m.Record(Request{CostUSD: 0.05})
		require.NoError(t, m.Flush(ctx))
		local, err := m.local.Today(ctx)
		require.NoError(t, err)
		assert.InDelta(t, 0.95, local.UsedUSD(), 1e-9)
		ended, cancel := context.WithCancel(ctx)
		cancel()
		_, err = m.Gate(ended, Request{}, plan)
		require.ErrorIs(t, err, s.broken, "a call that has ended is not counted alone")
	})
}

// A limit of none asks no store.
func TestMeterWithoutLimit(t *testing.T) {
	m := NewMeter(Options{Store: func(context.Context) (Store, error) { return nil, errors.New("none") }})
	defer func() { require.NoError(t, m.Close(t.Context())) }()
	g, err := m.Gate(t.Context(), Request{}, Plan{InputTokens: 1 << 30, OutputCap: 77, Price: Price{Input: 1}})
	require.NoError(t, err)
	assert.Equal(t, 77, g.OutputCap)
	g.Settle(Request{})
}

func TestCallBudgetOnContext(t *testing.T) {
	var none *CallBudget
	assert.Zero(t, none.LimitUSD())
	c := NewCallBudget(3)
	assert.Equal(t, 3.0, c.LimitUSD())
	ctx := WithCallBudget(t.Context(), c)
	assert.Same(t, c, CallBudgetFrom(ctx))
	assert.Same(t, c, CallBudgetFrom(WithCallBudget(ctx, NewCallBudget(9))), "who set it first wins")
	assert.Nil(t, CallBudgetFrom(WithCallBudget(t.Context(), nil)))
}

// stuckStore is a store that never answers.
type stuckStore struct{ Store }

func (stuckStore) Record(ctx context.Context, _ Request) error { <-ctx.Done(); return ctx.Err() }
func (stuckStore) Reserve(ctx context.Context, _ Reservation) (string, Day, error) {
	<-ctx.Done()
	return "", Day{}, ctx.Err()
}

// A store that hangs delays a request for a second, and no answer at all.
func TestMeterWithStuckStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failed atomic.Int64
		m := NewMeter(Options{
			Store: func(context.Context) (Store, error) { return stuckStore{}, nil }, DayLimitUSD: 1,
			Failed: func(error) { failed.Add(1) }, Workspace: func() string { return "/w" },
		})
		start := time.Now()
		g, err := m.Gate(t.Context(), Request{}, Plan{OutputCap: 1000, Price: Price{Output: 1000}})
		require.NoError(t, err)
		assert.Equal(t, storeWait, time.Since(start))
		assert.Contains(t, g.Note, "this process alone")
		g.Settle(Request{CostUSD: 0.9})
		_, err = m.Gate(t.Context(), Request{}, Plan{OutputCap: 1000, Price: Price{Output: 1000}})
		var over *OverBudgetError
		require.ErrorAs(t, err, &over, "it counts for itself")
		assert.Equal(t, 2*storeWait, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, m.Flush(ctx), context.DeadlineExceeded)
		for range 2 * maxWaiting {
			m.Record(Request{})
		}
		assert.Greater(t, failed.Load(), int64(1), "what does not fit is lost, and said")
		require.NoError(t, m.Close(t.Context()))
	})
}
