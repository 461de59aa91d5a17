package git

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/exai-mcp/exai-mcp/internal/workspace/realpath"
)

// repoPartsRead are the parts of a git folder that git follows links in when it resolves names and reads objects. Links
// elsewhere (hooks, lfs, modules) lead to nothing that is read here.
var repoPartsRead = []string{
	"HEAD", "ORIG_HEAD", "FETCH_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_HEAD", "REBASE_HEAD", "AUTO_MERGE",
	"index", "config", "config.worktree", "packed-refs", "shallow", "commondir", "gitdir", "info", "logs", "refs", "reftable",
	"worktrees", "objects",
}

// workTreeRead are the files at the top of a work tree that git reads besides those it was asked about.
var workTreeRead = []string{".gitignore", ".gitattributes", ".gitmodules"}

// maxPatterns bounds each of these files, in bytes, as newer versions of git do; older ones read it whole.
const maxPatterns = 100 << 20

// maxRepoEntries bounds the search for links: files and folders below objects, refs and the rest.
const maxRepoEntries = 1_000_000

// linkSearch looks for the first link or alternate of a repository that leads to a place which may not be read. What is no
// file and no folder (a FIFO, a device) counts as such a place: git would wait for it to end.
type linkSearch struct {
	ctx     context.Context //nolint:containedctx // of one search, which is one call
	allowed Allowed
	seen    map[string]bool // folders, by their real path
	entries int
}

// foreignLink returns the first link, alternate or special file in a repository that leads out of what allowed accepts, ""
// when there is none. It follows allowed links and alternates, since they may hold links of their own.
func foreignLink(ctx context.Context, l location, allowed Allowed) (string, error) {
	for _, name := range workTreeRead { // where they are links to elsewhere, git ignores them
		info, err := os.Stat(filepath.Join(l.top, name))
		switch {
		case err != nil:
		case isSpecial(info.Mode()):
			return filepath.Join(l.top, name), nil
		case info.Size() > maxPatterns:
			return "", ErrTooLarge
		}
	}
	s := &linkSearch{ctx: ctx, allowed: allowed, seen: map[string]bool{}}
	for _, dir := range []string{l.gitDir, l.common} {
		for _, name := range repoPartsRead {
			found, err := s.check(filepath.Join(dir, name))
			if found != "" || err != nil {
				return found, err
			}
		}
		found, err := s.shared(dir)
		if found != "" || err != nil {
			return found, err
		}
	}
	return s.alternates(filepath.Join(l.common, "objects"))
}

// check looks at a file or folder and everything below it. What does not exist leads nowhere.
func (s *linkSearch) check(name string) (string, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return "", nil //nolint:nilerr // git can't read it either
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return s.follow(name)
	}
	switch {
	case info.IsDir():
		return s.folder(name)
	case isSpecial(info.Mode()):
		return name, nil
	}
	return "", nil
}

// isSpecial reports whether something is neither a file nor a folder nor a link.
func isSpecial(mode fs.FileMode) bool {
	return !mode.IsRegular() && !mode.IsDir() && mode&fs.ModeSymlink == 0
}

// follow checks where a link leads, and what is there.
func (s *linkSearch) follow(name string) (string, error) {
	real := realpath.Resolve(name)
	if !s.allowed(real) {
		return name, nil
	}
	info, err := os.Lstat(real)
	switch {
	case err != nil:
		return "", nil //nolint:nilerr // git can't read it either
	case info.IsDir():
		return s.folder(real)
	case isSpecial(info.Mode()):
		return name, nil
	}
	return "", nil
}

// folder checks everything in a folder.
func (s *linkSearch) folder(dir string) (string, error) {
	real := realpath.Resolve(dir)
	if s.seen[real] {
		return "", nil
	}
	s.seen[real] = true
	return s.each(dir, func(name string, e fs.DirEntry) (string, error) {
		switch {
		case e.Type()&fs.ModeSymlink != 0:
			return s.follow(name)
		case e.IsDir():
			return s.folder(name)
		case isSpecial(e.Type()):
			return name, nil
		}
		return "", nil
	})
}

// shared checks the shared indexes of a git folder.
func (s *linkSearch) shared(dir string) (string, error) {
	return s.each(dir, func(name string, e fs.DirEntry) (string, error) {
		if e.Type()&fs.ModeSymlink != 0 && strings.HasPrefix(e.Name(), sharedIndexPrefix) {
			return s.follow(name)
		}
		return "", nil
	})
}

// each calls a function with every entry of a folder, until it finds something. What can't be read holds nothing that git
// could read.
func (s *linkSearch) each(dir string, look func(name string, e fs.DirEntry) (string, error)) (string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return "", nil //nolint:nilerr // see above
	}
	defer f.Close()
	for {
		const batch = 512
		entries, end := f.ReadDir(batch)
		for _, e := range entries {
			if err := context.Cause(s.ctx); err != nil {
				return "", err
			}
			if s.entries++; s.entries > maxRepoEntries {
				return "", ErrTooLarge
			}
			if found, err := look(filepath.Join(dir, e.Name()), e); found != "" || err != nil {
				return found, err
			}
		}
		if end != nil {
			return "", nil //nolint:nilerr // see above
		}
	}
}

// maxAlternates is how deep alternates of alternates are followed; git stops at 5.
const maxAlternates = 8

// alternates checks the folders that objects/info/alternates names, and theirs in turn.
func (s *linkSearch) alternates(objects string) (string, error) {
	waiting := []string{objects}
	for depth := 0; len(waiting) > 0; depth++ {
		var next []string
		for _, dir := range waiting {
			list := filepath.Join(dir, "info", "alternates")
			named, ok := readAlternates(dir, list)
			if !ok || depth == maxAlternates && len(named) > 0 {
				return list, nil
			}
			for _, name := range named {
				real := realpath.Resolve(name)
				if !s.allowed(real) {
					return list, nil
				}
				if found, err := s.folder(real); found != "" || err != nil {
					return found, err
				}
				next = append(next, real)
			}
		}
		waiting = next
	}
	return "", nil
}

// readAlternates returns the object folders that an alternates file names, as git reads it: one a line, word for word,
// relative to the objects folder. It returns false for a file that git may read in another way than we do: a quoted or
// unusual name, or a file that is not small and regular.
func readAlternates(objects, list string) (named []string, ok bool) {
	text, err := realpath.ReadSmall(list, maxSmallFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true
	}
	if err != nil {
		return nil, false
	}
	real := realpath.Resolve(objects)
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '"' || strings.ContainsFunc(line, unicode.IsControl) || strings.TrimSpace(line) != line:
			return nil, false
		default:
			named = append(named, absolute(real, line))
		}
	}
	return named, true
}
