package calls_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/providers/providertest"
)

// chatFunc is a vendor's chat in these tests.
type chatFunc = func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error)

// scriptStep is one thing that a scripted answer does, after a pause.
type scriptStep struct {
	pause time.Duration
	delta providers.Delta
}

func say(pause time.Duration, text string) scriptStep {
	return scriptStep{pause, providers.Delta{Content: text}}
}

func think(pause time.Duration, text string) scriptStep {
	return scriptStep{pause, providers.Delta{Reasoning: text}}
}

// stream answers beat by beat and then finishes, or fails with err. It heeds its context as a real provider does.
func stream(err error, beats ...scriptStep) chatFunc {
	return func(ctx context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		resp := &providers.ChatResponse{FinishReason: providers.FinishStop}
		for _, b := range beats {
			if !pause(ctx, b.pause) {
				return resp, &providers.Error{Kind: providers.KindNetwork, Retry: true, Err: context.Cause(ctx)}
			}
			resp.Content += b.delta.Content
			resp.Reasoning += b.delta.Reasoning
			on(b.delta)
		}
		if err != nil {
			return resp, err
		}
		return resp, nil
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// forever is a silence that no limit outlasts.
const forever = 24 * time.Hour

func silent() chatFunc             { return stream(nil, say(forever, "")) }
func answers(text string) chatFunc { return stream(nil, say(0, text)) }

// steady says n words, one a second, the first after 0.7 s.
func steady(n int) chatFunc {
	beats := make([]scriptStep, n)
	for i := range beats {
		beats[i] = say(time.Second, "word ")
	}
	beats[0].pause = 700 * time.Millisecond
	return stream(nil, beats...)
}

// fails answers with each error in turn, then as then does.
func fails(then chatFunc, errs ...*providers.Error) chatFunc {
	var mu sync.Mutex
	sent := 0
	return func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		mu.Lock()
		sent++
		n := sent
		mu.Unlock()
		if n <= len(errs) {
			e := *errs[n-1]
			return nil, &e
		}
		return then(ctx, req, on)
	}
}

// inTurn answers each request with the next script, and remembers the requests.
type inTurn struct {
	mu       sync.Mutex
	scripts  []chatFunc
	requests []providers.ChatRequest
}

func (s *inTurn) chat(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
	s.mu.Lock()
	script := s.scripts[min(len(s.requests), len(s.scripts)-1)]
	s.requests = append(s.requests, req)
	s.mu.Unlock()
	return script(ctx, req, on)
}

func overloaded() *providers.Error {
	return &providers.Error{Kind: providers.KindOverloaded, Retry: true, HTTPStatus: 503, Message: "busy"}
}

// recorder is an Observer that keeps what it is told.
type recorder struct {
	mu       sync.Mutex
	attempts []providers.Attempt
	limits   []providers.LimitExceeded
}

func (r *recorder) Attempt(a providers.Attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attempts = append(r.attempts, a)
}

func (r *recorder) LimitExceeded(l providers.LimitExceeded) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limits = append(r.limits, l)
}

// names lists the exceeded limits.
func (r *recorder) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := []string{}
	for _, l := range r.limits {
		names = append(names, l.Limit.String())
	}
	return names
}

// fixture is a call path over stubs.
type fixture struct {
	cfg    *config.Config
	glm    *providertest.Stub
	kimi   *providertest.Stub
	reg    *calls.Registry
	caller *calls.Caller
	seen   *recorder
}

// setUp builds a path over two stub vendors with keys. set may change the configuration before.
func setUp(t testing.TB, set func(*config.Config)) *fixture {
	t.Helper()
	b := &fixture{cfg: config.Default(), glm: &providertest.Stub{Vendor: "glm"}, kimi: &providertest.Stub{Vendor: "kimi"}, seen: &recorder{}}
	b.cfg.GLM.APIKey, b.cfg.Kimi.APIKey = "glm-key", "kimi-key"
	if set != nil {
		set(b.cfg)
	}
	var err error
	b.reg, err = calls.NewRegistry(b.cfg, b.kimi, b.glm)
	require.NoError(t, err)
	b.caller = calls.NewCaller(b.reg, b.cfg, b.seen, nil)
	b.caller.SetJitter(func(d time.Duration) time.Duration { return d })
	return b
}

// inClass puts a call of a class on the context, as dispatch does.
func (b *fixture) inClass(ctx context.Context, class config.Class) context.Context {
	return providers.WithBudget(ctx, providers.Budget{Limit: b.cfg.Timeouts.For(class), Class: class, Start: time.Now(), Tool: "tool", ContinuationID: "conversation"})
}

// ask is a call that asks one question of a model.
func ask(model string) calls.Call {
	return calls.Call{
		Model: model, Category: providers.CategoryFast,
		Build: func(providers.Model) (providers.ChatRequest, error) {
			return providers.ChatRequest{Messages: []providers.Message{{Role: providers.RoleUser, Content: "Why?"}}}, nil
		},
	}
}

// inFakeTime runs a test under a fake clock and closes the path at its end, after which nothing may be left.
func inFakeTime(t *testing.T, set func(*config.Config), test func(t *testing.T, b *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t, set)
		test(t, b)
		require.NoError(t, b.caller.Close(context.Background()))
	})
}

func failure(t testing.TB, err error) *providers.Error {
	t.Helper()
	var e *providers.Error
	require.ErrorAs(t, err, &e)
	return e
}

// ops lists what the requests were for, in the order in which they ended.
func (r *recorder) ops() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ops []string
	for _, a := range r.attempts {
		ops = append(ops, a.Op)
	}
	return ops
}
