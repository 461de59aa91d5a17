package issue

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Apply makes a change to an issue at a time, and returns the changed issue with the audit rows that the change leaves,
// none when it changes nothing. Its error is an ErrInvalid.
func (c Change) Apply(i Issue, at time.Time) (Issue, []Update, error) {
	if by := c.FixConversationID; by != nil && *by != "" {
		if done := i.Status == Fixed || i.Status == Verified || i.Status == Closed; c.Status == nil && !done {
			fixed := Fixed
			c.Status = &fixed
		}
		c.By = cmp.Or(c.By, *by)
	}
	if err := c.validate(i); err != nil {
		return i, nil, err
	}
	var said []Update
	say := func(t UpdateType, content string) {
		said = append(said, Update{Type: t, Content: content, ConversationID: c.By})
	}
	if c.Status != nil && *c.Status != i.Status {
		say(UpdateFor(*c.Status), join(fmt.Sprintf("%s -> %s", i.Status, *c.Status), c.Note))
		switch {
		case *c.Status == Fixed:
			i.FixDate = at
		case c.Status.Active():
			i.FixDate = time.Time{}
		}
		i.Status = *c.Status
	} else if strings.TrimSpace(c.Note) != "" {
		say(CommentAdded, c.Note)
	}
	field := func(name, old, new string) {
		say(CommentAdded, fmt.Sprintf("%s: %s -> %s", name, shown(old), shown(new)))
	}
	link := func(name, _, new string) { say(ConversationLinked, fmt.Sprintf("%s: %s", name, shown(new))) }
	set(&i.Title, c.Title, "title", field)
	set(&i.Severity, c.Severity, "severity", field)
	set(&i.Category, c.Category, "category", field)
	set(&i.Description, c.Description, "description", field)
	set(&i.File, c.File, "file", field)
	set(&i.RootCause, c.RootCause, "root cause", field)
	set(&i.Impact, c.Impact, "impact", field)
	set(&i.RecommendedFix, c.RecommendedFix, "recommended fix", field)
	set(&i.ActualFix, c.ActualFix, "actual fix", field)
	set(&i.ConversationID, c.ConversationID, "conversation", link)
	set(&i.FixConversationID, c.FixConversationID, "fixed in conversation", link)
	if i.FixConversationID != "" && c.FixConversationID != nil && !i.Status.Active() && i.FixDate.IsZero() {
		i.FixDate = at
	}
	setLine(&i.LineStart, c.LineStart, "first line", field)
	setLine(&i.LineEnd, c.LineEnd, "last line", field)
	if c.Components != nil && !slices.Equal(*c.Components, i.Components) {
		field("components", strings.Join(i.Components, ", "), strings.Join(*c.Components, ", "))
		i.Components = slices.Clone(*c.Components)
	}
	return i, said, nil
}

// validate checks the words that a change brings. Words that were there before, perhaps written by another program, are
// not its business.
func (c Change) validate(i Issue) error {
	next := Issue{Title: "kept", Severity: Medium, Category: Other, Status: Open, LineStart: i.LineStart, LineEnd: i.LineEnd}
	given(&next.Title, c.Title)
	given(&next.Severity, c.Severity)
	given(&next.Category, c.Category)
	given(&next.LineStart, c.LineStart)
	given(&next.LineEnd, c.LineEnd)
	if err := next.Validate(); err != nil {
		return err
	}
	if c.Status != nil {
		return i.Status.Moved(*c.Status)
	}
	return nil
}

func given[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

func set[T ~string](to, from *T, name string, say func(name, old, new string)) {
	if from == nil || *from == *to {
		return
	}
	say(name, string(*to), string(*from))
	*to = *from
}

func setLine(to, from *int, name string, say func(name, old, new string)) {
	if from == nil || *from == *to {
		return
	}
	say(name, strconv.Itoa(*to), strconv.Itoa(*from))
	*to = *from
}

// shownLength is how many characters of a long text an audit row repeats.
const shownLength = 200

func shown(s string) string {
	if strings.TrimSpace(s) == "" {
		return "none"
	}
	if r := []rune(s); len(r) > shownLength {
		return string(r[:shownLength]) + "…"
	}
	return s
}

func join(what, note string) string {
	if note = strings.TrimSpace(note); note != "" {
		return what + ": " + note
	}
	return what
}
