package emulator_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// form is an upload's request; a field that is "" is left out.
func (c client) form(ctx context.Context, name, purpose string, data []byte) *http.Request {
	c.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if purpose != "" {
		require.NoError(c.t, w.WriteField("purpose", purpose))
	}
	if name != "" {
		part, err := w.CreateFormFile("file", name)
		require.NoError(c.t, err)
		_, err = part.Write(data)
		require.NoError(c.t, err)
	}
	require.NoError(c.t, w.Close())
	r := c.request(ctx, http.MethodPost, "/files", b.String())
	r.Header.Set("Content-Type", w.FormDataContentType())
	return r
}

func (c client) upload(name, purpose, data string) reply {
	c.t.Helper()
	return c.do(c.form(c.t.Context(), name, purpose, []byte(data)))
}

func TestUploadsThatAreRefused(t *testing.T) {
	large := strings.Repeat("x", 1<<20+1)
	for _, tt := range []struct {
		rule                string
		vendor              emulator.Vendor
		name, purpose, data string
		status              int
		says                string
	}{
		{"taken", emulator.GLM, "a.txt", "agent", "x", 200, `"purpose":"agent"`},
		{"unknown purpose", emulator.GLM, "a.txt", "assistants", "x", 400, "purpose"},
		{"purpose of the mainland", emulator.GLM, "a.txt", "batch", "x", 400, "purpose"},
		{"no purpose", emulator.GLM, "a.txt", "", "x", 400, "1213"},
		{"no file", emulator.GLM, "", "agent", "", 400, "file"},
		{"empty", emulator.GLM, "a.txt", "agent", "", 400, "file"},
		{"file type", emulator.GLM, "main.go", "agent", "x", 400, "format"},
		{"over 100 MB", emulator.GLM, "a.txt", "agent", large, 435, "exceeds 1MB"},
		{"just as large as may be", emulator.GLM, "a.txt", "agent", large[1:], 200, "1048576"},
		{"over 100 MB", emulator.Kimi, "a.txt", "file-extract", large, 400, "too large"},
		{"just as large as may be", emulator.Kimi, "a.txt", "file-extract", large[1:], 200, "1048576"},
		{"taken", emulator.Kimi, "main.go", "file-extract", "x", 200, `"status":"ok"`},
		{"unknown purpose", emulator.Kimi, "a.txt", "assistants", "x", 400, "assistants"},
		{"no purpose", emulator.Kimi, "a.txt", "", "x", 400, "purpose"},
		{"empty", emulator.Kimi, "a.txt", "file-extract", "", 400, "zero"},
		{"file type", emulator.Kimi, "a.exe", "file-extract", "MZ\x00\x01", 400, "unsupported file type"},
		{"document", emulator.Kimi, "a.pdf", "file-extract", "%PDF\x00\x01", 200, "a.pdf"},
		{"no image", emulator.Kimi, "a.png", "image", "x", 400, "not an image"},
	} {
		t.Run(string(tt.vendor)+"/"+tt.rule, func(t *testing.T) {
			e := start(t, emulator.MaxFileBytes(1<<20))
			r := to(t, e, tt.vendor).upload(tt.name, tt.purpose, tt.data)
			assert.Equal(t, tt.status, r.status, r.body)
			assert.Contains(t, r.body, tt.says)
		})
	}
}

