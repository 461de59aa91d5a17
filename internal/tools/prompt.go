package tools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
)

// ErrNoPrompt says that there is no prompt of a name.
var ErrNoPrompt = errors.New("no such prompt")

// Prompt is what a person picks from a client's menu to have the agent call a tool.
type Prompt struct {
	Name        string
	Title       string
	Description string
	Arguments   []PromptArgument
}

// PromptArgument is what a person is asked for. Its name is the tool's parameter.
type PromptArgument struct {
	Name        string
	Description string
	Required    bool
}

// Prompts are one for each tool that is shown, and one to go on with a conversation.
type Prompts struct {
	deps     *Deps
	tools    []tool.Tool
	redactor *activity.Redactor
}

// NewPrompts makes the prompts of these tools.
func NewPrompts(d *Deps, shown []tool.Tool) *Prompts {
	return &Prompts{deps: d, tools: shown, redactor: activity.NewRedactor(d.Config.Secrets()...)}
}

// findingsArgument is what the agent, and not the person, fills in; findingsPlaceholder stands for it in the call.
const (
	findingsArgument    = "findings"
	findingsPlaceholder = "(what you found so far)"
)

// modelOnly are parameters that some tools take because the original's did, and that mean nothing where no model is asked.
var modelOnly = [...]string{"model", "thinking_mode", "files"}

// Names are the prompts' names, in the order of List.
func (p *Prompts) Names() []string {
	var names []string
	if p.showsChat() {
		names = append(names, "continue")
	}
	for _, t := range p.tools {
		names = append(names, t.Name)
	}
	return names
}

// showsChat reports whether chat is among the tools shown.
func (p *Prompts) showsChat() bool {
	return slices.ContainsFunc(p.tools, func(t tool.Tool) bool { return t.Name == "chat" })
}

// List lists the prompts, those of the tools in the tools' order.
func (p *Prompts) List() []Prompt {
	about := argumentWords()
	var list []Prompt
	if p.showsChat() { // which it has the agent call
		list = append(list, Prompt{
			Name: "continue", Title: "Continue a conversation",
			Description: "Continue a conversation or an unfinished workflow by its continuation_id; without one, list the latest.",
			Arguments: []PromptArgument{
				{Name: "continuation_id", Description: "Conversation to continue: its id, a beginning of it, or latest; omit it to list the latest."},
				{Name: "prompt", Description: "Message to the model."},
			},
		})
	}
	for _, t := range p.tools {
		list = append(list, Prompt{Name: t.Name, Title: t.Title, Description: t.Description, Arguments: askedParameters(t, about)})
	}
	return list
}

// argumentWords says what people are told about the parameters that they are asked for.
func argumentWords() map[string]string {
	w, err := words.For("prompt")
	if err != nil {
		panic(err) // compiled in, and tested
	}
	lines, err := w.Lines("arguments", nil)
	if err != nil {
		panic(err)
	}
	about := make(map[string]string, len(lines))
	for _, line := range lines {
		name, text, _ := strings.Cut(line, ": ")
		about[name] = text
	}
	return about
}

// askedParameters returns the parameters that a person is asked for: the required ones, then those with a line in
// words/prompt.md. The tool's other parameters are accepted, too, when a client sends them.
func askedParameters(t tool.Tool, about map[string]string) []PromptArgument {
	var required, optional []PromptArgument
	for _, p := range t.Params() {
		text, spoken := about[p.Name]
		switch {
		case p.Required && (p.Default == nil || spoken):
			required = append(required, PromptArgument{Name: p.Name, Description: text, Required: true})
		case !spoken, p.Name == "model" && t.Has("models"), !t.Annotations.OpenWorld && slices.Contains(modelOnly[:], p.Name):
		default:
			optional = append(optional, PromptArgument{Name: p.Name, Description: text})
		}
	}
	return append(required, optional...)
}

// isWorkflow reports whether the tool goes step by step.
func isWorkflow(t tool.Tool) bool { return t.Has("next_step_required") }

