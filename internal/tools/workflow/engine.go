package workflow

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// Files is what the engine needs of the workspace.
type Files interface {
	Check(ctx context.Context, paths ...string) error
	Embed(ctx context.Context, paths []string, b workspace.Budget, already map[string]conversation.Attachment) ([]conversation.Attachment, workspace.Manifest, error)
	Image(ctx context.Context, ref string) (conversation.Attachment, error)
	Verify(ctx context.Context, file string, line int, among ...string) workspace.Citation
	// ChangedFiles lists the files with uncommitted changes; path "" means the first root.
	ChangedFiles(ctx context.Context, path string) ([]string, error)
}

// Engine runs the steps of the workflow tools. It has no memory: the state of a run is a fold over the steps that the
// store keeps under its continuation_id.
type Engine struct {
	Config  *config.Config
	Threads *ask.Threads
	Files   Files
	// Capture records a finished run's findings and returns what the reply says of them, nil for nothing. May be nil.
	Capture func(ctx context.Context, run Finished) (*reply.Object, error)
	Log     *zap.Logger
}

// Finished is a run that has ended, for those who record what it found.
type Finished struct {
	Tool           string
	ContinuationID string
	Issues         []map[string]any // the caller's
	Findings       []Finding        // the expert's
	RelevantFiles  []string
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
	// Evidence gives what the expert is sent besides the run's relevant files, as a diff is. nil gives nothing.
	Evidence func(ctx context.Context, run Consolidated, tokens int) (Evidence, error)
}

// Evidence is what a tool itself collects for the expert.
type Evidence struct {
	Attachments []conversation.Attachment
	Manifest    workspace.Manifest
	Note        string // what the expert is told of it, "" for nothing
}

// kept is what a step's turn keeps besides its arguments and its reply: enough to make the reply anew when the expert's
// answer is finished later.
type kept struct {
	Expert string       `json:"expert,omitempty"` // "", answered, wants, skipped, partial or failed
	Answer string       `json:"answer,omitempty"` // the id of the expert's turn
	Files  *FileContext `json:"files,omitempty"`
	Sent   []string     `json:"sent,omitempty"`   // paths that the expert was given
	Filled []string     `json:"filled,omitempty"` // relevant files that the caller left out and that were filled in
}

// The states of a step's expert.
const (
	expertAnswered = "answered"
	expertWants    = "wants"
	expertSkipped  = "skipped"
	expertPartial  = "partial"
	expertFailed   = "failed"
)

// run is one call at work.
type run struct {
	*Engine
	spec Spec
	step Step
	hold *ask.Hold
	past []conversation.Turn // the stored steps, in order of their numbers
	fill []string            // relevant files that were filled in
	d    Decision
	c    Consolidated
	meta reply.Metadata
}

// Run takes a step: it judges it, asks the expert where that is due, stores the step and replies.
func (e *Engine) Run(ctx context.Context, s Spec, step Step) (*reply.Result, error) {
	r, err := e.begin(ctx, s, step)
	if err != nil {
		return nil, err
	}
	defer r.hold.Release()
	if r.d.Again >= 0 {
		return r.again(ctx)
	}
	if err := r.hold.Room(); err != nil {
		return nil, err
	}
	if err := r.fillIn(ctx); err != nil {
		return nil, err
	}
	if !r.d.Done {
		return r.pause(ctx)
	}
	return r.finish(ctx)
}

// check refuses files that may not be read; one that is not there is only noted, since a caller may well name a file that
// it has deleted.
func (r *run) check(ctx context.Context) error {
	f := r.step.Facts
	for _, path := range slices.Concat(f.FilesChecked, f.RelevantFiles, f.Paths) {
		err := r.Files.Check(ctx, path)
		switch {
		case err == nil:
		case reply.Of(ctx, err).Code == reply.FileNotFound:
			r.meta.Note("There is no file " + path + ".")
		default:
			return err
		}
	}
	return nil
}

// fillIn names the changed files where a run begins without relevant files and its tool can't do without.
func (r *run) fillIn(ctx context.Context) error {
	f := &r.step.Facts
	if !r.spec.NeedsFiles || f.StepNumber != 1 || len(f.RelevantFiles) > 0 {
		return nil
	}
	changed, err := r.Files.ChangedFiles(ctx, "")
	if err != nil || len(changed) == 0 {
		r.meta.Note("No relevant_files were named, and there are no changed files to take instead: name the files in the next step.")
		return nil
	}
	r.fill, f.RelevantFiles = changed, changed
	r.meta.Note(fmt.Sprintf("No relevant_files were named, so the %d changed files of the first root were taken.", len(changed)))
	r.past = nil
	return r.decide()
}

