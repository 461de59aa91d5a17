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
		if len(values) == 0 || len(values[0]) > maxHeader || !keepHeader(name) || !c.holdsNoKey(values[0]) {
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
		if v := h.Get(name); v != "" && len(v) <= 128 && c.holdsNoKey(v) {
			return v
		}
	}
	return ""
}

// retryText matches the words before how long a vendor's text asks to wait ("please try again after 1 seconds").
var retryText = lazyregexp.New(`(?i)(?:try again|retry)(?:ing)? (?:after|in) `)

// waitFor is the wait that a refusal asks for: by its header, else by the moment or the text in its body, else by when the
// limit that it met is reset.
func waitFor(h http.Header, f Fault, v Verdict, now time.Time) time.Duration {
	if wait := retryAfter(h, now); wait > 0 {
		return wait
	}
	if !v.RetryAt.IsZero() {
		return min(max(v.RetryAt.Sub(now), 0), maxReset)
	}
	if v.Kind != providers.KindRateLimited && v.Kind != providers.KindOverloaded {
		return 0
	}
	if wait, _ := duration(f.RetryDelay); wait > 0 {
		return min(wait, maxRetryAfter)
	}
	if at := retryText().FindStringIndex(f.Message); at != nil {
		if wait, _ := duration(f.Message[at[1]:]); wait > 0 {
			return min(wait, maxRetryAfter)
		}
	}
	if v.Kind != providers.KindRateLimited || !v.Retry {
		return 0
	}
	return resetAfter(h, f.resets, now)
}

// amount matches one number with its unit at the beginning of a text: "1.5 seconds", "6m", "7.66s".
var amount = lazyregexp.New(`^(?i)(\d{1,9}(?:\.\d{1,12})?) ?(milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|h|days?|d)(?:[^a-zA-Z]|$)`)

// duration reads how long a text says at its beginning ("20s", "9m38.016s", "1.5 seconds"), and how much of the text that is.
func duration(s string) (d time.Duration, length int) {
	for {
		rest := s[length:]
		if length > 0 {
			rest = strings.TrimPrefix(rest, " ")
		}
		m := amount().FindStringSubmatch(rest)
		if m == nil {
			return d, length
		}
		n, _ := strconv.ParseFloat(m[1], 64) // digits
		d += time.Duration(min(n*float64(unitOf(strings.ToLower(m[2]))), float64(maxReset)))
		length = len(s) - len(rest) + strings.Index(rest, m[2]) + len(m[2])
	}
}

func unitOf(word string) time.Duration {
	switch {
	case word == "ms", strings.HasPrefix(word, "milli"):
		return time.Millisecond
	case word[0] == 's':
		return time.Second
	case word[0] == 'm':
		return time.Minute
	case word[0] == 'h':
		return time.Hour
	}
	return 24 * time.Hour
}

// resetAfter is when the limits that a refusal's headers name are over, 0 where they name none: of those of which nothing is
// left, the last; where all have something left, the first.
func resetAfter(h http.Header, more map[string]text, now time.Time) time.Duration {
	all := map[string]string{}
	for name, values := range h {
		all[strings.ToLower(name)] = values[0]
	}
	for name, value := range more {
		all[strings.ToLower(name)] = string(value)
	}
	var used, unused time.Duration
	for name, value := range all {
		before, of, found := strings.Cut(name, "reset")
		if !found || !strings.HasSuffix(before, "ratelimit-") {
			continue
		}
		wait := resetIn(value, now)
		if left, known := all[before+"remaining"+of]; known && left != "0" {
			if wait > 0 && (unused == 0 || wait < unused) {
				unused = wait
			}
			continue
		}
		used = max(used, wait)
	}
	if used == 0 {
		used = unused
	}
	return min(used, maxRetryAfter)
}

// resetIn is the wait until a limit is reset, in the spellings that vendors have for it: "6m0s" (OpenAI, Groq), seconds
// (Together, Mistral), a moment as seconds or milliseconds since 1970 (OpenRouter) or in RFC 3339.
func resetIn(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if d, length := duration(value); length > 0 && length == len(value) {
		return d
	}
	if at, err := time.Parse(time.RFC3339, value); err == nil {
		return max(at.Sub(now), 0)
	}
	n, err := strconv.ParseFloat(value, 64)
	switch {
	case err != nil || !(n > 0) || n > 1e14: // also NaN
		return 0
	case n >= 1e11:
		return max(time.UnixMilli(int64(n)).Sub(now), 0)
	case n >= 1e8:
		return max(time.Unix(int64(n), 0).Sub(now), 0)
	}
	return time.Duration(min(n, maxRetryAfter.Seconds()) * float64(time.Second))
}

// retryAfter is the wait that a Retry-After header asks for, given in seconds or as a date; 0 if it asks for none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 { // OpenAI's, more exact
		return time.Duration(min(ms, float64(maxRetryAfter.Milliseconds())) * float64(time.Millisecond))
	}
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
