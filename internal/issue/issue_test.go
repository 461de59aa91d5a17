package issue_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/issue"
)

func TestTransitions(t *testing.T) {
	allowed := map[issue.Status]map[issue.Status]bool{
		issue.Open:       {issue.InProgress: true, issue.Fixed: true, issue.Closed: true, issue.WontFix: true},
		issue.InProgress: {issue.Open: true, issue.Fixed: true, issue.Closed: true, issue.WontFix: true},
		issue.Fixed:      {issue.Open: true, issue.InProgress: true, issue.Verified: true, issue.Closed: true},
		issue.Verified:   {issue.Open: true, issue.InProgress: true, issue.Closed: true},
		issue.Closed:     {issue.Open: true, issue.InProgress: true},
		issue.WontFix:    {issue.Open: true, issue.InProgress: true},
	}
	for _, from := range issue.Statuses() {
		assert.Equal(t, from == issue.Open || from == issue.InProgress, from.Active())
		for _, to := range issue.Statuses() {
			want := from == to || allowed[from][to]
			assert.Equal(t, want, from.CanBecome(to), "%s -> %s", from, to)
			assert.Equal(t, want, from.Moved(to) == nil, "%s -> %s", from, to)
		}
		require.ErrorIs(t, from.Moved("done"), issue.ErrInvalid)
	}
	require.ErrorIs(t, issue.Status("of another program").Moved(issue.Open), issue.ErrInvalid)
}

func TestWords(t *testing.T) {
	for _, s := range issue.Severities() {
		assert.True(t, s.Valid())
		assert.True(t, s.AtLeast(issue.Low))
		assert.True(t, issue.Critical.AtLeast(s))
	}
	assert.False(t, issue.Low.AtLeast(issue.Medium))
	assert.False(t, issue.Severity("").AtLeast(issue.Low))
	assert.False(t, issue.Severity("CRITICAL").Valid())
	for _, s := range issue.StepStatuses() {
		assert.True(t, s.Valid())
	}
	for _, k := range issue.LinkKinds() {
		assert.True(t, k.Valid())
		assert.Equal(t, k, k.Inverse().Inverse())
	}
	assert.Equal(t, issue.LinkBlockedBy, issue.LinkBlocks.Inverse())
	assert.Equal(t, issue.StatusChange, issue.UpdateFor(issue.Closed))
	assert.Equal(t, issue.FixApplied, issue.UpdateFor(issue.Fixed))
	assert.Equal(t, 66, issue.Issue{CompletedSteps: 2, TotalSteps: 3}.Progress())
	assert.Zero(t, issue.Issue{}.Progress())
}

func TestNormalTitle(t *testing.T) {
	for _, same := range [][]string{
		{"Leaks a goroutine", " leaks  A goroutine.", "`leaks` a-goroutine!"},
		{"Überlauf in größe()", "ÜBERLAUF in GRÖßE"},
		{"!!!", " !!! "},
	} {
		for _, title := range same {
			assert.Equal(t, issue.NormalTitle(same[0]), issue.NormalTitle(title))
		}
	}
	assert.NotEqual(t, issue.NormalTitle("line 1"), issue.NormalTitle("line 2"))
	assert.NotEqual(t, issue.NormalTitle("!!!"), issue.NormalTitle("???"))
}

func TestValidate(t *testing.T) {
	good := issue.Issue{Title: "t", Severity: issue.Low, Category: issue.Other, Status: issue.Open, LineStart: 2, LineEnd: 2}
	require.NoError(t, good.Validate())
	for want, spoil := range map[string]func(*issue.Issue){
		"title":                     func(i *issue.Issue) { i.Title = " \n" },
		"critical, high":            func(i *issue.Issue) { i.Severity = "bad" },
		"timeout, architecture":     func(i *issue.Issue) { i.Category = "" },
		"open, in_progress":         func(i *issue.Issue) { i.Status = "" },
		"start at 1":                func(i *issue.Issue) { i.LineStart = -1 },
		"line_end 1 is before line": func(i *issue.Issue) { i.LineEnd = 1 },
	} {
		bad := good
		spoil(&bad)
		err := bad.Validate()
		require.ErrorIs(t, err, issue.ErrInvalid)
		assert.ErrorContains(t, err, want)
	}
}

func ptr[T any](v T) *T { return &v }

func TestApply(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	before := issue.Issue{Title: "t", Severity: "of another program", Category: "", Status: issue.Open, LineStart: 5, FixDate: at}
	cases := []struct {
		name   string
		c      issue.Change
		change func(*issue.Issue)
		said   []issue.Update
	}{
		{"nothing", issue.Change{}, func(*issue.Issue) {}, nil},
		{"the same", issue.Change{Title: ptr("t"), Status: ptr(issue.Open), LineStart: ptr(5)}, func(*issue.Issue) {}, nil},
		{
			"a fix",
			issue.Change{Status: ptr(issue.Fixed), Note: "so", By: "c"},
			func(i *issue.Issue) { i.Status, i.FixDate = issue.Fixed, at },
			[]issue.Update{{Type: issue.FixApplied, Content: "open -> fixed: so", ConversationID: "c"}},
		},
		{
			"back to work",
			issue.Change{Status: ptr(issue.InProgress)},
			func(i *issue.Issue) { i.Status, i.FixDate = issue.InProgress, time.Time{} },
			[]issue.Update{{Type: issue.StatusChange, Content: "open -> in_progress"}},
		},
		{
			"fields beside words of another program",
			issue.Change{Title: ptr("u"), LineEnd: ptr(6), File: ptr("f"), Note: "why"},
			func(i *issue.Issue) { i.Title, i.LineEnd, i.File = "u", 6, "f" },
			[]issue.Update{
				{Type: issue.CommentAdded, Content: "why"},
				{Type: issue.CommentAdded, Content: "title: t -> u"},
				{Type: issue.CommentAdded, Content: "file: none -> f"},
				{Type: issue.CommentAdded, Content: "last line: 0 -> 6"},
			},
		},
		{
			"a conversation",
			issue.Change{ConversationID: ptr("c9")},
			func(i *issue.Issue) { i.ConversationID = "c9" },
			[]issue.Update{{Type: issue.ConversationLinked, Content: "conversation: c9"}},
		},
	}
	for _, c := range cases {
		got, said, err := c.c.Apply(before, at)
		require.NoError(t, err, c.name)
		want := before
		c.change(&want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if diff := cmp.Diff(c.said, said); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	for _, bad := range []issue.Change{
		{Title: ptr("")},
		{Severity: ptr(issue.Severity("bad"))},
		{Category: ptr(issue.Category("bad"))},
		{Status: ptr(issue.Verified)},
		{LineEnd: ptr(1)},
		{LineStart: ptr(-1)},
	} {
		got, said, err := bad.Apply(before, at)
		require.ErrorIs(t, err, issue.ErrInvalid)
		assert.Equal(t, before, got)
		assert.Empty(t, said)
	}
}

func TestFinding(t *testing.T) {
	i := issue.Finding{Description: "First.\nSecond.", Line: -3, Severity: "huge"}.Issue()
	assert.Equal(t, []any{"First.", 0, issue.Medium, issue.Other}, []any{i.Title, i.LineStart, i.Severity, i.Category})
	require.NoError(t, i.Validate())
	require.NoError(t, issue.Finding{}.Issue().Validate())
}
