package workspace

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
)

// errGitTime is the cause of a context that ended since git took too long.
var errGitTime = errors.New("git took too long")

// gitContext bounds all git commands of one method call.
func (w *Workspace) gitContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, w.gitTime, errGitTime)
}

// inRoots is the rule for what of a repository lies elsewhere than in its own folders.
func (w *Workspace) inRoots(roots []root) git.Allowed {
	return func(real string) bool {
		p, err := parsePath(real, w.system)
		if err != nil {
			return false
		}
		_, _, ok := w.containing(roots, p)
		return ok
	}
}

// admits reports whether a file of a work tree may be shown, by where it lies and what it is called; the reason if not. Git
// never looks behind a link inside of a work tree, so names are enough.
func (w *Workspace) admits(roots []root, top, name string) (host string, err error) {
	full := filepath.Join(top, filepath.FromSlash(name))
	host = w.host(full)
	// A forged index can hold any name: git would read "/etc/passwd" there, not below the work tree.
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return host, outside(roots, name)
	}
	p, err := parsePath(full, w.system)
	if err != nil {
		return host, invalid(host, "The path "+quoted(host)+" can't be read.", "Rename the file.")
	}
	if why := w.forbids(p); why != "" {
		return host, refused(host, why)
	}
	if _, _, ok := w.containing(roots, p); !ok {
		return host, outside(roots, host)
	}
	return host, nil
}

// ChangedFiles returns the files that differ from the last commit, untracked ones included, deleted ones not, in the work
// tree that a folder lies in and below that folder, sorted. An empty path means the first root. Files that may not be
// read are left out.
func (w *Workspace) ChangedFiles(ctx context.Context, path string) ([]Ref, error) {
	at, err := w.folder(ctx, path)
	if err != nil {
		return nil, err
	}
	limited, cancel := w.gitContext(ctx)
	defer cancel()
	roots := w.roots(ctx)
	s, err := w.git.Open(limited, at.real, w.inRoots(roots))
	if err != nil {
		return nil, w.gitError(ctx, at, err)
	}
	defer s.Close()
	below, err := filepath.Rel(s.Top, at.real)
	if err != nil {
		return nil, systemError(at.asked, err)
	}
	changes, _, err := s.Status(limited, filepath.ToSlash(below))
	if err != nil {
		return nil, w.gitError(ctx, at, err)
	}
	var files []Ref
	for _, c := range changes {
		host, err := w.admits(roots, s.Top, c.Name)
		if err != nil {
			continue
		}
		p, err := parsePath(filepath.Join(s.Top, filepath.FromSlash(c.Name)), w.system)
		if err != nil {
			continue
		}
		file, err := w.locate(roots, host, p)
		if err != nil {
			continue
		}
		if r, err := file.ref(); err == nil && !r.IsFolder() {
			files = append(files, r)
		}
	}
	slices.SortFunc(files, func(a, b Ref) int { return strings.Compare(a.at.host, b.at.host) })
	return slices.CompactFunc(files, func(a, b Ref) bool { return a.at.host == b.at.host }), nil
}

// folder checks a folder that a caller named; "" is the first root. A file stands for the folder that it is in.
func (w *Workspace) folder(ctx context.Context, path string) (place, error) {
	if path == "" {
		first, ok := w.first(ctx)
		if !ok {
			return place{}, &Error{Code: CodeDenied, Message: "There is no folder that may be read.", Hint: rootsHint(nil)}
		}
		return place{asked: first.Path, host: first.Path, real: first.real, root: first.real}, nil
	}
	at, err := w.find(ctx, path)
	if err != nil {
		return place{}, err
	}
	info, err := at.stat()
	if err != nil {
		return place{}, err
	}
	if !info.IsDir() && len(at.names) > 0 {
		if err := at.requireKind(info, false); err != nil {
			return place{}, err
		}
		at.names = at.names[:len(at.names)-1]
		at.real = filepath.Dir(at.real)
		at.host = w.host(at.real)
	}
	return at, nil
}

// gitError turns a failure of git into an Error. The caller's own end stays what it is.
func (w *Workspace) gitError(ctx context.Context, at place, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if _, ok := asError(err); ok {
		return err
	}
	e := &Error{Code: CodeInvalid, Path: at.host, Err: err}
	var outside *git.OutsideError
	switch {
	case errors.As(err, &outside):
		link := w.host(outside.Link)
		e.Code, e.Path, e.Err = CodeDenied, link, nil
		e.Message = "The repository at " + quoted(w.host(outside.Top)) + " is refused: " + quoted(link) +
			" leads out of the folders that may be read."
		e.Hint = "Add the folder that it leads to to EXAI_ALLOWED_ROOTS, or remove it."
	case errors.Is(err, git.ErrNoProgram):
		e.Message = "No git program was found, so changes can't be inspected."
		e.Hint = "Install git, or add its folder to the PATH of the server."
	case errors.Is(err, git.ErrNoRepository):
		e.Message = quoted(at.host) + " is not in a git work tree."
		e.Hint = "Name a folder of a git repository under path, or name the files to look at."
	case errors.Is(err, git.ErrPartial):
		e.Message = quoted(at.host) + " is a partial clone that lacks files of these commits, and nothing is fetched here."
		e.Hint = "Run `git diff` of the same commits there first, which fetches them, or clone without --filter."
	case errors.Is(err, git.ErrTooLarge):
		e.Code = CodeTooLarge
		e.Message = "The repository at " + quoted(at.host) + " has a larger index or more objects than can be inspected."
		e.Hint = "Name the files to look at, or run `git gc` there."
	case errors.Is(err, errGitTime):
		e.Code = CodeTooLarge
		e.Message = "The repository at " + quoted(at.host) + " is too large to inspect in " + w.gitTime.String() + "."
		e.Hint = "Name a folder in it under path."
	default:
		e.Message = "git could not inspect " + quoted(at.host) + "."
		e.Hint = "Check that `git status` works there; the server's log has git's own words."
	}
	return e
}
