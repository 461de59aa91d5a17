package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/exai-mcp/exai-mcp/internal/tools"
	toolreply "github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

// askOptions are the flags of ask.
type askOptions struct {
	model        string
	files        []string
	conversation string
	asJSON       bool
	dryRun       bool
}

func (a *app) askCommand() *cobra.Command {
	var o askOptions
	cmd := &cobra.Command{
		Use:   "ask [QUESTION or -]",
		Short: "Ask a model, and read the answer as it is written",
		Long: `Asks a model as the tool chat does, and prints the answer as it is written. "-" reads the question from stdin. On stderr
follow the model, the time, the cost and the id of the conversation, which -c goes on with: an id, a unique beginning of it
(6 characters or more), or "latest" for the newest conversation of this folder. With -c and no question it prints the last
answer. An answer that a time limit cuts short goes on in the background, and ask waits for it.`,
		Example: `  exai-mcp ask "What is a bloom filter good for?"
  exai-mcp ask -f server.go "Where can this deadlock?"
  exai-mcp ask -c latest "And with two writers?"
  git diff | exai-mcp ask -`,
		Args: argumentRange(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.ask(cmd.Context(), args, o) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.model, "model", "m", "", "the model that answers; without it one is chosen")
	f.StringArrayVarP(&o.files, "file", "f", nil, "send this file or folder; may be repeated")
	f.StringVarP(&o.conversation, "conversation", "c", "", "go on with this conversation: an id, a beginning of it, or latest")
	f.BoolVar(&o.asJSON, "json", false, "print the tool's reply as JSON")
	f.BoolVar(&o.dryRun, "dry-run", false, "send nothing; print what would be sent and what it may cost")
	return cmd
}

func (a *app) ask(ctx context.Context, args []string, o askOptions) error {
	question, err := a.question(args)
	if err != nil {
		return err
	}
	if strings.TrimSpace(question) == "" && o.conversation == "" {
		return errors.New(`a question is required: exai-mcp ask "...", or - to read it from stdin`)
	}
	cfg, err := a.load()
	if err != nil {
		return err
	}
	a.limitLogsToWarnings(cfg)
	cfg.Files.MaxOutputTokens = math.MaxInt32 // a person takes an answer of any length
	p, err := a.assembleCommand(cfg)
	if err != nil {
		return err
	}
	defer func() { p.close(time.Now().Add(goneWithin)) }()
	p.database.prewarm()
	arguments, err := a.askArguments(ctx, p, question, o)
	if err != nil {
		return err
	}
	status := a.newStatus(false)
	defer status.clear()
	answer := &answerPrinter{a: a, status: status}
	stop := func() {}
	if !o.asJSON && !o.dryRun {
		stop = answer.follow(p)
	}
	result, err := p.finished(ctx, time.Time{}, func() tool.Invocation {
		return tool.Invocation{
			ID: "ask", Tool: "chat", Arguments: arguments, Received: time.Now(), Client: "exai-mcp ask", Progress: answer.progress,
		}
	})
	stop()
	status.clear()
	switch {
	case err != nil:
		return failure{err}
	case o.asJSON:
		return a.printReply(result)
	case o.dryRun && !result.IsError:
		return a.printPreview(result)
	}
	return answer.finish(result)
}

// question reads the question from the command line or from stdin.
func (a *app) question(args []string) (string, error) {
	if len(args) == 1 && args[0] != "-" {
		return args[0], nil
	}
	if len(args) == 0 {
		return "", nil
	}
	text, err := io.ReadAll(a.in)
	if err != nil {
		return "", failure{fmt.Errorf("read the question: %w", err)}
	}
	return string(text), nil
}

// imageSuffixes are the names of files that chat takes as images.
var imageSuffixes = []string{".png", ".jpg", ".jpeg", ".gif", ".webp"}

// askArguments are chat's arguments.
func (a *app) askArguments(ctx context.Context, p *program, question string, o askOptions) (json.RawMessage, error) {
	chat := map[string]any{"prompt": question}
	var files, images []string
	for _, name := range o.files {
		full, err := filepath.Abs(name)
		if err != nil {
			return nil, failure{err}
		}
		if slices.Contains(imageSuffixes, strings.ToLower(filepath.Ext(name))) {
			images = append(images, full)
		} else {
			files = append(files, full)
		}
	}
	for key, list := range map[string][]string{"files": files, "images": images} {
		if list != nil {
			chat[key] = list
		}
	}
	if o.model != "" {
		chat["model"] = o.model
	}
	if o.dryRun {
		chat["preview"] = true
	}
	if o.conversation != "" {
		s, err := p.database.get(ctx)
		if err != nil {
			return nil, failure{err}
		}
		id, err := conversationID(ctx, s, o.conversation)
		if err != nil {
			return nil, err
		}
		chat["continuation_id"] = id
	}
	return toolreply.Marshal(chat)
}

// answerPrinter prints an answer while it is written.
type answerPrinter struct {
	a       *app
	status  *statusLine
	printed string // of the answer, as it is
	err     error
}

// pollEvery is how often the answer is looked at.
const pollEvery = 40 * time.Millisecond

// follow prints what arrives of the answer, until the function that it returns is called.
func (p *answerPrinter) follow(prog *program) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(pollEvery)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			for _, g := range prog.caller.Running() {
				p.arrived(g.Snapshot().Response.Content)
			}
		}
	}()
	return func() { close(end); <-ended }
}

