package workflow

import (
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/issue"
)

// Verdicts of a review.
const (
	VerdictPass         = "pass"
	VerdictChanges      = "changes_required"
	VerdictInconclusive = "inconclusive"
)

// StatusNothing is the status of a review that had nothing to look at.
const StatusNothing = "nothing_to_review"

// judgement is all that a verdict depends on.
type judgement struct {
	// Nothing says why there was nothing to review, "" where there was.
	Nothing  string
	Expert   string // the expert's state
	Analysis Analysis
	Read     bool // a file or diff was read
	// Issues are the caller's, without those that the expert judged wrong.
	Issues []map[string]any
	// Uncovered are the changed or named files of which lines were neither sent nor read.
	Uncovered []string
}

// verdictOf judges a review, and says why where the verdict is not plain from the findings: never a pass on an answer that is
// missing, cut or not in the form asked for, nor where something was not looked at.
func verdictOf(j judgement) (verdict, reason string) {
	if j.Nothing != "" {
		return VerdictPass, j.Nothing
	}
	switch {
	case j.Expert != expertAnswered:
		return VerdictInconclusive, expertReasons[j.Expert]
	case !j.Analysis.Structured:
		return VerdictInconclusive, "The expert's answer is not in the requested form."
	case !j.Read:
		return VerdictInconclusive, "The expert read no file and no diff."
	}
	serious, _ := atLeast(j.Analysis.Findings, issue.Medium)
	reported, _ := atLeast(j.Issues, issue.Medium)
	unproven := 0
	for _, f := range serious {
		if f.proven() {
			return VerdictChanges, ""
		}
		unproven++
	}
	switch {
	case len(reported) > 0:
		return VerdictChanges, ""
	case unproven > 0:
		return VerdictInconclusive, count(unproven, "finding") +
			" of medium severity or above without proof: what it quotes was not found in what the expert was shown. Check before you act."
	case len(j.Uncovered) > 0:
		return VerdictInconclusive, "The expert did not see all of " + someOf(j.Uncovered) + "."
	}
	return VerdictPass, ""
}

// expertReasons say why an expert's state allows no verdict.
var expertReasons = map[string]string{
	expertSkipped: "No expert was asked.",
	expertPartial: "The expert's answer is not complete.",
	expertFailed:  "The expert did not answer.",
}

// someOf lists names, the first of them where they are many.
func someOf(names []string) string {
	if n := len(names) - maxNamed; n > 0 {
		names = append(names[:maxNamed:maxNamed], fmt.Sprintf("and %d more", n))
	}
	return strings.Join(names, ", ")
}
