package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// Panelist is one model that a consensus asks.
type Panelist struct {
	Model  string // as it will be asked for
	Stance string // for, against or neutral
	System string // its system prompt
}

// Label names a panelist as replies do.
func (p Panelist) Label() string { return p.Model + ":" + p.Stance }

// Opinion is what one panelist answered.
type Opinion struct {
	Model    string         `json:"model"`
	Stance   string         `json:"stance"`
	Status   string         `json:"status"` // success, partial or error
	Verdict  string         `json:"verdict,omitempty"`
	Error    *reply.Object  `json:"error,omitempty"`
	Metadata reply.Metadata `json:"-"`
	Who      OpinionSource  `json:"metadata"`

	err error
}

// OpinionSource says who really answered.
type OpinionSource struct {
	Provider     string           `json:"provider,omitempty"`
	ModelName    string           `json:"model_name,omitempty"`
	FinishReason string           `json:"finish_reason,omitempty"`
	Usage        *providers.Usage `json:"usage,omitempty"`
	Thinking     string           `json:"thinking,omitempty"`
	Notes        []string         `json:"notes,omitempty"`
}

// Panel is what RunPanel hands to the maker of the reply.
type Panel struct {
	Decision
	Consolidated
	Opinions []Opinion
	Files    FileContext
	// WhenAll and ForMore are the prose of next_steps: when all have answered, and when another answer follows.
	WhenAll, ForMore string
}

// panelKept is what a consensus keeps beside its reply.
type panelKept struct {
	Opinions []Opinion   `json:"opinions"`
	Files    FileContext `json:"files"`
}

// RunPanel asks all panelists at once, each blind to the others, to the thread and to the caller's own view. One that
// fails or is cut is listed as such. A call that was made before with equal arguments asks only those that failed. It is
// an error when no panelist said anything.
func (e *Engine) RunPanel(ctx context.Context, s Spec, step Step, panel []Panelist, body func(p Panel, id string) *reply.Object) (*reply.Result, error) {
	r, err := e.begin(ctx, s, step)
	if err != nil {
		return nil, err
	}
	defer r.hold.Release()
	var k panelKept
	if r.d.Again >= 0 {
		if json.Unmarshal(r.past[r.d.Again].Meta, &k) == nil && whole(k.Opinions) {
			r.meta.Note("This question was asked before with the same arguments: these are the stored answers, and no model was asked.")
			return r.stored(r.past[r.d.Again])
		}
		r.meta.Note("This question was asked before with the same arguments: only the models that had not answered were asked again.")
	} else if err := r.hold.Room(); err != nil {
		return nil, err
	}
	progress.From(ctx).Phase("reading files")
	given, err := r.attach(ctx, r.c.RelevantFiles, fileTokens, nil)
	if err != nil {
		return nil, err
	}
	p := Panel{Decision: r.d, Consolidated: r.c}
	if p.WhenAll, err = step.Words.Render("done", nil); err != nil {
		return nil, err
	}
	p.Files, _ = contextOf(given.Manifest)
	p.Opinions = r.poll(ctx, panel, given.Attachments, k.Opinions)
	if err := mute(p.Opinions); err != nil || ctx.Err() != nil {
		return nil, orCause(ctx, err)
	}
	r.tally(p.Opinions)
	return r.keepPanel(ctx, p, given.Attachments, body), nil
}

// whole tells whether every panelist answered in full.
func whole(opinions []Opinion) bool {
	return len(opinions) > 0 && !slices.ContainsFunc(opinions, func(o Opinion) bool { return o.Status != "success" })
}

// mute is the first failure when nobody said anything.
func mute(opinions []Opinion) error {
	for _, o := range opinions {
		if o.Status != "error" {
			return nil
		}
	}
	for _, o := range opinions {
		if o.err != nil {
			return o.err
		}
	}
	return nil
}

func orCause(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	return context.Cause(ctx)
}

// poll asks every panelist that has not answered in full before.
func (r *run) poll(ctx context.Context, panel []Panelist, files []conversation.Attachment, before []Opinion) []Opinion {
	opinions := make([]Opinion, len(panel))
	var group sync.WaitGroup
	for i, p := range panel {
		if i < len(before) && before[i].Status == "success" {
			opinions[i] = before[i]
			continue
		}
		group.Go(func() { opinions[i] = r.opinionOf(ctx, p, files) })
	}
	group.Wait()
	return opinions
}

func (r *run) opinionOf(ctx context.Context, p Panelist, files []conversation.Attachment) Opinion {
	q := r.step.Ask
	q.Tool, q.System, q.Prompt, q.Attachments = r.spec.Tool, p.System, r.d.Step.Step, files
	q.Model, q.Category = p.Model, providers.CategoryReasoning
	o := Opinion{Model: p.Model, Stance: p.Stance}
	a, err := r.Threads.Put(ctx, q)
	if err != nil {
		o.Status, o.err = "error", err
		o.Error = reply.Of(ctx, err).Object()
		return o
	}
	o.Status, o.Verdict, o.Metadata = "success", a.Text, a.Metadata()
	if a.Partial {
		o.Status = "partial"
	}
	o.Who = OpinionSource{
		Provider: o.Metadata.ProviderUsed, ModelName: o.Metadata.ModelUsed, FinishReason: o.Metadata.FinishReason,
		Usage: o.Metadata.Usage, Thinking: o.Metadata.Thinking, Notes: o.Metadata.Notes,
	}
	return o
}

