package calls

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// searchFunction is the web search that is offered to models whose vendor has none of its own.
const searchFunction = "web_search"

const searchParameters = `{"type":"object","properties":{
"query":{"type":"string","description":"What to look for, in at most 70 characters"},
"recency":{"type":"string","enum":["oneDay","oneWeek","oneMonth","oneYear","noLimit"],"description":"How old a page may be"}
},"required":["query"]}`

// attachSearch lets the model search the web: with the vendor's own tool, else with a function that asks whichever
// vendor has a search endpoint, else not at all, with a note.
func (c *Caller) attachSearch(j *job) {
	m := j.req.Model
	none := func(why string) { j.notes = append(j.notes, "No web search: "+why) }
	if v, ok := vendorNamed(m.Provider); ok && !v.searchOn(c.cfg) {
		none(v.searchBy + " is false.")
		return
	}
	if m.NativeSearch {
		j.req.NativeSearch = true
		return
	}
	if !m.Functions {
		none(m.ID + " cannot use one.")
		return
	}
	if _, taken := j.tools[searchFunction]; taken {
		return // the caller brought its own
	}
	for _, p := range c.reg.Providers() {
		if s, can := p.(providers.Searcher); can {
			j.addTool(c.searchTool(j, p.Name(), s, c.cfg.Timeouts.Search(m.Provider)))
			return
		}
	}
	glm, _ := vendorNamed("glm")
	none(fmt.Sprintf("it is %s that searches, and it is not configured; set %s.", glm.title, glm.keys))
}

// searchTool is the function behind searchFunction.
func (c *Caller) searchTool(j *job, provider string, s providers.Searcher, limit config.Limit) Tool {
	return Tool{
		Function: providers.Function{
			Name:        searchFunction,
			Description: "Search the web. Returns titles, links and excerpts of pages. Use it for what is recent or uncertain, and cite the links that you used.",
			Parameters:  json.RawMessage(searchParameters),
		},
		Run: func(ctx context.Context, arguments string) (string, error) {
			var q struct{ Query, Recency string }
			if err := json.Unmarshal([]byte(arguments), &q); err != nil || strings.TrimSpace(q.Query) == "" {
				return "", errors.New(`the arguments must be a JSON object with a "query"`)
			}
			result, err := Do(ctx, c, provider, "search", limit, func(ctx context.Context) (*providers.SearchResult, error) {
				return s.Search(ctx, providers.SearchQuery{Query: q.Query, Recency: q.Recency})
			})
			if err != nil {
				return "", err
			}
			j.mu.Lock()
			j.found = append(j.found, result.Hits...)
			j.cost += result.CostUSD
			j.mu.Unlock()
			return hitText(result.Hits), nil
		},
	}
}

// What a search gives to a model: enough to answer from, and no more than its window is worth.
const (
	maxHits    = 10
	maxExcerpt = 2_000 // bytes
)

func hitText(hits []providers.SearchHit) string {
	var b strings.Builder
	for i, h := range hits[:min(maxHits, len(hits))] {
		fmt.Fprintf(&b, "[%d] %s\n%s\n", i+1, h.Title, h.Link)
		if h.Published != "" {
			fmt.Fprintf(&b, "Published: %s\n", h.Published)
		}
		fmt.Fprintf(&b, "%s\n\n", clip(h.Content, maxExcerpt))
	}
	return strings.TrimSpace(b.String())
}

// clip cuts a text to at most n bytes, between two characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
