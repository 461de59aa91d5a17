package secrets

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Policy is what becomes of secrets in what is sent to a vendor: the setting SECRETS_IN_CONTEXT. Empty masks.
type Policy string

// The policies.
const (
	PolicyMask   Policy = "mask"
	PolicyRefuse Policy = "refuse"
	PolicySend   Policy = "send"
)

// Apply returns a text as it may be sent, and what was masked in it. Under PolicyRefuse a secret is an *Error that names
// the text as where does. The server's own keys are masked under every policy.
func (p Policy) Apply(where, text string, own ...string) (string, []Found, error) {
	text, keys := maskOwn(text, own)
	if p == PolicySend {
		return text, keys, nil
	}
	masked, found := Mask(text)
	if len(keys) > 0 {
		found = append(found, keys...)
		slices.SortStableFunc(found, func(a, b Found) int { return cmp.Compare(a.Line, b.Line) })
	}
	if p == PolicyRefuse && len(found) > 0 {
		return "", nil, Refusal(where, found)
	}
	return masked, found, nil
}

// ownKey is the kind of the server's own keys.
const ownKey = "key"

// maskOwn masks keys that are known.
func maskOwn(text string, own []string) (string, []Found) {
	var found []Found
	for _, key := range own {
		parts := strings.Split(text, key)
		line := 1
		for _, before := range parts[:len(parts)-1] {
			line += strings.Count(before, "\n")
			found = append(found, Found{Line: line, Kind: ownKey})
		}
		text = strings.Join(parts, mask(ownKey))
	}
	return text, found
}

// Refusal returns the error of a text in which secrets were found.
func Refusal(where string, found []Found) *Error {
	return &Error{Where: where, Found: found[0], More: len(found) - 1}
}

// Error is the refusal of a text with secrets. It never holds one.
type Error struct {
	Where string // the file or the argument
	Found        // the first
	More  int    // others in the same text
}

// Hint says what to do about an Error.
const Hint = "Remove the secret, and revoke it if it is real, or set SECRETS_IN_CONTEXT=mask in the server's environment."

// Error implements error.
func (e *Error) Error() string {
	more := ""
	if e.More > 0 {
		more = fmt.Sprintf(", and %d more", e.More)
	}
	return fmt.Sprintf("%s contains a secret (line %d: %s%s), which SECRETS_IN_CONTEXT=refuse does not let out.",
		e.Where, e.Line, e.Kind, more)
}
