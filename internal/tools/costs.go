package tools

import (
	"context"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/bounded"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

// costDays is how many days the total of health and status covers.
const costDays = 30

// costs are the totals of all processes on the store, and the limits; without the store, the limits alone with the reason.
func (d *Deps) costs(ctx context.Context) *Object {
	o := &Object{}
	limit := func(name string, usd float64) {
		if o.Set(name, nil); usd > 0 {
			o.Set(name, usd)
		}
	}
	limit("max_per_call_usd", d.Config.Costs.PerCallUSD)
	limit("max_per_day_usd", d.Config.Costs.PerDayUSD)
	billing := &Object{}
	for _, p := range d.Registry.Providers() {
		if v := d.Config.Vendor(p.Name()); v != nil {
			billing.Set(p.Name(), v.Billing())
		}
	}
	o.Set("billing", billing)
	if d.Usage == nil {
		return o
	}
	type totals struct {
		day  usage.Day
		days []usage.Total
	}
	ctx, cancel := context.WithTimeout(ctx, storeLook)
	defer cancel()
	found, err := bounded.Run(ctx, func(ctx context.Context) (t totals, err error) {
		store, err := d.Usage(ctx)
		if err != nil {
			return t, err
		}
		if t.days, err = store.Totals(ctx, costDays, usage.ByDay); err != nil {
			return t, err
		}
		t.day, err = store.Today(ctx)
		return t, err
	})
	if err != nil {
		return o.Set("unknown", "The store does not answer, so the totals of all processes are not known.")
	}
	today := usage.Total{}
	if last := len(found.days) - 1; last >= 0 && found.days[last].Name == found.day.Start.Format(time.DateOnly) {
		today = found.days[last]
	}
	return o.Set("today", totalObject(today).Set("reserved_usd", providers.RoundUSD(found.day.ReservedUSD)).Set("resets", found.day.Resets())).
		Set("last_30_days", totalObject(usage.Sum(found.days)))
}

func totalObject(t usage.Total) *Object {
	return (&Object{}).Set("requests", t.Requests).Set("input_tokens", t.InputTokens).Set("output_tokens", t.OutputTokens).Set("cost_usd", providers.RoundUSD(t.CostUSD))
}
