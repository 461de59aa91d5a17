package git

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/exai-mcp/exai-mcp/internal/workspace/realpath"
)

// maxIndexBytes bounds what the copies of indexes take of the disk, in all stand-ins of the process together. An index has
// about 100 bytes for each tracked file.
const maxIndexBytes = 256 << 20

// sharedIndexPrefix begins the names of shared indexes; an id in hex follows.
const sharedIndexPrefix = "sharedindex."

// maxSharedFiles is how many shared indexes are looked at; git removes those that are older than two weeks.
const maxSharedFiles = 1000

// copies is the space that stand-ins take now. It belongs to the process, since the disk does.
var copies = &space{free: maxIndexBytes}

// space is a number of bytes that several callers share.
type space struct {
	mu   sync.Mutex
	free int64
}

// take reserves n bytes and reports whether they were free.
func (s *space) take(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > s.free {
		return false
	}
	s.free -= n
	return true
}

func (s *space) give(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free += n
}

// indexOf is the index of a repository: its own, or the one that the caller names in one of its folders.
func (g *Git) indexOf(l location) string {
	if g.IndexFile != "" {
		file := realpath.Resolve(g.IndexFile)
		if realpath.IsBelow(l.gitDir, file) || realpath.IsBelow(l.common, file) {
			return file
		}
	}
	return filepath.Join(l.gitDir, "index")
}

// copyIndex copies the index, and the shared one that a split index refers to, with their times: git compares files'
// times with the index's. git may refresh the copy; the original is never written.
func (r *Repository) copyIndex(ctx context.Context) error {
	files := map[string]string{"index": r.index} // by the copy's name
	if shared, err := r.sharedIndex(ctx); err != nil {
		return err
	} else if shared != "" {
		files[shared] = filepath.Join(r.gitDir, shared)
	}
	var total int64
	for _, file := range files {
		info, err := os.Stat(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("copy git's index: %w", err)
		}
		total += info.Size()
	}
	// git writes a refreshed copy beside the first one before it replaces it.
	if total *= 2; !copies.take(total) {
		return fmt.Errorf("copy git's index: %w", ErrTooLarge)
	}
	r.reserved = func() { copies.give(total) }
	left := total / 2
	for name, file := range files {
		n, err := copyFile(ctx, file, filepath.Join(r.folder, name), left)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("copy git's index: %w", err)
		}
		left -= n
	}
	return nil
}

// sharedIndex names the shared index that a split index refers to, "" for an ordinary one: the one whose id follows the
// word "link" in the index.
func (r *Repository) sharedIndex(ctx context.Context) (string, error) {
	dir, err := os.Open(r.gitDir)
	if err != nil {
		return "", fmt.Errorf("look for git's shared index: %w", err)
	}
	defer dir.Close()
	names := map[string]string{} // by the id that the file's name holds
	for context.Cause(ctx) == nil && len(names) < maxSharedFiles {
		const batch = 256
		found, err := dir.Readdirnames(batch)
		for _, name := range found {
			if rest, ok := strings.CutPrefix(name, sharedIndexPrefix); ok {
				if id, err := hex.DecodeString(rest); err == nil {
					names[string(id)] = name
				}
			}
		}
		if err != nil {
			break
		}
	}
	if len(names) == 0 {
		return "", context.Cause(ctx)
	}
	index, err := realpath.ReadSmall(r.index, maxIndexBytes/4)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look for git's shared index: %w: %w", ErrTooLarge, err)
	}
	return linked(index, names), context.Cause(ctx)
}

// linked finds the extension of an index that holds a known id: the word "link", a length, and the id of 20 or 32 bytes.
func linked(index string, names map[string]string) string {
	const header = len("link") + 4
	for rest := index; ; rest = rest[1:] {
		at := strings.Index(rest, "link")
		if at < 0 {
			return ""
		}
		rest = rest[at:]
		for _, length := range []int{20, 32} {
			if len(rest) >= header+length {
				if name, ok := names[rest[header:header+length]]; ok {
					return name
				}
			}
		}
	}
}

// copyFile copies a regular file of at most limit bytes, and its time. It stops when ctx ends.
func copyFile(ctx context.Context, from, to string, limit int64) (int64, error) {
	in, err := os.OpenFile(from, realpath.OpenFlags, 0)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, os.ErrInvalid
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(out, io.LimitReader(untilDone{ctx, in}, limit))
	if err = errors.Join(err, out.Close()); err != nil {
		return n, err
	}
	return n, os.Chtimes(to, info.ModTime(), info.ModTime())
}

// untilDone reads until its context ends.
type untilDone struct {
	ctx context.Context //nolint:containedctx // of the one copy that reads it
	io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := context.Cause(u.ctx); err != nil {
		return 0, err
	}
	return u.Reader.Read(p)
}
