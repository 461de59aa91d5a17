package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/review"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
)

// What a review's step says.
const (
	changesStep = "Review these changes for defects before they are committed."
	filesStep   = "Review these files for defects."
)

// target says what the flags compare with what.
func (r *reviewer) target(ctx context.Context) (target, error) {
	if len(r.o.files) > 0 {
		return r.wholeFiles()
	}
	repo, err := r.repository(ctx)
	if err != nil {
		return target{}, err
	}
	defer repo.Close()
	switch {
	case r.o.commit != "":
		return r.oneCommit(ctx, repo)
	case r.o.base != "":
		return r.against(ctx, repo, r.o.base)
	case r.o.staged:
		return r.staged(ctx, repo)
	}
	changes, _, err := repo.Status(ctx, ".")
	switch {
	case err != nil:
		return target{}, err
	case len(changes) > 0:
		return r.uncommitted(repo), nil
	case repo.Head == "":
		return target{nothing: true, compared: "the index and untracked files with the empty tree; there is no commit yet"}, nil
	case repo.Branch == "":
		return target{}, errors.New("nothing is uncommitted and HEAD is detached; name what to compare with: --base REF")
	}
	return r.branch(ctx, repo, "@{upstream}", "origin/HEAD", "origin/main", "origin/master", "main", "master")
}

// repository opens the repository under review.
func (r *reviewer) repository(ctx context.Context) (*git.Repository, error) {
	if !r.inGit {
		return nil, fmt.Errorf("%q is not in a git work tree", r.dir)
	}
	repo, err := r.files.Repository(ctx, r.top)
	var refused *workspace.Error
	if errors.As(err, &refused) {
		return nil, &review.Failure{Code: string(refused.Code), Message: refused.Message, Hint: refused.Hint}
	}
	return repo, err
}

// wholeFiles are the files that were named, whole.
func (r *reviewer) wholeFiles() (target, error) {
	var paths []string
	for _, name := range r.o.files {
		if !filepath.IsAbs(name) {
			name = filepath.Join(r.dir, name)
		}
		paths = append(paths, name)
	}
	return target{
		tool: "codereview", args: map[string]any{"step": filesStep, "relevant_files": paths},
		compared: "nothing; these files are reviewed whole: " + strings.Join(r.o.files, ", "),
	}, nil
}

// precommit is a review of what differs, between commits or of what is uncommitted.
func (r *reviewer) precommit(more map[string]any) map[string]any {
	args := map[string]any{"step": changesStep, "path": r.files.HostPath(r.top)}
	for name, value := range more {
		args[name] = value
	}
	return args
}

// short is a commit's id for people.
func short(id string) string { return id[:min(len(id), 10)] }

// headName is HEAD for people, or what stands in its place.
func headName(repo *git.Repository) string {
	if repo.Head == "" {
		return "the empty tree; there is no commit yet"
	}
	return "HEAD (" + short(repo.Head) + ")"
}

func (r *reviewer) uncommitted(repo *git.Repository) target {
	return target{
		tool: "precommit", args: r.precommit(map[string]any{"include_staged": true, "include_unstaged": true}),
		compared: "what is uncommitted, untracked files included, with " + headName(repo),
	}
}

func (r *reviewer) staged(ctx context.Context, repo *git.Repository) (target, error) {
	diff := git.Diff{Args: []string{"--cached"}}
	names, _, err := repo.Names(ctx, diff, ".")
	if err != nil {
		return target{}, err
	}
	state, err := repo.Fingerprint(ctx, diff)
	return target{
		tool: "precommit", args: r.precommit(map[string]any{"include_staged": true, "include_unstaged": false}),
		compared: "what is staged with " + headName(repo), nothing: len(names) == 0, state: state,
	}, err
}

// errShallow is the advice where a clone's history ends too early.
var errShallow = errors.New("the history of this clone is cut off: fetch with depth 0 (git fetch --unshallow; in CI, fetch-depth: 0 or GIT_DEPTH: 0)")

// oneCommit compares a commit with its first parent.
func (r *reviewer) oneCommit(ctx context.Context, repo *git.Repository) (target, error) {
	tip, err := repo.Commit(ctx, r.o.commit)
	switch {
	case err != nil && repo.Shallow():
		return target{}, fmt.Errorf("--commit %q names no commit here; %w", r.o.commit, errShallow)
	case err != nil:
		return target{}, fmt.Errorf("--commit %q names no commit", r.o.commit)
	}
	parent, err := repo.Commit(ctx, tip+"^")
	name := "its parent " + short(parent)
	switch {
	case err == nil:
	case repo.Shallow():
		return target{}, errShallow
	default:
		parent, name = repo.EmptyTree(), "the empty tree, since it is the first commit"
	}
	return r.commits(parent, tip, "commit "+short(tip)+" with "+name), nil
}

// commits compares two commits.
func (r *reviewer) commits(from, to, compared string) target {
	return target{
		tool: "precommit", compared: compared, nothing: from == to, state: from + ".." + to,
		args: r.precommit(map[string]any{"compare_to": from + ".." + to, "include_staged": false, "include_unstaged": false}),
	}
}

// against compares HEAD with its merge base with a commit.
func (r *reviewer) against(ctx context.Context, repo *git.Repository, name string) (target, error) {
	commit, err := repo.Commit(ctx, name)
	switch {
	case err != nil && repo.Shallow():
		return target{}, fmt.Errorf("%q names no commit here; %w", name, errShallow)
	case err != nil:
		return target{}, fmt.Errorf("%q names no commit", name)
	case repo.Head == "":
		return target{}, errors.New("there is no commit yet to compare; leave --base out")
	}
	return r.sinceCommon(ctx, repo, name, commit, repo.Head, "HEAD")
}

// sinceCommon compares a tip with its merge base with a commit.
func (r *reviewer) sinceCommon(ctx context.Context, repo *git.Repository, name, commit, tip, tipName string) (target, error) {
	base, ok := repo.CommonCommit(ctx, commit, tip)
	switch {
	case ok:
		compared := fmt.Sprintf("%s (%s) with its merge base with %s (%s)", tipName, short(tip), name, short(base))
		return r.commits(base, tip, compared), nil
	case repo.Shallow():
		return target{}, fmt.Errorf("%s and %s have no common commit; %w", tipName, name, errShallow)
	}
	if r.o.gate != "" {
		return target{}, fmt.Errorf("%s and %s have no common commit", tipName, name)
	}
	return target{}, fmt.Errorf("%s and %s have no common commit; name another one: --base REF", tipName, name)
}

// branch compares HEAD with the first of these that exists.
func (r *reviewer) branch(ctx context.Context, repo *git.Repository, names ...string) (target, error) {
	for _, name := range names {
		if commit, err := repo.Commit(ctx, name); err == nil {
			return r.sinceCommon(ctx, repo, name, commit, repo.Head, "HEAD")
		}
	}
	return target{}, fmt.Errorf("nothing is uncommitted, and none of %s exists to compare with; name one: --base REF", strings.Join(names, ", "))
}

// workTreeTop is the top of the work tree that a folder lies in, or the folder itself outside of one.
func workTreeTop(dir string) (top string, inside bool, err error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", false, fmt.Errorf("find the folder to review: %w", err)
	}
	if top, inside = git.WorkTree(real); inside {
		return top, true, nil
	}
	return real, false, nil
}
