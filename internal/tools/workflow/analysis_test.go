package workflow

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/proof"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

func TestRead(t *testing.T) {
	object := `{"status": "no_bug_found", "findings": [{"severity": "high", "file": "a.go", "line": 3, "title": "t"}, "in a line", 7], "root_cause": null}`
	for _, c := range []struct {
		name       string
		text       string
		asked      bool
		structured bool
		status     string
		findings   int
		raw        bool
	}{
		{"the object", object, true, true, "no_bug_found", 2, false},
		{"in a fence", "```json\n" + object + "\n```", true, true, "no_bug_found", 2, false},
		{"words around it", "I looked at struct{} and {x}.\n" + object + "\nHope this helps {}.", true, true, "no_bug_found", 2, false},
		{"without a status", `{"findings": []}`, true, true, "analysis_complete", 0, false},
		{"without findings", `{"status": "analysis_complete", "notes": []}`, true, false, "analysis_complete", 0, false},
		{"issues for findings", `{"status": "done", "issues": [{"title": "t"}]}`, true, true, "done", 1, false},
		{"issues beside no findings", `{"issues": [{"title": "t"}], "findings": []}`, true, true, "analysis_complete", 1, false},
		{"issues beside findings", `{"issues": [{"title": "t"}, {"title": "u"}], "findings": [{"title": "t"}]}`, true, true, "analysis_complete", 1, false},
		{"a comma too many", "{\"findings\": [{\"title\": \"a,}\",}, {\"title\": \"b\" ,\n}\n,\n],}", true, true, "analysis_complete", 2, false},
		{"a comma too many behind an escaped quote", `{"findings": [{"title": "a \",} b"},]}`, true, true, "analysis_complete", 1, false},
		{"a raw line break in a string", "{\"findings\": [{\"title\": \"a\n\tb\"}]}", true, true, "analysis_complete", 1, false},
		{"lone backslashes", `{"findings": [{"title": "\d+ of C:\Users", "quote": "it\'s \u12"}]}`, true, true, "analysis_complete", 1, false},
		{"an empty draft in front", `First {"findings": []}, then: ` + object, true, true, "no_bug_found", 2, false},
		{"an empty example behind", object + ` Once fixed: {"findings": []}`, true, true, "no_bug_found", 2, false},
		{"two answers", `{"findings": [{"title": "a"}]} ` + object, true, true, "no_bug_found", 2, false},
		{"a bare list", `[{"severity": "high", "title": "t"}, "in a line",]`, true, true, "analysis_complete", 2, false},
		{"a bare list in a fence", "```json\n[{\"title\": \"t\"}]\n```", true, true, "analysis_complete", 1, false},
		{"a bare list among words", `Here: [{"severity": "high", "title": "t"}]. See [1] and {x}.`, true, true, "analysis_complete", 1, false},
		{"an empty list", "[]", true, true, "analysis_complete", 0, false},
		{"an empty list among words", "I looked at n[] and found it fine: [].", true, false, "analysis_complete", 0, true},
		{"a list of something else", `The files are ["a.go", "b.go"] and [{"file": "a.go", "title": 1}].`, true, false, "analysis_complete", 0, true},
		{"wrapped", `{"analysis": {"findings": [{"title": "t"}]}}`, true, true, "analysis_complete", 1, false},
		{"findings that are no list", `{"status": "x", "findings": "none"}`, true, false, "x", 0, false},
		{"prose", "It is fine.", true, false, "analysis_complete", 0, true},
		{"prose with some object", `Set {"a": 1} and go.`, true, false, "analysis_complete", 0, true},
		{"cut short", `{"status": "analysis_complete", "findings": [{"title": "x"`, true, false, "analysis_complete", 0, true},
		{"a list", `[{"findings": []}]`, true, true, "analysis_complete", 0, false},
		{"null", "null", true, false, "analysis_complete", 0, true},
		{"empty", "", true, false, "analysis_complete", 0, true},
		{"prose was asked for", object, false, false, "analysis_complete", 0, true},
		{"prose with an example", "Use this:\n```json\n{\"status\": \"ok\", \"findings\": []}\n```", false, false, "analysis_complete", 0, true},
		{"prose that is an example", "```json\n{\"status\": \"ok\"}\n```", false, false, "analysis_complete", 0, true},
		{"a request for files", "```json\n{\"status\": \"files_required_to_continue\"}\n```", false, false, "files_required_to_continue", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Read(c.text, c.asked)
			assert.Equal(t, c.structured, a.Structured)
			assert.Equal(t, c.status, a.Object["status"])
			assert.Len(t, a.Findings, c.findings)
			if c.name == "issues for findings" {
				assert.NotContains(t, a.Object, "issues", "the list stands once")
			}
			raw, isRaw := a.Object["raw_analysis"]
			assert.Equal(t, c.raw, isRaw)
			if c.raw {
				assert.Equal(t, c.text, raw, "nothing is lost")
				_, told := a.Object["parse_error"]
				assert.Equal(t, c.asked, told)
			}
		})
	}
}

