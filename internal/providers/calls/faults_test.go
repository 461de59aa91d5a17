package calls_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/providers/endpoint"
	"github.com/exai-mcp/exai-mcp/internal/providers/glm"
	"github.com/exai-mcp/exai-mcp/internal/providers/kimi"
)

// clock is the set of limits that the matrix runs under: the defaults on a fake clock, short ones on real sockets.
type clock struct {
	call    time.Duration // the whole call's; a vendor's limit is the same
	idle    time.Duration
	connect time.Duration
	beat    time.Duration // between two pieces of what drips
	wait    time.Duration // a Retry-After that fits
	retry   time.Duration // the first wait between attempts, doubled each time
}

func (c clock) budget() providers.Budget {
	return providers.Budget{Limit: config.Limit{Name: "SIMPLE_TOOL_TIMEOUT_SECS", Value: c.call}, Class: config.ClassSimple}
}

// Ends of a call, from its start.
func atOnce(clock) time.Duration      { return 0 }
func byReserve(c clock) time.Duration { return c.call - c.budget().Reserve() }
func byIdle(c clock) time.Duration    { return c.idle }
func byFirst(c clock) time.Duration   { return c.beat + c.idle }
func byConnect(c clock) time.Duration { return c.connect }
func byWait(c clock) time.Duration    { return c.wait }
func retries(n int) func(clock) time.Duration {
	return func(c clock) time.Duration { return c.retry * (1<<n - 1) }
}

// end is what a call comes to. The zero end: the fault cannot happen to that kind of request.
type end struct {
	kind     providers.Kind         // of the error; "" for an answer
	finish   providers.FinishReason // of a chat's answer
	limit    string                 // that ended it: vendor, idle, connect
	after    func(clock) time.Duration
	attempts int
	text     string // a chat's; "..." for more than is compared
}

func timeout(limit string, after func(clock) time.Duration) end {
	return end{kind: providers.KindTimeout, limit: limit, after: after, attempts: 1}
}

func partial(finish providers.FinishReason, limit string, after func(clock) time.Duration, text string) end {
	return end{finish: finish, limit: limit, after: after, attempts: 1, text: text}
}

// refused is an error that is not worth a retry; failed is one after every attempt.
func refused(kind providers.Kind) end { return end{kind: kind, after: atOnce, attempts: 1} }
func failed(kind providers.Kind) end  { return end{kind: kind, after: retries(4), attempts: 5} }

func whole(attempts int, after func(clock) time.Duration) end {
	return end{finish: providers.FinishStop, after: after, attempts: attempts, text: "one two three four"}
}

// row is one fault, and what a chat and a plain request come to under it.
type row struct {
	name  string
	only  emulator.Vendor // "": both
	reply func(c clock, v emulator.Vendor) []emulator.Fault
	// then is answered after the faults, without one; false: the last fault again and again.
	then   bool
	hole   bool // the connection is never made
	behind bool // the chat may go on in the background, and does
	chat   end
	plain  end
}

// with is a row's reply that is the same under every clock and vendor.
func with(faults ...emulator.Fault) func(clock, emulator.Vendor) []emulator.Fault {
	return func(clock, emulator.Vendor) []emulator.Fault { return faults }
}

// codes are each vendor's words for the same thing.
func busy(v emulator.Vendor) string {
	return map[emulator.Vendor]string{emulator.GLM: "1305", emulator.Kimi: "engine_overloaded_error", emulator.Lab: "overloaded_error"}[v]
}

func limited(v emulator.Vendor) string {
	return map[emulator.Vendor]string{emulator.GLM: "1303", emulator.Kimi: "rate_limit_reached_error", emulator.Lab: "rate_limit_exceeded"}[v]
}

func invalid(v emulator.Vendor) string {
	return map[emulator.Vendor]string{emulator.GLM: "1210", emulator.Kimi: "invalid_request_error", emulator.Lab: "invalid_request_error"}[v]
}

func noAuth(v emulator.Vendor) string {
	return map[emulator.Vendor]string{emulator.GLM: "1000", emulator.Kimi: "invalid_authentication_error", emulator.Lab: "invalid_api_key"}[v]
}

