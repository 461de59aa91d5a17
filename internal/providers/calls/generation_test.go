package calls

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// TestTransitions is every arrow of the diagram in generation.go, and every event that leads nowhere.
func TestTransitions(t *testing.T) {
	at := func(p phase, set ...func(*control)) control {
		c := control{phase: p, hasFirstEvent: p == streaming}
		for _, s := range set {
			s(&c)
		}
		return c
	}
	begun := func(c *control) { c.hasFirstEvent = true }
	arrived := func(c *control) { c.hasDelta = true }
	background := func(c *control) { c.background = true }
	whole := func(c *control) { c.whole = true }
	stopping := func(c *control) { c.stopping = true }
	local := func(c *control) { c.local = true }
	sent := func(c *control) { c.sent = true }

	for _, c := range []struct {
		name string
		from control
		on   event
		to   control
		do   action
	}{
		{"no slot is free", at(waiting), noSlotFree, at(queued), nothing},
		{"a slot comes", at(queued), requestSent, at(waiting, sent), nothing},
		{"the stream begins", at(waiting), firstEvent, at(streaming), nothing},
		{"a delta", at(streaming), deltaArrived, at(streaming, arrived), nothing},
		{"the request ends, and a function runs", at(streaming, arrived), requestEnded, at(waiting, arrived), nothing},
		{"the answer", at(waiting, arrived), answerEnded, at(ended, arrived), nothing},
		{"nothing changes what has ended", at(ended), stopAsked, at(ended), nothing},
		{"nor does a late delta", at(ended), deltaArrived, at(ended), nothing},

		{"the call ends without a delta", at(waiting, background), callLimit, at(waiting, background, stopping), stop},
		{"the call ends in the queue", at(queued, background), callLimit, at(queued, background, stopping), stop},
		{"the call ends, and the answer goes on", at(streaming, arrived, background), callLimit, at(detached, begun, arrived, background), detach},
		{"... also while a function runs", at(waiting, arrived, background), callLimit, at(detached, arrived, background), detach},
		{"... and in the queue for a later round", at(queued, arrived, background), callLimit, at(detached, arrived, background), detach},
		{"the call allows no background", at(streaming, arrived), callLimit, at(streaming, arrived, stopping), stop},
		{"a stopped answer does not go on", at(streaming, arrived, background, stopping), callLimit, at(streaming, arrived, background, stopping), stop},
		{"a detached answer has no call", at(detached, begun, arrived, background), callLimit, at(detached, begun, arrived, background), nothing},

		{"no first event in the vendor's time", at(waiting, background), requestLimit, at(waiting, background, stopping), stop},
		{"... of a later round", at(waiting, arrived, background), requestLimit, at(waiting, arrived, background, stopping), stop},
		{"... in the background", at(detached, arrived, background), requestLimit, at(detached, arrived, background, stopping), stop},
		{"a stream outlasts the vendor's limit", at(streaming, arrived, background), requestLimit, at(streaming, arrived, background), nothing},
		{"... but not in a simple tool", at(streaming, arrived, background, whole), requestLimit, at(detached, begun, arrived, background, whole), detach},
		{"... which is stopped where no background is allowed", at(streaming, arrived, whole), requestLimit, at(streaming, arrived, whole, stopping), stop},
		{"... nor detached twice", at(detached, begun, arrived, background, whole), requestLimit, at(detached, begun, arrived, background, whole), nothing},

		{"a local server loads its model", at(waiting, local, sent, background), callLimit, at(detached, local, sent, background), detach},
		{"... behind a call that allows no background", at(waiting, local, sent), callLimit, at(waiting, local, sent, stopping), stop},
		{"... in the vendor's time alone", at(waiting, local, sent, background), requestLimit, at(waiting, local, sent, background, stopping), stop},
		{"... also in the background", at(detached, local, sent, background), requestLimit, at(detached, local, sent, background, stopping), stop},
		{"a local server that has no request", at(waiting, local, background), callLimit, at(waiting, local, background, stopping), stop},
		{"a remote vendor that is silent", at(waiting, sent, background), callLimit, at(waiting, sent, background, stopping), stop},
		{"a request that is over is not with the vendor", at(waiting, sent), requestEnded, at(waiting), nothing},

		{"an idle stream", at(streaming, arrived, background), idleLimit, at(streaming, arrived, background, stopping), stop},
		{"... in the background", at(detached, begun, arrived, background), idleLimit, at(detached, begun, arrived, background, stopping), stop},
		{"BACKGROUND_MAX_SECS", at(detached, begun, arrived, background), backgroundLimit, at(detached, begun, arrived, background, stopping), stop},
		{"Stop", at(queued), stopAsked, at(queued, stopping), stop},

		{"requests of a background answer: sent", at(detached, arrived), requestSent, at(detached, arrived, sent), nothing},
		{"... without a queue", at(detached, arrived), noSlotFree, at(detached, arrived), nothing},
		{"... begun", at(detached, arrived), firstEvent, at(detached, arrived, begun), nothing},
		{"... ended", at(detached, arrived, begun), requestEnded, at(detached, arrived), nothing},
	} {
		to, do := c.from.next(c.on)
		assert.Equal(t, c.to, to, c.name)
		assert.Equal(t, c.do, do, c.name)
	}
}

