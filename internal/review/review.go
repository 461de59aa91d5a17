// Package review turns a finished precommit or codereview reply into what others read: people, CI systems, and the hooks of
// agents and of git. It judges again for another threshold than the server's, and says what to answer a hook.
//
// Everything here is a pure function: no file, no process, no store. cmd runs the review and prints.
package review

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/issue"
)

// Verdict is what a review came to, in the words of the reply.
type Verdict string

// The verdicts of a review.
const (
	Pass            Verdict = "pass"
	ChangesRequired Verdict = "changes_required"
	Inconclusive    Verdict = "inconclusive"
)

// Words is the verdict for people.
func (v Verdict) Words() string { return strings.ReplaceAll(string(v), "_", " ") }

// The states of a citation that prove a finding.
const (
	cited = "verified"
	moved = "moved"
)

// Finding is one defect. File is relative to the repository with slashes, or absolute where it lies elsewhere; "" for none.
// Line is counted from 1, 0 for none.
type Finding struct {
	Severity       issue.Severity `json:"severity"`
	File           string         `json:"file,omitempty"`
	Line           int            `json:"line,omitempty"`
	LineEnd        int            `json:"line_end,omitempty"`
	Title          string         `json:"title"`
	Category       string         `json:"category,omitempty"`
	Quote          string         `json:"quote,omitempty"`
	Evidence       string         `json:"evidence,omitempty"`
	Trigger        string         `json:"trigger,omitempty"`
	Recommendation string         `json:"recommendation,omitempty"`
	Fix            string         `json:"fix,omitempty"`
	Confidence     any            `json:"confidence,omitempty"`
	Citation       string         `json:"citation,omitempty"`
}

// Proven reports whether the server found the line that the finding quotes.
func (f Finding) Proven() bool { return f.Citation == cited || f.Citation == moved }

// Place is file:line, the file alone, or "" for a finding that names none.
func (f Finding) Place() string {
	if f.File == "" || f.Line == 0 {
		return f.File
	}
	return f.File + ":" + strconv.Itoa(f.Line)
}

// Coverage says how much of a file the reviewer saw.
type Coverage struct {
	File string `json:"file"`
	How  string `json:"how"` // whole, part, diff, skipped, not_read
	Why  string `json:"why,omitempty"`
}

// Report is a review that ran to an end, whatever that is.
type Report struct {
	Verdict  Verdict `json:"verdict"`
	Reason   string  `json:"verdict_reason,omitempty"`
	Compared string  `json:"compared,omitempty"` // what with what, for people
	// Nothing: there was no change to review, or none that is reviewed.
	Nothing        bool       `json:"nothing_to_review"`
	Repository     string     `json:"repository,omitempty"`
	Findings       []Finding  `json:"findings"` // worst first
	Coverage       []Coverage `json:"coverage"`
	MoreCoverage   int        `json:"coverage_more,omitempty"` // files that Coverage does not list
	Model          string     `json:"model,omitempty"`
	Seconds        float64    `json:"duration_seconds"`
	CostUSD        float64    `json:"cost_usd"`
	ContinuationID string     `json:"continuation_id,omitempty"`
	Notes          []string   `json:"notes,omitempty"`

	failed string // why there is no answer that could be judged, "" where there is one
}

// Nothing is the report of a comparison without a difference.
func Nothing(compared string) *Report {
	return &Report{Verdict: Pass, Nothing: true, Compared: compared, Findings: []Finding{}, Coverage: []Coverage{}}
}

// Judged reports whether there is an answer that could be judged, or nothing to judge.
func (r *Report) Judged() bool { return r.failed == "" }

// Failure is a review that could not run, or whose expert gave no answer.
type Failure struct {
	Code    string
	Message string
	Hint    string
	Limit   string // the limit that was exceeded, "NAME=30s"
}

// Error is the sentence for people.
func (f *Failure) Error() string {
	if f.Hint == "" {
		return f.Message
	}
	return f.Message + " " + f.Hint
}

// ExitCode is the exit code of a review that failed like this: an answer that can't be used is inconclusive, and so is the
// end of the review's own time; without any answer it could not run.
func (f *Failure) ExitCode(on FailOn) int {
	if f.Code == "content_filtered" || f.ownTime() {
		return on.ExitCode(Inconclusive)
	}
	return ExitFailed
}

// TimeoutFlag is the name of the limit of a whole review.
const TimeoutFlag = "--timeout"

// reply is what is read of a reply.
type reply struct {
	Status         string     `json:"status"`
	Content        string     `json:"content"`
	Error          *wireError `json:"error"`
	ContinuationID string     `json:"continuation_id"`
	Verdict        Verdict    `json:"verdict"`
	VerdictReason  string     `json:"verdict_reason"`
	Coverage       []Coverage `json:"coverage"`
	MoreCoverage   int        `json:"coverage_more"`
	Expert         *struct {
		Status     string            `json:"status"`
		Reason     string            `json:"reason"`
		Findings   []json.RawMessage `json:"findings"`
		ParseError string            `json:"parse_error"`
		Error      *wireError        `json:"error"`
	} `json:"expert_analysis"`
	Metadata struct {
		Model      string `json:"model_used"`
		DurationMS int64  `json:"duration_ms"`
		Usage      struct {
			CostUSD float64 `json:"cost_usd"`
		} `json:"usage"`
		Notes []string `json:"notes"`
	} `json:"metadata"`
}

type wireError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
	Limit   string `json:"limit"`
}