func TestFilesOfKimi(t *testing.T) {
	e := start(t, emulator.MaxFiles(3))
	c := to(t, e, emulator.Kimi)
	var ids []string
	for i := range 3 {
		f := decode(t, c.upload(fmt.Sprintf("f%d.md", i), "file-extract", "# text "+fmt.Sprint(i)).body)
		assert.Equal(t, "file", f["object"])
		assert.Equal(t, 8.0, f["bytes"])
		id, ok := f["id"].(string)
		require.True(t, ok)
		ids = append(ids, id)
	}
	full := c.upload("f3.md", "file-extract", "x")
	assert.Equal(t, 400, full.status)
	assert.Contains(t, full.body, "max file count 3")

	content := c.get("/files/" + ids[1] + "/content")
	assert.Equal(t, 200, content.status)
	assert.JSONEq(t, `{"content":"# text 1","file_type":"text/markdown; charset=utf-8","filename":"f1.md","title":"","type":"file"}`, content.body)
	assert.Equal(t, "f2.md", decode(t, c.get("/files/"+ids[2]).body)["filename"])

	page := decode(t, c.get("/files?limit=2").body)
	assert.Len(t, page["data"], 2)
	assert.Equal(t, true, page["has_more"])
	page = decode(t, c.get("/files?limit=2&after="+ids[1]).body)
	assert.Len(t, page["data"], 1)
	assert.Equal(t, false, page["has_more"])
	assert.Empty(t, decode(t, c.get("/files?purpose=image").body)["data"])

	gone := c.do(c.request(t.Context(), http.MethodDelete, "/files/"+ids[1], ""))
	assert.JSONEq(t, `{"id":"`+ids[1]+`","object":"file","deleted":true}`, gone.body)
	for _, path := range []string{"/files/" + ids[1], "/files/" + ids[1] + "/content"} {
		assert.Equal(t, 404, c.get(path).status)
		assert.Contains(t, c.get(path).body, "resource_not_found_error")
	}
	assert.Equal(t, 404, c.do(c.request(t.Context(), http.MethodDelete, "/files/"+ids[1], "")).status)
	assert.Equal(t, 200, c.upload("f3.md", "file-extract", "x").status, "deleting made room")
	up := e.Requests()[0].Upload
	assert.Equal(t, &emulator.Upload{Name: "f0.md", Purpose: "file-extract", Size: 8}, up)
}

func TestUploadedImageInAChat(t *testing.T) {
	e := start(t)
	c := to(t, e, emulator.Kimi)
	png := "\x89PNG\r\n\x1a\n" + "rest"
	id, ok := decode(t, c.upload("a.png", "image", png).body)["id"].(string)
	require.True(t, ok)
	assert.Equal(t, 200, c.post("/chat/completions", withImage("kimi-k3", "ms://"+id)).status)
	assert.Equal(t, 400, c.get("/files/"+id+"/content").status, "only file-extract has content")
}

func TestFilesOfGLM(t *testing.T) {
	e := start(t)
	c := to(t, e, emulator.GLM)
	id, ok := decode(t, c.upload("a.txt", "agent", "body").body)["id"].(string)
	require.True(t, ok)
	assert.Equal(t, "body", c.get("/files/"+id+"/content").body)
	assert.Len(t, decode(t, c.get("/files?purpose=agent").body)["data"], 1)
	assert.Equal(t, 200, c.do(c.request(t.Context(), http.MethodDelete, "/files/"+id, "")).status)
	assert.Equal(t, 404, c.get("/files/"+id+"/content").status)
}

func TestSlowUploads(t *testing.T) {
	t.Run("slow", func(t *testing.T) {
		inFakeTime(t, emulator.Kimi, func(t *testing.T, e *emulator.Emulator, c client) {
			e.On(emulator.Match{Op: emulator.OpUpload}, emulator.Fail(emulator.SlowBodyRead(1000, time.Second)))
			begun := time.Now()
			r := c.upload("a.txt", "file-extract", strings.Repeat("x", 20_000))
			assert.Equal(t, 200, r.status)
			assert.InDelta(t, 25, time.Since(begun).Seconds(), 5)
			assert.Greater(t, e.Requests()[0].Received, int64(20_000))
		})
	})
	t.Run("stopped", func(t *testing.T) {
		inFakeTime(t, emulator.Kimi, func(t *testing.T, e *emulator.Emulator, c client) {
			e.On(emulator.Match{Vendor: emulator.Kimi, Op: emulator.OpUpload}, emulator.Fail(emulator.StopReading(5000)))
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			_, err := c.http.Do(c.form(ctx, "a.txt", "file-extract", bytes.Repeat([]byte("x"), 1<<20))) //nolint:bodyclose // there is no response
			require.ErrorIs(t, err, context.DeadlineExceeded)
			r := e.Requests()[0]
			assert.Less(t, r.Received, int64(20_000))
			assert.GreaterOrEqual(t, r.Received, int64(5000))
			assert.True(t, r.Ended.IsZero(), "what is not read cannot be seen to end")
		})
	})
	t.Run("a chat", func(t *testing.T) {
		inFakeTime(t, emulator.GLM, func(t *testing.T, e *emulator.Emulator, c client) {
			e.On(emulator.Match{}, abcd.With(emulator.SlowBodyRead(10, time.Second)))
			begun := time.Now()
			assert.Equal(t, 200, c.post("/chat/completions", chatBody("glm-5.3", "")).status)
			assert.Greater(t, time.Since(begun), 5*time.Second)
		})
	})
	t.Run("real socket", func(t *testing.T) {
		e := start(t)
		e.On(emulator.Match{Op: emulator.OpUpload}, emulator.Fail(emulator.StopReading(1)))
		c := to(t, e, emulator.Kimi)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := c.http.Do(c.form(ctx, "a.txt", "file-extract", make([]byte, 32<<20))) //nolint:bodyclose // there is no response
			ended <- err
		}()
		_, err := e.WaitUntil(t.Context(), func(rs []emulator.Request) bool { return len(rs) == 1 && rs[0].Received >= 1 })
		require.NoError(t, err)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		e.Close()
		assert.Zero(t, e.Connections())
	})
}

