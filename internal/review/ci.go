package review

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/issue"
)

// Formats are the output formats, the default first.
func Formats() []string { return []string{"text", "json", "sarif", "github", "gitlab"} }

// JSON is the report as one indented object.
func (r *Report) JSON(exitCode int) ([]byte, error) {
	return IndentedJSON(struct {
		*Report
		ExitCode int `json:"exit_code"`
	}{r, exitCode})
}

// IndentedJSON is a value as indented JSON that ends in a newline, without HTML escapes.
func IndentedJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// fingerprint is equal for the same defect over time, whatever line it stands on.
func (f Finding) fingerprint() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{f.File, f.rule(), issue.NormalTitle(f.Title)}, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// rule names the kind of a finding: its category and severity. Which model found it is no part of it.
func (f Finding) rule() string { return f.kind() + "-" + string(f.Severity) }

// kind is the finding's category as a word of lower-case letters, digits and hyphens.
func (f Finding) kind() string {
	word := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(f.Category))
	word = strings.Trim(word, "-")
	if word == "" || len(word) > 40 {
		return "review"
	}
	return word
}

// GitHub is the report as workflow commands, which become annotations, worst first, and a last line for the log. GitHub
// shows ten errors and ten warnings of a step.
//
// Source: docs.github.com, "Workflow commands for GitHub Actions"; the escapes are those of @actions/core.
func (r *Report) GitHub() string {
	var b strings.Builder
	for _, f := range r.Findings {
		level := levelOf(f.Severity)
		if level == "note" {
			level = "notice"
		}
		var props []string
		if inside(f.File) {
			props = append(props, "file="+property(oneLine(f.File)))
			if f.Line > 0 {
				props = append(props, fmt.Sprintf("line=%d", f.Line))
			}
			if f.LineEnd > f.Line {
				props = append(props, fmt.Sprintf("endLine=%d", f.LineEnd))
			}
		}
		props = append(props, "title="+property(fmt.Sprintf("%s: %s", f.Severity, oneLine(f.Title))))
		message := f.about()
		if !inside(f.File) && f.File != "" {
			message = oneLine(f.Place()) + "\n" + message
		}
		fmt.Fprintf(&b, "::%s %s::%s\n", level, strings.Join(props, ","), data(message))
	}
	switch r.Verdict {
	case Inconclusive:
		fmt.Fprintf(&b, "::warning title=exai review::%s\n", data(r.summary()))
	default:
		fmt.Fprintf(&b, "::notice title=exai review::%s\n", data(r.summary()))
	}
	return b.String()
}

// summary is the outcome in a sentence.
func (r *Report) summary() string {
	text := "Verdict: " + r.Verdict.Words()
	if r.Nothing {
		text = "Nothing to review"
	}
	if len(r.Findings) > 0 {
		text += " (" + r.counted() + ")"
	}
	if r.Reason != "" {
		text += ": " + shown(r.Reason)
	}
	if r.Compared != "" {
		text += "\nCompared: " + shown(r.Compared)
	}
	return text
}

var (
	dataEscapes     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	propertyEscapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func data(text string) string     { return dataEscapes.Replace(text) }
func property(text string) string { return propertyEscapes.Replace(text) }

// gitlabSeverities are ours in the words of GitLab.
var gitlabSeverities = map[issue.Severity]string{
	issue.Critical: "blocker", issue.High: "critical", issue.Medium: "major", issue.Low: "minor",
}

// GitLab is the report as a code quality artifact. What has no place in a file can't be shown there.
//
// Source: docs.gitlab.com/ci/testing/code_quality, "Code Quality report format".
func (r *Report) GitLab() ([]byte, error) {
	type lines struct {
		Begin int `json:"begin"`
	}
	type location struct {
		Path  string `json:"path"`
		Lines lines  `json:"lines"`
	}
	type entry struct {
		Description string   `json:"description"`
		CheckName   string   `json:"check_name"`
		Fingerprint string   `json:"fingerprint"`
		Severity    string   `json:"severity"`
		Location    location `json:"location"`
	}
	list := []entry{}
	seen := map[string]int{} // GitLab shows the first of equal fingerprints alone
	for _, f := range r.Findings {
		if !inside(f.File) {
			continue
		}
		id := f.fingerprint()
		if seen[id]++; seen[id] > 1 {
			id += fmt.Sprintf("-%d", seen[id])
		}
		list = append(list, entry{
			oneLine(f.Title), "exai/" + f.kind(), id, gitlabSeverities[f.Severity], location{oneLine(f.File), lines{max(f.Line, 1)}},
		})
	}
	return IndentedJSON(list)
}
