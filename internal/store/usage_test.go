package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

func asked(model string, usd float64) usage.Request {
	return usage.Request{
		Host: "h", User: "u", Tool: "chat", Vendor: "glm", Model: model, InputTokens: 100, CachedTokens: 40, OutputTokens: 10,
		ReasoningTokens: 4, CostUSD: usd, Duration: 1500 * time.Millisecond, Outcome: usage.OutcomeOK, ConversationID: "c", Workspace: "/w",
	}
}

// backdate moves a request to another day, by the database's clock.
func backdate(t testing.TB, s *Store, model string, days int) {
	t.Helper()
	raw(t, s, `UPDATE exai_usage SET created_at = $1 WHERE model = $2`, stamp(clock(t, s).AddDate(0, 0, -days)), model)
}

func TestUsageRequests(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		u, ctx := s.Usage(), t.Context()
		first := asked("a", 0.5)
		require.NoError(t, u.Record(ctx, first))
		second := asked("b", 0.25)
		second.ConversationID, second.Outcome, second.ExceededLimit = "d", "timeout", "GLM_TIMEOUT_SECS"
		require.NoError(t, u.Record(ctx, second))
		require.NoError(t, u.Record(ctx, second))
		backdate(t, s, "a", 3)

		list, err := u.Requests(ctx, usage.Filter{})
		require.NoError(t, err)
		require.Len(t, list, 3)
		oldest := list[2]
		assert.WithinDuration(t, clock(t, s).AddDate(0, 0, -3), oldest.CreatedAt, time.Minute)
		oldest.ID, oldest.CreatedAt = "", time.Time{}
		assert.Equal(t, first, oldest)
		for name, c := range map[string]struct {
			f    usage.Filter
			want int
		}{
			"limit":        {usage.Filter{Limit: 2}, 2},
			"before":       {usage.Filter{Before: clock(t, s).AddDate(0, 0, -1)}, 1},
			"conversation": {usage.Filter{ConversationID: "c"}, 1},
			"tool":         {usage.Filter{Tool: "debug"}, 0},
			"no text":      {usage.Filter{Tool: "\x00\xff"}, 0},
			"model":        {usage.Filter{Model: "b", Outcome: "timeout"}, 2},
			"exceeded":     {usage.Filter{ExceededLimit: "GLM_TIMEOUT_SECS"}, 2},
		} {
			list, err := u.Requests(ctx, c.f)
			require.NoError(t, err)
			assert.Len(t, list, c.want, name)
		}
		counts, err := u.Exceeded(ctx, 2)
		require.NoError(t, err)
		assert.Equal(t, []usage.Count{{Name: "GLM_TIMEOUT_SECS", N: 2}}, counts)
	})
}

func TestUsageTotals(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		u := s.Usage()
		ctx := t.Context()
		for _, r := range []usage.Request{asked("a", 0.5), asked("a", 0.25), asked("b", 2), asked("c", 1), {Outcome: "timeout", ExceededLimit: "GLM_TIMEOUT_SECS"}} {
			require.NoError(t, u.Record(ctx, r))
		}
		backdate(t, s, "b", 1)
		backdate(t, s, "c", 29)
		date := func(ago int) string { return clock(t, s).AddDate(0, 0, -ago).Format(time.DateOnly) }

		days, err := u.Totals(ctx, 30, usage.ByDay)
		require.NoError(t, err)
		assert.Equal(t, []usage.Total{
			{Name: date(29), Requests: 1, InputTokens: 100, OutputTokens: 10, CostUSD: 1},
			{Name: date(1), Requests: 1, InputTokens: 100, OutputTokens: 10, CostUSD: 2},
			{Name: date(0), Requests: 3, InputTokens: 200, OutputTokens: 20, CostUSD: 0.75},
		}, days)
		models, err := u.Totals(ctx, 29, usage.ByModel)
		require.NoError(t, err)
		assert.Equal(t, []string{"b", "a", ""}, []string{models[0].Name, models[1].Name, models[2].Name}, "c is a day too old")
		for _, by := range []usage.By{usage.ByTool, usage.ByWorkspace} {
			list, err := u.Totals(ctx, 30, by)
			require.NoError(t, err)
			require.Len(t, list, 2, by)
			assert.Equal(t, usage.Total{Name: list[0].Name, Requests: 4, InputTokens: 400, OutputTokens: 40, CostUSD: 3.75}, list[0])
		}
		both, err := u.TotalsBy(ctx, 30, usage.ByModel, usage.ByDay)
		require.NoError(t, err)
		require.Len(t, both, 2)
		assert.Equal(t, days, both[1], "as alone")
		assert.Equal(t, []string{"b", "c", "a", ""}, []string{both[0][0].Name, both[0][1].Name, both[0][2].Name, both[0][3].Name})
		assert.Equal(t, 0.75, both[0][2].CostUSD)
		_, err = u.TotalsBy(ctx, 30, usage.ByModel, "vendor; DROP TABLE exai_usage")
		require.ErrorContains(t, err, "expected one of")

		day, err := u.Today(ctx)
		require.NoError(t, err)
		assert.Equal(t, usage.Day{Start: usage.StartOfDay(clock(t, s)), SpentUSD: 0.75}, day)
		assert.Equal(t, "h u chat glm a 100 40 10 4 0.5 1500 ok c /w", one[string](t, s, `SELECT host || ' ' || user_name || ' ' || tool || ' ' ||
			vendor || ' ' || model || ' ' || input_tokens || ' ' || cached_tokens || ' ' || output_tokens || ' ' || reasoning_tokens || ' ' ||
			cost_usd || ' ' || duration_ms || ' ' || outcome || ' ' || conversation_id || ' ' || workspace FROM exai_usage WHERE cost_usd = 0.5`))
		assert.Equal(t, "GLM_TIMEOUT_SECS", one[string](t, s, `SELECT exceeded_limit FROM exai_usage WHERE outcome = 'timeout'`))
		assert.Contains(t, explain(t, s, `SELECT coalesce(sum(cost_usd), 0) FROM exai_usage WHERE created_at >= $1`, stamp(now())), "exai_usage_created")
		if s.d.name != "postgres" { // which decides by what the tables hold
			assert.Contains(t, explain(t, s, countExceeded, stamp(now())), "COVERING INDEX exai_usage_exceeded")
		}
	})
}

