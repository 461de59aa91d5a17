package workflow

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Consolidated is what a run has come to: a fold over its steps, never stored itself.
type Consolidated struct {
	Initial         string // the first step's text
	Steps           int
	FilesChecked    []string
	RelevantFiles   []string
	RelevantContext []string
	Findings        []string // "Step N: ..."
	Hypotheses      []Hypothesis
	Issues          []map[string]any
	Images          []string
	Confidence      string // the latest that was named
	Settings        []Setting
}

// Hypothesis is what the caller believed at a step, and how firmly.
type Hypothesis struct {
	Step       int    `json:"step"`
	Hypothesis string `json:"hypothesis"`
	Confidence string `json:"confidence"`
}

// Consolidate folds steps, in order, into what the run has come to. Lists keep the order of first mention; an issue that is
// reported again word for word counts once, and one without content does not count.
func Consolidate(ladder Ladder, steps []Facts) Consolidated {
	c := Consolidated{Confidence: ladder.Default, Steps: len(steps)}
	for i, f := range steps {
		if i == 0 {
			c.Initial = f.Step
		}
		if f.Confidence != "" {
			c.Confidence = f.Confidence
		}
		c.FilesChecked = union(c.FilesChecked, f.FilesChecked)
		c.RelevantFiles = union(c.RelevantFiles, f.RelevantFiles)
		c.RelevantContext = union(c.RelevantContext, f.RelevantContext)
		c.Images = union(c.Images, f.Images)
		if strings.TrimSpace(f.Findings) != "" {
			c.Findings = append(c.Findings, fmt.Sprintf("Step %d: %s", f.StepNumber, f.Findings))
		}
		if f.Hypothesis != "" {
			c.Hypotheses = append(c.Hypotheses, Hypothesis{f.StepNumber, f.Hypothesis, c.Confidence})
		}
		c.Issues = addIssues(c.Issues, f.IssuesFound)
		c.Settings = overlay(c.Settings, f.Settings)
	}
	return c
}

// BySeverity counts the issues under each severity that occurs, in our words.
func (c Consolidated) BySeverity() map[string]int {
	counts := map[string]int{}
	for _, one := range c.Issues {
		counts[string(Finding(one).Severity())]++
	}
	return counts
}

// ByType counts the issues under each type that occurs, in lower case; an issue without one counts as "unspecified".
func (c Consolidated) ByType() map[string]int {
	counts := map[string]int{}
	for _, one := range c.Issues {
		counts[strings.ToLower(cmp.Or(Finding(one).Text("type"), "unspecified"))]++
	}
	return counts
}

func union(have, more []string) []string {
	known := map[string]bool{}
	for _, s := range have {
		known[s] = true
	}
	for _, s := range more {
		if !known[s] {
			known[s] = true
			have = append(have, s)
		}
	}
	return have
}

func addIssues(have, more []map[string]any) []map[string]any {
	for _, issue := range more {
		if !Finding(issue).Empty() && !slices.ContainsFunc(have, same(issue)) {
			have = append(have, issue)
		}
	}
	return have
}

// same reports whether another issue is this one, word for word.
func same(issue map[string]any) func(other map[string]any) bool {
	return func(other map[string]any) bool { return fmt.Sprint(other) == fmt.Sprint(issue) }
}

// overlay lets a later step's settings win over an earlier one's.
func overlay(have, more []Setting) []Setting {
	for _, s := range more {
		if s.Value == "" {
			continue
		}
		if i := slices.IndexFunc(have, func(o Setting) bool { return o.Name == s.Name }); i >= 0 {
			have[i] = s
		} else {
			have = append(have, s)
		}
	}
	return have
}