// arrived prints whole words of what has come since. What does not go on from what is printed, since the model began
// again, waits for the end.
func (p *answerPrinter) arrived(text string) {
	whole := text[:strings.LastIndexAny(text, " \n")+1]
	if more, ok := strings.CutPrefix(whole, p.printed); ok && more != "" && p.err == nil {
		p.status.clear()
		p.err = p.a.write(plain(more))
		p.printed = whole
	}
}

// progress shows what the model does before it writes.
func (p *answerPrinter) progress(message string) {
	if !strings.Contains(message, " writing") {
		p.status.show(message)
	}
}

// finish prints the rest of the answer, and on stderr what it took.
func (p *answerPrinter) finish(r *tools.Result) error {
	content, _ := r.Body.Get("content").(string)
	if r.IsError {
		if p.printed != "" {
			p.err = p.a.write("\n")
		}
		return failureOf(r)
	}
	if r.Body.Get("status") == "resend_prompt" { // too long, so no model was asked
		return failure{errors.New(plain(content) + ` For ask: exai-mcp ask -f FILE "a short question".`)}
	}
	if err := p.print(content); err != nil {
		return err
	}
	for _, note := range r.Metadata.Notes {
		fmt.Fprintf(p.a.errw, "Note: %s\n", plain(oneLine(note)))
	}
	fmt.Fprintln(p.a.errw, p.summary(r))
	return nil
}

// print prints what is left of a finished answer. One that does not go on from what was printed is printed whole.
func (p *answerPrinter) print(content string) error {
	content = strings.TrimRight(content, "\n")
	rest, goesOn := strings.CutPrefix(content, p.printed)
	switch {
	case goesOn:
	case content == strings.TrimRight(p.printed, " \n"): // it ended with space, which is printed already
		if strings.HasSuffix(p.printed, "\n") {
			return p.err
		}
		rest = ""
	default:
		rest = "\n\n" + content
	}
	return errors.Join(p.err, p.a.write(plain(rest)+"\n"))
}

// summary is who answered, how long it took, what it cost, and where it is kept.
func (p *answerPrinter) summary(r *tools.Result) string {
	m := r.Metadata
	var parts []string
	if m.ModelUsed != "" {
		parts = append(parts, m.ModelUsed)
	}
	parts = append(parts, fmt.Sprintf("%.1f s", float64(m.DurationMS)/1000))
	if m.Usage != nil {
		parts = append(parts, fmt.Sprintf("$%.4f", m.Usage.CostUSD))
	}
	if id := outcomeOf(r).ID; id != "" {
		parts = append(parts, "conversation "+id)
	}
	line := plain(strings.Join(parts, ", "))
	if p.a.coloured(p.a.stderr) {
		line = escape(colours["dim"], line)
	}
	return line
}
