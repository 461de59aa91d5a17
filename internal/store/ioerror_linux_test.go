package store

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"
)

// A disk that fails is named, with what to do. /proc/self/mem can be opened, and its beginning can't be read.
func TestDiskThatFails(t *testing.T) {
	db, err := sql.Open("sqlite", "file:/proc/self/mem?mode=ro")
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), `SELECT * FROM sqlite_master`)
	require.Error(t, err)
	err = explainSQLite("/state/exai.db", err)
	require.ErrorContains(t, err, "the disk that holds /state/exai.db fails, or is no local disk; set EXAI_STATE_DIR")
}
