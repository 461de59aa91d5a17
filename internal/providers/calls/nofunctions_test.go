package calls_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
)

// TestWhereFunctionsAreRefused: they are left out where the request can do without them, once.
func TestWhereFunctionsAreRefused(t *testing.T) {
	refusal := func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
		return nil, &providers.Error{Kind: providers.KindInvalidRequest, NoFunctions: true}
	}
	for _, c := range []struct {
		name     string
		scripts  []chatFunc
		change   func(*calls.Call)
		requests int
		fails    bool
	}{
		{"by a server that refuses those of no request too", []chatFunc{refusal, refusal, answers("never")}, nil, 2, true},
		{"beside one of the client's", []chatFunc{refusal, answers("never")}, func(c *calls.Call) {
			build := c.Build
			c.Build = func(m providers.Model) (providers.ChatRequest, error) {
				req, err := build(m)
				req.Functions = []providers.Function{{Name: "theirs"}}
				return req, err
			}
		}, 1, true},
		{"though the messages cannot be made again", []chatFunc{refusal, answers("yes")}, func(c *calls.Call) {
			build := c.Build
			c.Build = func(m providers.Model) (providers.ChatRequest, error) {
				if !m.Functions {
					return providers.ChatRequest{}, errors.New("no such file")
				}
				return build(m)
			}
		}, 2, false},
		{"after a round, whose results stay", []chatFunc{callsTool("look", 0), refusal, answers("yes")}, nil, 3, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, map[string][]providers.Model{"lab": remote("lab", "m")}, "ENDPOINTS=lab", "LAB_API_URL=https://lab.test/v1", "LAB_MODEL=m")
			turns := &inTurn{scripts: c.scripts}
			s.vendors["lab"].ChatFunc = turns.chat
			call := ask("lab/m")
			call.Tools = []calls.Tool{function("look", func(context.Context, string) (string, error) { return "there", nil })}
			if c.change != nil {
				c.change(&call)
			}
			out, err := s.caller.Call(t.Context(), call)
			require.Len(t, turns.requests, c.requests)
			if c.fails {
				assert.Equal(t, providers.KindInvalidRequest, failure(t, err).Kind)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, "yes", out.Response.Content)
			last, before := turns.requests[c.requests-1], turns.requests[c.requests-2]
			assert.Empty(t, last.Functions)
			assert.Equal(t, before.Messages, last.Messages)
		})
	}
}
