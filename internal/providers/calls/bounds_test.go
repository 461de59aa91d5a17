package calls

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

func TestWhyACallersContextEnded(t *testing.T) {
	limit := config.Limit{Name: "SIMPLE_TOOL_TIMEOUT_SECS", Value: 30 * time.Second}
	ended := func(cause error) context.Context {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		return ctx
	}
	late, cancel := context.WithDeadlineCause(t.Context(), time.Now(), &providers.Error{Kind: providers.KindTimeout})
	defer cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		want error
	}{
		{"a limit of ours", ended(&limitError{limit}), &limitError{limit}},
		{"an error that names one", ended(&providers.Error{Limit: &limit}), &limitError{limit}},
		{"an error that names none", ended(&providers.Error{Kind: providers.KindAuth}), errCallerCancelled},
		{"a deadline", late, context.DeadlineExceeded},
		{"a cancellation", ended(nil), errCallerCancelled},
	} {
		assert.Equal(t, c.want, callerCause(c.ctx), c.name)
	}
	assert.EqualError(t, &limitError{limit}, "exceeded SIMPLE_TOOL_TIMEOUT_SECS=30s")
}

// TestTheLimitBehindTheEndOfACall: a request that the call's reserve alone cut short is named by its own limit.
func TestTheLimitBehindTheEndOfACall(t *testing.T) {
	start := time.Now()
	call := config.Limit{Name: "SIMPLE_TOOL_TIMEOUT_SECS", Value: 30 * time.Second} // 1.5 s of which are kept
	d := callDeadline{start: start, bounded: true, budget: providers.Budget{Limit: call, Start: start}}
	d.answerBy = d.budget.AnswerBy()
	request := func(secs float64) config.Limit {
		return config.Limit{Name: "GLM_TIMEOUT_SECS", Value: time.Duration(secs * float64(time.Second))}
	}
	for _, c := range []struct {
		name  string
		limit config.Limit
		began time.Duration
		want  string
		at    time.Duration
	}{
		{"as long as the call", request(30), 0, "GLM_TIMEOUT_SECS", 28500 * time.Millisecond},
		{"it ends with the reserve", request(30), 1500 * time.Millisecond, "GLM_TIMEOUT_SECS", 28500 * time.Millisecond},
		{"it would end after the call", request(30), 1501 * time.Millisecond, "SIMPLE_TOOL_TIMEOUT_SECS", 28500 * time.Millisecond},
		{"longer than the call", request(30.001), 0, "SIMPLE_TOOL_TIMEOUT_SECS", 28500 * time.Millisecond},
		{"it ends before", request(10), 0, "GLM_TIMEOUT_SECS", 10 * time.Second},
		{"it ends at the same time", request(28.5), 0, "GLM_TIMEOUT_SECS", 28500 * time.Millisecond},
	} {
		limit, at := d.firstLimit(c.limit, start.Add(c.began))
		assert.Equal(t, c.want, limit.Name, c.name)
		assert.Equal(t, c.at, at.Sub(start), c.name)
	}
	limit, at := callDeadline{start: start}.firstLimit(request(10), start)
	assert.Equal(t, "GLM_TIMEOUT_SECS", limit.Name)
	assert.Equal(t, start.Add(10*time.Second), at)
}

func TestAnAnswerThatHasEndedLeavesNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		d := callDeadline{start: now, bounded: true, answerBy: now.Add(time.Minute)}
		g := newGeneration(t.Context(), &Caller{cfg: config.Default()}, Call{}, d)
		g.update(func(*state) {})
		assert.Equal(t, d.answerBy, g.armed)
		g.update(func(s *state) { s.phase = ended })
		assert.True(t, g.armed.IsZero())
		assert.False(t, g.timer.Stop(), "it is stopped already")
	})
}

func TestRoomForResults(t *testing.T) {
	messages := []providers.Message{{Content: strings.Repeat("123", 694)}} // 700 tokens, for which 800 are planned
	for _, c := range []struct {
		name     string
		bytes    int
		given    int
		window   int
		output   int
		messages []providers.Message
		want     int
	}{
		{"the bound", 30_000, 0, 0, 1_000, nil, 30_000},
		{"what is left of it", 30_000, 12_000, 0, 1_000, nil, 18_000},
		{"nothing", 30_000, 30_001, 0, 1_000, nil, 0},
		{"two bytes for each token that the window leaves", 30_000, 0, 8_000, 1_000, nil, 14_000},
		{"at most a quarter of it is kept for the answer", 30_000, 0, 8_000, 5_000, nil, 12_000},
		{"the request counts", 30_000, 0, 8_000, 1_000, messages, 12_400},
	} {
		r := &toolRounds{
			g: &Generation{ctx: t.Context()}, bounds: Bounds{Bytes: c.bytes}, given: c.given,
			j: &job{req: providers.ChatRequest{Model: providers.Model{ContextWindow: c.window}, MaxOutputTokens: c.output, Messages: c.messages}},
		}
		assert.Equal(t, c.want, r.room(), c.name)
		if c.messages != nil { // as replies, they count the same
			r.j.req.Messages = nil
			assert.Equal(t, c.want, r.room(c.messages...), c.name)
		}
	}
}

