package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/store"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

// maxUsageDays is how far back usage may look: beyond it a number is a typing error.
const maxUsageDays = 36_500

func (a *app) usageCommand() *cobra.Command {
	days, by, asJSON := 30, string(usage.ByDay), false
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "Show what was asked and what it cost",
		Long: `Shows the requests to vendors of all servers on this store, with their tokens and their cost in USD at list price.
Days are UTC; the last one is today. MAX_COST_PER_CALL_USD and MAX_COST_PER_DAY_USD limit the cost.

  exai-mcp usage
  exai-mcp usage --days 7 --by model
  exai-mcp usage --by workspace --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			group := usage.By(by)
			switch {
			case days < 1 || days > maxUsageDays:
				return fmt.Errorf("--days %d: give a number from 1 to %d", days, maxUsageDays)
			case !group.Valid():
				return fmt.Errorf("--by %q: give one of %s", by, groupNames())
			}
			return a.withStore(cmd.Context(), func(cfg *config.Config, s *store.Store) error {
				day, err := s.Usage().Today(cmd.Context()) // first: what dead processes reserved counts in the totals, too
				if err != nil {
					return err
				}
				rows, err := s.Usage().Totals(cmd.Context(), days, group)
				if err != nil {
					return err
				}
				if asJSON {
					return a.printJSON(usageJSON(days, group, rows))
				}
				return a.print(usageText(cfg, days, group, rows, day, a.width()))
			})
		},
	}
	cmd.Flags().IntVar(&days, "days", days, "how many days, today included")
	cmd.Flags().StringVar(&by, "by", by, "one row for each "+groupNames())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func groupNames() string {
	var names []string
	for _, g := range usage.Groups() {
		names = append(names, string(g))
	}
	return strings.Join(names, ", ")
}

// usageJSON is the totals as scripts read them.
func usageJSON(days int, by usage.By, rows []usage.Total) ([]byte, error) {
	sum := usage.Sum(rows)
	list := []map[string]any{}
	for _, r := range rows {
		list = append(list, map[string]any{
			string(by): r.Name, "requests": r.Requests, "input_tokens": r.InputTokens, "output_tokens": r.OutputTokens,
			"cost_usd": providers.RoundUSD(r.CostUSD),
		})
	}
	return indented(json.Marshal(map[string]any{
		"days": days, "requests": sum.Requests, "cost_usd": providers.RoundUSD(sum.CostUSD), "rows": list,
	}))
}

// usageText is the totals as people read them: a table whose last column is a bar of each row's part in the cost, or in the
// requests where nothing has cost anything.
func usageText(cfg *config.Config, days int, by usage.By, rows []usage.Total, today usage.Day, width int) string {
	if len(rows) == 0 {
		return fmt.Sprintf("No requests in the last %s.\n", counted(days, "day", "days"))
	}
	sum := usage.Sum(rows)
	value := func(t usage.Total) float64 { return t.CostUSD }
	if sum.CostUSD == 0 {
		value = func(t usage.Total) float64 { return float64(t.Requests) }
	}
	top := value(slices.MaxFunc(rows, func(a, b usage.Total) int {
		if value(a) < value(b) {
			return -1
		}
		return 1
	}))
	sum.Name = "total"
	cells := [][]string{{strings.ToUpper(string(by)), "REQUESTS", "INPUT", "OUTPUT", "USD", "PAID BY"}}
	for _, r := range slices.Concat(rows, []usage.Total{sum}) {
		name := r.Name
		if name == "" {
			name = "(none)"
		}
		cells = append(cells, []string{plain(oneLine(name)), fmt.Sprint(r.Requests), count(r.InputTokens), count(r.OutputTokens), dollars(r.CostUSD), r.Mark()})
	}
	if sum.Planned == 0 {
		cells = withoutMarks(cells)
	}
	widths := fitColumns(cells, width)
	var b strings.Builder
	for i, row := range cells {
		if i == len(cells)-1 {
			b.WriteString(strings.Repeat("─", total(widths)) + "\n")
		}
		line := padRight(row[0], widths[0])
		for k, cell := range row[1:] {
			pad := padLeft
			if k+1 == markColumn {
				pad = padRight
			}
			line += "  " + pad(cell, widths[k+1])
		}
		if 0 < i && i < len(cells)-1 {
			line += "  " + costBar(value(rows[i-1])/top, min(width-total(widths)-2, maxBar))
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	b.WriteString(limitLines(cfg, today))
	return b.String()
}

// markColumn is the column that says which rows a plan pays for. It is left out where there is no plan.
const markColumn = 5

func withoutMarks(cells [][]string) [][]string {
	for i, row := range cells {
		cells[i] = row[:markColumn]
	}
	return cells
}

// limitLines say what is left of the day's limit, and whose prices are not what is paid.
func limitLines(cfg *config.Config, today usage.Day) string {
	var b strings.Builder
	if limit := cfg.Costs.PerDayUSD; limit > 0 {
		fmt.Fprintf(&b, "\nToday %s of MAX_COST_PER_DAY_USD=%g; it resets at %s.\n",
			dollars(today.UsedUSD()), limit, today.Resets().Local().Format("15:04 MST"))
	}
	for _, v := range cfg.Vendors() {
		if v.APIKey == "" {
			continue
		}
		switch v.Billing() {
		case config.BillingPlan:
			fmt.Fprintf(&b, "\n%s: plan. Its requests count as 0.\n", v.Row.Title)
		case config.BillingMaybePlan:
			fmt.Fprintf(&b, "\n%s: plan? The key decides who pays, so the list price counts.\n", v.Row.Title)
		}
	}
	return b.String()
}

// What a bar and a name take at least and at most.
const (
	minBar  = 8
	maxBar  = 40
	minName = 12
)

// fitColumns returns the widths of the columns. A name that leaves no room for a bar is shortened at its beginning, since
// the end of a path says more.
func fitColumns(cells [][]string, width int) []int {
	widths := make([]int, len(cells[0]))
	for _, row := range cells {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	if over := total(widths) + 2 + minBar - width; over > 0 {
		widths[0] = max(widths[0]-over, min(widths[0], minName))
		for _, row := range cells {
			if r := []rune(row[0]); len(r) > widths[0] {
				row[0] = "…" + string(r[len(r)-widths[0]+1:])
			}
		}
	}
	return widths
}

// total is the width of a row, with two columns between cells.
func total(widths []int) int {
	n := 2 * (len(widths) - 1)
	for _, w := range widths {
		n += w
	}
	return n
}

func padRight(s string, n int) string {
	return s + strings.Repeat(" ", max(n-utf8.RuneCountInString(s), 0))
}

func padLeft(s string, n int) string {
	return strings.Repeat(" ", max(n-utf8.RuneCountInString(s), 0)) + s
}

// costBar is a part of a width, in eighths of a column. What is not nothing shows.
func costBar(part float64, width int) string {
	eighths := int(part*float64(width)*8 + 0.5)
	if part > 0 {
		eighths = max(eighths, 1)
	}
	s := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		s += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return s
}

// count is a number of tokens: 999, 12.3k, 4.56M.
func count(n int) string {
	switch f := float64(n); {
	case n < 1000:
		return fmt.Sprint(n)
	case n < 999_950:
		return fmt.Sprintf("%.1fk", f/1e3)
	case n < 999_950_000:
		return fmt.Sprintf("%.1fM", f/1e6)
	default:
		return fmt.Sprintf("%.1fG", f/1e9)
	}
}

// dollars is an amount in USD with at least two significant digits.
func dollars(usd float64) string {
	switch {
	case usd == 0:
		return "0"
	case usd < 0.01:
		return fmt.Sprintf("%.4f", usd)
	case usd < 1:
		return fmt.Sprintf("%.3f", usd)
	}
	return fmt.Sprintf("%.2f", usd)
}
