package tools

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/upload"
	"github.com/exai-mcp/exai-mcp/internal/usage"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// Deps is what the tools are made of. What may be nil says so.
type Deps struct {
	Config        *config.Config
	Registry      *calls.Registry
	Caller        *calls.Caller
	Conversations *ask.Conversations
	// Store and Issues wait while the database is still being opened, at most until ctx ends.
	Store     func(ctx context.Context) (conversation.Store, error)
	Issues    func(ctx context.Context) (issue.Store, error)
	Usage     func(ctx context.Context) (usage.Store, error) // as Store; nil where nothing is stored
	Workspace *workspace.Workspace
	Uploads   *upload.Queue
	Version   Version
	Activity  *activity.Log // nil records nothing
	Log       *zap.Logger   // nil logs nothing
}

// Version says which program this is.
type Version struct {
	Number    string   // "1.2.3", or "dev"
	Commit    string   // short, "" when unknown
	Date      string   // of the commit, YYYY-MM-DD, "" when unknown
	Protocols []string // MCP revisions that the server speaks, the newest first
}

// Dispatcher returns the one entrance to these tools.
func (d *Deps) Dispatcher(shown []tool.Tool) *tool.Dispatcher {
	return tool.NewDispatcher(tool.Options{Config: d.Config, Activity: d.Activity, Log: d.Log, FileExists: d.fileExists, NeedsRoots: d.needsRoots}, shown)
}

// fileExists reports whether a text names a file, no folder, that may be read. Looking takes a short time at most.
func (d *Deps) fileExists(ctx context.Context, name string) bool {
	if d.Workspace == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, fileLook)
	defer cancel()
	refs, problems := d.Workspace.Resolve(ctx, []string{name})
	return len(problems) == 0 && len(refs) > 0 && !refs[0].IsFolder()
}

// needsRoots reports whether folders that only the client knows may hold what a call needs. A client that has named its
// folders before is asked again for a path outside of them alone.
func (d *Deps) needsRoots(ctx context.Context, paths []string, fills bool) bool {
	if d.Workspace == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, fileLook)
	defer cancel()
	if len(paths) > 0 {
		return d.Workspace.Outside(ctx, paths)
	}
	return fills && d.Workspace.Outside(ctx, []string{"."})
}

// fileLook is what looking at a path before a call begins may take.
const fileLook = 500 * time.Millisecond

func (d *Deps) log() *zap.Logger {
	if d.Log != nil {
		return d.Log
	}
	return zap.NewNop()
}
