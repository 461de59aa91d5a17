package workspace

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
	"github.com/exai-mcp/exai-mcp/internal/workspace/realpath"
)

// The sources that a root can come from, as messages name them.
const (
	SourceClient       = "client"
	SourceAllowedRoots = "EXAI_ALLOWED_ROOTS"
	SourceTestFilesDir = "TEST_FILES_DIR"
	SourceProjectDir   = "CLAUDE_PROJECT_DIR"
	SourceWorkingDir   = "working directory"
)

// Root is a folder that may be read, for status, doctor and hints.
type Root struct {
	Path    string `json:"path"` // as the host names it
	Source  string `json:"source"`
	Problem string `json:"problem,omitempty"` // why it can't be used
}

// candidate is a root as somebody wrote it.
type candidate struct{ name, source string }

// root is a candidate that was resolved. One with a problem contains nothing.
type root struct {
	Root
	candidate
	real string // absolute, without links
	path path   // real, parsed
}

// Outside reports whether another root could make one of the paths readable: it lies outside every root, or it is relative
// and in none of them while the client has named none.
func (w *Workspace) Outside(ctx context.Context, paths []string) bool {
	_, told := w.clientRoots(ctx)
	return slices.ContainsFunc(paths, func(written string) bool {
		p, err := parsePath(w.expandHome(written), w.system)
		if err != nil || p.form == relativeForm && told {
			return false
		}
		_, err = w.named(ctx, written)
		e, failed := asError(err)
		return failed && (e.outside || p.form == relativeForm && e.Code == CodeNotFound)
	})
}

// Roots describes all roots in the order in which relative paths are looked up in them, the unusable ones included.
func (w *Workspace) Roots(ctx context.Context) []Root {
	var out []Root
	for _, r := range w.roots(ctx) {
		out = append(out, r.Root)
	}
	return out
}

// FirstRoot is the first usable root as the host names it, "" when there is none.
func (w *Workspace) FirstRoot(ctx context.Context) string {
	if r, ok := w.first(ctx); ok {
		return r.Path
	}
	return ""
}

func (w *Workspace) first(ctx context.Context) (root, bool) {
	for _, r := range w.roots(ctx) {
		if r.Problem == "" {
			return r, true
		}
	}
	return root{}, false
}

// roots resolves the candidates once, and again when the client's roots changed. One with a problem is tried again, since
// its folder may have been made meanwhile.
func (w *Workspace) roots(ctx context.Context) []root {
	names, _ := w.clientRoots(ctx)
	key := strings.Join(names, "\x00")

	w.mu.Lock()
	defer w.mu.Unlock()
	if w.resolved == nil || key != w.known {
		var candidates []candidate
		for _, name := range names {
			candidates = append(candidates, candidate{name, SourceClient})
		}
		w.known, w.resolved = key, w.resolveRoots(append(candidates, w.fixed...))
		for _, r := range w.resolved {
			if r.Problem != "" {
				w.log.Warn("a root can't be used", zap.String("root", r.Path), zap.String("source", r.Source), zap.String("problem", r.Problem))
			}
		}
		return w.resolved
	}
	for i, r := range w.resolved {
		if r.Problem == "" {
			continue
		}
		if again := w.resolveRoot(r.candidate); again.Problem == "" && (r.source == SourceAllowedRoots || !w.holdsHome(again.real)) {
			w.resolved = slices.Clone(w.resolved) // earlier callers hold the old slice
			w.resolved[i] = again
		}
	}
	return w.resolved
}

// clientRoots are the roots that the client has named; told is false when it has named none.
func (w *Workspace) clientRoots(ctx context.Context) (names []string, told bool) {
	if w.client == nil {
		return nil, false
	}
	waiting, cancel := context.WithTimeout(ctx, rootsWait)
	defer cancel()
	if names, told = w.client.Roots(waiting); !told {
		return nil, false
	}
	return names, true
}

// resolveRoots resolves candidates in order and keeps each folder once.
func (w *Workspace) resolveRoots(candidates []candidate) []root {
	resolved := []root{}
	allowed := map[string]bool{} // the real paths that the user named
	for _, c := range w.fixed {
		if r := w.resolveRoot(c); c.source == SourceAllowedRoots && r.Problem == "" {
			allowed[r.real] = true
		}
	}
	for _, c := range candidates {
		r := w.resolveRoot(c)
		if r.Problem == "" && !allowed[r.real] && w.holdsHome(r.real) {
			r.Problem = "it is the home folder, or contains it: only EXAI_ALLOWED_ROOTS can allow that"
		}
		known := slices.ContainsFunc(resolved, func(o root) bool { return o.Problem == "" && o.real == r.real })
		if r.Problem != "" || !known {
			resolved = append(resolved, r)
		}
	}
	return resolved
}

