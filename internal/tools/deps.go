package tools

import (
	"context"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/upload"
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
	return tool.NewDispatcher(tool.Options{Config: d.Config, Activity: d.Activity, Log: d.Log}, shown)
}

func (d *Deps) log() *zap.Logger {
	if d.Log != nil {
		return d.Log
	}
	return zap.NewNop()
}
