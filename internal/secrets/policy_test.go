package secrets

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPolicy(t *testing.T) {
	token := tokens["npm-access-token"]
	text := "a\nb " + token + "\n" + token
	for _, p := range []Policy{"", PolicyMask} {
		masked, found, err := p.Apply("x.txt", text)
		require.NoError(t, err)
		assert.Equal(t, "a\nb [secret: npm-access-token]\n[secret: npm-access-token]", masked)
		assert.Len(t, found, 2)
	}
	sent, found, err := PolicySend.Apply("x.txt", text)
	require.NoError(t, err)
	assert.Equal(t, text, sent)
	assert.Empty(t, found)

	sent, _, err = PolicyRefuse.Apply("x.txt", text)
	assert.Empty(t, sent)
	assert.EqualError(t, err, "x.txt contains a secret (line 2: npm-access-token, and 1 more), which SECRETS_IN_CONTEXT=refuse does not let out.")
	assert.NotContains(t, err.Error(), token)
	_, _, err = PolicyRefuse.Apply("x.txt", "nothing here")
	assert.NoError(t, err)
}

// The server's own keys look like nothing in particular, and are masked whatever the policy.
func TestOwnKeysAreMasked(t *testing.T) {
	token := tokens["npm-access-token"]
	text := "a\nb an-own-key-of-ours, an-own-key-of-ours\n" + token
	masked, found, err := PolicyMask.Apply("x.txt", text, "another-own-key-of-ours", "an-own-key-of-ours")
	require.NoError(t, err)
	assert.Equal(t, "a\nb [secret: key], [secret: key]\n[secret: npm-access-token]", masked)
	assert.Equal(t, []Found{{2, "key"}, {2, "key"}, {3, "npm-access-token"}}, found)
	masked, found, err = PolicySend.Apply("x.txt", text, "an-own-key-of-ours")
	require.NoError(t, err)
	assert.Equal(t, "a\nb [secret: key], [secret: key]\n"+token, masked)
	assert.Len(t, found, 2)
	_, _, err = PolicyRefuse.Apply("x.txt", text, "an-own-key-of-ours")
	assert.ErrorContains(t, err, "(line 2: key, and 2 more)")
}
