package workflow

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// Evidence is what an expert is given besides the run in words.
type Evidence struct {
	Attachments []conversation.Attachment
	Manifest    workspace.Manifest
	// Repositories is what git says, for the reply. nil where git was not asked.
	Repositories any
	Note         string   // what the expert is told of it, "" for nothing
	Notes        []string // what the caller is told
	// Nothing says why there is nothing to judge where no file can be read either; "" where there is.
	Nothing string
	// Clean: git was read, and shows no change that is worth a review.
	Clean bool
	// Changed are the files whose changes are to be judged.
	Changed []workspace.ChangedFile
	// Base is what they are compared with, where it is no part of HEAD's history; "" for none.
	Base string
}

// fileTokens is how many tokens the files for a question may take.
func (r *run) fileTokens(ctx context.Context, q ask.Question) int {
	return ask.FileTokens(r.Window(ctx, q, len(r.sum.Images) > 0))
}

// working bounds what is done before a model is asked, so that an exceeded limit leaves time to store and answer.
func working(ctx context.Context) (context.Context, context.CancelFunc) {
	if b, ok := providers.BudgetFrom(ctx); ok {
		return context.WithDeadlineCause(ctx, b.AnswerBy(), reply.LimitExceeded(b.Limit))
	}
	return context.WithCancel(ctx)
}

// gather collects what the expert is given at first: the tool's own evidence, the run's relevant files and its pictures.
// held is what the history already shows it. Where files can't be read, what the tool has collected is returned with the error.
func (r *run) gather(ctx context.Context, paths []string, tokens int, held map[string]conversation.Attachment) (e Evidence, err error) {
	ctx, cancel := working(ctx)
	defer cancel()
	refs, problems := r.resolve(ctx, paths)
	all := tokens
	if r.step.Evidence != nil {
		if e, err = r.step.Evidence(ctx, r.sum, tokens); err != nil {
			return Evidence{}, err
		}
		tokens = max(tokens-e.Manifest.Tokens, tokens/4)
		of := byPath(e.Manifest)
		refs = slices.DeleteFunc(refs, func(ref workspace.Ref) bool { return shownWhole(of[ref.Path()], ref.Path()) })
	}
	if e, err = r.embed(ctx, e, refs, problems, tokens, held); err != nil {
		return e, err
	}
	if e, err = r.embedChanged(ctx, e, all-e.Manifest.Tokens, held); err != nil {
		return e, err
	}
	if r.Config.Expert.IncludeFiles && len(r.filled) == 0 && len(r.step.Facts.RelevantFiles) > 0 {
		if err := ask.NothingSent(e.Manifest); err != nil {
			return Evidence{}, err
		}
	}
	for _, ref := range r.sum.Images {
		picture, err := r.Files.Image(ctx, ref)
		switch {
		case err == nil:
			e.Attachments = append(e.Attachments, picture)
			e.Manifest.NotChecked = append(e.Manifest.NotChecked, picture.Path)
		case ctx.Err() != nil:
			return e, context.Cause(ctx)
		default: // it was there when its step was taken
			e.Notes = append(e.Notes, "Not sent: "+reply.FromError(ctx, err).Message)
		}
	}
	return e, nil
}

// shownWhole reports whether all of a file stands in a diff already, since it is new.
func shownWhole(m workspace.Manifest, path string) bool {
	return slices.ContainsFunc(m.Sent, func(e workspace.Entry) bool { return e.Part == workspace.PartUntracked && e.Path == path })
}

// embed adds the text of files to the evidence.
func (r *run) embed(ctx context.Context, e Evidence, refs []workspace.Ref, problems []workspace.Problem, tokens int, held map[string]conversation.Attachment) (Evidence, error) {
	x := r.Config.Expert
	if !x.IncludeFiles || len(refs)+len(problems) == 0 {
		return e, nil
	}
	b := workspace.Budget{Tokens: tokens, MaxFiles: x.MaxFileCount, MaxFileBytes: x.MaxFileSizeKB << 10}
	found, m, err := ask.Attach(ctx, r.Files, refs, problems, b, held)
	if err != nil {
		return e, err
	}
	e.Attachments, e.Manifest = append(e.Attachments, found...), merge(e.Manifest, m)
	// Which named file is missing or refused was noted when its step was checked.
	noted := func(x workspace.Entry) bool {
		return slices.ContainsFunc(problems, func(p workspace.Problem) bool { return p.Entry() == x })
	}
	if left := slices.DeleteFunc(slices.Clone(m.LeftOut), noted); len(left) > 0 {
		e.Notes = append(e.Notes, ask.NotSent(workspace.Manifest{LeftOut: left}))
	}
	return e, nil
}

