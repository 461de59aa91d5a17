package ui

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

//go:embed static
var static embed.FS

// pageSize is how many rows a list shows.
const pageSize = 50

// viewTime is what making a view may take.
const viewTime = 20 * time.Second

func (s *Server) routes() {
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // compiled in
	}
	s.mux.Handle("GET /static/", http.StripPrefix("/static/", http.FileServerFS(files)))
	s.view("GET /{$}", "overview", s.overview)
	s.view("GET /running", "running", s.runningPart)
	s.view("GET /calls", "calls", s.calls)
	s.view("GET /cost", "cost", s.cost)
	s.view("GET /conversations", "conversations", s.conversations)
	s.view("GET /conversations/{id}", "conversation", s.conversation)
	s.view("GET /issues", "issues", s.issues)
	s.view("GET /issues/{number}", "issue", s.issue)
}

// view serves a template with what a function finds for it.
func (s *Server) view(pattern, name string, data func(ctx context.Context, r *http.Request) (any, error)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), viewTime)
		defer cancel()
		found, err := data(ctx, r)
		name, status := name, http.StatusOK
		switch {
		case errors.Is(err, conversation.ErrNotFound), errors.Is(err, issue.ErrNotFound):
			name, status, found = "message", http.StatusNotFound, "There is no such conversation or issue."
		case err != nil:
			s.o.Log.Warn("the page could not read the store", zap.String("view", name), zap.Error(err))
			name, status, found = "message", http.StatusServiceUnavailable, "The store did not answer. exai-mcp doctor says more."
		}
		if err := s.pages.write(w, status, name, page{View: name, Store: s.o.Store, Data: found}, s.o.Redactor); err != nil {
			s.o.Log.Warn("the page could not be made", zap.String("view", name), zap.Error(err))
		}
	})
}

// running is one call in progress, as it is shown.
type running struct {
	activity.Running
	Host  string
	Model string
	Left  time.Duration // until its limit; 0 where that is not known
}

// runningCalls are those of this machine, and, of other machines, what the store has of them: the conversations whose answers
// are being written, and the requests that a limit of the day has reserved for.
func (s *Server) runningCalls(ctx context.Context) ([]running, error) {
	now := time.Now()
	here, err := s.o.Running(ctx, now)
	if err != nil {
		return nil, err
	}
	var out []running
	known := map[string]bool{}
	for _, r := range here {
		one := running{Running: r, Host: s.o.Host, Model: r.Model}
		if r.LimitSecs > 0 {
			one.Left = max(time.Duration((r.LimitSecs-r.Seconds)*float64(time.Second)), 0).Round(time.Second)
		}
		known[r.ContinuationID] = true
		out = append(out, one)
	}
	elsewhere := func(host string, r activity.Running) {
		if r.ContinuationID == "" || !known[r.ContinuationID] {
			known[r.ContinuationID] = true
			r.Seconds = now.Sub(r.Started).Seconds()
			out = append(out, running{Running: r, Host: host, Model: r.Model})
		}
	}
	held, err := s.o.Usage.UnderWay(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range held {
		if r.Host != s.o.Host {
			elsewhere(r.Host, activity.Running{Tool: r.Tool, ContinuationID: r.ConversationID, Model: r.Model, Started: r.CreatedAt})
		}
	}
	latest, err := s.o.Conversations.List(ctx, conversation.Filter{Limit: pageSize, Since: now.Add(-time.Hour)})
	if err != nil {
		return nil, err
	}
	for _, c := range latest {
		if c.Running {
			elsewhere(c.Host, activity.Running{Tool: c.Tool, ContinuationID: c.ID, Model: c.Model, Background: true, Started: c.UpdatedAt})
		}
	}
	return out, nil
}

func (s *Server) runningPart(ctx context.Context, _ *http.Request) (any, error) {
	return s.runningCalls(ctx)
}

// plot is a bar chart with its table.
type plot struct {
	Title string
	By    usage.By
	Rows  []usage.Total
	Sum   usage.Total
}

// Names and Costs are the series of a plot as the script reads them.
func (p plot) Names() []string {
	return column(p.Rows, func(t usage.Total) string { return cmp.Or(oneLine(t.Name), "(none)") })
}

// Costs are in USD.
func (p plot) Costs() []float64 {
	return column(p.Rows, func(t usage.Total) float64 { return t.CostUSD })
}

// Requests are how many requests each row has.
func (p plot) Requests() []int { return column(p.Rows, func(t usage.Total) int { return t.Requests }) }

func column[T any](rows []usage.Total, of func(usage.Total) T) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = of(r)
	}
	return out
}

// everyDay fills in the days on which nothing was asked, so that the plot's axis is even.
func everyDay(rows []usage.Total, days int, today time.Time) []usage.Total {
	byName := map[string]usage.Total{}
	for _, r := range rows {
		byName[r.Name] = r
	}
	var out []usage.Total
	for ago := days - 1; ago >= 0; ago-- {
		name := today.UTC().AddDate(0, 0, -ago).Format(time.DateOnly)
		r := byName[name]
		r.Name = name
		out = append(out, r)
	}
	return out
}