func TestUsageFold(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		u := s.Usage()
		for _, r := range []usage.Request{asked("a", 1), asked("a", 2), asked("b", 4), asked("c", 8)} {
			require.NoError(t, u.Record(t.Context(), r))
		}
		backdate(t, s, "a", usage.KeepDays+1)
		backdate(t, s, "b", usage.KeepDays+7)
		before, err := u.Totals(t.Context(), 1000, usage.ByDay)
		require.NoError(t, err)

		again := &Usage{store: s} // as in the next process
		require.NoError(t, again.Record(t.Context(), asked("d", 0)))
		assert.EqualValues(t, 2, one[int64](t, s, `SELECT count(*) FROM exai_usage`), "c and d")
		assert.EqualValues(t, 2, one[int64](t, s, `SELECT count(*) FROM exai_usage_days`))
		require.NoError(t, again.Record(t.Context(), asked("e", 0)))
		require.NoError(t, again.Fold(t.Context(), usage.StartOfDay(clock(t, s)).AddDate(0, 0, -usage.KeepDays)))
		after, err := u.Totals(t.Context(), 1000, usage.ByDay)
		require.NoError(t, err)
		assert.Equal(t, before[:2], after[:2], "nothing is lost or counted twice")
		assert.Equal(t, []float64{4, 3, 8}, []float64{after[0].CostUSD, after[1].CostUSD, after[2].CostUSD})
		models, err := u.Totals(t.Context(), 1000, usage.ByModel)
		require.NoError(t, err)
		assert.Equal(t, usage.Total{Name: "a", Requests: 2, InputTokens: 200, OutputTokens: 20, CostUSD: 3}, models[2])
	})
}