func TestWebSearchOfGLM(t *testing.T) {
	e := start(t)
	c := to(t, e, emulator.GLM)
	r := decode(t, c.post("/web_search", `{"search_engine":"search-prime","search_query":"go 1.26","count":2,"search_recency_filter":"oneWeek","request_id":"req-1"}`).body)
	assert.Equal(t, "req-1", r["request_id"])
	assert.Equal(t, "go 1.26", at(t, r, "search_intent", 0, "query"))
	assert.Len(t, r["search_result"], 2)
	for _, key := range []string{"title", "content", "link", "media", "icon", "refer", "publish_date"} {
		assert.Contains(t, at(t, r, "search_result", 0), key)
	}
	e.On(emulator.Match{Op: emulator.OpSearch, Text: "planes"}, emulator.Reply{Hits: []emulator.Hit{{Title: "Planes", Link: "https://example.com"}}})
	assert.NotContains(t, c.post("/web_search", `{"search_engine":"search-prime","search_query":"trains"}`).body, "Planes")
	assert.Contains(t, c.post("/web_search", `{"search_engine":"search-prime","search_query":"planes"}`).body, `"title":"Planes"`)
	for _, tt := range []struct{ body, code, says string }{
		{`{"search_query":"q"}`, "1213", "search_engine"},
		{`{"search_engine":"search-prime","search_query":" "}`, "1213", "search_query"},
		{`{"search_engine":"search_pro_jina","search_query":"q"}`, "1214", "search_engine"},
		{`{"search_engine":"search-prime","search_query":"q","count":0}`, "1214", "count"},
		{`{"search_engine":"search-prime","search_query":"q","count":51}`, "1214", "count"},
		{`{"search_engine":"search-prime","search_query":"q","search_recency_filter":"all"}`, "1214", "recency"},
		{`{"search_engine":"search-prime","search_query":"q","content_size":"huge"}`, "1214", "content_size"},
		{`{"search_engine":"search-prime","search_query":"q","user_id":"five5"}`, "1214", "user_id"},
		{`{"search_engine":"search-prime","search_query":7}`, "1214", ""},
		{`{"search_engine"`, "1210", ""},
	} {
		got := c.post("/web_search", tt.body)
		assert.Equal(t, 400, got.status, tt.body)
		assert.Equal(t, tt.code, at(t, decode(t, got.body), "error", "code"), tt.body)
		assert.Contains(t, got.body, tt.says)
	}
}

func TestReaderOfGLM(t *testing.T) {
	c := to(t, start(t), emulator.GLM)
	r := decode(t, c.post("/reader", `{"url":"https://example.com/a"}`).body)
	assert.Equal(t, "https://example.com/a", at(t, r, "reader_result", "url"))
	assert.Contains(t, at(t, r, "reader_result", "content"), "emulated")
	assert.Equal(t, 400, c.post("/reader", `{}`).status)
	assert.Equal(t, 400, c.post("/reader", `{"url":"file:///etc/passwd"}`).status)
	assert.Equal(t, 400, c.post("/reader", `{"url":"https://example.com","return_format":"pdf"}`).status)
}

