package calls

import (
	"fmt"
	"hash/maphash"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

const aSecret = "npm_" + "q7Zk2WmX9vB4nT6rYc1Hd8Lp3Js5FgQaUeRo"

func TestASecretIsMaskedEachTime(t *testing.T) {
	v := newVetting("mask")
	for range 2 {
		text, n, err := v.text("a message", "token: "+aSecret)
		require.NoError(t, err)
		assert.Equal(t, "token: [secret: npm-access-token]", text)
		assert.Equal(t, 1, n)
	}
	assert.Empty(t, v.clean, "only what holds none is remembered")
	text, n, err := newVetting("send", "an-own-key-of-ours").text("a message", "with an-own-key-of-ours")
	require.NoError(t, err)
	assert.Equal(t, "with [secret: key]", text)
	assert.Equal(t, 1, n)
}

func TestATextWithoutSecretsIsLookedAtOnce(t *testing.T) {
	v := newVetting("mask")
	v.clean[maphash.String(v.seed, aSecret)] = struct{}{} // as if it had been found clean
	text, n, err := v.text("a message", aSecret)
	require.NoError(t, err)
	assert.Equal(t, aSecret, text)
	assert.Zero(t, n)
	for i := range mostClean {
		v.clean[uint64(i)] = struct{}{}
	}
	for len(v.clean) > mostClean {
		for k := range v.clean {
			delete(v.clean, k)
			break
		}
	}
	_, _, err = v.text("a message", "one text too many to remember")
	require.NoError(t, err)
	assert.Len(t, v.clean, 1, "the memory is bounded")
}

func TestMaskedMessagesAreCopies(t *testing.T) {
	list := []providers.Message{{Content: "clean"}, {Content: aSecret + " " + aSecret}, {Content: "and " + aSecret}}
	out, n, err := newVetting("mask").messages(list)
	require.NoError(t, err)
	assert.Equal(t, 3, n)
	const masked = "[secret: npm-access-token]"
	assert.Equal(t, []providers.Message{{Content: "clean"}, {Content: masked + " " + masked}, {Content: "and " + masked}}, out)
	assert.Equal(t, "and "+aSecret, list[2].Content, "the caller's stay as they are")

	j := &job{req: providers.ChatRequest{Messages: list}}
	require.NoError(t, (&Caller{vetting: newVetting("mask")}).vet(j))
	assert.Equal(t, out, j.req.Messages)
	assert.Equal(t, []string{fmt.Sprintf("Secrets in earlier turns or function results that were masked as [secret: kind]: %d.", 3)}, j.notes)
	j = &job{req: providers.ChatRequest{Messages: list[:1]}}
	require.NoError(t, (&Caller{vetting: newVetting("mask")}).vet(j))
	assert.Empty(t, j.notes)
}
