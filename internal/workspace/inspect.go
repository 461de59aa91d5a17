package workspace

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
)

// GitQuery says what Inspect looks at.
type GitQuery struct {
	Path      string // a folder or file; "" is the first root
	CompareTo string // a branch, tag or commit, or a range A..B; "" compares with HEAD and the index
	Staged    bool   // what is in the index
	Unstaged  bool   // what is in the work tree alone
	Tokens    int    // for everything together
}

// GitReport is what Inspect found. Attachments hold one text for each repository with a change: its status and its diffs.
type GitReport struct {
	Repositories []Repository              `json:"repositories"`
	Attachments  []conversation.Attachment `json:"-"`
	Manifest     Manifest                  `json:"manifest"`
	Changed      []ChangedFile             `json:"-"` // in the order in which they were found
}

// Repository is one repository's state.
type Repository struct {
	Path        string   `json:"path"`             // the work tree's top folder, as the host names it
	Branch      string   `json:"branch,omitempty"` // "" when HEAD is detached
	Head        string   `json:"head,omitempty"`   // "" before the first commit
	CompareTo   string   `json:"compare_to,omitempty"`
	Base        string   `json:"base,omitempty"` // the commit that CompareTo and HEAD have in common: what is compared with
	Changes     []Change `json:"changes"`
	MoreChanges bool     `json:"more_changes,omitempty"` // Changes is not all
	Problem     string   `json:"problem,omitempty"`      // why there is no diff

	subjects []string // of the last commits
}

// Change is one line of a repository's status.
type Change struct {
	Path string `json:"path"`           // as the host names it
	From string `json:"from,omitempty"` // where a renamed or copied file came from
	// State is git's two letters: the index against HEAD, the work tree against the index ("M ", " M", "??", "UU" ...).
	State string `json:"state"`

	name string // relative to the work tree's top, with slashes
}

const (
	maxRepos    = 20
	reposDepth  = 5
	reposWalked = 20_000 // folders
	statusShown = 300    // lines of status in the text
	lastCommits = 5      // whose subjects are shown
	mimeDiff    = "text/x-diff"
	diffStaged  = "staged" // the name of the index's diff
)

// Inspect looks at the repositories of a folder: the one that it lies in and those below it, five levels deep. With
// Unstaged, files that git does not know yet count as changes that add them. It reads only, and runs nothing that a repository's configuration names. Files that are refused or lie outside of the roots are
// cut from every diff and named in the manifest; secrets are masked in what is left.
func (w *Workspace) Inspect(ctx context.Context, q GitQuery) (*GitReport, error) {
	at, err := w.folder(ctx, q.Path)
	if err != nil {
		return nil, err
	}
	if w.git.Program == "" {
		return nil, w.gitError(ctx, at, git.ErrNoProgram)
	}
	limited, cancel := w.gitContext(ctx)
	defer cancel()
	roots := w.roots(ctx)
	tops := []string{at.real}
	if w.scope == nil {
		tops, err = w.findRepositories(limited, at)
	}
	if err != nil {
		return nil, w.gitError(ctx, at, err)
	}
	i := inspection{w: w, roots: roots, query: q, report: &GitReport{}, changedAt: map[string]int{}}
	var failure error
	for _, dir := range tops {
		before := i.mark()
		if err := i.inspectRepository(limited, dir, at); err != nil {
			if cause := context.Cause(limited); cause != nil {
				return nil, w.gitError(ctx, at, cause)
			}
			if RefusesSecret(err) {
				return nil, err
			}
			failure = err
			w.log.Info("git could not inspect a repository", zap.String("repository", w.host(dir)), zap.Error(err))
			// What may hold changes is not read: the repository that was asked for, or one of which it is known.
			missing := dir == at.real || len(i.report.Repositories) > before.repositories
			i.takeBack(before)
			problem := failed(w.host(dir), w.gitError(ctx, at, err))
			i.report.Repositories = append(i.report.Repositories, Repository{Path: problem.Path, Problem: problem.Reason})
			if missing {
				i.unread(problem)
			}
		}
	}
	if failure != nil && !anyInspected(i.report.Repositories) {
		return nil, w.gitError(ctx, at, failure)
	}
	i.share()
	return i.report, nil
}

func anyInspected(repos []Repository) bool {
	return slices.ContainsFunc(repos, func(r Repository) bool { return r.Problem == "" })
}

