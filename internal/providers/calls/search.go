package calls

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// searchFunction is the web search that is offered to models as a function, so that it is paid for only when it is used.
const searchFunction = "web_search"

// maxSearches is how many searches one answer may make, each of which is paid for.
const maxSearches = 5

const searchParameters = `{"type":"object","properties":{
"query":{"type":"string","description":"What to look for, in at most 70 characters"},
"recency":{"type":"string","enum":["oneDay","oneWeek","oneMonth","oneYear","noLimit"],"description":"How old a page may be"}
},"required":["query"]}`

// searches are the web searches that one answer has made.
type searches struct {
	mu      sync.Mutex
	made    int
	found   []providers.SearchHit
	cost    float64 // USD
	counted float64 // of cost, what is part of the answer's usage already
}

// begin reports whether one more search may be made, and counts it.
func (s *searches) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made >= maxSearches {
		return false
	}
	s.made++
	return true
}

func (s *searches) add(r *providers.SearchResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found = append(s.found, r.Hits...)
	s.cost = providers.RoundUSD(s.cost + r.CostUSD)
}

// total is what the searches have come to, and the part of their cost that no earlier call has returned.
func (s *searches) total() (found []providers.SearchHit, made providers.SearchTotal, uncounted float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	uncounted, s.counted = s.cost-s.counted, s.cost
	return slices.Clone(s.found), providers.SearchTotal{Count: s.made, CostUSD: s.cost}, uncounted
}

// searchVendor is a vendor that can search.
type searchVendor struct {
	name   string
	search func(context.Context, providers.SearchQuery) (*providers.SearchResult, error)
}

// searchVendors are the vendors whose search the function uses, the cheaper first (Kimi 0.002 USD a search, Z.ai 0.01).
func searchVendors() []string { return []string{"kimi", "glm"} }

// attachSearch lets the model search the web: with a function that asks a vendor's search endpoint, with the vendor's own
// tool where GLM_ENABLE_WEB_BROWSING asks for it, else not at all, with a note.
func (c *Caller) attachSearch(j *job) {
	m := j.req.Model
	none := func(why string) { j.notes = append(j.notes, "No web search: "+why) }
	if v := c.cfg.Vendor(m.Provider); v != nil {
		if setting, allowed := c.cfg.SearchAllowed(v); !allowed {
			none(setting + " is false.")
			return
		}
	}
	if own := c.cfg.Search.GLMBrowsing; m.NativeSearch && own != nil && *own {
		j.req.NativeSearch = true
		return
	}
	if !m.Functions {
		none(m.ID + " cannot call functions.")
		return
	}
	if _, taken := j.tools[searchFunction]; taken {
		return // the caller brought its own
	}
	var vendors []searchVendor
	for _, name := range searchVendors() {
		if c.reg.ready(name, name == m.Provider) != nil { // in a preview the model's own vendor may lack its key
			continue
		}
		if s, can := c.reg.lookup(name).(providers.Searcher); can && s.CanSearch() {
			vendors = append(vendors, searchVendor{name, s.Search})
		}
	}
	if len(vendors) > 0 {
		j.addTool(c.searchTool(j, vendors))
		return
	}
	var keys []string
	for _, name := range searchVendors() {
		if v := c.cfg.Vendor(name); v != nil {
			keys = append(keys, v.Row.KeyNames())
		}
	}
	none(fmt.Sprintf("no vendor that searches is configured; set %s.", strings.Join(keys, " or ")))
}

// searchTool is the function behind searchFunction; vendors search, the first one that can.
func (c *Caller) searchTool(j *job, vendors []searchVendor) Tool {
	return Tool{
		Function: providers.Function{
			Name:        searchFunction,
			Description: "Search the web. Returns titles, links and excerpts of pages. Use it for what is recent or uncertain, and cite the links that you used.",
			Parameters:  json.RawMessage(searchParameters),
		},
		Phase: providers.PhaseSearching,
		Run: func(ctx context.Context, arguments string, room int) (string, error) {
			var q struct{ Query, Recency string }
			if err := json.Unmarshal([]byte(arguments), &q); err != nil || strings.TrimSpace(q.Query) == "" {
				return "", errors.New(`the arguments must be a JSON object with a "query"`)
			}
			query, _, err := c.vetting.text("the search query", q.Query)
			if err != nil {
				return "", err
			}
			if !j.searches.begin() {
				return fmt.Sprintf("Too many searches: at most %d are made for one answer. Answer with what you have.", maxSearches), nil
			}
			result, err := c.search(ctx, vendors, providers.SearchQuery{Query: query, Recency: q.Recency})
			if err != nil {
				return "", err
			}
			j.searches.add(result)
			return hitText(result.Hits, room), nil
		},
	}
}

// search asks the vendors in turn until one answers. One that answered with nothing within its limit has used up the time
// that a search may take.
func (c *Caller) search(ctx context.Context, vendors []searchVendor, q providers.SearchQuery) (result *providers.SearchResult, err error) {
	for _, v := range vendors {
		result, err = Do(ctx, c, v.name, opSearch, c.cfg.Timeouts.Search(v.name), func(ctx context.Context) (*providers.SearchResult, error) {
			return v.search(ctx, q)
		})
		if err == nil || asError(err).Kind == providers.KindTimeout {
			break
		}
	}
	return result, err
}

// What a search gives to a model: enough to answer from, and no more than its window is worth.
const (
	maxHits    = 10
	maxExcerpt = 2_000 // bytes
)

// hitText is what was found, as far as room bytes hold whole pages.
func hitText(hits []providers.SearchHit, room int) string {
	var b strings.Builder
	for i, h := range hits[:min(maxHits, len(hits))] {
		page := fmt.Sprintf("[%d] %s\n%s\n", i+1, h.Title, h.Link)
		if h.Published != "" {
			page += fmt.Sprintf("Published: %s\n", h.Published)
		}
		page += clip(h.Content, maxExcerpt) + "\n\n"
		if b.Len()+len(page) > room {
			break
		}
		b.WriteString(page)
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
