package providertest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/providertest"
)

func TestPipeListener(t *testing.T) {
	l := providertest.NewPipeListener()
	go func() {
		conn, err := l.Accept()
		if assert.NoError(t, err) {
			_, err = conn.Write([]byte("hello"))
			assert.NoError(t, err)
			conn.Close()
		}
	}()
	conn, err := l.Dial(t.Context(), "tcp", "anywhere:1")
	require.NoError(t, err)
	text, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(text))

	why := errors.New("no patience")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	_, err = l.Dial(ctx, "", "") // nobody accepts
	require.ErrorIs(t, err, why)

	require.NoError(t, l.Close())
	require.NoError(t, l.Close())
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = l.Dial(t.Context(), "", "")
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestStub(t *testing.T) {
	s := &providertest.Stub{Vendor: "glm", Catalogue: []providers.Model{{ID: "m"}}}
	assert.Equal(t, "glm", s.Name())
	assert.Equal(t, []providers.Model{{ID: "m"}}, s.Models())
	_, err := s.Chat(t.Context(), providers.ChatRequest{}, nil)
	var e *providers.Error
	require.ErrorAs(t, err, &e)
	assert.Contains(t, e.Message, "ChatFunc")
	require.Error(t, s.DeleteFile(t.Context(), "f"))

	s.ChatFunc = func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
		return &providers.ChatResponse{Content: "stubbed"}, nil
	}
	resp, err := s.Chat(t.Context(), providers.ChatRequest{}, nil)
	require.NoError(t, err)
	assert.Equal(t, "stubbed", resp.Content)

	var bare any = struct{ providers.Provider }{s}
	_, searches := bare.(providers.Searcher)
	assert.False(t, searches, "the way to a provider without abilities")
}
