package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/looks"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// stepMeta is what a step's turn keeps besides its arguments and its reply: enough to make the reply again when the expert's
// answer is finished later.
type stepMeta struct {
	Expert string      `json:"expert,omitempty"` // "", answered, wants, skipped, partial or failed
	Answer string      `json:"answer,omitempty"` // the id of the expert's turn
	Served bool        `json:"served,omitempty"` // the expert was given the files that it asked for
	Files  FileContext `json:"files,omitzero"`
	Sent   []string    `json:"sent,omitempty"` // paths that the expert was given
	// Coverage is what the expert saw of the files that were named or are changed.
	Coverage []Coverage      `json:"coverage,omitempty"`
	Looked   []looks.Look    `json:"looked_at,omitempty"` // what it looked at by itself
	Filled   []string        `json:"filled,omitempty"`    // relevant files that the caller left out and that were filled in
	Own      json.RawMessage `json:"own,omitempty"`       // the metadata's own keys

	// Agent is what the expert says of the caller's findings; nil where it was not asked.
	Agent *AgentFindings `json:"agent,omitempty"`
	// Blind: the turn's text, which the expert was asked, shows nothing of the caller's findings.
	Blind bool `json:"blind,omitempty"`

	FoundRecorded  bool      `json:"found_recorded,omitempty"`  // the expert's findings
	IssuesRecorded bool      `json:"issues_recorded,omitempty"` // the caller's
	Tracked        []Tracked `json:"tracked,omitempty"`

	// Of is set on the question of an expert that was asked again, and of a second turn: the number of the step that it
	// belongs to.
	Of int `json:"of,omitempty"`
	// Second: the turn is the question of a second turn, which shows what the caller found.
	Second bool `json:"second,omitempty"`
}

// The states of a step's expert.
const (
	expertAnswered = "answered"
	expertWants    = "wants"
	expertSkipped  = "skipped"
	expertPartial  = "partial"
	expertFailed   = "failed"
)

// stepMetaOf reads what a step's turn keeps.
func stepMetaOf(turn conversation.Turn) stepMeta {
	var k stepMeta
	_ = json.Unmarshal(turn.Meta, &k) // a turn that this program did not make keeps nothing
	return k
}

// stepTurn is the step as a message of the conversation.
func (r *run) stepTurn() conversation.Turn {
	f := r.decision.Step
	text := fmt.Sprintf("%s, step %d of %d: %s", r.spec.Tool, f.StepNumber, f.TotalSteps, f.Step)
	if strings.TrimSpace(f.Findings) != "" {
		text += "\n\nFindings: " + f.Findings
	}
	return conversation.Turn{Role: providers.RoleUser, Content: text, Tool: r.spec.Tool, Status: conversation.TurnComplete}
}

// keep stores the step with its reply, and the expert's answer and its second turn when there are any. body makes the reply
// for a continuation id, "" when the run is not stored at all; stored is false when this step is not.
func (r *run) keep(ctx context.Context, turn conversation.Turn, k stepMeta, a *ask.Answer, second []conversation.Turn, body func(id string, stored bool) *reply.Object) *reply.Result {
	turns := []conversation.Turn{turn}
	if a != nil {
		turns = append(turns, answerTurn(a, &k))
	}
	last := len(turns) - 1
	turns = append(turns, second...)
	k.Filled = r.filled
	object := body(r.lease.ID, true)
	r.fillStep(&turns[0], object, k)
	n := conversation.NewTurns{
		Tool: r.spec.Tool, Title: ask.Title(r.sum.Initial), Turns: turns, DropStepsTool: r.key(), DropStepsFrom: r.decision.DropFrom,
	}
	stored, err := r.lease.Append(ctx, n, a)
	if a != nil {
		r.mergeMetadata(a.Metadata())
	}
	if errors.Is(err, providers.ErrPreview) { // nothing was to be stored
		return r.result(body("", false), conversation.Turn{}, conversation.Turn{Role: providers.RoleAssistant})
	}
	if err != nil {
		answer := ""
		if a != nil {
			answer = a.Outcome.Response.Content
		}
		return r.notStored("this step is not kept: repeat its findings in the next one.", answer, body)
	}
	r.meta.InMemory(r.lease.Temporary)
	return r.result(object, stored[0], stored[last])
}

// notStored is the reply to a step that could not be stored, with the text that came with it, "" for none.
func (r *run) notStored(consequence, text string, body func(id string, stored bool) *reply.Object) *reply.Result {
	id := r.noteNotStored(consequence)
	return r.result(body(id, false), conversation.Turn{}, conversation.Turn{Role: providers.RoleAssistant, Content: text})
}

// noteNotStored says in the metadata that the store did not take the step, and returns the continuation id that is still
// good: that of a run that is stored up to here.
func (r *run) noteNotStored(consequence string) (id string) {
	no := false
	r.meta.Stored = &no
	r.meta.Note(ask.NotConfirmed + consequence)
	if r.lease.New {
		return ""
	}
	return r.lease.ID
}

// answerTurn is an expert's answer as a turn to keep.
func answerTurn(a *ask.Answer, k *stepMeta) conversation.Turn {
	turn := a.Turn()
	turn.ID = uuid.NewString()
	k.Answer = turn.ID
	return turn
}

// fillStep puts the step and its reply into its turn.
func (r *run) fillStep(turn *conversation.Turn, object *reply.Object, k stepMeta) {
	k.Own = raw(&r.meta.Own)
	turn.Step = &conversation.Step{Tool: r.key(), Number: r.decision.Step.StepNumber, Input: r.step.Args, Reply: raw(object)}
	turn.Meta = raw(k)
}

// save writes a stored step again, here and in the store. A failure costs only that whoever asks next finds the old state.
func (r *run) save(ctx context.Context, turn conversation.Turn) error {
	i := slices.IndexFunc(r.lease.Turns, func(t conversation.Turn) bool { return t.ID == turn.ID })
	if i >= 0 {
		r.lease.Turns[i] = turn
	}
	err := r.lease.Save(ctx, turn)
	if err != nil {
		r.Log.Warn("step not saved", zap.String("continuation_id", r.lease.ID), zap.Error(err))
	}
	return err
}

// result is the reply to a step, given as its turn is stored, whose expert's answer, if last is one, is cut to what the client
// takes; the rest is then read by chat. It does not read the lease's turns, which what goes on behind the call may be changing.
func (r *run) result(object *reply.Object, step, last conversation.Turn) *reply.Result {
	r.meta.Note(ask.ListingNote(r.lease.ID, step))
	out := &reply.Result{Body: *object, Metadata: r.meta, Pending: r.lease.Pending(last), Brief: brief}
	if last.Role != providers.RoleAssistant || last.Content == "" {
		return out
	}
	s := ask.StoredAnswer{ContinuationID: r.lease.ID, N: last.N}
	analysis := object.Get("expert_analysis")
	out.Answer = &reply.Answer{
		Text: last.Content, URI: s.URI(), ContinuationID: r.lease.ID,
		Put: func(text string) {
			if analysis == nil {
				out.Body.Set("content", text)
				return
			}
			out.Body.Set("expert_analysis", shorter(analysis, text))
		},
	}
	return out
}
