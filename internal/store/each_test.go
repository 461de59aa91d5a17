package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
)

// fillConversations makes n conversations of two turns past the store, the first of them the oldest.
func fillConversations(t testing.TB, s *Store, n int) {
	t.Helper()
	tx, err := s.write.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	start := now().Add(-time.Hour)
	for from := 0; from < n; from += 100 {
		var conversations, messages where
		var rows, turns []string
		for k := from; k < min(n, from+100); k++ {
			id, at := fmt.Sprintf("00000000-0000-0000-0000-%012d", k), stamp(start.Add(time.Duration(k)*time.Millisecond))
			rows = append(rows, conversations.fill(`(?, ?, ?, 'chat', '{}', ?, ?)`, id, fmt.Sprint("c", k), fmt.Sprint("Title ", k), at, at))
			for turn, role := range []string{"user", "assistant"} {
				turns = append(turns, messages.fill(`(?, ?, ?, 'text', '{}', ?, ?, 'complete', 'glm-5.3')`,
					fmt.Sprintf("00000000-0000-0000-%04d-%012d", turn, k), id, role, at, turn+1))
			}
		}
		_, err := tx.ExecContext(t.Context(), `INSERT INTO conversations (id, continuation_id, title, tool_name, metadata, created_at, updated_at)
			VALUES `+strings.Join(rows, ", "), conversations.args...)
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), `INSERT INTO messages
			(id, conversation_id, role, content, metadata, created_at, turn_number, turn_status, model_used) VALUES `+strings.Join(turns, ", "), messages.args...)
		require.NoError(t, err)
	}
	require.NoError(t, tx.Commit())
}

func collect(t testing.TB, s *Store, f conversation.Filter) (out []conversation.Summary) {
	t.Helper()
	for c, err := range s.Each(t.Context(), f) {
		require.NoError(t, err)
		out = append(out, c)
	}
	return out
}

func TestEachConversation(t *testing.T) {
	const n = 2*eachChunk + 100
	eachStore(t, func(t *testing.T, s *Store) {
		fillConversations(t, s, n)
		want, err := s.List(t.Context(), conversation.Filter{Limit: 2 * n})
		require.NoError(t, err)
		require.Len(t, want, n)
		if diff := cmp.Diff(want, collect(t, s, conversation.Filter{})); diff != "" {
			t.Error(diff)
		}
		found := collect(t, s, conversation.Filter{Text: "TITLE 99"})
		assert.Len(t, found, 11, "99, and 990 to 999")
		assert.Equal(t, "Title 999", found[0].Excerpt)
		count, err := s.Count(t.Context(), conversation.Filter{Text: "title 99"})
		require.NoError(t, err)
		assert.Equal(t, len(found), count)

		// Others write meanwhile: nothing comes twice, and what is gone is left out.
		seen := map[string]bool{}
		for c, err := range s.Each(t.Context(), conversation.Filter{}) {
			require.NoError(t, err)
			if len(seen) == 0 {
				require.NoError(t, s.Delete(t.Context(), "c3"))
				say(t, s, "c5", user("used again"))
				say(t, s, "later", user("new"))
			}
			require.False(t, seen[c.ID], c.ID)
			seen[c.ID] = true
		}
		assert.Len(t, seen, n-1)
		assert.True(t, seen["c5"])

		for range s.Each(t.Context(), conversation.Filter{}) {
			break // and no more
		}
		plan := explain(t, s, `SELECT (SELECT count(*) FROM messages m WHERE m.conversation_id = c.id AND m.dropped_at IS NULL) FROM conversations c`)
		assert.Contains(t, plan, "exai_messages_summary", "what was said is not read")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("enough"))
		for _, err := range s.Each(ctx, conversation.Filter{}) {
			require.ErrorContains(t, err, "enough")
		}
	})
}

func TestEachIssue(t *testing.T) {
	const n = eachChunk + 130
	eachStore(t, func(t *testing.T, s *Store) {
		track := s.Issues()
		fillIssues(t, s, n, true)
		_, err := track.AddSteps(t.Context(), 7, []string{"one", "two"}, "c")
		require.NoError(t, err)
		require.NoError(t, track.Link(t.Context(), 7, issue.LinkBlocks, n, ""))
		require.NoError(t, track.Comment(t.Context(), 9, "a comment", "c"))

		list, err := track.List(t.Context(), issue.Filter{Limit: 2 * n})
		require.NoError(t, err)
		require.Len(t, list, n)
		k := 0
		for i, err := range track.Each(t.Context(), issue.Filter{}, false) {
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(list[k], i))
			k++
		}
		assert.Equal(t, n, k)
		k = 0
		for i, err := range track.Each(t.Context(), issue.Filter{Severity: []issue.Severity{issue.High, issue.Low}}, true) {
			require.NoError(t, err)
			if i.Number%157 == 7 || i.Number == 9 || i.Number == n { // some of them
				whole, err := track.Get(t.Context(), i.Number)
				require.NoError(t, err)
				require.Empty(t, cmp.Diff(*whole, i))
			}
			k++
		}
		assert.Equal(t, n/2, k)
		limited, err := issue.All(t.Context(), track, issue.Filter{Limit: 3, Offset: 1})
		require.NoError(t, err)
		assert.Equal(t, []int{list[1].Number, list[2].Number, list[3].Number}, []int{limited[0].Number, limited[1].Number, limited[2].Number})
		for _, err := range track.Each(t.Context(), issue.Filter{}, false) {
			require.NoError(t, err)
			break
		}
		w := among(s.d, "issue_id", []string{list[0].ID, list[1].ID})
		plan := explain(t, s, `SELECT issue_id FROM exai_issue_updates`+w.clause(), w.args...)
		assert.Contains(t, plan, "exai_issue_updates_issue")
	})
}

