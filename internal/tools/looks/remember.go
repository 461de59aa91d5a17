package looks

import (
	"context"
	"strconv"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/proof"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

var (
	readHead  = lazyregexp.New(`^(.+?)(?: in commit ([0-9a-f]{40,64}))?(?:, \d+ lines?| is empty\.)$`)
	matchLine = lazyregexp.New(`^(.+?):(\d{1,9}): (.*)$`)
)

// Remember records as shown what the functions returned in an exchange of another process.
func (r *Reader) Remember(ctx context.Context, exchange []providers.Message) {
	if r == nil {
		return
	}
	for _, m := range exchange {
		if m.Role != providers.RoleTool {
			continue
		}
		switch m.Name {
		case "read_file", "git_show":
			r.rememberRead(ctx, m.Content)
		case "search_files":
			r.rememberMatches(ctx, m.Content)
		}
	}
}

// rememberRead records the lines that a result of read_file or git_show shows.
func (r *Reader) rememberRead(ctx context.Context, result string) {
	head, lines, _ := strings.Cut(result, "\n")
	m := readHead().FindStringSubmatch(head)
	if m == nil {
		return // a refusal, or a repeated call, whose result stands in the exchange already
	}
	f, err := r.scope.Find(ctx, m[1])
	if err != nil {
		return // it is gone, or may no longer be read
	}
	r.rememberName(f)
	if strings.HasSuffix(head, " is empty.") {
		r.shown.Add(f.Path, m[2], 1, "")
		return
	}
	r.shown.AddNumbered(f.Path, m[2], lines)
}

// rememberMatches records the lines that a result of search_files shows.
func (r *Reader) rememberMatches(ctx context.Context, result string) {
	for line := range strings.Lines(result) {
		m := matchLine().FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			continue
		}
		f, err := r.scope.Find(ctx, m[1])
		if err != nil {
			continue
		}
		n, _ := strconv.Atoi(m[2]) // at most nine digits
		r.remember(f, proof.WorkTree, n, m[3])
	}
}

// remember records lines that a model is shown.
func (r *Reader) remember(f workspace.ReadableFile, revision string, first int, text string) {
	r.shown.Add(f.Path, revision, first, text)
	r.rememberName(f)
}

func (r *Reader) rememberName(f workspace.ReadableFile) {
	if f.Name != f.Path {
		r.shown.Name(f.Name, f.Path)
	}
	if printed := conversation.Printable(f.Name); printed != f.Name {
		r.shown.Name(printed, f.Path) // as the model is shown it
	}
}