// plots are the costs of the last days by one group each.
func (s *Server) plots(ctx context.Context, days int, by ...usage.By) ([]plot, error) {
	all, err := s.o.Usage.TotalsBy(ctx, days, by...)
	if err != nil {
		return nil, err
	}
	var out []plot
	for i, rows := range all {
		p := plot{Title: "Cost by " + string(by[i]), By: by[i], Rows: rows, Sum: usage.Sum(rows)}
		if p.By == usage.ByDay {
			p.Rows = everyDay(rows, days, time.Now())
		}
		out = append(out, p)
	}
	return out, nil
}

type overview struct {
	Running       []running
	Days          plot
	Today         usage.Total
	DayLimitUSD   float64
	Exceeded      []usage.Count
	Requests      []usage.Request
	Conversations []conversation.Summary
	Issues        []issue.Issue
}

func (s *Server) overview(ctx context.Context, _ *http.Request) (any, error) {
	o := overview{DayLimitUSD: s.o.DayLimitUSD}
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() (err error) { o.Running, err = s.runningCalls(ctx); return err })
	all.Go(func() error {
		plots, err := s.plots(ctx, 30, usage.ByDay)
		if err == nil {
			o.Days = plots[0]
			o.Today = o.Days.Rows[len(o.Days.Rows)-1]
		}
		return err
	})
	all.Go(func() (err error) { o.Exceeded, err = s.o.Usage.Exceeded(ctx, 30); return err })
	all.Go(func() (err error) { o.Requests, err = s.o.Usage.Requests(ctx, usage.Filter{Limit: 8}); return err })
	all.Go(func() (err error) {
		o.Conversations, err = s.o.Conversations.List(ctx, conversation.Filter{Limit: 8})
		return err
	})
	all.Go(func() (err error) {
		o.Issues, err = s.o.Issues.List(ctx, issue.Filter{Status: []issue.Status{issue.Open, issue.InProgress}, Limit: 8})
		return err
	})
	return o, all.Wait()
}

type callsView struct {
	Filter   usage.Filter
	Requests []usage.Request
	Exceeded []usage.Count
	Next     string // the query of the next page, "" for none
}

func (s *Server) calls(ctx context.Context, r *http.Request) (any, error) {
	q := r.URL.Query()
	v := callsView{Filter: usage.Filter{
		ConversationID: q.Get("conversation"), Tool: q.Get("tool"), Model: q.Get("model"), Outcome: q.Get("outcome"),
		ExceededLimit: q.Get("limit"), Limit: pageSize,
	}}
	v.Filter.Before, _ = time.Parse(time.RFC3339Nano, q.Get("before")) // else the latest
	var err error
	if v.Requests, err = s.o.Usage.Requests(ctx, v.Filter); err != nil {
		return nil, err
	}
	if n := len(v.Requests); n == pageSize {
		q.Set("before", v.Requests[n-1].CreatedAt.Format(time.RFC3339Nano))
		v.Next = q.Encode()
	}
	v.Exceeded, err = s.o.Usage.Exceeded(ctx, 30)
	return v, err
}

type costView struct {
	Days  int
	Spans []int
	Plots []plot
}

func (s *Server) cost(ctx context.Context, r *http.Request) (any, error) {
	v := costView{Days: 30, Spans: []int{7, 30, 90, 365}}
	if n, err := strconv.Atoi(r.URL.Query().Get("days")); err == nil && n >= 1 && n <= usage.KeepDays {
		v.Days = n
	}
	var err error
	v.Plots, err = s.plots(ctx, v.Days, usage.Groups()...)
	return v, err
}

// list is a page of a list with a search.
type list struct {
	Query    url.Values
	Page     int
	Previous string // the queries of the pages beside it, "" for none
	Next     string
}

func listOf(r *http.Request) list {
	l := list{Query: r.URL.Query()}
	l.Page, _ = strconv.Atoi(l.Query.Get("page")) // else the first
	l.Page = min(max(l.Page, 1), 100_000)
	if l.Page > 1 {
		l.Previous = l.at(l.Page - 1)
	}
	return l
}

func (l list) at(page int) string {
	q := url.Values{}
	for name, values := range l.Query {
		q[name] = values
	}
	q.Set("page", strconv.Itoa(page))
	return q.Encode()
}

type conversationsView struct {
	list
	Text string
	List []conversation.Summary
}

func (s *Server) conversations(ctx context.Context, r *http.Request) (any, error) {
	v := conversationsView{list: listOf(r), Text: strings.TrimSpace(r.URL.Query().Get("q"))}
	var err error
	v.List, err = s.o.Conversations.List(ctx, conversation.Filter{Text: v.Text, Limit: pageSize + 1, Offset: (v.Page - 1) * pageSize})
	if len(v.List) > pageSize {
		v.List, v.Next = v.List[:pageSize], v.at(v.Page+1)
	}
	return v, err
}

type conversationView struct {
	*conversation.Conversation
	Issues []issue.Issue
	Cost   float64
}

func (s *Server) conversation(ctx context.Context, r *http.Request) (any, error) {
	c, err := s.o.Conversations.Load(ctx, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	v := conversationView{Conversation: c}
	for _, t := range c.Turns {
		v.Cost += t.Usage.CostUSD
	}
	v.Issues, err = s.o.Issues.List(ctx, issue.Filter{ConversationID: c.ID})
	return v, err
}
