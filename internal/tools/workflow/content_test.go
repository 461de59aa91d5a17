package workflow

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Items that callers and experts put into a list of findings although there is nothing to report.
var emptyItems = []string{
	`""`, `" "`, `"null"`, `"N/A"`, `"n/a."`, `"None"`, `"-"`, `"..."`, `"No issues"`, `"no issues found."`, `"No issues were found"`,
	`"There are no issues."`, `"No critical security issues were found in this file"`, `"Issues: none"`, `"Findings found: N/A"`,
	`"None found"`, `"Nothing to report"`, `"no action needed"`, `"No changes required."`, `"LGTM"`, `"Looks good to me!"`, `"未发现问题"`, `"无"`,
	`"severity: high"`, `"Severity"`, `"critical"`, `null`, `7`, `true`, `[]`, `[{"title": "x"}]`,
	`{}`, `{"severity": ""}`, `{"severity": "high"}`, `{"severity": "critical", "file": "a.go", "line": 3, "confidence": "certain"}`,
	`{"title": ""}`, `{"title": "null", "description": null}`, `{"severity": "high", "description": "N/A", "evidence": " "}`,
	`{"severity": "none", "title": "no issues"}`, `{"severity": "medium", "title": "No issues found", "evidence": "Every path is handled."}`,
	`{"description": {"text": ""}, "steps": ["", "none"]}`, `{"Severity": "high"}`,
}

// Findings that could be mistaken for such items.
var fullItems = []string{
	`"No bounds check in Sum"`, `"no errors are returned"`, `"No error handling"`, `"None is passed to parse()"`, `"No issue number is validated"`,
	`"Nothing frees the buffer"`, `"null dereference in Sum"`, `"No tests"`, `"high memory use"`, `"critical section is not locked"`,
	`{"title": "N/A", "description": "SQL injection in login"}`, `{"evidence": "i < len(n)-1"}`, `{"severity": "low", "quote": "x := nil"}`,
	`{"problem": "Leaks a handle"}`, `{"description": {"text": "Leaks a handle"}}`, `{"title": "No comments", "severity": "low"}`,
	`{"notes": ["", "Leaks a handle"]}`,
}

func TestItemsWithoutContentAreNoFindings(t *testing.T) {
	for _, item := range emptyItems {
		a := Read(`{"status": "analysis_complete", "findings": [`+item+`]}`, true)
		assert.True(t, a.Structured, item)
		assert.Empty(t, a.Findings, item)
		assert.Equal(t, []any{}, a.Object["findings"], item)
		verdict, _ := verdictOf(judgement{Expert: expertAnswered, Analysis: a, Read: true})
		assert.Equal(t, VerdictPass, verdict, item)
		assert.Empty(t, foundIn(a.Findings), item)
	}
	for _, item := range fullItems {
		a := Read(`{"status": "analysis_complete", "findings": [`+item+`, ""]}`, true)
		require.Len(t, a.Findings, 1, item)
		assert.Len(t, a.Object["findings"], 1, item)
	}
}

func TestIssuesWithoutContentDoNotCount(t *testing.T) {
	object := func(item string) map[string]any {
		var v any
		require.NoError(t, json.Unmarshal([]byte(item), &v))
		if text, ok := v.(string); ok { // as the tools read a caller's list of strings
			v = map[string]any{"description": text}
		}
		issue, _ := v.(map[string]any)
		return issue
	}
	for _, item := range emptyItems {
		c := Consolidate(plain.Ladder, []Facts{{IssuesFound: []map[string]any{object(item)}}})
		assert.Empty(t, c.Issues, item)
		assert.Empty(t, c.BySeverity(), item)
		assert.Equal(t, SkipUnwarranted, Decide(plain, nil, Facts{IssuesFound: []map[string]any{object(item)}}, Options{ExpertEnabled: true, UseExpert: true}).Expert, item)
	}
	for _, item := range fullItems {
		assert.Len(t, Consolidate(plain.Ladder, []Facts{{IssuesFound: []map[string]any{object(item)}}}).Issues, 1, item)
	}
}

func TestTitleIsNeverAPlaceholder(t *testing.T) {
	assert.Equal(t, "SQL injection", Finding{"title": "null", "summary": "N/A", "description": "SQL injection\nin login"}.Title())
	assert.Equal(t, "Leaks a handle", Finding{"problem": "Leaks a handle"}.Title())
}
