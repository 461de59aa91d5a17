package store

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

func TestReviews(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		r, ctx := s.Reviews(), t.Context()
		none, err := r.Load(ctx, "a")
		require.NoError(t, err)
		assert.Equal(t, Review{}, none)

		whole := Review{
			Workspace: "/w", Baseline: map[string]string{"a.go": "1", "b\xff.go": "2"}, Blocks: 1, Judged: "j",
			Verdict: "pass", Findings: json.RawMessage(`["high a.go:3 x"]`),
		}
		require.NoError(t, r.Change(ctx, "a", func(v *Review) bool { *v = whole; return true }))
		require.NoError(t, r.Change(ctx, "b", func(v *Review) bool {
			assert.Equal(t, Review{}, *v, "keys do not mix")
			v.Baseline = map[string]string{}
			return true
		}))
		got, err := r.Load(ctx, "a")
		require.NoError(t, err)
		whole.Baseline = map[string]string{"a.go": "1", "b\uFFFD.go": "2"}
		assert.Equal(t, whole, got)
		got, err = r.Load(ctx, "b")
		require.NoError(t, err)
		assert.NotNil(t, got.Baseline, "no uncommitted file is not the same as not known")
		assert.Empty(t, got.Baseline)

		require.NoError(t, r.Change(ctx, "a", func(v *Review) bool { v.Blocks = 9; return false }))
		got, err = r.Load(ctx, "a")
		require.NoError(t, err)
		assert.Equal(t, 1, got.Blocks, "what is not to be stored is not")

		var all errgroup.Group
		for range 8 {
			all.Go(func() error { return r.Change(ctx, "c", func(v *Review) bool { v.Blocks++; return true }) })
		}
		require.NoError(t, all.Wait())
		got, err = r.Load(ctx, "c")
		require.NoError(t, err)
		assert.Equal(t, 8, got.Blocks, "no block is lost")

		raw(t, s, `UPDATE exai_reviews SET updated_at = $1 WHERE id IN ('a', 'b')`, stamp(clock(t, s).Add(-KeepReviews-time.Hour)))
		require.NoError(t, r.Change(ctx, "b", func(*Review) bool { return true }))
		assert.EqualValues(t, 2, one[int64](t, s, `SELECT count(*) FROM exai_reviews`), "b was used, a was not")
	})
}

func TestReviewsThatCannotBeKeptOrRead(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		r, ctx := s.Reviews(), t.Context()
		err := r.Change(ctx, "a", func(v *Review) bool { v.Findings = json.RawMessage(`{`); return true })
		require.ErrorContains(t, err, "the list of findings is not valid JSON")
		require.NoError(t, r.Change(ctx, "a", func(v *Review) bool {
			assert.Equal(t, Review{}, *v, "nothing was stored")
			v.Verdict = "pass"
			return true
		}))
		got, err := r.Load(ctx, "a")
		require.NoError(t, err)
		assert.Equal(t, Review{Verdict: "pass"}, got, "no list of files is none")

		raw(t, s, `UPDATE exai_reviews SET baseline = '["a.go"]'`)
		got, err = r.Load(ctx, "a")
		require.ErrorContains(t, err, "the files of review a: ")
		assert.Equal(t, Review{}, got)
		err = r.Change(ctx, "a", func(*Review) bool { t.Error("it cannot be read"); return true })
		require.ErrorContains(t, err, "the files of review a: ")
	})
}
