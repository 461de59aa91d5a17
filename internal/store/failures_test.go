package store

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/store/storetest"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

// tables is all that the database holds.
func tables(t *testing.T, s *Store) map[string][]map[string]any {
	t.Helper()
	out := map[string][]map[string]any{}
	for name := range shapes {
		out[name] = records(t, s, `SELECT * FROM `+name+` ORDER BY 1, 2`)
	}
	return out
}

// task is one call of the store.
type task struct {
	name   string
	before func(t *testing.T, s *Store) // what it needs
	do     func(ctx context.Context, s *Store) error
	parts  bool  // what was done before the failure is kept
	lock   int64 // the key of the lock that it takes where the database has some, 0 for none
}

// Whatever fails of an operation, the operation fails, does not report that something is not there, and leaves nothing half
// done.
func TestEveryFailureIsReported(t *testing.T) {
	eachDatabase(t, func(t *testing.T, c config.Conversations) {
		s, f := failing(t, c)
		fillForTasks(t, s)
		for _, task := range slices.Concat(conversationTasks(), issueTasks(), usageTasks(), reviewTasks()) {
			t.Run(task.name, func(t *testing.T) { failEverywhere(t, s, f, task) })
		}
	})
}

// failEverywhere makes each action of a task fail, one at a time, and then lets it succeed.
func failEverywhere(t *testing.T, s *Store, f *failures, task task) {
	if task.before != nil {
		task.before(t, s)
	}
	before := tables(t, s)
	for at := 1; ; at++ {
		require.Less(t, at, 500, "it does not end")
		f.start(at)
		err := task.do(t.Context(), s)
		failed, locks := f.done >= at, slices.Compact(f.locks)
		f.start(0)
		if !failed {
			require.NoError(t, err)
			assert.Greater(t, at, 1, "it did nothing")
			if s.d.name == "postgres" && task.lock != 0 {
				assert.Equal(t, []int64{task.lock}, locks)
			} else {
				assert.Empty(t, locks)
			}
			return
		}
		require.Error(t, err, "action %d", at)
		for _, answer := range []error{conversation.ErrNotFound, issue.ErrNotFound, issue.ErrInvalid} {
			require.NotErrorIs(t, err, answer, "action %d", at)
		}
		require.Zero(t, s.write.Stats().InUse+s.read.Stats().InUse, "action %d: its connection is given back", at)
		if !task.parts {
			require.Empty(t, cmp.Diff(before, tables(t, s)), "action %d", at)
		}
	}
}

// A database that could not be prepared, whatever failed, is prepared by whoever opens it next.
func TestFailedMigrationIsFinishedLater(t *testing.T) {
	eachDatabase(t, func(t *testing.T, c config.Conversations) {
		d, f := open(t, c).d, &failures{}
		if c.Backend == "postgres" {
			c.DatabaseURL = config.Secret(storetest.Postgres(t))
		} else {
			c.StateDir = t.TempDir()
		}
		db := f.pool(t, c, writeOptions, nil)
		s := newStore(db, db, d)
		for _, at := range []int{1, 2, 30, 60, 0} {
			f.start(at)
			f.lasting = true
			err := s.migrate(t.Context())
			require.Equal(t, at > 0, err != nil, "action %d", at)
		}
		failEverywhere(t, s, f, task{do: func(ctx context.Context, s *Store) error { return s.migrate(ctx) }})
		again := open(t, c)
		say(t, again, "t", user("x"))
		assert.Len(t, load(t, again, "t").Turns, 1)
		found, err := d.tables(t.Context(), again.write)
		require.NoError(t, err)
		require.NoError(t, again.checkTables(found))
	})
}

func fillForTasks(t *testing.T, s *Store) {
	t.Helper()
	say(t, s, "t", attach(user("q"), file("/a", "x"), file("/b", "y")), step("debug", 1), assistant("a"), step("debug", 2))
	say(t, s, "u", attach(user("q"), file("/a", "x")))
	for _, title := range []string{"first", "second", "third"} {
		create(t, s.Issues(), title, issue.High)
	}
	require.NoError(t, s.Reviews().Change(t.Context(), "k", func(v *Review) bool {
		*v = Review{Workspace: "/w", Baseline: map[string]string{"a": "1"}, Findings: []byte(`["x"]`)}
		return true
	}))
}

