package workflow

import (
	"github.com/exai-mcp/exai-mcp/internal/tools/proof"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// Readable is what an expert may read from by itself.
type Readable struct {
	Refs []workspace.Ref // that were named or have changed
	Base string          // a commit whose history counts beside that of HEAD, "" for none
	// Shown records what the expert reads; nil: nobody asks.
	Shown *proof.Shown
}
