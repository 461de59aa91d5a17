package emulator_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// pipes is a net.Listener whose connections are net.Pipes, for synctest.
type pipes struct {
	name  string
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes(name string) *pipes {
	return &pipes{name: name, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}
func (p *pipes) Addr() net.Addr  { return p }
func (p *pipes) Network() string { return "pipe" }
func (p *pipes) String() string  { return p.name }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// inFakeTime runs a test under fake time, against an emulator of one vendor over pipes.
func inFakeTime(t *testing.T, v emulator.Vendor, f func(t *testing.T, e *emulator.Emulator, c client), opts ...emulator.Option) {
	synctest.Test(t, func(t *testing.T) {
		e := emulator.New(opts...)
		l := newPipes("pipe")
		e.Serve(v, l)
		tr := &http.Transport{DialContext: l.dial}
		f(t, e, client{t: t, http: &http.Client{Transport: tr}, url: e.URL(v), key: e.Key(v)})
		tr.CloseIdleConnections()
		e.Close()
	})
}

const streamed = `,"stream":true`

// piece is a read of a body and when it came, from the start.
type piece struct {
	at   time.Duration
	text string
}

// read opens a stream, reads it for at most a limit of time, and gives what came when, and how it ended.
func (c client) read(limit time.Duration, body string) (status int, got []piece, err error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), limit)
	defer cancel()
	start := time.Now()
	resp, err := c.http.Do(c.request(ctx, http.MethodPost, "/chat/completions", body))
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := resp.Body.Read(b)
		if n > 0 {
			got = append(got, piece{time.Since(start), string(b[:n])})
		}
		if err != nil {
			return resp.StatusCode, got, err
		}
	}
}

func texts(got []piece) string {
	var b strings.Builder
	for _, p := range got {
		b.WriteString(p.text)
	}
	return b.String()
}

// limit falls between the full seconds at which the faults do something.
const limit = 30*time.Second + 500*time.Millisecond

var abcd = emulator.Say("aa", "bb", "cc", "dd")

