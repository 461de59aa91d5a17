package workflow

import (
	"context"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/tools/proof"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// Coverage says what the expert saw of a file that was named or is changed.
type Coverage struct {
	File string `json:"file"` // as the host names it
	How  string `json:"how"`  // whole, part, diff, skipped or not_read
	Why  string `json:"why,omitempty"`
}

// What an expert sees of a file.
const (
	CoverWhole   = "whole"
	CoverPart    = "part"
	CoverDiff    = "diff" // all changed lines
	CoverSkipped = "skipped"
	CoverNotRead = "not_read"
)

// coverage is what the expert saw of the files that were named or are changed, as sent and as it read them itself.
func (r *run) coverage(ctx context.Context, e Evidence, shown *proof.Shown) []Coverage {
	var list []Coverage
	of, known := byPath(e.Manifest), map[string]bool{}
	for _, c := range e.Changed {
		list = append(list, coverChange(c, of[c.Path], shown))
		known[c.Path] = true
	}
	for _, entry := range slices.Concat(e.Manifest.Sent, e.Manifest.Cut, e.Manifest.Unchanged, e.Manifest.LeftOut) {
		if entry.Part != "" || known[entry.Path] {
			continue
		}
		c := coverNamed(entry, of[entry.Path])
		r.coverRead(ctx, &c, shown, true)
		list = append(list, c)
		known[entry.Path] = true
	}
	return list
}

// byPath is the part of a manifest that is about each file: a change can have tens of thousands.
func byPath(m workspace.Manifest) map[string]workspace.Manifest {
	of := map[string]workspace.Manifest{}
	for _, list := range []struct {
		entries []workspace.Entry
		in      func(*workspace.Manifest) *[]workspace.Entry
	}{
		{m.Sent, func(m *workspace.Manifest) *[]workspace.Entry { return &m.Sent }},
		{m.Cut, func(m *workspace.Manifest) *[]workspace.Entry { return &m.Cut }},
		{m.Unchanged, func(m *workspace.Manifest) *[]workspace.Entry { return &m.Unchanged }},
		{m.LeftOut, func(m *workspace.Manifest) *[]workspace.Entry { return &m.LeftOut }},
	} {
		for _, e := range list.entries {
			part := of[e.Path]
			*list.in(&part) = append(*list.in(&part), e)
			of[e.Path] = part
		}
	}
	return of
}

// coverRead adds to the coverage of a file what of it the expert has read by itself. Where that is the whole file, it is
// covered whole, if that is enough.
func (r *run) coverRead(ctx context.Context, c *Coverage, shown *proof.Shown, wholeSuffices bool) {
	if c.How != CoverPart && c.How != CoverNotRead || !shown.Has(c.File) {
		return
	}
	c.How = CoverPart
	if n := r.lineCount(ctx, c.File); wholeSuffices && n > 0 && shown.Covers(c.File, proof.WorkTree, 1, n) {
		c.How, c.Why = CoverWhole, ""
	}
}

// coverChange is what was seen of a changed file.
func coverChange(c workspace.ChangedFile, m workspace.Manifest, shown *proof.Shown) Coverage {
	out := Coverage{File: c.Path}
	switch {
	case c.Skipped != "":
		out.How, out.Why = CoverSkipped, c.Skipped
	case sentWhole(m, c.Path) && wholeSuffices(c, shown):
		out.How = CoverWhole
	case c.Unread == "" && covers(shown, proof.WorkTree, c.Added, c.Path) && removedShown(c, shown):
		out.How = CoverDiff
	default:
		out.How, out.Why = CoverNotRead, c.Unread
		if shown.Has(c.Path) {
			out.How = CoverPart
		}
		for _, e := range slices.Concat(m.Cut, m.LeftOut) {
			if e.Path == c.Path && out.Why == "" {
				out.Why = e.Reason
			}
		}
	}
	return out
}

// wholeSuffices reports whether the change of a file that is with the expert whole is known to it: the file is the diffs' new
// side, and the lines that they remove were shown.
func wholeSuffices(c workspace.ChangedFile, shown *proof.Shown) bool {
	return c.Current && (c.Unread == "" || c.New) && removedShown(c, shown)
}

// removedShown reports whether all lines were shown that the diffs of a file remove. Of a file that was renamed in the index
// and then changed in the work tree, the second diff has them under its new name.
func removedShown(c workspace.ChangedFile, shown *proof.Shown) bool {
	return covers(shown, proof.Before, c.Removed, c.From, c.Path)
}

// covers reports whether all of the spans of a revision were shown, each under one of the file's names.
func covers(shown *proof.Shown, revision string, spans []workspace.Span, names ...string) bool {
	for _, s := range spans {
		if !slices.ContainsFunc(names, func(name string) bool { return shown.Covers(name, revision, s.First, s.Last) }) {
			return false
		}
	}
	return true
}

// sentWhole reports whether a file itself, not a diff of it, is with the expert whole.
func sentWhole(m workspace.Manifest, path string) bool {
	return slices.ContainsFunc(slices.Concat(m.Sent, m.Unchanged), func(e workspace.Entry) bool {
		return e.Path == path && e.Part == "" && e.Reason == ""
	})
}

// coverNamed is what was sent of a named file.
func coverNamed(e workspace.Entry, m workspace.Manifest) Coverage {
	c := Coverage{File: e.Path, How: CoverPart, Why: e.Reason}
	has := func(list []workspace.Entry) bool {
		return slices.ContainsFunc(list, func(x workspace.Entry) bool { return x == e })
	}
	switch {
	case sentWhole(m, e.Path):
		c.How, c.Why = CoverWhole, ""
	case has(m.LeftOut) && strings.HasPrefix(e.Reason, "binary"):
		c.How = CoverSkipped
	case has(m.LeftOut) && e.Code == workspace.CodeNotFound:
		c.How = CoverSkipped
	case has(m.LeftOut):
		c.How = CoverNotRead
	}
	return c
}

// lineCount is how many lines a file has, 0 where it can't be read whole.
func (r *run) lineCount(ctx context.Context, path string) int {
	refs, _ := r.resolve(ctx, []string{path})
	if len(refs) != 1 {
		return 0
	}
	t, err := refs[0].ReadText(0)
	if err != nil || t.Cut {
		return 0
	}
	return t.Lines
}

// uncovered are the files of which the expert did not see what it had to.
func uncovered(list []Coverage) (files []string) {
	for _, c := range list {
		if c.How == CoverPart || c.How == CoverNotRead {
			files = append(files, c.File)
		}
	}
	return files
}

// maxCoverage is how many files a reply lists.
const maxCoverage = 100

// shortCoverage is a list that a reply can hold, those that were not covered first where some are left out, and how many
// those are.
func shortCoverage(list []Coverage) (short []Coverage, more int) {
	if len(list) <= maxCoverage {
		return list, 0
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Coverage) int { return len(uncovered([]Coverage{b})) - len(uncovered([]Coverage{a})) })
	return list[:maxCoverage], len(list) - maxCoverage
}
