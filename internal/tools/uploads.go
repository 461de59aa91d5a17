package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/upload"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// documents are the user's files on their way through Kimi, which reads PDF, Office files, pictures and much more.
type documents struct {
	through, failed, pending []upload.File
	notes                    []string
}

// read has Kimi extract the text of files, within the call's limit.
func (d *Deps) read(ctx context.Context, tool string, refs []workspace.Ref, problems []workspace.Problem) (*documents, error) {
	if len(refs)+len(problems) == 0 {
		return nil, reply.InvalidRequest("Name the files to read.", "files is empty.")
	}
	out := &documents{}
	set := d.Config.KimiFiles
	for _, p := range problems {
		out.failed = append(out.failed, upload.File{Path: p.Path, Err: p.Err})
	}
	if most := set.MaxCount; most > 0 && len(refs) > most {
		out.notes = append(out.notes, fmt.Sprintf("Only the first %d files were read (KIMI_FILES_MAX_COUNT=%d); left out: %s.", most, most, strings.Join(pathsOf(refs[most:]), ", ")))
		refs = refs[:most]
	}
	files, err := d.upload(ctx, upload.Request{
		Tool: tool, Vendor: "kimi", Purpose: "file-extract", Files: refs, Extract: true,
		SizeLimit: upload.SizeLimit{Setting: "KIMI_FILES_MAX_SIZE_MB", MB: set.MaxSizeMB, Refuse: set.OnOversize == "fail"},
	})
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		switch {
		case f.Pending:
			out.pending = append(out.pending, f)
		case f.Err != nil:
			out.failed = append(out.failed, f)
		default:
			out.through = append(out.through, f)
		}
	}
	if note := upload.MaskNote(out.through); note != "" {
		out.notes = append(out.notes, note)
	}
	if len(out.through)+len(out.pending) == 0 {
		return nil, allFailed(ctx, out.failed)
	}
	return out, nil
}

func pathsOf(refs []workspace.Ref) (paths []string) {
	for _, r := range refs {
		paths = append(paths, r.Path())
	}
	return paths
}

func (d *Deps) upload(ctx context.Context, r upload.Request) ([]upload.File, error) {
	if d.Uploads == nil {
		return nil, errors.New("the server was built without uploads")
	}
	return d.Uploads.Upload(ctx, r)
}

// allFailed is the error about files that all failed: the first one's, with the others named.
func allFailed(ctx context.Context, failed []upload.File) error {
	e := *reply.FromError(ctx, failed[0].Err)
	if len(failed) == 1 {
		return &e
	}
	const most = 10
	var each []string
	for _, f := range failed[:min(most, len(failed))] {
		each = append(each, fmt.Sprintf("%s (%s)", f.Path, reply.FromError(ctx, f.Err).Code))
	}
	if more := len(failed) - most; more > 0 {
		each = append(each, fmt.Sprintf("and %d more", more))
	}
	e.Message = fmt.Sprintf("None of the %d files could be read: %s. The first: %s", len(failed), strings.Join(each, ", "), e.Message)
	return &e
}

// fileErrors are the files that failed, each with its error.
func fileErrors(ctx context.Context, failed []upload.File) []any {
	var list []any
	for _, f := range failed {
		list = append(list, (&Object{}).Set("path", f.Path).Set("error", reply.FromError(ctx, f.Err).Object()))
	}
	return list
}

// continueUploads makes a reply one whose uploads go on: status partial, what is pending, and how to wait for it. It also
// reports the exceeded limit, since the reply is no error.
func (d *Deps) continueUploads(ctx context.Context, r *Result, vendor string, pending []upload.File) {
	list := []any{}
	for _, f := range pending {
		list = append(list, (&Object{}).Set("path", f.Path).Set("bytes_sent", f.Sent).Set("size", f.Size))
	}
	r.Body.Set("status", "partial").Set("pending", list)
	b, ok := providers.BudgetFrom(ctx)
	if !ok {
		return
	}
	r.Metadata.Note(fmt.Sprintf("The call exceeded its limit (%s) before every file was uploaded. The uploads continue in the background (%s for each): send the same call again to wait for them.",
		b.Limit, d.Config.Timeouts.Upload(vendor)))
	if d.Activity != nil {
		d.Activity.LimitExceeded(providers.LimitExceeded{Limit: b.Limit, Provider: vendor, Elapsed: time.Since(b.Start), Tool: b.Tool, ContinuationID: b.ContinuationID})
	}
}
