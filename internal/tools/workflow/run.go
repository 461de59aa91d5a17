package workflow

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/proof"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// run is one call of a workflow tool. Everything that changes while it works is in its state and its metadata.
type run struct {
	*Engine
	spec  Spec
	sent  Step // as the caller sent it
	step  Step // with the numbers that it omits
	lease *ask.Lease
	state
	refs refs
	meta reply.Metadata
	// shown is what the expert that is asked in this call is shown; nil before.
	shown   *proof.Shown
	given   Evidence            // what it was sent
	offered ask.Question        // the expert's first turn, with the functions that it was offered
	said    *ask.Answer         // its answer; nil before
	called  []providers.Message // what it called and was given, where another call asked it
	// second is the expert's second turn; nil before.
	second *secondTurn
}

// situation is what the next phase depends on, as things stand.
func (r *run) situation() situation {
	s := situation{
		Repeated: r.stored != nil, Waited: r.waited, Running: r.lease.Running() != nil, Choice: r.decision.Expert, Asked: r.expert != nil,
	}
	if r.stored != nil {
		s.Expert, s.Served, s.Answer = r.stored.meta.Expert, r.stored.meta.Served, r.storedAnswer()
	}
	return s
}

// storedAnswer is what has become of the expert's answer to the stored step.
func (r *run) storedAnswer() answerState {
	answer := r.answerOf(r.stored.meta)
	if answer == nil {
		return answerNone
	}
	if now := r.lease.Running(); now != nil && now.ID == answer.ID {
		return answerRunning
	}
	if answer.EffectiveStatus() != conversation.TurnComplete {
		return answerNone
	}
	if status, _ := Read(answer.Content, r.spec.Findings).Wants(); status != "" {
		return answerRequests
	}
	return answerFinished
}

// answerOf is the expert's turn of a step, nil when there is none.
func (r *run) answerOf(m stepMeta) *conversation.Turn {
	i := slices.IndexFunc(r.lease.Turns, func(t conversation.Turn) bool { return m.Answer != "" && t.ID == m.Answer })
	if i < 0 {
		return nil
	}
	return &r.lease.Turns[i]
}

// admit judges the step and checks whether it can be taken. A repeated step is answered whatever has become of its files
// and its conversation.
func (r *run) admit(ctx context.Context) error {
	if err := r.judge(); err != nil || r.stored != nil {
		return err
	}
	if err := r.lease.CheckCapacity(); err != nil {
		return err
	}
	if err := r.check(ctx); err != nil {
		return err
	}
	return r.fillIn(ctx)
}

// wait waits until no answer of the conversation is being written any more, so that it joins what the expert sees, and
// judges the step again. When the call's time is over before, a new step is conversation_busy; a repeated one goes on with
// what there is.
func (r *run) wait(ctx context.Context) error {
	r.waited = true
	err := r.lease.AwaitIdle(ctx)
	if r.stored != nil {
		if err != nil && reply.FromError(ctx, err).Code != reply.CodeConversationBusy {
			return err
		}
		err = r.awaitStoredReply(ctx)
	}
	if err != nil {
		return err
	}
	return r.judge()
}

// replyPoll is how often a step is loaded whose expert has answered while its reply is not stored yet.
const replyPoll = 250 * time.Millisecond

// awaitStoredReply waits, within the call's time, until whoever followed the stored step's answer to its end, in this
// process or another, has put it into the step's reply.
func (r *run) awaitStoredReply(ctx context.Context) error {
	limited, cancel := working(ctx)
	defer cancel()
	for {
		turn := r.stored.turn
		if i := slices.IndexFunc(r.lease.Turns, func(t conversation.Turn) bool { return t.ID == turn.ID }); i >= 0 {
			turn = r.lease.Turns[i]
		}
		m := stepMetaOf(turn)
		answer := r.answerOf(m)
		if m.Expert != expertPartial || answer == nil || answer.EffectiveStatus() != conversation.TurnComplete ||
			r.lease.ReadAt.Sub(answer.SavedAt) > conversation.HeartbeatLost {
			return nil
		}
		if over, err := r.reloadSoon(limited); over || err != nil {
			return err
		}
	}
}

// reloadSoon reads the conversation again after a moment. over says that limited, the call's time, has ended before.
func (r *run) reloadSoon(limited context.Context) (over bool, err error) {
	tick := time.NewTimer(replyPoll)
	defer tick.Stop()
	select {
	case <-tick.C:
	case <-limited.Done():
		return true, nil
	}
	if err = r.lease.ReloadWithin(limited); err != nil && limited.Err() != nil {
		return true, nil
	}
	return false, err
}

// judge reads the run's stored steps and judges the new one against them.
func (r *run) judge() error {
	r.past, r.facts, r.stored = nil, nil, nil
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
		f.RelevantFiles = union(f.RelevantFiles, stepMetaOf(turn).Filled)
		r.facts = append(r.facts, f)
	}
	r.fillNumbers()
	r.decide()
	if i := r.decision.Repeats; i >= 0 {
		r.stored = &storedStep{turn: r.past[i], meta: stepMetaOf(r.past[i])}
	}
	return nil
}

// decide judges the new step against the stored ones that judge has read.
func (r *run) decide() {
	r.decision = Decide(r.spec, r.facts, r.step.Facts, Options{
		ExpertEnabled: r.Config.Expert.Enabled, UseExpert: UsesExpert(r.Config, r.spec.Tool),
		Same: func(i int) bool { return sameJSON(r.past[i].Step.Input, r.step.Args) },
	})
	r.sum = Consolidate(r.spec.Ladder, r.decision.Steps)
	r.meta.Note(r.decision.Notes...)
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
		out, _ := json.Marshal(v) // it was read from JSON
		return out
	}
	return bytes.Equal(norm(a), norm(b))
}
