package openaicompat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

func TestJSON(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		assert.Equal(t, "/v1/formulas/moonshot/web-search:latest/fibers", r.RequestURI, "neither slash nor colon is encoded")
		assert.JSONEq(t, `{"n":1}`, string(body))
		assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
		assert.Equal(t, "Bearer "+testKey, r.Header.Get("Authorization"))
		fmt.Fprint(w, `{"code":0,"msg":"ok","output":{"a": [1]},"text":"plain"}`)
	})
	var out struct {
		Output Text `json:"output"`
		Text   Text `json:"text"`
	}
	err := c.JSON(t.Context(), Request{
		Op: "running", Method: http.MethodPost, Path: "/formulas/moonshot/web-search:latest/fibers", In: map[string]int{"n": 1},
	}, &out)
	require.NoError(t, err)
	assert.Equal(t, Text(`{"a":[1]}`), out.Output)
	assert.Equal(t, Text("plain"), out.Text)
}

func TestJSONFailures(t *testing.T) {
	big := func(o *Options) { o.MaxAnswerBytes = 100 }
	for name, tc := range map[string]struct {
		status int
		body   string
		kind   providers.Kind
		retry  bool
	}{
		"error under 200":      {200, `{"error":{"code":"1","message":"m"}}`, providers.KindProviderError, true},
		"flat error under 200": {200, `{"code":401,"msg":"m","success":false}`, providers.KindProviderError, true},
		"page under 200":       {200, `<html>`, providers.KindProviderError, false},
		"not what was asked":   {200, `{"data":"`, providers.KindProviderError, true},
		"too long":             {200, `{"data":"` + strings.Repeat("x", 100) + `"}`, providers.KindTooLarge, false},
		"refused":              {403, `{}`, providers.KindAuth, false},
		"no such path":         {404, `{"error":"Not Found"}`, providers.KindProviderError, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				fmt.Fprint(w, tc.body)
			}, big)
			var out struct{ Data string }
			err := c.JSON(t.Context(), Request{Op: "the balance", Method: http.MethodGet, Path: "/x"}, &out)
			e := refused(t, err, tc.kind)
			assert.Equal(t, tc.retry, e.Retry)
			assert.Equal(t, tc.status, e.HTTPStatus)
			assert.True(t, IsStatus(err, tc.status))
			assert.False(t, IsStatus(err, 299))
		})
	}
	assert.False(t, IsStatus(nil, 404))
}

func TestModels(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		want   []ListedModel
		kind   providers.Kind
	}{
		"as documented": {
			200, `{"object":"list","data":[{"id":"kimi-k3","context_length":1048576,"supports_image_in":true,"supports_reasoning":true},{"id":"b"}]}`,
			[]ListedModel{{"kimi-k3", 1048576, true, true}, {ID: "b"}},
			"",
		},
		"odd types":        {200, `{"data":[{"id":"a","context_length":"262144","supports_image_in":1,"supports_reasoning":"true"},{"id":5},null,{"name":"x"},[],{"id":"c","context_length":262144.0,"supports_image_in":"maybe"}]}`, []ListedModel{{"a", 262144, true, true}, {ID: "5"}, {ID: "c", Window: 262144}}, ""},
		"ids alone":        {200, `{"data":["a","b"]}`, []ListedModel{{ID: "a"}, {ID: "b"}}, ""},
		"a bare list":      {200, `[{"id":"a"}]`, []ListedModel{{ID: "a"}}, ""},
		"another name":     {200, `{"models":[{"id":"a"}]}`, []ListedModel{{ID: "a"}}, ""},
		"none":             {200, `{"data":null}`, nil, ""},
		"nothing":          {200, `{}`, nil, ""},
		"no such endpoint": {404, `404 page not found`, nil, ""},
		"no list":          {200, `{"data":"x"}`, nil, providers.KindProviderError},
		"no JSON":          {200, `models`, nil, providers.KindProviderError},
		"refused":          {401, `{}`, nil, providers.KindAuth},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "/v1/models", r.URL.Path)
				w.WriteHeader(tc.status)
				fmt.Fprint(w, tc.body)
			})
			got, err := c.Models(t.Context())
			assert.Equal(t, tc.want, got)
			if tc.kind == "" {
				require.NoError(t, err)
			} else {
				refused(t, err, tc.kind)
			}
		})
	}
}

func TestAmount(t *testing.T) {
	for text, want := range map[string]Amount{`49.58894`: 49.58894, `"-3.5"`: -3.5, `null`: 0, `"much"`: 0, `{}`: 0, `"NaN"`: 0} {
		var got Amount
		require.NoError(t, json.Unmarshal([]byte(text), &got))
		assert.Equal(t, want, got, text)
	}
}

