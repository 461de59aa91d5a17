package activity

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// Another process sees in the log what runs, and not what has ended or died.
func TestLoggedWork(t *testing.T) {
	cfg := config.Default()
	cfg.Logs.ActivityPath = filepath.Join(t.TempDir(), "activity.log")
	server, page := Open(cfg, nil), Open(cfg, nil)
	defer server.Close()
	defer page.Close()
	none, err := page.LoggedWork(t.Context(), time.Now())
	require.NoError(t, err)
	assert.Empty(t, none, "nothing has been logged")

	start := time.Now()
	server.Start(Call{ID: "1", Tool: "chat", ContinuationID: "c", Limit: 30 * time.Second})
	server.Start(Call{ID: "2", Tool: "debug", Limit: time.Minute}).Finish(End{Status: "success"})
	server.Start(Call{ID: "3", Tool: "chat", Model: "m", Background: true, Limit: 600 * time.Second})
	server.Start(Call{ID: "4", Tool: "status"})
	server.files.flush()
	work, err := page.LoggedWork(t.Context(), start.Add(10*time.Second))
	require.NoError(t, err)
	require.Len(t, work, 3)
	assert.Equal(t, []string{"1", "3", "4"}, []string{work[0].ID, work[1].ID, work[2].ID})
	assert.Equal(t, 30.0, work[0].LimitSecs)
	assert.InDelta(t, 10, work[0].Seconds, 0.2)
	assert.Equal(t, "c", work[0].ContinuationID)
	assert.True(t, work[1].Background)

	work, err = page.LoggedWork(t.Context(), start.Add(time.Minute))
	require.NoError(t, err)
	assert.Len(t, work, 2, "the first one's process has died")
	work, err = page.LoggedWork(t.Context(), start.Add(2*time.Hour))
	require.NoError(t, err)
	assert.Empty(t, work)

	cfg.Logs.Activity = false
	off := Open(cfg, nil)
	defer off.Close()
	work, err = off.LoggedWork(t.Context(), start)
	require.NoError(t, err)
	assert.Empty(t, work)
}
