package main

import (
	"context"
	"fmt"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
)

// checkLive asks each of these vendors a short question, streamed as all model calls are, whoever searches for a page, and whoever
// tells what is left on the account.
func checkLive(ctx context.Context, r *report, p *program, vendors []providers.Provider) {
	r.section("Live")
	if len(vendors) == 0 {
		r.note("there is no vendor to ask")
	}
	for _, vendor := range vendors {
		checkChat(ctx, r, p, vendor)
		if searcher, ok := vendor.(providers.Searcher); ok {
			checkSearch(ctx, r, p, vendor.Name(), searcher)
		}
		if account, ok := vendor.(providers.Balancer); ok {
			checkBalance(ctx, r, p, vendor.Name(), account)
		}
	}
}

func checkChat(ctx context.Context, r *report, p *program, vendor providers.Provider) {
	start := time.Now()
	var first time.Duration
	out, err := p.caller.Call(ctx, calls.Call{
		Provider: vendor.Name(), Category: providers.CategoryFast, Thinking: providers.ThinkMinimal,
		Build: func(providers.Model) (providers.ChatRequest, error) {
			return providers.ChatRequest{
				Messages: []providers.Message{{Role: providers.RoleUser, Content: "Reply with the single word: ready"}}, MaxOutputTokens: 512,
			}, nil
		},
		On: func(e providers.Event) {
			if first == 0 && e.Tokens > 0 {
				first = time.Since(start)
			}
		},
	})
	if err == nil || kindOf(err) == providers.KindAuth || kindOf(err) == providers.KindBalance {
		delete(r.unchecked, vendor.Name())
	}
	switch took := time.Since(start).Round(time.Millisecond); {
	case err != nil:
		r.fail(hintOf(err), "%s: a chat failed after %s: %s", vendor.Name(), took, sentenceOf(err))
	case out.Partial:
		r.fail("ask again; if it stays so, name another model", "%s: %s answered only in part within %s", vendor.Name(), out.Model.ID, took)
	default:
		u := out.Response.Usage
		r.ok("%s: %s answered in %s, the first text after %s; %d tokens in, %d out, $%.6f", vendor.Name(), out.Model.ID, took,
			first.Round(time.Millisecond), u.InputTokens, u.OutputTokens, u.CostUSD)
	}
}

func checkSearch(ctx context.Context, r *report, p *program, name string, searcher providers.Searcher) {
	start := time.Now()
	found, err := calls.Do(ctx, p.caller, name, "search", p.cfg.Timeouts.Search(name), func(ctx context.Context) (*providers.SearchResult, error) {
		return searcher.Search(ctx, providers.SearchQuery{Query: "go release notes", Count: 1})
	})
	took := time.Since(start).Round(time.Millisecond)
	if err != nil {
		r.fail(hintOf(err), "%s: a search failed after %s: %s", name, took, sentenceOf(err))
		return
	}
	cost := "charged per search, see the vendor's prices"
	if found.CostUSD > 0 {
		cost = fmt.Sprintf("$%.2f", found.CostUSD)
	}
	r.ok("%s: a search found %s in %s; %s", name, counted(len(found.Hits), "page", "pages"), took, cost)
}

func checkBalance(ctx context.Context, r *report, p *program, name string, account providers.Balancer) {
	left, err := calls.Do(ctx, p.caller, name, "balance", p.cfg.Timeouts.Vendor(name), account.Balance)
	switch {
	case err != nil:
		r.fail(hintOf(err), "%s: the balance can't be read: %s", name, sentenceOf(err))
	case left.Available <= 0: // the vendor stops answering then
		r.fail("top up the account", "%s: nothing is left on the account (%.2f %s)", name, left.Available, left.Currency)
	default:
		r.ok("%s: %.2f %s left on the account", name, left.Available, left.Currency)
	}
}
