package workflow

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/looks"
)

// What the issue tracker gets of a finding, whatever keys it was written with, and which findings it does not get.
func TestWhatIsRecordedOfAFinding(t *testing.T) {
	long := strings.Repeat("ä", longestTitle)
	for name, c := range map[string]struct {
		in   map[string]any
		want []Found
	}{
		"whole": {
			map[string]any{
				"severity": "critical", "title": "It fails", "file": "a.go", "line": 12.0, "quote": "x := 1", "evidence": "so", "recommendation": "y",
				"category": "security", "citation": "verified",
			},
			[]Found{{Severity: issue.Critical, File: "a.go", Line: 12, Title: "It fails", Quote: "x := 1", Evidence: "so", Recommendation: "y", Category: "security"}},
		},
		"other keys": {
			map[string]any{"priority": "high", "description": "It fails\nat once", "location": "a.go:12", "suggestion": "y", "type": "bug"},
			[]Found{{Severity: issue.High, File: "a.go", Line: 12, Title: "It fails", Evidence: "It fails\nat once", Recommendation: "y", Category: "bug"}},
		},
		"evidence alone":           {map[string]any{"details": "It fails\nat once"}, []Found{{Severity: issue.Medium, Title: "It fails", Evidence: "It fails\nat once"}}},
		"nothing":                  {map[string]any{"severity": "high", "file": "a.go"}, nil},
		"low":                      {map[string]any{"severity": "low", "title": "It fails"}, nil},
		"a file that is not there": {map[string]any{"title": "It fails", "citation": "not_found"}, nil},
		"a file that was not read": {map[string]any{"title": "It fails", "citation": "not_read"}, nil},
		"no proof":                 {map[string]any{"title": "It fails", "citation": "unproven"}, []Found{{Severity: issue.Medium, Title: "It fails"}}},
		"the longest title":        {map[string]any{"title": long}, []Found{{Severity: issue.Medium, Title: long}}},
		"a longer title":           {map[string]any{"title": long + "ä"}, []Found{{Severity: issue.Medium, Title: strings.TrimSuffix(long, "ä") + "…"}}},
	} {
		assert.Equal(t, c.want, foundIn([]map[string]any{c.in}), name)
	}
	both := foundIn([]Finding{{"title": "low", "severity": "low"}, {"severity": "high"}, {"title": "last"}})
	assert.Equal(t, []Found{{Severity: issue.Medium, Title: "last"}}, both, "one that is left out ends nothing")
}

// Work on the issue tracker takes two seconds at most, and half of the time that its call keeps for storing and answering.
func TestCaptureEnds(t *testing.T) {
	for _, c := range []struct{ limit, spent, want time.Duration }{
		{0, 0, 2 * time.Second}, // no call waits
		{time.Minute, 0, 2 * time.Second},
		{time.Minute, 58 * time.Second, time.Second},
		{20 * time.Second, 18500 * time.Millisecond, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx := t.Context()
			if c.limit > 0 {
				ctx = providers.WithBudget(ctx, providers.Budget{Limit: config.Limit{Value: c.limit}, Start: time.Now()})
			}
			time.Sleep(c.spent)
			assert.Equal(t, c.want, time.Until((&run{}).captureEnd(ctx)), "%v of %v", c.spent, c.limit)
		})
	}
}

// An expert counts as having read something where a function gave it text of a file.
func TestReadAnything(t *testing.T) {
	for _, c := range []struct {
		looked []looks.Look
		want   bool
	}{
		{nil, false},
		{[]looks.Look{{Tool: "read_file", Bytes: 1}}, true},
		{[]looks.Look{{Tool: "git_show", Bytes: 1}}, true},
		{[]looks.Look{{Tool: "read_file", Error: "refused"}}, false},
		{[]looks.Look{{Tool: "search_files", Bytes: 9}, {Tool: "list_files", Bytes: 9}, {Tool: "git_history", Bytes: 9}}, false},
		{[]looks.Look{{Tool: "list_files", Bytes: 9}, {Tool: "read_file", Bytes: 9}}, true},
	} {
		assert.Equal(t, c.want, readAnything(c.looked), "%v", c.looked)
	}
}
