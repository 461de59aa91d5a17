package workflow

import (
	"context"
	"fmt"
	"maps"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
)

// finish ends a run: the expert is asked where it is due, what was found is recorded, the step is stored.
func (r *run) finish(ctx context.Context) (*reply.Result, error) {
	o := r.skipped()
	if r.d.Expert == AskExpert {
		var err error
		if o, err = r.consult(ctx); err != nil {
			return nil, err
		}
	}
	turn := r.stepTurn()
	if o.answer != nil {
		turn = o.answer.Asked
	}
	k := kept{Expert: o.state, Served: o.served, Files: &o.files, Sent: o.sent}
	r.record(ctx, o, &k)
	body, err := r.render(ctx, o, k.Tracked)
	if err != nil {
		return nil, err
	}
	return r.keep(ctx, turn, k, o.answer, body), nil
}

// take makes an answer's metadata the reply's, with the notes that are already there in front of its own.
func (r *run) take(m reply.Metadata) {
	notes, own := r.meta.Notes, m.Notes
	r.meta, r.meta.Notes = m, nil
	r.meta.Note(notes...)
	r.meta.Note(own...)
}

// skipped is the opinion of a run that ends without an expert.
func (r *run) skipped() opinion {
	switch r.d.Expert {
	case SkipConfident:
		return unasked(r.spec.Statuses.Skipped, fmt.Sprintf("The caller's confidence is %q, so no second opinion was asked for.", r.c.Confidence))
	case SkipOff:
		return unasked("skipped", "Expert analysis is switched off (EXPERT_ANALYSIS_ENABLED=false).")
	case SkipRefused:
		return unasked("skipped", "No expert was wanted (use_assistant_model=false, or DEFAULT_USE_ASSISTANT_MODEL).")
	default:
		return unasked("skipped", "There is nothing for an expert to judge: no relevant file, no issue and a single finding. Name relevant_files to get a second opinion.")
	}
}

// render prepares the reply to a step that ends its run, or whose expert asks for more. The function that it returns makes
// the reply for a continuation id; stored is false when the step could not be stored, so that nothing goes on.
func (r *run) render(ctx context.Context, o opinion, tracked []Tracked) (func(id string, stored bool) *reply.Object, error) {
	expert, err := words.For("expert")
	if err != nil {
		return nil, err
	}
	if o.said.Wants != "" {
		return r.renderWants(ctx, o, expert)
	}
	w, err := r.words("done", "")
	if err != nil {
		return nil, err
	}
	if (o.state == expertAnswered || o.state == expertPartial) && r.step.Words.Has("considered") {
		if w.Considered, err = r.step.Words.Render("considered", nil); err != nil {
			return nil, err
		}
	}
	f := Final{Decision: r.d, Run: r.c, Shown: r.c.Issues, Files: o.files, Expert: o.said, Words: w, Tracked: tracked}
	if r.spec.Verdict {
		f.Verdict = verdict(o.state, o.analysis, r.c.Issues, o.files.FilesEmbedded > 0)
	}
	r.hide(&f, o)
	notes := map[string]string{}
	for _, section := range []string{"pending", "ended", "anew", "tracked"} {
		if notes[section], err = expert.Render(section, map[string]any{"IssuesTool": r.Config.Tools.IssueTracker}); err != nil {
			return nil, err
		}
	}
	return func(id string, stored bool) *reply.Object {
		f.ID, f.Closing = id, notes["tracked"]
		if part, ok := o.said.Analysis.(*reply.Object); ok && (o.state == expertPartial || o.state == expertFailed) {
			part.Delete("note") // it may be that of a reply that could not be stored
			switch {
			case o.state == expertPartial && o.pending && stored:
				part.Set("note", notes["pending"])
			case o.state == expertPartial && stored:
				part.Set("note", notes["ended"])
			case o.state == expertPartial && o.answer != nil: // it was ended when it could not be stored
				part.Set("content", o.answer.Text)
			case o.state == expertFailed && stored:
				part.Set("note", notes["anew"])
			}
		}
		return FinalReply(r.spec, f)
	}, nil
}

// renderWants is render where the expert asks for more: the run is not over, and the call to go on with asks it again.
func (r *run) renderWants(ctx context.Context, o opinion, expert words.Words) (func(id string, stored bool) *reply.Object, error) {
	w := Words{}
	var err error
	if w.NextSteps, err = expert.Render("wants", map[string]any{"Next": r.d.Step.StepNumber + 1}); err != nil {
		return nil, err
	}
	if w.Actions, err = expert.Lines("supply", nil); err != nil {
		return nil, err
	}
	var files []string
	for _, path := range r.Files.Named(ctx, o.wants...) {
		if r.Files.Check(ctx, path) == nil {
			files = append(files, path)
		}
	}
	files = union(append([]string(nil), r.d.Step.RelevantFiles...), files)
	return func(id string, _ bool) *reply.Object {
		next := r.next(id)
		next.Arguments.Set("next_step_required", false)
		if len(files) > 0 {
			next.Arguments.Set("relevant_files", files)
		}
		return PauseReply(r.spec, Pause{
			Status: o.said.Wants, Content: o.said.Content, Step: r.d.Step, Run: r.c, ID: id, Files: o.files, Next: next, Words: w,
		})
	}, nil
}

// hide applies the severity filter to what is shown; what is counted, judged and recorded stays whole.
func (r *run) hide(f *Final, o opinion) {
	least := ""
	for _, s := range r.c.Settings {
		if s.Name == SeveritySetting {
			least = s.Value
		}
	}
	if rank(least) == 0 {
		return // "all", or none
	}
	shown, hidden := atLeast(r.c.Issues, least)
	f.Shown = shown
	if o.state == expertAnswered && o.analysis.Structured {
		found, more := atLeast(o.analysis.Findings, least)
		list := make([]any, len(found))
		for i, one := range found {
			list[i] = map[string]any(one)
		}
		object := maps.Clone(o.analysis.Object)
		object["findings"] = list
		f.Expert.Analysis, hidden = readable(object), hidden+more
	}
	if hidden > 0 {
		r.meta.Note(fmt.Sprintf("severity_filter=%s leaves out %s of lower severity.", least, count(hidden, "finding")))
	}
}