// What is not a list of findings stays as the expert wrote it.
func TestReadKeepsFindingsThatAreNoList(t *testing.T) {
	assert.Equal(t, map[string]any{"status": "x", "findings": "none"}, Read(`{"status": "x", "findings": "none"}`, true).Object)
	assert.Equal(t, map[string]any{"status": "investigation_paused"}, Read(`{"status": "investigation_paused"}`, true).Object)
}

// A reply shows an analysis in an order that reads well, and leaves the analysis as it is.
func TestReadable(t *testing.T) {
	object := map[string]any{"findings": []any{map[string]any{"title": "t", "severity": "low", "other": 1.0}, "odd"}, "status": "x"}
	text, err := readable(object).MarshalJSON()
	require.NoError(t, err)
	assert.Equal(t, `{"status":"x","findings":[{"severity":"low","title":"t","other":1},"odd"]}`, string(text)) //nolint:testifylint // the order counts
	assert.Equal(t, map[string]any{"title": "t", "severity": "low", "other": 1.0}, object["findings"].([]any)[0])
	assert.Equal(t, []string{"status", "summary"}, readable(map[string]any{"summary": "s", "status": "x"}).Keys())
}

func TestWants(t *testing.T) {
	for _, c := range []struct {
		text   string
		status string
		files  []string
	}{
		{`{"status": "files_required_to_continue", "files_needed": ["a.go", " b/ ", "", 3, "a.go"]}`, "files_required_to_continue", []string{"a.go", "b/"}},
		{`{"status": "files_required_to_continue", "files_needed": "a.go"}`, "files_required_to_continue", []string{"a.go"}},
		{`{"status": "investigation_paused", "files": ["a.go"]}`, "investigation_paused", []string{"a.go"}},
		{`{"status": "refactoring_paused"}`, "refactoring_paused", nil},
		{`{"status": "focused_review_required", "files_needed": ["a.go"]}`, "", nil},
		{`prose`, "", nil},
	} {
		status, files := Read(c.text, true).Wants()
		assert.Equal(t, c.status, status, c.text)
		assert.Equal(t, c.files, files, c.text)
	}
}

// The backslashes of quoted code stay, those of JSON do what they do.
func TestReadKeepsLoneBackslashes(t *testing.T) {
	a := Read(`{"findings": [{"title": "it\'s", "quote": "re(\d+\.\w) \\s \" \u0041 \u12 \x"}]}`, true)
	require.Len(t, a.Findings, 1)
	assert.Equal(t, "it's", a.Findings[0].Title())
	assert.Equal(t, `re(\d+\.\w) \s " A \u12 \x`, a.Findings[0].Text("quote"))
}

