package tools

import (
	"context"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/tools/looks"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// reader lets a model read what EXPERT_READS allows around the files of a question; nil where that is nothing.
func (d *Deps) reader(ctx context.Context, r workflow.Readable) *looks.Reader {
	reads := d.Config.Expert.Reads
	if reads == config.ReadsOff || d.Workspace == nil {
		return nil
	}
	scope := d.Workspace.ReadScope(ctx, workspace.ReadQuery{
		Refs: r.Refs, Around: r.Around, Tracked: reads == config.ReadsTracked, Base: r.Base,
	})
	return looks.New(looks.Options{Scope: scope, Shown: r.Shown, Mask: d.Workspace.Mask})
}