func TestWhatAModelCanTake(t *testing.T) {
	m := providers.Model{ContextWindow: 1000}
	assert.True(t, fits(m, providers.Needs{Tokens: 1000}))
	assert.False(t, fits(m, providers.Needs{Tokens: 1001}))
	assert.False(t, fits(m, providers.Needs{Images: true}))
	assert.False(t, fits(m, providers.Needs{Functions: true}))
	m.Images, m.Functions = true, true
	assert.True(t, fits(m, providers.Needs{Images: true, Functions: true}))
}

func TestAnswersWithoutText(t *testing.T) {
	m := providers.Model{ID: "glm-5.3", Provider: "glm"}
	for reason, want := range map[providers.FinishReason]providers.Error{
		providers.FinishContentFilter: {
			Kind: providers.KindContentFiltered, Message: "glm-5.3 refused to answer: its vendor's content filter stopped it.",
			Hint: "Rephrase the request, or name a model of the other vendor.",
		},
		providers.FinishLength: {
			Kind: providers.KindProviderError, Message: "glm-5.3 reached its output limit before it wrote any text.",
			Hint: "Ask with a lower thinking_mode, or raise GLM_MAX_OUTPUT_TOKENS in the server's environment.",
		},
		providers.FinishStop: {
			Kind: providers.KindProviderError, Retry: true, Message: "glm-5.3 finished without any text.",
			Hint: "Send it again, rephrase it, or name another model.",
		},
	} {
		want.RequestID = "r1"
		assert.Equal(t, &want, emptyAnswerError(m, &providers.ChatResponse{Content: " \n", FinishReason: reason, RequestID: "r1"}))
		assert.NoError(t, emptyAnswerError(m, &providers.ChatResponse{Content: "x", FinishReason: reason}))
	}
}

func TestWhatIsShownOfASearch(t *testing.T) {
	hit := func(title, content, published string) providers.SearchHit {
		return providers.SearchHit{Title: title, Link: "https://" + title, Content: content, Published: published}
	}
	two := []providers.SearchHit{hit("a", "first", "2026-01-02"), hit("b", "second", "")}
	const first, second = "[1] a\nhttps://a\nPublished: 2026-01-02\nfirst", "[2] b\nhttps://b\nsecond"
	whole := len(first) + len(second) + 4
	assert.Equal(t, first+"\n\n"+second, hitText(two, whole))
	assert.Equal(t, first, hitText(two, whole-1), "whole pages alone")
	assert.Empty(t, hitText(two, 10))
	assert.Equal(t, "[1] c\nhttps://c\n"+strings.Repeat("x", 2000), hitText([]providers.SearchHit{hit("c", strings.Repeat("x", 2001), "")}, 1<<20))
	many := make([]providers.SearchHit, 12)
	assert.Equal(t, 10, strings.Count(hitText(many, 1<<20), "["))
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{{"abc", 3, "abc"}, {"abc", 2, "ab"}, {"abc", 0, ""}, {"aé", 2, "a"}, {"é", 1, ""}, {"\x80\x80", 1, ""}} {
		assert.Equal(t, c.want, clip(c.text, c.n), "%q to %d", c.text, c.n)
	}
}

func TestTheUsualThinking(t *testing.T) {
	tool := callDeadline{bounded: true, budget: providers.Budget{Class: config.ClassExpert}}
	simple := callDeadline{bounded: true, budget: providers.Budget{Class: config.ClassSimple}}
	assert.Equal(t, providers.ThinkMedium, Call{}.mode(tool))
	assert.Equal(t, providers.ThinkLow, Call{}.mode(simple))
	assert.Equal(t, providers.ThinkLow, Call{}.mode(callDeadline{}), "outside a tool call")
	assert.Equal(t, providers.ThinkMax, Call{Thinking: providers.ThinkMax}.mode(simple))

	limit := config.Limit{Value: time.Minute}
	assert.Equal(t, time.Minute, callDeadline{}.limit(limit))
	tool.budget.Limit.Value = time.Hour
	assert.Equal(t, time.Hour, tool.limit(limit))
}

func TestTheSwitchThatIsSent(t *testing.T) {
	effort, toggle := providers.ThinkingSwitch{Effort: "high"}, providers.ThinkingSwitch{Type: "enabled"}
	for drop, want := range map[string][]string{
		"temperature": {effort.String(), toggle.String()}, "thinking": {effort.String(), ""}, "reasoning_effort": {"", toggle.String()},
	} {
		for i, s := range []providers.ThinkingSwitch{effort, toggle} {
			assert.Equal(t, want[i], (&job{req: providers.ChatRequest{Thinking: s, Drop: []string{drop}}}).thinking(), drop)
		}
	}
}
