package tools

import (
	"context"
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

type glmSearchInput struct {
	Query     string  `json:"search_query" jsonschema:"At most 70 characters work best."`
	Count     *int    `json:"count,omitempty" jsonschema:"1 to 50; default 10."`
	Engine    string  `json:"search_engine,omitempty"`
	Domain    *string `json:"search_domain_filter,omitempty" types:"string,null"`
	Recency   string  `json:"search_recency_filter,omitempty" enum:"oneDay,oneWeek,oneMonth,oneYear,all" also:"noLimit"`
	RequestID *string `json:"request_id,omitempty" types:"string,null"`
	UserID    *string `json:"user_id,omitempty" types:"string,null"`
}

func glmWebSearch(d *Deps) tool.Tool {
	return tool.New("glm_web_search", d.glmSearch, tool.Hints(tool.Annotations{ReadOnly: true, OpenWorld: true}))
}

// glmSearch searches the web by Z.ai's endpoint, which calls no model, and gives the vendor's reply as it is.
func (d *Deps) glmSearch(ctx context.Context, in glmSearchInput) (*Result, error) {
	if strings.TrimSpace(in.Query) == "" {
		return nil, reply.InvalidRequest("Say in search_query what to look for.", "search_query is blank.")
	}
	r := &Result{}
	q := providers.SearchQuery{
		Query: in.Query, Engine: in.Engine, Recency: in.Recency,
		DomainFilter: orEmpty(in.Domain), RequestID: orEmpty(in.RequestID), UserID: orEmpty(in.UserID),
	}
	if in.Count != nil {
		if q.Count = min(max(*in.Count, 1), 50); q.Count != *in.Count {
			r.Metadata.Note(fmt.Sprintf("count: took %d as %d; it takes 1 to 50.", *in.Count, q.Count))
		}
	}
	p, err := d.Registry.Provider("glm")
	if err != nil {
		return nil, err
	}
	engine, ok := p.(providers.Searcher)
	if !ok {
		return nil, fmt.Errorf("%s cannot search", p.Name())
	}
	progress.From(ctx).Phase("searching")
	found, err := calls.Do(ctx, d.Caller, "glm", "search", d.Config.Timeouts.Search("glm"),
		func(ctx context.Context) (*providers.SearchResult, error) { return engine.Search(ctx, q) })
	if err != nil {
		return nil, err
	}
	whole, err := reply.ParseObject(found.Raw)
	if err != nil {
		return nil, fmt.Errorf("reply of a search: %w", err)
	}
	r.Body.Set("status", "success")
	for _, key := range whole.Keys() {
		if key != "status" && key != "metadata" {
			r.Body.Set(key, whole.Get(key))
		}
	}
	r.Metadata.ProviderUsed = "glm"
	r.Metadata.Usage = &providers.Usage{CostUSD: found.CostUSD}
	if found.CostUSD == 0 {
		r.Metadata.Usage = nil
		r.Metadata.Note("open.bigmodel.cn bills each search in CNY, by its engine.")
	}
	return r, nil
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
