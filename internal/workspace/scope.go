package workspace

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
)

// Scope narrows what Inspect looks at, for a process that reviews one set of changes: one work tree, without the
// repositories below it.
type Scope struct {
	// IndexFile is used instead of the repository's own index, if it lies in its git folder. Absolute, or "".
	IndexFile string
	// Files are the only changes that are looked at, relative to the work tree's top with slashes; nil for all.
	Files []string
}

// Narrow narrows what Inspect looks at. It is called before the workspace is used.
func (w *Workspace) Narrow(s Scope) { w.scope, w.git.IndexFile = &s, s.IndexFile }

// scoped reports whether a change is to be looked at.
func (w *Workspace) scoped(name string) bool {
	return w.scope == nil || w.scope.Files == nil || slices.Contains(w.scope.Files, name)
}

// Repository opens the repository around a folder that may be read. The caller closes it.
func (w *Workspace) Repository(ctx context.Context, path string) (*git.Repository, error) {
	at, err := w.folder(ctx, path)
	if err != nil {
		return nil, err
	}
	r, err := w.git.Open(ctx, at.real, w.inRoots(w.roots(ctx)))
	if err != nil {
		return nil, w.gitError(ctx, at, err)
	}
	return r, nil
}

// maxHashed is how many changed files are hashed, and maxHashBytes how much of them in all.
const (
	maxHashed    = 5000
	maxHashBytes = 512 << 20
)

// The states of a changed file without content.
const (
	stateDeleted = "deleted"
	stateOther   = "other" // a folder, a device: nothing that git would commit as a file
)

// Hashes returns the hash of each changed file's content, by its name. Files that may not be read are left out. With more
// than 5,000 files or 512 MiB it fails with ErrTooLarge.
func (w *Workspace) Hashes(ctx context.Context, r *git.Repository, changes []git.Change) (map[string]string, error) {
	roots, left := w.roots(ctx), int64(maxHashBytes)
	out := map[string]string{}
	for _, c := range changes {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if _, err := w.admits(roots, r.Top, c.Name); err != nil {
			continue
		}
		hash, n, err := w.hash(roots, r.Top, c.Name, left)
		if err != nil {
			return nil, err
		}
		if left -= n; len(out) == maxHashed {
			return nil, git.ErrTooLarge
		}
		out[c.Name] = hash
	}
	return out, nil
}

// hash is the hash of a file's content, or of where a link leads.
func (w *Workspace) hash(roots []root, top, name string, limit int64) (hash string, n int64, err error) {
	full := filepath.Join(top, filepath.FromSlash(name))
	info, err := os.Lstat(full)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ENOTDIR): // a file may stand where its folder was
		return stateDeleted, 0, nil
	case err != nil:
		return "", 0, systemError(w.host(full), err)
	case info.Mode()&os.ModeSymlink != 0:
		to, err := os.Readlink(full)
		return hashOf("link\x00" + to), 0, err
	case !info.Mode().IsRegular():
		return stateOther, 0, nil
	}
	p, err := parsePath(full, w.system)
	if err != nil {
		return "", 0, err
	}
	at, err := w.locate(roots, w.host(full), p)
	if err != nil {
		return stateOther, 0, nil //nolint:nilerr // a folder on its way is a link that leads out
	}
	f, _, err := at.open()
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	sum := sha256.New()
	n, err = io.Copy(sum, io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return "", n, systemError(w.host(full), err)
	case n > limit:
		return "", n, git.ErrTooLarge
	}
	hash = hex.EncodeToString(sum.Sum(nil))
	if info.Mode()&0o100 != 0 { // which git records too
		hash += " x"
	}
	return hash, n, nil
}

// cutRange takes a comparison "A..B" or "A...B" apart; a side that is left out is HEAD. No name of a commit holds two dots.
func cutRange(name string) (from, to string, common, ok bool) {
	from, to, ok = strings.Cut(name, "..")
	if !ok {
		return name, "", false, false
	}
	to, common = strings.CutPrefix(to, ".")
	if from == "" {
		from = "HEAD"
	}
	if to == "" {
		to = "HEAD"
	}
	return from, to, common, true
}