func TestNextLimit(t *testing.T) {
	start := time.Now()
	cfg := config.Default()
	second := func(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }
	limit := config.Limit{Name: "GLM_TIMEOUT_SECS", Value: 30 * time.Second}
	bounded := callDeadline{start: start, bounded: true, answerBy: second(53)}
	for _, c := range []struct {
		name string
		s    state
		d    callDeadline
		at   time.Time
		e    event
	}{
		{"nothing runs, nothing bounds", state{}, callDeadline{}, time.Time{}, 0},
		{"between requests the call's", state{}, bounded, second(53), callLimit},
		{"the vendor's comes first", state{request: request{limit: limit, since: start}}, bounded, second(30), requestLimit},
		{"of two at once the call's", state{request: request{limit: limit, since: second(23)}}, bounded, second(53), callLimit},
		{"the vendor's is over", state{request: request{limit: limit, since: start, expired: true}}, bounded, second(53), callLimit},
		{
			"silence",
			state{control: control{phase: streaming, hasFirstEvent: true}, request: request{limit: limit, since: start, lastDelta: second(3)}},
			bounded, second(28), idleLimit,
		},
		{"silence counts from the first event", state{control: control{phase: waiting}, request: request{lastDelta: second(3)}}, bounded, second(53), callLimit},
		{"in the background", state{control: control{phase: detached}, detachedAt: second(53)}, bounded, second(653), backgroundLimit},
		{"stopping", state{control: control{stopping: true}}, bounded, time.Time{}, 0},
		{"ended", state{control: control{phase: ended}}, bounded, time.Time{}, 0},
	} {
		at, e := c.s.nextLimit(c.d, cfg)
		assert.Equal(t, c.at, at, c.name)
		assert.Equal(t, c.e, e, c.name)
	}
}

func TestInvalidStates(t *testing.T) {
	valid := []state{
		{},
		{control: control{phase: streaming, hasFirstEvent: true}},
		{control: control{phase: detached, hasDelta: true}, limit: &config.Limit{}},
		{control: control{phase: ended, hasFirstEvent: true}},
	}
	for _, s := range valid {
		assert.Empty(t, s.invalid(), "%+v", s.control)
	}
	for _, s := range []state{
		{control: control{phase: streaming}},
		{control: control{phase: waiting, hasFirstEvent: true}},
		{control: control{phase: queued, hasFirstEvent: true}},
		{request: request{sentDelta: true}},
		{control: control{phase: detached, hasDelta: true}},
		{control: control{phase: detached}, limit: &config.Limit{}},
		{control: control{phase: ended}, release: func() {}},
	} {
		assert.NotEmpty(t, s.invalid(), "%+v", s.control)
	}
}

// TestAnInvalidStateIsABug: it panics, but not again while that panic is handled.
func TestAnInvalidStateIsABug(t *testing.T) {
	g := newGeneration(t.Context(), &Caller{cfg: config.Default()}, Call{}, callDeadline{})
	breaks := func(s *state) { s.phase = streaming }
	assert.PanicsWithValue(t, "generation: the phase and the request's first event disagree", func() { g.update(breaks) })
	g.state.panicked = "boom"
	assert.NotPanics(t, func() { g.update(breaks) })
}

