package emulator

import (
	_ "embed"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// facts.json is what each vendor documents of its chat models, or was seen to do: the rules that requests are held to.
// It is kept apart from the catalogue that the program sends by, so that a slip in one shows against the other.
//
//go:embed facts.json
var factsJSON []byte

// facts is one model's row.
type facts struct {
	ID            string   `json:"id"`
	Vendor        Vendor   `json:"vendor"`
	Retired       bool     `json:"retired"`        // not served any more
	Mainland      bool     `json:"mainland"`       // served on open.bigmodel.cn only
	Window        int      `json:"window"`         // tokens, input and output; 0: not known, not checked
	MaxOutput     int      `json:"max_output"`     // tokens; 0: not known, not checked
	DefaultOutput int      `json:"default_output"` // tokens, where no limit is sent; 0: the greatest
	Thinking      string   `json:"thinking"`       // "always", "toggle", "effort" (switched by it) or "" (never)
	Efforts       []string `json:"efforts"`        // what reasoning_effort may say
	Images        int      `json:"images"`         // how many a request may hold; 0: it can't see
	Video         bool     `json:"video"`
	FileURL       bool     `json:"file_url"`
	Tools         bool     `json:"tools"`
	ForcedTools   bool     `json:"forced_tools"` // tool_choice "required" is taken while thinking
	JSONObject    bool     `json:"json_object"`
	NoUsage       bool     `json:"no_usage"`   // streams don't report usage
	ThinkTags     bool     `json:"think_tags"` // reasoning comes in the text, as <think>...</think>
	Loads         bool     `json:"loads"`      // it has to be loaded before its first answer
	Search        bool     `json:"search"`     // takes the web_search tool
}

// table is every row, read once per emulator so that there is no package state to share.
func table() map[string]facts {
	var rows []facts
	if err := json.Unmarshal(factsJSON, &rows); err != nil {
		panic("emulator: facts.json: " + err.Error()) // embedded, and read by every test
	}
	t := make(map[string]facts, len(rows))
	for _, r := range rows {
		t[r.ID] = r
	}
	return t
}

// serves finds the model that a key of the vendor may call.
func (e *Emulator) serves(v Vendor, id string) (facts, bool) {
	if v == Kimi && e.membership != "" {
		return e.subscribed(id)
	}
	f, ok := e.models[id]
	if !ok || f.Vendor != v || f.Retired || f.Mainland && !e.mainland || e.visible != nil && !e.visible[id] {
		return facts{}, false
	}
	return f, true
}

// served lists what a key of the vendor may call, in order of id.
func (e *Emulator) served(v Vendor) []facts {
	var out []facts
	ids := slices.Collect(maps.Keys(e.models))
	if v == Kimi && e.membership != "" {
		ids = slices.Collect(maps.Keys(subscription))
	}
	for _, id := range ids {
		if f, ok := e.serves(v, id); ok {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b facts) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// thinks reports whether the model thinks about this request.
func (f facts) thinks(c *Chat) bool {
	switch f.Thinking {
	case "always":
		return true
	case "toggle":
		return c.Thinking != "disabled"
	case "effort":
		// GLM-5.2 documents none and minimal as no thinking.
		return c.Thinking != "disabled" && c.Effort != "none" && c.Effort != "minimal"
	}
	return false
}
