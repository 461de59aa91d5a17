package workflow

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// again answers a step that was sent before with equal arguments: with the stored reply, with the expert's answer if that
// has been finished meanwhile, or by asking the expert alone anew.
func (r *run) again(ctx context.Context) (*reply.Result, error) {
	turn := r.past[r.d.Again]
	k := keptOf(turn)
	r.fill = k.Filled
	switch k.Expert {
	case expertPartial:
		return r.fetch(ctx, turn, k)
	case expertFailed:
		return r.reconsult(ctx, turn, k)
	}
	r.meta.Note("This step was sent before with the same arguments: this is its stored reply, and no model was asked.")
	if answer := r.answerOf(k); answer != nil {
		r.take(ask.Spoken(*answer))
	}
	return r.stored(turn)
}

// stored is a step's reply as it was given.
func (r *run) stored(turn conversation.Turn) (*reply.Result, error) {
	body, err := reply.ParseObject(turn.Step.Reply)
	if err != nil {
		return nil, fmt.Errorf("the stored reply of step %d: %w", turn.Step.Number, err)
	}
	return &reply.Result{Body: *body, Metadata: r.meta}, nil
}

// answerOf is the expert's turn of a step, nil when there is none.
func (r *run) answerOf(k kept) *conversation.Turn {
	i := slices.IndexFunc(r.hold.Turns, func(t conversation.Turn) bool { return k.Answer != "" && t.ID == k.Answer })
	if i < 0 {
		return nil
	}
	return &r.hold.Turns[i]
}

// fetch waits, within the limit, for an expert that is still writing. A finished answer replaces the stored one; one that
// ended unfinished is asked for anew.
func (r *run) fetch(ctx context.Context, turn conversation.Turn, k kept) (*reply.Result, error) {
	err := r.hold.Settle(ctx)
	if err != nil && reply.Of(ctx, err).Code != reply.ConversationBusy {
		return nil, err
	}
	answer := r.answerOf(k)
	if answer == nil {
		return r.reconsult(ctx, turn, k)
	}
	status := answer.Settled(r.Threads.Now())
	if status == conversation.TurnPartial {
		return r.reconsult(ctx, turn, k)
	}
	running := status == conversation.TurnRunning
	o := opinion{files: *k.Files, sent: k.Sent}
	r.judgeAnswer(ctx, &o, answer.Content, running, running)
	r.take(ask.Spoken(*answer))
	body, err := r.render(ctx, o)
	if err != nil {
		return nil, err
	}
	object := body(r.hold.ID)
	k.Expert = o.state
	if !running {
		fillStep(&turn, turn.Step.Tool, turn.Step.Number, turn.Step.Input, object, k)
		r.save(ctx, turn)
	}
	return &reply.Result{Body: *object, Metadata: r.meta}, nil
}

// save writes a step's turn anew; a failure costs only that the next one who asks finds the old state.
func (r *run) save(ctx context.Context, turn conversation.Turn) {
	if err := r.hold.Save(ctx, turn); err != nil {
		r.Log.Warn("step not saved", zap.String("continuation_id", r.hold.ID), zap.Error(err))
		no := false
		r.meta.Stored = &no
	}
}

// reconsult asks the expert alone again: the step keeps its place and its counts.
func (r *run) reconsult(ctx context.Context, turn conversation.Turn, k kept) (*reply.Result, error) {
	r.meta.Note("This step was sent before with the same arguments, and its expert did not finish: only the expert was asked again.")
	o, err := r.consult(ctx)
	if err != nil {
		return nil, err
	}
	k = kept{Expert: o.state, Files: &o.files, Sent: o.sent, Filled: k.Filled}
	if o.answer != nil {
		r.take(o.answer.Metadata())
		answer := o.answer.Turn()
		answer.ID = uuid.NewString()
		k.Answer = answer.ID
		if _, err := r.hold.Keep(ctx, conversation.NewTurns{Tool: r.spec.Tool, Turns: []conversation.Turn{answer}}, o.answer); err != nil {
			no := false
			r.meta.Stored = &no
			r.meta.Note("The store did not confirm in time, so this answer is not kept.")
			k = keptOf(turn)
		}
	}
	body, err := r.render(ctx, o)
	if err != nil {
		return nil, err
	}
	object := body(r.hold.ID)
	if r.meta.Stored == nil {
		fillStep(&turn, turn.Step.Tool, turn.Step.Number, turn.Step.Input, object, k)
		r.save(ctx, turn)
	}
	return &reply.Result{Body: *object, Metadata: r.meta}, nil
}

// finished makes the stored reply whole when an expert that went on in the background has ended, so that whoever reads
// the thread, and the issue tracker, have its findings even if nobody asks again.
func (r *run) finished(ctx context.Context, answer conversation.Turn) {
	if answer.Settled(r.Threads.Now()) != conversation.TurnComplete {
		return
	}
	i := slices.IndexFunc(r.hold.Turns, func(t conversation.Turn) bool { return t.Step != nil && keptOf(t).Answer == answer.ID })
	if i < 0 {
		return // its step was taken back
	}
	turn := r.hold.Turns[i]
	k := keptOf(turn)
	late := &run{Engine: r.Engine, spec: r.spec, step: r.step, hold: r.hold, past: r.past, fill: r.fill, d: r.d, c: r.c}
	o := opinion{files: *k.Files, sent: k.Sent}
	late.judgeAnswer(ctx, &o, answer.Content, false, false)
	body, err := late.render(ctx, o)
	if err != nil {
		late.Log.Warn("finishing a step", zap.String("continuation_id", r.hold.ID), zap.Error(err))
		return
	}
	k.Expert = o.state
	fillStep(&turn, turn.Step.Tool, turn.Step.Number, turn.Step.Input, body(r.hold.ID), k)
	late.save(ctx, turn)
}
