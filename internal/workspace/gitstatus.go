package workspace

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
)

// Change is one line of a repository's status.
type Change struct {
	Path string `json:"path"`           // as the host names it
	From string `json:"from,omitempty"` // where a renamed or copied file came from
	// State is git's two letters: the index against HEAD, the work tree against the index ("M ", " M", "??", "UU" ...).
	State string `json:"state"`

	name, from string // relative to the work tree's top, with slashes
}

// status lists what is changed, untracked files included, at most so many bytes of it; whole is false beyond that.
func (s *session) status(ctx context.Context, below string) (changes []Change, whole bool, err error) {
	out, cut, err := s.guest.output(ctx, gitOutput, "status", "--porcelain=v1", "-z", "--untracked-files=all",
		"--ignore-submodules=dirty", "--", below)
	if err != nil {
		return nil, false, err
	}
	fields := strings.Split(string(out), "\x00")
	fields = fields[:len(fields)-1]
	for i := 0; i < len(fields); i++ {
		if len(fields[i]) < 4 {
			continue
		}
		c := Change{State: fields[i][:2], name: fields[i][3:]}
		if strings.ContainsAny(c.State, "RC") && i+1 < len(fields) {
			i++
			c.from = fields[i]
		}
		changes = append(changes, c)
	}
	return changes, !cut, nil
}

// admits tells whether a file of a work tree may be shown, by where it lies and what it is called; the reason if not. Git
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

// ChangedFiles names the files that differ from the last commit, untracked ones included, deleted ones not, in the work
// tree that a folder lies in and below that folder, sorted. An empty path means the first root. Files that may not be
// read are left out.
func (w *Workspace) ChangedFiles(ctx context.Context, path string) ([]string, error) {
	at, err := w.folder(ctx, path)
	if err != nil {
		return nil, err
	}
	limited, cancel := w.gitContext(ctx)
	defer cancel()
	roots := w.roots(ctx)
	s, err := w.openRepository(limited, roots, at)
	if err != nil {
		return nil, w.gitError(ctx, at, err)
	}
	defer s.close()
	below, err := filepath.Rel(s.top, at.real)
	if err != nil {
		return nil, systemError(at.asked, err)
	}
	changes, _, err := s.status(limited, filepath.ToSlash(below))
	if err != nil {
		return nil, w.gitError(ctx, at, err)
	}
	var files []string
	for _, c := range changes {
		host, err := w.admits(roots, s.top, c.name)
		if err != nil {
			continue
		}
		p, err := parsePath(filepath.Join(s.top, filepath.FromSlash(c.name)), w.system)
		if err != nil {
			continue
		}
		file, err := w.locate(roots, host, p)
		if err != nil {
			continue
		}
		if info, err := file.stat(); err == nil && info.Mode().IsRegular() {
			files = append(files, host)
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
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
		if err := at.wants(info, false); err != nil {
			return place{}, err
		}
		at.names = at.names[:len(at.names)-1]
		at.real = filepath.Dir(at.real)
		at.host = w.host(at.real)
	}
	return at, nil
}

// openRepository makes the repository around a folder ready.
func (w *Workspace) openRepository(ctx context.Context, roots []root, at place) (*session, error) {
	if w.git == "" {
		return nil, ErrNoGit
	}
	r, err := w.repository(ctx, roots, at.real)
	if err != nil {
		return nil, err
	}
	return w.session(ctx, r)
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
	switch {
	case errors.Is(err, ErrNoGit):
		e.Message = "No git program was found, so changes can't be inspected."
		e.Hint = "Install git, or add its folder to the PATH of the server."
	case errors.Is(err, errNoRepository):
		e.Message = quoted(at.host) + " is not in a git work tree."
		e.Hint = "Name a folder of a git repository under path, or name the files to look at."
	case errors.Is(err, errGitTime):
		e.Code = CodeTooLarge
		e.Message = "The repository at " + quoted(at.host) + " is too large to inspect in " + w.gitTime.String() + "."
		e.Hint = "Name a folder in it under path."
	default:
		e.Message = "git could not inspect " + quoted(at.host) + "."
		e.Hint = "Look whether `git status` works there; the server's log has git's own words."
	}
	return e
}
