package looks

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/tools/proof"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// readFile is the function read_file.
func (r *Reader) readFile(ctx context.Context, a arguments, room int, look *Look) (string, error) {
	f, err := r.scope.Find(ctx, a.Path)
	if err != nil {
		return "", err
	}
	text, err := r.text(ctx, f)
	if err != nil {
		return "", err
	}
	look.Path = f.Path
	return r.lines(f, proof.WorkTree, "", text, a, room, look)
}

// text is a file's text with its secrets masked.
func (r *Reader) text(ctx context.Context, f workspace.ReadableFile) (string, error) {
	ref, err := r.scope.Ref(ctx, f)
	if err != nil {
		return "", err
	}
	text, err := ref.ReadText(0)
	if err != nil {
		return "", err
	}
	return r.mask(f.Name, text.Content)
}

// show is the function git_show.
func (r *Reader) show(ctx context.Context, a arguments, room int, look *Look) (string, error) {
	f, err := r.scope.Find(ctx, a.Path)
	if err != nil {
		return "", err
	}
	text, commit, err := r.scope.At(ctx, a.Commit, f)
	if err != nil {
		return "", err
	}
	masked, err := r.mask(f.Name, text.Content)
	if err != nil {
		return "", err
	}
	look.Path, look.Commit = f.Path, commit
	return r.lines(f, commit, " in commit "+commit, masked, a, room, look)
}

// maxLine is how much of one line is shown, in bytes: longer ones are data, not code.
const maxLine = 2_000

// lines are the asked lines of a text with their numbers, as many as room bytes hold, and what there is besides.
func (r *Reader) lines(f workspace.ReadableFile, revision, where, text string, a arguments, room int, look *Look) (string, error) {
	all := strings.SplitAfter(text, "\n")
	if all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	from, to := max(int(a.From), 1), len(all)
	if a.To > 0 {
		to = min(int(a.To), len(all))
	}
	name := shorten(f.Name, maxWritten)
	switch {
	case len(all) == 0:
		r.remember(f, revision, 1, "")
		return fmt.Sprintf("%s%s is empty.", name, where), nil
	case from > len(all):
		return "", fmt.Errorf("%s%s has only %s", name, where, count(len(all), "line"))
	case to < from:
		return "", errors.New("to must not be less than from")
	}
	const footer = 100 // bytes that the last line of the result may take
	var b, shown strings.Builder
	fmt.Fprintf(&b, "%s%s, %s\n", name, where, count(len(all), "line"))
	last := from - 1
	for _, line := range all[from-1 : to] {
		if len(line) > maxLine {
			line = strings.ToValidUTF8(line[:maxLine], "") + proof.LineCut + "\n"
		}
		numbered := workspace.NumberLines(line, last+1)
		if b.Len()+len(numbered)+footer > room {
			break
		}
		b.WriteString(numbered)
		shown.WriteString(line)
		last++
	}
	if last < from {
		return "", errors.New("there is no room left for this file; conclude with what you have")
	}
	if last < to {
		fmt.Fprintf(&b, "[cut for size: read on with from=%d]\n", last+1)
	}
	r.remember(f, revision, from, shown.String())
	look.Lines = last - from + 1
	return b.String(), nil
}

func count(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}
