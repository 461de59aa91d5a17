package workflow

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// maxNamed is how many files a note names.
const maxNamed = 10

// check refuses files and pictures that may not be read; of relevant_files, which may be many, only where none can be used.
// A file that is not there is only noted, since a caller may well name one that it has deleted.
func (r *run) check(ctx context.Context) error {
	f := r.step.Facts
	relevant, unsendable := r.resolve(ctx, f.RelevantFiles)
	_, strict := r.resolve(ctx, slices.Concat(f.FilesChecked, f.Paths))
	var gone []string
	for i, p := range slices.Concat(strict, unsendable) {
		switch e := reply.FromError(ctx, p.Err); {
		case e.Code == reply.CodeFileNotFound:
			gone = union(gone, []string{p.Path})
		case i < len(strict) || len(relevant) == 0:
			return p.Err
		default:
			r.meta.Note("Not sent: " + e.Message)
		}
	}
	for _, ref := range f.Images {
		if _, err := r.Files.Image(ctx, ref); err != nil {
			return err
		}
	}
	if n := len(gone); n > maxNamed {
		gone = append(gone[:maxNamed], fmt.Sprintf("and %d more", n-maxNamed))
	}
	if len(gone) > 0 {
		r.meta.Note("Not found: " + strings.Join(gone, ", ") + ".")
	}
	return nil
}

// maxFilled is how many changed files stand in for relevant_files.
const maxFilled = 50

// fillIn names the changed files where a run begins without relevant files and its tool can't do without.
func (r *run) fillIn(ctx context.Context) error {
	f := &r.step.Facts
	if !r.spec.NeedsFiles || len(r.past) > 0 || len(f.RelevantFiles) > 0 {
		return nil
	}
	changed, err := r.Files.ChangedFiles(ctx, "")
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		r.Log.Debug("no changed files to fill in", zap.Error(err))
		fallthrough
	case len(changed) == 0:
		r.meta.Note("No relevant_files were given and there are no changed files to use instead; name the files in the next step.")
		return nil
	}
	of := ""
	if n := len(changed); n > maxFilled {
		changed, of = changed[:maxFilled], fmt.Sprintf(" of %d", n)
	}
	for _, ref := range changed {
		r.refs.add(ref.Path(), ref)
	}
	r.filled = pathsOf(changed)
	f.RelevantFiles = r.filled
	r.meta.Note(fmt.Sprintf("No relevant_files were given, so the changed files of the first root were used: %d%s.", len(changed), of))
	r.decide()
	return nil
}
