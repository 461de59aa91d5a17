package tools

import (
	"context"
	"fmt"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// attach reads files and images for a question, as much as the model that is going to answer has room for. What can't be
// used, does not fit, or is binary, is left out with a note to both the caller and the model; where nothing is left of the
// files, no model is asked. A picture that can't be used is an error.
// The model may read more around the files by itself, and then searches the web only where search says so.
func (d *Deps) attach(ctx context.Context, h *ask.Lease, q *ask.Question, files, images []string, search *bool) error {
	if len(files)+len(images) == 0 {
		return nil
	}
	progress.From(ctx).Phase("reading files")
	if err := h.ReadWhole(ctx); err != nil { // the conversation's files may be in any turn
		return err
	}
	refs, problems := d.Workspace.Resolve(ctx, files)
	question := *q
	question.Prefer = h.Model()
	budget := workspace.Budget{Tokens: ask.FileTokens(d.window(ctx, question, len(images) > 0))}
	sent, manifest, err := ask.Attach(ctx, d.Workspace, refs, problems, budget, conversation.LatestAttachments(h.Turns))
	if err != nil {
		return err
	}
	if err := ask.NothingSent(manifest); err != nil {
		return err
	}
	for _, ref := range images {
		picture, err := d.Workspace.Image(ctx, ref)
		if err != nil {
			return err
		}
		sent = append(sent, picture)
	}
	if len(images) > 0 && d.Config.Files.Secrets != "send" {
		q.Notes = append(q.Notes, "Images can't be checked for secrets; they are sent as they are.")
	}
	if n := manifest.Masked(); n > 0 {
		q.Notes = append(q.Notes, fmt.Sprintf("Secrets in files that were masked as [secret: kind]: %d.", n))
	}
	q.Attachments = append(q.Attachments, sent...)
	if len(refs) > 0 {
		q.Reader, q.FewReads = d.reader(ctx, workflow.Readable{Refs: refs}), true
		q.Search = q.Search && (q.Reader == nil || search != nil && *search)
	}
	_, q.Listing = ask.Listed(manifest)
	if note := ask.NotSentByName(manifest); note != "" {
		q.Prompt += "\n\n[Named but not included here: " + ask.Entries(manifest.LeftOut) + "]"
		q.Notes = append(q.Notes, note)
	}
	if note := ask.SentInPart(manifest); note != "" {
		q.Notes = append(q.Notes, note)
	}
	return nil
}