// decide reads the run's stored steps and judges the new one against them.
func (r *run) decide() error {
	var past []Facts
	for _, turn := range r.hold.Turns {
		if turn.Step != nil && turn.Step.Tool == r.key() {
			r.past = append(r.past, turn)
		}
	}
	slices.SortStableFunc(r.past, func(a, b conversation.Turn) int { return a.Step.Number - b.Step.Number })
	for _, turn := range r.past {
		f, err := r.step.Read(turn.Step.Input)
		if err != nil {
			return fmt.Errorf("reading step %d of %s: %w", turn.Step.Number, r.hold.ID, err)
		}
		f.RelevantFiles = union(f.RelevantFiles, keptOf(turn).Filled)
		past = append(past, f)
	}
	r.d = Decide(r.spec, past, r.step.Facts, Options{
		ExpertEnabled: r.Config.Expert.Enabled, UseExpert: UsesExpert(r.Config, r.spec.Tool),
		Same: func(i int) bool { return sameJSON(r.past[i].Step.Input, r.step.Args) },
	})
	r.c = Consolidate(r.spec.Ladder, r.d.Steps)
	r.meta.Note(r.d.Notes...)
	return nil
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
	w, err := r.words("next", r.spec.Ladder.Actions(r.d.Step))
	if err != nil {
		return nil, err
	}
	body := func(id string) *reply.Object {
		return PauseReply(r.spec, r.d, r.c, id, files, r.next(id), w)
	}
	return r.keep(ctx, r.said(), kept{Files: &files}, nil, body), nil
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
		if w.Actions, err = r.step.Words.Lines(actions, data); err != nil {
			return w, err
		}
	} else if r.step.Words.Has("considered") {
		w.Considered, err = r.step.Words.Render("considered", data)
	}
	return w, err
}

// said is the step as a message of the thread.
func (r *run) said() conversation.Turn {
	f := r.d.Step
	text := fmt.Sprintf("%s, step %d of %d: %s", r.spec.Tool, f.StepNumber, f.TotalSteps, f.Step)
	if strings.TrimSpace(f.Findings) != "" {
		text += "\n\nFindings: " + f.Findings
	}
	return conversation.Turn{Role: providers.RoleUser, Content: text, Tool: r.spec.Tool, Status: conversation.TurnComplete}
}

// once are arguments that are meant for the step that carries them alone.
var once = []string{"continuation_id", "backtrack_from_step", "is_step_revision", "revises_step_number", "is_branch_point", "branch_from_step"}

// next is the call that goes on from here, valid as it stands: every argument of this step with the next step's number.
func (r *run) next(id string) NextCall {
	f := r.d.Step
	args := &reply.Object{}
	args.Set("step", fmt.Sprintf("Continue with step %d: report what you found.", f.StepNumber+1))
	args.Set("step_number", f.StepNumber+1)
	args.Set("total_steps", max(f.TotalSteps, f.StepNumber+1))
	args.Set("next_step_required", f.StepNumber+1 < f.TotalSteps)
	var sent map[string]json.RawMessage
	if json.Unmarshal(r.step.Args, &sent) == nil { // they were decoded before
		names := make([]string, 0, len(sent))
		for name := range sent {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			if args.Get(name) == nil && !slices.Contains(once, name) {
				args.Set(name, sent[name])
			}
		}
	}
	if id != "" {
		args.Set("continuation_id", id)
	}
	return NextCall{Tool: r.spec.Tool, Arguments: args}
}

// keep stores the step with its reply, and the expert's answer when there is one. body makes the reply for a
// continuation id, "" when nothing could be stored.
func (r *run) keep(ctx context.Context, turn conversation.Turn, k kept, a *ask.Answer, body func(id string) *reply.Object) *reply.Result {
	turns := []conversation.Turn{turn}
	if a != nil {
		answer := a.Turn()
		answer.ID = uuid.NewString()
		k.Answer = answer.ID
		turns = append(turns, answer)
	}
	k.Filled = r.fill
	object := body(r.hold.ID)
	fillStep(&turns[0], r.key(), r.d.Step.StepNumber, r.step.Args, object, k)
	n := conversation.NewTurns{Tool: r.spec.Tool, Title: r.c.Initial, Turns: turns}
	if r.d.DropFrom > 0 {
		n.DropStepsTool, n.DropStepsFrom = r.key(), r.d.DropFrom
	}
	if _, err := r.hold.Keep(ctx, n, a); err != nil {
		no := false
		r.meta.Stored = &no
		r.meta.Note("The store did not confirm in time, so this step is not kept: repeat its findings in the next one.")
		object = body("")
	}
	return &reply.Result{Body: *object, Metadata: r.meta}
}

// keptOf reads what a step's turn keeps.
func keptOf(turn conversation.Turn) kept {
	var k kept
	_ = json.Unmarshal(turn.Meta, &k) // a turn of another making keeps nothing
	return k
}

// fillStep puts a step and its reply into its turn.
func fillStep(turn *conversation.Turn, tool string, number int, args json.RawMessage, object *reply.Object, k kept) {
	rendered, err := object.MarshalJSON()
	if err != nil {
		rendered = nil // a reply is made of our own types; one that can't be rendered is seen by every client
	}
	turn.Step = &conversation.Step{Tool: tool, Number: number, Input: args, Reply: rendered}
	if meta, err := json.Marshal(k); err == nil {
		turn.Meta = meta
	}
}