// tally puts who answered, and what all of it cost, into the reply's metadata.
func (r *run) tally(opinions []Opinion) {
	var models, vendors []string
	usage := providers.Usage{}
	for _, o := range opinions {
		if o.Who.ModelName == "" {
			continue
		}
		models = union(models, []string{o.Who.ModelName})
		vendors = union(vendors, []string{o.Who.Provider})
		r.meta.Attempts += o.Metadata.Attempts
		if o.Who.Usage != nil {
			usage = usage.Plus(*o.Who.Usage)
		}
	}
	r.meta.ModelUsed, r.meta.ProviderUsed, r.meta.Usage = strings.Join(models, ", "), strings.Join(vendors, ", "), &usage
}

// keepPanel stores the question and the answers, the latter as one turn, so that a later question in the thread finds
// them.
func (r *run) keepPanel(ctx context.Context, p Panel, files []conversation.Attachment, body func(p Panel, id string) *reply.Object) *reply.Result {
	object := body(p, r.hold.ID)
	asked := r.said()
	asked.Attachments = files
	meta, err := json.Marshal(panelKept{Opinions: p.Opinions, Files: p.Files})
	fillStep(&asked, r.key(), r.d.Step.StepNumber, r.step.Args, object, kept{})
	if err == nil {
		asked.Meta = meta
	}
	answer := conversation.Turn{
		Role: providers.RoleAssistant, Tool: r.spec.Tool, Status: conversation.TurnComplete, Content: digest(p.Opinions),
		FinishReason: providers.FinishStop,
	}
	if r.meta.Usage != nil {
		answer.Usage = *r.meta.Usage
	}
	n := conversation.NewTurns{Tool: r.spec.Tool, Title: r.d.Step.Step, Turns: []conversation.Turn{asked, answer}, DropStepsTool: r.key()}
	if n.DropStepsFrom = r.d.DropFrom; r.d.Again >= 0 {
		n.DropStepsFrom = r.d.Step.StepNumber
	}
	if n.DropStepsFrom == 0 {
		n.DropStepsTool = ""
	}
	if _, err := r.hold.Keep(ctx, n, nil); err != nil {
		no := false
		r.meta.Stored = &no
		r.meta.Note("The store did not confirm in time, so these answers are not kept.")
		object = body(p, "")
	}
	return &reply.Result{Body: *object, Metadata: r.meta}
}

// digest is the answers as one text.
func digest(opinions []Opinion) string {
	var b strings.Builder
	for _, o := range opinions {
		fmt.Fprintf(&b, "## %s (%s)\n", o.Model, o.Stance)
		if o.Verdict == "" {
			b.WriteString("No answer.")
		}
		b.WriteString(o.Verdict)
		b.WriteString("\n\n")
	}
	return strings.TrimSpace(b.String())
}

// Later answers a step behind the first of a consensus: one of the answers that the first step got.
func (e *Engine) Later(ctx context.Context, s Spec, step Step, body func(p Panel, id string) (*reply.Object, error)) (*reply.Result, error) {
	hold, err := e.Threads.Hold(ctx, step.Facts.ContinuationID)
	if err != nil {
		return nil, err
	}
	defer hold.Release()
	for i := len(hold.Turns) - 1; i >= 0; i-- {
		turn := hold.Turns[i]
		if turn.Step == nil || turn.Step.Tool != s.Tool {
			continue
		}
		var k panelKept
		first, err := step.Read(turn.Step.Input)
		if err != nil || json.Unmarshal(turn.Meta, &k) != nil {
			return nil, fmt.Errorf("reading the consensus of %s: %w", hold.ID, err)
		}
		p := Panel{Decision: Decision{Step: step.Facts}, Opinions: k.Opinions, Files: k.Files, Consolidated: Consolidate(s.Ladder, []Facts{first})}
		if p.WhenAll, err = step.Words.Render("done", nil); err != nil {
			return nil, err
		}
		if p.ForMore, err = step.Words.Render("more", map[string]any{"Next": step.Facts.StepNumber + 1, "Total": len(p.Opinions)}); err != nil {
			return nil, err
		}
		object, err := body(p, hold.ID)
		if err != nil {
			return nil, err
		}
		return &reply.Result{Body: *object}, nil
	}
	return nil, reply.Refuse("Send step 1 with the question in step and the models; it asks all of them and returns all answers.",
		"There is no consensus in this conversation yet, so step_number %d has no answer to give.", step.Facts.StepNumber)
}
