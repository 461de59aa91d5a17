package kimi

import (
	"context"
	"net/http"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

// fileID matches what the vendor calls its files, so that an id can't lead to another path.
var fileID = lazyregexp.New(`^[A-Za-z0-9_-]{1,128}$`)

// Upload implements providers.Uploader. The default purpose is file-extract, the one whose text can be fetched.
func (p *Provider) Upload(ctx context.Context, f providers.File) (providers.FileRef, error) {
	if f.Purpose == "" {
		f.Purpose = "file-extract"
	}
	return p.wire.Upload(ctx, f)
}

// Extract implements providers.Extractor. What the vendor sends is passed on whole: it is documented as text and is in
// practice a JSON object with the text in it, which the models know how to read (Moonshot API docs, file content).
func (p *Provider) Extract(ctx context.Context, id string) (string, error) {
	path, err := filePath(id)
	if err != nil {
		return "", err
	}
	body, err := p.wire.Do(ctx, openaicompat.Request{
		Op: "extracting text", Method: http.MethodGet, Path: path + "/content", Opaque: true,
	})
	return string(body), err
}

// DeleteFile implements providers.Extractor. A file that is gone already is no error.
func (p *Provider) DeleteFile(ctx context.Context, id string) error {
	path, err := filePath(id)
	if err != nil {
		return err
	}
	err = p.wire.JSON(ctx, openaicompat.Request{Op: "deleting a file", Method: http.MethodDelete, Path: path}, nil)
	if openaicompat.IsStatus(err, http.StatusNotFound) {
		return nil
	}
	return err
}

func filePath(id string) (string, error) {
	if !fileID().MatchString(id) {
		return "", &providers.Error{
			Kind: providers.KindInvalidRequest, Provider: Name, Message: "Invalid file id.", Hint: "Upload the file to get one.",
		}
	}
	return "/files/" + id, nil
}