// matrix is every way in which a vendor can fail, and what the caller gets, how soon, and after how many requests.
func matrix() []row {
	const (
		whileTyping = "one two "
	)
	server := emulator.Status(500, "")
	return []row{
		{name: "nothing is wrong", then: true, reply: with(), chat: whole(1, atOnce), plain: whole(1, atOnce)},
		{name: "never answers", reply: with(emulator.NeverAnswer()), chat: timeout("vendor", byReserve), plain: timeout("vendor", byReserve)},
		{name: "TLS stall", hole: true, chat: timeout("connect", byConnect), plain: timeout("connect", byConnect)},
		{name: "answers too late", reply: func(c clock, _ emulator.Vendor) []emulator.Fault {
			return []emulator.Fault{emulator.DelayHeaders(2 * c.call)}
		}, chat: timeout("vendor", byReserve), plain: timeout("vendor", byReserve)},
		{name: "thinks longer than the limit, then answers", behind: true, reply: func(c clock, _ emulator.Vendor) []emulator.Fault {
			return []emulator.Fault{emulator.ThinkFor(2*c.call, c.beat)}
		}, chat: partial(providers.FinishTimeout, "vendor", byReserve, "")},
		{name: "headers, then a stall", reply: with(emulator.HeadersThenStall()), chat: timeout("vendor", byReserve), plain: timeout("vendor", byReserve)},
		{
			name: "a stall in the middle", reply: with(emulator.StallAfter(2)),
			chat: partial(providers.FinishTimeout, "idle", byIdle, whileTyping), plain: timeout("vendor", byReserve),
		},
		{name: "comments forever", reply: func(c clock, _ emulator.Vendor) []emulator.Fault {
			return []emulator.Fault{emulator.Comments(0, c.beat)}
		}, chat: timeout("vendor", byReserve), plain: timeout("vendor", byReserve)},
		{name: "comments forever in the middle", reply: func(c clock, _ emulator.Vendor) []emulator.Fault {
			return []emulator.Fault{emulator.Comments(2, c.beat)}
		}, chat: partial(providers.FinishTimeout, "idle", byIdle, whileTyping), plain: timeout("vendor", byReserve)},
		{name: "empty deltas forever", reply: func(c clock, _ emulator.Vendor) []emulator.Fault {
			return []emulator.Fault{emulator.EmptyDeltas(2, c.beat)}
		}, chat: partial(providers.FinishTimeout, "idle", byIdle, whileTyping)},
		{name: "nothing but empty deltas", reply: func(c clock, _ emulator.Vendor) []emulator.Fault {
			return []emulator.Fault{emulator.EmptyDeltas(0, c.beat)}
		}, chat: timeout("idle", byFirst)},
		{name: "one token now and then, forever", reply: func(c clock, _ emulator.Vendor) []emulator.Fault {
			return []emulator.Fault{emulator.Drip(c.beat / 5)}
		}, chat: partial(providers.FinishTimeout, "vendor", byReserve, "..."), plain: timeout("vendor", byReserve)},
		{name: "a reset before the answer", reply: with(emulator.ResetBeforeHeaders()), chat: failed(providers.KindNetwork), plain: failed(providers.KindNetwork)},
		{name: "a reset, then an answer", then: true, reply: with(emulator.ResetBeforeHeaders()), chat: whole(2, retries(1)), plain: whole(2, retries(1))},
		{
			name: "a reset in the middle", reply: with(emulator.ResetAfter(2)),
			chat: partial(providers.FinishNetwork, "", atOnce, whileTyping), plain: failed(providers.KindNetwork),
		},
		{
			name: "a connection that closes in the middle", reply: with(emulator.DropAfter(2)),
			chat: partial(providers.FinishNetwork, "", atOnce, whileTyping), plain: failed(providers.KindNetwork),
		},
		{name: "an end without finish_reason", reply: with(emulator.CutAfter(2)), chat: partial(providers.FinishNetwork, "", atOnce, whileTyping)},
		{name: "an end before any delta", reply: with(emulator.CutAfter(0)), chat: failed(providers.KindNetwork)},
		{name: "429 with a Retry-After that fits", then: true, reply: func(c clock, v emulator.Vendor) []emulator.Fault {
			return []emulator.Fault{emulator.VendorError(429, limited(v), "", "Retry-After", seconds(c.wait))}
		}, chat: whole(2, byWait), plain: whole(2, byWait)},
		{name: "429 with a Retry-After that does not", then: true, reply: func(_ clock, v emulator.Vendor) []emulator.Fault {
			return []emulator.Fault{emulator.VendorError(429, limited(v), "", "Retry-After", "300")}
		}, chat: refused(providers.KindRateLimited), plain: refused(providers.KindRateLimited)},
		{
			name: "GLM 1113, no balance", only: emulator.GLM, reply: with(emulator.VendorError(429, "1113", "")),
			chat: refused(providers.KindBalance), plain: refused(providers.KindBalance),
		},
		{
			name: "GLM 1302, too many at once", only: emulator.GLM, then: true, reply: with(emulator.VendorError(429, "1302", "")),
			chat: whole(2, retries(1)), plain: whole(2, retries(1)),
		},
		{
			name: "GLM 1305, too much traffic", only: emulator.GLM, reply: with(emulator.VendorError(429, "1305", "")),
			chat: failed(providers.KindOverloaded), plain: failed(providers.KindOverloaded),
		},
		{
			name: "GLM 1312, model overloaded", only: emulator.GLM, reply: with(emulator.VendorError(429, "1312", "")),
			chat: failed(providers.KindOverloaded), plain: failed(providers.KindOverloaded),
		},
		{
			name: "Kimi 429, engine overloaded", only: emulator.Kimi, reply: with(emulator.VendorError(429, "engine_overloaded_error", "")),
			chat: failed(providers.KindOverloaded), plain: failed(providers.KindOverloaded),
		},
		{
			name: "Kimi 429, rate limit", only: emulator.Kimi, reply: with(emulator.VendorError(429, "rate_limit_reached_error", "max RPM: 3")),
			chat: failed(providers.KindRateLimited), plain: failed(providers.KindRateLimited),
		},
		{
			name: "Kimi 429, no balance", only: emulator.Kimi, reply: with(emulator.VendorError(429, "exceeded_current_quota_error", "")),
			chat: refused(providers.KindBalance), plain: refused(providers.KindBalance),
		},
		{name: "500 three times, then an answer", then: true, reply: with(server, server, server), chat: whole(4, retries(3)), plain: whole(4, retries(3))},
		{name: "500 forever", reply: with(server), chat: failed(providers.KindProviderError), plain: failed(providers.KindProviderError)},
		{name: "502 with a page of HTML", reply: with(emulator.HTMLPage(502)), chat: failed(providers.KindProviderError), plain: failed(providers.KindProviderError)},
		{name: "401", reply: func(_ clock, v emulator.Vendor) []emulator.Fault {
			return []emulator.Fault{emulator.VendorError(401, noAuth(v), "")}
		}, chat: refused(providers.KindAuth), plain: refused(providers.KindAuth)},
		{name: "400 that names a parameter", then: true, reply: func(_ clock, v emulator.Vendor) []emulator.Fault {
			return []emulator.Fault{emulator.VendorError(400, invalid(v), "reasoning_effort is not supported")}
		}, chat: whole(2, atOnce), plain: refused(providers.KindInvalidRequest)},
		{name: "200 with an error in it", reply: func(_ clock, v emulator.Vendor) []emulator.Fault {
			return []emulator.Fault{emulator.ErrorIn200(false, busy(v), "")}
		}, chat: failed(providers.KindOverloaded), plain: failed(providers.KindOverloaded)},
		{
			name: "200 with a flat error in it", reply: with(emulator.ErrorIn200(true, "500", "busy")),
			chat: failed(providers.KindProviderError), plain: failed(providers.KindProviderError),
		},
		{name: "an error event in the middle", reply: func(_ clock, v emulator.Vendor) []emulator.Fault {
			return []emulator.Fault{emulator.ErrorEvent(2, busy(v), "")}
		}, chat: partial(providers.FinishNetwork, "", atOnce, whileTyping)},
		{
			name: "an error event after a comment", reply: with(emulator.FlatErrorEvent(2, "500", "busy")),
			chat: partial(providers.FinishNetwork, "", atOnce, whileTyping),
		},
		{name: "an error event at once", reply: func(_ clock, v emulator.Vendor) []emulator.Fault {
			return []emulator.Fault{emulator.ErrorEvent(0, busy(v), "")}
		}, chat: failed(providers.KindOverloaded)},
		{name: "garbage", reply: with(emulator.Garbage(0)), chat: failed(providers.KindProviderError), plain: failed(providers.KindProviderError)},
		{name: "garbage in the middle", reply: with(emulator.Garbage(2)), chat: partial(providers.FinishNetwork, "", atOnce, whileTyping)},
		{name: "no choices", reply: with(emulator.EmptyChoices()), chat: failed(providers.KindProviderError)},
		{name: "a 50 MB answer", reply: with(emulator.Huge(50)), chat: partial(providers.FinishLength, "", atOnce, "...")},
		{name: "a 50 MB body", reply: func(clock, emulator.Vendor) []emulator.Fault {
			return []emulator.Fault{emulator.Status(200, strings.Repeat("endless ", 50<<20/8))}
		}, plain: refused(providers.KindTooLarge)},
	}
}

