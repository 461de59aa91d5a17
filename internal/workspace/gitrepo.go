package workspace

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// repo is a repository with a work tree.
type repo struct {
	top    string // the work tree's top folder
	gitDir string // HEAD and index: top/.git, or elsewhere for linked work trees and submodules
	common string // objects, refs and config: gitDir, or the main repository's for linked work trees
}

// workTree finds the work tree that a resolved folder lies in, by its .git.
func workTree(dir string) (top string, ok bool) {
	for {
		dotGit := filepath.Join(dir, ".git")
		if info, err := os.Stat(dotGit); err == nil {
			if info.IsDir() && exists(filepath.Join(dotGit, "HEAD")) {
				return dir, true
			}
			if info.Mode().IsRegular() {
				if text, err := readSmall(dotGit); err == nil && strings.HasPrefix(text, "gitdir:") {
					return dir, true
				}
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// readSmall reads one of git's own small files, of any other kind or size nothing.
func readSmall(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", os.ErrInvalid
	}
	f, err := os.OpenFile(name, openFlags, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	const most = 256 << 10
	data, err := io.ReadAll(io.LimitReader(f, most))
	return string(data), err
}

// repository finds the repository that a resolved folder lies in. One whose .git leads out of the roots into something
// that does not know this work tree is refused: its content would be shown as changes.
func (w *Workspace) repository(ctx context.Context, roots []root, dir string) (repo, error) {
	top, ok := workTree(dir)
	if !ok {
		return repo{}, errNoRepository
	}
	dotGit := filepath.Join(top, ".git")
	gitDir := dotGit
	if info, err := os.Stat(dotGit); err == nil && !info.IsDir() {
		text, err := readSmall(dotGit)
		if err != nil {
			return repo{}, systemError(w.host(top), err)
		}
		gitDir = below(top, strings.TrimSpace(strings.TrimPrefix(text, "gitdir:")))
	}
	r := repo{top: top}
	r.gitDir, _ = resolve(gitDir)
	r.common = r.gitDir
	if text, err := readSmall(filepath.Join(r.gitDir, "commondir")); err == nil {
		r.common, _ = resolve(below(r.gitDir, strings.TrimSpace(text)))
	}
	return r, w.checkRepository(ctx, roots, r, dotGit)
}

// checkRepository refuses a repository that could show another one's content as its own. Its git folder and common folder
// must lie in the roots, be the folder .git of this work tree, or name this work tree as theirs; every link and alternate
// in them must stay in these folders or in the roots.
func (w *Workspace) checkRepository(ctx context.Context, roots []root, r repo, dotGit string) error {
	inRoots := func(name string) bool {
		p, err := parsePath(name, w.system)
		if err != nil {
			return false
		}
		_, _, ok := w.containing(roots, p)
		return ok
	}
	own := r.gitDir == dotGit
	linked := !own && w.claims(ctx, r, dotGit)
	if !own && !linked && !inRoots(r.gitDir) {
		return w.foreign(r, dotGit)
	}
	// The common folder of a linked work tree is the one that its git folder lies in.
	ofWorktree := linked && filepath.Dir(r.gitDir) == filepath.Join(r.common, "worktrees")
	if r.common != r.gitDir && !ofWorktree && !inRoots(r.common) {
		return w.foreign(r, filepath.Join(r.gitDir, "commondir"))
	}
	link, err := foreignLink(ctx, r, func(real string) bool {
		return isBelow(r.gitDir, real) || isBelow(r.common, real) || inRoots(real)
	})
	if err != nil || link == "" {
		return err
	}
	return w.foreign(r, link)
}

// foreign is the refusal of a repository by the name that leads out of it.
func (w *Workspace) foreign(r repo, link string) error {
	return &Error{
		Code: CodeDenied, Path: w.host(link),
		Message: "The repository at " + quoted(w.host(r.top)) + " is refused: " + quoted(w.host(link)) +
			" leads out of the folders that may be read.",
		Hint: "Add the folder that it leads to to EXAI_ALLOWED_ROOTS, or remove it.",
	}
}

// claims tells whether a git folder outside of the work tree names it as its own: a linked work tree's does so in its
// file gitdir, a submodule's by core.worktree.
func (w *Workspace) claims(ctx context.Context, r repo, dotGit string) bool {
	if text, err := readSmall(filepath.Join(r.gitDir, "gitdir")); err == nil {
		named, _ := resolve(below(r.gitDir, strings.TrimSpace(text)))
		return named == dotGit
	}
	if w.git == "" {
		return false
	}
	g := gitCommand{program: w.git, dir: r.gitDir, env: commonEnv(w.git)}
	worktree, err := g.line(ctx, "config", "--file", filepath.Join(r.gitDir, "config"), "--get", "core.worktree")
	if err != nil || worktree == "" {
		return false
	}
	named, _ := resolve(below(r.gitDir, worktree))
	return named == r.top
}

// below makes a path that git wrote absolute.
func below(dir, name string) string {
	name = filepath.FromSlash(name)
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(dir, name)
}

// isBelow tells whether a path is dir or lies in it.
func isBelow(dir, name string) bool {
	rest, err := filepath.Rel(dir, name)
	return err == nil && (rest == "." || filepath.IsLocal(rest))
}
