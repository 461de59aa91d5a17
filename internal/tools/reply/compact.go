package reply

import (
	"encoding/json"
	"slices"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Compact leaves out of a reply what carries no information for an agent: most of the metadata and, with prune, empty lists
// and objects, zero counts, null and false in the body, and what the tool itself gives up (Brief). Without prune the body
// stays: of a tool that answers with data, a zero is part of what was asked for. An error is pruned in any case.
func (r *Result) Compact(prune bool) {
	r.Metadata.compact = true
	if !prune && !r.IsError {
		return
	}
	for _, key := range slices.Clone(r.Body.keys) {
		value := r.Body.values[key]
		if _, text := value.(string); text {
			continue
		}
		tree, err := parsed(value)
		if err != nil { // the reply's writer reports it
			continue
		}
		if r.Body.Set(key, tree); !slices.Contains(verbatim, key) {
			r.Body.prune(key)
		}
	}
	if r.Brief != nil {
		r.Brief(&r.Body)
	}
}

// verbatim are keys whose values are not pruned: a call that must be valid as it stands, and what a model wrote.
var verbatim = []string{"next_call", "expert_analysis"}

// parsed is a value as JSON has it: objects as *Object, lists as []any, numbers as json.Number.
func parsed(value any) (any, error) {
	text, err := Marshal(value)
	if err != nil {
		return nil, err
	}
	return ParseOrdered(text)
}

// prune prunes the value under a key, and removes the key where nothing is left.
func (o *Object) prune(key string) {
	if value := pruned(o.values[key]); value != nil {
		o.values[key] = value
	} else {
		o.Delete(key)
	}
}

// pruned is a parsed value without what carries no information; nil where nothing is left. Items of lists keep their places.
func pruned(value any) any {
	switch v := value.(type) {
	case bool:
		if v {
			return v
		}
		return nil
	case json.Number:
		if f, err := v.Float64(); err == nil && f == 0 {
			return nil
		}
	case []any:
		for i, item := range v {
			if kept := pruned(item); kept != nil {
				v[i] = kept
			}
		}
		if len(v) == 0 {
			return nil
		}
	case *Object:
		for _, key := range slices.Clone(v.keys) {
			v.prune(key)
		}
		if len(v.keys) == 0 {
			return nil
		}
	}
	return value
}

// brief is the metadata of a compact reply: who answered, how long it took and what it cost, and what is out of the ordinary.
// The pages that a search found stay, since they are part of the answer.
func (m Metadata) brief() *Object {
	o := &Object{}
	if m.ModelUsed != "" {
		o.Set("model_used", m.ModelUsed)
	}
	o.Set("duration_ms", m.DurationMS)
	if m.Attempts > 1 {
		o.Set("attempts", m.Attempts)
	}
	if m.FinishReason != "" && m.FinishReason != string(providers.FinishStop) {
		o.Set("finish_reason", m.FinishReason)
	}
	if m.Usage != nil {
		o.Set("usage", (&Object{}).Set("cost_usd", m.Usage.CostUSD))
	}
	if m.Fallback != nil {
		o.Set("fallback", m.Fallback)
	}
	if m.Stored != nil && !*m.Stored {
		o.Set("stored", false)
	}
	if len(m.Sources) > 0 {
		o.Set("sources", m.Sources)
	}
	if len(m.Notes) > 0 {
		o.Set("notes", m.Notes)
	}
	return o
}
