package issue

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Severity is how bad an issue is.
type Severity string

// The severities.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
)

// Severities lists every severity, the worst first.
func Severities() []Severity { return []Severity{Critical, High, Medium, Low} }

// Valid reports whether it is one of the severities.
func (s Severity) Valid() bool { return slices.Contains(Severities(), s) }

// severityWords are other words for the severities, as vendors' models, issue trackers, linters and scanners use them.
var severityWords = map[Severity][]string{
	Critical: {
		"critical", "crit", "blocker", "blocking", "fatal", "severe", "emergency", "catastrophic", "showstopper", "p0", "s0", "s1", "sev0", "sev1",
		"致命", "严重", "嚴重", "紧急", "緊急", "危急", "阻塞", "阻断", "灾难",
	},
	High: {
		"high", "major", "error", "err", "important", "serious", "urgent", "p1", "s2", "sev2",
		"高", "高危", "高级", "重大", "重要", "主要", "错误", "錯誤",
	},
	Medium: {
		"medium", "med", "moderate", "mid", "middle", "normal", "warning", "warn", "average", "p2", "s3", "sev3",
		"中", "中危", "中等", "中级", "一般", "普通", "警告",
	},
	Low: {
		"low", "minor", "info", "information", "informational", "note", "notice", "nit", "nits", "nitpick", "trivial", "suggestion", "hint",
		"style", "cosmetic", "optional", "negligible", "enhancement", "none", "p3", "p4", "p5", "s4", "s5", "sev4", "sev5",
		"低", "低危", "低级", "轻微", "輕微", "次要", "信息", "資訊", "提示", "建议", "建議", "琐碎", "细节", "可选", "无", "無",
	},
}

// ParseSeverity reads a severity in anybody's words: "blocker", "P1", "Warning", "high severity", "严重". Where several
// stand in it, the worst counts. ok is false when none does; the severity is then Medium.
func ParseSeverity(text string) (s Severity, ok bool) {
	parts := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	words := []string{strings.Join(parts, "")} // "p-1", "sev 2"
	for _, part := range parts {
		words = append(words, part, strings.TrimRight(part, "级級度性风险問问题"))
	}
	for _, s := range Severities() {
		for _, word := range words {
			if slices.Contains(severityWords[s], word) {
				return s, true
			}
		}
	}
	return Medium, false
}

// AtLeast reports whether the severity is as bad as t or worse. Unknown words are not.
func (s Severity) AtLeast(t Severity) bool {
	i := slices.Index(Severities(), s)
	return i >= 0 && i <= slices.Index(Severities(), t)
}

// Category is what an issue is about.
type Category string

// The categories.
const (
	Timeout       Category = "timeout"
	Architecture  Category = "architecture"
	Configuration Category = "configuration"
	Performance   Category = "performance"
	Security      Category = "security"
	Other         Category = "other"
)

// Categories lists every category.
func Categories() []Category {
	return []Category{Timeout, Architecture, Configuration, Performance, Security, Other}
}

// Valid reports whether it is one of the categories.
func (c Category) Valid() bool { return slices.Contains(Categories(), c) }

// Status is where an issue stands.
type Status string

// The statuses.
const (
	Open       Status = "open"
	InProgress Status = "in_progress"
	Fixed      Status = "fixed"
	Verified   Status = "verified"
	Closed     Status = "closed"
	WontFix    Status = "wont_fix"
)

// Statuses lists every status, in the order of an issue's life.
func Statuses() []Status { return []Status{Open, InProgress, Fixed, Verified, Closed, WontFix} }

// ActiveStatuses are those of issues that somebody still has to do something about.
func ActiveStatuses() []Status { return []Status{Open, InProgress} }

// Valid reports whether it is one of the statuses.
func (s Status) Valid() bool { return slices.Contains(Statuses(), s) }

// Active reports whether it is one of ActiveStatuses.
func (s Status) Active() bool { return slices.Contains(ActiveStatuses(), s) }

// Next lists the statuses that an issue may go to from this one. Only a fix can be verified, and every end can be
// reopened. A row of another program may have no status; it counts as open.
func (s Status) Next() []Status {
	switch s {
	case Open, "":
		return []Status{InProgress, Fixed, Closed, WontFix}
	case InProgress:
		return []Status{Open, Fixed, Closed, WontFix}
	case Fixed:
		return []Status{Open, InProgress, Verified, Closed}
	case Verified:
		return []Status{Open, InProgress, Closed}
	case Closed, WontFix:
		return []Status{Open, InProgress}
	}
	return nil
}

// CanBecome reports whether an issue may go from this status to t. Staying is allowed.
func (s Status) CanBecome(t Status) bool { return s == t || slices.Contains(s.Next(), t) }

// UpdateType is the kind of an audit row.
type UpdateType string

