package workflow

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// Files is what the engine needs of the workspace.
type Files interface {
	Check(ctx context.Context, paths ...string) error
	Named(ctx context.Context, paths ...string) []string
	Embed(ctx context.Context, paths []string, b workspace.Budget, already map[string]conversation.Attachment) ([]conversation.Attachment, workspace.Manifest, error)
	Image(ctx context.Context, ref string) (conversation.Attachment, error)
	Verify(ctx context.Context, file string, line int, among ...string) workspace.Citation
	// ChangedFiles lists the files with uncommitted changes; path "" means the first root.
	ChangedFiles(ctx context.Context, path string) ([]string, error)
}

// Engine runs the steps of the workflow tools. It has no memory: the state of a run is a fold over the steps that the
// store keeps under its continuation_id.
type Engine struct {
	Config        *config.Config
	Conversations *ask.Conversations
	Files         Files
	// Window is the context window, in tokens, of the model that a question will go to, with pictures or without.
	Window func(q ask.Question, images bool) int
	// Capture records what a finished run has found and tells what became of it. May be nil.
	Capture func(ctx context.Context, run Finished) ([]Tracked, error)
	Log     *zap.Logger
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
	// Evidence collects what the tool itself has for the expert, as a diff is, within so many tokens. With 0 tokens it only
	// looks: that is for the first step of a run, so that what can't be inspected is refused there. May be nil.
	Evidence func(ctx context.Context, run Consolidated, tokens int) (Evidence, error)
}

// run is one call at work.
type run struct {
	*Engine
	spec  Spec
	step  Step
	lease *ask.Lease
	past  []conversation.Turn // the stored steps, in order of their numbers
	facts []Facts             // of past
	fill  []string            // relevant files that were filled in
	d     Decision
	c     Consolidated
	meta  reply.Metadata
}

// Run takes a step: it judges it, asks the expert where that is due, stores the step and replies.
func (e *Engine) Run(ctx context.Context, s Spec, step Step) (*reply.Result, error) {
	r, err := e.begin(ctx, s, step)
	if err != nil {
		return nil, err
	}
	defer r.lease.Release()
	if r.d.Again < 0 {
		if err := r.fillIn(ctx); err != nil {
			return nil, err
		}
	}
	if r.d.Again < 0 && r.d.Expert == AskExpert {
		if err := r.settle(ctx); err != nil {
			return nil, err
		}
	}
	switch {
	case r.d.Again >= 0:
		return r.again(ctx)
	case r.d.Done:
		return r.finish(ctx)
	}
	return r.pause(ctx)
}

// begin takes hold of a run's conversation and judges the step. The caller releases the hold.
func (e *Engine) begin(ctx context.Context, s Spec, step Step) (*run, error) {
	r := &run{Engine: e, spec: s, step: step}
	f := step.Facts
	hold, err := e.Conversations.Lease(ctx, f.ContinuationID)
	if err != nil {
		return nil, err
	}
	r.lease = hold
	if f.ContinuationID == "" && f.StepNumber > 1 {
		r.meta.Note(fmt.Sprintf("Step %d came without a continuation_id, so it begins a new run. To go on with an old one, send the continuation_id of its replies.", f.StepNumber))
	}
	if err := r.admit(ctx); err != nil {
		hold.Release()
		return nil, err
	}
	return r, nil
}

// admit judges the step. What was answered before is answered again, whatever has become of its files and its conversation.
func (r *run) admit(ctx context.Context) error {
	if err := r.decide(); err != nil || r.d.Again >= 0 {
		return err
	}
	if err := r.lease.CheckCapacity(); err != nil {
		return err
	}
	return r.check(ctx)
}

// settle waits until no answer of the conversation is being written any more, so that it joins what the expert sees, and judges
// the step anew. It is conversation_busy when the call's time is over before.
func (r *run) settle(ctx context.Context) error {
	if r.lease.Running() == nil {
		return nil
	}
	if err := r.lease.AwaitIdle(ctx); err != nil {
		return err
	}
	return r.decide()
}

// unnamed is how many files a note names.
const unnamed = 10

// check refuses files and pictures that may not be read. A file that is not there is only noted, since a caller may well
// name one that it has deleted.
func (r *run) check(ctx context.Context) error {
	f := r.step.Facts
	var gone []string
	for _, path := range slices.Concat(r.Files.Named(ctx, slices.Concat(f.FilesChecked, f.RelevantFiles)...), f.Paths) {
		err := r.Files.Check(ctx, path)
		switch {
		case err == nil:
		case reply.Of(ctx, err).Code == reply.FileNotFound:
			gone = union(gone, []string{path})
		default:
			return err
		}
	}
	for _, ref := range f.Images {
		if _, err := r.Files.Image(ctx, ref); err != nil {
			return err
		}
	}
	if n := len(gone); n > unnamed {
		gone = append(gone[:unnamed], fmt.Sprintf("and %d more", n-unnamed))
	}
	if len(gone) > 0 {
		r.meta.Note("Not found: " + strings.Join(gone, ", ") + ".")
	}
	return nil
}

// mostFilled is how many changed files stand in for relevant_files.
const mostFilled = 50

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
		r.meta.Note("No relevant_files were named, and there are no changed files to take instead: name the files in the next step.")
		return nil
	}
	of := ""
	if n := len(changed); n > mostFilled {
		changed, of = changed[:mostFilled], fmt.Sprintf(" of %d", n)
	}
	r.fill, f.RelevantFiles = changed, changed
	r.meta.Note(fmt.Sprintf("No relevant_files were named, so the changed files of the first root were taken: %d%s.", len(changed), of))
	return r.decide()
}

