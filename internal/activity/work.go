package activity

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Call is one piece of work that begins: a tool call, or an answer that goes on after its call.
type Call struct {
	ID             string // unique in this process
	RequestID      string // the client's
	Tool           string
	Client         string // name and version
	ContinuationID string
	Provider       string // where it is known already
	Model          string
	Arguments      []byte        // the JSON object as it came
	Started        time.Time     // zero means now
	Background     bool          // an answer that goes on after its call
	Limit          time.Duration // how long the work may take; 0 where that is not known
}

// End is the outcome of a piece of work.
type End struct {
	Status         string // the reply's
	ErrorCode      string // "" for none
	ContinuationID string // "" leaves the Call's
	Provider       string
	Model          string // who really answered
	Attempts       int
	Usage          providers.Usage
	Fallback       *providers.Fallback
	// Limit is the limit that ended the work where no vendor was asked; limits of requests are reported to the Observer.
	Limit *config.Limit
}

func (e End) cancelled() bool {
	return e.ErrorCode == string(providers.KindCancelled) || e.Status == string(providers.KindCancelled)
}

// Work is a piece of work in progress. Its methods do nothing on a nil Work.
type Work struct {
	log  *Log
	call Call

	mu           sync.Mutex
	phase        providers.Phase
	detail       string // what is read
	provider     string
	model        string
	conversation string
	tokens       int
	finished     bool
}

// Running is a piece of work as it stands.
type Running struct {
	ID             string    `json:"id"`
	RequestID      string    `json:"req_id,omitempty"`
	Tool           string    `json:"tool"`
	Client         string    `json:"client,omitempty"`
	ContinuationID string    `json:"continuation_id,omitempty"`
	Provider       string    `json:"provider,omitempty"`
	Model          string    `json:"model,omitempty"`
	Detail         string    `json:"detail,omitempty"` // what is read
	Phase          string    `json:"phase,omitempty"`
	Background     bool      `json:"background"`
	Started        time.Time `json:"started"`
	Seconds        float64   `json:"seconds"`
	Tokens         int       `json:"tokens"` // received so far, estimated
	LimitSecs      float64   `json:"-"`      // how long it may take; 0 where that is not known
}

// Start records that work begins. Every Start needs a Finish.
func (l *Log) Start(c Call) *Work {
	if c.Started.IsZero() {
		c.Started = time.Now()
	}
	for _, s := range []*string{&c.RequestID, &c.Tool, &c.Client, &c.ContinuationID, &c.Provider, &c.Model} {
		*s = tidy(*s, 128)
	}
	w := &Work{log: l, call: c, conversation: c.ContinuationID, provider: c.Provider, model: c.Model}
	l.mu.Lock()
	l.work[c.ID] = w
	l.mu.Unlock()

	kind, message := ToolStarted, fmt.Sprintf("TOOL_CALL: %s with %d arguments", c.Tool, len(sizes(c.Arguments)))
	if c.Background {
		kind, message = BackgroundStarted, fmt.Sprintf("BACKGROUND_STARTED: %s model=%s", c.Tool, c.Model)
	}
	r := w.record(kind, message)
	r.CallID, r.LimitSecs = c.ID, c.Limit.Seconds()
	l.Note(r)
	return w
}

// Find returns the work with an ID, nil when none is in progress.
func (l *Log) Find(id string) *Work {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.work[id]
}

// Running lists the work in progress, the oldest first.
func (l *Log) Running() []Running {
	l.mu.Lock()
	work := slices.Collect(maps.Values(l.work))
	l.mu.Unlock()
	now := time.Now()
	out := make([]Running, 0, len(work))
	for _, w := range work {
		out = append(out, w.status(now))
	}
	slices.SortFunc(out, func(a, b Running) int {
		if c := a.Started.Compare(b.Started); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

func (w *Work) status(now time.Time) Running {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Running{
		ID: w.call.ID, RequestID: w.call.RequestID, Tool: w.call.Tool, Client: w.call.Client, ContinuationID: w.conversation,
		Provider: w.provider, Model: w.model, Phase: string(w.phase), Detail: w.detail, Background: w.call.Background,
		Started: w.call.Started.UTC(), Seconds: now.Sub(w.call.Started).Round(100 * time.Millisecond).Seconds(), Tokens: w.tokens,
	}
}

// Update records a progress event.
func (w *Work) Update(e providers.Event) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phase, w.detail, w.tokens = e.Phase, tidy(e.Detail, 200), max(w.tokens, e.Tokens)
	if e.Model != "" {
		w.provider, w.model = e.Provider, e.Model
	}
}

// SetConversation sets the conversation that the work belongs to, once it is known.
func (w *Work) SetConversation(continuationID string) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conversation = tidy(continuationID, 128)
}

// Finish records the outcome of the work. Only the first Finish counts.
func (w *Work) Finish(e End) {
	if w == nil {
		return
	}
	w.mu.Lock()
	again := w.finished
	w.finished = true
	if e.ContinuationID != "" {
		w.conversation = tidy(e.ContinuationID, 128)
	}
	if e.Model != "" {
		w.provider, w.model = e.Provider, e.Model
	}
	w.mu.Unlock()
	if again {
		return
	}
	l, now := w.log, time.Now()
	l.mu.Lock()
	if l.work[w.call.ID] == w {
		delete(l.work, w.call.ID)
	}
	if !w.call.Background {
		d := l.dayLocked(now)
		d.Calls++
		if e.ErrorCode != "" && !e.cancelled() {
			d.Failed++
		}
	}
	l.mu.Unlock()

	if e.Fallback != nil {
		r := w.record(ModelFallback, fmt.Sprintf("FALLBACK: %s -> %s (%s)", e.Fallback.From, e.Fallback.To, e.Fallback.Reason))
		r.Level = levelWarning
		l.Note(r)
	}
	if e.Limit != nil {
		l.recordLimit(*e.Limit, w.record("", ""), now.Sub(w.call.Started))
	}
	l.Note(w.endRecord(e, now))
	if !w.call.Background {
		l.write(l.toolCalls, w.entry(e, now))
	}
}

// record is a record about this work.
func (w *Work) record(kind Kind, message string) Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := Record{
		Kind: kind, Message: message, RequestID: w.call.RequestID, Tool: w.call.Tool, ContinuationID: w.conversation,
		Provider: w.provider, Model: w.model,
	}
	if r.RequestID != "" && message != "" {
		r.Message += " req_id=" + r.RequestID
	}
	return r
}

