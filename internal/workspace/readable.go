package workspace

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
)

// ReadScope is what a model may read by itself: the files that a caller named and, where it is so configured, what git tracks in
// the work trees that hold them. A name from a model is matched against the list of these files, and never looked up; what it
// matches passes the checks of every other path besides. It is safe for concurrent use.
//
// Files have their path relative to the first work tree, with slashes; those of others their host's path.
type ReadScope struct {
	w     *Workspace
	named []Ref
	trees []*readableTree
	base  string

	mu    sync.Mutex // held while the list is made
	known map[string]ReadableFile
	files []ReadableFile // of known, sorted by name
	whole bool
}

// readableTree is a work tree that holds a file of the scope.
type readableTree struct {
	top     string // resolved
	tracked bool   // its tracked files belong to the scope
}

// ReadableFile is a file of a scope.
type ReadableFile struct {
	Name string // as the model knows it
	Path string // as the host names it

	tree *readableTree // nil for a named file outside of git
	rel  string        // from the tree's top, with slashes
	file git.File
	ref  *Ref // of a named file
}

// notInScope is why a scope lacks a file.
const notInScope = "it is not among the files that may be read here"

// What a model is told to do instead.
const (
	listHint    = "List what may be read with list_files."
	historyHint = "Take a commit from git_history."
)

// ReadQuery says what a scope is made of.
type ReadQuery struct {
	Refs []Ref // files and folders that the caller named, or that have changed
	// Around are files and folders that say which work trees are meant besides. Without any, and without Refs, it is the first
	// root's.
	Around  []Ref
	Tracked bool   // what git tracks in these work trees may be read too
	Base    string // a commit whose history may be read beside that of HEAD, "" for none
}

// ReadScope makes a scope. It reads nothing but where the work trees begin.
func (w *Workspace) ReadScope(ctx context.Context, q ReadQuery) *ReadScope {
	s, tracked := &ReadScope{w: w, named: q.Refs, base: q.Base}, q.Tracked
	refs := slices.Concat(q.Refs, q.Around)
	add := func(dir string) {
		top, ok := git.WorkTree(dir)
		if ok && !slices.ContainsFunc(s.trees, func(t *readableTree) bool { return t.top == top }) {
			s.trees = append(s.trees, &readableTree{top: top, tracked: tracked && w.git.Program != ""})
		}
	}
	for _, r := range refs {
		if r.IsFolder() {
			add(r.at.real)
		} else {
			add(filepath.Dir(r.at.real))
		}
	}
	if first, ok := w.first(ctx); ok && len(refs) == 0 && tracked {
		add(first.real)
	}
	return s
}

// Empty reports whether there is nothing to read. It reads nothing itself.
func (s *ReadScope) Empty() bool {
	return len(s.named) == 0 && !s.HasHistory()
}

// HasHistory reports whether there is a work tree whose history may be read.
func (s *ReadScope) HasHistory() bool {
	return slices.ContainsFunc(s.trees, func(t *readableTree) bool { return t.tracked })
}

// Files lists the files that may be read, sorted by name. Whole is false when there are more. The slice is shared.
func (s *ReadScope) Files(ctx context.Context) (files []ReadableFile, whole bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.loadLocked(ctx); err != nil {
		return nil, false, err
	}
	return s.files, s.whole, nil
}

// loadLocked makes the list. A repository that can't be read leaves the named files.
func (s *ReadScope) loadLocked(ctx context.Context) error {
	if s.known != nil {
		return nil
	}
	known, whole := map[string]ReadableFile{}, true
	roots := s.w.roots(ctx)
	for _, tree := range s.trees {
		if !tree.tracked {
			continue
		}
		files, all, err := s.w.trackedFiles(ctx, tree.top, roots)
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err != nil {
			s.w.log.Info("git could not list what it tracks, so only named files may be read",
				zap.String("repository", s.w.host(tree.top)), zap.Error(err))
			whole = false
			continue
		}
		whole = whole && all
		for _, f := range files {
			if host, err := s.w.admits(roots, tree.top, f.Name); err == nil {
				s.put(known, ReadableFile{Path: host, tree: tree, rel: f.Name, file: f})
			}
		}
	}
	items, left, err := s.w.expand(ctx, s.named, maxFiles)
	if err != nil {
		return err
	}
	for _, it := range items {
		s.put(known, s.namedFile(it.at))
	}
	whole = whole && !slices.ContainsFunc(left, func(e Entry) bool { return e.Code == "" })
	s.dropLinks(known, roots)
	s.known, s.whole = known, whole
	for _, f := range known {
		s.files = append(s.files, f)
	}
	slices.SortFunc(s.files, func(a, b ReadableFile) int { return cmp.Compare(a.Name, b.Name) })
	return nil
}