// decide reads the run's stored steps and judges the new one against them.
func (r *run) decide() error {
	r.past, r.facts = nil, nil
	for _, turn := range r.lease.Turns {
		if turn.Step != nil && turn.Step.Tool == r.key() {
			r.past = append(r.past, turn)
		}
	}
	r.past = byNumber(r.past)
	for _, turn := range r.past {
		f, err := r.step.Read(turn.Step.Input)
		if err != nil {
			return fmt.Errorf("reading step %d of %s: %w", turn.Step.Number, r.lease.ID, err)
		}
		f.RelevantFiles = union(f.RelevantFiles, keptOf(turn).Filled)
		r.facts = append(r.facts, f)
	}
	r.d = Decide(r.spec, r.facts, r.step.Facts, Options{
		ExpertEnabled: r.Config.Expert.Enabled, UseExpert: UsesExpert(r.Config, r.spec.Tool),
		Same: func(i int) bool { return sameJSON(r.past[i].Step.Input, r.step.Args) },
	})
	r.c = Consolidate(r.spec.Ladder, r.d.Steps)
	r.meta.Note(r.d.Notes...)
	return nil
}

// byNumber puts stored steps in order. Of one that two processes took at once, the later one counts.
func byNumber(steps []conversation.Turn) []conversation.Turn {
	slices.SortStableFunc(steps, func(a, b conversation.Turn) int { return a.Step.Number - b.Step.Number })
	var once []conversation.Turn
	for i, turn := range steps {
		if i+1 == len(steps) || steps[i+1].Step.Number != turn.Step.Number {
			once = append(once, turn)
		}
	}
	return once
}

// key is the name under which the run's steps are stored: the tool's, with the branch's behind it, so that the steps of a
// branch replace each other and never those of another line.
func (r *run) key() string {
	if b := r.step.Facts.Branch; b != "" {
		return r.spec.Tool + "/" + b
	}
	return r.spec.Tool
}

// UsesExpert is what an omitted use_assistant_model means for a tool.
func UsesExpert(cfg *config.Config, tool string) bool {
	if own := cfg.Expert.ThinkDeepUseModel; tool == "thinkdeep" && own != nil {
		return *own
	}
	return cfg.Expert.UseAssistantModel
}

// sameJSON compares two objects by value, whatever their keys' order.
func sameJSON(a, b json.RawMessage) bool {
	norm := func(raw json.RawMessage) []byte {
		var v any
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		if dec.Decode(&v) != nil {
			return raw
		}
		out, err := json.Marshal(v)
		if err != nil {
			return raw
		}
		return out
	}
	return bytes.Equal(norm(a), norm(b))
}

// pause stores a step that another one follows, and asks for it.
func (r *run) pause(ctx context.Context) (*reply.Result, error) {
	files := FileContext{Type: "reference_only", Note: "Files are only named until the last step; they are sent to the expert then."}
	if r.step.Evidence != nil && len(r.past) == 0 {
		limited, cancel := working(ctx)
		seen, err := r.step.Evidence(limited, r.c, 0)
		cancel()
		if err != nil {
			return nil, err
		}
		files.Repositories = raw(seen.Repositories)
		r.meta.Note(seen.Notes...)
	}
	w, err := r.words("next", r.spec.Ladder.Actions(r.d.Step))
	if err != nil {
		return nil, err
	}
	return r.keep(ctx, r.stepTurn(), kept{Files: &files}, nil, func(id string, _ bool) *reply.Object {
		return PauseReply(r.spec, Pause{Step: r.d.Step, Run: r.c, ID: id, Files: files, Next: r.next(id), Words: w})
	}), nil
}

// words are the prose of a reply: its next steps, and the actions of a section. more are pairs of a name that the prose
// uses and its value.
func (r *run) words(section, actions string, more ...string) (Words, error) {
	data := map[string]any{
		"Tool": r.spec.Tool, "Next": r.d.Step.StepNumber + 1, "Total": r.d.Step.TotalSteps,
		"Remaining": max(r.d.Step.TotalSteps-r.d.Step.StepNumber, 0),
	}
	for i := 0; i+1 < len(more); i += 2 {
		data[more[i]] = more[i+1]
	}
	w := Words{}
	var err error
	if w.NextSteps, err = r.step.Words.Render(section, data); err != nil {
		return w, err
	}
	if actions != "" {
		w.Actions, err = r.step.Words.Lines(actions, data)
	}
	return w, err
}

// forOneStep are arguments that are meant for the step that carries them alone, and remembered those that the run keeps
// by itself: the next call needs neither.
var (
	forOneStep = []string{"continuation_id", "backtrack_from_step", "is_step_revision", "revises_step_number", "is_branch_point", "branch_from_step"}
	remembered = []string{"files_checked", "relevant_context", "issues_found", "images"}
)

// next is the call that goes on from here, valid as it stands: the arguments of this step with the next step's number.
func (r *run) next(id string) NextCall {
	f := r.d.Step
	args := &reply.Object{}
	args.Set("step", fmt.Sprintf("Continue with step %d: report what you found.", f.StepNumber+1))
	args.Set("step_number", f.StepNumber+1)
	args.Set("total_steps", max(f.TotalSteps, f.StepNumber+1))
	args.Set("next_step_required", f.StepNumber+1 < f.TotalSteps)
	sent := map[string]json.RawMessage{}
	_ = json.Unmarshal(r.step.Args, &sent) // they were made of an object
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		if args.Get(name) == nil && !slices.Contains(forOneStep, name) && !slices.Contains(remembered, name) {
			args.Set(name, sent[name])
		}
	}
	if id != "" {
		args.Set("continuation_id", id)
	}
	return NextCall{Tool: r.spec.Tool, Arguments: args}
}
