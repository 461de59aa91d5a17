package git

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// The bounds of one repository's diffs.
const (
	diffArgs   = 20_000 // bytes of names in one command, each with a blank; Windows takes 32,767
	diffNames  = 400    // names in one command
	diffRounds = 64     // commands
	// diffOutputs is how much of their output is read, in times of what is read of one command's.
	diffOutputs = 3

	// MaxPartBytes is how much is kept of one file's part of a diff, in bytes.
	MaxPartBytes = 1 << 20
)

// modeSubmodule is git's file mode of a submodule: a commit of another repository.
const modeSubmodule = "160000"

// Part is one file's part of a diff.
type Part struct {
	Name, From string // relative to the work tree's top; From is the old name of a renamed file
	Text       []byte // as git writes it, the file's bytes in it unchanged
	Cut        bool   // more than could be read
	Binary     bool
	Submodule  bool // the new side is another repository's commit
	State      byte // of what Names lists: git's letter, such as M, A, D or R
}

// Diff is one of the diffs of a repository.
type Diff struct {
	Name string   // staged, unstaged or what is compared with
	Args []string // the arguments of git diff that select it
}

// Names lists the files of a diff, below a folder of the work tree. Whole is false when there are more than were read.
func (r *Repository) Names(ctx context.Context, d Diff, below string) (names []Part, whole bool, err error) {
	args := append([]string{"diff", "--raw", "-z", "--no-ext-diff", "--no-textconv", "-M", "--ignore-submodules=dirty"}, d.Args...)
	out, cut, err := r.guest.output(ctx, append(args, "--", below)...)
	if err != nil {
		return nil, false, err
	}
	fields := fieldsOf(out)
	for i := 0; i+1 < len(fields); i++ {
		info := strings.Fields(fields[i])
		if len(info) < 2 || !strings.HasPrefix(fields[i], ":") {
			continue
		}
		i++
		p := Part{Name: fields[i], Submodule: info[1] == modeSubmodule, State: info[len(info)-1][0]}
		if (p.State == 'R' || p.State == 'C') && i+1 < len(fields) {
			i++
			p.From, p.Name = p.Name, fields[i]
		}
		names = append(names, p)
	}
	return names, !cut, nil
}

// Fingerprint names what a diff of recorded objects says, the index included but not the work tree's files.
func (r *Repository) Fingerprint(ctx context.Context, d Diff) (string, error) {
	args := append([]string{"diff", "--raw", "-z", "--no-abbrev", "--no-ext-diff", "--no-textconv", "-M", "--ignore-submodules=dirty"}, d.Args...)
	out, _, err := r.guest.output(ctx, append(args, "--", ".")...)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append([]byte(r.Head+"\x00"), out...))
	return hex.EncodeToString(sum[:]), nil
}

// Diff reads the parts of a diff that belong to the given names, in bounded pieces: the renamed ones last. A name whose part
// did not come stays out of the result.
func (r *Repository) Diff(ctx context.Context, d Diff, names []Part) (parts []Part, err error) {
	left := pieces{bytes: diffOutputs * r.guest.most, commands: diffRounds}
	renamed := func(p Part) bool { return p.From != "" }
	// Among some of the names git can find renames that it did not find among all of them.
	plain, err := r.diffOf(ctx, d, slices.DeleteFunc(slices.Clone(names), renamed), "--no-renames", &left)
	if err != nil {
		return plain, err
	}
	moved, err := r.diffOf(ctx, d, slices.DeleteFunc(slices.Clone(names), func(p Part) bool { return !renamed(p) }), "-M", &left)
	return append(plain, moved...), err
}

// pieces is how much of a diff may still be read.
type pieces struct {
	bytes    int64
	commands int
}