func TestTokensAreCountedAlikeEverywhere(t *testing.T) {
	e := start(t)
	g, k := to(t, e, emulator.GLM), to(t, e, emulator.Kimi)
	count := func(r reply, path ...any) float64 {
		t.Helper()
		require.Equal(t, 200, r.status, r.body)
		n, ok := at(t, decode(t, r.body), path...).(float64)
		require.True(t, ok)
		return n
	}
	assert.Equal(t, count(g.post("/chat/completions", chatBody("glm-4.6", "")), "usage", "prompt_tokens"),
		count(g.post("/tokenizer", chatBody("glm-4.6", "")), "usage", "prompt_tokens"))
	assert.Equal(t, count(k.post("/chat/completions", chatBody("kimi-k3", "")), "usage", "prompt_tokens"),
		count(k.post("/tokenizers/estimate-token-count", chatBody("kimi-k3", "")), "data", "total_tokens"))
	assert.Equal(t, 400, g.post("/tokenizer", chatBody("glm-5.3", "")).status, "the tokenizer knows three models only")
	assert.Equal(t, 404, k.post("/tokenizers/estimate-token-count", chatBody("kimi-k2.5", "")).status)
}

func TestFormulas(t *testing.T) {
	e := start(t)
	c := to(t, e, emulator.Kimi)
	const uri = "/formulas/moonshot/web-search:latest"
	tools := decode(t, c.get(uri+"/tools").body)
	assert.Equal(t, "web_search", at(t, tools, "tools", 0, "function", "name"))
	entry := c.get(uri + "/tools").body
	entry = entry[strings.Index(entry, `[`) : len(entry)-1]
	assert.Equal(t, 200, c.post("/chat/completions", chatBody("kimi-k3", `,"tools":`+entry)).status, "the tools go into a chat as they are")

	e.On(emulator.Match{Op: emulator.OpFormulaRun, Vendor: emulator.Kimi}, emulator.Reply{Hits: []emulator.Hit{{Title: "T"}}})
	run := decode(t, c.post(uri+"/fibers", `{"name":"web_search","arguments":"{\"query\":\"q\"}"}`).body)
	assert.Equal(t, "succeeded", run["status"])
	assert.Contains(t, at(t, run, "context", "encrypted_output"), "MOONSHOT ENCRYPTED BEGIN")
	failed := decode(t, c.post(uri+"/fibers", `{"name":"web_search","arguments":"{}"}`).body)
	assert.Equal(t, "failed", failed["status"])
	assert.NotEmpty(t, failed["error"])
	assert.Equal(t, 400, c.post(uri+"/fibers", `{"name":"web_search","arguments":{"query":"q"}}`).status, "arguments are a string")
	assert.Equal(t, 400, c.post(uri+"/fibers", `{"name":"fetch","arguments":"{}"}`).status)
	assert.Equal(t, 404, c.get("/formulas/moonshot/teleport:latest/tools").status)
}

func TestBalanceOfKimi(t *testing.T) {
	e := start(t, emulator.Balance(emulator.Kimi, 3.5))
	r := to(t, e, emulator.Kimi).get("/users/me/balance")
	assert.JSONEq(t, `{"code":0,"scode":"0x0","status":true,"data":{"available_balance":3.5,"voucher_balance":0,"cash_balance":3.5}}`, r.body)
}

func TestModelListOfGLM(t *testing.T) {
	r := decode(t, to(t, start(t), emulator.GLM).get("/models").body)
	rows, ok := r["data"].([]any)
	require.True(t, ok)
	assert.Greater(t, len(rows), 15)
	assert.Equal(t, map[string]any{"id": "autoglm-phone-multilingual", "object": "model", "created": 1761955200.0, "owned_by": "z-ai"}, rows[0])
}

func TestFaultsOfOtherOperations(t *testing.T) {
	e := start(t)
	e.On(emulator.Match{Op: emulator.OpModels}, emulator.Fail(emulator.VendorError(404, "1222", "API models does not exist")), emulator.Reply{JSON: `{"data":[]}`})
	c := to(t, e, emulator.GLM)
	assert.Equal(t, 404, c.get("/models").status)
	assert.Equal(t, `{"data":[]}`, c.get("/models").body)
	assert.Contains(t, c.get("/models").body, "glm-5.3")
	e.On(emulator.Match{Op: emulator.OpSearch}, emulator.Fail(emulator.ResetBeforeHeaders()))
	_, err := c.http.Do(c.request(t.Context(), "POST", "/web_search", `{"search_engine":"search-prime","search_query":"q"}`)) //nolint:bodyclose // there is no response
	require.Error(t, err)
}

