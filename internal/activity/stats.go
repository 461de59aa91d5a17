package activity

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

var _ providers.Observer = (*Log)(nil)

// Stats are the figures of this process since it started.
type Stats struct {
	Since   time.Time      `json:"since"`
	Limits  map[string]int `json:"limits_exceeded"` // by variable
	Vendors []Vendor       `json:"vendors"`         // by name
	Days    []Day          `json:"days"`            // UTC, the oldest first; today is the last
	Dropped int            `json:"log_lines_lost"`
}

// Vendor is how one vendor has answered.
type Vendor struct {
	Name        string    `json:"name"`
	Requests    int       `json:"requests"`
	Failures    int       `json:"failures"` // cancelled requests count as neither success nor failure
	LastSuccess time.Time `json:"last_success,omitzero"`
	LastFailure *Failure  `json:"last_failure,omitempty"`
	// Latency is the time of whole chat requests that succeeded, FirstDelta the time until their first delta.
	Latency    Quantiles `json:"latency_secs"`
	FirstDelta Quantiles `json:"first_delta_secs"`
	// Today is what its requests took since midnight UTC.
	Today providers.Usage `json:"today"`
}

// Failure is a request that failed.
type Failure struct {
	At    time.Time      `json:"at"`
	Kind  providers.Kind `json:"kind"`
	Model string         `json:"model,omitempty"`
	Op    string         `json:"op"`
}

// Quantiles are of the last requests, in seconds; 0 where there were none.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Of  int     `json:"of"` // how many they are made from
}

// Day is what was spent on one UTC day.
type Day struct {
	Date     string          `json:"date"`  // YYYY-MM-DD
	Calls    int             `json:"calls"` // of tools
	Failed   int             `json:"failed"`
	Requests int             `json:"requests"` // to vendors
	Usage    providers.Usage `json:"usage"`    // of all of them, background answers included
}

// vendor is what a Vendor is made from.
type vendor struct {
	requests, failures int
	success            time.Time
	failure            *Failure
	latency, first     ring
	date               string // the UTC day that spent is of
	spent              providers.Usage
}

// usageOf returns what was used on a day; zero if the last request was on another day.
func (v *vendor) usageOf(date string) providers.Usage {
	if v.date != date {
		return providers.Usage{}
	}
	return v.spent
}

// maxDays is how many days are remembered.
const maxDays = 31

// Attempt records one request to a vendor.
func (l *Log) Attempt(a providers.Attempt) {
	now := time.Now()
	l.mu.Lock()
	v := l.vendors[a.Provider]
	if v == nil {
		v = &vendor{}
		l.vendors[a.Provider] = v
	}
	v.requests++
	switch {
	case a.Err == nil:
		v.success = now
		if a.Op == "chat" {
			v.latency.add(a.Duration)
			if a.FirstDelta > 0 {
				v.first.add(a.FirstDelta)
			}
		}
	case a.Err.Kind != providers.KindCancelled:
		v.failures++
		v.failure = &Failure{At: now.UTC(), Kind: a.Err.Kind, Model: a.Model, Op: a.Op}
	}
	d := l.dayLocked(now)
	v.date, v.spent = d.Date, v.usageOf(d.Date).Plus(a.Usage)
	d.Requests++
	d.Usage = d.Usage.Plus(a.Usage)
	l.mu.Unlock()
	l.Note(attemptRecord(a))
}

// whose is a vendor and its model, either of which may be "". An endpoint's models have its name in theirs.
func whose(provider, model string) string {
	if strings.HasPrefix(model, provider+"/") {
		return model
	}
	return strings.Trim(provider+"/"+model, "/")
}

func attemptRecord(a providers.Attempt) Record {
	r := Record{Kind: ModelAttempt, Level: levelInfo, RequestID: a.RequestID, Provider: a.Provider, Model: a.Model}
	what, came := whose(a.Provider, a.Model), "ok"
	if a.Err != nil {
		came = string(a.Err.Kind)
		if a.Err.Kind != providers.KindCancelled {
			r.Level = levelWarning
		}
	}
	r.Message = fmt.Sprintf("MODEL_ATTEMPT: %s %s %s duration_secs=%.3f", what, a.Op, came, a.Duration.Seconds())
	if a.FirstDelta > 0 {
		r.Message += fmt.Sprintf(" first_secs=%.3f", a.FirstDelta.Seconds())
	}
	if a.Usage != (providers.Usage{}) {
		r.Message += fmt.Sprintf(" tokens=%d+%d", a.Usage.InputTokens, a.Usage.OutputTokens)
	}
	if a.RequestID != "" {
		r.Message += " req_id=" + a.RequestID
	}
	return r
}

// LimitExceeded records a limit that ended a request.
func (l *Log) LimitExceeded(p providers.LimitExceeded) {
	r := Record{Provider: p.Provider, Model: p.Model, RequestID: p.RequestID, Tool: p.Tool, ContinuationID: p.ContinuationID}
	l.recordLimit(p.Limit, r, p.Elapsed)
}

// Stats returns the figures as they stand.
func (l *Log) Stats() Stats {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	today := l.dayLocked(now).Date // so that it is there
	s := Stats{Since: l.started.UTC(), Limits: maps.Clone(l.limits), Vendors: []Vendor{}, Days: []Day{}, Dropped: l.files.dropped()}
	for _, name := range slices.Sorted(maps.Keys(l.vendors)) {
		v := l.vendors[name]
		out := Vendor{
			Name: name, Requests: v.requests, Failures: v.failures, LastFailure: v.failure,
			Latency: v.latency.quantiles(), FirstDelta: v.first.quantiles(),
			Today: v.usageOf(today),
		}
		if !v.success.IsZero() {
			out.LastSuccess = v.success.UTC()
		}
		s.Vendors = append(s.Vendors, out)
	}
	for _, date := range slices.Sorted(maps.Keys(l.days)) {
		s.Days = append(s.Days, *l.days[date])
	}
	return s
}

// Today is what was spent since midnight UTC.
func (s Stats) Today() Day { return s.Days[len(s.Days)-1] }

// dayLocked returns the running total of a day, and deletes those of days older than maxDays.
func (l *Log) dayLocked(now time.Time) *Day {
	date := now.UTC().Format(time.DateOnly)
	d := l.days[date]
	if d == nil {
		d = &Day{Date: date}
		l.days[date] = d
		oldest := now.UTC().AddDate(0, 0, 1-maxDays).Format(time.DateOnly)
		maps.DeleteFunc(l.days, func(date string, _ *Day) bool { return date < oldest })
	}
	return d
}

// ring keeps the last durations.
type ring struct {
	values []time.Duration
	next   int
}

// ringSize is enough for a p99 and small enough to sort on every look.
const ringSize = 256

func (r *ring) add(d time.Duration) {
	if len(r.values) < ringSize {
		r.values = append(r.values, d)
		return
	}
	r.values[r.next] = d
	r.next = (r.next + 1) % ringSize
}

// quantiles are nearest-rank: values that really occurred.
func (r *ring) quantiles() Quantiles {
	sorted := slices.Sorted(slices.Values(r.values))
	at := func(percent int) float64 {
		if len(sorted) == 0 {
			return 0
		}
		rank := (len(sorted)*percent + 99) / 100
		return sorted[rank-1].Seconds()
	}
	return Quantiles{P50: at(50), P90: at(90), P99: at(99), Of: len(sorted)}
}
