package kimi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	openai "github.com/sashabaranov/go-openai"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

// dialect is everything that Kimi does its own way.
func dialect() openaicompat.Dialect {
	return openaicompat.Dialect{Name: Name, Label: "Kimi", Shape: shape, Classify: classify, Hints: hints}
}

// shape finishes a chat request: one line per quirk.
func shape(req providers.ChatRequest, w *openaicompat.Wire) {
	limitOutput(req, w)
	setTemperature(req, w)
	requireOne(req, w)
	routeToCache(req, w)
	fillEmptyContent(req, w)
	fillReasoning(req, w)
}

// limitOutput: max_tokens is deprecated for max_completion_tokens (Moonshot API docs, chat completion).
func limitOutput(req providers.ChatRequest, w *openaicompat.Wire) {
	w.MaxCompletionTokens = openaicompat.OutputCap(req, 0)
}

// setTemperature: from K2.5 on temperature, top_p, n and both penalties are fixed, and any other value is a 400
// (Moonshot API docs, model parameters). Those models have no range in the catalogue; the older ones take 0 as well.
func setTemperature(req providers.ChatRequest, w *openaicompat.Wire) {
	if t, ok := openaicompat.Temperature(req); ok {
		w.Set("temperature", t)
	}
}

// requireOne: a thinking model refuses a tool_choice that names a function, and takes "required" where the catalogue says
// so (Moonshot docs, thinking models and tools). The named function, required alone, is the same wish.
func requireOne(req providers.ChatRequest, w *openaicompat.Wire) {
	choice, named := w.ToolChoice.(json.RawMessage)
	var one struct {
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if !named || !thinks(req) || json.Unmarshal(choice, &one) != nil || one.Function.Name == "" {
		return
	}
	w.ToolChoice = "auto"
	i := slices.IndexFunc(w.Tools, func(t openai.Tool) bool { return t.Function.Name == one.Function.Name })
	if i >= 0 && slices.Contains(req.Model.ToolChoices, "required") {
		w.ToolChoice, w.Tools = "required", w.Tools[i:i+1]
	}
}

// thinks reports whether the model will think about this request.
func thinks(req providers.ChatRequest) bool {
	return req.Model.Thinking.Thinks() && req.Thinking.Type != "disabled"
}

// routeToCache: prompt_cache_key sends requests with the same prefix to where it is cached (Moonshot API docs, chat
// completion). Kimi Code requires it (Kimi Code docs); a request of no conversation has a key of what it begins with.
func routeToCache(req providers.ChatRequest, w *openaicompat.Wire) {
	key := req.CacheKey
	if key == "" && len(req.Messages) > 0 {
		sum := sha256.Sum256([]byte(req.Messages[0].Content))
		key = hex.EncodeToString(sum[:16])
	}
	if key != "" {
		w.Set("prompt_cache_key", key)
	}
}

// fillEmptyContent: a message's content must not be empty (Moonshot API docs, chat completion). An assistant message
// with tool calls may do without.
func fillEmptyContent(req providers.ChatRequest, w *openaicompat.Wire) {
	for i, m := range req.Messages {
		if strings.TrimSpace(m.Content) == "" && len(m.Images) == 0 && len(m.ToolCalls) == 0 {
			w.Messages[i].Content = "(empty)"
		}
	}
}

// fillReasoning: while a model thinks, an assistant message with tool calls that comes back without its reasoning is a
// 400 (Moonshot docs, thinking models and tools). A message that another model wrote has none.
func fillReasoning(req providers.ChatRequest, w *openaicompat.Wire) {
	if !thinks(req) {
		return
	}
	for i := range w.Messages {
		if len(w.Messages[i].ToolCalls) > 0 && w.Messages[i].ReasoningContent == "" {
			w.Messages[i].ReasoningContent = "."
		}
	}
}
