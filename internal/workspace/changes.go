package workspace

import (
	"context"
	"os"
	slashpath "path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
)

// ChangedFile is a file that a repository's diffs change, and what a reader must have seen to know the change.
type ChangedFile struct {
	Path           string // as the host names it
	From           string // its old name where it was renamed, as the host names it; else Path
	Added, Removed []Span // lines of the new side, and of the old one
	// Skipped says why the change is not worth a review: lock file, generated, minified, binary. "" where it is.
	Skipped string
	// Unread says why its changed lines are not, or not all, in Added and Removed; "" where they are.
	Unread string
	// Current: the file in the work tree is the diffs' new side.
	Current bool
	New     bool // the file is not on the old side
}

// changed is the report's entry of a changed file.
func (i *inspection) changed(host string) *ChangedFile {
	at, ok := i.changedAt[host]
	if !ok {
		at = len(i.report.Changed)
		i.changedAt[host] = at
		i.report.Changed = append(i.report.Changed, ChangedFile{Path: host, From: host})
	}
	return &i.report.Changed[at]
}

// unread notes a changed file whose diff is not given.
func (i *inspection) unread(e Entry) {
	i.changed(e.Path).Unread = e.Reason
	i.leaveOut(e)
}

// skip notes a changed file that is not worth a review.
func (i *inspection) skip(host, part, why string) {
	i.changed(host).Skipped = why
	i.leaveOut(Entry{Path: host, Part: part, Reason: why})
}

// set sets a file's diff aside until the budget is shared.
func (i *inspection) set(p repoPart, from string, shown patch) {
	c := i.changed(p.host)
	c.Added, c.Removed = append(c.Added, shown.added...), append(c.Removed, shown.removed...)
	if from != "" {
		c.From = from
	}
	if p.cut {
		c.Unread = "its diff is too long to be read whole"
	}
	p.text, p.bare = shown.text, len(shown.added)+len(shown.removed) == 0
	i.parts = append(i.parts, p)
}

// markCurrent finds the changed files of a repository that are, in the work tree, what the diffs have as their new side.
func (i *inspection) markCurrent(ctx context.Context, s *git.Repository, diffs []git.Diff) error {
	other := map[string]bool{}
	if side, ok := newSide(diffs); ok {
		differ, whole, err := s.Names(ctx, side, ".")
		if err != nil || !whole {
			return err
		}
		for _, p := range differ {
			other[i.w.host(filepath.Join(s.Top, filepath.FromSlash(p.Name)))] = true
		}
	}
	top := i.w.host(s.Top)
	for n := range i.report.Changed {
		c := &i.report.Changed[n]
		name, below := strings.CutPrefix(c.Path, top)
		if !below || other[c.Path] {
			continue
		}
		info, err := os.Lstat(filepath.Join(s.Top, filepath.FromSlash(name)))
		c.Current = err == nil && info.Mode().IsRegular()
	}
	return nil
}

// newSide is the diff between the new side of some diffs and the work tree, false where these are the same.
func newSide(diffs []git.Diff) (git.Diff, bool) {
	if len(diffs) != 1 {
		return git.Diff{}, false // staged and unstaged changes: the work tree has both
	}
	args := diffs[0].Args
	switch {
	case len(args) > 0 && args[0] == "--cached":
		return git.Diff{}, true
	case len(args) == 2:
		return git.Diff{Args: args[1:]}, true
	}
	return git.Diff{}, false
}

// lockFiles are the files in which package managers write down what they chose.
var lockFiles = []string{
	"package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb", "deno.lock", "go.sum", "go.work.sum",
	"cargo.lock", "poetry.lock", "uv.lock", "pdm.lock", "pipfile.lock", "conda-lock.yml", "pixi.lock", "gemfile.lock", "composer.lock",
	"mix.lock", "pubspec.lock", "podfile.lock", "package.resolved", "cartfile.resolved", "packages.lock.json", "paket.lock",
	"gradle.lockfile", "flake.lock", ".terraform.lock.hcl", "conan.lock", "stack.yaml.lock", "cabal.project.freeze", "chart.lock",
}

// maxReadableLine is the longest line, in bytes, of a script or style sheet that somebody wrote.
const maxReadableLine = 5_000

// skipReason says why a changed file is not worth a review by its name, "" where it is.
func skipReason(name string, generated map[string]bool) string {
	base := strings.ToLower(slashpath.Base(name))
	switch {
	case slices.Contains(lockFiles, base):
		return "lock file"
	case generated[name]:
		return "generated"
	case strings.Contains(base, ".min.") || strings.HasSuffix(base, ".js.map") || strings.HasSuffix(base, ".css.map"):
		return "minified"
	}
	return ""
}

// minified reports whether a script or style sheet has a line that nobody wrote.
func minified(name, text string) bool {
	switch strings.ToLower(slashpath.Ext(name)) {
	case ".js", ".mjs", ".cjs", ".css":
	default:
		return false
	}
	for line := range strings.Lines(text) {
		if len(line) > maxReadableLine {
			return true
		}
	}
	return false
}
