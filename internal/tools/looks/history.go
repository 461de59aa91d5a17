package looks

import (
	"context"
	"fmt"
	"strings"
)

// maxCommits is how many entries of a history are shown.
const maxCommits = 40

// history is the function git_history.
func (r *Reader) history(ctx context.Context, a arguments, room int, look *Look) (string, error) {
	f, err := r.scope.Find(ctx, a.Path)
	if err != nil {
		return "", err
	}
	commits, err := r.scope.History(ctx, f, maxCommits)
	if err != nil {
		return "", err
	}
	look.Path = f.Path
	if len(commits) == 0 {
		return fmt.Sprintf("No commit in the history of HEAD changed %s.", shorten(f.Name, maxWritten)), nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "The latest commits that changed %s, the newest first:\n", shorten(f.Name, maxWritten))
	for _, c := range commits {
		subject, err := r.mask("", c.Subject)
		if err != nil {
			return "", err
		}
		line := fmt.Sprintf("%.12s %s %s: %s\n", c.ID, c.Date, shorten(c.Author, maxAbout), shorten(subject, maxWritten))
		if b.Len()+len(line) > room {
			break
		}
		b.WriteString(line)
		look.Lines++
	}
	return b.String(), nil
}
