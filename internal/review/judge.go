package review

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/exai-mcp/exai-mcp/internal/issue"
)

// Exit codes of a review.
const (
	ExitPass         = 0
	ExitChanges      = 1
	ExitInconclusive = 2
	ExitFailed       = 3 // it could not run
)

// FailOn is the threshold of a review.
type FailOn struct {
	Least        issue.Severity // the lowest severity that counts
	Inconclusive bool           // an inconclusive review exits like one that requires changes
}

// ParseFailOn reads "medium", "high,inconclusive" or "inconclusive".
func ParseFailOn(text string) (FailOn, error) {
	f := FailOn{Least: issue.Medium}
	named := false
	for word := range strings.SplitSeq(text, ",") {
		switch word = strings.ToLower(strings.TrimSpace(word)); {
		case word == string(Inconclusive) && !f.Inconclusive:
			f.Inconclusive = true
		case issue.Severity(word).Valid() && !named:
			f.Least, named = issue.Severity(word), true
		default:
			return FailOn{}, fmt.Errorf("%q: expected critical, high, medium or low, and optionally \",inconclusive\"", text)
		}
	}
	return f, nil
}

// ExitCode is the exit code of a review with this verdict.
func (f FailOn) ExitCode(v Verdict) int {
	switch {
	case v == Pass:
		return ExitPass
	case v == ChangesRequired || f.Inconclusive:
		return ExitChanges
	}
	return ExitInconclusive
}

// serverThreshold is the severity from which on findings count in the reply's own verdict.
const serverThreshold = issue.Medium

// Judge sets the verdict for a threshold. For the server's own the reply's verdict stands.
func (r *Report) Judge(f FailOn) {
	if f.Least == serverThreshold || r.Nothing || r.failed != "" {
		return
	}
	counts := func(x Finding) bool { return x.Severity.AtLeast(f.Least) }
	unread := r.unread()
	// The server found files unread that the coverage does not show: nothing else makes its verdict inconclusive here.
	other := r.Verdict == Inconclusive && len(unread) == 0 &&
		!slices.ContainsFunc(r.Findings, func(x Finding) bool { return x.Severity.AtLeast(serverThreshold) })
	switch {
	case slices.ContainsFunc(r.Findings, func(x Finding) bool { return counts(x) && x.Proven() }):
		r.Verdict, r.Reason = ChangesRequired, ""
	case slices.ContainsFunc(r.Findings, counts):
		r.Verdict, r.Reason = Inconclusive, fmt.Sprintf("A finding of severity %s or above is not proven by a line of the code.", f.Least)
	case len(unread) > 0:
		r.Verdict, r.Reason = Inconclusive, "Not read: "+strings.Join(first(unread, 5), ", ")+"."
	case other:
	default:
		r.Verdict, r.Reason = Pass, ""
	}
}

// unread are the files whose text the reviewer did not see whole.
func (r *Report) unread() (files []string) {
	for _, c := range r.Coverage {
		if c.How == "not_read" || c.How == "part" {
			files = append(files, c.File)
		}
	}
	return files
}

// first are the first n of a list, with the number of the others.
func first(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	return append(slices.Clone(list[:n]), fmt.Sprintf("%d more", len(list)-n))
}

// counted says how many findings of each severity there are: "1 critical, 2 low".
func (r *Report) counted() string {
	var parts []string
	for _, s := range issue.Severities() {
		n := 0
		for _, f := range r.Findings {
			if f.Severity == s {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	return strings.Join(parts, ", ")
}

// hidden reports whether a character does something else than being seen: control characters, those that turn the direction of
// writing, and those that break lines.
func hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp) && r != '\u200c' && r != '\u200d'
}

// shown is text without characters that are hidden; line breaks and tabs stay.
func shown(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && hidden(r) {
			return -1
		}
		return r
	}, text)
}
