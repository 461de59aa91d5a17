package workflow

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// noGit are files that git can't be asked about.
type noGit struct {
	brokenFiles
	ask func() error
}

func (f noGit) ChangedFiles(context.Context, string) ([]workspace.Ref, error) { return nil, f.ask() }

// A git that fails only leaves a run without files, but a call that is over ends.
func TestFillInWithoutGit(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	broken, over := errors.New("git is broken"), errors.New("the call is over")
	ctx, cancel := context.WithCancelCause(t.Context())
	for name, c := range map[string]struct {
		ask   func() error
		ends  error
		notes []string
	}{
		"it fails": {
			func() error { return broken }, nil,
			[]string{"No relevant_files were given and there are no changed files to use instead; name the files in the next step."},
		},
		"it is too slow": {func() error { cancel(over); return ctx.Err() }, over, nil},
	} {
		r := &run{Engine: &Engine{Files: noGit{ask: c.ask}, Log: zap.New(core)}, spec: Spec{NeedsFiles: true}}
		call := t.Context()
		if c.ends != nil {
			call = ctx
		}
		require.ErrorIs(t, r.fillIn(call), c.ends, name)
		assert.Equal(t, reply.Metadata{Notes: c.notes}, r.meta, name)
		assert.Empty(t, r.filled, name)
	}
	entries := logs.FilterMessage("no changed files to fill in").All()
	require.Len(t, entries, 1)
	assert.Equal(t, broken.Error(), entries[0].ContextMap()["error"])
}
