package endpoint

import (
	"strconv"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

// noFunctions are what servers say whose model takes no functions: Ollama, vLLM without a parser for calls, OpenRouter,
// others, and OpenAI where a model that reasons takes functions by another API alone.
var noFunctions = []string{
	"does not support tools", "tool choice requires", "support tool use", "tools are not supported", "does not support function",
	"function tools with reasoning_effort are not supported", "tools is not supported", "function calling is not supported",
}

// sign is what a word in a fault means.
type sign struct {
	words   []string
	verdict openaicompat.Verdict
}

const hintLoad = "Load the model in the server that runs it, or name one that it has."

// codes are errors by the word or number that vendors have for them in code, type or status: OpenAI's, and where they differ
// Gemini's, Qwen's, MiniMax's and llama.cpp's.
var codes = []sign{
	{[]string{"context_length_exceeded", "exceed_context_size_error"}, openaicompat.Verdict{Kind: providers.KindContextLength}},
	{[]string{"insufficient_quota", "billing_hard_limit_reached", "arrearage", "1008"}, openaicompat.Verdict{Kind: providers.KindBalance}},
	{[]string{"invalid_api_key", "authentication_error", "unauthenticated", "permission_denied", "permission_error", "1004"}, openaicompat.Verdict{Kind: providers.KindAuth}},
	{[]string{"model_not_found", "not_found_error", "model_not_available"}, openaicompat.Verdict{Kind: providers.KindModelNotFound}},
	{[]string{"content_filter", "content_policy_violation", "data_inspection_failed", "1026", "1027"}, openaicompat.Verdict{Kind: providers.KindContentFiltered}},
	{[]string{"rate_limit_exceeded", "rate_limit_error", "resource_exhausted", "too_many_requests", "1002", "1039"}, openaicompat.Verdict{Kind: providers.KindRateLimited, Retry: true}},
	{[]string{"overloaded", "overloaded_error", "engine_overloaded", "unavailable", "service_unavailable"}, openaicompat.Verdict{Kind: providers.KindOverloaded, Retry: true}},
	{[]string{"server_error", "internal_error", "internal_server_error", "api_error", "internal"}, openaicompat.Verdict{Kind: providers.KindProviderError, Retry: true}},
	{[]string{"unsupported_parameter", "unsupported_value", "2013"}, openaicompat.Verdict{Kind: providers.KindInvalidRequest}},
}

// texts are errors that are known by their text alone.
var texts = []sign{
	{[]string{"maximum context length", "exceeds the available context size", "context length exceeded", "prompt is too long", "input length exceeds"}, openaicompat.Verdict{Kind: providers.KindContextLength}},
	{[]string{"api key not valid", "invalid api key", "incorrect api key"}, openaicompat.Verdict{Kind: providers.KindAuth}},
	{[]string{"insufficient balance", "insufficient credits", "requires more credits"}, openaicompat.Verdict{Kind: providers.KindBalance}},
	{[]string{"try pulling it first", "no models loaded"}, openaicompat.Verdict{Kind: providers.KindModelNotFound, Hint: hintLoad}},
	{[]string{"not a valid model id", "no endpoints found for", "invalid model name"}, openaicompat.Verdict{Kind: providers.KindModelNotFound}},
	{[]string{"loading model", "server busy", "model is loading"}, openaicompat.Verdict{Kind: providers.KindOverloaded, Retry: true}},
}

// classify says what a fault of an endpoint means, and what a rate limit counts where the text names it.
func classify(f openaicompat.Fault) openaicompat.Verdict {
	message := strings.ToLower(f.Message)
	v := kindOf(f, message)
	if v.Kind == providers.KindRateLimited || v.Kind == "" && f.Status == 429 {
		v.Kind, v.Retry = providers.KindRateLimited, true
		v.Concurrency = strings.Contains(message, "concurren")
		v.PerMinute = !v.Concurrency && containsAny(message, []string{"per min", "/min", "(rpm)", "(tpm)"})
	}
	return v
}

func kindOf(f openaicompat.Fault, message string) openaicompat.Verdict {
	if containsAny(message, noFunctions) {
		return openaicompat.Verdict{Kind: providers.KindInvalidRequest, NoFunctions: true, Hint: "Name a model that takes functions, or send the request without them."}
	}
	for _, s := range codes {
		for _, word := range s.words {
			if strings.EqualFold(f.Code, word) || strings.EqualFold(f.Type, word) {
				return s.verdict
			}
		}
	}
	for _, s := range texts {
		if containsAny(message, s.words) {
			return s.verdict
		}
	}
	if strings.Contains(message, "model") && strings.Contains(message, "does not exist") || strings.HasPrefix(message, "model ") && strings.Contains(message, "not found") {
		return openaicompat.Verdict{Kind: providers.KindModelNotFound}
	}
	if f.Status < 400 && (strings.EqualFold(f.Code, "invalid_request_error") || strings.EqualFold(f.Type, "invalid_request_error")) {
		return openaicompat.Verdict{Kind: providers.KindInvalidRequest}
	}
	if n, err := strconv.Atoi(f.Code); err == nil && f.Status < 400 { // an HTTP status inside a stream, as OpenRouter sends it
		return byNumber(n)
	}
	return openaicompat.Verdict{}
}

func byNumber(status int) openaicompat.Verdict {
	switch {
	case status == 400 || status == 422:
		return openaicompat.Verdict{Kind: providers.KindInvalidRequest}
	case status == 401:
		return openaicompat.Verdict{Kind: providers.KindAuth}
	case status == 402:
		return openaicompat.Verdict{Kind: providers.KindBalance}
	case status == 403:
		return openaicompat.Verdict{Kind: providers.KindContentFiltered} // OpenRouter's moderation
	case status == 404:
		return openaicompat.Verdict{Kind: providers.KindModelNotFound}
	case status == 408 || status == 502 || status == 503 || status == 529:
		return openaicompat.Verdict{Kind: providers.KindOverloaded, Retry: true}
	case status == 429:
		return openaicompat.Verdict{Kind: providers.KindRateLimited, Retry: true}
	case status >= 500 && status < 600:
		return openaicompat.Verdict{Kind: providers.KindProviderError, Retry: true}
	}
	return openaicompat.Verdict{}
}

func containsAny(text string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}
