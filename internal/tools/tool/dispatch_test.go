package tool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type echoInput struct {
	Text string `json:"text,omitempty"`
	Slow bool   `json:"slow,omitempty"`
}

// echo is a tool of a test. It has the words of version.
func echo(h func(context.Context, echoInput) (*reply.Result, error), opts ...Option) Tool {
	t := New("version", h, opts...)
	t.Name = "echo"
	return t
}

func said(text string) *reply.Result {
	r := &reply.Result{}
	r.Body.Set("status", "success").Set("content", text)
	return r
}

func errorOf(t *testing.T, r *reply.Result) *reply.Object {
	t.Helper()
	require.True(t, r.IsError)
	assert.Equal(t, "error", r.Body.Get("status"))
	assert.Equal(t, "text", r.Body.Get("content_type"))
	e, ok := r.Body.Get("error").(*reply.Object)
	require.True(t, ok)
	assert.Equal(t, r.Body.Get("content"), e.Get("message"))
	keys := r.Body.Keys()
	assert.Equal(t, "metadata", keys[len(keys)-1])
	return e
}

func TestCallAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := NewDispatcher(Options{Config: config.Default()}, []Tool{echo(func(ctx context.Context, in echoInput) (*reply.Result, error) {
			time.Sleep(1500 * time.Millisecond)
			b, ok := providers.BudgetFrom(ctx)
			assert.True(t, ok)
			assert.Equal(t, "SIMPLE_TOOL_TIMEOUT_SECS=30s", b.Limit.String())
			deadline, _ := ctx.Deadline()
			assert.Equal(t, b.Deadline(), deadline)
			r := said(in.Text)
			r.Metadata.Note("a note of the tool")
			return r, nil
		})})
		r := x.Call(t.Context(), Invocation{Tool: "echo", Arguments: json.RawMessage(`{"text":7}`)})
		text, err := r.JSON()
		require.NoError(t, err)
		assert.Equal(t, `{"status":"success","content":"7","metadata":{"tool_name":"echo","duration_ms":1500,"notes":["text: took 7 as text.","a note of the tool"]}}`, string(text))
	})
}

func TestUnknownTool(t *testing.T) {
	named := func(name string) Tool {
		t := echo(nil)
		t.Name = name
		return t
	}
	x := NewDispatcher(Options{Config: config.Default()}, []Tool{named("challenge"), named("chat")})
	e := errorOf(t, x.Call(t.Context(), Invocation{Tool: "chalenge"}))
	assert.Equal(t, reply.CodeInvalidRequest, e.Get("code"))
	assert.Contains(t, e.Get("hint"), "Did you mean challenge?")
	e = errorOf(t, x.Call(t.Context(), Invocation{Tool: "zzzzzzzz"}))
	assert.Contains(t, e.Get("hint"), "challenge, chat.")
}

// A tool that heeds its context, one that does not, and one whose limit depends on its arguments: the answer is there
// when the limit passes, and names it. The limit counts from the reading of the request.
func TestLimits(t *testing.T) {
	slow := Limited(func(in echoInput, cfg *config.Config) (config.Class, config.Limit) {
		if in.Slow {
			return config.ClassWorkflow, cfg.Timeouts.For(config.ClassWorkflow)
		}
		return config.ClassSimple, cfg.Timeouts.For(config.ClassSimple)
	})
	for name, c := range map[string]struct {
		args  string
		heeds bool
		want  time.Duration
		limit string
	}{
		"heeds":     {`{}`, true, 30 * time.Second, "SIMPLE_TOOL_TIMEOUT_SECS=30s"},
		"stubborn":  {`{}`, false, 30 * time.Second, "SIMPLE_TOOL_TIMEOUT_SECS=30s"},
		"arguments": {`{"slow":true}`, true, 45 * time.Second, "WORKFLOW_TOOL_TIMEOUT_SECS=45s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				x := NewDispatcher(Options{Config: config.Default()}, []Tool{echo(func(ctx context.Context, _ echoInput) (*reply.Result, error) {
					if c.heeds {
						<-ctx.Done()
						return nil, fmt.Errorf("reading: %w", ctx.Err())
					}
					<-release
					return said("too late"), nil
				}, slow)})
				received := time.Now()
				time.Sleep(4 * time.Second) // in a queue of the server's
				e := errorOf(t, x.Call(t.Context(), Invocation{Tool: "echo", Arguments: json.RawMessage(c.args), Received: received}))
				assert.Equal(t, c.want, time.Since(received))
				assert.Equal(t, reply.CodeTimeout, e.Get("code"))
				assert.Equal(t, c.limit, e.Get("limit"))
				assert.Equal(t, true, e.Get("retryable"))
				assert.Equal(t, c.want.Milliseconds(), e.Get("elapsed_ms"))
				close(release)
			})
		})
	}
}

