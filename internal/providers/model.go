package providers

import (
	"cmp"
	"math"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// Model is one chat model as the catalogue knows it. Fields that a vendor does not publish are zero and mean "unknown":
// callers treat unknown as the cautious answer.
type Model struct {
	ID            string   `json:"id"`
	Provider      string   `json:"provider"` // "glm", "kimi" or the name of an endpoint, which then also begins the ID
	Aliases       []string `json:"aliases,omitempty"`
	Status        Status   `json:"status"`
	RetiresOn     string   `json:"retires_on,omitempty"` // YYYY-MM-DD
	RetiredOn     string   `json:"retired_on,omitempty"` // YYYY-MM-DD
	Replacement   string   `json:"replacement,omitempty"`
	ContextWindow int      `json:"context_window,omitempty"`    // tokens, input and output together
	MaxOutput     int      `json:"max_output_tokens,omitempty"` // tokens
	// Temperature is the range that may be sent; nil means that sending any is refused or unwise.
	Temperature  *Range   `json:"temperature,omitempty"`
	Images       bool     `json:"images,omitempty"`
	Thinking     Thinking `json:"thinking"`
	Functions    bool     `json:"functions,omitempty"`     // takes tools
	ToolChoices  []string `json:"tool_choices,omitempty"`  // values of tool_choice that it takes
	NativeSearch bool     `json:"native_search,omitempty"` // takes the vendor's own search tool inside a chat
	JSONObject   bool     `json:"json_object,omitempty"`
	Price        *Price   `json:"price,omitempty"`    // USD; nil when unknown
	Unlisted     bool     `json:"unlisted,omitempty"` // not in the catalogue: capabilities are cautious guesses
	// Unavailable: the vendor's own list for this key lacks the model, or the vendor has just answered that there is none.
	// "auto" skips it; a caller may still name it.
	Unavailable bool `json:"unavailable,omitempty"`
	// Local: it runs at an address of this machine, as far as is known.
	Local bool `json:"local,omitempty"`
	// Loaded: the local server that runs it has it in memory.
	Loaded bool `json:"loaded,omitempty"`
}

// GuessedModel is a model of an endpoint of which nothing is known but its name there: it is tried with functions, since a server that takes
// none says so, and with the switches that the endpoint's row gives. ID and Provider are as an endpoint's own list has them.
func GuessedModel(row config.VendorRow, id string) Model {
	e := row.Endpoint
	return Model{
		ID: id, Functions: true, JSONObject: e.JSONObject, Thinking: Thinking{Efforts: e.Efforts, Toggle: e.Thinking == "type"},
		Local: e.Local && !runsElsewhere(id),
	}
}

// runsElsewhere reports whether a model of a local Ollama runs at ollama.com, by its name (Ollama docs, cloud models).
func runsElsewhere(id string) bool {
	return strings.HasSuffix(id, ":cloud") || strings.HasSuffix(id, "-cloud")
}

// Status is a model's standing at its vendor.
type Status string

// The standings of a model.
const (
	StatusActive     Status = "active"
	StatusRetiring   Status = "retiring"
	StatusRetired    Status = "retired"
	StatusUnverified Status = "unverified" // was served once; not confirmed lately
)

// Range is a closed interval.
type Range struct {
	Min float64 `json:"min"`
	Max float64 `json:"max"`
}

// Price is in USD per million tokens.
type Price struct {
	Input       float64 `json:"input"`
	CachedInput float64 `json:"cached_input"` // 0: as Input, since who has no price of its own for it charges the full one
	Output      float64 `json:"output"`
}

// Cost is what a usage's tokens cost at this price, in USD. A nil price costs nothing that we know of.
func (p *Price) Cost(u Usage) float64 {
	if p == nil {
		return 0
	}
	fresh, cached := u.InputTokens-u.CachedTokens, cmp.Or(p.CachedInput, p.Input)
	return RoundUSD((float64(fresh)*p.Input + float64(u.CachedTokens)*cached + float64(u.OutputTokens)*p.Output) / 1e6)
}

// RoundUSD rounds an amount to a hundred-millionth, which is less than a token of any model costs: sums of prices have
// tails of binary digits otherwise.
func RoundUSD(usd float64) float64 { return math.Round(usd*1e8) / 1e8 }

// Thinking says how a model's thinking is switched.
type Thinking struct {
	// Toggle: thinking:{"type":"enabled"|"disabled"} is taken.
	Toggle bool `json:"toggle,omitempty"`
	// Efforts are the words that reasoning_effort takes, weakest first; "none" among them switches thinking off.
	Efforts []string `json:"efforts,omitempty"`
	// Always: the model thinks whatever is sent.
	Always bool `json:"always,omitempty"`
}

// Thinks reports whether the model can think at all.
func (t Thinking) Thinks() bool { return t.Toggle || t.Always || len(t.Efforts) > 0 }

// ThinkingMode is the caller's word for how hard to think.
type ThinkingMode string

// The thinking modes, weakest first.
const (
	ThinkMinimal ThinkingMode = "minimal"
	ThinkLow     ThinkingMode = "low"
	ThinkMedium  ThinkingMode = "medium"
	ThinkHigh    ThinkingMode = "high"
	ThinkMax     ThinkingMode = "max"
)

// ThinkingSwitch is what is sent to a vendor: a toggle or an effort, or nothing at all.
type ThinkingSwitch struct {
	Type   string // "enabled", "disabled" or ""
	Effort string // a word of the model's Efforts, or ""
}

// String returns the switch as replies show it, "reasoning_effort=low" or "thinking=disabled".
func (s ThinkingSwitch) String() string {
	switch {
	case s.Effort != "":
		return "reasoning_effort=" + s.Effort
	case s.Type != "":
		return "thinking=" + s.Type
	}
	return ""
}

// Category is what a tool wants of a model when its caller names none.
type Category string

// The categories of work.
const (
	CategoryFast      Category = "fast"      // GLM_SPEED_MODEL first
	CategoryReasoning Category = "reasoning" // GLM_QUALITY_MODEL first
	CategoryFiles     Category = "files"     // Kimi first
)

// Needs are abilities that a request cannot do without.
type Needs struct {
	Images    bool
	Functions bool
	Tokens    int // the window must hold at least this many
}

// RetirementNotice is how long ahead of its end a model is warned about.
const RetirementNotice = 60 * 24 * time.Hour
