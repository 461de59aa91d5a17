package tool

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/secrets"
)

func TestMaskArguments(t *testing.T) {
	const token = "ghp_" + "q7Zk2WmX9vB4nT6rYc1Hd8Lp3Js5FgQaUeRo"
	for name, c := range map[string]struct{ args, masked, note string }{
		"clean":  {`{"prompt": "hello", "n": 9007199254740993}`, `{"prompt": "hello", "n": 9007199254740993}`, ""},
		"prompt": {`{"prompt":"a\nuse ` + token + `","n":9007199254740993}`, `{"n":9007199254740993,"prompt":"a\nuse [secret: github-pat]"}`, "prompt line 2: github-pat"},
		"nested": {
			`{"messages":[{"role":"user","content":"` + token + `"}]}`,
			`{"messages":[{"content":"[secret: github-pat]","role":"user"}]}`, "messages[0].content line 1: github-pat",
		},
		"in a string": {`"{\"prompt\":\"` + token + `\"}"`, `{"prompt":"[secret: github-pat]"}`, "prompt line 1"},
		"escaped":     {`{"prompt":"token = \"` + token[:8] + `\u0071` + token[9:] + `\""}`, "", "line 1: github"},
		"a path":      {`{"files":["/src/` + token + `.go"],"prompt":""}`, `{"files":["/src/` + token + `.go"],"prompt":""}`, ""},
		"not JSON":    {`{"prompt":"` + token, `{"prompt":"` + token, ""},
	} {
		t.Run(name, func(t *testing.T) {
			masked, note, err := mask("", json.RawMessage(c.args))
			require.NoError(t, err)
			if c.masked != "" {
				assert.Equal(t, c.masked, string(masked))
			}
			assert.Contains(t, note, c.note)
			if c.note == "" {
				assert.Empty(t, note)
			} else {
				assert.NotContains(t, string(masked)+note, token)
			}

			sent, note, err := mask(secrets.PolicySend, json.RawMessage(c.args))
			require.NoError(t, err)
			assert.Equal(t, c.args, string(sent))
			assert.Empty(t, note)

			masked, _, err = mask(secrets.PolicyRefuse, json.RawMessage(c.args))
			if c.note == "" {
				assert.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "contains a secret (line ")
			assert.NotContains(t, string(masked)+err.Error(), token, "also what is logged is masked")
		})
	}
}
