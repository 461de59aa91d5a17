package config

import (
	"fmt"
	"math"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// rule says what a variable accepts and brings a value into the one form that the env library decodes.
type rule struct {
	accepts string
	words   bool // accepts is a list of words, worth showing beside the description
	limit   bool // a time limit: set to exactly its default it counts as unset
	secret  bool // never shown
	// norm returns the value in its plain form, and false if it is not accepted. An empty plain form counts as unset.
	norm func(raw string, at place) (string, bool)
}

// place is where relative names are looked up.
type place struct {
	dir  string // the working directory
	home string
	goos string
	// vendors are the names of those beside GLM and Kimi.
	vendors []string
}

var yesNo = rule{accepts: "true or false", norm: func(raw string, _ place) (string, bool) {
	switch strings.ToLower(raw) {
	case "true", "1", "yes", "on":
		return "true", true
	case "false", "0", "no", "off":
		return "false", true
	}
	return "", false
}}

// whole accepts whole numbers from low to high.
func whole(low, high int64) rule {
	return rule{
		accepts: fmt.Sprintf("a whole number from %d to %d", low, high),
		norm: func(raw string, _ place) (string, bool) {
			n, err := strconv.ParseInt(raw, 10, 64)
			return strconv.FormatInt(n, 10), err == nil && n >= low && n <= high
		},
	}
}

// number accepts decimal numbers from low to high.
func number(low, high float64) rule {
	return rule{
		accepts: fmt.Sprintf("a number from %g to %g", low, high),
		norm: func(raw string, _ place) (string, bool) {
			f, ok := decimal(raw)
			return strconv.FormatFloat(f, 'f', -1, 64), ok && f >= low && f <= high
		},
	}
}

// decimal parses a plain decimal number: no hexadecimal, no infinity.
func decimal(raw string) (float64, bool) {
	f, err := strconv.ParseFloat(raw, 64)
	return f, err == nil && !strings.ContainsAny(raw, "xX_") && !math.IsInf(f, 0) && !math.IsNaN(f)
}

// span accepts seconds or a Go duration within low and high.
func span(low, high time.Duration, accepts string) rule {
	return rule{accepts: accepts, norm: func(raw string, _ place) (string, bool) {
		d, err := time.ParseDuration(raw)
		if f, ok := decimal(raw); ok {
			if math.Abs(f) > high.Seconds()+1 { // beyond what a Duration is sure to hold
				return "", false
			}
			d, err = time.Duration(math.Round(f*float64(time.Second))), nil
		}
		return d.String(), err == nil && d >= low && d <= high
	}}
}

var (
	limit = func() rule {
		r := span(1, maxLimit, `seconds or a duration ("30", "1.5", "90s"), more than 0 and at most 3600 s`)
		r.limit = true
		return r
	}()
	delay = span(0, time.Minute, `seconds or a duration ("0.5", "500ms"), at most 60 s`)
)

func hidden(r rule) rule {
	r.secret = true
	return r
}

// oneOf accepts words in any case. "shown=meant" maps a word that is accepted but not advertised.
func oneOf(words ...string) rule {
	meant := map[string]string{}
	var shown []string
	for _, w := range words {
		word, means, mapped := strings.Cut(w, "=")
		if !mapped {
			means = word
			shown = append(shown, word)
		}
		meant[strings.ToLower(word)] = means
	}
	return rule{
		accepts: "one of " + strings.Join(shown, ", "), words: true,
		norm: func(raw string, _ place) (string, bool) {
			w, ok := meant[strings.ToLower(raw)]
			return w, ok
		},
	}
}

// nameOf reports whether a text is 1 to 100 ASCII letters, digits and these marks. It checks what most settings hold, so that
// compiling a pattern for it would show in the start.
func nameOf(raw, marks string) bool {
	return raw != "" && len(raw) <= 100 && !strings.ContainsFunc(raw, func(r rune) bool {
		letter := 'a' <= r|0x20 && r|0x20 <= 'z'
		return !letter && (r < '0' || '9' < r) && !strings.ContainsRune(marks, r)
	})
}

var (
	apiKey = hidden(rule{accepts: "the key alone, without spaces", norm: func(raw string, _ place) (string, bool) {
		return raw, !strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r >= 0x7f })
	}})
	phrase = rule{accepts: "up to 200 characters on one line", norm: func(raw string, _ place) (string, bool) {
		n := utf8.RuneCountInString(raw) // a pattern that counts to 200 over such a class takes 8 ms to compile
		return raw, n >= 1 && n <= 200 && !strings.ContainsFunc(raw, func(r rune) bool { return unicode.Is(unicode.C, r) })
	}}
	word = rule{accepts: "letters, digits, point, dash and underscore", norm: func(raw string, _ place) (string, bool) {
		return raw, nameOf(raw, "._-")
	}}
	model = rule{accepts: "a model's name", norm: func(raw string, _ place) (string, bool) {
		if strings.EqualFold(raw, "auto") {
			return "auto", true
		}
		return raw, nameOf(raw, "._:/@-")
	}}
)

