package openaicompat

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// maxRetryAfter bounds what a vendor's header may ask for; a longer wait is "not today" all the same.
	maxRetryAfter = 24 * time.Hour
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
