package openaicompat

import (
	"encoding/json"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// event is one streamed event, or a whole answer from a server that does not stream. Vendors put usage in three places:
// at the top, in the finishing choice (Moonshot), and cached_tokens beside the details (Moonshot).
type event struct {
	ID        text     `json:"id"`
	RequestID text     `json:"request_id"`
	Model     text     `json:"model"`
	Choices   []choice `json:"choices"`
	Usage     *usage   `json:"usage"`
	Groq      struct {
		Usage *usage `json:"usage"`
	} `json:"x_groq"`
	Timings   *timings        `json:"timings"` // llama.cpp's, with the last event
	Progress  *promptProgress `json:"prompt_progress"`
	WebSearch searchHits      `json:"web_search"`

	// What an event that reports an error has instead; parseFault reads it.
	Error json.RawMessage `json:"error"`
	Code  json.RawMessage `json:"code"`
	Base  json.RawMessage `json:"base_resp"` // MiniMax's, whatever its code
}

type choice struct {
	Delta        *delta `json:"delta"`
	Message      *delta `json:"message"`
	FinishReason text   `json:"finish_reason"`
	Usage        *usage `json:"usage"`

	Error json.RawMessage `json:"error"` // OpenRouter's, with the finish reason error
}

type delta struct {
	Content   content     `json:"content"`
	Reasoning fragment    `json:"reasoning_content"`
	Thoughts  fragment    `json:"reasoning"` // the same at other vendors; some send both
	Refusal   text        `json:"refusal"`   // OpenAI's, instead of content
	ToolCalls []callPiece `json:"tool_calls"`

	// What some vendors want back unchanged (Dialect.Returned).
	Details json.RawMessage `json:"reasoning_details"`
	Extra   json.RawMessage `json:"extra_content"`
}

// fields are the vendor's own fields of a delta.
func (d *delta) fields() map[string]json.RawMessage {
	return map[string]json.RawMessage{"reasoning_details": d.Details, "extra_content": d.Extra}
}

type callPiece struct {
	Index    *count `json:"index"`
	ID       text   `json:"id"`
	Function struct {
		Name      text          `json:"name"`
		Arguments argumentPiece `json:"arguments"`
	} `json:"function"`
	Extra json.RawMessage `json:"extra_content"`
}

type usage struct {
	Prompt        count   `json:"prompt_tokens"`
	Completion    count   `json:"completion_tokens"`
	Total         count   `json:"total_tokens"`
	Cached        count   `json:"cached_tokens"`
	CacheHit      count   `json:"prompt_cache_hit_tokens"` // DeepSeek's name, as part of the prompt (DeepSeek API docs)
	Cost          *Amount `json:"cost"`                    // USD, of OpenRouter (OpenRouter docs, usage accounting)
	PromptDetails struct {
		Cached count `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	CompletionDetails struct {
		Reasoning count `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

// UnmarshalJSON implements json.Unmarshaler. It never fails: what is no count of its own is left out.
func (u *usage) UnmarshalJSON(b []byte) error {
	type plain usage
	var p plain
	_ = json.Unmarshal(b, &p)
	*u = usage(p)
	return nil
}

// promptProgress is what llama.cpp says while it reads the prompt, where return_progress asks for it (llama.cpp server README).
type promptProgress struct {
	Total     count `json:"total"`
	Processed count `json:"processed"` // what was cached included
}

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (p *promptProgress) UnmarshalJSON(b []byte) error {
	type plain promptProgress
	var v plain
	if json.Unmarshal(b, &v) == nil {
		*p = promptProgress(v)
	}
	return nil
}

// timings are llama.cpp's counts of an answer (llama.cpp server README, timings); its prompt_n is without what was cached.
type timings struct {
	Cached     count `json:"cache_n"`
	Prompt     count `json:"prompt_n"`
	Completion count `json:"predicted_n"`
}

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (t *timings) UnmarshalJSON(b []byte) error {
	type plain timings
	var p plain
	if json.Unmarshal(b, &p) == nil {
		*t = timings(p)
	}
	return nil
}

// usage is what a vendor's usage would say.
func (t *timings) usage() *usage {
	if t == nil {
		return nil
	}
	return &usage{Prompt: t.Cached + t.Prompt, Completion: t.Completion, Cached: t.Cached}
}

// searchHits are the pages that an answer tells it was made from. They never fail to decode: an answer is more than they.
type searchHits []searchHit

// UnmarshalJSON implements json.Unmarshaler.
func (h *searchHits) UnmarshalJSON(b []byte) error {
	var list []searchHit
	if json.Unmarshal(b, &list) == nil {
		*h = list
	}
	return nil
}

type searchHit struct {
	Title     text `json:"title"`
	Content   text `json:"content"`
	Link      text `json:"link"`
	Media     text `json:"media"`
	Icon      text `json:"icon"`
	Refer     text `json:"refer"`
	Published text `json:"publish_date"`
}

// hit is the search hit in the vocabulary's form.
func (h searchHit) hit() providers.SearchHit {
	return providers.SearchHit{
		Title: string(h.Title), Content: string(h.Content), Link: string(h.Link), Media: string(h.Media),
		Icon: string(h.Icon), Refer: string(h.Refer), Published: string(h.Published),
	}
}
