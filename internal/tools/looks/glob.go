package looks

import (
	"fmt"
	"regexp"
	"strings"
)

// compileGlob reads a glob: * and ? stay within a name, ** crosses folders, {a,b} is either, [a-z] a range. One without a
// slash is matched against a file's last name, another against its whole path. An empty one matches everything.
func compileGlob(glob string) (func(name string) bool, error) {
	glob = strings.TrimPrefix(strings.TrimSpace(glob), "./")
	if glob == "" {
		return func(string) bool { return true }, nil
	}
	if len(glob) > maxPattern {
		return nil, fmt.Errorf("glob exceeds the limit of %d bytes", maxPattern)
	}
	re, err := regexp.Compile(`\A(?s:` + translate(glob) + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("glob %q can't be read", glob)
	}
	whole := strings.Contains(glob, "/")
	return func(name string) bool {
		if !whole {
			name = name[strings.LastIndexByte(name, '/')+1:]
		}
		return re.MatchString(name)
	}, nil
}

// translate is a glob as a regular expression.
func translate(glob string) string {
	var b strings.Builder
	depth := 0
	for i := 0; i < len(glob); i++ {
		rest := glob[i:]
		switch c := glob[i]; {
		case strings.HasPrefix(rest, "**/"):
			b.WriteString(`(?:.*/)?`)
			i += 2
		case strings.HasPrefix(rest, "**"):
			b.WriteString(`.*`)
			i++
		case c == '*':
			b.WriteString(`[^/]*`)
		case c == '?':
			b.WriteString(`[^/]`)
		case c == '[' && strings.IndexByte(rest, ']') > 1:
			end := strings.IndexByte(rest, ']')
			set := strings.ReplaceAll(rest[1:end], `\`, `\\`)
			if strings.HasPrefix(set, "!") {
				set = "^" + set[1:]
			}
			b.WriteString("[" + set + "]")
			i += end
		case c == '{':
			depth++
			b.WriteString(`(?:`)
		case c == '}' && depth > 0:
			depth--
			b.WriteByte(')')
		case c == ',' && depth > 0:
			b.WriteByte('|')
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	return b.String()
}
