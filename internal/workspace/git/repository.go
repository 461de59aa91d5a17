package git

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/workspace/realpath"
)

// location is where a repository with a work tree has its parts.
type location struct {
	top    string // the work tree's top folder
	gitDir string // HEAD and index: top/.git, or elsewhere for linked work trees and submodules
	common string // objects, refs and config: gitDir, or the main repository's for linked work trees
}

// maxSmallFile is how much is read of git's own small files, in bytes.
const maxSmallFile = 256 << 10

// WorkTree finds the work tree that a resolved folder lies in, by its .git.
func WorkTree(dir string) (top string, ok bool) {
	top, _, ok = workTree(dir)
	return top, ok
}

// workTree is WorkTree, with the git folder that the work tree names.
func workTree(dir string) (top, gitDir string, ok bool) {
	for {
		dotGit := filepath.Join(dir, ".git")
		if exists(filepath.Join(dotGit, "HEAD")) {
			return dir, dotGit, true
		}
		if text, err := realpath.ReadSmall(dotGit, maxSmallFile); err == nil {
			if named, ok := strings.CutPrefix(text, "gitdir:"); ok {
				return dir, absolute(dir, strings.TrimSpace(named)), true
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", "", false
		}
		dir = parent
	}
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// Check returns nil if the repository around a resolved folder may be used: ErrNoRepository or an *OutsideError if not.
func (g *Git) Check(ctx context.Context, dir string, allowed Allowed) error {
	_, err := g.locate(ctx, dir, allowed)
	return err
}

// locate finds the repository that a resolved folder lies in, and checks it.
func (g *Git) locate(ctx context.Context, dir string, allowed Allowed) (location, error) {
	top, gitDir, ok := workTree(dir)
	if !ok {
		return location{}, ErrNoRepository
	}
	dotGit := filepath.Join(top, ".git")
	l := location{top: top, gitDir: realpath.Resolve(gitDir)}
	l.common = l.gitDir
	if text, err := realpath.ReadSmall(filepath.Join(l.gitDir, "commondir"), maxSmallFile); err == nil {
		l.common = realpath.Resolve(absolute(l.gitDir, strings.TrimSpace(text)))
	}
	link, err := g.leadsOut(ctx, l, dotGit, allowed)
	if err == nil && link != "" {
		err = &OutsideError{Top: top, Link: link}
	}
	return l, err
}

// leadsOut returns the part of a repository through which it could show another one's content as its own, "" when there
// is none. The git folder and its common folder must be allowed, be the folder .git of this work tree, or name this work
// tree as theirs; every link and alternate in them must stay in these folders or in what is allowed. git is then given
// exactly these two folders, so that it does not find them by itself in another way.
func (g *Git) leadsOut(ctx context.Context, l location, dotGit string, allowed Allowed) (string, error) {
	own := l.gitDir == dotGit
	named := !own && g.namesWorkTree(ctx, l, dotGit)
	if !own && !named && !allowed(l.gitDir) {
		return dotGit, nil
	}
	// The common folder of a linked work tree is the one that its git folder lies in.
	linked := named && filepath.Dir(l.gitDir) == filepath.Join(l.common, "worktrees")
	if l.common != l.gitDir && !linked && !allowed(l.common) {
		return filepath.Join(l.gitDir, "commondir"), nil
	}
	return foreignLink(ctx, l, func(real string) bool {
		return realpath.IsBelow(l.gitDir, real) || realpath.IsBelow(l.common, real) || allowed(real)
	})
}

// namesWorkTree reports whether a git folder outside of the work tree names it as its own: a linked work tree's does so in
// its file gitdir, a submodule's by core.worktree.
func (g *Git) namesWorkTree(ctx context.Context, l location, dotGit string) bool {
	if text, err := realpath.ReadSmall(filepath.Join(l.gitDir, "gitdir"), maxSmallFile); err == nil {
		return realpath.Resolve(absolute(l.gitDir, strings.TrimSpace(text))) == dotGit
	}
	if g.Program == "" {
		return false
	}
	c := command{program: g.Program, dir: l.gitDir, env: commonEnv(g.Program)}
	worktree, err := c.line(ctx, "config", "--file", filepath.Join(l.gitDir, "config"), "--get", "core.worktree")
	return err == nil && realpath.Resolve(absolute(l.gitDir, worktree)) == l.top
}

// absolute makes a path that git wrote absolute.
func absolute(dir, name string) string {
	name = filepath.FromSlash(name)
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(dir, name)
}