// A blind expert sees no exchange that repeats a claim, in the question or in the answer.
func TestBlindToWhatRepeatsAClaim(t *testing.T) {
	turn := func(role providers.Role, text string) conversation.Turn {
		return conversation.Turn{Role: role, Content: text}
	}
	history := []conversation.Turn{
		turn(providers.RoleUser, "What is a.go?"), turn(providers.RoleAssistant, "A bug-free pool."),
		turn(providers.RoleUser, "Is it safe?"), turn(providers.RoleAssistant, "No: SQL injection in line 4."),
		turn(providers.RoleUser, "An SQL-injection?"), turn(providers.RoleAssistant, "Yes."),
		turn(providers.RoleUser, "And b.go?"), turn(providers.RoleAssistant, "Fine."),
	}
	texts := withheld([]claim{{text: "SQL injection"}, {text: "a bug"}})
	assert.Equal(t, []conversation.Turn{history[0], history[1], history[6], history[7]}, blindTo(history, texts))
}

// A claim that is a part of another one gets its own judgement, in whatever order they come.
func TestJudgementsOfClaimsWithinClaims(t *testing.T) {
	claims := []claim{{text: "leak", issue: true}, {text: "A connection leak in the pool", issue: true}, {text: "off by one", issue: true}}
	got := readJudgements(`{"judgements": [
		{"claim": "A connection leak in the pool", "judgement": "wrong"}, {"claim": "3. [HIGH] off by one", "judgement": "wrong"},
		{"claim": "leak", "judgement": "holds"}]}`, claims)
	var words []string
	for _, j := range got.List {
		words = append(words, j.Judgement)
	}
	assert.Equal(t, []string{JudgedHolds, JudgedWrong, JudgedWrong}, words)

	got = readJudgements(`{"judgements": [{"number": 0, "claim": "leak", "judgement": "holds"},
		{"number": 1, "claim": "A connection leak in the pool", "judgement": "wrong"}, {"number": 3, "claim": "loop", "judgement": "wrong"}]}`, claims)
	assert.Equal(t, JudgedHolds, got.List[0].Judgement, "a text counts more than a number")
	assert.Equal(t, JudgedWrong, got.List[1].Judgement)
	assert.Equal(t, JudgedWrong, got.List[2].Judgement)
}

// A file that is with the expert whole is covered only if it is what the diffs lead to, and what they remove was shown.
func TestCoverOfChangedFilesSentWhole(t *testing.T) {
	m := workspace.Manifest{Sent: []workspace.Entry{{Path: "/w/a.go"}}}
	shown := &proof.Shown{}
	shown.Add("/w/a.go", proof.WorkTree, 1, "one\ntwo\n")
	shown.Add("/w/a.go", proof.Before, 3, "three\n")
	gone := func(line int) []workspace.Span { return []workspace.Span{{First: line, Last: line}} }
	for name, c := range map[string]struct {
		file workspace.ChangedFile
		how  string
	}{
		"all is shown":                {workspace.ChangedFile{Removed: gone(3), Current: true}, CoverWhole},
		"renamed, then changed":       {workspace.ChangedFile{From: "/w/old.go", Removed: gone(3), Current: true}, CoverWhole},
		"a removed line is not shown": {workspace.ChangedFile{Removed: gone(4), Current: true}, CoverPart},
		"its diff is not whole":       {workspace.ChangedFile{Unread: "too long", Current: true}, CoverPart},
		"new, and not whole as diff":  {workspace.ChangedFile{Unread: "too long", Current: true, New: true}, CoverWhole},
		"the index holds another one": {workspace.ChangedFile{Added: gone(9)}, CoverPart},
		"the index's lines are shown": {workspace.ChangedFile{Added: gone(2), Removed: gone(3)}, CoverDiff},
	} {
		t.Run(name, func(t *testing.T) {
			c.file.Path, c.file.From = "/w/a.go", cmp.Or(c.file.From, "/w/a.go")
			assert.Equal(t, c.how, coverChange(c.file, m, shown).How)
		})
	}
}

