package tools

import "github.com/exai-mcp/exai-mcp/internal/tools/reply"

// What a tool answers with lives in package reply, so that the packages that tools are made of can build it, too.
type (
	// Object is a JSON object that keeps the order of its keys.
	Object = reply.Object
	// Result is a tool's reply.
	Result = reply.Result
	// Metadata says who answered, what it cost and why.
	Metadata = reply.Metadata
	// Error is a failure as the client reads it.
	Error = reply.Error
)
