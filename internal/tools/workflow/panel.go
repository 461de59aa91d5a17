package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/looks"
	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
)

// Panelist is one model that a consensus asks.
type Panelist struct {
	Model  string // as it will be asked for
	Vendor string // of a model that the caller did not name: another one of its vendor may answer in its place
	Stance string // for, against or neutral
	System string // its part of the system prompt, with its stance
	Reads  string // what to read for the question
	Form   string // what its answer is to look like
}

// Label names a panelist as replies do.
func (p Panelist) Label() string { return p.Model + ":" + p.Stance }

// PanelAnswer is what one panelist answered.
type PanelAnswer struct {
	Model   string          `json:"model"`
	Stance  string          `json:"stance"`
	Status  string          `json:"status"`
	Verdict string          `json:"verdict,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
	Who     Source          `json:"metadata"`

	err error
}

// The states of an answer, as replies name them.
const (
	panelistAnswered = "success"
	panelistPartial  = "partial"
	panelistFailed   = "error"
)

func (o PanelAnswer) label() string { return o.Model + ":" + o.Stance }

// Source says who really answered.
type Source struct {
	Provider     string                 `json:"provider,omitempty"`
	ModelName    string                 `json:"model_name,omitempty"`
	FinishReason string                 `json:"finish_reason,omitempty"`
	Attempts     int                    `json:"attempts,omitempty"`
	Usage        *providers.Usage       `json:"usage,omitempty"`
	Thinking     string                 `json:"thinking,omitempty"`
	Sources      []reply.Source         `json:"sources,omitempty"`
	Searches     *providers.SearchTotal `json:"searches,omitempty"`
	Looked       []looks.Look           `json:"looked_at,omitempty"` // by itself
	Notes        []string               `json:"notes,omitempty"`
}

// Panel is what the reply of a consensus is made of.
type Panel struct {
	Step     Facts
	Question string
	Answers  []PanelAnswer
	Files    FileContext
	// WhenAll and ForMore are the prose of next_steps: when all have answered, and when another answer follows.
	WhenAll, ForMore string
}

// panelMeta is what a consensus keeps beside its reply.
type panelMeta struct {
	Answers []PanelAnswer `json:"opinions"`
	Files   FileContext   `json:"files"`
}

// RunPanel asks all panelists at once, each without the others' answers, the conversation and the caller's own view. One that
// fails or is cut is listed as such; it is an error when no panelist said anything. A call that was made before with equal
// arguments asks only those that have not answered in full; panelFor returns the panel, given who was asked before.
func (e *Engine) RunPanel(ctx context.Context, s Spec, step Step, panelFor func(before []PanelAnswer) ([]Panelist, error)) (*reply.Result, error) {
	r, err := e.begin(ctx, s, step)
	if err != nil {
		return nil, err
	}
	defer r.lease.Release()
	defer r.notePreview(ctx)
	if r.stored == nil && r.lease.Running() != nil {
		if err := r.wait(ctx); err != nil {
			return nil, err
		}
	}
	var k panelMeta
	if r.stored != nil {
		if err := json.Unmarshal(r.stored.turn.Meta, &k); err != nil {
			return nil, fmt.Errorf("reading the consensus of %s: %w", r.lease.ID, err)
		}
		if !anyIncomplete(k.Answers) {
			return r.storedPanel(r.stored.turn, k)
		}
		r.meta.Note("This question was asked before with the same arguments: only the models that had not answered in full were asked again.")
	}
	panel, err := panelFor(k.Answers)
	if err != nil {
		return nil, err
	}
	p := Panel{Step: r.decision.Step, Question: r.decision.Step.Step}
	progress.From(ctx).Phase("reading files")
	given, err := r.gather(ctx, r.sum.RelevantFiles, r.panelFileTokens(ctx, panel), nil)
	if err != nil {
		return nil, err
	}
	r.meta.Note(given.Notes...)
	p.Files = r.fileContext(given)
	p.Answers = r.askPanel(ctx, panel, given, k.Answers)
	if err := allFailed(ctx, p.Answers); err != nil {
		return nil, err
	}
	p.WhenAll = panelNextSteps(step.Words, p.Answers)
	r.addTotals(p.Answers)
	return r.keepPanel(ctx, p, given.Attachments), nil
}

// anyIncomplete reports whether a model has not answered in full.
func anyIncomplete(answers []PanelAnswer) bool {
	return slices.ContainsFunc(answers, func(o PanelAnswer) bool { return o.Status != panelistAnswered })
}

// panelNextSteps is what to do with the answers.
func panelNextSteps(w words.Words, answers []PanelAnswer) string {
	return w.Text("done", map[string]any{"Missing": anyIncomplete(answers)})
}

// panelFileTokens is the room for files that every panelist has.
func (r *run) panelFileTokens(ctx context.Context, panel []Panelist) int {
	room := ask.MaxFileTokens
	for _, p := range panel {
		q := r.step.Ask
		q.Model, q.Category = p.Model, providers.CategoryReasoning
		room = min(room, r.fileTokens(ctx, q))
	}
	return room
}

// storedPanel is the reply of a consensus as it was given.
func (r *run) storedPanel(turn conversation.Turn, k panelMeta) (*reply.Result, error) {
	body, err := reply.ParseObject(turn.Step.Reply)
	if err != nil {
		return nil, fmt.Errorf("the stored reply of %s: %w", r.lease.ID, err)
	}
	r.meta.Note("This question was asked before with the same arguments: these are the stored answers, and no model was asked.")
	r.meta.Note(ask.ListingNote(r.lease.ID, turn))
	r.addTotals(k.Answers)
	i := slices.IndexFunc(r.lease.Turns, func(t conversation.Turn) bool { return t.ID == turn.ID })
	if i+1 < len(r.lease.Turns) {
		return r.panelResult(body, k.Answers, r.lease.Turns[i+1]), nil
	}
	return &reply.Result{Body: *body, Metadata: r.meta}, nil
}

// askPanel asks every panelist that has not answered in full before. What it said then in part stays if it now says less.
func (r *run) askPanel(ctx context.Context, panel []Panelist, given Evidence, before []PanelAnswer) []PanelAnswer {
	answers, from := make([]PanelAnswer, len(panel)), r.readable(ctx, given, nil)
	var group sync.WaitGroup
	for i, p := range panel {
		at := slices.IndexFunc(before, func(o PanelAnswer) bool { return o.label() == p.Label() })
		if at >= 0 && before[at].Status == panelistAnswered {
			answers[i] = before[at]
			continue
		}
		group.Go(func() {
			answers[i] = r.askPanelist(ctx, p, given, from)
			if at >= 0 && before[at].Status == panelistPartial && answers[i].Status != panelistAnswered && len(before[at].Verdict) > len(answers[i].Verdict) {
				answers[i] = before[at]
			}
		})
	}
	group.Wait()
	return answers
}

func (r *run) askPanelist(ctx context.Context, p Panelist, given Evidence, from Readable) (o PanelAnswer) {
	q := r.step.Ask
	q.Tool, q.System, q.Reads, q.Form, q.Attachments = r.spec.Tool, p.System, p.Reads, p.Form, given.Attachments
	q.Search = q.Search && (!r.step.SearchAlone || len(given.Attachments) == 0)
	q.Prompt = paragraphs(r.decision.Step.Step, r.missing(ctx, given))
	q.FewReads = true
	r.offerReads(ctx, &q, from)
	q.Model, q.Category = p.Model, providers.CategoryReasoning
	if p.Vendor != "" {
		q.Model, q.Prefer, q.Provider = "", p.Model, p.Vendor
	}
	o = PanelAnswer{Model: p.Model, Stance: p.Stance}
	a, err := r.Conversations.Generate(ctx, q)
	if err != nil {
		e := reply.FromError(ctx, err)
		o.Status, o.err = panelistFailed, e
		o.Who = Source{Provider: e.Provider, ModelName: e.Model}
		if asked := e.Metadata; asked != nil {
			o.Who.Attempts, o.Who.Usage, o.Who.Thinking, o.Who.Notes = asked.Attempts, asked.Usage, asked.Thinking, asked.Notes
		}
		o.Error, _ = e.Object().MarshalJSON() // an error's parts marshal
		return o
	}
	o.Status, o.Verdict = panelistAnswered, a.Text
	if a.Partial {
		o.Status = panelistPartial
	}
	m := a.Metadata()
	o.Who = Source{
		Provider: m.ProviderUsed, ModelName: m.ModelUsed, FinishReason: m.FinishReason, Attempts: m.Attempts,
		Usage: m.Usage, Thinking: m.Thinking, Sources: m.Sources, Searches: m.Searches, Looked: a.Looked(), Notes: m.Notes,
	}
	return o
}

// allFailed is the error when no panelist said anything: the first one's, with why the others failed.
func allFailed(ctx context.Context, answers []PanelAnswer) error {
	var first *reply.Error
	var said []string
	asked, usage := reply.Metadata{}, providers.Usage{}
	for _, o := range answers {
		if o.Status != panelistFailed {
			return nil
		}
		e := reply.FromError(ctx, o.err)
		if first == nil {
			first = e
		}
		asked.Attempts += o.Who.Attempts
		if o.Who.Usage != nil {
			usage = usage.Plus(*o.Who.Usage)
			asked.Usage = &usage
		}
		said = append(said, o.label()+": "+e.Message)
	}
	if first == nil {
		return errors.New("the consensus has no models")
	}
	all := *first
	all.Message, all.Metadata = "No model answered. "+strings.Join(said, " "), &asked
	return &all
}

// addTotals puts who answered, and what all of it cost, into the reply's metadata.
func (r *run) addTotals(answers []PanelAnswer) {
	var models, vendors []string
	usage := providers.Usage{}
	for _, o := range answers {
		if o.Status != panelistFailed {
			models = union(models, []string{o.Who.ModelName})
			vendors = union(vendors, []string{o.Who.Provider})
		}
		r.meta.Attempts += o.Who.Attempts
		if o.Who.Usage != nil {
			usage = usage.Plus(*o.Who.Usage)
		}
	}
	r.meta.ModelUsed, r.meta.ProviderUsed, r.meta.Usage = strings.Join(models, ", "), strings.Join(vendors, ", "), &usage
	r.meta.Own.Set("workflow_type", "multi_model_consensus")
}

// keepPanel stores the question and the answers, the latter as one turn, so that a later question in the conversation finds
// them.
func (r *run) keepPanel(ctx context.Context, p Panel, files []conversation.Attachment) *reply.Result {
	object := combinedReply(p, r.lease.ID)
	asked := r.stepTurn()
	asked.Attachments = files
	r.fillStep(&asked, object, stepMeta{})
	asked.Meta, _ = json.Marshal(panelMeta{Answers: p.Answers, Files: p.Files}) // made of types that marshal
	answer := conversation.Turn{
		Role: providers.RoleAssistant, Tool: r.spec.Tool, Status: conversation.TurnComplete, Content: digest(p.Answers),
		FinishReason: providers.FinishStop, Usage: *r.meta.Usage,
	}
	n := conversation.NewTurns{
		Tool: r.spec.Tool, Title: ask.Title(p.Question), Turns: []conversation.Turn{asked, answer},
		DropStepsTool: r.key(), DropStepsFrom: r.decision.DropFrom,
	}
	if r.stored != nil {
		n.DropStepsFrom = r.decision.Step.StepNumber
	}
	stored, err := r.lease.Append(ctx, n, nil)
	if err != nil {
		id := r.noteNotStored("these answers are not kept.")
		return r.panelResult(combinedReply(p, id), p.Answers, answer)
	}
	r.meta.InMemory(r.lease.Temporary)
	r.meta.Note(ask.ListingNote(r.lease.ID, stored[0]))
	return r.panelResult(object, p.Answers, stored[1])
}

// panelResult is a reply whose answers, where they are too long for the client, give way to the beginning of their
// digest; the rest is then read by chat.
func (r *run) panelResult(object *reply.Object, answers []PanelAnswer, turn conversation.Turn) *reply.Result {
	out := &reply.Result{Body: *object, Metadata: r.meta, Brief: brief}
	s := ask.StoredAnswer{ContinuationID: r.lease.ID, N: turn.N}
	out.Answer = &reply.Answer{
		Text: turn.Content, URI: s.URI(), ContinuationID: r.lease.ID,
		Put: func(text string) {
			names := slices.Clone(answers)
			for i := range names {
				names[i].Verdict = ""
			}
			out.Body.Set("accumulated_responses", names).Set("content", text)
		},
	}
	return out
}

// digest is the answers as one text.
func digest(answers []PanelAnswer) string {
	var b strings.Builder
	for _, o := range answers {
		fmt.Fprintf(&b, "## %s (%s)\n", o.Model, o.Stance)
		if o.Verdict == "" {
			b.WriteString("No answer.")
		}
		b.WriteString(o.Verdict)
		b.WriteString("\n\n")
	}
	return strings.TrimSpace(b.String())
}

// NextAnswer answers a step behind the first of a consensus: one of the answers that the first step got.
func (e *Engine) NextAnswer(ctx context.Context, s Spec, step Step) (*reply.Result, error) {
	hold, err := e.Conversations.Lease(ctx, step.Facts.ContinuationID)
	if err != nil {
		return nil, err
	}
	defer hold.Release()
	for _, turn := range slices.Backward(hold.Turns) {
		if turn.Step == nil || turn.Step.Tool != s.Tool {
			continue
		}
		var k panelMeta
		asked, err := step.Read(turn.Step.Input)
		if err != nil || json.Unmarshal(turn.Meta, &k) != nil || len(k.Answers) == 0 {
			return nil, fmt.Errorf("the stored consensus of %s can't be read", hold.ID)
		}
		p := Panel{Step: step.Facts, Question: asked.Step, Answers: k.Answers, Files: k.Files}
		p.WhenAll = panelNextSteps(step.Words, p.Answers)
		p.ForMore = step.Words.Text("more", map[string]any{"Next": step.Facts.StepNumber + 1, "Total": len(p.Answers)})
		object, err := singleReply(p, hold.ID)
		if err != nil {
			return nil, err
		}
		return &reply.Result{Body: *object}, nil
	}
	return nil, reply.InvalidRequest("Send step 1 with the question in step and the models; it asks all of them and returns all answers.",
		"This conversation has no consensus yet, so there is no answer for step_number %d.", step.Facts.StepNumber)
}
