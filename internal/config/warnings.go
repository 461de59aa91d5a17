package config

import (
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
	"github.com/exai-mcp/exai-mcp/internal/typo"
)

// ours are the beginnings of names that no other program uses; only there is a near miss surely a slip.
var ours = [...]string{"GLM_", "KIMI_", "EXAI_", "EXPERT_ANALYSIS_", "THINKDEEP_", "ISSUE_TRACKER_"}

// warnAll collects what the operator should know about a configuration that is valid.
func (l *loader) warnAll(c *Config) {
	known := map[string]bool{}
	beginnings := ours[:]
	for _, row := range l.others {
		beginnings = append(beginnings, row.Variable(""))
	}
	eachSpec(l.others, func(s spec) {
		for _, name := range s.names() {
			known[name] = true
		}
	})
	set := map[string]string{} // name -> source; the environment goes last, since it wins
	for _, from := range slices.Backward(l.sources) {
		for name, value := range from.values {
			if clean(value) != "" && !known[name] {
				set[name] = from.label
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		hint, ok := replacement(name)
		if name == "SUPABASE_URL" && !l.found["DATABASE_URL"].isSet() && l.supabaseHint() != "" {
			hint = l.supabaseHint()
		}
		if ok {
			l.warn("%s (%s) has no effect here: %s.", name, set[name], strings.TrimSuffix(hint, "."))
		} else if near := nearest(name, known, beginnings); near != "" {
			l.warn("%s (%s) is not a setting of exai-mcp; did you mean %s?", name, set[name], near)
		}
	}
	l.warnLimits(c)
	l.warnAddresses(c)
}

// warnLimits reports limits that calls can't reach.
func (l *loader) warnLimits(c *Config) {
	var names []string
	for _, limit := range c.Timeouts.tooLong() {
		names = append(names, limit.String())
	}
	if names != nil {
		t := c.Timeouts
		l.warn("%s: calls end after %ss all the same, the shorter of ANSWER_WITHIN_SECS=%ss and the daemon's %ss. Raise ANSWER_WITHIN_SECS, too, if the client waits that long.",
			strings.Join(names, ", "), seconds(min(t.AnswerWithin, t.Daemon())), seconds(t.AnswerWithin), seconds(t.Daemon()))
	}
}

// warnAddresses reports keys that would travel in plain text, and of vendors that are not there.
func (l *loader) warnAddresses(c *Config) {
	for _, v := range c.Vendors() {
		u, err := url.Parse(v.APIURL)
		if err == nil && !v.Row.IsEndpoint() && u.Scheme == "http" && v.APIKey != "" && !loopback(u.Hostname()) {
			l.warn("%s=%s sends the key and all prompts in plain text; use https.", v.Row.Variable("API_URL"), maskAddress(v.APIURL))
		}
	}
	for _, name := range []string{"ALLOWED_PROVIDERS", "DISABLED_PROVIDERS"} {
		for _, vendor := range strings.FieldsFunc(strings.ToLower(l.found[name].raw), separator) {
			if (vendor == "custom" || vendor == "openrouter") && !slices.Contains(l.at.vendors, vendor) {
				l.warn("%s: %s has no effect here, since ENDPOINTS does not name it.", name, vendor)
			}
		}
	}
}

// supabaseHint says which URL opens the database of a Supabase project that was set as the original wanted it, "" if
// none was.
func (l *loader) supabaseHint() string {
	address, key := "", false
	for _, from := range l.sources {
		if a := clean(from.values["SUPABASE_URL"]); a != "" && address == "" {
			address = a
		}
		for _, name := range []string{"SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_KEY", "SUPABASE_ANON_KEY"} {
			key = key || clean(from.values[name]) != ""
		}
	}
	if address == "" || !key {
		return ""
	}
	project := "<project>"
	if u, err := url.Parse(address); err == nil && supabaseHost().MatchString(u.Hostname()) {
		project, _, _ = strings.Cut(u.Hostname(), ".")
	}
	return "a Supabase URL with a service key can't open the database: set CONVERSATION_STORAGE_BACKEND=postgres and " +
		"DATABASE_URL=postgresql://postgres:<password>@db." + project + ".supabase.co:5432/postgres, or the session pooler's URL " +
		"(Supabase shows both under Connect)"
}

var supabaseHost = lazyregexp.New(`^[a-z0-9-]+\.supabase\.co$`)

// nearest finds the known name that a misspelt one of ours was meant for, "" if none is within two typing errors.
func nearest(name string, known map[string]bool, beginnings []string) string {
	if !slices.ContainsFunc(beginnings, func(beginning string) bool { return strings.HasPrefix(name, beginning) }) {
		return ""
	}
	best, errors := "", 3
	for _, candidate := range slices.Sorted(maps.Keys(known)) {
		if d := typo.Distance(name, candidate); d < errors {
			best, errors = candidate, d
		}
	}
	return best
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
