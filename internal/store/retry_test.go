package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
)

func code(code string) error { return &pgconn.PgError{Code: code} }

// What is in the way for a while is waited for, and each kind of it for as long as it may last.
func TestRetries(t *testing.T) {
	for _, c := range []struct {
		name        string
		err         error
		least, most time.Duration // after which it is given up; 0 for at once
		want        string
	}{
		{"a mistake", errors.New("no such table"), 0, 0, "op: no such table"},
		{"a lock", code("55P03"), time.Minute, time.Minute + 51*time.Millisecond, "op: another program has kept the database busy for 1m0s"},
		{"a deadlock", code("40P01"), time.Minute, time.Minute + 51*time.Millisecond, "kept the database busy"},
		{"a conflict", code("40001"), time.Minute, time.Minute + 51*time.Millisecond, "kept the database busy"},
		{"nobody listens", syscall.ECONNREFUSED, 2 * time.Second, 2120 * time.Millisecond, "op: connection refused"},
		{"too many connections", code("53300"), 10 * time.Second, 10120 * time.Millisecond, "53300"},
		{"the server starts", code("57P03"), 10 * time.Second, 10120 * time.Millisecond, "57P03"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, calls := time.Now(), 0
				err := (&Store{}).withRetry(t.Context(), "op", func() error { calls++; return c.err })
				require.ErrorContains(t, err, c.want)
				require.ErrorIs(t, err, c.err)
				took := time.Since(start)
				assert.GreaterOrEqual(t, took, c.least)
				assert.LessOrEqual(t, took, c.most)
				assert.LessOrEqual(t, calls, 1+int(took/time.Millisecond)/19+8, "it is not asked all the time")
			})
		})
	}
}

// A busy database is asked again soon, and then less often.
func TestRetriesComeLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		require.NoError(t, (&Store{}).withRetry(t.Context(), "op", func() error {
			if at = append(at, time.Since(start)/time.Millisecond); len(at) < 10 {
				return code("40001")
			}
			return nil
		}))
		assert.Equal(t, []time.Duration{0, 1, 3, 7, 15, 31, 63, 113, 163, 213}, at)
	})
}

func TestLostConnectionsAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, lost := range []int{0, 1, maxLostConnections, maxLostConnections + 1} {
			calls := 0
			err := (&Store{}).withRetry(t.Context(), "op", func() error {
				if calls++; calls <= lost {
					return io.ErrUnexpectedEOF
				}
				return nil
			})
			if lost <= maxLostConnections {
				require.NoError(t, err)
				assert.Equal(t, lost+1, calls)
			} else {
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				assert.Equal(t, maxLostConnections+1, calls, "the first, and once for each that is replaced")
			}
		}
	})
}

func TestRetriesEndWithTheirContext(t *testing.T) {
	gone := errors.New("the client has left")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Second, gone)
		defer cancel()
		start := time.Now()
		err := (&Store{}).withRetry(ctx, "op", func() error { return code("40001") })
		require.ErrorIs(t, err, gone)
		assert.ErrorContains(t, err, "op: waiting for a busy database: ")
		assert.Equal(t, 10*time.Second, time.Since(start))
		calls := 0
		err = (&Store{}).withRetry(ctx, "op", func() error { calls++; return code("40001") })
		require.EqualError(t, err, "op: the client has left")
		assert.Equal(t, 1, calls)

		for _, answer := range []error{conversation.ErrNotFound, issue.ErrNotFound, issue.ErrInvalid} {
			err := fmt.Errorf("read: %w", answer)
			assert.Equal(t, err, withCause(ctx, err), "an answer is one, also when it comes late")
		}
		assert.Equal(t, gone, withCause(ctx, errors.New("interrupted")))
		other := errors.New("interrupted")
		assert.Equal(t, other, withCause(t.Context(), other))
	})
}

