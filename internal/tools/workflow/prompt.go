package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// Prompt is a run as the expert reads it.
func Prompt(c Consolidated) string {
	var b strings.Builder
	block := func(title string, lines ...string) {
		if len(lines) > 0 {
			fmt.Fprintf(&b, "## %s\n%s\n\n", title, strings.Join(lines, "\n"))
		}
	}
	block("Request", c.Initial)
	var settings []string
	for _, s := range c.Settings {
		settings = append(settings, s.Name+": "+s.Value)
	}
	block("Settings", bulleted(settings)...)
	block(fmt.Sprintf("The agent's work: %s, %s examined", count(c.Steps, "step"), count(len(c.FilesChecked), "file")), c.Findings...)
	block("Relevant context", bulleted(c.RelevantContext)...)
	var issues []string
	for _, issue := range c.Issues {
		issues = append(issues, fmt.Sprintf("[%s] %s", strings.ToUpper(string(Finding(issue).Severity())), plainText(issue)))
	}
	block("Issues that the agent reports", bulleted(issues)...)
	var hypotheses []string
	for _, h := range c.Hypotheses {
		hypotheses = append(hypotheses, fmt.Sprintf("step %d (confidence %s): %s", h.Step, h.Confidence, h.Hypothesis))
	}
	block("The agent's hypotheses, in order", bulleted(hypotheses)...)
	block("Files that the agent calls relevant", bulleted(c.RelevantFiles)...)
	block("The agent's confidence", c.Confidence)
	return strings.TrimSpace(b.String())
}

// BlindPrompt is a run as an expert reads it that is to form its own opinion first: the task and what it is about, without
// anything that the caller found, believes or thinks relevant.
func BlindPrompt(c Consolidated, steps []Facts) string {
	var b strings.Builder
	block := func(title string, lines ...string) {
		if len(lines) > 0 {
			fmt.Fprintf(&b, "## %s\n%s\n\n", title, strings.Join(lines, "\n"))
		}
	}
	block("Request", c.Initial)
	var later, settings []string
	for _, f := range steps[min(1, len(steps)):] {
		later = append(later, fmt.Sprintf("Step %d: %s", f.StepNumber, f.Step))
	}
	block("Later steps of the request", later...)
	for _, s := range c.Settings {
		settings = append(settings, s.Name+": "+s.Value)
	}
	block("Settings", bulleted(settings)...)
	block("Files to judge", bulleted(c.RelevantFiles)...)
	return strings.TrimSpace(b.String())
}

// plainText is a value as JSON on one line, without the escapes that are meant for web pages.
func plainText(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // it came from JSON
	return strings.TrimSpace(b.String())
}

func bulleted(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = "- " + s
	}
	return out
}

// missingLines is how many files that it lacks an expert is told of.
const missingLines = 20

// missing tells the expert what it was not given, or not whole, "" when it has everything.
func (r *run) missing(ctx context.Context, given Evidence) string {
	top := r.workTree(ctx)
	if i := slices.IndexFunc(given.Attachments, func(a conversation.Attachment) bool { return a.MIME == mimeDiff }); top == "" && i >= 0 {
		top = given.Attachments[i].Path
	}
	return missing(given.Manifest, top)
}

// missing is the same with paths relative to a work tree.
func missing(m workspace.Manifest, top string) string {
	var lines []string
	for _, e := range m.Cut {
		lines = append(lines, fmt.Sprintf("%s: cut, %s", conversation.Printable(workspace.Below(top, e.Path)), e.Reason))
	}
	for _, e := range m.LeftOut {
		lines = append(lines, fmt.Sprintf("%s: not given, %s", conversation.Printable(workspace.Below(top, e.Path)), strings.TrimSuffix(e.Reason, ".")))
	}
	if len(lines) == 0 {
		return ""
	}
	if n := len(lines) - missingLines; n > 0 {
		lines = append(lines[:missingLines], fmt.Sprintf("and %d more", n))
	}
	return "## Not given to you, or not whole\n" + strings.Join(bulleted(lines), "\n")
}