func TestFindingPlace(t *testing.T) {
	for _, c := range []struct {
		finding Finding
		file    string
		line    int
	}{
		{Finding{"file": "a.go", "line": 3.0}, "a.go", 3},
		{Finding{"file": "a.go", "line": "12"}, "a.go", 12},
		{Finding{"file": "a.go", "line": "L12-14"}, "a.go", 12},
		{Finding{"file": "a.go", "line": nil}, "a.go", 0},
		{Finding{"file": "a.go:7"}, "a.go", 7},
		{Finding{"file": "a.go:7-9", "line": 8.0}, "a.go", 8},
		{Finding{"file": "a.go#L7"}, "a.go", 7},
		{Finding{"file": "a.go#L7-L9"}, "a.go", 7},
		{Finding{"file": "a.go:L7"}, "a.go", 7},
		{Finding{"file": "a.go (line 7)"}, "a.go", 7},
		{Finding{"file": "a.go (lines 7-9)", "line": 8.0}, "a.go", 8},
		{Finding{"file": "a#1.go"}, "a#1.go", 0},
		{Finding{"filename": "a.go", "line_number": 7.0}, "a.go", 7},
		{Finding{"location": "a.go:7"}, "a.go", 7},
		{Finding{"file": "a.go", "line": nil, "start_line": "7"}, "a.go", 7},
		{Finding{"file": `C:\x\a.go:7`}, `C:\x\a.go`, 7},
		{Finding{"file": `C:\x\a.go`}, `C:\x\a.go`, 0},
		{Finding{"path": "a.go"}, "a.go", 0},
		{Finding{"file": "null", "line": 3.0}, "", 0},
		{Finding{"file": "N/A"}, "", 0},
		{Finding{"file": nil}, "", 0},
		{Finding{"file": "a.go", "line": -5.0}, "a.go", 0},
		{Finding{"file": "a.go", "line": 1e300}, "a.go", 2147483647},
	} {
		file, line := c.finding.Place()
		assert.Equal(t, c.file, file, c.finding)
		assert.Equal(t, c.line, line, c.finding)
	}
}

func TestProve(t *testing.T) {
	shown := &proof.Shown{}
	shown.Add("/w/a.go", proof.WorkTree, 1, "package a\n\nfunc first() {}\n\n\n\n\n\nfunc second() {}\n")
	find := func(name string) (string, bool) { return "/w/" + name, name != "gone.go" }
	for name, c := range map[string]struct{ finding, want Finding }{
		"verified": {
			Finding{"file": "a.go", "line": 3.0, "quote": "func first() {}", "line_end": 4.0},
			Finding{"file": "/w/a.go", "line": 3.0, "quote": "func first() {}", "line_end": 4.0, "citation": "verified"},
		},
		"file and line in one": {
			Finding{"file": "a.go:3", "quote": "func first() {}"},
			Finding{"file": "/w/a.go", "line": 3.0, "quote": "func first() {}", "citation": "verified"},
		},
		"moved": {
			Finding{"file": "a.go", "line": "1-2", "line_end": 2.0, "quote": "func second() {}"},
			Finding{"file": "/w/a.go", "line": 9.0, "cited_line": 1.0, "line_end": 10.0, "quote": "func second() {}", "citation": "moved"},
		},
		"moved within the lines that it names": {
			Finding{"file": "a.go", "line": 2.0, "line_end": 20.0, "quote": "func second() {}"},
			Finding{"file": "/w/a.go", "line": 9.0, "cited_line": 2.0, "line_end": 20.0, "quote": "func second() {}", "citation": "moved"},
		},
		"without a line": {
			Finding{"file": "a.go", "line": nil, "line_end": 7.0, "quote": "func second() {}"},
			Finding{"file": "/w/a.go", "line": 9.0, "quote": "func second() {}", "citation": "moved"},
		},
		"not found": {
			Finding{"file": "gone.go:7", "quote": "func second() {}"},
			Finding{"file": "gone.go", "line": 7.0, "quote": "func second() {}", "citation": "not_found"},
		},
		"not read": {
			Finding{"file": "b.go", "line": 7.0, "quote": "func second() {}"},
			Finding{"file": "/w/b.go", "line": 7.0, "quote": "func second() {}", "citation": "not_read"},
		},
		"invented": {
			Finding{"file": "a.go", "line": 3.0, "quote": "func third() {}"},
			Finding{"file": "/w/a.go", "line": 3.0, "quote": "func third() {}", "citation": "unproven"},
		},
		"no file": {Finding{"file": nil, "title": "t"}, Finding{"file": nil, "title": "t", "citation": "unproven"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.finding.prove(shown, find)
			assert.Equal(t, c.want, c.finding)
			assert.Equal(t, slices.Contains([]any{"verified", "moved"}, c.want["citation"]), c.finding.proven())
		})
	}
}