func TestReservations(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		u := s.Usage()
		ctx := t.Context()
		reserve := func(usd float64) (string, usage.Day, error) {
			return u.Reserve(ctx, usage.Reservation{AmountUSD: usd, LimitUSD: 1, Request: asked("a", 0)})
		}
		first, day, err := reserve(0.5)
		require.NoError(t, err)
		assert.Equal(t, []float64{0, 0.5}, []float64{day.SpentUSD, day.ReservedUSD})
		_, day, err = reserve(0.75)
		var over *usage.OverBudgetError
		require.ErrorAs(t, err, &over)
		assert.Equal(t, []float64{0.5, 0.5, 0.75}, []float64{day.UsedUSD(), over.LeftUSD(), over.AmountUSD})
		second, _, err := reserve(0.5)
		require.NoError(t, err, "exactly the limit")

		require.NoError(t, u.Settle(ctx, first, asked("a", 0.25)))
		day, err = u.Today(ctx)
		require.NoError(t, err)
		assert.Equal(t, []float64{0.25, 0.5}, []float64{day.SpentUSD, day.ReservedUSD})

		// Its process is alive for as long as it beats, and dead after that.
		beat := func(ago time.Duration) {
			raw(t, s, `UPDATE exai_usage_reservations SET heartbeat_at = $1`, stamp(clock(t, s).Add(-ago)))
		}
		beat(usage.HeartbeatLost + time.Second)
		require.NoError(t, u.Beat(ctx, nil))
		require.NoError(t, u.Beat(ctx, []string{second}))
		day, err = u.Today(ctx)
		require.NoError(t, err)
		assert.Equal(t, 0.5, day.ReservedUSD)
		for _, ago := range []time.Duration{usage.HeartbeatLost + time.Second, -time.Hour} {
			beat(ago)
			day, err = u.Today(ctx)
			require.NoError(t, err)
			assert.Equal(t, []float64{0.75, 0}, []float64{day.SpentUSD, day.ReservedUSD}, "what is lost counts as spent")
		}
		assert.Equal(t, usage.OutcomeLost, one[string](t, s, `SELECT outcome FROM exai_usage WHERE id = $1`, second))

		// A process that was only late says after all what it came to.
		require.NoError(t, u.Settle(ctx, second, asked("a", 0.125)))
		day, err = u.Today(ctx)
		require.NoError(t, err)
		assert.Equal(t, 0.375, day.UsedUSD())
		assert.EqualValues(t, 2, one[int64](t, s, `SELECT count(*) FROM exai_usage`))

		// Yesterday's spending, and a request that began yesterday, do not count today.
		late, _, err := reserve(0.5)
		require.NoError(t, err)
		raw(t, s, `UPDATE exai_usage_reservations SET created_at = $1`, stamp(clock(t, s).AddDate(0, 0, -1)))
		require.NoError(t, u.Settle(ctx, late, asked("a", 0.5)))
		backdate(t, s, "a", 1)
		_, day, err = reserve(1)
		require.NoError(t, err)
		assert.Equal(t, 1.0, day.UsedUSD())
		assert.Equal(t, day.Start.Add(24*time.Hour), day.Resets())
	})
}

// Several processes with several requests each never spend more than the limit together, but for the part by which a single
// request costs more than was reserved for it.
func TestReservationsOfProcesses(t *testing.T) {
	eachDatabase(t, func(t *testing.T, c config.Conversations) {
		const limit, reserved, most = 1.0, 0.01, 0.012
		var g errgroup.Group
		var mu sync.Mutex
		sent := 0
		for p := range 2 {
			w := workOn(c)
			w.Name, w.BudgetUSD = fmt.Sprint(p), limit
			cmd, out := spawn(t, w)
			g.Go(func() error {
				text, err := io.ReadAll(out)
				n := 0
				_, scanErr := fmt.Sscanf(string(text), "sent %d", &n)
				mu.Lock()
				sent += n
				mu.Unlock()
				return errors.Join(err, scanErr, cmd.Wait())
			})
		}
		require.NoError(t, g.Wait())
		s := open(t, c)
		day, err := s.Usage().Today(t.Context())
		require.NoError(t, err)
		assert.Zero(t, day.ReservedUSD)
		assert.LessOrEqual(t, day.SpentUSD, limit+most-reserved+1e-9, "one request alone may have had too little reserved")
		assert.Greater(t, day.SpentUSD, limit-reserved-8*(most-reserved), "the budget is used up, but for what the others might have cost")
		assert.EqualValues(t, sent, one[int64](t, s, `SELECT count(*) FROM exai_usage`))
	})
}

// spend makes requests of random cost until the budget is used up, four at a time, and says how many it made.
func spend(ctx context.Context, s *Store, limit float64) error {
	var g errgroup.Group
	var mu sync.Mutex
	sent := 0
	for range 4 {
		g.Go(func() error {
			for {
				id, _, err := s.Usage().Reserve(ctx, usage.Reservation{AmountUSD: 0.01, MostUSD: 0.012, LimitUSD: limit})
				var over *usage.OverBudgetError
				if errors.As(err, &over) {
					return nil
				}
				if err != nil {
					return err
				}
				mu.Lock()
				sent++
				mu.Unlock()
				if err := s.Usage().Settle(ctx, id, usage.Request{CostUSD: 0.006 + 0.006*rand.Float64()}); err != nil {
					return err
				}
			}
		})
	}
	err := g.Wait()
	fmt.Println("sent", sent)
	return err
}

