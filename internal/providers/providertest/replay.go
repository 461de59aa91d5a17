package providertest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// recording is one answer of a vendor, byte for byte but for its texts and ids, and what it means. Its file has four parts:
// lines that begin with # say where the form was seen; then the HTTP status and the content type on one line; the body,
// to the line "-- means --"; and the meaning as JSON.
type recording struct {
	status int
	kind   string
	body   []byte
	means  meaning
}

// meaning is what a recorded answer comes to. What a file leaves out must be empty.
type meaning struct {
	Content   string               `json:"content"`
	Reasoning string               `json:"reasoning"`
	Calls     []providers.ToolCall `json:"calls"`
	Finish    string               `json:"finish"`
	Usage     *providers.Usage     `json:"usage"`
	Error     *struct {
		Kind  providers.Kind `json:"kind"`
		Retry bool           `json:"retry"`
		Code  string         `json:"code"`
		Says  string         `json:"says"` // a part of its message or hint
	} `json:"error"`
}

// Replay gives each recorded answer in dir to a provider, at once and in pieces of any size, and checks what comes of it.
func Replay(t *testing.T, dir string, create Make) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		r := readRecording(t, file)
		for _, size := range []int{1 << 20, 7, 1} {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+strconv.Itoa(size), func(t *testing.T) {
				server := httptest.NewServer(r.handler(size))
				defer server.Close()
				p := create(t, server.URL, Options{Key: "a-key-of-a-test", Timeouts: config.TimeoutConfig{Connect: 5 * time.Second}})
				text := ""
				resp, err := p.Chat(t.Context(), providers.ChatRequest{
					Model:    providers.Model{ID: "recorded", Functions: true},
					Messages: []providers.Message{{Role: providers.RoleUser, Content: "hi"}},
				}, func(d providers.Delta) {
					if d.Restart {
						text = ""
					}
					text += d.Content
				})
				r.means.check(t, resp, err)
				if resp != nil {
					assert.Equal(t, strings.TrimSpace(resp.Content), strings.TrimSpace(text), "what was streamed is what was answered")
				}
			})
		}
	}
}

func readRecording(t *testing.T, file string) (r recording) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for bytes.HasPrefix(text, []byte("#")) {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	head, rest, _ := strings.Cut(string(text), "\n")
	status, kind, _ := strings.Cut(head, " ")
	r.kind = kind
	r.status, err = strconv.Atoi(status)
	require.NoError(t, err, file)
	body, means, found := strings.Cut(rest, "-- means --\n")
	require.True(t, found, file)
	r.body = []byte(body)
	d := json.NewDecoder(strings.NewReader(means))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&r.means), file)
	return r
}

func (r recording) handler(size int) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body) // else the connection is closed under the answer
		w.Header().Set("Content-Type", r.kind)
		w.WriteHeader(r.status)
		for rest := r.body; len(rest) > 0; {
			n := min(size, len(rest))
			if _, err := w.Write(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
			if f, ok := w.(http.Flusher); ok {
				f.Flush()
			}
		}
	}
}

func (m meaning) check(t *testing.T, resp *providers.ChatResponse, err error) {
	t.Helper()
	if m.Error != nil {
		var e *providers.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, m.Error.Kind, e.Kind)
		assert.Equal(t, m.Error.Retry, e.Retry)
		assert.Equal(t, m.Error.Code, e.VendorCode)
		assert.Contains(t, e.Message+" "+e.Hint, m.Error.Says)
		if resp == nil {
			return
		}
	} else {
		require.NoError(t, err)
	}
	assert.Equal(t, m.Content, resp.Content)
	assert.Equal(t, m.Reasoning, resp.Reasoning)
	assert.Equal(t, m.Calls, resp.ToolCalls)
	assert.Equal(t, m.Finish, string(resp.FinishReason))
	assert.Equal(t, m.Usage != nil, resp.UsageKnown)
	if m.Usage != nil {
		assert.Equal(t, *m.Usage, resp.Usage)
	}
}