func TestOpaqueContentIsNoError(t *testing.T) {
	const content = `{"error":{"message":"this is what the file says"}}`
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, content) })
	got, err := c.Do(t.Context(), Request{Op: "text", Method: http.MethodGet, Path: "/files/f/content", Opaque: true})
	require.NoError(t, err)
	assert.Equal(t, content, string(got))
}

// file is an upload of n bytes.
func file(n int, body io.Reader) providers.File {
	return providers.File{Name: `a "b".txt`, Purpose: "agent", Size: int64(n), Body: body}
}

func TestUploadStreams(t *testing.T) {
	const size = 1 << 20
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/v1/files", r.URL.Path)
		assert.Positive(t, r.ContentLength)
		f, head, err := r.FormFile("file")
		if !assert.NoError(t, err) {
			return
		}
		n, err := io.Copy(io.Discard, f)
		assert.NoError(t, err)
		assert.Equal(t, int64(size), n)
		assert.Equal(t, `a "b".txt`, head.Filename)
		assert.Equal(t, "agent", r.FormValue("purpose"))
		fmt.Fprint(w, `{"id":"file-1","filename":"a.txt","bytes":1048576.0,"created_at":1.7e9,"status":"ok"}`)
	})
	f := file(size, strings.NewReader(strings.Repeat("x", size)+"what was appended meanwhile"))
	var counts []int64
	f.Sent = func(n int64) { counts = append(counts, n) }
	ref, err := c.Upload(t.Context(), f)
	require.NoError(t, err)
	assert.Equal(t, providers.FileRef{ID: "file-1", Name: "a.txt", Size: size}, ref)
	assert.IsIncreasing(t, counts)
	assert.Equal(t, int64(size), counts[len(counts)-1])
	assert.Greater(t, len(counts), 10, "it went out in pieces")
}

func TestUploadFailures(t *testing.T) {
	swallow := func(status int, answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(status)
			fmt.Fprint(w, answer)
		}
	}
	broken := errors.New("disk on fire")
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		body    io.Reader
		kind    providers.Kind
		is      error
	}{
		"refused":               {swallow(413, ""), strings.NewReader("12345"), providers.KindTooLarge, nil},
		"not processed":         {swallow(200, `{"id":"f","status":"error","status_details":"bad"}`), strings.NewReader("12345"), providers.KindInvalidRequest, nil},
		"no id":                 {swallow(200, `{}`), strings.NewReader("12345"), providers.KindInvalidRequest, nil},
		"file shorter":          {swallow(200, `{"id":"f"}`), strings.NewReader("123"), providers.KindInvalidRequest, nil},
		"file can't be read":    {swallow(200, `{"id":"f"}`), io.MultiReader(strings.NewReader("1"), failing{broken}), providers.KindInvalidRequest, broken},
		"vendor's error in 200": {swallow(200, `{"error":{"message":"m"}}`), strings.NewReader("12345"), providers.KindProviderError, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, tc.handler)
			_, err := c.Upload(t.Context(), file(5, tc.body))
			e := refused(t, err, tc.kind)
			assert.NotEmpty(t, e.Hint)
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestUploadDoesNotWaitForAFileThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		read, write := io.Pipe()
		f := file(10, read)
		f.Sent = func(int64) { t.Error("never after Upload has returned") }
		_, err := c.Upload(ctx, f)
		refused(t, err, providers.KindTimeout)
		_, err = write.Write([]byte("late"))
		require.NoError(t, err, "the last read was still under way")
		synctest.Wait()
	})
}

func TestUploadEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		defer func() {
			close(hold)
			time.Sleep(time.Second) // fake: net/http's server lingers on a body that nobody read
		}()
		c := serve(t, func(http.ResponseWriter, *http.Request) { <-hold }) // reads nothing
		cause := errors.New("GLM_FILE_UPLOAD_TIMEOUT_SECS=90s")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 90*time.Second, cause)
		defer cancel()
		returned := false
		f := file(1<<20, strings.NewReader(strings.Repeat("x", 1<<20)))
		f.Sent = func(int64) { assert.False(t, returned, "never after Upload has returned") }
		start := time.Now()
		_, err := c.Upload(ctx, f)
		returned = true
		assert.Equal(t, 90*time.Second, time.Since(start))
		refused(t, err, providers.KindTimeout)
		require.ErrorIs(t, err, cause)
	})
}
