// Package looks is what an expert may look at by itself: read-only functions over the files of a workspace.ReadScope, which a
// model calls while it answers. They write nothing, run nothing that a project names, and reach no network. Whatever a model
// asks for is an untrusted request: a refusal is text for the model, and the reply lists it.
package looks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/bounded"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/proof"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// Options are what a Reader is made of.
type Options struct {
	Scope *workspace.ReadScope
	// Shown hears of every line that a function returns. nil: nobody does.
	Shown *proof.Shown
	// Mask is applied to a file's text before anything of it is searched or shown; the number of lines stays. An error is
	// what the model is told instead. nil changes nothing.
	Mask func(name, text string) (string, error)
}

// Reader gives one model its functions, and records what they are used for. It is safe for concurrent use.
type Reader struct {
	scope *workspace.ReadScope
	shown *proof.Shown
	mask  func(name, text string) (string, error)

	mu     sync.Mutex
	looked []numbered
}

// numbered is a look with the number of its call.
type numbered struct {
	Look
	n int
}

// Look is one call of a function, as replies list it.
type Look struct {
	Tool    string `json:"tool"`
	Path    string `json:"path,omitempty"` // as the host names it; as the model wrote it where it was refused
	Pattern string `json:"pattern,omitempty"`
	Commit  string `json:"commit,omitempty"`
	Lines   int    `json:"lines"` // that the model was given
	Bytes   int    `json:"bytes"`
	Error   string `json:"error,omitempty"` // why it was given nothing
}

// New returns a Reader, nil where there is nothing to read.
func New(o Options) *Reader {
	if o.Scope == nil || o.Scope.Empty() {
		return nil
	}
	r := &Reader{scope: o.Scope, shown: o.Shown, mask: o.Mask}
	if r.shown == nil {
		r.shown = &proof.Shown{}
	}
	if r.mask == nil {
		r.mask = func(_, text string) (string, error) { return text, nil }
	}
	return r
}

// Bounds are the bounds of an expert's functions, by the whole limit of its call; small are those of one of several experts,
// and of a chat.
func Bounds(limit time.Duration, small bool) calls.Bounds {
	const longCall = 120 * time.Second
	b := calls.Bounds{Rounds: 6, Calls: 8, Bytes: 240_000}
	if limit >= longCall {
		b.Bytes = 720_000
	}
	if small {
		b = calls.Bounds{Rounds: 3, Calls: 4, Bytes: b.Bytes / 2}
	}
	return b
}

// Looked lists what was looked at so far, in the order in which the model asked for it.
func (r *Reader) Looked() []Look {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	inOrder := slices.SortedStableFunc(slices.Values(r.looked), func(a, b numbered) int { return a.n - b.n })
	var all []Look
	for _, l := range inOrder {
		all = append(all, l.Look)
	}
	return all
}

// Tools are the functions, for calls.Call.
func (r *Reader) Tools() []calls.Tool {
	if r == nil {
		return nil
	}
	tools := []calls.Tool{
		r.tool("read_file", readParameters, r.readFile, func(a arguments) string { return a.Path }),
		r.tool("search_files", searchParameters, r.searchFiles, func(a arguments) string { return fmt.Sprintf("for %#q", a.Pattern) }),
		r.tool("list_files", listParameters, r.listFiles, func(a arguments) string { return "the names in " + orTop(a.Path) }),
	}
	if r.scope.HasHistory() {
		tools = append(tools,
			r.tool("git_history", historyParameters, r.history, func(a arguments) string { return "the history of " + a.Path }),
			r.tool("git_show", showParameters, r.show, func(a arguments) string { return a.Path + " at " + a.Commit }))
	}
	return tools
}