// separator reports whether a character separates the names of a list.
func separator(r rune) bool { return r == ',' || r == ';' || unicode.IsSpace(r) }

// list accepts names separated by commas, semicolons or spaces, each as a rule takes it.
func list(of rule, accepts string) rule {
	return rule{accepts: accepts, norm: func(raw string, at place) (string, bool) {
		var names []string
		for _, part := range strings.FieldsFunc(raw, separator) {
			name, ok := of.norm(part, at)
			if !ok {
				return "", false
			}
			if name != "" {
				names = append(names, name)
			}
		}
		return strings.Join(names, ","), true
	}}
}

var (
	models = list(model, "model names separated by commas")
	tools  = list(rule{norm: func(raw string, at place) (string, bool) {
		return word.norm(strings.ToLower(raw), at)
	}}, "tool names separated by commas")
	// The original knew two more vendors, whose code it did not have.
	vendors = list(anyVendor(oneOf("glm", "kimi", "zai=glm", "zhipu=glm", "zhipuai=glm", "moonshot=kimi", "custom=", "openrouter=")),
		"glm, kimi and names of ENDPOINTS, separated by commas")
	endpoints = list(rule{norm: func(raw string, _ place) (string, bool) { return strings.ToLower(raw), true }}, "names of endpoints, separated by commas")
	// A list of which nothing is left must not come to mean "all".
	someVendors = rule{accepts: vendors.accepts, norm: func(raw string, at place) (string, bool) {
		names, ok := vendors.norm(raw, at)
		return names, ok && names != ""
	}}
)

// anyVendor accepts the names of further vendors before a rule for those that are built in.
func anyVendor(builtIn rule) rule {
	return rule{accepts: builtIn.accepts, norm: func(raw string, at place) (string, bool) {
		if name := strings.ToLower(raw); slices.Contains(at.vendors, name) {
			return name, true
		}
		return builtIn.norm(raw, at)
	}}
}

// address accepts the base URL of an HTTP API and drops a slash at its end.
var address = rule{
	accepts: "a URL such as https://host/path",
	norm: func(raw string, _ place) (string, bool) {
		u, err := url.Parse(raw)
		if _, plain := cutURL(raw); !plain {
			return "", false
		}
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
			return "", false
		}
		return strings.TrimRight(withHost(raw, u), "/"), true
	},
}

// withHost is the address with its host in lower case, and with this machine's own for one to listen on (0.0.0.0), which would
// be dialled as this machine, but through a proxy where there is one.
func withHost(raw string, u *url.URL) string {
	host := strings.ToLower(u.Hostname())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	if strings.Contains(host, ":") || host == u.Hostname() {
		return raw
	}
	if port := u.Port(); port != "" {
		host = net.JoinHostPort(host, port)
	}
	u.Host = host
	return u.String()
}

