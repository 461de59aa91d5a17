package config

import (
	"net/url"
	"reflect"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// mask stands for a secret wherever one would be shown.
const mask = "********"

// credential finds the first name of a secret in a query or among keyword=value pairs.
var credential = lazyregexp.New(`(?i)[a-z_]*(?:pass|token|secret|key)[a-z_]*\s*=`)

// plainAddress is a URL, or a host, in which nothing can be a secret: no user, no query, no port that is no number.
var plainAddress = lazyregexp.New(`^([a-zA-Z][a-zA-Z0-9+.-]*://)?(?:[a-zA-Z0-9._-]*|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?(/[a-zA-Z0-9._~/-]*)?$`)

// hostPort is one host or several, each with a port that is a number.
var hostPort = lazyregexp.New(`^(([^:\[\]]*|\[[0-9a-fA-F:.%a-z]*\])(:[0-9]+)?(,|$))*$`)

// parts are a URL cut where its parts meet, without decoding: scheme://user:password@host/path?query.
type parts struct {
	scheme, user, password, rest string
	at                           bool // there is a user
	pair                         bool // and a colon after its name
}

// cutURL cuts a URL. It fails if it is not plain where the password ends: that is so only if the one @ comes before the
// first slash, question mark and number sign, and what follows a colon of the host is a port.
func cutURL(s string) (p parts, ok bool) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || strings.Count(rest, "@") > 1 {
		return p, false
	}
	p = parts{scheme: scheme, rest: rest}
	authority := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		authority = rest[:end]
	}
	user, host, at := strings.Cut(authority, "@")
	if !at {
		host = authority
	}
	if strings.Contains(rest, "@") != at || !hostPort().MatchString(host) {
		return p, false
	}
	if at {
		p.at, p.rest = true, rest[len(user)+1:]
		p.user, p.password, p.pair = strings.Cut(user, ":")
	}
	return p, true
}

// maskURL masks the credentials of a URL, a value whose form is in doubt as a whole. The user's name stays where a
// password follows it; alone it may be a token. Text that is not a URL stays.
func maskURL(s string) string {
	if !strings.Contains(s, "://") {
		return s
	}
	p, ok := cutURL(s)
	if _, err := url.Parse(s); err != nil || !ok || p.pair && p.password == "" {
		return mask
	}
	user := ""
	if p.at {
		user = mask + "@"
		if p.password != "" {
			user = p.user + ":" + user
		}
	}
	return p.scheme + "://" + user + maskCredentials(p.rest)
}

// maskAddress masks a value that was meant to be a base URL, or may hold one: what could be a secret is not shown.
func maskAddress(s string) string {
	if plainAddress().MatchString(s) {
		return s
	}
	p, ok := cutURL(s)
	if u, err := url.Parse(s); err != nil || !ok || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || !plainAddress().MatchString(p.rest) {
		return mask
	}
	return maskURL(s)
}

// maskCredentials masks what follows the name of a first secret, to the end: where its value ends is anybody's guess.
func maskCredentials(s string) string {
	if found := credential().FindStringIndex(s); found != nil && strings.ContainsAny(s[:found[0]], "?#") {
		return s[:found[1]] + mask
	}
	return s
}

// maskDSN masks the credentials of a connection string: a URL, or keyword=value pairs that begin with the host. One of
// neither kind, and one in which it is not plain where the password ends, is masked as a whole.
func maskDSN(s string) string {
	switch {
	case s == "":
		return ""
	case strings.Contains(s, "://"):
		return maskURL(s)
	case strings.HasPrefix(s, "host="):
		if found := credential().FindStringIndex(s); found != nil {
			return s[:found[1]] + mask
		}
		return s
	}
	return mask
}

// passwords are the secrets inside a connection string, as written and decoded.
func passwords(s string) []string {
	if !strings.ContainsAny(s, "@=") {
		return nil // as most addresses, for which the start need not compile expressions
	}
	var out []string
	if p, ok := cutURL(s); ok && p.at {
		if out = append(out, p.password); p.password == "" {
			out = []string{p.user}
		}
	}
	for rest := s; ; {
		found := credential().FindStringIndex(rest)
		if found == nil {
			break
		}
		rest = strings.TrimLeft(rest[found[1]:], " ")
		value := rest
		if end := strings.IndexAny(rest, " &"); end >= 0 {
			value = rest[:end]
		}
		if quoted, ok := strings.CutPrefix(rest, "'"); ok {
			value, _, _ = strings.Cut(quoted, "'")
		}
		out = append(out, value)
	}
	for _, p := range out {
		if plain, err := url.PathUnescape(p); err == nil && plain != p {
			out = append(out, plain)
		}
	}
	return out
}

// Secrets are the texts that must never be shown, for whoever filters logs: keys, connection strings and the passwords
// in them.
func (c *Config) Secrets() []string {
	var out []string
	eachVariable(c, func(v variable) {
		raw := v.field.String()
		if v.field.Kind() != reflect.String || raw == "" {
			return
		}
		if _, secret := v.field.Interface().(Secret); secret {
			out = append(out, raw)
		}
		if strings.Contains(raw, "://") || v.name == "DATABASE_URL" {
			out = append(out, passwords(raw)...)
		}
	})
	return out
}

// shortestKey is how long a key must be, in bytes, to be masked in files: that of a local endpoint may be an ordinary word.
const shortestKey = 16

// ownKeys are the vendors' keys.
func (c *Config) ownKeys() (keys []string) {
	for _, v := range c.Vendors() {
		if key := string(v.APIKey); len(key) >= shortestKey {
			keys = append(keys, key)
		}
	}
	return keys
}