func (w *Workspace) resolveRoot(c candidate) root {
	r := root{candidate: c, Root: Root{Path: strings.ToValidUTF8(c.name, "\uFFFD"), Source: c.source}}
	p, err := parsePath(w.expandHome(c.name), w.system)
	if err != nil {
		r.Problem = err.Error()
		return r
	}
	if p.form == relativeForm {
		if p, err = parsePath(filepath.Join(w.cwd, p.raw), w.system); err != nil {
			r.Problem = err.Error()
			return r
		}
	}
	p = w.paths.toLocal(p)
	if p.form != nativeForm(w.system) {
		r.Problem = "it is a path of another system: map it by EXAI_PATH_MAP"
		return r
	}
	real, err := filepath.EvalSymlinks(p.String())
	if err != nil {
		r.Problem = "it does not exist, or can't be read"
		if len(w.paths) == 0 && c.source == SourceClient {
			r.Problem += " (in a container, set EXAI_PATH_MAP)"
		}
		return r
	}
	r.Path = w.host(real)
	if info, err := os.Stat(real); err != nil || !info.IsDir() {
		r.Problem = "it is no folder"
		return r
	}
	if r.path, err = parsePath(real, w.system); err != nil {
		r.Problem = err.Error()
		return r
	}
	r.real = r.path.String()
	if why := w.forbids(r.path); why != "" {
		r.Problem = why
	}
	return r
}

// forbids says why a resolved path may not be read wherever the roots are, "" when it may.
func (w *Workspace) forbids(p path) string {
	if w.isOwn(p) {
		return "it belongs to the server's own state (EXAI_STATE_DIR) and logs"
	}
	return refusal(p, w.system)
}

// containing is the longest root that a resolved path lies in, and the names below it.
func (w *Workspace) containing(roots []root, p path) (root, []string, bool) {
	var best root
	var below []string
	found := false
	for _, r := range roots {
		if r.Problem != "" {
			continue
		}
		rest, ok := p.under(r.path, w.system.foldsCase())
		if ok && (!found || len(r.path.parts) > len(best.path.parts)) {
			best, below, found = r, rest, true
		}
	}
	return best, below, found
}

// rootsHint says which folders may be read and how to add one.
func rootsHint(roots []root) string {
	var names []string
	for _, r := range roots {
		if r.Problem == "" {
			names = append(names, quoted(r.Path)+" ("+r.Source+")")
		}
	}
	if len(names) == 0 {
		return "No folder may be read yet: add this file's folder to EXAI_ALLOWED_ROOTS, or open it as a root in your client."
	}
	const most = 8
	more := ""
	if len(names) > most {
		names, more = names[:most], ", ..."
	}
	return "Allowed: " + strings.Join(names, ", ") + more + ". Add another folder to EXAI_ALLOWED_ROOTS, or open it as a root in your client."
}

// holdsHome reports whether a resolved folder is the user's home folder or contains it: clients start servers in "/" and
// in the home folder itself, which nobody meant to share, even where it is a git work tree.
func (w *Workspace) holdsHome(real string) bool {
	home := realHome(w.home)
	return home != "" && realpath.IsBelow(real, home)
}

// realHome is the resolved home folder, "" when there is none: a container's user may have "/" there, which is no one's.
func realHome(home string) string {
	if home == "" {
		return ""
	}
	real, err := filepath.EvalSymlinks(home)
	if err != nil || filepath.Dir(real) == real {
		return ""
	}
	return real
}

// mayBeRoot reports whether the working directory counts as a root: in a git work tree, or strictly below the home folder,
// and not the home folder itself or a parent of it.
func mayBeRoot(cwd, home string) bool {
	real, err := filepath.EvalSymlinks(cwd)
	if err != nil {
		return false
	}
	if home := realHome(home); home != "" {
		if realpath.IsBelow(real, home) {
			return false
		}
		if realpath.IsBelow(home, real) {
			return true
		}
	}
	_, ok := git.WorkTree(real)
	return ok && filepath.Dir(real) != real
}

// expandHome replaces a leading "~".
func (w *Workspace) expandHome(name string) string {
	if w.home == "" || !strings.HasPrefix(name, "~") {
		return name
	}
	if name == "~" || isSeparator(name[1]) {
		return filepath.Join(w.home, name[1:])
	}
	return name
}