// findRepositories finds the work trees of a folder, by any folder in each: the folder itself for the one around it.
func (w *Workspace) findRepositories(ctx context.Context, at place) ([]string, error) {
	var found []string
	if _, ok := git.WorkTree(at.real); ok {
		found = append(found, at.real)
	}
	dir, err := at.openRoot()
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	walked := 0
	err = fs.WalkDir(dir.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err != nil || !entry.IsDir() {
			return nil //nolint:nilerr // what can't be read has no repository for us
		}
		if name == "." {
			return nil
		}
		if walked++; walked > reposWalked || len(found) >= maxRepos {
			return fs.SkipAll
		}
		full := filepath.Join(at.real, filepath.FromSlash(name))
		if top, ok := git.WorkTree(full); ok && top == full {
			found = append(found, full)
		}
		if skipped(entry.Name()) || strings.Count(name, "/")+1 >= reposDepth {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, git.ErrNoRepository
	}
	return found, nil
}

// inspection is the state of one Inspect.
type inspection struct {
	w      *Workspace
	roots  []root
	query  GitQuery
	report *GitReport
	parts  []repoPart

	changedAt map[string]int // where in report.Changed a path is
}

// found is how much an inspection has found.
type found struct{ repositories, changed, leftOut, parts int }

func (i *inspection) mark() found {
	return found{len(i.report.Repositories), len(i.report.Changed), len(i.report.Manifest.LeftOut), len(i.parts)}
}

// takeBack removes what was found since in a repository that could not be read to the end: what was not found is missing from it.
func (i *inspection) takeBack(to found) {
	for _, c := range i.report.Changed[to.changed:] {
		delete(i.changedAt, c.Path)
	}
	i.report.Repositories, i.report.Changed = i.report.Repositories[:to.repositories], i.report.Changed[:to.changed]
	i.report.Manifest.LeftOut, i.parts = i.report.Manifest.LeftOut[:to.leftOut], i.parts[:to.parts]
}

// repoPart is a part of a repository's diff that waits for its share of the budget.
type repoPart struct {
	name string // relative to the work tree's top
	text string
	cut  bool // text is only the beginning
	bare bool // it changes no line
	repo int  // index in the report

	charset string // "" for UTF-8
	of      string
	host    string
	size    int64 // of the whole, where text is only its beginning
}

// inspectRepository inspects one repository.
func (i *inspection) inspectRepository(ctx context.Context, dir string, at place) error {
	s, err := i.w.git.Open(ctx, dir, i.w.inRoots(i.roots))
	if err != nil {
		return err
	}
	defer s.Close()
	below, err := filepath.Rel(s.Top, at.real)
	if err != nil || !filepath.IsLocal(below) {
		below = "." // the repository lies below the folder that was asked for
	}
	below = filepath.ToSlash(below)
	found := Repository{Path: i.w.host(s.Top), Branch: s.Branch, Head: s.Head}
	diffs, err := i.diffs(ctx, s, &found)
	if err != nil {
		return err
	}
	changes, whole, err := i.changes(ctx, s, diffs, below)
	if err != nil {
		return err
	}
	found.MoreChanges = !whole
	for _, c := range changes {
		if !i.w.scoped(c.Name) {
			continue
		}
		shown := Change{Path: i.w.host(filepath.Join(s.Top, filepath.FromSlash(c.Name))), State: c.State, name: c.Name}
		if c.From != "" {
			shown.From = i.w.host(filepath.Join(s.Top, filepath.FromSlash(c.From)))
		}
		found.Changes = append(found.Changes, shown)
	}
	if s.Head != "" {
		last, err := s.Log(ctx, s.Head, ".", lastCommits)
		if err != nil && !errors.Is(err, git.ErrPartial) { // a review needs no subjects
			return err
		}
		for _, c := range last {
			found.subjects = append(found.subjects, c.Subject)
		}
	}
	i.report.Repositories = append(i.report.Repositories, found)
	for _, d := range diffs {
		if err := i.collect(ctx, s, d, below); err != nil {
			return err
		}
	}
	if _, _, _, isRange := cutRange(i.query.CompareTo); !isRange && i.query.Unstaged {
		if err := i.untracked(ctx, s, found.Changes); err != nil {
			return err
		}
	}
	return i.markCurrent(ctx, s, diffs)
}

// changes lists what is changed: of a comparison of commits what differs between them, else git's status.
func (i *inspection) changes(ctx context.Context, s *git.Repository, diffs []git.Diff, below string) ([]git.Change, bool, error) {
	if i.query.CompareTo == "" || len(diffs) != 1 || len(diffs[0].Args) != 2 || diffs[0].Args[0] == "--cached" {
		return s.Status(ctx, below)
	}
	parts, whole, err := s.Names(ctx, diffs[0], below)
	var changes []git.Change
	for _, p := range parts {
		changes = append(changes, git.Change{State: string(p.State) + " ", Name: p.Name, From: p.From})
	}
	return changes, whole, err
}

// diffs says which diffs the query means in a repository.
func (i *inspection) diffs(ctx context.Context, s *git.Repository, found *Repository) ([]git.Diff, error) {
	q := i.query
	if q.CompareTo == "" {
		var diffs []git.Diff
		if q.Staged {
			diffs = append(diffs, git.Diff{Name: diffStaged, Args: []string{"--cached"}})
		}
		if q.Unstaged {
			diffs = append(diffs, git.Diff{Name: "unstaged"})
		}
		return diffs, nil
	}
	from, to, common, isRange := cutRange(q.CompareTo)
	commit, err := s.Side(ctx, from)
	tip := s.Head
	if isRange && err == nil {
		tip, err = s.Commit(ctx, to)
	}
	if err != nil || tip == "" {
		return nil, &Error{
			Code: CodeInvalid, Path: found.Path, Err: err,
			Message: "compare_to " + quoted(q.CompareTo) + " names no commit in " + quoted(found.Path) + ".",
			Hint:    "Give a branch, a tag, a commit or a range A..B of that repository, or leave compare_to out.",
		}
	}
	if isRange {
		if common {
			commit = s.MergeBase(ctx, commit, tip)
		}
		found.CompareTo, found.Base = q.CompareTo, commit
		return []git.Diff{{Name: q.CompareTo, Args: []string{commit, tip}}}, nil
	}
	found.CompareTo, found.Base = q.CompareTo, s.MergeBase(ctx, commit, s.Head)
	d := git.Diff{Name: "against " + q.CompareTo, Args: []string{found.Base}}
	switch {
	case q.Unstaged: // against the work tree, which holds what is staged too
	case q.Staged:
		d.Args = []string{"--cached", found.Base}
	default:
		d.Args = []string{found.Base, s.Head}
	}
	return []git.Diff{d}, nil
}
