package kimi

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

// What one search costs at api.moonshot.ai, in USD; api.moonshot.cn bills in CNY (Moonshot docs, search, 2026-09).
const (
	priceSearch    = 0.002
	priceSearchPro = 0.003
)

// CanSearch implements providers.Searcher: keys of Kimi Code have no search (Moonshot docs, search).
func (p *Provider) CanSearch() bool { return !p.code }

// Search implements providers.Searcher by POST /tools/search or, where a period or a site is asked for, /tools/search_pro,
// which call no model (Moonshot docs, search). Engine, ContentSize, RequestID and UserID are GLM's and have no effect.
func (p *Provider) Search(ctx context.Context, q providers.SearchQuery) (*providers.SearchResult, error) {
	path, price := "/tools/search", priceSearch
	in := map[string]any{
		"text_query": q.Query, "limit": min(max(cmp.Or(q.Count, defaultHits), 1), maxHits), "include_content": true,
	}
	if q.DomainFilter != "" {
		path, price, in["sites"] = "/tools/search_pro", priceSearchPro, []string{q.DomainFilter}
	}
	if start, ok := startOf(q.Recency, time.Now()); ok {
		path, price = "/tools/search_pro", priceSearchPro
		in["time_window"] = map[string]string{"start": start, "end": time.Now().UTC().Format(time.DateOnly)}
	}
	raw, err := p.wire.Do(ctx, openaicompat.Request{Op: "web search", Method: http.MethodPost, Path: path, In: in})
	if err != nil {
		return nil, err
	}
	hits, err := p.hits(raw)
	if err != nil {
		return nil, err
	}
	if p.currency() != "USD" {
		price = 0
	}
	return &providers.SearchResult{Hits: hits, Raw: json.RawMessage(raw), CostUSD: price}, nil
}

// How many pages a search may ask for, and how many it does where nothing says otherwise (Moonshot docs, search).
const (
	maxHits     = 20
	defaultHits = 10
)

// startOf is the first day of the period that a word means, in UTC; false when it means no period.
func startOf(recency string, now time.Time) (string, bool) {
	now = now.UTC()
	switch recency {
	case "oneDay":
		now = now.AddDate(0, 0, -1)
	case "oneWeek":
		now = now.AddDate(0, 0, -7)
	case "oneMonth":
		now = now.AddDate(0, -1, 0)
	case "oneYear":
		now = now.AddDate(-1, 0, 0)
	default:
		return "", false
	}
	return now.Format(time.DateOnly), true
}

// hits reads the pages found. The text of a page is its content, else the chunks of it that match, else the snippet.
func (p *Provider) hits(raw []byte) ([]providers.SearchHit, error) {
	var out struct {
		Results []struct {
			Title, URL, Snippet, Date, Icon, Content openaicompat.Text
			Site                                     openaicompat.Text `json:"site_name"`
			Chunks                                   []struct{ Text openaicompat.Text }
		} `json:"search_results"`
	}
	if err := p.wire.Decode("web search", raw, &out); err != nil {
		return nil, err
	}
	var hits []providers.SearchHit
	for _, r := range out.Results {
		text := string(r.Content)
		if text == "" {
			var chunks []string
			for _, c := range r.Chunks {
				chunks = append(chunks, string(c.Text))
			}
			text = strings.Join(chunks, "\n")
		}
		hits = append(hits, providers.SearchHit{
			Title: string(r.Title), Link: string(r.URL), Content: cmp.Or(text, string(r.Snippet)),
			Media: string(r.Site), Icon: string(r.Icon), Published: string(r.Date),
		})
	}
	return hits, nil
}