func TestAtLeast(t *testing.T) {
	all := []Finding{{"severity": "low"}, {"severity": "high"}, {}, {"severity": "critical"}}
	for least, shown := range map[issue.Severity]int{issue.Low: 4, issue.Medium: 3, issue.High: 2, issue.Critical: 1} {
		list, hidden := atLeast(all, least)
		assert.Len(t, list, shown, least)
		assert.Equal(t, len(all)-shown, hidden, least)
	}
}

func TestFoundIn(t *testing.T) {
	long := strings.Repeat("x", 300)
	found := foundIn([]map[string]any{
		{"severity": "P1", "title": "T", "quote": "x := nil", "file": "a.go:3", "evidence": "e", "recommendation": "r", "category": "CWE-79"},
		{"severity": "low", "title": "not worth it"},
		{"description": "first line\nsecond", "type": "codesmells", "fix": "f"},
		{"severity": "high"},
		{"title": long},
	})
	assert.Equal(t, []Found{
		{Severity: "high", File: "a.go", Line: 3, Title: "T", Quote: "x := nil", Evidence: "e", Recommendation: "r", Category: "CWE-79"},
		{Severity: "medium", Title: "first line", Evidence: "first line\nsecond", Recommendation: "f", Category: "codesmells"},
		{Severity: "medium", Title: long[:159] + "…"},
	}, found)
}

func TestShorter(t *testing.T) {
	text := func(v any) string { out, _ := json.Marshal(v); return string(out) }
	assert.JSONEq(t, `{"status":"partial","content":"he","note":"n"}`, text(shorter(map[string]any{"status": "partial", "content": "head", "note": "n"}, "he")))
	assert.JSONEq(t, `{"status":"analysis_complete","raw_analysis":"he"}`, text(shorter(json.RawMessage(`{"status":"analysis_complete","raw_analysis":"head"}`), "he")))
	assert.JSONEq(t, `{"status":"analysis_complete","raw_analysis":"{\"st","findings":[{"severity":"high","title":"t","citation":"verified","file":"a"},{}]}`,
		text(shorter(map[string]any{"status": "analysis_complete", "summary": "s", "findings": []any{
			map[string]any{"severity": "high", "title": "t", "file": "a", "line": nil, "evidence": "long", "citation": "verified"}, "odd",
		}}, `{"st`)))
}

// FuzzRead holds that no answer of a model makes reading fail, and that nothing of it is lost.
func FuzzRead(f *testing.F) {
	f.Add(`{"status": "files_required_to_continue", "files_needed": ["a"], "findings": [1, "x", {"file": "a:3", "line": "7"}]}`, true)
	f.Add("```json\n{\"findings\": []}\n```", true)
	f.Add("text {", false)
	f.Add(`{"findings":[{"severity":{}}]}`, true)
	f.Fuzz(func(t *testing.T, text string, asked bool) {
		a := Read(text, asked)
		status, ok := a.Object["status"].(string)
		require.True(t, ok)
		if raw, isRaw := a.Object["raw_analysis"]; isRaw && status == "analysis_complete" && !a.Structured && len(a.Findings) == 0 && a.Object["findings"] == nil {
			require.IsType(t, "", raw)
		}
		for _, f := range a.Findings {
			f.prove(&proof.Shown{}, func(string) (string, bool) { return "", false })
			require.False(t, f.proven())
			require.True(t, f.Severity().Valid())
			require.False(t, f.Empty())
			f.Title()
		}
		wants, files := a.Wants()
		require.Equal(t, wants != "", asksForFiles(status))
		require.True(t, wants != "" || files == nil)
		_, err := json.Marshal(a.Object)
		require.NoError(t, err)
		shorter(a.Object, "head")
		foundIn(a.Findings)
		for _, read := range []bool{true, false} {
			v, _ := verdictOf(judgement{Expert: expertAnswered, Analysis: a, Read: read})
			require.True(t, v == VerdictInconclusive || read && a.Structured)
		}
	})
}

