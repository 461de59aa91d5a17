package ask

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNoteOnMasks(t *testing.T) {
	for answer, noted := range map[string]bool{
		"Line 3 holds [secret: github-pat]; revoke it.":                 false,
		"Do this:\n```go\nkey := \"[secret: github-pat]\"\n```":         true,
		"  ~~~\n  a: [secret: password]\n  ~~~\n":                       true,
		"```\nplain\n```\nand [secret: github-pat] behind it":           false,
		"```\n[secret: whatever that is]\n```":                          false,
		`{"findings":[{"title":"a key","fix":"k = [secret: key]"}]}`:    true,
		`{"findings":[{"title":"a key","fix":"k = key()"}]}`:            false,
		"```json\n{\"fix\":\"x = [secret: stripe-access-token]\"}\n```": true,
		"": false,
	} {
		assert.Equal(t, noted, noteOnMasks(answer) != "", answer)
	}
}
