package calls

import (
	"fmt"
	"hash/maphash"
	"slices"
	"sync"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/secrets"
)

// vetting is the last look at what leaves the process. Tools mask arguments and files before they keep them; here, what
// came otherwise is masked, too: turns that an older version stored, and the results of functions.
type vetting struct {
	policy secrets.Policy
	own    []string // the server's keys
	seed   maphash.Seed

	mu    sync.Mutex
	clean map[uint64]struct{} // hashes of texts without a secret: a conversation's history is looked at once
}

// mostClean is how many texts are remembered.
const mostClean = 1 << 14

func newVetting(policy string, own ...string) *vetting {
	return &vetting{policy: secrets.Policy(policy), own: own, seed: maphash.MakeSeed(), clean: map[uint64]struct{}{}}
}

// text returns a text as it may be sent, and how many secrets were masked. Its error is an *Error of the kind
// invalid_request.
func (v *vetting) text(where, text string) (string, int, error) {
	sum := maphash.String(v.seed, text)
	v.mu.Lock()
	_, known := v.clean[sum]
	v.mu.Unlock()
	if known {
		return text, 0, nil
	}
	masked, found, err := v.policy.Apply(where, text, v.own...)
	if err != nil {
		return "", 0, &providers.Error{Kind: providers.KindInvalidRequest, Message: err.Error(), Hint: secrets.Hint}
	}
	if len(found) == 0 {
		v.mu.Lock()
		if len(v.clean) == mostClean {
			clear(v.clean)
		}
		v.clean[sum] = struct{}{}
		v.mu.Unlock()
	}
	return masked, len(found), nil
}

// messages returns messages as they may be sent. What a model wrote to be returned unchanged (reasoning, function calls)
// stays: it was never shown a secret.
func (v *vetting) messages(list []providers.Message) (out []providers.Message, masked int, err error) {
	out = list
	for i, m := range list {
		text, n, err := v.text(fmt.Sprintf("message %d (%s)", i+1, m.Role), m.Content)
		if err != nil {
			return nil, 0, err
		}
		if n > 0 {
			if masked == 0 {
				out = slices.Clone(list)
			}
			out[i].Content, masked = text, masked+n
		}
	}
	return out, masked, nil
}

// vet masks the secrets in a request's messages.
func (c *Caller) vet(j *job) error {
	messages, masked, err := c.vetting.messages(j.req.Messages)
	if err != nil {
		return err
	}
	if j.req.Messages = messages; masked > 0 {
		j.notes = append(j.notes, fmt.Sprintf("Secrets in earlier turns or function results that were masked as [secret: kind]: %d.", masked))
	}
	return nil
}

// result is a function's result as the model may be shown it.
func (v *vetting) result(name string, a answered) answered {
	text, _, err := v.text("the result of "+name, a.text)
	if err != nil {
		return answered{text: "Error: " + asError(err).Message}
	}
	a.text = text
	return a
}
