package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
)

// item is a file on its way to a model.
type item struct {
	at    place
	size  int64
	named bool // by the caller, not found in a folder
}

// nestedRepos is how many repositories deep a folder is expanded: git lists a repository inside another as a folder.
const nestedRepos = 4

// expand finds the files that refs stand for, each once, up to a maximum: files stand for themselves, folders for what
// git does not ignore in them, sorted. What can't be used is listed with the reason. It fails only when ctx ends.
func (w *Workspace) expand(ctx context.Context, refs []Ref, most int) (items []item, left []Entry, err error) {
	x := expansion{w: w, roots: w.roots(ctx), most: most, seen: map[string]bool{}}
	if err := context.Cause(ctx); err != nil {
		return nil, nil, err
	}
	for _, r := range refs {
		if !r.IsFolder() {
			x.take(r, true)
			continue
		}
		before := x.met + x.over + len(x.left)
		if err := x.addFolder(ctx, r.at, 0); err != nil {
			return nil, nil, err
		}
		if x.met+x.over+len(x.left) == before {
			x.left = append(x.left, failed(r.at.host, &Error{
				Code: CodeNotFound, Path: r.at.host, Message: quoted(r.at.host) + " has no file to send: it is empty, or git ignores what is in it.",
				Hint: "Name the files: one that git ignores is sent when it is named itself.",
			}))
		}
	}
	if x.over > 0 {
		x.left = append(x.left, Entry{
			Path:   x.firstOver,
			Reason: fmt.Sprintf("%d files from here on: at most %d are looked at in one call", x.over, most),
		})
	}
	return x.items, x.left, nil
}

// expansion is the state of one expand.
type expansion struct {
	w         *Workspace
	roots     []root
	most      int
	seen      map[string]bool
	items     []item
	met       int // files that were taken, now or before
	left      []Entry
	over      int
	firstOver string
}

// addFolder adds what is listed in a folder, sorted by name.
func (x *expansion) addFolder(ctx context.Context, dir place, depth int) error {
	names, whole, err := x.w.list(ctx, x.roots, dir)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		x.left = append(x.left, failed(dir.host, err))
		return nil
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if len(x.items) >= x.most { // count the rest, without looking at it
			x.skip(filepath.Join(dir.host, filepath.FromSlash(name)))
			continue
		}
		if err := x.addListed(ctx, dir, name, depth); err != nil {
			return err
		}
	}
	if !whole {
		x.left = append(x.left, Entry{Path: dir.host, Reason: "the folder is too large to be listed whole; name a part of it"})
	}
	return nil
}

// addListed adds one name that was found in a folder.
func (x *expansion) addListed(ctx context.Context, dir place, name string, depth int) error {
	full := filepath.Join(dir.real, filepath.FromSlash(name))
	p, err := parsePath(full, x.w.system)
	if err != nil {
		return nil //nolint:nilerr // a name that no path can be made of names no file
	}
	shown := x.w.host(full)
	at, err := x.w.locate(x.roots, shown, p)
	if err != nil {
		x.left = append(x.left, failed(shown, err))
		return nil
	}
	r, err := at.ref()
	switch {
	case codeOf(err) == CodeNotFound: // deleted, but still in git's index; or a link to nothing
		return nil
	case err != nil:
		x.left = append(x.left, failed(shown, err))
		return nil
	case r.IsFolder():
		// A repository in this one, or a submodule. A link to a folder is not followed: what it leads to is expanded
		// where it is, or lies elsewhere on purpose.
		if at.real == p.String() && depth < nestedRepos {
			return x.addFolder(ctx, at, depth+1)
		}
		return nil
	}
	x.take(r, false)
	return nil
}

// take adds a file unless it is there already.
func (x *expansion) take(r Ref, named bool) {
	at := r.at
	x.met++
	if x.seen[at.real] {
		return
	}
	x.seen[at.real] = true
	if len(x.items) >= x.most {
		x.skip(at.host)
		return
	}
	x.items = append(x.items, item{at: at, size: r.info.Size(), named: named})
}

// skip counts a file beyond the limit.
func (x *expansion) skip(name string) {
	if x.over++; x.over == 1 {
		x.firstOver = name
	}
}

// list names the files in a folder, relative to it with slashes: by git where it can, else by walking. The flag is false
// when there are more than it names.
func (w *Workspace) list(ctx context.Context, roots []root, dir place) ([]string, bool, error) {
	names, whole, err := w.listByGit(ctx, roots, dir)
	if err == nil {
		return names, whole, nil
	}
	if !errors.Is(err, git.ErrNoRepository) {
		w.log.Info("git could not list a folder, so it is walked", zap.String("folder", dir.host), zap.Error(err))
	}
	return w.walk(ctx, dir)
}

// listByGit lists the files of a folder that git does not ignore.
func (w *Workspace) listByGit(ctx context.Context, roots []root, dir place) (names []string, whole bool, err error) {
	ctx, cancel := w.gitContext(ctx)
	defer cancel()
	r, err := w.git.Open(ctx, dir.real, w.inRoots(roots))
	if err != nil {
		return nil, false, err
	}
	defer r.Close()
	return r.Files(ctx, dir.real)
}

// walk lists a folder without git. It follows no links.
func (w *Workspace) walk(ctx context.Context, at place) (names []string, whole bool, err error) {
	dir, err := at.openRoot()
	if err != nil {
		return nil, false, err
	}
	defer dir.Close()
	walked := 0
	whole = true
	err = fs.WalkDir(dir.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			if entry != nil && entry.IsDir() && name != "." {
				return fs.SkipDir // unreadable
			}
			return err
		}
		if walked++; walked > maxWalked {
			whole = false
			return fs.SkipAll
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		switch {
		case entry.IsDir() && name != "." && skipped(entry.Name()):
			return fs.SkipDir
		case entry.Type().IsRegular(), entry.Type()&fs.ModeSymlink != 0:
			names = append(names, name)
		}
		return nil
	})
	if err != nil && context.Cause(ctx) == nil {
		err = systemError(at.asked, err)
	}
	return names, whole, err
}

// skipped names folders that hold what tools made, not what people wrote.
func skipped(name string) bool {
	switch strings.ToLower(name) {
	case ".git", ".hg", ".svn", "node_modules", "bower_components", "vendor", "__pycache__", ".venv", "venv", ".tox",
		".mypy_cache", ".pytest_cache", ".ruff_cache", ".gradle", ".idea", ".next", ".nuxt", ".cache", ".terraform",
		"target", "dist", "build", "coverage":
		return true
	}
	return false
}