// embedChanged adds the changed files that fit whole: a part of one says less than its diff, which the expert has.
func (r *run) embedChanged(ctx context.Context, e Evidence, tokens int, held map[string]conversation.Attachment) (Evidence, error) {
	x := r.Config.Expert
	var paths []string
	of := byPath(e.Manifest)
	for _, c := range e.Changed {
		if c.Current && c.Skipped == "" && (c.Unread == "" || c.New) && !shownWhole(of[c.Path], c.Path) && !sentWhole(of[c.Path], c.Path) {
			paths = append(paths, c.Path)
		}
	}
	if !x.IncludeFiles || len(paths) == 0 || tokens <= 0 {
		return e, nil
	}
	refs, _ := r.resolve(ctx, paths)
	b := workspace.Budget{Tokens: tokens, MaxFiles: x.MaxFileCount, MaxFileBytes: x.MaxFileSizeKB << 10}
	found, m, err := ask.Attach(ctx, r.Files, refs, nil, b, held)
	if err != nil {
		return e, err
	}
	for _, cut := range m.Cut {
		found = slices.DeleteFunc(found, func(a conversation.Attachment) bool { return a.Path == cut.Path })
		m.Tokens, m.Bytes = m.Tokens-cut.Tokens, m.Bytes-cut.Bytes
	}
	m.Cut, m.LeftOut = nil, nil
	e.Attachments, e.Manifest = append(e.Attachments, found...), merge(e.Manifest, m)
	return e, nil
}

// merge joins two manifests.
func merge(a, b workspace.Manifest) workspace.Manifest {
	return workspace.Manifest{
		Sent: slices.Concat(a.Sent, b.Sent), Cut: slices.Concat(a.Cut, b.Cut),
		Unchanged: slices.Concat(a.Unchanged, b.Unchanged), LeftOut: slices.Concat(a.LeftOut, b.LeftOut),
		NotChecked: slices.Concat(a.NotChecked, b.NotChecked),
		Tokens:     a.Tokens + b.Tokens, Bytes: a.Bytes + b.Bytes,
	}
}

// served joins two manifests of which the second is what an expert was given that had asked for files: each file is listed
// once, as the expert has it now.
func served(had, more workspace.Manifest) workspace.Manifest {
	in := func(lists ...[]workspace.Entry) func(e workspace.Entry) bool {
		all := slices.Concat(lists...)
		return func(e workspace.Entry) bool {
			return e.Part == "" && slices.ContainsFunc(all, func(x workspace.Entry) bool { return x.Part == "" && x.Path == e.Path })
		}
	}
	without := func(list []workspace.Entry, drop func(workspace.Entry) bool) []workspace.Entry {
		return slices.DeleteFunc(slices.Clone(list), drop)
	}
	given := in(more.Sent, more.Cut)
	had.Sent, had.Cut, had.LeftOut = without(had.Sent, given), without(had.Cut, given), without(had.LeftOut, given)
	known := in(had.Sent, had.Cut, had.Unchanged, had.LeftOut)
	more.Unchanged, more.LeftOut = without(more.Unchanged, known), without(more.LeftOut, known)
	return merge(had, more)
}

// fileContext says what the expert was given.
func (r *run) fileContext(e Evidence) FileContext {
	m := e.Manifest
	f := FileContext{Type: "fully_embedded", FilesEmbedded: len(m.Sent) + len(m.Cut) + len(m.Unchanged), Repositories: raw(e.Repositories)}
	if f.FilesEmbedded > 0 || len(m.LeftOut)+len(m.NotChecked) > 0 {
		short, all := ask.Listed(m)
		f.Manifest, f.Listing = raw(short), all
	}
	switch {
	case !r.Config.Expert.IncludeFiles && len(r.sum.RelevantFiles) > 0:
		f.Type, f.Note = "reference_only", "The expert was given the names of the relevant files only (EXPERT_ANALYSIS_INCLUDE_FILES=false)."
	case f.FilesEmbedded == 0:
		f.Type, f.Note = "reference_only", "No file content was sent to the expert."
	case len(m.Cut)+len(m.LeftOut) > 0:
		f.Type, f.Note = "partially_embedded", "Not everything fit or could be read; the manifest lists what was cut or left out."
	}
	return f
}

// raw is a value of ours as JSON, nothing for nil.
func raw(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	text, _ := reply.Marshal(v) // manifests and repositories are made of types that marshal
	return text
}

// sentIn lists the paths that the expert was given.
func sentIn(m workspace.Manifest) (paths []string) {
	for _, e := range slices.Concat(m.Sent, m.Cut, m.Unchanged) {
		paths = append(paths, e.Path)
	}
	return union(nil, paths)
}