// TestASnapshotIsTheCallersOwn: what a caller does with its notes and messages does not reach the answer.
func TestASnapshotIsTheCallersOwn(t *testing.T) {
	g := newGeneration(t.Context(), &Caller{cfg: config.Default()}, Call{}, callDeadline{})
	g.addNote("a note")
	g.state.out.Messages = []providers.Message{{Content: "a message"}}
	first := g.Snapshot()
	first.Notes[0], first.Messages[0].Content = "", ""
	assert.Equal(t, []string{"a note"}, g.Snapshot().Notes)
	assert.Equal(t, []providers.Message{{Content: "a message"}}, g.Snapshot().Messages)
}

// TestWhatEndedAnAnswer is what a call says when our side ended it, by how far the answer had come.
func TestWhatEndedAnAnswer(t *testing.T) {
	cfg := config.Default()
	vendor, idle := cfg.Timeouts.Vendor("glm"), cfg.Timeouts.Idle()
	for _, c := range []struct {
		name  string
		state control
		cause error
		kind  providers.Kind
		limit *config.Limit
		says  string
	}{
		{"in the queue", control{phase: queued}, &limitError{vendor}, providers.KindTimeout, &vendor, "Timed out after GLM_TIMEOUT_SECS=30s waiting for a free GLM (Z.ai) request slot."},
		{"cancelled there", control{phase: queued}, errCallerCancelled, providers.KindCancelled, nil, "The call was cancelled."},
		{"before a first event", control{}, &limitError{vendor}, providers.KindTimeout, &vendor, "glm-5.3 sent nothing within GLM_TIMEOUT_SECS=30s."},
		{"after one that carried nothing", control{phase: streaming, hasFirstEvent: true}, &limitError{idle}, providers.KindTimeout, &idle, "glm-5.3 began to answer, and then sent nothing within STREAM_IDLE_TIMEOUT_SECS=25s."},
		{"in the middle", control{hasDelta: true}, &limitError{vendor}, providers.KindTimeout, &vendor, "glm-5.3 did not finish its answer within GLM_TIMEOUT_SECS=30s."},
		{"in a silence in the middle", control{hasDelta: true}, &limitError{idle}, providers.KindTimeout, &idle, "glm-5.3 did not finish its answer within STREAM_IDLE_TIMEOUT_SECS=25s."},
		{"by the caller's own deadline", control{}, context.DeadlineExceeded, providers.KindTimeout, nil, "glm-5.3 did not answer in the caller's time."},
		{"by its length", control{hasDelta: true}, errTooLong, providers.KindTooLarge, nil, "glm-5.3 wrote more than MAX_ANSWER_BYTES=8388608."},
		{"by Stop", control{hasDelta: true}, errStopped, providers.KindCancelled, nil, "The call was cancelled."},
	} {
		g := newGeneration(t.Context(), &Caller{cfg: cfg}, Call{}, callDeadline{})
		g.state.control, g.state.out.Model = c.state, providers.Model{ID: "glm-5.3", Provider: "glm"}
		g.cancel(c.cause)
		e := g.contextError()
		assert.Equal(t, c.kind, e.Kind, c.name)
		assert.Equal(t, c.limit, e.Limit, c.name)
		assert.Equal(t, c.says, e.Message, c.name)
		assert.Equal(t, c.cause, e.Err, c.name)
	}
}

func TestMayRetry(t *testing.T) {
	for _, c := range []struct {
		name string
		e    providers.Error
		sent int
		want bool
	}{
		{"retryable", providers.Error{Retry: true, Kind: providers.KindOverloaded}, 1, true},
		{"the last attempt but one", providers.Error{Retry: true, Kind: providers.KindNetwork}, 4, true},
		{"no attempt is left", providers.Error{Retry: true, Kind: providers.KindNetwork}, 5, false},
		{"not worth it", providers.Error{Kind: providers.KindAuth}, 1, false},
		{"a silence has had its time", providers.Error{Retry: true, Kind: providers.KindTimeout}, 1, false},
	} {
		assert.Equal(t, c.want, mayRetry(&c.e, c.sent, 5), c.name)
	}
}
