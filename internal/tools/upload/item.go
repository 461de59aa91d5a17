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
	changed time.Time // the file's, when it was looked at
	sum     string    // of its content
	job     *job
}

// look finds out about every file, before any of them is sent.
func (q *Queue) look(ctx context.Context, r Request) []*item {
	progress.From(ctx).Phase("looking at the files")
	list := make([]*item, len(r.Files))
	for i, ref := range r.Files {
		it := &item{File: File{Path: ref.Path(), Name: nameOf(ref.Path())}, ref: ref}
		list[i] = it
		it.Err = it.with(func(_ *workspace.File, info fs.FileInfo) error {
			it.Size, it.changed = info.Size(), info.ModTime()
			return r.Largest.check(it.File)
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
func (l Largest) check(f File) error {
	switch {
	case f.Size == 0:
		return reply.Refuse("Name a file with content.", "%q is empty.", f.Path)
	case l.MB > 0 && float64(f.Size) > l.MB*mebibyte:
		return &reply.Error{
			Code:    reply.TooLarge,
			Message: fmt.Sprintf("%q has %.1f MB, more than %s=%g allows.", f.Path, float64(f.Size)/mebibyte, l.Setting, l.MB),
			Hint:    fmt.Sprintf("Send a part of it, or raise %s in the server's environment if the vendor takes more.", l.Setting),
		}
	}
	return nil
}

// hand finds a file's text among those that are kept, or has it carried to the vendor.
func (q *Queue) hand(ctx context.Context, r Request, it *item) {
	err := it.with(func(f *workspace.File, info fs.FileInfo) (err error) {
		if !it.same(info) {
			return changed(it.Path)
		}
		it.sum, err = sum(ctx, f, it.Size)
		return err
	})
	if err != nil {
		if ctx.Err() == nil {
			it.Err = err
		}
		return
	}
	// A vendor tells files of one content apart by their names, and what it extracts may depend on the extension.
	key := digest(r.Vendor, r.Purpose, it.Name, it.sum)
	if r.Extract {
		if kept, ok := q.texts.get(key); ok {
			it.ID, it.Text = kept.FileID, kept.Text
			return
		}
	}
	it.job, it.Err = q.join(key, r, it)
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
	if _, err := io.Copy(h, &until{ctx, io.NewSectionReader(f.File, 0, size)}); err != nil {
		return "", unreadable(f.Path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// still reports whether a file holds what it held when it was looked at, whatever its time says.
func (it *item) still(ctx context.Context, f *workspace.File) bool {
	info, err := f.Stat()
	if err != nil || info.Size() != it.Size {
		return false
	}
	if it.same(info) {
		return true
	}
	now, err := sum(ctx, f, it.Size)
	return err == nil && now == it.sum
}

// same reports whether the file is as it was when it was looked at.
func (it *item) same(info fs.FileInfo) bool {
	return info.Size() == it.Size && info.ModTime().Equal(it.changed)
}

// until is a reader that ends when ctx does.
type until struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (u *until) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.r.Read(p)
}

func changed(path string) error {
	return reply.Refuse("Call again when it is no longer being written.", "%q was changed while it was being read.", path)
}

func unreadable(path string, err error) error {
	e := reply.Refuse("Name another file, or look into the server's log.", "The server could not read %q.", path)
	e.Err = err
	return e
}

// sayEvery is how often a call that waits says how far its files are.
const sayEvery = 2 * time.Second

// await waits for a request's files until wait ends.
func (q *Queue) await(ctx, wait context.Context, list []*item) {
	tick := time.NewTicker(sayEvery)
	defer tick.Stop()
	say := progress.From(ctx)
	for _, it := range list {
		if it.job == nil {
			continue
		}
		for waiting := true; waiting; {
			say.Phase(howFar(list))
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

// howFar is how far a request's files are, in a few words.
func howFar(list []*item) string {
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
	return fmt.Sprintf("%d of %d files through, %.1f of %.1f MB sent", done, len(list), float64(sent)/mebibyte, float64(size)/mebibyte)
}

var errNoUploads = errors.New("the vendor takes no files")