func seconds(d time.Duration) string { return strings.TrimSuffix(d.String(), "s") }

// request is one kind of request to a vendor that is no chat.
type request struct {
	vendor emulator.Vendor
	op     emulator.Op
	opaque bool // its body is text, so nothing in it is an error
	send   func(ctx context.Context, r *vendorPath) error
}

func requests() []request {
	upload := func(ctx context.Context, r *vendorPath) error {
		ref, err := r.provider.(providers.Uploader).Upload(ctx, providers.File{Name: "notes.txt", Size: 5, Body: bytes.NewReader([]byte("hello"))})
		if err == nil {
			r.file = ref.ID
		}
		return err
	}
	models := func(ctx context.Context, r *vendorPath) error {
		_, err := r.provider.(providers.ModelLister).ListModels(ctx)
		return err
	}
	return []request{
		{vendor: emulator.GLM, op: emulator.OpSearch, send: func(ctx context.Context, r *vendorPath) error {
			_, err := r.provider.(providers.Searcher).Search(ctx, providers.SearchQuery{Query: "go"})
			return err
		}},
		{vendor: emulator.GLM, op: emulator.OpUpload, send: upload},
		{vendor: emulator.GLM, op: emulator.OpModels, send: models},
		{vendor: emulator.Kimi, op: emulator.OpUpload, send: upload},
		{vendor: emulator.Kimi, op: emulator.OpFileContent, opaque: true, send: func(ctx context.Context, r *vendorPath) error {
			_, err := r.provider.(providers.Extractor).Extract(ctx, r.file)
			return err
		}},
		{vendor: emulator.Kimi, op: emulator.OpModels, send: models},
		{vendor: emulator.Lab, op: emulator.OpModels, send: models},
		{vendor: emulator.Kimi, op: emulator.OpBalance, send: func(ctx context.Context, r *vendorPath) error {
			_, err := r.provider.(providers.Balancer).Balance(ctx)
			return err
		}},
	}
}

