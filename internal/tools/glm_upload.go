package tools

import (
	"context"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/upload"
)

type glmUploadInput struct {
	File    string `json:"file"`
	Purpose string `json:"purpose,omitempty" enum:"agent" default:"agent"`
}

func glmUploadFile(d *Deps) tool.Tool {
	return tool.New("glm_upload_file", d.glmUpload, tool.Hints(tool.Annotations{OpenWorld: true}), tool.Class(config.ClassFile))
}

// glmUpload stores a file at Z.ai.
func (d *Deps) glmUpload(ctx context.Context, in glmUploadInput) (*Result, error) {
	refs, problems := d.Workspace.Resolve(ctx, []string{in.File})
	if len(problems) > 0 {
		return nil, problems[0].Err
	}
	files, err := d.upload(ctx, upload.Request{
		Tool: "glm_upload_file", Vendor: "glm", Purpose: in.Purpose, Files: refs[:1],
		SizeLimit: upload.SizeLimit{Setting: "GLM_FILES_MAX_SIZE_MB", MB: d.Config.GLMFiles.MaxSizeMB},
	})
	if err != nil {
		return nil, err
	}
	f, r := files[0], &Result{}
	switch {
	case f.Err != nil:
		return nil, f.Err
	case f.Pending:
		r.Body.Set("status", "partial").Set("file_id", nil).Set("filename", f.Name)
		d.continueUploads(ctx, r, "glm", files)
	default:
		r.Metadata.Note(upload.MaskNote(files))
		r.Body.Set("status", "success").Set("file_id", f.ID).Set("filename", f.Name)
	}
	return r, nil
}
