package openaicompat

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Both vendors speak HTTP/2, whose errors and cancellations differ from HTTP/1's.
func TestHTTP2(t *testing.T) {
	gone := make(chan struct{}, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, 2, r.ProtoMajor)
		switch r.URL.Path {
		case "/whole/chat/completions":
			stream(say("ab"), "", stop, "", done, "")(w, r)
		case "/cut/chat/completions":
			stream(say("ab"), "")(w, r)
			panic(http.ErrAbortHandler)
		case "/refused/chat/completions":
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(http.StatusTooManyRequests)
		case "/stalled/chat/completions":
			stream(say("ab"), "")(w, r)
			<-r.Context().Done()
			gone <- struct{}{}
		}
	}))
	server.Config.ErrorLog = quiet
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	at := func(path string) *Client {
		c := dialing(t, server.URL+path, (&net.Dialer{}).DialContext)
		c.transport.TLSClientConfig = &tls.Config{RootCAs: roots}
		return c
	}

	resp, err := at("/whole").Chat(t.Context(), question(), nil)
	require.NoError(t, err)
	assert.Equal(t, "ab", resp.Content)

	resp, err = at("/cut").Chat(t.Context(), question(), nil)
	assert.True(t, refused(t, err, providers.KindNetwork).Retry)
	assert.Equal(t, "ab", resp.Content)

	_, err = at("/refused").Chat(t.Context(), question(), nil)
	assert.Equal(t, 3.0, refused(t, err, providers.KindRateLimited).RetryAfter.Seconds())

	ctx, cancel := context.WithCancel(t.Context())
	resp, err = at("/stalled").Chat(ctx, question(), func(providers.Delta) { cancel() })
	refused(t, err, providers.KindCancelled)
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, "ab", resp.Content)
	<-gone
}