// vendorPath is one vendor's provider on the call path, in front of the emulator or of a black hole.
type vendorPath struct {
	vendor   emulator.Vendor
	clock    clock
	cfg      *config.Config
	emulator *emulator.Emulator
	provider providers.Provider
	registry *calls.Registry
	caller   *calls.Caller
	seen     *recorder
	file     string // uploaded before, for what works on files
}

type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// withLab is the default configuration with the lab as an endpoint that is not on this machine and whose parameters are known.
func withLab(t testing.TB, e *emulator.Emulator, url string, c clock) *config.Config {
	t.Helper()
	cfg, err := config.Load(config.Options{Environ: []string{
		"ENDPOINTS=lab", "LAB_API_KEY=" + e.Key(emulator.Lab), "LAB_API_URL=" + url, "LAB_TIMEOUT_SECS=" + c.call.String(),
	}})
	require.NoError(t, err)
	row := cfg.Vendor("lab").Row.Endpoint
	row.Local, row.OutputCap, row.Thinking = false, "max_completion_tokens", "effort"
	return cfg
}

// build puts a rig together; url and dial lead to the emulator or to the hole. The returned function takes it down.
func build(t testing.TB, v emulator.Vendor, c clock, e *emulator.Emulator, url string, dial dialer) (*vendorPath, func()) {
	t.Helper()
	cfg := withLab(t, e, url, c)
	cfg.GLM.APIKey, cfg.Kimi.APIKey = config.Secret(e.Key(emulator.GLM)), config.Secret(e.Key(emulator.Kimi))
	cfg.GLM.APIURL, cfg.Kimi.APIURL = url, url
	cfg.Timeouts.GLM, cfg.Timeouts.Kimi, cfg.Timeouts.SimpleTool = c.call, c.call, c.call
	cfg.Timeouts.StreamIdle, cfg.Timeouts.Connect = c.idle, c.connect
	r := &vendorPath{vendor: v, clock: c, cfg: cfg, emulator: e, seen: &recorder{}}
	var err error
	switch v {
	case emulator.Lab:
		r.provider, err = endpoint.New(endpoint.Options{
			Vendor: *cfg.Vendor("lab"), Timeouts: cfg.Timeouts, MaxAnswerBytes: cfg.Calls.MaxAnswerBytes, Version: "test", DialContext: dial,
		})
	case emulator.GLM:
		r.provider, err = glm.New(glm.Options{
			Vendor: cfg.GLM, Timeouts: cfg.Timeouts,
			Models: calls.BuiltinModels("glm"), MaxAnswerBytes: cfg.Calls.MaxAnswerBytes, Version: "test", DialContext: dial,
		}, cfg.GLMSearch)
	default:
		r.provider, err = kimi.New(kimi.Options{
			Vendor: cfg.Kimi, Timeouts: cfg.Timeouts,
			Models: calls.BuiltinModels("kimi"), MaxAnswerBytes: cfg.Calls.MaxAnswerBytes, Version: "test", DialContext: dial,
		})
	}
	require.NoError(t, err)
	r.registry, err = calls.NewRegistry(cfg, r.provider)
	require.NoError(t, err)
	r.registry.Catalog().Learn("lab", []providers.Model{{
		ID: "lab/lab-large", Provider: "lab", ContextWindow: 131_072, Functions: true, JSONObject: true,
		Thinking: providers.Thinking{Efforts: []string{"none", "low", "medium", "high"}},
	}})
	r.caller = calls.NewCaller(r.registry, cfg, r.seen, nil)
	r.caller.SetJitter(func(d time.Duration) time.Duration { return time.Duration(float64(d) * c.retry.Seconds()) })
	return r, func() {
		require.NoError(t, r.caller.Close(context.Background()))
		require.NoError(t, r.registry.Close())
	}
}

