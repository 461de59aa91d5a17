package workspace

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
)

// PartUntracked is the Part of a manifest's entry for a file that git does not know yet.
const PartUntracked = "untracked"

// maxUntracked is how many new files of a repository are read: somebody may have forgotten to ignore a whole folder.
const maxUntracked = 200

// untracked sets aside what a commit of everything would add: each new file as the diff that git would make of it. Links
// are not followed, as git does not: their text is where they lead.
func (i *inspection) untracked(ctx context.Context, s *git.Repository, changes []Change) error {
	fresh := newFirst(changes)
	var names []string
	for _, c := range fresh {
		names = append(names, c.name)
	}
	generated, err := s.Generated(ctx, names)
	if err != nil {
		return err
	}
	var found []newFile
	more := 0
	for _, c := range fresh {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if len(found) == maxUntracked {
			more++
			continue
		}
		f, err := i.newFile(s, c.name)
		if err != nil {
			e := failed(c.Path, err)
			e.Part = PartUntracked
			i.unread(e)
			continue
		}
		if why := skipReason(c.name, generated); why != "" {
			i.skip(c.Path, PartUntracked, why)
			continue
		}
		found = append(found, f)
	}
	if more > 0 {
		i.unread(Entry{Path: i.w.host(s.Top), Part: PartUntracked, Reason: fmt.Sprintf("there are %d more new files; have git ignore those that are not meant", more)})
	}
	var sizes []int
	for _, f := range found {
		sizes = append(sizes, int(min(f.size, git.MaxPartBytes)))
	}
	for n, granted := range allot(sizes, i.query.Tokens*bytesPerToken, smallestShare(i.query.Tokens)*bytesPerToken) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := i.readNew(found[n], granted); err != nil {
			return err
		}
	}
	return nil
}

// newFirst are the new files among the changes, those in folders that tools fill last.
func newFirst(changes []Change) []Change {
	var written, made []Change
	for _, c := range changes {
		switch {
		case c.State != "??" || strings.HasSuffix(c.name, "/"): // a folder is a repository of its own
		case slices.ContainsFunc(strings.Split(c.name, "/"), skipped):
			made = append(made, c)
		default:
			written = append(written, c)
		}
	}
	return append(written, made...)
}

// newFile is a file that git does not know yet, checked.
type newFile struct {
	at   place
	name string // relative to the work tree's top
	mode string // as git writes it
	size int64
	link string // where a link leads, "" for a file
}

func (i *inspection) newFile(s *git.Repository, name string) (newFile, error) {
	host, err := i.w.admits(i.roots, s.Top, name)
	if err != nil {
		return newFile{}, err
	}
	full := filepath.Join(s.Top, filepath.FromSlash(name))
	info, err := os.Lstat(full)
	if err != nil {
		return newFile{}, systemError(host, err)
	}
	if info.Mode()&os.ModeSymlink != 0 {
		return i.newLink(host, full, name)
	}
	p, err := parsePath(full, i.w.system)
	if err != nil {
		return newFile{}, err
	}
	at, err := i.w.locate(i.roots, host, p)
	if err != nil {
		return newFile{}, err
	}
	f := newFile{at: at, name: name, mode: "100644", size: info.Size()}
	if info.Mode()&0o111 != 0 {
		f.mode = "100755"
	}
	return f, nil
}

// newLink is a link that git does not know yet: its own folder is checked, and not what it leads to.
func (i *inspection) newLink(host, full, name string) (newFile, error) {
	p, err := parsePath(filepath.Dir(full), i.w.system)
	if err != nil {
		return newFile{}, err
	}
	folder, err := i.w.locate(i.roots, host, p)
	if err != nil {
		return newFile{}, err
	}
	to, err := os.Readlink(filepath.Join(folder.real, filepath.Base(full)))
	if err != nil {
		return newFile{}, systemError(host, err)
	}
	to = conversation.Printable(strings.ToValidUTF8(to, "\uFFFD"))
	return newFile{at: place{host: host}, name: name, mode: "120000", size: int64(len(to)), link: to}, nil
}

// readNew reads what was granted of a new file, and sets its diff aside. It fails only where a secret in it is refused.
func (i *inspection) readNew(f newFile, granted int) error {
	entry := Entry{Path: f.at.host, Part: PartUntracked, Bytes: f.size}
	i.changed(f.at.host).New = true
	if granted == leftOut {
		entry.Reason = overBudget(i.query.Tokens)
		i.unread(entry)
		return nil
	}
	t, kind, err := f.read(int64(granted))
	switch {
	case err != nil:
		entry = failed(f.at.host, err)
		entry.Part = PartUntracked
		i.unread(entry)
	case kind != "":
		i.skip(f.at.host, PartUntracked, "binary")
	case minified(f.name, t.Content):
		i.skip(f.at.host, PartUntracked, "minified")
	default:
		if t.Content, err = i.w.Mask(f.at.host, t.Content); err != nil {
			return err
		}
		i.set(repoPart{
			name: f.name, cut: t.Cut, charset: namedCharset(t.Encoding),
			repo: len(i.report.Repositories) - 1, of: PartUntracked, host: f.at.host, size: t.Size,
		}, "", readable(git.Part{Name: f.name}, added(f, t)))
	}
	return nil
}

// read is the beginning of a new file, or where a link leads.
func (f newFile) read(limit int64) (t *Text, kind string, err error) {
	if f.link != "" {
		return &Text{Path: f.at.host, Content: f.link, Encoding: encodingUTF8, Size: f.size, Lines: 1}, "", nil
	}
	return f.at.readText(limit)
}

// added is a new file as the diff that adds it.
func added(f newFile, t *Text) string {
	var b strings.Builder
	name := conversation.Printable(f.name)
	fmt.Fprintf(&b, "diff --git a/%s b/%s\nnew file mode %s\n", name, name, f.mode)
	if t.Content == "" {
		return b.String()
	}
	fmt.Fprintf(&b, "--- /dev/null\n+++ b/%s\n@@ -0,0 +1,%d @@\n", name, t.Lines)
	for line := range strings.Lines(t.Content) {
		b.WriteString("+" + line)
	}
	if !strings.HasSuffix(t.Content, "\n") {
		b.WriteString("\n")
		if !t.Cut {
			b.WriteString("\\ No newline at end of file\n")
		}
	}
	return b.String()
}

// grants shares the budget among the parts. New files are sure of a third of it and the diffs of the rest; either takes
// what the other leaves, so that neither a forgotten folder nor a rewritten lock file crowds out all else. Diffs that change
// no line, such as those of a renamed folder, come after those that do.
func (i *inspection) grants(sizes []int, budget int) []int {
	var diffs, bare, fresh []int // indices
	want := 0
	for n, p := range i.parts {
		switch {
		case p.of == PartUntracked:
			fresh, want = append(fresh, n), want+sizes[n]
		case p.bare:
			bare = append(bare, n)
		default:
			diffs = append(diffs, n)
		}
	}
	granted := make([]int, len(sizes))
	spend := func(at []int, budget int) (left int) {
		part := make([]int, len(at))
		for j, n := range at {
			part[j] = sizes[n]
		}
		for j, g := range allot(part, budget, smallestShare(budget)) {
			granted[at[j]] = g
			budget -= max(g, 0)
		}
		return budget
	}
	reserved := min(want, budget/3)
	spend(fresh, reserved+spend(bare, spend(diffs, budget-reserved)))
	return granted
}
