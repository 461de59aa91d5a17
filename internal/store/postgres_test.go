package store

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPostgresConfig(t *testing.T) {
	c, dropped, err := postgresConfig("postgresql://u:p@h/d?pgbouncer=true")
	require.NoError(t, err)
	assert.Equal(t, 10*time.Second, c.ConnectTimeout)
	assert.Equal(t, map[string]string{"application_name": "exai-mcp"}, c.RuntimeParams)
	assert.Equal(t, []string{"pgbouncer"}, dropped)
	assert.Equal(t, pgx.QueryExecModeExec, c.DefaultQueryExecMode)
	assert.Zero(t, c.StatementCacheCapacity)
	assert.Zero(t, c.DescriptionCacheCapacity)

	c, dropped, err = postgresConfig("postgresql://u:p@h/d?connect_timeout=3&application_name=mine")
	require.NoError(t, err)
	assert.Equal(t, 3*time.Second, c.ConnectTimeout, "the user's own counts")
	assert.Equal(t, map[string]string{"application_name": "mine"}, c.RuntimeParams)
	assert.Empty(t, dropped)

	_, _, err = postgresConfig("postgresql://u:secret@h:notaport/d")
	require.ErrorContains(t, err, "DATABASE_URL is not a PostgreSQL URL")
	assert.NotContains(t, err.Error(), "secret")
	_, _, err = postgresConfig("")
	require.ErrorContains(t, err, "DATABASE_URL is not set")
}
