package calls_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
)

const fakeToken = "npm_" + "q7Zk2WmX9vB4nT6rYc1Hd8Lp3Js5FgQaUeRo"

// withSecret asks with a secret in the history, offers a function whose result holds one, and searches for one.
func withSecret(turns *inTurn) calls.Call {
	turns.scripts = []chatFunc{
		callsTool("read", 0, providers.ToolCall{ID: "s", Name: "web_search", Arguments: `{"query":"who owns ` + fakeToken + `"}`}),
		answers("done"),
	}
	call := ask("glm-5.3")
	call.Build = func(providers.Model) (providers.ChatRequest, error) {
		return providers.ChatRequest{Messages: []providers.Message{
			{Role: providers.RoleUser, Content: "an old turn with " + fakeToken},
			{Role: providers.RoleAssistant, Content: "yes"},
			{Role: providers.RoleUser, Content: "and now?"},
		}}, nil
	}
	call.Tools = []calls.Tool{function("read", func(context.Context, string) (string, error) { return "token: " + fakeToken, nil })}
	call.Search = true
	return call
}

func TestNoRequestHoldsASecret(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		turns, searched := &inTurn{}, ""
		b.glm.ChatFunc = turns.chat
		b.glm.SearchFunc = func(_ context.Context, q providers.SearchQuery) (*providers.SearchResult, error) {
			searched = q.Query
			return &providers.SearchResult{}, nil
		}
		call := withSecret(turns)
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		require.NoError(t, err)
		assert.Equal(t, "who owns [secret: npm-access-token]", searched)
		require.Len(t, turns.requests, 2)
		var sent []string
		for _, m := range turns.requests[1].Messages {
			sent = append(sent, m.Content)
		}
		all := strings.Join(sent, "\n")
		assert.NotContains(t, all, fakeToken)
		assert.Contains(t, all, "an old turn with [secret: npm-access-token]")
		assert.Contains(t, all, "token: [secret: npm-access-token]")
		assert.NotContains(t, fmt.Sprint(out.Messages[len(out.Messages)-1]), fakeToken, "what is kept of the rounds is what was sent")
		assert.Contains(t, strings.Join(out.Notes, " "), "Secrets in earlier turns or function results that were masked as [secret: kind]: 1.")
	})
}

func TestSecretsMayBeRefusedOrSent(t *testing.T) {
	inFakeTime(t, func(c *config.Config) { c.Files.Secrets = "refuse" }, func(t *testing.T, b *fixture) {
		turns := &inTurn{}
		b.glm.ChatFunc = turns.chat
		b.glm.SearchFunc = func(context.Context, providers.SearchQuery) (*providers.SearchResult, error) {
			t.Error("a query with a secret is not sent")
			return nil, nil
		}
		call := withSecret(turns)
		_, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		e := failure(t, err)
		assert.Equal(t, providers.KindInvalidRequest, e.Kind)
		assert.Contains(t, e.Message, "message 1 (user) contains a secret (line 1: npm-access-token)")
		assert.NotContains(t, err.Error(), fakeToken)
		assert.Empty(t, turns.requests)

		call.Build = ask("glm-5.3").Build
		_, err = b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		require.NoError(t, err)
		result := turns.requests[1].Messages[2].Content
		assert.Equal(t, "Error: the result of read contains a secret (line 1: npm-access-token), which SECRETS_IN_CONTEXT=refuse does not let out.", result)
	})
	inFakeTime(t, func(c *config.Config) { c.Files.Secrets = "send" }, func(t *testing.T, b *fixture) {
		turns := &inTurn{}
		b.glm.ChatFunc = turns.chat
		call := withSecret(turns)
		_, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		require.NoError(t, err)
		assert.Contains(t, turns.requests[0].Messages[0].Content, fakeToken)
	})
}