// Get gives what a prompt says to the agent. ErrNoPrompt says that there is none of that name; any other error may be shown
// to a client by way of reply.FromError.
func (p *Prompts) Get(ctx context.Context, name string, given map[string]string) (text string, err error) {
	if name == "continue" && p.showsChat() {
		text, err = p.resume(ctx, strings.TrimSpace(given["continuation_id"]), strings.TrimSpace(given["prompt"]))
	} else {
		k := slices.IndexFunc(p.tools, func(t tool.Tool) bool { return t.Name == name })
		if k < 0 {
			return "", ErrNoPrompt
		}
		text, err = p.call(p.tools[k], given)
	}
	return p.redactor.String(text), err
}

// promptData is what the templates of words/prompt.md, and a tool's own, can ask for.
type promptData struct {
	Server    string
	Tool      string
	Arguments string // the call's, as a block of JSON; "" for none
	Asks      bool   // a model answers
	Expert    bool   // a model judges at the end
	Files     bool   // the tool takes relevant_files
}

// call is the text that has the agent call a tool.
func (p *Prompts) call(t tool.Tool, given map[string]string) (string, error) {
	args, err := promptArguments(t, given)
	if err != nil {
		return "", err
	}
	data := promptData{
		Server: p.deps.Config.Server.Name, Tool: t.Name,
		Asks: t.Has("prompt") || t.Has("messages"), Expert: t.Annotations.OpenWorld && p.deps.Config.Expert.Enabled, Files: t.Has("relevant_files"),
	}
	if len(args.Keys()) > 0 {
		if data.Arguments, err = jsonBlock(args); err != nil {
			return "", err
		}
	}
	own, err := words.For(t.Name)
	if err != nil {
		return "", err
	}
	if own.Has("picked") {
		return own.Render("picked", data)
	}
	section := "call"
	switch {
	case isWorkflow(t) && data.Expert:
		section = "expert"
	case isWorkflow(t):
		section = "workflow"
	}
	w, err := words.For("prompt")
	if err != nil {
		return "", err
	}
	return w.Render(section, data)
}

// promptArguments makes a call's arguments from a person's texts, decoded as leniently as the tool decodes its own.
func promptArguments(t tool.Tool, given map[string]string) (*Object, error) {
	args := &Object{}
	var missing, faults []string
	for _, p := range t.Params() {
		text := given[p.Name]
		if strings.TrimSpace(text) == "" {
			switch {
			case !p.Required:
			case p.Name == findingsArgument:
				args.Set(p.Name, findingsPlaceholder)
			case p.Default == nil || p.Name == "prompt":
				missing = append(missing, p.Name)
			}
			continue
		}
		switch value, err := p.Parse(text); {
		case err != nil:
			faults = append(faults, err.Error())
		case value != nil:
			args.Set(p.Name, value)
		}
	}
	if len(missing) > 0 {
		faults = append(faults, "Required and missing: "+strings.Join(missing, ", "))
	}
	if len(faults) > 0 {
		return nil, reply.InvalidRequest("Fill in the prompt's arguments again.", "%s.", strings.Join(faults, "; "))
	}
	return args, nil
}

// jsonBlock is an object as a block of code, which nothing inside can end.
func jsonBlock(o *Object) (string, error) {
	doc, err := jsonPage(o)
	if err != nil {
		return "", err
	}
	fence := "```"
	for strings.Contains(doc.Text, fence) {
		fence += "`"
	}
	return fmt.Sprintf("%sjson\n%s\n%s", fence, doc.Text, fence), nil
}

// Complete offers values for a prompt's argument. A prompt that is not there is ErrNoPrompt.
func (p *Prompts) Complete(ctx context.Context, name, argument, typed string) (Completion, error) {
	k := slices.IndexFunc(p.tools, func(t tool.Tool) bool { return t.Name == name })
	switch {
	case k < 0 && (name != "continue" || !p.showsChat()):
		return Completion{}, ErrNoPrompt
	case argument == "continuation_id":
		return p.deps.completeConversation(ctx, typed), nil
	case argument == "model":
		return p.deps.completeModel(name, typed), nil
	case argument == "issue_number":
		return p.deps.completeIssue(ctx, typed), nil
	case argument == "models":
		return p.deps.completeModels(name, typed), nil
	case k >= 0:
		for _, param := range p.tools[k].Params() {
			if param.Name == argument {
				return completion(param.Words(), typed), nil
			}
		}
	}
	return Completion{}, nil
}
