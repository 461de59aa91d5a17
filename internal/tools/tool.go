// Package tools holds the 29 tools, one short file each, and what they share: the typed Tool, the strict decoding of
// arguments, and the dispatch that bounds, records and renders every call.
//
// It knows no protocol: no MCP, no wire format. The server maps its values to MCP.
package tools

import (
	"context"
	"encoding/json"
)

// Tool is one entry of the catalogue: a value without memory.
type Tool struct {
	Name        string
	Title       string
	Description string
	Annotations Annotations
	Schema      json.RawMessage // JSON Schema of the arguments, an object

	run func(ctx context.Context, args json.RawMessage) (*Result, error)
}

// Annotations are MCP's hints about a tool, all four always set.
type Annotations struct {
	ReadOnly    bool
	Destructive bool
	Idempotent  bool
	OpenWorld   bool
}
