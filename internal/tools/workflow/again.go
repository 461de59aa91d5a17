package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

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
	if k.Expert == expertPartial {
		var err error
		if turn, k, err = r.await(ctx, turn); err != nil {
			return nil, err
		}
	}
	switch {
	case k.Expert == expertPartial:
		return r.fetch(ctx, turn, k)
	case k.Expert == expertFailed, k.Expert == expertWants && !k.Served:
		return r.reconsult(ctx, turn, k)
	}
	return r.stored(turn, k)
}

// stored is a step's reply as it was given.
func (r *run) stored(turn conversation.Turn, k kept) (*reply.Result, error) {
	body, err := reply.ParseObject(turn.Step.Reply)
	if err != nil {
		return nil, fmt.Errorf("the stored reply of step %d: %w", turn.Step.Number, err)
	}
	if own, err := reply.ParseObject(k.Own); err == nil {
		r.meta.Own = *own
	}
	r.meta.Note("This step was sent before with the same arguments: this is its stored reply, and no model was asked.")
	if answer := r.answerOf(k); answer != nil {
		r.take(ask.MetadataOf(*answer))
		return r.result(body, *answer), nil
	}
	return r.result(body, turn), nil
}

// answerOf is the expert's turn of a step, nil when there is none.
func (r *run) answerOf(k kept) *conversation.Turn {
	i := slices.IndexFunc(r.lease.Turns, func(t conversation.Turn) bool { return k.Answer != "" && t.ID == k.Answer })
	if i < 0 {
		return nil
	}
	return &r.lease.Turns[i]
}

// lookAgain is how often a step is looked at whose answer is whole while its reply is not made yet.
const lookAgain = 250 * time.Millisecond

// await waits, within the call's time, until the expert of a step no longer writes, and until whoever followed the answer,
// in this process or another, has put it into the step's reply.
func (r *run) await(ctx context.Context, turn conversation.Turn) (conversation.Turn, kept, error) {
	if err := r.lease.AwaitIdle(ctx); err != nil && reply.Of(ctx, err).Code != reply.ConversationBusy {
		return turn, kept{}, err
	}
	limited, cancel := working(ctx)
	defer cancel()
	for {
		if i := slices.IndexFunc(r.lease.Turns, func(t conversation.Turn) bool { return t.ID == turn.ID && t.Step != nil }); i >= 0 {
			turn = r.lease.Turns[i]
		}
		k := keptOf(turn)
		answer := r.answerOf(k)
		if k.Expert != expertPartial || answer == nil || answer.Settled() != conversation.TurnComplete ||
			r.lease.ReadAt.Sub(answer.SavedAt) > conversation.HeartbeatLost {
			return turn, k, nil
		}
		tick := time.NewTimer(lookAgain)
		select {
		case <-tick.C:
		case <-limited.Done():
			tick.Stop()
			return turn, k, nil
		}
		if err := r.lease.Reload(ctx); err != nil {
			return turn, k, err
		}
	}
}

// fetch replies with what an expert has written meanwhile. A finished answer replaces the stored one; one that ended
// unfinished is asked for anew.
func (r *run) fetch(ctx context.Context, turn conversation.Turn, k kept) (*reply.Result, error) {
	answer := r.answerOf(k)
	if answer == nil {
		return r.reconsult(ctx, turn, k)
	}
	o := opinion{files: k.fileContext(), sent: k.Sent, served: k.Served}
	if now := r.lease.Running(); now != nil && now.ID == answer.ID {
		soFar, text := r.lease.SoFar(*answer)
		r.read(ctx, &o, text, true, true)
		r.take(ask.MetadataOf(soFar))
		r.meta.Note("The expert is still writing in the background.")
		body, err := r.render(ctx, o, k.Tracked)
		if err != nil {
			return nil, err
		}
		return r.result(body(r.lease.ID, true), soFar), nil
	}
	if answer.Settled() != conversation.TurnComplete {
		return r.reconsult(ctx, turn, k)
	}
	r.read(ctx, &o, answer.Content, false, false)
	if k.Expert = o.state; o.state == expertWants && !k.Served {
		return r.reconsult(ctx, turn, k)
	}
	r.take(ask.MetadataOf(*answer))
	object, err := r.complete(ctx, &turn, o, k)
	if err != nil {
		return nil, err
	}
	if err := r.save(ctx, turn); err != nil {
		no := false
		r.meta.Stored = &no
	}
	return r.result(object, *answer), nil
}

