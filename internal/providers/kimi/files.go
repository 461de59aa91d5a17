package kimi

import (
	"context"
	"net/http"
	"net/url"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

// Upload implements providers.Uploader. The default purpose is file-extract, the one whose text can be fetched.
func (p *Provider) Upload(ctx context.Context, f providers.File) (providers.FileRef, error) {
	if f.Purpose == "" {
		f.Purpose = "file-extract"
	}
	return p.wire.Upload(ctx, f)
}

// Extract implements providers.Extractor. What the vendor sends is passed on whole: it is documented as text and is in
// practice a JSON object with the text in it, which the models know how to read (Moonshot API docs, file content).
func (p *Provider) Extract(ctx context.Context, fileID string) (string, error) {
	body, err := p.wire.Do(ctx, openaicompat.Request{
		Op: "extracting text", Method: http.MethodGet, Path: "/files/" + url.PathEscape(fileID) + "/content", Opaque: true,
	})
	return string(body), err
}

// DeleteFile implements providers.Extractor. A file that is gone already is no error.
func (p *Provider) DeleteFile(ctx context.Context, fileID string) error {
	err := p.wire.JSON(ctx, openaicompat.Request{
		Op: "deleting a file", Method: http.MethodDelete, Path: "/files/" + url.PathEscape(fileID),
	}, nil)
	if openaicompat.IsStatus(err, http.StatusNotFound) {
		return nil
	}
	return err
}
