package git

import (
	"fmt"
	"strings"
	"testing"
)

// quotedAsGit writes a name as git does in diffs: C's escapes, and octal where octal is asked for bytes beyond ASCII too.
func quotedAsGit(name string, octal bool) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch at := strings.IndexByte("\a\b\t\n\v\f\r\"\\", c); {
		case at >= 0:
			b.WriteString(`\` + `abtnvfr"\`[at:at+1])
		case c < ' ', c == 0x7f, c >= 0x80 && octal:
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return `"` + b.String() + `"`
}

// FuzzNames checks that names of any bytes are read back from what git writes, and that nothing else is taken for one.
func FuzzNames(f *testing.F) {
	for _, name := range []string{"a.go", "d/ä b", "文件", "tab\t", "q\"uote", "back\\", "\xff\xfe", "\"", "\\", "\n", "b/a b/a", " ", "\"a\\303\"", "\x00"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		_ = headerName("diff --git " + name)
		_, _ = splitDiff([]byte("diff --git " + name + "\n" + name))
		if read := unquoteName(name); strings.HasPrefix(name, `"`) && read == name && len(name) > 1 && strings.HasSuffix(name, `"`) {
			if !strings.Contains(name[1:], `"`) {
				t.Errorf("%q stayed quoted", name)
			}
		}
		for _, octal := range []bool{true, false} {
			if got := unquoteName(quotedAsGit(name, octal)); got != name {
				t.Errorf("%q was read as %q", name, got)
			}
			if name == "" {
				continue
			}
			header := "diff --git " + quotedAsGit("a/"+name, octal) + " " + quotedAsGit("b/"+name, octal)
			if got := headerName(header); got != name {
				t.Errorf("the header of %q names %q", name, got)
			}
			diff := header + "\nindex 1..2 100644\n--- " + quotedAsGit("a/"+name, octal) + "\n+++ " + quotedAsGit("b/"+name, octal) + "\n@@ -1 +1 @@\n-1\n+2\n"
			parts, last := splitDiff([]byte(diff + diff))
			if len(parts) != 2 || !last || parts[0].Name != name || string(parts[1].Text) != diff {
				t.Errorf("%q: %+v", name, parts)
			}
		}
	})
}
