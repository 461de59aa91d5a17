// Package providers is the vocabulary of model vendors: what a model is, what is asked of it, how it answers and fails,
// and the time that a call has. It holds types, interfaces and pure functions of them; no vendor, no wire format, and no
// engine, which is package calls.
package providers

import (
	"context"
	"encoding/json"
	"io"
)

// Provider is one vendor's account. Implementations are safe for concurrent use.
type Provider interface {
	// Name is the vendor's short name, "glm" or "kimi".
	Name() string
	// Models lists what the vendor is known to serve, the embedded catalogue's rows for it.
	Models() []Model
	// Chat makes exactly one request (it neither retries nor limits itself in time; ctx does) and streams it: on is called
	// from the calling goroutine for each delta, in order; a first event that carries nothing is an empty delta, which says
	// that the vendor has started to answer. The response holds the whole answer. On an error the response is nil when nothing arrived,
	// else it holds what did, and the error is an *Error.
	Chat(ctx context.Context, req ChatRequest, on func(Delta)) (*ChatResponse, error)
}

// Searcher is a Provider with a web-search endpoint of its own (no model call).
type Searcher interface {
	// CanSearch reports whether this account may search; a coding plan's may not.
	CanSearch() bool
	Search(ctx context.Context, q SearchQuery) (*SearchResult, error)
}

// Uploader is a Provider that stores files.
type Uploader interface {
	Upload(ctx context.Context, f File) (FileRef, error)
}

// Extractor is a Provider that turns an uploaded file into text.
type Extractor interface {
	Extract(ctx context.Context, fileID string) (string, error)
	DeleteFile(ctx context.Context, fileID string) error
}

// ModelLister is a Provider that can be asked what its key may use. An endpoint the vendor does not have is an empty list.
type ModelLister interface {
	ListModels(ctx context.Context) ([]Model, error)
}

// Balancer is a Provider that knows what is left on the account.
type Balancer interface {
	Balance(ctx context.Context) (Balance, error)
}

// TokenCounter is a Provider that counts a request's tokens.
type TokenCounter interface {
	CountTokens(ctx context.Context, req ChatRequest) (int, error)
}

// Formulas is a Provider that runs tools of its own for a model (Kimi's Formula API).
type Formulas interface {
	// FormulaTools lists the functions behind a formula such as "moonshot/web-search:latest".
	FormulaTools(ctx context.Context, formula string) ([]Function, error)
	// RunFormula runs one of them and returns the text for the tool message, verbatim (it may be encrypted).
	RunFormula(ctx context.Context, formula, name, arguments string) (string, error)
}

// Previewer is a Provider that can show the exact JSON body it would send.
type Previewer interface {
	Payload(req ChatRequest) (json.RawMessage, error)
}

// Role is who speaks in a Message.
type Role string

// The roles that both vendors know. ("developer" is not among them.)
const (
	RoleSystem    Role = "system"
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
	RoleTool      Role = "tool"
)

// Message is one message of a chat.
type Message struct {
	Role       Role       `json:"role"`
	Content    string     `json:"content"`
	Reasoning  string     `json:"reasoning,omitempty"`    // an assistant's, to be echoed unchanged within one tool loop
	Images     []Image    `json:"images,omitempty"`       // a user's; only for models with Images
	ToolCalls  []ToolCall `json:"tool_calls,omitempty"`   // an assistant's
	ToolCallID string     `json:"tool_call_id,omitempty"` // a tool's: the call that it answers
	Name       string     `json:"name,omitempty"`         // a tool's: the function's name
	// VendorFields are an assistant's, by their names on the wire: what its vendor wants back unchanged within a tool loop
	// ("reasoning_details"). A dialect sends only those that it knows as its own.
	VendorFields map[string]json.RawMessage `json:"vendor_fields,omitempty"`
}

// Image is a picture in memory. Providers send it as a data URL.
type Image struct {
	MIME string `json:"mime"`
	Data []byte `json:"data"`
}

// Function is a tool that a model may call.
type Function struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"` // a JSON Schema object
}

// ToolCall is a model's request to run a function. Kimi's ids ("search:0") are counters that may repeat between turns.
type ToolCall struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"` // JSON text, never empty: "{}" at least
	// VendorFields are what the vendor wants back with the call, as in Message ("extra_content", with a thought signature).
	VendorFields map[string]json.RawMessage `json:"vendor_fields,omitempty"`
}

// ChatRequest is one request to one model. A provider's dialect turns it into the vendor's wire form and leaves out, or
// clamps, what that model refuses.
type ChatRequest struct {
	Model           Model
	Messages        []Message
	Temperature     *float64        // nil: the vendor's default; dialects drop or clamp it per model
	Thinking        ThinkingSwitch  // resolved from a ThinkingMode by Model.Thinking.Switch
	MaxOutputTokens int             // the cap to send; 0 sends none
	Functions       []Function      // tools that the model may call
	ToolChoice      json.RawMessage // nil: "auto" where there are tools; else as the caller wrote it
	NativeSearch    bool            // attach the vendor's own search tool (only where Model.NativeSearch)
	JSONObject      bool            // ask for one JSON object as the answer
	CacheKey        string          // a routing hint for the vendor's prefix cache; "" sends none
	Drop            []string        // wire parameters to leave out, since the vendor refused them before
}