func TestPostgresBusy(t *testing.T) {
	for c, want := range map[string]bool{"40001": true, "40P01": true, "55P03": true, "23505": false, "53300": false} {
		assert.Equal(t, want, postgresBusy(fmt.Errorf("insert: %w", code(c))), c)
	}
	assert.False(t, postgresBusy(errors.New("40001")))
	assert.False(t, sqliteBusy(errors.New("database is locked")))
	assert.False(t, busy(nil))
}

// Work is done again on another connection where the lost one certainly left nothing behind.
func TestConnectionLost(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{code("57P01"), true},
		{code("57P02"), true},
		{code("57P03"), false},
		{driver.ErrBadConn, true},
		{io.ErrUnexpectedEOF, true},
		{pgconn.ErrConnClosed, true},
		{fmt.Errorf("write: %w", syscall.ECONNRESET), true},
		{syscall.EPIPE, true},
		{&commitError{syscall.EPIPE}, false},
		{&commitError{code("57P01")}, false},
		{errors.Join(&pgconn.ConnectError{}, io.ErrUnexpectedEOF), false},
		{syscall.ECONNREFUSED, false},
		{errors.New("unexpected EOF"), false},
		{nil, false},
	} {
		assert.Equal(t, c.want, connectionLost(c.err), "%v", c.err)
	}
	assert.EqualError(t, &commitError{io.EOF}, "commit: EOF")
}

func TestExplainPostgres(t *testing.T) {
	_, unreachable := pgconn.Connect(t.Context(), "postgres://me:s3cret@127.0.0.1:1/db?sslmode=disable")
	require.Error(t, unreachable)
	for _, c := range []struct {
		err  error
		want string
	}{
		{&pgconn.PgError{Code: "28P01", Message: "failed"}, "the database at h:1/d refuses the user or password of DATABASE_URL: failed"},
		{&pgconn.PgError{Code: "28000", Message: "no role"}, "the database at h:1/d refuses the user or password of DATABASE_URL: no role"},
		{&pgconn.PgError{Code: "3D000", Message: "no db"}, "the server at h:1/d has no such database: no db"},
		{
			&pgconn.PgError{Severity: "ERROR", Code: "42501", Message: "denied"},
			"the user of DATABASE_URL may not do this at h:1/d: denied; use the tables' owner (ERROR: denied (SQLSTATE 42501))",
		},
		{
			&pgconn.PgError{Severity: "ERROR", Code: "3F000", Message: "no schema"},
			"the user of DATABASE_URL may not do this at h:1/d: no schema; use the tables' owner (ERROR: no schema (SQLSTATE 3F000))",
		},
		{
			&pgconn.PgError{Severity: "FATAL", Code: "53300", Message: "full"},
			"the database at h:1/d takes no more connections; close some, or raise its limit (FATAL: full (SQLSTATE 53300))",
		},
		{unreachable, "the database at h:1/d cannot be reached; check DATABASE_URL and the network ("},
		{syscall.ECONNREFUSED, "connection refused"},
		{errors.New("else"), "else"},
	} {
		err := explainPostgres("h:1/d", c.err)
		assert.True(t, strings.HasPrefix(err.Error(), c.want), "%v", err)
		assert.NotContains(t, err.Error(), "s3cret")
	}
}

// When the time for findings runs out, those that are recorded stay so, and none is begun that would not be recorded.
func TestCaptureStopsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := failing(t, config.Conversations{Backend: "sqlite", StateDir: t.TempDir()})
		f.start(0)
		got, err := s.Issues().Capture(t.Context(), findings(captureChunk))
		require.NoError(t, err)
		require.Len(t, got, captureChunk)
		chunk := time.Duration(f.done-2) * time.Second // two actions look for rows of an old version

		f.start(0)
		f.takes = time.Second
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second+5*chunk) // the fourth has time for two
		defer cancel()
		got, err = s.Issues().Capture(ctx, findings(6 * captureChunk)[captureChunk:])
		require.EqualError(t, err, "record findings: 40 of 50 recorded: context deadline exceeded")
		assert.Len(t, got, 40)
		f.takes = 0
		list, err := issue.All(t.Context(), s.Issues(), issue.Filter{})
		require.NoError(t, err)
		assert.Len(t, list, 50)
	})
}