// The kinds of audit rows.
const (
	CommentAdded       UpdateType = "comment" // also every change that has no word of its own
	StatusChange       UpdateType = "status_change"
	FixApplied         UpdateType = "fix_applied"
	Verification       UpdateType = "verification"
	ConversationLinked UpdateType = "conversation_link"
)

// UpdateFor is the kind of the audit row that a change of status to s leaves.
func UpdateFor(s Status) UpdateType {
	switch s {
	case Fixed:
		return FixApplied
	case Verified:
		return Verification
	}
	return StatusChange
}

// StepStatus is where a checklist step stands.
type StepStatus string

// The statuses of a checklist step.
const (
	StepPending    StepStatus = "pending"
	StepInProgress StepStatus = "in_progress"
	StepComplete   StepStatus = "complete"
	StepSkipped    StepStatus = "skipped"
)

// StepStatuses lists every status of a checklist step.
func StepStatuses() []StepStatus {
	return []StepStatus{StepPending, StepInProgress, StepComplete, StepSkipped}
}

// Valid reports whether it is one of the step statuses.
func (s StepStatus) Valid() bool { return slices.Contains(StepStatuses(), s) }

// LinkKind is how one issue stands to another.
type LinkKind string

// The kinds of links.
const (
	LinkBlocks    LinkKind = "blocks"
	LinkBlockedBy LinkKind = "blocked_by"
	LinkRelated   LinkKind = "related"
)

// LinkKinds lists every kind of link.
func LinkKinds() []LinkKind { return []LinkKind{LinkBlocks, LinkBlockedBy, LinkRelated} }

// Valid reports whether it is one of the kinds of links.
func (k LinkKind) Valid() bool { return slices.Contains(LinkKinds(), k) }

// Inverse is the link as the other issue sees it.
func (k LinkKind) Inverse() LinkKind {
	switch k {
	case LinkBlocks:
		return LinkBlockedBy
	case LinkBlockedBy:
		return LinkBlocks
	}
	return k
}

// Verb is the link in a sentence: "issue 5 blocks issue 7".
func (k LinkKind) Verb() string {
	switch k {
	case LinkBlockedBy:
		return "is blocked by"
	case LinkRelated:
		return "is related to"
	}
	return string(k)
}

// Validate checks an issue's words, or returns an ErrInvalid that says what is accepted.
func (i Issue) Validate() error {
	switch {
	case strings.TrimSpace(i.Title) == "":
		return invalid("title is required")
	case !i.Severity.Valid():
		return invalid("severity %q is not one of %s", i.Severity, words(Severities()))
	case !i.Category.Valid():
		return invalid("category %q is not one of %s", i.Category, words(Categories()))
	case !i.Status.Valid():
		return invalid("status %q is not one of %s", i.Status, words(Statuses()))
	case i.LineStart < 0 || i.LineEnd < 0:
		return invalid("line numbers start at 1")
	case i.LineEnd > 0 && i.LineEnd < i.LineStart:
		return invalid("line_end %d is before line_start %d", i.LineEnd, i.LineStart)
	}
	return nil
}

// Moved checks a change of status, or returns an ErrInvalid that lists where the issue may go.
func (s Status) Moved(to Status) error {
	switch {
	case !to.Valid():
		return invalid("status %q is not one of %s", to, words(Statuses()))
	case !s.CanBecome(to):
		return invalid("an issue that is %s can become %s, not %s", cmp.Or(s, "without a status"), words(s.Next()), to)
	}
	return nil
}

// NormalTitle is a title as findings are compared by it: letters and digits in lower case, everything else one space.
func NormalTitle(title string) string {
	fields := strings.FieldsFunc(strings.ToLower(title), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	if len(fields) == 0 {
		return strings.TrimSpace(title)
	}
	return strings.Join(fields, " ")
}

// minQuote is how many letters and digits a quote has at least to stand for one place of a file.
const minQuote = 6

// NormalQuote is a quoted line of code as findings are compared by it: runs of white space as one space, without a line
// number in front. It is "" where the quote is too short to tell one defect from another, as "return" or "}" is.
func NormalQuote(quote string) string {
	line := strings.Join(strings.Fields(quote), " ")
	if rest := strings.TrimLeft(line, "0123456789"); rest != line && strings.IndexAny(rest, " :|") == 0 {
		line = strings.TrimLeft(rest, " :|")
	}
	n := 0
	for _, r := range line {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			n++
		}
	}
	if n < minQuote {
		return ""
	}
	return line
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// Word finds the word that a text means among all of its kind: case, and spaces or hyphens for "_", don't count.
func Word[T ~string](text string, all []T) (T, error) {
	plain := T(strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(text))))
	if !slices.Contains(all, plain) {
		return "", invalid("%q is none of %s", text, words(all))
	}
	return plain, nil
}

func words[T ~string](all []T) string {
	parts := make([]string, len(all))
	for i, w := range all {
		parts[i] = string(w)
	}
	return strings.Join(parts, ", ")
}
