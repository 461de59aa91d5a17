package openaicompat

import (
	"bytes"
	"cmp"
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
	content := send(f)
	defer content.stop()
	defer context.AfterFunc(ctx, content.end)()
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
			Hint:    "Check that its type is one that the vendor takes.", Err: c.scrubbed(&quoted{errors.New("the file has no id, or the status error"), string(body)}),
		}
	}
	return providers.FileRef{ID: string(stored.ID), Name: cmp.Or(string(stored.Name), f.Name), Size: f.Size}, nil
}

// unreadable is the error of a file that failed while it was being sent.
func (c *Client) unreadable(f providers.File, err error) error {
	return &providers.Error{
		Kind: providers.KindInvalidRequest, Provider: c.dialect.Name,
		Message: "The file " + f.Name + " could not be read to its end.",
		Hint:    "It may have changed while it was being sent; try again.", Err: err,
	}
}

// sending carries a file to the transport through a pipe, so that a file that blocks can't hold up an upload whose
// context has ended: net/http waits for the Read of a body, and a pipe's ends when it is closed.
type sending struct {
	pipe *io.PipeReader
	bad  chan error // why the file could not be read, if so
	sent func(int64)

	mu      sync.Mutex
	count   int64
	stopped bool
}

// send begins to read the file.
func send(f providers.File) *sending {
	r, w := io.Pipe()
	s := &sending{pipe: r, bad: make(chan error, 1), sent: f.Sent}
	go func() {
		n, err := io.CopyN(w, f.Body, f.Size)
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("the file ended after %d of %d bytes", n, f.Size)
		}
		if err != nil && !errors.Is(err, io.ErrClosedPipe) {
			s.bad <- err
		}
		w.CloseWithError(err) // nil means EOF
	}()
	return s
}

// Read implements io.Reader.
func (s *sending) Read(p []byte) (int, error) {
	n, err := s.pipe.Read(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count += int64(n)
	if n > 0 && s.sent != nil && !s.stopped {
		s.sent(s.count)
	}
	return n, err
}

// stop ends the sending and the reports of it.
func (s *sending) stop() {
	s.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}

// end ends a Read that waits for the file.
func (s *sending) end() { _ = s.pipe.Close() } // closing a pipe can't fail

// failed is why the file could not be read, nil if it could.
func (s *sending) failed() error {
	select {
	case err := <-s.bad:
		return err
	default:
		return nil
	}
}
