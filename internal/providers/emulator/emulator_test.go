package emulator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client talks to one vendor of an emulator over a real socket or a pipe, as raw as can be.
type client struct {
	t    *testing.T
	http *http.Client
	url  string
	key  string
}

func start(t *testing.T, opts ...emulator.Option) *emulator.Emulator {
	t.Helper()
	e, err := emulator.Start(opts...)
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return e
}

func to(t *testing.T, e *emulator.Emulator, v emulator.Vendor) client {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return client{t: t, http: &http.Client{Transport: tr}, url: e.URL(v), key: e.Key(v)}
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (c client) request(ctx context.Context, method, path, body string) *http.Request {
	c.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	require.NoError(c.t, err)
	r.Header.Set("Authorization", "Bearer "+c.key)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func (c client) do(r *http.Request) reply {
	c.t.Helper()
	resp, err := c.http.Do(r)
	require.NoError(c.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	return reply{resp.StatusCode, resp.Header, string(b)}
}

func (c client) post(path, body string) reply {
	c.t.Helper()
	return c.do(c.request(c.t.Context(), http.MethodPost, path, body))
}

func (c client) get(path string) reply {
	c.t.Helper()
	return c.do(c.request(c.t.Context(), http.MethodGet, path, ""))
}

// events are the data lines of a stream.
func (r reply) events() []string {
	var out []string
	for line := range strings.SplitSeq(r.body, "\n") {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			out = append(out, data)
		}
	}
	return out
}

// decode reads a JSON text into a tree.
func decode(t *testing.T, s string) map[string]any {
	t.Helper()
	var m map[string]any
	d := json.NewDecoder(bytes.NewBufferString(s))
	require.NoError(t, d.Decode(&m), s)
	return m
}

// at walks a tree: object keys and array indices.
func at(t *testing.T, tree any, path ...any) any {
	t.Helper()
	for _, p := range path {
		switch k := p.(type) {
		case string:
			m, ok := tree.(map[string]any)
			require.True(t, ok, "no object at %v of %v", p, path)
			tree = m[k]
		case int:
			a, ok := tree.([]any)
			require.True(t, ok && k < len(a), "no array at %v of %v", p, path)
			tree = a[k]
		}
	}
	return tree
}

const hello = `{"model":"MODEL","messages":[{"role":"user","content":"hello there"}]EXTRA}`

func chatBody(model, extra string) string {
	return strings.NewReplacer("MODEL", model, "EXTRA", extra).Replace(hello)
}

func TestDefaultAnswerSaysThatItIsEmulated(t *testing.T) {
	e := start(t)
	for v, model := range map[emulator.Vendor]string{emulator.GLM: "glm-5.3", emulator.Kimi: "kimi-k3.1-pro"} {
		r := to(t, e, v).post("/chat/completions", chatBody(model, `,"reasoning_effort":"low"`))
		require.Equal(t, 200, r.status, r.body)
		m := at(t, decode(t, r.body), "choices", 0, "message")
		assert.Contains(t, at(t, m, "content"), "emulated")
		assert.Contains(t, at(t, m, "content"), model)
		assert.Contains(t, at(t, m, "content"), "reasoning_effort low")
		assert.Contains(t, at(t, m, "content"), "hello there")
		assert.Contains(t, at(t, m, "reasoning_content"), "emulated")
		again := to(t, e, v).post("/chat/completions", chatBody(model, `,"reasoning_effort":"low"`))
		assert.Equal(t, m, at(t, decode(t, again.body), "choices", 0, "message"), "the answer is the same every time")
	}
}

func TestRequestsAreRecorded(t *testing.T) {
	e := start(t)
	require.Equal(t, e.URL(emulator.GLM), e.GLMURL())
	require.NotEqual(t, e.GLMURL(), e.KimiURL())
	require.True(t, strings.HasSuffix(e.GLMURL(), emulator.GLMBase) && strings.HasSuffix(e.KimiURL(), emulator.KimiBase))
	c := to(t, e, emulator.Kimi)
	body := chatBody("kimi-k3", "")
	c.post("/chat/completions", body)
	_, err := e.WaitFor(t.Context(), 1)
	require.NoError(t, err)
	require.NoError(t, e.WaitIdle(t.Context()))
	rs := e.Requests()
	require.Len(t, rs, 1)
	r := rs[0]
	assert.Equal(t, emulator.OpChat, r.Op)
	assert.Equal(t, "/v1/chat/completions", r.Path)
	assert.Equal(t, body, string(r.Body))
	assert.EqualValues(t, len(body), r.Received)
	assert.True(t, r.KeyOK)
	assert.Equal(t, "********", r.Header.Get("Authorization"))
	assert.Equal(t, 200, r.Status)
	assert.Equal(t, "hello there", r.Chat.LastUser())
	assert.False(t, r.Ended.IsZero())
	assert.True(t, r.Gone.IsZero())
}
