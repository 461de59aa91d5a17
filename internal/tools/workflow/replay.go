package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// replay replies with the stored reply of a step that was sent before with equal arguments.
func (r *run) replay(ctx context.Context) (*reply.Result, error) {
	switch lost, err := r.awaitJudged(ctx); {
	case err != nil:
		return nil, err
	case lost && r.answerOf(r.stored.meta) != nil:
		return r.completeStep(ctx)
	}
	turn, m := r.stored.turn, r.stored.meta
	body, err := reply.ParseObject(turn.Step.Reply)
	if err != nil {
		return nil, fmt.Errorf("the stored reply of step %d: %w", turn.Step.Number, err)
	}
	if own, err := reply.ParseObject(m.Own); err == nil {
		r.meta.Own = *own
	}
	r.meta.Note("This step was sent before with the same arguments: this is its stored reply, and no model was asked.")
	if answer := r.answerOf(m); answer != nil {
		r.mergeMetadata(ask.MetadataOf(*answer))
		return r.result(body, turn, *answer), nil
	}
	return r.result(body, turn, turn), nil
}

// reportProgress replies with what the stored step's expert has written so far.
func (r *run) reportProgress(ctx context.Context) (*reply.Result, error) {
	soFar, text := r.lease.SoFar(*r.answerOf(r.stored.meta))
	o := r.stored.outcome()
	o.looked = ask.LookedIn(soFar)
	r.read(ctx, &o, text, true, true, nil)
	r.mergeMetadata(ask.MetadataOf(soFar))
	r.meta.Note("The expert is still writing in the background.")
	body, err := r.render(ctx, o, r.stored.meta.Tracked)
	if err != nil {
		return nil, err
	}
	return r.result(body(r.lease.ID, true), r.stored.turn, soFar), nil
}

// completeStep gives the stored step a new reply: with the answer that its expert got in this call, or with the one that
// was finished since.
func (r *run) completeStep(ctx context.Context) (*reply.Result, error) {
	if r.expert != nil {
		return r.completeAsked(ctx, *r.expert)
	}
	answer := *r.answerOf(r.stored.meta)
	o := r.stored.outcome()
	r.restoreReads(ctx, answer)
	o.looked, o.coverage = ask.LookedIn(answer), r.coverAgain(ctx, o.coverage)
	r.read(ctx, &o, answer.Content, false, false, r.shown)
	r.judgeReported(ctx, &o, r.askedBefore(answer.ID), answer)
	answer = *r.answerOf(r.stored.meta) // with what the judgement took
	r.mergeMetadata(ask.MetadataOf(answer))
	object, err := r.renderStored(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := r.save(ctx, r.stored.turn); err != nil {
		no := false
		r.meta.Stored = &no
	} else {
		r.appendSecond(ctx, o.second)
	}
	out := r.result(object, r.stored.turn, answer)
	r.followSecond(ctx, o)
	return out, nil
}

// completeAsked stores the outcome of an expert that was asked again. The step is saved first: should the answer then not be
// stored, the step has what there is of it, and its next caller has one that was not whole asked again.
func (r *run) completeAsked(ctx context.Context, o expertOutcome) (*reply.Result, error) {
	r.stored.meta.Answer = ""
	var turns []conversation.Turn
	if o.answer != nil {
		asked := o.answer.Asked
		asked.Meta, _ = json.Marshal(stepMeta{Of: r.stored.turn.Step.Number}) // a number marshals
		turns = append([]conversation.Turn{asked, answerTurn(o.answer, &r.stored.meta)}, o.second...)
	}
	object, err := r.renderStored(ctx, o)
	if err != nil {
		return nil, err
	}
	last := r.stored.turn
	if err = r.save(ctx, last); err == nil && turns != nil {
		var stored []conversation.Turn
		if stored, err = r.lease.Append(ctx, conversation.NewTurns{Tool: r.spec.Tool, Turns: turns}, o.answer); err == nil {
			last = stored[1]
		}
	} else if o.answer != nil {
		r.lease.KeepInProcess(o.answer)
	}
	text := ""
	if o.answer != nil {
		r.mergeMetadata(o.answer.Metadata())
		text = o.answer.Outcome.Response.Content
	}
	var out *reply.Result
	if err != nil { // logged where it happened; the reply says that the answer is not stored
		out = r.notStored("this answer is not kept.", text, func(string, bool) *reply.Object { return object })
	} else {
		out = r.result(object, r.stored.turn, last)
	}
	r.followSecond(ctx, o)
	return out, nil
}

// renderStored puts an outcome into the stored step and returns its new reply.
func (r *run) renderStored(ctx context.Context, o expertOutcome) (*reply.Object, error) {
	m := &r.stored.meta
	m.Expert, m.Served, m.Files, m.Sent, m.Coverage, m.Looked = o.state, o.served, o.files, o.sent, o.coverage, o.looked
	m.Agent = o.agent
	r.record(ctx, o, m)
	r.closeFixed(ctx, o, m)
	body, err := r.render(ctx, o, m.Tracked)
	if err != nil {
		return nil, err
	}
	object := body(r.lease.ID, true)
	r.fillStep(&r.stored.turn, object, *m)
	return object, nil
}

// outcome is what the step's expert was given, before anything of its answer is known.
func (s *storedStep) outcome() expertOutcome {
	return expertOutcome{files: s.meta.Files, sent: s.meta.Sent, served: s.meta.Served, coverage: s.meta.Coverage, agent: s.meta.Agent, looked: s.meta.Looked}
}

// finished completes the stored reply when an expert that went on in the background has ended, so that whoever reads the
// conversation, and the issue tracker, have its findings even if nobody asks again. It runs when the call is long over.
func (r *run) finished(ctx context.Context, answer conversation.Turn) {
	i := slices.IndexFunc(r.lease.Turns, func(t conversation.Turn) bool { return t.Step != nil && stepMetaOf(t).Answer == answer.ID })
	if i < 0 {
		return // its step could not be stored
	}
	late := r.later(r.lease.Turns[i])
	if stored := late.answerOf(late.stored.meta); stored != nil {
		*stored = answer // of which the lease has the beginning
	}
	o := late.stored.outcome()
	whole := answer.EffectiveStatus() == conversation.TurnComplete
	o.coverage, o.looked = late.coverage(ctx, r.given, r.shown), ask.LookedIn(answer) // it may have read more since
	late.read(ctx, &o, answer.Content, !whole, false, r.shown)
	if whole {
		late.judgeBehind(ctx, &o, answer)
	}
	if _, err := late.renderStored(ctx, o); err != nil {
		late.Log.Warn("completing a step", zap.String("continuation_id", r.lease.ID), zap.Error(err))
		return
	}
	_ = late.save(ctx, late.stored.turn) // logged there; the step's next caller completes it
	late.followSecond(ctx, o)
}