// complete puts an opinion into a stored step.
func (r *run) complete(ctx context.Context, turn *conversation.Turn, o opinion, k kept) (*reply.Object, error) {
	k.Expert, k.Served, k.Files, k.Sent = o.state, o.served, &o.files, o.sent
	r.record(ctx, o, &k)
	body, err := r.render(ctx, o, k.Tracked)
	if err != nil {
		return nil, err
	}
	object := body(r.lease.ID, true)
	r.fillStep(turn, object, k)
	return object, nil
}

// reconsult asks the expert alone again: the step keeps its place and its counts.
func (r *run) reconsult(ctx context.Context, turn conversation.Turn, k kept) (*reply.Result, error) {
	if r.d.Expert != AskExpert { // it was switched off since
		return r.stored(turn, k)
	}
	var more []string
	if answer := r.answerOf(k); answer != nil && k.Expert == expertWants {
		_, more = Read(answer.Content, r.spec.Findings).Wants()
		r.meta.Note("This step was sent before with the same arguments: its expert was asked again, with the files that it had asked for.")
	} else {
		r.meta.Note("This step was sent before with the same arguments, and its expert had not finished: only the expert was asked again.")
	}
	o, err := r.consult(ctx, more...)
	if err != nil {
		return nil, err
	}
	// The step first: should the answer then not be stored, the step's next caller asks for it anew.
	k.Answer = ""
	var turns []conversation.Turn
	if o.answer != nil {
		asked := o.answer.Asked
		asked.Meta, _ = json.Marshal(kept{Of: turn.Step.Number}) // a number marshals
		turns = []conversation.Turn{asked, answerTurn(o.answer, &k)}
	}
	object, err := r.complete(ctx, &turn, o, k)
	if err != nil {
		return nil, err
	}
	last := turn
	if err = r.save(ctx, turn); err == nil && turns != nil {
		var stored []conversation.Turn
		if stored, err = r.lease.Append(ctx, conversation.NewTurns{Tool: r.spec.Tool, Turns: turns}, o.answer); err == nil {
			last = stored[1]
		}
	} else if o.answer != nil && o.answer.Outcome.Live != nil {
		o.answer.Outcome.Live.Stop() // nobody could fetch it
	}
	if o.answer != nil {
		r.take(o.answer.Metadata())
	}
	if err != nil {
		no := false
		r.meta.Stored = &no
		r.meta.Note(ask.NotConfirmed + "this answer is not kept.")
	}
	return r.result(object, last), nil
}

// finished makes the stored reply whole when an expert that went on in the background has ended, so that whoever reads
// the conversation, and the issue tracker, have its findings even if nobody asks again. It runs when the call is long over.
func (r *run) finished(ctx context.Context, answer conversation.Turn) {
	i := slices.IndexFunc(r.lease.Turns, func(t conversation.Turn) bool { return t.Step != nil && keptOf(t).Answer == answer.ID })
	if i < 0 {
		return // its step could not be stored
	}
	turn := r.lease.Turns[i]
	k := keptOf(turn)
	late := &run{Engine: r.Engine, spec: r.spec, step: r.step, lease: r.lease, past: r.past, facts: r.facts, d: r.d, c: r.c}
	o := opinion{files: k.fileContext(), sent: k.Sent, served: k.Served}
	whole := answer.Settled() == conversation.TurnComplete
	late.read(ctx, &o, answer.Content, !whole, false)
	if _, err := late.complete(ctx, &turn, o, k); err != nil {
		late.Log.Warn("finishing a step", zap.String("continuation_id", r.lease.ID), zap.Error(err))
		return
	}
	_ = late.save(ctx, turn) // logged there; whoever asks next makes it whole
}
