package workflow

import (
	"context"
	"errors"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/looks"
	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/tools/proof"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
)

// expertOutcome is what became of the expert: its state, what the reply says of it, and what it was given.
type expertOutcome struct {
	state    string
	analysis Analysis
	reply    Expert
	pending  bool // the answer goes on in the background
	served   bool // it was given the files that it asked for
	files    FileContext
	sent     []string
	coverage []Coverage
	agent    *AgentFindings      // what it says of the caller's; nil where it was not asked
	second   []conversation.Turn // in which it was asked, where that has ended
	nothing  string              // why there was nothing to review, "" where there was
	wants    []string            // files that it still asks for
	answer   *ask.Answer         // nil when no text arrived
	looked   []looks.Look        // what it looked at by itself
}

// consult asks the expert. The one of a stored step gets the files that it had asked for.
func (r *run) consult(ctx context.Context) error {
	var more []string
	if r.stored != nil {
		if r.storedAnswer() == answerRequests {
			_, more = Read(r.answerOf(r.stored.meta).Content, r.spec.Findings).Wants()
		}
		if len(more) > 0 {
			r.meta.Note("This step was sent before with the same arguments: its expert was asked again, with the files that it had asked for.")
		} else {
			r.meta.Note("This step was sent before with the same arguments, and its expert had not finished: only the expert was asked again.")
		}
	}
	o, err := r.askExpert(ctx, more...)
	if err != nil {
		return err
	}
	if o.answer != nil {
		r.judgeReported(ctx, &o, o.answer.Asked, o.answer.Turn())
	}
	r.expert = &o
	return nil
}

// askExpert asks the expert, with the run's files and more that it is known to want. One that asks for files gets them
// once, within the same limit. An error means that the call itself is at fault, or was cancelled; an expert's failure is an
// outcome.
func (r *run) askExpert(ctx context.Context, more ...string) (expertOutcome, error) {
	progress.From(ctx).Phase("reading files")
	q := r.question(ctx)
	held := conversation.LatestAttachments(q.History)
	given, err := r.gather(ctx, union(slices.Clone(r.sum.RelevantFiles), more), r.fileTokens(ctx, q), held)
	if err != nil {
		return r.failed(ctx, err, given)
	}
	r.meta.Note(given.Notes...)
	if given.Nothing != "" && given.Manifest.Empty() {
		o := unasked("skipped", given.Nothing)
		if given.Clean {
			o.nothing = given.Nothing
		}
		o.coverage = r.coverage(ctx, given, &proof.Shown{})
		note := o.files.Note
		o.files = r.fileContext(given)
		o.files.Note = note
		return o, nil
	}
	q.Attachments = given.Attachments
	r.showHistory(q.History, given.Changed)
	show(r.shown, q.Attachments)
	from := r.readable(ctx, given, more)
	from.Shown = r.shown
	r.offerReads(ctx, &q, from)
	r.offered = q
	prompt := q.Prompt
	q.Prompt = paragraphs(prompt, given.Note, r.missing(ctx, given), r.closing())
	a, err := r.Conversations.Generate(ctx, q)
	if errors.Is(err, providers.ErrPreview) {
		return expertOutcome{}, r.previewSecond(ctx, q)
	}
	if err != nil {
		return r.failed(ctx, err, given)
	}
	o := r.outcome(ctx, a, given)
	if o.served = len(more) > 0; o.served || o.state != expertWants || len(o.wants) == 0 {
		return o, nil
	}
	q.Prompt = prompt
	return r.serve(ctx, q, given, o), nil
}

// serve gives an expert the files that it asked for, and asks it again.
func (r *run) serve(ctx context.Context, q ask.Question, given Evidence, o expertOutcome) expertOutcome {
	refused := func(why string) expertOutcome {
		r.meta.Note("The expert asked for files (" + strings.Join(o.wants, ", ") + "), but " + why)
		o.served = true
		return o
	}
	held := conversation.LatestAttachments(q.History)
	for _, a := range q.Attachments {
		held[a.Path] = a
	}
	limited, cancel := working(ctx)
	defer cancel()
	refs, problems := r.resolve(limited, o.wants)
	more, err := r.embed(limited, Evidence{}, refs, problems, r.fileTokens(ctx, q)/2, held)
	if err != nil || len(more.Manifest.Sent)+len(more.Manifest.Cut) == 0 {
		return refused("there is none among them that could be given and that it did not have.")
	}
	given.Manifest = served(given.Manifest, more.Manifest)
	for _, a := range more.Attachments {
		if i := slices.IndexFunc(q.Attachments, func(have conversation.Attachment) bool { return have.Path == a.Path }); i >= 0 {
			q.Attachments[i] = a // of which it had a part
		} else {
			q.Attachments = append(q.Attachments, a)
		}
	}
	show(r.shown, more.Attachments)
	q.Prompt = paragraphs(q.Prompt, given.Note, r.missing(ctx, given), words.Expert("served", nil), r.closing())
	b, err := r.Conversations.Generate(ctx, q)
	if err != nil {
		return refused("asking it again with them failed: " + reply.FromError(ctx, err).Message)
	}
	first := o.answer.Outcome
	b.Outcome.Attempts += first.Attempts
	if b.Pending { // its own usage is written again when it ends
		b.Asked.Usage = first.Response.Usage
	} else {
		b.Outcome.Response.Usage = b.Outcome.Response.Usage.Plus(first.Response.Usage)
	}
	again := r.outcome(ctx, b, given)
	again.served = true
	return again
}

// closing is what an expert is told last, of its answer's form; "" for one that is not asked for an object.
func (r *run) closing() string {
	if !r.spec.Findings {
		return ""
	}
	return words.Expert("closing", nil)
}

