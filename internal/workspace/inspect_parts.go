package workspace

import (
	"context"
	"path/filepath"
	"unicode/utf8"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
	"github.com/exai-mcp/exai-mcp/internal/workspace/realpath"
)

// collect reads one diff and sets aside what may not be shown.
func (i *inspection) collect(ctx context.Context, s *git.Repository, d git.Diff, below string) error {
	names, whole, err := s.Names(ctx, d, below)
	if err != nil {
		return err
	}
	if !whole {
		i.unread(Entry{Path: i.w.host(s.Top), Part: d.Name, Reason: "there are more changed files than can be listed"})
	}
	allowed, err := i.worthReading(ctx, s, d, names)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, p := range allowed {
		wanted[p.Name] = true
	}
	parts, err := s.Diff(ctx, d, allowed)
	if err != nil {
		return err
	}
	repo := len(i.report.Repositories) - 1
	for _, p := range parts {
		// Checked again: a folder may have taken a file's place between the two commands.
		host, err := i.admits(s, p)
		if err != nil {
			continue
		}
		delete(wanted, p.Name)
		if p.Binary && i.utf16(s, p.Name) {
			i.unread(Entry{Path: host, Part: d.Name, Reason: reasonUTF16})
			continue
		}
		if p.Binary {
			i.skip(host, d.Name, "binary")
			continue
		}
		text, charset := i.decodePart(s, p)
		if minified(p.Name, text) {
			i.skip(host, d.Name, "minified")
			continue
		}
		if text, err = i.w.maskDiff(host, text); err != nil {
			return err
		}
		from := ""
		if p.From != "" {
			from = i.w.host(filepath.Join(s.Top, filepath.FromSlash(p.From)))
		}
		i.set(repoPart{name: p.Name, charset: charset, cut: p.Cut, repo: repo, of: d.Name, host: host}, from, readable(p, text))
	}
	for _, p := range allowed {
		if p.State == 'A' {
			i.changed(i.w.host(filepath.Join(s.Top, filepath.FromSlash(p.Name)))).New = true
		}
		if !wanted[p.Name] || p.State == 'U' && i.query.Unstaged && d.Name == diffStaged { // the work tree's diff shows conflicts
			continue
		}
		e := Entry{Path: i.w.host(filepath.Join(s.Top, filepath.FromSlash(p.Name))), Part: d.Name, Reason: "its diff could not be read, or is empty"}
		if p.State == 'U' {
			e.Reason = "git shows no diff of its conflict; resolve it first"
		}
		i.unread(e)
	}
	return nil
}

// worthReading are the names of a diff that may be shown and are worth a review, each once.
func (i *inspection) worthReading(ctx context.Context, s *git.Repository, d git.Diff, names []git.Part) ([]git.Part, error) {
	var files []string
	for _, p := range names {
		if filepath.IsLocal(filepath.FromSlash(p.Name)) { // a forged index can hold any name, at which git would stop
			files = append(files, p.Name)
		}
	}
	generated, err := s.Generated(ctx, files)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var allowed []git.Part
	for _, p := range names {
		if seen[p.Name] || !i.w.scoped(p.Name) {
			continue
		}
		seen[p.Name] = true
		host, err := i.admits(s, p)
		if err == nil && p.Submodule {
			err = i.admitsSubmodule(ctx, s, p.Name)
		}
		if err != nil {
			e := failed(host, err)
			e.Part = d.Name
			i.unread(e)
		} else if why := skipReason(p.Name, generated); why != "" {
			i.skip(host, d.Name, why)
		} else {
			allowed = append(allowed, p)
		}
	}
	return allowed, nil
}

// admits checks both names of a part.
func (i *inspection) admits(s *git.Repository, p git.Part) (host string, err error) {
	host, err = i.w.admits(i.roots, s.Top, p.Name)
	if err == nil && p.From != "" {
		_, err = i.w.admits(i.roots, s.Top, p.From)
	}
	return host, err
}

// admitsSubmodule checks the repository behind a submodule that is checked out: git shows the commit of its HEAD.
func (i *inspection) admitsSubmodule(ctx context.Context, s *git.Repository, name string) error {
	dir := realpath.Resolve(filepath.Join(s.Top, filepath.FromSlash(name)))
	if top, ok := git.WorkTree(dir); !ok || top != dir {
		return nil
	}
	if err := i.w.git.Check(ctx, dir, i.w.inRoots(i.roots)); err != nil {
		return i.w.gitError(ctx, place{host: i.w.host(dir)}, err)
	}
	return nil
}

// decodePart decodes a file's part of a diff. git has already decoded what .gitattributes declares.
func (i *inspection) decodePart(s *git.Repository, p git.Part) (text, charset string) {
	declared := ""
	if !utf8.Valid(p.Text) {
		full, err := parsePath(filepath.Join(s.Top, filepath.FromSlash(p.Name)), i.w.system)
		if at, locateErr := i.w.locate(i.roots, p.Name, full); err == nil && locateErr == nil {
			declared = at.declaredCharset()
		}
	}
	text, charset = decode(p.Text, true, declared)
	return text, namedCharset(charset)
}

// reasonUTF16 is why there is no diff of a text in UTF-16.
const reasonUTF16 = "git takes it for binary, since it is in UTF-16; declare working-tree-encoding=UTF-16 for it in .gitattributes, or store it as UTF-8"

// utf16 reports whether a file of the work tree is text in UTF-16.
func (i *inspection) utf16(s *git.Repository, name string) bool {
	full, err := parsePath(filepath.Join(s.Top, filepath.FromSlash(name)), i.w.system)
	if err != nil {
		return false
	}
	at, err := i.w.locate(i.roots, name, full)
	if err != nil {
		return false
	}
	t, kind, err := at.readText(sniffBytes)
	return err == nil && kind == "" && (t.Encoding == encodingUTF16LE || t.Encoding == encodingUTF16BE)
}

func (i *inspection) leaveOut(e Entry) {
	i.report.Manifest.LeftOut = append(i.report.Manifest.LeftOut, e)
}
