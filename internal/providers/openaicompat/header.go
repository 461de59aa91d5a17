package openaicompat

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

const (
	// maxRetryAfter bounds what a vendor's header may ask for; a longer wait is "not today" all the same.
	maxRetryAfter = 24 * time.Hour
	// maxReset bounds the wait for a plan's reset: plans count by the month at most.
	maxReset = 31 * 24 * time.Hour
	// maxHeader is the longest header value kept, in bytes.
	maxHeader = 4096
)

// requestIDHeaders name a request to a vendor's support, the best first.
var requestIDHeaders = []string{"msh-request-id", "x-request-id", "x-msh-trace-id", "x-trace-id", "x-log-id"}

// keepHeaders returns the response headers worth keeping, by lower-case name: tracing, caching and limits.
func (c *Client) keepHeaders(h http.Header) map[string]string {
	kept := map[string]string{}
	for name, values := range h {
		name = strings.ToLower(name)
		if len(values) == 0 || len(values[0]) > maxHeader || !keepHeader(name) || !c.harmless(values[0]) {
			continue
		}
		kept[name] = values[0]
	}
	return kept
}

func keepHeader(name string) bool {
	for _, prefix := range []string{"msh-", "x-msh-", "x-ratelimit-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case "retry-after", "x-request-id", "x-trace-id", "x-log-id", "cf-ray":
		return true
	}
	return false
}

// requestID is the vendor's name for the request, "" if its headers tell none.
func (c *Client) requestID(h http.Header) string {
	for _, name := range requestIDHeaders {
		if v := h.Get(name); v != "" && len(v) <= 128 && c.harmless(v) {
			return v
		}
	}
	return ""
}

// retryText matches how long a vendor's text asks to wait ("please try again after 1 seconds").
var retryText = lazyregexp.New(`(?i)(?:try again|retry)(?:ing)? (?:after|in) (\d{1,6}(?:\.\d{1,3})?) ?(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?)\b`)

// waitFor is the wait that a refusal asks for: by its header, else by the moment or the text in its body.
func waitFor(h http.Header, f Fault, v Verdict, now time.Time) time.Duration {
	if wait := retryAfter(h, now); wait > 0 {
		return wait
	}
	if !v.RetryAt.IsZero() {
		return min(max(v.RetryAt.Sub(now), 0), maxReset)
	}
	m := retryText().FindStringSubmatch(f.Message)
	if m == nil || v.Kind != providers.KindRateLimited && v.Kind != providers.KindOverloaded {
		return 0
	}
	unit := time.Second
	switch {
	case strings.HasPrefix(m[2], "ms"), strings.HasPrefix(strings.ToLower(m[2]), "milli"):
		unit = time.Millisecond
	case m[2][0] == 'm', m[2][0] == 'M':
		unit = time.Minute
	case m[2][0] == 'h', m[2][0] == 'H':
		unit = time.Hour
	}
	n, _ := strconv.ParseFloat(m[1], 64) // digits
	return min(time.Duration(n*float64(unit)), maxRetryAfter)
}

// retryAfter is the wait that a Retry-After header asks for, given in seconds or as a date; 0 if it asks for none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if secs, err := strconv.ParseFloat(value, 64); err == nil {
		if !(secs > 0) { // also NaN
			return 0
		}
		return time.Duration(min(secs, maxRetryAfter.Seconds()) * float64(time.Second))
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
