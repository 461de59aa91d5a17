package kimi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

// hints are what this vendor's failures usually come from.
var hints = map[providers.Kind]string{
	providers.KindAuth: "Check KIMI_API_KEY and KIMI_API_URL: keys of api.moonshot.ai and of api.moonshot.cn do not work on " +
		"each other, and a Kimi Code key works at https://api.kimi.com/coding/v1 alone.",
	providers.KindBalance: "Top up the account, and check that KIMI_API_URL is its region (https://api.moonshot.ai/v1 or https://api.moonshot.cn/v1). " +
		"A Kimi Code key pays with its membership, only at https://api.kimi.com/coding/v1, and only for the coding agents that the plan admits.",
}

const (
	hintPlatform = "use a pay-as-you-go key of platform.kimi.ai with KIMI_API_URL=https://api.moonshot.ai/v1 (platform.moonshot.cn: https://api.moonshot.cn/v1), or name a model of another vendor."
	hintQuota    = "Wait until the plan's quota is reset, which its page shows, or " + hintPlatform
	hintAgents   = "The key is not wrong: the plan is sold for certain coding agents, which this server is not among. Instead " + hintPlatform
)

// verdicts are the vendor's error types (Moonshot API docs, errors).
var verdicts = map[string]openaicompat.Verdict{
	"invalid_request_error":        {Kind: providers.KindInvalidRequest},
	"invalid_request":              {Kind: providers.KindInvalidRequest}, // of searches (Moonshot docs, search)
	"security_risk":                {Kind: providers.KindContentFiltered},
	"rate_limited":                 {Kind: providers.KindRateLimited, Retry: true},
	"rate_limit_unavailable":       {Kind: providers.KindRateLimited, Retry: true},
	"upstream_failed":              {Kind: providers.KindProviderError, Retry: true},
	"content_filter":               {Kind: providers.KindContentFiltered},
	"invalid_authentication_error": {Kind: providers.KindAuth},
	"incorrect_api_key_error":      {Kind: providers.KindAuth},
	"permission_denied_error":      {Kind: providers.KindAuth, Hint: "The key has no permission for this; see the account's page."},
	"engine_overloaded_error":      {Kind: providers.KindOverloaded, Retry: true},
	"rate_limit_reached_error":     {Kind: providers.KindRateLimited, Retry: true, PerMinute: true},
	"exceeded_current_quota_error": {Kind: providers.KindBalance},
	"server_error":                 {Kind: providers.KindProviderError, Retry: true},
	"unexpected_output":            {Kind: providers.KindProviderError, Retry: true},
}

// classify says what a fault means: by its type, or its code where there is one, refined by what its text names.
func classify(f openaicompat.Fault) openaicompat.Verdict {
	v, ok := verdicts[f.Type]
	if !ok {
		v, ok = verdicts[f.Code]
	}
	text := strings.ToLower(f.Message)
	if v, ok := ofPlan(f, text); ok {
		return v
	}
	switch {
	case f.Type == "resource_not_found_error" && f.Op == openaicompat.OpChat:
		return openaicompat.Verdict{Kind: providers.KindModelNotFound}
	case f.Type == "resource_not_found_error":
		return openaicompat.Verdict{Kind: providers.KindInvalidRequest, Hint: "It may have been deleted; upload it again."}
	case !ok, v.Kind == providers.KindInvalidRequest && f.Status > 400 && f.Status != 422:
		return openaicompat.Verdict{} // gateways call everything an invalid_request_error; there the status tells more
	case v.Kind == providers.KindInvalidRequest:
		return invalid(v, text)
	case v.Kind == providers.KindRateLimited:
		return rateLimit(v, text)
	}
	return v
}

// ofPlan classifies the refusals of a Kimi Code plan, which its 403 tells apart by their text alone (recorded under
// permission_error and access_terminated_error): the quota of a billing cycle or a week is used up, or the plan does not
// admit this client. A model list is served all the same.
func ofPlan(f openaicompat.Fault, text string) (openaicompat.Verdict, bool) {
	switch {
	case f.Type == "exceeded_current_quota_error" || f.Status != 0 && f.Status != http.StatusOK && f.Status != http.StatusForbidden && f.Status != http.StatusTooManyRequests:
	case strings.Contains(text, "usage limit"), strings.Contains(text, "quota") && (f.Type == "permission_error" || f.Type == "access_terminated_error"),
		f.Type == "access_terminated_error" && strings.Contains(text, "limit"):
		return openaicompat.Verdict{Kind: providers.KindRateLimited, Message: "Kimi's plan has used up its quota", Hint: hintQuota}, true
	case strings.Contains(text, "coding agent"):
		return openaicompat.Verdict{Kind: providers.KindAuth, Message: "Kimi's plan admits only certain coding agents", Hint: hintAgents}, true
	}
	return openaicompat.Verdict{}, false
}

// invalid: the window and the limits of files have no error type of their own; their messages tell ("exceeded model
// token limit", "model max length exceeded", "File size is too large", "max file count").
func invalid(v openaicompat.Verdict, text string) openaicompat.Verdict {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	switch {
	case has("token limit", "max length", "maximum context", "context length"):
		v.Kind = providers.KindContextLength
	case has("file size is too large"):
		v.Kind = providers.KindTooLarge
	case has("file count"):
		v.Hint = "The account has reached its file limit; delete some files at the vendor, and leave KIMI_FILES_KEEP off."
	}
	return v
}

// rateLimit: the message names which limit was reached: concurrency, RPM, TPM or TPD (Moonshot docs, rate limits). The
// day's is not worth a retry; one that is named neither so nor as concurrency counts a minute.
func rateLimit(v openaicompat.Verdict, text string) openaicompat.Verdict {
	switch {
	case strings.Contains(text, "tpd"):
		v.Retry, v.PerMinute = false, false
		v.Hint = "The daily token quota is exhausted; wait until tomorrow, or name a model of another vendor."
	case strings.Contains(text, "concurren"):
		v.Concurrency, v.PerMinute = true, false
	}
	return v
}
