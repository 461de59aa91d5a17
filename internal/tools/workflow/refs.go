package workflow

import (
	"context"
	"slices"

	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// refs remembers what paths were resolved to in one call, so that a file which several arguments name is looked up once.
type refs struct {
	known    []workspace.Ref            // each once
	listed   map[string]bool            // known, as the host names them
	byPath   map[string][]workspace.Ref // as they were written, and as the host names them
	problems map[string]workspace.Problem
}

// add remembers what a path was resolved to.
func (f *refs) add(written string, found ...workspace.Ref) {
	if f.byPath == nil {
		f.byPath, f.problems, f.listed = map[string][]workspace.Ref{}, map[string]workspace.Problem{}, map[string]bool{}
	}
	f.byPath[written] = found
	for _, r := range found {
		if _, ok := f.byPath[r.Path()]; !ok {
			f.byPath[r.Path()] = []workspace.Ref{r}
		}
		if !f.listed[r.Path()] {
			f.listed[r.Path()] = true
			f.known = append(f.known, r)
		}
	}
}

// resolve returns the files and folders that paths name, each once, and what could not be used.
func (r *run) resolve(ctx context.Context, paths []string) (found []workspace.Ref, problems []workspace.Problem) {
	seen := map[string]bool{}
	for _, path := range paths {
		known, ok := r.refs.byPath[path]
		if !ok {
			var failed []workspace.Problem
			known, failed = r.Files.Resolve(ctx, []string{path})
			r.refs.add(path, known...)
			for _, p := range failed {
				r.refs.problems[path] = p
			}
		}
		for _, one := range known {
			if !seen[one.Path()] {
				seen[one.Path()] = true
				found = append(found, one)
			}
		}
		if p, failed := r.refs.problems[path]; failed && !seen["\x00"+path] {
			seen["\x00"+path] = true
			problems = append(problems, p)
		}
	}
	return found, problems
}

// shownPaths are paths as an expert is shown them: relative to the work tree. What can't be used stays as it was written.
func (r *run) shownPaths(ctx context.Context, paths []string) []string {
	top, out := r.workTree(ctx), []string(nil)
	for _, path := range paths {
		if one := r.refs.byPath[path]; len(one) == 1 {
			path = workspace.Below(top, one[0].Path())
		}
		out = append(out, path)
	}
	return out
}

// workTree is the work tree that an expert is shown paths relative to: that of the relevant files, else the one that the step
// names.
func (r *run) workTree(ctx context.Context) string {
	refs, _ := r.resolve(ctx, union(slices.Clone(r.sum.RelevantFiles), r.step.Facts.Paths))
	return r.Files.WorkTree(refs)
}

// pathsOf are the host's names of files.
func pathsOf(refs []workspace.Ref) (paths []string) {
	for _, r := range refs {
		paths = append(paths, r.Path())
	}
	return paths
}