func TestFaultsOfAStream(t *testing.T) {
	with := func(fs ...emulator.Fault) emulator.Reply { return abcd.With(fs...) }
	for _, tt := range []struct {
		name   string
		reply  emulator.Reply
		status int
		err    error // how reading ends
		shows  []string
		hides  []string
		check  func(t *testing.T, got []piece)
	}{
		{"no fault", with(), 200, io.EOF, []string{"aa", "dd", `"finish_reason":"stop"`, "[DONE]"}, nil, nil},
		{"never answer", with(emulator.NeverAnswer()), 0, context.DeadlineExceeded, nil, nil, nil},
		{"delay headers", with(emulator.DelayHeaders(20 * time.Second)), 200, io.EOF, []string{"dd", "[DONE]"}, nil, func(t *testing.T, got []piece) {
			assert.Equal(t, 20*time.Second, got[0].at)
		}},
		{"headers then stall", with(emulator.HeadersThenStall()), 200, context.DeadlineExceeded, nil, []string{"data"}, nil},
		{"stall", with(emulator.StallAfter(2)), 200, context.DeadlineExceeded, []string{"aa", "bb"}, []string{"cc", "finish_reason\":\"stop"}, nil},
		{"stall after more than there is", with(emulator.StallAfter(9)), 200, context.DeadlineExceeded, []string{"dd"}, []string{"stop"}, nil},
		{"pause", with(emulator.PauseAfter(2, 9*time.Second)), 200, io.EOF, []string{"dd", "[DONE]"}, nil, func(t *testing.T, got []piece) {
			assert.Zero(t, got[0].at)
			assert.Equal(t, 9*time.Second, got[len(got)-1].at)
			before := texts(got[:len(got)-1])
			assert.Contains(t, before, "bb")
			assert.NotContains(t, before, "cc")
		}},
		{"gap", abcd.Every(3 * time.Second), 200, io.EOF, []string{"[DONE]"}, nil, func(t *testing.T, got []piece) {
			assert.Equal(t, 12*time.Second, got[len(got)-1].at, "the last piece and the end come together")
		}},
		{"comments", with(emulator.Comments(1, time.Second)), 200, context.DeadlineExceeded, []string{"aa", ": keep-alive\n\n"}, []string{"bb"}, func(t *testing.T, got []piece) {
			assert.Equal(t, 30, strings.Count(texts(got), "keep-alive"), "one each second before the limit")
		}},
		{"empty deltas", with(emulator.EmptyDeltas(0, time.Second)), 200, context.DeadlineExceeded, []string{`"delta":{}`}, []string{"aa"}, nil},
		{"drip", with(emulator.Drip(10 * time.Second)), 200, context.DeadlineExceeded, []string{"drip "}, []string{"stop"}, func(t *testing.T, got []piece) {
			assert.Equal(t, 3, strings.Count(texts(got), "drip "))
		}},
		{"think", with(emulator.ThinkFor(10*time.Second, 2*time.Second)), 200, io.EOF, []string{"aa", "[DONE]"}, nil, func(t *testing.T, got []piece) {
			assert.Equal(t, 5, strings.Count(texts(got), `"reasoning_content":"thinking "`))
			assert.Equal(t, 10*time.Second, got[len(got)-1].at)
		}},
		{"reset before headers", with(emulator.ResetBeforeHeaders()), 0, io.EOF, nil, nil, nil},
		{"reset", with(emulator.ResetAfter(2)), 200, io.ErrUnexpectedEOF, []string{"bb"}, []string{"cc"}, nil},
		{"drop", with(emulator.DropAfter(1)), 200, io.ErrUnexpectedEOF, []string{"aa"}, []string{"bb"}, nil},
		{"cut", with(emulator.CutAfter(3)), 200, io.EOF, []string{"cc"}, []string{"dd", "stop", "[DONE]"}, nil},
		{"omit done", with(emulator.OmitDone()), 200, io.EOF, []string{"dd", `"finish_reason":"stop"`}, []string{"[DONE]"}, nil},
		{"status", with(emulator.Status(503, "upstream gone", "Retry-After", "7")), 503, io.EOF, []string{"upstream gone"}, []string{"aa"}, nil},
		{"vendor error", with(emulator.VendorError(429, "1302", "slow down")), 429, io.EOF, []string{`{"error":{"code":"1302","message":"slow down"}}`}, nil, nil},
		{"error in 200", with(emulator.ErrorIn200(false, "1305", "busy")), 200, io.EOF, []string{`{"error":{"code":"1305","message":"busy"}}`}, []string{"data:"}, nil},
		{"flat error in 200", with(emulator.ErrorIn200(true, "500", "busy")), 200, io.EOF, []string{`{"code":500,"msg":"busy","success":false}`}, []string{"data:"}, nil},
		{"error event", with(emulator.ErrorEvent(1, "1305", "busy")), 200, io.EOF, []string{"aa", `data: {"error":{"code":"1305","message":"busy"}}` + "\n\n"}, []string{"bb", "[DONE]"}, nil},
		{"flat error event", with(emulator.FlatErrorEvent(1, "500", "busy")), 200, io.EOF, []string{": keep-alive\n\ndata: {\"code\":500,\"msg\":\"busy\",\"success\":false}\n\n"}, []string{"bb"}, nil},
		{"raw", with(emulator.Raw(1, "data: { \"error\"")), 200, io.EOF, []string{"aa", "data: { \"error\""}, []string{"bb"}, nil},
		{"garbage", with(emulator.Garbage(1)), 200, io.EOF, []string{"aa", "not json at all", "\x00\xff"}, []string{"bb"}, nil},
		{"empty choices", with(emulator.EmptyChoices()), 200, io.EOF, []string{`"choices":[]`, "[DONE]"}, []string{"aa"}, nil},
		{"html page", with(emulator.HTMLPage(502)), 502, io.EOF, []string{"<h1>502 Bad Gateway</h1>"}, nil, nil},
		{"faults in order", with(emulator.PauseAfter(1, 5*time.Second), emulator.ErrorEvent(2, "500", "x")), 200, io.EOF, []string{"bb", "error"}, []string{"cc"}, func(t *testing.T, got []piece) {
			assert.Equal(t, 5*time.Second, got[len(got)-1].at)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inFakeTime(t, emulator.GLM, func(t *testing.T, e *emulator.Emulator, c client) {
				e.Script(tt.reply)
				begun := time.Now()
				status, got, err := c.read(limit, chatBody("glm-4.6", streamed))
				assert.Equal(t, tt.status, status)
				assert.ErrorIs(t, err, tt.err)
				for _, s := range tt.shows {
					assert.Contains(t, texts(got), s)
				}
				for _, s := range tt.hides {
					assert.NotContains(t, texts(got), s)
				}
				if tt.check != nil && assert.NotEmpty(t, got) {
					tt.check(t, got)
				}
				require.NoError(t, e.WaitIdle(t.Context()))
				r := e.Requests()[0]
				if errors.Is(tt.err, context.DeadlineExceeded) {
					assert.Equal(t, limit, r.Gone.Sub(begun), "the client's going reaches the emulator at once")
					assert.Equal(t, limit, r.Ended.Sub(begun))
				} else {
					assert.True(t, r.Gone.IsZero())
				}
				synctest.Wait()
				assert.Zero(t, e.Connections()-idle(r, tt.err, tt.reply), "no connection stays behind")
			})
		})
	}
}

