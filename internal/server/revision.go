package server

import (
	"context"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// Revisions are the protocol revisions that the server speaks, the newest first.
func Revisions() []string { return append([]string(nil), mcp.ValidProtocolVersions...) }

// revision is a protocol revision, a date. What a revision does not know is not sent there.
type revision string

// revisionOf is the revision that a request is served in: the one it names itself (from 2026-07-28 on each request
// does), else the handshake's. A client that skips the handshake gets what MCP has servers assume then.
func revisionOf(ctx context.Context) revision {
	if v := mcpserver.RequestProtocolVersion(ctx); v != "" {
		return revision(v)
	}
	return mcp.ProtocolVersion20250326
}

func (r revision) since(first string) bool { return string(r) >= first }

// annotations: hints about a tool, its title among them (MCP specification 2025-03-26, changelog).
func (r revision) annotations() bool { return r.since(mcp.ProtocolVersion20250326) }

// progressMessage: the text of a progress notification (MCP specification 2025-03-26, changelog).
func (r revision) progressMessage() bool { return r.since(mcp.ProtocolVersion20250326) }

// completionsCapability: the server says that it completes arguments (MCP specification 2025-03-26, changelog).
func (r revision) completionsCapability() bool { return r.since(mcp.ProtocolVersion20250326) }

// batches: several messages on one line, in this revision alone (MCP specification 2025-03-26 and 2025-06-18, changelogs).
func (r revision) batches() bool { return r == mcp.ProtocolVersion20250326 }

// structured: structuredContent in results, title beside a name (MCP specification 2025-06-18, changelog).
func (r revision) structured() bool { return r.since(mcp.ProtocolVersion20250618) }

// stateless: no handshake, no requests from the server, log messages only for a request that asks (MCP specification
// 2026-07-28, changelog).
func (r revision) stateless() bool { return mcp.IsModernProtocol(string(r)) }
