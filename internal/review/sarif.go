package review

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/issue"
)

// The parts of SARIF 2.1.0 that we write.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Automation  sarifAutomation   `json:"automationDetails"`
		Bases       map[string]any    `json:"originalUriBaseIds"`
		Results     []sarifResult     `json:"results"`
		Invocations []sarifInvocation `json:"invocations"`
		ColumnKind  string            `json:"columnKind"`
	}
	sarifAutomation struct {
		ID string `json:"id"`
	}
	sarifInvocation struct {
		Successful bool `json:"executionSuccessful"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID         string         `json:"id"`
		Name       string         `json:"name"`
		Short      sarifText      `json:"shortDescription"`
		Full       sarifText      `json:"fullDescription"`
		Help       sarifText      `json:"help"`
		Default    map[string]any `json:"defaultConfiguration"`
		Properties map[string]any `json:"properties"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI  string `json:"uri"`
		Base string `json:"uriBaseId"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
		EndLine   int `json:"endLine,omitempty"`
	}
)

// The identity of our runs for a service that collects them. The part up to the last slash is the category.
const (
	sarifSchema     = "https://json.schemastore.org/sarif-2.1.0.json"
	sarifAutomated  = "exai-mcp/review/"
	informationURI  = "https://github.com/exai-mcp/exai-mcp"
	sourceRoot      = "SRCROOT"
	maxDescription  = 1024 // characters of a rule's short description; GitHub cuts there
	maxSarifResults = 5000 // that GitHub shows
)

// SARIF is the report as a SARIF 2.1.0 log. GitHub shows only results with a place in a file of the repository; a finding
// without a line stands at line 1, and one without a file in the repository is not in the log.
//
// Source: docs.github.com, "SARIF support for code scanning"; docs.oasis-open.org/sarif/sarif/v2.1.0.
func (r *Report) SARIF(version string) ([]byte, error) {
	run := sarifRun{
		Tool:       sarifTool{sarifDriver{Name: "exai-mcp", Version: version, InformationURI: informationURI, Rules: []sarifRule{}}},
		Automation: sarifAutomation{sarifAutomated},
		Bases:      map[string]any{sourceRoot: map[string]any{"description": sarifText{"The top folder of the repository."}}},
		Results:    []sarifResult{}, Invocations: []sarifInvocation{{Successful: r.failed == ""}}, ColumnKind: "unicodeCodePoints",
	}
	for _, f := range r.Findings {
		if !inside(f.File) || len(run.Results) == maxSarifResults {
			continue
		}
		id := f.rule()
		at := slices.IndexFunc(run.Tool.Driver.Rules, func(rule sarifRule) bool { return rule.ID == id })
		if at < 0 {
			at = len(run.Tool.Driver.Rules)
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, ruleOf(f))
		}
		message := oneLine(f.Title)
		if about := f.about(); about != "" {
			message += "\n\n" + about
		}
		region := sarifRegion{StartLine: max(f.Line, 1)}
		if f.LineEnd > f.Line && f.Line > 0 {
			region.EndLine = f.LineEnd
		}
		run.Results = append(run.Results, sarifResult{
			RuleID: id, RuleIndex: at, Level: levelOf(f.Severity), Message: sarifText{message},
			Locations:    []sarifLocation{{sarifPhysical{sarifArtifact{uriOf(f.File), sourceRoot}, region}}},
			Fingerprints: map[string]string{"exaiFinding/v1": f.fingerprint()},
		})
	}
	return IndentedJSON(sarifLog{sarifSchema, "2.1.0", []sarifRun{run}})
}

// securityScores are the severities of security alerts: GitHub takes above 9.0 for critical, 7.0 high, 4.0 medium, 0.1 low.
var securityScores = map[issue.Severity]string{issue.Critical: "9.5", issue.High: "8.0", issue.Medium: "5.5", issue.Low: "2.0"}

// ruleOf is the rule that a finding is reported under. Only GitHub's alerts about security have a severity of four words.
func ruleOf(f Finding) sarifRule {
	kind := f.kind()
	title := "A reviewer's finding of " + string(f.Severity) + " severity"
	if kind != "review" {
		title += ", " + strings.ReplaceAll(kind, "-", " ")
	}
	rule := sarifRule{
		ID: f.rule(), Name: ruleName(kind, f.Severity), Short: sarifText{title[:min(len(title), maxDescription)]},
		Full:    sarifText{title + ". A model reviewed the change; the server looked for the line that the finding quotes."},
		Help:    sarifText{"Check the finding before you act: read the quoted line, and reproduce what the finding says triggers the defect."},
		Default: map[string]any{"level": levelOf(f.Severity)},
	}
	level := levelOf(f.Severity)
	if level == "note" {
		level = "recommendation"
	}
	rule.Properties = map[string]any{"precision": "medium", "problem.severity": level, "tags": []string{kind}}
	if strings.Contains(kind, "security") {
		rule.Properties["security-severity"] = securityScores[f.Severity]
		rule.Properties["tags"] = []string{"security"}
	}
	return rule
}

// ruleName is the rule's id in the spelling that SARIF asks of names: "ReviewHigh".
func ruleName(kind string, s issue.Severity) string {
	var b strings.Builder
	for word := range strings.SplitSeq(kind+"-"+string(s), "-") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return cmp.Or(b.String(), "Review")
}

// uriOf is a relative name as a relative reference, in which what stands before a colon would be a scheme.
func uriOf(name string) string {
	u := url.URL{Path: name}
	return strings.ReplaceAll(strings.TrimPrefix(u.String(), "./"), ":", "%3A")
}