// Portions come in order, one is read ahead, an error is the last thing that comes, and nothing is read any more at the end.
func TestInPortions(t *testing.T) {
	var keys []int
	for k := range 3*eachChunk + 1 {
		keys = append(keys, k)
	}
	broken := errors.New("broken")
	var reads, reading atomic.Int32
	run := func(ctx context.Context, stopAfter int, failing int) (got []int, err error) {
		reads.Store(0)
		inPortions(ctx, keys, func(ctx context.Context, some []int) ([]int, error) {
			reading.Add(1)
			defer reading.Add(-1)
			if reads.Add(1); some[0] == failing*eachChunk {
				return nil, broken
			}
			return some, context.Cause(ctx)
		}, func(k int, failed error) bool {
			require.NoError(t, err, "an error is the last")
			if err = failed; err == nil {
				got = append(got, k)
			}
			return len(got) != stopAfter
		})
		assert.Zero(t, reading.Load())
		return got, err
	}
	got, err := run(t.Context(), 0, -1)
	require.NoError(t, err)
	assert.Equal(t, keys, got)

	got, err = run(t.Context(), 0, 2)
	require.ErrorIs(t, err, broken)
	assert.Equal(t, keys[:2*eachChunk], got)

	got, err = run(t.Context(), 3, -1)
	require.NoError(t, err)
	assert.Equal(t, keys[:3], got)
	assert.LessOrEqual(t, reads.Load(), int32(2))

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(broken)
	_, err = run(ctx, 0, -1)
	require.ErrorIs(t, err, broken, "no list that only looks complete")
}

// Prune deletes in portions, so that others write in between, and what is deleted stays so.
func TestPruneInPortions(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		const n = 2*pruneChunk + 30
		fillConversations(t, s, n)
		shared := []conversation.Turn{attach(user("x"), file("/f", "shared"), file("/g", "own"))}
		say(t, s, "kept", attach(user("x"), file("/f", "shared")))
		say(t, s, "old", shared...)
		raw(t, s, `ALTER TABLE conversations ADD COLUMN mark text`)
		if s.d.name == "postgres" {
			raw(t, s, `DROP TRIGGER update_conversations_updated_at ON conversations`)
		}
		raw(t, s, `UPDATE conversations SET updated_at = $1 WHERE continuation_id = 'old'`, stamp(now().Add(-time.Hour)))
		id := one[string](t, s, `SELECT id FROM conversations WHERE continuation_id = $1`, fmt.Sprint("c", n-1))
		kind := "uuid"
		if s.d.name != "postgres" {
			kind = "text"
		}
		raw(t, s, `CREATE TABLE holds (id `+kind+` REFERENCES conversations (id))`)
		raw(t, s, `INSERT INTO holds VALUES ($1)`, id)

		deleted, err := s.Prune(t.Context(), now().Add(-time.Minute))
		require.Error(t, err)
		assert.Equal(t, 2*pruneChunk, deleted, "what came before the failure")
		assert.EqualValues(t, n+2-deleted, one[int64](t, s, `SELECT count(*) FROM conversations`))

		raw(t, s, `DROP TABLE holds`)
		deleted, err = s.Prune(t.Context(), now().Add(-time.Minute))
		require.NoError(t, err)
		assert.Equal(t, n+1-2*pruneChunk, deleted)
		assert.Equal(t, "shared", string(load(t, s, "kept").Turns[0].Attachments[0].Data))
		assert.EqualValues(t, 1, one[int64](t, s, `SELECT count(*) FROM exai_blobs`), "what another conversation has too is kept")
		assert.EqualValues(t, 1, one[int64](t, s, `SELECT count(*) FROM files`))
		assert.EqualValues(t, 1, one[int64](t, s, `SELECT count(*) FROM messages`))
		plan := explain(t, s, `SELECT id FROM conversations WHERE updated_at < $1 ORDER BY updated_at LIMIT $2`, stamp(now()), pruneChunk)
		assert.Contains(t, plan, "exai_conversations_updated")
	})
}

// BenchmarkEach lists and exports: 100,000 conversations in 2.5 s, 25,000 issues in 0.5 s, 50,000 whole ones in 10 s.
func BenchmarkEach(b *testing.B) {
	for _, c := range backends {
		b.Run("conversations/"+c.name, func(b *testing.B) {
			s := open(b, c.fresh(b))
			fillConversations(b, s, 100_000)
			for b.Loop() {
				require.Len(b, collect(b, s, conversation.Filter{}), 100_000)
			}
		})
		b.Run("issues/"+c.name, func(b *testing.B) {
			s := open(b, c.fresh(b))
			fillIssues(b, s, 25_000, true)
			for b.Loop() {
				list, err := issue.All(b.Context(), s.Issues(), issue.Filter{Status: issue.ActiveStatuses()})
				require.NoError(b, err)
				require.Len(b, list, 25_000)
			}
		})
		b.Run("export/"+c.name, func(b *testing.B) {
			s := open(b, c.fresh(b))
			fillIssues(b, s, 50_000, true)
			for b.Loop() {
				require.NoError(b, issue.ExportTo(io.Discard, s.Issues().Each(b.Context(), issue.Filter{}, true), "json", nil))
			}
		})
		b.Run("prune/"+c.name, func(b *testing.B) {
			for b.Loop() {
				s := open(b, c.fresh(b))
				fillConversations(b, s, 20_000)
				n, err := s.Prune(b.Context(), now())
				require.NoError(b, err)
				require.Equal(b, 20_000, n)
			}
		})
	}
}
