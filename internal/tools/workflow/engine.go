package workflow

import (
	"context"
	"encoding/json"
	"fmt"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/looks"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// Files is what the engine needs of the workspace.
type Files interface {
	ask.Embedder
	Resolve(ctx context.Context, paths []string) ([]workspace.Ref, []workspace.Problem)
	// WorkTree is the work tree that models are shown the paths of these files relative to, "" for none.
	WorkTree(refs []workspace.Ref) string
	Image(ctx context.Context, ref string) (conversation.Attachment, error)
	// Find returns the host's name of the file that a name means, one of the known or another that may be read.
	Find(ctx context.Context, name string, known []workspace.Ref) (path string, ok bool)
	// ChangedFiles returns the files with uncommitted changes; path "" means the first root.
	ChangedFiles(ctx context.Context, path string) ([]workspace.Ref, error)
}

// Engine runs the steps of the workflow tools. It has no memory: the state of a run is a fold over the steps that the
// store keeps under its continuation_id.
type Engine struct {
	Config        *config.Config
	Conversations *ask.Conversations
	Files         Files
	// Window is the context window, in tokens, of the model that a question will go to, with pictures or without.
	Window func(ctx context.Context, q ask.Question, images bool) int
	// Reader lets an expert read by itself, nil where it may read nothing. May be nil.
	Reader func(ctx context.Context, from Readable) *looks.Reader
	// Capture records what a finished run has found and tells what became of it. May be nil.
	Capture func(ctx context.Context, run Finished) ([]Tracked, error)
	// Fix sets issues to fixed by a conversation, but for those that were found again, and says in notes which it left as
	// they were. May be nil.
	Fix func(ctx context.Context, continuationID string, numbers, again []int) (notes []string, err error)
	Log *zap.Logger
}

// Step is one call of a workflow tool.
type Step struct {
	Facts Facts
	// Args are the tool's arguments in its own JSON form, without continuation_id.
	Args json.RawMessage
	// Read gives the facts of a stored step's Args.
	Read  func(args json.RawMessage) (Facts, error)
	Words words.Words
	// Ask carries the caller's wishes for the expert's call: model, thinking mode, temperature, search.
	Ask ask.Question
	// SearchAlone: Ask.Search holds only where no file is sent.
	SearchAlone bool
	// SearchNamed: the caller itself asked for a search.
	SearchNamed bool
	// Evidence collects what the tool itself has for the expert, as a diff is, within so many tokens. With 0 tokens it only
	// looks: that is for the first step of a run, so that what can't be inspected is refused there. May be nil.
	Evidence func(ctx context.Context, run Consolidated, tokens int) (Evidence, error)
}

// Run takes a step: it judges it, asks the expert where that is due, stores the step and replies.
func (e *Engine) Run(ctx context.Context, s Spec, step Step) (*reply.Result, error) {
	r, err := e.begin(ctx, s, step)
	if err != nil {
		return nil, err
	}
	defer r.lease.Release()
	defer r.notePreview(ctx)
	for {
		r.phase = nextPhase(r.situation())
		switch r.phase {
		case waiting:
			err = r.wait(ctx)
		case asking:
			err = r.consult(ctx)
		case keeping:
			return r.keepStep(ctx)
		case completing:
			return r.completeStep(ctx)
		case reporting:
			return r.reportProgress(ctx)
		default:
			return r.replay(ctx)
		}
		if err != nil {
			return nil, err
		}
	}
}

// notePreview keeps the run's notes for a preview, which ends where the model would be asked.
func (r *run) notePreview(ctx context.Context) {
	if p := providers.PreviewFrom(ctx); p != nil {
		p.Note(r.meta.Notes...)
	}
}

// begin leases a run's conversation and judges the step. The caller releases the lease.
func (e *Engine) begin(ctx context.Context, s Spec, step Step) (*run, error) {
	r := &run{Engine: e, spec: s, sent: step, step: step}
	f := step.Facts
	lease, err := e.Conversations.Lease(ctx, f.ContinuationID)
	if err != nil {
		return nil, err
	}
	r.lease = lease
	if f.ContinuationID == "" && f.StepNumber > 1 {
		r.meta.Note(fmt.Sprintf("Step %d came without a continuation_id, so it begins a new run. To continue an earlier run, send the continuation_id of its replies.", f.StepNumber))
	}
	if err := r.admit(ctx); err != nil {
		lease.Release()
		return nil, err
	}
	return r, nil
}
