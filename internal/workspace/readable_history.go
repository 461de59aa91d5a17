package workspace

import (
	"context"
	"errors"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
)

// Commit is one entry of a file's history.
type Commit = git.Commit

// History lists the latest commits that changed a file, up to most, from HEAD on.
func (s *ReadScope) History(ctx context.Context, f ReadableFile, most int) (commits []Commit, err error) {
	err = s.inRepository(ctx, f, func(ctx context.Context, r *git.Repository) error {
		if r.Head == "" {
			return nil
		}
		commits, err = r.Log(ctx, r.Head, f.rel, most)
		return err
	})
	return commits, err
}

// At reads a file as it was in a commit that HEAD or the scope's base can be reached from, and returns the commit's id.
func (s *ReadScope) At(ctx context.Context, commit string, f ReadableFile) (text *Text, id string, err error) {
	err = s.inRepository(ctx, f, func(ctx context.Context, r *git.Repository) error {
		if id, err = s.reachable(ctx, r, commit); err != nil {
			return err
		}
		found, err := r.FileAt(ctx, id, f.rel)
		switch {
		case errors.Is(err, git.ErrNoFile):
			return &Error{
				Code: CodeNotFound, Path: f.Name, Hint: historyHint,
				Message: quoted(f.Name) + " is no file in commit " + quoted(commit) + ".",
			}
		case err != nil:
			return err
		case found.Link(), found.Submodule():
			return &Error{
				Code: CodeDenied, Path: f.Name, Hint: historyHint,
				Message: quoted(f.Name) + " is no regular file in commit " + quoted(commit) + ".",
			}
		}
		data, cut, err := r.Content(ctx, found, maxTextBytes)
		if err != nil {
			return err
		}
		if kind := binaryKind(data[:min(len(data), sniffBytes)]); kind != "" {
			return invalid(f.Name, quoted(f.Name)+" is not a text file in that commit but "+kind+".", "Read a text file.")
		}
		content, encoding := decode(data, !cut, "")
		text = &Text{
			Path: f.Path, Content: content, SHA256: hashOf(content), Encoding: encoding, Size: int64(len(data)),
			Lines: countLines(content), Cut: cut,
		}
		return nil
	})
	return text, id, err
}

// reachable resolves the name of a commit, which must be part of the history of HEAD or of the scope's base.
func (s *ReadScope) reachable(ctx context.Context, r *git.Repository, name string) (id string, err error) {
	id, err = r.Commit(ctx, name)
	if cause := context.Cause(ctx); cause != nil {
		return "", cause
	}
	if err == nil {
		for _, from := range []string{r.Head, s.base} {
			if from == "" {
				continue
			}
			tip, err := r.Commit(ctx, from)
			if err != nil {
				continue
			}
			if ok, err := r.Reachable(ctx, id, tip); err != nil || ok {
				return id, err
			}
		}
	}
	return "", &Error{
		Code: CodeDenied, Message: quoted(name) + " is no commit in the history of HEAD.", Err: err,
		Hint: historyHint,
	}
}

// inRepository opens the repository of a file for f.
func (s *ReadScope) inRepository(ctx context.Context, file ReadableFile, f func(context.Context, *git.Repository) error) error {
	if file.tree == nil || !file.tree.tracked {
		return invalid(file.Name, quoted(file.Name)+" has no history that may be read.", "Read the file itself.")
	}
	limited, cancel := s.w.gitContext(ctx)
	defer cancel()
	r, err := s.w.git.Open(limited, file.tree.top, s.w.inRoots(s.w.roots(ctx)))
	if err == nil {
		defer r.Close()
		err = f(limited, r)
	}
	if err != nil {
		return s.w.gitError(ctx, place{host: s.w.host(file.tree.top)}, err)
	}
	return nil
}
