package endpoint

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// recorded is a refusal as a vendor's users reported it or its documents show it, and what it means here.
type recorded struct {
	vendor, body string
	status       int
	header       []string // pairs
	kind         providers.Kind
	retry        bool
	wait         time.Duration
	minute       bool   // it names requests or tokens per minute
	atOnce       bool   // it names concurrency
	functions    bool   // the request may be sent without functions
	tooMany      int    // tokens by which the request exceeds what it may ask for
	param        string // that may be left out
	hint         string // part of the hint
}

func refusals() []recorded {
	return []recorded{
		{
			vendor: "openai", status: 401, kind: providers.KindAuth, hint: "LAB_API_KEY",
			body: `{"error":{"message":"Incorrect API key provided: sk-ab***cd.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`,
		},
		{
			vendor: "openai", status: 429, kind: providers.KindBalance, hint: "Top up",
			body: `{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`,
		},
		{
			vendor: "openai", status: 429, kind: providers.KindRateLimited, retry: true, minute: true, wait: 20 * time.Second,
			header: []string{"x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "6m0s", "x-ratelimit-remaining-tokens", "9000", "x-ratelimit-reset-tokens", "1s"},
			body:   `{"error":{"message":"Rate limit reached for m on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s.","type":"requests","param":null,"code":"rate_limit_exceeded"}}`,
		},
		{
			vendor: "openai", status: 429, kind: providers.KindRateLimited, minute: true, tooMany: 1538, hint: "tokens per minute",
			body: `{"error":{"message":"Request too large for m in organization o on tokens per min (TPM): Limit 30000, Requested 31538. The input or output tokens must be reduced in order to run successfully.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`,
		},
		{
			vendor: "openai", status: 400, kind: providers.KindInvalidRequest, param: "max_tokens",
			body: `{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}`,
		},
		{
			vendor: "openai", status: 400, kind: providers.KindInvalidRequest, functions: true, param: "reasoning_effort",
			body: `{"error":{"message":"Function tools with reasoning_effort are not supported for m in /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to 'none'.","type":"invalid_request_error","param":"reasoning_effort","code":null}}`,
		},
		{
			vendor: "openai", status: 400, kind: providers.KindContextLength,
			body: `{"error":{"message":"Input tokens exceed the configured limit of 922000 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`,
		},
		{
			vendor: "openai", status: 404, kind: providers.KindModelNotFound,
			body: `{"error":{"message":"The model 'm' does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}}`,
		},
		{
			vendor: "openai", status: 503, kind: providers.KindOverloaded, retry: true,
			body: `{"error":{"message":"That model is currently overloaded with other requests.","type":"server_error","param":null,"code":null}}`,
		},
		{
			vendor: "azure", status: 429, kind: providers.KindRateLimited, retry: true, wait: 24 * time.Second,
			body: `{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation have exceeded call rate limit of your current pricing tier. Please retry after 24 seconds."}}`,
		},
		{
			vendor: "azure", status: 400, kind: providers.KindContentFiltered,
			body: `{"error":{"message":"The response was filtered due to the prompt triggering the content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}`,
		},
		{
			vendor: "azure", status: 404, kind: providers.KindModelNotFound,
			body: `{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}`,
		},
		{
			vendor: "azure", status: 401, kind: providers.KindAuth,
			body: `{"statusCode":401,"message":"Access denied due to invalid subscription key or wrong API endpoint."}`,
		},
		{
			vendor: "gemini", status: 400, kind: providers.KindAuth,
			body: `[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]`,
		},
		{
			vendor: "gemini", status: 429, kind: providers.KindRateLimited, retry: true, wait: 17 * time.Second, minute: true,
			body: `[{"error":{"code":429,"message":"Quota exceeded for quota metric 'GenerateRequestsPerMinutePerProjectPerModel'.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"x"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"17s"}]}}]`,
		},
		{
			vendor: "gemini", status: 429, kind: providers.KindRateLimited, retry: true, wait: 43123456789 * time.Nanosecond,
			body: `{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.\nPlease retry in 43.123456789s.","status":"RESOURCE_EXHAUSTED"}}`,
		},
		{
			vendor: "gemini", status: 503, kind: providers.KindOverloaded, retry: true,
			body: `[{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}]`,
		},
		{
			vendor: "gemini", status: 400, kind: providers.KindInvalidRequest,
			body: `[{"error":{"code":400,"message":"Function call is missing a thought_signature in functionCall parts.","status":"INVALID_ARGUMENT"}}]`,
		},
		{
			vendor: "openrouter", status: 429, kind: providers.KindRateLimited, retry: true,
			body: `{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"m is temporarily rate-limited upstream. Please retry shortly, or add your own key.","provider_name":"BaseTen"}},"user_id":"u"}`,
		},
		{
			vendor: "openrouter", status: 429, kind: providers.KindRateLimited, retry: true, minute: true, wait: 30 * time.Second,
			body: `{"error":{"message":"Rate limit exceeded: free-models-per-min. ","code":429,"metadata":{"headers":{"X-RateLimit-Limit":"16","X-RateLimit-Remaining":"0","X-RateLimit-Reset":"{ms+30}"},"provider_name":null}},"user_id":"u"}`,
		},
		{
			vendor: "openrouter", status: 402, kind: providers.KindBalance,
			body: `{"error":{"message":"This request requires more credits, or fewer max_tokens. You requested up to 32768 tokens, but can only afford 1201.","code":402,"metadata":{"provider_name":null}}}`,
		},
		{
			vendor: "openrouter", status: 402, kind: providers.KindRateLimited, retry: true, wait: 9 * time.Second, header: []string{"Retry-After", "9"},
			body: `{"error":{"message":"Provider returned error","code":402}}`,
		},
		{
			vendor: "openrouter", status: 400, kind: providers.KindContextLength,
			body: `{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"This model's maximum context length is 131072 tokens. However, you requested 200000.\",\"type\":\"invalid_request_error\"}}","provider_name":"Crucible"}}}`,
		},
		{
			vendor: "openrouter", status: 404, kind: providers.KindInvalidRequest, functions: true,
			body: `{"error":{"message":"No endpoints found that support tool use. Try disabling \"read_file\".","code":404}}`,
		},
		{
			vendor: "openrouter", status: 404, kind: providers.KindModelNotFound,
			body: `{"error":{"message":"No endpoints found for maker/m.","code":404}}`,
		},
		{
			vendor: "openrouter", status: 400, kind: providers.KindModelNotFound,
			body: `{"error":{"message":"maker/m is not a valid model ID","code":400}}`,
		},
		{
			vendor: "openrouter", status: 403, kind: providers.KindContentFiltered,
			body: `{"error":{"message":"Your input was flagged","code":403,"metadata":{"reasons":["violence"],"flagged_input":"...","provider_name":"OpenAI","model_slug":"m"}}}`,
		},
		{
			vendor: "openrouter", status: 403, kind: providers.KindBalance,
			body: `{"error":{"message":"Key limit exceeded (total limit). Manage it in your settings.","code":403}}`,
		},
		{
			vendor: "openrouter", status: 502, kind: providers.KindProviderError, retry: true,
			body: `{"error":{"message":"Provider returned error","code":502,"metadata":{"raw":"error code: 1015","provider_name":"Kluster"}}}`,
		},
		{
			vendor: "deepseek", status: 402, kind: providers.KindBalance,
			body: `{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}`,
		},
		{
			vendor: "deepseek", status: 422, kind: providers.KindInvalidRequest, param: "max_tokens",
			body: `{"error":{"message":"Failed to deserialize the JSON body into the target type: max_tokens: invalid value","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}`,
		},
		{
			vendor: "deepseek", status: 400, kind: providers.KindInvalidRequest, param: "max_tokens",
			body: `{"error":{"message":"Invalid max_tokens value, the valid range of max_tokens is [1, 8192]","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}`,
		},
		{
			vendor: "deepseek", status: 429, kind: providers.KindRateLimited, retry: true, atOnce: true,
			body: `{"error":{"message":"You have reached the maximum number of concurrent requests.","type":"rate_limit_error","param":null,"code":null}}`,
		},
		{
			vendor: "mistral", status: 422, kind: providers.KindInvalidRequest, param: "stream_options",
			body: `{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted","input":{}}]},"type":"invalid_request_error","param":null,"code":null}`,
		},
		{
			vendor: "mistral", status: 422, kind: providers.KindInvalidRequest, param: "max_tokens",
			body: `{"object":"Error","detail":[{"type":"extra_forbidden","loc":["body","max_tokens"],"msg":"Extra inputs are not permitted","input":1}],"message":[{"type":"extra_forbidden","loc":["body","max_tokens"],"msg":"Extra inputs are not permitted","input":1}],"type":"invalid_request_error","code":3001}`,
		},
		{
			vendor: "mistral", status: 422, kind: providers.KindInvalidRequest, param: "stream_options",
			body: `{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted","input":{}}]}`,
		},
		{
			vendor: "mistral", status: 429, kind: providers.KindRateLimited, retry: true,
			body: `{"object":"error","message":"Service tier capacity exceeded for this model.","type":"service_tier_capacity_exceeded","param":null,"code":"3505"}`,
		},
		{
			vendor: "mistral", status: 429, kind: providers.KindRateLimited, retry: true, wait: 12 * time.Second,
			header: []string{"ratelimitbysize-reset", "12", "x-ratelimit-reset", "12"},
			body:   `{"message":"Requests rate limit exceeded"}`,
		},
		{vendor: "mistral", status: 401, kind: providers.KindAuth, body: `{"message":"Unauthorized","request_id":"r"}`},
		{
			vendor: "mistral", status: 400, kind: providers.KindModelNotFound,
			body: `{"object":"error","message":"Invalid model: m","type":"invalid_model","param":null,"code":"1500"}`,
		},
		{
			vendor: "groq", status: 413, kind: providers.KindRateLimited, minute: true, tooMany: 2137, hint: "tokens per minute",
			body: "{\"error\":{\"message\":\"Request too large for model `m` in organization `o` service tier `on_demand` on tokens per minute (TPM): Limit 12000, Requested 14137, please reduce your message size and try again.\",\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}",
		},
		{
			vendor: "groq", status: 429, kind: providers.KindRateLimited, retry: true, wait: 9*time.Minute + 38016*time.Millisecond,
			body: `{"error":{"message":"Rate limit reached for model m on tokens per day (TPD): Limit 100000, Used 97050, Requested 3619. Please try again in 9m38.016s. Need more tokens? Upgrade to Dev Tier today.","type":"tokens","code":"rate_limit_exceeded"}}`,
		},
		{
			vendor: "groq", status: 429, kind: providers.KindRateLimited, retry: true, minute: true, wait: 6780999999,
			body: `{"error":{"message":"Rate limit reached for model m on tokens per minute (TPM): Limit 6000, Used 3513, Requested 3166. Please try again in 6.780999999s.","type":"tokens","code":"rate_limit_exceeded"}}`,
		},
		{
			vendor: "groq", status: 429, kind: providers.KindRateLimited, retry: true, wait: 7660 * time.Millisecond,
			header: []string{"x-ratelimit-remaining-requests", "14370", "x-ratelimit-reset-requests", "2m59.56s", "x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens", "7.66s"},
			body:   `{"error":{"message":"Rate limit reached","type":"tokens","code":"rate_limit_exceeded"}}`,
		},
		{
			vendor: "together", status: 422, kind: providers.KindContextLength,
			body: "{\"id\":\"x\",\"error\":{\"message\":\"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 65537. Given: 79993 `inputs` tokens and 1024 `max_new_tokens`\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}}",
		},
		{
			vendor: "together", status: 404, kind: providers.KindModelNotFound,
			body: `{"id":"x","error":{"message":"Unable to access model m. Please visit the list of supported models.","type":"invalid_request_error","param":null,"code":"model_not_available"}}`,
		},
		{
			vendor: "together", status: 429, kind: providers.KindRateLimited, retry: true, wait: 1500 * time.Millisecond,
			header: []string{"x-ratelimit-remaining", "0", "x-ratelimit-reset", "1.5"},
			body:   `{"id":"x","error":{"message":"You have reached the rate limit specific to this model.","type":"model_rate_limit","param":null,"code":null}}`,
		},
		{
			vendor: "fireworks", status: 404, kind: providers.KindModelNotFound,
			body: `{"error":{"object":"error","type":"invalid_request_error","code":"NOT_FOUND","message":"Model not found, inaccessible, and/or not deployed"}}`,
		},
		{vendor: "fireworks", status: 400, kind: providers.KindContextLength, body: `{"error":"The prompt is too long: 140000, model maximum context length: 131071"}`},
		{vendor: "fireworks", status: 401, kind: providers.KindAuth, body: `{"error":"unauthorized"}`},
		{
			vendor: "vllm", status: 400, kind: providers.KindContextLength,
			body: `{"object":"error","message":"This model's maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 in the messages, 10000 in the completion).","type":"BadRequestError","param":null,"code":400}`,
		},
		{
			vendor: "vllm", status: 400, kind: providers.KindContextLength,
			body: `{"error":{"message":"The prompt (total length 25938) is too long to fit into the model (context length 4096). Make sure that max_model_len is no smaller.","type":"BadRequestError","param":null,"code":400}}`,
		},
		{
			vendor: "vllm", status: 404, kind: providers.KindModelNotFound,
			body: "{\"object\":\"error\",\"message\":\"The model `m` does not exist.\",\"type\":\"NotFoundError\",\"param\":null,\"code\":404}",
		},
		{
			vendor: "vllm", status: 400, kind: providers.KindInvalidRequest, functions: true,
			body: `{"error":{"message":"\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set","type":"BadRequestError","param":null,"code":400}}`,
		},
		{vendor: "vllm", status: 401, kind: providers.KindAuth, body: `{"error":"Unauthorized"}`},
		{
			vendor: "llama.cpp", status: 503, kind: providers.KindOverloaded, retry: true, hint: "loads the model",
			body: `{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}`,
		},
		{
			vendor: "llama.cpp", status: 400, kind: providers.KindContextLength,
			body: `{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error","n_prompt_tokens":14429,"n_ctx":8192}}`,
		},
		{
			vendor: "llama.cpp", status: 401, kind: providers.KindAuth,
			body: `{"error":{"code":401,"message":"Invalid API Key","type":"authentication_error"}}`,
		},
		{
			vendor: "llama.cpp", status: 500, kind: providers.KindInvalidRequest, functions: true,
			body: `{"error":{"code":500,"message":"tools param requires --jinja flag","type":"server_error"}}`,
		},
		{
			vendor: "LM Studio", status: 400, kind: providers.KindContextLength,
			body: `{"error":"Trying to keep the first 111490 tokens when context the overflows. However, the model is loaded with context length of only 32768 tokens, which is not enough."}`,
		},
		{
			vendor: "LM Studio", status: 404, kind: providers.KindModelNotFound, hint: "Load the model",
			body: `{"error":{"message":"No models loaded. Please load a model in the developer page or use the 'lms load' command.","type":"invalid_request_error","param":"model","code":"model_not_found"}}`,
		},
		{
			vendor: "LM Studio", status: 200, kind: providers.KindProviderError, hint: "LAB_API_URL",
			body: `{"error":"Unexpected endpoint or method. (POST /chat/completions)"}`,
		},
		{vendor: "LM Studio", status: 400, kind: providers.KindOverloaded, retry: true, hint: "loads the model", body: `{"error":"Model is unloaded."}`},
		{
			vendor: "LiteLLM", status: 400, kind: providers.KindModelNotFound,
			body: "{\"error\":{\"message\":\"/chat/completions: Invalid model name passed in model=m. Call `/v1/models` to view available models for your key.\",\"type\":\"None\",\"param\":\"None\",\"code\":\"400\"}}",
		},
		{
			vendor: "LiteLLM", status: 401, kind: providers.KindModelNotFound,
			body: `{"error":{"message":"key not allowed to access model. This key can only access models=['a']. Tried to access m","type":"key_model_access_denied","param":"model","code":"401"}}`,
		},
		{
			vendor: "LiteLLM", status: 401, kind: providers.KindAuth,
			body: `{"error":{"message":"Authentication Error, Invalid proxy server token passed. Received API Key = sk-...1234","type":"token_not_found_in_db","param":"key","code":"401"}}`,
		},
		{
			vendor: "LiteLLM", status: 400, kind: providers.KindBalance,
			body: `{"error":{"message":"Budget has been exceeded! Current cost: 0.0009, Max budget: 0.0001","type":"budget_exceeded","param":null,"code":"400"}}`,
		},
		{
			vendor: "LiteLLM", status: 400, kind: providers.KindContextLength,
			body: `{"error":{"message":"litellm.ContextWindowExceededError: litellm.BadRequestError: AnthropicException - prompt is too long: 205999 tokens > 200000 maximum. Received Model Group=m","type":null,"param":null,"code":"400"}}`,
		},
		{
			vendor: "LiteLLM", status: 429, kind: providers.KindRateLimited, retry: true, wait: 5 * time.Second,
			body: `{"error":{"message":"litellm.RateLimitError: No deployments available for selected model, Try again in 5 seconds. Passed model=m.","type":"None","param":"None","code":"429"}}`,
		},
		{
			vendor: "LiteLLM", status: 400, kind: providers.KindInvalidRequest, param: "reasoning_effort",
			body: `{"error":{"message":"litellm.UnsupportedParamsError: openai does not support parameters: ['reasoning_effort'], for model=m. To drop these, set litellm.drop_params=True","type":"None","param":null,"code":"400"}}`,
		},
		{
			vendor: "xai", status: 400, kind: providers.KindAuth,
			body: `{"code":"Client specified an invalid argument","error":"Incorrect API key provided: ab***yz. You can obtain an API key from the console."}`,
		},
		{
			vendor: "xai", status: 400, kind: providers.KindInvalidRequest, param: "reasoning_effort",
			body: `{"code":"Client specified an invalid argument","error":"Model m does not support parameter reasoningEffort."}`,
		},
		{
			vendor: "xai", status: 404, kind: providers.KindModelNotFound,
			body: `{"code":"Some requested entity was not found","error":"The model m does not exist or your team does not have access to it."}`,
		},
		{
			vendor: "qwen", status: 400, kind: providers.KindBalance,
			body: `{"error":{"code":"Arrearage","param":null,"message":"Access denied, please make sure your account is in good standing.","type":"Arrearage"},"id":"x","request_id":"r"}`,
		},
		{
			vendor: "qwen", status: 400, kind: providers.KindContentFiltered,
			body: `{"error":{"code":"data_inspection_failed","param":null,"message":"Input data may contain inappropriate content.","type":"data_inspection_failed"},"request_id":"r"}`,
		},
		{
			vendor: "qwen", status: 400, kind: providers.KindContextLength,
			body: `{"error":{"code":"invalid_parameter_error","param":null,"message":"Range of input length should be [1, 129024]","type":"invalid_request_error"},"request_id":"r"}`,
		},
		{vendor: "minimax", status: 200, kind: providers.KindAuth, body: `{"base_resp":{"status_code":1004,"status_msg":"login fail: Please carry the API secret key"}}`},
		{vendor: "minimax", status: 200, kind: providers.KindBalance, body: `{"id":"x","choices":null,"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}`},
		{vendor: "minimax", status: 200, kind: providers.KindRateLimited, retry: true, body: `{"id":"x","base_resp":{"status_code":1002,"status_msg":"rate limit"}}`},
		{
			vendor: "ollama", status: 404, kind: providers.KindModelNotFound, hint: "Load the model",
			body: `{"error":{"message":"model \"m\" not found, try pulling it first","type":"not_found_error","param":null,"code":null}}`,
		},
		{
			vendor: "ollama", status: 400, kind: providers.KindInvalidRequest, functions: true,
			body: `{"error":{"message":"registry.ollama.ai/library/m does not support tools","type":"api_error","param":null,"code":null}}`,
		},
		{
			vendor: "ollama", status: 400, kind: providers.KindInvalidRequest, param: "reasoning_effort",
			body: `{"error":{"message":"\"m\" does not support thinking","type":"invalid_request_error","param":null,"code":null}}`,
		},
		{
			vendor: "ollama", status: 503, kind: providers.KindOverloaded, retry: true,
			body: `{"error":{"message":"server busy, please try again.  maximum pending requests exceeded","type":"api_error","param":null,"code":null}}`,
		},
		{
			vendor: "ollama", status: 500, kind: providers.KindProviderError, hint: "smaller model",
			body: `{"error":{"message":"model requires more system memory (5.6 GiB) than is available (3.9 GiB)","type":"api_error","param":null,"code":null}}`,
		},
		{vendor: "a gateway", status: 502, kind: providers.KindProviderError, retry: true, body: "<html><body><h1>502 Bad Gateway</h1></body></html>"},
		{vendor: "a gateway", status: 404, kind: providers.KindProviderError, hint: "LAB_API_URL", body: `{"detail":"Not Found"}`},
		{vendor: "a gateway", status: 529, kind: providers.KindOverloaded, retry: true, body: ``},
	}
}

// What vendors, gateways and servers were recorded to refuse with, in the words of each.
func TestRecordedRefusals(t *testing.T) {
	for _, r := range refusals() {
		t.Run(r.vendor+" "+r.body[:min(len(r.body), 60)], func(t *testing.T) {
			body := strings.ReplaceAll(r.body, "{ms+30}", epochMillis(30*time.Second))
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for i := 0; i+1 < len(r.header); i += 2 {
					w.Header().Set(r.header[i], r.header[i+1])
				}
				w.WriteHeader(r.status)
				_, _ = io.WriteString(w, body)
			}))
			defer s.Close()
			resp, err := at(t, s.URL).Chat(t.Context(), providers.ChatRequest{
				Model: providers.Model{ID: "lab/m", Functions: true}, MaxOutputTokens: 100, Thinking: providers.ThinkingSwitch{Effort: "high"},
				Messages:  []providers.Message{{Role: providers.RoleUser, Content: "hello"}},
				Functions: []providers.Function{{Name: "look"}},
			}, nil)
			assert.Nil(t, resp)
			var e *providers.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, r.kind, e.Kind, e.Error())
			assert.Equal(t, r.retry, e.Retry, "retry")
			if body != r.body { // it names a moment
				assert.InDelta(t, r.wait.Seconds(), e.RetryAfter.Seconds(), 2, "wait")
			} else {
				assert.Equal(t, r.wait, e.RetryAfter, "wait")
			}
			assert.Equal(t, r.minute, e.PerMinute, "per minute")
			assert.Equal(t, r.atOnce, e.Concurrency, "concurrency")
			assert.Equal(t, r.functions, e.NoFunctions, "functions")
			assert.Equal(t, r.tooMany, e.TooManyTokens, "tokens")
			assert.Equal(t, r.param, e.Param, "parameter")
			assert.Equal(t, "lab/m", e.Model)
			assert.Contains(t, e.Hint, r.hint)
			assert.NotEmpty(t, e.Hint)
			for _, said := range []string{"organization", "sk-", "BaseTen", "Extra inputs", "AnthropicException", "GiB"} {
				assert.NotContains(t, e.Message+e.Hint, said, "the vendor's own sentence is not shown")
			}
		})
	}
}

// at is an endpoint of the user's own at an address, of which nothing is known but that its models think by effort.
func at(t *testing.T, address string) *Provider {
	t.Helper()
	c, err := config.Load(config.Options{Environ: []string{"ENDPOINTS=lab", "LAB_API_URL=" + address + "/v1", "LAB_API_KEY=k"}})
	require.NoError(t, err)
	c.Vendor("lab").Row.Endpoint.Thinking = "effort"
	p, err := New(Options{Vendor: *c.Vendor("lab")})
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

// epochMillis is a moment from now on as OpenRouter writes it.
func epochMillis(in time.Duration) string {
	return strconv.FormatInt(time.Now().Add(in).UnixMilli(), 10)
}