// A call that arrives with its limit already over is answered at once.
func TestLimitAlreadyOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := NewDispatcher(Options{Config: config.Default()}, []Tool{echo(func(ctx context.Context, _ echoInput) (*reply.Result, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})})
		start := time.Now()
		e := errorOf(t, x.Call(t.Context(), Invocation{Tool: "echo", Received: start.Add(-time.Minute)}))
		assert.Equal(t, reply.CodeTimeout, e.Get("code"))
		assert.Zero(t, time.Since(start))
	})
}

func TestPanicIsInternal(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	x := NewDispatcher(Options{Config: config.Default(), Log: zap.New(core)}, []Tool{echo(func(context.Context, echoInput) (*reply.Result, error) {
		panic("secret detail")
	})})
	r := x.Call(t.Context(), Invocation{Tool: "echo"})
	e := errorOf(t, r)
	assert.Equal(t, reply.CodeInternal, e.Get("code"))
	text, err := r.JSON()
	require.NoError(t, err)
	assert.NotContains(t, string(text), "secret detail")
	assert.NotContains(t, string(text), "goroutine")
	require.Len(t, logs.All(), 1, "logged once")
	assert.Contains(t, fmt.Sprint(logs.All()[0].ContextMap()["error"]), "secret detail")
	assert.Contains(t, fmt.Sprint(logs.All()[0].ContextMap()["error"]), "dispatch_test.go", "with the stack")
}

// A fall while arguments are read, or while the reply is written, is no more than a failed call either.
func TestPanicOutsideOfTheHandler(t *testing.T) {
	reading := Limited(func(echoInput, *config.Config) (config.Class, config.Limit) { panic("reading") })
	writing := func(context.Context, echoInput) (*reply.Result, error) {
		r := said("x")
		r.Body.Set("z", panicking{})
		return r, nil
	}
	log := activity.Open(config.Default(), nil)
	defer log.Close()
	for _, tool := range []Tool{echo(writing, reading), echo(writing)} {
		x := NewDispatcher(Options{Config: config.Default(), Activity: log}, []Tool{tool})
		e := errorOf(t, x.Call(t.Context(), Invocation{Tool: "echo"}))
		assert.Equal(t, reply.CodeInternal, e.Get("code"))
	}
	assert.Empty(t, log.Running())
}

type panicking struct{}

func (panicking) MarshalJSON() ([]byte, error) { panic("writing") }

func TestNeitherResultNorError(t *testing.T) {
	x := NewDispatcher(Options{Config: config.Default()}, []Tool{echo(func(context.Context, echoInput) (*reply.Result, error) { return nil, nil })})
	assert.Equal(t, reply.CodeInternal, errorOf(t, x.Call(t.Context(), Invocation{Tool: "echo"})).Get("code"))
}

func TestErrorCodes(t *testing.T) {
	limit := config.Limit{Name: "GLM_TIMEOUT_SECS", Value: 30 * time.Second}
	for _, c := range []struct {
		err  error
		want string
	}{
		{
			&providers.Error{Kind: providers.KindRateLimited, Message: "m", Hint: "h", Provider: "glm", Model: "glm-5.3", RetryAfter: 1500 * time.Millisecond},
			`{"code":"rate_limited","message":"m","hint":"h","retryable":true,"provider":"glm","model":"glm-5.3","retry_after_secs":2}`,
		},
		{
			fmt.Errorf("asking: %w", &providers.Error{Kind: providers.KindTimeout, Message: "m", Provider: "glm", Limit: &limit, Elapsed: 30 * time.Second}),
			`{"code":"timeout","message":"m","hint":"","retryable":true,"provider":"glm","limit":"GLM_TIMEOUT_SECS=30s","elapsed_ms":30000}`,
		},
		{
			&providers.Error{Kind: providers.KindAuth, Message: "m", Hint: "h", Err: errors.New("body with a key")},
			`{"code":"auth","message":"m","hint":"h","retryable":false}`,
		},
		{
			&providers.Error{Kind: providers.KindProviderError, Message: "m", Hint: "h", Retry: true},
			`{"code":"provider_error","message":"m","hint":"h","retryable":true}`,
		},
		{
			fmt.Errorf("x: %w", &workspace.Error{Code: workspace.CodeDenied, Message: "m", Hint: "h", Err: fs.ErrPermission}),
			`{"code":"path_denied","message":"m","hint":"h","retryable":false}`,
		},
		{fmt.Errorf("x: %w", conversation.ErrNotFound), `"conversation_not_found"`},
		{conversation.ErrBusy, `"conversation_busy"`},
		{reply.StoreUnavailable(errors.New("dsn with a password")), `"store_unavailable"`},
		{reply.InvalidRequest("h", "bad %d", 1), `{"code":"invalid_request","message":"bad 1","hint":"h","retryable":false}`},
		{errors.New("nobody foresaw this"), `"internal"`},
	} {
		x := NewDispatcher(Options{Config: config.Default()}, []Tool{echo(func(context.Context, echoInput) (*reply.Result, error) { return nil, c.err })})
		r := x.Call(t.Context(), Invocation{Tool: "echo"})
		text, err := errorOf(t, r).MarshalJSON()
		require.NoError(t, err)
		assert.Contains(t, strings.ReplaceAll(string(text), "\n", ""), c.want)
		for _, secret := range []string{"key", "password", "nobody foresaw"} {
			assert.NotContains(t, string(text), secret)
		}
	}
}