// idle is how many connections may wait for another request: one, when the exchange ended cleanly.
func idle(r emulator.Request, err error, reply emulator.Reply) int {
	for _, f := range reply.Faults {
		if strings.HasPrefix(f.Name, "reset") || f.Name == "drop" {
			return 0
		}
	}
	if errors.Is(err, io.EOF) && r.Gone.IsZero() {
		return 1
	}
	return 0
}

func TestFaultsOfAWholeAnswer(t *testing.T) {
	for _, tt := range []struct {
		fault  emulator.Fault
		status int
		err    error
	}{
		{emulator.HeadersThenStall(), 200, context.DeadlineExceeded},
		{emulator.StallAfter(2), 200, context.DeadlineExceeded},
		{emulator.Comments(0, time.Second), 200, context.DeadlineExceeded},
		{emulator.Drip(time.Second), 200, context.DeadlineExceeded},
		{emulator.DropAfter(1), 200, io.ErrUnexpectedEOF},
		{emulator.CutAfter(1), 200, io.EOF},
		{emulator.EmptyChoices(), 200, io.EOF},
		{emulator.VendorError(500, "server_error", "x"), 500, io.EOF},
	} {
		t.Run(tt.fault.Name, func(t *testing.T) {
			inFakeTime(t, emulator.Kimi, func(t *testing.T, e *emulator.Emulator, c client) {
				e.Script(emulator.Fail(tt.fault))
				status, got, err := c.read(limit, chatBody("kimi-k3", ""))
				assert.Equal(t, tt.status, status)
				assert.ErrorIs(t, err, tt.err)
				if tt.fault.Name == "empty_choices" {
					assert.Equal(t, []any{}, decode(t, texts(got))["choices"])
				} else {
					assert.NotContains(t, texts(got), "emulated: no model was called. The request was for kimi-k3 (thinking), with 1 message and 0 tools. The last user message begins: \\\"hello there")
				}
			})
		})
	}
}

func TestEveryFaultHasANameAndEnds(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range emulator.Faults(emulator.Kimi) {
		require.NotEmpty(t, f.Name)
		require.Equal(t, f.Name, f.String())
		require.False(t, seen[f.Name], f.Name)
		seen[f.Name] = true
		t.Run(f.Name, func(t *testing.T) {
			inFakeTime(t, emulator.Kimi, func(t *testing.T, e *emulator.Emulator, c client) {
				e.Script(emulator.Say("one ", "two ", "three ", "four ").With(f))
				_, _, err := c.read(600*time.Second, chatBody("kimi-k3", streamed))
				require.Error(t, err)
				assert.Zero(t, e.Unused())
			})
		})
	}
}

func TestHuge(t *testing.T) {
	e := start(t)
	e.Script(emulator.Fail(emulator.Huge(8)), emulator.Fail(emulator.Huge(2)))
	c := to(t, e, emulator.GLM)
	assert.Greater(t, len(c.post("/chat/completions", chatBody("glm-5.3", streamed)).body), 8<<20)
	content, ok := at(t, decode(t, c.post("/chat/completions", chatBody("glm-5.3", "")).body), "choices", 0, "message", "content").(string)
	require.True(t, ok)
	assert.Len(t, content, 2<<20)
}

