package workflow

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
)

// The second turn of a blind expert, in which it judges what the caller reports.
const (
	secondTime   = 10 * time.Second // what a call must have left to wait for it
	secondOutput = 8192             // tokens
	secondBeat   = 2 * time.Second  // how often the step is saved meanwhile, as a sign that its process lives
	secondSave   = 5 * time.Second  // what storing its result may take
)

// secondTurn is a second turn under way. done is closed when the rest is known.
type secondTurn struct {
	done     chan struct{}
	cancel   context.CancelFunc
	agent    AgentFindings
	ended    bool // by the client or the server, before it had a result
	usage    providers.Usage
	attempts int
	turns    []conversation.Turn // its question and its answer; none where nothing arrived
}

// judgeReported has the expert that has answered judge what the caller reports: in the call where there is time, else the
// outcome says that it goes on, and followSecond takes it from there.
func (r *run) judgeReported(ctx context.Context, o *expertOutcome, asked, answer conversation.Turn) {
	claims := claimsOf(r.sum, r.decision.Steps)
	if !r.spec.Blind || o.state != expertAnswered || len(claims) == 0 {
		return
	}
	s := r.beginSecond(ctx, claims, asked, answer)
	r.second, o.agent = s, &AgentFindings{State: agentPending}
	limited, cancel := working(ctx)
	defer cancel()
	if end, ok := limited.Deadline(); ok && time.Until(end) < secondTime {
		return
	}
	select {
	case <-s.done:
		o.agent, o.second = &s.agent, s.turns
		if o.answer == nil {
			r.addUsage(ctx, s.usage)
		} else {
			o.answer.Outcome.Response.Usage = o.answer.Outcome.Response.Usage.Plus(s.usage)
			o.answer.Outcome.Attempts += s.attempts
		}
	case <-limited.Done():
		if ctx.Err() != nil {
			s.cancel()
		}
	}
}

// judgeBehind is judgeReported where no call waits.
func (r *run) judgeBehind(ctx context.Context, o *expertOutcome, answer conversation.Turn) {
	claims := claimsOf(r.sum, r.decision.Steps)
	if !r.spec.Blind || o.state != expertAnswered || len(claims) == 0 {
		return
	}
	r.second, o.agent = r.beginSecond(ctx, claims, r.askedBefore(answer.ID), answer), &AgentFindings{State: agentPending}
}

// beginSecond asks for the second turn.
func (r *run) beginSecond(ctx context.Context, claims []claim, asked, answer conversation.Turn) *secondTurn {
	s := &secondTurn{done: make(chan struct{}), cancel: func() {}}
	q := r.secondQuestion(ctx, claims, asked, answer)
	b := providers.Budget{Limit: r.Config.Timeouts.BackgroundLimit(), Start: time.Now(), Tool: r.spec.Tool, ContinuationID: r.lease.ID}
	ctx = providers.WithBudget(context.WithoutCancel(ctx), b)
	ctx, s.cancel = context.WithCancel(ctx)
	begun := r.Conversations.Later(ctx, func(ctx context.Context) {
		defer close(s.done)
		s.agent = AgentFindings{State: agentNotJudged}
		a, err := r.Conversations.Generate(ctx, q)
		s.ended = ctx.Err() != nil
		if err != nil {
			s.agent.Reason = reply.FromError(ctx, err).Message
			return
		}
		s.usage, s.attempts, s.turns = a.Outcome.Response.Usage, a.Outcome.Attempts, r.secondTurns(a)
		if a.Partial {
			s.agent.Reason = "The expert's judgement was cut off."
			return
		}
		s.agent = readJudgements(a.Text, claims)
	})
	if !begun {
		s.agent = AgentFindings{State: agentNotJudged, Reason: "The server is stopping."}
		close(s.done)
	}
	return s
}

// secondTurns are the question and the answer of a second turn, as turns to keep. What they took counts with the first one's
// answer, whose reply they are a part of.
func (r *run) secondTurns(a *ask.Answer) []conversation.Turn {
	asked, answer := a.Asked, a.Turn()
	asked.Meta, _ = json.Marshal(stepMeta{Of: r.decision.Step.StepNumber, Second: true}) // numbers and flags marshal
	answer.Usage = providers.Usage{}
	return []conversation.Turn{asked, answer}
}

// appendSecond stores a second turn whose step is stored already.
func (r *run) appendSecond(ctx context.Context, turns []conversation.Turn) {
	if len(turns) > 0 {
		_, _ = r.lease.Append(ctx, conversation.NewTurns{Tool: r.spec.Tool, Turns: turns}, nil) // logged there; the step has the result
	}
}

// secondQuestion is the second turn: the first one's messages and its answer, then what the caller reports. No function runs.
func (r *run) secondQuestion(ctx context.Context, claims []claim, asked, answer conversation.Turn) ask.Question {
	q := r.question(ctx)
	q.History = append(slices.Clone(q.History), asked, answer)
	q.Prompt = paragraphs(reported(claims, r.sum.RelevantContext), words.Expert("second", nil))
	q.Thinking, q.MaxOutput, q.JSONObject = providers.ThinkLow, secondOutput, true
	q.Prefer = answer.Model
	q.Reader, q.Search = r.offered.Reader, r.offered.Search // as in the first turn, whose prefix the vendor has
	q.NoCalls, q.Exchange, q.Background, q.Finished, q.Aside = true, r.exchange(), false, nil, true
	q.On = func(providers.Event) {}
	return q
}

