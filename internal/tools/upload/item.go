package upload

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// item is one of a request's files on its way.
type item struct {
	File
	ref     workspace.Ref
	changed time.Time // the file's, when it was inspected
	sum     string    // of its content
	key     string    // under which its text is kept
	job     *job
}

// inspect reads the size and time of every file, before any of them is sent.
func (q *Queue) inspect(ctx context.Context, r Request) []*item {
	progress.From(ctx).Phase("checking the files")
	list := make([]*item, len(r.Files))
	for i, ref := range r.Files {
		it := &item{File: File{Path: ref.Path(), Name: nameOf(ref.Path())}, ref: ref}
		list[i] = it
		it.Err = it.with(func(_ *workspace.File, info fs.FileInfo) error {
			it.Size, it.changed = info.Size(), info.ModTime()
			return r.SizeLimit.check(it.File)
		})
		if ctx.Err() != nil {
			it.Err = nil // not the file's fault
		}
	}
	return list
}

// with opens a file for as long as use takes.
func (it *item) with(use func(*workspace.File, fs.FileInfo) error) error {
	f, err := it.ref.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return unreadable(it.Path, err)
	}
	return use(f, info)
}

// nameOf is a path's last name, however its system separates names.
func nameOf(path string) string { return path[strings.LastIndexAny(path, `/\`)+1:] }

const mebibyte = 1 << 20

// check refuses what no vendor would take.
func (l SizeLimit) check(f File) error {
	switch {
	case f.Size == 0:
		return reply.InvalidRequest("Name a file with content.", "%q is empty.", f.Path)
	case l.MB > 0 && float64(f.Size) > l.MB*mebibyte:
		return &reply.Error{
			Code:    reply.CodeTooLarge,
			Message: fmt.Sprintf("%q has %.1f MB, more than %s=%g allows.", f.Path, float64(f.Size)/mebibyte, l.Setting, l.MB),
			Hint:    fmt.Sprintf("Send a part of it, or raise %s in the server's environment if the vendor takes more.", l.Setting),
		}
	}
	return nil
}

// start takes a file's text from those that are kept, or starts its upload.
func (q *Queue) start(ctx context.Context, r Request, it *item) {
	kept, ok, err := q.kept(ctx, r, it)
	switch {
	case err != nil && ctx.Err() == nil:
		it.Err = err
	case err != nil:
	case ok:
		it.ID, it.Text, it.masked = kept.FileID, kept.Text, kept.Masked
	default:
		it.job, it.Err = q.findOrStart(it.key, r, it)
	}
}

// kept finds a file's text among those that are kept, by its content, where the text is what is wanted.
func (q *Queue) kept(ctx context.Context, r Request, it *item) (text entry, ok bool, err error) {
	err = it.with(func(f *workspace.File, info fs.FileInfo) (err error) {
		if !it.sameInfo(info) {
			return changed(it.Path)
		}
		it.sum, err = sum(ctx, f, it.Size)
		return err
	})
	if err != nil {
		return entry{}, false, err
	}
	// A vendor tells files of one content apart by their names, and what it extracts may depend on the extension.
	it.key = digest(r.Vendor, r.Purpose, it.Name, it.sum, q.cfg.Files.Secrets)
	if r.Extract {
		text, ok = q.texts.get(it.key)
	}
	return text, ok, nil
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%q", p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// sum is the hash of a file's content.
func sum(ctx context.Context, f *workspace.File, size int64) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, &contextReader{ctx, io.NewSectionReader(f.File, 0, size)}); err != nil {
		return "", unreadable(f.Path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// unchanged reports whether a file's content is the same as when it was inspected, whatever its time.
func (it *item) unchanged(ctx context.Context, f *workspace.File) bool {
	info, err := f.Stat()
	if err != nil || info.Size() != it.Size {
		return false
	}
	if it.sameInfo(info) {
		return true
	}
	now, err := sum(ctx, f, it.Size)
	return err == nil && now == it.sum
}

// sameInfo reports whether the file's size and time are the same as when it was inspected.
func (it *item) sameInfo(info fs.FileInfo) bool {
	return info.Size() == it.Size && info.ModTime().Equal(it.changed)
}

// contextReader fails once ctx has ended.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (u *contextReader) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.r.Read(p)
}

func changed(path string) error {
	return reply.InvalidRequest("Call again when it is no longer being written.", "%q was changed while it was being read.", path)
}

func unreadable(path string, err error) error {
	e := reply.InvalidRequest("Name another file, or look into the server's log.", "The server could not read %q.", path)
	e.Err = err
	return e
}

// progressInterval is how often a call that waits reports the progress of its files.
const progressInterval = 2 * time.Second

// await waits for a request's files until wait ends.
func (q *Queue) await(ctx, wait context.Context, list []*item) {
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	report := progress.From(ctx)
	for _, it := range list {
		if it.job == nil {
			continue
		}
		for waiting := true; waiting; {
			report.Phase(progressText(list))
			select {
			case <-it.job.done:
				waiting = false
			case <-wait.Done():
				return
			case <-tick.C:
			}
		}
	}
}

// progressText describes the progress of a request's files.
func progressText(list []*item) string {
	done, sent, size := 0, int64(0), int64(0)
	for _, it := range list {
		if it.job == nil {
			done++
			continue
		}
		size += it.Size
		select {
		case <-it.job.done:
			done++
			sent += it.Size
		default:
			sent += min(it.job.sent.Load(), it.Size)
		}
	}
	return fmt.Sprintf("%d of %d files done, %.1f of %.1f MB sent", done, len(list), float64(sent)/mebibyte, float64(size)/mebibyte)
}

var errNoUploads = errors.New("the vendor takes no files")
