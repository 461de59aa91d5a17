package tools

import (
	"context"
	"fmt"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

type extractInput struct {
	Files   []string `json:"files"`
	Purpose string   `json:"purpose,omitempty" enum:"file-extract,assistants"`
}

func kimiUploadAndExtract(d *Deps) tool.Tool {
	return tool.New("kimi_upload_and_extract", d.extract, tool.Hints(tool.Annotations{Idempotent: true, OpenWorld: true}), tool.Class(config.ClassFile))
}

// extract gives the text of files as the system messages that Kimi's models take them in.
func (d *Deps) extract(ctx context.Context, in extractInput) (*Result, error) {
	refs, problems := d.Workspace.Resolve(ctx, in.Files)
	files, err := d.read(ctx, "kimi_upload_and_extract", refs, problems)
	if err != nil {
		return nil, err
	}
	messages, chars := []any{}, 0
	for _, f := range files.through {
		messages = append(messages, (&Object{}).Set("role", providers.RoleSystem).Set("content", f.Text).Set("_file_id", f.ID).Set("_path", f.Path))
		chars += len(f.Text)
	}
	r := &Result{}
	r.Body.Set("status", "success").Set("messages", messages)
	if len(files.failed) > 0 {
		r.Body.Set("errors", fileErrors(ctx, files.failed))
	}
	if len(files.pending) > 0 {
		d.continueUploads(ctx, r, "kimi", files.pending)
	}
	r.Metadata.Note(files.notes...)
	if in.Purpose == "assistants" {
		r.Metadata.Note("purpose assistants was taken as file-extract, the only one whose text Moonshot gives.")
	}
	if len(messages) > 0 && !d.Config.KimiFiles.Keep {
		r.Metadata.Note("The files are deleted at Moonshot once their text is read, so that _file_id is a record alone (KIMI_FILES_KEEP=false).")
	}
	if most := d.Config.Files.MaxOutputTokens; most > 0 && chars > 3*most {
		r.Metadata.Note(fmt.Sprintf("The texts have %d characters, more than a reply may hold: kimi_multi_file_chat lets a model read them whole.", chars))
	}
	return r, nil
}