// The client cancels: the handler may still store, and nobody waits long for one that does not end.
func TestCancellation(t *testing.T) {
	for name, c := range map[string]struct {
		ends time.Duration // after the cancellation
		want time.Duration
	}{
		"stores":   {time.Second, time.Second},
		"stubborn": {time.Hour, cancelWait},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := NewDispatcher(Options{Config: config.Default()}, []Tool{echo(func(ctx context.Context, _ echoInput) (*reply.Result, error) {
					<-ctx.Done()
					time.Sleep(c.ends)
					return nil, context.Cause(ctx)
				})})
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(3*time.Second, func() { cancel(errors.New("cancelled by client")) })
				start := time.Now()
				e := errorOf(t, x.Call(ctx, Invocation{Tool: "echo"}))
				assert.Equal(t, reply.CodeNetwork, e.Get("code"), "if anybody still reads it, it was the server that ended")
				assert.Equal(t, 3*time.Second+c.want, time.Since(start))
				time.Sleep(2 * time.Hour) // a bubble ends when its goroutines have
			})
		})
	}
}

// progressLog collects progress messages with the time of each.
type progressLog struct {
	mu    sync.Mutex
	start time.Time
	lines []string
	times []time.Duration
	over  bool
}

func (h *progressLog) progress(t *testing.T) func(string) {
	h.start = time.Now()
	return func(line string) {
		h.mu.Lock()
		defer h.mu.Unlock()
		assert.False(t, h.over, "a message after the result")
		assert.Less(t, utf8.RuneCountInString(line), 200)
		h.lines = append(h.lines, line)
		h.times = append(h.times, time.Since(h.start))
	}
}

func (h *progressLog) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h progressLog
		x := NewDispatcher(Options{Config: config.Default()}, []Tool{echo(func(ctx context.Context, _ echoInput) (*reply.Result, error) {
			id := progress.From(ctx).ContinuationID()
			assert.NotEmpty(t, id)
			on := progress.From(ctx).Model()
			on(providers.Event{Phase: providers.PhaseAsking, Model: "glm-5.3", Attempt: 1})
			time.Sleep(12 * time.Second)
			on(providers.Event{Phase: providers.PhaseThinking, Model: "glm-5.3", Attempt: 1, Tokens: 10})
			on(providers.Event{Phase: providers.PhaseThinking, Model: "glm-5.3", Attempt: 1, Tokens: 20})
			time.Sleep(6 * time.Second)
			on(providers.Event{Phase: providers.PhaseWriting, Model: "glm-5.3", Attempt: 1, Tokens: 400})
			return said(id), nil
		}, InConversation())})
		r := x.Call(t.Context(), Invocation{Tool: "echo", Progress: h.progress(t)})
		h.end()
		time.Sleep(time.Minute)
		id := r.Body.Get("content").(string)
		require.NotEmpty(t, h.lines)
		assert.GreaterOrEqual(t, h.times[0], 200*time.Millisecond, "most calls are over before")
		assert.LessOrEqual(t, h.times[0], 250*time.Millisecond)
		for i, line := range h.lines {
			assert.True(t, strings.HasPrefix(line, "continuation_id="+id+" | "), line)
			if i > 0 {
				assert.LessOrEqual(t, h.times[i]-h.times[i-1], 5*time.Second)
			}
		}
		all := strings.Join(h.lines, "\n")
		for _, part := range []string{"glm-5.3 asking, 0 s", "glm-5.3 thinking, 12 s, 10 tokens", "glm-5.3 thinking, 16 s, 20 tokens", "glm-5.3 writing, 18 s, 400 tokens"} {
			assert.Contains(t, all, part)
		}
	})
}

func TestProgressOfSeveralModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h progressLog
		r := progress.Start(h.progress(t), nil, "", "consensus", time.Now())
		a, b := r.Model(), r.Model()
		time.Sleep(300 * time.Millisecond) // messages keep a distance
		a(providers.Event{Phase: providers.PhaseAsking, Model: "glm-5.3", Attempt: 1})
		time.Sleep(300 * time.Millisecond)
		b(providers.Event{Phase: providers.PhaseRetrying, Model: "kimi-k3.1-pro", Attempt: 1, Wait: 1500 * time.Millisecond})
		r.Stop()
		r.Stop()
		h.end()
		a(providers.Event{Phase: providers.PhaseWriting, Model: "glm-5.3", Attempt: 1})
		assert.Equal(t, []string{"consensus, 0 s", "glm-5.3 asking, 0 s", "glm-5.3 asking, 0 s | kimi-k3.1-pro retrying in 1.5 s (attempt 2), 0 s"}, h.lines)
	})
}

// A context without a reporter is no trouble to whoever reports.
func TestNoReporter(t *testing.T) {
	r := progress.From(t.Context())
	r.Phase("x")
	r.Stop()
	assert.Empty(t, r.ContinuationID())
	assert.Nil(t, r.Model())
}

func TestActivityRecordsCalls(t *testing.T) {
	cfg := config.Default()
	log := activity.Open(cfg, nil)
	defer log.Close()
	x := NewDispatcher(Options{Config: cfg, Activity: log}, []Tool{echo(func(ctx context.Context, in echoInput) (*reply.Result, error) {
		running := log.Running()
		if assert.Len(t, running, 1) {
			assert.Equal(t, "echo", running[0].Tool)
			assert.Equal(t, "t1", running[0].ContinuationID)
			assert.Equal(t, "7", running[0].RequestID)
		}
		assert.Equal(t, "client 1.0", CallFrom(ctx).Client)
		if in.Slow {
			return nil, errors.New("no")
		}
		return said("ok"), nil
	}, InConversation())})
	x.tools["echo"] = withConversation(x.tools["echo"], "t1")
	x.Call(t.Context(), Invocation{Tool: "echo", ID: "7", Client: "client 1.0"})
	x.Call(t.Context(), Invocation{Tool: "echo", ID: "7", Client: "client 1.0", Arguments: json.RawMessage(`{"slow":true}`)})
	assert.Empty(t, log.Running())
	assert.Equal(t, 2, log.Stats().Today().Calls)
	assert.Equal(t, 1, log.Stats().Today().Failed)
}

// withConversation gives a tool's calls a continuation_id.
func withConversation(tool Tool, id string) Tool {
	prepare := tool.prepare
	tool.prepare = func(args json.RawMessage, cfg *config.Config, exists func(string) bool) (*prepared, error) {
		p, err := prepare(args, cfg, exists)
		if p != nil {
			p.continuationID = id
		}
		return p, err
	}
	return tool
}

type pathInput struct {
	Files  []string `json:"files,omitempty"`
	Path   string   `json:"path,omitempty"`
	Images []string `json:"images,omitempty"`
	Text   string   `json:"text,omitempty"`
}

// A call that needs folders which only the client knows is not started: nothing runs and nothing is recorded.
func TestCallAsksForRoots(t *testing.T) {
	ran := 0
	build := func(hints Annotations) Tool {
		tl := New("version", func(context.Context, pathInput) (*reply.Result, error) { ran++; return said("done"), nil }, Hints(hints))
		tl.Name = "read"
		return tl
	}
	var seen []string
	needs := true
	options := Options{Config: config.Default(), NeedsRoots: func(_ context.Context, paths []string, fills bool) bool {
		seen = paths
		assert.True(t, fills)
		return needs
	}}
	options.Activity = activity.Open(options.Config, nil)
	defer options.Activity.Close()
	x := NewDispatcher(options, []Tool{build(Annotations{OpenWorld: true})})
	call := func(x *Dispatcher, may bool) *reply.Result {
		return x.Call(t.Context(), Invocation{Tool: "read", MayAskRoots: may, Arguments: json.RawMessage(
			`{"file":"a.go","path":"/p","images":["data:image/png;base64,AA","b.png"],"text":"/not/a/path"}`)})
	}
	r := call(x, true)
	assert.True(t, r.AskRoots)
	assert.Zero(t, ran)
	assert.Equal(t, []string{"a.go", "/p", "b.png"}, seen)
	assert.Zero(t, options.Activity.Stats().Today().Calls, "an asking round is no call")
	assert.False(t, call(x, false).AskRoots)
	assert.Equal(t, 1, ran)
	needs = false
	assert.False(t, call(x, true).AskRoots)
	needs = true
	assert.False(t, call(NewDispatcher(options, []Tool{build(Annotations{})}), true).AskRoots, "a tool that reaches nothing reads no files")
	assert.Equal(t, 3, ran)
}
