package workspace

import (
	"context"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// lineBehind is a path with a line, or several, as agents cite them: "a.go:12", "a.go:12-40", "a.go:12:5", "a.go#L12-L40".
var lineBehind = lazyregexp.New(`^(.+?)(?::\d{1,9}(?:[-:]\d{1,9})?|#L\d{1,9}(?:-L?\d{1,9})?)$`)

// Named says which files and folders a caller's paths mean, each once: one that exists by its host's name, also where a
// line stands behind it ("a.go:12") or several stand in one text ("a.go, b.go"). A path that exists as it is written is
// taken so. One that leads to nothing, or may not be used, stays as it is, so that whoever uses it says why.
func (w *Workspace) Named(ctx context.Context, paths ...string) []string {
	var names []string
	seen := map[string]bool{}
	for _, written := range paths {
		for _, name := range w.meant(ctx, written) {
			if !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

// meant are the files that one text names.
func (w *Workspace) meant(ctx context.Context, written string) []string {
	if name, ok := w.cited(ctx, written); ok {
		return []string{name}
	}
	var names []string
	for part := range strings.FieldsFuncSeq(written, func(r rune) bool { return r == ',' || r == ';' || r == '\n' }) {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, ok := w.cited(ctx, part)
		if !ok { // there is doubt whether it is a list
			return []string{written}
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return []string{written}
	}
	return names
}

// cited is the file that exists under a path, or under it without the line behind it.
func (w *Workspace) cited(ctx context.Context, written string) (string, bool) {
	if name, ok := w.existing(ctx, written); ok {
		return name, true
	}
	m := lineBehind().FindStringSubmatch(strings.TrimSpace(written))
	if m == nil {
		return "", false
	}
	return w.existing(ctx, m[1])
}

// existing is what exists under a path: its host's name, if that leads to the same file, else the path as it is written.
func (w *Workspace) existing(ctx context.Context, written string) (string, bool) {
	at, err := w.find(ctx, written)
	if err != nil {
		return "", false
	}
	if _, err := at.stat(); err != nil {
		return "", false
	}
	if again, err := w.find(ctx, at.host); err != nil || again.real != at.real {
		return written, true
	}
	return at.host, true
}
