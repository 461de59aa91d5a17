package workflow

import (
	"context"
	"fmt"
	"maps"

	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
)

// pause stores a step that another one follows, and asks for it.
func (r *run) pause(ctx context.Context) (*reply.Result, error) {
	files := FileContext{Type: "reference_only", Note: "Files are only listed until the last step, which sends them to the expert."}
	if r.step.Evidence != nil && len(r.past) == 0 {
		limited, cancel := working(ctx)
		seen, err := r.step.Evidence(limited, r.sum, 0)
		cancel()
		if err != nil {
			return nil, err
		}
		files.Repositories = raw(seen.Repositories)
		r.meta.Note(seen.Notes...)
	}
	w, err := r.words("next", r.spec.Ladder.Actions(r.decision.Step))
	if err != nil {
		return nil, err
	}
	return r.keep(ctx, r.stepTurn(), stepMeta{Files: files}, nil, nil, func(id string, _ bool) *reply.Object {
		return PauseReply(r.spec, Pause{Step: r.decision.Step, Run: r.sum, ID: id, Files: files, Next: r.next(id), Words: w})
	}), nil
}

// keepStep stores a new step and replies: with a request for the next one, or with what the run has come to.
func (r *run) keepStep(ctx context.Context) (*reply.Result, error) {
	if !r.decision.Done {
		return r.pause(ctx)
	}
	o := r.skipped()
	if r.expert != nil {
		o = *r.expert
	}
	turn := r.stepTurn()
	if o.answer != nil {
		turn = o.answer.Asked
	}
	m := stepMeta{Expert: o.state, Served: o.served, Files: o.files, Sent: o.sent, Coverage: o.coverage, Looked: o.looked, Agent: o.agent, Blind: r.spec.Blind && o.answer != nil}
	r.record(ctx, o, &m)
	r.closeFixed(ctx, o, &m)
	body, err := r.render(ctx, o, m.Tracked)
	if err != nil {
		return nil, err
	}
	result := r.keep(ctx, turn, m, o.answer, o.second, body)
	r.followSecond(ctx, o)
	return result, nil
}

// mergeMetadata makes an answer's metadata the reply's, with the notes that are already there in front of its own.
func (r *run) mergeMetadata(m reply.Metadata) {
	notes, own := r.meta.Notes, m.Notes
	r.meta, r.meta.Notes = m, nil
	r.meta.Note(notes...)
	r.meta.Note(own...)
}

// skipped is the outcome of a run that ends without an expert.
func (r *run) skipped() expertOutcome {
	switch r.decision.Expert {
	case SkipConfident:
		return unasked(r.spec.Statuses.Skipped, fmt.Sprintf("The caller's confidence is %q, so no expert was asked.", r.sum.Confidence))
	case SkipOff:
		return unasked("skipped", "Expert analysis is disabled (EXPERT_ANALYSIS_ENABLED=false).")
	case SkipRefused:
		return unasked("skipped", "The caller declined an expert (use_assistant_model=false, or DEFAULT_USE_ASSISTANT_MODEL).")
	default:
		return unasked("skipped", "There is nothing for an expert to judge: no relevant file, no issue and only one finding. Name relevant_files to have an expert judge them.")
	}
}

// render prepares the reply to a step that ends its run, or whose expert asks for more. The function that it returns makes
// the reply for a continuation id; stored is false when the step could not be stored, so that nothing goes on.
func (r *run) render(ctx context.Context, o expertOutcome, tracked []Tracked) (func(id string, stored bool) *reply.Object, error) {
	if o.reply.Wants != "" {
		return r.renderWants(ctx, o), nil
	}
	w, err := r.words("done", "")
	if err != nil {
		return nil, err
	}
	if o.state == expertAnswered || o.state == expertPartial {
		w.Considered = r.step.Words.Text("considered", nil)
	}
	f := Final{
		Decision: r.decision, Run: r.sum, Shown: r.sum.Issues, Files: o.files, Expert: o.reply, Coverage: o.coverage, Looked: o.looked, Words: w, Tracked: tracked,
		Nothing: o.nothing != "",
	}
	if r.spec.Verdict {
		f.Verdict, f.VerdictReason = verdictOf(judgement{
			Nothing: o.nothing, Expert: o.state, Analysis: o.analysis, Issues: o.agent.withoutWrong(r.sum.Issues),
			Read:      o.files.FilesEmbedded > 0 || readAnything(o.looked),
			Uncovered: uncovered(o.coverage),
		})
	}
	r.filterSeverity(&f, o)
	f.Closing = words.Expert("tracked", map[string]any{"IssuesTool": r.Config.Tools.IssueTracker})
	return func(id string, stored bool) *reply.Object {
		f.ID, f.Agent = id, agentReply(o.agent, stored, words.Expert("judging", nil))
		if part, ok := o.reply.Analysis.(*reply.Object); ok && (o.state == expertPartial || o.state == expertFailed) {
			part.Delete("note") // it may be that of a reply that could not be stored
			switch {
			case o.state == expertPartial && o.pending && stored:
				part.Set("note", words.Expert("pending", nil))
			case o.state == expertPartial && stored:
				part.Set("note", words.Expert("ended", nil))
			case o.state == expertPartial && o.answer != nil: // it was ended when it could not be stored
				part.Set("content", o.answer.Text)
			case o.state == expertFailed && stored:
				part.Set("note", words.Expert("again", nil))
			}
		}
		return FinalReply(r.spec, f)
	}, nil
}

// agentReply is what a reply says of the caller's findings, nil where no expert was asked about them. A judgement that goes on
// can be fetched only where the step is stored.
func agentReply(a *AgentFindings, stored bool, judging string) any {
	switch {
	case a == nil:
		return nil
	case a.State == agentJudged:
		return orEmpty(a.List)
	case a.pending() && stored:
		return (&reply.Object{}).Set("status", a.State).Set("note", judging)
	case a.pending():
		return (&reply.Object{}).Set("status", agentNotJudged).Set("reason", "The step could not be stored, so its judgement could not be fetched.")
	}
	return (&reply.Object{}).Set("status", a.State).Set("reason", a.Reason)
}

// renderWants is render where the expert asks for more: the run is not over, and the call to go on with asks it again.
func (r *run) renderWants(ctx context.Context, o expertOutcome) func(id string, stored bool) *reply.Object {
	w := Words{NextSteps: words.Expert("wants", nil), Actions: words.Items(words.Expert("supply", nil))}
	wanted, _ := r.resolve(ctx, o.wants)
	files := union(append([]string(nil), r.decision.Step.RelevantFiles...), pathsOf(wanted))
	return func(id string, _ bool) *reply.Object {
		next := r.next(id)
		next.Arguments.Set("next_step_required", false)
		if len(files) > 0 {
			next.Arguments.Set("relevant_files", files)
		}
		return PauseReply(r.spec, Pause{
			Status: o.reply.Wants, Content: o.reply.Content, Step: r.decision.Step, Run: r.sum, ID: id, Files: o.files, Looked: o.looked, Next: next, Words: w,
		})
	}
}

// filterSeverity applies the severity filter to what is shown; what is counted, judged and recorded stays whole.
func (r *run) filterSeverity(f *Final, o expertOutcome) {
	var least issue.Severity
	for _, s := range r.sum.Settings {
		if s.Name == SeveritySetting {
			least = issue.Severity(s.Value)
		}
	}
	if !least.Valid() {
		return // "all", or none
	}
	shown, hidden := atLeast(r.sum.Issues, least)
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
