package openaicompat

import (
	"errors"
	"regexp"
	"strings"
)

// maxLogged is how much of a stranger's text an error keeps for the log, in bytes.
const maxLogged = 600

// keyPattern matches what looks like a vendor's key: Moonshot's sk-..., Z.ai's id.secret.
var keyPattern = regexp.MustCompile(`sk-[A-Za-z0-9_*.-]{4,}|\b[0-9a-f]{32}\.[A-Za-z0-9]{8,}\b`)

// scrubbed is an error's text made fit for a log: without the key or what looks like one, and short. The original is
// not wrapped, so that nothing can print it.
func (c *Client) scrubbed(err error) error {
	s := err.Error()
	for _, secret := range c.secrets {
		s = strings.ReplaceAll(s, secret, "********")
	}
	s = keyPattern.ReplaceAllString(s, "********")
	if len(s) > maxLogged {
		s = s[:maxLogged] + "..."
	}
	return errors.New(strings.ToValidUTF8(s, "?"))
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
