package workspace

import (
	"cmp"
	"context"
	slashpath "path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
)

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
	for _, f := range s.files { // a name that can't be printed is listed with escapes
		if printed := conversation.Printable(f.Name); printed != f.Name && slices.Contains(spellings, printed) {
			return f, nil
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