// The parameters of the functions. Both vendors take flat schemas: an object of typed properties, without limits.
const (
	pathParameter = `"path":{"type":"string","description":"Relative to the repository, with /"}`
	fromToLines   = `"from":{"type":"integer","description":"First line, 1 if left out"},"to":{"type":"integer","description":"Last line"}`

	readParameters   = `{"type":"object","properties":{` + pathParameter + `,` + fromToLines + `},"required":["path"],"additionalProperties":false}`
	searchParameters = `{"type":"object","properties":{"pattern":{"type":"string","description":"Regular expression in RE2 syntax, matched line by line"},` +
		`"path":{"type":"string","description":"Folder or file to search, everything if left out"},` +
		`"glob":{"type":"string","description":"Names of files, such as *.go or src/**/*_test.py"}},"required":["pattern"],"additionalProperties":false}`
	listParameters = `{"type":"object","properties":{"path":{"type":"string","description":"Folder, everything if left out"},` +
		`"depth":{"type":"integer","description":"Levels of folders, 2 if left out"}},"additionalProperties":false}`
	historyParameters = `{"type":"object","properties":{` + pathParameter + `},"required":["path"],"additionalProperties":false}`
	showParameters    = `{"type":"object","properties":{"commit":{"type":"string","description":"From git_history, or a name such as HEAD~1"},` +
		pathParameter + `,` + fromToLines + `},"required":["commit","path"],"additionalProperties":false}`
)

// runTime bounds one call of a function.
const runTime = 10 * time.Second

// tool makes a function of what it does: run returns the text for the model, and fills in what was looked at.
func (r *Reader) tool(name, parameters string, run func(ctx context.Context, a arguments, room int, look *Look) (string, error), about func(arguments) string) calls.Tool {
	return calls.Tool{
		Function: providers.Function{Name: name, Description: describe(name), Parameters: json.RawMessage(parameters)},
		Optional: true,
		Phase:    providers.PhaseReading,
		About: func(text string) string {
			a, err := parseArguments(text)
			if err != nil {
				return name
			}
			return shorten(about(a), maxAbout)
		},
		Run: func(ctx context.Context, text string, room int) (string, error) {
			a, err := parseArguments(text)
			if err != nil {
				r.record(ctx, Look{Tool: name, Error: err.Error()})
				return "", err
			}
			look := Look{Tool: name, Path: shorten(a.Path, maxWritten), Pattern: shorten(a.Pattern, maxWritten), Commit: shorten(a.Commit, maxWritten)}
			limited, cancel := context.WithTimeout(ctx, runTime)
			defer cancel()
			type result struct {
				text string
				look Look
			}
			out, err := bounded.Run(limited, func(ctx context.Context) (result, error) {
				own := look
				text, err := run(ctx, a, room, &own)
				return result{text, own}, err
			})
			if err != nil {
				if ctx.Err() == nil && limited.Err() != nil {
					err = fmt.Errorf("%s took longer than %s; ask for less", name, runTime)
				}
				err = plain(err)
				look.Error = shorten(err.Error(), maxError)
				r.record(ctx, look)
				return "", err
			}
			out.look.Bytes = len(out.text)
			r.record(ctx, out.look)
			return out.text, nil
		},
	}
}

// describe is what a model reads of a function.
func describe(name string) string {
	w, err := words.For("looks")
	if err != nil {
		return name // the tests read every section
	}
	text, err := w.Render(name, nil)
	if err != nil {
		return name
	}
	return strings.Join(strings.Fields(text), " ")
}

// Prompt is how to use the functions, for the system prompt of a model that has them. own says what to read for the task at hand,
// "" for nothing in particular.
func (r *Reader) Prompt(b calls.Bounds, own string) string {
	w, err := words.For("looks")
	if err != nil {
		return "" // the tests render every section
	}
	text, err := w.Render("system", map[string]any{"History": r.scope.HasHistory(), "Rounds": b.Rounds, "Calls": b.Calls, "Own": own})
	if err != nil {
		return ""
	}
	return text
}

func (r *Reader) record(ctx context.Context, l Look) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.looked = append(r.looked, numbered{l, calls.CallNumber(ctx)})
}

// plain is an error as a model reads it: one sentence and what to do instead, without causes that are meant for logs.
func plain(err error) error {
	var e *workspace.Error
	if errors.As(err, &e) {
		return errors.New(strings.TrimSpace(e.Message + " " + e.Hint))
	}
	return err
}

// Lengths of what a model wrote, where it is shown again.
const (
	maxAbout   = 60
	maxWritten = 200
	maxError   = 300
)

// shorten is a text on one line, of at most n characters.
func shorten(text string, n int) string {
	text = conversation.Printable(strings.ToValidUTF8(text, "\uFFFD"))
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return text
}

func orTop(path string) string {
	if strings.TrimSpace(path) == "" {
		return "."
	}
	return path
}