// dropLinks leaves out the links that git tracks and that lead elsewhere than to a file of the scope.
func (s *ReadScope) dropLinks(known map[string]ReadableFile, roots []root) {
	inside := map[string]bool{}
	for _, f := range known {
		if !f.file.Link() || f.ref != nil {
			inside[f.Path] = true
		}
	}
	for name, f := range known {
		if !f.file.Link() || f.ref != nil {
			continue
		}
		full, err := parsePath(filepath.Join(f.tree.top, filepath.FromSlash(f.rel)), s.w.system)
		if err == nil {
			var at place
			if at, err = s.w.locate(roots, f.Name, full); err == nil && inside[at.host] {
				continue
			}
		}
		delete(known, name)
	}
}

// put adds a file under the name that the model knows it by.
func (s *ReadScope) put(known map[string]ReadableFile, f ReadableFile) {
	f.Name = s.nameOf(f)
	if have, ok := known[f.Name]; ok {
		f.file = have.file
	}
	known[f.Name] = f
}

// nameOf is the name that the model knows a file by.
func (s *ReadScope) nameOf(f ReadableFile) string {
	if f.tree != nil && f.tree == s.trees[0] {
		return f.rel
	}
	return filepath.ToSlash(f.Path)
}

// namedFile is a file that the caller named, or that lies in a folder which it named.
func (s *ReadScope) namedFile(at place) ReadableFile {
	f := ReadableFile{Path: at.host, ref: &Ref{at: at}}
	for _, tree := range s.trees {
		if rel, err := filepath.Rel(tree.top, at.real); err == nil && filepath.IsLocal(rel) {
			f.tree, f.rel = tree, filepath.ToSlash(rel)
			break
		}
	}
	return f
}

// trackedFiles lists what git tracks in a work tree.
func (w *Workspace) trackedFiles(ctx context.Context, top string, roots []root) (files []git.File, whole bool, err error) {
	ctx, cancel := w.gitContext(ctx)
	defer cancel()
	r, err := w.git.Open(ctx, top, w.inRoots(roots))
	if err != nil {
		return nil, false, err
	}
	defer r.Close()
	return r.Tracked(ctx)
}

// Ref checks a file of the scope as every path is checked. A link must lead to a file of the scope.
func (s *ReadScope) Ref(ctx context.Context, f ReadableFile) (Ref, error) {
	if f.file.Submodule() {
		return Ref{}, invalid(f.Name, quoted(f.Name)+" is a submodule, another repository.", "Say in the answer that it was not read.")
	}
	if f.ref != nil {
		return f.ref.at.ref()
	}
	roots := s.w.roots(ctx)
	full, err := parsePath(filepath.Join(f.tree.top, filepath.FromSlash(f.rel)), s.w.system)
	if err != nil {
		return Ref{}, invalid(f.Name, "The path "+quoted(f.Name)+" can't be read.", listHint)
	}
	at, err := s.w.locate(roots, f.Name, full)
	if err != nil {
		return Ref{}, err
	}
	if real, err := parsePath(at.real, s.w.system); err != nil || !samePath(real, full, s.w.system.foldsCase()) {
		s.mu.Lock()
		known := slices.ContainsFunc(s.files, func(other ReadableFile) bool { return other.Path == at.host })
		s.mu.Unlock()
		if !known {
			return Ref{}, &Error{
				Code: CodeDenied, Path: f.Name, Hint: listHint,
				Message: quoted(f.Name) + " is a link, and what it leads to can't be read: " + notInScope + ".",
			}
		}
	}
	ref, err := at.ref()
	if codeOf(err) == CodeNotFound {
		return Ref{}, &Error{
			Code: CodeNotFound, Path: f.Name, Message: quoted(f.Name) + " is tracked, but not in the work tree: it was deleted, or is left out of a sparse checkout.",
			Hint: "Read it with git_show at HEAD.",
		}
	}
	return ref, err
}

// samePath reports whether two absolute paths are the same.
func samePath(a, b path, fold bool) bool {
	rest, ok := a.under(b, fold)
	return ok && len(rest) == 0
}
