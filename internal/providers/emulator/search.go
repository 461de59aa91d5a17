package emulator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// glmQuery is the body of GLM's web_search endpoint, and what of it the web_search tool shares.
type glmQuery struct {
	Engine         *string `json:"search_engine"`
	Query          *string `json:"search_query"`
	Count          *int    `json:"count"`
	Domain         *string `json:"search_domain_filter"`
	Recency        *string `json:"search_recency_filter"`
	ContentSize    *string `json:"content_size"`
	Intent         *bool   `json:"search_intent"`
	RequestID      *string `json:"request_id"`
	UserID         *string `json:"user_id"`
	Enable         *bool   `json:"enable"`
	ResultSequence *string `json:"result_sequence"`
	SearchResult   *bool   `json:"search_result"`
	RequireSearch  *bool   `json:"require_search"`
	SearchPrompt   *string `json:"search_prompt"`
}

// parseQuery reads and checks what the endpoint and the tool have in common.
func (e *Emulator) parseQuery(raw []byte, field string, engines []string) (*glmQuery, error) {
	q := &glmQuery{}
	if err := json.Unmarshal(raw, q); err != nil {
		return nil, glmIllegal("types of a search", field)
	}
	for _, w := range []struct {
		name string
		sent *string
		ok   []string
	}{
		{"search_engine", q.Engine, engines},
		{"search_recency_filter", q.Recency, []string{"oneDay", "oneWeek", "oneMonth", "oneYear", "noLimit"}},
		{"content_size", q.ContentSize, []string{"medium", "high"}},
		{"result_sequence", q.ResultSequence, []string{"before", "after"}},
	} {
		if w.sent != nil && !slices.Contains(w.ok, *w.sent) {
			return nil, glmIllegal(w.name, w.name)
		}
	}
	if q.Count != nil && (*q.Count < 1 || *q.Count > 50) {
		return nil, glmIllegal("count out of 1 to 50", "count")
	}
	return q, nil
}

// engines are the search engines of the account's region: of the endpoint, or of the tool inside a chat.
func (e *Emulator) engines(inChat bool) []string {
	switch {
	case e.mainland:
		return []string{"search_std", "search_pro", "search_pro_sogou", "search_pro_quark"}
	case inChat:
		return []string{"search_pro_jina"}
	}
	return []string{"search-prime"}
}

// glmSearchTool checks the web_search entry of a chat's tools.
func (in *inquiry) glmSearchTool(raw json.RawMessage) error {
	if !isObject(raw) {
		return glmMissing("search tool without web_search", "tools.web_search")
	}
	_, err := in.e.parseQuery(raw, "tools.web_search", in.e.engines(true))
	return err
}

// searched is what GLM's search inside a chat found, where its results were asked for.
func (in *inquiry) searched(scripted []Hit) []Hit {
	t, ok := in.c.tool(func(t Tool) bool { return t.Type == "web_search" })
	if !ok {
		return nil
	}
	var entry wireTool
	var q glmQuery
	if json.Unmarshal(t.Raw, &entry) != nil || json.Unmarshal(entry.WebSearch, &q) != nil {
		return nil
	}
	if q.Enable != nil && !*q.Enable || !value(q.SearchResult) {
		return nil
	}
	query := value(q.Query)
	if query == "" {
		query = firstWords(in.c.LastUser(), 8)
	}
	return hitsFor(scripted, query, value(q.Count))
}

// hitsFor is the scripted hits, or some that say that they are emulated; at most count of them, where it is set.
func hitsFor(scripted []Hit, query string, count int) []Hit {
	hits := scripted
	if hits == nil {
		for i := range 3 {
			hits = append(hits, Hit{
				Title:   fmt.Sprintf("Emulated result %d for %q", i+1, query),
				Content: "This page does not exist: the search was emulated and nothing was looked up.",
				Link:    fmt.Sprintf("https://emulated.invalid/%d", i+1), Media: "emulated.invalid",
				Refer: fmt.Sprintf("ref_%d", i+1), PublishDate: "2026-01-01",
			})
		}
	}
	if count > 0 && len(hits) > count {
		hits = hits[:count]
	}
	return hits
}

// glmSearch answers POST web_search.
func (x *exchange) glmSearch(string) (*result, error) {
	if !json.Valid(x.sent) {
		return nil, unreadable(GLM, errNotJSON)
	}
	q, err := x.e.parseQuery(x.sent, "body", x.e.engines(false))
	if err != nil {
		return nil, err
	}
	switch {
	case value(q.Engine) == "":
		return nil, glmMissing("no search_engine", "search_engine")
	case strings.TrimSpace(value(q.Query)) == "":
		return nil, glmMissing("no search_query", "search_query")
	case q.UserID != nil && (len(*q.UserID) < 6 || len(*q.UserID) > 128):
		return nil, glmIllegal("length of user_id", "user_id")
	}
	if err := x.e.claim(value(q.RequestID)); err != nil {
		return nil, err
	}
	id := time.Now().UTC().Format("20060102150405") + hexID("", x.e.nextID(), 18)
	type intent struct {
		Query    string `json:"query"`
		Intent   string `json:"intent"`
		Keywords string `json:"keywords"`
	}
	return &result{hits: func(scripted []Hit) any {
		return struct {
			ID        string   `json:"id"`
			Created   int64    `json:"created"`
			RequestID string   `json:"request_id"`
			Intent    []intent `json:"search_intent"`
			Result    []Hit    `json:"search_result"`
		}{
			id, time.Now().Unix(), requestID(x.sent, id),
			[]intent{{*q.Query, "SEARCH_ALL", *q.Query}},
			hitsFor(scripted, *q.Query, value(q.Count)),
		}
	}}, nil
}

// glmReader answers POST reader.
func (x *exchange) glmReader(string) (*result, error) {
	var b struct {
		URL          *string `json:"url"`
		ReturnFormat *string `json:"return_format"`
		RequestID    *string `json:"request_id"`
	}
	if err := json.Unmarshal(x.sent, &b); err != nil {
		return nil, unreadable(GLM, errNotJSON)
	}
	switch {
	case value(b.URL) == "":
		return nil, glmMissing("no url", "url")
	case !isWeb(*b.URL):
		return nil, glmIllegal("url is not a web address", "url")
	case b.ReturnFormat != nil && *b.ReturnFormat != "markdown" && *b.ReturnFormat != "text":
		return nil, glmIllegal("return_format", "return_format")
	}
	if err := x.e.claim(value(b.RequestID)); err != nil {
		return nil, err
	}
	id := hexID("", x.e.nextID(), 32)
	return &result{json: map[string]any{
		"id": id, "created": time.Now().Unix(), "request_id": requestID(x.sent, id), "model": "web-reader",
		"reader_result": map[string]any{
			"title": "Emulated page", "description": "", "url": *b.URL,
			"content": "# Emulated page\n\nNothing was fetched: this text is emulated.", "metadata": map[string]any{}, "external": map[string]any{},
		},
	}}, nil
}
