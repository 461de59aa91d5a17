package config

import (
	"net/url"
	"reflect"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// mask stands for a secret wherever one would be shown.
const mask = "********"

// credentials are the words of a connection string that hold a secret: password=..., among keyword pairs.
var credentials = lazyregexp.New(`(?i)((?:pass|token|secret|key)[a-z_]*\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&']+)`)

// inQuery are the same in a URL's query, where a value ends at the next & whatever it holds.
var inQuery = lazyregexp.New(`(?i)((?:pass|token|secret|key)[a-z_]*\s*=\s*)[^&]+`)

// maskURL masks the credentials of a URL and leaves other text alone. The user's name stays where a password follows
// it; alone it may be a token. All up to the last @ counts, since a password may hold an unescaped slash.
func maskURL(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		user, _, pair := strings.Cut(rest[:at], ":")
		if pair {
			user += ":"
		} else {
			user = ""
		}
		rest = user + mask + rest[at:]
	}
	if strings.Contains(rest, "=") {
		rest = inQuery().ReplaceAllString(rest, "${1}"+mask)
	}
	return scheme + "://" + rest
}

// pairs is a connection string of keyword=value pairs in which it is plain where each value ends.
var pairs = lazyregexp.New(`(?i)^\s*([a-z_]+\s*=\s*('(?:[^'\\]|\\.)*'|[^\s'"\\]*)\s*)+$`)

// maskDSN masks the credentials of a connection string: a URL, or keyword=value pairs. One of neither kind is masked whole.
func maskDSN(s string) string {
	switch {
	case strings.Contains(s, "://"):
		return maskURL(s)
	case strings.Contains(s, "host=") && pairs().MatchString(s):
		return credentials().ReplaceAllString(s, "${1}"+mask)
	}
	return Secret(s).String()
}

// passwords are the secrets inside a connection string, as written and decoded.
func passwords(s string) []string {
	var out []string
	if _, rest, ok := strings.Cut(s, "://"); ok {
		if at := strings.LastIndex(rest, "@"); at >= 0 {
			user, password, pair := strings.Cut(rest[:at], ":")
			if !pair {
				password = user
			}
			out = append(out, password)
		}
	}
	if strings.Contains(s, "=") {
		for _, m := range credentials().FindAllStringSubmatch(s, -1) {
			out = append(out, strings.Trim(m[2], "'"))
		}
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
