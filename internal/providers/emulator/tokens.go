package emulator

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
)

// The emulator's tokenizer: four bytes are a token. It is not the vendors', but it is the same in every place that
// counts (usage, windows, limits, the token endpoints), so that numbers can be compared.
const (
	bytesPerToken = 4
	mediaTokens   = 1000 // of an image or a video, whatever its size
	// cacheBlock is what the prefix cache counts in. Kimi's was seen to; GLM's is not known to differ.
	cacheBlock = 256
	// builtinSearchTokens is what Kimi's built-in search adds to the prompt.
	builtinSearchTokens = 6000
	maxCacheBlocks      = 1 << 16
)

func tokensOf(s string) int { return (len(s) + bytesPerToken - 1) / bytesPerToken }

// promptTokens counts a request's messages and tools.
func promptTokens(v Vendor, c *Chat) int {
	n := tokensOf(promptText(v, c)) + mediaTokens*(c.media("image_url")+c.media("video_url")+c.media("file_url"))
	if len(c.Messages) > 0 && c.Messages[len(c.Messages)-1].Name == builtinSearch {
		n += builtinSearchTokens
	}
	return n
}

// promptText is what of a request the model reads, as one text: appending a message appends to it. Media stand in it
// by their hash. GLM drops what was thought before the last user message, unless clear_thinking is false: measured on open
// weights of GLM-5.2, a user message without it took the whole prefix cache away.
func promptText(v Vendor, c *Chat) string {
	thoughtFrom := 0
	if v == GLM && (c.body.Thinking == nil || c.body.Thinking.ClearThinking == nil || *c.body.Thinking.ClearThinking) {
		for i, m := range c.Messages {
			if m.Role == "user" {
				thoughtFrom = i
			}
		}
	}
	var b strings.Builder
	for _, t := range c.Tools {
		b.Write(t.Raw)
		b.WriteByte('\n')
	}
	for i, m := range c.Messages {
		b.WriteString(m.Role)
		b.WriteByte(' ')
		b.WriteString(m.Content)
		for _, p := range m.Parts {
			if p.Type != "text" {
				sum := sha256.Sum256([]byte(p.URL))
				b.Write(sum[:8])
			}
		}
		if i >= thoughtFrom {
			b.WriteString(value(m.Reasoning))
		}
		for _, tc := range m.ToolCalls {
			b.WriteString(tc.Name)
			b.WriteString(tc.Arguments)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// usage is what the answer costs. The prompt's leading blocks of 256 tokens that this model has seen before come from
// the cache.
func (in *inquiry) usage(a answer) Usage {
	u := Usage{Prompt: in.tokens, Reasoning: tokensOf(join(a.reasoning))}
	u.Output = u.Reasoning + tokensOf(join(a.content))
	for _, c := range a.calls {
		u.Output += tokensOf(c.Name + c.Arguments)
	}
	u.Cached = min(in.e.cached(in.v, in.c), u.Prompt)
	return u
}

// cached counts the prompt's tokens that are in the prefix cache, and puts the prompt into it.
func (e *Emulator) cached(v Vendor, c *Chat) int {
	const size = cacheBlock * bytesPerToken
	prompt := promptText(v, c)
	hash := sha256.Sum256([]byte(string(v) + " " + c.Model + " " + c.Effort)) // the effort stands at the head of the prompt
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.prefixes) > maxCacheBlocks {
		clear(e.prefixes)
	}
	hits, hitting := 0, true
	for ; len(prompt) >= size; prompt = prompt[size:] {
		hash = sha256.Sum256(append(hash[:], prompt[:size]...))
		if hitting = hitting && e.prefixes[hash]; hitting {
			hits++
		}
		e.prefixes[hash] = true
	}
	return hits * cacheBlock
}

// countTokens answers GLM's POST tokenizer and Kimi's POST tokenizers/estimate-token-count.
func (x *exchange) countTokens(string) (*result, error) {
	v := x.record.Vendor
	c, err := parseChat(x.sent)
	if err != nil {
		return nil, unreadable(v, err)
	}
	x.note(func(r *Request) { r.Chat = c })
	if v == GLM {
		return x.glmTokenizer(c)
	}
	if _, err := x.e.model(v, c); err != nil {
		return nil, err
	}
	if len(c.Messages) == 0 {
		return nil, badRequest(v, "no messages", "", "Invalid request: messages must not be empty")
	}
	return &result{json: map[string]any{"code": 0, "data": map[string]int{"total_tokens": promptTokens(v, c)}, "scode": "0x0", "status": true}}, nil
}

func (x *exchange) glmTokenizer(c *Chat) (*result, error) {
	switch c.Model {
	case "glm-4.6", "glm-4.6v", "glm-4.5": // the tokenizer's own enumeration
	case "":
		return nil, glmMissing("no model", "model")
	default:
		return nil, glmIllegal("model without tokenizer", "model")
	}
	if len(c.Messages) == 0 {
		return nil, glmMissing("no messages", "messages")
	}
	images, videos := mediaTokens*c.media("image_url"), mediaTokens*c.media("video_url")
	total := promptTokens(GLM, c)
	n := x.e.nextID()
	return &result{json: struct {
		ID        string         `json:"id"`
		RequestID string         `json:"request_id"`
		Created   int64          `json:"created"`
		Usage     map[string]int `json:"usage"`
	}{hexID("", n, 32), requestID(x.sent, hexID("", n, 32)), x.record.Time.Unix(), map[string]int{
		"prompt_tokens": total - images - videos, "image_tokens": images, "video_tokens": videos, "total_tokens": total,
	}}}, nil
}

// requestID is the request_id of a GLM body, or another.
func requestID(body []byte, other string) string {
	var b struct {
		RequestID string `json:"request_id"`
	}
	if json.Unmarshal(body, &b) == nil && b.RequestID != "" {
		return b.RequestID
	}
	return other
}