// Rows say who pays for them, also those of killed processes and folded ones, and totals say how many a plan pays for.
func TestUsageBilling(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		u, ctx := s.Usage(), t.Context()
		plan, maybe, old := asked("a", 0), asked("b", 0.5), asked("c", 1)
		plan.Billing, maybe.Billing, old.Billing = usage.ByPlan, usage.ByMaybePlan, usage.ByPlan
		for _, r := range []usage.Request{plan, plan, asked("a", 2), old, asked("c", 4)} {
			require.NoError(t, u.Record(ctx, r))
		}
		_, day, err := u.Reserve(ctx, usage.Reservation{AmountUSD: 0.5, MostUSD: 0.75, LimitUSD: 9, Request: maybe})
		require.NoError(t, err)
		assert.Equal(t, usage.Excess{SumUSD: 0.25, LargestUSD: 0.25}, day.Excess)
		_, day, err = u.Reserve(ctx, usage.Reservation{AmountUSD: 0.5, MostUSD: 0.625, LimitUSD: 9, Request: maybe})
		require.NoError(t, err)
		assert.Equal(t, usage.Excess{SumUSD: 0.375, LargestUSD: 0.25}, day.Excess)
		held, err := u.UnderWay(ctx)
		require.NoError(t, err)
		require.Len(t, held, 2)
		assert.Equal(t, []any{"chat", "b", 0.5, "h"}, []any{held[0].Tool, held[0].Model, held[0].CostUSD, held[0].Host})
		raw(t, s, `UPDATE exai_usage_reservations SET heartbeat_at = $1`, stamp(clock(t, s).Add(-time.Minute)))
		held, err = u.UnderWay(ctx)
		require.NoError(t, err)
		assert.Empty(t, held, "their process is dead")
		day, err = u.Today(ctx)
		require.NoError(t, err)
		assert.Equal(t, usage.Excess{}, day.Excess, "what is lost is spent")
		backdate(t, s, "c", usage.KeepDays+1)
		require.NoError(t, u.Fold(ctx, clock(t, s).AddDate(0, 0, -usage.KeepDays)))

		list, err := u.Requests(ctx, usage.Filter{Model: "b"})
		require.NoError(t, err)
		require.Len(t, list, 2)
		assert.Equal(t, []any{usage.ByMaybePlan, usage.OutcomeLost}, []any{list[0].Billing, list[0].Outcome})
		totals, err := u.Totals(ctx, 1000, usage.ByModel)
		require.NoError(t, err)
		require.Len(t, totals, 3)
		for i, want := range []usage.Total{
			{Name: "c", Requests: 2, Planned: 1, Billing: usage.ByPlan, CostUSD: 5},
			{Name: "a", Requests: 3, Planned: 2, Billing: usage.ByPlan, CostUSD: 2},
			{Name: "b", Requests: 2, Planned: 2, Billing: usage.ByMaybePlan, CostUSD: 1},
		} {
			got := totals[i]
			got.InputTokens, got.OutputTokens = 0, 0
			assert.Equal(t, want, got)
		}
		assert.Equal(t, usage.ByMaybePlan, usage.Sum(totals).Billing)
		assert.Equal(t, 5, usage.Sum(totals).Planned)
		tools, err := u.Totals(ctx, 1000, usage.ByTool)
		require.NoError(t, err)
		require.Len(t, tools, 1, "folded rows join the others")
		assert.Equal(t, 7, tools[0].Requests)
	})
}

// What a request under way might still cost is held back for all but the one that might cost the most beyond its reservation.
func TestReservationsLeaveRoom(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		u := s.Usage()
		ask := func(amount, most float64) error {
			_, _, err := u.Reserve(t.Context(), usage.Reservation{AmountUSD: amount, MostUSD: most, LimitUSD: 1})
			return err
		}
		require.NoError(t, ask(0.25, 5), "the first may be the one that goes beyond")
		var over *usage.OverBudgetError
		require.ErrorAs(t, ask(0.25, 0.8), &over, "then nobody else may")
		assert.InDelta(t, 0.75, over.LeftUSD(), 1e-9)
		require.NoError(t, ask(0.25, 0.75), "all that it may cost fits")
		require.ErrorAs(t, ask(0.001, 0), &over)
		assert.Zero(t, over.LeftUSD())
	})
}

// BenchmarkReserve reserves and settles one request on a day of 1,000.
func BenchmarkReserve(b *testing.B) {
	for _, c := range backends {
		b.Run(c.name, func(b *testing.B) {
			s := open(b, c.fresh(b))
			for range 1000 {
				require.NoError(b, s.Usage().Record(b.Context(), asked("a", 0.001)))
			}
			for b.Loop() {
				id, _, err := s.Usage().Reserve(b.Context(), usage.Reservation{AmountUSD: 0.01, LimitUSD: 1e6})
				require.NoError(b, err)
				require.NoError(b, s.Usage().Settle(b.Context(), id, asked("a", 0.001)))
			}
		})
	}
}

