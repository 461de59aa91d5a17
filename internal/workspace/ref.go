package workspace

import (
	"cmp"
	"context"
	"io/fs"
	"path/filepath"
	"strings"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
)

// Ref is a file or folder that exists and passed every check of Resolve. Whatever reads files takes Refs, so that a path
// is parsed, resolved and judged once, in one place; opening one still fails when what it names was exchanged meanwhile.
type Ref struct {
	at   place
	info fs.FileInfo
}

// Path is the file's name on the agent's host, without links.
func (r Ref) Path() string { return r.at.host }

// IsFolder reports whether it is a folder.
func (r Ref) IsFolder() bool { return r.info.IsDir() }

// Size is how many bytes the file had when it was looked at.
func (r Ref) Size() int64 { return r.info.Size() }

// Problem is a path that can't be used.
type Problem struct {
	Path string // as it was written
	Err  error  // an *Error, or the end of the call
}

// Entry is the problem as a manifest lists it.
func (p Problem) Entry() Entry { return failed(strings.ToValidUTF8(p.Path, "\uFFFD"), p.Err) }

// lineSuffix is a path with a line, or several, as agents cite them: "a.go:12", "a.go:12-40", "a.go:12:5", "a.go#L12-L40".
var lineSuffix = lazyregexp.New(`^(.+?)(?::\d{1,9}(?:[-:]\d{1,9})?|#L\d{1,9}(?:-L?\d{1,9})?)$`)

// WorkTree is the work tree of git that holds the first of the refs which lies in one, as the host names it; "" for none.
// What a model is shown of these files has their paths relative to it.
func (w *Workspace) WorkTree(refs []Ref) string {
	for _, r := range refs {
		dir := r.at.real
		if !r.IsFolder() {
			dir = filepath.Dir(dir)
		}
		if top, ok := git.WorkTree(dir); ok {
			return w.host(top)
		}
	}
	return ""
}

// Below is a host's path relative to a folder, with slashes; the path itself where it does not lie in the folder.
func Below(folder, path string) string { return cmp.Or(nameBelow(folder, path), path) }

// nameBelow is a host's path relative to a folder, with slashes; "" where it does not lie in the folder.
func nameBelow(folder, path string) string {
	rest, ok := strings.CutPrefix(path, folder)
	if folder == "" || !ok || rest == "" || !strings.ContainsAny(rest[:1], `/\`) {
		return ""
	}
	if rest[0] == '\\' {
		rest = strings.ReplaceAll(rest, `\`, "/")
	}
	return rest[1:]
}

// Resolve returns the files and folders that paths name, each once and in their order, and what could not be used. A path
// that exists as it is written is taken so; else a line may follow it ("a.go:12"), or several may stand in one text
// ("a.go, b.go").
func (w *Workspace) Resolve(ctx context.Context, paths []string) (refs []Ref, problems []Problem) {
	seen := map[string]bool{} // by real path
	failed := map[string]bool{}
	for _, written := range paths {
		named, err := w.named(ctx, written)
		if err != nil && !failed[written] {
			failed[written] = true
			problems = append(problems, Problem{Path: written, Err: err})
		}
		for _, r := range named {
			if !seen[r.at.real] {
				seen[r.at.real] = true
				refs = append(refs, r)
			}
		}
	}
	return refs, problems
}

// named returns what one text names. Where it is doubtful whether it is a list, the error is that of the text as a whole,
// or the first refusal, which says more than "does not exist".
func (w *Workspace) named(ctx context.Context, written string) ([]Ref, error) {
	r, err := w.cited(ctx, written)
	if codeOf(err) != CodeNotFound || !strings.ContainsAny(written, ",;\n") {
		if err != nil {
			return nil, err
		}
		return []Ref{r}, nil
	}
	var refs []Ref
	for part := range strings.FieldsFuncSeq(written, func(r rune) bool { return strings.ContainsRune(",;\n", r) }) {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		r, partErr := w.cited(ctx, part)
		if codeOf(partErr) == CodeNotFound {
			return nil, err
		}
		if partErr != nil {
			return nil, partErr
		}
		refs = append(refs, r)
	}
	if len(refs) == 0 {
		return nil, err
	}
	return refs, nil
}

// cited returns what exists under a path, or under it without the line that follows it.
func (w *Workspace) cited(ctx context.Context, written string) (Ref, error) {
	r, err := w.ref(ctx, written)
	if codeOf(err) != CodeNotFound {
		return r, err
	}
	if m := lineSuffix().FindStringSubmatch(strings.TrimSpace(written)); m != nil {
		if bare, bareErr := w.ref(ctx, m[1]); codeOf(bareErr) != CodeNotFound {
			return bare, bareErr
		}
	}
	return Ref{}, err
}

// ref checks one path and looks at what it names.
func (w *Workspace) ref(ctx context.Context, written string) (Ref, error) {
	at, err := w.find(ctx, written)
	if err != nil {
		return Ref{}, err
	}
	w.log.Debug("path resolved", zap.String("path", at.host))
	return at.ref()
}

// ref looks at a checked path: it must be a regular file or a folder.
func (at place) ref() (Ref, error) {
	info, err := at.stat()
	if err != nil {
		return Ref{}, err
	}
	if err := at.requireKind(info, info.IsDir()); err != nil {
		return Ref{}, err
	}
	return Ref{at: at, info: info}, nil
}