func paragraphs(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "\n\n")
}

// question is what the expert is asked, without its files.
func (r *run) question(ctx context.Context) ask.Question {
	q := r.step.Ask
	r.instruct(&q)
	q.Tool, q.Key, q.Background = r.spec.Tool, r.lease.ID, true
	q.Category = providers.CategoryReasoning
	sum := r.sum
	sum.RelevantFiles = r.shownPaths(ctx, sum.RelevantFiles)
	q.Prompt, q.JSONObject = Prompt(sum), r.spec.Findings
	q.History = r.history()
	if r.spec.Blind {
		q.Prompt = BlindPrompt(sum, r.decision.Steps)
		q.History = blindTo(q.History, withheld(claimsOf(r.sum, r.decision.Steps)))
	}
	q.Prefer = r.lease.Model()
	q.Search = q.Search && (!r.step.SearchAlone || len(r.sum.RelevantFiles)+len(r.sum.Images) == 0)
	q.Finished = r.finished
	return q
}

// history is what the expert sees of the conversation: what was said there by whatever tool, and this run's earlier
// consultations, as far as they were not taken back. The run's steps stand in the prompt.
func (r *run) history() (turns []conversation.Turn) {
	answers := map[string]bool{}
	for _, turn := range r.past {
		n := turn.Step.Number
		if k := stepMetaOf(turn); k.Answer != "" && n != r.decision.Step.StepNumber && (r.decision.DropFrom == 0 || n < r.decision.DropFrom) {
			answers[k.Answer] = true
		}
	}
	var shown bool
	for i, t := range r.lease.Turns {
		if t.Role != providers.RoleAssistant {
			shown = t.Tool != r.spec.Tool || i+1 < len(r.lease.Turns) && answers[r.lease.Turns[i+1].ID]
		}
		if shown {
			turns = append(turns, t)
		}
	}
	return turns
}

// instruct puts the tool's instructions into a question, with what every expert is told. Whoever asks adds the rules for every
// model.
func (r *run) instruct(q *ask.Question) {
	own := r.step.Words
	form := own.Text("output", nil)
	if r.spec.Findings {
		form = words.Expert("findings", map[string]string{"Answer": own.Text("answer", nil), "Example": own.Text("example", nil), "Bad": own.Text("bad", nil)})
	}
	q.System = paragraphs(own.Text("system", nil), words.Expert("rules", map[string]bool{"Blind": r.spec.Blind}))
	q.Reads, q.Form = own.Text("reads", nil), paragraphs(words.Expert("files", nil), form)
}

// outcome reads an answer.
func (r *run) outcome(ctx context.Context, a *ask.Answer, given Evidence) expertOutcome {
	r.given, r.said = given, a
	o := expertOutcome{answer: a, files: r.fileContext(given), sent: sentIn(given.Manifest), coverage: r.coverage(ctx, given, r.shown), looked: a.Looked()}
	r.read(ctx, &o, a.Text, a.Partial, a.Pending, r.shown)
	return o
}

// read fills in what an answer's text amounts to, given what its expert was shown.
func (r *run) read(ctx context.Context, o *expertOutcome, text string, partial, pending bool, shown *proof.Shown) {
	if partial {
		o.state, o.pending = expertPartial, pending
		o.reply = Expert{Analysis: (&reply.Object{}).Set("status", "partial").Set("content", text)}
		return
	}
	o.analysis = Read(text, r.spec.Findings)
	if status, files := o.analysis.Wants(); status != "" {
		o.state, o.wants = expertWants, files
		o.reply = Expert{Wants: status, Content: text}
		return
	}
	o.state = expertAnswered
	r.prove(ctx, o.analysis, shown)
	o.reply = Expert{Analysis: readable(o.analysis.Object)}
}

// unasked is the outcome where no expert was asked.
func unasked(status, reason string) expertOutcome {
	return expertOutcome{
		state: expertSkipped, files: FileContext{Type: "reference_only", Note: "No model was asked, so no file was sent."},
		reply: Expert{Analysis: (&reply.Object{}).Set("status", status).Set("reason", reason)},
	}
}

// failed is the outcome when nothing of an answer arrived: the step stands, the expert's part says why. An argument that
// can't be used, and a cancelled call, are errors of the call instead.
func (r *run) failed(ctx context.Context, err error, given Evidence) (expertOutcome, error) {
	e := reply.FromError(ctx, err)
	status := "analysis_error"
	var vendor *providers.Error
	theirs := errors.As(err, &vendor) && (vendor.HTTPStatus != 0 || vendor.VendorCode != "")
	switch e.Code {
	case reply.CodeTimeout:
		status = "analysis_timeout"
	case reply.CodeCancelled, reply.CodePathDenied, reply.CodeFileNotFound:
		return expertOutcome{}, err
	case reply.CodeModelNotFound:
		if calls.Named(r.step.Ask.Model) {
			return expertOutcome{}, err
		}
	case reply.CodeInvalidRequest, reply.CodeTooLarge:
		if !theirs { // what a vendor refuses is no fault of the caller's arguments
			return expertOutcome{}, err
		}
	}
	r.Log.Info("expert failed", zap.String("tool", r.spec.Tool), zap.Error(err))
	if e.Metadata != nil {
		r.mergeMetadata(*e.Metadata)
	}
	o := expertOutcome{state: expertFailed, files: FileContext{
		Type: "reference_only", Note: "The expert did not answer, so no file counts as read.", Repositories: raw(given.Repositories),
	}}
	o.reply.Analysis = (&reply.Object{}).Set("status", status).Set("error", e.Object())
	return o, nil
}