// diffOf is Diff, looking for renames or not.
func (r *Repository) diffOf(ctx context.Context, d Diff, names []Part, renames string, left *pieces) (parts []Part, err error) {
	for ; len(names) > 0 && left.bytes > 0 && left.commands > 0; left.commands-- {
		args := append([]string{
			"diff", "--patch", "--no-color", "--no-ext-diff", "--no-textconv", renames,
			"--ignore-submodules=dirty", "--submodule=short", "--src-prefix=a/", "--dst-prefix=b/",
		}, d.Args...)
		args = append(args, "--")
		n := inOneCommand(len(names), func(i int) int { return len(names[i].Name) + len(names[i].From) })
		for _, p := range names[:n] {
			args = append(args, p.Name)
			if p.From != "" {
				args = append(args, p.From)
			}
		}
		out, cut, err := r.guest.upTo(min(r.guest.most, left.bytes)).output(ctx, args...)
		if err != nil {
			return parts, err
		}
		left.bytes -= int64(len(out))
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
			parts[len(parts)-1].Cut = true
		}
		names = after(names, got[len(got)-1].Name)
	}
	return parts, nil
}

// inOneCommand is how many of some names, at least one, go into one command.
func inOneCommand(names int, length func(i int) int) int {
	total := 0
	for i := range min(names, diffNames) {
		if total += length(i) + 1; total > diffArgs && i > 0 {
			return i
		}
	}
	return min(names, diffNames)
}

// after is what follows a name in a list, nothing when it is not there.
func after(names []Part, name string) []Part {
	for i, n := range names {
		if n.Name == name {
			return names[i+1:]
		}
	}
	return nil
}

// splitDiff takes a diff apart by file. A part whose names can't be read is dropped, since it could not be checked; last
// reports whether the last part is among the parts.
func splitDiff(out []byte) (parts []Part, last bool) {
	var block []byte
	flush := func() {
		var p Part
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
func parsePart(block []byte) (Part, bool) {
	p := Part{Text: block}
	if len(block) > MaxPartBytes {
		p.Text, p.Cut = block[:bytes.LastIndexByte(block[:MaxPartBytes], '\n')+1], true
	}
	for i, line := range bytes.Split(block, []byte("\n")) {
		text := string(line)
		switch {
		case i == 0:
			p.Name = headerName(text)
		case strings.HasPrefix(text, "@@"):
			return p, p.Name != ""
		case strings.HasPrefix(text, "Binary files "), text == "GIT binary patch":
			p.Binary = true
			return p, p.Name != ""
		case strings.HasPrefix(text, "rename from "):
			p.From = unquoteName(text[len("rename from "):])
		case strings.HasPrefix(text, "copy from "):
			p.From = unquoteName(text[len("copy from "):])
		case strings.HasPrefix(text, "rename to "):
			p.Name = unquoteName(text[len("rename to "):])
		case strings.HasPrefix(text, "copy to "):
			p.Name = unquoteName(text[len("copy to "):])
		case strings.HasPrefix(text, "--- "), strings.HasPrefix(text, "+++ "):
			name := unquoteName(strings.TrimSuffix(text[4:], "\t"))
			if len(name) > 2 && (name[:2] == "a/" || name[:2] == "b/") { // and not /dev/null
				p.Name = name[2:]
			}
		}
	}
	return p, p.Name != ""
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
	if !ok || len(rest)%2 == 0 {
		return ""
	}
	half := len(rest) / 2
	a, b := unquoteName(rest[:half]), unquoteName(rest[half+1:])
	if rest[half] != ' ' || !strings.HasPrefix(a, "a/") || !strings.HasPrefix(b, "b/") || a[2:] != b[2:] {
		return ""
	}
	return a[2:]
}

// unquoteName undoes git's quoting of unusual names, C's with octal bytes. A name that is not quoted stays; one that git
// can't have written is "".
func unquoteName(name string) string {
	if len(name) < 2 || name[0] != '"' || name[len(name)-1] != '"' {
		return name
	}
	quoted := name[1 : len(name)-1]
	plain := make([]byte, 0, len(quoted))
	for i := 0; i < len(quoted); i++ {
		c := quoted[i]
		if c == '"' {
			return ""
		}
		if c != '\\' {
			plain = append(plain, c)
			continue
		}
		if i++; i == len(quoted) {
			return ""
		}
		if at := strings.IndexByte(`abtnvfr"\`, quoted[i]); at >= 0 {
			plain = append(plain, "\a\b\t\n\v\f\r\"\\"[at])
			continue
		}
		if i+3 > len(quoted) {
			return ""
		}
		b, err := strconv.ParseUint(quoted[i:i+3], 8, 8)
		if err != nil {
			return ""
		}
		plain = append(plain, byte(b))
		i += 2
	}
	return string(plain)
}
