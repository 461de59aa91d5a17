package openaicompat

import (
	"errors"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// maxLogged is how much of untrusted text an error keeps for the log, in bytes.
const maxLogged = 600

// keyPattern matches what looks like a vendor's key: Moonshot's sk-..., Z.ai's id.secret.
var keyPattern = lazyregexp.New(`sk-[A-Za-z0-9_*.-]{4,}|\b[0-9a-f]{32}\.[A-Za-z0-9]{8,}\b`)

// saying is an error about what the other side said. That may repeat the prompt, so its Error leaves it out: it goes into
// a log only where prompts do.
type saying interface {
	error
	said() string
}

// quoted is a saying: err tells in words of ours what is wrong with the text.
type quoted struct {
	err  error
	text string
}

func (q *quoted) Error() string { return q.err.Error() }
func (q *quoted) Unwrap() error { return q.err }
func (q *quoted) said() string  { return q.text }

// scrubbed is an error's text made fit for a log: without the key or what looks like one, and short; with what the other
// side said only where Options.Quote allows it. The original is not wrapped, so that nothing can print it.
func (c *Client) scrubbed(err error) error {
	s := err.Error()
	var q saying
	if c.quote && errors.As(err, &q) {
		s += ": " + q.said()
	}
	for _, secret := range c.secrets {
		s = strings.ReplaceAll(s, secret, "********")
	}
	s = keyPattern().ReplaceAllString(s, "********")
	if len(s) > maxLogged {
		s = s[:maxLogged] + "..."
	}
	return errors.New(strings.ToValidUTF8(s, "?"))
}

// holdsNoKey reports whether untrusted text that is shown, such as a code or an id, holds no key.
func (c *Client) holdsNoKey(s string) bool {
	return !keyPattern().MatchString(s) && !slices.ContainsFunc(c.secrets, func(secret string) bool { return strings.Contains(s, secret) })
}

// secretsOf are the texts that must not be logged: the key, and the halves of one like Z.ai's "id.secret".
func secretsOf(key string) []string {
	var secrets []string
	for _, part := range append([]string{key}, strings.Split(key, ".")...) {
		if len(part) >= 8 {
			secrets = append(secrets, part)
		}
	}
	return secrets
}
