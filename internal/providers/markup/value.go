package markup

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// withValues makes a call of a name and its arguments.
func withValues(name string, values map[string]json.RawMessage) call {
	encoded, err := encode(values)
	return call{name: name, arguments: string(encoded), whole: err == nil && name != ""}
}

// encode writes JSON that a model can read: <, > and & as they are.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// written is the value of an argument in JSON. Templates write a string as it is and everything else as JSON; kind is the
// argument's type where one is known.
func written(s, kind string) json.RawMessage {
	if kind != "string" && json.Valid([]byte(s)) {
		return json.RawMessage(s)
	}
	quoted, _ := encode(s) // a string always encodes
	return quoted
}

// parameterType is a parameter's type by the function's schema, "" where the schema does not say. A nullable string is a
// string.
func parameterType(offered []providers.Function, function, param string) string {
	i := slices.IndexFunc(offered, func(f providers.Function) bool { return f.Name == function })
	if i < 0 {
		return ""
	}
	var schema struct {
		Properties map[string]struct {
			Type json.RawMessage `json:"type"`
		} `json:"properties"`
	}
	if json.Unmarshal(offered[i].Parameters, &schema) != nil {
		return ""
	}
	var kind string
	var kinds []string
	raw := schema.Properties[param].Type
	switch {
	case json.Unmarshal(raw, &kind) == nil:
	case json.Unmarshal(raw, &kinds) == nil && slices.Contains(kinds, "string"):
		kind = "string"
	}
	return kind
}
