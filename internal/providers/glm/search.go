package glm

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

// defaultCount is how many pages a search asks for where nothing says otherwise.
const defaultCount = 10

// CanSearch implements providers.Searcher.
func (p *Provider) CanSearch() bool { return true }

// Search implements providers.Searcher by POST /web_search, which calls no model (Z.ai API docs, web search).
func (p *Provider) Search(ctx context.Context, q providers.SearchQuery) (*providers.SearchResult, error) {
	count := cmp.Or(q.Count, p.search.Count, defaultCount)
	in := map[string]any{
		"search_query":          q.Query,
		"search_engine":         p.endpointEngine(cmp.Or(q.Engine, p.search.Engine)),
		"search_recency_filter": recency(cmp.Or(q.Recency, p.search.Recency)),
		"count":                 clampCount(count),
	}
	for key, value := range map[string]string{
		"search_domain_filter": cmp.Or(q.DomainFilter, p.search.DomainFilter),
		"content_size":         q.ContentSize,
		"request_id":           q.RequestID,
		"user_id":              q.UserID,
	} {
		if value != "" {
			in[key] = value
		}
	}
	raw, err := p.wire.Do(ctx, openaicompat.Request{Op: "web search", Method: http.MethodPost, Path: "/web_search", In: in})
	if err != nil {
		return nil, err
	}
	hits, err := p.wire.SearchHits("web search", raw)
	if err != nil {
		return nil, err
	}
	return &providers.SearchResult{Hits: hits, Raw: json.RawMessage(raw), CostUSD: p.searchPrice()}, nil
}

// priceZAI is what one search costs at Z.ai, in USD, by itself or inside a chat (docs.z.ai, pricing).
const priceZAI = 0.01

// searchPrice is what one search costs in USD; 0 on open.bigmodel.cn, which bills in CNY, by the engine.
func (p *Provider) searchPrice() float64 {
	if p.china() {
		return 0
	}
	return priceZAI
}

// Engines: z.ai has search-prime at the endpoint and search_pro_jina inside a chat; bigmodel.cn has search_std,
// search_pro, search_pro_sogou and search_pro_quark in both (docs.z.ai and docs.bigmodel.cn, web search).
const (
	endpointZAI = "search-prime"
	chatZAI     = "search_pro_jina"
	bothChina   = "search_pro"
)

// china tells the mainland platform from Z.ai by its host.
func (p *Provider) china() bool { return strings.HasSuffix(p.wire.Host(), "bigmodel.cn") }

// endpointEngine is the engine for POST /web_search. One that is set stays, but for Z.ai's own on bigmodel.cn, which
// does not have it and would refuse the default setting.
func (p *Provider) endpointEngine(set string) string {
	switch {
	case p.china() && (set == "" || set == endpointZAI):
		return bothChina
	case set == "":
		return endpointZAI
	}
	return set
}

// chatEngine is the engine for the search tool inside a chat. The one that is set counts if it is a chat engine.
func (p *Provider) chatEngine() string {
	switch {
	case strings.HasPrefix(p.search.Engine, "search_"):
		return p.search.Engine
	case p.china():
		return bothChina
	}
	return chatZAI
}

// recency maps the word that callers know from elsewhere to the vendor's.
func recency(word string) string {
	if word == "" || word == "all" {
		return "noLimit"
	}
	return word
}

// clampCount keeps within what the vendor takes, 1 to 50 (Z.ai API docs, web search).
func clampCount(n int) int { return min(max(n, 1), 50) }
