package workspace

import (
	"cmp"
	"context"
	slashpath "path"
	"path/filepath"
	"slices"
	"strings"
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

// Find returns the file that a model means by a name: relative to the first work tree or to a named file's, or as the host
// names it, with the prefixes and quotes that models put around names. What is refused everywhere is refused by its name,
// whether it exists or not; anything else that is not in the list is path_denied in one and the same way.
func (s *ReadScope) Find(ctx context.Context, written string) (ReadableFile, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	spellings, err := s.spellings(written)
	if err != nil {
		return ReadableFile{}, err
	}
	if err := s.loadLocked(ctx); err != nil {
		return ReadableFile{}, err
	}
	return s.findLocked(written, spellings)
}

// findLocked is Find by spellings.
func (s *ReadScope) findLocked(written string, spellings []string) (ReadableFile, error) {
	for _, name := range spellings {
		if f, ok := s.known[name]; ok {
			return f, nil
		}
		if f, ok := s.endingInLocked(name); ok {
			return f, nil
		}
		if s.isFolderLocked(name) {
			return ReadableFile{}, invalid(written, quoted(written)+" is a folder.", "List it with list_files, and read files of it.")
		}
	}
	return ReadableFile{}, &Error{
		Code: CodeDenied, Path: written, Message: quoted(written) + " can't be read: " + notInScope + ".",
		Hint: listHint,
	}
}

// Below lists the files below a folder as a model names it, sorted by name; a file stands for itself, and an empty name for
// everything. Whole is false when there are more.
func (s *ReadScope) Below(ctx context.Context, written string) (files []ReadableFile, whole bool, err error) {
	all, whole, err := s.Files(ctx)
	switch strings.Trim(strings.TrimSpace(written), "\"'`") {
	case "", ".", "./", "/":
		return all, whole, err
	}
	if err != nil {
		return nil, false, err
	}
	if f, err := s.Find(ctx, written); err == nil {
		return []ReadableFile{f}, true, nil
	} else if codeOf(err) != CodeInvalid {
		return nil, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	spellings, err := s.spellings(written)
	if err != nil {
		return nil, false, err
	}
	for _, name := range spellings {
		if name == "." {
			return all, whole, nil
		}
		if s.isFolderLocked(name) {
			for _, f := range all {
				if strings.HasPrefix(f.Name, name+"/") {
					files = append(files, f)
				}
			}
			return files, whole, nil
		}
	}
	_, err = s.findLocked(written, spellings)
	return nil, false, err
}

// endingInLocked is the only file of the list whose name ends in a path of two names or more, as where the caller's own
// folder lies below the work tree's top.
func (s *ReadScope) endingInLocked(name string) (found ReadableFile, ok bool) {
	if !strings.Contains(name, "/") || strings.HasPrefix(name, ".") {
		return ReadableFile{}, false
	}
	for _, f := range s.files {
		if strings.HasSuffix(f.Name, "/"+name) {
			if ok {
				return ReadableFile{}, false
			}
			found, ok = f, true
		}
	}
	return found, ok
}

// isFolderLocked reports whether a file of the list lies below a name.
func (s *ReadScope) isFolderLocked(name string) bool {
	if name == "." {
		return len(s.files) > 0
	}
	i, _ := slices.BinarySearchFunc(s.files, name+"/", func(f ReadableFile, name string) int { return strings.Compare(f.Name, name) })
	return i < len(s.files) && strings.HasPrefix(s.files[i].Name, name+"/")
}

// spellings are the names in the list that a name from a model may mean, the likeliest first. A name that is refused
// everywhere is an error.
func (s *ReadScope) spellings(written string) ([]string, error) {
	text := strings.Trim(strings.TrimSpace(written), "\"'`")
	for _, r := range s.named {
		if text != "" && text == r.at.asked {
			return []string{s.nameOf(s.namedFile(r.at))}, nil
		}
	}
	p, err := parsePath(s.w.expandHome(text), s.w.system)
	if err != nil {
		return nil, &Error{
			Code: CodeInvalid, Path: written, Message: "The path " + quoted(written) + " can't be read: " + err.Error() + ".",
			Hint: "Give the path of a file, as list_files shows it.",
		}
	}
	if p.form != relativeForm {
		return s.absoluteSpellings(written, s.w.paths.toLocal(p))
	}
	var names []string
	for _, spelling := range []string{p.raw, strings.ReplaceAll(p.raw, `\`, "/")} {
		name := slashpath.Clean(spelling)
		if why := refusal(path{form: relativeForm, parts: strings.Split(name, "/")}, s.w.system); why != "" {
			return nil, refused(written, why)
		}
		names = append(names, name)
		for _, side := range []string{"a/", "b/"} { // of a diff
			if rest, ok := strings.CutPrefix(name, side); ok {
				names = append(names, rest)
			}
		}
	}
	return names, nil
}

// absoluteSpellings are spellings of an absolute path of ours.
func (s *ReadScope) absoluteSpellings(written string, p path) (names []string, err error) {
	if why := s.w.forbids(p); why != "" {
		return nil, refused(written, why)
	}
	if len(s.trees) > 0 {
		if top, err := parsePath(s.trees[0].top, s.w.system); err == nil {
			if rest, ok := p.under(top, s.w.system.foldsCase()); ok {
				names = append(names, cmp.Or(strings.Join(rest, "/"), "."))
			}
		}
	}
	return append(names, filepath.ToSlash(s.w.paths.toHost(p).String())), nil
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
	return at.ref()
}

// samePath reports whether two absolute paths are the same.
func samePath(a, b path, fold bool) bool {
	rest, ok := a.under(b, fold)
	return ok && len(rest) == 0
}