// An expert's severities are shown in our words, whatever words it used.
func TestReadMapsSeverities(t *testing.T) {
	a := Read(`{"findings": [{"title": "a", "severity": "Blocker"}, {"title": "b", "severity": "nit"}, {"title": "c", "severity": 3}, {"title": "d"}]}`, true)
	var got []any
	for _, f := range a.Object["findings"].([]any) {
		got = append(got, f.(map[string]any)["severity"])
	}
	assert.Equal(t, []any{"critical", "low", "medium", nil}, got)
}

// Findings of medium severity and above are recorded, one without a severity too, but none that cites what does not exist or
// was not read.
func TestWhatIsRecorded(t *testing.T) {
	var titles []string
	for _, f := range foundIn([]Finding{
		{"title": "proven", "severity": "critical", "citation": "verified"},
		{"title": "moved", "severity": "high", "citation": "moved"},
		{"title": "without a severity", "citation": "unproven"},
		{"title": "small", "severity": "low", "citation": "verified"},
		{"title": "of no file", "severity": "critical", "citation": "not_found"},
		{"title": "not read", "severity": "high", "citation": "not_read"},
		{"severity": "high"},
	}) {
		titles = append(titles, f.Title)
	}
	assert.Equal(t, []string{"proven", "moved", "without a severity"}, titles)
}

// A file that a change renames is known by its old name as the diff spells it, whatever other files end so.
func TestDiffNamesBothSides(t *testing.T) {
	s := &proof.Shown{}
	s.Add("/r/sub/old.go", proof.WorkTree, 1, "package sub\n")
	s.Add("/r/sub/new.go", proof.WorkTree, 1, "package sub\n")
	showDiffs(s, "/r", "diff --git a/old.go b/new.go\n--- a/old.go\n+++ b/new.go\n@@ -1 +1 @@\n-package main\n+package other\n")
	for _, name := range []string{"old.go", "new.go"} {
		r := s.Check(proof.Claim{File: name, Line: 1, Quote: "a line of no file"}, func(string) (string, bool) { return "", false })
		assert.Equal(t, proof.Unproven, r.Citation)
		assert.Equal(t, "/r/"+name, r.File)
	}
}

func TestJudgementsFindTheirClaim(t *testing.T) {
	claims := []claim{{text: "A first one"}, {text: "The loop reads one past the end"}}
	found := func(f Finding) bool {
		of, _ := matchJudgements([]Finding{f}, claims)
		return of[1] == 0
	}
	for text, want := range map[string]bool{
		"2": true, "#2": true, " 2. wrong": true, "3": false, "2nd of them": false, "": false,
		"the loop reads ONE past the end!": true, "The loop reads one": true, "The": false, "A leak in the pool of connections": false,
	} {
		assert.Equal(t, want, found(Finding{"claim": text}), text)
	}
	assert.True(t, found(Finding{"number": 2.0, "claim": "another"}))
	assert.True(t, found(Finding{"n": 3.0, "claim": claims[1].text}), "the whole text counts more than the number")
	assert.False(t, found(Finding{"n": 3.0, "claim": "The loop reads one"}), "the number counts more than a part")
}
