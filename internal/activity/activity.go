// Package activity knows what happened: it keeps the tool-call log and the activity log, the figures about vendors and
// limits, and the list of work in progress. It also makes the program's logger and hides secrets from all of them.
//
// It knows no protocol, no vendor and no database.
package activity

import (
	"encoding/json"
	"strings"
	"sync"
	"time"
	"unicode"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// Log records what happens. Its methods return at once and never fail: files are written in the background, and lines that
// can't be written are counted. It is safe for concurrent use.
type Log struct {
	logger   *zap.Logger
	redactor *Redactor
	prompts  bool // LOG_PROMPTS
	started  time.Time

	files     *files
	activity  *rotating // nil: none is kept
	toolCalls *rotating

	mu      sync.Mutex
	work    map[string]*Work
	limits  map[string]int
	vendors map[string]*vendor
	days    map[string]*Day
}

// Open makes a Log for a configuration. The files and their folder are made when the first line is written; a path that
// is empty keeps none.
func Open(cfg *config.Config, logger *zap.Logger) *Log {
	if logger == nil {
		logger = zap.NewNop()
	}
	l := &Log{
		logger: logger, redactor: NewRedactor(cfg.Secrets()...), prompts: cfg.Logs.Prompts, started: time.Now(),
		files: newFiles(logger), work: map[string]*Work{},
		limits: map[string]int{}, vendors: map[string]*vendor{}, days: map[string]*Day{},
	}
	if cfg.Logs.Activity && cfg.Logs.ActivityPath != "" {
		l.activity = &rotating{path: cfg.Logs.ActivityPath}
	}
	if cfg.Logs.ToolCallPath != "" {
		l.toolCalls = &rotating{path: cfg.Logs.ToolCallPath}
	}
	return l
}

// Close writes the queued lines, but gives up on a disk that does not answer within half a second.
func (l *Log) Close() error { return l.files.close() }

// Kind says what a record of the activity log is about.
type Kind string

// The kinds of records.
const (
	ToolStarted        Kind = "tool_started"
	ToolFinished       Kind = "tool_finished"
	ToolCancelled      Kind = "tool_cancelled"
	ModelAttempt       Kind = "model_attempt"
	ModelFallback      Kind = "fallback"
	LimitExceeded      Kind = "limit_exceeded"
	BackgroundStarted  Kind = "background_started"
	BackgroundFinished Kind = "background_finished"
	Conversation       Kind = "conversation"
	Notice             Kind = "notice"
)

// Record is one line of the activity log.
type Record struct {
	TS             Stamp  `json:"ts"` // filled in when zero
	Level          string `json:"level"`
	Kind           Kind   `json:"kind"`
	Message        string `json:"message"` // one readable line
	RequestID      string `json:"req_id,omitempty"`
	Tool           string `json:"tool,omitempty"`
	ContinuationID string `json:"continuation_id,omitempty"`
	Provider       string `json:"provider,omitempty"`
	Model          string `json:"model,omitempty"`
	// Of the start and the end of work: which, and how long it may take.
	CallID    string  `json:"call_id,omitempty"`
	LimitSecs float64 `json:"limit_secs,omitempty"`
}

// Levels of records.
const (
	levelInfo    = "INFO"
	levelWarning = "WARNING"
)

// Stamp is a time as the logs show it: UTC, milliseconds, always the same length.
type Stamp time.Time

const stampLayout = "2006-01-02T15:04:05.000Z"

// MarshalText writes the stamp in UTC.
func (s Stamp) MarshalText() ([]byte, error) {
	return []byte(time.Time(s).UTC().Format(stampLayout)), nil
}

// UnmarshalText reads a stamp.
func (s *Stamp) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.RFC3339Nano, string(text))
	*s = Stamp(t)
	return err
}

// Note records something that has no method of its own, such as a conversation being resumed.
func (l *Log) Note(r Record) {
	if time.Time(r.TS).IsZero() {
		r.TS = Stamp(time.Now())
	}
	if r.Level == "" {
		r.Level = levelInfo
	}
	r.Message = tidy(r.Message, 1000)
	l.logger.Debug(r.Message, zap.String("kind", string(r.Kind)))
	l.write(l.activity, r)
}

// write queues a record for a file.
func (l *Log) write(to *rotating, record any) {
	if to == nil {
		return
	}
	line, err := json.Marshal(record)
	if err != nil {
		l.logger.Warn("a log record cannot be encoded", zap.Error(err))
		return
	}
	l.files.add(to, append(l.redactor.JSON(line), '\n'))
}

// tidy makes text from outside fit for one line of a log: no control characters, at most limit characters.
func tidy(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "..."
	}
	return s
}