// previewSecond adds the second turn to a preview, where the expert would be asked for one: without the first answer, which is
// not known.
func (r *run) previewSecond(ctx context.Context, first ask.Question) error {
	claims := claimsOf(r.sum, r.decision.Steps)
	if !r.spec.Blind || len(claims) == 0 {
		return providers.ErrPreview
	}
	asked := conversation.Turn{Role: providers.RoleUser, Content: first.Prompt, Attachments: first.Attachments}
	q := r.secondQuestion(ctx, claims, asked, conversation.Turn{Role: providers.RoleAssistant, Content: "{}"})
	providers.PreviewFrom(ctx).Note("The second request also carries the first one's answer, whose length is not known.")
	_, err := r.Conversations.Generate(ctx, q)
	return err
}

// followSecond waits behind the call for a second turn that goes on, and puts its result into the step's reply. Where the step
// was not stored, nobody could read the result, so the turn is ended.
func (r *run) followSecond(ctx context.Context, o expertOutcome) {
	s := r.second
	if s == nil {
		return
	}
	i := slices.IndexFunc(r.lease.Turns, func(t conversation.Turn) bool {
		return t.Step != nil && t.Step.Tool == r.key() && t.Step.Number == r.decision.Step.StepNumber && stepMetaOf(t).Agent.pending()
	})
	if i < 0 || r.meta.Stored != nil && !*r.meta.Stored {
		s.cancel()
		return
	}
	late := r.later(r.lease.Turns[i])
	// A server that stops has ended the turn already.
	_ = r.Conversations.Later(providers.WithoutBudget(context.WithoutCancel(ctx)), func(ctx context.Context) {
		late.awaitSecond(ctx, s)
		if s.ended {
			return // whoever sends the step again has the expert asked again
		}
		o.agent = &s.agent
		saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), secondSave)
		defer cancel()
		if _, err := late.renderStored(saving, o); err != nil {
			late.Log.Warn("completing a step", zap.String("continuation_id", late.lease.ID), zap.Error(err))
			return
		}
		if late.save(saving, late.stored.turn) == nil { // else logged there; the step's next caller asks again
			late.addUsage(saving, s.usage)
			late.appendSecond(saving, s.turns)
		}
	})
}

// awaitSecond waits for a second turn, which a server that stops ends, saving the step meanwhile.
func (r *run) awaitSecond(ctx context.Context, s *secondTurn) {
	beat := time.NewTicker(secondBeat)
	defer beat.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-beat.C:
			saving, cancel := context.WithTimeout(ctx, secondSave)
			_ = r.save(saving, r.stored.turn) // logged there; the next beat tries again
			cancel()
		}
	}
}

// addUsage counts what the second turn took with the stored answer.
func (r *run) addUsage(ctx context.Context, usage providers.Usage) {
	if answer := r.answerOf(r.stored.meta); answer != nil {
		answer.Usage = answer.Usage.Plus(usage)
		_ = r.save(ctx, *answer) // logged there
	}
}

// later is the run as what goes on behind the call works on it, with a stored step, and with turns of its own.
func (r *run) later(step conversation.Turn) *run {
	lease := *r.lease
	lease.Turns = slices.Clone(lease.Turns)
	late := &run{
		Engine: r.Engine, spec: r.spec, sent: r.sent, step: r.step, lease: &lease, state: r.state, shown: r.shown, given: r.given, offered: r.offered, said: r.said,
	}
	late.stored = &storedStep{turn: step, meta: stepMetaOf(step)}
	return late
}

// awaitJudged waits, within the call's time, for the second turn of the stored step's expert, wherever it runs. It reports
// whether that has been given up: its process has died.
func (r *run) awaitJudged(ctx context.Context) (lost bool, err error) {
	limited, cancel := working(ctx)
	defer cancel()
	for r.stored.meta.Agent.pending() {
		if !conversation.Alive(r.stored.turn.SavedAt, r.lease.ReadAt) {
			return true, nil
		}
		if over, err := r.reloadSoon(limited); over || err != nil {
			return false, err
		}
		i := slices.IndexFunc(r.lease.Turns, func(t conversation.Turn) bool { return t.ID == r.stored.turn.ID })
		if i < 0 {
			return false, nil // it was taken back meanwhile
		}
		r.stored = &storedStep{turn: r.lease.Turns[i], meta: stepMetaOf(r.lease.Turns[i])}
	}
	return false, nil
}

// askedBefore is the question that an answer of the conversation belongs to.
func (r *run) askedBefore(answerID string) (asked conversation.Turn) {
	for _, t := range r.lease.Turns {
		if t.ID == answerID {
			break
		}
		if t.Role != providers.RoleAssistant {
			asked = t
		}
	}
	return asked
}
