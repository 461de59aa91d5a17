package emulator

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The vendors' limits of files.
const (
	vendorFileBytes = 100 << 20
	maxAccountBytes = 10 << 30 // Kimi, all files together
)

// file is one that was uploaded.
type file struct {
	id      string
	name    string
	purpose string
	created time.Time
	data    []byte
}

// object is the file as the vendor lists it.
func (f *file) object(v Vendor) any {
	type object struct {
		ID            string  `json:"id"`
		Object        string  `json:"object"`
		Bytes         int     `json:"bytes"`
		CreatedAt     int64   `json:"created_at"`
		Filename      string  `json:"filename"`
		Purpose       string  `json:"purpose"`
		Status        string  `json:"status,omitempty"`
		StatusDetails *string `json:"status_details,omitempty"`
	}
	o := object{ID: f.id, Object: "file", Bytes: len(f.data), CreatedAt: f.created.Unix(), Filename: f.name, Purpose: f.purpose}
	if v == Kimi {
		o.Status, o.StatusDetails = "ok", text("")
	}
	return o
}

// upload answers POST files.
func (x *exchange) upload(string) (*result, error) {
	v := x.record.Vendor
	f, err := x.readUpload()
	if err != nil {
		return nil, err
	}
	x.note(func(r *Request) { r.Upload = &Upload{Name: f.name, Purpose: f.purpose, Size: int64(len(f.data))} })
	if v == GLM {
		err = x.e.glmFile(f)
	} else {
		err = x.e.kimiFile(f)
	}
	if err != nil {
		return nil, err
	}
	f.id, f.created = hexID("file-", x.e.nextID(), 20), time.Now()
	x.e.mu.Lock()
	x.e.files[v] = append(x.e.files[v], f)
	x.e.mu.Unlock()
	return &result{json: f.object(v)}, nil
}

// readUpload reads the multipart form. What is over the limit of size is read to its end and not kept, so that the
// client can finish sending and read the refusal.
func (x *exchange) readUpload() (*file, error) {
	v := x.record.Vendor
	kind, params, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return nil, badRequest(v, "the upload is not a form", "1210", "Invalid request: Content-Type must be multipart/form-data")
	}
	parts := multipart.NewReader(bufio.NewReaderSize(x.body(), 64<<10), params["boundary"])
	f, found := &file{}, false
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, x.brokenUpload()
		}
		var b bytes.Buffer
		_, err = io.Copy(&b, io.LimitReader(part, int64(x.e.maxFileBytes)+1))
		if err == nil {
			_, err = io.Copy(io.Discard, part)
		}
		if err != nil {
			return nil, x.brokenUpload()
		}
		switch part.FormName() {
		case "purpose":
			f.purpose = b.String()
		case "file":
			f.name, f.data, found = part.FileName(), b.Bytes(), true
		}
	}
	if !found || f.name == "" {
		return nil, badRequest(v, "upload without file", "1213", "Invalid request: file is required")
	}
	return f, nil
}

// brokenUpload refuses a form that ends too early, unless nobody is left to tell.
func (x *exchange) brokenUpload() error {
	if !x.snapshot().Gone.IsZero() || x.e.isClosed() {
		panic(http.ErrAbortHandler)
	}
	return badRequest(x.record.Vendor, "broken form", "1210", "Invalid request: the form could not be parsed")
}

func (e *Emulator) isClosed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closed
}