// Delta is one piece of a streamed answer. Only pieces that carry something are delivered, but for the first.
type Delta struct {
	Content   string
	Reasoning string
	ToolCall  bool // a piece of a tool call
	Restart   bool // the vendor begins the answer again: what was delivered before is void
	// Read is how many tokens of the prompt the server has read, of Prompt in all; 0 where it does not say. The answer has
	// not begun.
	Read, Prompt int
}

// Empty reports whether the delta carries nothing of an answer.
func (d Delta) Empty() bool { return d.Content == "" && d.Reasoning == "" && !d.ToolCall }

// ChatResponse is one request's whole answer, or what of it arrived.
type ChatResponse struct {
	Model        string // the id that the vendor says answered; "" if it says none
	Content      string
	Reasoning    string
	ToolCalls    []ToolCall
	VendorFields map[string]json.RawMessage // for the Message that goes back; nil if the vendor has none
	FinishReason FinishReason
	Usage        Usage
	UsageKnown   bool              // the vendor reported Usage
	CostKnown    bool              // Usage.CostUSD is what the vendor charges for the whole request
	RequestID    string            // the vendor's, for its support
	Header       map[string]string // response headers worth keeping (tracing, caching, limits), by lower-case name
	Searches     []SearchHit       // what the vendor's own search found, where it says so
}

// FinishReason says why an answer ended.
type FinishReason string

// The finish reasons, vendors' words mapped to one set ("sensitive" is content_filter).
const (
	FinishStop          FinishReason = "stop"
	FinishToolCalls     FinishReason = "tool_calls"
	FinishLength        FinishReason = "length"
	FinishContentFilter FinishReason = "content_filter"
	FinishTimeout       FinishReason = "timeout" // ours: a limit was exceeded
	FinishNetwork       FinishReason = "network" // the stream died
	FinishCancelled     FinishReason = "cancelled"
)

// Usage is what an answer took, in tokens, and what it cost.
type Usage struct {
	InputTokens     int `json:"input_tokens"` // cached ones included
	CachedTokens    int `json:"cached_tokens"`
	OutputTokens    int `json:"output_tokens"` // reasoning included
	ReasoningTokens int `json:"reasoning_tokens"`
	// CostUSD is from the catalogue's prices, and 0 where none is known. What a Provider returns holds only what is charged
	// beside the tokens, such as a search.
	CostUSD float64 `json:"cost_usd"`
}

// Plus adds two usages, for the rounds of one answer.
func (u Usage) Plus(v Usage) Usage {
	return Usage{
		InputTokens: u.InputTokens + v.InputTokens, CachedTokens: u.CachedTokens + v.CachedTokens,
		OutputTokens: u.OutputTokens + v.OutputTokens, ReasoningTokens: u.ReasoningTokens + v.ReasoningTokens,
		CostUSD: RoundUSD(u.CostUSD + v.CostUSD),
	}
}

// SearchQuery is one web search. Zero fields take the configured defaults.
type SearchQuery struct {
	Query        string
	Count        int    // 1 to 50
	Engine       string // the vendor's name of it
	Recency      string // oneDay, oneWeek, oneMonth, oneYear, noLimit
	DomainFilter string
	ContentSize  string // medium or high
	RequestID    string
	UserID       string
}

// SearchResult is what a search found, with the vendor's whole JSON reply beside it.
type SearchResult struct {
	Hits    []SearchHit
	Raw     json.RawMessage
	CostUSD float64 // 0 where the price is not known in USD
}

// SearchHit is one page found.
type SearchHit struct {
	Title     string `json:"title"`
	Content   string `json:"content"`
	Link      string `json:"link"`
	Media     string `json:"media,omitempty"`
	Icon      string `json:"icon,omitempty"`
	Refer     string `json:"refer,omitempty"`
	Published string `json:"publish_date,omitempty"`
}

// SearchTotal is how many web searches an answer made, and what they cost, which is part of its usage's cost too.
type SearchTotal struct {
	Count   int     `json:"count"`
	CostUSD float64 `json:"cost_usd"` // 0 where the vendor's price in USD is not known
}

// File is a file on its way to a vendor.
type File struct {
	Name    string // base name, as the vendor shows it
	Purpose string // the vendor's word: file-extract, agent ...
	Size    int64
	Body    io.Reader         // read once; sending it is bounded by ctx
	Sent    func(bytes int64) // called with the running count of bytes handed to the network; may be nil
}

// FileRef is a file at a vendor.
type FileRef struct {
	ID   string
	Name string
	Size int64
}

// Balance is what is left on an account.
type Balance struct {
	Available float64
	Currency  string // "USD" or "CNY"
}
