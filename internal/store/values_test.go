package store

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Times are read as we write them, and as databases and people do.
func TestTimesOfTheDatabase(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	berlin := time.FixedZone("", 3600)
	for _, c := range []struct {
		v    any
		want time.Time
	}{
		{nil, time.Time{}},
		{at.In(berlin), at},
		{"2026-01-02T03:04:05.000006Z", at.Add(6 * time.Microsecond)},
		{"2026-01-02T04:04:05+01:00", at},
		{"2026-01-02 03:04:05", at},
		{"2026-01-02 04:04:05+01:00", at},
		{"2026-01-02T03:04:05", at},
		{"2026-01-02", at.Truncate(24 * time.Hour)},
	} {
		got := time.Now()
		require.NoError(t, intoTime{&got}.Scan(c.v), "%v", c.v)
		assert.Equal(t, c.want, got, "%v", c.v)
	}
	var got time.Time
	require.ErrorContains(t, intoTime{&got}.Scan("yesterday"), "a time in the database: ")
	require.EqualError(t, intoTime{&got}.Scan(7), "a time in the database is a int")
}

func TestStamp(t *testing.T) {
	v, err := stamp(time.Date(2026, 1, 2, 4, 4, 5, 6789, time.FixedZone("", 3600))).Value()
	require.NoError(t, err)
	assert.Equal(t, "2026-01-02T03:04:05.000006Z", v)
	v, err = stamp(time.Time{}).Value()
	require.NoError(t, err)
	assert.Nil(t, v)
	assert.Equal(t, time.UTC, now().Location())
	assert.Zero(t, now().Nanosecond()%1000)

	at := time.Date(2026, 1, 2, 4, 4, 5, 6789, time.FixedZone("", 3600))
	assert.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), timeOr(at, time.Now()))
	assert.Equal(t, at, timeOr(time.Time{}, at))
}

func TestNullable(t *testing.T) {
	s, n, f, b := "before", 1, 1.5, true
	for _, c := range []struct {
		into interface{ Scan(any) error }
		v    any
		ok   bool
	}{
		{into(&s), "text", true},
		{into(&n), int64(7), true},
		{into(&f), 2.5, true},
		{into(&b), int64(0), true},
	} {
		require.NoError(t, c.into.Scan(c.v))
	}
	assert.Equal(t, []any{"text", 7, 2.5, false}, []any{s, n, f, b})
	for v, dest := range map[any]interface{ Scan(any) error }{"8": into(&n), int64(3): into(&f), 5: into(&s), true: into(&b)} {
		require.NoError(t, dest.Scan(v), "converted as database/sql does")
	}
	assert.Equal(t, []any{"5", 8, 3.0, true}, []any{s, n, f, b})
	require.Error(t, into(&n).Scan("many"))
	assert.Equal(t, 8, n)
	for _, dest := range []interface{ Scan(any) error }{into(&s), into(&n), into(&f), into(&b)} {
		require.NoError(t, dest.Scan(nil))
	}
	assert.Equal(t, []any{"", 0, 0.0, false}, []any{s, n, f, b})
	assert.Equal(t, []any{nil, 4}, []any{orNull(0), orNull(4)})
}

func TestJSONOfTheDatabase(t *testing.T) {
	raw := json.RawMessage(`1`)
	bytes := []byte(`{"a":1}`)
	require.NoError(t, intoJSON{&raw}.Scan(bytes))
	bytes[0] = 'x' // the driver uses them again
	assert.Equal(t, `{"a":1}`, string(raw))
	require.NoError(t, intoJSON{&raw}.Scan(`[2]`))
	assert.Equal(t, `[2]`, string(raw))
	require.EqualError(t, intoJSON{&raw}.Scan(7), "JSON in the database is a int")
	require.NoError(t, intoJSON{&raw}.Scan(nil))
	assert.Nil(t, raw)

	v, err := jsonText("x", json.RawMessage("\"a\xff\""))
	require.NoError(t, err)
	assert.Equal(t, "\"a\uFFFD\"", v)
	for _, empty := range []json.RawMessage{nil, {}} {
		v, err = jsonText("x", empty)
		require.NoError(t, err)
		assert.Nil(t, v)
	}
	v, err = jsonText("a turn's meta", json.RawMessage(`{`))
	require.EqualError(t, err, "a turn's meta is not valid JSON")
	assert.Nil(t, v)
}
