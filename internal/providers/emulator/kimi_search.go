package emulator

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// search answers each vendor's search.
func (x *exchange) search(id string) (*result, error) {
	if x.record.Vendor == GLM {
		return x.glmSearch(id)
	}
	return x.kimiSearch()
}

// kimiQuery is the body of Kimi's tools/search; sites and the time window are search_pro's alone.
type kimiQuery struct {
	Query   *string  `json:"text_query"`
	Limit   *int     `json:"limit"`
	Timeout *int     `json:"timeout_seconds"`
	Content *bool    `json:"include_content"`
	Sites   []string `json:"sites"`
	Window  *struct {
		Start string `json:"start"`
		End   string `json:"end"`
	} `json:"time_window"`
}

// kimiSearch answers POST tools/search and tools/search_pro.
func (x *exchange) kimiSearch() (*result, error) {
	pro := strings.HasSuffix(x.snapshot().Path, "_pro")
	var q kimiQuery
	if err := json.Unmarshal(x.sent, &q); err != nil {
		return nil, unreadable(Kimi, errNotJSON)
	}
	if err := q.check(pro); err != nil {
		return nil, err
	}
	type chunk struct {
		Text  string  `json:"text"`
		Score float64 `json:"score"`
	}
	type page struct {
		Title   string  `json:"title"`
		URL     string  `json:"url"`
		Snippet string  `json:"snippet"`
		Site    string  `json:"site_name"`
		Date    string  `json:"date"`
		Icon    string  `json:"icon"`
		MIME    string  `json:"mime"`
		Content string  `json:"content,omitempty"`
		Chunks  []chunk `json:"chunks,omitempty"`
	}
	limit := 5
	if q.Limit != nil {
		limit = *q.Limit
	}
	return &result{hits: func(scripted []Hit) any {
		pages := []page{}
		for _, h := range hitsFor(scripted, *q.Query, limit) {
			p := page{Title: h.Title, URL: h.Link, Snippet: h.Content, Site: h.Media, Date: h.PublishDate, Icon: h.Icon, MIME: "text/html"}
			if value(q.Content) {
				p.Content = h.Content
			}
			if pro {
				p.Chunks = []chunk{{h.Content, 0.9}}
			}
			pages = append(pages, p)
		}
		return map[string]any{"search_results": pages}
	}}, nil
}

func (q *kimiQuery) check(pro bool) error {
	refuse := func(rule string) error {
		return &refusal{rule: rule, status: http.StatusBadRequest, code: "invalid_request", message: rule}
	}
	switch {
	case strings.TrimSpace(value(q.Query)) == "":
		return refuse("text_query is required")
	case q.Limit != nil && (*q.Limit < 1 || *q.Limit > 20):
		return refuse("limit must be between 1 and 20")
	case q.Timeout != nil && (*q.Timeout < 1 || *q.Timeout > 60):
		return refuse("timeout_seconds must be between 1 and 60")
	case !pro && (q.Sites != nil || q.Window != nil):
		return refuse("sites and time_window are for search_pro")
	case len(q.Sites) > 5:
		return refuse("at most 5 sites")
	case q.Window != nil && (!isPeriod(q.Window.Start) || !isPeriod(q.Window.End)):
		return refuse("time_window takes YYYY, YYYY-MM or YYYY-MM-DD")
	}
	return nil
}

func isPeriod(s string) bool {
	for _, layout := range []string{"2006", "2006-01", time.DateOnly} {
		if _, err := time.Parse(layout, s); err == nil {
			return true
		}
	}
	return false
}
