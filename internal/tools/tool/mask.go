package tool

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/secrets"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// notText are the arguments that are names, not text that is sent.
var notText = append(fileArguments[:], "paths", "relevant_file", "images", "continuation_id")

// masker masks the secrets in a call's arguments: the prompt, the step with its findings, messages, search queries. What
// is masked here is neither sent nor stored.
type masker struct {
	policy secrets.Policy
	found  []string // where and of what kind, in the order in which they were met
	err    error
}

// mask returns arguments without secrets, and a note that says what was masked, "" if nothing was. Arguments that are not
// JSON are returned as they are: decoding refuses them.
func mask(policy secrets.Policy, args json.RawMessage) (json.RawMessage, string, error) {
	if policy == secrets.PolicySend {
		return args, "", nil
	}
	value, err := parse(string(args))
	if err != nil {
		return args, "", nil //nolint:nilerr // decoding says what is wrong with it
	}
	m := &masker{policy: policy}
	if text, ok := value.(string); ok { // an object in a string
		if inner, err := parse(text); err == nil {
			value = inner
		}
	}
	value = m.value("", value)
	if len(m.found) == 0 {
		return args, "", nil
	}
	masked, err := json.Marshal(value)
	if err != nil {
		return nil, "", fmt.Errorf("arguments: %w", err)
	}
	return masked, m.note(), m.err
}

// value masks a decoded value; name is where it stands.
func (m *masker) value(name string, v any) any {
	switch v := v.(type) {
	case string:
		masked, found := secrets.Mask(v) // also where it is refused: arguments are logged
		if len(found) > 0 && m.policy == secrets.PolicyRefuse && m.err == nil {
			m.err = reply.InvalidRequest(secrets.Hint, "%s", secrets.Refusal(name, found))
		}
		for _, f := range found {
			m.found = append(m.found, fmt.Sprintf("%s line %d: %s", name, f.Line, f.Kind))
		}
		return masked
	case []any:
		for i := range v {
			v[i] = m.value(fmt.Sprintf("%s[%d]", name, i), v[i])
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if name == "" && slices.Contains(notText, key) {
				continue
			}
			v[key] = m.value(strings.TrimPrefix(name+"."+reply.Clip(key), "."), v[key])
		}
	}
	return v
}

// listed is how many secrets a note names.
const listed = 5

func (m *masker) note() string {
	shown := m.found[:min(listed, len(m.found))]
	more := ""
	if n := len(m.found) - len(shown); n > 0 {
		more = fmt.Sprintf("; and %d more", n)
	}
	return fmt.Sprintf("Secrets in the arguments that were masked as [secret: kind], so that they are neither sent nor stored: %d (%s%s).",
		len(m.found), strings.Join(shown, "; "), more)
}