func (e *Emulator) glmFile(f *file) error {
	purposes := []string{"agent"}
	if e.mainland {
		purposes = []string{"agent", "batch", "code-interpreter", "voice-clone-input", "fine-tune", "retrieval"}
	}
	if f.purpose == "" {
		return glmMissing("no purpose", "purpose")
	}
	if !slices.Contains(purposes, f.purpose) {
		return glmIllegal("unknown purpose", "purpose")
	}
	limit := e.maxFileBytes
	if e.mainland && (f.purpose == "agent" || f.purpose == "code-interpreter") {
		limit = min(limit, 20<<20)
	}
	if len(f.data) > limit {
		return &refusal{rule: "file too large", status: 435, code: "1210", message: fmt.Sprintf("File size exceeds %dMB", limit>>20)}
	}
	if len(f.data) == 0 {
		return glmIllegal("empty file", "file")
	}
	kinds := []string{".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".txt", ".jpg", ".jpeg", ".png"}
	if f.purpose == "agent" && !slices.Contains(kinds, strings.ToLower(path.Ext(f.name))) {
		return glmInvalid("file type", "File format is not supported")
	}
	return nil
}

func (e *Emulator) kimiFile(f *file) error {
	if !slices.Contains([]string{"file-extract", "image", "video", "batch"}, f.purpose) {
		return kimiBad("unknown purpose", "Invalid request: purpose %s is invalid, only file-extract, image, video, batch are accepted", strconv.Quote(f.purpose))
	}
	switch {
	case len(f.data) > e.maxFileBytes:
		return kimiBad("file too large", "File size is too large, max file size is %dMB, please confirm and re-upload the file", e.maxFileBytes>>20)
	case len(f.data) == 0:
		return kimiBad("empty file", "File size is zero, please confirm and re-upload the file")
	case f.purpose == "file-extract" && !extractable(f):
		return kimiBad("file type", "text extract error: unsupported file type %s", path.Ext(f.name))
	case f.purpose == "image" && !strings.HasPrefix(http.DetectContentType(f.data), "image/"):
		return kimiBad("the file is not an image", "Invalid request: the file is not an image")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	total := len(f.data)
	for _, g := range e.files[Kimi] {
		total += len(g.data)
	}
	if len(e.files[Kimi]) >= e.maxFiles || total > maxAccountBytes {
		return kimiBad("too many files", "The number of files you have uploaded exceeded the max file count %d, please delete previous uploaded files", e.maxFiles)
	}
	return nil
}

// extractable reports whether Kimi gets text out of a file: documents by their extension, and everything that is text.
func extractable(f *file) bool {
	documents := []string{
		".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".epub", ".mobi",
		".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tiff",
	}
	return slices.Contains(documents, strings.ToLower(path.Ext(f.name))) || utf8.Valid(f.data) && !bytes.ContainsRune(f.data, 0)
}

// listFiles answers GET files, with the query parameters purpose, limit and after.
func (x *exchange) listFiles(string) (*result, error) {
	v, q := x.record.Vendor, x.r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 {
		limit = x.e.maxFiles + 1
	}
	x.e.mu.Lock()
	defer x.e.mu.Unlock()
	rows, more, started := []any{}, false, q.Get("after") == ""
	for _, f := range x.e.files[v] {
		switch {
		case !started:
			started = f.id == q.Get("after")
		case q.Get("purpose") != "" && q.Get("purpose") != f.purpose:
		case len(rows) == limit:
			more = true
		default:
			rows = append(rows, f.object(v))
		}
	}
	return &result{json: map[string]any{"object": "list", "data": rows, "has_more": more}}, nil
}

func (e *Emulator) findFile(v Vendor, id string) *file {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range e.files[v] {
		if f.id == id {
			return f
		}
	}
	return nil
}

func unknownFile(v Vendor, id string) error {
	if v == GLM {
		return &refusal{rule: "unknown file", status: 404, code: "1214", message: "File not found"}
	}
	return &refusal{rule: "unknown file", status: 404, code: "resource_not_found_error", message: "Not found the file " + id + " or Permission denied"}
}

// getFile answers GET files/{id}.
func (x *exchange) getFile(id string) (*result, error) {
	f := x.e.findFile(x.record.Vendor, id)
	if f == nil {
		return nil, unknownFile(x.record.Vendor, id)
	}
	return &result{json: f.object(x.record.Vendor)}, nil
}

// deleteFile answers DELETE files/{id}.
func (x *exchange) deleteFile(id string) (*result, error) {
	v := x.record.Vendor
	x.e.mu.Lock()
	defer x.e.mu.Unlock()
	i := slices.IndexFunc(x.e.files[v], func(f *file) bool { return f.id == id })
	if i < 0 {
		return nil, unknownFile(v, id)
	}
	x.e.files[v] = slices.Delete(x.e.files[v], i, i+1)
	return &result{json: map[string]any{"id": id, "object": "file", "deleted": true}}, nil
}

// fileContent answers GET files/{id}/content. Kimi gives the text that it extracted, inside a JSON text; GLM the bytes.
func (x *exchange) fileContent(id string) (*result, error) {
	v := x.record.Vendor
	f := x.e.findFile(v, id)
	switch {
	case f == nil:
		return nil, unknownFile(v, id)
	case v == GLM:
		return &result{raw: f.data, kind: "application/octet-stream"}, nil
	case f.purpose != "file-extract":
		return nil, kimiBad("content of a file that is not for extraction", "Invalid request: only files with purpose file-extract have content")
	}
	content, kind := string(f.data), mime.TypeByExtension(path.Ext(f.name))
	if !utf8.Valid(f.data) || bytes.ContainsRune(f.data, 0) || bytes.HasPrefix(f.data, []byte("%PDF")) {
		content = fmt.Sprintf("(Emulated extraction of %s, %d bytes.)", f.name, len(f.data))
	}
	if kind == "" {
		kind = "text/plain"
	}
	return &result{raw: mustJSON(struct {
		Content  string `json:"content"`
		FileType string `json:"file_type"`
		Filename string `json:"filename"`
		Title    string `json:"title"`
		Type     string `json:"type"`
	}{content, kind, f.name, "", "file"}), kind: "text/plain; charset=utf-8"}, nil
}
