package openaicompat

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testKey has the form of Z.ai's keys, whose halves are secrets as well.
const testKey = "0123456789abcdef0123456789abcdef.SecretHalf1"

// serve makes a client of a handler, over pipes so that it works under a fake clock.
func serve(t *testing.T, h http.HandlerFunc, change ...func(*Options)) *Client {
	t.Helper()
	l := providertest.NewPipeListener()
	server := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	o := Options{
		Dialect: Dialect{Name: "glm", Label: "GLM"}, Key: testKey, BaseURL: "http://vendor.test/v1/",
		Timeouts: config.TimeoutConfig{Connect: 5 * time.Second}, Version: "1.2.3", DialContext: l.Dial,
	}
	for _, f := range change {
		f(&o)
	}
	c, err := New(o)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); server.Close(); <-done })
	return c
}

// stream answers with these lines as a stream, each sent at once.
func stream(lines ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, line := range lines {
			fmt.Fprintf(w, "%s\n", line)
			w.(http.Flusher).Flush()
		}
	}
}

// say is an event with content.
func say(content string) string {
	return fmt.Sprintf(`data: {"id":"c1","model":"glm-x","choices":[{"index":0,"delta":{"content":%q}}]}`, content)
}

const (
	stop = `data: {"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}`
	done = `data: [DONE]`
)

func question() providers.ChatRequest {
	return providers.ChatRequest{
		Model:    providers.Model{ID: "glm-x", Provider: "glm", JSONObject: true},
		Messages: []providers.Message{{Role: providers.RoleUser, Content: "hello"}},
	}
}

// refused checks that err is an *Error of this kind that tells a reader what to do and gives nothing away.
func refused(t *testing.T, err error, kind providers.Kind) *providers.Error {
	t.Helper()
	var e *providers.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, kind, e.Kind, "%v", err)
	require.Equal(t, "glm", e.Provider)
	require.NotEmpty(t, e.Message)
	for _, secret := range []string{testKey, "SecretHalf1", "{VENDOR}"} {
		require.NotContains(t, e.Error()+e.Hint, secret)
	}
	require.True(t, strings.HasSuffix(e.Message, "."), "a sentence: %s", e.Message)
	return e
}

// quiet is for servers that are meant to complain.
var quiet = log.New(io.Discard, "", 0)
