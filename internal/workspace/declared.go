package workspace

import (
	"io"
	"regexp"
	"slices"
	"strings"
)

// maxDeclaration is how much is read of an .editorconfig or .gitattributes, in bytes.
const maxDeclaration = 64 << 10

// declaredCharset is the encoding that the project declares for a file, by its WHATWG name, "" for none: what the nearest
// .gitattributes says by working-tree-encoding, else what the nearest .editorconfig says by charset. Both are looked for
// from the file's folder up to its root.
func (at place) declaredCharset() string {
	for _, source := range []struct {
		file string
		read func(text, name string) (charset string, last bool)
	}{{".gitattributes", attributesCharset}, {".editorconfig", editorCharset}} {
		for depth := len(at.names) - 1; depth >= 0; depth-- {
			text := at.beside(depth, source.file)
			if text == "" {
				continue
			}
			charset, last := source.read(text, strings.Join(at.names[depth:], "/"))
			if name := charsetName(charset); name != "" {
				return name
			}
			if last {
				break
			}
		}
	}
	return ""
}

// beside reads a small file in one of the folders above, "" where there is none that may be read.
func (at place) beside(depth int, name string) string {
	at.names = append(slices.Clone(at.names[:depth]), name)
	dir, err := at.openParent()
	if err != nil {
		return ""
	}
	defer dir.Close()
	info, err := dir.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	f, _, err := at.open()
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxDeclaration))
	if err != nil {
		return ""
	}
	return string(text)
}

// attributesCharset is what a .gitattributes says about a file, whose name is relative to it. The last line that matches
// counts.
func attributesCharset(text, name string) (charset string, last bool) {
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "working-tree-encoding") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 2 || strings.HasPrefix(fields[0], "#") || !matchesGlob(fields[0], name) {
			continue
		}
		for _, f := range fields[1:] {
			if value, ok := strings.CutPrefix(f, "working-tree-encoding="); ok {
				charset = value
			} else if f == "-working-tree-encoding" || f == "!working-tree-encoding" {
				charset = ""
			}
		}
	}
	return charset, false
}

// editorCharset is what an .editorconfig says about a file, whose name is relative to it; last says that those in the
// folders above don't count.
func editorCharset(text, name string) (charset string, last bool) {
	section, matches := "", false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' && strings.HasSuffix(line, "]") {
			section = line[1 : len(line)-1]
			matches = matchesGlob(section, name)
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.ToLower(strings.TrimSpace(value))
		switch {
		case !ok:
		case section == "" && key == "root":
			last = value == "true"
		case matches && key == "charset":
			charset = strings.TrimSuffix(value, "unset")
		}
	}
	return charset, last
}

// matchesGlob reports whether a pattern of .gitattributes or .editorconfig matches a name: without a slash it means a
// file of that name in any folder. It knows *, **, ?, [...] and {a,b}.
func matchesGlob(pattern, name string) bool {
	if !strings.Contains(pattern, "/") {
		name = name[strings.LastIndexByte(name, '/')+1:]
	}
	re, err := regexp.Compile(globPattern(strings.TrimPrefix(pattern, "/")))
	return err == nil && re.MatchString(name)
}

// globPattern is a glob as a regular expression.
func globPattern(glob string) string {
	var b strings.Builder
	b.WriteString("^")
	braces := 0
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; {
		case strings.HasPrefix(glob[i:], "**/"):
			b.WriteString("(?:.*/)?")
			i += 2
		case strings.HasPrefix(glob[i:], "**"):
			b.WriteString(".*")
			i++
		case c == '*':
			b.WriteString("[^/]*")
		case c == '?':
			b.WriteString("[^/]")
		case c == '[' && strings.IndexByte(glob[i:], ']') > 0:
			end := i + strings.IndexByte(glob[i:], ']')
			set := strings.ReplaceAll(glob[i+1:end], `\`, `\\`)
			if rest, ok := strings.CutPrefix(set, "!"); ok {
				set = "^" + rest
			}
			b.WriteString("[" + set + "]")
			i = end
		case c == '{' && strings.IndexByte(glob[i:], '}') > 0:
			b.WriteString("(?:")
			braces++
		case c == '}' && braces > 0:
			b.WriteString(")")
			braces--
		case c == ',' && braces > 0:
			b.WriteString("|")
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	return b.String() + "$"
}