func (e *wireError) failure() *Failure {
	f := &Failure{Code: e.Code, Message: e.Message, Hint: e.Hint, Limit: e.Limit}
	if f.ownTime() { // the hint is about settings of a server
		f.Hint = "Raise " + TimeoutFlag + ", or review less at once."
	}
	return f
}

// ownTime reports whether the review's own time was over.
func (f *Failure) ownTime() bool { return strings.HasPrefix(f.Limit, TimeoutFlag) }

// nothingToReview is the status of a reply where git shows no change, or none that is reviewed.
const nothingToReview = "nothing_to_review"

// Read reads a reply. top is the repository's top folder, to which files are made relative; "" leaves them. The error is a
// *Failure where no answer came, else the reply is none of a review.
func Read(object []byte, top string) (*Report, error) {
	var in reply
	if err := json.Unmarshal(object, &in); err != nil {
		return nil, fmt.Errorf("read the reply: %w", err)
	}
	if in.Error != nil {
		return nil, in.Error.failure()
	}
	r := &Report{
		Verdict: in.Verdict, Reason: in.VerdictReason, Nothing: in.Status == nothingToReview, Repository: top,
		Coverage: []Coverage{}, MoreCoverage: in.MoreCoverage, Findings: []Finding{}, Model: in.Metadata.Model, Notes: in.Metadata.Notes,
		Seconds: math.Round(float64(in.Metadata.DurationMS)/100) / 10, CostUSD: in.Metadata.Usage.CostUSD, ContinuationID: in.ContinuationID,
	}
	for _, c := range in.Coverage {
		c.File = relative(top, c.File)
		r.Coverage = append(r.Coverage, c)
	}
	switch e := in.Expert; {
	case r.Nothing:
	case e != nil && e.Error != nil && e.Status == "analysis_error":
		return nil, e.Error.failure()
	case e != nil && e.Status == "analysis_timeout" && e.Error != nil:
		return nil, e.Error.failure()
	case e == nil:
		r.failed = "No reviewer was asked."
	case e.Status == "partial":
		r.failed = "The review was cut short."
	case e.Status == "skipped":
		r.failed = cmp.Or(e.Reason, "The reviewer was not asked.")
	case e.ParseError != "" || e.Findings == nil:
		r.failed = "The reviewer's answer can't be read as findings."
	default:
		r.findings(e.Findings, top)
	}
	if r.Verdict == "" {
		return nil, fmt.Errorf("the reply has no verdict (status %q)", in.Status)
	}
	if r.Verdict == Inconclusive {
		r.Reason = cmp.Or(r.Reason, r.failed)
	}
	return r, nil
}

// findings reads the findings and sorts them: worst first, proven before unproven, else in the reviewer's order.
func (r *Report) findings(list []json.RawMessage, top string) {
	for _, raw := range list {
		if f, ok := readFinding(raw); ok {
			f.File = relative(top, f.File)
			r.Findings = append(r.Findings, f)
		}
	}
	order := issue.Severities()
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		if d := slices.Index(order, a.Severity) - slices.Index(order, b.Severity); d != 0 {
			return d
		}
		switch {
		case a.Proven() && !b.Proven():
			return -1
		case b.Proven() && !a.Proven():
			return 1
		}
		return 0
	})
}

// readFinding reads one finding, whose keys a model may have filled with other types.
func readFinding(raw json.RawMessage) (Finding, bool) {
	var keys map[string]any
	if json.Unmarshal(raw, &keys) != nil {
		return Finding{}, false
	}
	text := func(names ...string) string {
		for _, name := range names {
			if s, ok := keys[name].(string); ok && strings.TrimSpace(s) != "" {
				return strings.TrimSpace(s)
			}
		}
		return ""
	}
	f := Finding{
		File: text("file", "path", "file_path"), Line: number(keys["line"]), LineEnd: number(keys["line_end"]),
		Title:    text("title", "description", "issue", "finding"),
		Category: strings.ToLower(text("category", "type")), Quote: text("quote"), Evidence: text("evidence"), Trigger: text("trigger"),
		Recommendation: text("recommendation"), Fix: text("fix"), Confidence: keys["confidence"], Citation: text("citation"),
	}
	f.Severity, _ = issue.ParseSeverity(text("severity", "priority", "level"))
	if f.LineEnd < f.Line {
		f.LineEnd = 0
	}
	f.Title, _, _ = strings.Cut(cmp.Or(f.Title, f.Evidence, f.Recommendation), "\n")
	return f, f.Title != ""
}

// number reads a line number, 0 for what is none.
func number(v any) int {
	var n float64
	switch v := v.(type) {
	case float64:
		n = v
	case string:
		first, _, _ := strings.Cut(strings.TrimSpace(v), "-")
		n, _ = strconv.ParseFloat(strings.TrimSpace(first), 64) // what is no number is no line
	}
	if !(n >= 1 && n <= math.MaxInt32) {
		return 0
	}
	return int(n)
}

// relative is a file below top with slashes, relative to it; any other name as it is.
func relative(top, file string) string {
	if top == "" || file == "" {
		return file
	}
	name := strings.ReplaceAll(file, `\`, "/")
	if filepath.Separator == '/' {
		name = file
	}
	prefix := strings.TrimSuffix(filepath.ToSlash(top), "/") + "/"
	if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" {
		return rest
	}
	return strings.TrimPrefix(name, "./")
}

// inside reports whether a file lies in the repository, as far as its name says.
func inside(file string) bool {
	return file != "" && filepath.IsLocal(filepath.FromSlash(file)) && !strings.Contains(file, ":/") && !strings.HasPrefix(file, "/")
}

// oneLine is a model's text in one line without control characters.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return hidden(r) || r == ' ' }), " ")
}
