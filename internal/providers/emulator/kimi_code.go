package emulator

import (
	"fmt"
	"net/http"
)

// KimiCodeBase is the path of the address where keys of a Kimi Code membership work (https://api.kimi.com/coding/v1).
const KimiCodeBase = "/coding/v1"

// KimiCodeKey is the key that it accepts unless Keys sets another. A platform's key does not work there.
const KimiCodeKey = "sk-kimi-emulated-code-not-a-secret"

// maxKimiCodeBody is how large a request may be there, in bytes (Kimi Code docs).
const maxKimiCodeBody = 2_097_152

// Membership is the state of a Kimi Code membership.
type Membership string

// The states of a membership. All but the first refuse every chat; the list of models is served in each.
const (
	MemberAdmitted  Membership = "admitted"   // the client is one of those that the plan admits
	MemberAgents    Membership = "agents"     // it is none of them
	MemberCycleUsed Membership = "cycle used" // the quota of the billing cycle is used up
	MemberWeekUsed  Membership = "week used"  // the week's is
	MemberNone      Membership = "none"       // there is no membership
)

// KimiCode makes Kimi answer as https://api.kimi.com/coding/v1 does: other keys, other ids of models, a chat and a list of
// models and nothing else, and refusals that are 403 whatever they mean (recorded in kimi-code 413 and 3014, cc-haha 1208,
// openclaw 142656).
func KimiCode(m Membership) Option {
	return func(e *Emulator) {
		e.membership = m
		if e.keys[Kimi] == KimiKey {
			e.keys[Kimi] = KimiCodeKey
		}
	}
}

// subscription are the ids of models that a membership has, and the models behind them.
var subscription = map[string]string{
	"k3": "kimi-k3", "k3.1-pro": "kimi-k3.1-pro", "k3-256k": "kimi-k3", "kimi-for-coding": "kimi-k2.7-code",
	"kimi-for-coding-highspeed": "kimi-k2.7-code-highspeed",
}

// subscribed is the row of one of them.
func (e *Emulator) subscribed(id string) (facts, bool) {
	f, ok := e.models[subscription[id]]
	if !ok || e.visible != nil && !e.visible[id] {
		return facts{}, false
	}
	f.ID = id
	if id == "k3-256k" {
		f.Window = 262_144
	}
	return f, true
}

// member checks a chat against the membership, before its body is looked at.
func (x *exchange) member() error {
	if x.e.membership == "" || x.record.Vendor != Kimi {
		return nil
	}
	forbidden := func(kind, format string, args ...any) error {
		return &refusal{rule: "membership: " + string(x.e.membership), status: http.StatusForbidden, code: kind, message: fmt.Sprintf(format, args...)}
	}
	switch x.e.membership {
	case MemberAgents:
		return forbidden("access_terminated_error", "Kimi For Coding is currently only available for Coding Agents such as Kimi CLI, Claude Code, Roo Code, Kilo Code, etc.")
	case MemberCycleUsed:
		return forbidden("permission_error", "You've reached your usage limit for this billing cycle. Your quota will be refreshed in the next cycle. Upgrade to get more: https://www.kimi.com/membership/pricing")
	case MemberWeekUsed:
		return forbidden("access_terminated_error", "You've reached your weekly usage limit. Your quota will be refreshed next week.")
	case MemberNone:
		return &refusal{rule: "no membership", status: http.StatusPaymentRequired, code: "permission_error", message: "An active membership is required"}
	}
	if len(x.sent) > maxKimiCodeBody {
		return &refusal{rule: "body too large", status: http.StatusRequestEntityTooLarge, code: "invalid_request_error", message: "Request body is too large"}
	}
	return nil
}

// kimiCode are the rules that only this address has: the routing hint is required, and temperature is not taken at all.
func kimiCode(in *inquiry) error {
	if in.e.membership == "" {
		return nil
	}
	if value(in.c.body.PromptCacheKey) == "" {
		return kimiBad("no prompt_cache_key", "Invalid request: prompt_cache_key is required")
	}
	if in.c.Has("temperature") {
		return kimiBad("temperature", "invalid temperature: the parameter is not supported")
	}
	return nil
}
