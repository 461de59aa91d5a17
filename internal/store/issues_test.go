package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/exai-mcp/exai-mcp/internal/issue"
)

func ptr[T any](v T) *T { return &v }

func create(t *testing.T, track *Issues, title string, severity issue.Severity) *issue.Issue {
	t.Helper()
	i, err := track.Create(t.Context(), issue.Issue{Title: title, Severity: severity, Category: issue.Other})
	require.NoError(t, err)
	return i
}

func said(i *issue.Issue) (out []string) {
	for _, u := range i.Updates {
		out = append(out, fmt.Sprintf("%s %s", u.Type, u.Content))
	}
	return out
}

func TestIssueRoundTrip(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		track := s.Issues()
		for _, number := range []int{1, math.MaxInt} {
			_, err := track.Get(t.Context(), number)
			require.ErrorIs(t, err, issue.ErrNotFound)
			require.ErrorIs(t, track.Comment(t.Context(), number, "a word", ""), issue.ErrNotFound)
		}
		want := issue.Issue{
			Title: "No timeout \x00", Description: "d", Severity: issue.Critical, Category: issue.Timeout, Status: issue.InProgress,
			File: "/p/a.go", LineStart: 3, LineEnd: 9, Components: []string{"a b", `c,"d`, "{e}", "", "NULL", `\`, "é"},
			ConversationID: uuid.NewString(), FixConversationID: "any text", RootCause: "r", Impact: "i", RecommendedFix: "f", ActualFix: "x",
			FixDate: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Workspace: "/p",
		}
		got, err := track.Create(t.Context(), want)
		require.NoError(t, err)
		want.Title = "No timeout \uFFFD"
		want.Number = 1
		want.Updates = []issue.Update{{Type: issue.StatusChange, Content: "opened as in_progress", ConversationID: want.ConversationID}}
		ignore := []cmp.Option{
			cmpopts.IgnoreFields(issue.Issue{}, "ID", "CreatedAt", "UpdatedAt"), cmpopts.IgnoreFields(issue.Update{}, "CreatedAt"),
		}
		if diff := cmp.Diff(&want, got, ignore...); diff != "" {
			t.Error(diff)
		}
		assert.NoError(t, uuid.Validate(got.ID))
		assert.WithinDuration(t, time.Now(), got.CreatedAt, time.Minute)
		again, err := track.Get(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, got, again)
		small := create(t, track, "small", issue.Low)
		assert.Equal(t, 2, small.Number)
		assert.Empty(t, small.Components)
		raw(t, s, `DELETE FROM exai_issues WHERE issue_number = 2`)
		assert.Equal(t, 3, create(t, track, "next", issue.Low).Number, "a number is never given twice")

		for _, bad := range []issue.Issue{
			{Severity: issue.Low, Category: issue.Other},
			{Title: "x", Severity: "awful", Category: issue.Other},
			{Title: "x", Severity: issue.Low, Category: "style"},
			{Title: "x", Severity: issue.Low, Category: issue.Other, Status: "done"},
		} {
			_, err := track.Create(t.Context(), bad)
			require.ErrorIs(t, err, issue.ErrInvalid)
		}
	})
}

func TestIssueUpdates(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		track := s.Issues()
		create(t, track, "t", issue.High)
		_, err := track.Update(t.Context(), 9, issue.Change{Note: "x"})
		require.ErrorIs(t, err, issue.ErrNotFound)
		_, err = track.Update(t.Context(), 1, issue.Change{Status: ptr(issue.Verified)})
		require.ErrorIs(t, err, issue.ErrInvalid)
		require.ErrorContains(t, err, "in_progress, fixed, closed, wont_fix")

		i, err := track.Update(t.Context(), 1, issue.Change{
			Status: ptr(issue.Fixed), FixConversationID: ptr("conversation-2"), ActualFix: ptr("set it"), Note: "done", By: "conversation-2",
			Severity: ptr(issue.Low), Components: &[]string{"x"},
		})
		require.NoError(t, err)
		assert.Equal(t, issue.Fixed, i.Status)
		assert.WithinDuration(t, time.Now(), i.FixDate, time.Minute)
		assert.Equal(t, []string{
			"status_change opened as open", "fix_applied open -> fixed: done", "comment severity: high -> low",
			"comment actual fix: none -> set it", "conversation_link fixed in conversation: conversation-2", "comment components: none -> x",
		}, said(i))
		for _, u := range i.Updates[1:] {
			assert.Equal(t, "conversation-2", u.ConversationID)
		}
		same, err := track.Update(t.Context(), 1, issue.Change{Status: ptr(issue.Fixed), Severity: ptr(issue.Low)})
		require.NoError(t, err)
		assert.Equal(t, i, same, "nothing changed, not even the time")

		_, err = track.Update(t.Context(), 1, issue.Change{Status: ptr(issue.Verified)})
		require.NoError(t, err)
		i, err = track.Update(t.Context(), 1, issue.Change{Status: ptr(issue.Open), Note: "back again"})
		require.NoError(t, err)
		assert.True(t, i.FixDate.IsZero())
		assert.Equal(t, []string{"verification fixed -> verified", "status_change verified -> open: back again"}, said(i)[6:])

		require.NoError(t, track.Comment(t.Context(), 1, "a word", "conversation-3"))
		require.ErrorIs(t, track.Comment(t.Context(), 1, "  ", ""), issue.ErrInvalid)
		require.ErrorIs(t, track.Comment(t.Context(), 7, "a word", ""), issue.ErrNotFound)
		list, err := track.List(t.Context(), issue.Filter{ConversationID: "conversation-3"})
		require.NoError(t, err)
		require.Len(t, list, 1)
		assert.True(t, list[0].UpdatedAt.After(i.UpdatedAt))
	})
}

func TestChecklist(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		track := s.Issues()
		create(t, track, "t", issue.High)
		_, err := track.AddSteps(t.Context(), 1, []string{"one", "two"}, "conversation")
		require.NoError(t, err)
		i, err := track.AddSteps(t.Context(), 1, []string{"three"}, "")
		require.NoError(t, err)
		assert.Equal(t, []int{0, 3}, []int{i.CompletedSteps, i.TotalSteps})
		i, err = track.SetStep(t.Context(), 1, 2, issue.StepComplete, "conversation-2")
		require.NoError(t, err)
		assert.Equal(t, 33, i.Progress())
		assert.WithinDuration(t, time.Now(), i.Checklist[1].CompletedAt, time.Minute)
		assert.Equal(t, "conversation-2", i.Checklist[1].ConversationID)
		_, err = track.SetStep(t.Context(), 1, 2, issue.StepComplete, "")
		require.NoError(t, err)
		i, err = track.SetStep(t.Context(), 1, 3, issue.StepSkipped, "")
		require.NoError(t, err)
		assert.Equal(t, []string{
			"status_change opened as open", "comment checklist step 1 added: one\nchecklist step 2 added: two",
			"comment checklist step 3 added: three", "comment checklist step 2 (two): pending -> complete",
			"comment checklist step 3 (three): pending -> skipped",
		}, said(i), "one row a change, none for no change")
		i, err = track.SetStep(t.Context(), 1, 2, issue.StepInProgress, "")
		require.NoError(t, err)
		assert.True(t, i.Checklist[1].CompletedAt.IsZero())
		assert.Equal(t, "conversation-2", i.Checklist[1].ConversationID)

		for _, err := range []error{
			second(track.SetStep(t.Context(), 1, 9, issue.StepComplete, "")),
			second(track.SetStep(t.Context(), 1, 1, "done", "")),
			second(track.AddSteps(t.Context(), 1, []string{"ok", " "}, "")),
		} {
			require.ErrorIs(t, err, issue.ErrInvalid)
		}
		require.ErrorIs(t, second(track.AddSteps(t.Context(), 2, []string{"ok"}, "")), issue.ErrNotFound)

		create(t, track, "worse", issue.Critical)
		closed := create(t, track, "closed", issue.Critical)
		_, err = track.Update(t.Context(), closed.Number, issue.Change{Status: ptr(issue.Closed)})
		require.NoError(t, err)
		_, err = track.SetStep(t.Context(), 1, 1, issue.StepComplete, "")
		require.NoError(t, err)
		assert.EqualValues(t, 2, one[int64](t, s, `SELECT count(*) FROM exai_active_issues`))
		assert.Equal(t, "worse", one[string](t, s, `SELECT title FROM exai_active_issues LIMIT 1`))
		assert.EqualValues(t, 33, one[int64](t, s, `SELECT progress_percentage FROM exai_active_issues WHERE completed_steps = 1 AND total_steps = 3`))
		assert.EqualValues(t, 0, one[int64](t, s, `SELECT progress_percentage FROM exai_active_issues WHERE title = 'worse'`))
	})
}

func second[T any](_ T, err error) error { return err }

func TestLinks(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		track := s.Issues()
		for range 4 {
			create(t, track, "t", issue.Low)
		}
		require.NoError(t, track.Link(t.Context(), 1, issue.LinkBlocks, 3, "conversation"))
		require.NoError(t, track.Link(t.Context(), 1, issue.LinkBlocks, 2, ""))
		require.NoError(t, track.Link(t.Context(), 4, issue.LinkBlockedBy, 1, ""))
		require.NoError(t, track.Link(t.Context(), 2, issue.LinkRelated, 4, ""))
		require.NoError(t, track.Link(t.Context(), 1, issue.LinkBlocks, 3, "again"))
		get := func(n int) *issue.Issue {
			i, err := track.Get(t.Context(), n)
			require.NoError(t, err)
			return i
		}
		assert.Equal(t, []int{2, 3, 4}, get(1).Blocks)
		assert.Equal(t, []int{1}, get(2).BlockedBy)
		assert.Equal(t, []int{4}, get(2).Related)
		assert.Equal(t, []int{2}, get(4).Related)
		assert.Equal(t, []int{1}, get(4).BlockedBy)
		assert.Equal(t, []string{"status_change opened as open", "comment is blocked by issue 1"}, said(get(3)))
		list, err := track.List(t.Context(), issue.Filter{})
		require.NoError(t, err)
		assert.Equal(t, []int{2, 3, 4}, list[0].Blocks)

		require.ErrorIs(t, track.Link(t.Context(), 1, issue.LinkBlocks, 1, ""), issue.ErrInvalid)
		require.ErrorIs(t, track.Link(t.Context(), 1, "likes", 2, ""), issue.ErrInvalid)
		require.ErrorIs(t, track.Link(t.Context(), 3, issue.LinkBlocks, 1, ""), issue.ErrInvalid)
		require.ErrorIs(t, track.Link(t.Context(), 1, issue.LinkRelated, 9, ""), issue.ErrNotFound)
		require.ErrorIs(t, track.Link(t.Context(), 9, issue.LinkRelated, 1, ""), issue.ErrNotFound)
		assert.Empty(t, get(1).Related)
	})
}

// One defect in other words is known by the line that proves it.
func TestCaptureKnowsAQuote(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		track := s.Issues()
		loop := issue.Finding{Workspace: "/w", File: "a.go", Line: 4, Title: "Loop ends too soon", Quote: "\tfor i := 0; i < len(n)-1; i++ {", Severity: issue.High}
		other, moved, elsewhere, short, shortToo := loop, loop, loop, loop, loop
		other.Title = "The last element is never summed"
		moved.Title, moved.Quote, moved.Line = "Off by one", "5: for i := 0;  i < len(n)-1; i++ {", 5
		elsewhere.Title, elsewhere.File = "Off by one there", "b.go"
		short.Title, short.Quote = "Brace", "}"
		shortToo.Title, shortToo.Quote = "Another brace", "}"
		nowhere := issue.Finding{Workspace: "/w", Title: "No file", Quote: loop.Quote}
		nowhereToo := issue.Finding{Workspace: "/w", Title: "No file either", Quote: loop.Quote}
		got, err := track.Capture(t.Context(), []issue.Finding{loop, other, moved, elsewhere, short, shortToo, nowhere, nowhereToo})
		require.NoError(t, err)
		var numbers []int
		for _, c := range got {
			numbers = append(numbers, c.Number)
		}
		assert.Equal(t, []int{1, 1, 1, 2, 3, 4, 5, 6}, numbers)
		i, err := track.Get(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, "for i := 0; i < len(n)-1; i++ {", i.Quote)
		assert.Equal(t, `comment found again, high, at line 4, as "The last element is never summed"`, said(i)[1])
	})
}

func TestCapture(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		track := s.Issues()
		leak := issue.Finding{
			Workspace: "/w", File: "a.go", Line: 7, Title: "Leaks a goroutine.", Description: "d", Severity: issue.High,
			Category: issue.Performance, ConversationID: "c1", Tool: "debug", RecommendedFix: "close it",
		}
		again := leak
		again.Title, again.Line, again.ConversationID, again.Severity, again.Tool = "  leaks: a GOROUTINE!", 9, "c2", issue.Low, "codereview"
		elsewhere, otherFile := leak, leak
		elsewhere.Workspace, otherFile.File = "/v", "b.go"
		odd := issue.Finding{Description: "first line\nsecond", Severity: "terrible", Category: "style"}

		got, err := track.Capture(t.Context(), []issue.Finding{leak, again, elsewhere, otherFile, odd, odd, {}})
		require.NoError(t, err)
		assert.Equal(t, []issue.Captured{
			{Number: 1, Title: "Leaks a goroutine.", Severity: issue.High, Status: issue.Open, New: true},
			{Number: 1, Title: "Leaks a goroutine.", Severity: issue.High, Status: issue.Open},
			{Number: 2, Title: "Leaks a goroutine.", Severity: issue.High, Status: issue.Open, New: true},
			{Number: 3, Title: "Leaks a goroutine.", Severity: issue.High, Status: issue.Open, New: true},
			{Number: 4, Title: "first line", Severity: issue.Medium, Status: issue.Open, New: true},
			{Number: 4, Title: "first line", Severity: issue.Medium, Status: issue.Open},
			{Number: 5, Title: "Untitled finding", Severity: issue.Medium, Status: issue.Open, New: true},
		}, got)
		i, err := track.Get(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, []string{"status_change found by debug", "comment found by codereview again, low, at line 9"}, said(i))
		assert.Equal(t, "c2", i.Updates[1].ConversationID)
		assert.Equal(t, []any{"/w", "a.go", 7, "close it"}, []any{i.Workspace, i.File, i.LineStart, i.RecommendedFix})

		_, err = track.Update(t.Context(), 1, issue.Change{Status: ptr(issue.InProgress)})
		require.NoError(t, err)
		got, err = track.Capture(t.Context(), []issue.Finding{leak})
		require.NoError(t, err)
		assert.Equal(t, 1, got[0].Number, "in progress is active too")
		_, err = track.Update(t.Context(), 1, issue.Change{Status: ptr(issue.Fixed)})
		require.NoError(t, err)
		got, err = track.Capture(t.Context(), []issue.Finding{leak})
		require.NoError(t, err)
		assert.Equal(t, issue.Captured{Number: 6, Title: leak.Title, Severity: issue.High, Status: issue.Open, New: true}, got[0], "it came back")
		i, err = track.Get(t.Context(), 6)
		require.NoError(t, err)
		assert.Equal(t, []int{1}, i.Related)
		assert.Equal(t, []string{"status_change found by debug", "comment is related to issue 1"}, said(i))
		i, err = track.Get(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, []int{6}, i.Related)

		_, err = track.Update(t.Context(), 6, issue.Change{Status: ptr(issue.WontFix)})
		require.NoError(t, err)
		got, err = track.Capture(t.Context(), []issue.Finding{again})
		require.NoError(t, err)
		assert.Equal(t, issue.Captured{Number: 6, Title: leak.Title, Severity: issue.High, Status: issue.WontFix}, got[0], "nobody wants to fix it")
		_, err = track.Update(t.Context(), 1, issue.Change{Status: ptr(issue.Open)})
		require.NoError(t, err)
		got, err = track.Capture(t.Context(), []issue.Finding{leak})
		require.NoError(t, err)
		assert.Equal(t, 1, got[0].Number, "an active one comes first")
		none, err := track.Capture(t.Context(), nil)
		require.NoError(t, err)
		assert.Empty(t, none)
	})
}

func TestIssueList(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		track := s.Issues()
		for _, i := range []issue.Issue{
			{Title: "low 100%", Severity: issue.Low, Category: issue.Other, File: "/w/src/a.go", Workspace: "/w"},
			{Title: "critical", Severity: issue.Critical, Category: issue.Security, File: `C:\w\a.go`, ConversationID: "c1"},
			{Title: "medium", Severity: issue.Medium, Category: issue.Other, File: "/w/a_go", RootCause: "Überlauf", FixConversationID: "c1"},
			{Title: "another critical", Severity: issue.Critical, Category: issue.Other, Status: issue.Closed},
		} {
			_, err := track.Create(t.Context(), i)
			require.NoError(t, err)
		}
		_, err := track.AddSteps(t.Context(), 1, []string{"x"}, "c2")
		require.NoError(t, err)
		require.NoError(t, track.Comment(t.Context(), 3, "See the Manual", ""))
		for _, c := range []struct {
			name string
			f    issue.Filter
			want []int
		}{
			{"all, the worst first", issue.Filter{}, []int{2, 4, 3, 1}},
			{"page", issue.Filter{Limit: 2, Offset: 1}, []int{4, 3}},
			{"status", issue.Filter{Status: []issue.Status{issue.Open, issue.InProgress}}, []int{2, 3, 1}},
			{"severity", issue.Filter{Severity: []issue.Severity{issue.Low, issue.Medium}}, []int{3, 1}},
			{"category", issue.Filter{Category: []issue.Category{issue.Security}}, []int{2}},
			{"unknown word", issue.Filter{Status: []issue.Status{"done"}}, nil},
			{"whole file", issue.Filter{File: "/w/src/a.go"}, []int{1}},
			{"end of a path", issue.Filter{File: "a.go"}, []int{2, 1}},
			{"not the end of a name", issue.Filter{File: "go"}, nil},
			{"workspace", issue.Filter{Workspace: "/w"}, []int{1}},
			{"found or fixed there", issue.Filter{ConversationID: "c1"}, []int{2, 3}},
			{"worked on there", issue.Filter{ConversationID: "c2"}, []int{1}},
			{"text", issue.Filter{Text: "CRITICAL"}, []int{2, 4}},
			{"text beyond ASCII", issue.Filter{Text: "ÜBERLAUF"}, []int{3}},
			{"text of an update", issue.Filter{Text: "manual"}, []int{3}},
			{"no wildcard", issue.Filter{Text: "0%"}, []int{1}},
			{"file as text", issue.Filter{Text: `c:\w`}, []int{2}},
		} {
			list, err := track.List(t.Context(), c.f)
			require.NoError(t, err, c.name)
			var got []int
			for _, i := range list {
				got = append(got, i.Number)
			}
			assert.Equal(t, c.want, got, c.name)
		}
	})
}

// Sixteen writers change, comment, check, link and capture at once; no change and no audit row is lost.
func TestIssueWriters(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		const writers, rounds = 16, 2
		track := s.Issues()
		shared := create(t, track, "shared", issue.High)
		g, ctx := errgroup.WithContext(later(t))
		var mu sync.Mutex
		numbers := map[int]bool{}
		for w := range writers {
			g.Go(func() error {
				for r := range rounds {
					name := fmt.Sprintf("%d.%d", w, r)
					own, err := track.Create(ctx, issue.Issue{Title: "own " + name, Severity: issue.Low, Category: issue.Other})
					if err != nil {
						return err
					}
					mu.Lock()
					numbers[own.Number] = true
					mu.Unlock()
					_, err1 := track.Update(ctx, 1, issue.Change{Note: "note " + name})
					_, err2 := track.AddSteps(ctx, 1, []string{"step " + name}, "")
					err3 := track.Link(ctx, own.Number, issue.LinkBlocks, 1, "")
					_, err4 := track.Capture(ctx, []issue.Finding{{Title: fmt.Sprint("the same ", r)}})
					if err := errors.Join(err1, err2, err3, err4, track.Comment(ctx, 1, "comment "+name, "")); err != nil {
						return err
					}
				}
				return nil
			})
		}
		require.NoError(t, g.Wait())
		const n = writers * rounds
		i, err := track.Get(t.Context(), shared.Number)
		require.NoError(t, err)
		assert.Len(t, numbers, n, "every number is unique")
		assert.Equal(t, n, i.TotalSteps)
		for k, step := range i.Checklist {
			assert.Equal(t, k+1, step.Number)
		}
		assert.Len(t, i.BlockedBy, n)
		kinds := map[string]int{}
		for _, u := range i.Updates {
			var kind string
			_, err := fmt.Sscan(u.Content, &kind)
			require.NoError(t, err)
			kinds[kind]++
		}
		assert.Equal(t, map[string]int{"opened": 1, "note": n, "checklist": n, "is": n, "comment": n}, kinds)
		same, err := track.List(t.Context(), issue.Filter{Text: "the same", Limit: 1000})
		require.NoError(t, err)
		require.Len(t, same, rounds, "one issue a finding")
		for _, c := range same {
			full, err := track.Get(t.Context(), c.Number)
			require.NoError(t, err)
			assert.Len(t, full.Updates, writers)
		}
	})
}

// Findings that several runs report at the same moment are one issue.
func TestCaptureAtOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		const rounds, runs = 20, 6
		for r := range rounds {
			g, ctx := errgroup.WithContext(later(t))
			start := make(chan struct{})
			for range runs {
				g.Go(func() error {
					<-start
					_, err := s.Issues().Capture(ctx, []issue.Finding{{Title: fmt.Sprint("finding ", r)}})
					return err
				})
			}
			close(start)
			require.NoError(t, g.Wait())
		}
		list, err := s.Issues().List(t.Context(), issue.Filter{Limit: 1000})
		require.NoError(t, err)
		require.Len(t, list, rounds)
	})
}

func TestIssueContext(t *testing.T) {
	gone := errors.New("the client has left")
	eachStore(t, func(t *testing.T, s *Store) {
		track := s.Issues()
		create(t, track, "x", issue.Low)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(gone)
		for _, err := range []error{
			second(track.Get(ctx, 1)), second(track.List(ctx, issue.Filter{})), track.Comment(ctx, 1, "x", ""),
			second(track.Update(ctx, 1, issue.Change{Note: "x"})), second(track.Capture(ctx, []issue.Finding{{Title: "y"}})),
			track.Link(ctx, 1, issue.LinkRelated, 2, ""), second(track.AddSteps(ctx, 1, []string{"x"}, "")),
			second(track.Create(ctx, issue.Issue{Title: "y", Severity: issue.Low, Category: issue.Other})),
		} {
			require.ErrorIs(t, err, gone)
		}
		i, err := track.Get(t.Context(), 1)
		require.NoError(t, err)
		assert.Len(t, i.Updates, 1)
	})
}

// Links that can't be read are no links that aren't there.
func TestLinksThatCannotBeRead(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		rows := []issueRow{{related: []string{"0b8e1f7c-0000-4000-8000-000000000000"}}}
		require.ErrorIs(t, nameLinks(ctx, s.read, rows), context.Canceled)
		require.NoError(t, nameLinks(t.Context(), s.read, rows))
	})
}