// script makes the emulator answer an operation with a row's faults in turn.
func (r *vendorPath) script(x row, op emulator.Op) {
	if x.reply == nil {
		return
	}
	faults := x.reply(r.clock, r.vendor)
	var mu sync.Mutex
	sent := 0
	r.emulator.Always(emulator.Match{Vendor: r.vendor, Op: op}, func(emulator.Request) emulator.Reply {
		mu.Lock()
		defer mu.Unlock()
		sent++
		answer := emulator.Reply{}
		if op == emulator.OpChat {
			answer = emulator.Say("one ", "two ", "three ", "four")
		}
		switch {
		case sent <= len(faults):
			return answer.With(faults[sent-1])
		case x.then:
			return answer
		}
		return answer.With(faults[len(faults)-1])
	})
}

// model is one that thinks by effort, so that a refusal of that parameter can be corrected.
func (r *vendorPath) model() string {
	return map[emulator.Vendor]string{emulator.GLM: "glm-5.3", emulator.Kimi: "kimi-k3", emulator.Lab: "lab/lab-large"}[r.vendor]
}

func (r *vendorPath) context(t testing.TB) context.Context {
	b := r.clock.budget()
	b.Start = time.Now()
	return providers.WithBudget(t.Context(), b)
}

// chat runs a row as a chat and checks what it came to. It returns how long it took.
func (r *vendorPath) chat(t testing.TB, x row) time.Duration {
	t.Helper()
	r.script(x, emulator.OpChat)
	call := ask(r.model())
	call.Background = x.behind
	start := time.Now()
	out, err := r.caller.Call(r.context(t), call)
	took := time.Since(start)
	require.NotNil(t, out)
	if assert.Equal(t, x.behind, out.Live != nil); out.Live != nil {
		<-out.Live.Done()
		final := out.Live.Snapshot()
		assert.False(t, final.Partial)
		assert.Equal(t, "one two three four", final.Response.Content)
	}
	assert.Equal(t, x.chat.attempts, out.Attempts, "attempts")
	r.check(t, x.chat, err)
	if x.chat.kind != "" {
		return took
	}
	assert.Equal(t, x.chat.finish, out.Response.FinishReason)
	assert.Equal(t, x.chat.finish != providers.FinishStop, out.Partial)
	if x.chat.text == "..." {
		assert.NotEmpty(t, out.Response.Content)
		assert.LessOrEqual(t, int64(len(out.Response.Content)), r.cfg.Calls.MaxAnswerBytes)
	} else {
		assert.Equal(t, x.chat.text, out.Response.Content)
	}
	return took
}

