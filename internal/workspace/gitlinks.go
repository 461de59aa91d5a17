package workspace

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
)

// repoPartsRead are the parts of a git folder that git follows links in when it resolves names and reads objects. Links
// elsewhere (hooks, lfs, modules) lead to nothing that is read here.
var repoPartsRead = []string{
	"HEAD", "ORIG_HEAD", "FETCH_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_HEAD", "REBASE_HEAD", "AUTO_MERGE",
	"index", "config", "config.worktree", "packed-refs", "shallow", "commondir", "gitdir", "info", "logs", "refs", "reftable",
	"worktrees", "objects",
}

// maxRepoEntries bounds the search for links: files and folders below objects, refs and the rest.
const maxRepoEntries = 1_000_000

// linkSearch looks for the first link or alternate of a repository that leads to a place which may not be read.
type linkSearch struct {
	ctx     context.Context //nolint:containedctx // of one search, which is one call
	allowed func(real string) bool
	seen    map[string]bool // folders, by their real path
	entries int
}

// foreignLink returns the first link or alternate in a repository that leads out of what allowed accepts, "" when there is
// none. It follows allowed links and alternates, since they may hold links of their own.
func foreignLink(ctx context.Context, r repo, allowed func(real string) bool) (string, error) {
	s := &linkSearch{ctx: ctx, allowed: allowed, seen: map[string]bool{}}
	for _, dir := range []string{r.gitDir, r.common} {
		for _, name := range repoPartsRead {
			found, err := s.check(filepath.Join(dir, name))
			if found != "" || err != nil {
				return found, err
			}
		}
		shared, _ := filepath.Glob(filepath.Join(globEscape(dir), "sharedindex.*"))
		for _, name := range shared {
			found, err := s.check(name)
			if found != "" || err != nil {
				return found, err
			}
		}
	}
	return s.alternates(filepath.Join(r.common, "objects"))
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
	if info.IsDir() {
		return s.folder(name)
	}
	return "", nil
}

// follow checks where a link leads, and what is there.
func (s *linkSearch) follow(name string) (string, error) {
	real, _ := resolve(name)
	if !s.allowed(real) {
		return name, nil
	}
	if info, err := os.Lstat(real); err == nil && info.IsDir() {
		return s.folder(real)
	}
	return "", nil
}

// folder checks everything in a folder.
func (s *linkSearch) folder(dir string) (string, error) {
	if real, _ := resolve(dir); s.seen[real] {
		return "", nil
	} else {
		s.seen[real] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", nil //nolint:nilerr // git can't read it either
	}
	if s.entries += len(entries); s.entries > maxRepoEntries {
		return "", errGitTime
	}
	for _, e := range entries {
		if err := context.Cause(s.ctx); err != nil {
			return "", err
		}
		name, found := filepath.Join(dir, e.Name()), ""
		switch {
		case e.Type()&fs.ModeSymlink != 0:
			found, err = s.follow(name)
		case e.IsDir():
			found, err = s.folder(name)
		}
		if found != "" || err != nil {
			return found, err
		}
	}
	return "", nil
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
				real, _ := resolve(name)
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
	info, err := os.Stat(list)
	if err != nil {
		return nil, true
	}
	text, err := readSmall(list)
	if err != nil || int64(len(text)) != info.Size() {
		return nil, false
	}
	real, _ := resolve(objects)
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '"' || strings.ContainsFunc(line, unicode.IsControl) || strings.TrimSpace(line) != line:
			return nil, false
		default:
			named = append(named, below(real, line))
		}
	}
	return named, true
}