func TestReservationAlive(t *testing.T) {
	at := time.Now()
	for age, want := range map[time.Duration]bool{0: true, usage.HeartbeatLost: true, usage.HeartbeatLost + 1: false, -1: false} {
		assert.Equal(t, want, reservation{heartbeat: at, now: at.Add(age)}.alive(), "%s", age)
	}
}

// Requests are folded once a day by each process, those of more than KeepDays ago, and each day by itself.
func TestWhatIsFolded(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		record := func(u *Usage, models ...string) {
			for _, m := range models {
				require.NoError(t, u.Record(t.Context(), asked(m, 1)))
			}
		}
		u := &Usage{store: s}
		record(u, "kept", "a", "b")
		backdate(t, s, "kept", usage.KeepDays)
		backdate(t, s, "a", usage.KeepDays+1)
		backdate(t, s, "b", usage.KeepDays+5)
		raw(t, s, `UPDATE exai_usage SET model = 'old' WHERE model IN ('a', 'b')`)
		record(u, "today")
		assert.EqualValues(t, 4, one[int64](t, s, `SELECT count(*) FROM exai_usage`), "this process has folded today")
		record(&Usage{store: s}, "today")
		assert.EqualValues(t, 3, one[int64](t, s, `SELECT count(*) FROM exai_usage`))
		assert.EqualValues(t, 1, one[int64](t, s, `SELECT count(*) FROM exai_usage WHERE model = 'kept'`))
		days, err := s.Usage().Totals(t.Context(), 1000, usage.ByDay)
		require.NoError(t, err)
		var names []string
		for _, d := range days {
			names = append(names, d.Name)
		}
		date := func(ago int) string { return clock(t, s).AddDate(0, 0, -ago).Format(time.DateOnly) }
		assert.Equal(t, []string{date(usage.KeepDays + 5), date(usage.KeepDays + 1), date(usage.KeepDays), date(0)}, names)

		// Of a day that is not over, what was before the time.
		noon := usage.StartOfDay(clock(t, s)).AddDate(0, 0, -usage.KeepDays).Add(12 * time.Hour)
		record(s.Usage(), "morning", "noon")
		raw(t, s, `UPDATE exai_usage SET created_at = $1 WHERE model IN ('morning', 'kept')`, stamp(noon.Add(-time.Microsecond)))
		raw(t, s, `UPDATE exai_usage SET created_at = $1 WHERE model = 'noon'`, stamp(noon))
		require.NoError(t, s.Usage().Fold(t.Context(), noon))
		assert.EqualValues(t, 2, one[int64](t, s, `SELECT count(*) FROM exai_usage_days WHERE model IN ('morning', 'kept')`))
		assert.EqualValues(t, 1, one[int64](t, s, `SELECT count(*) FROM exai_usage WHERE model = 'noon'`))
	})
}

// With a limit for the day every request is reserved and settled: old ones are folded then, too.
func TestSettlingFolds(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		require.NoError(t, s.Usage().Record(t.Context(), asked("old", 1)))
		backdate(t, s, "old", usage.KeepDays+1)
		u := &Usage{store: s} // as in the next process
		id, _, err := u.Reserve(t.Context(), usage.Reservation{AmountUSD: 1, MostUSD: 1, LimitUSD: 5})
		require.NoError(t, err)
		require.NoError(t, u.Settle(t.Context(), id, asked("today", 1)))
		assert.EqualValues(t, 1, one[int64](t, s, `SELECT count(*) FROM exai_usage`))
		assert.EqualValues(t, 1, one[int64](t, s, `SELECT count(*) FROM exai_usage_days WHERE model = 'old'`))
	})
}

func TestExceededLimitsOfDays(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		for ago, limit := range []string{"TODAY", "TODAY", "YESTERDAY", "BEFORE"} {
			r := asked(fmt.Sprint(ago), 0)
			r.ExceededLimit = limit
			require.NoError(t, s.Usage().Record(t.Context(), r))
			backdate(t, s, r.Model, max(0, ago-1))
		}
		for days, want := range [][]usage.Count{nil, {{Name: "TODAY", N: 2}}, {{Name: "TODAY", N: 2}, {Name: "YESTERDAY", N: 1}}} {
			got, err := s.Usage().Exceeded(t.Context(), days)
			require.NoError(t, err)
			assert.Equal(t, want, got, "%d days", days)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, s.Usage().Beat(ctx, nil), "without reservations there is nothing to do")
	})
}
