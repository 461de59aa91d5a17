package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
)

// Lists are read in both forms, and elements that are NULL are left out.
func TestListsOfTheDatabase(t *testing.T) {
	for _, c := range []struct {
		v    any
		want []string
	}{
		{nil, nil},
		{"", nil},
		{"[]", nil},
		{"{}", nil},
		{`["a",null,"b c"]`, []string{"a", "b c"}},
		{[]byte(`{a,NULL,"b c"}`), []string{"a", "b c"}},
	} {
		got := []string{"before"}
		require.NoError(t, intoList{&got}.Scan(c.v), "%v", c.v)
		assert.Equal(t, c.want, got, "%v", c.v)
	}
	var got []string
	require.EqualError(t, intoList{&got}.Scan(7), "an array in the database is a int")
	require.Error(t, intoList{&got}.Scan("[x"))
	require.Error(t, intoList{&got}.Scan("{x"))
}

// A file is named in the tables as people know it, and its place has a length that an index can hold.
func TestFilesOfTheTables(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		for path, want := range map[string]string{"/p/a.go": "a.go", `C:\p\b.go`: "b.go", "": "inline"} {
			say(t, s, "c"+path, attach(user("x"), file(path, path)))
			assert.Equal(t, want, one[string](t, s, `SELECT original_name FROM files ORDER BY created_at DESC, id LIMIT 1`))
			assert.Equal(t, path, load(t, s, "c"+path).Turns[0].Attachments[0].Path)
		}
	})
	long := strings.Repeat("x", 1000)
	assert.Equal(t, "exai_blobs/c/h/text/plain/"+long, storagePath("c", "text/plain", "h", long))
	short := storagePath("c", "text/plain", "h", long+"x")
	assert.Len(t, short, len("exai_blobs/c/h/text/plain/")+64)
	assert.NotEqual(t, short, storagePath("c", "text/plain", "h", long+"y"))
}

func TestPages(t *testing.T) {
	s := open(t, backends[0].fresh(t))
	fillConversations(t, s, 53)
	for _, c := range []struct{ limit, offset, first, n int }{
		{0, 0, 52, 50}, {-1, -1, 52, 50}, {0, 1, 51, 50}, {1, 0, 52, 1}, {52, 52, 0, 1}, {9, 53, 0, 0},
	} {
		list, err := s.List(t.Context(), conversation.Filter{Limit: c.limit, Offset: c.offset})
		require.NoError(t, err)
		require.Len(t, list, c.n, "%+v", c)
		if c.n > 0 {
			assert.Equal(t, "c"+fmt.Sprint(c.first), list[0].ID, "%+v", c)
		}
	}
}

// An excerpt shows so much on either side of what was found, and marks what it leaves out.
func TestExcerptReach(t *testing.T) {
	side := func(n int) string { return strings.Repeat("-", n) }
	for _, c := range []struct{ content, want string }{
		{side(80) + "Found" + side(80), side(80) + "Found" + side(80)},
		{side(81) + "Found" + side(81), "…" + side(80) + "Found" + side(80) + "…"},
		{side(81) + "Found" + side(79), "…" + side(80) + "Found" + side(79)},
		{side(79) + "Found" + side(81), side(79) + "Found" + side(80) + "…"},
		{side(78) + "é" + side(78) + "Found" + side(78) + "é" + side(9), "…é" + side(78) + "Found" + side(78) + "é…"},
		{side(78) + "é" + side(79) + "Found" + side(79) + "é" + side(9), "…é" + side(79) + "Found" + side(79) + "é…"},
	} {
		assert.Equal(t, c.want, excerpt(c.content, "fOUND"))
	}
}

// An issue that is opened as fixed was fixed at some time.
func TestCreateFixed(t *testing.T) {
	track := open(t, backends[0].fresh(t)).Issues()
	at := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	add := func(i issue.Issue) time.Time {
		i.Title, i.Severity, i.Category = "t", issue.Low, issue.Other
		got, err := track.Create(t.Context(), i)
		require.NoError(t, err)
		return got.FixDate
	}
	assert.WithinDuration(t, time.Now(), add(issue.Issue{Status: issue.Fixed}), time.Minute)
	assert.Equal(t, at, add(issue.Issue{Status: issue.Fixed, FixDate: at}))
	assert.Zero(t, add(issue.Issue{Status: issue.Open}))
}
