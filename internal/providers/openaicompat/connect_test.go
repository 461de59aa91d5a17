package openaicompat

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/providertest"
)

// dialing makes a client whose connections are made by dial.
func dialing(t *testing.T, base string, dial DialFunc) *Client {
	t.Helper()
	c, err := New(Options{
		Dialect: Dialect{Name: "glm", Label: "GLM"}, Key: testKey, BaseURL: base, DialContext: dial,
		Timeouts: config.TimeoutConfig{Connect: 5 * time.Second},
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestConnectLimit(t *testing.T) {
	limit := &config.Limit{Name: "CONNECT_TIMEOUT_SECS", Value: 5 * time.Second}
	silent := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for name, tc := range map[string]struct {
		base string
		dial func(t *testing.T) DialFunc
	}{
		"dial": {"http://vendor.test", func(*testing.T) DialFunc { return silent }},
		"tls": {"https://vendor.test", func(t *testing.T) DialFunc {
			l := providertest.NewPipeListener()
			accepted := make(chan net.Conn, 1)
			go func() {
				if conn, err := l.Accept(); err == nil {
					accepted <- conn
					buf := make([]byte, 1024)
					for { // takes the hello in and never answers
						if _, err := conn.Read(buf); err != nil {
							return
						}
					}
				}
			}()
			t.Cleanup(func() { l.Close(); (<-accepted).Close() })
			return l.Dial
		}},
		"most of it in dial, the rest in tls": {"https://vendor.test", func(t *testing.T) DialFunc {
			return func(context.Context, string, string) (net.Conn, error) {
				time.Sleep(4 * time.Second)
				client, server := net.Pipe()
				t.Cleanup(func() { server.Close() })
				return client, nil
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := dialing(t, tc.base, tc.dial(t))
				start := time.Now()
				_, err := c.Chat(t.Context(), question(), nil)
				assert.Equal(t, 5*time.Second, time.Since(start))
				e := refused(t, err, providers.KindTimeout)
				assert.Equal(t, limit, e.Limit)
				assert.True(t, e.Retry)
				assert.Contains(t, e.Message, "CONNECT_TIMEOUT_SECS=5s")
			})
		})
	}
}

func TestConnectLimitDoesNotLimitTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Minute)
			stream(say("late"), stop, done)(w, r)
		})
		resp, err := c.Chat(t.Context(), question(), nil)
		require.NoError(t, err)
		assert.Equal(t, "late", resp.Content)
	})
}

func TestConnectLimitRestartsForEachConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, end := serve(t, nil).begin(t.Context())
		defer end()
		trace := httptrace.ContextClientTrace(x.ctx)
		trace.GetConn("")
		trace.GotConn(httptrace.GotConnInfo{})
		time.Sleep(time.Minute)
		require.NoError(t, x.ctx.Err(), "a connection has no limit")
		trace.GetConn("") // net/http's own second try, after a connection of its pool proved dead
		time.Sleep(5*time.Second - time.Millisecond)
		synctest.Wait()
		require.NoError(t, x.ctx.Err())
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.ErrorIs(t, context.Cause(x.ctx), errConnect)
		assert.False(t, x.connected.Load())
	})
}

func TestNoConnectLimit(t *testing.T) {
	c := serve(t, stream(say("ab"), stop, done), func(o *Options) { o.Timeouts.Connect = 0 })
	_, err := c.Chat(t.Context(), question(), nil)
	require.NoError(t, err)
}

func TestTheCallersLimitBeforeTheConnectLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialing(t, "http://vendor.test", func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		cause := errors.New("GLM_TIMEOUT_SECS=3s")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, cause)
		defer cancel()
		_, err := c.Chat(ctx, question(), nil)
		e := refused(t, err, providers.KindTimeout)
		require.ErrorIs(t, err, cause)
		assert.Nil(t, e.Limit)
	})
}

func TestNoConnection(t *testing.T) {
	for name, tc := range map[string]struct {
		err   error
		retry bool
		says  string
	}{
		"refused":      {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, true, "could not be connected to"},
		"no such name": {&net.OpError{Op: "dial", Err: &net.DNSError{Name: "vendor.test", IsNotFound: true}}, false, "address does not exist"},
		"name server":  {&net.DNSError{Name: "vendor.test", IsTemporary: true}, true, "could not be connected to"},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialing(t, "http://vendor.test", func(context.Context, string, string) (net.Conn, error) { return nil, tc.err })
			_, err := c.Chat(t.Context(), question(), nil)
			e := refused(t, err, providers.KindNetwork)
			assert.Equal(t, tc.retry, e.Retry)
			assert.Contains(t, e.Message, tc.says)
			assert.Contains(t, e.Hint, "GLM_API_URL")
		})
	}
}

func TestCertificateOfAStranger(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = quiet
	server.StartTLS()
	defer server.Close()
	c := dialing(t, server.URL, (&net.Dialer{}).DialContext)
	_, err := c.Chat(t.Context(), question(), nil)
	e := refused(t, err, providers.KindNetwork)
	assert.False(t, e.Retry)
	assert.Contains(t, e.Message, "certificate")
}

func TestConnectionLostBeforeTheAnswer(t *testing.T) {
	c := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	resp, err := c.Chat(t.Context(), question(), nil)
	assert.Nil(t, resp)
	e := refused(t, err, providers.KindNetwork)
	assert.True(t, e.Retry)
}
