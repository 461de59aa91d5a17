// Package storetest gives tests a PostgreSQL of their own, on the server that EXAI_TEST_POSTGRES_URL names.
package storetest

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver pgx
	"github.com/stretchr/testify/require"
)

// PostgresURL returns the server's URL, and skips the test where there is none.
func PostgresURL(t testing.TB) string {
	t.Helper()
	dsn := os.Getenv("EXAI_TEST_POSTGRES_URL")
	if dsn == "" {
		t.Skip("EXAI_TEST_POSTGRES_URL is not set; scripts/postgres.sh starts a database")
	}
	return dsn
}

// Postgres makes an empty schema that ends with the test, and returns the URL that leads there. It skips the test where there is
// no server.
func Postgres(t testing.TB) string {
	t.Helper()
	dsn := PostgresURL(t)
	db, err := sql.Open("pgx", dsn)
	require.NoError(t, err)
	name := "test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	_, err = db.ExecContext(t.Context(), `CREATE SCHEMA `+name)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := db.ExecContext(context.Background(), `DROP SCHEMA `+name+` CASCADE`)
		require.NoError(t, errors.Join(err, db.Close()))
	})
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}
