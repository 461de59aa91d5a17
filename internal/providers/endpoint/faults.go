package endpoint

import (
	"slices"
	"strconv"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

// noFunctions are what servers say whose model takes no functions: Ollama, vLLM without a parser for calls, llama.cpp without
// its templates, OpenRouter, others, and OpenAI where a model that reasons takes functions by another API alone.
var noFunctions = []string{
	"does not support tools", "tool choice requires", "support tool use", "tools are not supported", "does not support function",
	"function tools with reasoning_effort are not supported", "tools is not supported", "function calling is not supported",
	"tools param requires",
}

// sign is what a word in a fault means.
type sign struct {
	words   []string
	verdict openaicompat.Verdict
}

const (
	hintLoad    = "Load the model in the server that runs it, or name one that it has."
	hintLoading = "The server loads the model now: ask again in a minute."
	hintMemory  = "Name a smaller model, or free memory on the machine that runs the server."
	hintPath    = "Check {VENDOR}_API_URL: the server does not have that path."
	hintTokens  = "This account may ask for fewer tokens per minute than this request needs: send less, or raise the account's limit."
)

// codes are errors by the word or number that vendors have for them in code, type or status: OpenAI's, and where they differ
// Gemini's, Qwen's, MiniMax's and llama.cpp's.
var codes = []sign{
	{[]string{"context_length_exceeded", "exceed_context_size_error"}, openaicompat.Verdict{Kind: providers.KindContextLength}},
	{[]string{"insufficient_quota", "billing_hard_limit_reached", "budget_exceeded", "arrearage", "1008"}, openaicompat.Verdict{Kind: providers.KindBalance}},
	{[]string{"invalid_api_key", "authentication_error", "unauthenticated", "permission_denied", "permission_error", "1004"}, openaicompat.Verdict{Kind: providers.KindAuth}},
	{[]string{"model_not_found", "not_found_error", "model_not_available", "invalid_model", "deploymentnotfound", "key_model_access_denied", "team_model_access_denied"}, openaicompat.Verdict{Kind: providers.KindModelNotFound}},
	{[]string{"content_filter", "content_policy_violation", "data_inspection_failed", "1026", "1027"}, openaicompat.Verdict{Kind: providers.KindContentFiltered}},
	{[]string{"rate_limit_exceeded", "rate_limit_error", "resource_exhausted", "too_many_requests", "1002", "1039"}, openaicompat.Verdict{Kind: providers.KindRateLimited, Retry: true}},
	{[]string{"overloaded", "overloaded_error", "engine_overloaded", "unavailable", "service_unavailable", "insufficient_system_resource"}, openaicompat.Verdict{Kind: providers.KindOverloaded, Retry: true}},
	{[]string{"unsupported_parameter", "unsupported_value", "2013"}, openaicompat.Verdict{Kind: providers.KindInvalidRequest}},
}

// failures are words for a failure of the vendor's own that say less than an HTTP status does: they count inside an answer.
var failures = []string{"server_error", "internal_error", "internal_server_error", "api_error", "internal"}

// texts are errors that are known by their text, which says more than the code beside it where there is one.
var texts = []sign{
	{[]string{
		"maximum context length", "exceeds the available context size", "context length exceeded", "prompt is too long", "input length exceeds",
		"is too long to fit into the model", "loaded with context length of only", "tokens + `max_new_tokens` must be", "range of input length",
	}, openaicompat.Verdict{Kind: providers.KindContextLength}},
	{[]string{"api key not valid", "invalid api key", "incorrect api key"}, openaicompat.Verdict{Kind: providers.KindAuth}},
	{[]string{"insufficient balance", "insufficient credits", "requires more credits", "key limit exceeded"}, openaicompat.Verdict{Kind: providers.KindBalance}},
	{[]string{"try pulling it first", "no models loaded"}, openaicompat.Verdict{Kind: providers.KindModelNotFound, Hint: hintLoad}},
	{[]string{"not a valid model id", "no endpoints found for", "invalid model name"}, openaicompat.Verdict{Kind: providers.KindModelNotFound}},
	{[]string{"input was flagged"}, openaicompat.Verdict{Kind: providers.KindContentFiltered}},
	{[]string{"unexpected endpoint"}, openaicompat.Verdict{Kind: providers.KindProviderError, Hint: hintPath}},
	{[]string{"more system memory"}, openaicompat.Verdict{Kind: providers.KindProviderError, Message: "The server has too little memory for the model", Hint: hintMemory}},
	{[]string{"loading model", "model is loading", "model is unloaded"}, openaicompat.Verdict{
		Kind: providers.KindOverloaded, Retry: true, Message: "The server is loading the model", Hint: hintLoading,
	}},
	{[]string{"server busy"}, openaicompat.Verdict{Kind: providers.KindOverloaded, Retry: true}},
}

// classify says what a fault of an endpoint means, and what a rate limit counts where the text names it.
func classify(f openaicompat.Fault) openaicompat.Verdict {
	message := strings.ToLower(f.Message)
	v := kindOf(f, message)
	if v.Kind == providers.KindRateLimited || v.Kind == "" && f.Status == 429 {
		v.Kind, v.Retry = providers.KindRateLimited, true
		v.Concurrency = strings.Contains(message, "concurren")
		v.PerMinute = !v.Concurrency && (openaicompat.PerMinute(f.Message) || strings.Contains(message, "/min"))
		if over := tooManyTokens(f.Message); over > 0 { // the same request would be refused forever
			v.Retry, v.TooManyTokens, v.Hint = false, over, hintTokens
		}
	}
	return v
}

// requestTooLarge matches what OpenAI and Groq say where a request, its output limit included, may never be sent: "Request too
// large for model m ... on tokens per minute (TPM): Limit 12000, Requested 14137".
var requestTooLarge = lazyregexp.New(`(?s)^Request too large.*\bLimit (\d{1,9}), Requested (\d{1,9})\b`)

// tooManyTokens is by how many tokens a request was too large, 0 where the refusal does not say.
func tooManyTokens(message string) int {
	m := requestTooLarge().FindStringSubmatch(message)
	if m == nil {
		return 0
	}
	limit, _ := strconv.Atoi(m[1])     // digits
	requested, _ := strconv.Atoi(m[2]) // digits
	return max(requested-limit, 0)
}

func kindOf(f openaicompat.Fault, message string) openaicompat.Verdict {
	if containsAny(message, noFunctions) {
		return openaicompat.Verdict{Kind: providers.KindInvalidRequest, NoFunctions: true, Hint: "Name a model that takes functions, or send the request without them."}
	}
	for _, s := range texts {
		if containsAny(message, s.words) {
			return s.verdict
		}
	}
	for _, s := range codes {
		if containsFold(s.words, f.Code) || containsFold(s.words, f.Type) {
			return s.verdict
		}
	}
	if strings.Contains(message, "model") && strings.Contains(message, "does not exist") || strings.HasPrefix(message, "model ") && strings.Contains(message, "not found") {
		return openaicompat.Verdict{Kind: providers.KindModelNotFound}
	}
	if f.Status < 400 && (containsFold(failures, f.Code) || containsFold(failures, f.Type)) {
		return openaicompat.Verdict{Kind: providers.KindProviderError, Retry: true}
	}
	if f.Status < 400 && (strings.EqualFold(f.Code, "invalid_request_error") || strings.EqualFold(f.Type, "invalid_request_error")) {
		return openaicompat.Verdict{Kind: providers.KindInvalidRequest}
	}
	if f.Status == 402 && f.RetryAfter > 0 { // OpenRouter's, of a vendor behind it
		return openaicompat.Verdict{Kind: providers.KindRateLimited, Retry: true}
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

func containsFold(words []string, word string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, word) })
}

func containsAny(text string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}
