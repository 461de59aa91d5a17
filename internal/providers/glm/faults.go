package glm

import (
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

// hints are what this vendor's failures usually come from.
var hints = map[providers.Kind]string{
	providers.KindAuth: "Check GLM_API_KEY and GLM_API_URL: keys of api.z.ai and of open.bigmodel.cn do not work on each other.",
	providers.KindBalance: "Top up the account in the region of GLM_API_URL (api.z.ai or open.bigmodel.cn). A plan's older key pays with the plan " +
		"only at the plan's address (https://api.z.ai/api/coding/paas/v4 or https://open.bigmodel.cn/api/coding/paas/v4); a newer key pays by its kind " +
		"at every address, so use one of the right kind. A coding plan permits only the tools that its terms name.",
}

const (
	hintWindow = "The plan's window is used up; wait for its reset, which the account's page shows, or name a model of another vendor."
	hintPlan   = "The plan does not permit this use. See its terms, or use a pay-as-you-go key."
)

// verdicts are the vendor's error codes (Z.ai and BigModel API docs, error codes). HTTP says little beside them: 429 is
// also what an empty balance gets.
var verdicts = map[string]openaicompat.Verdict{
	"500":  {Kind: providers.KindProviderError, Retry: true},
	"1200": {Kind: providers.KindProviderError, Retry: true},
	"1230": {Kind: providers.KindProviderError, Retry: true},
	"1234": {Kind: providers.KindNetwork, Retry: true},

	"401":  {Kind: providers.KindAuth},
	"1000": {Kind: providers.KindAuth},
	"1001": {Kind: providers.KindAuth},
	"1002": {Kind: providers.KindAuth},
	"1003": {Kind: providers.KindAuth},
	"1004": {Kind: providers.KindAuth},
	"1110": {Kind: providers.KindAuth, Hint: "The account is not active; see its page."},
	"1111": {Kind: providers.KindAuth, Hint: "The account does not exist; check GLM_API_KEY."},
	"1112": {Kind: providers.KindAuth, Hint: "The account is locked; ask the vendor."},
	"1121": {Kind: providers.KindAuth, Hint: "The account is banned; ask the vendor."},
	"1220": {Kind: providers.KindAuth, Hint: "The key has no permission for this; see the account's page."},
	"1113": {Kind: providers.KindBalance},
	"1309": {Kind: providers.KindBalance, Hint: "The plan has expired; renew it, or use a pay-as-you-go key."},
	"1120": {Kind: providers.KindProviderError, Retry: true},

	"1210": {Kind: providers.KindInvalidRequest},
	"1212": {Kind: providers.KindInvalidRequest, Hint: "This model does not do that; name another one."},
	"1213": {Kind: providers.KindInvalidRequest},
	"1214": {Kind: providers.KindInvalidRequest},
	"1215": {Kind: providers.KindInvalidRequest},
	"1231": {Kind: providers.KindInvalidRequest, Hint: "The request_id was used before; send a new one, or none."},
	"1211": {Kind: providers.KindModelNotFound},
	"1311": {Kind: providers.KindModelNotFound, Hint: "The plan does not include this model; name another one."},
	"1221": {Kind: providers.KindProviderError, Hint: "The vendor has withdrawn this API; check GLM_API_URL."},
	"1222": {Kind: providers.KindProviderError, Hint: "This API is not at that address; check GLM_API_URL."},
	"1261": {Kind: providers.KindContextLength},

	"1300": {Kind: providers.KindContentFiltered},
	"1301": {Kind: providers.KindContentFiltered},

	"1302": {Kind: providers.KindRateLimited, Retry: true, Concurrency: true},
	"1303": {Kind: providers.KindRateLimited, Retry: true, PerMinute: true},
	"1304": {Kind: providers.KindRateLimited, Hint: "The daily quota is exhausted; wait until tomorrow, or name a model of another vendor."},
	"1305": {Kind: providers.KindOverloaded, Retry: true},
	"1312": {Kind: providers.KindOverloaded, Retry: true},
	"1308": {Kind: providers.KindRateLimited, Hint: hintWindow},
	"1310": {Kind: providers.KindRateLimited, Hint: hintWindow},
	"1316": {Kind: providers.KindRateLimited, Hint: hintWindow},
	"1317": {Kind: providers.KindRateLimited, Hint: hintWindow},
	"1318": {Kind: providers.KindRateLimited, Hint: hintWindow},
	"1319": {Kind: providers.KindRateLimited, Hint: hintWindow},
	"1320": {Kind: providers.KindRateLimited, Hint: hintWindow},
	"1321": {Kind: providers.KindRateLimited, Hint: hintWindow},
	"1313": {
		Kind: providers.KindAuth, Message: "GLM has blocked the account under its fair use policy",
		Hint: "Access returns only when the vendor's support lifts the block: ask there, see the account's page. Sending it again does not help; name a model of another vendor.",
	},
	"1314": {Kind: providers.KindAuth, Message: "GLM's plan refuses this request", Hint: hintPlan},
	"1315": {Kind: providers.KindAuth, Message: "GLM's plan refuses this request", Hint: hintPlan},

	"sensitive":     {Kind: providers.KindContentFiltered},
	"network_error": {Kind: providers.KindNetwork, Retry: true},
}

// classify says what a fault means: by the two statuses that are this vendor's own, else by code.
func classify(f openaicompat.Fault) openaicompat.Verdict {
	switch f.Status {
	case 434:
		return openaicompat.Verdict{Kind: providers.KindAuth, Hint: "The key has no permission for this API; see the account's page."}
	case 435:
		return openaicompat.Verdict{Kind: providers.KindTooLarge, Hint: "Send a smaller file."}
	}
	v := verdicts[f.Code]
	if v.Kind == providers.KindRateLimited && !v.Retry {
		v.RetryAt = resetTime(f.Message)
	}
	return v
}

// beijing is the zone of the times in the vendor's texts.
var beijing = time.FixedZone("UTC+8", 8*60*60)

var resetPattern = lazyregexp.New(`\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(?::\d{2})?`)

// resetTime is the moment that a text names for a plan's reset, in Beijing's time without a zone ("... will reset at
// 2026-09-09 05:38:28"), as recorded of code 1308. It is zero where there is none.
func resetTime(message string) time.Time {
	text := strings.Replace(resetPattern().FindString(message), "T", " ", 1)
	for _, layout := range []string{time.DateTime, "2006-01-02 15:04"} {
		if at, err := time.ParseInLocation(layout, text, beijing); err == nil {
			return at
		}
	}
	return time.Time{}
}
