package openaicompat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"sync"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// fileObject is a stored file as both vendors describe it.
type fileObject struct {
	ID     text `json:"id"`
	Name   text `json:"filename"`
	Status text `json:"status"`
}

// Upload sends a file to POST /files as multipart form data. The file streams through: its length is known beforehand,
// so nothing holds it in memory. f.Sent is called from another goroutine, and never after Upload has returned; one last
// Read of f.Body may then still be under way.
func (c *Client) Upload(ctx context.Context, f providers.File) (providers.FileRef, error) {
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	if err := w.WriteField("purpose", f.Purpose); err != nil {
		return providers.FileRef{}, err // a buffer takes everything
	}
	if _, err := w.CreateFormFile("file", f.Name); err != nil {
		return providers.FileRef{}, err
	}
	head := bytes.Clone(form.Bytes())
	form.Reset()
	if err := w.Close(); err != nil {
		return providers.FileRef{}, err
	}
	content := &sending{file: f}
	defer content.stop()
	r := Request{
		Op: "upload", Method: http.MethodPost, Path: "/files",
		body:        io.MultiReader(bytes.NewReader(head), content, bytes.NewReader(form.Bytes())),
		contentType: w.FormDataContentType(),
		length:      int64(len(head)) + f.Size + int64(form.Len()),
	}
	body, err := c.Do(ctx, r)
	if err != nil {
		if bad := content.failed(); bad != nil && ctx.Err() == nil {
			return providers.FileRef{}, c.unreadable(f, bad)
		}
		return providers.FileRef{}, err
	}
	var stored fileObject
	if err := c.decode(r, body, &stored); err != nil {
		return providers.FileRef{}, err
	}
	if stored.ID == "" || stored.Status == "error" {
		return providers.FileRef{}, &providers.Error{
			Kind: providers.KindInvalidRequest, Provider: c.dialect.Name, HTTPStatus: http.StatusOK,
			Message: c.dialect.Label + " could not process the file " + f.Name + ".",
			Hint:    "Check that its type is one that the vendor takes.", Err: c.scrubbed(errors.New(string(body))),
		}
	}
	return providers.FileRef{ID: string(stored.ID), Name: firstOf(string(stored.Name), f.Name), Size: f.Size}, nil
}

// unreadable is the error of a file that failed while it was being sent.
func (c *Client) unreadable(f providers.File, err error) error {
	return &providers.Error{
		Kind: providers.KindInvalidRequest, Provider: c.dialect.Name,
		Message: "The file " + f.Name + " could not be read to its end.",
		Hint:    "It may have changed while it was being sent; try again.", Err: err,
	}
}

// sending reads a file for the transport, which does so from a goroutine of its own that may outlive the request.
type sending struct {
	file providers.File

	mu      sync.Mutex // not held while reading: a file that blocks must not hold up Upload's return
	sent    int64
	err     error
	stopped bool
}

// Read implements io.Reader.
func (s *sending) Read(p []byte) (int, error) {
	left, stopped := s.left()
	switch {
	case stopped:
		return 0, io.ErrClosedPipe
	case left <= 0:
		return 0, io.EOF
	}
	n, err := s.file.Body.Read(p[:min(int64(len(p)), left)])
	return n, s.count(n, err)
}

func (s *sending) left() (int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file.Size - s.sent, s.stopped
}

// count reports progress and makes a file that ends early an error.
func (s *sending) count(n int, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent += int64(n)
	if n > 0 && s.file.Sent != nil && !s.stopped {
		s.file.Sent(s.sent)
	}
	if errors.Is(err, io.EOF) && s.sent < s.file.Size {
		err = fmt.Errorf("the file ended after %d of %d bytes", s.sent, s.file.Size)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return err
}

func (s *sending) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}

func (s *sending) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