func TestScriptsAreChosenByMatch(t *testing.T) {
	e := start(t)
	said := func(v emulator.Vendor, body string) string {
		t.Helper()
		s, ok := at(t, decode(t, to(t, e, v).post("/chat/completions", body).body), "choices", 0, "message", "content").(string)
		require.True(t, ok)
		return s
	}
	ask := func(model, text string) string {
		return messages(model, `{"role":"system","content":"be terse"},{"role":"user","content":"`+text+`"}`, "")
	}
	e.Always(emulator.Match{}, func(r emulator.Request) emulator.Reply { return emulator.Say("always ", r.Chat.Model) })
	e.Always(emulator.Match{Model: "glm-5.3"}, func(emulator.Request) emulator.Reply { return emulator.Say("later rule") })
	e.On(emulator.Match{Vendor: emulator.Kimi}, emulator.Say("kimi once"))
	e.On(emulator.Match{Text: "apples"}, emulator.Say("one"), emulator.Say("two"))
	e.On(emulator.Match{Anywhere: "terse", If: func(r emulator.Request) bool { return r.Chat.Stream }}, emulator.Say("streams only"))

	assert.Equal(t, "later rule", said(emulator.GLM, ask("glm-5.3", "pears")))
	assert.Equal(t, "always glm-4.7", said(emulator.GLM, ask("glm-4.7", "pears")))
	assert.Equal(t, "one", said(emulator.GLM, ask("glm-5.3", "apples")), "the queue comes before what stands")
	assert.Equal(t, "kimi once", said(emulator.Kimi, ask("kimi-k3", "apples")), "queued first")
	assert.Equal(t, "two", said(emulator.Kimi, ask("kimi-k3", "apples")))
	assert.Equal(t, "always kimi-k3", said(emulator.Kimi, ask("kimi-k3", "apples")))
	assert.Equal(t, 1, e.Unused())
	refused := to(t, e, emulator.GLM).post("/chat/completions", strings.Replace(ask("glm-6", "x"), "}]", `}]`, 1))
	assert.Equal(t, 400, refused.status, "a script cannot make the vendor take what it refuses")
}

func TestHandlerInAnotherServer(t *testing.T) {
	inFakeTime(t, emulator.Kimi, func(t *testing.T, e *emulator.Emulator, _ client) {
		l := newPipes("other")
		srv := &http.Server{Handler: e.Handler(emulator.Kimi), ReadHeaderTimeout: time.Minute}
		ended := make(chan error, 1)
		go func() { ended <- srv.Serve(l) }()
		tr := &http.Transport{DialContext: l.dial}
		c := client{t: t, http: &http.Client{Transport: tr}, url: "http://other" + emulator.KimiBase, key: emulator.KimiKey}
		e.Script(abcd.With(emulator.ResetAfter(1)))
		_, _, err := c.read(limit, chatBody("kimi-k3", streamed))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		assert.Equal(t, 200, c.post("/chat/completions", chatBody("kimi-k3", "")).status)
		assert.Zero(t, e.Connections(), "only connections of its own listeners are counted")
		tr.CloseIdleConnections()
		require.NoError(t, srv.Close())
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
}

func TestManyAtOnce(t *testing.T) {
	e := start(t)
	c := to(t, e, emulator.GLM)
	const n = 64
	ended := make(chan int, n)
	for i := range n {
		e.On(emulator.Match{Text: fmt.Sprintf("<%d>", i)}, emulator.Say(fmt.Sprint("answer ", i)))
	}
	for i := range n {
		go func() {
			r := c.post("/chat/completions", messages("glm-5.3", fmt.Sprintf(`{"role":"user","content":"<%d>"}`, i), streamed))
			if assert.Contains(t, r.body, fmt.Sprintf(`"answer %d"`, i)) {
				ended <- 1
				return
			}
			ended <- 0
		}()
	}
	for range n {
		assert.Equal(t, 1, <-ended)
	}
	rs, err := e.WaitFor(t.Context(), n)
	require.NoError(t, err)
	assert.Len(t, rs, n)
	assert.Zero(t, e.Unused())
}

func TestWaitForGivesUpWithItsContext(t *testing.T) {
	e := start(t)
	cause := fmt.Errorf("no longer")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, err := e.WaitFor(ctx, 1)
	require.ErrorIs(t, err, cause)
}
