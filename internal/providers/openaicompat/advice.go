package openaicompat

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

const (
	hintAddress     = "Check {VENDOR}_API_URL: something else than the API may be answering there."
	hintCertificate = "Check {VENDOR}_API_URL, the clock, and whether a proxy here replaces certificates."
	hintUnnamed     = "The vendor does not name what it refuses. Check what is particular about this request (function schemas, images, options); the same request would be refused again."
	hintKey         = "Set {VENDOR}_API_KEY and start the server again."
	hintConnect     = "Check the network, HTTPS_PROXY and {VENDOR}_API_URL; `exai-mcp doctor` tests the connection."
)

// hints are the advice for a kind of failure where a vendor has none of its own.
var hints = map[providers.Kind]string{
	providers.KindInvalidRequest:  "Change what the message names; the same request would be refused again.",
	providers.KindModelNotFound:   "Call listmodels for the names, or leave the model to \"auto\".",
	providers.KindAuth:            "Check {VENDOR}_API_KEY, and that {VENDOR}_API_URL is the region that the key was made in.",
	providers.KindBalance:         "Top up the account, or name a model of another vendor.",
	providers.KindRateLimited:     "Wait before asking again, or name a model of another vendor.",
	providers.KindOverloaded:      "Ask again in a minute, or name another model.",
	providers.KindNetwork:         "Ask again; if it stays so, check the network and proxy settings.",
	providers.KindContentFiltered: "Rephrase the request; the vendor's policy refuses this one.",
	providers.KindContextLength:   "Send fewer or smaller files, or begin a new conversation.",
	providers.KindProviderError:   "Ask again; if it stays so, name another model.",
	providers.KindTooLarge:        "Send less.",
}

// hint fills a hint in for this vendor.
func (c *Client) hint(s string) string {
	return strings.ReplaceAll(s, "{VENDOR}", strings.ToUpper(c.dialect.Name))
}

// sentence says in our own words what the vendor refused; message is the dialect's, "" where the kind says enough.
func (c *Client) sentence(e *providers.Error, a ask, message string) string {
	who, detail := c.dialect.Label, ""
	if e.HTTPStatus != 0 && e.HTTPStatus != http.StatusOK {
		detail = fmt.Sprintf("HTTP %d", e.HTTPStatus)
	}
	if e.VendorCode != "" {
		detail = strings.TrimPrefix(detail+", code "+e.VendorCode, ", ")
	}
	if detail != "" {
		detail = " (" + detail + ")"
	}
	if message != "" {
		return message + detail + "."
	}
	model := a.model
	if model == "" {
		model = "what was asked for"
	}
	switch e.Kind {
	case providers.KindModelNotFound:
		to := " to this key"
		if c.key == "" {
			to = ""
		}
		return who + " does not serve " + model + to + detail + "."
	case providers.KindAuth:
		if c.key == "" {
			return who + " refused a request without an API key" + detail + "."
		}
		return who + " refused the API key" + detail + "."
	case providers.KindBalance:
		return who + " refused for lack of balance or quota" + detail + "."
	case providers.KindRateLimited:
		return who + " limits how much may be asked, and that limit is reached" + detail + "."
	case providers.KindOverloaded:
		return who + " is overloaded" + detail + "."
	case providers.KindContentFiltered:
		return who + "'s content policy refused the request or its answer" + detail + "."
	case providers.KindContextLength:
		return "The request is longer than the window of " + model + detail + "."
	case providers.KindTooLarge:
		return "The request is larger than " + who + " takes" + detail + "."
	case providers.KindInvalidRequest:
		if e.Param != "" {
			return who + " refused the parameter " + e.Param + detail + "."
		}
		return who + " refused the request as invalid" + detail + "."
	case providers.KindNetwork:
		return who + " had a network failure of its own" + detail + "."
	}
	if a.op != OpChat {
		return who + " failed at " + a.op + detail + "."
	}
	return who + " failed" + detail + "."
}

var plainWord = lazyregexp.New(`^[A-Za-z0-9_.:-]{1,64}$`)

// printable returns a vendor's code if it is a plain word and no key, else "".
func (c *Client) printable(code string) string {
	if plainWord().MatchString(code) && c.holdsNoKey(code) {
		return code
	}
	return ""
}
