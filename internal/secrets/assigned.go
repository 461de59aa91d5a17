package secrets

import (
	"regexp"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// credentialWords begin or are part of the names that secrets are assigned to.
var credentialWords = []string{"key", "token", "secret", "passw", "passphrase", "pwd", "credential", "auth"}

// assignedKinds are the kinds of values that no format is known of, after the word in their name.
var assignedKinds = map[string]bool{"key": true, "token": true, "secret": true, "password": true, "credential": true}

const (
	shortestValue = 20  // bytes of an assigned value
	leastEntropy  = 3.5 // bits a byte of it, as gitleaks has it
	longestName   = 64
	longestValue  = 160 // bytes of it that are judged
)

// What may stand between a name and its value; typed is an operator behind a type.
const (
	closing   = `^[\\"'\x60\])]{0,4}[ \t]{0,40}`
	typed     = `:?[ \t]{0,8}[&*]?[\w.<>\[\]]{1,24}[ \t]{0,40}[:?]?=`
	operator  = `(?:={1,3}>?|[:?]=|!={1,2}|:|->|,(?:[ \t]{0,4}"value"[ \t]{0,4}:)?|\(|>|\|\||[ \t])`
	converted = `:?[=:][ \t]{0,40}(?:[\w.\[\]]{1,40}\((?:["'][\w.-]{1,40}["'],[ \t]{0,4})?|[\w.]{1,40}[ \t]{1,4}(?:\|\||\?\?|or)[ \t]{1,4})`
	opening   = `[ \t]{0,40}((?:[bBfFLrRuU@]{1,2}"|[bBfFLrRuU@]{1,2}'|[\\"'\x60]{0,3}))(?:(?i:bearer|basic|token)[ \t]{1,4})?`
)

var (
	// assignments are what may stand between a name and its value: closing quotes and brackets, perhaps a type, an
	// operator, opening quotes (group 1), perhaps a scheme of HTTP authentication. The last is for a value that code
	// converts, or takes where a variable of the environment is not set.
	assignments = []func() *regexp.Regexp{
		lazyregexp.New(closing + operator + opening), lazyregexp.New(closing + typed + opening),
		lazyregexp.New(closing + converted + "([\"'\x60])"),
	}

	uuid = lazyregexp.New(`(?i)^[{(]?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}[)}]?$`)
	hex  = lazyregexp.New(`^(?:0x)?(?:[0-9a-f]+|[0-9A-F]+)$`)
	// digest are values that are public by their form: digests, public keys, addresses, names of files, versions (1:4.13).
	digest = lazyregexp.New(`^(?i:sha-?\d{1,3}|md5|h1|blake\w{1,3})[-:=$]|^\$2[aby]\$|^ssh-|^AAAA[A-Z]3Nza` +
		`|^MFkwEwYHKo|^MHYwEAYHKo|^MII[BC]Ij|^MCowBQYDK2V|^\w+://|:sha-\d{3}:|^\d:\d|^arn:|^data:|^[\w./-]+\.[a-z]{2,4}$|^[./~]+\w+/`)
	// strong names are of secrets whatever their value looks like, so that even hexadecimal digits are one.
	strong = lazyregexp.New(`secret|passw|passphrase|pwd|credential` +
		`|(?:api|access|private|auth|sign(?:ing)?|encrypt(?:ion)?|master|account|license)key` +
		`|(?:api|access|auth|refresh|bearer|bot|deploy|personal)token`)
	// harmless are words of names whose values are public, or only belong to a secret.
	harmless = lazyregexp.New(`public|primary|foreign|partition|cache|sort|group|hotkey|monkey|turkey|keyboard|keyword|keycode|keyframe|author(?:[^i]|$)` +
		`|integrity|checksum|digest|hash|sha\d|md5|fingerprint|thumbprint|etag|commit|revision|resolved|version|endpoint` +
		`|[^a-z](?:id|ids|name|names|type|url|uri|path|file|length|size|count` +
		`|algorithm|format|prefix|suffix|label|alias|expir\w*|ttl|json|ya?ml|toml|xml|html|txt|md|pem|pub|crt|cer|go|js|ts|py)$`)
)

// judge looks at the name around a credential word, and masks its value if that is a secret.
func (p *pass) judge(at int) {
	if at < p.names {
		return // another word of a name that was judged
	}
	start, end := at, at
	for start > 0 && at-start < longestName && nameByte(p.text[start-1]) {
		start--
	}
	for end < len(p.text) && end-at < longestName && nameByte(p.text[end]) {
		end++
	}
	p.names = end
	if nextRun(p.text[end:min(len(p.text), end+assignedWithin+shortestValue)], 0).end == 0 {
		return
	}
	for _, a := range assignments {
		match := a().FindStringSubmatchIndex(p.text[end:min(len(p.text), end+assignedWithin)])
		if match == nil {
			continue
		}
		quoted := match[2] < match[3]
		from := end + match[1]
		to := p.valueEnd(from, quoted)
		if to == 0 {
			continue
		}
		if kind := assignedKind(p.text[start:end], p.text[from:min(to, from+longestValue)], quoted); kind != "" {
			p.spans = append(p.spans, span{from, to, kind})
			return
		}
	}
}

// valueEnd returns where a value ends, 0 if there is none. Values that begin within one another end at the same place, so
// that the last end is kept: a line of names is not read again for each.
func (p *pass) valueEnd(from int, quoted bool) int {
	last := &p.values[0]
	part := unquotedByte
	if quoted {
		last, part = &p.values[1], quotedByte
	}
	if from < last.start || from >= last.end {
		*last = run{from, from}
		for last.end < len(p.text) && part(p.text[last.end]) {
			last.end++
		}
	}
	if !quoted && last.end < len(p.text) && !strings.ContainsRune(" \t\r\n;,&\"'`)]}<\\", rune(p.text[last.end])) {
		return 0 // an expression
	}
	return last.end
}

// unquotedByte reports whether a byte may be part of a value without quotes.
func unquotedByte(b byte) bool { return word(b) || strings.IndexByte("+/.~=%-:@!#$^*?", b) >= 0 }

// quotedByte reports whether a byte may be part of a value in quotes. What has spaces is prose, what has braces a template.
func quotedByte(b byte) bool { return b > ' ' && strings.IndexByte("\\\"'`<>{}", b) < 0 }

func nameByte(b byte) bool { return word(b) || b == '-' || b == '.' }

// assignedKind returns the kind of a value that is assigned to a name, "" if it is not a secret.
func assignedKind(name, value string, quoted bool) string {
	plain := flat(name)
	joined := strings.ReplaceAll(plain, " ", "")
	kind := credential(joined)
	if kind == "" || harmless().MatchString(plain) || len(value) < shortestValue {
		return ""
	}
	switch {
	case hex().MatchString(value):
		if !strong().MatchString(joined) || entropy(value) < 3 || !hasLetter(value) {
			return ""
		}
	case !random(value, quoted), uuid().MatchString(value), digest().MatchString(value):
		return ""
	}
	if documented().has(value) {
		return ""
	}
	return kind
}

// credential is the kind that a name in lower case without separators asks for. "auth" alone is no name of a secret but
// for the header; "key" must end the name or be followed by what qualifies it.
func credential(name string) string {
	for _, w := range []struct{ word, kind string }{
		{"passw", "password"},
		{"passphrase", "password"},
		{"pwd", "password"},
		{"secret", "secret"},
		{"token", "token"},
		{"credential", "credential"},
		{"key", "key"},
		{"authorization", "token"},
	} {
		if strings.Contains(name, w.word) {
			return w.kind
		}
	}
	if strings.HasSuffix(name, "auth") {
		return "credential"
	}
	return ""
}

// flat is a name in lower case with a space between its words, and one before it.
func flat(name string) string {
	var out strings.Builder
	out.WriteByte(' ')
	for i := range len(name) {
		b := name[i]
		switch {
		case b == '_' || b == '-' || b == '.':
			out.WriteByte(' ')
		case 'A' <= b && b <= 'Z':
			if i > 0 && 'a' <= name[i-1] && name[i-1] <= 'z' {
				out.WriteByte(' ')
			}
			out.WriteByte(b - 'A' + 'a')
		default:
			out.WriteByte(b)
		}
	}
	return out.String()
}

// plausible reports whether a value that a vendor's expression found is a secret: name is what precedes it. Where the
// name says so, any value of that form is one; else only a random one, since a commit or an id may follow a vendor's name.
func plausible(name, value string) bool {
	plain := flat(name)
	if harmless().MatchString(strings.TrimRight(plain, " =:>|,\"'`\t")) {
		return false
	}
	if credential(strings.ReplaceAll(plain, " ", "")) != "" || strings.Contains(plain, "api") {
		return !uuid().MatchString(value) || strong().MatchString(strings.ReplaceAll(plain, " ", ""))
	}
	return len(value) >= shortestValue && !uuid().MatchString(value) && !hex().MatchString(value) && random(value, true)
}

func hasLetter(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' })
}

// random reports whether a value looks like one that a machine drew: of high entropy, mixed of letters of both cases and
// digits, without ordinary words. Text that is not quoted is code, where long names are common, so it must be more mixed.
func random(value string, quoted bool) bool {
	if entropy(value) < leastEntropy || !hasLetter(value) {
		return false
	}
	part := longestPart(value)
	scattered := len(part) < shortestValue/2 // such as a licence key in groups, or a constant
	if scattered {
		part = value
	}
	changes, digits, others := 0, 0, 0
	for i := range len(part) {
		switch class(part[i]) {
		case digit:
			digits++
		case other:
			others++
		}
		if i > 0 && class(part[i]) != class(part[i-1]) {
			changes++
		}
	}
	share := float64(changes) / float64(len(part)-1)
	switch {
	case digits == 0:
		if share < 0.4 {
			return false
		}
	case share < 0.15, !quoted && share < 0.25, scattered && digits < len(part)/6, len(part)-digits-others < 3:
		return false
	}
	return len(part) > 120 || !ordinary().has(part) && !credentials().has(part) // in longer ones words occur by chance
}

// longestPart is the longest part of a value between the separators of names.
func longestPart(value string) string {
	longest := ""
	for part := range strings.FieldsFuncSeq(value, func(r rune) bool { return strings.ContainsRune("_-.:/=", r) }) {
		if len(part) > len(longest) {
			longest = part
		}
	}
	return longest
}

const (
	lower = iota
	upper
	digit
	other
)

func class(b byte) int {
	switch {
	case 'a' <= b && b <= 'z':
		return lower
	case 'A' <= b && b <= 'Z':
		return upper
	case '0' <= b && b <= '9':
		return digit
	}
	return other
}
