package store

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// stampLayout is a time as it is written: UTC, microseconds (all that PostgreSQL keeps), of one width, so that SQLite can
// compare times as texts.
const stampLayout = "2006-01-02T15:04:05.000000Z"

// now is the current time in the precision that the databases keep.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// stamp is a time on its way into a database; the zero time is NULL.
type stamp time.Time

// Value writes the stamp as text, which PostgreSQL reads as a timestamptz.
func (s stamp) Value() (driver.Value, error) {
	t := time.Time(s)
	if t.IsZero() {
		return nil, nil
	}
	return t.UTC().Format(stampLayout), nil
}

// intoTime scans a timestamp into a time; NULL is the zero time.
type intoTime struct{ t *time.Time }

// Scan takes what either driver gives.
func (i intoTime) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*i.t = time.Time{}
	case time.Time:
		*i.t = v.UTC()
	case string:
		t, err := parseTime(v)
		if err != nil {
			return fmt.Errorf("a time in the database: %w", err)
		}
		*i.t = t.UTC()
	default:
		return fmt.Errorf("a time in the database is a %T", v)
	}
	return nil
}

// parseTime reads a time as we write it, or as SQLite's own functions do, CURRENT_TIMESTAMP say: without a zone it is UTC.
func parseTime(v string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, v)
	for _, layout := range []string{"2006-01-02 15:04:05Z07:00", time.DateTime, "2006-01-02T15:04:05", time.DateOnly} {
		if err == nil {
			break
		}
		if other, otherErr := time.Parse(layout, v); otherErr == nil {
			t, err = other, nil
		}
	}
	return t, err
}

// into scans a nullable value; NULL is the zero value.
func into[T any](p *T) sql.Scanner { return nullable[T]{p} }

type nullable[T any] struct{ p *T }

// Scan converts as database/sql does, and takes the short way where nothing is to be converted: long conversations have many
// columns.
func (n nullable[T]) Scan(v any) error {
	switch p := any(n.p).(type) {
	case *string:
		if s, ok := v.(string); ok {
			*p = s
			return nil
		}
	case *int:
		if i, ok := v.(int64); ok {
			*p = int(i)
			return nil
		}
	case *float64:
		if f, ok := v.(float64); ok {
			*p = f
			return nil
		}
	}
	if v == nil {
		var zero T
		*n.p = zero
		return nil
	}
	var null sql.Null[T]
	if err := null.Scan(v); err != nil {
		return err
	}
	*n.p = null.V
	return nil
}

// intoJSON scans a nullable JSON column as its raw text.
type intoJSON struct{ p *json.RawMessage }

// Scan copies the text.
func (i intoJSON) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*i.p = nil
	case string:
		*i.p = json.RawMessage(v)
	case []byte:
		*i.p = append(json.RawMessage(nil), v...)
	default:
		return fmt.Errorf("JSON in the database is a %T", v)
	}
	return nil
}

// orNull is a value, or NULL when it is the zero value.
func orNull[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}

// text makes a string fit for both databases: PostgreSQL takes neither invalid UTF-8 nor NUL.
func text[T ~string](s T) string {
	return strings.ReplaceAll(strings.ToValidUTF8(string(s), "\uFFFD"), "\x00", "\uFFFD")
}

// textOrNull is text, or NULL when it is empty.
func textOrNull[T ~string](s T) any { return orNull(text(s)) }

// jsonText checks a JSON value and makes it fit for both databases; nil is NULL.
func jsonText(what string, raw json.RawMessage) (any, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	if !json.Valid(raw) {
		return nil, fmt.Errorf("%s is not valid JSON", what)
	}
	return strings.ToValidUTF8(string(raw), "\uFFFD"), nil
}