func conversationTasks() []task {
	var saved conversation.Turn
	return []task{
		{name: "append", lock: lockBlobs, do: func(ctx context.Context, s *Store) error {
			_, err := s.Append(ctx, conversation.NewTurns{
				ConversationID: "t", DropStepsTool: "debug", DropStepsFrom: 2,
				Turns: []conversation.Turn{attach(step("debug", 2), file("/c", "z"), file("/a", "x")), assistant("b")},
			})
			return err
		}},
		{name: "append with a file", lock: lockBlobs, do: func(ctx context.Context, s *Store) error {
			turns := []conversation.Turn{attach(user("q"), file("/d", "d"))}
			return second(s.Append(ctx, conversation.NewTurns{ConversationID: "v", Turns: turns}))
		}},
		{name: "append to rows without a number", before: func(t *testing.T, s *Store) {
			raw(t, s, `UPDATE messages SET turn_number = NULL WHERE content = 'b'`)
		}, do: func(ctx context.Context, s *Store) error {
			_, err := s.Append(ctx, conversation.NewTurns{ConversationID: "t", Turns: []conversation.Turn{user("c")}})
			return err
		}},
		{name: "save", before: func(t *testing.T, s *Store) {
			saved = load(t, s, "t").Turns[0]
		}, do: func(ctx context.Context, s *Store) error { return s.Save(ctx, "t", saved) }},
		{name: "load", do: func(ctx context.Context, s *Store) error { return second(s.Load(ctx, "t")) }},
		{name: "load the latest", do: func(ctx context.Context, s *Store) error {
			return second(s.LoadLatest(ctx, "t", 1))
		}},
		{name: "load one of another program", before: func(t *testing.T, s *Store) {
			raw(t, s, `UPDATE messages SET turn_number = NULL WHERE content = 'a'`)
		}, do: func(ctx context.Context, s *Store) error { return second(s.LoadLatest(ctx, "t", 1)) }},
		{name: "list", do: func(ctx context.Context, s *Store) error {
			return second(s.List(ctx, conversation.Filter{Text: "a", Path: "/a"}))
		}},
		{name: "each", do: func(ctx context.Context, s *Store) error {
			for _, err := range s.Each(ctx, conversation.Filter{}) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "count", do: func(ctx context.Context, s *Store) error {
			return second(s.Count(ctx, conversation.Filter{}))
		}},
		{name: "ping", do: func(ctx context.Context, s *Store) error { return s.Ping(ctx) }},
		{name: "delete", lock: lockBlobs, do: func(ctx context.Context, s *Store) error {
			return s.Delete(ctx, "u")
		}},
		{name: "prune", lock: lockBlobs, parts: true, do: func(ctx context.Context, s *Store) error {
			return second(s.Prune(ctx, now().Add(time.Hour)))
		}},
	}
}

func issueTasks() []task {
	var number int
	finding := issue.Finding{Title: "first", Severity: issue.High, Quote: "v := compute(1)", File: "/w/a.go", Workspace: "/w"}
	capture := func(ctx context.Context, s *Store) error {
		return second(s.Issues().Capture(ctx, []issue.Finding{finding}))
	}
	return []task{
		{name: "create", do: func(ctx context.Context, s *Store) error {
			i, err := s.Issues().Create(ctx, issue.Issue{
				Title: "whole", Severity: issue.Low, Category: issue.Other,
				Checklist: []issue.ChecklistStep{{Description: "one"}}, Blocks: []int{1},
			})
			if err == nil {
				number = i.Number
			}
			return err
		}},
		{name: "get", do: func(ctx context.Context, s *Store) error { return second(s.Issues().Get(ctx, number)) }},
		{name: "update", do: func(ctx context.Context, s *Store) error {
			return second(s.Issues().Update(ctx, number, issue.Change{Note: "note", Title: ptr("new")}))
		}},
		{name: "comment", do: func(ctx context.Context, s *Store) error {
			return s.Issues().Comment(ctx, 1, "comment", "")
		}},
		{name: "add steps", do: func(ctx context.Context, s *Store) error {
			return second(s.Issues().AddSteps(ctx, 1, []string{"one", "two"}, ""))
		}},
		{name: "set a step", do: func(ctx context.Context, s *Store) error {
			return second(s.Issues().SetStep(ctx, 1, 2, issue.StepComplete, ""))
		}},
		{name: "link", do: func(ctx context.Context, s *Store) error {
			return s.Issues().Link(ctx, 1, issue.LinkRelated, 2, "")
		}},
		{name: "list issues", do: func(ctx context.Context, s *Store) error {
			return second(s.Issues().List(ctx, issue.Filter{}))
		}},
		{name: "each issue", do: func(ctx context.Context, s *Store) error {
			return second(issue.All(ctx, s.Issues(), issue.Filter{}))
		}},
		{name: "each whole issue", do: func(ctx context.Context, s *Store) error {
			for _, err := range s.Issues().Each(ctx, issue.Filter{}, true) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "capture a new one", lock: lockCapture, do: capture},
		{name: "capture a known one", lock: lockCapture, do: capture},
		{name: "capture what is known without a quote", lock: lockCapture, before: func(t *testing.T, s *Store) {
			raw(t, s, `UPDATE exai_issues SET quote = NULL, quote_key = NULL`)
		}, do: capture},
		{name: "capture what came back", lock: lockCapture, before: func(t *testing.T, s *Store) {
			raw(t, s, `UPDATE exai_issues SET status = 'fixed'`)
		}, do: capture},
		{name: "capture among those of an old version", lock: lockCapture, parts: true, before: func(t *testing.T, s *Store) {
			raw(t, s, `UPDATE exai_issues SET title_key = NULL`)
		}, do: capture},
		{name: "fill in keys", before: func(t *testing.T, s *Store) {
			raw(t, s, `UPDATE exai_issues SET title_key = NULL`)
		}, do: func(ctx context.Context, s *Store) error { return s.Issues().fillKeys(ctx) }, parts: true},
	}
}

func usageTasks() []task {
	lost := func(t *testing.T, s *Store) {
		id, _, err := s.Usage().Reserve(t.Context(), usage.Reservation{AmountUSD: 0.1, LimitUSD: 1000})
		require.NoError(t, err)
		at := stamp(clock(t, s).Add(-time.Hour))
		raw(t, s, `UPDATE exai_usage_reservations SET heartbeat_at = $1 WHERE id = $2`, at, id)
	}
	var held string
	return []task{
		{name: "record and fold", lock: lockBudget, parts: true, before: func(t *testing.T, s *Store) {
			require.NoError(t, s.Usage().Record(t.Context(), asked("old", 1)))
			backdate(t, s, "old", usage.KeepDays+1)
		}, do: func(ctx context.Context, s *Store) error { return (&Usage{store: s}).Record(ctx, asked("a", 1)) }},
		{name: "reserve", lock: lockBudget, before: lost, do: func(ctx context.Context, s *Store) (err error) {
			held, _, err = s.Usage().Reserve(ctx, usage.Reservation{AmountUSD: 0.5, LimitUSD: 1000})
			return err
		}},
		{name: "beat", do: func(ctx context.Context, s *Store) error { return s.Usage().Beat(ctx, []string{held}) }},
		{name: "settle", lock: lockBudget, do: func(ctx context.Context, s *Store) error {
			return s.Usage().Settle(ctx, held, asked("a", 1))
		}},
		{name: "today", lock: lockBudget, before: lost, do: func(ctx context.Context, s *Store) error {
			return second(s.Usage().Today(ctx))
		}},
		{name: "totals", do: func(ctx context.Context, s *Store) error {
			return second(s.Usage().Totals(ctx, 9, usage.ByModel))
		}},
		{name: "requests", do: func(ctx context.Context, s *Store) error {
			return second(s.Usage().Requests(ctx, usage.Filter{}))
		}},
		{name: "under way", before: lost, do: func(ctx context.Context, s *Store) error {
			return second(s.Usage().UnderWay(ctx))
		}},
		{name: "exceeded limits", do: func(ctx context.Context, s *Store) error {
			return second(s.Usage().Exceeded(ctx, 9))
		}},
	}
}

func reviewTasks() []task {
	return []task{
		{name: "load a review", do: func(ctx context.Context, s *Store) error {
			return second(s.Reviews().Load(ctx, "k"))
		}},
		{name: "change a review", lock: lockReviews, do: func(ctx context.Context, s *Store) error {
			return s.Reviews().Change(ctx, "k", func(v *Review) bool { v.Blocks++; return true })
		}},
	}
}
