package workspace

import (
	"bytes"
	"context"
	"strconv"
	"strings"
)

// The bounds of one repository's diffs.
const (
	diffArgs   = 20_000   // characters of names in one command; Windows takes 32,767
	diffNames  = 400      // names in one command
	diffTotal  = 48 << 20 // bytes read
	diffRounds = 64       // commands

	diffPartBytes = 1 << 20 // kept of one file's part
)

// modeSubmodule is git's file mode of a submodule: a commit of another repository.
const modeSubmodule = "160000"

// diffPart is one file's part of a diff.
type diffPart struct {
	name, from string // relative to the work tree's top; from is the old name of a renamed file
	text       string
	cut        bool // more than could be read
	binary     bool
	submodule  bool // the new side is another repository's commit
}

// diffOf is one of the diffs of a repository.
type diffOf struct {
	part string   // staged, unstaged or the name compared with
	args []string // what tells git diff so
}

// changedNames lists the names in a diff, with git's letter for each.
func (s *session) changedNames(ctx context.Context, d diffOf, below string) (names []diffPart, whole bool, err error) {
	args := append([]string{"diff", "--raw", "-z", "--no-ext-diff", "--no-textconv", "-M", "--ignore-submodules=dirty"}, d.args...)
	out, cut, err := s.guest.output(ctx, gitOutput, append(args, "--", below)...)
	if err != nil {
		return nil, false, err
	}
	fields := strings.Split(string(out), "\x00")
	fields = fields[:len(fields)-1]
	for i := 0; i+1 < len(fields); i++ {
		info := strings.Fields(fields[i])
		if len(info) == 0 || !strings.HasPrefix(fields[i], ":") {
			continue
		}
		i++
		p := diffPart{name: fields[i], submodule: len(info) > 1 && info[1] == modeSubmodule}
		if letter := info[len(info)-1]; (letter[0] == 'R' || letter[0] == 'C') && i+1 < len(fields) {
			i++
			p.from, p.name = p.name, fields[i]
		}
		names = append(names, p)
	}
	return names, !cut, nil
}

// diff reads the parts of a diff that belong to the given names, in bounded pieces. A name whose part did not come stays
// out of the result.
func (s *session) diff(ctx context.Context, d diffOf, names []diffPart) (parts []diffPart, err error) {
	read := 0
	for rounds := 0; len(names) > 0 && read < diffTotal && rounds < diffRounds; rounds++ {
		args := append([]string{
			"diff", "--patch", "--no-color", "--no-ext-diff", "--no-textconv", "-M",
			"--ignore-submodules=dirty", "--submodule=short", "--src-prefix=a/", "--dst-prefix=b/",
		}, d.args...)
		args = append(args, "--")
		length, n := 0, 0
		for n < len(names) && n < diffNames && (n == 0 || length+len(names[n].name)+len(names[n].from) < diffArgs) {
			length += len(names[n].name) + len(names[n].from) + 2
			args = append(args, names[n].name)
			if names[n].from != "" {
				args = append(args, names[n].from)
			}
			n++
		}
		out, cut, err := s.guest.output(ctx, int64(min(gitOutput, diffTotal-read)), args...)
		if err != nil {
			return parts, err
		}
		read += len(out)
		got, ends := splitDiff(out)
		parts = append(parts, got...)
		if !cut {
			names = names[n:]
			continue
		}
		if len(got) == 0 {
			return parts, nil
		}
		// The output stops within its last part. What comes after it is asked for again.
		if ends {
			parts[len(parts)-1].cut = true
		}
		names = after(names, got[len(got)-1].name)
	}
	return parts, nil
}

// after is what follows a name in a list, nothing when it is not there.
func after(names []diffPart, name string) []diffPart {
	for i, n := range names {
		if n.name == name {
			return names[i+1:]
		}
	}
	return nil
}

// splitDiff takes a diff apart by file. A part whose names can't be told is dropped, since it could not be checked; last
// tells whether the last part is among the parts.
func splitDiff(out []byte) (parts []diffPart, last bool) {
	var block []byte
	flush := func() {
		if len(block) == 0 {
			return
		}
		var p diffPart
		if p, last = parsePart(block); last {
			parts = append(parts, p)
		}
		block = nil
	}
	for line := range bytes.Lines(out) {
		// Lines of content begin with a blank, +, - or a backslash, so this can only be a header.
		if bytes.HasPrefix(line, []byte("diff --")) {
			flush()
		}
		block = append(block, line...)
	}
	flush()
	return parts, last
}

// parsePart reads one file's part of a diff.
func parsePart(block []byte) (diffPart, bool) {
	text, _ := decode(block, true)
	p := diffPart{text: text}
	if len(text) > diffPartBytes {
		p.text, p.cut = text[:strings.LastIndexByte(text[:diffPartBytes], '\n')+1], true
	}
	for i, line := range bytes.Split(block, []byte("\n")) {
		text := string(line)
		switch {
		case i == 0:
			p.name = headerName(text)
		case strings.HasPrefix(text, "@@"):
			return p, p.name != ""
		case strings.HasPrefix(text, "Binary files "), text == "GIT binary patch":
			p.binary = true
			return p, p.name != ""
		case strings.HasPrefix(text, "rename from "):
			p.from = unquoteName(text[len("rename from "):])
		case strings.HasPrefix(text, "copy from "):
			p.from = unquoteName(text[len("copy from "):])
		case strings.HasPrefix(text, "rename to "):
			p.name = unquoteName(text[len("rename to "):])
		case strings.HasPrefix(text, "copy to "):
			p.name = unquoteName(text[len("copy to "):])
		case strings.HasPrefix(text, "--- "), strings.HasPrefix(text, "+++ "):
			name := unquoteName(strings.TrimSuffix(text[4:], "\t"))
			if len(name) > 2 && (name[:2] == "a/" || name[:2] == "b/") { // and not /dev/null
				p.name = name[2:]
			}
		}
	}
	return p, p.name != ""
}

// headerName reads the name from a part's first line, where old and new name are the same; "" where they are not, or the
// line is cut. Renames say their names on lines of their own.
func headerName(line string) string {
	for _, combined := range []string{"diff --cc ", "diff --combined "} {
		if rest, ok := strings.CutPrefix(line, combined); ok {
			return unquoteName(rest)
		}
	}
	rest, ok := strings.CutPrefix(line, "diff --git ")
	if !ok || len(rest) < 5 || len(rest)%2 == 0 {
		return ""
	}
	half := len(rest) / 2
	a, b := unquoteName(rest[:half]), unquoteName(rest[half+1:])
	if rest[half] != ' ' || !strings.HasPrefix(a, "a/") || !strings.HasPrefix(b, "b/") || a[2:] != b[2:] {
		return ""
	}
	return a[2:]
}

// unquoteName undoes git's quoting of unusual names, C's with octal bytes. A name that is not quoted stays.
func unquoteName(name string) string {
	if len(name) < 2 || name[0] != '"' || name[len(name)-1] != '"' {
		return name
	}
	plain, err := strconv.Unquote(name)
	if err != nil {
		return ""
	}
	return plain
}
