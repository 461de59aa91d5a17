package tools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
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
	tools    []Tool
	redactor *activity.Redactor
}

// NewPrompts makes the prompts of these tools.
func NewPrompts(d *Deps, shown []Tool) *Prompts {
	return &Prompts{deps: d, tools: shown, redactor: activity.NewRedactor(d.Config.Secrets()...)}
}

// agentsOwn are the required parameters of workflows that the agent keeps count of itself.
var agentsOwn = [...]string{"step_number", "total_steps", "next_step_required", "findings"}

// modelOnly are parameters that some tools take because the original's did, and that mean nothing where no model is asked.
var modelOnly = [...]string{"model", "thinking_mode", "files"}

// Names are the prompts' names, in the order of List.
func (p *Prompts) Names() []string {
	names := []string{"continue"}
	for _, t := range p.tools {
		names = append(names, t.Name)
	}
	return names
}

// List lists the prompts, those of the tools in the tools' order.
func (p *Prompts) List() []Prompt {
	about := argumentWords()
	list := []Prompt{{
		Name: "continue", Title: "Continue a conversation",
		Description: "Go on with a conversation or an unfinished workflow by its continuation_id; without one, list the latest.",
		Arguments: []PromptArgument{
			{Name: "continuation_id", Description: "The conversation to go on with; leave it out to see the latest."},
			{Name: "prompt", Description: "What to say in it."},
		},
	}}
	for _, t := range p.tools {
		list = append(list, Prompt{Name: t.Name, Title: t.Title, Description: t.Description, Arguments: t.asked(about)})
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

// asked are the parameters that a person is asked for: the required ones that the agent can't fill, then those that are
// spoken of in words/prompt.md. Whatever else the tool takes is taken, too, when a client sends it.
func (t Tool) asked(about map[string]string) []PromptArgument {
	var required, optional []PromptArgument
	for _, p := range t.shape().params {
		text, spoken := about[p.name]
		switch {
		case p.required && !slices.Contains(agentsOwn[:], p.name) && (p.fill == nil || spoken):
			required = append(required, PromptArgument{Name: p.name, Description: text, Required: true})
		case !spoken, p.name == "model" && t.has("models"), !t.Annotations.OpenWorld && slices.Contains(modelOnly[:], p.name):
		default:
			optional = append(optional, PromptArgument{Name: p.name, Description: text})
		}
	}
	return append(required, optional...)
}

func (t Tool) has(name string) bool {
	return slices.ContainsFunc(t.shape().params, func(p param) bool { return p.name == name })
}

// workflow tells whether the tool goes step by step.
func (t Tool) workflow() bool {
	return slices.ContainsFunc(t.shape().params, func(p param) bool { return p.required && p.name == "next_step_required" })
}

// Get gives what a prompt says to the agent. ErrNoPrompt says that there is none of that name; any other error may be shown
// to a client by way of reply.Of.
func (p *Prompts) Get(ctx context.Context, name string, given map[string]string) (text string, err error) {
	if name == "continue" {
		text, err = p.resume(ctx, strings.TrimSpace(given["continuation_id"]), strings.TrimSpace(given["prompt"]))
	} else {
		k := slices.IndexFunc(p.tools, func(t Tool) bool { return t.Name == name })
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
func (p *Prompts) call(t Tool, given map[string]string) (string, error) {
	args, err := t.filledIn(given)
	if err != nil {
		return "", err
	}
	data := promptData{
		Server: p.deps.Config.Server.Name, Tool: t.Name,
		Asks: t.has("prompt") || t.has("messages"), Expert: t.Annotations.OpenWorld && p.deps.Config.Expert.Enabled, Files: t.has("relevant_files"),
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
	if t.workflow() {
		section = "workflow"
	}
	w, err := words.For("prompt")
	if err != nil {
		return "", err
	}
	return w.Render(section, data)
}

// filledIn makes a call's arguments of what a person gave as texts, read as leniently as the tool reads its own, and of the
// step that a workflow begins with.
func (t Tool) filledIn(given map[string]string) (*Object, error) {
	m, args := &mender{}, &Object{}
	var missing []string
	for _, p := range t.shape().params {
		text := given[p.name]
		if strings.TrimSpace(text) == "" {
			switch {
			case !p.required:
			case slices.Contains(agentsOwn[:], p.name):
				args.Set(p.name, t.begin(p.name))
			case p.fill == nil || p.name == "prompt":
				missing = append(missing, p.name)
			}
			continue
		}
		if value, ok := m.value(p.typed(text), p.typ, p.rules, p.name); ok {
			args.Set(p.name, value)
		}
	}
	if len(missing) > 0 {
		m.fail("", "Required and missing: %s", strings.Join(missing, ", "))
	}
	if len(m.faults) > 0 {
		return nil, reply.Refuse("Fill the prompt's arguments in anew.", "%s.", strings.Join(m.faults, "; "))
	}
	return args, nil
}

// begin is what the agent's own arguments are in a first step. A consensus has but one.
func (t Tool) begin(name string) any {
	single := t.has("models")
	switch {
	case name == "step_number", name == "total_steps" && single:
		return 1
	case name == "total_steps":
		return 3
	case name == "next_step_required":
		return !single
	}
	return "(what you found so far)"
}

// typed turns a text into what the parameter takes, where a text alone won't do: lists are divided by commas and line
// breaks, or written as JSON.
func (p param) typed(text string) any {
	schema, err := p.schema()
	if err != nil {
		return text
	}
	kind, _ := schema.Get("type").(string)
	if kind != "array" && kind != "object" {
		return text
	}
	if value, err := parse(text); err == nil && typeOf(value) == kind {
		return value
	}
	if kind == "object" {
		return text
	}
	var items []any
	for item := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' }) {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
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
	k := slices.IndexFunc(p.tools, func(t Tool) bool { return t.Name == name })
	switch {
	case k < 0 && name != "continue":
		return Completion{}, ErrNoPrompt
	case argument == "continuation_id":
		return p.deps.completeThread(ctx, typed), nil
	case argument == "model":
		return p.deps.completeModel(name, typed), nil
	case argument == "issue_number":
		return p.deps.completeIssue(ctx, typed), nil
	case argument == "models":
		return p.deps.completeModels(name, typed), nil
	case k >= 0:
		for _, param := range p.tools[k].shape().params {
			if param.name == argument {
				return completion(param.words(), typed), nil
			}
		}
	}
	return Completion{}, nil
}

// words are the values that a parameter takes, where they are few.
func (p param) words() []string {
	schema, err := p.schema()
	if err != nil {
		return nil
	}
	if schema.Get("type") == "boolean" {
		return []string{"true", "false"}
	}
	return p.rules.enum
}
