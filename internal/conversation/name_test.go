package conversation

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// listed is a Store that can only list, the latest first.
type listed struct {
	Store
	list []Summary
	fail error
}

func (l listed) List(_ context.Context, f Filter) (out []Summary, _ error) {
	for _, c := range l.list {
		if (f.Workspace == "" || f.Workspace == c.Workspace) && strings.HasPrefix(c.ID, f.Prefix) &&
			(len(f.IDs) == 0 || slices.Contains(f.IDs, c.ID)) && len(out) < f.Limit {
			out = append(out, c)
		}
	}
	return out, l.fail
}

func TestNamed(t *testing.T) {
	at := func(sec int64) time.Time { return time.Unix(sec, 0) }
	s := listed{list: []Summary{
		{ID: "latest-of-nowhere", UpdatedAt: at(9)},
		{ID: "bbbbbb", Workspace: "/b", UpdatedAt: at(5)},
		{ID: "bbbbbb-2", Workspace: "/b", UpdatedAt: at(4)},
		{ID: "aaaaaa-1", Workspace: "/a", UpdatedAt: at(3)},
		{ID: "short", Workspace: "/a", UpdatedAt: at(2)},
		{ID: "untimed", Workspace: "/u"},
	}}
	for _, c := range []struct {
		name    string
		folders []string
		want    string
	}{
		{"latest", []string{"/a"}, "aaaaaa-1"},
		{"latest", []string{"/a", "/b"}, "bbbbbb"},
		{"latest", []string{"/b", "/a"}, "bbbbbb"},
		{"latest", []string{"", "/u"}, "untimed"},
		{"aaaaaa", nil, "aaaaaa-1"},
		{"aaaaa", nil, "aaaaa"},
		{"bbbbbb", nil, "bbbbbb"},
		{"short", nil, "short"},
		{"nobody", nil, "nobody"},
		{"LATEST", []string{"/a"}, "LATEST"},
	} {
		got, err := Named(t.Context(), s, c.name, c.folders...)
		require.NoError(t, err, c)
		assert.Equal(t, c.want, got, c)
	}
	for _, folders := range [][]string{nil, {""}, {"/elsewhere"}} {
		_, err := Named(t.Context(), s, "latest", folders...)
		require.ErrorIs(t, err, ErrNoneHere)
	}
	s.fail = errors.New("broken")
	for _, name := range []string{"latest", "aaaaaa", "nobody"} {
		_, err := Named(t.Context(), s, name, "/a")
		require.ErrorIs(t, err, s.fail, name)
	}
}

func TestAmbiguousNames(t *testing.T) {
	s := listed{list: []Summary{{ID: "xxxxxxx1"}, {ID: "xxxxxxx2"}, {ID: "xxxxxxx3"}, {ID: "xxxxxxx4"}, {ID: "xxxxxxx5"}}}
	var ambiguous *AmbiguousError
	_, err := Named(t.Context(), s, "xxxxxx")
	require.ErrorAs(t, err, &ambiguous)
	require.EqualError(t, err, "xxxxxx is ambiguous: it may be xxxxxxx1, xxxxxxx2, xxxxxxx3, xxxxxxx4, xxxxxxx5")
	s.list = append(s.list, Summary{ID: "xxxxxxx6"}, Summary{ID: "xxxxxxx7"})
	_, err = Named(t.Context(), s, "xxxxxx")
	require.EqualError(t, err, "xxxxxx is ambiguous: it may be xxxxxxx1, xxxxxxx2, xxxxxxx3, xxxxxxx4, xxxxxxx5 or another")
}
