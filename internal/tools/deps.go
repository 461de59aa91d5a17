package tools

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// Deps is what the tools are made of. What may be nil says so.
type Deps struct {
	Config   *config.Config
	Registry *providers.Registry
	Caller   *providers.Caller
	Threads  *ask.Threads
	// Store and Issues wait while the database is still being opened, at most until ctx ends.
	Store     func(ctx context.Context) (conversation.Store, error)
	Issues    func(ctx context.Context) (issue.Store, error)
	Workspace *workspace.Workspace
	Version   Version
	// LastErrors are the latest failures among that many lines of the tool-call log, the newest last. May be nil.
	LastErrors func(lines int) []string
	// Calls hears of every tool call. nil: nobody does.
	Calls CallObserver
	Log   *zap.Logger      // nil logs nothing
	Now   func() time.Time // nil means time.Now
}

// Version says which program this is.
type Version struct {
	Number    string   // "1.2.3", or "dev"
	Commit    string   // short, "" when unknown
	Date      string   // of the commit, YYYY-MM-DD, "" when unknown
	Protocols []string // MCP revisions that the server speaks, the newest first
}

// CallObserver hears of every tool call, for the logs and the figures. Its methods return quickly.
type CallObserver interface {
	CallStarted(CallRecord)
	// CallFinished hears of each started call once, when its reply is made.
	CallFinished(CallRecord, CallEnd)
}

// CallRecord is one tool call.
type CallRecord struct {
	ID             string // of this call, unique in this process
	RequestID      string // the client's
	Tool           string
	Client         string
	ContinuationID string
	Arguments      []byte // as they came; may hold prompt text, which logs keep only under LOG_PROMPTS
	Received       time.Time
	Limit          config.Limit
}

// CallEnd is what a tool call came to.
type CallEnd struct {
	Status   string // the reply's
	Code     string // the error's, "" for none
	Err      error  // the error with its cause, for the log; nil for none
	Duration time.Duration
	Limit    *config.Limit // that ended the call
	Metadata Metadata
	Chars    int // of the reply
}

func (d *Deps) now() time.Time {
	if d.Now != nil {
		return d.Now()
	}
	return time.Now()
}

func (d *Deps) log() *zap.Logger {
	if d.Log != nil {
		return d.Log
	}
	return zap.NewNop()
}
