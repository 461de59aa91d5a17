package workflow

import (
	"context"
	"slices"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/looks"
	"github.com/exai-mcp/exai-mcp/internal/tools/proof"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// Readable is what an expert may read from by itself.
type Readable struct {
	Refs []workspace.Ref // that were named or have changed
	// Around are folders whose repositories may be read where none of Refs lies in one.
	Around []workspace.Ref
	Base   string // a commit whose history counts beside that of HEAD, "" for none
	// Shown records what the expert reads; nil: nobody asks.
	Shown *proof.Shown
}

// readable is what an expert may read from: around the files that the run names, and those that have changed.
func (r *run) readable(ctx context.Context, given Evidence, more []string) Readable {
	ctx, cancel := working(ctx)
	defer cancel()
	from := Readable{Base: given.Base}
	paths := slices.Concat(r.sum.RelevantFiles, more)
	for _, c := range given.Changed {
		if c.Current {
			paths = append(paths, c.Path)
		}
	}
	from.Refs, _ = r.resolve(ctx, union(nil, paths))
	from.Around, _ = r.resolve(ctx, r.step.Facts.Paths)
	return from
}

// offerReads lets an expert read by itself. Then it searches the web only if the call says so. A question about no file, whose
// tool searches by default, searches instead.
func (r *run) offerReads(ctx context.Context, q *ask.Question, from Readable) {
	if r.Reader == nil || len(from.Refs)+len(from.Around) == 0 && q.Search && !r.step.SearchNamed {
		return
	}
	ctx, cancel := working(ctx)
	defer cancel()
	if q.Reader = r.Reader(ctx, from); q.Reader != nil {
		q.Search = q.Search && r.step.SearchNamed
	}
}

// restoreReads makes up what the expert of a stored answer was shown, and what it is offered again, where another call asked it.
func (r *run) restoreReads(ctx context.Context, answer conversation.Turn) {
	r.shown, r.called = r.shownFor(answer.ID), ask.ExchangeIn(answer)
	q := r.question(ctx)
	var covered []string
	for _, c := range r.stored.meta.Coverage {
		covered = append(covered, c.File)
	}
	from := r.readable(ctx, Evidence{}, covered)
	from.Shown = r.shown
	r.offerReads(ctx, &q, from)
	q.Reader.Remember(ctx, r.called)
	r.offered = q
}

// coverAgain is what a stored step says of its coverage, with what its expert has read since. Where the tool brings diffs, to
// have read a whole file is not enough: a step does not store which lines the diffs remove.
func (r *run) coverAgain(ctx context.Context, list []Coverage) []Coverage {
	list = slices.Clone(list)
	for i := range list {
		r.coverRead(ctx, &list[i], r.shown, r.step.Evidence == nil)
	}
	return list
}

// exchange is what the expert called and was given before its answer, as far as this process has it.
func (r *run) exchange() []providers.Message {
	switch {
	case r.said == nil:
		return r.called
	case r.said.Outcome.Live != nil:
		return r.said.Outcome.Live.Snapshot().Messages
	}
	return r.said.Outcome.Messages
}

// readAnything reports whether the expert read a file by itself.
func readAnything(looked []looks.Look) bool {
	for _, l := range looked {
		if l.Bytes > 0 && (l.Tool == "read_file" || l.Tool == "git_show") {
			return true
		}
	}
	return false
}
