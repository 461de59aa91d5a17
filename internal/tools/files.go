package tools

import (
	"context"
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

const (
	mostFileTokens = 200_000 // more files than that answer slower than a client waits
	unknownWindow  = 32_768
)

// attach reads files and images for a question, as much as the model that is going to answer has room for. A path that
// the caller named and that can't be used is an error; what does not fit, or is binary, is left out with a note to both
// the caller and the model.
func (d *Deps) attach(ctx context.Context, h *ask.Lease, q *ask.Question, files, images []string) error {
	if len(files)+len(images) == 0 {
		return nil
	}
	progress.From(ctx).Phase("reading files")
	files = d.Workspace.Named(ctx, files...)
	if err := d.Workspace.Check(ctx, files...); err != nil {
		return err
	}
	held := conversation.Held(h.Turns)
	sent, manifest, err := d.Workspace.Embed(ctx, files, workspace.Budget{Tokens: d.fileTokens(q, h.Model())}, held)
	if err != nil {
		return err
	}
	for _, same := range manifest.Unchanged {
		sent = append(sent, held[same.Path])
	}
	for _, ref := range images {
		picture, err := d.Workspace.Image(ctx, ref)
		if err != nil {
			return err
		}
		sent = append(sent, picture)
	}
	q.Attachments = append(q.Attachments, sent...)
	if left := entries(manifest.LeftOut); left != "" {
		q.Prompt += "\n\n[Named but not included here: " + left + "]"
		q.Notes = append(q.Notes, "Not sent: "+left+".")
	}
	if short := entries(manifest.Cut); short != "" {
		q.Notes = append(q.Notes, "Sent in part: "+short+".")
	}
	return nil
}

// fileTokens is the room that files may take: two fifths of the window of the model that is going to answer.
func (d *Deps) fileTokens(q *ask.Question, before string) int {
	window := unknownWindow
	list, err := d.Registry.Resolve(calls.Query{Model: q.Model, Prefer: before, Provider: q.Provider, Category: q.Category})
	if err == nil && list[0].Model.ContextWindow > 0 {
		window = list[0].Model.ContextWindow
	}
	return min(window*2/5, mostFileTokens)
}

// entries lists files of a manifest with their reasons, the first ten by name.
func entries(list []workspace.Entry) string {
	const most = 10
	var parts []string
	for _, e := range list[:min(most, len(list))] {
		parts = append(parts, fmt.Sprintf("%s (%s)", e.Path, strings.TrimSuffix(e.Reason, ".")))
	}
	if len(list) > most {
		parts = append(parts, fmt.Sprintf("and %d more", len(list)-most))
	}
	return strings.Join(parts, "; ")
}