// path accepts a file or folder and makes it absolute.
var path = rule{accepts: "a path", norm: absolute}

func absolute(raw string, at place) (string, bool) {
	if strings.ContainsFunc(raw, unicode.IsControl) {
		return "", false
	}
	if rest, ok := strings.CutPrefix(raw, "~"); ok && (rest == "" || rest[0] == '/' || rest[0] == '\\') {
		if at.home == "" {
			return "", false
		}
		return filepath.Join(at.home, rest), true
	}
	if filepath.IsAbs(raw) || hasDrive(raw) {
		return filepath.Clean(raw), true
	}
	return filepath.Join(at.dir, raw), true
}

// hasDrive reports whether a path begins as one of Windows does, "C:\".
func hasDrive(s string) bool {
	return len(s) > 2 && s[1] == ':' && (s[2] == '\\' || s[2] == '/') && unicode.IsLetter(rune(s[0]))
}

// paths accepts folders separated by comma, semicolon or the system's list separator.
var paths = rule{
	accepts: "folders separated by commas",
	norm: func(raw string, at place) (string, bool) {
		var out []string
		for _, part := range splitPaths(raw, at.goos) {
			p, ok := absolute(part, at)
			if !ok {
				return "", false
			}
			out = append(out, p)
		}
		return strings.Join(out, ","), true
	},
}

// splitPaths splits a list of paths. A colon separates on every system but Windows, save the one of a drive letter.
func splitPaths(raw, goos string) []string {
	var parts []string
	start := 0
	cut := func(end int) {
		if part := strings.TrimSpace(raw[start:end]); part != "" {
			parts = append(parts, part)
		}
		start = end + 1
	}
	for i := range len(raw) {
		begun := strings.TrimLeft(raw[start:i], " ")
		drive := len(begun) == 1 && hasDrive(begun+raw[i:])
		if c := raw[i]; c == ',' || c == ';' || c == ':' && goos != "windows" && !drive {
			cut(i)
		}
	}
	cut(len(raw))
	return parts
}

// pathMap accepts host=container pairs separated by commas.
var pathMap = rule{
	accepts: "host=container pairs of absolute paths, separated by commas",
	norm: func(raw string, _ place) (string, bool) {
		var pairs []string
		for pair := range strings.SplitSeq(raw, ",") {
			if strings.TrimSpace(pair) == "" {
				continue
			}
			host, container, ok := strings.Cut(pair, "=")
			host, container = strings.TrimSpace(host), strings.TrimSpace(container)
			if !ok || !rooted(host) || !rooted(container) || strings.ContainsFunc(pair, unicode.IsControl) {
				return "", false
			}
			pairs = append(pairs, host+"="+container)
		}
		return strings.Join(pairs, ","), true
	},
}

// rooted reports whether a path is absolute on any system, since the host's need not be ours.
func rooted(p string) bool {
	return strings.HasPrefix(p, "/") || strings.HasPrefix(p, `\\`) || hasDrive(p)
}

// dsn takes anything: DATABASE_URL is a name that other programs use, too, so it is judged only where it is needed.
var dsn = hidden(rule{accepts: dsnAccepts, norm: func(raw string, _ place) (string, bool) { return raw, true }})

const dsnAccepts = "postgresql://user:password@host:5432/database, with special characters of the password percent-encoded"

// validDSN reports whether a PostgreSQL driver can make sense of a connection string: a URL, or keyword=value pairs.
func validDSN(s string) bool {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return false
	}
	if !strings.Contains(s, "://") {
		return strings.Contains(s, "host=")
	}
	u, err := url.Parse(s)
	if _, plain := cutURL(s); !plain { // a raw @, / or ? in the password
		return false
	}
	return err == nil && (u.Scheme == "postgres" || u.Scheme == "postgresql") && (u.Host != "" || u.Query().Get("host") != "")
}