// endRecord is the record of the work's end.
func (w *Work) endRecord(e End, now time.Time) Record {
	kind, word, level := ToolFinished, "TOOL_DONE", levelInfo
	switch {
	case e.cancelled():
		kind, word = ToolCancelled, "TOOL_CANCELLED"
	case e.ErrorCode != "":
		word, level = "TOOL_ERROR", levelWarning
	}
	if w.call.Background {
		kind, word = BackgroundFinished, "BACKGROUND_FINISHED"
	}
	parts := []string{fmt.Sprintf("%s: %s", word, w.call.Tool)}
	for _, p := range []struct{ name, value string }{{"status", e.Status}, {"code", e.ErrorCode}, {"model", e.Model}} {
		if p.value != "" {
			parts = append(parts, p.name+"="+p.value)
		}
	}
	parts = append(parts, fmt.Sprintf("duration_secs=%.3f", now.Sub(w.call.Started).Seconds()))
	r := w.record(kind, strings.Join(parts, " "))
	r.Level, r.CallID = level, w.call.ID
	return r
}

// entry is a line of the tool-call log.
type entry struct {
	TS             Stamp                      `json:"ts"`
	Tool           string                     `json:"tool"`
	RequestID      string                     `json:"request_id"`
	Client         string                     `json:"client,omitempty"`
	ContinuationID string                     `json:"continuation_id,omitempty"`
	Model          string                     `json:"model,omitempty"`
	Provider       string                     `json:"provider,omitempty"`
	Status         string                     `json:"status"`
	ErrorCode      string                     `json:"error_code,omitempty"`
	Attempts       int                        `json:"attempts"`
	DurationSecs   float64                    `json:"duration_secs"`
	Usage          *providers.Usage           `json:"usage,omitempty"`
	ArgumentBytes  map[string]int             `json:"argument_bytes"`
	Arguments      map[string]json.RawMessage `json:"arguments,omitempty"`
}

func (w *Work) entry(e End, now time.Time) entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := entry{
		TS: Stamp(now), Tool: w.call.Tool, RequestID: w.call.RequestID, Client: w.call.Client, ContinuationID: w.conversation,
		Model: w.model, Provider: w.provider, Status: e.Status, ErrorCode: e.ErrorCode, Attempts: e.Attempts,
		DurationSecs: now.Sub(w.call.Started).Round(time.Millisecond).Seconds(), ArgumentBytes: sizes(w.call.Arguments),
	}
	if e.Usage != (providers.Usage{}) {
		out.Usage = &e.Usage
	}
	if w.log.prompts {
		out.Arguments = w.log.redactor.arguments(w.call.Arguments)
	}
	return out
}

// maxArguments is more than any tool has; whoever sends more is not worth a longer line.
const maxArguments = 64

// sizes names the arguments with their length in bytes, as JSON. What is no object has one entry, named "".
func sizes(arguments []byte) map[string]int {
	out := map[string]int{}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(arguments, &object); err != nil {
		if len(arguments) > 0 {
			out[""] = len(arguments)
		}
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if len(out) < maxArguments {
			out[tidy(name, 64)] = len(object[name])
		}
	}
	return out
}

// recordLimit counts an exceeded limit and logs it.
func (l *Log) recordLimit(limit config.Limit, r Record, elapsed time.Duration) {
	l.mu.Lock()
	l.limits[limit.Name]++
	l.mu.Unlock()
	who := whose(r.Provider, r.Model)
	if who == "" {
		who = r.Tool
	}
	l.logger.Warn("a time limit was exceeded",
		zap.String("limit", limit.Name), zap.Float64("limit_secs", limit.Value.Seconds()), zap.Stringer("setting", limit),
		zap.String("provider", r.Provider), zap.String("model", r.Model), zap.String("tool", r.Tool),
		zap.String("request_id", r.RequestID), zap.String("continuation_id", r.ContinuationID),
		zap.Float64("elapsed_secs", elapsed.Seconds()))
	r.Kind, r.Level = LimitExceeded, levelWarning
	r.Message = fmt.Sprintf("LIMIT_EXCEEDED: %s %s after %.1fs", limit, who, elapsed.Seconds())
	if r.RequestID != "" {
		r.Message += " req_id=" + r.RequestID
	}
	l.Note(r)
}
