package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/store/storetest"
)

// limitedURL is an empty schema for a role of its own that may have few connections, and the name of that role.
func limitedURL(t *testing.T, connections int) (dsn, role string) {
	t.Helper()
	u, err := url.Parse(storetest.Postgres(t))
	require.NoError(t, err)
	admin, err := sql.Open("pgx", u.String())
	require.NoError(t, err)
	role = "role_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	_, err = admin.ExecContext(t.Context(), fmt.Sprintf(`CREATE ROLE %s LOGIN PASSWORD 'p' CONNECTION LIMIT %d;
		GRANT ALL ON SCHEMA %s TO %[1]s`, role, connections, u.Query().Get("search_path")))
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.ExecContext(context.Background(), fmt.Sprintf(`DROP OWNED BY %s; DROP ROLE %[1]s`, role))
		require.NoError(t, errors.Join(err, admin.Close()))
	})
	u.User = url.UserPassword(role, "p")
	return u.String(), role
}

// Row level security shows the tables of one user empty to another.
func TestTablesOfAnotherUser(t *testing.T) {
	dsn, role := limitedURL(t, 5)
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	owner, err := url.Parse(storetest.PostgresURL(t))
	require.NoError(t, err)
	u.User = owner.User
	s := open(t, config.Conversations{Backend: "postgres", DatabaseURL: config.Secret(u.String())})
	raw(t, s, `GRANT ALL ON ALL TABLES IN SCHEMA `+u.Query().Get("search_path")+` TO `+role)
	_, err = Open(t.Context(), config.Conversations{Backend: "postgres", DatabaseURL: config.Secret(dsn)})
	require.ErrorContains(t, err, "row level security hides the rows of exai_migrations from the user of DATABASE_URL; use the tables' owner")
}

// Forty servers begin and work at once on a database that takes fifteen connections, and give them back when they idle.
func TestFewConnections(t *testing.T) {
	dsn, role := limitedURL(t, 15)
	watch, err := sql.Open("pgx", storetest.PostgresURL(t))
	require.NoError(t, err)
	defer watch.Close()
	var g errgroup.Group
	stores := make([]*Store, 40)
	ctx := later(t)
	for i := range stores {
		g.Go(func() error {
			s, err := Open(ctx, config.Conversations{Backend: "postgres", DatabaseURL: config.Secret(dsn)})
			if err != nil {
				return err
			}
			stores[i] = s
			_, err = s.Append(ctx, conversation.NewTurns{ConversationID: fmt.Sprint(i), Turns: []conversation.Turn{user("x")}})
			return err
		})
	}
	t.Cleanup(func() {
		for _, s := range stores {
			if s != nil {
				require.NoError(t, s.Close())
			}
		}
	})
	require.NoError(t, g.Wait())
	require.Eventually(t, func() bool {
		var n int
		require.NoError(t, watch.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity WHERE usename = $1`, role).Scan(&n))
		return n == 0
	}, 30*time.Second, 100*time.Millisecond, "connections of idle servers")
}

func TestRefusedConnectionIsTriedAgain(t *testing.T) {
	dsn, _ := limitedURL(t, 2) // to migrate takes as many
	s := open(t, config.Conversations{Backend: "postgres", DatabaseURL: config.Secret(dsn)})
	s.write.SetMaxIdleConns(0)
	var others []*pgconn.PgConn
	require.Eventually(t, func() bool { // the server may take a while to notice that the store's connections are closed
		if c, err := pgconn.Connect(t.Context(), dsn); err == nil {
			others = append(others, c)
		}
		return len(others) == 2
	}, 10*time.Second, 10*time.Millisecond)
	_, err := pgconn.Connect(t.Context(), dsn)
	require.True(t, connectionRefused(err), "%v", err)

	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errors.New("the call's limit"))
	defer cancel()
	_, err = s.Append(ctx, conversation.NewTurns{ConversationID: "t", Turns: []conversation.Turn{user("x")}})
	require.ErrorContains(t, err, "the call's limit")

	done := make(chan error, 1)
	go func() {
		_, err := s.Append(later(t), conversation.NewTurns{ConversationID: "t", Turns: []conversation.Turn{user("x")}})
		done <- err
	}()
	require.Never(t, func() bool { return len(done) > 0 }, 100*time.Millisecond, 10*time.Millisecond, "it waits")
	for _, c := range others {
		require.NoError(t, c.Close(t.Context()))
	}
	require.NoError(t, <-done)
}

func TestRefusals(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: errConnRefused(t)}
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&pgconn.PgError{Code: "53300"}, true},
		{&pgconn.PgError{Code: "57P03"}, true},
		{&pgconn.PgError{Code: "XX000", Message: "MaxClientsInSessionMode: max clients reached"}, true},
		{&pgconn.PgError{Code: "08P01", Message: "no more connections allowed (max_client_conn)"}, true},
		{refused, true},
		{&pgconn.PgError{Code: "28P01", Message: "password authentication failed"}, false},
		{errors.New("max clients"), false},
		{nil, false},
	} {
		assert.Equal(t, c.want, connectionRefused(c.err), "%v", c.err)
	}
}

// errConnRefused is the system's error of a port where nothing listens.
func errConnRefused(t *testing.T) error {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = net.Dial("tcp", l.Addr().String())
	require.Error(t, err)
	return err
}

func TestSettingsOfOtherPrograms(t *testing.T) {
	params := map[string]string{
		"pgbouncer": "true", "supa": "base-pooler.x", "schema": "public", "connection_limit": "1", "pool_timeout": "0",
		"sslaccept": "strict", "pool_max_conns": "4", "search_path": "me", "application_name": "x",
	}
	assert.Equal(t, []string{"connection_limit", "pgbouncer", "pool_max_conns", "pool_timeout", "schema", "sslaccept", "supa"}, dropClientSettings(params))
	assert.Equal(t, map[string]string{"search_path": "me", "application_name": "x"}, params)
	assert.Empty(t, dropClientSettings(params))

	dsn := storetest.Postgres(t)
	s := open(t, config.Conversations{Backend: "postgres", DatabaseURL: config.Secret(dsn + "&pgbouncer=true&connection_limit=1")})
	say(t, s, "t", user("x"))
	assert.Equal(t, []string{"DATABASE_URL has settings of other programs, which were left out: connection_limit, pgbouncer"}, s.Warnings())
}
