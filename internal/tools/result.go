package tools

import (
	"bytes"
	"encoding/json"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Object is a JSON object that keeps the order in which its keys were first set, so that replies read top to bottom.
type Object struct {
	keys   []string
	values map[string]any
}

// Set puts a value under a key and returns the object, for chaining. Setting a key again keeps its place.
func (o *Object) Set(key string, value any) *Object {
	if o.values == nil {
		o.values = map[string]any{}
	}
	if _, ok := o.values[key]; !ok {
		o.keys = append(o.keys, key)
	}
	o.values[key] = value
	return o
}

// Get returns the value under a key, nil when there is none.
func (o *Object) Get(key string) any { return o.values[key] }

// MarshalJSON writes the keys in order, without HTML escaping.
func (o *Object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, k := range o.keys {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := enc.Encode(k); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := enc.Encode(o.values[k]); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Result is a tool's reply: the object that the client reads, and what dispatch adds to it.
type Result struct {
	Body     Object   // every key but metadata
	Metadata Metadata // dispatch fills in tool_name and duration_ms and puts it last
	IsError  bool
}

// Metadata says who answered, what it cost and why. Where no model answered it is tool_name and duration_ms alone.
type Metadata struct {
	ToolName     string              `json:"tool_name"`
	ModelUsed    string              `json:"model_used,omitempty"`
	ProviderUsed string              `json:"provider_used,omitempty"`
	DurationMS   int64               `json:"duration_ms"`
	Attempts     int                 `json:"attempts,omitempty"`
	FinishReason string              `json:"finish_reason,omitempty"`
	Usage        *providers.Usage    `json:"usage,omitempty"`
	Thinking     string              `json:"thinking,omitempty"`
	Fallback     *providers.Fallback `json:"fallback,omitempty"`
	Stored       *bool               `json:"stored,omitempty"`
	Notes        []string            `json:"notes,omitempty"`
}