func TestResetsOnRealSockets(t *testing.T) {
	e := start(t)
	for _, v := range []emulator.Vendor{emulator.GLM, emulator.Kimi} {
		model := map[emulator.Vendor]string{emulator.GLM: "glm-5.3", emulator.Kimi: "kimi-k3"}[v]
		e.Script(abcd.With(emulator.ResetBeforeHeaders()), abcd.With(emulator.ResetAfter(2)), abcd.With(emulator.DropAfter(2)))
		c := to(t, e, v)
		_, _, err := c.read(limit, chatBody(model, streamed))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		status, got, err := c.read(limit, chatBody(model, streamed))
		assert.Equal(t, 200, status)
		require.ErrorIs(t, err, syscall.ECONNRESET)
		assert.Contains(t, texts(got), "bb", "what was sent before the reset arrives")
		assert.NotContains(t, texts(got), "cc")
		_, _, err = c.read(limit, chatBody(model, streamed))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
	e.Close()
	assert.Zero(t, e.Connections())
}

func TestCancellationReachesTheSocket(t *testing.T) {
	e := start(t)
	e.Script(abcd.With(emulator.StallAfter(1)))
	ctx, cancel := context.WithCancel(t.Context())
	c := to(t, e, emulator.Kimi)
	ended := make(chan error, 1)
	go func() {
		resp, err := c.http.Do(c.request(ctx, http.MethodPost, "/chat/completions", chatBody("kimi-k3", streamed)))
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		ended <- err
	}()
	_, err := e.WaitUntil(t.Context(), func(rs []emulator.Request) bool { return len(rs) == 1 && rs[0].Sent == 1 })
	require.NoError(t, err)
	assert.Equal(t, 1, e.Connections())
	cancel()
	rs, err := e.WaitGone(t.Context(), 1)
	require.NoError(t, err)
	assert.False(t, rs[0].Gone.IsZero())
	require.ErrorIs(t, <-ended, context.Canceled)
}

func TestCloseEndsWhatHangs(t *testing.T) {
	e := start(t)
	e.Script(emulator.Fail(emulator.NeverAnswer()), emulator.Fail(emulator.StallAfter(1)))
	c := to(t, e, emulator.GLM)
	ended := make(chan error, 2)
	for range 2 {
		go func() {
			_, _, err := c.read(limit, chatBody("glm-5.3", streamed))
			ended <- err
		}()
	}
	_, err := e.WaitFor(t.Context(), 2)
	require.NoError(t, err)
	e.Close()
	require.Error(t, <-ended)
	require.Error(t, <-ended)
	assert.Zero(t, e.Connections())
	for _, r := range e.Requests() {
		assert.True(t, r.Gone.IsZero(), "it was not the client that went")
		assert.False(t, r.Ended.IsZero())
	}
	e.Close() // twice is allowed
}

func TestConcurrencyLimit(t *testing.T) {
	for v, want := range map[emulator.Vendor]string{emulator.GLM: `"code":"1302"`, emulator.Kimi: `"type":"rate_limit_reached_error"`} {
		inFakeTime(t, v, func(t *testing.T, e *emulator.Emulator, c client) {
			model := map[emulator.Vendor]string{emulator.GLM: "glm-5.3", emulator.Kimi: "kimi-k3"}[v]
			e.Always(emulator.Match{}, func(emulator.Request) emulator.Reply { return emulator.Fail(emulator.DelayHeaders(time.Second)) })
			var wg sync.WaitGroup
			replies := make([]reply, 3)
			for i := range replies {
				wg.Go(func() { replies[i] = c.post("/chat/completions", chatBody(model, "")) })
			}
			wg.Wait()
			refused := 0
			for _, r := range replies {
				if r.status == 429 {
					refused++
					assert.Contains(t, r.body, want)
				}
			}
			assert.Equal(t, 1, refused)
			assert.Equal(t, 200, c.post("/chat/completions", chatBody(model, "")).status, "room again")
		}, emulator.Concurrency(v, 2))
	}
}

func TestBlackHole(t *testing.T) {
	b, err := emulator.StartBlackHole()
	require.NoError(t, err)
	defer b.Close()
	tr := &http.Transport{TLSHandshakeTimeout: 50 * time.Millisecond, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	defer tr.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.URL("/v1")+"/models", nil)
	require.NoError(t, err)
	_, err = (&http.Client{Transport: tr}).Do(r) //nolint:bodyclose // there is no response
	require.ErrorContains(t, err, "TLS handshake timeout")
	assert.Equal(t, 1, b.Accepted())
}