// plain runs a row as a plain request.
func (r *vendorPath) plain(t testing.TB, x row, q request) time.Duration {
	t.Helper()
	if q.op == emulator.OpFileContent && !x.hole {
		require.NoError(t, requests()[3].send(t.Context(), r))
		r.emulator.Forget()
		r.provider.(interface{ Close() }).Close() // on a connection that was used before, net/http repeats a GET by itself
	} else {
		r.file = "file-that-is-nowhere"
	}
	r.script(x, q.op)
	start := time.Now()
	_, err := calls.Do(r.context(t), r.caller, string(r.vendor), string(q.op), r.cfg.Timeouts.Vendor(string(r.vendor)),
		func(ctx context.Context) (struct{}, error) { return struct{}{}, q.send(ctx, r) })
	took := time.Since(start)
	r.check(t, x.plain, err)
	return took
}

// check compares what is the same for chats and plain requests.
func (r *vendorPath) check(t testing.TB, want end, err error) {
	t.Helper()
	if want.kind == "" {
		require.NoError(t, err)
	} else {
		e := failure(t, err)
		assert.Equal(t, want.kind, e.Kind)
		assert.NotEmpty(t, e.Message)
		assert.NotEmpty(t, e.Hint)
		assert.Equal(t, want.kind == providers.KindTimeout, e.Limit != nil)
		assert.NotContains(t, e.Error()+e.Hint, r.emulator.Key(r.vendor))
	}
	limits := []string{}
	switch want.limit {
	case "vendor":
		limits = append(limits, r.cfg.Timeouts.Vendor(string(r.vendor)).String())
	case "idle":
		limits = append(limits, r.cfg.Timeouts.Idle().String())
	case "connect":
		limits = append(limits, r.cfg.Timeouts.ConnectLimit().String())
	}
	assert.Equal(t, limits, r.seen.names(), "exceeded limits")
	assert.Len(t, r.seen.attempts, want.attempts, "attempts that were reported")
}

// idle checks that the emulator has nothing to do any more, and how often it was asked.
func (r *vendorPath) idle(t testing.TB, x row, want end) {
	t.Helper()
	require.NoError(t, r.emulator.WaitIdle(t.Context()))
	if x.hole {
		assert.Empty(t, r.emulator.Requests())
	} else {
		assert.Len(t, r.emulator.Requests(), want.attempts)
	}
}
