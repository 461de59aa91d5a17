package activity

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// runningLines is how many of the newest lines of the activity log are read for work in progress.
const runningLines = 4000

// unlimited is how long work without a known limit may have gone on before it counts as that of a dead process.
const unlimited = time.Hour

// LoggedWork lists the work in progress of all processes that write this activity log, the oldest first: what has started and
// not ended. Work whose limit is long over belongs to a process that died. An absent log has none.
func (l *Log) LoggedWork(ctx context.Context, now time.Time) ([]Running, error) {
	lines, err := l.TailActivity(ctx, Query{Lines: runningLines})
	if errors.Is(err, ErrOff) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return workOf(lines, now), nil
}

func workOf(lines []string, now time.Time) []Running {
	ended := map[string]bool{}
	var out []Running
	for _, line := range slices.Backward(lines) {
		if !strings.Contains(line, `"call_id"`) {
			continue
		}
		var r Record
		if json.Unmarshal([]byte(line), &r) != nil || r.CallID == "" {
			continue
		}
		if r.Kind != ToolStarted && r.Kind != BackgroundStarted {
			ended[r.CallID] = true
			continue
		}
		began := time.Time(r.TS)
		limit := time.Duration(r.LimitSecs * float64(time.Second))
		if limit <= 0 {
			limit = unlimited
		}
		if age := now.Sub(began); ended[r.CallID] || age > limit+disorder/12 {
			continue
		}
		ended[r.CallID] = true // a start that is logged twice counts once
		out = append(out, Running{
			ID: r.CallID, RequestID: r.RequestID, Tool: r.Tool, ContinuationID: r.ContinuationID, Provider: r.Provider, Model: r.Model,
			Background: r.Kind == BackgroundStarted, Started: began.UTC(), Seconds: now.Sub(began).Round(100 * time.Millisecond).Seconds(),
			LimitSecs: r.LimitSecs,
		})
	}
	slices.Reverse(out)
	return out
}
